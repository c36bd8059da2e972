//! Messages that have gone on are judged all the same.

use super::watched::{SCANS, WatchedMessage};
use super::{MessageFilter, ScanTicket, item};
use crate::inspect::{Answer, Background, Blind, Buffered, Judging, ScanOutcome, ScannerId, Share};
use crate::wire::frame::Opcode;
use std::sync::Arc;
use std::time::Duration;

impl MessageFilter {
    /// Judges a message that has gone on.
    pub(super) fn watch(&mut self, opcode: Opcode, size: u64, plain: &[u8], now: Duration) {
        let item = item(self.fixed.direction, opcode, plain, size);
        match self.session.judge(&item, now, &[]) {
            Judging::Done(judgement) => {
                self.keeps_up(opcode, size, false);
                self.tell(opcode, size, &judgement);
            }
            Judging::Scan(id) => {
                let mut share = Share::new(Arc::clone(self.fixed.inspector.kept()), Buffered::Messages);
                if !share.resize(plain.len()) {
                    return self.cannot_watch(opcode, size, Blind::ProcessBudget);
                }
                let plain = share.hold(plain.to_vec());
                self.watch_scan(WatchedMessage::new(opcode, plain, size), id, now);
            }
        }
    }

    pub(super) fn judge_watched(&mut self, watched: WatchedMessage, now: Duration) {
        let item = item(self.fixed.direction, watched.opcode, &watched.plain, watched.size);
        match self.session.judge(&item, now, &watched.scans) {
            Judging::Done(judgement) => self.tell(watched.opcode, watched.size, &judgement),
            Judging::Scan(id) => self.watch_scan(watched, id, now),
        }
    }

    /// Asks a scanner about a message that has gone on.
    pub(super) fn watch_scan(&mut self, mut watched: WatchedMessage, id: ScannerId, now: Duration) {
        if self.watched.len() >= SCANS {
            return self.cannot_watch(watched.opcode, watched.size, Blind::ScanFailed);
        }
        let Some(question) = self.question(id, watched.opcode, watched.plain.clone(), true) else {
            watched.scans.push((id, ScanOutcome::Clean));
            return self.judge_watched(watched, now);
        };
        watched.ticket = self.next_ticket();
        self.wanted.push((watched.ticket, question));
        self.watched.push(watched);
    }

    /// There is no place for one more scan.
    fn cannot_watch(&self, opcode: Opcode, size: u64, why: Blind) {
        let about = self.about(opcode, size);
        let witness = self.fixed.inspector.witness();
        witness.blind(&self.fixed.facts, &about, why, false);
        witness.background(Background::LeftOut);
    }

    /// The scan of one has ended.
    pub(super) fn watched_scanned(&mut self, ticket: ScanTicket, answer: Answer, now: Duration) {
        let Some(at) = self.watched.iter().position(|watched| watched.ticket == ticket) else {
            return;
        };
        let mut watched = self.watched.swap_remove(at);
        // It has gone on: that it could not be scanned is told, and stops nothing.
        answer.stops();
        watched.scans.push(answer.into_outcome());
        self.judge_watched(watched, now);
    }
}
