//! Lists of domains and networks, in the words of Squid's `dstdomain`.

use crate::wire::names::{Authority, Host};
use ipnet::IpNet;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};

/// For one name or network: the entry for every port, and those for one.
#[derive(Debug, Default)]
struct Ports {
    every: Option<u32>,
    some: Vec<(u16, u32)>,
}

impl Ports {
    fn add(&mut self, port: Option<u16>, id: u32) {
        match port {
            None => self.every = self.every.or(Some(id)),
            Some(port) if self.some.iter().all(|(known, _)| *known != port) => self.some.push((port, id)),
            Some(_) => {}
        }
    }

    fn find(&self, port: u16) -> Option<u32> {
        let one = self
            .some
            .iter()
            .find(|(known, _)| *known == port)
            .map(|(_, id)| *id);
        one.into_iter().chain(self.every).min()
    }
}

/// Compiled entries; ids are the order of the lines.
#[derive(Debug, Default)]
pub(super) struct Domains {
    hosts: HashMap<Box<str>, Ports>,
    /// Without the leading dot.
    trees: HashMap<Box<str>, Ports>,
    networks: HashMap<IpNet, Ports>,
    /// The prefix lengths that occur, for IPv4 and for IPv6.
    lengths: [BTreeSet<u8>; 2],
}

impl Domains {
    /// Adds the entry `text`; ids have to rise.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn add(&mut self, id: u32, text: &str) -> Result<(), &'static str> {
        if text.contains('/') {
            let network: IpNet = text
                .parse()
                .map_err(|_| "this is no network; write 192.0.2.0/24 or 2001:db8::/32, without a port")?;
            if network.trunc() != network {
                return Err(
                    "this network has bits behind its prefix; write its first address, as in 192.0.2.0/24",
                );
            }
            self.add_network(network, None, id);
            return Ok(());
        }
        // A bare IPv6 address is all colons, so it is looked at before a port is.
        if let Ok(ip) = text.parse::<IpAddr>() {
            self.add_network(ip.to_canonical().into(), None, id);
            return Ok(());
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
                self.add_network(IpAddr::V6(ip).to_canonical().into(), port, id);
                return Ok(());
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(parse_port(port)?)),
                None => (text, None),
            },
        };
        if let Ok(ip) = host.parse::<IpAddr>() {
            self.add_network(ip.into(), port, id);
            return Ok(());
        }
        let (tree, name) = match host.strip_prefix('.') {
            Some(name) => (true, name),
            None => (false, host),
        };
        check_name(name)?;
        let map = if tree { &mut self.trees } else { &mut self.hosts };
        map.entry(normal(name).into()).or_default().add(port, id);
        Ok(())
    }

    fn add_network(&mut self, network: IpNet, port: Option<u16>, id: u32) {
        self.lengths[usize::from(network.addr().is_ipv6())].insert(network.prefix_len());
        self.networks.entry(network).or_default().add(port, id);
    }

    /// The lowest id that covers `target`.
    pub(super) fn first(&self, target: &Authority) -> Option<u32> {
        match &target.host {
            Host::Ip(ip) => self.first_ip(*ip, target.port),
            Host::Name(name) => self.first_name(name, target.port),
        }
    }

    fn first_ip(&self, ip: IpAddr, port: u16) -> Option<u32> {
        let ip = ip.to_canonical();
        self.lengths[usize::from(ip.is_ipv6())]
            .iter()
            .filter_map(|&length| IpNet::new(ip, length).ok())
            .filter_map(|network| self.networks.get(&network.trunc())?.find(port))
            .min()
    }

    fn first_name(&self, name: &str, port: u16) -> Option<u32> {
        let name = normal(name);
        let name = name.as_str();
        let exact = self.hosts.get(name).and_then(|ports| ports.find(port));
        let parents = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
        let trees = std::iter::once(name).chain(parents);
        trees
            .filter_map(|tree| self.trees.get(tree)?.find(port))
            .chain(exact)
            .min()
    }
}

fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn parse_port(text: &str) -> Result<u16, &'static str> {
    match text.parse() {
        Ok(port) if port != 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => Err("behind the colon a port from 1 to 65535 is needed"),
    }
}

/// RFC 1123 section 2.1 host names, and the underscores that are seen in practice.
fn check_name(name: &str) -> Result<(), &'static str> {
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
    Ok(())
}
