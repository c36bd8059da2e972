//! Host names, addresses and ports as they appear on the wire (RFC 3986 section 3.2, RFC 9110 section 7.2).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[cfg(test)]
mod tests;

/// The longest DNS name in its dotted form, without the trailing dot (RFC 1035 section 2.3.4).
const NAME_MAX: usize = 253;
/// The longest label of a DNS name.
const LABEL_MAX: usize = 63;

/// A host as a client names it: a DNS name in lower case without trailing dots, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name, lower-cased, trailing dots removed.
    Name(String),
    /// An IP address; IPv6 is written in brackets.
    Ip(IpAddr),
}

impl Host {
    /// Reads a host as RFC 3986 section 3.2.2 writes it: a name, four decimal numbers with dots, or an IPv6
    /// address in brackets. Names are lower-cased and lose their trailing dots; underscores are allowed in
    /// them, since names in use have them.
    ///
    /// Refused are: empty and over-long names and labels, percent-encoding and characters outside ASCII
    /// (an internationalised name comes as its `xn--` form), IPv6 without brackets, zone ids, `IPvFuture`,
    /// and every name whose last label is a number. The last is how `127.1`, `0177.0.0.1`, `0x7f.1` and
    /// `2130706433` look, which some resolvers turn into 127.0.0.1: a rule written for the address would miss
    /// them. No top-level domain is numeric (RFC 1123 section 2.1), and browsers refuse such names as well.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix('[') {
            // `Ipv6Addr` takes neither a zone id nor anything else that begins with a bracket.
            let ip: Ipv6Addr = rest.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Ip(ip.into()));
        }
        let text = text.trim_end_matches('.');
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Some(Self::Ip(ip.into()));
        }
        is_name(text).then(|| Self::Name(text.to_ascii_lowercase()))
    }
}

/// Whether `text` is a DNS name, by the rules of [`Host::parse`].
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.len() <= NAME_MAX
        && text
            .split('.')
            .all(|label| (1..=LABEL_MAX).contains(&label.len()) && label.bytes().all(allowed))
        && !text.rsplit('.').next().is_some_and(is_number)
}

/// Whether a resolver might read this label as a number: decimal or octal digits, or `0x` and hexadecimal ones.
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// `host:port`, the target of a CONNECT (RFC 9110 section 9.3.6).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Authority {
    /// The name or the address.
    pub host: Host,
    /// Which port; always explicit.
    pub port: u16,
}

impl Authority {
    /// Reads `host:port`, or, with a `default_port`, also `host` and `host:`. The host is what [`Host::parse`]
    /// takes, the port 1 to 65535 in at most five digits. A user before an `@` is refused: neither CONNECT nor
    /// Host may have one, and it makes a host look like another.
    pub fn parse(text: &str, default_port: Option<u16>) -> Option<Self> {
        let (host, port) = split(text);
        Some(Self {
            host: Host::parse(host)?,
            port: port_or(port, default_port)?,
        })
    }

    /// Whether a Host header names this target: the hosts are equal once normalised, and the port is equal
    /// or not given. (A Host without its port is no disagreement: Slack's own client leaves `:9454` out.)
    pub fn names_same_host(&self, host_header: &str) -> bool {
        let (host, port) = split(host_header.trim_matches([' ', '\t']));
        if port_or(port, Some(self.port)) != Some(self.port) {
            return false;
        }
        match &self.host {
            // What equals a name that was parsed is a name; so a request costs no allocation here.
            Host::Name(name) => name.eq_ignore_ascii_case(host.trim_end_matches('.')),
            Host::Ip(_) => Host::parse(host).as_ref() == Some(&self.host),
        }
    }
}

/// Cuts the port off; the colons inside brackets are the address's own.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((_, after)) if after.ends_with(']') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

fn port_or(text: Option<&str>, default: Option<u16>) -> Option<u16> {
    match text {
        None | Some("") => default,
        // `u16::from_str` takes a sign.
        Some(digits) if digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port != 0)
        }
        Some(_) => None,
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
