//! A WebSocket's two directions, followed frame by frame and passed on exactly as they came.

use super::config::CLOSING;
use super::frames::FrameRelay;
use super::pair::{Halt, Pair};
use super::{End, Meter, WebSocket, WebSocketTotals};
use crate::drain::Drain;
use crate::tls::{Leg, Transport};
use std::future::poll_fn;
use std::task::Poll;

/// What is under way, and where its totals go, however it ends.
struct Account<'a> {
    frames: FrameRelay<'a>,
    /// How it has ended, or why the proxy itself is closing.
    end: Option<End>,
    totals: &'a mut WebSocketTotals,
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        *self.totals = self.frames.totals(self.end.unwrap_or(End::Aborted));
    }
}

/// Relays frames until both directions have ended, a frame breaks RFC 6455, nothing moves for the idle time,
/// or the proxy drains. The totals are there when this is done, and when it is dropped before.
pub async fn websocket(
    client: Transport,
    origin: Transport,
    settings: WebSocket,
    drain: &Drain,
    meter: &dyn Meter,
    totals: &mut WebSocketTotals,
) {
    let mut pair = Pair::new(Leg::new(client), Leg::new(origin));
    let idle = settings.idle;
    let mut account = Account {
        frames: FrameRelay::new(settings, meter),
        end: None,
        totals,
    };
    let (frames, verdict) = (&mut account.frames, &mut account.end);
    let mut patience = idle;
    let timer = tokio::time::sleep(patience);
    let draining = drain.begun();
    tokio::pin!(timer, draining);
    let mut seen = 0;

    let ended = poll_fn(|cx| {
        loop {
            if verdict.is_none() && draining.as_mut().poll(cx).is_ready() {
                *verdict = Some(End::Drained);
                frames.close_both(1001, "proxy is shutting down");
                timer.as_mut().reset(tokio::time::Instant::now() + CLOSING);
            }
            frames.poll_inspection(cx, &mut pair);
            frames.inject(&mut pair);
            if let Poll::Ready(halt) = pair.poll(cx, frames) {
                let Halt::Flow(direction, violation) = halt else {
                    return Poll::Ready(halt.into_end());
                };
                let side = frames.violated(direction, violation);
                *verdict = Some(End::Violation(side, violation));
                timer.as_mut().reset(tokio::time::Instant::now() + CLOSING);
                continue;
            }
            if frames.poll_inspection(cx, &mut pair) {
                continue;
            }
            if verdict.is_none()
                && let Some(end) = frames.judged()
            {
                *verdict = Some(end);
                timer.as_mut().reset(tokio::time::Instant::now() + CLOSING);
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
                    timer.as_mut().reset(tokio::time::Instant::now() + patience);
                }
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            // The timer is set again only when it fires: traffic costs no timer.
            timer.as_mut().reset(tokio::time::Instant::now() + patience);
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
                    timer.as_mut().reset(tokio::time::Instant::now() + CLOSING);
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

impl<S> Halt<S> {
    /// The end that a halt by itself means; `None` for the regular one.
    fn into_end(self) -> Option<End> {
        match self {
            Self::Io(side, _) => Some(End::Io(side)),
            Self::Done | Self::Flow(..) => None,
        }
    }
}
