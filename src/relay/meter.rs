//! What passes, as it is stated to whoever counts it.

use crate::error::Side;
use crate::wire::frame::{Direction, Opcode};
use std::time::Duration;

/// Upper bounds of the message-size histogram, in bytes; one more bucket holds the rest.
pub const SIZE_BOUNDS: [u64; 12] = [
    64,
    125,
    256,
    1 << 10,
    4 << 10,
    16 << 10,
    64 << 10,
    256 << 10,
    1 << 20,
    4 << 20,
    16 << 20,
    64 << 20,
];

/// What one pass of one direction moved, stated once per batch and not per frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// The direction that all of it went.
    pub direction: Direction,
    /// Frames by [`crate::wire::frame::Opcode::index`].
    pub frames: [u32; 6],
    /// Payload bytes by opcode.
    pub payload_bytes: [u64; 6],
    /// Messages that ended, by size bucket of [`SIZE_BOUNDS`].
    pub messages: [u32; SIZE_BOUNDS.len() + 1],
    /// The sum of those messages' sizes.
    pub message_bytes: u64,
    /// From the read that brought these frames to the end of the write that passed them on.
    pub inside: Duration,
}

impl Batch {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            frames: [0; Opcode::ALL.len()],
            payload_bytes: [0; Opcode::ALL.len()],
            messages: [0; SIZE_BOUNDS.len() + 1],
            message_bytes: 0,
            inside: Duration::ZERO,
        }
    }
}

/// Who is told what passes. Called on the path of a frame: an implementation must neither lock nor allocate.
pub trait Meter: Send + Sync + 'static {
    /// Frames were passed on.
    fn batch(&self, batch: &Batch);
    /// A pong answered a ping that came from `from`, after `round_trip`.
    fn pong(&self, from: Side, round_trip: Duration);
}
