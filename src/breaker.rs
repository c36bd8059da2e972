//! Leaves a service alone that keeps failing. Pure: the time comes from the caller.

use std::time::{Duration, Instant};

/// When a service is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// After so many failures in a row.
    pub failures: u32,
    /// How long it rests before one call may try it again.
    pub rest: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            failures: 5,
            rest: Duration::from_secs(10),
        }
    }
}

/// How a call went, as far as the breaker cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// The service answered, whatever it said.
    Well,
    /// It did not, or not with sense.
    Failing,
    /// Nobody knows: the call was given up from outside.
    Unknown,
}

/// Allows one call. Its health is to be told with it, so that the end of a call that began before the rest is
/// not taken for the end of the one that tries whether the rest is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Permit {
    period: u64,
}

#[derive(Debug, Clone, Copy)]
enum BreakerState {
    /// All calls may pass; so many have failed in a row.
    Closed { failures: u32 },
    /// None may pass before then.
    Open { until: Instant },
    /// One call finds out whether the service is well again; no other may pass.
    HalfOpen,
}

/// Counts failures in a row.
#[derive(Debug)]
pub(crate) struct Breaker {
    thresholds: Thresholds,
    state: BreakerState,
    /// Counts changes of the state.
    period: u64,
}

impl Breaker {
    pub(crate) fn new(thresholds: Thresholds) -> Self {
        Self {
            thresholds,
            state: BreakerState::Closed { failures: 0 },
            period: 0,
        }
    }

    /// Whether a call may begin now; otherwise how long the service still rests, zero while one call tries it.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Permit, Duration> {
        if let Some(left) = self.resting(now) {
            return Err(left);
        }
        if let BreakerState::Open { .. } = self.state {
            self.enter(BreakerState::HalfOpen);
        }
        Ok(Permit { period: self.period })
    }

    /// What [`Breaker::admit`] would refuse a call with.
    pub(crate) fn resting(&self, now: Instant) -> Option<Duration> {
        match self.state {
            BreakerState::Closed { .. } => None,
            BreakerState::Open { until } => (now < until).then(|| until - now),
            BreakerState::HalfOpen => Some(Duration::ZERO),
        }
    }

    /// A call that was admitted has ended.
    pub(crate) fn ended(&mut self, ticket: Permit, health: Health, now: Instant) {
        if ticket.period != self.period {
            return;
        }
        match (self.state, health) {
            (BreakerState::Closed { .. }, Health::Well) => self.state = BreakerState::Closed { failures: 0 },
            (BreakerState::Closed { failures }, Health::Failing) => {
                if failures + 1 >= self.thresholds.failures {
                    self.rest(now);
                } else {
                    self.state = BreakerState::Closed {
                        failures: failures + 1,
                    };
                }
            }
            (BreakerState::HalfOpen, Health::Well) => self.enter(BreakerState::Closed { failures: 0 }),
            (BreakerState::HalfOpen, Health::Failing) => self.rest(now),
            // The next call tries in its place.
            (BreakerState::HalfOpen, Health::Unknown) => self.enter(BreakerState::Open { until: now }),
            (BreakerState::Closed { .. }, Health::Unknown) | (BreakerState::Open { .. }, _) => {}
        }
    }

    fn rest(&mut self, now: Instant) {
        self.enter(BreakerState::Open {
            until: now + self.thresholds.rest,
        });
    }

    fn enter(&mut self, state: BreakerState) {
        self.state = state;
        self.period += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REST: Duration = Duration::from_secs(10);
    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> (Breaker, Instant) {
        let thresholds = Thresholds {
            failures: 3,
            rest: REST,
        };
        (Breaker::new(thresholds), Instant::now())
    }

    fn scan(breaker: &mut Breaker, health: Health, now: Instant) {
        let ticket = breaker.admit(now).unwrap();
        breaker.ended(ticket, health, now);
    }

    fn opened() -> (Breaker, Instant) {
        let (mut breaker, now) = breaker();
        for _ in 0..3 {
            scan(&mut breaker, Health::Failing, now);
        }
        (breaker, now)
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let (mut breaker, now) = breaker();
        for health in [
            Health::Failing,
            Health::Failing,
            Health::Well,
            Health::Failing,
            Health::Unknown,
            Health::Failing,
        ] {
            scan(&mut breaker, health, now);
        }
        scan(&mut breaker, Health::Failing, now);
        assert_eq!(breaker.admit(now), Err(REST));
        assert_eq!(breaker.admit(now + SECOND), Err(REST - SECOND));
    }

    #[test]
    fn after_the_rest_one_scan_tries_and_its_end_decides() {
        let (mut breaker, now) = opened();
        let later = now + REST;
        let probe = breaker.admit(later).unwrap();
        assert_eq!(breaker.admit(later), Err(Duration::ZERO));
        breaker.ended(probe, Health::Failing, later);
        assert_eq!(breaker.admit(later), Err(REST));

        let again = later + REST;
        let probe = breaker.admit(again).unwrap();
        breaker.ended(probe, Health::Well, again);
        for _ in 0..2 {
            scan(&mut breaker, Health::Failing, again);
        }
        assert!(breaker.admit(again).is_ok(), "it counts from zero again");
    }

    #[test]
    fn a_try_that_is_given_up_leaves_its_place_to_the_next() {
        let (mut breaker, now) = opened();
        let later = now + REST;
        let probe = breaker.admit(later).unwrap();
        breaker.ended(probe, Health::Unknown, later);
        assert!(breaker.admit(later).is_ok());
    }

    #[test]
    fn the_end_of_a_scan_from_before_the_rest_changes_nothing() {
        let (mut breaker, now) = breaker();
        let old = breaker.admit(now).unwrap();
        for _ in 0..3 {
            scan(&mut breaker, Health::Failing, now);
        }
        breaker.ended(old, Health::Well, now);
        assert_eq!(breaker.admit(now), Err(REST));
        let _probe = breaker.admit(now + REST).unwrap();
        breaker.ended(old, Health::Failing, now + REST);
        assert_eq!(breaker.admit(now + REST), Err(Duration::ZERO));
    }

    proptest! {
        /// Whatever happens, it never refuses for longer than the rest once all scans have ended.
        #[test]
        fn it_always_opens_up_again(steps in proptest::collection::vec((0_u8..3, 0_u64..15), 0..60)) {
            let (mut breaker, mut now) = breaker();
            for (health, seconds) in steps {
                now += Duration::from_secs(seconds);
                if let Ok(ticket) = breaker.admit(now) {
                    let health = [Health::Well, Health::Failing, Health::Unknown][usize::from(health)];
                    breaker.ended(ticket, health, now);
                }
            }
            prop_assert!(breaker.admit(now + REST).is_ok());
        }
    }
}
