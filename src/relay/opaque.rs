//! Bytes both ways, unread: half-close kept, counted, bounded by an idle time. A drain leaves tunnels alone
//! until its deadline, since their bytes have no way to say goodbye.

use super::OpaqueTotals;
use super::pair::{Flow, Halt, Pair};
use super::spliced::Spliced;
use crate::accept::{Carried, CarriedPart, Prefixed, Socket};
use crate::decide::Splice;
use crate::drain::{Recall, RelayDrain};
use crate::error::Side;
use crate::tls::Leg;
use crate::tls::Transport;
use crate::wire::frame::Direction;
use std::convert::Infallible;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// How an opaque tunnel ended; also the log word.
#[derive(Debug)]
pub enum OpaqueEnd {
    /// Both directions ended.
    Done,
    /// Nothing moved for the idle time.
    Idle,
    /// A change of the policy ended it.
    Recalled(Recall),
    /// Reading from or writing to this side's socket failed.
    Io(Side, std::io::Error),
}

impl OpaqueEnd {
    /// The metric label and log word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Idle => "idle",
            Self::Recalled(why) => why.label(),
            Self::Io(Side::Client, _) => "client_io",
            Self::Io(Side::Origin, _) => "origin_io",
        }
    }
}

/// Counts what passes.
struct ByteCount<'a>(CarriedPart<'a>);

impl Flow for ByteCount<'_> {
    type Stop = Infallible;

    fn take(
        &mut self,
        direction: Direction,
        plain: &[u8],
        _now: Instant,
        out: &mut impl FnMut(&[u8]),
    ) -> Result<(), Infallible> {
        self.0.add(direction.index(), plain.len() as u64);
        out(plain);
        Ok(())
    }

    fn flushed(&mut self, _direction: Direction, _since: Instant) {}
}

/// Relays a connection that must not be decrypted: the socket's own bytes, beginning with those peeked at. What passes
/// is added to `carried`.
pub async fn splice(
    _permission: &Splice,
    client: Prefixed<Socket>,
    origin: Prefixed<Socket>,
    idle: Duration,
    drain: &RelayDrain,
    carried: &Carried,
) -> (OpaqueTotals, OpaqueEnd) {
    join(client, origin, idle, drain, carried).await
}

/// What `splice` does, once it is permitted.
pub(super) async fn join(
    client: Prefixed<Socket>,
    origin: Prefixed<Socket>,
    idle: Duration,
    drain: &RelayDrain,
    carried: &Carried,
) -> (OpaqueTotals, OpaqueEnd) {
    let ((early, client), (spoken, origin)) = (client.into_parts(), origin.into_parts());
    let (client, origin) = match (client, origin) {
        (Socket::Tcp(client), Socket::Tcp(origin)) if spoken.is_empty() => (client, origin),
        // The kernel has no hold on a stream inside another connection.
        (client, origin) => {
            let client = Transport::plain(Prefixed::new(early, client));
            let origin = Transport::plain(Prefixed::new(spoken, origin));
            return tunnel(client, origin, idle, drain, carried).await;
        }
    };
    let mut spliced = Spliced::new(early, client, origin);
    let mut count = CarriedPart::new(carried);
    let end = until_quiet(idle, drain, |cx| {
        let end = spliced.poll(cx).map(|end| match end {
            Ok(()) => OpaqueEnd::Done,
            Err((side, error)) => OpaqueEnd::Io(side, error),
        });
        count.reach(spliced.bytes());
        (end, spliced.moved())
    })
    .await;
    let bytes = spliced.bytes();
    (OpaqueTotals { bytes }, end)
}

/// Relays what is inside two legs: another upgrade's bytes, or an unknown protocol's. What passes is added to `carried`.
pub async fn tunnel(
    client: Transport,
    origin: Transport,
    idle: Duration,
    drain: &RelayDrain,
    carried: &Carried,
) -> (OpaqueTotals, OpaqueEnd) {
    let mut pair = Pair::new(Leg::new(client), Leg::new(origin));
    let mut count = ByteCount(CarriedPart::new(carried));
    let end = until_quiet(idle, drain, |cx| {
        let end = pair.poll(cx, &mut count).map(|halt| match halt {
            Halt::Done => OpaqueEnd::Done,
            Halt::Io(side, error) => OpaqueEnd::Io(side, error),
            Halt::Flow(_, never) => match never {},
        });
        (end, pair.moved())
    })
    .await;
    (
        OpaqueTotals {
            bytes: count.0.bytes(),
        },
        end,
    )
}

/// Runs `relay` to its end, or until its count of what moved has stood still for the idle time, or it is called back.
async fn until_quiet(
    idle: Duration,
    drain: &RelayDrain,
    mut relay: impl FnMut(&mut Context<'_>) -> (Poll<OpaqueEnd>, u64),
) -> OpaqueEnd {
    let quiet = tokio::time::sleep(idle);
    tokio::pin!(quiet);
    let (mut seen, mut known) = (0, None);
    poll_fn(|cx| {
        let (end, moved) = relay(cx);
        if end.is_ready() {
            return end;
        }
        if let Poll::Ready(why) = drain.poll_recalled(cx, &mut known) {
            return Poll::Ready(OpaqueEnd::Recalled(why));
        }
        while quiet.as_mut().poll(cx).is_ready() {
            if moved == seen {
                return Poll::Ready(OpaqueEnd::Idle);
            }
            seen = moved;
            quiet.as_mut().reset(tokio::time::Instant::now() + idle);
        }
        Poll::Pending
    })
    .await
}
