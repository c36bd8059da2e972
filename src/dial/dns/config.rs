//! What a resolver goes by.

use super::answer::Family;
use crate::handshake::ServiceTls;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Whom names are looked up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResolverKind {
    /// The proxy's own resolver: hosts file, cache, DNS servers.
    Own,
    /// The system's (`getaddrinfo`), with all that nsswitch.conf names.
    System,
}

/// When several servers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerOrder {
    /// One after the other: the next when one fails or has not answered for [`NEXT_SERVER`].
    InOrder,
    /// All at once; the first answer counts.
    AllAtOnce,
}

/// How long a server has before the next one is asked beside it.
pub const NEXT_SERVER: Duration = Duration::from_millis(500);

/// A DNS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsServer {
    /// Its address and port.
    pub address: SocketAddr,
    /// The name or the address that its certificate has to be for, where it is asked by TLS (RFC 7858).
    pub tls: Option<Arc<str>>,
}

impl DnsServer {
    /// The port of DNS.
    pub const PORT: u16 = 53;
    /// That of DNS over TLS (RFC 7858 section 3.1).
    pub const TLS_PORT: u16 = 853;

    /// One that is asked by UDP and TCP.
    pub const fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }
}

impl fmt::Display for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = match self.tls {
            Some(_) => Self::TLS_PORT,
            None => Self::PORT,
        };
        if self.tls.is_some() {
            f.write_str("tls://")?;
        }
        match self.address.port() == usual {
            true => self.address.ip().fmt(f)?,
            false => self.address.fmt(f)?,
        }
        match &self.tls {
            Some(name) if **name != *self.address.ip().to_string() => write!(f, "#{name}"),
            _ => Ok(()),
        }
    }
}

/// The families that are asked for, and which is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Families {
    /// The one that is tried first.
    pub first: Family,
    /// Whether the other is asked for as well.
    pub both: bool,
}

impl Families {
    /// Whether addresses of `family` are of use.
    pub fn include(self, family: Family) -> bool {
        self.both || self.first == family
    }
}

/// How many answers are kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// The most answers, each for one name and one family; 0 for no cache.
    pub entries: usize,
    /// Addresses are kept at least for this long, whatever their TTL.
    pub min_ttl: Duration,
    /// Addresses are kept at most for this long.
    pub max_ttl: Duration,
    /// That there is no address is kept at most for this long.
    pub negative_ttl: Duration,
}

/// What a [`super::resolver::Resolver`] goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsConfig {
    /// Whom names are looked up with.
    pub resolver: ResolverKind,
    /// The servers, instead of those in `resolv_conf`.
    pub servers: Vec<DnsServer>,
    /// How those are verified that are asked by TLS; without it there is no connection to one.
    pub tls: Option<Arc<ServiceTls>>,
    /// When which of them is asked.
    pub order: ServerOrder,
    /// The search domains, instead of those in `resolv_conf`.
    pub search: Option<Vec<String>>,
    /// How many dots make a name that is asked for as it is before the search domains, instead of what `resolv_conf` says.
    pub ndots: Option<usize>,
    /// How long the servers have for one query, all of them together.
    pub timeout: Duration,
    /// Which addresses are asked for.
    pub families: Families,
    /// What is kept.
    pub cache: CacheLimits,
    /// Names with addresses, in the format of hosts(5).
    pub hosts_file: Option<PathBuf>,
    /// Servers and search domains, in the format of resolv.conf(5).
    pub resolv_conf: Option<PathBuf>,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            resolver: ResolverKind::Own,
            servers: Vec::new(),
            tls: None,
            order: ServerOrder::InOrder,
            search: None,
            ndots: None,
            timeout: Duration::from_secs(5),
            families: Families {
                first: Family::V6,
                both: true,
            },
            cache: CacheLimits {
                entries: 10_000,
                min_ttl: Duration::ZERO,
                max_ttl: Duration::from_secs(24 * 3600),
                negative_ttl: Duration::from_secs(5 * 60),
            },
            hosts_file: Some("/etc/hosts".into()),
            resolv_conf: Some("/etc/resolv.conf".into()),
        }
    }
}
