//! A message, or several that are judged as one.

use super::super::Judgement;
use crate::wire::frame::{DataHead, FrameCounts, Opcode};
use std::time::Duration;

/// What becomes of the bytes of the message under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// They go on at once.
    Pass,
    /// They wait for their verdict.
    Hold,
    /// They are decoded and go on as fragments of the proxy's own.
    Stream,
    /// They do not go on.
    LeaveOut,
}

/// A message that is made of several is at least this large, so that a change in tiny ones does not make many.
pub(super) const MIN_PART: usize = 1024;

/// One of several messages that are judged as one.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessagePart {
    /// As that of its message.
    pub(super) number: Option<u64>,
    pub(super) at: Duration,
    /// How much of the content is its.
    pub(super) size: usize,
    /// Its payload bytes as they came.
    pub(super) wire_size: u64,
}

/// The frames of a message that were kept when they had come, for as long as they may go on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeptFrames {
    /// How many.
    frames: u32,
    /// The payload of those that begin a message, and of those that continue one.
    payload: [u64; 2],
}

impl KeptFrames {
    pub(super) fn add(&mut self, head: DataHead) {
        self.frames += 1;
        self.payload[usize::from(head.opcode == Opcode::Continuation)] += head.payload;
    }

    /// As they are counted, if so many of them begin a message of this opcode.
    fn counts(&self, opcode: Opcode, beginnings: u32) -> FrameCounts {
        let beginnings = beginnings.min(self.frames);
        let mut counts = FrameCounts::default();
        for (opcode, frames, payload) in [
            (opcode, beginnings, self.payload[0]),
            (Opcode::Continuation, self.frames - beginnings, self.payload[1]),
        ] {
            counts.frames[opcode.index()] = frames;
            counts.payload_bytes[opcode.index()] = payload;
        }
        counts
    }
}

/// A message that is over.
#[derive(Debug)]
pub(super) struct FilteredMessage {
    /// The header of its first frame.
    pub(super) head: DataHead,
    pub(super) opcode: Opcode,
    pub(super) fate: Fate,
    /// A rule looks at it.
    pub(super) is_judged: bool,
    /// `plain` is all of it.
    pub(super) is_whole: bool,
    /// Where it is held: its frames as they came.
    pub(super) raw: Vec<u8>,
    /// What it says: unmasked and inflated.
    pub(super) plain: Vec<u8>,
    /// Decoded bytes, kept or not.
    pub(super) size: u64,
    /// Payload bytes as they came.
    pub(super) wire_size: u64,
    /// Its frames that are over and were kept.
    pub(super) kept: KeptFrames,
    /// Of `size`, what came out of a decoder.
    pub(super) inflated: u64,
    /// The opcode of its next fragment, where it is streamed.
    pub(super) next_opcode: Opcode,
    /// Payload bytes of its fragments so far, where it is streamed.
    pub(super) streamed: u64,
    /// It could not be decoded.
    pub(super) is_lost: bool,
    /// Where it is recorded: which of its direction's messages it is.
    pub(super) number: Option<u64>,
    /// When its last byte came, by the filter's clock.
    pub(super) at: Duration,
    /// Where several are judged as one: the first of them, and so on.
    pub(super) parts: Vec<MessagePart>,
    /// Why it was left out before it had come.
    pub(super) left_out: Option<Box<Judgement>>,
}

pub(super) const NO_FRAME: DataHead = DataHead {
    opcode: Opcode::Binary,
    fin: true,
    rsv1: false,
    payload: 0,
    mask: None,
};

impl FilteredMessage {
    pub(super) const fn none() -> Self {
        Self {
            head: NO_FRAME,
            opcode: Opcode::Binary,
            fate: Fate::Pass,
            is_judged: false,
            is_whole: true,
            raw: Vec::new(),
            plain: Vec::new(),
            size: 0,
            wire_size: 0,
            kept: KeptFrames {
                frames: 0,
                payload: [0; 2],
            },
            inflated: 0,
            next_opcode: Opcode::Binary,
            streamed: 0,
            is_lost: false,
            number: None,
            at: Duration::ZERO,
            parts: Vec::new(),
            left_out: None,
        }
    }

    /// Whether both can be judged as one message, whose content is at most `room`.
    pub(super) fn can_take(&self, next: &Self, room: usize) -> bool {
        let is_ready = |it: &Self| it.fate == Fate::Hold && it.is_judged && it.is_whole;
        is_ready(self)
            && is_ready(next)
            && self.opcode == next.opcode
            && self.plain.len() + next.plain.len() <= room
    }

    /// Takes in the message behind it.
    pub(super) fn take(&mut self, next: Self) {
        if self.parts.is_empty() {
            self.parts.push(self.part());
        }
        self.parts.push(next.part());
        self.raw.extend_from_slice(&next.raw);
        self.plain.extend_from_slice(&next.plain);
        self.size += next.size;
        self.wire_size += next.wire_size;
        self.kept.frames += next.kept.frames;
        for (payload, more) in self.kept.payload.iter_mut().zip(next.kept.payload) {
            *payload += more;
        }
        // What was compressed cannot go on by itself once the receiver's window is another.
        self.head.rsv1 |= next.head.rsv1;
        self.at = next.at;
    }

    fn part(&self) -> MessagePart {
        MessagePart {
            number: self.number,
            at: self.at,
            size: self.plain.len(),
            wire_size: self.wire_size,
        }
    }

    /// How many messages it is.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.parts.len()).unwrap_or(u32::MAX).max(1)
    }

    /// Its frames that were kept.
    pub(super) fn kept_frames(&self) -> FrameCounts {
        self.kept.counts(self.opcode, self.count())
    }

    /// All that was kept of it, where it is over.
    pub(super) fn counts(&self) -> FrameCounts {
        let mut counts = self.kept_frames();
        if self.parts.is_empty() {
            counts.message(self.wire_size);
        }
        for part in &self.parts {
            counts.message(part.wire_size);
        }
        counts
    }

    /// What it keeps, in bytes. What its content lies in may be the thread's, and larger than it needs: what a
    /// message may take must not depend on which message was there before.
    pub(super) fn held(&self) -> usize {
        let parts = self.parts.capacity() * size_of::<MessagePart>();
        self.raw.capacity() + self.plain.len() + parts
    }

    /// One that is held, of one frame that was not compressed.
    pub(super) fn whole(head: DataHead, raw: &[u8], plain: &[u8]) -> Self {
        Self {
            head,
            opcode: head.opcode,
            fate: Fate::Hold,
            is_judged: true,
            raw: raw.to_vec(),
            plain: plain.to_vec(),
            size: head.payload,
            wire_size: head.payload,
            kept: KeptFrames {
                frames: 1,
                payload: [head.payload, 0],
            },
            ..Self::none()
        }
    }
}
