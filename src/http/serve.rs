//! What serving a connection comes to.

use super::{HttpError, WebSocketInfo};
use crate::tls::Transport;
use crate::wire::names::Authority;

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
        info: WebSocketInfo,
        /// The RSV bits of the agreed extensions.
        allowed_rsv: u8,
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
pub struct Tunnel<'a> {
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
