//! Whether a scan waits for its turn: that others take long says nothing about the scanner.

use std::sync::atomic::{AtomicBool, Ordering};

/// Where one scan is.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waits: AtomicBool,
}

impl Queue {
    /// Waits for `turn`.
    pub(super) async fn wait<T>(&self, turn: impl Future<Output = T>) -> T {
        self.waits.store(true, Ordering::Relaxed);
        let turn = turn.await;
        self.waits.store(false, Ordering::Relaxed);
        turn
    }

    /// Whether a scan that was given up was still waiting.
    pub(super) fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }
}
