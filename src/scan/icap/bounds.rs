//! What a message that a service may change is put to it within.

use std::time::Duration;
use tokio::sync::Semaphore;

/// What a service is asked within.
#[derive(Clone, Copy)]
pub(in crate::scan) struct AdaptBounds<'a> {
    /// For each time that it is waited for.
    pub(in crate::scan) deadline: Duration,
    /// The most content.
    pub(in crate::scan) max_size: usize,
    /// For those that ask it at once, of which there are so many.
    pub(in crate::scan) places: &'a Semaphore,
    pub(in crate::scan) concurrency: usize,
}
