//! Framings whose frames need not begin and end with WebSocket messages.

use super::decoded::{Decoded, Length, Unit};

/// Why such a message cannot be left out.
const NEEDED: &str = "a frame is cut over messages, which the receiver cannot bear to lose a part of";

/// The beginning of a frame whose end is still to come.
#[derive(Debug, Default)]
pub(in crate::inspect) struct Pending {
    pub(super) bytes: Vec<u8>,
    at: StreamCursor,
}

impl Pending {
    /// At the beginning of a frame.
    pub(super) fn begin(&self) -> Self {
        Self {
            bytes: Vec::new(),
            at: StreamCursor::begin(self.at.version),
        }
    }

    /// Where the next message begins, if that is at the beginning of a frame.
    pub(super) fn boundary(&self) -> Option<StreamCursor> {
        self.bytes
            .is_empty()
            .then(|| StreamCursor::begin(self.at.version))
    }
}

/// How far a stream has been cut into frames.
#[derive(Debug, Default, Clone)]
pub(in crate::inspect) struct StreamCursor {
    /// Where the frame under way begins.
    from: usize,
    /// What has been looked at.
    seen: usize,
    wait: Wait,
    /// Of the protocol, as its first packet has said.
    version: Option<u8>,
}

impl StreamCursor {
    pub(super) fn begin(version: Option<u8>) -> Self {
        Self {
            version,
            ..Self::default()
        }
    }

    /// Cuts off the frames that have ended by now, of a stream that has grown since; says whether it is such a stream.
    fn advance(
        &mut self,
        stream: &[u8],
        front: impl Fn(&[u8], usize, &mut Option<u8>) -> Front,
        mut each: impl FnMut(Unit, Vec<Length>),
    ) -> bool {
        let can_end = match self.wait {
            Wait::Byte => true,
            Wait::Size(size) => stream.len() >= size,
            Wait::For(byte) => memchr::memchr(byte, stream.get(self.seen..).unwrap_or_default()).is_some(),
        };
        self.seen = stream.len();
        while can_end && self.from < stream.len() {
            match front(stream, self.from, &mut self.version) {
                Front::Frame(unit, lengths, end) => {
                    each(unit, lengths);
                    (self.from, self.wait) = (end, Wait::Byte);
                }
                Front::Idle(end) => self.from = end,
                Front::More(wait) => {
                    self.wait = wait;
                    break;
                }
                Front::Broken => return false,
            }
        }
        true
    }

    /// The same, where nobody wants the frames: whether the stream ends inside of one.
    pub(super) fn ends_inside(
        &mut self,
        stream: &[u8],
        front: impl Fn(&[u8], usize, &mut Option<u8>) -> Front,
    ) -> bool {
        self.advance(stream, front, |_, _| {}) && self.from < stream.len()
    }

    /// What was cut off is forgotten.
    fn forget(&mut self) {
        if let Wait::Size(size) = &mut self.wait {
            *size -= self.from;
        }
        self.seen -= self.from;
        self.from = 0;
    }
}

/// What has to come before a frame can end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    #[default]
    Byte,
    /// Until it has so many bytes.
    Size(usize),
    /// Until this byte comes.
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
    let mut decoded = Decoded {
        begins_inside: known > 0,
        ..Decoded::default()
    };
    let Pending { bytes, at } = &mut pending;
    let is_stream = at.advance(bytes, front, |unit, lengths| {
        decoded.units.push(unit);
        decoded.lengths.extend(lengths);
    });
    if !is_stream {
        return (None, pending.begin(), false);
    }
    let from = pending.at.from;
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
    pending.at.forget();
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
        return (None, pending.begin(), true);
    }
    (Some(decoded), pending, false)
}
