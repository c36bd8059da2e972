//! The current rules and what goes with them, for the whole process.

use super::hosts;
use super::recording::Recording;
use super::room::Room;
use super::rules::Rules;
use super::scan::{OnFailure, Scanner};
use super::witness::Witness;
use crate::decide::List;
use crate::wire::names::Authority;
use arc_swap::ArcSwap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How much a message or body may take, and what happens to what takes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// The most of one message or body that is kept to be judged, in decoded bytes.
    pub message: usize,
    /// The most that one message or body may be inflated to, kept or not; a bomb costs this much and no more.
    pub inflated: u64,
    /// The most that one connection may keep in both directions: messages under way and what waits behind them.
    pub connection: usize,
    /// The most that all connections together may keep.
    pub process: usize,
    /// What happens to content that a rule wants to stop or change, and that does not fit.
    pub spent: OnFailure,
    /// The longest that one message may be held while it arrives or is scanned.
    pub hold: Duration,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            message: 1 << 20,
            inflated: 64 << 20,
            connection: 4 << 20,
            process: 256 << 20,
            // Whoever writes a rule that enforces wants it to hold for those who know it too.
            spent: OnFailure::Close,
            hold: Duration::from_secs(30),
        }
    }
}

impl Budgets {
    /// The most that one connection may keep of HTTP bodies. It has many of them at once over HTTP/2, each of which may have
    /// to be there as a whole; and so large a part of what there is for all that others have room beside it.
    pub fn bodies(&self) -> usize {
        self.connection.max(self.process / 8)
    }
}

/// Everything about inspection that a reload replaces. The default inspects nothing.
#[derive(Debug, Default)]
pub struct Inspection {
    /// The rules; without any, nothing is looked into.
    pub rules: Arc<Rules>,
    /// How much may be kept.
    pub budgets: Budgets,
    /// The scanners that rules name, by [`ScannerId`](super::ScannerId).
    pub scanners: Vec<Arc<dyn Scanner>>,
    /// The lists whose destinations may agree on extensions that the proxy cannot decode.
    pub opaque_extensions: Vec<Arc<List>>,
    /// What happens to a text message that is not UTF-8 (RFC 6455 section 8.1 wants 1007).
    pub invalid_utf8: OnFailure,
    /// What is recorded; `None` for nothing.
    pub recording: Option<Recording>,
}

/// The current inspection, and who is told what it does: one for the process. A reload replaces the inspection;
/// live sessions see the new one at their next message.
pub struct Inspector {
    current: ArcSwap<Inspection>,
    /// Whether there is any rule.
    active: AtomicBool,
    /// Counts the reloads while something is recorded; 0 while nothing is. Read for every message.
    era: AtomicU64,
    reloads: AtomicU64,
    /// Grows with each replacement: read on the path of every batch of frames, where it is all that is read.
    generation: AtomicU64,
    /// What all connections keep.
    kept: Arc<Room>,
    witness: Arc<dyn Witness>,
}

impl Inspector {
    /// Begins with this inspection.
    pub fn new(inspection: Arc<Inspection>, witness: Arc<dyn Witness>) -> Self {
        Self {
            active: AtomicBool::new(!inspection.rules.is_empty()),
            era: AtomicU64::new(u64::from(inspection.recording.is_some())),
            reloads: AtomicU64::new(1),
            kept: Arc::new(Room::new(inspection.budgets.process)),
            current: ArcSwap::new(inspection),
            generation: AtomicU64::new(0),
            witness,
        }
    }

    /// The current inspection.
    pub fn current(&self) -> arc_swap::Guard<Arc<Inspection>> {
        self.current.load()
    }

    /// Grows when another inspection takes the place of the current one. Whoever asks for this first and for
    /// [`Inspector::current`] then misses none.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether there is any rule.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// Whether WebSockets to a host of these names may only agree on extensions that can be decoded.
    pub fn decodes<'n>(&self, names: impl Iterator<Item = &'n Authority>) -> bool {
        self.is_active() && !hosts::are_all_in(&self.current().opaque_extensions, names)
    }

    /// Puts another in its place.
    pub fn replace(&self, inspection: Arc<Inspection>) {
        let active = !inspection.rules.is_empty();
        let reloads = self.reloads.fetch_add(1, Ordering::Relaxed) + 1;
        let era = if inspection.recording.is_some() {
            reloads
        } else {
            0
        };
        self.kept.limit_to(inspection.budgets.process);
        self.current.store(inspection);
        self.active.store(active, Ordering::Release);
        self.era.store(era, Ordering::Release);
        // Last, since it is what is asked first.
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Differs after each reload; 0 while nothing is recorded.
    pub fn recording_era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    /// Whether what goes to or comes from a host of these names is recorded.
    pub fn records<'n>(&self, names: impl Iterator<Item = &'n Authority> + Clone) -> bool {
        self.recording_era() != 0
            && self
                .current()
                .recording
                .as_ref()
                .is_some_and(|recording| recording.scope.guards(names))
    }

    /// What all connections keep.
    pub fn kept(&self) -> &Arc<Room> {
        &self.kept
    }

    /// The one who is told what inspection does.
    pub fn witness(&self) -> &dyn Witness {
        &*self.witness
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector")
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}
