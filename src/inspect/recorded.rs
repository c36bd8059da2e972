//! Whether a session is recorded.

use super::facts::Facts;
use super::inspector::Inspector;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether one session is recorded: looked up once for each reload, and asked at the price of a load.
#[derive(Debug, Default)]
pub struct Recorded(AtomicU64);

impl Recorded {
    /// Whether the session of these facts, always the same ones, is recorded now.
    pub fn is_on(&self, inspector: &Inspector, facts: &Facts) -> bool {
        let era = inspector.recording_era();
        if era == 0 {
            return false;
        }
        let known = self.0.load(Ordering::Relaxed);
        if known >> 1 == era {
            return known & 1 == 1;
        }
        let is_on = inspector.records(facts.names());
        self.0.store(era << 1 | u64::from(is_on), Ordering::Relaxed);
        is_on
    }
}

impl Clone for Recorded {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }
}
