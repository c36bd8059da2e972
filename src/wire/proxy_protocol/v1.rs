//! Version 1: one line of text (section 2.1).

use super::header::{Endpoints, ProxyHeader, begins};
use super::tlv::Told;
use crate::wire::Parse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest line, its end included.
const LONGEST: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Parse<(ProxyHeader, usize)> {
    match begins(bytes, b"PROXY ") {
        Some(true) => {}
        Some(false) => return Parse::NotThis,
        None => return Parse::NeedMore,
    }
    let seen = &bytes[..bytes.len().min(LONGEST)];
    let Some(end) = memchr::memchr(b'\n', seen) else {
        return match bytes.len() < LONGEST {
            true => Parse::NeedMore,
            false => Parse::Invalid("the line is too long"),
        };
    };
    let Some(line) = seen.get(..end).and_then(|line| line.strip_suffix(b"\r")) else {
        return Parse::Invalid("the line does not end with CR LF");
    };
    match read(line) {
        Ok(endpoints) => {
            let told = Told::default();
            Parse::Complete((ProxyHeader { endpoints, told }, end + 1))
        }
        Err(why) => Parse::Invalid(why),
    }
}

/// The words of a line, which is whole.
fn read(line: &[u8]) -> Result<Option<Endpoints>, &'static str> {
    let line = std::str::from_utf8(line).map_err(|_| "the line is no text")?;
    let mut words = line.split(' ');
    let family = words.nth(1);
    if family == Some("UNKNOWN") {
        // Whatever follows is to be ignored.
        return Ok(None);
    }
    let mut next = || words.next().ok_or("an address or a port is missing");
    let (source, destination) = (next()?, next()?);
    let (source_port, destination_port) = (port(next()?)?, port(next()?)?);
    if words.next().is_some() {
        return Err("there is a word too many");
    }
    let read = |text: &str| -> Option<IpAddr> {
        match family {
            Some("TCP4") => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            Some("TCP6") => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    if !matches!(family, Some("TCP4" | "TCP6")) {
        return Err("the family is none of TCP4, TCP6 and UNKNOWN");
    }
    let ip = |text| read(text).ok_or("an address is none of its family");
    Ok(Some(Endpoints {
        source: SocketAddr::new(ip(source)?, source_port),
        destination: SocketAddr::new(ip(destination)?, destination_port),
    }))
}

/// A port without leading zeros.
fn port(text: &str) -> Result<u16, &'static str> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let port = is_plain.then(|| text.parse().ok()).flatten();
    port.ok_or("a port is no number from 0 to 65535")
}
