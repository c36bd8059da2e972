//! A message under way: its bytes as they came where it is held, and what they say where somebody looks.

use super::super::rules::Glance;
use super::super::{Blind, Budgets, Interest, Judgement};
use super::Pools;
use super::message::{Fate, FilteredMessage, KeptFrames, NO_FRAME};
use crate::wire::deflate::{DeflateSide, InflateError, Inflater};
use crate::wire::frame::{DataHead, FrameCounts, Opcode, mask_payload};
use std::time::Duration;

/// The message under way, and the shadow of the sender's compression.
#[derive(Debug)]
pub(super) struct Assembly {
    side: Option<DeflateSide>,
    inflater: Option<Box<Inflater>>,
    /// Why compressed messages cannot be decoded any more.
    lost: Option<Blind>,
    frame: DataHead,
    inside: bool,
    inside_frame: bool,
    message: FilteredMessage,
    /// Somebody looks at it, or it has to be written anew.
    wants_plain: bool,
    since: Option<Duration>,
}

impl Assembly {
    pub(super) fn new(side: Option<DeflateSide>, late: bool) -> Self {
        // Without what passed before, messages that refer to it make no sense.
        let lost = (late && side.is_some_and(|side| side.takeover)).then_some(Blind::NoContext);
        Self {
            side,
            inflater: side
                .filter(|_| lost.is_none())
                .map(|side| Box::new(Inflater::new(side))),
            lost,
            frame: NO_FRAME,
            inside: false,
            inside_frame: false,
            message: FilteredMessage::none(),
            wants_plain: false,
            since: None,
        }
    }

    /// A message begins; says why it cannot be looked into, if it cannot. With a `number` it is recorded.
    pub(super) fn begin(
        &mut self,
        head: DataHead,
        glance: Glance,
        number: Option<u64>,
        rewrites: bool,
        now: Duration,
    ) -> Option<Blind> {
        let must_rewrite = rewrites && head.rsv1;
        if let (Some(side), true) = (self.side, self.inflater.as_ref().is_some_and(|it| it.is_inside())) {
            // Of the last message nobody wanted the end, and none refers to another.
            self.inflater = Some(Box::new(Inflater::new(side)));
        }
        self.inside = true;
        self.message = FilteredMessage {
            head,
            opcode: head.opcode,
            next_opcode: head.opcode,
            fate: if glance.interest == Interest::Hold || must_rewrite {
                Fate::Hold
            } else {
                Fate::Pass
            },
            is_judged: glance.interest > Interest::None,
            number,
            ..FilteredMessage::none()
        };
        // A text is also looked at for what is not UTF-8.
        let needs_plain = glance.needs_content || head.opcode == Opcode::Text;
        self.wants_plain = (self.message.is_judged && needs_plain) || must_rewrite || number.is_some();
        self.message.is_whole = self.wants_plain;
        self.since = (self.message.fate == Fate::Hold).then_some(now);
        self.lost
            .filter(|_| head.rsv1 && (self.message.is_judged || must_rewrite || number.is_some()))
    }

    /// Whether a message is under way.
    pub(super) fn is_inside(&self) -> bool {
        self.inside
    }

    pub(super) fn frame(&mut self, head: DataHead) {
        (self.frame, self.inside_frame) = (head, true);
    }

    /// A frame is over; says whether the message is.
    pub(super) fn frame_over(&mut self) -> bool {
        self.inside_frame = false;
        self.frame.fin && self.inside
    }

    /// The frame under way, or that was last.
    pub(super) fn current_frame(&self) -> DataHead {
        self.frame
    }

    /// The frame under way is over and kept.
    pub(super) fn keep_frame(&mut self) {
        self.message.kept.add(self.frame);
    }

    /// Its frames that were kept, which go on now, or never.
    pub(super) fn take_kept(&mut self) -> FrameCounts {
        let kept = self.message.kept_frames();
        self.message.kept = KeptFrames::default();
        kept
    }

    /// A frame begins of which nothing will go on.
    pub(super) fn frame_behind_the_end(&mut self, head: DataHead) {
        if head.opcode != Opcode::Continuation {
            self.message.wire_size = 0;
        }
        self.frame = head;
    }

    /// So much of it has come.
    pub(super) fn payload_behind_the_end(&mut self, size: usize) {
        self.message.wire_size += size as u64;
    }

    pub(super) fn keep_raw(&mut self, raw: &[u8]) {
        if self.message.fate == Fate::Hold {
            self.message.raw.extend_from_slice(raw);
        }
    }

    /// Takes in payload as it came.
    pub(super) fn payload(
        &mut self,
        raw: &[u8],
        at: u64,
        rewrites: bool,
        budgets: &Budgets,
        pools: &mut Pools,
    ) -> Result<(), Blind> {
        self.message.wire_size += raw.len() as u64;
        if !self.needs_bytes() {
            if !self.message.head.rsv1 {
                self.message.size += raw.len() as u64;
            }
            return Ok(());
        }
        if self.wants_plain && self.message.plain.capacity() == 0 {
            self.message.plain = std::mem::take(&mut pools.spare);
        }
        let mut plain = std::mem::take(&mut pools.scratch);
        plain.clear();
        plain.extend_from_slice(raw);
        if let Some(mask) = self.frame.mask {
            mask_payload(mask, at, &mut plain);
        }
        let done = if self.message.head.rsv1 {
            self.inflate(Some(&plain), budgets, pools)
        } else {
            self.keep(&plain, budgets)
        };
        pools.scratch = plain;
        done.and(self.check_raw(rewrites, budgets))
    }

    /// The last byte of the message has come.
    pub(super) fn end(&mut self, rewrites: bool, budgets: &Budgets, pools: &mut Pools) -> Result<(), Blind> {
        if !self.message.head.rsv1 || !self.needs_bytes() {
            return Ok(());
        }
        self.inflate(None, budgets, pools)
            .and(self.check_raw(rewrites, budgets))
    }

    /// Bytes matter to somebody: to rules, to a rewrite, or to the messages after this one.
    fn needs_bytes(&self) -> bool {
        let keeps_context = self.message.head.rsv1 && self.side.is_some_and(|side| side.takeover);
        // The size of a compressed message is told by decoding it.
        let needs_size = self.message.head.rsv1 && self.message.is_judged;
        (self.wants_plain || needs_size || keeps_context) && !(self.message.head.rsv1 && self.lost.is_some())
    }

    fn inflate(&mut self, payload: Option<&[u8]>, budgets: &Budgets, pools: &mut Pools) -> Result<(), Blind> {
        let Some(mut inflater) = self.inflater.take() else {
            return Ok(());
        };
        let limit = budgets.inflated.saturating_sub(self.message.inflated);
        let mut kept = Ok(());
        let mut each = |plain: &[u8]| kept = kept.and(self.keep(plain, budgets));
        let done = match payload {
            Some(payload) => inflater.feed(&mut pools.inflaters, payload, limit, &mut each),
            None => inflater.end(&mut pools.inflaters, limit, &mut each),
        };
        match done {
            Ok(produced) => {
                self.message.inflated += produced;
                self.inflater = Some(inflater);
                kept
            }
            Err(error) => {
                let why = match error {
                    InflateError::Corrupt => Blind::Corrupt,
                    InflateError::Limit => Blind::InflateBudget,
                };
                self.fail(why);
                Err(why)
            }
        }
    }

    /// The shadow is of no more use, unless each message stands for itself.
    fn fail(&mut self, why: Blind) {
        match self.side {
            Some(side) if !side.takeover => self.inflater = Some(Box::new(Inflater::new(side))),
            _ => self.lost = Some(why),
        }
    }

    fn keep(&mut self, plain: &[u8], budgets: &Budgets) -> Result<(), Blind> {
        let message = &mut self.message;
        message.size += plain.len() as u64;
        if !self.wants_plain {
            return Ok(());
        }
        if message.fate == Fate::Stream {
            message.plain.extend_from_slice(plain);
            return Ok(());
        }
        if !message.is_whole {
            return Ok(());
        }
        let room = budgets.message.saturating_sub(message.plain.len());
        if plain.len() <= room {
            message.plain.extend_from_slice(plain);
            return Ok(());
        }
        let rewritten = message.fate == Fate::Hold && message.head.rsv1;
        if rewritten {
            // It may have to go on as a stream, of which nothing may be missing; one piece is bounded.
            message.plain.extend_from_slice(plain);
        } else {
            message.plain.extend_from_slice(&plain[..room]);
            message.is_whole = false;
        }
        Err(Blind::MessageBudget)
    }

    fn check_raw(&self, rewrites: bool, budgets: &Budgets) -> Result<(), Blind> {
        // A message can be long on the wire and short inside, as one of empty blocks is.
        if self.message.fate == Fate::Hold
            && !self.must_rewrite(rewrites)
            && self.message.raw.len() > budgets.message + 4096
        {
            return Err(Blind::MessageBudget);
        }
        Ok(())
    }

    pub(super) fn must_rewrite(&self, rewrites: bool) -> bool {
        rewrites && self.message.head.rsv1
    }

    pub(super) fn fate(&self) -> Fate {
        if self.inside {
            self.message.fate
        } else {
            Fate::Pass
        }
    }

    pub(super) fn opcode(&self) -> Opcode {
        self.message.opcode
    }

    pub(super) fn size(&self) -> u64 {
        self.message.size
    }

    pub(super) fn is_judged(&self) -> bool {
        self.message.is_judged
    }

    pub(super) fn is_watched(&self) -> bool {
        self.message.is_judged && self.message.fate == Fate::Pass
    }

    pub(super) fn is_passing_inside_a_frame(&self) -> bool {
        self.inside_frame && self.fate() == Fate::Pass
    }

    pub(super) fn held(&self) -> usize {
        // A recording's copy must not make a rule's message go on unjudged; it is bounded by itself.
        if self.message.fate == Fate::Pass && !self.message.is_judged {
            return 0;
        }
        self.message.held()
    }

    pub(super) fn window(&self) -> usize {
        self.inflater.as_ref().map_or(0, |inflater| inflater.held())
    }

    pub(super) fn held_since(&self) -> Option<Duration> {
        self.since
            .filter(|_| self.inside && self.message.fate == Fate::Hold)
    }

    /// Nobody will be shown the rest of a message that passes.
    pub(super) fn cut(&mut self) {
        self.message.is_whole = false;
        if self.message.head.rsv1 && self.lost.is_some() {
            self.message.is_lost = true;
            self.wants_plain = false;
            self.message.is_judged = false;
        }
    }

    /// Gives the bytes of a held message back, and lets the rest pass.
    pub(super) fn release(&mut self) -> Vec<u8> {
        self.message.fate = Fate::Pass;
        self.message.is_judged = false;
        self.message.is_whole = false;
        self.message.is_lost = self.message.head.rsv1 && self.lost.is_some();
        if self.message.number.is_none() {
            self.message.plain = Vec::new();
        }
        self.wants_plain = false;
        std::mem::take(&mut self.message.raw)
    }

    /// What is kept of the message for a recording alone, in bytes.
    pub(super) fn copied(&self) -> usize {
        if self.message.fate == Fate::Pass && !self.message.is_judged {
            self.message.plain.len()
        } else {
            0
        }
    }

    /// There is no room for what only a recording wants.
    pub(super) fn drop_copy(&mut self) {
        self.message.plain = Vec::new();
        self.message.is_whole = false;
        // Nobody decodes the rest of it then, and its size is not known.
        self.message.is_lost = self.message.head.rsv1 && self.side.is_some_and(|side| !side.takeover);
        self.wants_plain = false;
    }

    /// From now on the message goes on in fragments as it is decoded.
    pub(super) fn begin_stream(&mut self) {
        self.message.fate = Fate::Stream;
        self.message.is_judged = false;
        self.message.is_whole = false;
        self.message.raw = Vec::new();
    }

    /// From now on nothing of the message goes on.
    pub(super) fn begin_leaving_out(&mut self, why: Judgement) {
        self.message.left_out = self.message.number.map(|_| Box::new(why));
        self.message.fate = Fate::LeaveOut;
        self.message.is_judged = false;
        self.message.is_whole = false;
        self.message.raw = Vec::new();
        self.message.plain = Vec::new();
        self.wants_plain = false;
    }

    /// Whether the receiver's window lacks this message if it is left out.
    pub(super) fn leaves_hole(&self) -> bool {
        self.message.head.rsv1 && self.side.is_some_and(|side| side.takeover)
    }

    /// What is known of the message's size: what has come, or what its frame has announced.
    pub(super) fn announced(&self) -> u64 {
        if self.message.head.rsv1 {
            self.message.size
        } else {
            self.message.size.max(self.frame.payload)
        }
    }

    pub(super) fn plain(&self) -> &[u8] {
        &self.message.plain
    }

    /// The message under way as far as it has come.
    pub(super) fn message(&self) -> &FilteredMessage {
        &self.message
    }

    /// What has been decoded since the last time, and the opcode of the fragment that it makes.
    pub(super) fn drain(&mut self) -> (Opcode, Vec<u8>) {
        let plain = std::mem::take(&mut self.message.plain);
        let opcode = self.message.next_opcode;
        if !plain.is_empty() {
            self.message.next_opcode = Opcode::Continuation;
            self.message.streamed += plain.len() as u64;
        }
        (opcode, plain)
    }

    /// The message that is over.
    pub(super) fn take(&mut self) -> FilteredMessage {
        self.inside = false;
        self.since = None;
        std::mem::replace(&mut self.message, FilteredMessage::none())
    }

    /// Forgets the message under way, but for how much of it has come.
    pub(super) fn discard(&mut self) {
        let discarded = self.take();
        self.message.wire_size = discarded.wire_size;
    }
}
