//! What passes, as it is stated to whoever counts it.

use crate::error::Side;
use crate::inspect::filter::Stopped;
use crate::wire::frame::{Direction, FrameCounts};
use std::time::Duration;

/// What one pass of one direction moved, stated once per batch and not per frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// The direction that all of it went.
    pub direction: Direction,
    /// What went on, whether as it came or changed.
    pub passed: FrameCounts,
    /// What did not go on as it came.
    pub stopped: Stopped,
    /// From the read that brought these frames to the end of the write that passed them on.
    pub inside: Duration,
}

impl Batch {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            passed: FrameCounts::default(),
            stopped: Stopped::default(),
            inside: Duration::ZERO,
        }
    }
}

/// Who is told what passes. Called on the path of a frame: an implementation must neither lock nor allocate.
pub trait Meter: Send + Sync + 'static {
    /// Frames were passed on, or stopped.
    fn batch(&self, batch: &Batch);
    /// A pong answered a ping that came from `from`, after `round_trip`.
    fn pong(&self, from: Side, round_trip: Duration);
}
