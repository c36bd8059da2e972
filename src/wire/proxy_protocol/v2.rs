//! Version 2: binary (section 2.2).

use super::header::{Endpoints, ProxyHeader, begins};
use super::tlv;
use crate::wire::Parse;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// What comes before that which has a length of its own.
pub(super) const BEGIN: usize = 16;

/// The bytes of a pair of addresses of the file system.
const UNIX: usize = 216;

pub(super) fn parse(bytes: &[u8]) -> Parse<(ProxyHeader, usize)> {
    match begins(bytes, &SIGNATURE) {
        Some(true) => {}
        Some(false) => return Parse::NotThis,
        None => return Parse::NeedMore,
    }
    let Some((begin, rest)) = bytes.split_first_chunk::<BEGIN>() else {
        // What cannot become right is not waited for.
        return match bytes.get(SIGNATURE.len()) {
            Some(command) if !matches!(command, 0x20 | 0x21) => Parse::Invalid(NO_COMMAND),
            _ => Parse::NeedMore,
        };
    };
    let [.., command, family, high, low] = *begin;
    if !matches!(command, 0x20 | 0x21) {
        return Parse::Invalid(NO_COMMAND);
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    let Some(block) = rest.get(..length) else {
        return Parse::NeedMore;
    };
    let whole = BEGIN + length;
    if command == 0x20 {
        // The sender speaks for itself, as health checks do; whatever it adds is to be skipped.
        return Parse::Complete((ProxyHeader::default(), whole));
    }
    match read(family, block, &bytes[..whole]) {
        Ok(header) => Parse::Complete((header, whole)),
        Err(why) => Parse::Invalid(why),
    }
}

const NO_COMMAND: &str = "the version or the command is unknown";

fn read(family: u8, block: &[u8], whole: &[u8]) -> Result<ProxyHeader, &'static str> {
    const SHORT: &str = "the addresses are cut short";
    let (endpoints, rest) = match family {
        // Nothing is known of the client.
        0x00 => return Ok(ProxyHeader::default()),
        0x11 => {
            let (addresses, rest) = block.split_first_chunk::<12>().ok_or(SHORT)?;
            (Some(of_ipv4(addresses)), rest)
        }
        0x21 => {
            let (addresses, rest) = block.split_first_chunk::<36>().ok_or(SHORT)?;
            (of_ipv6(addresses), rest)
        }
        0x31 => (None, block.get(UNIX..).ok_or(SHORT)?),
        _ => return Err("the family is none that a connection can have"),
    };
    let told = tlv::read(rest, whole)?;
    Ok(ProxyHeader { endpoints, told })
}

fn of_ipv4(bytes: &[u8; 12]) -> Endpoints {
    let [a, b, c, d, e, f, g, h, ports @ ..] = *bytes;
    let [source, destination] = of_ports(ports);
    Endpoints {
        source: SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), source),
        destination: SocketAddr::new(Ipv4Addr::new(e, f, g, h).into(), destination),
    }
}

fn of_ipv6(bytes: &[u8; 36]) -> Option<Endpoints> {
    let (source, rest) = bytes.split_first_chunk::<16>()?;
    let (destination, ports) = rest.split_first_chunk::<16>()?;
    let [source_port, destination_port] = of_ports(ports.try_into().ok()?);
    Some(Endpoints {
        source: SocketAddr::new(Ipv6Addr::from(*source).into(), source_port),
        destination: SocketAddr::new(Ipv6Addr::from(*destination).into(), destination_port),
    })
}

fn of_ports([a, b, c, d]: [u8; 4]) -> [u16; 2] {
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}
