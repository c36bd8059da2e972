//! Cuts what a [`super::Follower`] has passed into the pieces of its frames, without copying.

use super::{Direction, Opcode};

/// One piece of the stream. All of them in order are all of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FramePiece<'a> {
    /// The header of a data frame.
    Head {
        /// The bytes that it is on the wire.
        raw: &'a [u8],
        /// What those bytes say.
        head: DataHead,
    },
    /// Payload of the data frame whose header came last; never empty.
    Payload {
        /// Its bytes, masked as they came.
        raw: &'a [u8],
        /// Where in the frame's payload they begin.
        at: u64,
    },
    /// The data frame is over; no bytes.
    End,
    /// A whole control frame.
    Control {
        /// The bytes that it is on the wire.
        raw: &'a [u8],
        /// Close, Ping or Pong.
        opcode: Opcode,
    },
}

/// The header of a data frame (RFC 6455 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataHead {
    /// Text, Binary or Continuation.
    pub opcode: Opcode,
    /// The message ends with this frame.
    pub fin: bool,
    /// The message is compressed (RFC 7692 section 6); on its first frame.
    pub rsv1: bool,
    /// Bytes of the payload.
    pub payload: u64,
    /// The masking key of a frame to the origin.
    pub mask: Option<[u8; 4]>,
}

/// Follows one direction. It relies on what a follower ensures of the bytes that it passes: they are valid, and
/// neither a header nor a control frame is cut by the end of a chunk.
#[derive(Debug, Clone, Default)]
pub struct Cutter {
    /// Payload bytes of the current data frame that are still to come, and that have come.
    left: u64,
    at: u64,
    inside: bool,
}

impl Cutter {
    /// Takes the next piece off `bytes`; `None` when there is nothing more in them.
    pub fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<FramePiece<'a>> {
        if self.inside {
            if self.left == 0 {
                self.inside = false;
                return Some(FramePiece::End);
            }
            if bytes.is_empty() {
                return None;
            }
            let size = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let raw = take(bytes, size);
            let at = self.at;
            self.left -= size as u64;
            self.at += size as u64;
            return Some(FramePiece::Payload { raw, at });
        }
        let (head, size) = header(bytes)?;
        if head.opcode.is_control() {
            let whole = size
                + usize::try_from(head.payload)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len() - size);
            let raw = take(bytes, whole);
            return Some(FramePiece::Control {
                raw,
                opcode: head.opcode,
            });
        }
        let raw = take(bytes, size);
        (self.left, self.at, self.inside) = (head.payload, 0, true);
        Some(FramePiece::Head { raw, head })
    }

    /// Whether the next byte begins a frame.
    pub fn is_between_frames(&self) -> bool {
        !self.inside
    }
}

/// The frame at the start of `bytes`, if all of it is there: its header and its payload, as they came. For those who
/// begin [between frames](Cutter::is_between_frames), and leave all of it or nothing to [`Cutter::next`].
#[inline]
pub fn whole_frame(bytes: &[u8]) -> Option<(DataHead, &[u8], &[u8])> {
    let (head, size) = header(bytes)?;
    let end = size.checked_add(usize::try_from(head.payload).ok()?)?;
    let (raw, payload) = bytes.get(..end)?.split_at(size);
    Some((head, raw, payload))
}

/// Reads a header, and says how long it is; `None` if it is cut.
#[inline]
fn header(bytes: &[u8]) -> Option<(DataHead, usize)> {
    let &[first, second, ..] = bytes else {
        return None;
    };
    let (extended, masked) = (
        match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        },
        second & 0x80 != 0,
    );
    let size = 2 + extended + if masked { 4 } else { 0 };
    let header = bytes.get(..size)?;
    let payload = match header.get(2..2 + extended) {
        Some([]) | None => u64::from(second & 0x7f),
        Some(long) => long.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
    };
    let opcode = match first & 0x0f {
        0x0 => Opcode::Continuation,
        0x1 => Opcode::Text,
        0x8 => Opcode::Close,
        0x9 => Opcode::Ping,
        0xa => Opcode::Pong,
        _ => Opcode::Binary,
    };
    let head = DataHead {
        opcode,
        fin: first & 0x80 != 0,
        rsv1: first & 0x40 != 0,
        payload,
        mask: header.last_chunk::<4>().copied().filter(|_| masked),
    };
    Some((head, size))
}

fn take<'a>(bytes: &mut &'a [u8], size: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(size);
    *bytes = rest;
    taken
}

/// Masks or unmasks payload that begins `at` bytes behind its frame's header (RFC 6455 section 5.3).
pub fn mask_payload(mask: [u8; 4], at: u64, payload: &mut [u8]) {
    let mut mask = mask;
    mask.rotate_left((at % 4) as usize);
    let [a, b, c, d] = mask;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Whether payload is ASCII once it is unmasked, where it begins with its frame's first byte.
pub fn is_masked_ascii(mask: Option<[u8; 4]>, payload: &[u8]) -> bool {
    let mask = mask.unwrap_or_default();
    let word = u32::from_ne_bytes(mask);
    let (words, rest) = payload.as_chunks::<4>();
    let all = words
        .iter()
        .fold(0, |all, bytes| all | (u32::from_ne_bytes(*bytes) ^ word));
    let last = rest
        .iter()
        .zip(mask)
        .fold(0, |all, (byte, key)| all | (byte ^ key));
    all & 0x8080_8080 == 0 && last.is_ascii()
}

/// Writes a data frame behind what is in `out`; with a `mask` the payload is masked.
pub fn write_frame(out: &mut Vec<u8>, direction: Direction, head: DataHead, payload: &[u8]) {
    let opcode = match head.opcode {
        Opcode::Text => 0x1,
        Opcode::Binary => 0x2,
        Opcode::Continuation => 0x0,
        Opcode::Close => 0x8,
        Opcode::Ping => 0x9,
        Opcode::Pong => 0xa,
    };
    let first = opcode | if head.fin { 0x80 } else { 0 } | if head.rsv1 { 0x40 } else { 0 };
    let mask = head.mask.filter(|_| direction == Direction::ToOrigin);
    let masked = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        // Both casts are within the arms' ranges.
        size @ 0..126 => out.extend([first, masked | size as u8]),
        size @ 126..0x1_0000 => {
            out.extend([first, masked | 126]);
            out.extend((size as u16).to_be_bytes());
        }
        size => {
            out.extend([first, masked | 127]);
            out.extend((size as u64).to_be_bytes());
        }
    }
    out.extend(mask.iter().flatten());
    let start = out.len();
    out.extend_from_slice(payload);
    if let (Some(mask), Some(written)) = (mask, out.get_mut(start..)) {
        mask_payload(mask, 0, written);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Follower, See};
    use super::*;
    use proptest::prelude::*;

    struct Blind;

    impl See for Blind {
        fn frame(&mut self, _: Opcode, _: u64) {}
        fn message(&mut self, _: u64) {}
        fn ping(&mut self, _: &[u8]) {}
        fn pong(&mut self, _: &[u8]) {}
        fn close(&mut self, _: Option<(u16, &str)>) {}
        fn discarded(&mut self, _: u64) {}
    }

    proptest! {
        #[test]
        fn what_is_written_is_cut_into_what_it_was(
            to_origin: bool,
            mask: [u8; 4],
            messages in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), 0..300_usize, any::<bool>()), 1..6),
            large in 0..3_usize,
            cuts in prop::collection::vec(1..400_usize, 1..40),
        ) {
            let direction = if to_origin { Direction::ToOrigin } else { Direction::ToClient };
            let mask = to_origin.then_some(mask);
            let mut stream = Vec::new();
            let mut sent: Vec<Vec<u8>> = Vec::new();
            for (mut payload, split, ping) in messages {
                if large == 1 {
                    payload.resize(70_000, 7);
                }
                let (first, second) = payload.split_at(split.min(payload.len()));
                let head = DataHead { opcode: Opcode::Text, fin: false, rsv1: false, payload: 0, mask };
                write_frame(&mut stream, direction, head, first);
                if ping {
                    write_frame(&mut stream, direction, DataHead { opcode: Opcode::Ping, fin: true, ..head }, b"ping");
                }
                let last = DataHead { opcode: Opcode::Continuation, fin: true, ..head };
                write_frame(&mut stream, direction, last, second);
                sent.push(payload);
            }
            let (mut follower, mut cutter) = (Follower::new(direction, 0), Cutter::default());
            let (mut pieces, mut got, mut message, mut current) = (Vec::new(), Vec::new(), Vec::new(), None);
            let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
            let (mut at, mut whole) = (&stream[..], 0);
            while let Some((head, raw, payload)) = whole_frame(at) {
                prop_assert_eq!(head.payload, payload.len() as u64);
                let mut plain = payload.to_vec();
                mask_payload(head.mask.unwrap_or_default(), 0, &mut plain);
                prop_assert_eq!(is_masked_ascii(head.mask, payload), plain.is_ascii());
                let size = raw.len() + payload.len();
                prop_assert!(whole_frame(&at[..size - 1]).is_none());
                (at, whole) = (&at[size..], whole + size);
            }
            prop_assert_eq!(whole, stream.len());
            while !rest.is_empty() {
                let (chunk, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                rest = later;
                let mut pass = |passed: &[u8]| {
                    let mut passed = passed;
                    while let Some(piece) = cutter.next(&mut passed) {
                        match piece {
                            FramePiece::Head { raw, head } => {
                                pieces.extend_from_slice(raw);
                                current = Some(head);
                            }
                            FramePiece::Payload { raw, at } => {
                                pieces.extend_from_slice(raw);
                                let mut plain = raw.to_vec();
                                if let Some(mask) = current.and_then(|head: DataHead| head.mask) {
                                    mask_payload(mask, at, &mut plain);
                                }
                                message.extend(plain);
                            }
                            FramePiece::End => {
                                if current.is_some_and(|head| head.fin) {
                                    got.push(std::mem::take(&mut message));
                                }
                            }
                            FramePiece::Control { raw, .. } => pieces.extend_from_slice(raw),
                        }
                    }
                    assert!(passed.is_empty());
                };
                follower.follow(chunk, &mut Blind, &mut pass).unwrap();
            }
            prop_assert_eq!(pieces, stream);
            prop_assert_eq!(got, sent);
        }
    }
}
