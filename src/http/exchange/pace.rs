//! How fast content has to come. A body that drips keeps its exchange from ever being silent, and so alive for ever.

use crate::error::Side;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// So much of a body has to come in so long a time, as long as its sender alone is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// In bytes; 0 if any pace will do.
    pub bytes: u64,
    /// In which time.
    pub within: Duration,
}

impl Pace {
    /// Any pace will do.
    pub const ANY: Self = Self {
        bytes: 0,
        within: Duration::MAX,
    };

    /// This one, but for what says something when there is something to say.
    pub(in crate::http) const fn unless(self, is_stream: bool) -> Self {
        if is_stream { Self::ANY } else { self }
    }

    /// What is said of whoever does not keep it.
    pub(in crate::http) fn text(self, side: Side) -> String {
        let Self { bytes, within } = self;
        format!("the {side} sent fewer than {bytes} bytes of its content in {within:?}")
    }
}

/// One body, which is held against a pace again and again.
#[derive(Debug)]
pub(in crate::http) struct Paced {
    pace: Pace,
    /// `None` until somebody wants to know.
    since: Option<Instant>,
    /// What had come by then.
    bytes: u64,
    /// Its receiver was waited for since.
    is_excused: bool,
}

impl Paced {
    pub(in crate::http) fn new(pace: Pace) -> Self {
        Self {
            pace,
            since: None,
            bytes: 0,
            is_excused: false,
        }
    }

    /// Its receiver is waited for: what comes meanwhile says nothing of its sender.
    pub(in crate::http) const fn excuse(&mut self) {
        self.is_excused = true;
    }

    /// When it is to be looked at again, if ever.
    pub(in crate::http) fn deadline(&mut self) -> Option<Instant> {
        if self.pace.bytes == 0 {
            return None;
        }
        // Most messages are over before anybody asks: reading the clock is no small part of what they cost.
        let since = *self.since.get_or_insert_with(Instant::now);
        since.checked_add(self.pace.within)
    }

    /// Whether its sender is too slow, now that so much has come in all; before the deadline it never is.
    pub(in crate::http) fn is_slow(&mut self, now: Instant, bytes: u64) -> bool {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return false;
        }
        let is_slow = !self.is_excused && bytes.saturating_sub(self.bytes) < self.pace.bytes;
        (self.since, self.bytes, self.is_excused) = (Some(now), bytes, false);
        is_slow
    }
}

/// How often whoever is held up is polled all the same: more may have come that waits with it, which counts.
const RECOUNT: Duration = Duration::from_secs(1);

/// How far the content of one direction is.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Flow {
    /// What has come in all.
    pub(in crate::http) bytes: u64,
    /// Nothing more is wanted.
    pub(in crate::http) is_over: bool,
    /// Its receiver is waited for.
    pub(in crate::http) is_held_up: bool,
}

impl Flow {
    /// Of a message without content.
    pub(in crate::http) const NONE: Self = Self {
        bytes: 0,
        is_over: true,
        is_held_up: false,
    };
}

/// How far an exchange is.
#[derive(Debug)]
pub(in crate::http) struct Progress {
    /// Grows with everything that moves.
    pub(in crate::http) moved: u64,
    pub(in crate::http) upload: Flow,
    pub(in crate::http) download: Flow,
}

/// Why an exchange is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Stalled {
    /// Nothing moved.
    Silent,
    /// This side sends too slowly.
    Slow(Side),
}

/// Polls until something comes of it, as long as something moves within `patience` and both bodies keep their pace.
///
/// # Errors
/// Why it is given up.
pub(in crate::http) async fn going<T>(
    patience: Duration,
    upload: Pace,
    download: Pace,
    mut poll: impl FnMut(&mut Context<'_>, &mut Progress) -> Poll<T>,
) -> Result<T, Stalled> {
    // A limit without end is as good as a century.
    const CENTURY: Duration = Duration::from_secs(3_155_760_000);
    let patience = patience.min(CENTURY);
    let (mut upload, mut download) = (Paced::new(upload), Paced::new(download));
    let mut progress = Progress {
        moved: 0,
        upload: Flow::NONE,
        download: Flow::NONE,
    };
    // When nothing may have been silent since it was looked at, and how far it was then.
    let mut quiet = None;
    let mut timer = pin!(None::<Sleep>);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(done) = poll(cx, &mut progress) {
                return Poll::Ready(Ok(done));
            }
            let mut next = quiet
                .get_or_insert_with(|| (Instant::now() + patience, progress.moved))
                .0;
            for (paced, flow) in [(&mut upload, progress.upload), (&mut download, progress.download)] {
                if flow.is_held_up {
                    paced.excuse();
                    next = next.min(Instant::now() + RECOUNT);
                }
                if !flow.is_over {
                    next = paced.deadline().map_or(next, |deadline| next.min(deadline));
                }
            }
            // One that is due earlier is let run: who looks too soon looks again.
            match timer.as_mut().as_pin_mut() {
                None => timer.set(Some(sleep_until(next))),
                Some(timer) if timer.deadline() > next || timer.is_elapsed() => timer.reset(next),
                Some(_) => {}
            }
            if let Some(timer) = timer.as_mut().as_pin_mut() {
                ready!(timer.poll(cx));
            }
            let now = Instant::now();
            for (paced, flow, side) in [
                (&mut upload, progress.upload, Side::Client),
                (&mut download, progress.download, Side::Origin),
            ] {
                if !flow.is_over && paced.is_slow(now, flow.bytes) {
                    return Poll::Ready(Err(Stalled::Slow(side)));
                }
            }
            if let Some((until, seen)) = &mut quiet
                && now >= *until
            {
                if progress.moved == *seen {
                    return Poll::Ready(Err(Stalled::Silent));
                }
                (*until, *seen) = (now + patience, progress.moved);
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(200);
    const PACE: Pace = Pace {
        bytes: 100,
        within: WINDOW,
    };

    #[test]
    fn a_body_is_slow_when_too_little_has_come_in_time_for_want_of_its_sender() {
        let mut paced = Paced::new(PACE);
        let begun = paced.deadline().unwrap() - WINDOW;
        let at = |windows: u32| begun + WINDOW * windows;
        assert!(!paced.is_slow(at(0), 0), "not before its time");
        assert!(!paced.is_slow(at(1), 100));
        assert!(paced.is_slow(at(2), 199));
        paced.excuse();
        assert!(!paced.is_slow(at(3), 199), "the receiver was waited for");
        assert!(paced.is_slow(at(4), 199), "and then no more");
        assert!(!paced.is_slow(at(4) + WINDOW / 2, 199), "its time has begun anew");
        assert!(!Paced::new(Pace::ANY).is_slow(at(1000), 0));
        assert!(!Paced::new(PACE.unless(true)).is_slow(at(1000), 0));
    }

    /// So many bytes in each window; how that ends, if it does not go on for ten.
    async fn given_up(patience: Duration, bytes: u64, is_held_up: bool) -> Result<(), Stalled> {
        let begun = Instant::now();
        let mut tick = tokio::time::interval(WINDOW / 100);
        going(patience, PACE, PACE, |cx, progress| {
            while tick.poll_tick(cx).is_ready() {}
            let passed = begun.elapsed();
            let bytes = u64::try_from(passed.as_millis() * u128::from(bytes) / WINDOW.as_millis());
            progress.upload = Flow {
                bytes: bytes.unwrap_or(u64::MAX),
                is_over: false,
                is_held_up,
            };
            progress.moved = progress.upload.bytes;
            match passed >= WINDOW * 10 {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await
    }

    #[tokio::test]
    async fn what_drips_is_given_up_and_what_is_slow_or_held_up_is_not() {
        let slow = Err(Stalled::Slow(Side::Client));
        assert_eq!(given_up(WINDOW * 20, 10, false).await, slow);
        assert_eq!(given_up(WINDOW * 20, 150, false).await, Ok(()));
        assert_eq!(
            given_up(WINDOW * 20, 10, true).await,
            Ok(()),
            "its receiver is slow"
        );
        assert_eq!(given_up(WINDOW / 2, 0, false).await, Err(Stalled::Silent));
    }
}
