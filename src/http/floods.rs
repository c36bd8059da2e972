//! What one peer may ask for, take back, and send that brings nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// So many at once, and one more each time that some time has passed.
#[derive(Debug)]
pub(super) struct Bucket {
    left: u32,
    /// Up to where it has been filled.
    filled: Duration,
    burst: u32,
    each: Duration,
}

impl Bucket {
    /// Of resets ("rapid reset", CVE-2023-44487): each costs the origin a request, and the client nothing. A browser
    /// that leaves a page resets what is under way, which is a hundred at most, and then does something else.
    pub(super) const fn of_resets() -> Self {
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
    pub(super) fn may(&mut self, now: Duration) -> bool {
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

/// How a connection ends whose peer sent too many frames that bring nothing.
pub(super) const TOO_MANY_FRAMES: &str = "the peer sends too many frames that bring nothing";

/// A frame's head (RFC 9113 section 4.1), in bytes.
const HEAD: usize = 9;

/// The last stream and the code in a GOAWAY, in bytes.
const GOODBYE: usize = 8;

/// What a client sends before its first frame (RFC 9113 section 3.4), in bytes.
const PREFACE: usize = 24;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;

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
pub(super) struct Overhead {
    begun: Instant,
    bucket: Bucket,
    /// What is still to come of a payload, in bytes.
    rest: usize,
    head: [u8; HEAD],
    known: usize,
    /// Bytes sent to the peer that answered no such frame and that none has used up; less than none while answers
    /// are still to be sent.
    merit: i64,
    is_of_client: bool,
    is_flood: bool,
    /// How much of a GOAWAY's fixed part is still to come, in bytes.
    goodbye: usize,
    code: u32,
    goodbye_code: Option<u32>,
}

impl Overhead {
    pub(super) fn of_client() -> Self {
        Self {
            rest: PREFACE,
            is_of_client: true,
            ..Self::of_origin()
        }
    }

    pub(super) fn of_origin() -> Self {
        Self {
            begun: Instant::now(),
            bucket: Bucket::of_overhead(),
            rest: 0,
            head: [0; HEAD],
            known: 0,
            merit: 0,
            is_of_client: false,
            is_flood: false,
            goodbye: 0,
            code: 0,
            goodbye_code: None,
        }
    }

    pub(super) fn is_of_client(&self) -> bool {
        self.is_of_client
    }

    /// So many bytes went to the peer.
    pub(super) fn sent(&mut self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.merit = self.merit.saturating_add(bytes);
    }

    /// Whether the peer has sent too many.
    pub(super) fn is_flood(&self) -> bool {
        self.is_flood
    }

    /// These bytes came from the peer.
    pub(super) fn came(&mut self, mut bytes: &[u8]) {
        loop {
            let skipped = self.rest.min(bytes.len());
            self.rest -= skipped;
            if self.goodbye > 0 {
                self.goodbye(bytes.get(..skipped).unwrap_or_default());
            }
            bytes = bytes.get(skipped..).unwrap_or_default();
            if bytes.is_empty() {
                return;
            }
            let (taken, left) = bytes.split_at(bytes.len().min(HEAD - self.known));
            if let Some(place) = self.head.get_mut(self.known..self.known + taken.len()) {
                place.copy_from_slice(taken);
            }
            self.known += taken.len();
            bytes = left;
            if self.known == HEAD {
                self.known = 0;
                self.frame();
            }
        }
    }

    /// The error that the peer has said goodbye with (RFC 9113 section 6.8), however its connection ended then.
    pub(super) fn goodbye_code(&self) -> Option<u32> {
        self.goodbye_code
    }

    fn goodbye(&mut self, payload: &[u8]) {
        for &byte in payload.iter().take(self.goodbye) {
            // The code comes last: what is before it is shifted out.
            self.code = self.code << 8 | u32::from(byte);
            self.goodbye -= 1;
        }
        if self.goodbye == 0 {
            // Some say goodbye once more without an error when they close.
            self.goodbye_code = (self.code != 0).then_some(self.code).or(self.goodbye_code);
        }
    }

    fn frame(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.rest = u32::from_be_bytes([0, high, middle, low]) as usize;
        self.goodbye = if kind == GOAWAY { GOODBYE } else { 0 };
        self.merit = self.merit.saturating_sub(match kind {
            // The `h2` crate counts those of them that are empty.
            DATA | HEADERS | CONTINUATION => return,
            PING if flags & ACK == 0 => PONG,
            SETTINGS if flags & ACK == 0 => SETTLED,
            _ => 0,
        });
        if self.merit >= FOR_ONE {
            self.merit -= FOR_ONE;
        } else if !self.bucket.may(self.begun.elapsed()) {
            self.is_flood = true;
        }
    }
}

/// Requests of one connection that its client took back and that its [`Bucket`] has not heard of yet: who serves a stream
/// finds it out, who drives the connection minds.
#[derive(Debug, Clone, Default)]
pub(super) struct TakenBack(Arc<AtomicU32>);

impl TakenBack {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many more there have been.
    pub(super) fn take(&self) -> u32 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let size = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![size[1], size[2], size[3], kind, flags, 0, 0, 0, 0];
        frame.resize(HEAD + payload, 0xff);
        frame
    }

    /// How many of a frame it takes, from a peer that was sent so much.
    fn borne(frame: &[u8], sent: usize) -> u32 {
        let mut overhead = Overhead::of_origin();
        overhead.sent(sent);
        (0..)
            .find(|_| {
                overhead.came(frame);
                overhead.is_flood()
            })
            .unwrap()
    }

    /// Some more for the time that the test takes.
    fn is_about(found: u32, wanted: u32) -> bool {
        (wanted..wanted + 2_000).contains(&found)
    }

    #[test]
    fn frames_that_bring_nothing_come_out_of_a_bucket() {
        for kind in [2, 3, SETTINGS, PING, 7, 8, 0x16] {
            let found = borne(&frame(kind, 0, 8), 0);
            assert!(is_about(found, 10_000), "{kind}: {found}");
        }
    }

    #[test]
    fn what_was_sent_is_a_reason_and_answers_are_none() {
        let sent = 50_000 * 10;
        assert!(is_about(borne(&frame(8, 0, 4), sent), 110_000));
        assert!(is_about(borne(&frame(PING, 0, 8), sent), 10_000 + 500_000 / 22));
        let mut overhead = Overhead::of_origin();
        let flood = (0..20_000).any(|_| {
            overhead.came(&frame(PING, 0, 8));
            overhead.sent(PONG as usize);
            overhead.is_flood()
        });
        assert!(flood, "its own answers paid for it");
    }

    #[test]
    fn content_is_no_overhead() {
        let mut overhead = Overhead::of_client();
        overhead.came(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        for _ in 0..20_000 {
            overhead.came(&frame(HEADERS, 0, 30));
            overhead.came(&frame(DATA, 0, 100));
            overhead.came(&frame(CONTINUATION, 0, 3));
        }
        assert!(!overhead.is_flood());
        assert_eq!(overhead.bucket.left, overhead.bucket.burst);
    }

    #[test]
    fn a_goodbye_is_understood_in_pieces() {
        let mut overhead = Overhead::of_origin();
        let mut bytes = frame(GOAWAY, 0, 12);
        bytes[HEAD..HEAD + GOODBYE].copy_from_slice(&[0, 0, 0, 9, 0, 0, 1, 11]);
        for byte in bytes {
            overhead.came(&[byte]);
        }
        assert_eq!(overhead.goodbye_code(), Some(0x10b));
    }

    proptest! {
        #[test]
        fn frames_are_told_however_they_are_cut(
            frames in proptest::collection::vec((0..12_u8, 0..40_usize), 0..40),
            cuts in proptest::collection::vec(1..30_usize, 1..20),
        ) {
            let mut overhead = Overhead::of_client();
            overhead.bucket = Bucket::new(1000, Duration::from_secs(3600));
            let mut bytes = vec![0; PREFACE];
            frames.iter().for_each(|&(kind, size)| bytes.extend(frame(kind, 0, size)));
            let mut cuts = cuts.iter().cycle();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                overhead.came(now);
                rest = later;
            }
            let wanted = frames.iter().filter(|(kind, _)| ![0, 1, 9].contains(kind)).count();
            prop_assert_eq!((1000 - overhead.bucket.left) as usize, wanted);
            prop_assert_eq!((overhead.rest, overhead.known), (0, 0));
        }
    }
}
