//! What one pass of the relay states to its meter.

use std::time::Duration;
use wsbump::inspect::filter::Stopped;
use wsbump::relay::Batch;
use wsbump::wire::frame::{Direction, FrameCounts, Opcode};

/// One small text message, as in a ping-pong: the batch that is stated most often.
pub(crate) fn one_message(direction: Direction) -> Batch {
    let mut batch = Batch {
        direction,
        passed: FrameCounts::default(),
        stopped: Stopped::default(),
        inside: Duration::from_micros(12),
    };
    batch.passed.frame(Opcode::Text, 64);
    batch.passed.message(64);
    batch
}
