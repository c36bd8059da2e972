//! From a message that is over to what becomes of it.

use super::assemble::Fate;
use super::queue::{self, Held};
use super::{Lane, Ticket, Turn, WATCHED_SCANS, Watched, item};
use crate::inspect::{Blind, Content, Judgement, Judging, OnFailure, ScannerId, Verdict};
use crate::wire::frame::{DataHead, Opcode, write_frame};
use bytes::Bytes;
use std::time::Duration;

impl Lane {
    pub(super) fn message_over(&mut self, turn: &mut Turn<'_>) {
        let message = self.assembly.take();
        let (facts, witness) = (&self.fixed.facts, self.fixed.inspector.witness());
        if message.inflated > 0 {
            witness.inflated(message.wire_size, message.inflated);
        }
        if message.is_whole && witness.wants_content(facts) {
            witness.content(
                facts,
                &Content::Message {
                    direction: self.fixed.direction,
                    opcode: message.opcode,
                    at: self.fixed.epoch + turn.now,
                    data: &message.plain,
                    size: message.size,
                },
            );
        }
        if message.is_judged
            && message.opcode == Opcode::Text
            && message.is_whole
            && std::str::from_utf8(&message.plain).is_err()
        {
            witness.invalid_utf8(facts, self.fixed.direction);
            if self.inspection.invalid_utf8 == OnFailure::Close {
                return self.close(1007, "a text message that is not UTF-8", false);
            }
        }
        match message.fate {
            Fate::Pass if message.is_judged => {
                let watched = Watched {
                    ticket: Ticket(0),
                    opcode: message.opcode,
                    plain: message.plain.into(),
                    size: message.size,
                    scanner: ScannerId(0),
                    scans: Vec::new(),
                };
                self.judge_watched(watched, turn.now);
            }
            Fate::Pass | Fate::LeaveOut => {}
            Fate::Stream => {
                let head = DataHead {
                    opcode: message.next_opcode,
                    fin: true,
                    rsv1: false,
                    payload: 0,
                    mask: Some((self.fixed.fresh_mask)()),
                };
                let mut frame = Vec::new();
                write_frame(&mut frame, self.fixed.direction, head, &[]);
                self.emit(&frame, turn);
            }
            Fate::Hold => {
                self.queue.push(message, turn.now);
                self.advance(turn);
            }
        }
    }

    /// Judges what waits, from the front, as far as it goes.
    pub(super) fn advance(&mut self, turn: &mut Turn<'_>) {
        while self.closing.is_none() {
            let Some(held) = self.queue.next(&mut *turn.out) else {
                return;
            };
            let judging = if held.message.is_judged {
                let item = item(
                    self.fixed.direction,
                    held.message.opcode,
                    &held.message.plain,
                    held.message.size,
                );
                self.session.judge(&item, turn.now, &held.scans)
            } else {
                Judging::Done(Judgement::pass())
            };
            match judging {
                Judging::Scan(id) => {
                    self.tickets += 1;
                    let ticket = Ticket(self.tickets);
                    let plain = Bytes::copy_from_slice(&held.message.plain);
                    let scan = self.scan_item(held.message.opcode, plain);
                    self.queue.await_scan(ticket, id, held);
                    self.wanted.push((ticket, id, scan));
                    return;
                }
                Judging::Done(judgement) => self.carry_out(held, judgement, turn),
            }
        }
    }

    fn carry_out(&mut self, held: Held, judgement: Judgement, turn: &mut Turn<'_>) {
        let message = held.message;
        let about = self.about(message.opcode, message.size);
        if judgement.verdict != Verdict::Pass || !judgement.findings.is_empty() {
            self.fixed
                .inspector
                .witness()
                .judged(&self.fixed.facts, &about, &judgement);
        }
        let leaves_hole = message.head.rsv1 && self.fixed.side.is_some_and(|side| side.takeover);
        match judgement.verdict {
            Verdict::Pass if self.own && message.head.rsv1 => {
                self.write_anew(message.head, &message.plain, message.wire_size, turn);
            }
            Verdict::Pass => (turn.out)(&message.raw),
            Verdict::Replace(plain) => {
                self.own |= leaves_hole;
                self.write_anew(message.head, &plain, message.wire_size, turn);
            }
            Verdict::Drop => self.own |= leaves_hole,
            Verdict::Close(reason) => self.close(1008, &reason, true),
        }
    }

    /// Sends on what was given up on, unjudged.
    pub(super) fn release(&mut self, held: queue::GivenUp, turn: &mut Turn<'_>) {
        if self.own && held.head.rsv1 {
            self.write_anew(held.head, &held.plain, held.wire_size, turn);
        } else {
            (turn.out)(&held.raw);
        }
    }

    /// Writes a message as one frame of the proxy's own.
    fn write_anew(&mut self, first: DataHead, plain: &[u8], before: u64, turn: &mut Turn<'_>) {
        let mut packed = std::mem::take(&mut turn.pools.scratch);
        packed.clear();
        let side = self.fixed.side.filter(|_| first.rsv1);
        let rsv1 = side.is_some_and(|side| turn.pools.deflaters.compress(side, plain, &mut packed));
        let payload = if rsv1 { &packed[..] } else { plain };
        let head = DataHead {
            opcode: first.opcode,
            fin: true,
            rsv1,
            payload: payload.len() as u64,
            mask: Some((self.fixed.fresh_mask)()),
        };
        let mut frame = Vec::with_capacity(payload.len() + 14);
        write_frame(&mut frame, self.fixed.direction, head, payload);
        (turn.out)(&frame);
        self.fixed
            .inspector
            .witness()
            .reframed(self.fixed.direction, before, payload.len() as u64);
        turn.pools.scratch = packed;
    }

    pub(super) fn judge_watched(&mut self, mut watched: Watched, now: Duration) {
        let item = item(self.fixed.direction, watched.opcode, &watched.plain, watched.size);
        match self.session.judge(&item, now, &watched.scans) {
            Judging::Done(judgement) if judgement.findings.is_empty() => {}
            Judging::Done(judgement) => {
                let about = self.about(watched.opcode, watched.size);
                self.fixed
                    .inspector
                    .witness()
                    .judged(&self.fixed.facts, &about, &judgement);
            }
            Judging::Scan(_) if self.watched.len() >= WATCHED_SCANS => {
                let about = self.about(watched.opcode, watched.size);
                let witness = self.fixed.inspector.witness();
                witness.blind(&self.fixed.facts, &about, Blind::ScanFailed, false);
            }
            Judging::Scan(id) => {
                self.tickets += 1;
                (watched.ticket, watched.scanner) = (Ticket(self.tickets), id);
                let scan = self.scan_item(watched.opcode, watched.plain.clone());
                self.wanted.push((watched.ticket, id, scan));
                self.watched.push(watched);
            }
        }
    }

    /// The scan that the front waited for has failed; says whether its message may still be judged.
    pub(super) fn scan_failed(&mut self, ticket: Ticket) -> bool {
        let Some((id, opcode, size)) = self.queue.answered(ticket) else {
            return true;
        };
        let closes = self
            .inspection
            .scanners
            .get(id.0)
            .is_some_and(|scanner| scanner.on_failure() == OnFailure::Close);
        let about = self.about(opcode, size);
        let witness = self.fixed.inspector.witness();
        witness.blind(&self.fixed.facts, &about, Blind::ScanFailed, closes);
        if closes {
            self.close(1008, "a message could not be scanned", false);
        }
        !closes
    }
}
