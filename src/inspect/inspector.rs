//! The current rules and what goes with them, for the whole process.

use super::hosts;
use super::onlookers::{Onlookers, Viewer};
use super::recording::Recording;
use super::room::Room;
use super::rules::Rules;
use super::scan::{OnFailure, Scanner};
use super::witness::Witness;
use crate::decide::List;
use crate::wire::names::Authority;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

impl Inspection {
    /// How much is copied for these onlookers, and what that may take.
    pub fn copied_for(&self, onlookers: Onlookers) -> Option<&Recording> {
        let recording = self.recording.as_ref().filter(|_| onlookers.recording);
        let view = self.view.as_ref().filter(|_| onlookers.viewer);
        // What is cut for the one would be missing to the other.
        [recording, view]
            .into_iter()
            .flatten()
            .max_by_key(|copied| copied.body)
    }
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
    /// What may be watched live; `None` for nothing.
    pub view: Option<Recording>,
}

/// The current inspection, and who is told what it does: one for the process. A reload replaces the inspection;
/// live sessions see the new one at their next message.
pub struct Inspector {
    current: ArcSwap<Inspection>,
    /// Whether there is any rule.
    active: AtomicBool,
    /// Counts the changes of what is looked on at; 0 while nothing is. Read for every message.
    era: AtomicU64,
    /// Such changes, one at a time.
    changes: Mutex<u64>,
    /// Who watches live, if anybody does.
    viewer: ArcSwapOption<Arc<dyn Viewer>>,
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
            changes: Mutex::new(1),
            viewer: ArcSwapOption::empty(),
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
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        self.kept.limit_to(inspection.budgets.process);
        self.current.store(inspection);
        self.active.store(active, Ordering::Release);
        self.changed(&mut changes);
    }

    /// From now on this is who watches live. Sessions that are open are seen from their next message on.
    pub fn show(&self, viewer: Option<Arc<dyn Viewer>>) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        self.viewer.store(viewer.map(Arc::new));
        self.changed(&mut changes);
    }

    /// Something else is looked at, or by somebody else.
    fn changed(&self, changes: &mut u64) {
        *changes += 1;
        let looks = self.current().recording.is_some() || self.viewer.load().is_some();
        self.era
            .store(if looks { *changes } else { 0 }, Ordering::Release);
        // Last, since it is what is asked first.
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Differs after each change of what is looked on at; 0 while nothing is.
    pub fn recording_era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    /// Who looks on at what goes to or comes from a host of these names.
    pub fn onlookers<'n>(&self, names: impl Iterator<Item = &'n Authority> + Clone) -> Onlookers {
        if self.recording_era() == 0 {
            return Onlookers::NONE;
        }
        let current = self.current();
        let is_in = |scope: &Option<Recording>| {
            (scope.as_ref()).is_some_and(|recording| recording.scope.guards(names.clone()))
        };
        let viewer = self.viewer.load();
        Onlookers {
            recording: is_in(&current.recording),
            viewer: viewer
                .as_ref()
                .is_some_and(|viewer| names.clone().any(|name| viewer.wants(name)) && is_in(&current.view)),
        }
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
