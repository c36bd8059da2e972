//! Follows one direction of a WebSocket without changing a byte of it.

use super::head::{CONTROL_MAX, Context, FrameHead, HeadStop, RSV};
use super::{Direction, Opcode, Violation, close};

/// The longest run of bytes that is ever held back: a masked control frame that lacks its last byte. The
/// longest data-frame header, 14 bytes, fits too.
const HELD_MAX: usize = 2 + 4 + CONTROL_MAX;

/// Who is told what passes. All that passes in one call to [`Follower::follow`] is told before the last `pass` of
/// that call, so that an implementation counts in plain fields and states a batch when the call returns.
pub trait See {
    /// A frame's last byte passes; `payload` is its payload's size in bytes.
    fn frame(&mut self, opcode: Opcode, payload: u64);
    /// A data message ended with the frame just told; `size` is the sum of its frames' payloads in bytes, as
    /// sent: compressed, if an extension compresses.
    fn message(&mut self, size: u64);
    /// The frame just told is a Ping with this payload, unmasked.
    fn ping(&mut self, payload: &[u8]);
    /// The frame just told is a Pong with this payload, unmasked.
    fn pong(&mut self, payload: &[u8]);
    /// The frame just told is a Close with this code and reason; `None` when it has no payload.
    fn close(&mut self, said: Option<(u16, &str)>);
    /// So many bytes came behind the Close, and do not pass.
    fn discarded(&mut self, bytes: u64);
}

/// Follows the frames of one direction through any chunks that they arrive in, and holds them to RFC 6455.
///
/// Payloads of data frames pass as they come. A header that is cut by the end of a chunk, and a control frame
/// that is not whole yet, are held back (at most 130 bytes, in memory that is there only as long), so that nothing of a
/// frame that breaks the protocol ever passes and a Close of the proxy's own can be put between two frames.
///
/// A Close is the last that passes. Its receiver discards whatever follows (section 1.4), so that nobody misses it;
/// and two ends that have agreed to read it all the same cannot hide it there from whoever looks into messages. What
/// is discarded breaks nothing, and is not even parsed.
#[derive(Debug, Clone)]
pub struct Follower {
    context: Context,
    /// The data frame whose header passed and whose payload is not over.
    current: FrameHead,
    /// Payload bytes of `current` still to come; 0 between frames.
    left: u64,
    /// Payload bytes of the current message in frames that are over.
    message: u64,
    /// A Close passed.
    closed: bool,
    broken: Option<Violation>,
    /// Most that comes is cut nowhere: a follower that waits has no use for the room.
    held: Option<Box<[u8; HELD_MAX]>>,
    held_len: u8,
}

impl Follower {
    /// Starts right after the handshake. `allowed_rsv` has the bits 0x40, 0x20, 0x10 for RSV1, RSV2, RSV3 as
    /// the agreed extensions may use them: 0x40 alone means permessage-deflate, whose RSV1 stands on the
    /// first frame of a data message only (RFC 7692 section 6); with any other set those bits may stand on
    /// every frame.
    pub fn new(direction: Direction, allowed_rsv: u8) -> Self {
        Self {
            context: Context {
                direction,
                // The other bits are no RSV bits.
                allowed_rsv: allowed_rsv & RSV,
                fragmented: false,
            },
            current: FrameHead {
                opcode: Opcode::Continuation,
                fin: true,
                size: 0,
                payload: 0,
            },
            left: 0,
            message: 0,
            closed: false,
            broken: None,
            held: None,
            held_len: 0,
        }
    }

    /// Follows the next bytes of the stream, and calls `pass` for those that may go on: every byte up to the end of
    /// a Close exactly once and in order. What is held back passes with a later call. With nothing held before, that is one
    /// call for all of `input` but a cut header or control frame at its end.
    ///
    /// # Errors
    ///
    /// The first frame that breaks RFC 6455. All before it passed, nothing of it did, and the follower stays
    /// broken: every later call fails the same way and passes nothing.
    #[inline]
    pub fn follow(
        &mut self,
        input: &[u8],
        see: &mut impl See,
        pass: &mut impl FnMut(&[u8]),
    ) -> Result<(), Violation> {
        if let Some(violation) = self.broken {
            return Err(violation);
        }
        let mut rest = input;
        if self.held_len > 0 {
            rest = self.resume(input, see, pass)?;
            if self.held_len > 0 {
                return Ok(());
            }
        }
        if self.closed {
            return self.discard(rest, see);
        }
        let end = self.scan(rest, see);
        let (good, tail) = rest.split_at(end);
        if !good.is_empty() {
            pass(good);
        }
        if let Some(violation) = self.broken {
            return Err(violation);
        }
        if self.closed {
            return self.discard(tail, see);
        }
        if !tail.is_empty() {
            self.hold(tail);
        }
        Ok(())
    }

    /// Holds the beginning of a frame until more of it comes.
    #[inline(never)]
    fn hold(&mut self, tail: &[u8]) {
        let held = self.held.get_or_insert_with(|| Box::new([0; HELD_MAX]));
        held[..tail.len()].copy_from_slice(tail);
        self.held_len = tail.len() as u8;
    }

    /// Whether nothing of an unfinished frame has passed: the proxy may put a Close of its own here. Bytes
    /// that are still held must then not follow it.
    pub fn at_boundary(&self) -> bool {
        self.left == 0
    }

    /// How many payload bytes of the frame under way are still to come; 0 at a boundary.
    pub fn remaining(&self) -> u64 {
        self.left
    }

    /// What has come and has not passed: the beginning of a frame, at most 130 bytes. When the stream ends, it
    /// never will pass.
    pub fn held(&self) -> &[u8] {
        match &self.held {
            Some(held) => &held[..usize::from(self.held_len)],
            None => &[],
        }
    }

    /// Whether a data message has begun to pass and is not over.
    pub fn mid_message(&self) -> bool {
        self.context.fragmented || self.left > 0
    }

    /// Whether a Close passed.
    pub fn close_seen(&self) -> bool {
        self.closed
    }

    #[inline(never)]
    fn discard(&self, behind: &[u8], see: &mut impl See) -> Result<(), Violation> {
        if !behind.is_empty() {
            see.discarded(behind.len() as u64);
        }
        Ok(())
    }

    /// Tells what whole frames `input` has, and returns how many of its bytes may pass. What follows is the
    /// beginning of a frame to hold, or what is behind a Close, or, with `broken` set, a frame that must not pass.
    #[inline]
    fn scan(&mut self, input: &[u8], see: &mut impl See) -> usize {
        let mut at = 0;
        if self.left > 0 {
            if self.left > input.len() as u64 {
                self.left -= input.len() as u64;
                return input.len();
            }
            at = self.left as usize;
            self.left = 0;
            self.data_frame_over(see);
        }
        while at < input.len() {
            at += self.short_messages(&input[at..], see);
            let here = &input[at..];
            if here.is_empty() {
                break;
            }
            let head = match self.context.head(here) {
                Ok(head) => head,
                Err(HeadStop::Need(_)) => break,
                Err(HeadStop::Bad(violation)) => {
                    self.broken = Some(violation);
                    break;
                }
            };
            let there = here.len() - head.size;
            if head.opcode.is_control() {
                // A control frame's payload is at most 125 bytes.
                let size = head.size + head.payload as usize;
                let Some(frame) = here.get(..size) else {
                    break;
                };
                if let Err(violation) = self.control(head, frame, see) {
                    self.broken = Some(violation);
                    break;
                }
                at += size;
                if self.closed {
                    break;
                }
            } else if head.payload <= there as u64 {
                self.current = head;
                self.data_frame_over(see);
                at += head.size + head.payload as usize;
            } else {
                self.current = head;
                self.left = head.payload - there as u64;
                at = input.len();
            }
        }
        at
    }

    /// Follows whole messages of one frame and at most 125 bytes, which is what a flood is made of, for a third
    /// of what the general way costs; stops at anything else. Returns how many bytes they are.
    #[inline(always)]
    fn short_messages(&self, input: &[u8], see: &mut impl See) -> usize {
        let Context {
            direction,
            allowed_rsv,
            fragmented,
        } = self.context;
        if fragmented {
            return 0;
        }
        let (mask_bit, header) = match direction {
            Direction::ToOrigin => (0x80, 6),
            Direction::ToClient => (0, 2),
        };
        let mut at = 0;
        while let Some(&[first, second]) = input[at..].first_chunk::<2>() {
            let opcode = match first & !allowed_rsv {
                0x81 => Opcode::Text,
                0x82 => Opcode::Binary,
                _ => break,
            };
            // With a wrong mask bit this is above 127.
            let payload = usize::from(second ^ mask_bit);
            let size = header + payload;
            if payload > CONTROL_MAX || size > input.len() - at {
                break;
            }
            see.frame(opcode, payload as u64);
            see.message(payload as u64);
            at += size;
        }
        at
    }

    /// Takes from `input` what the held frame lacks, and passes it once it is whole (a control frame) or its
    /// header is (a data frame). Returns what is left of `input`.
    #[inline(never)]
    fn resume<'a>(
        &mut self,
        input: &'a [u8],
        see: &mut impl See,
        pass: &mut impl FnMut(&[u8]),
    ) -> Result<&'a [u8], Violation> {
        let mut rest = input;
        let Some(mut held) = self.held.take() else {
            return Ok(rest);
        };
        loop {
            let len = usize::from(self.held_len);
            let need = match self.context.head(&held[..len]) {
                Ok(head) if head.opcode.is_control() => head.size + head.payload as usize,
                Ok(head) => head.size,
                Err(HeadStop::Need(need)) => need,
                Err(HeadStop::Bad(violation)) => {
                    (self.broken, self.held) = (Some(violation), Some(held));
                    return Err(violation);
                }
            };
            if need > len {
                let (taken, later) = rest.split_at(rest.len().min(need - len));
                held[len..len + taken.len()].copy_from_slice(taken);
                self.held_len += taken.len() as u8;
                rest = later;
                if taken.is_empty() {
                    self.held = Some(held);
                    return Ok(rest);
                }
                continue;
            }
            // Whole: it goes the way of any other bytes, only from another buffer.
            self.held_len = 0;
            let end = self.scan(&held[..len], see);
            if let Some(violation) = self.broken {
                return Err(violation);
            }
            pass(&held[..end]);
            return Ok(rest);
        }
    }

    /// The last byte of `current` passes.
    #[inline(always)]
    fn data_frame_over(&mut self, see: &mut impl See) {
        let FrameHead {
            opcode, fin, payload, ..
        } = self.current;
        see.frame(opcode, payload);
        // A stream of frames that each claim 2^63 bytes cannot arrive, but must not be able to panic either.
        let size = self.message.saturating_add(payload);
        if fin {
            see.message(size);
        }
        self.message = if fin { 0 } else { size };
        self.context.fragmented = !fin;
    }

    /// A whole control frame: checks and tells its payload.
    fn control(&mut self, head: FrameHead, frame: &[u8], see: &mut impl See) -> Result<(), Violation> {
        let mut unmasked = [0; CONTROL_MAX];
        let (header, payload) = frame.split_at(head.size);
        let payload = match header.last_chunk::<4>() {
            Some(&mask) if self.context.direction == Direction::ToOrigin => {
                let unmasked = &mut unmasked[..payload.len()];
                unmasked.copy_from_slice(payload);
                close::unmask(unmasked, mask);
                &*unmasked
            }
            _ => payload,
        };
        match head.opcode {
            Opcode::Ping => {
                see.frame(head.opcode, head.payload);
                see.ping(payload);
            }
            Opcode::Pong => {
                see.frame(head.opcode, head.payload);
                see.pong(payload);
            }
            _ => {
                let said = close::read(payload)?;
                see.frame(head.opcode, head.payload);
                see.close(said);
                self.closed = true;
            }
        }
        Ok(())
    }
}
