//! A client that sends exactly the bytes that a test wants, over TCP or over the bumped TLS.

use super::DEADLINE;
use super::proxy::Proxy;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;

/// A stream, and what was read from it but not yet asked for.
pub(crate) struct Wire<S> {
    pub(crate) stream: S,
    held: Vec<u8>,
}

/// TCP to the proxy.
pub(crate) type Plain = Wire<TcpStream>;
/// TLS through the proxy.
pub(crate) type Secure = Wire<StreamOwned<ClientConnection, TcpStream>>;

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// The first header of this name in a head.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// One WebSocket frame, unmasked.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) masked: bool,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The code of a Close frame.
    pub(crate) fn close_code(&self) -> Option<u16> {
        (self.first == 0x88 && self.payload.len() >= 2)
            .then(|| u16::from_be_bytes([self.payload[0], self.payload[1]]))
    }
}

/// A frame in its shortest encoding. `first` is FIN, RSV and opcode.
pub(crate) fn frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let bit = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        length @ 0..=125 => bytes.push(bit | length as u8),
        length @ 126..=0xffff => {
            bytes.push(bit | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(bit | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    let key = mask.unwrap_or_default();
    bytes.extend(mask.iter().flatten());
    bytes.extend(
        payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

impl<S: Read + Write> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            held: Vec::new(),
        }
    }

    /// Sends bytes, now.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    /// Sends bytes to a peer that may already have hung up.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// Reads more; false at the end, however it came. A deadline that passes fails the test.
    fn more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(read) => {
                self.held.extend(&buffer[..read]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!(
                    "nothing within {DEADLINE:?}; held: {:?}",
                    String::from_utf8_lossy(&self.held)
                )
            }
            Err(error) => {
                eprintln!("read: {error}");
                false
            }
        }
    }

    /// The next `count` bytes; fewer at the end of the stream.
    pub(crate) fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.held.len() < count && self.more() {}
        let count = count.min(self.held.len());
        self.held.drain(..count).collect()
    }

    /// Everything up to the end of the stream.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.held)
    }

    /// A head, up to and with its empty line; `None` if the stream ends before.
    pub(crate) fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.held.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.held.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.more() {
                return None;
            }
        }
    }

    /// A line with its end.
    pub(crate) fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.held.iter().position(|&byte| byte == b'\n') {
                return String::from_utf8(self.held.drain(..=end).collect()).unwrap();
            }
            assert!(self.more(), "the stream ended in a line");
        }
    }

    /// A response with its body; `None` if the stream ends without one.
    pub(crate) fn try_answer(&mut self) -> Option<Answer> {
        let head = self.head()?;
        let status = head.split(' ').nth(1).unwrap().trim().parse().unwrap();
        let mut body = Vec::new();
        if header(&head, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            loop {
                let size = usize::from_str_radix(self.line().trim().split(';').next().unwrap(), 16).unwrap();
                if size == 0 {
                    while self.line() != "\r\n" {}
                    break;
                }
                body.extend(self.exactly(size));
                assert_eq!(self.line(), "\r\n");
            }
        } else if let Some(length) = header(&head, "content-length") {
            body = self.exactly(length.parse().unwrap());
        }
        Some(Answer { status, head, body })
    }

    /// A response with its body.
    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer().expect("a response")
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) fn frame(&mut self) -> Option<Frame> {
        let head = self.exactly(2);
        let &[first, second] = head.as_slice() else {
            return None;
        };
        let length = match second & 0x7f {
            126 => u16::from_be_bytes(self.exactly(2).try_into().ok()?) as usize,
            127 => u64::from_be_bytes(self.exactly(8).try_into().ok()?) as usize,
            length => length as usize,
        };
        let masked = second & 0x80 != 0;
        let key = if masked { self.exactly(4) } else { vec![0; 4] };
        let payload = self.exactly(length);
        (payload.len() == length).then(|| Frame {
            first,
            masked,
            payload: payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key)
                .collect(),
        })
    }

    /// The frames up to the end of the stream.
    pub(crate) fn frames(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.frame()).collect()
    }

    /// Asks for a WebSocket at `path` of `host`; what comes back is for the test to read.
    pub(crate) fn ask_websocket(&mut self, host: &str, path: &str, extra: &str) {
        self.send(format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
        ));
    }
}

/// TCP to `address`, with a deadline on reads and writes and without Nagle.
pub(crate) fn dial(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    prepare(&stream);
    stream
}

pub(crate) fn prepare(stream: &TcpStream) {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
}

/// CONNECT to `target` through the proxy, and the proxy's answer.
pub(crate) fn connect(proxy: &Proxy, target: &str) -> (Plain, Answer) {
    connect_by(&proxy.address, target)
}

/// The same through any proxy.
pub(crate) fn connect_by(proxy: &str, target: &str) -> (Plain, Answer) {
    let mut wire = Wire::new(dial(proxy));
    wire.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    let head = wire.head().expect("an answer to CONNECT");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    // What follows a 200 is the tunnel, whatever the head says (RFC 9110 section 9.3.6).
    let body = match header(&head, "content-length") {
        Some(length) if status != 200 => wire.exactly(length.parse().unwrap()),
        _ => Vec::new(),
    };
    (wire, Answer { status, head, body })
}

/// CONNECT that must be answered 200.
pub(crate) fn tunnel(proxy: &Proxy, target: &str) -> Plain {
    let (wire, answer) = connect(proxy, target);
    assert_eq!(answer.status, 200, "{}", answer.head);
    wire
}

/// TLS to `target` through the proxy, trusting the proxy's CA alone and speaking HTTP/1.1.
pub(crate) fn tls(proxy: &Proxy, target: &str) -> Secure {
    tls_over(tunnel(proxy, target), target, &proxy.ca)
}

/// TLS over an open tunnel, trusting `ca` alone.
pub(crate) fn tls_over(tunnel: Plain, target: &str, ca: &Path) -> Secure {
    let mut secure = start_tls(tunnel, target, ca);
    let StreamOwned { conn, sock } = &mut secure.stream;
    while conn.is_handshaking() {
        conn.complete_io(sock).unwrap();
    }
    secure
}

/// The same, with the handshake left to the first read or write.
pub(crate) fn start_tls(tunnel: Plain, target: &str, ca: &Path) -> Secure {
    start_tls_with(tunnel, target, client_config(ca))
}

/// The same, for a client with settings of its own.
pub(crate) fn start_tls_with(tunnel: Plain, target: &str, config: Arc<ClientConfig>) -> Secure {
    assert!(
        tunnel.held.is_empty(),
        "the proxy spoke before TLS: {:?}",
        tunnel.held
    );
    let (host, _) = target.rsplit_once(':').unwrap();
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).unwrap();
    let connection = ClientConnection::new(config, name).unwrap();
    Wire::new(StreamOwned::new(connection, tunnel.stream))
}

/// A client that trusts the PEM file `ca` alone and speaks HTTP/1.1.
pub(crate) fn client_config(ca: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(root.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

impl Plain {
    /// Ends the sending half.
    pub(crate) fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}

impl Secure {
    /// Says that nothing more will be sent (`close_notify`), and goes on reading.
    pub(crate) fn half_close(&mut self) {
        self.stream.conn.send_close_notify();
        self.stream.flush().unwrap();
    }

    /// The certificate that the client was shown.
    pub(crate) fn leaf(&self) -> CertificateDer<'static> {
        self.stream.conn.peer_certificates().unwrap()[0].clone()
    }
}
