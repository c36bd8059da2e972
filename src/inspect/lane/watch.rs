//! Messages that have gone on are judged all the same.

use super::watched::{SCANS, Watched};
use super::{Lane, Ticket, item};
use crate::inspect::{Background, Blind, Judging, ScanOutcome, ScannerId};
use crate::wire::frame::Opcode;
use bytes::Bytes;
use std::time::Duration;

impl Lane {
    /// Judges a message that has gone on.
    pub(super) fn watch(&mut self, opcode: Opcode, size: u64, plain: &[u8], now: Duration) {
        let item = item(self.fixed.direction, opcode, plain, size);
        match self.session.judge(&item, now, &[]) {
            Judging::Done(judgement) => {
                self.keeps_up(opcode, size, false);
                self.tell(opcode, size, &judgement);
            }
            Judging::Scan(id) => {
                let plain = Bytes::copy_from_slice(plain);
                self.watch_scan(Watched::new(opcode, plain, size), id);
            }
        }
    }

    pub(super) fn judge_watched(&mut self, watched: Watched, now: Duration) {
        let item = item(self.fixed.direction, watched.opcode, &watched.plain, watched.size);
        match self.session.judge(&item, now, &watched.scans) {
            Judging::Done(judgement) => self.tell(watched.opcode, watched.size, &judgement),
            Judging::Scan(id) => self.watch_scan(watched, id),
        }
    }

    /// Asks a scanner about a message that has gone on.
    pub(super) fn watch_scan(&mut self, mut watched: Watched, id: ScannerId) {
        if self.watched.len() >= SCANS {
            let about = self.about(watched.opcode, watched.size);
            let witness = self.fixed.inspector.witness();
            witness.blind(&self.fixed.facts, &about, Blind::ScanFailed, false);
            return witness.background(Background::LeftOut);
        }
        self.fixed.inspector.witness().background(Background::Started);
        self.tickets += 1;
        (watched.ticket, watched.scanner) = (Ticket(self.tickets), id);
        let scan = self.scan_item(watched.opcode, watched.plain.clone());
        self.wanted.push((watched.ticket, id, scan));
        self.watched.push(watched);
    }

    /// The scan of one has ended.
    pub(super) fn watched_scanned(&mut self, ticket: Ticket, outcome: ScanOutcome, now: Duration) {
        let Some(at) = self.watched.iter().position(|watched| watched.ticket == ticket) else {
            return;
        };
        let mut watched = self.watched.swap_remove(at);
        self.fixed.inspector.witness().background(Background::Finished);
        if matches!(outcome, ScanOutcome::Failed(_)) {
            let about = self.about(watched.opcode, watched.size);
            let witness = self.fixed.inspector.witness();
            witness.blind(&self.fixed.facts, &about, Blind::ScanFailed, false);
        }
        watched.scans.push((watched.scanner, outcome));
        self.judge_watched(watched, now);
    }
}
