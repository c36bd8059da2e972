//! STOMP 1.0 to 1.2: a command, headers, an empty line, a body, and a zero byte. Line ends between frames are
//! heart-beats.

use super::decoded::{FramedValue, Length, LengthForm, Unit, Written};
use super::pieces::{json, plain};
use super::stream::{Front, Wait};
use serde_json::{Map, Value, json};

/// The most that a command with its headers may take.
const MAX_HEAD: usize = 16 * 1024;

pub(super) fn front(data: &[u8], from: usize, _: &mut Option<u8>) -> Front {
    let beats = data
        .iter()
        .skip(from)
        .take_while(|byte| matches!(byte, b'\n' | b'\r'))
        .count();
    if beats > 0 {
        return Front::Idle(from + beats);
    }
    frame(data, from).unwrap_or(Front::Broken)
}

/// One line from `from` without its end, and where the next one begins. The first value is `None` where it has no end.
fn line(data: &[u8], from: usize) -> Option<(usize, usize)> {
    let end = from + memchr::memchr(b'\n', data.get(from..)?)?;
    let is_crlf = end > from && data.get(end - 1) == Some(&b'\r');
    Some((end - usize::from(is_crlf), end + 1))
}

fn frame(data: &[u8], from: usize) -> Option<Front> {
    let is_far = data.len() - from > MAX_HEAD;
    let more = || (!is_far).then_some(Front::More(Wait::For(b'\n')));
    let upper = data
        .iter()
        .skip(from)
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    match data.get(from + upper) {
        None if upper <= 16 => return Some(Front::More(Wait::Byte)),
        Some(b'\n' | b'\r') if (3..=16).contains(&upper) => {}
        _ => return None,
    }
    let Some((end, mut at)) = line(data, from) else {
        return more();
    };
    // A head that comes in many small pieces is not read for each of them.
    let is_whole = |rest: &[u8]| {
        let mut ends = [&b"\n\n"[..], b"\n\r\n"].into_iter();
        ends.any(|end| memchr::memmem::find(rest, end).is_some())
    };
    if !is_far && !is_whole(data.get(at - 1..)?) {
        return more();
    }
    let command = std::str::from_utf8(data.get(from..end)?).ok()?;
    // Connecting is older than escapes, and has none (STOMP 1.2, "Value Encoding").
    let escapes = !matches!(command, "CONNECT" | "CONNECTED");
    let mut pieces = Vec::new();
    let mut headers = Map::new();
    let mut length = None;
    loop {
        if at - from > MAX_HEAD {
            return None;
        }
        let Some((end, next)) = line(data, at) else {
            return more();
        };
        if end == at {
            at = next;
            break;
        }
        let colon = at + memchr::memchr(b':', data.get(at..end)?)?;
        let name = unescape(data.get(at..colon)?, escapes)?;
        let value = unescape(data.get(colon + 1..end)?, escapes)?;
        if name == "content-length" && length.is_none() {
            length = Some((colon + 1..end, value.trim().parse::<u32>().ok()?));
        } else {
            pieces.push(FramedValue {
                at: Some(colon + 1..end),
                text: value.clone().into_bytes(),
                written: if escapes {
                    Written::Header
                } else {
                    Written::PlainHeader
                },
            });
        }
        // Of a header that is there twice, the first counts.
        headers.entry(name).or_insert(Value::String(value));
        at = next;
    }
    let mut lengths = Vec::new();
    let end = match length {
        Some((place, size)) => {
            let end = at.checked_add(usize::try_from(size).ok()?)?;
            if end >= data.len() {
                return Some(Front::More(Wait::Size(end + 1)));
            }
            lengths.push(Length {
                at: place,
                count: LengthForm::Decimal,
                covers: at..end,
            });
            end
        }
        None => match memchr::memchr(0, data.get(at..)?) {
            Some(zero) => at + zero,
            None => return Some(Front::More(Wait::For(0))),
        },
    };
    if data.get(end) != Some(&0) {
        return None;
    }
    let has_length = !lengths.is_empty();
    let mut document = json!({"command": command, "headers": headers});
    if at < end {
        let mut inside = Vec::new();
        if let Some(body) = json(data, at, end, &mut inside) {
            document["body"] = body;
            pieces.append(&mut inside);
        } else {
            let mut body = plain(data, at, end)?;
            if !has_length {
                body.written = Written::NoZero;
            }
            if let Ok(text) = std::str::from_utf8(&body.text) {
                document["body"] = text.into();
            }
            pieces.push(body);
        }
    }
    let unit = Unit {
        at: from..end + 1,
        pieces,
        document,
    };
    Some(Front::Frame(unit, lengths, end + 1))
}

fn unescape(text: &[u8], escapes: bool) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    if !escapes || !text.contains('\\') {
        return Some(text.to_owned());
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        plain.push(match char {
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                'c' => ':',
                '\\' => '\\',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}

pub(super) fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    text.replace('\r', "\\r").replace(':', "\\c")
}
