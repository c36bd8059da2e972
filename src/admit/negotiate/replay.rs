//! Authenticators that were seen: each is good for one login (RFC 4120 section 3.2.3).

use aws_lc_rs::digest::{SHA256, digest};
use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// How many authenticators are remembered in one window: 1,600 logins per second, for as long as they are valid.
const CAPACITY: usize = 1_000_000;

/// What an authenticator is remembered by: the start of a hash over the whole of its ciphertext. (A time in microseconds is not
/// enough: clients make two in one.)
type Mark = [u8; 16];

/// In memory and shared by all workers: a file would be the bottleneck of every login.
#[derive(Debug)]
pub struct Replays {
    seen: Mutex<Windows>,
    capacity: usize,
}

/// Two windows of time. An authenticator is remembered for one window at least, and two at most.
#[derive(Debug, Default)]
struct Windows {
    /// Which window `current` is of, by its number since 1970.
    number: u64,
    current: HashSet<Mark>,
    previous: HashSet<Mark>,
}

/// What is known of an authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Not seen before; from now on it is.
    First,
    Again,
    /// Nothing more can be remembered now.
    Full,
}

impl Default for Replays {
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
            capacity: CAPACITY,
        }
    }
}

impl Replays {
    /// The one of this process. It outlives configurations: a reload must not make old tokens good again.
    pub fn of_process() -> Arc<Self> {
        static PROCESS: LazyLock<Arc<Replays>> = LazyLock::new(Arc::default);
        Arc::clone(&PROCESS)
    }

    /// Remembers the authenticator whose ciphertext this is. `now` is in seconds since 1970; `window` is how long an
    /// authenticator can be valid, in seconds.
    pub(super) fn see(&self, cipher: &[u8], now: u64, window: u64) -> Seen {
        let mut mark = Mark::default();
        let hash = digest(&SHA256, cipher);
        mark.iter_mut()
            .zip(hash.as_ref())
            .for_each(|(to, from)| *to = *from);
        let number = now / window.max(1);
        // Nothing is left half done by a panic in here.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that is set back finds what it knows still there.
        if number > seen.number {
            let last = std::mem::take(&mut seen.current);
            seen.previous = if number == seen.number + 1 {
                last
            } else {
                HashSet::new()
            };
            seen.number = number;
        }
        if seen.current.contains(&mark) || seen.previous.contains(&mark) {
            Seen::Again
        } else if seen.current.len() >= self.capacity {
            Seen::Full
        } else {
            seen.current.insert(mark);
            Seen::First
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 600;

    #[test]
    fn an_authenticator_is_good_once_for_as_long_as_it_is_valid() {
        let replays = Replays::default();
        for start in [6_000, 6_001, 6_599] {
            let cipher = [start as u8; 40];
            let see = |later| replays.see(&cipher, start + later, WINDOW);
            assert_eq!(see(0), Seen::First);
            assert_eq!(see(0), Seen::Again);
            assert_eq!(see(WINDOW), Seen::Again);
        }
        assert_eq!(
            replays.see(&[6_000_u64 as u8; 40], 8_000, WINDOW),
            Seen::First,
            "long ago"
        );
    }

    #[test]
    fn a_clock_set_back_forgets_nothing() {
        let replays = Replays::default();
        assert_eq!(replays.see(b"one", 6_000, WINDOW), Seen::First);
        assert_eq!(replays.see(b"one", 5_000, WINDOW), Seen::Again);
        assert_eq!(replays.see(b"two", 5_000, WINDOW), Seen::First);
        assert_eq!(replays.see(b"two", 6_100, WINDOW), Seen::Again);
    }

    #[test]
    fn a_full_window_takes_nothing_new_and_the_next_does() {
        let replays = Replays {
            capacity: 2,
            ..Replays::default()
        };
        assert_eq!(replays.see(b"one", 0, WINDOW), Seen::First);
        assert_eq!(replays.see(b"two", 0, WINDOW), Seen::First);
        assert_eq!(replays.see(b"three", 0, WINDOW), Seen::Full);
        assert_eq!(replays.see(b"one", 0, WINDOW), Seen::Again);
        assert_eq!(replays.see(b"three", WINDOW, WINDOW), Seen::First);
    }

    #[test]
    fn two_hundred_in_a_second_are_two_hundred() {
        let replays = Replays::default();
        for n in 0..200_u8 {
            assert_eq!(replays.see(&[n; 100], 6_000, WINDOW), Seen::First);
        }
    }

    #[test]
    fn one_authenticator_shown_by_many_threads_passes_once() {
        let replays = Replays::default();
        let first = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| replays.see(b"one", 6_000, WINDOW) == Seen::First))
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap())
                .filter(|first| *first)
                .count()
        });
        assert_eq!(first, 1);
    }
}
