//! The header of one frame (RFC 6455 section 5.2).
//!
//! Parsed by hand: tungstenite's `FrameHeader::parse` reads through a cursor, writes five trace records and
//! accepts what RFC 6455 forbids. A property test holds the two equal on every header that both accept.

use super::{Direction, Opcode, Violation};

/// Bits of the first byte.
const FIN: u8 = 0x80;
/// The three bits that belong to extensions.
pub(super) const RSV: u8 = 0x70;
/// permessage-deflate's "this message is compressed" (RFC 7692 section 6).
const RSV1: u8 = 0x40;
/// Bit of the second byte.
const MASKED: u8 = 0x80;
/// The longest payload of a control frame (section 5.5).
pub(super) const CONTROL_MAX: usize = 125;

/// Everything outside the frame that decides whether its header is allowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    pub(super) direction: Direction,
    /// The RSV bits that the agreed extensions may set.
    pub(super) allowed_rsv: u8,
    /// A fragmented message waits for its continuation.
    pub(super) fragmented: bool,
}

/// What the header of a frame says (RFC 6455 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    /// Bytes of the header itself: 2 to 14.
    pub(super) size: usize,
    /// Bytes of the payload.
    pub(super) payload: u64,
}

/// Why there is no header yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadStop {
    /// At least this many bytes from the frame's start are needed to go on.
    Need(usize),
    /// The frame may not be passed on.
    Bad(Violation),
}

impl Context {
    /// Parses the header at the start of `bytes`. Checks go in the order of the bytes, so that a frame cut
    /// anywhere gets the same verdict as a whole one, as early as its bytes allow it.
    #[inline(always)]
    pub(super) fn head(self, bytes: &[u8]) -> Result<FrameHead, HeadStop> {
        let [first, rest @ ..] = bytes else {
            return Err(HeadStop::Need(2));
        };
        let opcode = self.first(*first).map_err(HeadStop::Bad)?;
        let [second, rest @ ..] = rest else {
            return Err(HeadStop::Need(2));
        };
        let mask = match self.direction {
            Direction::ToOrigin if second & MASKED == 0 => return Err(HeadStop::Bad(Violation::Unmasked)),
            Direction::ToClient if second & MASKED != 0 => return Err(HeadStop::Bad(Violation::Masked)),
            Direction::ToOrigin => 4,
            Direction::ToClient => 0,
        };
        let short = second & !MASKED;
        let (extended, payload) = if short < 126 {
            (0, u64::from(short))
        } else if opcode.is_control() {
            return Err(HeadStop::Bad(Violation::OversizedControl));
        } else if short == 126 {
            let Some(&length) = rest.first_chunk::<2>() else {
                return Err(HeadStop::Need(4));
            };
            (2, minimal(u16::from_be_bytes(length).into(), 126)?)
        } else {
            let Some(&length) = rest.first_chunk::<8>() else {
                return Err(HeadStop::Need(10));
            };
            let length = u64::from_be_bytes(length);
            if length >> 63 != 0 {
                return Err(HeadStop::Bad(Violation::LengthOverflow));
            }
            (8, minimal(length, 1 << 16)?)
        };
        let size = 2 + extended + mask;
        if bytes.len() < size {
            return Err(HeadStop::Need(size));
        }
        Ok(FrameHead {
            opcode,
            fin: first & FIN != 0,
            size,
            payload,
        })
    }

    /// Checks the first byte: FIN, RSV and the opcode.
    #[inline(always)]
    fn first(self, byte: u8) -> Result<Opcode, Violation> {
        let opcode = match byte & 0x0F {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xA => Opcode::Pong,
            _ => return Err(Violation::ReservedOpcode),
        };
        let rsv = byte & RSV;
        if rsv != 0 {
            let first_of_message = matches!(opcode, Opcode::Text | Opcode::Binary);
            // With permessage-deflate alone, RSV1 belongs to the message and stands on its first frame
            // only (RFC 7692 section 6). Extensions that the proxy does not know may use theirs anywhere.
            if rsv & !self.allowed_rsv != 0 || (self.allowed_rsv == RSV1 && !first_of_message) {
                return Err(Violation::ReservedBit);
            }
        }
        match opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                if byte & FIN == 0 {
                    return Err(Violation::FragmentedControl);
                }
            }
            Opcode::Continuation => {
                if !self.fragmented {
                    return Err(Violation::StrayContinuation);
                }
            }
            Opcode::Text | Opcode::Binary => {
                if self.fragmented {
                    return Err(Violation::InterruptedMessage);
                }
            }
        }
        Ok(opcode)
    }
}

/// A length that needed its long form.
#[inline(always)]
fn minimal(length: u64, least: u64) -> Result<u64, HeadStop> {
    if length < least {
        return Err(HeadStop::Bad(Violation::NonMinimalLength));
    }
    Ok(length)
}
