//! What a scan is doing, for whoever has to say why it took too long.

use std::sync::atomic::{AtomicU8, Ordering};

/// What a scan is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The scanner has been asked, or is about to be.
    Asks,
    /// Others have the connections that the scanner allows, which says nothing about it.
    Waits,
    /// It is being connected to.
    Connects,
}

/// What one scan is doing.
#[derive(Debug)]
pub(super) struct Progress(AtomicU8);

impl Progress {
    const STAGES: [Stage; 3] = [Stage::Asks, Stage::Waits, Stage::Connects];

    pub(super) const fn new() -> Self {
        Self(AtomicU8::new(Stage::Asks as u8))
    }

    /// Runs `work`, which is this `stage`; then the scan asks again.
    pub(super) async fn during<T>(&self, stage: Stage, work: impl Future<Output = T>) -> T {
        self.0.store(stage as u8, Ordering::Relaxed);
        let done = work.await;
        self.0.store(Stage::Asks as u8, Ordering::Relaxed);
        done
    }

    /// What the scan was doing when it was given up.
    pub(super) fn stage(&self) -> Stage {
        let number = usize::from(self.0.load(Ordering::Relaxed));
        Self::STAGES.get(number).copied().unwrap_or(Stage::Asks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::pin::pin;
    use std::task::{Context, Waker};

    #[tokio::test]
    async fn a_stage_lasts_as_long_as_its_work() {
        let progress = Progress::new();
        for stage in Progress::STAGES {
            progress
                .during(stage, async { assert_eq!(progress.stage(), stage) })
                .await;
            assert_eq!(progress.stage(), Stage::Asks);
            let mut given_up = pin!(progress.during(stage, pending::<()>()));
            let mut context = Context::from_waker(Waker::noop());
            assert!(given_up.as_mut().poll(&mut context).is_pending());
            assert_eq!(progress.stage(), stage);
            progress.during(Stage::Asks, async {}).await;
        }
    }
}
