//! What the verdicts of one direction change in what is counted.

use crate::wire::frame::FrameCounts;

/// What became of frames and messages that did not go on as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stopped {
    /// Frames that did not go on as they came, by [`Opcode::index`](crate::wire::frame::Opcode::index): others took their
    /// place, or none did.
    pub frames: [u32; 6],
    /// Messages, pings, pongs and Closes that went on as something else.
    pub changed: u32,
    /// Messages, pings and pongs that did not go on.
    pub dropped: u32,
    /// Those that closed the WebSocket.
    pub closed: u32,
}

impl Stopped {
    /// Whether nothing was stopped.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Counts these too.
    pub fn add(&mut self, more: &Self) {
        for (frames, more) in self.frames.iter_mut().zip(more.frames) {
            *frames += more;
        }
        self.changed += more.changed;
        self.dropped += more.dropped;
        self.closed += more.closed;
    }
}

/// The difference between what came, as whoever follows the frames counts it, and what went on. A frame that waits is taken
/// out when its last byte has come, and put back when it goes on.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Of numbers that were taken out more than put in it has what goes round.
    difference: FrameCounts,
    stopped: Stopped,
    is_open: bool,
}

impl Ledger {
    /// These have come and do not go on, or not yet.
    pub(super) fn keep(&mut self, counts: &FrameCounts) {
        self.is_open = true;
        self.difference.take_out(counts);
    }

    /// These go on.
    pub(super) fn go_on(&mut self, counts: &FrameCounts) {
        self.is_open = true;
        self.difference.add(counts);
    }

    /// These were kept and never go on as they came.
    pub(super) fn stop(&mut self, counts: &FrameCounts) {
        self.is_open = true;
        for (stopped, frames) in self.stopped.frames.iter_mut().zip(counts.frames) {
            *stopped += frames;
        }
    }

    /// What became of messages.
    pub(super) fn outcome(&mut self) -> &mut Stopped {
        self.is_open = true;
        &mut self.stopped
    }

    /// What has come together since the last time, if anything has.
    pub(super) fn settle(&mut self) -> Option<(FrameCounts, Stopped)> {
        if !self.is_open {
            return None;
        }
        let settled = std::mem::take(self);
        Some((settled.difference, settled.stopped))
    }
}
