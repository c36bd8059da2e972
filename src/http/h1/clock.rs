//! One timer for one connection: it is set anew only when it fires, or for something earlier than it was set for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// A timer that is set as rarely as can be: a request costs none.
#[derive(Debug)]
pub(super) struct Clock {
    sleep: Pin<Box<Sleep>>,
}

impl Clock {
    /// One that fires for nobody before this.
    pub(super) fn new(first: Duration) -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep(first)),
        }
    }

    /// Ready once it is later than `deadline`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if deadline < self.sleep.deadline() {
            self.sleep.as_mut().reset(deadline);
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// How long something may take without moving.
#[derive(Debug)]
pub(super) struct Standstill {
    since: Instant,
    limit: Duration,
    seen: u64,
}

impl Standstill {
    /// From now on.
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            since: Instant::now(),
            limit,
            seen: 0,
        }
    }

    /// From now on no more than this.
    pub(super) fn shorten(&mut self, limit: Duration) {
        self.limit = self.limit.min(limit);
    }

    /// Ready when a counter has not grown for so long.
    pub(super) fn poll(&mut self, clock: &mut Clock, cx: &mut Context<'_>, moved: u64) -> Poll<()> {
        // A limit without end is as good as a century.
        const CENTURY: Duration = Duration::from_secs(3_155_760_000);
        loop {
            let deadline = self.since + self.limit.min(CENTURY);
            if clock.poll(cx, deadline).is_pending() {
                return Poll::Pending;
            }
            if moved == self.seen {
                return Poll::Ready(());
            }
            (self.seen, self.since) = (moved, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn patience_ends_when_nothing_moves() {
        const LIMIT: Duration = Duration::from_millis(20);
        let begun = Instant::now();
        let mut clock = Clock::new(Duration::from_secs(60));
        let mut patience = Standstill::new(LIMIT);
        poll_fn(|cx| patience.poll(&mut clock, cx, 0)).await;
        assert!(begun.elapsed() >= LIMIT, "not before its time");
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "though the timer was set for later"
        );
        let begun = Instant::now();
        let mut patience = Standstill::new(LIMIT);
        poll_fn(|cx| patience.poll(&mut clock, cx, 1)).await;
        assert!(
            begun.elapsed() >= 2 * LIMIT,
            "what had moved counts from when it was noticed"
        );
    }
}
