//! Socket.IO packets (protocol 3 to 5) in Engine.IO packets (protocol 3 and 4).
//!
//! An Engine.IO packet is a digit and its data; 4 is a message, and its data a Socket.IO packet. A payload of HTTP
//! polling holds several: protocol 4 puts 0x1E between them, protocol 3 `LENGTH:` before each, in UTF-16 units.
//! The attachments of a binary event are the binary messages that follow it.

use super::decoded::{Decoded, Unit};
use super::pieces::{json, plain};
use crate::wire::frame::Opcode;
use serde_json::{Value, json};

const SEPARATOR: u8 = 0x1e;
/// More attachments than anybody sends; a larger number would be an attempt to be left waiting.
const MAX_ATTACHMENTS: u32 = 65_536;
const NEEDED: &str = "its event has gone on without it, which the receiver cannot bear";

/// The attachments that are still to come.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::inspect) struct Awaited {
    count: u32,
    event: Value,
    /// The event did not go on.
    pub(super) left_out: bool,
}

pub(super) fn decode(
    before: Option<&Awaited>,
    data: &[u8],
    opcode: Option<Opcode>,
) -> (Option<Decoded>, Option<Awaited>) {
    if opcode == Some(Opcode::Binary) {
        let Some(awaited) = before else {
            return (None, None);
        };
        return attachment(awaited, data);
    }
    let mut decoded = Decoded::default();
    let mut awaited = None;
    for (from, to) in match packets(data) {
        Some(packets) => packets,
        None => return (None, None),
    } {
        match packet(data, from, to) {
            Some((unit, count)) => {
                if count > 0 {
                    awaited = Some(Awaited {
                        count,
                        event: unit.document.clone(),
                        left_out: false,
                    });
                }
                decoded.units.push(unit);
            }
            None => return (None, None),
        }
    }
    let is_message = decoded
        .units
        .iter()
        .any(|unit| data.get(unit.at.start) == Some(&b'4'));
    // Pings and pongs of Engine.IO may stand between an event and its attachments.
    let after = awaited.or_else(|| before.filter(|_| !is_message).cloned());
    (Some(decoded), after)
}

fn attachment(awaited: &Awaited, data: &[u8]) -> (Option<Decoded>, Option<Awaited>) {
    // Engine.IO 3 puts the packet's type in front, as a byte.
    let from = usize::from(data.first() == Some(&4));
    let unit = Unit {
        at: 0..data.len(),
        pieces: plain(data, from, data.len()).into_iter().collect(),
        document: awaited.event.clone(),
    };
    let decoded = Decoded {
        units: vec![unit],
        needed: (!awaited.left_out).then_some(NEEDED),
        orphaned: awaited.left_out,
        ..Decoded::default()
    };
    let after = match awaited.count {
        0 | 1 => None,
        count => Some(Awaited {
            count: count - 1,
            ..awaited.clone()
        }),
    };
    (Some(decoded), after)
}

/// Where the Engine.IO packets are.
fn packets(data: &[u8]) -> Option<Vec<(usize, usize)>> {
    let mut packets = Vec::new();
    if length(data, 0).is_some() {
        let text = std::str::from_utf8(data).ok()?;
        let mut at = 0;
        while at < data.len() {
            let (from, units) = length(data, at)?;
            let mut left = units;
            let mut to = from;
            for char in text.get(from..)?.chars() {
                if left == 0 {
                    break;
                }
                left = left.checked_sub(char.len_utf16())?;
                to += char.len_utf8();
            }
            if left > 0 || to == from {
                return None;
            }
            packets.push((from, to));
            at = to;
        }
        return Some(packets);
    }
    let mut from = 0;
    for end in memchr::memchr_iter(SEPARATOR, data).chain([data.len()]) {
        packets.push((from, end));
        from = end + 1;
    }
    Some(packets)
}

/// The number before a colon, and where the packet begins.
fn length(data: &[u8], at: usize) -> Option<(usize, usize)> {
    let (value, end) = number(data, at, data.len())?;
    (data.get(end) == Some(&b':')).then_some((end + 1, usize::try_from(value).ok()?))
}

/// A decimal number, and where it ends.
fn number(data: &[u8], from: usize, to: usize) -> Option<(u64, usize)> {
    let digits = data
        .get(from..to)?
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let text = std::str::from_utf8(data.get(from..from + digits)?).ok()?;
    Some((text.parse().ok()?, from + digits))
}

/// One Engine.IO packet, and how many attachments follow it.
fn packet(data: &[u8], from: usize, to: usize) -> Option<(Unit, u32)> {
    let mut unit = Unit {
        at: from..to,
        pieces: Vec::new(),
        document: Value::Null,
    };
    let name = match data.get(from..to)?.first()? {
        b'4' => {
            let count = message(data, from + 1, to, &mut unit)?;
            return Some((unit, count));
        }
        b'b' => {
            // Base64, for receivers without binary: it stays as it is.
            unit.pieces.extend(plain(data, from + 1, to));
            "binary"
        }
        b'0' => {
            let opened = json(data, from + 1, to, &mut unit.pieces)?;
            unit.document = json!({"packet": "open", "data": opened});
            return Some((unit, 0));
        }
        b'1' => "close",
        b'2' => "ping",
        b'3' => "pong",
        b'5' => "upgrade",
        b'6' => "noop",
        _ => return None,
    };
    if name != "binary" && from + 1 < to {
        unit.pieces.extend(plain(data, from + 1, to));
    }
    unit.document = json!({"packet": name});
    Some((unit, 0))
}

/// `type [attachments "-"] [namespace ","] [id] [JSON]`
fn message(data: &[u8], from: usize, to: usize, unit: &mut Unit) -> Option<u32> {
    let kind = *data.get(from..to)?.first()?;
    let name = match kind {
        b'0' => "connect",
        b'1' => "disconnect",
        b'2' | b'5' => "event",
        b'3' | b'6' => "ack",
        b'4' => "error",
        _ => return None,
    };
    let mut at = from + 1;
    let mut count = 0;
    if matches!(kind, b'5' | b'6') {
        let (value, end) = number(data, at, to)?;
        count = u32::try_from(value)
            .ok()
            .filter(|count| *count <= MAX_ATTACHMENTS)?;
        at = (data.get(end) == Some(&b'-')).then_some(end + 1)?;
    }
    let mut namespace = "/";
    if data.get(at..to)?.first() == Some(&b'/') {
        let end = memchr::memchr(b',', data.get(at..to)?).map_or(to, |comma| at + comma);
        namespace = std::str::from_utf8(data.get(at..end)?).ok()?;
        unit.pieces.extend(plain(data, at, end));
        at = to.min(end + 1);
    }
    let mut document = json!({"packet": name, "namespace": namespace});
    if let Some((id, end)) = number(data, at, to) {
        document["id"] = id.into();
        at = end;
    }
    if at < to {
        let content = json(data, at, to, &mut unit.pieces)?;
        let fits = match kind {
            b'0' => content.is_object() || content.is_string(),
            b'2' | b'3' | b'5' | b'6' => content.is_array(),
            _ => true,
        };
        if !fits {
            return None;
        }
        document["data"] = content;
    } else if matches!(kind, b'2' | b'3' | b'5' | b'6') {
        return None;
    }
    unit.document = document;
    Some(count)
}
