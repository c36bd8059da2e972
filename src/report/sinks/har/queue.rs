//! What lies between those who state content and the thread that writes it.

use super::piece::HarPiece;
use crate::inspect::{Buffered, Room, SessionFacts};
use prometheus::{IntCounter, IntGauge};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

#[derive(Debug, Clone)]
pub(super) struct HarCounts {
    pub(super) entries: IntCounter,
    pub(super) files: IntCounter,
    pub(super) memory: IntCounter,
    pub(super) write_error: IntCounter,
    pub(super) kept: IntGauge,
    pub(super) enabled: IntGauge,
}

/// What the thread is told.
pub(super) enum Note {
    Piece(Arc<SessionFacts>, HarPiece, usize),
    /// A client connection is over.
    Ended(u64),
    Stop,
}

/// What both sides of the queue know.
pub(super) struct HarQueue {
    /// What waits and what open entries hold, in bytes.
    kept: AtomicUsize,
    /// The room of all that is kept, once it is known.
    room: Arc<OnceLock<Arc<Room>>>,
    /// By connection: pieces that did not fit.
    lost: Mutex<HashMap<u64, u64>>,
    pub(super) counts: HarCounts,
}

/// Connections whose losses are told in their entries.
const LOST: usize = 10_000;

impl HarQueue {
    /// Nothing waits yet.
    pub(super) fn new(counts: HarCounts, room: Arc<OnceLock<Arc<Room>>>) -> Self {
        Self {
            kept: AtomicUsize::new(0),
            room,
            lost: Mutex::default(),
            counts,
        }
    }

    /// A piece of this connection did not fit.
    pub(super) fn lose(&self, connection: u64) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.len() < LOST || lost.contains_key(&connection) {
            *lost.entry(connection).or_default() += 1;
        }
    }

    /// A sentence about what was lost of a connection since the last one.
    pub(super) fn lost_of(&self, connection: u64) -> Option<String> {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let pieces = lost.remove(&connection)?;
        Some(format!(
            "{pieces} parts of this connection were lost, since recordings took all the memory that they may"
        ))
    }

    pub(super) fn forget(&self, connection: u64) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.remove(&connection);
    }

    /// Takes memory, if recordings have no more than `most` then and there is room; says whether it did.
    pub(super) fn try_take(&self, cost: usize, most: usize) -> bool {
        // A race lets in a little more than the bound, which is no harm.
        let is_within = self.kept.load(Relaxed) + cost <= most;
        let has_room = || {
            let room = self.room.get();
            room.is_none_or(|room| room.try_take(Buffered::Recordings, cost))
        };
        if is_within && has_room() {
            self.kept.fetch_add(cost, Relaxed);
            return true;
        }
        false
    }

    /// Takes memory in any case.
    pub(super) fn take(&self, cost: usize) {
        self.kept.fetch_add(cost, Relaxed);
        if let Some(room) = self.room.get() {
            room.take(Buffered::Recordings, cost);
        }
    }

    /// Gives memory back.
    pub(super) fn release(&self, cost: usize) {
        self.kept.fetch_sub(cost, Relaxed);
        if let Some(room) = self.room.get() {
            room.give_back(Buffered::Recordings, cost);
        }
    }

    /// What waits and what open entries hold, in bytes.
    pub(super) fn kept(&self) -> usize {
        self.kept.load(Relaxed)
    }

    pub(super) fn show(&self) {
        self.counts
            .kept
            .set(i64::try_from(self.kept.load(Relaxed)).unwrap_or(i64::MAX));
    }
}

impl Drop for HarQueue {
    /// What nobody has written any more waits no longer.
    fn drop(&mut self) {
        self.release(self.kept());
    }
}
