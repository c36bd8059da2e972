//! A proxy that does to WebSockets what appliances do. It stands for the origin too: it answers in its name.

use super::certs::{Identity, certs};
use super::raw::{Frame, Wire, frame, header, prepare};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tungstenite::handshake::derive_accept_key;

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meddling {
    /// Answers each CONNECT with these lines, and asks for nothing more.
    Refuses(&'static str),
    /// Answers a CONNECT with 200, and never again.
    Mute,
    /// Answers each upgrade with these lines.
    Answers(&'static str),
    /// Agrees to upgrades, and relays nothing.
    Swallows,
    /// Keeps what the origin says until the client says goodbye.
    HoldsBack,
    /// Cuts each WebSocket at this age.
    Cuts(Duration),
    /// Cuts each WebSocket that was quiet for so long.
    Impatient(Duration),
    /// Passes on nothing once it has seen so many bytes.
    Chokes(usize),
    /// Sends compressed frames that nothing was agreed on for.
    Compresses,
    /// Agrees to an extension that nobody offered.
    Invents,
    /// Closes each WebSocket with 1008.
    Forbids,
    /// Passes everything on.
    Behaves,
}

/// A running one.
pub(crate) struct Meddler {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

type Inside = Wire<StreamOwned<ServerConnection, TcpStream>>;

impl Meddler {
    /// Shows the tests' origin certificate.
    pub(crate) fn start(meddling: Meddling) -> Self {
        Self::with(meddling, &certs().origin)
    }

    /// Shows another.
    pub(crate) fn with(meddling: Meddling, identity: &Identity) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(identity.chain.clone(), identity.key_der())
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                std::thread::spawn(move || serve(socket, config, meddling));
            }
        });
        Self { url }
    }
}

fn serve(socket: TcpStream, config: Arc<ServerConfig>, meddling: Meddling) {
    prepare(&socket);
    let mut wire = Wire::new(socket);
    if wire.head().is_none() {
        return;
    }
    if let Meddling::Refuses(lines) = meddling {
        let _ = wire.try_send(lines);
        wire.rest();
        return;
    }
    if wire
        .try_send("HTTP/1.1 200 OK\r\nVia: 1.1 meddler\r\n\r\n")
        .is_err()
    {
        return;
    }
    if meddling == Meddling::Mute {
        wire.rest();
        return;
    }
    let mut socket = wire.stream;
    let mut connection = ServerConnection::new(config).unwrap();
    while connection.is_handshaking() {
        if connection.complete_io(&mut socket).is_err() {
            return;
        }
    }
    let mut inside = Wire::new(StreamOwned::new(connection, socket));
    let Some(head) = inside.head() else { return };
    let Some(key) = header(&head, "sec-websocket-key") else {
        let _ = inside.try_send("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n");
        inside.rest();
        return;
    };
    if let Meddling::Answers(lines) = meddling {
        let _ = inside.try_send(lines);
        inside.rest();
        return;
    }
    let more = match meddling {
        Meddling::Invents => "Sec-WebSocket-Extensions: x-own\r\n",
        _ => "",
    };
    let agreed = inside.try_send(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{more}\r\n",
        derive_accept_key(key.as_bytes())
    ));
    if agreed.is_ok() {
        relay(inside, meddling);
    }
}

fn relay(mut inside: Inside, meddling: Meddling) {
    let opened = Instant::now();
    match meddling {
        Meddling::Cuts(age) => {
            // A socket of its own, since the other end may say nothing more.
            let killer = inside.stream.sock.try_clone().unwrap();
            std::thread::spawn(move || {
                std::thread::sleep(age.saturating_sub(opened.elapsed()));
                let _ = killer.shutdown(std::net::Shutdown::Both);
            });
        }
        Meddling::Impatient(quiet) => {
            inside.stream.sock.set_read_timeout(Some(quiet)).unwrap();
        }
        Meddling::Forbids => {
            let _ = inside.try_send(frame(0x88, None, b"\x03\xf0not here"));
            inside.rest();
            return;
        }
        _ => {}
    }
    let (mut seen, mut held) = (0, Vec::new());
    loop {
        // Of an impatient one the read fails in time, and with it the connection.
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| inside.frame()));
        let Ok(Some(Frame { first, payload, .. })) = caught else {
            return;
        };
        seen += payload.len();
        let answer = match first & 0x0f {
            0x8 => frame(0x88, None, &payload),
            0x9 => frame(0x8a, None, &payload),
            _ => frame(first, None, &payload),
        };
        let said = match meddling {
            Meddling::Swallows => Vec::new(),
            Meddling::Chokes(most) if seen > most => Vec::new(),
            Meddling::HoldsBack => {
                held.extend(answer);
                if first & 0x0f != 0x8 {
                    continue;
                }
                std::mem::take(&mut held)
            }
            Meddling::Compresses => frame(0xc1, None, b"\x00"),
            _ => answer,
        };
        if inside.try_send(said).is_err() {
            return;
        }
    }
}
