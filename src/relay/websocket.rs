//! A WebSocket's two directions, followed frame by frame and passed on exactly as they came.

use super::config::CLOSING;
use super::frames::FrameRelay;
use super::pair::{Halt, Pair, WebSocketLegs};
use super::{End, Meter, WebSocket, WebSocketTotals};
use crate::drain::{Recall, RelayDrain};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// What is under way, and where its totals go, however it ends.
struct Account<'a> {
    frames: FrameRelay<'a>,
    /// How it has ended, or why the proxy itself is closing.
    end: Option<End>,
    totals: &'a mut Option<Box<WebSocketTotals>>,
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        self.frames.finish();
        *self.totals = Some(Box::new(self.frames.totals(self.end.unwrap_or(End::Aborted))));
    }
}

/// Who is told how far a WebSocket has come while it is open.
#[derive(Clone, Copy)]
pub struct WebSocketProgress<'a> {
    /// How often; `None` for never.
    pub every: Option<Duration>,
    /// Is told, with the totals so far; how it ended is not among them yet.
    pub tell: &'a (dyn Fn(&WebSocketTotals) + Sync),
}

/// Relays frames until both directions have ended, a frame breaks RFC 6455, nothing moves for the idle time,
/// or the proxy drains. The totals are there when this is done, and when it is dropped before.
///
/// Not `async`: what such a function is given stays in its future beside what is made of it, and an idle WebSocket is
/// hardly more than this future.
pub fn websocket<'a>(
    legs: &'a mut WebSocketLegs,
    settings: WebSocket,
    drain: &'a RelayDrain,
    meter: &'a dyn Meter,
    progress: WebSocketProgress<'a>,
    totals: &'a mut Option<Box<WebSocketTotals>>,
) -> impl Future<Output = ()> + Send {
    let (idle, now) = (settings.idle, Instant::now());
    let mut relaying = Relaying {
        pair: &mut legs.0,
        account: Account {
            frames: FrameRelay::new(settings, meter),
            end: None,
            totals,
        },
        drain,
        known: None,
        idle,
        patience: idle,
        quiet_until: now + idle,
        told_at: progress.every.map(|every| now + every),
        seen: 0,
        progress,
    };
    async move {
        // One timer for all of it: an idle WebSocket stays as small as it was.
        let timer = tokio::time::sleep_until(relaying.next_tick());
        tokio::pin!(timer);
        let ended = poll_fn(|cx| relaying.poll(cx, timer.as_mut())).await;
        let Relaying { pair, account, .. } = &mut relaying;
        // Behind both Closes it does not matter how a side goes: some reset what they have closed.
        let ended = ended.filter(|_| !account.frames.is_closed());
        if account.end.is_some() {
            timer.as_mut().reset(Instant::now() + CLOSING);
            poll_fn(|cx| match pair.poll_finish(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => timer.as_mut().poll(cx),
            })
            .await;
        } else {
            account.end = Some(ended.unwrap_or_else(|| account.frames.natural_end(pair)));
        }
    }
}

/// A WebSocket under way.
struct Relaying<'a> {
    pair: &'a mut Pair,
    account: Account<'a>,
    drain: &'a RelayDrain,
    /// Who was left to be woken when it is to end.
    known: Option<Waker>,
    idle: Duration,
    /// How long it may be quiet now.
    patience: Duration,
    quiet_until: Instant,
    told_at: Option<Instant>,
    /// What had moved when it was looked at last.
    seen: u64,
    progress: WebSocketProgress<'a>,
}

impl Relaying<'_> {
    /// Moves what can be moved; ready when it is over, with the end that a broken leg means.
    fn poll(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<Option<End>> {
        loop {
            if self.account.end.is_none() && self.drain.poll_begun(cx, &mut self.known).is_ready() {
                let (end, code, reason) = farewell(self.drain.recalled());
                self.account.frames.close_both(code, reason);
                self.closing(end, timer.as_mut());
            }
            let Account { frames, .. } = &mut self.account;
            frames.poll_inspection(cx, self.pair);
            frames.inject(self.pair);
            if let Poll::Ready(halt) = self.pair.poll(cx, frames) {
                let Halt::Flow(direction, violation) = halt else {
                    return Poll::Ready(halt.into_end());
                };
                let side = frames.violated(direction, violation);
                self.closing(End::Violation(side, violation), timer.as_mut());
                continue;
            }
            if frames.poll_inspection(cx, self.pair) {
                continue;
            }
            if self.account.end.is_none()
                && let Some(end) = self.account.frames.judged()
            {
                self.closing(end, timer.as_mut());
            }
            let Account { frames, end, .. } = &mut self.account;
            if frames.inject(self.pair) {
                continue;
            }
            if end.is_some() && frames.is_settled(self.pair) {
                return Poll::Ready(None);
            }
            if end.is_none() {
                let wanted = frames.patience(self.pair, self.idle);
                if wanted != self.patience {
                    self.patience = wanted;
                    self.quiet_until = Instant::now() + wanted;
                    timer.as_mut().reset(self.next_tick());
                }
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(over) = self.ticked(timer.as_mut()) {
                return Poll::Ready(over);
            }
        }
    }

    /// The timer has fired. Says whether it is over.
    #[inline(never)]
    fn ticked(&mut self, mut timer: Pin<&mut Sleep>) -> Option<Option<End>> {
        let now = Instant::now();
        let Account { frames, end, .. } = &mut self.account;
        if let (None, Some(at), Some(every)) = (*end, self.told_at, self.progress.every)
            && at <= now
        {
            (self.progress.tell)(&frames.totals(End::Aborted));
            self.told_at = Some(now + every);
        }
        if now < self.quiet_until {
            timer.as_mut().reset(self.next_tick());
            return None;
        }
        // The timer is set again only when it fires: traffic costs no timer.
        self.quiet_until = now + self.patience;
        let moved = self.pair.moved() != std::mem::replace(&mut self.seen, self.pair.moved());
        let is_over = match *end {
            Some(_) => true,
            // Whatever still comes is discarded, and keeps nothing open.
            None if frames.is_over(self.pair) && !self.pair.has_unsent() => true,
            None if moved => false,
            // Half of it is over, and nobody ends the other half.
            None if self.patience != self.idle => true,
            None => {
                frames.close_both(1001, "idle for too long");
                self.closing(End::Idle, timer);
                return None;
            }
        };
        timer.as_mut().reset(self.next_tick());
        is_over.then_some(None)
    }

    /// The proxy closes it: both sides have some time to answer.
    fn closing(&mut self, end: End, mut timer: Pin<&mut Sleep>) {
        self.account.end = Some(end);
        self.quiet_until = Instant::now() + CLOSING;
        timer.as_mut().reset(self.quiet_until);
    }

    fn next_tick(&self) -> Instant {
        self.told_at
            .map_or(self.quiet_until, |at| at.min(self.quiet_until))
    }
}

/// How the proxy ends a WebSocket that goes well (RFC 6455 section 7.4.1, and 1012 of its registry).
const fn farewell(recalled: Option<Recall>) -> (End, u16, &'static str) {
    match recalled {
        None => (End::Drained, 1001, "proxy is shutting down"),
        Some(why @ Recall::Denied) => (End::Recalled(why), 1008, "not allowed any more"),
        Some(why @ Recall::Operator) => (End::Recalled(why), 1001, "closed by the operator"),
        Some(why @ Recall::Changed) => (End::Recalled(why), 1012, "the proxy's policy has changed"),
    }
}

impl<S> Halt<S> {
    /// The end that a halt by itself means; `None` for the regular one.
    fn into_end(self) -> Option<End> {
        match self {
            Self::Io(side, _) => Some(End::Io(side)),
            Self::Done | Self::Flow(..) => None,
        }
    }
}
