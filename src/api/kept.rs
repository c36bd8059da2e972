//! Streams that are kept for a while for clients that have gone, and go on where those have stopped reading
//! (`Last-Event-ID`, HTML Living Standard section 9.2.4). What happens meanwhile waits in the stream's own queue.

use super::stream::Stream;
use super::wanted::WantedEvents;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// All of them. Each has a place among those who watch, so that there is an end to them.
#[derive(Debug, Default)]
pub(super) struct KeptStreams(Mutex<HashMap<String, Arc<KeptStream>>>);

/// A stream that can be taken up again.
#[derive(Debug)]
pub(super) struct KeptStream {
    /// Whose it is.
    by: String,
    /// What it was asked for.
    wanted: WantedEvents,
    /// Until then it calls people by their names.
    pub(super) names_until: Option<Instant>,
    /// Locked while it runs.
    pub(super) stream: tokio::sync::Mutex<Stream>,
    /// Ends its present run.
    run: Mutex<CancellationToken>,
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl KeptStream {
    pub(super) fn new(
        by: String,
        wanted: WantedEvents,
        names_until: Option<Instant>,
        stream: Stream,
    ) -> Self {
        Self {
            by,
            wanted,
            names_until,
            stream: tokio::sync::Mutex::new(stream),
            run: Mutex::default(),
        }
    }

    /// Ends its present run; the answer ends the next one.
    pub(super) fn take_up(&self) -> CancellationToken {
        let next = CancellationToken::new();
        std::mem::replace(&mut *locked(&self.run), next.clone()).cancel();
        next
    }
}

impl KeptStreams {
    /// Keeps one by this name.
    pub(super) fn keep(&self, name: String, stream: Arc<KeptStream>) {
        locked(&self.0).insert(name, stream);
    }

    /// The one that the id of an event names, if it is of this client and was asked for the same; with the event's number.
    pub(super) fn find(&self, id: &str, by: &str, wanted: &WantedEvents) -> Option<(Arc<KeptStream>, u64)> {
        let (name, number) = id.rsplit_once('.')?;
        let number = number.parse().ok()?;
        let found = locked(&self.0).get(name).cloned()?;
        (found.by == by && found.wanted == *wanted).then_some((found, number))
    }

    /// Lets go of one.
    pub(super) fn forget(&self, name: &str) {
        locked(&self.0).remove(name);
    }
}

/// A name that nobody guesses; none without randomness, and then nothing is kept.
pub(super) fn name() -> Option<String> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
