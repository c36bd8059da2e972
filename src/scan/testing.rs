//! A scanner that follows a script.

use super::endpoint::Endpoint;
use crate::inspect::testing::facts;
use crate::inspect::{AdaptBody, AdaptItem, HttpHead, ScanItem, Soon, Surface};
use crate::wire::frame::{Direction, Opcode};
use bytes::Bytes;
use rustls::ServerConfig;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// One step of a script for one connection.
#[derive(Debug, Clone)]
pub(crate) enum Turn {
    /// Exactly these bytes must come.
    Hears(Vec<u8>),
    /// Reads until these bytes have come.
    HearsUntil(Vec<u8>),
    /// Answers with these bytes.
    Says(Vec<u8>),
    /// Sends these bytes one at a time.
    SaysSlowly(Vec<u8>),
    /// Ends its side well: with a close_notify, where there is TLS.
    Ends,
    /// Tells the test that it has come this far.
    Tells(Arc<Notify>),
    /// Keeps the connection and hears nothing more.
    Hold,
}

pub(crate) fn hears(bytes: impl Into<Vec<u8>>) -> Turn {
    Turn::Hears(bytes.into())
}

pub(crate) fn says(bytes: impl Into<Vec<u8>>) -> Turn {
    Turn::Says(bytes.into())
}

/// A listener with a script for each connection, in their order. A connection whose script is over is closed.
pub(crate) struct Peer {
    endpoint: Endpoint,
    task: JoinHandle<()>,
    _folder: Option<tempfile::TempDir>,
}

impl Peer {
    pub(crate) async fn tcp(scripts: Vec<Vec<Turn>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::parse(&listener.local_addr().unwrap().to_string(), 0).unwrap();
        let task = tokio::spawn(async move {
            for script in scripts {
                let (stream, _) = listener.accept().await.unwrap();
                follow(stream, script).await;
            }
        });
        Self {
            endpoint,
            task,
            _folder: None,
        }
    }

    /// With TLS around each script.
    pub(crate) async fn tls(config: ServerConfig, scripts: Vec<Vec<Turn>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::parse(&listener.local_addr().unwrap().to_string(), 0).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let task = tokio::spawn(async move {
            for script in scripts {
                let (stream, _) = listener.accept().await.unwrap();
                follow(acceptor.accept(stream).await.unwrap(), script).await;
            }
        });
        Self {
            endpoint,
            task,
            _folder: None,
        }
    }

    pub(crate) async fn unix(scripts: Vec<Vec<Turn>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scanner");
        let listener = UnixListener::bind(&path).unwrap();
        let task = tokio::spawn(async move {
            for script in scripts {
                let (stream, _) = listener.accept().await.unwrap();
                follow(stream, script).await;
            }
        });
        Self {
            endpoint: Endpoint::Unix(path),
            task,
            _folder: Some(folder),
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// Waits until every script has been followed to its end; fails if one was not.
    pub(crate) async fn ended(self) {
        self.task.await.unwrap();
    }
}

async fn follow(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: Vec<Turn>) {
    for turn in script {
        match turn {
            Turn::Hears(wanted) => {
                let mut heard = vec![0; wanted.len()];
                let read = stream.read_exact(&mut heard).await;
                assert!(
                    read.is_ok() && heard == wanted,
                    "{read:?}\n{}\nin place of\n{}",
                    String::from_utf8_lossy(&heard),
                    String::from_utf8_lossy(&wanted)
                );
            }
            Turn::HearsUntil(end) => {
                let mut heard = Vec::new();
                let mut piece = [0; 4096];
                while memchr::memmem::find(&heard, &end).is_none() {
                    let read = stream.read(&mut piece).await.unwrap();
                    assert!(
                        read > 0,
                        "the end before {end:?}: {}",
                        String::from_utf8_lossy(&heard)
                    );
                    heard.extend_from_slice(&piece[..read]);
                }
            }
            // A client that has heard enough may hang up before all is said.
            Turn::Says(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.flush().await;
            }
            Turn::Ends => stream.shutdown().await.unwrap(),
            Turn::SaysSlowly(bytes) => {
                for byte in bytes {
                    // Who has heard enough may hang up.
                    if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            }
            Turn::Tells(notify) => notify.notify_one(),
            Turn::Hold => std::future::pending().await,
        }
    }
}

/// A text message of the session that [`facts`] describes.
pub(crate) fn message(direction: Direction, text: &str) -> ScanItem {
    ScanItem {
        facts: facts(),
        surface: Surface::Message,
        direction,
        opcode: Some(Opcode::Text),
        heads: None,
        data: Bytes::copy_from_slice(text.as_bytes()),
    }
}

/// A body of an exchange with these headers on the message that has the body.
pub(crate) fn body(direction: Direction, path: &str, headers: &[(&str, &str)], data: &[u8]) -> ScanItem {
    let mut facts = (*facts()).clone();
    facts.path = path.to_owned();
    facts.scheme = "https";
    let own: http::HeaderMap = headers
        .iter()
        .map(|(name, value)| (http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap()))
        .collect();
    let host = [(http::header::HOST, "example.com".parse().unwrap())];
    let (mut request, mut response) = (http::HeaderMap::from_iter(host), None);
    let mut method = http::Method::GET;
    match direction {
        Direction::ToOrigin => {
            method = http::Method::PUT;
            request.extend(own);
        }
        Direction::ToClient => response = Some(own),
    }
    let response = response.map(|headers| HttpHead {
        method: method.clone(),
        status: Some(http::StatusCode::OK),
        headers,
    });
    let request = HttpHead {
        method,
        status: None,
        headers: request,
    };
    ScanItem {
        facts: Arc::new(facts),
        surface: Surface::Body,
        direction,
        opcode: None,
        heads: Some(Arc::new((request, response))),
        data: Bytes::copy_from_slice(data),
    }
}

/// A request that a service may change.
pub(crate) struct Changeable {
    request: HttpHead,
    body: Content,
}

/// Its content.
pub(crate) enum Content {
    Here(&'static str),
    /// It does not come.
    Never,
}

impl Changeable {
    pub(crate) fn new(body: Content) -> Self {
        let host = [(http::header::HOST, "example.com".parse().unwrap())];
        Self {
            request: HttpHead {
                method: http::Method::POST,
                status: None,
                headers: http::HeaderMap::from_iter(host),
            },
            body,
        }
    }

    pub(crate) fn item(&mut self) -> AdaptItem<'_> {
        AdaptItem {
            client: [127, 0, 0, 1].into(),
            user: None,
            url: "https://example.com/x",
            request: &self.request,
            response: None,
            body: &mut self.body,
        }
    }
}

impl AdaptBody for Content {
    fn preview(&mut self, most: usize) -> Soon<'_, Result<(Bytes, bool), String>> {
        Box::pin(async move {
            let whole = self.whole(most).await?;
            Ok((whole.slice(..most.min(whole.len())), most >= whole.len()))
        })
    }

    fn whole(&mut self, _: usize) -> Soon<'_, Result<Bytes, String>> {
        match *self {
            Self::Here(text) => Box::pin(std::future::ready(Ok(Bytes::from_static(text.as_bytes())))),
            Self::Never => Box::pin(std::future::pending()),
        }
    }
}
