//! Ending well: every connection and tunnel is counted, told to finish, and waited for.

use crate::error::words;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

words! {
    /// Why one relay is ended while the proxy goes on.
    pub enum Recall {
        /// The policy does not let it be any more.
        Denied = "policy_denied",
        /// The policy has it treated differently now.
        Changed = "policy_changed",
        /// The operator has closed it.
        Operator = "closed_by_operator",
    }
}

/// One per process; clones speak of the same drain.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    announced: CancellationToken,
    begun: CancellationToken,
    /// Relays have been told by themselves, one after another: who comes later is told at once.
    relays: CancellationToken,
    tasks: TaskTracker,
}

/// What tells one relay to end; clones tell the same one. There is one for each WebSocket that waits, so it is small.
#[derive(Debug, Clone, Default)]
pub struct RelayDrain(Arc<Told>);

/// What a relay was told, and who waits for it.
#[derive(Debug, Default)]
struct Told {
    /// 0 for nothing, 1 that the proxy ends, and else the place of a [`Recall`] behind those.
    what: AtomicU8,
    waiting: Mutex<Option<Waker>>,
}

/// Told that the proxy ends.
const ENDING: u8 = 1;
/// The first of the recalls.
const RECALLED: u8 = 2;

impl RelayDrain {
    /// One that has been told nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The proxy ends.
    pub fn end(&self) {
        let first = self.0.what.compare_exchange(0, ENDING, SeqCst, SeqCst);
        self.wake(first.is_ok());
    }

    /// It alone is to end.
    pub fn recall(&self, why: Recall) {
        let place = Recall::ALL.iter().position(|known| *known == why);
        let word = RECALLED + u8::try_from(place.unwrap_or_default()).unwrap_or_default();
        // The first reason is the one that counts.
        let first = [0, ENDING].iter().any(|before| {
            self.0
                .what
                .compare_exchange(*before, word, SeqCst, SeqCst)
                .is_ok()
        });
        self.wake(first);
    }

    fn wake(&self, is_news: bool) {
        if is_news && let Some(waker) = self.waiting().take() {
            waker.wake();
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is to end.
    pub fn is_begun(&self) -> bool {
        self.0.what.load(SeqCst) != 0
    }

    /// Why it alone is to end; `None` if the whole proxy is.
    pub fn recalled(&self) -> Option<Recall> {
        let place = self.0.what.load(SeqCst).checked_sub(RECALLED)?;
        Recall::ALL.get(usize::from(place)).copied()
    }

    /// Ready once it is to end, for whatever reason; `known` is the waker that was seen last. Costs a load where that has
    /// not changed. One task waits.
    pub fn poll_begun(&self, cx: &Context<'_>, known: &mut Option<Waker>) -> Poll<()> {
        self.poll(cx, known, || self.is_begun().then_some(()))
    }

    /// The same once it alone is to end, and never because the whole proxy is.
    pub fn poll_recalled(&self, cx: &Context<'_>, known: &mut Option<Waker>) -> Poll<Recall> {
        self.poll(cx, known, || self.recalled())
    }

    fn poll<T>(&self, cx: &Context<'_>, known: &mut Option<Waker>, told: impl Fn() -> Option<T>) -> Poll<T> {
        let is_known = known.as_ref().is_some_and(|known| known.will_wake(cx.waker()));
        // What wakes takes the waker out: whoever is woken for something else has to leave another.
        if !is_known || self.is_begun() {
            *known = Some(cx.waker().clone());
            *self.waiting() = Some(cx.waker().clone());
        }
        told().map_or(Poll::Pending, Poll::Ready)
    }

    /// Resolves when it is to end, for whatever reason.
    pub async fn begun(&self) {
        let mut known = None;
        poll_fn(|cx| self.poll_begun(cx, &mut known)).await;
    }
}

impl Drain {
    /// A drain that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `task` on `runtime`, counted.
    pub fn spawn_on<F>(&self, task: F, runtime: &Handle)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn_on(task, runtime);
    }

    /// It will begin soon: new connections had better go elsewhere, and are served as before.
    pub fn announce(&self) {
        self.announced.cancel();
    }

    /// Whether it has begun, or will soon.
    pub fn is_announced(&self) -> bool {
        self.announced.is_cancelled()
    }

    /// Begins: listeners stop, idle HTTP connections close. Relays go on until they are told.
    pub fn start(&self) {
        self.announce();
        self.begun.cancel();
        self.tasks.close();
    }

    /// Relays that are yet to begin are to end at once.
    pub fn start_relays(&self) {
        self.start();
        self.relays.cancel();
    }

    /// Whether relays end as soon as they begin.
    pub fn ends_relays(&self) -> bool {
        self.relays.is_cancelled()
    }

    /// Whether it has begun.
    pub fn is_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Resolves when it begins.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.tasks.len()
    }

    /// Waits until every connection has ended, but no longer than `deadline`; says how many had not.
    pub async fn finished(&self, deadline: Duration) -> usize {
        self.tasks.close();
        let _ = tokio::time::timeout(deadline, self.tasks.wait()).await;
        self.tasks.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_what_listens_and_counts_what_does_not() {
        let drain = Drain::new();
        let inside = drain.clone();
        drain.spawn_on(async move { inside.begun().await }, &Handle::current());
        drain.spawn_on(std::future::pending(), &Handle::current());
        assert_eq!(drain.open(), 2);
        drain.start();
        assert_eq!(drain.finished(Duration::from_millis(50)).await, 1);
    }

    #[tokio::test]
    async fn one_relay_can_be_ended_by_itself() {
        let (one, other) = (RelayDrain::new(), RelayDrain::new());
        one.recall(Recall::Denied);
        one.recall(Recall::Changed);
        one.end();
        one.begun().await;
        assert_eq!(one.recalled(), Some(Recall::Denied));
        assert!(!other.is_begun());
        other.end();
        other.begun().await;
        assert_eq!(other.recalled(), None);
        for why in Recall::ALL {
            let third = RelayDrain::new();
            third.recall(*why);
            assert_eq!(third.recalled(), Some(*why));
        }
    }

    #[tokio::test]
    async fn who_ends_for_itself_alone_waits_on_when_the_proxy_ends() {
        let drain = RelayDrain::new();
        let mut known = None;
        let told = drain.clone();
        let waiting = tokio::spawn(poll_fn(move |cx| told.poll_recalled(cx, &mut known)));
        tokio::task::yield_now().await;
        drain.end();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drain.recall(Recall::Operator);
        assert_eq!(waiting.await.unwrap(), Recall::Operator);
    }

    #[tokio::test]
    async fn whoever_waits_last_is_woken() {
        let (drain, mut known) = (RelayDrain::new(), None);
        let first = drain.poll_begun(&Context::from_waker(Waker::noop()), &mut known);
        assert!(first.is_pending());
        let told = drain.clone();
        let waiting = tokio::spawn(poll_fn(move |cx| told.poll_begun(cx, &mut known)));
        tokio::task::yield_now().await;
        drain.end();
        waiting.await.unwrap();
    }
}
