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
    /// As they were sent: `lines` are all values that a request has. Those that differ are put together (RFC 9110 section 5.3),
    /// which no scheme can read: whoever stands in front may have gone by another of them than the proxy would.
    pub fn of_lines<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut lines = lines.into_iter();
        let first = lines.next()?;
        let mut all = first.to_vec();
        for other in lines.filter(|line| *line != first) {
            all.extend_from_slice(b", ");
            all.extend_from_slice(other);
        }
        Some(Self(all))
    }

    /// A name and a password, as Basic sends them (RFC 7617 section 2); `None` for a name that it cannot send.
    pub fn basic(name: &[u8], password: &[u8]) -> Option<Self> {
        use base64::Engine as _;
        if name.contains(&b':') {
            return None;
        }
        let pair = zeroize::Zeroizing::new([name, b":", password].concat());
        let encoded = base64::engine::general_purpose::STANDARD.encode(&pair);
        Some(Self([&b"Basic "[..], encoded.as_bytes()].concat()))
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
        let credentials = Credentials::of_lines([&b"Basic c2VjcmV0"[..]]).unwrap();
        assert_eq!(format!("{credentials:?}"), "Credentials(..)");
        assert_eq!(credentials.as_bytes(), b"Basic c2VjcmV0");
    }

    #[test]
    fn a_name_and_a_password_are_those_of_basic() {
        let basic = |name: &[u8], password: &[u8]| Credentials::basic(name, password);
        assert_eq!(basic(b"ada", b"a:b").unwrap().as_bytes(), b"Basic YWRhOmE6Yg==");
        assert_eq!(basic(b"a:da", b"x"), None);
    }

    #[test]
    fn lines_that_differ_are_all_there() {
        let of = |lines: &[&'static [u8]]| {
            let all = Credentials::of_lines(lines.iter().copied())?;
            Some(String::from_utf8(all.as_bytes().to_vec()).unwrap())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[b"Basic YQ"]).as_deref(), Some("Basic YQ"));
        assert_eq!(of(&[b"Basic YQ", b"Basic YQ"]).as_deref(), Some("Basic YQ"));
        assert_eq!(
            of(&[b"Basic YQ", b"Basic Yg"]).as_deref(),
            Some("Basic YQ, Basic Yg")
        );
        assert_eq!(of(&[b"", b"Basic Yg"]).as_deref(), Some(", Basic Yg"));
    }
}
