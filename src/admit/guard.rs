//! Holds back guesses, before the directory locks an account for them. Pure: the time comes from the caller.

use super::challenge::Unproven;
use super::limits::PasswordLimits;
use super::names::skeleton;
use super::watch::Answer;
use quick_cache::sync::Cache;
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many names, and how many pairs of a name and a client, are counted.
const COUNTED: usize = 50_000;

/// The longest pause between two guesses of a client.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Counts wrong passwords. Each one that is counted was asked about: those that are remembered cost nobody anything.
pub(super) struct Guard {
    names: Cache<String, Arc<Mutex<Count>>>,
    pairs: Cache<(String, IpAddr), Arc<Mutex<Count>>>,
    limits: PasswordLimits,
}

/// Wrong passwords in a row, none of them longer than the window after the one before.
#[derive(Debug, Default)]
struct Count {
    wrong: u32,
    /// Questions that have no answer yet.
    open: u32,
    last: Option<Instant>,
}

impl Count {
    /// Directories count so too: the count ends when nothing wrong has come for the time of the window.
    fn settle(&mut self, window: Duration, now: Instant) {
        if self.last.is_some_and(|last| now >= last + window) {
            self.wrong = 0;
            self.last = None;
        }
    }
}

/// One question to the directory. Dropped without an answer, it counts for nothing.
pub(super) struct Attempt {
    name: Arc<Mutex<Count>>,
    pair: Arc<Mutex<Count>>,
    limits: PasswordLimits,
}

/// The directory is not asked for a name any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LockedOut {
    /// After so many wrong passwords.
    pub attempts: u32,
}

impl Guard {
    pub(super) fn new(limits: PasswordLimits) -> Self {
        Self {
            names: Cache::new(COUNTED),
            pairs: Cache::new(COUNTED),
            limits,
        }
    }

    /// Whether the directory may be asked now. Who `was_accepted` with the same password does not guess.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) fn enter(
        &self,
        canonical: &str,
        client: IpAddr,
        was_accepted: bool,
        now: Instant,
    ) -> Result<Attempt, Unproven> {
        let skeleton = skeleton(canonical);
        let Ok(name) = (self.names).get_or_insert_with::<_, Infallible>(&skeleton, || Ok(Arc::default()));
        let pair = (skeleton, around(client));
        let Ok(pair) = (self.pairs).get_or_insert_with::<_, Infallible>(&pair, || Ok(Arc::default()));
        let (mut of_name, mut of_pair) = (lock(&name), lock(&pair));
        of_name.settle(self.limits.lockout_window, now);
        of_pair.settle(self.limits.lockout_window, now);
        if !was_accepted {
            let most = self.limits.lockout_attempts;
            if most > 0 && of_name.wrong >= most {
                return Err(Unproven::LockedOut);
            }
            // Guesses that are side by side might all be wrong.
            if most > 0 && of_name.wrong + of_name.open >= most {
                return Err(Unproven::Throttled);
            }
            if self.has_to_wait(&of_pair, now) {
                return Err(Unproven::Throttled);
            }
        }
        of_name.open += 1;
        of_pair.open += 1;
        drop((of_name, of_pair));
        Ok(Attempt {
            name,
            pair,
            limits: self.limits,
        })
    }

    /// Each wrong password of a client doubles its pause; others at that address have counts of their own.
    fn has_to_wait(&self, pair: &Count, now: Instant) -> bool {
        let Some(beyond) = pair.wrong.checked_sub(self.limits.throttle_attempts) else {
            return false;
        };
        let pause = self.limits.throttle_pause.saturating_mul(1 << beyond.min(16));
        self.limits.throttle_attempts > 0
            && pair
                .last
                .is_some_and(|last| now < last + pause.min(LONGEST_PAUSE))
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("names", &self.names.len())
            .finish_non_exhaustive()
    }
}

impl Attempt {
    /// Always in this order.
    fn counts(&self) -> (MutexGuard<'_, Count>, MutexGuard<'_, Count>) {
        (lock(&self.name), lock(&self.pair))
    }

    /// The directory has answered; tells whether it is not asked any more from now on.
    pub(super) fn answered(self, answer: Answer, now: Instant) -> Option<LockedOut> {
        let (mut name, mut pair) = self.counts();
        match answer {
            Answer::Unavailable => None,
            // Directories begin anew then.
            Answer::Accepted => {
                for count in [&mut name, &mut pair] {
                    count.wrong = 0;
                    count.last = None;
                }
                None
            }
            Answer::Refused => {
                for count in [&mut name, &mut pair] {
                    count.wrong += 1;
                    count.last = Some(now);
                }
                let attempts = name.wrong;
                (attempts == self.limits.lockout_attempts).then_some(LockedOut { attempts })
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let (mut name, mut pair) = self.counts();
        name.open = name.open.saturating_sub(1);
        pair.open = pair.open.saturating_sub(1);
    }
}

fn lock(count: &Mutex<Count>) -> MutexGuard<'_, Count> {
    count.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client of IPv6 has a network of its own to choose addresses from.
fn around(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PasswordLimits = PasswordLimits {
        lockout_attempts: 4,
        lockout_window: Duration::from_secs(600),
        throttle_attempts: 0,
        throttle_pause: Duration::from_secs(2),
        ..PasswordLimits::DEFAULT
    };

    struct Bench {
        guard: Guard,
        start: Instant,
    }

    impl Bench {
        fn new(limits: PasswordLimits) -> Self {
            Self {
                guard: Guard::new(limits),
                start: Instant::now(),
            }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn enter(&self, name: &str, client: &str, seconds: u64) -> Result<Attempt, Unproven> {
            self.guard
                .enter(name, client.parse().unwrap(), false, self.at(seconds))
        }

        fn wrong(&self, name: &str, client: &str, seconds: u64) -> Result<Option<LockedOut>, Unproven> {
            let attempt = self.enter(name, client, seconds)?;
            Ok(attempt.answered(Answer::Refused, self.at(seconds)))
        }
    }

    #[test]
    fn after_so_many_wrong_passwords_a_name_rests_until_nothing_wrong_has_come_for_the_window() {
        let bench = Bench::new(LIMITS);
        // From several clients, and as directories may spell the same name.
        assert_eq!(bench.wrong("ada", "192.0.2.1", 0), Ok(None));
        assert_eq!(bench.wrong("ad\u{e1}", "192.0.2.2", 100), Ok(None));
        assert_eq!(bench.wrong("ada", "192.0.2.3", 200), Ok(None));
        assert_eq!(
            bench.wrong("ada", "192.0.2.4", 300),
            Ok(Some(LockedOut { attempts: 4 }))
        );
        let enter = |name, seconds| bench.enter(name, "192.0.2.5", seconds).map(drop);
        assert_eq!(enter("ada", 301), Err(Unproven::LockedOut));
        assert_eq!(enter("ada", 899), Err(Unproven::LockedOut));
        assert_eq!(enter("grace", 301), Ok(()));
        let known = bench
            .guard
            .enter("ada", "192.0.2.9".parse().unwrap(), true, bench.at(301));
        assert!(known.is_ok(), "whose password was right before does not guess");
        assert_eq!(enter("ada", 900), Ok(()));
    }

    #[test]
    fn a_right_password_begins_anew_and_no_answer_counts_for_nothing() {
        let bench = Bench::new(LIMITS);
        for _ in 0..3 {
            assert_eq!(bench.wrong("ada", "192.0.2.1", 0), Ok(None));
        }
        let attempt = bench.enter("ada", "192.0.2.1", 1).unwrap();
        assert_eq!(attempt.answered(Answer::Unavailable, bench.at(1)), None);
        drop(bench.enter("ada", "192.0.2.1", 1).unwrap());
        let attempt = bench.enter("ada", "192.0.2.1", 2).unwrap();
        assert_eq!(attempt.answered(Answer::Accepted, bench.at(2)), None);
        for _ in 0..3 {
            assert_eq!(bench.wrong("ada", "192.0.2.1", 3), Ok(None));
        }
    }

    #[test]
    fn guesses_side_by_side_are_not_more_than_one_after_the_other() {
        let bench = Bench::new(LIMITS);
        let open: Vec<_> = (0..100)
            .filter_map(|_| bench.enter("ada", "192.0.2.1", 0).ok())
            .collect();
        assert_eq!(open.len(), 4);
        assert_eq!(
            bench.enter("ada", "192.0.2.2", 0).map(drop),
            Err(Unproven::Throttled)
        );
        drop(open);
        let again: Vec<_> = (0..100)
            .filter_map(|_| bench.enter("ada", "192.0.2.1", 0).ok())
            .collect();
        assert_eq!(again.len(), 4);
    }

    #[test]
    fn who_guesses_waits_longer_each_time_and_nobody_else_does() {
        let bench = Bench::new(PasswordLimits {
            lockout_attempts: 0,
            throttle_attempts: 2,
            ..LIMITS
        });
        let enter = |name, client, seconds| bench.enter(name, client, seconds).map(drop);
        assert_eq!(bench.wrong("ada", "2001:db8::1", 0), Ok(None));
        assert_eq!(bench.wrong("ada", "2001:db8::2", 0), Ok(None));
        // The same network; 2 s, then 4.
        assert_eq!(enter("ada", "2001:db8::3", 1), Err(Unproven::Throttled));
        assert_eq!(enter("grace", "2001:db8::1", 1), Ok(()));
        assert_eq!(enter("ada", "192.0.2.1", 1), Ok(()));
        assert_eq!(enter("ada", "2001:db8:0:1::1", 1), Ok(()));
        assert_eq!(bench.wrong("ada", "2001:db8::3", 2), Ok(None));
        assert_eq!(enter("ada", "2001:db8::3", 5), Err(Unproven::Throttled));
        assert_eq!(bench.wrong("ada", "2001:db8::3", 6), Ok(None));
        let mut now = 6;
        for _ in 0..40 {
            now += LONGEST_PAUSE.as_secs();
            assert_eq!(bench.wrong("ada", "2001:db8::3", now), Ok(None));
            assert_eq!(enter("ada", "2001:db8::3", now + 15), Err(Unproven::Throttled));
        }
        assert_eq!(enter("ada", "2001:db8::3", now + 600), Ok(()));
    }

    #[test]
    fn zero_switches_each_off() {
        let bench = Bench::new(PasswordLimits {
            lockout_attempts: 0,
            throttle_attempts: 0,
            ..LIMITS
        });
        for _ in 0..100 {
            assert_eq!(bench.wrong("ada", "192.0.2.1", 0), Ok(None));
        }
    }
}
