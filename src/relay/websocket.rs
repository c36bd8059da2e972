//! A WebSocket's two directions, followed frame by frame and passed on exactly as they came.

use super::leg::Leg;
use super::pair::{Flow, Halt, Pair};
use super::pings::Pings;
use super::{Batch, End, FirstClose, Meter, SIZE_BOUNDS, WebSocketTotals};
use crate::drain::Drain;
use crate::error::Side;
use crate::handshake::Transport;
use crate::wire::frame::{Direction, Follower, Opcode, See, Violation, close_frame};
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

/// What a relay needs to know.
#[derive(Debug, Clone, Copy)]
pub struct WebSocket {
    /// The RSV bits that the agreed extensions use.
    pub allowed_rsv: u8,
    /// How long a WebSocket may be quiet.
    pub idle: Duration,
    /// The mask of a Close that the proxy itself sends to the origin; unpredictable (RFC 6455 section 10.3).
    pub mask: [u8; 4],
}

/// How long both sides have to answer a Close, and to close the connection after the closing handshake.
const CLOSING: Duration = Duration::from_secs(5);

/// How long the other direction may be quiet once one side's stream has ended.
const HALF_CLOSED: Duration = Duration::from_secs(60);

/// Relays frames until both directions have ended, a frame breaks RFC 6455, nothing moves for the idle time,
/// or the proxy drains.
pub async fn websocket(
    client: Transport,
    origin: Transport,
    settings: WebSocket,
    drain: &Drain,
    meter: &dyn Meter,
) -> WebSocketTotals {
    let mut pair = Pair::new(Leg::new(client), Leg::new(origin));
    let mut frames = Frames::new(settings, meter);
    let mut patience = settings.idle;
    let timer = tokio::time::sleep(patience);
    let draining = drain.begun();
    tokio::pin!(timer, draining);
    let mut seen = 0;
    // Why the proxy itself is closing, once it is.
    let mut verdict: Option<End> = None;

    let ended = poll_fn(|cx| {
        loop {
            if verdict.is_none() && draining.as_mut().poll(cx).is_ready() {
                verdict = Some(End::Drained);
                frames.close_both(1001, "proxy is shutting down");
                timer.as_mut().reset(tokio::time::Instant::now() + CLOSING);
            }
            frames.inject(&mut pair);
            if let Poll::Ready(halt) = pair.poll(cx, &mut frames) {
                let Halt::Flow(direction, violation) = halt else {
                    return Poll::Ready(halt.into_end());
                };
                let side = frames.violated(direction, violation);
                verdict = Some(End::Violation(side, violation));
                timer.as_mut().reset(tokio::time::Instant::now() + CLOSING);
                continue;
            }
            if frames.inject(&mut pair) {
                continue;
            }
            if verdict.is_some() && frames.is_settled(&pair) {
                return Poll::Ready(None);
            }
            if verdict.is_none() {
                let wanted = frames.patience(&pair, settings.idle);
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
            match verdict {
                Some(_) => return Poll::Ready(None),
                None if moved => {}
                // Half of it is over, and nobody ends the other half.
                None if patience != settings.idle => return Poll::Ready(None),
                None => {
                    verdict = Some(End::Idle);
                    frames.close_both(1001, "idle for too long");
                    timer.as_mut().reset(tokio::time::Instant::now() + CLOSING);
                }
            }
        }
    })
    .await;

    let end = verdict.or(ended).unwrap_or_else(|| frames.natural_end(&pair));
    if verdict.is_some() {
        pair.finish(CLOSING).await;
    }
    frames.totals(end)
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

/// One direction's frames.
struct Lane {
    follower: Follower,
    direction: Direction,
    batch: Batch,
    /// Pings that passed this way and wait for their pongs.
    pings: Pings,
    /// Pongs that passed this way in the current batch.
    totals: Totals,
    /// A Close that the proxy wants to put into this direction at the next frame boundary.
    pending: Option<(u16, &'static str)>,
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
}

struct Frames<'m> {
    lanes: [Lane; 2],
    first_close: Option<FirstClose>,
    mask: [u8; 4],
    meter: &'m dyn Meter,
}

impl<'m> Frames<'m> {
    fn new(settings: WebSocket, meter: &'m dyn Meter) -> Self {
        let lanes = Direction::ALL.map(|direction| Lane {
            follower: Follower::new(direction, settings.allowed_rsv),
            direction,
            batch: Batch::new(direction),
            pings: Pings::default(),
            totals: Totals::default(),
            pending: None,
            muted: false,
            deaf: false,
        });
        Self {
            lanes,
            first_close: None,
            mask: settings.mask,
            meter,
        }
    }

    /// Wants a Close in both directions.
    fn close_both(&mut self, code: u16, reason: &'static str) {
        for lane in &mut self.lanes {
            lane.pending.get_or_insert((code, reason));
        }
    }

    /// A frame of `direction` broke the protocol: 1002 to both sides. Says whose frame it was.
    fn violated(&mut self, direction: Direction, violation: Violation) -> Side {
        for lane in &mut self.lanes {
            lane.pending = Some((1002, violation.label()));
        }
        let lane = &mut self.lanes[direction.index()];
        lane.deaf = true;
        match direction {
            Direction::ToOrigin => Side::Client,
            Direction::ToClient => Side::Origin,
        }
    }

    /// Puts the wanted Closes in where a frame has just ended; says whether it did.
    fn inject(&mut self, pair: &mut Pair) -> bool {
        let mut injected = false;
        for lane in &mut self.lanes {
            // A direction that ends in the middle of a frame has no place for a Close.
            if lane.muted || !(lane.follower.at_boundary() || lane.deaf) {
                continue;
            }
            if let Some((code, reason)) = lane.pending {
                lane.muted = true;
                injected = true;
                if !lane.follower.close_seen() {
                    pair.inject(
                        lane.direction,
                        &close_frame(lane.direction, code, reason, self.mask),
                    );
                }
            }
        }
        injected
    }

    /// Both sides have had their Close and have answered it, or are gone.
    fn is_settled(&self, pair: &Pair) -> bool {
        self.lanes.iter().all(|lane| {
            let sender = sender(lane.direction);
            lane.muted && (lane.deaf || lane.follower.close_seen() || pair.eof(sender).is_some())
        })
    }

    /// How long the pair may be quiet in the state that it is in.
    fn patience(&self, pair: &Pair, idle: Duration) -> Duration {
        if self.lanes.iter().all(|lane| lane.follower.close_seen()) {
            idle.min(CLOSING)
        } else if pair.eof(Side::Client).is_some() || pair.eof(Side::Origin).is_some() {
            idle.min(HALF_CLOSED)
        } else {
            idle
        }
    }

    /// How a relay ended that the proxy did not end.
    fn natural_end(&self, pair: &Pair) -> End {
        match (self.first_close, pair.first_eof()) {
            (Some(_), _) => End::Closed,
            (None, Some(side)) => End::Cut(side),
            // Neither: the deadline after a Close cannot pass without one.
            (None, None) => End::Closed,
        }
    }

    fn totals(&self, end: End) -> WebSocketTotals {
        let [out, back] = &self.lanes;
        WebSocketTotals {
            frames: [out.totals.frames, back.totals.frames],
            messages: [out.totals.messages, back.totals.messages],
            payload_bytes: [out.totals.payload_bytes, back.totals.payload_bytes],
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

impl Flow for Frames<'_> {
    type Stop = Violation;

    fn take(
        &mut self,
        direction: Direction,
        mut plain: &[u8],
        now: Instant,
        out: &mut impl FnMut(&[u8]),
    ) -> Result<(), Violation> {
        let [first, second] = &mut self.lanes;
        let (lane, back) = match direction {
            Direction::ToOrigin => (first, second),
            Direction::ToClient => (second, first),
        };
        if lane.deaf {
            return Ok(());
        }
        let Lane {
            follower,
            batch,
            pings,
            ..
        } = lane;
        let mut observer = Observer {
            batch,
            sent: pings,
            answered: &mut back.pings,
            first_close: &mut self.first_close,
            meter: self.meter,
            side: sender(direction),
            now,
        };
        if lane.pending.is_some() && !lane.muted {
            // The frame that is under way is finished, and nothing after it goes on.
            let rest = usize::try_from(follower.remaining())
                .unwrap_or(usize::MAX)
                .min(plain.len());
            follower.follow(&plain[..rest], &mut observer, out)?;
            plain = &plain[rest..];
            if follower.at_boundary() && !plain.is_empty() {
                return follower.follow(plain, &mut observer, &mut |_| {});
            }
            return Ok(());
        }
        if lane.muted {
            return follower.follow(plain, &mut observer, &mut |_| {});
        }
        follower.follow(plain, &mut observer, out)
    }

    fn flushed(&mut self, direction: Direction, since: Instant) {
        let lane = &mut self.lanes[direction.index()];
        let frames: u64 = lane.batch.frames.iter().map(|n| u64::from(*n)).sum();
        if frames == 0 {
            return;
        }
        lane.totals.frames += frames;
        lane.totals.messages += lane.batch.messages.iter().map(|n| u64::from(*n)).sum::<u64>();
        lane.totals.payload_bytes += lane.batch.payload_bytes.iter().sum::<u64>();
        lane.batch.inside = since.elapsed();
        self.meter.batch(&lane.batch);
        lane.batch = Batch::new(direction);
    }
}

impl Batch {
    fn new(direction: Direction) -> Self {
        Self {
            direction,
            frames: [0; Opcode::ALL.len()],
            payload_bytes: [0; Opcode::ALL.len()],
            messages: [0; SIZE_BOUNDS.len() + 1],
            message_bytes: 0,
            inside: Duration::ZERO,
        }
    }
}

/// Counts what a follower sees.
struct Observer<'a> {
    batch: &'a mut Batch,
    sent: &'a mut Pings,
    answered: &'a mut Pings,
    first_close: &'a mut Option<FirstClose>,
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
}
