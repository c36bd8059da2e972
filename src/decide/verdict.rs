//! What can become of a connection and what is inside of it, and why.

use std::sync::Arc;

/// The permission to terminate TLS. Only this room makes one, so nothing else can decrypt by mistake.
#[derive(Debug)]
pub struct Bump(pub(super) ());

#[cfg(test)]
impl Bump {
    pub(crate) fn for_test() -> Self {
        Self(())
    }
}

/// The permission to relay bytes unread. Only this room makes one.
#[derive(Debug)]
pub struct Splice(pub(super) ());

/// What to do with a connection.
#[derive(Debug)]
pub enum Act {
    /// Terminate TLS on both sides.
    Bump(Bump),
    /// Relay bytes untouched.
    Splice(Splice),
    /// Serve as plain HTTP.
    Serve,
    /// Close, with an answer where the protocol has one.
    Refuse,
}

impl Act {
    /// The metric label and log word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Bump(_) => "bump",
            Self::Splice(_) => "splice",
            Self::Serve => "serve",
            Self::Refuse => "refuse",
        }
    }
}

/// Why; also the metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No list matched: the default.
    Default,
    /// A splice list matched `host:port` of the CONNECT.
    ListConnect,
    /// A splice list matched the SNI.
    ListSni,
    /// Plain HTTP.
    PlainHttp,
    /// The first bytes are neither TLS nor HTTP.
    UnknownProtocol,
    /// The origin spoke before the client.
    ServerSpeaksFirst,
    /// Nobody spoke before the deadline.
    Silent,
    /// TLS, but the ClientHello is broken.
    BadClientHello,
}

impl Reason {
    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::ListConnect => "list_connect",
            Self::ListSni => "list_sni",
            Self::PlainHttp => "plain_http",
            Self::UnknownProtocol => "unknown_protocol",
            Self::ServerSpeaksFirst => "server_speaks_first",
            Self::Silent => "silent",
            Self::BadClientHello => "bad_client_hello",
        }
    }
}

/// Which list, line and pattern decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The list's name in the configuration.
    pub list: Arc<str>,
    /// The line in the list's file, from 1.
    pub line: usize,
    /// The pattern as written.
    pub pattern: Arc<str>,
}

/// A decision that carries its reason.
#[derive(Debug)]
pub struct Verdict {
    /// What is to happen.
    pub act: Act,
    /// What has led to that.
    pub reason: Reason,
    /// By which entry, where a list decided.
    pub matched: Option<Matched>,
}

/// What the first bytes inside a CONNECT were, when they were neither TLS nor HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unserved {
    /// Bytes of no known protocol.
    UnknownProtocol,
    /// The origin spoke first.
    ServerSpeaksFirst,
    /// Nobody spoke before the deadline.
    Silent,
    /// A broken ClientHello.
    BadClientHello,
}

/// What a failed verification of the origin's certificate leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertError {
    /// The client gets an error page (Squid's `sslproxy_cert_error deny all`).
    Deny,
    /// A list says that this origin may be unverifiable.
    Allow,
}

/// What happens to an Upgrade to something other than WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherUpgrade {
    /// The request goes on without its Upgrade header (RFC 9110 section 7.8 lets a server ignore it).
    Strip,
    /// After the 101 the bytes are relayed unread.
    Tunnel,
    /// The request is answered 403.
    Refuse,
}
