//! Who looks on at a session, beside the rules.

use super::facts::Facts;
use super::inspector::Inspector;
use crate::wire::names::Authority;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who looks on at the content of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Onlookers {
    /// It is recorded.
    pub recording: bool,
    /// Somebody watches it live.
    pub viewer: bool,
}

impl Onlookers {
    /// Nobody.
    pub const NONE: Self = Self {
        recording: false,
        viewer: false,
    };

    /// Whether nobody looks on.
    pub const fn is_none(self) -> bool {
        !self.recording && !self.viewer
    }

    const fn bits(self) -> u64 {
        (self.recording as u64) | (self.viewer as u64) << 1
    }
}

/// Who watches live, as far as the copies that are made for it depend on that.
pub trait Viewer: fmt::Debug + Send + Sync {
    /// Whether content of a host of this name is wanted by somebody.
    fn wants(&self, name: &Authority) -> bool;
}

/// Who looks on at one session: looked up once for each reload, and asked at the price of a load.
#[derive(Debug, Default)]
pub struct Recorded(AtomicU64);

/// Bits of [`Recorded`] that are not the era.
const BITS: u32 = 2;

impl Recorded {
    /// Who looks on now at the session of these facts, always the same ones.
    pub fn by(&self, inspector: &Inspector, facts: &Facts) -> Onlookers {
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
