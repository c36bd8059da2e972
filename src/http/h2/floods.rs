//! What one peer may ask for, take back, and send that brings nothing.

use crate::http::h2::kinds::{ACK, CONTINUATION, DATA, HEADERS, PING, SETTINGS};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// So many at once, and one more each time that some time has passed.
#[derive(Debug)]
pub(in crate::http) struct Bucket {
    left: u32,
    /// Up to where it has been filled.
    filled: Duration,
    burst: u32,
    each: Duration,
}

impl Bucket {
    /// Of resets ("rapid reset", CVE-2023-44487): each costs the origin a request, and the client nothing. A browser
    /// that leaves a page resets what is under way, which is a hundred at most, and then does something else.
    pub(in crate::http) const fn of_resets() -> Self {
        Self::new(1000, Duration::from_millis(30))
    }

    /// Of frames that bring nothing: each costs about a microsecond, so that a full rate is a thousandth of a core.
    const fn of_overhead() -> Self {
        Self::new(10_000, Duration::from_millis(1))
    }

    const fn new(burst: u32, each: Duration) -> Self {
        Self {
            left: burst,
            filled: Duration::ZERO,
            burst,
            each,
        }
    }

    /// One was taken at `now`, counted from the connection's beginning; `false` when that was one too many.
    pub(in crate::http) fn may(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.filled).as_millis() / self.each.as_millis();
        let passed = u32::try_from(passed).unwrap_or(self.burst).min(self.burst);
        self.left = self.left.saturating_add(passed).min(self.burst);
        self.filled = if passed == self.burst {
            now
        } else {
            self.filled + self.each * passed
        };
        self.left = match self.left.checked_sub(1) {
            Some(left) => left,
            None => return false,
        };
        true
    }
}

/// What has to be sent to a peer for it to owe one frame in return, in bytes: a DATA frame of one byte is answered with
/// two WINDOW_UPDATEs.
const FOR_ONE: i64 = 5;

/// What answers a PING, in bytes, and what answers SETTINGS: to be sent that is no merit.
const PONG: i64 = 17;
const SETTLED: i64 = 9;

/// Counts the frames of a peer that carry no request, no response and no content: PING, SETTINGS, PRIORITY,
/// WINDOW_UPDATE, RST_STREAM and unknown ones. What was sent to a peer gives it reason for some of them; beyond that
/// they come out of a bucket.
#[derive(Debug)]
pub(in crate::http) struct Overhead {
    begun: Instant,
    bucket: Bucket,
    /// Bytes sent to the peer that answered no such frame and that none has used up; less than none while answers
    /// are still to be sent.
    merit: i64,
}

impl Overhead {
    pub(in crate::http) fn new() -> Self {
        Self {
            begun: Instant::now(),
            bucket: Bucket::of_overhead(),
            merit: 0,
        }
    }

    /// So many bytes went to the peer.
    pub(in crate::http) fn sent(&mut self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.merit = self.merit.saturating_add(bytes);
    }

    /// A frame came from the peer; `false` when that was one too many.
    pub(in crate::http) fn may(&mut self, kind: u8, flags: u8) -> bool {
        self.merit = self.merit.saturating_sub(match kind {
            // The `h2` crate counts those of them that are empty.
            DATA | HEADERS | CONTINUATION => return true,
            PING if flags & ACK == 0 => PONG,
            SETTINGS if flags & ACK == 0 => SETTLED,
            _ => 0,
        });
        if self.merit >= FOR_ONE {
            self.merit -= FOR_ONE;
            return true;
        }
        self.bucket.may(self.begun.elapsed())
    }

    /// One whose bucket never fills again.
    #[cfg(test)]
    pub(in crate::http) fn unforgiving() -> Self {
        let bucket = Bucket::new(10_000, Duration::from_secs(3600));
        Self {
            bucket,
            ..Self::new()
        }
    }

    /// How many have come out of the bucket.
    #[cfg(test)]
    pub(in crate::http) fn spent(&self) -> usize {
        (self.bucket.burst - self.bucket.left) as usize
    }
}

/// Requests of one connection that its client took back and that its [`Bucket`] has not heard of yet: who serves a stream
/// finds it out, who drives the connection minds.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct TakenBack(Arc<AtomicU32>);

impl TakenBack {
    pub(in crate::http) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many more there have been.
    pub(in crate::http) fn take(&self) -> u32 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_pass_and_a_flood_is_not() {
        let mut resets = Bucket::of_resets();
        let (burst, each) = (resets.burst, resets.each);
        let now = Duration::from_secs(1);
        let allowed = (0..2 * burst).filter(|_| resets.may(now)).count();
        assert_eq!(
            allowed, burst as usize,
            "time that passed before counts for nothing"
        );
        assert!(!resets.may(now + each / 2));
        assert!(resets.may(now + each));
        assert!(!resets.may(now + each));
        let later = now + each * burst * 3;
        let allowed = (0..2 * burst).filter(|_| resets.may(later)).count();
        assert_eq!(allowed, burst as usize);
    }

    #[test]
    fn a_slow_client_is_never_cut_off() {
        let mut resets = Bucket::of_resets();
        let each = resets.each;
        assert!((1..20_000).all(|n| resets.may(each * n)));
    }

    /// How many of a frame it takes, from a peer that was sent so much.
    fn borne(kind: u8, sent: usize) -> usize {
        let mut overhead = Overhead::new();
        overhead.sent(sent);
        (1..).find(|_| !overhead.may(kind, 0)).unwrap()
    }

    /// Some more for the time that the test takes.
    fn is_about(found: usize, wanted: usize) -> bool {
        (wanted..wanted + 2_000).contains(&found)
    }

    #[test]
    fn frames_that_bring_nothing_come_out_of_a_bucket() {
        for kind in [2, 3, SETTINGS, PING, 7, 8, 0x16] {
            let found = borne(kind, 0);
            assert!(is_about(found, 10_000), "{kind}: {found}");
        }
    }

    #[test]
    fn what_was_sent_is_a_reason_and_answers_are_none() {
        let sent = 50_000 * 10;
        assert!(is_about(borne(8, sent), 110_000));
        assert!(is_about(borne(PING, sent), 10_000 + 500_000 / 22));
        let mut overhead = Overhead::new();
        let flood = (0..20_000).any(|_| {
            let may = overhead.may(PING, 0);
            overhead.sent(PONG as usize);
            !may
        });
        assert!(flood, "its own answers paid for it");
    }

    #[test]
    fn content_is_no_overhead() {
        let mut overhead = Overhead::new();
        assert!(
            (0..20_000).all(|_| [DATA, HEADERS, CONTINUATION].map(|kind| overhead.may(kind, 0)) == [true; 3])
        );
        assert_eq!(overhead.spent(), 0);
    }
}
