//! Who looks on at a session, beside the rules.

use crate::wire::names::Authority;
use std::fmt;

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

    pub(super) const fn bits(self) -> u64 {
        (self.recording as u64) | (self.viewer as u64) << 1
    }
}

/// Who watches live, as far as the copies that are made for it depend on that.
pub trait Viewer: fmt::Debug + Send + Sync {
    /// Whether content of a host of this name is wanted by somebody.
    fn wants(&self, name: &Authority) -> bool;
}
