//! MQTT 3.1, 3.1.1 and 5 over WebSocket (section 6.0 of the last two): packets in binary messages, cut and packed
//! at will.
//!
//! Where the properties of version 5 are is only known from CONNECT, or from the size of CONNACK in the other direction.

use super::decoded::{FramedValue, Length, LengthForm, Unit, Written};
use super::pieces::{json, plain};
use super::stream::{Front, Wait};
use serde_json::{Value, json};

/// The most that a variable byte integer of four bytes says.
const MAX_VARINT: usize = 268_435_455;

const NAMES: [&str; 16] = [
    "",
    "connect",
    "connack",
    "publish",
    "puback",
    "pubrec",
    "pubrel",
    "pubcomp",
    "subscribe",
    "suback",
    "unsubscribe",
    "unsuback",
    "pingreq",
    "pingresp",
    "disconnect",
    "auth",
];

pub(super) fn front(data: &[u8], from: usize, version: &mut Option<u8>) -> Front {
    packet(data, from, version).unwrap_or(Front::Broken)
}

/// A variable byte integer (section 1.5.5) and its size; `Err(true)` where it goes on behind the data.
fn varint(data: &[u8], from: usize) -> Result<(usize, usize), bool> {
    let mut value = 0;
    for at in 0..4 {
        let byte = *data.get(from + at).ok_or(true)?;
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Ok((value, from + at + 1));
        }
    }
    Err(false)
}

fn packet(data: &[u8], from: usize, version: &mut Option<u8>) -> Option<Front> {
    let first = *data.get(from)?;
    let (kind, flags) = (first >> 4, first & 0x0f);
    let fits = match kind {
        0 => false,
        3 => flags & 0b0110 != 0b0110,
        6 | 8 | 10 => flags == 2,
        _ => flags == 0,
    };
    if !fits {
        return None;
    }
    let (size, body) = match varint(data, from + 1) {
        Ok(found) => found,
        Err(true) => return Some(Front::More(Wait::Byte)),
        Err(false) => return None,
    };
    let end = body + size;
    if end > data.len() {
        return Some(Front::More(Wait::Size(end)));
    }
    let mut fields = FieldReader {
        data: data.get(..end)?,
        at: body,
        pieces: Vec::new(),
        lengths: vec![Length {
            at: from + 1..body,
            count: LengthForm::Varint(MAX_VARINT),
            covers: body..end,
        }],
    };
    let mut document = json!({"packet": *NAMES.get(usize::from(kind))?});
    match kind {
        1 => fields.connect(version, &mut document)?,
        2 if size >= 2 => {
            // Version 5 adds at least the length of its properties.
            version.get_or_insert(if size == 2 { 4 } else { 5 });
        }
        3 => fields.publish(flags, *version, &mut document)?,
        _ => {}
    }
    let unit = Unit {
        at: from..end,
        pieces: fields.pieces,
        document,
    };
    Some(Front::Frame(unit, fields.lengths, end))
}

struct FieldReader<'a> {
    data: &'a [u8],
    at: usize,
    pieces: Vec<FramedValue>,
    lengths: Vec<Length>,
}

impl FieldReader<'_> {
    fn byte(&mut self) -> Option<u8> {
        self.at += 1;
        self.data.get(self.at - 1).copied()
    }

    fn properties(&mut self) -> Option<()> {
        let (size, at) = varint(self.data, self.at).ok()?;
        self.at = at + size;
        (self.at <= self.data.len()).then_some(())
    }

    /// A field with two bytes of length in front.
    fn field(&mut self, written: Written) -> Option<&FramedValue> {
        let (high, low) = (self.byte()?, self.byte()?);
        let from = self.at;
        let end = from + usize::from(u16::from_be_bytes([high, low]));
        let mut piece = plain(self.data, from, end)?;
        if written != Written::Plain {
            std::str::from_utf8(&piece.text).ok()?;
        }
        piece.written = written;
        self.lengths.push(Length {
            at: from - 2..from,
            count: LengthForm::U16,
            covers: from..end,
        });
        self.at = end;
        self.pieces.push(piece);
        self.pieces.last()
    }

    fn text(&mut self, written: Written) -> Option<Value> {
        let piece = self.field(written)?;
        Some(String::from_utf8_lossy(&piece.text).into())
    }

    fn connect(&mut self, version: &mut Option<u8>, document: &mut Value) -> Option<()> {
        self.text(Written::Text)?;
        // Nobody would know the protocol under another name.
        let name = self.pieces.pop()?;
        self.lengths.pop();
        if !matches!(&name.text[..], b"MQTT" | b"MQIsdp") {
            return None;
        }
        // A bridge sets the highest bit.
        let level = self.byte()? & 0x7f;
        let flags = self.byte()?;
        self.at += 2;
        *version = Some(level);
        document["version"] = level.into();
        if level == 5 {
            self.properties()?;
        }
        document["client_id"] = self.text(Written::Text)?;
        if flags & 0x04 != 0 {
            if level == 5 {
                self.properties()?;
            }
            document["will_topic"] = self.text(Written::Topic)?;
            self.field(Written::Plain)?;
        }
        if flags & 0x80 != 0 {
            document["user_name"] = self.text(Written::Text)?;
        }
        if flags & 0x40 != 0 {
            self.field(Written::Plain)?;
        }
        (self.at == self.data.len()).then_some(())
    }

    fn publish(&mut self, flags: u8, version: Option<u8>, document: &mut Value) -> Option<()> {
        document["topic"] = self.text(Written::Topic)?;
        if flags & 0b0110 != 0 {
            self.at += 2;
        }
        if version == Some(5) {
            self.properties()?;
        }
        let (from, end) = (self.at, self.data.len());
        if from > end {
            return None;
        }
        let mut inside = Vec::new();
        if let Some(payload) = json(self.data, from, end, &mut inside) {
            document["payload"] = payload;
            self.pieces.append(&mut inside);
        } else {
            let piece = plain(self.data, from, end)?;
            if let Ok(text) = std::str::from_utf8(&piece.text) {
                document["payload"] = text.into();
            }
            self.pieces.push(piece);
        }
        Some(())
    }
}
