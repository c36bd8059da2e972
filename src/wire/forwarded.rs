//! What proxies on the way tell of whose request it is, in `X-Forwarded-For` or in `Forwarded` (RFC 7239).

use crate::error::words;
use crate::wire::headers::Headers;
use http::HeaderName;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

words! {
    /// The field that it is told in.
    pub enum ForwardedField {
        /// `X-Forwarded-For`: addresses, with commas between them.
        XForwardedFor = "x_forwarded_for",
        /// `Forwarded` (RFC 7239).
        Forwarded = "forwarded",
    }
}

impl ForwardedField {
    /// The field's name.
    pub const fn name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            Self::Forwarded => http::header::FORWARDED,
        }
    }

    /// The addresses that a message has in this field, the one that was told last first. `None` is for whatever is no address:
    /// a name, `unknown`, or anything that cannot be read.
    pub fn told(self, headers: &impl Headers) -> Vec<Option<IpAddr>> {
        let (name, mut told) = (self.name(), Vec::new());
        for value in headers.all(&name) {
            match self {
                Self::XForwardedFor => told.extend(value.split(|byte| *byte == b',').map(listed)),
                Self::Forwarded => forwarded(value, &mut told),
            }
        }
        told.reverse();
        told
    }

    /// Whether an element that is put behind this value can be read whatever the value says: in a broken one of `Forwarded` a
    /// quoted string may go on for ever.
    pub fn is_whole(self, value: &[u8]) -> bool {
        let mut rest = match self {
            Self::XForwardedFor => return true,
            Self::Forwarded => Some(value),
        };
        while let Some(value) = rest {
            match element(value) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        true
    }
}

/// An element of `X-Forwarded-For`. Some write a port behind the address.
fn listed(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element.trim_ascii()).ok()?;
    match text.parse::<IpAddr>() {
        Ok(ip) => Some(ip.to_canonical()),
        Err(_) => node(text),
    }
}

/// An address as RFC 7239 section 6 writes it: that of IPv6 in brackets, and either with a port or without.
fn node(text: &str) -> Option<IpAddr> {
    let (ip, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, port) = rest.split_once(']')?;
            (IpAddr::V6(ip.parse::<Ipv6Addr>().ok()?), port)
        }
        None => {
            let (ip, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (IpAddr::V4(ip.parse::<Ipv4Addr>().ok()?), port)
        }
    };
    is_port(port).then(|| ip.to_canonical())
}

/// Nothing, or a colon and what is a port, or stands for one that is kept secret.
fn is_port(text: &str) -> bool {
    let Some(port) = text.strip_prefix(':') else {
        return text.is_empty();
    };
    let is_number = !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_hidden = port.len() > 1
        && port.starts_with('_')
        && port
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    is_number || is_hidden
}

/// The elements of one `Forwarded`. Where one cannot be read, nobody knows where the next one begins: all that follows, and all
/// before it in this value, is then worth nothing.
fn forwarded(value: &[u8], told: &mut Vec<Option<IpAddr>>) {
    let before = told.len();
    let mut rest = value;
    loop {
        match element(rest) {
            Some((ip, after)) => {
                told.push(ip);
                match after {
                    Some(after) => rest = after,
                    None => return,
                }
            }
            None => {
                told.truncate(before);
                return told.push(None);
            }
        }
    }
}

/// One element, and what is behind its comma, if there is one; `None` if it is broken.
fn element(value: &[u8]) -> Option<(Option<IpAddr>, Option<&[u8]>)> {
    let (mut rest, mut found) = (value, None);
    let mut is_repeated = false;
    loop {
        rest = rest.trim_ascii_start();
        match rest.split_first() {
            None => return Some((found, None)),
            Some((b',', after)) => return Some((found, Some(after))),
            Some((b';', after)) => {
                rest = after;
                continue;
            }
            Some(_) => {}
        }
        let end = rest.iter().position(|byte| !is_token(*byte))?;
        let (name, after) = rest.split_at(end);
        let after = after.strip_prefix(b"=").filter(|_| !name.is_empty())?;
        let (text, after) = match after.strip_prefix(b"\"") {
            Some(after) => quoted(after)?,
            None => {
                let end = after
                    .iter()
                    .position(|byte| !is_token(*byte))
                    .unwrap_or(after.len());
                let (text, after) = after.split_at(end);
                (text.to_vec(), after)
            }
        };
        if text.is_empty() || !matches!(after.trim_ascii_start().first(), None | Some(b',' | b';')) {
            return None;
        }
        if name.eq_ignore_ascii_case(b"for") {
            // Each parameter may be there once (section 4).
            if std::mem::replace(&mut is_repeated, true) {
                return None;
            }
            found = std::str::from_utf8(&text).ok().and_then(node);
        }
        rest = after;
    }
}

/// What is in a quoted string (RFC 9110 section 5.6.4), whose beginning is taken off already, and what is behind it.
fn quoted(value: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut text, mut bytes) = (Vec::new(), value.iter());
    loop {
        match bytes.next()? {
            b'"' => return Some((text, bytes.as_slice())),
            b'\\' => text.push(*bytes.next()?),
            byte => text.push(*byte),
        }
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    fn told(field: ForwardedField, values: &[&[u8]]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(field.name(), HeaderValue::from_bytes(value).unwrap());
        }
        let told = field.told(&headers).into_iter();
        told.map(|ip| ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string()))
            .collect()
    }

    #[test]
    fn the_last_word_comes_first() {
        for (values, wanted) in [
            (&[][..], &[][..]),
            (&[&b"192.0.2.1"[..]], &["192.0.2.1"]),
            (
                &[b"192.0.2.1, 2001:db8::1", b"[2001:db8::2]:443 ,192.0.2.3:80"],
                &["192.0.2.3", "2001:db8::2", "2001:db8::1", "192.0.2.1"],
            ),
            (&[b"::ffff:192.0.2.1,[::ffff:192.0.2.2]"], &["192.0.2.2", "192.0.2.1"]),
            (
                &[b"unknown, 192.0.2.1, a.example,, 192.0.2.256, 192.0.2.1:x, [::1, fe80::1%eth0, 192.0.2.1:99999999, \xff"],
                &["-", "-", "-", "-", "-", "-", "-", "-", "192.0.2.1", "-"],
            ),
        ] {
            assert_eq!(told(ForwardedField::XForwardedFor, values), wanted, "{values:?}");
        }
    }

    #[test]
    fn elements_of_rfc_7239_are_read_and_what_is_broken_is_nobody() {
        for (values, wanted) in [
            (&[&b"for=192.0.2.1"[..]][..], &["192.0.2.1"][..]),
            (
                // The examples of sections 4, 6 and 7.
                &[
                    b"for=\"_gazonk\"",
                    b"For=\"[2001:db8:cafe::17]:4711\"",
                    b"for=192.0.2.60;proto=http;by=203.0.113.43",
                    b"for=192.0.2.43, for=198.51.100.17",
                ],
                &[
                    "198.51.100.17",
                    "192.0.2.43",
                    "192.0.2.60",
                    "2001:db8:cafe::17",
                    "-",
                ],
            ),
            (
                &[b"for=\"192.0.2.43:47011\",for=\"192.0.2.44:_x\""],
                &["192.0.2.44", "192.0.2.43"],
            ),
            (&[b"proto=http"], &["-"]),
            (&[b"by=\"a, for=192.0.2.9\";for=192.0.2.1"], &["192.0.2.1"]),
            (&[b"for=\"192.0.2.\\1\""], &["192.0.2.1"]),
            // An address of IPv6 needs its quotes and brackets.
            (&[b"for=2001:db8::1"], &["-"]),
            (&[b"for=192.0.2.1;for=192.0.2.2"], &["-"]),
            (&[b"for=192.0.2.1, for=\"192.0.2.2"], &["-"]),
            (
                &[b"for=192.0.2.1", b"for =192.0.2.2, for=192.0.2.3"],
                &["-", "192.0.2.1"],
            ),
            (&[b"for=unknown, for=192.0.2.1 x"], &["-"]),
            (&[b"for="], &["-"]),
        ] {
            assert_eq!(told(ForwardedField::Forwarded, values), wanted, "{values:?}");
        }
    }

    #[test]
    fn what_is_whole_never_hides_what_comes_behind_it() {
        let field = ForwardedField::Forwarded;
        for (value, is_whole) in [
            (&b""[..], true),
            (b"for=192.0.2.1;", true),
            (b"for=unknown, proto=http,", true),
            (b"for=\"[2001:db8::1]:80\"", true),
            (b"for=\"x", false),
            (b"for=\"x\\", false),
            (b"for=192.0.2.1, for", false),
            (b"for=192.0.2.1;for=192.0.2.2", false),
            (b"for=192.0.2.1 x", false),
        ] {
            let text = String::from_utf8_lossy(value).into_owned();
            assert_eq!(field.is_whole(value), is_whole, "{text}");
            let joined = [value, b"for=192.0.2.9"].join(&b", "[..]);
            let told = told(field, &[&joined]);
            assert_eq!(told[0] == "192.0.2.9", is_whole, "{text}: {told:?}");
        }
        assert!(ForwardedField::XForwardedFor.is_whole(b"\"x"));
    }

    #[test]
    fn no_prefix_and_no_byte_of_it_makes_an_address_of_what_is_none() {
        for (field, whole) in [
            (
                ForwardedField::XForwardedFor,
                &b"192.0.2.10, [2001:db8::17]:4711"[..],
            ),
            (
                ForwardedField::Forwarded,
                b"for=\"[2001:db8::17]:4711\";by=\"a\\\"b\", for=192.0.2.10",
            ),
        ] {
            for end in 0..whole.len() {
                // Each is read, and what is read is what is written there.
                for ip in told(field, &[&whole[..end]]) {
                    let text = String::from_utf8_lossy(&whole[..end]).into_owned();
                    assert!(ip == "-" || text.contains(&ip), "{text}: {ip}");
                }
            }
            for at in 0..whole.len() {
                for byte in (0x20..=0x7e).chain([b'\t', 0x80, 0xff]) {
                    let mut mutated = whole.to_vec();
                    mutated[at] = byte;
                    let text = String::from_utf8_lossy(&mutated).into_owned();
                    for ip in told(field, &[&mutated]) {
                        let parsed: Option<IpAddr> = ip.parse().ok();
                        let is_there = || {
                            text.split([',', '"', '[', ']', '=', ' ', ';', '\t']).any(|part| {
                                let part = part.replace('\\', "");
                                let bare = part.rsplit_once(':').map_or(&*part, |(bare, _)| bare);
                                part.parse().ok() == parsed || bare.parse().ok() == parsed
                            })
                        };
                        assert!(ip == "-" || is_there(), "{text}: {ip}");
                    }
                }
            }
        }
    }
}
