//! A capture without the right to capture: a relay on the way that keeps what passes, as a file that tshark reads.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// `(connection, to the server, bytes)`, in their order.
type Passed = Arc<Mutex<Vec<(u16, bool, Vec<u8>)>>>;

/// A relay to one address.
pub(crate) struct Wiretap {
    pub(crate) port: u16,
    passed: Passed,
}

impl Wiretap {
    /// Listens, and relays each connection to `to`.
    pub(crate) fn start(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (passed, to) = (Passed::default(), to.to_owned());
        let kept = Arc::clone(&passed);
        std::thread::spawn(move || {
            for (connection, client) in (0..).zip(listener.incoming()) {
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(&to) else {
                    continue;
                };
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                relay(connection, true, client, server, &kept);
                relay(connection, false, back.0, back.1, &kept);
            }
        });
        Self { port, passed }
    }

    /// Writes what passed as a pcap file in which every server has port 443. What stands before TLS, a CONNECT and
    /// its answer, is left out.
    pub(crate) fn write(&self, file: &Path) {
        let mut pcap = Vec::new();
        // Little endian, version 2.4, times in microseconds, link type 101: packets are IP.
        for field in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 101] {
            pcap.extend(field.to_le_bytes());
        }
        let mut sequence = std::collections::HashMap::new();
        let passed = self.passed.lock().unwrap();
        for (number, (connection, to_server, bytes)) in (0..).zip(&*passed) {
            if bytes.starts_with(b"CONNECT ") || bytes.starts_with(b"HTTP/1.1 200 Connection") {
                continue;
            }
            for piece in bytes.chunks(60_000) {
                let mut ports = [20_000 + connection, 443];
                let mut addresses = [[10, 0, 0, 1], [10, 0, 0, 2]];
                if !to_server {
                    ports.reverse();
                    addresses.reverse();
                }
                let mut next = |to_server: bool| *sequence.entry((*connection, to_server)).or_insert(1_u32);
                let (at, acknowledged) = (next(*to_server), next(!to_server));
                *sequence.get_mut(&(*connection, *to_server)).unwrap() += piece.len() as u32;
                let mut packet = vec![0x45, 0];
                packet.extend((40 + piece.len() as u16).to_be_bytes());
                // No identification, do not fragment, 64 hops, TCP, no checksum.
                packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
                packet.extend(addresses.concat());
                packet.extend(ports.iter().flat_map(|port: &u16| port.to_be_bytes()));
                packet.extend(at.to_be_bytes());
                packet.extend(acknowledged.to_be_bytes());
                // Twenty bytes of header, PSH and ACK, a window, neither checksum nor urgency.
                packet.extend([0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
                packet.extend(piece);
                for field in [1_700_000_000, number, packet.len() as u32, packet.len() as u32] {
                    pcap.extend(field.to_le_bytes());
                }
                pcap.extend(packet);
            }
        }
        std::fs::write(file, pcap).unwrap();
    }
}

fn relay(connection: u16, to_server: bool, mut from: TcpStream, mut to: TcpStream, kept: &Passed) {
    let kept = Arc::clone(kept);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            kept.lock()
                .unwrap()
                .push((connection, to_server, buffer[..read].to_vec()));
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
