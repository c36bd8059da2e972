//! LDAP messages as a server sends them (RFC 4511 section 4), held against what the library that reads them relies on. It
//! panics at what it does not expect and follows any nesting, so nothing else may reach it. Pure.

use ldap3::asn1::{PL, StructureTag, TagClass, parse_tag};

/// The largest message: an entry with thousands of values has less.
pub(super) const MESSAGE_MAX: usize = 4 << 20;
/// The deepest nesting: an entry has five levels.
const DEPTH_MAX: usize = 12;
/// The most elements of a message, since the library needs a hundred bytes for each.
const ELEMENTS_MAX: usize = 50_000;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const CONSTRUCTED: u8 = 0x20;

/// Operations, by the byte that begins them.
pub(super) const BIND: u8 = 0x60;
pub(super) const SEARCH: u8 = 0x63;
pub(super) const EXTENDED: u8 = 0x77;

/// What a server was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) id: u32,
    pub(super) operation: u8,
}

/// What a message of a server is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A part of the answer.
    Part,
    /// The end of the answer.
    Last {
        /// Its result code.
        code: u32,
    },
    /// A notice of disconnection (RFC 4511 section 4.4.1), with what it says.
    Goodbye(String),
}

/// The first byte of an element, and where its content begins and ends.
struct Element {
    tag: u8,
    start: usize,
    end: usize,
}

/// Reads the head of the element at `at`; `None` if it is not all there.
fn element(bytes: &[u8], at: usize) -> Result<Option<Element>, &'static str> {
    let (Some(&tag), Some(&first)) = (bytes.get(at), bytes.get(at + 1)) else {
        return Ok(None);
    };
    if tag & 0x1f == 0x1f {
        return Err("a tag of more than one byte");
    }
    let (length, start) = match first {
        0..=0x7f => (usize::from(first), at + 2),
        // AD always writes four bytes.
        0x81..=0x84 => {
            let start = at + 2 + usize::from(first & 0x7f);
            let Some(digits) = bytes.get(at + 2..start) else {
                return Ok(None);
            };
            let length = digits
                .iter()
                .fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
            (length, start)
        }
        _ => return Err("a length of no allowed form"),
    };
    let end = start.checked_add(length).ok_or("a length that cannot be")?;
    Ok(Some(Element { tag, start, end }))
}

/// How long the message is that `bytes` begin with; `None` while its head is not all there.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    if bytes.first().is_some_and(|tag| *tag != SEQUENCE) {
        return Err("no LDAP message");
    }
    match element(bytes, 0)? {
        Some(message) if message.end > MESSAGE_MAX => Err("a message that is too large"),
        message => Ok(message.map(|message| message.end)),
    }
}

/// Which operation a message of the library asks for; it is as [`length`] has cut it out.
pub(super) fn asked(message: &[u8]) -> Option<Asked> {
    let whole = element(message, 0).ok()??;
    let id = element(message, whole.start).ok()??;
    let digits = message.get(id.start..id.end)?;
    let operation = *message.get(id.end)?;
    let id = digits.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte));
    Some(Asked { id, operation })
}

/// What a whole message of the server is, which answers `asked`. An error says why it must not be read.
pub(super) fn check(message: &[u8], asked: Option<Asked>) -> Result<Reply, &'static str> {
    nesting(message)?;
    let (rest, tag) = parse_tag(message).map_err(|_| MALFORMED)?;
    if !rest.is_empty() {
        return Err(MALFORMED);
    }
    let parts = sequence(&tag)?;
    let [id, operation, more @ ..] = parts else {
        return Err(MALFORMED);
    };
    let id = integer(id, u64::from(INTEGER))?;
    if operation.class != TagClass::Application {
        return Err("no answer where one belongs");
    }
    // AD puts the name of its notice where controls belong.
    if id == 0 && operation.id == 24 {
        return result(operation).map(|(code, text)| Reply::Goodbye(format!("{text} (result {code})")));
    }
    controls(more)?;
    let Some(asked) = asked.filter(|asked| asked.id == id) else {
        return Err("an answer that nobody asked for");
    };
    match (asked.operation, operation.id) {
        (BIND, 1) | (SEARCH, 5) | (EXTENDED, 24) => result(operation).map(|(code, _)| Reply::Last { code }),
        (SEARCH, 4) => entry(operation).map(|()| Reply::Part),
        (SEARCH, 19) => texts(constructed(operation)?).map(|()| Reply::Part),
        _ => Err("an answer to something else"),
    }
}

const MALFORMED: &str = "a malformed message";

/// Walks over all elements without recursion.
fn nesting(message: &[u8]) -> Result<(), &'static str> {
    let mut ends = Vec::with_capacity(DEPTH_MAX);
    let (mut at, mut elements) = (0, 0_usize);
    ends.push(message.len());
    while let Some(&end) = ends.last() {
        if at == end {
            ends.pop();
            continue;
        }
        let found = element(&message[..end], at)?.ok_or(MALFORMED)?;
        elements += 1;
        if found.end > end {
            return Err(MALFORMED);
        }
        if elements > ELEMENTS_MAX {
            return Err("a message of too many parts");
        }
        if found.tag & CONSTRUCTED == 0 {
            at = found.end;
            continue;
        }
        if ends.len() == DEPTH_MAX {
            return Err("a message that is nested too deep");
        }
        at = found.start;
        ends.push(found.end);
    }
    Ok(())
}

fn constructed(tag: &StructureTag) -> Result<&[StructureTag], &'static str> {
    match &tag.payload {
        PL::C(parts) => Ok(parts),
        PL::P(_) => Err(MALFORMED),
    }
}

fn primitive(tag: &StructureTag) -> Result<&[u8], &'static str> {
    match &tag.payload {
        PL::P(bytes) => Ok(bytes),
        PL::C(_) => Err(MALFORMED),
    }
}

fn sequence(tag: &StructureTag) -> Result<&[StructureTag], &'static str> {
    match (tag.class, tag.id) {
        (TagClass::Universal, 16) => constructed(tag),
        _ => Err(MALFORMED),
    }
}

fn text(tag: &StructureTag) -> Result<&str, &'static str> {
    std::str::from_utf8(primitive(tag)?).map_err(|_| "a text that is not UTF-8")
}

fn texts(tags: &[StructureTag]) -> Result<(), &'static str> {
    tags.iter().try_for_each(|tag| text(tag).map(drop))
}

/// A number of this type that fits into 31 bits.
fn integer(tag: &StructureTag, id: u64) -> Result<u32, &'static str> {
    let bytes = primitive(tag)?;
    let fits = matches!(bytes, [0..0x80, ..]) && bytes.len() <= 4;
    if (tag.class, tag.id) != (TagClass::Universal, id) || !fits {
        return Err(MALFORMED);
    }
    Ok(bytes.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte)))
}

/// An LDAPResult (RFC 4511 section 4.1.9) and what may follow it: its code and its text.
fn result(tag: &StructureTag) -> Result<(u32, &str), &'static str> {
    const ENUMERATED: u64 = 10;
    let [code, matched, said, more @ ..] = constructed(tag)? else {
        return Err(MALFORMED);
    };
    let code = integer(code, ENUMERATED)?;
    text(matched)?;
    for part in more {
        match part.id {
            3 => texts(constructed(part)?)?,
            7 | 11 => drop(primitive(part)?),
            10 => drop(text(part)?),
            _ => {}
        }
    }
    Ok((code, text(said)?))
}

/// A SearchResultEntry (RFC 4511 section 4.5.2).
fn entry(tag: &StructureTag) -> Result<(), &'static str> {
    let [dn, attributes] = constructed(tag)? else {
        return Err(MALFORMED);
    };
    text(dn)?;
    for attribute in constructed(attributes)? {
        let [name, values] = constructed(attribute)? else {
            return Err(MALFORMED);
        };
        text(name)?;
        for value in constructed(values)? {
            primitive(value)?;
        }
    }
    Ok(())
}

/// Controls (RFC 4511 section 4.1.11), which some servers send unasked.
fn controls(tags: &[StructureTag]) -> Result<(), &'static str> {
    let [list] = tags else {
        return if tags.is_empty() { Ok(()) } else { Err(MALFORMED) };
    };
    if (list.class, list.id) != (TagClass::Context, 0) {
        return Err(MALFORMED);
    }
    for control in constructed(list)? {
        let parts = constructed(control)?;
        let kinds: Vec<u64> = parts.iter().map(|part| part.id).collect();
        if !matches!(kinds[..], [4] | [4, 1] | [4, 4] | [4, 1, 4]) {
            return Err(MALFORMED);
        }
        text(&parts[0])?;
        for part in &parts[1..] {
            // The library looks at the first byte of a flag.
            if primitive(part)?.is_empty() && part.id == 1 {
                return Err(MALFORMED);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "message/tests.rs"]
mod tests;
