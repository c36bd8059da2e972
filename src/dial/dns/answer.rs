//! What a look-up comes to, in words.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// A family of addresses, and the type of record that holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4, which A records hold (RFC 1035 section 3.4.1).
    V4,
    /// IPv6, which AAAA records hold (RFC 3596).
    V6,
}

impl Family {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    /// Whether `ip` is of this family.
    pub const fn holds(self, ip: &IpAddr) -> bool {
        matches!((self, ip), (Self::V4, IpAddr::V4(_)) | (Self::V6, IpAddr::V6(_)))
    }
}

/// Why a name has no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// There is no such name: NXDOMAIN (RFC 1035 section 4.1.1).
    NoSuchName,
    /// The name has no address of the families that are asked for (NODATA, RFC 2308 section 2.2).
    NoAddress,
    /// The server could not find out: SERVFAIL.
    ServerFailure,
    /// The server does not answer such queries: REFUSED.
    Refused,
    /// The server does not understand the query: FORMERR, NOTIMP.
    NotUnderstood,
    /// Nobody answered in time.
    Timeout,
    /// No server could be asked, what came back cannot be read, or the system's resolver failed.
    Failed,
}

impl Failure {
    /// How much it says about a name: the failure that is told where several servers, families or search domains
    /// have failed in different ways.
    const fn weight(self) -> u8 {
        match self {
            Self::NoSuchName => 0,
            Self::NoAddress => 1,
            Self::Failed => 2,
            Self::NotUnderstood => 3,
            Self::Refused => 4,
            Self::ServerFailure => 5,
            Self::Timeout => 6,
        }
    }

    /// The one of both that is told.
    pub(super) const fn or(self, other: Self) -> Self {
        if other.weight() > self.weight() {
            other
        } else {
            self
        }
    }

    /// Whether a server has said so of the name: other servers would say the same, and it may be remembered for as long
    /// as the zone allows.
    pub(super) const fn is_negative(self) -> bool {
        matches!(self, Self::NoSuchName | Self::NoAddress)
    }

    /// The RCODE by its registered name, for Proxy-Status (RFC 9209 section 2.3.2).
    pub const fn rcode(self) -> Option<&'static str> {
        match self {
            Self::NoSuchName => Some("NXDOMAIN"),
            Self::NoAddress => Some("NOERROR"),
            Self::ServerFailure => Some("SERVFAIL"),
            Self::Refused => Some("REFUSED"),
            Self::NotUnderstood | Self::Timeout | Self::Failed => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchName => "there is no such name (NXDOMAIN)",
            Self::NoAddress => "the name has no address",
            Self::ServerFailure => "the DNS server could not find out (SERVFAIL)",
            Self::Refused => "the DNS server refuses to answer (REFUSED)",
            Self::NotUnderstood => "the DNS server does not understand the query",
            Self::Timeout => "no DNS server answered in time",
            Self::Failed => "the resolver failed",
        })
    }
}

/// How a look-up or a query ended; also the metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LookUpOutcome {
    /// There are addresses.
    Ok,
    /// There are none.
    Failed(Failure),
}

impl LookUpOutcome {
    /// Every outcome, for metrics that start at zero.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Failed(Failure::NoSuchName),
        Self::Failed(Failure::NoAddress),
        Self::Failed(Failure::ServerFailure),
        Self::Failed(Failure::Refused),
        Self::Failed(Failure::NotUnderstood),
        Self::Failed(Failure::Timeout),
        Self::Failed(Failure::Failed),
    ];

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed(Failure::NoSuchName) => "nxdomain",
            Self::Failed(Failure::NoAddress) => "no_address",
            Self::Failed(Failure::ServerFailure) => "servfail",
            Self::Failed(Failure::Refused) => "refused",
            Self::Failed(Failure::NotUnderstood) => "not_understood",
            Self::Failed(Failure::Timeout) => "timeout",
            Self::Failed(Failure::Failed) => "failed",
        }
    }

    /// The outcome of this result.
    pub(crate) fn of<T>(result: &Result<T, Failure>) -> Self {
        match result {
            Ok(_) => Self::Ok,
            Err(failure) => Self::Failed(*failure),
        }
    }
}

/// Where a look-up found what it says; also the metric label. Of several queries the farthest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LookUpSource {
    /// `[network] hosts`, the hosts file, or a name that no server is asked for.
    Hosts,
    /// An earlier answer that still holds.
    Cache,
    /// A query that somebody else's look-up had begun.
    Joined,
    /// A query of its own.
    Network,
    /// The system's resolver.
    System,
}

impl LookUpSource {
    /// Every source, for metrics that start at zero.
    pub const ALL: [Self; 5] = [
        Self::Hosts,
        Self::Cache,
        Self::Joined,
        Self::Network,
        Self::System,
    ];

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::Cache => "cache",
            Self::Joined => "joined",
            Self::Network => "network",
            Self::System => "system",
        }
    }
}

/// The addresses of one name in one family, or why there are none.
pub(super) type Found = Result<Arc<[IpAddr]>, Failure>;

/// A name and a family: what one query asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub name: Box<str>,
    pub family: Family,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_more_about_a_name_is_told() {
        let none = Failure::NoSuchName;
        assert_eq!(none.or(Failure::NoAddress), Failure::NoAddress);
        assert_eq!(Failure::NoAddress.or(none), Failure::NoAddress);
        assert_eq!(Failure::ServerFailure.or(Failure::Timeout), Failure::Timeout);
        assert_eq!(none.or(none), none);
    }

    #[test]
    fn labels_differ() {
        let mut labels: Vec<_> = LookUpOutcome::ALL.iter().map(|outcome| outcome.label()).collect();
        labels.extend(LookUpSource::ALL.iter().map(|source| source.label()));
        let all = labels.len();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), all);
    }
}
