//! Who looks on at a session, at the price of a load.

use super::facts::SessionFacts;
use super::inspector::Inspector;
use super::onlookers::Onlookers;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who looks on at one session: looked up once for each reload, and asked at the price of a load.
#[derive(Debug, Default)]
pub struct Recorded(AtomicU64);

/// Bits of [`Recorded`] that are not the era.
const BITS: u32 = 2;

impl Recorded {
    /// Who looks on now at the session of these facts, always the same ones.
    pub fn by(&self, inspector: &Inspector, facts: &SessionFacts) -> Onlookers {
        let era = inspector.recording_era();
        if era == 0 {
            return Onlookers::NONE;
        }
        let known = self.0.load(Ordering::Relaxed);
        if known >> BITS == era {
            return Onlookers {
                recording: known & 1 != 0,
                viewer: known & 2 != 0,
            };
        }
        let onlookers = inspector.onlookers(facts.names());
        self.0.store(era << BITS | onlookers.bits(), Ordering::Relaxed);
        onlookers
    }
}

impl Clone for Recorded {
    fn clone(&self) -> Self {
        Self(AtomicU64::new(self.0.load(Ordering::Relaxed)))
    }
}
