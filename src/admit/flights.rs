//! Questions under way: who asks the same joins, and no client that goes away takes the answer with it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Questions that have no answer yet.
#[derive(Debug)]
pub(super) struct Flights<K, V> {
    under_way: Mutex<HashMap<K, watch::Receiver<Option<V>>>>,
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self {
            under_way: Mutex::default(),
        }
    }
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The answer to `key`: of the question that is under way, or else of `ask`, which goes on by itself on this event loop.
    /// `None` if that broke off.
    pub(super) async fn join<F>(self: &Arc<Self>, key: &K, ask: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut landing = match self.lock().entry(key.clone()) {
            Entry::Occupied(flight) => flight.get().clone(),
            Entry::Vacant(entry) => {
                let (tell, landing) = watch::channel(None);
                entry.insert(landing.clone());
                let over = Over {
                    flights: Arc::clone(self),
                    key: key.clone(),
                };
                let asking = ask();
                tokio::spawn(async move {
                    let answer = asking.await;
                    drop(over);
                    // Nobody may be left to hear it.
                    let _ = tell.send(Some(answer));
                });
                landing
            }
        };
        let answer = landing.wait_for(Option::is_some).await;
        answer.ok().and_then(|answer| answer.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, watch::Receiver<Option<V>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a question off the list, however it ends.
struct Over<K: Clone + Eq + Hash + Send + 'static, V: Clone + Send + Sync + 'static> {
    flights: Arc<Flights<K, V>>,
    key: K,
}

impl<K: Clone + Eq + Hash + Send + 'static, V: Clone + Send + Sync + 'static> Drop for Over<K, V> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    #[tokio::test]
    async fn who_asks_the_same_joins_and_who_goes_stops_nobody() {
        let flights = Arc::new(Flights::<u8, u8>::default());
        let (asked, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let join = || {
            let (flights, asked, answer) = (flights.clone(), asked.clone(), answer.clone());
            async move {
                let ask = || async move {
                    asked.fetch_add(1, Ordering::Relaxed);
                    answer.notified().await;
                    7
                };
                flights.join(&1, ask).await
            }
        };
        let first = tokio::spawn(join());
        while asked.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        first.abort();
        let others: Vec<_> = (0..30).map(|_| tokio::spawn(join())).collect();
        tokio::task::yield_now().await;
        answer.notify_one();
        for other in others {
            assert_eq!(other.await.unwrap(), Some(7));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn a_question_that_panics_breaks_off_and_is_over() {
        let flights = Arc::new(Flights::<u8, u8>::default());
        let asked = flights.join(&1, || async { panic!("as tests do") });
        assert_eq!(asked.await, None);
        assert!(flights.lock().is_empty());
    }
}
