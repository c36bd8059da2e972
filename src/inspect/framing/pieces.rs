//! The strings and numbers of a JSON text, each with its place.

use super::decoded::{FramedValue, Written};
use serde_json::Value;

/// Parses the JSON text `data[from..to]`, and adds its strings (member names too) and numbers to `pieces`.
pub(super) fn json(data: &[u8], from: usize, to: usize, pieces: &mut Vec<FramedValue>) -> Option<Value> {
    let text = data.get(from..to)?;
    let document = serde_json::from_slice(text).ok()?;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let end = match byte {
            b'"' => string_end(text, at)?,
            b'-' | b'0'..=b'9' => number_end(text, at),
            _ => {
                at += 1;
                continue;
            }
        };
        let raw = text.get(at..end)?;
        let text = match raw {
            [b'"', plain @ .., b'"'] if memchr::memchr(b'\\', plain).is_none() => plain.to_vec(),
            [b'"', ..] => serde_json::from_slice::<String>(raw).ok()?.into_bytes(),
            _ => raw.to_vec(),
        };
        pieces.push(FramedValue {
            at: Some(from + at..from + end),
            text,
            written: Written::Json,
        });
        at = end;
    }
    Some(document)
}

fn string_end(text: &[u8], begin: usize) -> Option<usize> {
    let mut at = begin + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        match text.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

fn number_end(text: &[u8], begin: usize) -> usize {
    let is_number = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
    let size = text.iter().skip(begin).take_while(|byte| is_number(byte)).count();
    begin + size
}

/// A piece that is written as it is said.
pub(super) fn plain(data: &[u8], from: usize, to: usize) -> Option<FramedValue> {
    Some(FramedValue {
        at: Some(from..to),
        text: data.get(from..to)?.to_vec(),
        written: Written::Plain,
    })
}
