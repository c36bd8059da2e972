//! Two legs joined: reads one, hands the plaintext to a flow, writes what the flow lets out into the other.
//!
//! Buffers belong to the thread and are borrowed only while bytes move, so an idle pair owns none. A direction
//! reads nothing while the leg that it feeds has anything unsent: what is in flight is bounded by one read.

use crate::error::Side;
use crate::tls::{Eof, Leg, Transport, with_buffer};
use crate::wire::frame::Direction;
use std::io;
use std::task::{Context, Poll};
use std::time::Instant;

/// How often one poll goes round before it lets other tasks run.
const ROUNDS: usize = 16;

/// What decides over the bytes that pass.
pub(crate) trait Flow {
    /// Why it stops the pair.
    type Stop;

    /// `plain` arrived; what may go on is handed to `out`.
    fn take(
        &mut self,
        direction: Direction,
        plain: &[u8],
        now: Instant,
        out: &mut impl FnMut(&[u8]),
    ) -> Result<(), Self::Stop>;

    /// Everything that was let out since `since` has been written.
    fn flushed(&mut self, direction: Direction, since: Instant);

    /// Whether nothing more of this direction can be taken in now.
    fn is_full(&self, _direction: Direction) -> bool {
        false
    }

    /// Whether something of this direction may still be let out though its stream has ended.
    fn is_waiting(&self, _direction: Direction) -> bool {
        false
    }
}

/// Why a pair stopped.
#[derive(Debug)]
pub(crate) enum Halt<S> {
    /// Both directions have ended.
    Done,
    /// The flow stopped it at a byte of this direction.
    Flow(Direction, S),
    /// This side's socket or TLS failed.
    Io(Side, io::Error),
}

/// Two legs, and how far each direction has come.
#[derive(Debug)]
pub(crate) struct Pair {
    legs: [Leg; 2],
    /// By direction: since when something is on its way out.
    since: [Option<Instant>; 2],
    /// By direction: its end has been passed on.
    ended: [bool; 2],
    /// Grows with everything that moves.
    moved: u64,
    /// Whose stream ended first.
    first_eof: Option<Side>,
}

/// The two legs of a WebSocket. Whoever has them relayed keeps them: a future that is given something has room for it beside
/// what it makes of it.
#[derive(Debug)]
pub struct WebSocketLegs(pub(super) Pair);

impl WebSocketLegs {
    /// Those of a client and its origin.
    pub fn new(client: Transport, origin: Transport) -> Self {
        Self(Pair::new(Leg::new(client), Leg::new(origin)))
    }
}

const fn source(direction: Direction) -> Side {
    match direction {
        Direction::ToOrigin => Side::Client,
        Direction::ToClient => Side::Origin,
    }
}

const fn leg_of(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Origin => 1,
    }
}

impl Pair {
    pub(crate) fn new(client: Leg, origin: Leg) -> Self {
        Self {
            legs: [client, origin],
            since: [None; 2],
            ended: [false; 2],
            moved: 0,
            first_eof: None,
        }
    }

    /// A counter that grows while anything moves.
    pub(crate) fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether something that was let out is not written yet.
    pub(crate) fn has_unsent(&self) -> bool {
        self.legs.iter().any(Leg::wants_flush)
    }

    /// How the stream of this side ended, if it has.
    pub(crate) fn eof(&self, side: Side) -> Option<Eof> {
        self.legs[leg_of(side)].eof()
    }

    /// Whether nothing more will come in this direction.
    pub(crate) fn has_ended(&self, direction: Direction) -> bool {
        self.eof(source(direction)).is_some()
    }

    /// Whose stream ended first, if one has.
    pub(crate) fn first_eof(&self) -> Option<Side> {
        self.first_eof
    }

    /// Puts bytes of the proxy's own into a direction.
    pub(crate) fn inject(&mut self, direction: Direction, bytes: &[u8]) {
        let to = &mut self.legs[leg_of(source(direction).other())];
        if !to.is_write_closed() {
            to.queue(bytes);
            self.since[direction.index()].get_or_insert_with(Instant::now);
        }
    }

    /// Ends both outgoing streams after what is queued, and waits until the peers have ended theirs: a socket that is closed
    /// with unread bytes answers with a reset, which would overtake the Close frame.
    pub(crate) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut open = false;
        for leg in &mut self.legs {
            open |= leg.poll_close(cx, Eof::Clean).is_pending();
            open |= leg.poll_discard(cx).is_pending();
        }
        if open { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Moves what can be moved, until nothing can.
    pub(crate) fn poll<F: Flow>(&mut self, cx: &mut Context<'_>, flow: &mut F) -> Poll<Halt<F::Stop>> {
        for _ in 0..ROUNDS {
            let mut progress = false;
            for direction in Direction::ALL {
                match self.poll_direction(cx, direction, flow) {
                    Ok(moved) => progress |= moved,
                    Err(halt) => return Poll::Ready(halt),
                }
            }
            if self.ended == [true; 2] {
                return Poll::Ready(Halt::Done);
            }
            if !progress {
                return Poll::Pending;
            }
            self.moved += 1;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One read of a direction and the write that follows; says whether anything moved.
    fn poll_direction<F: Flow>(
        &mut self,
        cx: &mut Context<'_>,
        direction: Direction,
        flow: &mut F,
    ) -> Result<bool, Halt<F::Stop>> {
        let from_side = source(direction);
        let [client, origin] = &mut self.legs;
        let (from, to) = match direction {
            Direction::ToOrigin => (client, origin),
            Direction::ToClient => (origin, client),
        };
        let since = &mut self.since[direction.index()];
        let ended = &mut self.ended[direction.index()];

        let mut moved = false;
        if *ended {
            // Only TLS's own messages, such as the answer to a key update, can still be waiting.
            let _ = to.poll_flush(cx);
            return Ok(false);
        }
        if to.wants_flush() {
            match to.poll_flush(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) => return Err(Halt::Io(from_side.other(), error)),
                Poll::Ready(Ok(())) => moved = true,
            }
        }
        if let Some(since) = since.take() {
            flow.flushed(direction, since);
        }
        if from.eof().is_none() && !flow.is_full(direction) {
            let now = with_buffer(|buffer| read_once(cx, direction, from, to, buffer, flow))?;
            if let Some(now) = now {
                moved = true;
                match to.poll_flush(cx) {
                    Poll::Pending => *since = Some(now),
                    Poll::Ready(Err(error)) => return Err(Halt::Io(from_side.other(), error)),
                    Poll::Ready(Ok(())) => flow.flushed(direction, now),
                }
                if from.wants_flush() {
                    // A TLS message of the proxy's own, such as the answer to a key update.
                    if let Poll::Ready(Err(error)) = from.poll_flush(cx) {
                        return Err(Halt::Io(from_side, error));
                    }
                }
            }
        }
        if from.eof().is_some() {
            self.first_eof.get_or_insert(from_side);
        }
        if let (Some(how), None, false) = (from.eof(), *since, flow.is_waiting(direction)) {
            match to.poll_close(cx, how) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => (*ended, moved) = (true, true),
                // A peer that is already gone has no use for a shutdown.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::NotConnected => *ended = true,
                Poll::Ready(Err(error)) => return Err(Halt::Io(from_side.other(), error)),
            }
        }
        Ok(moved)
    }
}

/// Reads once and hands on what came; `None` if nothing has.
fn read_once<F: Flow>(
    cx: &mut Context<'_>,
    direction: Direction,
    from: &mut Leg,
    to: &mut Leg,
    buffer: &mut [u8],
    flow: &mut F,
) -> Result<Option<Instant>, Halt<F::Stop>> {
    let side = source(direction);
    let (mut now, mut stopped) = (None, None);
    let mut each = |plain: &[u8]| {
        // After a stop the rest is decrypted and forgotten: TLS must not lose its place in the stream, since
        // the proxy's own Close still has to reach both sides.
        if stopped.is_none() {
            let now = *now.get_or_insert_with(Instant::now);
            let taken = flow.take(direction, plain, now, &mut |pass| to.queue(pass));
            stopped = taken.err();
        }
    };
    let fed = match from.take_early(&mut each) {
        Ok(false) => match from.poll_read(cx, buffer) {
            Poll::Pending => return Ok(None),
            Poll::Ready(Err(error)) => return Err(Halt::Io(side, error)),
            Poll::Ready(Ok(n)) => from.feed(&mut buffer[..n], &mut each),
        },
        Ok(true) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = fed {
        return Err(Halt::Io(side, io::Error::new(io::ErrorKind::InvalidData, error)));
    }
    match stopped {
        Some(stop) => Err(Halt::Flow(direction, stop)),
        None => Ok(Some(now.unwrap_or_else(Instant::now))),
    }
}
