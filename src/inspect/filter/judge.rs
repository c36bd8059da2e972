//! From a message that is over to what becomes of it.

use super::message::{Fate, FilteredMessage, MIN_PART, MessagePart};
use super::queue::QueuedMessage;
use super::{FilterContext, MessageFilter, Turn, item};
use crate::inspect::{Blind, Judgement, Judging, Onlookers, RecordedContent, Ruling, ScanOutcome, ScannerId};
use crate::wire::frame::{DataHead, FrameCounts, Opcode, write_frame};
use bytes::Bytes;
use std::time::Duration;

/// A message with its verdict.
pub(super) struct JudgedMessage<'a> {
    /// Of its first frame.
    pub(super) head: DataHead,
    /// Its frames as they came.
    pub(super) raw: &'a [u8],
    /// What it says: unmasked and inflated.
    pub(super) plain: &'a [u8],
    pub(super) size: u64,
    pub(super) wire_size: u64,
    /// The messages that it is, if it is several.
    pub(super) parts: &'a [MessagePart],
    /// It, as it is counted. It has been kept.
    pub(super) counts: FrameCounts,
}

impl<'a> JudgedMessage<'a> {
    fn of(message: &'a FilteredMessage) -> Self {
        Self {
            head: message.head,
            raw: &message.raw,
            plain: &message.plain,
            size: message.size,
            wire_size: message.wire_size,
            parts: &message.parts,
            counts: message.counts(),
        }
    }

    /// How many messages it is.
    fn count(&self) -> u32 {
        u32::try_from(self.parts.len()).unwrap_or(u32::MAX).max(1)
    }
}

impl FilterContext {
    /// States what the receiver of a message reads, if the message is recorded.
    pub(super) fn record(&self, message: &FilteredMessage, at: Duration, judgement: Option<&Judgement>) {
        let Some(number) = message.number else { return };
        let onlookers = self.recorded.by(&self.inspector, &self.facts);
        if onlookers.is_none() {
            return;
        }
        let is_changed = matches!(judgement, Some(it) if matches!(it.verdict, Ruling::Replace(_)));
        if !message.parts.is_empty() && !is_changed {
            return self.record_parts(message, onlookers, judgement);
        }
        let (data, size) = match judgement.map(|judgement| &judgement.verdict) {
            Some(Ruling::Replace(changed)) => (&changed[..], changed.len() as u64),
            Some(Ruling::Drop | Ruling::Close(_)) => (&[][..], message.size),
            // What cannot be decoded is told by its size as it was sent.
            _ if self.is_opaque || message.is_lost => (&[][..], message.wire_size),
            _ => (&message.plain[..], message.size),
        };
        let content = RecordedContent::Message {
            direction: self.direction,
            opcode: message.opcode,
            number,
            at,
            data,
            size,
            is_whole: message.is_whole && data.len() as u64 == size,
            judgement,
        };
        self.inspector.witness().content(&self.facts, onlookers, &content);
    }

    /// The same for messages that went on one by one, or did not, though they were judged as one.
    fn record_parts(&self, message: &FilteredMessage, onlookers: Onlookers, judgement: Option<&Judgement>) {
        let is_left_out = judgement.is_some_and(|it| it.verdict != Ruling::Pass);
        let mut from = 0;
        for part in &message.parts {
            let data = message.plain.get(from..from + part.size).unwrap_or_default();
            from += part.size;
            let Some(number) = part.number else { continue };
            let content = RecordedContent::Message {
                direction: self.direction,
                opcode: message.opcode,
                number,
                at: self.epoch + part.at,
                data: if is_left_out { &[] } else { data },
                size: part.size as u64,
                is_whole: !is_left_out || part.size == 0,
                judgement,
            };
            self.inspector.witness().content(&self.facts, onlookers, &content);
        }
    }
}

impl MessageFilter {
    pub(super) fn message_over(&mut self, turn: &mut Turn<'_>) {
        let mut message = self.assembly.take();
        message.at = turn.now;
        // The copy is the recording's own from here on.
        self.share = None;
        if message.inflated > 0 {
            let witness = self.fixed.inspector.witness();
            witness.inflated(message.wire_size, message.inflated);
        }
        let whole = FrameCounts::of_message(message.wire_size);
        match message.fate {
            // It was told of, and goes on or not when its frames do.
            Fate::Pass => self.emitted(&whole),
            Fate::Hold | Fate::Stream | Fate::LeaveOut => self.ledger().keep(&whole),
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
            if message.fate == Fate::Hold {
                self.ledger().stop(&message.counts());
            }
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
                let mut last = FrameCounts::of_frame(head.opcode, 0);
                last.message(message.streamed);
                self.emitted_anew(&last);
            }
            Fate::Hold if self.queue.is_empty() => {
                self.settle(QueuedMessage::new(message, turn.now), turn);
            }
            Fate::Hold => {
                self.queue.push(QueuedMessage::new(message, turn.now));
                self.advance(turn);
            }
        }
    }

    /// Judges what waits, from the front, as far as it goes.
    pub(super) fn advance(&mut self, turn: &mut Turn<'_>) {
        while self.closing.is_none()
            && let Some(held) = self.queue.next(self.inspection.budgets.message, &mut |waited| {
                (turn.out)(&waited.bytes);
                self.ledger.get_or_insert_default().go_on(&waited.counts);
                self.has_closed |= waited.counts.frames[Opcode::Close.index()] > 0;
            })
        {
            self.settle(held, turn);
        }
    }

    /// Judges what nothing is in front of, unless that has to wait in its place for a scanner or for the rest of a frame.
    fn settle(&mut self, mut held: QueuedMessage, turn: &mut Turn<'_>) {
        let message = &held.message;
        let judging = if message.is_judged {
            let item = item(self.fixed.direction, message.opcode, &message.plain, message.size);
            if !held.is_final && message.is_whole && self.session.awaits_rest(&item, &mut held.rest) {
                return self.queue.await_rest(held);
            }
            self.session.judge(&item, turn.now, &held.scans)
        } else {
            Judging::Done(Judgement::pass())
        };
        match judging {
            Judging::Scan(id) => self.ask(held, id, turn),
            Judging::Done(judgement) => {
                if !self.keeps_up(message.opcode, message.size, true) {
                    return self.ledger().stop(&held.message.counts());
                }
                let acted = (!judgement.is_pass()).then_some(&judgement);
                self.fixed.record(message, self.fixed.epoch + message.at, acted);
                self.carry_out(&JudgedMessage::of(message), judgement, turn);
                turn.pools.recycle(held.message.plain);
            }
        }
    }

    /// Puts a message in front of the queue until a scanner has answered.
    pub(super) fn ask(&mut self, mut held: QueuedMessage, id: ScannerId, turn: &mut Turn<'_>) {
        if !self
            .kept
            .resize(self.held() + held.held() + held.message.plain.len())
        {
            return self.cannot_wait(held.message, Blind::ProcessBudget, turn);
        }
        let plain = Bytes::copy_from_slice(&held.message.plain);
        let Some(question) = self.question(id, held.message.opcode, plain, false) else {
            held.scans.push((id, ScanOutcome::Clean));
            return self.settle(held, turn);
        };
        let ticket = self.next_ticket();
        self.queue.await_scan(ticket, held);
        self.wanted.push((ticket, question));
    }

    /// Tells of a judgement that says anything.
    pub(super) fn tell(&self, opcode: Opcode, size: u64, judgement: &Judgement) {
        if judgement.verdict != Ruling::Pass || !judgement.findings.is_empty() {
            let about = self.about(opcode, size);
            let witness = self.fixed.inspector.witness();
            witness.judged(&self.fixed.facts, &about, judgement);
        }
    }

    /// Does what the rules say to a message that was kept.
    pub(super) fn carry_out(
        &mut self,
        message: &JudgedMessage<'_>,
        judgement: Judgement,
        turn: &mut Turn<'_>,
    ) {
        self.tell(message.head.opcode, message.size, &judgement);
        let leaves_hole = message.head.rsv1 && self.fixed.side.is_some_and(|side| side.takeover);
        match judgement.verdict {
            Ruling::Pass if self.rewrites && message.head.rsv1 => {
                self.ledger().stop(&message.counts);
                let mut sizes = message.parts.iter().map(|part| part.size);
                self.write_anew(message, message.plain, turn, |_| sizes.next());
            }
            Ruling::Pass => {
                (turn.out)(message.raw);
                self.ledger().go_on(&message.counts);
            }
            Ruling::Replace(plain) => {
                self.rewrites |= leaves_hole;
                let ledger = self.ledger();
                ledger.stop(&message.counts);
                ledger.outcome().changed += message.count();
                self.write_changed(message, &plain, turn);
            }
            Ruling::Drop => {
                self.rewrites |= leaves_hole;
                let ledger = self.ledger();
                ledger.stop(&message.counts);
                ledger.outcome().dropped += message.count();
            }
            Ruling::Close(ref reason) => {
                self.ledger().stop(&message.counts);
                self.close(1008, reason, judgement.acted());
            }
        }
    }

    /// Sends on what was given up on, unjudged.
    pub(super) fn release(&mut self, held: FilteredMessage, turn: &mut Turn<'_>) {
        self.fixed.record(&held, self.fixed.epoch + held.at, None);
        self.carry_out(&JudgedMessage::of(&held), Judgement::pass(), turn);
    }

    /// Writes what a rule has changed. Where it came as several messages it makes none that is larger than they were: the
    /// receiver may not take it.
    fn write_changed(&mut self, message: &JudgedMessage<'_>, plain: &[u8], turn: &mut Turn<'_>) {
        let largest = message.parts.iter().map(|part| part.size.max(MIN_PART)).max();
        let is_text = message.head.opcode == Opcode::Text;
        self.write_anew(message, plain, turn, |left| {
            let most = largest.filter(|most| *most < left.len())?;
            // Of much the same size: a receiver may look for an end of more than a few bytes in the last one.
            let most = left.len().div_ceil(left.len().div_ceil(most));
            let is_inside = |at: &usize| left.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
            // A character of a text is not cut.
            (1..=most).rev().find(|at| !is_text || !is_inside(at))
        });
    }

    /// Writes content as messages of the proxy's own, in one frame each. `cut` says how long the next one is; all that is
    /// left, where it does not.
    fn write_anew(
        &mut self,
        message: &JudgedMessage<'_>,
        mut plain: &[u8],
        turn: &mut Turn<'_>,
        mut cut: impl FnMut(&[u8]) -> Option<usize>,
    ) {
        let first = message.head;
        let mut packed = std::mem::take(&mut turn.pools.scratch);
        let side = self.fixed.side.filter(|_| first.rsv1);
        let mut after = 0;
        loop {
            let end = cut(plain).map_or(plain.len(), |end| end.min(plain.len()));
            let (now, rest) = plain.split_at(end);
            packed.clear();
            let rsv1 = side.is_some_and(|side| turn.pools.deflaters.compress(side, now, &mut packed));
            let payload = if rsv1 { &packed[..] } else { now };
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
            let mut written = FrameCounts::of_frame(head.opcode, head.payload);
            written.message(head.payload);
            self.ledger.get_or_insert_default().go_on(&written);
            after += payload.len() as u64;
            plain = rest;
            if plain.is_empty() {
                break;
            }
        }
        let witness = self.fixed.inspector.witness();
        witness.reframed(self.fixed.direction, message.wire_size, after);
        turn.pools.scratch = packed;
    }
}
