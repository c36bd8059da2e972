//! SignalR's hub protocols. JSON: records that each end with 0x1E, several to a message. MessagePack: arrays with a
//! variable byte integer of their size in front, several to a message; the handshake before them is a JSON record.

use super::decoded::{Decoded, Length, LengthForm, Unit};
use super::msgpack::Reader;
use super::pieces::json;
use serde_json::{Map, Value};

const SEPARATOR: u8 = 0x1e;

/// What the elements of an array are called in the JSON protocol, by the message's type.
const fn names(kind: u64) -> Option<&'static [&'static str]> {
    Some(match kind {
        1 | 4 => &["headers", "invocationId", "target", "arguments", "streamIds"],
        2 => &["headers", "invocationId", "item"],
        3 => &["headers", "invocationId", "resultKind", "result"],
        5 => &["headers", "invocationId"],
        6 => &[],
        7 => &["error", "allowReconnect"],
        8 | 9 => &["sequenceId"],
        _ => return None,
    })
}

pub(super) fn decode(data: &[u8]) -> Option<Decoded> {
    let mut decoded = Decoded::default();
    let mut from = 0;
    while from < data.len() {
        from = match record(data, from, &mut decoded) {
            Some(end) => end,
            None => packed(data, from, &mut decoded)?,
        };
    }
    (from > 0).then_some(decoded)
}

/// A JSON record, and where the next one begins.
fn record(data: &[u8], from: usize, decoded: &mut Decoded) -> Option<usize> {
    // As a size this would be that of an array, and what marks an array begins no JSON.
    if data.get(from) != Some(&b'{') {
        return None;
    }
    let end = from + memchr::memchr(SEPARATOR, data.get(from..)?)?;
    let mut pieces = Vec::new();
    let document = json(data, from, end, &mut pieces)?;
    decoded.units.push(Unit {
        at: from..end,
        pieces,
        document,
    });
    Some(end + 1)
}

/// A message of the MessagePack protocol, and where the next one begins.
fn packed(data: &[u8], from: usize, decoded: &mut Decoded) -> Option<usize> {
    let (size, begin) = size(data, from)?;
    let end = begin.checked_add(size)?;
    let mut reader = Reader::new(data.get(..end)?, begin);
    let count = reader.array_size()?;
    let (mut document, mut names) = (Map::new(), None);
    for at in 0..count {
        let pieces = reader.pieces.len();
        let value = reader.value()?;
        match at.checked_sub(1) {
            None => {
                names = value.as_u64().and_then(self::names);
                document.insert("type".into(), value);
                // Nobody could read it with another type.
                reader.pieces.truncate(pieces);
            }
            Some(at) => {
                // What later versions add behind the last one has no name yet.
                if let Some(&name) = names?.get(at)
                    && !value.is_null()
                {
                    document.insert(name.into(), value);
                }
            }
        }
    }
    if reader.at != end || names.is_none() {
        return None;
    }
    // How a call ended is told by a number here, and in JSON by what else is there.
    match document.remove("resultKind").and_then(|kind| kind.as_u64()) {
        Some(1) => rename(&mut document, "error"),
        Some(2) => {
            document.remove("result");
        }
        _ => {}
    }
    decoded.lengths.push(Length {
        at: from..begin,
        count: LengthForm::Varint(i32::MAX.unsigned_abs() as usize),
        covers: begin..end,
    });
    decoded.units.push(Unit {
        at: from..end,
        pieces: reader.pieces,
        document: Value::Object(document),
    });
    Some(end)
}

fn rename(document: &mut Map<String, Value>, name: &str) {
    if let Some(value) = document.remove("result") {
        document.insert(name.into(), value);
    }
}

/// A size of at most 2^31 - 1, seven bits to a byte, and where it ends.
fn size(data: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut size = 0_usize;
    for at in 0..5 {
        let byte = *data.get(from + at)?;
        size |= usize::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some((size, from + at + 1));
        }
    }
    None
}
