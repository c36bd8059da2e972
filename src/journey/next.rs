//! What becomes of a connection.

use super::connection::ConnectionEnd;
use crate::accept::{ClientHold, Prefixed, Socket};
use crate::decide::Splice;
use crate::http::{UpgradeKind, Upgraded, WebSocketInfo};
use crate::report::Ending;
use crate::tls::Transport;
use crate::wire::names::Authority;

/// What a connection has become once everything about it is known.
pub(super) enum Next {
    /// It is over.
    Ended(ConnectionEnd),
    /// HTTP/1.1 inside a CONNECT, which has yet to be served.
    Http(Box<HttpTunnel>),
    /// Both ends agreed to RFC 6455.
    WebSocket {
        info: Box<WebSocketInfo>,
        allowed_rsv: u8,
        held: ClientHold,
        client: Transport,
        origin: Transport,
    },
    /// Bytes inside TLS, or behind another upgrade, that no stage reads.
    Opaque { client: Transport, origin: Transport },
    /// A connection that is not decrypted.
    Splice {
        permission: Splice,
        client: Prefixed<Socket>,
        origin: Prefixed<Socket>,
    },
}

/// HTTP/1.1 inside a CONNECT.
pub(super) struct HttpTunnel {
    pub(super) target: Authority,
    /// Whether it is inside TLS.
    pub(super) secure: bool,
    pub(super) client: Transport,
    pub(super) origin: Transport,
}

impl Next {
    pub(super) fn end(ending: impl Into<Ending>) -> Self {
        Self::Ended(ConnectionEnd::from(ending.into()))
    }

    pub(super) fn ended(ending: impl Into<Ending>, detail: impl std::fmt::Display) -> Self {
        Self::Ended(ConnectionEnd::new(ending, detail))
    }
}

impl From<ConnectionEnd> for Next {
    fn from(ended: ConnectionEnd) -> Self {
        Self::Ended(ended)
    }
}

impl From<Upgraded> for Next {
    fn from(upgraded: Upgraded) -> Self {
        let Upgraded { kind, client, origin } = upgraded;
        match kind {
            UpgradeKind::WebSocket {
                info,
                allowed_rsv,
                held,
            } => Self::WebSocket {
                info,
                allowed_rsv,
                held,
                client,
                origin,
            },
            UpgradeKind::Other(_) => Self::Opaque { client, origin },
        }
    }
}
