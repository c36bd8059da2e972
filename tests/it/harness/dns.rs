//! A DNS server that says what a test wants, by UDP and TCP. It writes its messages by itself (RFC 1035 section 4).

use super::until;
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Condvar, Mutex};

/// What the server says to queries for a name.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// These addresses, each to those who ask for its family, with this TTL in seconds.
    Addresses(Vec<IpAddr>, u32),
    /// Each answer has the next of these addresses.
    Flipping(Vec<IpAddr>, u32),
    /// That it is an alias of another name with this address.
    Alias(&'static str, IpAddr),
    /// An RCODE: 2 is SERVFAIL, 3 NXDOMAIN, 5 REFUSED. With a SOA that lets 3 be kept for 60 s.
    Code(u8),
    /// Nothing.
    Silence,
    /// Nothing to AAAA, and this address to A.
    NoAaaa(IpAddr),
    /// By UDP that the answer is too long; this address by TCP.
    OnlyByTcp(IpAddr),
    /// First an answer with another id, another name, and none at all that can be read; then this address.
    AfterForgeries(IpAddr),
    /// FORMERR to queries with EDNS, this address to others.
    NoEdns(IpAddr),
    /// This address, once [`DnsServer::release`] is called.
    Held(IpAddr),
}

/// One query that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) name: String,
    /// 1 is A, 28 AAAA.
    pub(crate) kind: u16,
    pub(crate) by_tcp: bool,
}

/// `A`.
pub(crate) const A: u16 = 1;
/// `AAAA`.
pub(crate) const AAAA: u16 = 28;

#[derive(Default)]
struct State {
    zone: Mutex<HashMap<String, Says>>,
    asked: Mutex<Vec<Query>>,
    released: Mutex<bool>,
    release: Condvar,
}

/// The server. Names that it was told nothing of do not exist.
pub(crate) struct DnsServer {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

impl DnsServer {
    /// Listens on a port of its own.
    pub(crate) fn start() -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            // Somebody else's TCP may have the port.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let server = Self {
            address: udp.local_addr().unwrap(),
            state: Arc::default(),
        };
        let state = server.state.clone();
        std::thread::spawn(move || by_udp(&udp, &state));
        let state = server.state.clone();
        std::thread::spawn(move || {
            for stream in tcp.incoming() {
                let state = state.clone();
                std::thread::spawn(move || by_tcp(stream.unwrap(), &state));
            }
        });
        server
    }

    /// From now on, this is what it says of `name`.
    pub(crate) fn say(&self, name: &str, says: Says) {
        self.state.zone.lock().unwrap().insert(name.to_owned(), says);
    }

    /// The same, with an address for an hour.
    pub(crate) fn has(&self, name: &str, ip: &str) {
        self.say(name, Says::Addresses(vec![ip.parse().unwrap()], 3600));
    }

    /// Lets go of what is [`Says::Held`].
    pub(crate) fn release(&self) {
        *self.state.released.lock().unwrap() = true;
        self.state.release.notify_all();
    }

    /// How many queries came for `name` of this kind.
    pub(crate) fn count(&self, name: &str, kind: u16) -> usize {
        let asked = self.state.asked.lock().unwrap();
        asked
            .iter()
            .filter(|query| query.name == name && query.kind == kind)
            .count()
    }

    /// All queries so far.
    pub(crate) fn asked(&self) -> Vec<Query> {
        self.state.asked.lock().unwrap().clone()
    }

    /// Waits for a query for `name`.
    pub(crate) fn is_asked(&self, name: &str) {
        until(&format!("a query for {name}"), || {
            (self.count(name, A) > 0).then_some(())
        });
    }

    /// The part of a configuration that makes it the only one, with no search domains of the machine's.
    pub(crate) fn config(&self) -> String {
        format!(
            "[network.dns]\nservers = ['{}']\nhosts_file = 'none'\nresolv_conf = 'none'\n",
            self.address
        )
    }
}

fn by_udp(socket: &UdpSocket, state: &Arc<State>) {
    let mut buffer = [0; 1500];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Some(asked) = Asked::read(&buffer[..length]) else {
            continue;
        };
        let says = note(state, &asked, false);
        if let Says::Held(ip) = says {
            let (socket, state) = (socket.try_clone().unwrap(), state.clone());
            std::thread::spawn(move || {
                let released = state.released.lock().unwrap();
                drop(state.release.wait_while(released, |released| !*released).unwrap());
                let _ = socket.send_to(&asked.addresses(&[ip], 3600), from);
            });
            continue;
        }
        for message in asked.answers(&says, false) {
            let _ = socket.send_to(&message, from);
        }
    }
}

fn by_tcp(mut stream: TcpStream, state: &Arc<State>) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut message = vec![0; u16::from_be_bytes(length).into()];
        if stream.read_exact(&mut message).is_err() {
            return;
        }
        let Some(asked) = Asked::read(&message) else {
            return;
        };
        let says = note(state, &asked, true);
        for message in asked.answers(&says, true) {
            let length = u16::try_from(message.len()).unwrap().to_be_bytes();
            if stream.write_all(&[&length[..], &message].concat()).is_err() {
                return;
            }
        }
    }
}

/// Writes a query down; what is said to it.
fn note(state: &State, asked: &Asked, by_tcp: bool) -> Says {
    state.asked.lock().unwrap().push(Query {
        name: asked.name.clone(),
        kind: asked.kind,
        by_tcp,
    });
    let mut zone = state.zone.lock().unwrap();
    match zone.get_mut(&asked.name) {
        Some(Says::Flipping(ips, ttl)) => {
            let says = Says::Addresses(vec![ips[0]], *ttl);
            ips.rotate_left(1);
            says
        }
        Some(says) => says.clone(),
        None => Says::Code(3),
    }
}

/// A query as it was asked.
struct Asked {
    id: [u8; 2],
    name: String,
    kind: u16,
    /// The question as it came.
    question: Vec<u8>,
    edns: bool,
}

impl Asked {
    fn read(message: &[u8]) -> Option<Self> {
        let id = [*message.first()?, *message.get(1)?];
        let additional = *message.get(11)?;
        let (mut labels, mut at) = (Vec::new(), 12);
        loop {
            let length = usize::from(*message.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_ascii_lowercase());
            at += length;
        }
        Some(Self {
            id,
            name: labels.join("."),
            kind: u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]),
            question: message.get(12..at + 4)?.to_vec(),
            edns: additional > 0,
        })
    }

    fn answers(&self, says: &Says, by_tcp: bool) -> Vec<Vec<u8>> {
        match says {
            Says::Addresses(ips, ttl) => vec![self.addresses(ips, *ttl)],
            Says::Alias(to, ip) => {
                let mut records = record(&[0xc0, 12], 5, 3600, &labels(to));
                records.extend(self.record_of(&labels(to), *ip, 3600));
                vec![self.message(self.id, 0, 2, &records)]
            }
            Says::Code(code) => vec![self.message(self.id, u16::from(*code), 0, &[])],
            Says::Silence => vec![],
            Says::NoAaaa(_) if self.kind != A => vec![],
            Says::NoAaaa(ip) => vec![self.addresses(&[*ip], 3600)],
            Says::OnlyByTcp(ip) if by_tcp => vec![self.addresses(&[*ip], 3600)],
            Says::OnlyByTcp(_) => vec![self.message(self.id, 0x0200, 0, &[])],
            Says::AfterForgeries(ip) => {
                let forged = IpAddr::from([203, 0, 113, 66]);
                let other = Self {
                    name: "other.test".to_owned(),
                    question: [&labels("other.test")[..], &self.kind.to_be_bytes(), &[0, 1]].concat(),
                    ..*self
                };
                let record = self.record_of(&[0xc0, 12], forged, 3600);
                vec![
                    self.message([self.id[0], !self.id[1]], 0, 1, &record),
                    other.addresses(&[forged], 3600),
                    self.id[..1].to_vec(),
                    self.addresses(&[*ip], 3600),
                ]
            }
            Says::NoEdns(_) if self.edns => vec![self.message(self.id, 1, 0, &[])],
            Says::NoEdns(ip) => vec![self.addresses(&[*ip], 3600)],
            Says::Flipping(..) | Says::Held(_) => unreachable!("made into addresses before"),
        }
    }

    /// An answer with those of `ips` that are of the family that was asked for.
    fn addresses(&self, ips: &[IpAddr], ttl: u32) -> Vec<u8> {
        let wanted = |ip: &&IpAddr| ip.is_ipv4() == (self.kind == A);
        let records: Vec<_> = ips
            .iter()
            .filter(wanted)
            .map(|ip| self.record_of(&[0xc0, 12], *ip, ttl))
            .collect();
        self.message(self.id, 0, records.len(), &records.concat())
    }

    fn record_of(&self, owner: &[u8], ip: IpAddr, ttl: u32) -> Vec<u8> {
        match ip {
            IpAddr::V4(ip) => record(owner, A, ttl, &ip.octets()),
            IpAddr::V6(ip) => record(owner, AAAA, ttl, &ip.octets()),
        }
    }

    /// A response. Where there are no answers, its SOA lets that be kept for 60 s.
    fn message(&self, id: [u8; 2], flags: u16, answers: usize, records: &[u8]) -> Vec<u8> {
        let mut message = id.to_vec();
        // A response to a recursive query, by a server that is recursive.
        message.extend((0x8180 | flags).to_be_bytes());
        let soa = match (answers, flags) {
            (0, 0 | 3) => {
                let names = [labels("ns.test"), labels("admin.test")].concat();
                let times: Vec<u8> = [1_u32, 2, 3, 4, 60]
                    .iter()
                    .flat_map(|n| n.to_be_bytes())
                    .collect();
                record(&labels("test"), 6, 60, &[names, times].concat())
            }
            _ => vec![],
        };
        for count in [1, answers, usize::from(!soa.is_empty()), 0] {
            message.extend(u16::try_from(count).unwrap().to_be_bytes());
        }
        message.extend(&self.question);
        message.extend(records);
        message.extend(soa);
        message
    }
}

fn record(owner: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut record = owner.to_vec();
    record.extend(kind.to_be_bytes());
    record.extend([0, 1]);
    record.extend(ttl.to_be_bytes());
    record.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    record.extend(data);
    record
}

fn labels(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}
