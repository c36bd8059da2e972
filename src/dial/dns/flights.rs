//! Queries under way. Whoever asks for what is already being asked for joins, and a query goes on when those who wait for it
//! have gone: its answer is kept for the next.

use super::answer::{Failure, Found, Question};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Queries under way, by what they ask for.
#[derive(Debug, Default)]
pub(super) struct Flights {
    under_way: Mutex<HashMap<Question, Landing>>,
}

type Landing = watch::Receiver<Option<Found>>;

/// A query that is waited for.
#[derive(Debug)]
pub(super) struct Flight {
    landing: Landing,
    /// Whether somebody else's look-up had begun it.
    pub joined: bool,
}

impl Flight {
    /// How it ended, if it has.
    pub(super) fn so_far(&self) -> Option<Found> {
        self.landing.borrow().clone()
    }

    /// Waits for its end. May be given up and waited for again.
    pub(super) async fn landed(&mut self) -> Found {
        let found = self.landing.wait_for(Option::is_some).await;
        // One that ended without a word has panicked, or its event loop ends.
        found
            .ok()
            .and_then(|found| found.clone())
            .unwrap_or(Err(Failure::Failed))
    }
}

impl Flights {
    /// Joins the query for `question`, or begins it by `ask` on this event loop. What `known` finds needs neither: it is
    /// asked while no query can end, so that an answer which has just been kept is not asked for again.
    ///
    /// # Errors
    /// What `known` has found.
    pub(super) fn join<F>(
        self: &Arc<Self>,
        question: Question,
        known: impl FnOnce() -> Option<Found>,
        ask: impl FnOnce(Question) -> F,
    ) -> Result<Flight, Found>
    where
        F: Future<Output = Found> + Send + 'static,
    {
        let mut under_way = self.lock();
        let entry = match under_way.entry(question) {
            Entry::Occupied(flight) => {
                let landing = flight.get().clone();
                return Ok(Flight {
                    landing,
                    joined: true,
                });
            }
            Entry::Vacant(entry) => entry,
        };
        if let Some(found) = known() {
            return Err(found);
        }
        let question = entry.key().clone();
        let (tell, landing) = watch::channel(None);
        entry.insert(landing.clone());
        let over = Over {
            flights: Arc::clone(self),
            question: question.clone(),
        };
        let asking = ask(question);
        tokio::spawn(async move {
            let found = asking.await;
            drop(over);
            // Nobody may be left to hear it.
            let _ = tell.send(Some(found));
        });
        Ok(Flight {
            landing,
            joined: false,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, Landing>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a query off the list, however it ends.
struct Over {
    flights: Arc<Flights>,
    question: Question,
}

impl Drop for Over {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.question);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial::dns::answer::Family;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    fn question(name: &str) -> Question {
        Question {
            name: name.into(),
            family: Family::V4,
        }
    }

    fn address() -> Found {
        Ok(vec![[192, 0, 2, 1].into()].into())
    }

    #[tokio::test]
    async fn who_asks_for_the_same_joins_and_who_goes_stops_nobody() {
        let flights = Arc::new(Flights::default());
        let (asked, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let join = |name: &str| {
            let (asked, answer) = (asked.clone(), answer.clone());
            flights.join(
                question(name),
                || None,
                |_| async move {
                    asked.fetch_add(1, Ordering::Relaxed);
                    answer.notified().await;
                    address()
                },
            )
        };
        let first = join("a.test").unwrap();
        assert!(!first.joined);
        let others: Vec<_> = (0..10).map(|_| join("a.test").unwrap()).collect();
        assert!(others.iter().all(|flight| flight.joined));
        drop(first);
        answer.notify_one();
        for mut flight in others {
            assert_eq!(flight.landed().await, address());
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // The next begins anew.
        assert!(!join("a.test").unwrap().joined);
    }

    #[tokio::test]
    async fn what_is_known_is_not_asked_for() {
        let flights = Arc::new(Flights::default());
        let found = flights.join(
            question("a.test"),
            || Some(address()),
            |_| async { unreachable!() },
        );
        assert_eq!(found.unwrap_err(), address());
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn a_query_that_panics_fails_and_is_over() {
        let flights = Arc::new(Flights::default());
        let flight = flights.join(question("a.test"), || None, |_| async { panic!("as tests do") });
        assert_eq!(flight.unwrap().landed().await, Err(Failure::Failed));
        assert!(flights.lock().is_empty());
    }

    #[test]
    fn a_query_ends_with_its_event_loop() {
        let flights = Arc::new(Flights::default());
        let begin = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let runtime = begin();
        let mut flight = runtime
            .block_on(async { flights.join(question("a.test"), || None, |_| std::future::pending()) })
            .unwrap();
        drop(runtime);
        assert_eq!(begin().block_on(flight.landed()), Err(Failure::Failed));
        assert!(flights.lock().is_empty());
    }
}
