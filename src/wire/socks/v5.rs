//! SOCKS 5 (RFC 1928).

use super::request::{Request, at, by_name};
use crate::wire::Parse;
use crate::wire::names::Host;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest message: a login with two texts of 255 bytes.
pub const LIMIT: usize = 3 + 2 * 255;

/// Nobody has to say who it is.
pub const NO_PASSWORD: u8 = 0;
/// A name and a password (RFC 1929).
pub const PASSWORD: u8 = 2;
/// None of what was offered.
pub const NO_METHOD: u8 = 0xff;

/// How a client can say who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting(Box<[u8]>);

impl Greeting {
    /// Whether it offers this way.
    pub fn offers(&self, method: u8) -> bool {
        self.0.contains(&method)
    }
}

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name, in whatever characters.
    pub name: Vec<u8>,
    /// The password.
    pub password: Vec<u8>,
}

impl std::fmt::Debug for Login {
    /// What they are is nobody's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(..)")
    }
}

pub(super) fn greeting(bytes: &[u8]) -> Parse<(Greeting, usize)> {
    match *bytes {
        [5, 0, ..] => Parse::Invalid("the client offers no way to say who it is"),
        [5, count, ref rest @ ..] => match rest.get(..usize::from(count)) {
            Some(methods) => Parse::Complete((Greeting(methods.into()), 2 + methods.len())),
            None => Parse::NeedMore,
        },
        [5] | [] => Parse::NeedMore,
        _ => Parse::NotThis,
    }
}

/// Reads a login; also says how long it is.
pub fn login(bytes: &[u8]) -> Parse<(Login, usize)> {
    match bytes.first() {
        None => return Parse::NeedMore,
        Some(1) => {}
        Some(_) => return Parse::Invalid("the login is of an unknown version"),
    }
    let text = |bytes: &[u8]| -> Option<(Vec<u8>, usize)> {
        let (&length, rest) = bytes.split_first()?;
        let text = rest.get(..usize::from(length))?;
        Some((text.to_vec(), 1 + text.len()))
    };
    let whole = || {
        let (name, first) = text(bytes.get(1..)?)?;
        let (password, second) = text(bytes.get(1 + first..)?)?;
        Some((Login { name, password }, 1 + first + second))
    };
    whole().map_or(Parse::NeedMore, Parse::Complete)
}

/// Reads a request; also says how long it is. An address of an unknown kind has no length: nothing can follow it.
pub fn request(bytes: &[u8]) -> Parse<(Request, usize)> {
    match bytes.first() {
        None => return Parse::NeedMore,
        Some(5) => {}
        Some(_) => return Parse::Invalid("the request is of another version than the greeting"),
    }
    let Some(&[_, command, _, kind]) = bytes.first_chunk::<4>() else {
        return Parse::NeedMore;
    };
    let rest = &bytes[4..];
    let (length, name) = match (kind, rest.first()) {
        (1, _) => (4, 0),
        (4, _) => (16, 0),
        (3, Some(&length)) => (usize::from(length), 1),
        (3, None) => return Parse::NeedMore,
        _ => return Parse::Invalid(UNKNOWN_KIND),
    };
    let whole = 4 + name + length + 2;
    let Some(&[ref address @ .., high, low]) = rest.get(name..name + length + 2) else {
        return Parse::NeedMore;
    };
    let port = u16::from_be_bytes([high, low]);
    let to = if let Ok(ip) = <[u8; 4]>::try_from(address)
        && kind == 1
    {
        at(Host::Ip(Ipv4Addr::from(ip).into()), port)
    } else if let Ok(ip) = <[u8; 16]>::try_from(address)
        && kind == 4
    {
        // An address of IPv4 is judged as one, however it is written.
        at(Host::Ip(Ipv6Addr::from(ip).to_canonical()), port)
    } else {
        by_name(address, port)
    };
    let request = Request {
        command: command.into(),
        to,
    };
    Parse::Complete((request, whole))
}

/// What is said of an address that has to be answered by a code of its own.
pub const UNKNOWN_KIND: &str = "the address is of an unknown kind";
