//! Framings whose frames need not begin and end with WebSocket messages.

use super::{Decoded, Length, Unit};

/// Why such a message cannot be left out.
const NEEDED: &str = "a frame is cut over messages, which the receiver cannot bear to lose a part of";

/// The beginning of a frame whose end is still to come.
#[derive(Debug, Default)]
pub(in crate::inspect) struct Pending {
    pub(super) bytes: Vec<u8>,
    wait: Wait,
    /// Of the protocol, as its first packet has said.
    pub(super) version: Option<u8>,
}

impl Pending {
    pub(super) fn begin(version: Option<u8>) -> Self {
        Self {
            version,
            ..Self::default()
        }
    }
}

/// What has to come before a frame can end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    #[default]
    Byte,
    /// Until it has so many bytes.
    Size(usize),
    /// This byte.
    For(u8),
}

/// What is at the front of the stream.
pub(super) enum Front {
    /// A frame that ends here.
    Frame(Unit, Vec<Length>, usize),
    /// Nothing, up to here.
    Idle(usize),
    More(Wait),
    Broken,
}

/// Cuts frames off with `front`, which gets the stream, where to look, and the version. What is kept for the next
/// message has at most `limit` bytes; the last value says that more would have been needed.
pub(super) fn cut(
    mut pending: Pending,
    data: &[u8],
    limit: usize,
    front: impl Fn(&[u8], usize, &mut Option<u8>) -> Front,
) -> (Option<Decoded>, Pending, bool) {
    let known = pending.bytes.len();
    pending.bytes.extend_from_slice(data);
    let can_end = match pending.wait {
        Wait::Byte => true,
        Wait::Size(size) => pending.bytes.len() >= size,
        Wait::For(byte) => memchr::memchr(byte, data).is_some(),
    };
    let mut decoded = Decoded {
        begins_inside: known > 0,
        ..Decoded::default()
    };
    let mut from = 0;
    while can_end && from < pending.bytes.len() {
        match front(&pending.bytes, from, &mut pending.version) {
            Front::Frame(unit, lengths, end) => {
                decoded.units.push(unit);
                decoded.lengths.extend(lengths);
                from = end;
                pending.wait = Wait::Byte;
            }
            Front::Idle(end) => from = end,
            Front::More(wait) => {
                pending.wait = match wait {
                    Wait::Size(size) => Wait::Size(size - from),
                    other => other,
                };
                break;
            }
            Front::Broken => return (None, Pending::begin(pending.version), false),
        }
    }
    // From places in the stream to places in the message.
    for unit in &mut decoded.units {
        for piece in &mut unit.pieces {
            piece.at = piece
                .at
                .take()
                .filter(|at| at.start >= known)
                .map(|at| at.start - known..at.end - known);
        }
        unit.at = unit.at.start.saturating_sub(known)..unit.at.end.saturating_sub(known);
    }
    decoded.lengths.retain(|length| length.at.start >= known);
    for length in &mut decoded.lengths {
        length.at = length.at.start - known..length.at.end - known;
        length.covers = length.covers.start - known..length.covers.end - known;
    }
    pending.bytes.drain(..from);
    if pending.bytes.is_empty() {
        pending.bytes = Vec::new();
    } else {
        // What has come of a cut frame is looked at as it is: its end may never come.
        decoded.units.push(Unit {
            at: from.saturating_sub(known)..data.len(),
            pieces: Vec::new(),
            document: serde_json::Value::Null,
        });
    }
    if known > 0 || !pending.bytes.is_empty() {
        decoded.needed = Some(NEEDED);
    }
    if pending.bytes.len() > limit {
        return (None, Pending::begin(pending.version), true);
    }
    (Some(decoded), pending, false)
}
