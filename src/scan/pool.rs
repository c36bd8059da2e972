//! Idle connections to one scanner.

use super::endpoint::{Resting, ScannerStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a connection may lie idle: less than what middleboxes forget one after.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Keeps at most so many, and gives out the one that was used last.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Arc<Mutex<Idle>>,
    capacity: usize,
    idle_max: Duration,
}

/// The idle connections, the one first that has been idle for longest.
#[derive(Debug, Default)]
struct Idle {
    connections: Vec<(Resting, Instant)>,
    /// Somebody sees to it that none lies too long.
    watched: bool,
}

impl Pool {
    pub(super) fn new(capacity: usize) -> Self {
        Self::of(capacity, IDLE_MAX)
    }

    fn of(capacity: usize, idle_max: Duration) -> Self {
        Self {
            idle: Arc::default(),
            capacity,
            idle_max,
        }
    }

    /// A connection that was used before and that the scanner has not closed, as far as can be known.
    pub(super) fn take(&self, now: Instant) -> Option<ScannerStream> {
        let mut idle = lock(&self.idle);
        idle.drop_old(now, self.idle_max);
        while let Some((mut resting, _)) = idle.connections.pop() {
            if resting.is_quiet() {
                if let Ok(stream) = resting.wake() {
                    return Some(stream);
                }
            } else {
                resting.close();
            }
        }
        None
    }

    /// Takes in a connection on which nothing is under way.
    pub(super) fn give_back(&self, stream: ScannerStream, now: Instant) {
        let Some(resting) = stream.rest() else { return };
        let mut idle = lock(&self.idle);
        idle.drop_old(now, self.idle_max);
        if idle.connections.len() >= self.capacity {
            return resting.close();
        }
        idle.connections.push((resting, now));
        // A server may keep a thread for each of them, and nobody may ask for long.
        if !std::mem::replace(&mut idle.watched, true) {
            tokio::spawn(watch(Arc::downgrade(&self.idle), self.idle_max));
        }
    }
}

/// Closes what lies too long, until nothing is left.
async fn watch(idle: Weak<Mutex<Idle>>, idle_max: Duration) {
    let mut next = Instant::now() + idle_max;
    loop {
        tokio::time::sleep_until(next.into()).await;
        let Some(idle) = idle.upgrade() else { return };
        let mut idle = lock(&idle);
        idle.drop_old(Instant::now(), idle_max);
        match idle.connections.first() {
            Some((_, since)) => next = *since + idle_max,
            None => {
                idle.watched = false;
                return;
            }
        }
    }
}

impl Idle {
    fn drop_old(&mut self, now: Instant, idle_max: Duration) {
        let is_old = |(_, since): &mut (Resting, Instant)| now.saturating_duration_since(*since) >= idle_max;
        for (resting, _) in self.connections.extract_if(.., is_old) {
            resting.close();
        }
    }
}

/// Nothing is left half done under this lock.
fn lock(idle: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    fn pair() -> (ScannerStream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (ScannerStream::Unix(ours), theirs)
    }

    #[tokio::test]
    async fn gives_out_the_last_used_and_keeps_no_more_than_its_capacity() {
        let pool = Pool::new(2);
        let now = Instant::now();
        let (pairs, mut peers): (Vec<_>, Vec<_>) = (0..3).map(|_| pair()).unzip();
        for stream in pairs {
            pool.give_back(stream, now);
        }
        assert_eq!(peers[2].read(&mut [0]).await.unwrap(), 0, "the third was closed");
        let mut taken = pool.take(now).unwrap();
        taken.write_all(b"x").await.unwrap();
        assert_eq!(peers[1].read(&mut [0]).await.unwrap(), 1, "it is the second");
        assert!(pool.take(now).is_some());
        assert!(pool.take(now).is_none());
    }

    #[tokio::test]
    async fn closes_what_lies_too_long_though_nobody_asks() {
        let idle_max = Duration::from_millis(50);
        let pool = Pool::of(4, idle_max);
        // Twice, with a time without any between.
        for _ in 0..2 {
            let (pairs, peers): (Vec<_>, Vec<_>) = (0..3).map(|_| pair()).unzip();
            let begin = Instant::now();
            for stream in pairs {
                pool.give_back(stream, Instant::now());
            }
            for mut peer in peers {
                assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
            }
            assert!(begin.elapsed() >= idle_max);
        }
    }

    #[tokio::test]
    async fn gives_out_none_that_was_closed_spoke_or_lay_too_long() {
        let pool = Pool::new(4);
        let now = Instant::now();
        let (closed, peer) = pair();
        drop(peer);
        let (spoke, mut loud) = pair();
        loud.write_all(b"408").await.unwrap();
        let (old, _quiet) = pair();
        pool.give_back(closed, now);
        pool.give_back(spoke, now);
        pool.give_back(old, now);
        assert!(pool.take(now + IDLE_MAX).is_none());

        let (closed, peer) = pair();
        let (good, _peer) = pair();
        pool.give_back(good, now);
        pool.give_back(closed, now);
        drop(peer);
        assert!(pool.take(now).is_some(), "the closed one is skipped");
    }
}
