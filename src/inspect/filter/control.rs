//! Pings, pongs and Closes (RFC 6455 section 5.5): what applications put into them is looked at too, so that nothing is out
//! of sight there.
//!
//! They are judged where they are, and never wait. Left out are pings and pongs; a Close goes on in any case, if need be
//! without its reason, since it says that nothing more will come.

use super::{MessageFilter, Turn, control_counts};
use crate::inspect::{Judgement, Ruling};
use crate::wire::frame::{DataHead, FrameCounts, Opcode, mask_payload, whole_frame, write_frame};

/// The most that a control frame can hold, in bytes.
const MOST: usize = 125;
/// Of which a Close has so many for its code.
const CODE: usize = 2;

/// What a control frame says.
struct Said {
    /// Unmasked.
    payload: [u8; MOST],
    /// Where the text is in it: behind a Close's code.
    text: std::ops::Range<usize>,
}

impl Said {
    fn of(raw: &[u8]) -> Option<(Opcode, Self)> {
        let (head, _, came) = whole_frame(raw)?;
        let mut payload = [0; MOST];
        let own = payload.get_mut(..came.len())?;
        own.copy_from_slice(came);
        if let Some(mask) = head.mask {
            mask_payload(mask, 0, own);
        }
        let begin = if head.opcode == Opcode::Close { CODE } else { 0 };
        let text = begin.min(came.len())..came.len();
        Some((head.opcode, Self { payload, text }))
    }

    fn text(&self) -> &[u8] {
        self.payload.get(self.text.clone()).unwrap_or_default()
    }

    fn code(&self) -> &[u8] {
        self.payload.get(..self.text.start).unwrap_or_default()
    }
}

impl MessageFilter {
    /// What the rules say to a whole control frame, where they do not let it go on as it came.
    pub(super) fn judge_control(&mut self, raw: &[u8]) -> Option<Judgement> {
        if !self.looks_at_controls {
            return None;
        }
        let (opcode, said) = Said::of(raw)?;
        if said.text().is_empty() {
            return None;
        }
        let judgement = self
            .session
            .judge_control(self.fixed.direction, opcode, said.text());
        self.tell(opcode, said.text().len() as u64, &judgement);
        (!judgement.is_pass()).then_some(judgement)
    }

    /// Does what the rules say to a control frame that has not gone on.
    pub(super) fn carry_out_control(&mut self, raw: &[u8], judgement: &Judgement, turn: &mut Turn<'_>) {
        let Some((opcode, said)) = Said::of(raw) else {
            return;
        };
        self.stop(&control_counts(raw, opcode));
        let room = MOST - said.code().len();
        let text = match &judgement.verdict {
            Ruling::Close(reason) => return self.close(1008, reason, judgement.acted()),
            Ruling::Replace(text) if fits(opcode, text, room) => Some(&text[..]),
            _ if opcode == Opcode::Close => Some(&[][..]),
            _ => None,
        };
        let Some(text) = text else {
            self.ledger().outcome().dropped += 1;
            return;
        };
        self.ledger().outcome().changed += 1;
        let payload = [said.code(), text].concat();
        let head = DataHead {
            opcode,
            fin: true,
            rsv1: false,
            payload: payload.len() as u64,
            mask: Some((self.fixed.fresh_mask)()),
        };
        let mut frame = Vec::with_capacity(payload.len() + 6);
        write_frame(&mut frame, self.fixed.direction, head, &payload);
        let counts = FrameCounts::of_frame(opcode, head.payload);
        if opcode == Opcode::Close {
            self.new_reason = Some(String::from_utf8_lossy(text).into_owned());
            self.emit(&frame, turn);
            self.emitted_anew(&counts);
        } else {
            (turn.out)(&frame);
            self.ledger().go_on(&counts);
        }
    }
}

/// Whether a control frame can hold this: a reason is UTF-8 (section 5.5.1).
fn fits(opcode: Opcode, text: &[u8], room: usize) -> bool {
    text.len() <= room && (opcode != Opcode::Close || std::str::from_utf8(text).is_ok())
}
