//! An entry of a list of domains: a host, a domain with all below it, an address or a network, at one port or at all.

use crate::wire::names::Host;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr};

/// An entry, read.
#[derive(Debug, PartialEq)]
pub(in crate::decide) struct DomainEntry<'a> {
    pub(in crate::decide) place: DomainPlace<'a>,
    /// Which port it is meant for; without one, every port.
    pub(in crate::decide) port: Option<u16>,
}

/// Where an entry of a list of domains holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DomainPlace<'a> {
    /// That host alone.
    Host(&'a str),
    /// That domain and all below it; without its leading dot.
    Tree(&'a str),
    /// All addresses of it; of full length for a single address.
    Network(IpNet),
}

impl<'a> DomainEntry<'a> {
    /// Reads `text`. Names are left as they are written, but for their trailing dots.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(in crate::decide) fn parse(text: &'a str) -> Result<Self, &'static str> {
        let at = |place, port| Ok(Self { place, port });
        if text.contains('/') {
            let network: IpNet = text.parse().map_err(|_| {
                let before = text.split('/').next().unwrap_or_default();
                match before.parse::<IpAddr>() {
                    Ok(_) => "this is no network; write 192.0.2.0/24 or 2001:db8::/32, without a port",
                    Err(_) => "a list of domains has neither schemes nor paths; write the host alone",
                }
            })?;
            if network.trunc() != network {
                return Err(
                    "this network has bits behind its prefix; write its first address, as in 192.0.2.0/24",
                );
            }
            return at(DomainPlace::Network(network), None);
        }
        // A bare IPv6 address is all colons, so it is looked at before a port is.
        if let Ok(ip) = text.parse::<IpAddr>() {
            return at(DomainPlace::Network(ip.to_canonical().into()), None);
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (ip, port) = rest.split_once(']').ok_or("`[` is never closed")?;
                let ip: Ipv6Addr = ip
                    .parse()
                    .map_err(|_| "only an IPv6 address goes into brackets")?;
                let port = match port.strip_prefix(':') {
                    Some(port) => Some(parse_port(port)?),
                    None if port.is_empty() => None,
                    None => return Err("only `:PORT` may follow the brackets"),
                };
                return at(DomainPlace::Network(IpAddr::V6(ip).to_canonical().into()), port);
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(parse_port(port)?)),
                None => (text, None),
            },
        };
        if let Ok(ip) = host.parse::<IpAddr>() {
            return at(DomainPlace::Network(ip.into()), port);
        }
        let place = match host.strip_prefix('.') {
            Some(name) => DomainPlace::Tree(check_name(name)?),
            None => DomainPlace::Host(check_name(host)?),
        };
        at(place, port)
    }

    /// Whether this covers all that the other does.
    pub(in crate::decide) fn contains(&self, other: &Self) -> bool {
        let within = match (self.place, other.place) {
            (DomainPlace::Host(a), DomainPlace::Host(b)) => a.eq_ignore_ascii_case(b),
            (DomainPlace::Tree(a), DomainPlace::Tree(b) | DomainPlace::Host(b)) => is_below(b, a),
            (DomainPlace::Network(a), DomainPlace::Network(b)) => a.contains(&b),
            _ => false,
        };
        within && (self.port.is_none() || self.port == other.port)
    }
}

/// Whether `name` is `tree` or below it, in the same letters.
fn ends_in(name: &str, tree: &str) -> bool {
    let before = name.strip_suffix(tree);
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Whether `name` is `tree` or below it.
fn is_below(name: &str, tree: &str) -> bool {
    let (name, tree) = (name.as_bytes(), tree.as_bytes());
    name.len().checked_sub(tree.len()).is_some_and(|start| {
        name[start..].eq_ignore_ascii_case(tree) && (start == 0 || name[start - 1] == b'.')
    })
}

/// Whether the entry `text`, which was read without an error, covers the host.
pub(in crate::decide) fn covers(text: &str, host: &Host, port: u16) -> bool {
    match host {
        Host::Name(name) => {
            let name = name.trim_end_matches('.');
            let (tree, entry) = match text.strip_prefix('.') {
                Some(entry) => (true, entry),
                None => (false, text),
            };
            // As nearly all are written: no name has a colon in it.
            if (tree || name.len() == entry.len()) && ends_in(name, entry) {
                return true;
            }
            let (entry, at) = entry
                .split_once(':')
                .map_or((entry, None), |(entry, at)| (entry, Some(at)));
            let entry = entry.strip_suffix('.').unwrap_or(entry);
            (tree || name.len() == entry.len())
                && is_below(name, entry)
                && at.is_none_or(|at| at.parse() == Ok(port))
        }
        Host::Ip(ip) => DomainEntry::parse(text).is_ok_and(|entry| {
            let within =
                matches!(entry.place, DomainPlace::Network(network) if network.contains(&ip.to_canonical()));
            within && entry.port.is_none_or(|at| at == port)
        }),
    }
}

fn parse_port(text: &str) -> Result<u16, &'static str> {
    match text.parse() {
        Ok(port) if port != 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => Err("behind the colon a port from 1 to 65535 is needed"),
    }
}

/// RFC 1123 section 2.1 host names, and the underscores that are seen in practice; comes back without its trailing dot.
fn check_name(name: &str) -> Result<&str, &'static str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.contains('*') {
        return Err("`*` is not known here; `.example.com` stands for example.com and everything below it");
    }
    if !name.is_ascii() {
        return Err("write an international name in its ASCII form, which begins with xn--");
    }
    if name.len() > 253 || name.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return Err("every label of a name needs 1 to 63 characters, and the whole 253 at most");
    }
    if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    {
        return Err(
            "this is neither a name, an address nor a network; for patterns use the format url_regex",
        );
    }
    if name
        .split('.')
        .next_back()
        .is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err("this looks like an IPv4 address, but is none");
    }
    Ok(name)
}
