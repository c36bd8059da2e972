//! What one pass of the relay states to its meter.

use std::time::Duration;
use wsbump::relay::{Batch, SIZE_BOUNDS};
use wsbump::wire::frame::{Direction, Opcode};

/// One small text message, as in a ping-pong: the batch that is stated most often.
pub(crate) fn one_message(direction: Direction) -> Batch {
    let mut batch = Batch {
        direction,
        frames: [0; 6],
        payload_bytes: [0; 6],
        messages: [0; SIZE_BOUNDS.len() + 1],
        message_bytes: 64,
        inside: Duration::from_micros(12),
    };
    batch.frames[Opcode::Text.index()] = 1;
    batch.payload_bytes[Opcode::Text.index()] = 64;
    batch.messages[0] = 1;
    batch
}
