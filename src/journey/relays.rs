//! Relays that are open, so that a change of the policy can reach them.

use super::config::{Config, OnChange};
use crate::drain::{Drain, Recall, RelayDrain};
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A relay, as far as the policy has to know it.
pub(super) trait Standing: Debug + Send {
    /// Why it is to end by this configuration, if it is.
    fn recall(&self, config: &Config) -> Option<Recall>;
}

/// A relay, and what ends it.
type StandingRelay = (Box<dyn Standing>, RelayDrain);

/// All relays that are open.
#[derive(Debug, Default)]
pub(super) struct Relays {
    next: AtomicU64,
    open: Mutex<HashMap<u64, StandingRelay>>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    relays: Arc<Relays>,
    id: u64,
    /// What ends it.
    pub(super) drain: RelayDrain,
}

impl Relays {
    /// Remembers a relay while it is open.
    pub(super) fn enter(self: &Arc<Self>, drain: &Drain, standing: impl Standing + 'static) -> Place {
        let (id, own) = (self.next.fetch_add(1, Relaxed), RelayDrain::new());
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.insert(id, (Box::new(standing), own.clone()));
        }
        // Whoever tells all of them has seen it in the table, or has said before that those who come are to be told.
        if drain.ends_relays() {
            own.end();
        }
        Place {
            relays: Arc::clone(self),
            id,
            drain: own,
        }
    }

    /// Ends what `config` does not let be: what is denied at once, what is only treated differently spread over the time
    /// that the configuration gives, so that not all clients come back in the same moment. Resolves when all are told.
    pub(super) async fn hold_to(&self, config: &Config) {
        let OnChange::Close { within } = config.on_change else {
            return;
        };
        let mut changed = Vec::new();
        {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            for (standing, drain) in open.values() {
                match standing.recall(config) {
                    Some(why @ Recall::Denied) => drain.recall(why),
                    Some(why) => changed.push((drain.clone(), why)),
                    None => {}
                }
            }
        }
        let gap = within / u32::try_from(changed.len()).unwrap_or(u32::MAX).max(1);
        let mut turns = Turns::of(gap);
        for (drain, why) in changed {
            turns.next().await;
            drain.recall(why);
        }
    }
}

impl Relays {
    /// Tells all relays that the proxy ends, one after another over `within` at most, so that not all clients come back
    /// elsewhere in the same moment; in no more time than it takes by [`PACE`]. Who comes later is told at once.
    pub(super) async fn end_all(&self, drain: &Drain, within: Duration) {
        let open = self.all();
        let mut turns = Turns::of(gap(open.len(), within));
        for one in open {
            turns.next().await;
            one.end();
        }
        drain.start_relays();
        self.all().iter().for_each(RelayDrain::end);
    }

    fn all(&self) -> Vec<RelayDrain> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().map(|(_, drain)| drain.clone()).collect()
    }
}

/// One after another, so far apart, the first at once.
struct Turns {
    due: Instant,
    gap: Duration,
}

impl Turns {
    fn of(gap: Duration) -> Self {
        Self {
            due: Instant::now(),
            gap,
        }
    }

    /// A timer ticks by the millisecond: many have their turn in one tick, and none is late for those before.
    async fn next(&mut self) {
        if self.due.saturating_duration_since(Instant::now()) >= Duration::from_millis(1) {
            tokio::time::sleep_until(self.due).await;
        }
        self.due += self.gap;
    }
}

/// From one to the next, where there are few.
const PACE: Duration = Duration::from_millis(10);

fn gap(count: usize, within: Duration) -> Duration {
    (within / u32::try_from(count).unwrap_or(u32::MAX).max(1)).min(PACE)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.relays.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn relays_are_ended_one_after_another() {
        const COUNT: u32 = 20;
        let (relays, drain) = (Arc::<Relays>::default(), Drain::new());
        let many: Vec<_> = (0..COUNT).map(|_| relays.enter(&drain, Any)).collect();
        let told = || many.iter().filter(|place| place.drain.is_begun()).count();
        let begun = Instant::now();
        let mut ending = Box::pin(relays.end_all(&drain, Duration::from_secs(60)));
        tokio::select! {
            biased;
            () = &mut ending => panic!("all at once"),
            () = std::future::ready(()) => assert_eq!(told(), 1),
        }
        ending.await;
        // It waits for no less than a millisecond.
        let least = PACE * (COUNT - 1) - Duration::from_millis(1);
        assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
        assert_eq!(told(), COUNT as usize);
        assert!(relays.enter(&drain, Any).drain.is_begun(), "who comes late");
    }

    #[test]
    fn however_many_there_are_the_time_suffices() {
        let second = Duration::from_secs(1);
        assert_eq!(gap(0, second), PACE);
        assert_eq!(gap(50, second), PACE);
        assert_eq!(gap(10_000, second), Duration::from_micros(100));
        assert_eq!(gap(7, Duration::ZERO), Duration::ZERO);
    }

    #[derive(Debug)]
    struct Any;

    impl Standing for Any {
        fn recall(&self, _config: &Config) -> Option<Recall> {
            None
        }
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let (relays, drain) = (Arc::<Relays>::default(), Drain::new());
        let one = relays.enter(&drain, Any);
        let other = relays.enter(&drain, Any);
        let open = |relays: &Relays| relays.open.lock().unwrap().len();
        assert_eq!(open(&relays), 2);
        drop(one);
        assert_eq!(open(&relays), 1);
        drop(other);
        assert_eq!(open(&relays), 0);
    }
}
