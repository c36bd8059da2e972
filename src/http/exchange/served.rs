//! What serving a connection comes to.

use crate::accept::ClientHold;
use crate::http::error::HttpError;
use crate::http::request_id::RequestId;
use crate::inspect::SessionFacts;
use crate::tls::Transport;
use crate::wire::deflate::Deflate;
use crate::wire::names::Authority;
use std::pin::Pin;
use std::sync::Arc;

/// How serving a connection ended.
#[derive(Debug)]
pub enum Served {
    /// Both ends were done.
    Ended,
    /// The connection is something else now.
    Upgraded(Box<Upgraded>),
    /// It broke.
    Failed(ServeError),
}

/// How a connection ended all of whose requests were answered with one problem.
#[derive(Debug)]
pub struct RefusedConnection {
    /// How serving it ended.
    pub served: Served,
    /// How many requests there were.
    pub requests: u64,
    /// What the last of them is called that was answered.
    pub last: Option<RequestId>,
}

/// Two legs after an upgrade.
#[derive(Debug)]
pub struct Upgraded {
    /// To what.
    pub kind: UpgradeKind,
    /// The client's leg.
    pub client: Transport,
    /// The origin's leg.
    pub origin: Transport,
}

/// What a connection was upgraded to.
#[derive(Debug)]
pub enum UpgradeKind {
    /// RFC 6455.
    WebSocket {
        /// The handshake's facts.
        info: Box<WebSocketInfo>,
        /// The RSV bits of the agreed extensions.
        allowed_rsv: u8,
        /// One of those that its client may have; to be kept as long as it is open.
        held: ClientHold,
    },
    /// Some other protocol, by its token.
    Other(String),
}

/// Why a connection broke.
#[derive(Debug)]
pub struct ServeError {
    /// The kind.
    pub error: HttpError,
    /// The alert, if the client refused the forged certificate after the handshake.
    pub refusal: Option<&'static str>,
    /// In words.
    pub text: String,
    /// The record of an exchange has told of it.
    pub is_told: bool,
}

/// Two legs that speak HTTP, and whose they are.
#[derive(Debug)]
pub struct ServedTunnel<'a> {
    /// The client's leg.
    pub client: Transport,
    /// The origin's leg.
    pub origin: Transport,
    /// Whether the client speaks `https`.
    pub secure: bool,
    /// The CONNECT target.
    pub target: &'a Authority,
    /// The SNI.
    pub sni: Option<&'a str>,
}

/// A WebSocket's handshake facts, for the log.
#[derive(Debug, Clone)]
pub struct WebSocketInfo {
    /// Where to, by whom, with which path, Origin and subprotocol: as rules see it, which are asked about its messages.
    pub facts: Arc<SessionFacts>,
    /// The rule of the policy's table that let it pass, if one did.
    pub rule: Option<Arc<str>>,
    /// `wss://host/path` or `ws://host/path`, without a query.
    pub url: Arc<str>,
    /// Whether rules look at its messages.
    pub is_inspected: bool,
    /// The protocol that carries it: HTTP/1.1 (RFC 6455) or HTTP/2 (RFC 8441).
    pub version: http::Version,
    /// permessage-deflate as agreed.
    pub deflate: Option<Deflate>,
    /// An extension was agreed that cannot be decoded.
    pub opaque_extensions: bool,
    /// The extensions that the origin chose, as sent.
    pub extensions: Option<String>,
}

/// Relays streams of HTTP/2 that have left HTTP. The journey implements it; this stage only hands them over.
pub trait UpgradeHandler: Send + Sync + 'static {
    /// Relays both streams to their end.
    fn upgraded(&self, upgraded: Upgraded) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}
