//! Ending well: every connection and tunnel is counted, told to finish, and waited for.

use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// One per process; clones speak of the same drain.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    begun: CancellationToken,
    tasks: TaskTracker,
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

    /// Begins: listeners stop, idle HTTP connections close, WebSockets get a Close 1001.
    pub fn start(&self) {
        self.begun.cancel();
        self.tasks.close();
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
}
