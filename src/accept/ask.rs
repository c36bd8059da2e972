//! What a client asks of the proxy, whatever protocol it asks in.

use crate::wire::names::Authority;
use std::fmt;
use std::net::SocketAddr;

/// A client wants to reach something. Its answer is given in the protocol that it asked in.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Who asks.
    pub client: SocketAddr,
    /// What it shows of itself, where it shows something.
    pub credentials: Option<Credentials>,
    /// What it wants to reach.
    pub to: Authority,
    /// What it wants there.
    pub kind: AskKind,
}

/// What a client wants of its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskKind {
    /// A tunnel, whose content shows later (RFC 9110 section 9.3.6).
    Tunnel,
    /// The answer to one request, which the proxy asks for in its place (RFC 9112 section 3.2.2).
    Request {
        /// By TLS, which the proxy speaks with the origin.
        is_secure: bool,
    },
}

/// The value of `Proxy-Authorization` (RFC 9110 section 11.7.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(Vec<u8>);

impl Credentials {
    /// As they were sent.
    pub fn new(value: &[u8]) -> Self {
        Self(value.to_vec())
    }

    /// As they were sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Credentials {
    /// What they are is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_get_into_logs() {
        let credentials = Credentials::new(b"Basic c2VjcmV0");
        assert_eq!(format!("{credentials:?}"), "Credentials(..)");
        assert_eq!(credentials.as_bytes(), b"Basic c2VjcmV0");
    }
}
