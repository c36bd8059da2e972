//! The frames of a WebSocket's two directions: counted, held to the protocol, looked into, closed.

use super::config::{CLOSING, HALF_CLOSED, WebSocket};
use super::inspected::Inspected;
use super::pair::{Flow, Pair};
use super::pings::Pings;
use super::unstated::Unstated;
use super::{Batch, Closer, End, FirstClose, FrameTallies, Meter, RuleClose, WebSocketTotals};
use crate::accept::Tally;
use crate::error::Side;
use crate::inspect;
use crate::inspect::filter::{FilterRoute, WantedClose};
use crate::wire::frame::{Direction, Follower, FrameCounts, Opcode, See, Violation, close_frame};
use std::borrow::Cow;
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

/// One direction: where its frames are at, and what the proxy still wants to do to them. A WebSocket that waits is hardly
/// more than two of these: what comes once in its life, or lasts for one read, has its place elsewhere.
struct Half {
    follower: Follower,
    direction: Direction,
    batch: Unstated,
    /// Pings that passed this way and wait for their pongs.
    pings: Pings,
    /// Bytes that came behind the Close.
    discarded: u64,
    /// A Close that the proxy wants to put into this direction at the next frame boundary.
    pending: Option<Box<(u16, Cow<'static, str>)>>,
    /// Nothing that still arrives in this direction goes on.
    muted: bool,
    /// The code and reason of the sender's Close.
    said: Option<Box<(Option<u16>, String)>>,
    /// The sender broke the protocol: what it still sends is not even parsed.
    deaf: bool,
}

/// No generation of the inspector: it has to be asked.
const UNKNOWN: u64 = u64::MAX;

pub(super) struct FrameRelay<'m> {
    halves: [Half; 2],
    /// Where something looks into the messages.
    inspected: Option<Box<Inspected>>,
    /// Where something may yet.
    route: Option<FilterRoute>,
    /// By direction: the generation of the inspector in which nobody looks into it.
    unwatched: [u64; 2],
    begun: Instant,
    first_close: Option<Box<FirstClose>>,
    rule_close: Option<Box<RuleClose>>,
    tallies: Arc<[FrameTallies; 2]>,
    mask: [u8; 4],
    meter: &'m dyn Meter,
}

impl<'m> FrameRelay<'m> {
    pub(super) fn new(settings: WebSocket, meter: &'m dyn Meter) -> Self {
        let halves = Direction::ALL.map(|direction| Half {
            follower: Follower::new(direction, settings.allowed_rsv),
            direction,
            batch: Unstated::default(),
            pings: Pings::default(),
            discarded: 0,
            pending: None,
            muted: false,
            said: None,
            deaf: false,
        });
        let mut frames = Self {
            halves,
            inspected: None,
            route: settings.inspect,
            unwatched: [UNKNOWN; 2],
            begun: Instant::now(),
            first_close: None,
            rule_close: None,
            tallies: settings.tallies,
            mask: settings.mask,
            meter,
        };
        for direction in Direction::ALL {
            frames.begin_inspection(direction);
        }
        frames
    }

    /// Whether nobody looks into this direction, and nobody wants to by now.
    #[inline]
    fn is_unwatched(&self, direction: Direction) -> bool {
        let Some(route) = &self.route else { return true };
        self.unwatched[direction.index()] == route.inspector.generation()
    }

    /// Begins to look into a direction if somebody wants to by now and a message can begin here.
    #[inline(never)]
    fn begin_inspection(&mut self, direction: Direction) {
        let Some(route) = &self.route else { return };
        let half = &self.halves[direction.index()];
        if half.follower.mid_message() {
            return;
        }
        let late = self.tallies[direction.index()].frames.get() > 0 || half.batch.has_passed();
        let generation = route.inspector.generation();
        self.unwatched[direction.index()] = UNKNOWN;
        match inspect::filter::MessageFilter::begin(route, direction, late) {
            Some(filter) => self
                .inspected
                .get_or_insert_with(|| Box::new(Inspected::new(self.begun)))
                .begin(filter, direction),
            None => self.unwatched[direction.index()] = generation,
        }
    }

    /// Moves what waits for scans and deadlines; says whether anything moved.
    pub(super) fn poll_inspection(&mut self, cx: &mut Context<'_>, pair: &mut Pair) -> bool {
        let Some(inspected) = &mut self.inspected else {
            return false;
        };
        let moved = inspected.poll(cx, pair);
        if moved {
            Direction::ALL
                .into_iter()
                .for_each(|direction| self.settle(direction));
        }
        moved
    }

    /// Puts right what is counted of a direction by what was done to it, and takes note of a Close that has gone on.
    #[inline]
    fn settle(&mut self, direction: Direction) {
        let half = &mut self.halves[direction.index()];
        if let Some((difference, stopped)) =
            (self.inspected.as_mut()).and_then(|inspected| inspected.corrections(direction))
        {
            let batch = half.batch.of(direction);
            batch.passed.add(&difference);
            batch.stopped.add(&stopped);
        }
        if half.said.is_some() {
            self.note_close(direction);
        }
        if let Some(inspected) = &mut self.inspected
            && let Some(generation) = inspected.let_go(direction)
        {
            self.unwatched[direction.index()] = generation;
        }
    }

    /// The sender of a direction has closed; it is the first to do so once its Close has gone on.
    #[inline(never)]
    fn note_close(&mut self, direction: Direction) {
        let inspected = self.inspected.as_ref();
        if !inspected.and_then(|it| it.has_closed(direction)).unwrap_or(true) {
            return;
        }
        let Some(said) = self.halves[direction.index()].said.take() else {
            return;
        };
        let (code, reason) = *said;
        let reason = match inspected.and_then(|it| it.new_reason(direction)) {
            Some(new) => new.to_owned(),
            None => reason,
        };
        self.first_close.get_or_insert_with(|| {
            Box::new(FirstClose {
                by: sender(direction).into(),
                code,
                reason,
            })
        });
    }

    /// The end that inspection has decided on, told once; a Close is then on its way to both sides.
    pub(super) fn judged(&mut self) -> Option<End> {
        let (direction, WantedClose { code, reason, rule }) = self.inspected.as_mut()?.closing()?;
        self.close_both(code, reason);
        self.rule_close = rule.map(|rule| Box::new(RuleClose { rule, direction }));
        Some(match self.rule_close {
            Some(_) => End::ByRule,
            None => End::ByBudget,
        })
    }

    /// Wants a Close in both directions.
    pub(super) fn close_both(&mut self, code: u16, reason: impl Into<Cow<'static, str>>) {
        let reason = reason.into();
        for half in &mut self.halves {
            half.pending
                .get_or_insert_with(|| Box::new((code, reason.clone())));
        }
    }

    /// A frame of `direction` broke the protocol: a Close to both sides. Says whose frame it was.
    pub(super) fn violated(&mut self, direction: Direction, violation: Violation) -> Side {
        for half in &mut self.halves {
            half.pending = Some(Box::new((violation.close_code(), violation.label().into())));
        }
        let half = &mut self.halves[direction.index()];
        half.deaf = true;
        match direction {
            Direction::ToOrigin => Side::Client,
            Direction::ToClient => Side::Origin,
        }
    }

    /// Puts the wanted Closes in where a frame has just ended; says whether it did.
    pub(super) fn inject(&mut self, pair: &mut Pair) -> bool {
        let mut injected = false;
        for direction in Direction::ALL {
            let half = &self.halves[direction.index()];
            // A direction that ends in the middle of a frame has no place for a Close.
            if half.muted || half.pending.is_none() {
                continue;
            }
            let inspected = self.inspected.as_mut().and_then(|it| {
                it.no_rest(direction, pair);
                it.may_close(direction)
            });
            self.settle(direction);
            let half = &mut self.halves[direction.index()];
            if !inspected.unwrap_or(half.follower.at_boundary()) && !half.deaf {
                continue;
            }
            injected = true;
            half.muted = true;
            // A Close of the sender's that waits behind what is not to go on never will.
            let inspected = self.inspected.as_mut().and_then(|it| {
                it.abandon(direction);
                it.has_closed(direction)
            });
            if !inspected.unwrap_or(half.follower.close_seen())
                && let Some((code, reason)) = half.pending.as_deref()
            {
                pair.inject(direction, &close_frame(direction, *code, reason, self.mask));
                self.first_close.get_or_insert_with(|| {
                    Box::new(FirstClose {
                        by: Closer::Proxy,
                        code: Some(*code),
                        reason: reason.clone().into_owned(),
                    })
                });
            }
            self.settle(direction);
        }
        injected
    }

    /// Both sides have had their Close and have answered it, or are gone.
    pub(super) fn is_settled(&self, pair: &Pair) -> bool {
        self.halves.iter().all(|half| {
            let sender = sender(half.direction);
            half.muted && (half.deaf || half.follower.close_seen() || pair.eof(sender).is_some())
        })
    }

    /// Each side has sent its Close.
    pub(super) fn is_closed(&self) -> bool {
        self.halves.iter().all(|half| half.follower.close_seen())
    }

    /// Whether nothing that may still come would pass: both sides have sent their Close or have ended, and nothing of
    /// what was before that waits.
    pub(super) fn is_over(&self, pair: &Pair) -> bool {
        self.halves.iter().all(|half| {
            let said_all = half.follower.close_seen() || pair.eof(sender(half.direction)).is_some();
            said_all && !self.is_waiting(half.direction)
        })
    }

    /// How long the pair may be quiet in the state that it is in.
    pub(super) fn patience(&self, pair: &Pair, idle: Duration) -> Duration {
        if self.is_over(pair) {
            idle.min(CLOSING)
        } else if pair.eof(Side::Client).is_some() || pair.eof(Side::Origin).is_some() {
            idle.min(HALF_CLOSED)
        } else {
            idle
        }
    }

    /// How a relay ended that the proxy did not end.
    pub(super) fn natural_end(&self, pair: &Pair) -> End {
        match (&self.first_close, pair.first_eof()) {
            (Some(_), _) => End::Closed,
            (None, Some(side)) => End::Cut(side),
            // Neither: the deadline after a Close cannot pass without one.
            (None, None) => End::Closed,
        }
    }

    /// Nothing more passes: what was stopped is stated, if it has not been.
    pub(super) fn finish(&mut self) {
        for direction in Direction::ALL {
            self.settle(direction);
            let batch = &mut self.halves[direction.index()].batch;
            if batch.has_stopped() {
                // What was to go on has not, and what was stopped was stopped.
                batch.of(direction).passed = FrameCounts::default();
                self.state(direction, Instant::now(), Duration::ZERO);
            }
        }
    }

    pub(super) fn totals(&self, end: End) -> WebSocketTotals {
        let of = |number: fn(&FrameTallies) -> &Tally| self.tallies.each_ref().map(|it| number(it).get());
        WebSocketTotals {
            frames: of(|it| &it.frames),
            messages: of(|it| &it.messages),
            payload_bytes: of(|it| &it.payload_bytes),
            pings: of(|it| &it.pings),
            changed: of(|it| &it.changed),
            dropped: of(|it| &it.dropped),
            discarded: self.halves.each_ref().map(|half| half.discarded),
            first_close: self.first_close.as_deref().cloned(),
            rule_close: self.rule_close.as_deref().cloned(),
            end,
        }
    }

    /// States what has passed and what has not since the last time.
    fn state(&mut self, direction: Direction, since: Instant, inside: Duration) {
        let half = &mut self.halves[direction.index()];
        let batch = half.batch.of(direction);
        batch.inside = inside;
        let at = since.saturating_duration_since(self.begun);
        self.tallies[direction.index()].batch(batch, at);
        self.meter.batch(batch);
        half.batch.clear();
    }
}

const fn sender(direction: Direction) -> Side {
    match direction {
        Direction::ToOrigin => Side::Client,
        Direction::ToClient => Side::Origin,
    }
}

impl Flow for FrameRelay<'_> {
    type Stop = Violation;

    fn take(
        &mut self,
        direction: Direction,
        plain: &[u8],
        now: Instant,
        out: &mut impl FnMut(&[u8]),
    ) -> Result<(), Violation> {
        let taken = self.follow(direction, plain, now, out);
        self.settle(direction);
        taken
    }

    fn is_full(&self, direction: Direction) -> bool {
        self.inspected.as_ref().is_some_and(|it| it.is_full(direction))
    }

    fn is_waiting(&self, direction: Direction) -> bool {
        !self.halves[direction.index()].muted
            && self.inspected.as_ref().is_some_and(|it| it.is_waiting(direction))
    }

    fn flushed(&mut self, direction: Direction, since: Instant) {
        let batch = &mut self.halves[direction.index()].batch;
        if batch.has_passed() || batch.has_stopped() {
            self.state(direction, since, since.elapsed());
        } else {
            batch.let_go();
        }
    }
}

impl FrameRelay<'_> {
    /// Follows what came, and has it looked into where somebody looks.
    #[inline]
    fn follow(
        &mut self,
        direction: Direction,
        mut plain: &[u8],
        now: Instant,
        out: &mut impl FnMut(&[u8]),
    ) -> Result<(), Violation> {
        let looks = |it: &&mut Inspected| it.looks_into(direction);
        if self.inspected.as_deref_mut().is_none_or(|it| !looks(&it)) && !self.is_unwatched(direction) {
            self.begin_inspection(direction);
        }
        let inspected = self.inspected.as_deref_mut().filter(looks);
        let [first, second] = &mut self.halves;
        let (half, back) = match direction {
            Direction::ToOrigin => (first, second),
            Direction::ToClient => (second, first),
        };
        if half.deaf {
            return Ok(());
        }
        let Half {
            follower,
            batch,
            pings,
            discarded,
            said,
            ..
        } = half;
        let mut observer = Observer {
            batch: batch.of(direction),
            sent: pings,
            answered: &mut back.pings,
            said,
            discarded,
            meter: self.meter,
            side: sender(direction),
            now,
        };
        if half.pending.is_some() && !half.muted {
            // The frame that is under way is finished, and nothing after it goes on.
            let rest = usize::try_from(follower.remaining())
                .unwrap_or(usize::MAX)
                .min(plain.len());
            match inspected {
                Some(it) => follower.follow(&plain[..rest], &mut observer, &mut |passed| {
                    it.take(direction, passed, now, out);
                })?,
                None => follower.follow(&plain[..rest], &mut observer, out)?,
            }
            plain = &plain[rest..];
            if follower.at_boundary() && !plain.is_empty() {
                return follower.follow(plain, &mut Unheard(observer.discarded), &mut |_| {});
            }
            return Ok(());
        }
        if half.muted {
            return follower.follow(plain, &mut Unheard(observer.discarded), &mut |_| {});
        }
        match inspected {
            None => follower.follow(plain, &mut observer, out),
            Some(it) => follower.follow(plain, &mut observer, &mut |passed| {
                it.take(direction, passed, now, out);
            }),
        }
    }
}

/// Counts what a follower sees.
struct Observer<'a> {
    batch: &'a mut Batch,
    sent: &'a mut Pings,
    answered: &'a mut Pings,
    said: &'a mut Option<Box<(Option<u16>, String)>>,
    discarded: &'a mut u64,
    meter: &'a dyn Meter,
    side: Side,
    now: Instant,
}

impl See for Observer<'_> {
    fn frame(&mut self, opcode: Opcode, payload: u64) {
        self.batch.passed.frame(opcode, payload);
    }

    fn message(&mut self, size: u64) {
        self.batch.passed.message(size);
    }

    fn ping(&mut self, payload: &[u8]) {
        self.sent.sent(payload, self.now);
    }

    fn pong(&mut self, payload: &[u8]) {
        if let Some(sent) = self.answered.answered(payload) {
            self.meter
                .pong(self.side.other(), self.now.saturating_duration_since(sent));
        }
    }

    fn close(&mut self, said: Option<(u16, &str)>) {
        let (code, reason) = said.map_or((None, ""), |(code, reason)| (Some(code), reason));
        *self.said = Some(Box::new((code, reason.to_owned())));
    }

    fn discarded(&mut self, bytes: u64) {
        *self.discarded += bytes;
    }
}

/// Counts what comes when nothing goes on any more: what is behind the sender's Close, as ever.
struct Unheard<'a>(&'a mut u64);

impl See for Unheard<'_> {
    fn frame(&mut self, _: Opcode, _: u64) {}
    fn message(&mut self, _: u64) {}
    fn ping(&mut self, _: &[u8]) {}
    fn pong(&mut self, _: &[u8]) {}
    fn close(&mut self, _: Option<(u16, &str)>) {}
    fn discarded(&mut self, bytes: u64) {
        *self.0 += bytes;
    }
}

#[cfg(test)]
mod tests;
