//! Idle connections to one scanner.

use super::endpoint::{Resting, Stream};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a connection may lie idle: less than what middleboxes forget one after.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Keeps at most so many, and gives out the one that was used last.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<Vec<(Resting, Instant)>>,
    capacity: usize,
}

impl Pool {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            capacity,
        }
    }

    /// A connection that was used before and that the scanner has not closed, as far as can be known.
    pub(super) fn take(&self, now: Instant) -> Option<Stream> {
        let mut idle = self.lock();
        drop_old(&mut idle, now);
        while let Some((mut resting, _)) = idle.pop() {
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
    pub(super) fn give_back(&self, stream: Stream, now: Instant) {
        let Some(resting) = stream.rest() else { return };
        let mut idle = self.lock();
        drop_old(&mut idle, now);
        if idle.len() < self.capacity {
            idle.push((resting, now));
        } else {
            resting.close();
        }
    }

    /// Nothing is left half done under this lock.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Resting, Instant)>> {
        self.idle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn drop_old(idle: &mut Vec<(Resting, Instant)>, now: Instant) {
    let is_old = |(_, since): &mut (Resting, Instant)| now.saturating_duration_since(*since) >= IDLE_MAX;
    for (resting, _) in idle.extract_if(.., is_old) {
        resting.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    fn pair() -> (Stream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Stream::Unix(ours), theirs)
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
