//! What is counted of what came: it was told of when it came, and did not go on, or goes on later; and what is kept of it.

use super::MessageFilter;
use super::ledger::{Ledger, Stopped};
use super::queue::HoldQueue;
use crate::wire::frame::FrameCounts;

impl MessageFilter {
    /// What has changed in what is counted since the last time: what came and did not go on is to be taken out of what the
    /// follower has told of, and what went on later is to be counted then.
    pub fn corrections(&mut self) -> Option<(FrameCounts, Stopped)> {
        self.ledger.as_mut()?.settle()
    }

    pub(super) fn ledger(&mut self) -> &mut Ledger {
        self.ledger.get_or_insert_default()
    }

    /// These have come, and will not go on.
    pub(super) fn stop(&mut self, counts: &FrameCounts) {
        let ledger = self.ledger();
        ledger.keep(counts);
        ledger.stop(counts);
    }

    /// These were given to [`MessageFilter::emit`], and were told of when they came.
    pub(super) fn emitted(&mut self, counts: &FrameCounts) {
        if self.closing.is_some() {
            self.stop(counts);
        } else if !self.queue.is_empty() {
            self.ledger().keep(counts);
            self.queue.push_counts(counts);
        }
    }

    /// These were given to [`MessageFilter::emit`], and nobody has told of them yet.
    pub(super) fn emitted_anew(&mut self, counts: &FrameCounts) {
        if self.closing.is_some() {
            return;
        }
        if self.queue.is_empty() {
            self.ledger().go_on(counts);
        } else {
            self.queue.push_counts(counts);
        }
    }

    /// Counts what is kept now, which may be more than there was room for: one read's worth.
    pub(super) fn count_kept(&mut self) {
        self.kept.count(self.held());
    }

    /// Forgets everything that waits.
    pub(super) fn forget(&mut self) {
        let mut kept = self.queue.counts();
        kept.add(&self.assembly.take_kept());
        self.ledger().stop(&kept);
        // Of a frame that was held nothing has gone on: the Close takes its place, and does not wait for its rest.
        let at_boundary = self.at_boundary();
        self.assembly.discard();
        if at_boundary {
            self.assembly.frame_over();
        }
        self.queue = HoldQueue::default();
        self.wanted.clear();
    }
}
