//! A client's way to the origin: through an explicit proxy's CONNECT, or straight to a reverse proxy; then TLS, and
//! a WebSocket handshake where one is wanted.

use crate::echo::Payload;
use crate::head::{SOCKET_BUFFER, first_line, header, read_head, status};
use crate::{Fallible, pki};
use rustls_pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A TLS connection to the origin, or to the proxy that stands in for it.
pub(crate) type Io = TlsStream<BufReader<TcpStream>>;

/// How an origin is reached.
#[derive(Clone)]
pub(crate) struct Route {
    /// Where TCP connects to.
    pub(crate) addr: SocketAddr,
    /// Whether a CONNECT is sent first.
    pub(crate) connect: bool,
    /// The host asked for: CONNECT target, SNI and Host.
    pub(crate) host: String,
    /// The origin's port.
    pub(crate) port: u16,
    /// Whom the client trusts.
    pub(crate) tls: Arc<rustls::ClientConfig>,
}

/// The key that RFC 6455 gives as its example, and the answer to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

impl Route {
    /// The same way to another host.
    pub(crate) fn to(&self, host: String) -> Self {
        Self { host, ..self.clone() }
    }

    /// A route through `addr` that trusts the certificates below the CA in the file `ca`.
    pub(crate) fn new(
        addr: SocketAddr,
        connect: bool,
        host: &str,
        port: u16,
        ca: &std::path::Path,
    ) -> Fallible<Self> {
        Ok(Self {
            addr,
            connect,
            host: host.into(),
            port,
            tls: pki::client(ca, false, &[])?,
        })
    }

    /// The same way, by HTTP/2.
    pub(crate) fn over_h2(&self, ca: &std::path::Path) -> Fallible<Self> {
        Ok(Self {
            tls: pki::client(ca, false, &["h2"])?,
            ..self.clone()
        })
    }

    /// The same way, with the hybrid of X25519 and ML-KEM-768 and nothing else.
    pub(crate) fn over_hybrid(&self, ca: &std::path::Path) -> Fallible<Self> {
        Ok(Self {
            tls: pki::hybrid_client(ca)?,
            ..self.clone()
        })
    }

    /// TCP, CONNECT and TLS, without resumption.
    pub(crate) async fn open(&self) -> Fallible<Io> {
        let tcp = TcpStream::connect(self.addr).await?;
        tcp.set_nodelay(true)?;
        let mut tcp = BufReader::with_capacity(SOCKET_BUFFER, tcp);
        if self.connect {
            let target = format!("{}:{}", self.host, self.port);
            tcp.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes())
                .await?;
            let head = read_head(&mut tcp)
                .await?
                .ok_or("the proxy closed instead of answering CONNECT")?;
            if status(&head) != Some("200") {
                return Err(format!("CONNECT refused: {}", first_line(&head)).into());
            }
        }
        let name = ServerName::try_from(self.host.clone())?;
        Ok(TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, tcp)
            .await?)
    }

    /// The request head for `path`, with more header lines in `more`.
    pub(crate) fn request(&self, path: &str, more: &str) -> String {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {}:{}\r\n{more}\r\n",
            self.host, self.port
        )
    }

    /// Opens a WebSocket.
    pub(crate) async fn open_websocket(&self) -> Fallible<Io> {
        self.open_websocket_for(Payload::Binary).await
    }

    /// Opens a WebSocket for messages of this kind.
    pub(crate) async fn open_websocket_for(&self, payload: Payload) -> Fallible<Io> {
        let deflate = match payload {
            Payload::Deflated => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            Payload::Binary | Payload::Text => "",
        };
        let mut io = self.open().await?;
        let more = format!(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{deflate}"
        );
        io.write_all(self.request("/ws", &more).as_bytes()).await?;
        io.flush().await?;
        let head = read_head(&mut io)
            .await?
            .ok_or("closed instead of answering the upgrade")?;
        if status(&head) != Some("101") || header(&head, "sec-websocket-accept") != Some(ACCEPT) {
            return Err(format!("upgrade refused: {}", first_line(&head)).into());
        }
        if header(&head, "sec-websocket-extensions").is_some() != (payload == Payload::Deflated) {
            return Err("the proxy changed what was offered or agreed".into());
        }
        Ok(io)
    }
}
