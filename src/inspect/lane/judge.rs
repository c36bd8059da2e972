//! From a message that is over to what becomes of it.

use super::assemble::{Fate, Message};
use super::queue::Held;
use super::{Fixed, Lane, Ticket, Turn, WATCHED_SCANS, Watched, item};
use crate::inspect::{Background, Blind, Content, Judgement, Judging, OnFailure, ScannerId, Verdict};
use crate::wire::frame::{DataHead, Opcode, write_frame};
use bytes::Bytes;
use std::time::Duration;

/// A message with its verdict.
pub(super) struct Verdicted<'a> {
    /// Of its first frame.
    pub(super) head: DataHead,
    /// Its frames as they came.
    pub(super) raw: &'a [u8],
    /// Decoded.
    pub(super) plain: &'a [u8],
    pub(super) size: u64,
    pub(super) wire_size: u64,
}

impl Fixed {
    /// States what the receiver of a message reads, if the message is recorded.
    pub(super) fn record(&self, message: &Message, at: Duration, judgement: Option<&Judgement>) {
        let Some(number) = message.number else { return };
        let (data, size) = match judgement.map(|judgement| &judgement.verdict) {
            Some(Verdict::Replace(changed)) => (&changed[..], changed.len() as u64),
            Some(Verdict::Drop | Verdict::Close(_)) => (&[][..], message.size),
            // What cannot be decoded is told by its size as it was sent.
            _ if self.is_opaque || message.is_lost => (&[][..], message.wire_size),
            _ => (&message.plain[..], message.size),
        };
        let content = Content::Message {
            direction: self.direction,
            opcode: message.opcode,
            number,
            at,
            data,
            size,
            is_whole: message.is_whole && data.len() as u64 == size,
            judgement,
        };
        self.inspector.witness().content(&self.facts, &content);
    }
}

impl Lane {
    pub(super) fn message_over(&mut self, turn: &mut Turn<'_>) {
        let mut message = self.assembly.take();
        message.at = turn.now;
        // The copy is the recording's own from here on.
        self.share = None;
        if message.inflated > 0 {
            let witness = self.fixed.inspector.witness();
            witness.inflated(message.wire_size, message.inflated);
        }
        if message.fate != Fate::Hold {
            let at = self.fixed.epoch + message.at;
            self.fixed.record(&message, at, message.left_out.as_deref());
        }
        if message.is_judged
            && message.opcode == Opcode::Text
            && message.is_whole
            && self.is_refused_text(&message.plain)
        {
            return;
        }
        match message.fate {
            Fate::Pass if message.is_judged => {
                self.watch(message.opcode, message.size, &message.plain, turn.now);
                turn.pools.recycle(message.plain);
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
            Fate::Hold if self.queue.is_empty() => {
                self.settle(Held::new(message, turn.now), turn);
            }
            Fate::Hold => {
                self.queue.push(Held::new(message, turn.now));
                self.advance(turn);
            }
        }
    }

    /// Judges what waits, from the front, as far as it goes.
    pub(super) fn advance(&mut self, turn: &mut Turn<'_>) {
        while self.closing.is_none()
            && let Some(held) = self.queue.next(&mut *turn.out)
        {
            if !self.settle(held, turn) {
                return;
            }
        }
    }

    /// Judges what nothing is in front of; says whether it is settled, or waits for a scanner in its place.
    fn settle(&mut self, held: Held, turn: &mut Turn<'_>) -> bool {
        let message = &held.message;
        let judging = if message.is_judged {
            let item = item(self.fixed.direction, message.opcode, &message.plain, message.size);
            self.session.judge(&item, turn.now, &held.scans)
        } else {
            Judging::Done(Judgement::pass())
        };
        match judging {
            Judging::Scan(id) => {
                self.ask(held, id);
                false
            }
            Judging::Done(judgement) => {
                if !self.keeps_up(message.opcode, message.size, true) {
                    return true;
                }
                let acted = (!judgement.is_pass()).then_some(&judgement);
                self.fixed.record(message, self.fixed.epoch + message.at, acted);
                let verdicted = Verdicted {
                    head: message.head,
                    raw: &message.raw,
                    plain: &message.plain,
                    size: message.size,
                    wire_size: message.wire_size,
                };
                self.carry_out(&verdicted, judgement, turn);
                turn.pools.recycle(held.message.plain);
                true
            }
        }
    }

    /// Puts a message in front of the queue until a scanner has answered.
    pub(super) fn ask(&mut self, held: Held, id: ScannerId) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let plain = Bytes::copy_from_slice(&held.message.plain);
        let scan = self.scan_item(held.message.opcode, plain);
        self.queue.await_scan(ticket, id, held);
        self.wanted.push((ticket, id, scan));
    }

    /// Tells of a judgement that says anything.
    pub(super) fn tell(&self, opcode: Opcode, size: u64, judgement: &Judgement) {
        if judgement.verdict != Verdict::Pass || !judgement.findings.is_empty() {
            let about = self.about(opcode, size);
            let witness = self.fixed.inspector.witness();
            witness.judged(&self.fixed.facts, &about, judgement);
        }
    }

    pub(super) fn carry_out(&mut self, message: &Verdicted<'_>, judgement: Judgement, turn: &mut Turn<'_>) {
        self.tell(message.head.opcode, message.size, &judgement);
        let leaves_hole = message.head.rsv1 && self.fixed.side.is_some_and(|side| side.takeover);
        match judgement.verdict {
            Verdict::Pass if self.own && message.head.rsv1 => {
                self.write_anew(message.head, message.plain, message.wire_size, turn);
            }
            Verdict::Pass => (turn.out)(message.raw),
            Verdict::Replace(plain) => {
                self.own |= leaves_hole;
                self.write_anew(message.head, &plain, message.wire_size, turn);
            }
            Verdict::Drop => self.own |= leaves_hole,
            Verdict::Close(reason) => self.close(1008, &reason, true),
        }
    }

    /// Sends on what was given up on, unjudged.
    pub(super) fn release(&mut self, held: Message, turn: &mut Turn<'_>) {
        self.fixed.record(&held, self.fixed.epoch + held.at, None);
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
        if self.watched.len() >= WATCHED_SCANS {
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
