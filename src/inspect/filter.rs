//! One direction of an inspected WebSocket: which bytes go on, when, and as what.
//!
//! Bytes come as a follower has passed them: valid frames, no header and no control frame cut. A message that no
//! rule can stop or change goes on at once, and only a copy of it is looked at. One that a rule can stop or change
//! waits, and what comes behind it waits in its order; pings and pongs do not. What goes on unchanged goes on as
//! the very bytes that came.
//!
//! Once a compressed message has been changed or left out, its receiver's window is no longer its sender's. From
//! then on the filter *rewrites*: each compressed message is decoded, and compressed anew by itself.

mod assemble;
mod budget;
mod control;
mod counted;
mod intake;
mod judge;
mod ledger;
mod message;
mod queue;
mod renewal;
mod route;
mod turn;
mod watch;
mod watched;
mod whole;

pub use ledger::Stopped;
pub use route::FilterRoute;
pub use turn::{Pools, ScanTicket, Turn, WantedClose};

use super::rules::{Glance, RuleSession};
use super::{
    About, Answer, Asker, Buffered, Inspection, Interest, Question, ScanItem, ScannerId, Share, Subject,
    Surface,
};
use crate::wire::frame::{Cutter, Direction, FrameCounts, Opcode};
use assemble::Assembly;
use bytes::Bytes;
use ledger::Ledger;
use queue::HoldQueue;
use route::FilterContext;
use std::sync::Arc;
use std::time::Duration;
use watched::WatchedMessage;

/// One direction of an inspected WebSocket, and all that is held of it.
#[derive(Debug)]
pub struct MessageFilter {
    fixed: FilterContext,
    inspection: Arc<Inspection>,
    /// Of the inspector, when that was taken over.
    generation: u64,
    session: RuleSession,
    /// Of texts, and of binary messages.
    glances: [Glance; 2],
    /// A rule looks at pings, pongs and Closes.
    looks_at_controls: bool,
    cutter: Cutter,
    assembly: Assembly,
    queue: HoldQueue,
    /// The receiver's window is no longer the sender's.
    rewrites: bool,
    /// By what has changed last, nobody looks any more.
    is_needless: bool,
    watched: Vec<WatchedMessage>,
    tickets: u64,
    /// Messages that have begun.
    messages: u64,
    /// What is kept, of the room of all connections.
    kept: Share,
    /// What the message under way takes where only a recording wants it.
    share: Option<[Share; 2]>,
    wanted: Vec<(ScanTicket, Question)>,
    closing: Option<WantedClose>,
    /// The sender's Close has gone on.
    has_closed: bool,
    /// The reason that its sender did not give it.
    new_reason: Option<String>,
    /// Made when something is kept for the first time.
    ledger: Option<Box<Ledger>>,
}

impl MessageFilter {
    /// Begins if somebody looks into this direction of this WebSocket: a rule of the inspector's current
    /// [generation](super::Inspector::generation), a recording, or somebody live. `late` as for [`MessageFilter::new`].
    pub fn begin(route: &FilterRoute, direction: Direction, late: bool) -> Option<Self> {
        let wanted = !route.recorded.by(&route.inspector, &route.facts).is_none();
        if !wanted && !route.inspector.is_active() {
            return None;
        }
        let filter = Self::new(route, direction, late);
        let mut glances = filter.glances.iter();
        let looks = filter.looks_at_controls || glances.any(|glance| glance.interest > Interest::None);
        (wanted || looks).then_some(filter)
    }

    /// Begins right after the handshake; or later with `late`, when nothing of what passed was seen.
    pub fn new(route: &FilterRoute, direction: Direction, late: bool) -> Self {
        let generation = route.inspector.generation();
        let inspection = Arc::clone(&route.inspector.current());
        let mut session = RuleSession::new(inspection.rules.clone(), route.facts.clone());
        session.limit(inspection.budgets.message, inspection.budgets.inflated);
        let side = route.deflate.map(|deflate| deflate.sides[direction.index()]);
        Self {
            fixed: FilterContext {
                inspector: route.inspector.clone(),
                facts: route.facts.clone(),
                direction,
                side,
                is_opaque: route.is_opaque,
                fresh_mask: route.fresh_mask,
                epoch: route.epoch,
                recorded: route.recorded.clone(),
            },
            inspection,
            generation,
            glances: glances(&session, direction),
            looks_at_controls: session.looks_at_controls(direction),
            session,
            cutter: Cutter::default(),
            assembly: Assembly::new(side, late),
            queue: HoldQueue::default(),
            rewrites: false,
            is_needless: false,
            watched: Vec::new(),
            tickets: 0,
            messages: 0,
            kept: Share::new(Arc::clone(route.inspector.kept()), Buffered::Messages),
            share: None,
            wanted: Vec::new(),
            closing: None,
            has_closed: false,
            new_reason: None,
            ledger: None,
        }
    }

    /// Whether the Close of its sender has gone on.
    pub fn has_closed(&self) -> bool {
        self.has_closed
    }

    /// The reason that a rule has left of that of a Close, where that is another one.
    pub fn new_reason(&self) -> Option<&str> {
        self.new_reason.as_deref()
    }

    /// Nothing that waits goes on any more.
    pub fn abandon(&mut self) {
        if self.closing.is_none() {
            self.forget();
            self.count_kept();
        }
    }

    /// Whether nobody looks into this direction any more, and nothing of it is here. Where a window is kept it stays: without
    /// it nothing could be read for whoever looks next.
    pub fn is_needless(&self) -> bool {
        self.is_needless
            && self.cutter.is_between_frames()
            && !self.assembly.is_inside()
            && self.assembly.window() == 0
            && self.queue.is_empty()
            && self.wanted.is_empty()
            && self.watched.is_empty()
            && !self.rewrites
            && self.closing.is_none()
            && !self.session.is_own(self.fixed.direction)
    }

    /// The [generation](super::Inspector::generation) of what it goes by.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Who is told what it does.
    pub fn witness(&self) -> &dyn super::Witness {
        self.fixed.inspector.witness()
    }

    /// What it keeps, in bytes, without the window.
    pub fn held(&self) -> usize {
        self.assembly.held() + self.queue.held() + self.session.held(self.fixed.direction)
    }

    /// The window that it keeps for the messages to come, in bytes.
    pub fn window(&self) -> usize {
        self.assembly.window()
    }

    /// Whether no more can be taken in before something is judged.
    pub fn is_full(&self, other: usize) -> bool {
        // What waits for the rest of a frame needs more to be judged at all.
        !self.queue.is_empty()
            && !self.queue.awaits_rest()
            && (self.kept.is_spent() || self.held() + other >= self.inspection.budgets.connection)
    }

    /// Whether something waits to be judged, and will go on or not without another byte.
    pub fn is_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether a Close of the proxy's own could go out now without cutting a frame.
    pub fn at_boundary(&self) -> bool {
        !self.queue.is_empty() || !self.assembly.is_passing_inside_a_frame()
    }

    /// Whether there is nothing to do but to take bytes: no scan to begin, and no deadline.
    pub fn is_idle(&self) -> bool {
        self.wanted.is_empty() && self.queue.is_empty() && self.assembly.held_since().is_none()
    }

    /// Why both sides are to be closed, once that is so. Nothing more goes on then.
    pub fn closing(&self) -> Option<&WantedClose> {
        self.closing.as_ref()
    }

    /// A scan that is to be begun.
    pub fn wanted_scan(&mut self) -> Option<(ScanTicket, Question)> {
        self.wanted.pop()
    }

    /// A scan has ended.
    pub fn scanned(&mut self, ticket: ScanTicket, answer: Answer, turn: &mut Turn<'_>) {
        if !self.queue.waits_for(ticket) {
            return self.watched_scanned(ticket, answer, turn.now);
        }
        if answer.stops() {
            self.close(1008, "a message could not be scanned", None);
        } else {
            self.queue.answer(answer.into_outcome());
            self.advance(turn);
        }
        self.count_kept();
    }

    /// When [`MessageFilter::expire`] has something to do.
    pub fn deadline(&self) -> Option<Duration> {
        let since = self.queue.since().or(self.assembly.held_since())?;
        Some(since.saturating_add(self.inspection.budgets.hold))
    }

    /// Whether a message waits for the rest of an application's frame.
    pub fn awaits_rest(&self) -> bool {
        self.queue.awaits_rest()
    }

    /// The rest of an application's frame will not come: what waits for it is judged as it is.
    pub fn no_rest(&mut self, turn: &mut Turn<'_>) {
        if self.queue.awaits_rest() {
            self.queue.no_rest();
            self.advance(turn);
            self.count_kept();
        }
    }

    fn close(&mut self, code: u16, reason: &str, rule: Option<Arc<str>>) {
        if self.closing.is_none() {
            self.ledger().outcome().closed += 1;
        }
        self.closing.get_or_insert(WantedClose {
            code,
            reason: reason.to_owned(),
            rule,
        });
        self.forget();
    }

    fn about(&self, opcode: Opcode, size: u64) -> About {
        About {
            surface: Surface::Message,
            direction: self.fixed.direction,
            opcode: Some(opcode.label()),
            size,
        }
    }

    /// What a scanner is to be asked about a message, whether it waits for the answer or `has_passed`.
    fn question(&self, id: ScannerId, opcode: Opcode, data: Bytes, has_passed: bool) -> Option<Question> {
        let asker = Asker {
            inspector: &self.fixed.inspector,
            inspection: &self.inspection,
            has_passed,
        };
        let item = ScanItem {
            facts: self.fixed.facts.clone(),
            surface: Surface::Message,
            direction: self.fixed.direction,
            opcode: Some(opcode),
            heads: None,
            data,
        };
        asker.question(id, item)
    }

    fn next_ticket(&mut self) -> ScanTicket {
        self.tickets += 1;
        ScanTicket(self.tickets)
    }
}

fn glances(session: &RuleSession, direction: Direction) -> [Glance; 2] {
    let mut glances = [Opcode::Text, Opcode::Binary]
        .map(|opcode| session.glance(Surface::Message, direction, Some(opcode)));
    if session.is_ordered() {
        // Messages that belong together are judged in their order: none may overtake one that is held.
        let most = glances[0].interest.max(glances[1].interest);
        for glance in glances
            .iter_mut()
            .filter(|glance| glance.interest > Interest::None)
        {
            glance.interest = most;
        }
    }
    glances
}

/// A control frame as it is counted: its payload is what is behind its header and its mask.
fn control_counts(raw: &[u8], opcode: Opcode) -> FrameCounts {
    FrameCounts::of_frame(opcode, raw.get(1).map_or(0, |size| u64::from(size & 0x7f)))
}

fn item(direction: Direction, opcode: Opcode, data: &[u8], size: u64) -> Subject<'_> {
    Subject {
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
