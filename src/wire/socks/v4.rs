//! SOCKS 4, and 4a, which has names.

use super::request::{SocksCommand, at, by_name};
use crate::wire::Parse;
use crate::wire::names::{Authority, Host};
use std::net::Ipv4Addr;

/// The longest text, without the zero that ends it.
const TEXT: usize = 255;

/// The longest request.
pub const LIMIT: usize = 8 + 2 * (TEXT + 1);

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request4 {
    /// What is wanted.
    pub command: SocksCommand,
    /// Where it is wanted; `Err` says why that is no destination.
    pub to: Result<Authority, &'static str>,
}

pub(super) fn request(bytes: &[u8]) -> Parse<(Request4, usize)> {
    let Some((&[version, command, high, low, a, b, c, d], rest)) = bytes.split_first_chunk::<8>() else {
        return Parse::NeedMore;
    };
    if version != 4 {
        return Parse::NotThis;
    }
    let port = u16::from_be_bytes([high, low]);
    // Who the client says it is, which it cannot show.
    let user = match text(rest) {
        Parse::Complete(user) => user,
        Parse::NeedMore => return Parse::NeedMore,
        Parse::Invalid(why) => return Parse::Invalid(why),
        Parse::NotThis => return Parse::NotThis,
    };
    let mut whole = 8 + user.len() + 1;
    let is_named = [a, b, c] == [0; 3] && d != 0;
    let to = if is_named {
        let name = match text(rest.get(user.len() + 1..).unwrap_or_default()) {
            Parse::Complete(name) => name,
            Parse::NeedMore => return Parse::NeedMore,
            Parse::Invalid(why) => return Parse::Invalid(why),
            Parse::NotThis => return Parse::NotThis,
        };
        whole += name.len() + 1;
        by_name(name, port)
    } else {
        at(Host::Ip(Ipv4Addr::new(a, b, c, d).into()), port)
    };
    let request = Request4 {
        command: command.into(),
        to,
    };
    Parse::Complete((request, whole))
}

/// Bytes up to a zero.
fn text(bytes: &[u8]) -> Parse<&[u8]> {
    let seen = &bytes[..bytes.len().min(TEXT + 1)];
    match memchr::memchr(0, seen) {
        Some(end) => Parse::Complete(&seen[..end]),
        None if seen.len() > TEXT => Parse::Invalid("a text does not end"),
        None => Parse::NeedMore,
    }
}
