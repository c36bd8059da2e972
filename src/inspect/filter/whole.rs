//! Messages that came whole: one frame, not compressed, all of it in what is taken. Nearly all small messages are such.
//! They are judged where they lie, and what passes goes on in one piece.

use super::judge::JudgedMessage;
use super::message::FilteredMessage;
use super::queue::QueuedMessage;
use super::{MessageFilter, Turn, item};
use crate::inspect::rules::Rest;
use crate::inspect::{Interest, Judging, OnFailure};
use crate::wire::frame::{DataHead, FrameCounts, Opcode, is_masked_ascii, mask_payload, whole_frame};

impl MessageFilter {
    /// Takes the whole messages that `bytes` begin with, and pings and pongs between them, if nothing is under way that
    /// they would have to wait for. What it leaves goes the long way, and may well be whole too: nothing but the cost
    /// depends on which way a message goes.
    pub(super) fn take_whole(&mut self, bytes: &mut &[u8], turn: &mut Turn<'_>) {
        if !self.cutter.is_between_frames() || self.assembly.is_inside() || !self.queue.is_empty() {
            return;
        }
        self.renew();
        // A recording has messages one by one.
        if self.fixed.is_opaque || self.is_recorded() {
            return;
        }
        let mut run = Run {
            all: bytes,
            from: 0,
            at: 0,
        };
        while self.closing.is_none()
            && self.queue.is_empty()
            && let Some((head, raw, payload)) = whole_frame(run.rest())
        {
            let size = raw.len() + payload.len();
            match head.opcode {
                Opcode::Ping | Opcode::Pong => self.whole_control(size, &mut run, turn),
                Opcode::Text | Opcode::Binary if head.fin && !head.rsv1 => {
                    if !self.whole_message(head, size, payload, &mut run, turn) {
                        break;
                    }
                }
                _ => break,
            }
        }
        run.flush(turn);
        *bytes = run.rest();
    }

    /// Takes a ping or pong.
    fn whole_control(&mut self, size: usize, run: &mut Run<'_>, turn: &mut Turn<'_>) {
        match self.judge_control(run.rest().get(..size).unwrap_or_default()) {
            None => run.pass(size),
            Some(judgement) => {
                let raw = run.leave_out(size, turn);
                self.carry_out_control(raw, &judgement, turn);
            }
        }
    }

    /// Takes one; says whether it did.
    fn whole_message(
        &mut self,
        head: DataHead,
        size: usize,
        payload: &[u8],
        run: &mut Run<'_>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let glance = self.glance(head.opcode);
        let budgets = &self.inspection.budgets;
        if glance.interest == Interest::None {
            run.pass(size);
            return true;
        }
        let held = size + payload.len() + turn.other;
        if payload.len() > budgets.message || (glance.interest == Interest::Hold && held > budgets.connection)
        {
            return false;
        }
        let is_silent = glance.is_silent(head.payload);
        let is_ascii = head.opcode != Opcode::Text || is_masked_ascii(head.mask, payload);
        if is_silent && is_ascii {
            run.pass(size);
            return true;
        }
        let mut copy = std::mem::take(&mut turn.pools.plain);
        let plain = match head.mask {
            Some(mask) if glance.needs_content || !is_ascii => {
                copy.clear();
                copy.extend_from_slice(payload);
                mask_payload(mask, 0, &mut copy);
                &copy[..]
            }
            // Nobody reads it.
            Some(_) => &[],
            None => payload,
        };
        let is_refused = !is_ascii && self.is_refused_text(plain);
        if glance.interest == Interest::Watch {
            run.pass(size);
            if !is_refused {
                self.watch(head.opcode, head.payload, plain, turn.now);
            }
        } else if is_refused {
            run.leave_out(size, turn);
            self.stop(&whole_counts(head));
        } else if is_silent {
            run.pass(size);
        } else {
            self.hold_whole(head, size, plain, run, turn);
        }
        turn.pools.plain = copy;
        true
    }

    /// Tells of a text that is not UTF-8, and says whether both sides are to be closed for it.
    pub(super) fn is_refused_text(&mut self, plain: &[u8]) -> bool {
        if std::str::from_utf8(plain).is_ok() {
            return false;
        }
        let witness = self.fixed.inspector.witness();
        witness.invalid_utf8(&self.fixed.facts, self.fixed.direction);
        let is_refused = self.inspection.invalid_utf8 == OnFailure::Close;
        if is_refused {
            self.close(1007, "a text message that is not UTF-8", None);
        }
        is_refused
    }

    /// Judges one that passes only if no rule stops it.
    fn hold_whole(
        &mut self,
        head: DataHead,
        size: usize,
        plain: &[u8],
        run: &mut Run<'_>,
        turn: &mut Turn<'_>,
    ) {
        let item = item(self.fixed.direction, head.opcode, plain, head.payload);
        let mut rest = Rest::default();
        if self.session.awaits_rest(&item, &mut rest) {
            let raw = run.leave_out(size, turn);
            self.ledger().keep(&whole_counts(head));
            let mut held = QueuedMessage::new(FilteredMessage::whole(head, raw, plain), turn.now);
            held.rest = rest;
            return self.queue.await_rest(held);
        }
        let judging = self.session.judge(&item, turn.now, &[]);
        if !self.keeps_up(head.opcode, head.payload, true) {
            return;
        }
        match judging {
            Judging::Done(judgement) if judgement.is_pass() => {
                self.tell(head.opcode, head.payload, &judgement);
                run.pass(size);
            }
            Judging::Done(judgement) => {
                let raw = run.leave_out(size, turn);
                let counts = whole_counts(head);
                self.ledger().keep(&counts);
                let message = JudgedMessage {
                    head,
                    raw,
                    plain,
                    size: head.payload,
                    wire_size: head.payload,
                    parts: &[],
                    counts,
                };
                self.carry_out(&message, judgement, turn);
            }
            Judging::Scan(id) => {
                let raw = run.leave_out(size, turn);
                self.ledger().keep(&whole_counts(head));
                self.ask(
                    QueuedMessage::new(FilteredMessage::whole(head, raw, plain), turn.now),
                    id,
                    turn,
                );
            }
        }
    }
}

/// A message of one frame, as it is counted.
fn whole_counts(head: DataHead) -> FrameCounts {
    let mut counts = FrameCounts::of_frame(head.opcode, head.payload);
    counts.message(head.payload);
    counts
}

/// What goes on unchanged of one read, until something does not.
struct Run<'a> {
    all: &'a [u8],
    /// What is before this has gone on, or never will.
    from: usize,
    /// What is before this is decided.
    at: usize,
}

impl<'a> Run<'a> {
    fn rest(&self) -> &'a [u8] {
        self.all.get(self.at..).unwrap_or_default()
    }

    fn pass(&mut self, size: usize) {
        self.at += size;
    }

    /// Sends on what has passed.
    fn flush(&mut self, turn: &mut Turn<'_>) {
        if let Some(passed @ [_, ..]) = self.all.get(self.from..self.at) {
            (turn.out)(passed);
        }
        self.from = self.at;
    }

    /// Sends on what has passed, and takes the next bytes out.
    fn leave_out(&mut self, size: usize, turn: &mut Turn<'_>) -> &'a [u8] {
        self.flush(turn);
        let left = self.all.get(self.at..self.at + size).unwrap_or_default();
        self.at += size;
        self.from = self.at;
        left
    }
}
