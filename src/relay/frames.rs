//! The frames of a WebSocket's two directions: counted, held to the protocol, looked into, closed.

use super::config::{CLOSING, HALF_CLOSED, WebSocket};
use super::inspected::Inspected;
use super::pair::{Flow, Pair};
use super::pings::Pings;
use super::{Batch, End, FirstClose, Meter, SIZE_BOUNDS, WebSocketTotals};
use crate::error::Side;
use crate::inspect;
use crate::inspect::filter::{Route, WantedClose};
use crate::wire::frame::{Direction, Follower, Opcode, See, Violation, close_frame};
use std::borrow::Cow;
use std::task::Context;
use std::time::{Duration, Instant};

/// One direction: where its frames are at, and what the proxy still wants to do to them.
struct Half {
    follower: Follower,
    direction: Direction,
    batch: Batch,
    /// Pings that passed this way and wait for their pongs.
    pings: Pings,
    /// Pongs that passed this way in the current batch.
    totals: Totals,
    /// A Close that the proxy wants to put into this direction at the next frame boundary.
    pending: Option<(u16, Cow<'static, str>)>,
    /// Nothing that still arrives in this direction goes on.
    muted: bool,
    /// The sender broke the protocol: what it still sends is not even parsed.
    deaf: bool,
}

#[derive(Default)]
struct Totals {
    frames: u64,
    messages: u64,
    payload_bytes: u64,
    /// Bytes that came behind the Close.
    discarded: u64,
}

pub(super) struct FrameRelay<'m> {
    halves: [Half; 2],
    /// Where something looks into the messages.
    inspected: Option<Box<Inspected>>,
    /// Where something may yet.
    route: Option<Route>,
    /// By direction: the generation of the inspector in which nobody looks into it.
    unwatched: [Option<u64>; 2],
    begun: Instant,
    first_close: Option<FirstClose>,
    mask: [u8; 4],
    meter: &'m dyn Meter,
}

impl<'m> FrameRelay<'m> {
    pub(super) fn new(settings: WebSocket, meter: &'m dyn Meter) -> Self {
        let halves = Direction::ALL.map(|direction| Half {
            follower: Follower::new(direction, settings.allowed_rsv),
            direction,
            batch: Batch::new(direction),
            pings: Pings::default(),
            totals: Totals::default(),
            pending: None,
            muted: false,
            deaf: false,
        });
        let mut frames = Self {
            halves,
            inspected: None,
            route: settings.inspect,
            unwatched: [None; 2],
            begun: Instant::now(),
            first_close: None,
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
        self.unwatched[direction.index()] == Some(route.inspector.generation())
    }

    /// Begins to look into a direction if somebody wants to by now and a message can begin here.
    #[inline(never)]
    fn begin_inspection(&mut self, direction: Direction) {
        let Some(route) = &self.route else { return };
        let half = &self.halves[direction.index()];
        if half.follower.mid_message() {
            return;
        }
        let late = half.totals.frames > 0 || half.batch.frames.iter().any(|frames| *frames > 0);
        let generation = route.inspector.generation();
        self.unwatched[direction.index()] = None;
        match inspect::filter::MessageFilter::begin(route, direction, late) {
            Some(filter) => self
                .inspected
                .get_or_insert_with(|| Box::new(Inspected::new(self.begun)))
                .begin(filter, direction),
            None => self.unwatched[direction.index()] = Some(generation),
        }
    }

    /// Moves what waits for scans and deadlines; says whether anything moved.
    pub(super) fn poll_inspection(&mut self, cx: &mut Context<'_>, pair: &mut Pair) -> bool {
        self.inspected
            .as_mut()
            .is_some_and(|inspected| inspected.poll(cx, pair))
    }

    /// The end that inspection has decided on, told once; a Close is then on its way to both sides.
    pub(super) fn judged(&mut self) -> Option<End> {
        let WantedClose {
            code,
            reason,
            by_rule,
        } = self.inspected.as_mut()?.closing()?;
        self.close_both(code, reason);
        Some(if by_rule { End::ByRule } else { End::ByBudget })
    }

    /// Wants a Close in both directions.
    pub(super) fn close_both(&mut self, code: u16, reason: impl Into<Cow<'static, str>>) {
        let reason = reason.into();
        for half in &mut self.halves {
            half.pending.get_or_insert_with(|| (code, reason.clone()));
        }
    }

    /// A frame of `direction` broke the protocol: a Close to both sides. Says whose frame it was.
    pub(super) fn violated(&mut self, direction: Direction, violation: Violation) -> Side {
        for half in &mut self.halves {
            half.pending = Some((violation.close_code(), violation.label().into()));
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
        for half in &mut self.halves {
            // A direction that ends in the middle of a frame has no place for a Close.
            if half.muted || half.pending.is_none() {
                continue;
            }
            let inspected = self.inspected.as_mut().and_then(|it| {
                it.no_rest(half.direction, pair);
                it.may_close(half.direction)
            });
            if !inspected.unwrap_or(half.follower.at_boundary()) && !half.deaf {
                continue;
            }
            if let Some((code, reason)) = &half.pending {
                half.muted = true;
                injected = true;
                if !half.follower.close_seen() {
                    pair.inject(
                        half.direction,
                        &close_frame(half.direction, *code, reason, self.mask),
                    );
                }
            }
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
        match (self.first_close, pair.first_eof()) {
            (Some(_), _) => End::Closed,
            (None, Some(side)) => End::Cut(side),
            // Neither: the deadline after a Close cannot pass without one.
            (None, None) => End::Closed,
        }
    }

    pub(super) fn totals(&self, end: End) -> WebSocketTotals {
        let [out, back] = &self.halves;
        WebSocketTotals {
            frames: [out.totals.frames, back.totals.frames],
            messages: [out.totals.messages, back.totals.messages],
            payload_bytes: [out.totals.payload_bytes, back.totals.payload_bytes],
            discarded: [out.totals.discarded, back.totals.discarded],
            first_close: self.first_close,
            end,
        }
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
            totals,
            ..
        } = half;
        let mut observer = Observer {
            batch,
            sent: pings,
            answered: &mut back.pings,
            first_close: &mut self.first_close,
            discarded: &mut totals.discarded,
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
                return follower.follow(plain, &mut observer, &mut |_| {});
            }
            return Ok(());
        }
        if half.muted {
            return follower.follow(plain, &mut observer, &mut |_| {});
        }
        match inspected {
            None => follower.follow(plain, &mut observer, out),
            Some(it) => follower.follow(plain, &mut observer, &mut |passed| {
                it.take(direction, passed, now, out);
            }),
        }
    }

    fn is_full(&self, direction: Direction) -> bool {
        self.inspected.as_ref().is_some_and(|it| it.is_full(direction))
    }

    fn is_waiting(&self, direction: Direction) -> bool {
        !self.halves[direction.index()].muted
            && self.inspected.as_ref().is_some_and(|it| it.is_waiting(direction))
    }

    fn flushed(&mut self, direction: Direction, since: Instant) {
        let half = &mut self.halves[direction.index()];
        let frames: u64 = half.batch.frames.iter().map(|n| u64::from(*n)).sum();
        if frames == 0 {
            return;
        }
        half.totals.frames += frames;
        half.totals.messages += half.batch.messages.iter().map(|n| u64::from(*n)).sum::<u64>();
        half.totals.payload_bytes += half.batch.payload_bytes.iter().sum::<u64>();
        half.batch.inside = since.elapsed();
        self.meter.batch(&half.batch);
        half.batch = Batch::new(direction);
    }
}

/// Counts what a follower sees.
struct Observer<'a> {
    batch: &'a mut Batch,
    sent: &'a mut Pings,
    answered: &'a mut Pings,
    first_close: &'a mut Option<FirstClose>,
    discarded: &'a mut u64,
    meter: &'a dyn Meter,
    side: Side,
    now: Instant,
}

impl See for Observer<'_> {
    fn frame(&mut self, opcode: Opcode, payload: u64) {
        self.batch.frames[opcode.index()] += 1;
        self.batch.payload_bytes[opcode.index()] += payload;
    }

    fn message(&mut self, size: u64) {
        let bucket = SIZE_BOUNDS
            .iter()
            .position(|bound| size <= *bound)
            .unwrap_or(SIZE_BOUNDS.len());
        self.batch.messages[bucket] += 1;
        self.batch.message_bytes += size;
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

    fn close(&mut self, code: Option<u16>) {
        self.first_close.get_or_insert(FirstClose { by: self.side, code });
    }

    fn discarded(&mut self, bytes: u64) {
        *self.discarded += bytes;
    }
}

#[cfg(test)]
mod tests;
