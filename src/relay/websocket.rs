//! A WebSocket's two directions, followed frame by frame and passed on exactly as they came.

use super::config::CLOSING;
use super::frames::FrameRelay;
use super::pair::{Halt, Pair};
use super::{End, Meter, WebSocket, WebSocketTotals};
use crate::drain::{Drain, Recall};
use crate::tls::{Leg, Transport};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// What is under way, and where its totals go, however it ends.
struct Account<'a> {
    frames: FrameRelay<'a>,
    /// How it has ended, or why the proxy itself is closing.
    end: Option<End>,
    totals: &'a mut WebSocketTotals,
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        self.frames.finish();
        *self.totals = self.frames.totals(self.end.unwrap_or(End::Aborted));
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
    client: Transport,
    origin: Transport,
    settings: WebSocket,
    drain: &'a Drain,
    meter: &'a dyn Meter,
    progress: WebSocketProgress<'a>,
    totals: &'a mut WebSocketTotals,
) -> impl Future<Output = ()> + Send {
    let mut pair = Pair::new(Leg::new(client), Leg::new(origin));
    let idle = settings.idle;
    let mut account = Account {
        frames: FrameRelay::new(settings, meter),
        end: None,
        totals,
    };
    async move {
        let (frames, verdict) = (&mut account.frames, &mut account.end);
        let mut patience = idle;
        let mut quiet_until = Instant::now() + patience;
        // One timer for both: an idle WebSocket stays as small as it was.
        let mut told_at = progress.every.map(|every| Instant::now() + every);
        let timer = tokio::time::sleep_until(soonest(quiet_until, told_at));
        let draining = drain.begun();
        tokio::pin!(timer, draining);
        let mut seen = 0;

        let ended = poll_fn(|cx| {
            loop {
                if verdict.is_none() && draining.as_mut().poll(cx).is_ready() {
                    let (end, code, reason) = farewell(drain.recalled());
                    *verdict = Some(end);
                    frames.close_both(code, reason);
                    quiet_until = Instant::now() + CLOSING;
                    timer.as_mut().reset(quiet_until);
                }
                frames.poll_inspection(cx, &mut pair);
                frames.inject(&mut pair);
                if let Poll::Ready(halt) = pair.poll(cx, frames) {
                    let Halt::Flow(direction, violation) = halt else {
                        return Poll::Ready(halt.into_end());
                    };
                    let side = frames.violated(direction, violation);
                    *verdict = Some(End::Violation(side, violation));
                    quiet_until = Instant::now() + CLOSING;
                    timer.as_mut().reset(quiet_until);
                    continue;
                }
                if frames.poll_inspection(cx, &mut pair) {
                    continue;
                }
                if verdict.is_none()
                    && let Some(end) = frames.judged()
                {
                    *verdict = Some(end);
                    quiet_until = Instant::now() + CLOSING;
                    timer.as_mut().reset(quiet_until);
                }
                if frames.inject(&mut pair) {
                    continue;
                }
                if verdict.is_some() && frames.is_settled(&pair) {
                    return Poll::Ready(None);
                }
                if verdict.is_none() {
                    let wanted = frames.patience(&pair, idle);
                    if wanted != patience {
                        patience = wanted;
                        quiet_until = Instant::now() + patience;
                        timer.as_mut().reset(soonest(quiet_until, told_at));
                    }
                }
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                let now = Instant::now();
                if let (None, Some(at), Some(every)) = (*verdict, told_at, progress.every)
                    && at <= now
                {
                    (progress.tell)(&frames.totals(End::Aborted));
                    told_at = Some(now + every);
                }
                if now < quiet_until {
                    timer.as_mut().reset(soonest(quiet_until, told_at));
                    continue;
                }
                // The timer is set again only when it fires: traffic costs no timer.
                quiet_until = now + patience;
                timer.as_mut().reset(soonest(quiet_until, told_at));
                let moved = pair.moved() != std::mem::replace(&mut seen, pair.moved());
                match *verdict {
                    Some(_) => return Poll::Ready(None),
                    // Whatever still comes is discarded, and keeps nothing open.
                    None if frames.is_over(&pair) && !pair.has_unsent() => return Poll::Ready(None),
                    None if moved => {}
                    // Half of it is over, and nobody ends the other half.
                    None if patience != idle => return Poll::Ready(None),
                    None => {
                        *verdict = Some(End::Idle);
                        frames.close_both(1001, "idle for too long");
                        quiet_until = Instant::now() + CLOSING;
                        timer.as_mut().reset(quiet_until);
                    }
                }
            }
        })
        .await;

        // Behind both Closes it does not matter how a side goes: some reset what they have closed.
        let ended = ended.filter(|_| !frames.is_closed());
        if verdict.is_some() {
            pair.finish(CLOSING).await;
        } else {
            *verdict = Some(ended.unwrap_or_else(|| frames.natural_end(&pair)));
        }
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

fn soonest(quiet_until: Instant, told_at: Option<Instant>) -> Instant {
    told_at.map_or(quiet_until, |at| at.min(quiet_until))
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
