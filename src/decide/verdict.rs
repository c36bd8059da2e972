//! What can be decided, and why.

use super::action::RuleAction;
use std::sync::Arc;

/// The permission to terminate TLS. Only [`crate::decide`] makes one, so nothing else can decrypt by mistake.
#[derive(Debug)]
pub struct Bump(pub(super) ());

#[cfg(test)]
impl Bump {
    /// For tests of what needs the permission.
    pub(crate) fn for_test() -> Self {
        Self(())
    }
}

/// The permission to relay a connection untouched, because a list says so. Only [`crate::decide`] makes one.
#[derive(Debug)]
pub struct Splice(pub(super) ());

/// The permission to relay bytes that the proxy cannot read: of an unknown protocol, inside TLS or without it. Only
/// [`crate::decide`] makes one.
#[derive(Debug)]
pub struct Tunnel(pub(super) ());

impl From<Tunnel> for Splice {
    /// Bytes that were never decrypted are relayed as those of a splice are.
    fn from(_: Tunnel) -> Self {
        Self(())
    }
}

/// What to do with a connection.
#[derive(Debug)]
pub enum Act {
    /// Terminate TLS on both sides.
    Bump(Bump),
    /// Relay the connection untouched: a list says so.
    Splice(Splice),
    /// Relay bytes that the proxy cannot read, decrypted or not.
    Tunnel(Tunnel),
    /// Serve as plain HTTP.
    Serve,
    /// Close: what the client sends cannot be served.
    Refuse,
    /// Answer that the destination is forbidden. Nothing is resolved or dialled for it.
    Deny,
}

/// Why an act was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No rule and no list decided: the default.
    Default,
    /// A splice list matched `host:port` of the CONNECT.
    ListConnect,
    /// A splice list matched the SNI.
    ListSni,
    /// A deny list matched what was asked for, or the SNI.
    ListDeny,
    /// A rule of the policy's table.
    Rule,
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
            Self::ListDeny => "list_deny",
            Self::Rule => "rule",
            Self::PlainHttp => "plain_http",
            Self::UnknownProtocol => "unknown_protocol",
            Self::ServerSpeaksFirst => "server_speaks_first",
            Self::Silent => "silent",
            Self::BadClientHello => "bad_client_hello",
        }
    }
}

/// The entry of a list that decided.
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
    /// What is done.
    pub act: Act,
    /// Why it is done.
    pub reason: Reason,
    /// By which rule of the policy's table.
    pub rule: Option<Arc<str>>,
    /// What the people are told whom that rule concerns.
    pub title: Option<Arc<str>>,
    /// The page of a denial, by its name.
    pub page: Option<Arc<str>>,
    /// By which entry, where a list decided.
    pub matched: Option<Matched>,
    /// What rules would have done that are only observed.
    pub observed: Vec<Observed>,
}

/// What a rule would have done that is only observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Which.
    pub rule: Arc<str>,
    /// What.
    pub action: RuleAction,
}

impl Verdict {
    /// The same, for what the policy had let go on by `before`.
    #[must_use]
    pub fn reached_as(mut self, before: Self) -> Self {
        (self.rule, self.observed) = (before.rule, before.observed);
        self
    }

    /// One that no rule has reached.
    pub(super) fn of(act: Act, reason: Reason) -> Self {
        Self {
            act,
            reason,
            rule: None,
            title: None,
            page: None,
            matched: None,
            observed: Vec::new(),
        }
    }
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
