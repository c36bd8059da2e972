//! What is wrong with a header block that the `h2` crate did not take.

use crate::error::Side;
use crate::wire::hpack::{self, HpackField};
use crate::wire::http1::Malformed;
use http::header::HeaderName;
use http::uri::PathAndQuery;

/// What keeps a head from being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct HeadFault {
    /// HTTP/2 allows it (RFC 9113 section 8.2.1), and HTTP/1.1 can carry it: it is the crate alone that does not take it.
    pub(in crate::http) is_legal: bool,
    /// What HTTP/1.1 calls it, if it is known there.
    pub(in crate::http) malformed: Option<Malformed>,
    /// In words, of the head that it is about.
    pub(in crate::http) text: String,
}

impl HeadFault {
    fn legal(text: String) -> Self {
        Self {
            is_legal: true,
            malformed: None,
            text,
        }
    }

    fn of(malformed: impl Into<Option<Malformed>>, text: impl Into<String>) -> Self {
        Self {
            is_legal: false,
            malformed: malformed.into(),
            text: text.into(),
        }
    }
}

/// The pseudo-headers of a request; those that each but CONNECT has to have come first.
const PSEUDO: [&[u8]; 5] = [b":method", b":scheme", b":path", b":authority", b":protocol"];

/// Fields of HTTP/1.1's connections (RFC 9113 section 8.2.2).
const OF_CONNECTION: [&[u8]; 5] = [
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"transfer-encoding",
    b"upgrade",
];

/// What is wrong with a block that `from` sent, as far as the block alone tells it. `is_whole` says that it should be a
/// whole one, and `is_head` that it begins a message.
pub(in crate::http) fn find(block: &[u8], from: Side, is_whole: bool, is_head: bool) -> Option<HeadFault> {
    let mut legal = None;
    let mut head = HeadState::default();
    for field in hpack::fields(block) {
        let found = match &field {
            Ok(field) => head.field(field, from),
            Err(hpack::BadBlock) if is_whole => Some(HeadFault::of(None, "a header block that is no HPACK")),
            Err(hpack::BadBlock) => None,
        };
        match found {
            Some(found) if !found.is_legal => return Some(found),
            // What is malformed weighs more.
            Some(found) => legal = legal.or(Some(found)),
            None => {}
        }
    }
    if is_whole && is_head && from == Side::Client {
        legal = head.missing().or(legal);
    }
    legal
}

/// What came of a head so far.
#[derive(Default)]
struct HeadState {
    seen: [bool; PSEUDO.len()],
    /// Some field's name is not known.
    has_unknown: bool,
    has_fields: bool,
    is_connect: bool,
    length: Option<Vec<u8>>,
}

impl HeadState {
    fn field(&mut self, field: &HpackField<'_>, from: Side) -> Option<HeadFault> {
        let Some(name) = field.name.as_deref() else {
            self.has_unknown = true;
            return value(None, field.value.as_deref()?);
        };
        if name.starts_with(b":") {
            return self.pseudo(name, field.value.as_deref(), from);
        }
        self.has_fields = true;
        let shown = show(name);
        if name.is_empty()
            || name
                .iter()
                .any(|byte| matches!(byte, 0..=b' ' | b':' | b'A'..=b'Z' | 0x7f..))
        {
            // RFC 9113 section 8.2.1.
            return Some(HeadFault::of(
                Malformed::FieldName,
                format!("a field name that HTTP/2 does not allow, {shown}"),
            ));
        }
        if OF_CONNECTION.contains(&name) {
            return Some(HeadFault::of(
                None,
                format!("{shown}, a field of connections of HTTP/1.1"),
            ));
        }
        let content = field.value.as_deref()?;
        if name == b"te" && content != b"trailers" {
            return Some(HeadFault::of(None, "a TE other than trailers"));
        }
        if name == b"content-length" {
            let malformed = if !content.iter().all(u8::is_ascii_digit) {
                Malformed::LengthValue
            } else if self.length.get_or_insert_with(|| content.to_vec()) != content {
                Malformed::DifferentLengths
            } else {
                return None;
            };
            return Some(HeadFault::of(malformed, malformed.text()));
        }
        let found = value(Some(&shown), content);
        if found.is_none() && HeaderName::from_lowercase(name).is_err() {
            return Some(HeadFault::legal(format!(
                "a field name that is no token, {shown}"
            )));
        }
        found
    }

    fn pseudo(&mut self, name: &[u8], content: Option<&[u8]>, from: Side) -> Option<HeadFault> {
        let shown = show(name);
        let known = match from {
            Side::Client => PSEUDO.iter().position(|known| *known == name),
            Side::Origin => (name == b":status").then_some(0),
        };
        let Some(at) = known else {
            return Some(HeadFault::of(
                None,
                format!("{shown}, a pseudo-header that it must not have"),
            ));
        };
        if self.has_fields {
            return Some(HeadFault::of(None, format!("{shown} behind other fields")));
        }
        if let Some(seen) = self.seen.get_mut(at)
            && std::mem::replace(seen, true)
        {
            return Some(HeadFault::of(None, format!("{shown} more than once")));
        }
        let content = content?;
        self.is_connect |= name == b":method" && content == b"CONNECT";
        if name == b":path" {
            return path(content);
        }
        let is_odd = content.iter().any(|byte| matches!(byte, 0..=b' ' | 0x7f..));
        is_odd.then(|| HeadFault::of(None, format!("{shown} with a value that it cannot have")))
    }

    /// A pseudo-header that is missing (RFC 9113 section 8.3.1).
    fn missing(&self) -> Option<HeadFault> {
        if self.has_unknown || self.is_connect {
            return None;
        }
        let (name, _) = PSEUDO.iter().zip(self.seen).take(3).find(|(_, seen)| !seen)?;
        Some(HeadFault::of(None, format!("no {}", show(name))))
    }
}

/// A field's value (RFC 9113 section 8.2.1).
fn value(name: Option<&str>, content: &[u8]) -> Option<HeadFault> {
    let of = name.map_or(String::new(), |name| format!(", in {name}"));
    for byte in content {
        let malformed = match byte {
            0 => Malformed::Nul,
            b'\r' => Malformed::BareCarriageReturn,
            b'\n' => Malformed::BareLineFeed,
            _ => continue,
        };
        return Some(HeadFault::of(
            malformed,
            format!("a NUL, CR or LF in a field value{of}"),
        ));
    }
    let is_odd = |byte: &u8| matches!(byte, 0..=0x08 | 0x0a..=0x1f | 0x7f);
    content
        .iter()
        .any(is_odd)
        .then(|| HeadFault::legal(format!("a control character in a field value{of}")))
}

/// A request's `:path` (RFC 9113 section 8.3.1).
fn path(content: &[u8]) -> Option<HeadFault> {
    if !content.starts_with(b"/") && content != b"*"
        || content.iter().any(|byte| matches!(byte, 0..=b' ' | 0x7f))
    {
        return Some(HeadFault::of(Malformed::Target, "a :path that is no path"));
    }
    PathAndQuery::try_from(content)
        .is_err()
        .then(|| HeadFault::legal("a :path with characters that should have been percent-encoded".to_owned()))
}

/// A name for the log: it comes from the network.
fn show(name: &[u8]) -> String {
    const LONGEST: usize = 60;
    let text = String::from_utf8_lossy(name.get(..LONGEST).unwrap_or(name));
    match name.starts_with(b":") && name.iter().all(u8::is_ascii_graphic) {
        true => text.into_owned(),
        false => format!("{text:?}"),
    }
}
