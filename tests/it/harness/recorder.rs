//! An origin that does exactly what a test wants: it hands each connection to the test.

use super::DEADLINE;
use super::certs::{Identity, certs};
use super::proxy::Proxy;
use super::raw::{Secure, Wire, header, prepare, tls};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use tungstenite::handshake::derive_accept_key;

/// One TLS connection as the origin sees it.
pub(crate) type Served = Wire<StreamOwned<ServerConnection, TcpStream>>;

/// A TLS origin on a free port.
pub(crate) struct Recorder {
    pub(crate) port: u16,
    connections: Receiver<Served>,
}

impl Recorder {
    /// One with the tests' origin certificate.
    pub(crate) fn start() -> Self {
        Self::with(&certs().origin)
    }

    /// One with this certificate.
    pub(crate) fn with(identity: &Identity) -> Self {
        Self::listening("127.0.0.1:0", identity, &["http/1.1"])
    }

    /// One that listens elsewhere, or agrees to other protocols; to none, if there are none.
    pub(crate) fn listening(address: &str, identity: &Identity, alpn: &[&str]) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(identity.chain.clone(), identity.key_der())
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let config = Arc::new(config);
        let listener = TcpListener::bind(address).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (send, connections) = channel();
        std::thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                let (send, config) = (send.clone(), Arc::clone(&config));
                std::thread::spawn(move || {
                    prepare(&socket);
                    let mut connection = ServerConnection::new(config).unwrap();
                    while connection.is_handshaking() {
                        if connection.complete_io(&mut socket).is_err() {
                            return;
                        }
                    }
                    let _ = send.send(Wire::new(StreamOwned::new(connection, socket)));
                });
            }
        });
        Self { port, connections }
    }

    /// `origin.test:PORT`.
    pub(crate) fn target(&self) -> String {
        format!("origin.test:{}", self.port)
    }

    /// The next connection, its handshake done.
    pub(crate) fn accept(&self) -> Served {
        self.connections
            .recv_timeout(DEADLINE)
            .expect("a connection to the origin")
    }

    /// Whether no handshake has been finished that was not asked for.
    pub(crate) fn accept_nothing(&self) -> bool {
        self.connections.try_recv().is_err()
    }

    /// A WebSocket through the proxy: the client's end and this origin's.
    pub(crate) fn websocket(&self, proxy: &Proxy) -> (Secure, Served) {
        self.websocket_with(proxy, "", "")
    }

    /// The same with more header lines in the request and in the response.
    pub(crate) fn websocket_with(&self, proxy: &Proxy, ask: &str, answer: &str) -> (Secure, Served) {
        self.websocket_over(tls(proxy, &self.target()), ask, answer)
    }

    /// The same over a client's open connection.
    pub(crate) fn websocket_over(&self, mut client: Secure, ask: &str, answer: &str) -> (Secure, Served) {
        client.ask_websocket(&self.target(), "/", ask);
        let mut origin = self.accept();
        origin.accept_websocket(answer);
        let head = client.head().expect("an answer to the upgrade");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        (client, origin)
    }
}

impl<S: Read + Write> Wire<S> {
    /// Reads the upgrade request and agrees to it; the request's head.
    pub(crate) fn accept_websocket(&mut self, extra: &str) -> String {
        let head = self.head().expect("an upgrade request");
        let key = header(&head, "sec-websocket-key").expect("a key");
        self.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n{extra}\r\n",
            derive_accept_key(key.as_bytes())
        ));
        head
    }
}

/// A TCP origin: hands each connection to the test as it comes.
pub(crate) fn tcp() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// The next connection of a TCP origin.
pub(crate) fn accept(listener: &TcpListener) -> Wire<TcpStream> {
    let (stream, _) = super::until("a connection to the origin", || {
        listener.set_nonblocking(true).unwrap();
        listener.accept().ok()
    });
    stream.set_nonblocking(false).unwrap();
    prepare(&stream);
    Wire::new(stream)
}
