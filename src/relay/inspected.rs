//! What looks into a WebSocket's messages, and the scans that it waits for.

use super::pair::Pair;
use crate::inspect::Scan;
use crate::inspect::filter::{MessageFilter, Pools, ScanTicket, Stopped, Turn, WantedClose};
use crate::wire::frame::{Direction, FrameCounts};
use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

thread_local! {
    static POOLS: RefCell<Pools> = RefCell::default();
}

/// Both directions, as far as they are looked into.
pub(super) struct Inspected {
    filters: [Option<MessageFilter>; 2],
    scans: Vec<(Direction, ScanTicket, Scan)>,
    begun: Instant,
    /// When something has been held for too long.
    deadline: Option<(Duration, Pin<Box<Sleep>>)>,
    /// The closing has been told.
    told: bool,
}

impl fmt::Debug for Inspected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspected")
            .field("filters", &self.filters)
            .field("scans", &self.scans.len())
            .finish_non_exhaustive()
    }
}

impl Inspected {
    pub(super) fn new(begun: Instant) -> Self {
        Self {
            filters: [None, None],
            scans: Vec::new(),
            begun,
            deadline: None,
            told: false,
        }
    }

    pub(super) fn begin(&mut self, filter: MessageFilter, direction: Direction) {
        self.filters[direction.index()] = Some(filter);
    }

    /// Lets go of what looks into a direction if nobody needs it any more: the generation in which that is so.
    pub(super) fn let_go(&mut self, direction: Direction) -> Option<u64> {
        let filter = &mut self.filters[direction.index()];
        filter
            .take_if(|filter| filter.is_needless())
            .map(|filter| filter.generation())
    }

    pub(super) fn looks_into(&self, direction: Direction) -> bool {
        self.filters[direction.index()].is_some()
    }

    /// Takes what a follower passed.
    pub(super) fn take(
        &mut self,
        direction: Direction,
        passed: &[u8],
        now: Instant,
        out: &mut impl FnMut(&[u8]),
    ) {
        let now = now.saturating_duration_since(self.begun);
        let done = self.act(direction, now, out, |filter, turn| filter.take(passed, turn));
        if done.is_none() {
            out(passed);
        }
    }

    /// Lets what looks into a direction act; what goes on is handed to `out`.
    fn act<T>(
        &mut self,
        direction: Direction,
        now: Duration,
        out: &mut dyn FnMut(&[u8]),
        act: impl FnOnce(&mut MessageFilter, &mut Turn<'_>) -> T,
    ) -> Option<T> {
        let (filter, other) = self.filter(direction)?;
        POOLS.with_borrow_mut(|pools| {
            let mut turn = Turn {
                pools,
                now,
                other,
                out,
            };
            Some(act(filter, &mut turn))
        })
    }

    /// A direction, and what the other one keeps.
    fn filter(&mut self, direction: Direction) -> Option<(&mut MessageFilter, usize)> {
        let other = self.filters[direction.other().index()]
            .as_ref()
            .map_or(0, MessageFilter::held);
        let filter = self.filters[direction.index()].as_mut()?;
        Some((filter, other))
    }

    pub(super) fn is_full(&self, direction: Direction) -> bool {
        let other = self.filters[direction.other().index()]
            .as_ref()
            .map_or(0, MessageFilter::held);
        self.filters[direction.index()]
            .as_ref()
            .is_some_and(|filter| filter.closing().is_none() && filter.is_full(other))
    }

    pub(super) fn is_waiting(&self, direction: Direction) -> bool {
        // The Closes of a verdict go out before the end of a stream does.
        let is_to_close = !self.told
            && self
                .filters
                .iter()
                .flatten()
                .any(|filter| filter.closing().is_some());
        let filter = self.filters[direction.index()].as_ref();
        is_to_close || filter.is_some_and(MessageFilter::is_waiting)
    }

    /// Whether a Close may be put into this direction now; `None` where nothing looks into it.
    pub(super) fn may_close(&self, direction: Direction) -> Option<bool> {
        let filter = self.filters[direction.index()].as_ref()?;
        Some(filter.at_boundary() && (self.told || !filter.is_waiting()))
    }

    /// Why both sides are to be closed, and for which direction's messages; told once.
    pub(super) fn closing(&mut self) -> Option<(Direction, WantedClose)> {
        if self.told {
            return None;
        }
        let closing = Direction::ALL.into_iter().find_map(|direction| {
            let filter = self.filters[direction.index()].as_ref()?;
            Some((direction, filter.closing()?.clone()))
        })?;
        self.told = true;
        Some(closing)
    }

    /// What looks into a direction has changed in what is counted, if it has.
    pub(super) fn corrections(&mut self, direction: Direction) -> Option<(FrameCounts, Stopped)> {
        self.filters[direction.index()].as_mut()?.corrections()
    }

    /// Whether the Close of the direction's sender has gone on; `None` where nothing looks into it.
    pub(super) fn has_closed(&self, direction: Direction) -> Option<bool> {
        let filter = self.filters[direction.index()].as_ref()?;
        Some(filter.has_closed())
    }

    /// The reason that a rule has left of that Close's, where that is another one.
    pub(super) fn new_reason(&self, direction: Direction) -> Option<&str> {
        self.filters[direction.index()].as_ref()?.new_reason()
    }

    /// Nothing that waits in a direction goes on any more.
    pub(super) fn abandon(&mut self, direction: Direction) {
        if let Some(filter) = &mut self.filters[direction.index()] {
            filter.abandon();
        }
    }

    /// Begins scans, takes in their outcomes and keeps deadlines; says whether anything moved.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, pair: &mut Pair) -> bool {
        if self.scans.is_empty()
            && self.deadline.is_none()
            && self.filters.iter().flatten().all(MessageFilter::is_idle)
        {
            return false;
        }
        let mut moved = false;
        loop {
            let mut progress = self.end_streams(pair);
            progress |= self.begin_scans();
            progress |= self.poll_scans(cx, pair);
            progress |= self.poll_deadline(cx, pair);
            if !progress {
                return moved;
            }
            moved = true;
        }
    }

    fn begin_scans(&mut self) -> bool {
        let mut begun = false;
        for direction in Direction::ALL {
            while let Some((ticket, question)) = self.filters[direction.index()]
                .as_mut()
                .and_then(MessageFilter::wanted_scan)
            {
                let scan = question.ask(self.begun.elapsed());
                self.scans.push((direction, ticket, scan));
                begun = true;
            }
        }
        begun
    }

    fn poll_scans(&mut self, cx: &mut Context<'_>, pair: &mut Pair) -> bool {
        let mut moved = false;
        let mut at = 0;
        while let Some((_, _, scan)) = self.scans.get_mut(at) {
            let begun = self.begun;
            let Poll::Ready(answer) = scan.poll(cx, || begun.elapsed()) else {
                at += 1;
                continue;
            };
            let (direction, ticket, _) = self.scans.swap_remove(at);
            moved = true;
            let now = self.begun.elapsed();
            self.act(
                direction,
                now,
                &mut |bytes| pair.inject(direction, bytes),
                |filter, turn| filter.scanned(ticket, answer, turn),
            );
        }
        moved
    }

    /// Judges as it is what waits for the rest of an application's frame, where that will not come; says whether there was
    /// any.
    pub(super) fn no_rest(&mut self, direction: Direction, pair: &mut Pair) -> bool {
        let waits = self.filters[direction.index()]
            .as_ref()
            .is_some_and(MessageFilter::awaits_rest);
        if waits {
            let now = self.begun.elapsed();
            self.act(
                direction,
                now,
                &mut |bytes| pair.inject(direction, bytes),
                MessageFilter::no_rest,
            );
        }
        waits
    }

    /// The same where the stream has ended.
    fn end_streams(&mut self, pair: &mut Pair) -> bool {
        let mut moved = false;
        for direction in Direction::ALL {
            if pair.has_ended(direction) {
                moved |= self.no_rest(direction, pair);
            }
        }
        moved
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>, pair: &mut Pair) -> bool {
        let Some(earliest) = self
            .filters
            .iter()
            .flatten()
            .filter_map(MessageFilter::deadline)
            .min()
        else {
            self.deadline = None;
            return false;
        };
        let at = tokio::time::Instant::from_std(self.begun + earliest);
        let (when, timer) = self
            .deadline
            .get_or_insert_with(|| (earliest, Box::pin(tokio::time::sleep_until(at))));
        if *when != earliest {
            *when = earliest;
            timer.as_mut().reset(at);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.deadline = None;
        // The timer may be a moment early by this clock.
        let now = self.begun.elapsed().max(earliest);
        for direction in Direction::ALL {
            self.act(
                direction,
                now,
                &mut |bytes| pair.inject(direction, bytes),
                MessageFilter::expire,
            );
        }
        true
    }
}
