//! What a list's expressions are searched in.

use crate::wire::names::Host;
use std::net::IpAddr;

/// What expressions are searched in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Searched {
    HostAndPort,
    Host,
}

impl Searched {
    /// The part of [`subject`] that it is.
    pub(super) fn part(self, subject: &str) -> &[u8] {
        let host = || subject.rsplit_once(':').map_or(subject, |(host, _)| host);
        match self {
            Self::HostAndPort => subject.as_bytes(),
            Self::Host => host().as_bytes(),
        }
    }
}

/// What Squid would search: `host:port`, in lower case, without trailing dots, an IPv6 address in brackets.
pub(super) fn subject(host: &Host, port: u16) -> String {
    match host {
        Host::Name(name) => format!("{}:{port}", name.trim_end_matches('.').to_ascii_lowercase()),
        // Squid holds an IPv4-mapped address as the IPv4 address, and writes others as inet_ntop does, which
        // differs from Rust in the long deprecated IPv4-compatible ones.
        Host::Ip(ip) => match ip.to_canonical() {
            IpAddr::V4(ip) => format!("{ip}:{port}"),
            IpAddr::V6(ip) => match ip.segments() {
                [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
                    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
                    format!("[::{a}.{b}.{c}.{d}]:{port}")
                }
                _ => format!("[{ip}]:{port}"),
            },
        },
    }
}
