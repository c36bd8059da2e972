//! Pieces replaced in their message, and the lengths around them.

use super::decoded::{Decoded, FramedValue, Length, LengthForm, Written};
use super::stomp;
use std::ops::Range;

const TOO_LONG: &str = "the result is too long for its framing";

type Change = (Range<usize>, Vec<u8>);

/// `data` with new texts in the places of pieces of `decoded`.
///
/// # Errors
/// Why one of them cannot be written there.
pub(in crate::inspect) fn redact(
    decoded: &Decoded,
    data: &[u8],
    edits: &[(&FramedValue, Vec<u8>)],
) -> Result<Vec<u8>, &'static str> {
    let data = decoded.content(data);
    if decoded.begins_inside {
        return Err("a part of the frame has gone on");
    }
    let mut changes: Vec<Change> = Vec::with_capacity(edits.len());
    for (piece, text) in edits {
        let at = piece.at.clone().ok_or("a part of what matched has gone on")?;
        changes.push((at, write(piece.written, text)?));
    }
    // From the inside out: what a length covers may have lengths in it.
    let mut lengths: Vec<&Length> = decoded.lengths.iter().collect();
    lengths.sort_by_key(|length| length.covers.len());
    for length in lengths {
        let inside = || {
            let covers = &length.covers;
            (changes.iter()).filter(move |(at, _)| covers.start <= at.start && at.end <= covers.end)
        };
        if inside().next().is_none() {
            continue;
        }
        let (gone, come) = inside().fold((0, 0), |(gone, come), (at, new)| {
            (gone + at.len(), come + new.len())
        });
        let size = length.covers.len() - gone + come;
        changes.push((length.at.clone(), length.count.write(size)?));
    }
    changes.sort_unstable_by_key(|(at, _)| at.start);
    let mut out = Vec::with_capacity(data.len());
    let mut from = 0;
    for (at, bytes) in changes {
        let kept = data.get(from..at.start).ok_or("what matched overlaps")?;
        out.extend_from_slice(kept);
        out.extend_from_slice(&bytes);
        from = at.end;
    }
    out.extend_from_slice(data.get(from..).unwrap_or_default());
    match &decoded.inside {
        Some((_, wrap)) => wrap.write(&out),
        None => Ok(out),
    }
}

impl LengthForm {
    fn write(self, size: usize) -> Result<Vec<u8>, &'static str> {
        match self {
            Self::Decimal => Ok(size.to_string().into_bytes()),
            Self::U16 => u16::try_from(size)
                .map(|size| size.to_be_bytes().to_vec())
                .map_err(|_| TOO_LONG),
            Self::Varint(most) if size > most => Err(TOO_LONG),
            Self::Varint(_) => {
                let (mut bytes, mut left) = (Vec::with_capacity(5), size);
                loop {
                    let more = if left > 0x7f { 0x80 } else { 0 };
                    bytes.push(u8::try_from(left & 0x7f).unwrap_or_default() | more);
                    left >>= 7;
                    if left == 0 {
                        return Ok(bytes);
                    }
                }
            }
        }
    }
}

fn write(written: Written, bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    let text = || std::str::from_utf8(bytes).map_err(|_| "the result is not UTF-8");
    let without = |none: &[u8]| {
        if bytes.iter().any(|byte| none.contains(byte)) {
            Err("the result has a character that cannot be there")
        } else {
            text().map(|_| bytes.to_vec())
        }
    };
    match written {
        Written::Plain => Ok(bytes.to_vec()),
        // A number of which a part was replaced is no number any more: it becomes a string.
        Written::Json => serde_json::to_vec(text()?).map_err(|_| "the result cannot be written as JSON"),
        Written::Header if bytes.contains(&0) => Err("the result has a character that cannot be there"),
        Written::Header => Ok(stomp::escape(text()?).into_bytes()),
        Written::PlainHeader => without(b"\0\r\n"),
        Written::NoZero if bytes.contains(&0) => Err("the result has a character that cannot be there"),
        Written::NoZero => Ok(bytes.to_vec()),
        Written::Text => without(b"\0"),
        Written::Topic => without(b"\0#+"),
        Written::PackedText => packed(text()?.as_bytes(), rmp::encode::write_str_len),
        Written::PackedBytes => packed(bytes, rmp::encode::write_bin_len),
    }
}

fn packed<M, E>(bytes: &[u8], head: fn(&mut Vec<u8>, u32) -> Result<M, E>) -> Result<Vec<u8>, &'static str> {
    let size = u32::try_from(bytes.len()).map_err(|_| TOO_LONG)?;
    let mut out = Vec::with_capacity(bytes.len() + 5);
    head(&mut out, size).map_err(|_| TOO_LONG)?;
    out.extend_from_slice(bytes);
    Ok(out)
}
