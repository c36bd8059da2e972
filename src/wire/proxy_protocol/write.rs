//! Headers of the proxy's own, towards servers that want to know whose connections are.

use super::header::Endpoints;
use super::v2;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The line of version 1 (section 2.1); without endpoints it is one that tells nothing.
pub fn v1(endpoints: Option<Endpoints>) -> Vec<u8> {
    let Some(Endpoints { source, destination }) = endpoints.map(of_one_family) else {
        return b"PROXY UNKNOWN\r\n".to_vec();
    };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    let (from_port, to_port) = (source.port(), destination.port());
    format!("PROXY {family} {from} {to} {from_port} {to_port}\r\n").into_bytes()
}

/// The header of version 2 (section 2.2); without endpoints it is the command LOCAL, for a connection of the sender's own.
pub fn v2(endpoints: Option<Endpoints>) -> Vec<u8> {
    let Some(Endpoints { source, destination }) = endpoints.map(of_one_family) else {
        return [&v2::SIGNATURE[..], &[0x20, 0x00, 0, 0]].concat();
    };
    let (family, length) = if source.is_ipv4() { (0x11, 12) } else { (0x21, 36) };
    let mut header = [&v2::SIGNATURE[..], &[0x21, family, 0, length]].concat();
    for address in [source, destination] {
        match address.ip() {
            IpAddr::V4(ip) => header.extend(ip.octets()),
            IpAddr::V6(ip) => header.extend(ip.octets()),
        }
    }
    for address in [source, destination] {
        header.extend(address.port().to_be_bytes());
    }
    header
}

/// Both in one family, since a header has one: where they differ, that of IPv4 is written as IPv6 has it (RFC 4291 section
/// 2.5.5.2).
fn of_one_family(Endpoints { source, destination }: Endpoints) -> Endpoints {
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (source, destination) = (canonical(source), canonical(destination));
    if source.is_ipv4() == destination.is_ipv4() {
        return Endpoints { source, destination };
    }
    Endpoints {
        source: mapped(source),
        destination: mapped(destination),
    }
}

fn mapped(address: SocketAddr) -> SocketAddr {
    let ip: Ipv6Addr = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    SocketAddr::new(ip.into(), address.port())
}
