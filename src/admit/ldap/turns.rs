//! How many questions may be under way, and how many may wait for their turn.

use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

#[derive(Debug)]
pub(super) struct Turns {
    places: Semaphore,
    at_once: usize,
    waiting: AtomicUsize,
    waiting_max: usize,
}

impl Turns {
    pub(super) fn new(at_once: usize, waiting_max: usize) -> Self {
        Self {
            places: Semaphore::new(at_once),
            at_once,
            waiting: AtomicUsize::new(0),
            waiting_max,
        }
    }

    /// Waits for a turn. An error says why there is none.
    pub(super) async fn take(&self, until: Instant) -> Result<SemaphorePermit<'_>, String> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let Some(_waiter) = self.wait() else {
            return Err(format!(
                "busy: {} questions are under way and {} wait for their turn",
                self.at_once, self.waiting_max
            ));
        };
        match timeout_at(until, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(format!(
                "busy: none of {} questions at once ended in time",
                self.at_once
            )),
        }
    }

    fn wait(&self) -> Option<Waiter<'_>> {
        let most = self.waiting_max;
        let more = |waiting| (waiting < most).then_some(waiting + 1);
        let joined = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        joined.ok().map(|_| Waiter(&self.waiting))
    }
}

/// One that waits; no longer when it is dropped.
struct Waiter<'a>(&'a AtomicUsize);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Waker};
    use std::time::Duration;

    #[tokio::test]
    async fn so_many_are_under_way_and_so_many_wait() {
        let turns = Turns::new(1, 1);
        let soon = Instant::now() + Duration::from_millis(20);
        let first = turns.take(soon).await.unwrap();
        let mut second = Box::pin(turns.take(Instant::now() + Duration::from_secs(60)));
        assert!(
            second
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        let third = turns.take(soon).await.unwrap_err();
        assert!(third.contains("1 wait for their turn"), "{third}");
        drop(second);
        let fourth = turns.take(soon).await.unwrap_err();
        assert!(fourth.contains("ended in time"), "{fourth}");
        drop(first);
        assert!(turns.take(soon).await.is_ok());
    }

    use std::future::Future as _;
}
