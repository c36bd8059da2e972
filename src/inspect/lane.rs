//! One direction of an inspected WebSocket: which bytes go on, when, and as what.
//!
//! Bytes come as a follower has passed them: valid frames, no header and no control frame cut. A message that no
//! rule can stop or change goes on at once, and only a copy of it is looked at. One that a rule can stop or change
//! waits, and what comes behind it waits in its order; pings and pongs do not. What goes on unchanged goes on as
//! the very bytes that came.
//!
//! Once a compressed message has been changed or left out, its receiver's window is no longer its sender's. From
//! then on the direction is the proxy's *own*: each compressed message is decoded, and compressed anew by itself.

mod assemble;
mod judge;
mod queue;

use super::rules::Session;
use super::{
    About, Blind, Facts, Inspection, Inspector, Interest, Item, Judging, OnFailure, ScanItem, ScanOutcome,
    ScannerId, Surface, Verdict,
};
use crate::wire::deflate::{Deflate, Deflaters, Inflaters, Side};
use crate::wire::frame::{Cutter, DataHead, Direction, Opcode, Piece, write_frame};
use assemble::{Assembly, Fate};
use bytes::Bytes;
use queue::Queue;
use std::sync::Arc;
use std::time::Duration;

/// Scans of messages that have already gone on, at once.
const WATCHED_SCANS: usize = 16;

/// What the lanes of one thread share.
#[derive(Debug, Default)]
pub struct Pools {
    inflaters: Inflaters,
    deflaters: Deflaters,
    scratch: Vec<u8>,
}

/// What a lane is told with each call.
pub struct Turn<'a> {
    /// The thread's pools.
    pub pools: &'a mut Pools,
    /// A clock that only goes forward.
    pub now: Duration,
    /// What the other direction keeps, in bytes.
    pub other: usize,
    /// Where bytes go on to.
    pub out: &'a mut dyn FnMut(&[u8]),
}

/// Which scan an outcome belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

/// Why both sides are to be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The close code.
    pub code: u16,
    /// The reason, at most 123 bytes.
    pub reason: String,
    /// Whether a rule said so; otherwise a budget or a failure did.
    pub by_rule: bool,
}

/// What stays the same for the life of a lane.
#[derive(Debug)]
struct Fixed {
    inspector: Arc<Inspector>,
    facts: Arc<Facts>,
    direction: Direction,
    side: Option<Side>,
    /// An extension was agreed that cannot be decoded.
    is_opaque: bool,
    fresh_mask: fn() -> [u8; 4],
    /// The Unix time when the lane's clock was 0.
    epoch: Duration,
}

/// How a lane is made.
#[derive(Debug, Clone)]
pub struct Route {
    /// Rules, budgets, and who is told.
    pub inspector: Arc<Inspector>,
    /// Whose messages.
    pub facts: Arc<Facts>,
    /// permessage-deflate as agreed.
    pub deflate: Option<Deflate>,
    /// An extension was agreed that the proxy cannot decode.
    pub is_opaque: bool,
    /// A mask that nobody can guess (RFC 6455 section 10.3).
    pub fresh_mask: fn() -> [u8; 4],
    /// The Unix time when the clock of [`Turn::now`] was 0.
    pub epoch: Duration,
}

impl Route {
    /// Whether somebody looks into WebSockets such as this one.
    pub fn is_wanted(&self) -> bool {
        self.inspector.is_active() || self.inspector.witness().wants_content(&self.facts)
    }
}

/// One direction.
#[derive(Debug)]
pub struct Lane {
    fixed: Fixed,
    inspection: Arc<Inspection>,
    session: Session,
    cutter: Cutter,
    assembly: Assembly,
    queue: Queue,
    /// The receiver's window is no longer the sender's.
    own: bool,
    watched: Vec<Watched>,
    tickets: u64,
    wanted: Vec<(Ticket, ScannerId, ScanItem)>,
    closing: Option<Closing>,
}

/// A message that has gone on and waits for a scanner's word.
#[derive(Debug)]
struct Watched {
    ticket: Ticket,
    opcode: Opcode,
    plain: Bytes,
    size: u64,
    scanner: ScannerId,
    scans: Vec<(ScannerId, ScanOutcome)>,
}

impl Lane {
    /// Begins right after the handshake; or later with `late`, when nothing of what passed was seen.
    pub fn new(route: &Route, direction: Direction, late: bool) -> Self {
        let inspection = Arc::clone(&route.inspector.current());
        let session = Session::new(inspection.rules.clone(), route.facts.clone());
        let side = route.deflate.map(|deflate| deflate.sides[direction.index()]);
        Self {
            fixed: Fixed {
                inspector: route.inspector.clone(),
                facts: route.facts.clone(),
                direction,
                side,
                is_opaque: route.is_opaque,
                fresh_mask: route.fresh_mask,
                epoch: route.epoch,
            },
            inspection,
            session,
            cutter: Cutter::default(),
            assembly: Assembly::new(side, late),
            queue: Queue::default(),
            own: false,
            watched: Vec::new(),
            tickets: 0,
            wanted: Vec::new(),
            closing: None,
        }
    }

    /// Takes what a follower passed.
    pub fn take(&mut self, mut bytes: &[u8], turn: &mut Turn<'_>) {
        while self.closing.is_none()
            && let Some(piece) = self.cutter.next(&mut bytes)
        {
            match piece {
                Piece::Head { raw, head } => self.head(raw, head, turn),
                Piece::Payload { raw, at } => self.payload(raw, at, turn),
                Piece::End => self.frame_over(turn),
                Piece::Control { raw, opcode } => self.control(raw, opcode, turn),
            }
        }
    }

    /// Who is told what it does.
    pub fn witness(&self) -> &dyn super::Witness {
        self.fixed.inspector.witness()
    }

    /// What it keeps, in bytes, without the window.
    pub fn held(&self) -> usize {
        self.assembly.held() + self.queue.held()
    }

    /// The window that it keeps for the messages to come, in bytes.
    pub fn window(&self) -> usize {
        self.assembly.window()
    }

    /// Whether no more can be taken in before something is judged.
    pub fn is_full(&self, other: usize) -> bool {
        !self.queue.is_empty() && self.held() + other >= self.inspection.budgets.connection
    }

    /// Whether something waits to be judged, and will go on or not without another byte.
    pub fn is_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether a Close of the proxy's own could go out now without cutting a frame.
    pub fn at_boundary(&self) -> bool {
        !self.queue.is_empty() || !self.assembly.is_passing_inside_a_frame()
    }

    /// Why both sides are to be closed, once that is so. Nothing more goes on then.
    pub fn closing(&self) -> Option<&Closing> {
        self.closing.as_ref()
    }

    /// A scan that is to be begun.
    pub fn wanted_scan(&mut self) -> Option<(Ticket, Arc<dyn super::Scanner>, ScanItem)> {
        let (ticket, id, item) = self.wanted.pop()?;
        let scanner = self.inspection.scanners.get(id.0)?.clone();
        Some((ticket, scanner, item))
    }

    /// A scan has ended.
    pub fn scanned(&mut self, ticket: Ticket, outcome: ScanOutcome, turn: &mut Turn<'_>) {
        if self.queue.answer(ticket, &outcome) {
            if matches!(outcome, ScanOutcome::Failed(_)) && !self.scan_failed(ticket) {
                return;
            }
            return self.advance(turn);
        }
        let Some(at) = self.watched.iter().position(|watched| watched.ticket == ticket) else {
            return;
        };
        let mut watched = self.watched.swap_remove(at);
        if matches!(outcome, ScanOutcome::Failed(_)) {
            let about = self.about(watched.opcode, watched.size);
            let witness = self.fixed.inspector.witness();
            witness.blind(&self.fixed.facts, &about, Blind::ScanFailed, false);
        }
        watched.scans.push((watched.scanner, outcome));
        self.judge_watched(watched, turn.now);
    }

    /// When [`Lane::expire`] has something to do.
    pub fn deadline(&self) -> Option<Duration> {
        let since = self.queue.since().or(self.assembly.held_since())?;
        Some(since.saturating_add(self.inspection.budgets.hold))
    }

    /// Lets go of what has been held for too long, one way or the other.
    pub fn expire(&mut self, turn: &mut Turn<'_>) {
        while self.closing.is_none() && self.deadline().is_some_and(|deadline| deadline <= turn.now) {
            match self.queue.give_up() {
                Some(held) => {
                    let about = self.about(held.opcode, held.size);
                    if !self.spent(&about, Blind::HoldTime) {
                        return;
                    }
                    self.release(held, turn);
                    self.advance(turn);
                }
                None => self.let_go(Blind::HoldTime, turn),
            }
        }
    }

    fn head(&mut self, raw: &[u8], head: DataHead, turn: &mut Turn<'_>) {
        if head.opcode != Opcode::Continuation {
            self.renew();
            let witness = self.fixed.inspector.witness();
            let mut interest =
                self.session
                    .interest(Surface::Message, self.fixed.direction, Some(head.opcode));
            if interest == Interest::None && witness.wants_content(&self.fixed.facts) {
                interest = Interest::Watch;
            }
            let why = self.assembly.begin(head, interest, self.own, turn.now);
            if let Some(why) =
                why.or((self.fixed.is_opaque && interest > Interest::None).then_some(Blind::UnknownCoding))
            {
                self.let_go(why, turn);
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
            .payload(raw, at, self.own, &self.inspection.budgets, turn.pools);
        self.after(done, turn);
    }

    fn frame_over(&mut self, turn: &mut Turn<'_>) {
        if !self.assembly.frame_over() {
            return;
        }
        let done = self.assembly.end(self.own, &self.inspection.budgets, turn.pools);
        self.after(done, turn);
        if self.closing.is_none() {
            self.message_over(turn);
        }
    }

    /// Looks at what the last bytes did to the budgets.
    fn after(&mut self, done: Result<(), Blind>, turn: &mut Turn<'_>) {
        if self.closing.is_some() {
            return;
        }
        if let Err(why) = done {
            self.let_go(why, turn);
        } else if self.assembly.fate() == Fate::Hold
            && self.held() + turn.other > self.inspection.budgets.connection
        {
            self.let_go(Blind::ConnectionBudget, turn);
        }
        self.stream(turn);
    }

    /// Sends on what has been decoded of a message of an own direction that is too large to be held.
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
        }
    }

    /// The message under way cannot be looked into, or not as a whole: policy decides what becomes of it.
    fn let_go(&mut self, why: Blind, turn: &mut Turn<'_>) {
        let about = self.about(self.assembly.opcode(), self.assembly.size());
        let witness = self.fixed.inspector.witness();
        match self.assembly.fate() {
            Fate::Pass if self.assembly.is_watched() => {
                witness.blind(&self.fixed.facts, &about, why, false);
                self.assembly.cut();
            }
            // Nobody looks; a shadow that broke is told of when somebody does.
            Fate::Pass => self.assembly.cut(),
            Fate::Hold if self.assembly.must_rewrite(self.own) => {
                let can_stream = matches!(
                    why,
                    Blind::MessageBudget | Blind::ConnectionBudget | Blind::HoldTime
                );
                if !self.assembly.is_judged() || self.spent(&about, why) {
                    if can_stream {
                        self.assembly.begin_stream();
                        self.stream(turn);
                    } else {
                        // What the receiver would need to make sense of it is lost.
                        self.close(1009, why.label(), false);
                    }
                }
            }
            Fate::Hold if why == Blind::MessageBudget && self.refuses_in_part(turn.now) => {
                self.own |= self.assembly.leaves_hole();
                self.assembly.begin_leaving_out();
            }
            Fate::Hold => {
                if self.closing.is_none() && self.spent(&about, why) {
                    let raw = self.assembly.release();
                    self.emit(&raw, turn);
                }
            }
            Fate::Stream => self.close(1009, why.label(), false),
            Fate::LeaveOut => {}
        }
    }

    /// Asks the rules about what has come of a message that is too large to be held, with the size that it will
    /// have at least: whether it is left out. A rule against large messages would never act otherwise.
    fn refuses_in_part(&mut self, now: Duration) -> bool {
        let (direction, opcode) = (self.fixed.direction, self.assembly.opcode());
        let size = self.assembly.announced();
        let item = item(direction, opcode, self.assembly.plain(), size);
        let Judging::Done(judgement) = self.session.judge(&item, now, &[]) else {
            return false;
        };
        if !matches!(judgement.verdict, Verdict::Drop | Verdict::Close(_)) {
            return false;
        }
        let about = self.about(opcode, size);
        self.fixed
            .inspector
            .witness()
            .judged(&self.fixed.facts, &about, &judgement);
        match judgement.verdict {
            Verdict::Close(reason) => {
                self.close(1008, &reason, true);
                false
            }
            _ => true,
        }
    }

    /// Counts what could not be looked into, and says whether it may pass.
    fn spent(&mut self, about: &About, why: Blind) -> bool {
        let stopped = self.inspection.budgets.spent == OnFailure::Close;
        let witness = self.fixed.inspector.witness();
        witness.blind(&self.fixed.facts, about, why, stopped);
        if stopped {
            self.close(1009, why.label(), false);
        }
        !stopped
    }

    fn control(&mut self, raw: &[u8], opcode: Opcode, turn: &mut Turn<'_>) {
        if opcode != Opcode::Close {
            // Pings and pongs overtake what is held: they may stand between any two frames.
            return (turn.out)(raw);
        }
        // A message that was not whole never will be.
        if self.assembly.fate() == Fate::Hold {
            self.assembly.discard();
        }
        self.emit(raw, turn);
    }

    /// Sends bytes on, behind everything that still waits.
    fn emit(&mut self, bytes: &[u8], turn: &mut Turn<'_>) {
        if bytes.is_empty() {
            return;
        }
        if self.queue.is_empty() {
            (turn.out)(bytes);
        } else {
            self.queue.push_raw(bytes);
        }
    }

    /// Takes over the rules of a reload.
    fn renew(&mut self) {
        let current = self.fixed.inspector.current();
        if !Arc::ptr_eq(&current, &self.inspection) {
            self.inspection = Arc::clone(&current);
            self.session.renew(self.inspection.rules.clone());
        }
    }

    fn close(&mut self, code: u16, reason: &str, by_rule: bool) {
        self.closing.get_or_insert(Closing {
            code,
            reason: reason.to_owned(),
            by_rule,
        });
        self.assembly.discard();
        self.queue = Queue::default();
        self.wanted.clear();
    }

    fn about(&self, opcode: Opcode, size: u64) -> About {
        About {
            surface: Surface::Message,
            direction: self.fixed.direction,
            opcode: Some(opcode.label()),
            size,
        }
    }

    fn scan_item(&self, opcode: Opcode, data: Bytes) -> ScanItem {
        ScanItem {
            facts: self.fixed.facts.clone(),
            surface: Surface::Message,
            direction: self.fixed.direction,
            opcode: Some(opcode),
            heads: None,
            data,
        }
    }
}

fn item(direction: Direction, opcode: Opcode, data: &[u8], size: u64) -> Item<'_> {
    Item {
        surface: Surface::Message,
        direction,
        opcode: Some(opcode),
        data,
        size,
        head: None,
    }
}

#[cfg(test)]
mod tests;
