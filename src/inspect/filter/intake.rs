//! What comes, piece by piece: where a message is under way, whether it waits, and what of it goes on at once.

use super::message::Fate;
use super::{MessageFilter, Turn, control_counts};
use crate::inspect::{Blind, Interest};
use crate::wire::frame::{DataHead, FrameCounts, FramePiece, Opcode};

impl MessageFilter {
    /// Takes what a follower passed. The follower has told of all that ends in it, so that
    /// [`MessageFilter::corrections`] afterwards has what of that did not go on, or not yet.
    pub fn take(&mut self, mut bytes: &[u8], turn: &mut Turn<'_>) {
        if self.closing.is_none() {
            self.take_whole(&mut bytes, turn);
        }
        while self.closing.is_none()
            && let Some(piece) = self.cutter.next(&mut bytes)
        {
            match piece {
                FramePiece::Head { raw, head } => self.head(raw, head, turn),
                FramePiece::Payload { raw, at } => self.payload(raw, at, turn),
                FramePiece::End => {
                    self.frame_over(turn);
                    self.take_whole(&mut bytes, turn);
                }
                FramePiece::Control { raw, opcode } => self.control(raw, opcode, turn),
            }
        }
        if self.closing.is_some() {
            self.take_behind_the_end(bytes, turn);
        }
        self.count_kept();
    }

    /// Takes what comes when both sides are to be closed: the frame that is under way is finished, if some of it has gone
    /// on, and nothing else goes on.
    fn take_behind_the_end(&mut self, mut bytes: &[u8], turn: &mut Turn<'_>) {
        while let Some(piece) = self.cutter.next(&mut bytes) {
            match piece {
                FramePiece::Head { head, .. } => self.assembly.frame_behind_the_end(head),
                FramePiece::Payload { raw, .. } => {
                    self.assembly.payload_behind_the_end(raw.len());
                    if self.assembly.is_passing_inside_a_frame() {
                        (turn.out)(raw);
                    }
                }
                FramePiece::End if self.assembly.is_passing_inside_a_frame() => {
                    self.assembly.frame_over();
                }
                FramePiece::End => {
                    let head = self.assembly.current_frame();
                    self.stop(&FrameCounts::of_frame(head.opcode, head.payload));
                    if head.fin {
                        self.stop(&FrameCounts::of_message(self.assembly.message().wire_size));
                    }
                }
                FramePiece::Control { raw, opcode } => {
                    self.stop(&control_counts(raw, opcode));
                }
            }
        }
    }

    fn head(&mut self, raw: &[u8], head: DataHead, turn: &mut Turn<'_>) {
        if head.opcode != Opcode::Continuation {
            self.renew();
            let glance = self.glance(head.opcode);
            self.messages += 1;
            let number = self.is_recorded().then_some(self.messages);
            let looks = glance.interest > Interest::None || number.is_some();
            let why = self.assembly.begin(head, glance, number, self.rewrites, turn.now);
            if let Some(why) = why.or((self.fixed.is_opaque && looks).then_some(Blind::UnknownCoding)) {
                self.let_go(why, turn);
                if self.closing.is_some() {
                    return self.assembly.frame_behind_the_end(head);
                }
            }
        }
        self.assembly.frame(head);
        self.assembly.keep_raw(raw);
        if self.assembly.fate() == Fate::Pass {
            self.emit(raw, turn);
        }
    }

    fn payload(&mut self, raw: &[u8], at: u64, turn: &mut Turn<'_>) {
        if self.assembly.fate() == Fate::Pass {
            self.emit(raw, turn);
        }
        self.assembly.keep_raw(raw);
        let done = self
            .assembly
            .payload(raw, at, self.rewrites, &self.inspection.budgets, turn.pools);
        self.find_room();
        self.after(done, turn);
    }

    fn frame_over(&mut self, turn: &mut Turn<'_>) {
        let head = self.assembly.current_frame();
        let frame = FrameCounts::of_frame(head.opcode, head.payload);
        match self.assembly.fate() {
            Fate::Pass if self.queue.is_empty() => {}
            Fate::Pass => self.emitted(&frame),
            Fate::Hold => {
                self.ledger().keep(&frame);
                self.assembly.keep_frame();
            }
            Fate::Stream | Fate::LeaveOut => self.stop(&frame),
        }
        if !self.assembly.frame_over() {
            return;
        }
        let (fate, size) = (self.assembly.fate(), self.assembly.message().wire_size);
        let done = self
            .assembly
            .end(self.rewrites, &self.inspection.budgets, turn.pools);
        self.after(done, turn);
        if self.closing.is_none() {
            self.message_over(turn);
        } else if fate != Fate::Pass {
            self.ledger().keep(&FrameCounts::of_message(size));
        }
    }

    fn control(&mut self, raw: &[u8], opcode: Opcode, turn: &mut Turn<'_>) {
        let judgement = self.judge_control(raw);
        if opcode != Opcode::Close {
            // Pings and pongs overtake what is held: they may stand between any two frames.
            return match judgement {
                None => (turn.out)(raw),
                Some(judgement) => self.carry_out_control(raw, &judgement, turn),
            };
        }
        // A message that was not whole never will be.
        if self.assembly.fate() == Fate::Hold {
            let kept = self.assembly.take_kept();
            self.ledger().stop(&kept);
            self.assembly.discard();
        }
        match judgement {
            None => {
                self.emit(raw, turn);
                self.emitted(&control_counts(raw, opcode));
            }
            Some(judgement) => self.carry_out_control(raw, &judgement, turn),
        }
        self.has_closed |= self.closing.is_none() && self.queue.is_empty();
    }

    /// Sends bytes on, behind everything that still waits.
    pub(super) fn emit(&mut self, bytes: &[u8], turn: &mut Turn<'_>) {
        if bytes.is_empty() {
            return;
        }
        if self.queue.is_empty() {
            return (turn.out)(bytes);
        }
        self.queue.push_raw(bytes);
        if self.queue.awaits_rest() {
            self.advance(turn);
        }
    }
}
