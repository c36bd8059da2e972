//! What has passed on a WebSocket so far, while it passes.

use super::Batch;
use crate::accept::Tally;
use crate::wire::frame::Opcode;
use std::time::Duration;

/// One direction of a WebSocket.
#[derive(Debug, Default)]
pub struct FrameTallies {
    /// Frames that went on, control frames included; in the place of those that a rule changed, the changed ones.
    pub frames: Tally,
    /// Messages that went on, changed ones included.
    pub messages: Tally,
    /// Payload bytes of all these frames, without their headers.
    pub payload_bytes: Tally,
    /// Pings and pongs among the frames.
    pub pings: Tally,
    /// What a rule changed: messages, pings, pongs and Closes.
    pub changed: Tally,
    /// What a rule left out: messages, pings and pongs.
    pub dropped: Tally,
    /// When the last of it went on, in milliseconds since the relay began; 0 before the first.
    pub last_millis: Tally,
    /// What the last of it spent inside the proxy, from the read to the end of the write, in nanoseconds.
    pub last_inside_nanos: Tally,
}

impl FrameTallies {
    /// Counts what went on `at` this time since the relay began.
    pub(super) fn batch(&self, batch: &Batch, at: Duration) {
        let passed = &batch.passed;
        self.frames.add(passed.all_frames());
        self.messages.add(passed.all_messages());
        self.payload_bytes.add(passed.payload_bytes.iter().sum());
        let pings = passed.frames[Opcode::Ping.index()].wrapping_add(passed.frames[Opcode::Pong.index()]);
        self.pings.add(pings.into());
        if !batch.stopped.is_none() {
            self.changed.add(batch.stopped.changed.into());
            self.dropped.add(batch.stopped.dropped.into());
        }
        // Nobody's WebSocket is older than 580 million years.
        self.last_millis
            .set(at.as_secs() * 1000 + u64::from(at.subsec_millis()));
        self.last_inside_nanos
            .set(batch.inside.as_secs() * 1_000_000_000 + u64::from(batch.inside.subsec_nanos()));
    }
}
