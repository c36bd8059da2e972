//! How dials end.

use http::StatusCode;
use std::fmt;
use std::sync::Arc;

/// How a dial ended; also the metric label. Names follow RFC 9209 section 2.3 where it
/// has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DialOutcome {
    /// Connected.
    Ok,
    /// The name has no address.
    DnsError,
    /// Resolving took too long.
    DnsTimeout,
    /// Every address is one that the configuration keeps out.
    Forbidden,
    /// The address is this proxy's own.
    Loop,
    /// Every address refused or was unreachable.
    Refused,
    /// No address answered in time.
    Timeout,
    /// No parent could be reached, or none answered as a proxy does.
    ParentUnreachable,
    /// No parent could be reached or answered in time.
    ParentTimeout,
    /// A parent does not let it pass, or cannot reach it either.
    ParentRefused,
    /// A parent does not accept the proxy's login.
    ParentLogin,
}

impl DialOutcome {
    /// Every outcome, for metrics that start at zero.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::DnsError,
        Self::DnsTimeout,
        Self::Forbidden,
        Self::Loop,
        Self::Refused,
        Self::Timeout,
        Self::ParentUnreachable,
        Self::ParentTimeout,
        Self::ParentRefused,
        Self::ParentLogin,
    ];

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::DnsError => "dns_error",
            Self::DnsTimeout => "dns_timeout",
            Self::Forbidden => "destination_ip_prohibited",
            Self::Loop => "proxy_loop_detected",
            Self::Refused => "connection_refused",
            Self::Timeout => "connection_timeout",
            Self::ParentUnreachable => "parent_unreachable",
            Self::ParentTimeout => "parent_timeout",
            Self::ParentRefused => "parent_refused",
            Self::ParentLogin => "parent_login_refused",
        }
    }

    /// The status that a client gets for it.
    pub const fn status(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::Forbidden => 403,
            Self::DnsTimeout | Self::Timeout | Self::ParentTimeout => 504,
            Self::DnsError
            | Self::Refused
            | Self::Loop
            | Self::ParentUnreachable
            | Self::ParentRefused
            | Self::ParentLogin => 502,
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Clone)]
pub struct DialError {
    /// The kind of failure, for metrics and for the answer's status.
    pub outcome: DialOutcome,
    /// In words, with the addresses that were tried.
    pub text: String,
    /// What DNS said, by the name of its RCODE, where that is the reason.
    pub rcode: Option<&'static str>,
    /// The parent that was asked last, where parents were.
    pub parent: Option<Arc<str>>,
    /// The status that it answered.
    pub received: Option<StatusCode>,
}

impl DialError {
    pub(super) const fn new(outcome: DialOutcome, text: String) -> Self {
        Self {
            outcome,
            text,
            rcode: None,
            parent: None,
            received: None,
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
