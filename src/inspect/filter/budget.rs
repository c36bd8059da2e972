//! What becomes of a message that takes more memory, work or time than it may, or that cannot be looked into.

use super::message::{Fate, FilteredMessage};
use super::{MessageFilter, Turn, item};
use crate::inspect::{About, Blind, Buffered, Judgement, Judging, OnFailure, Ruling, Share};
use crate::wire::frame::{DataHead, FrameCounts, Opcode, write_frame};
use std::sync::Arc;
use std::time::Duration;

impl MessageFilter {
    /// Lets go of what has been held for too long, one way or the other.
    pub fn expire(&mut self, turn: &mut Turn<'_>) {
        self.let_go_late(turn);
        self.count_kept();
    }

    fn let_go_late(&mut self, turn: &mut Turn<'_>) {
        while self.closing.is_none() && self.deadline().is_some_and(|deadline| deadline <= turn.now) {
            match self.queue.give_up() {
                Some(held) => {
                    self.cannot_wait(held, Blind::HoldTime, turn);
                    if self.closing.is_none() {
                        self.advance(turn);
                    }
                }
                None => self.let_go(Blind::HoldTime, turn),
            }
        }
    }

    /// A whole message will not be judged: policy decides whether it goes on.
    pub(super) fn cannot_wait(&mut self, held: FilteredMessage, why: Blind, turn: &mut Turn<'_>) {
        let about = self.about(held.opcode, held.size);
        if self.missed(held.opcode, held.size, why) && self.spent(&about, why) {
            self.release(held, turn);
        } else {
            self.ledger().stop(&held.counts());
        }
    }

    /// Takes room for a copy that only those who look on want, or goes without the copy.
    pub(super) fn find_room(&mut self) {
        let size = self.assembly.copied();
        if size == 0 {
            return;
        }
        let share = self.share.get_or_insert_with(|| {
            let onlookers = (self.fixed.recorded).by(&self.fixed.inspector, &self.fixed.facts);
            let copied = self.inspection.copied_for(onlookers);
            let room = copied.map_or_else(Default::default, |copied| copied.room.clone());
            let all = Arc::clone(self.fixed.inspector.kept());
            [room, all].map(|room| Share::new(room, Buffered::Recordings))
        });
        if !share.iter_mut().all(|share| share.resize(size)) {
            self.share = None;
            self.assembly.drop_copy();
        }
    }

    /// Looks at what the last bytes did to the budgets.
    pub(super) fn after(&mut self, done: Result<(), Blind>, turn: &mut Turn<'_>) {
        if self.closing.is_some() {
            return;
        }
        if let Err(why) = done {
            self.let_go(why, turn);
        } else if self.assembly.fate() == Fate::Hold && self.is_over(turn.other) {
            self.no_rest(turn);
            if self.closing.is_none() && self.is_over(turn.other) {
                self.let_go(Blind::ConnectionBudget, turn);
            }
        } else if self.assembly.fate() == Fate::Hold && !self.kept.resize(self.held()) {
            self.let_go(Blind::ProcessBudget, turn);
        }
        self.stream(turn);
    }

    fn is_over(&self, other: usize) -> bool {
        self.held() + other > self.inspection.budgets.connection
    }

    /// Sends on what has been decoded of a message that is to be rewritten and is too large to be held.
    fn stream(&mut self, turn: &mut Turn<'_>) {
        if self.closing.is_some() || self.assembly.fate() != Fate::Stream {
            return;
        }
        let (opcode, plain) = self.assembly.drain();
        if !plain.is_empty() {
            let head = DataHead {
                opcode,
                fin: false,
                rsv1: false,
                payload: plain.len() as u64,
                mask: Some((self.fixed.fresh_mask)()),
            };
            let mut frame = Vec::with_capacity(plain.len() + 14);
            write_frame(&mut frame, self.fixed.direction, head, &plain);
            self.emit(&frame, turn);
            self.emitted_anew(&FrameCounts::of_frame(head.opcode, head.payload));
        }
    }

    /// The message under way cannot be looked into, or not as a whole: policy decides what becomes of it.
    pub(super) fn let_go(&mut self, why: Blind, turn: &mut Turn<'_>) {
        // What waits for this message to end a frame will not see it whole.
        self.no_rest(turn);
        if self.closing.is_some() {
            return;
        }
        let (opcode, size) = (self.assembly.opcode(), self.assembly.size());
        if !self.missed(opcode, size, why) {
            return;
        }
        let about = self.about(opcode, size);
        let witness = self.fixed.inspector.witness();
        match self.assembly.fate() {
            Fate::Pass if self.assembly.is_watched() => {
                witness.blind(&self.fixed.facts, &about, why, false);
                self.assembly.cut();
            }
            // Nobody looks; a shadow that broke is told of when somebody does.
            Fate::Pass => self.assembly.cut(),
            Fate::Hold if self.assembly.must_rewrite(self.rewrites) => {
                let can_stream = matches!(
                    why,
                    Blind::MessageBudget | Blind::ConnectionBudget | Blind::ProcessBudget | Blind::HoldTime
                );
                if !self.assembly.is_judged() || self.spent(&about, why) {
                    if can_stream {
                        let kept = self.assembly.take_kept();
                        self.ledger().stop(&kept);
                        self.assembly.begin_stream();
                        self.stream(turn);
                    } else {
                        // What the receiver would need to make sense of it is lost.
                        self.close(1009, why.label(), None);
                    }
                }
            }
            Fate::Hold => {
                if why == Blind::MessageBudget
                    && let Some(judgement) = self.refuses_in_part(turn.now)
                {
                    self.rewrites |= self.assembly.leaves_hole();
                    let kept = self.assembly.take_kept();
                    let ledger = self.ledger();
                    ledger.stop(&kept);
                    ledger.outcome().dropped += 1;
                    self.assembly.begin_leaving_out(judgement);
                } else if self.closing.is_none() && self.spent(&about, why) {
                    let kept = self.assembly.take_kept();
                    let raw = self.assembly.release();
                    self.emit(&raw, turn);
                    self.emitted_anew(&kept);
                }
            }
            Fate::Stream => self.close(1009, why.label(), None),
            Fate::LeaveOut => {}
        }
    }

    /// Asks the rules about what has come of a message that is too large to be held, with the size that it will
    /// have at least: why it is left out, if it is. A rule against large messages would never act otherwise.
    fn refuses_in_part(&mut self, now: Duration) -> Option<Judgement> {
        let (direction, opcode) = (self.fixed.direction, self.assembly.opcode());
        let size = self.assembly.announced();
        let item = item(direction, opcode, self.assembly.plain(), size);
        let Judging::Done(judgement) = self.session.judge(&item, now, &[]) else {
            return None;
        };
        if !matches!(judgement.verdict, Ruling::Drop | Ruling::Close(_)) {
            return None;
        }
        let about = self.about(opcode, size);
        self.fixed
            .inspector
            .witness()
            .judged(&self.fixed.facts, &about, &judgement);
        match &judgement.verdict {
            Ruling::Close(reason) => {
                let at = self.fixed.epoch + now;
                self.fixed.record(self.assembly.message(), at, Some(&judgement));
                self.close(1008, reason, judgement.acted());
                None
            }
            _ => Some(judgement),
        }
    }

    /// A message will not be judged; says whether it may go on as it came.
    fn missed(&mut self, opcode: Opcode, size: u64, why: Blind) -> bool {
        let is_bound = opcode == Opcode::Binary && self.session.is_own(self.fixed.direction);
        self.session.missed(self.fixed.direction, opcode);
        if is_bound {
            // Its receiver could not read it.
            let about = self.about(opcode, size);
            let witness = self.fixed.inspector.witness();
            witness.blind(&self.fixed.facts, &about, why, true);
            self.close(1009, why.label(), None);
        }
        !is_bound
    }

    /// Counts a message that could not be looked into with its framing, and says whether it goes on to its verdict.
    pub(super) fn keeps_up(&mut self, opcode: Opcode, size: u64, is_held: bool) -> bool {
        let Some(why) = self.session.blind() else {
            return true;
        };
        let about = self.about(opcode, size);
        if is_held {
            return self.spent(&about, why);
        }
        let witness = self.fixed.inspector.witness();
        witness.blind(&self.fixed.facts, &about, why, false);
        true
    }

    /// Counts what could not be looked into, and says whether it may pass.
    fn spent(&mut self, about: &About, why: Blind) -> bool {
        let stopped = self.inspection.budgets.spent == OnFailure::Close;
        let witness = self.fixed.inspector.witness();
        witness.blind(&self.fixed.facts, about, why, stopped);
        if stopped {
            self.close(1009, why.label(), None);
        }
        !stopped
    }
}
