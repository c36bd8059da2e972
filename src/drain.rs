//! Ending well: every connection and tunnel is counted, told to finish, and waited for.

use crate::error::words;
use std::sync::{Arc, OnceLock};
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
    /// Relays are told by themselves, one after another.
    relays: CancellationToken,
    tasks: TaskTracker,
    /// Why one relay is ended, where this is the drain of one.
    recall: Option<Arc<OnceLock<Recall>>>,
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

    /// Tells all relays, those included that are yet to begin: WebSockets get a Close 1001.
    pub fn start_relays(&self) {
        self.start();
        self.relays.cancel();
    }

    /// Tells the one relay that this is the drain of.
    pub fn start_one(&self) {
        if self.recall.is_some() {
            self.begun.cancel();
        }
    }

    /// Whether it has begun.
    pub fn is_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Resolves when it begins.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// The same for one relay, which can be ended by itself too.
    #[must_use]
    pub fn of_relay(&self) -> Self {
        Self {
            announced: self.announced.clone(),
            begun: self.relays.child_token(),
            relays: self.relays.clone(),
            tasks: self.tasks.clone(),
            recall: Some(Arc::default()),
        }
    }

    /// Ends one relay.
    pub fn recall(&self, why: Recall) {
        if let Some(recall) = &self.recall {
            // The first reason is the one that counts.
            let _ = recall.set(why);
            self.begun.cancel();
        }
    }

    /// Why the one relay is ended that this is the drain of; `None` if the whole proxy is.
    pub fn recalled(&self) -> Option<Recall> {
        self.recall.as_ref()?.get().copied()
    }

    /// Resolves when the one relay is ended, and never because the whole proxy is.
    pub async fn called_back(&self) -> Recall {
        self.begun().await;
        match self.recalled() {
            Some(why) => why,
            None => std::future::pending().await,
        }
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
        let drain = Drain::new();
        let (one, other) = (drain.of_relay(), drain.of_relay());
        one.recall(Recall::Denied);
        one.recall(Recall::Changed);
        assert_eq!(one.called_back().await, Recall::Denied);
        assert!(!drain.is_begun() && !other.is_begun());
        drain.start();
        assert!(!other.is_begun(), "relays are told by themselves");
        let third = drain.of_relay();
        other.start_one();
        other.begun().await;
        assert!(!third.is_begun());
        drain.start_relays();
        third.begun().await;
        assert_eq!(third.recalled(), None);
        assert_eq!(other.recalled(), None);
        // The whole proxy has no such end.
        drain.recall(Recall::Denied);
        assert_eq!(drain.recalled(), None);
    }
}
