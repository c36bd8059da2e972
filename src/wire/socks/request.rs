//! What is asked for, in whatever version.

use crate::wire::names::{Authority, Host};
use std::net::Ipv6Addr;

/// What a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocksCommand {
    /// A tunnel.
    Connect,
    /// Anything else: that somebody connects to it (BIND), or datagrams (UDP ASSOCIATE).
    Other(u8),
}

/// A request of SOCKS 5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is wanted.
    pub command: SocksCommand,
    /// Where it is wanted; `Err` says why that is no destination.
    pub to: Result<Authority, &'static str>,
}

impl From<u8> for SocksCommand {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Connect,
            other => Self::Other(other),
        }
    }
}

/// A destination by its name. What a name may not have (a NUL, a line's end) is not cut off: another name would be reached
/// than the one that was judged.
pub(super) fn by_name(name: &[u8], port: u16) -> Result<Authority, &'static str> {
    let text = std::str::from_utf8(name).map_err(|_| "the name is no host name")?;
    let host = match text.parse::<Ipv6Addr>() {
        Ok(ip) => Host::Ip(ip.into()),
        Err(_) => Host::parse(text).ok_or("the name is no host name")?,
    };
    at(host, port)
}

/// A destination on a port.
pub(super) fn at(host: Host, port: u16) -> Result<Authority, &'static str> {
    match port {
        0 => Err("there is no port 0"),
        port => Ok(Authority { host, port }),
    }
}
