//! One event loop for each processor, each on a thread of its own. A connection stays on the loop that it was
//! given: both of its legs, its TLS sessions and its counters are touched by one thread only, and no message waits
//! for another thread to be woken.

use std::fmt;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// The loops.
pub struct Workers {
    loops: Vec<Handle>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    next: AtomicUsize,
    over: CancellationToken,
}

/// How long a loop that is told to stop waits for a blocking call, such as a look-up that nobody answers.
const BLOCKED: Duration = Duration::from_millis(100);

impl Workers {
    /// Starts as many loops as there are processors.
    ///
    /// # Errors
    /// A thread or an event loop cannot be made.
    pub fn start() -> io::Result<Self> {
        let count = std::thread::available_parallelism()?.get();
        let over = CancellationToken::new();
        let (mut loops, mut threads) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for number in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            loops.push(runtime.handle().clone());
            let over = over.clone();
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || {
                    runtime.block_on(over.cancelled());
                    runtime.shutdown_timeout(BLOCKED);
                })?;
            threads.push(thread);
        }
        Ok(Self {
            loops,
            threads: Mutex::new(threads),
            next: AtomicUsize::new(0),
            over,
        })
    }

    /// The loop for the next connection: each in turn, since a WebSocket's load cannot be known before.
    pub(super) fn next(&self) -> &Handle {
        &self.loops[self.next.fetch_add(1, Ordering::Relaxed) % self.loops.len()]
    }

    /// Resolves when every loop has come round: never, while one is stuck.
    pub async fn come_round(&self) {
        let turns: Vec<_> = self.loops.iter().map(|each| each.spawn(async {})).collect();
        for turn in turns {
            // A loop that has ended is not stuck.
            let _ = turn.await;
        }
    }

    /// Ends the loops, and with them every connection that is still on one. Blocks until they have ended.
    pub fn stop(&self) {
        self.over.cancel();
        let threads = self
            .threads
            .lock()
            .map(|mut threads| std::mem::take(&mut *threads))
            .unwrap_or_default();
        for thread in threads {
            // A worker that panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers")
            .field("loops", &self.loops.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_loop_that_is_stuck_does_not_come_round() {
        let workers = Workers::start().unwrap();
        let here = Builder::new_current_thread().enable_all().build().unwrap();
        here.block_on(workers.come_round());
        let (stick, stuck) = channel::<()>();
        workers.next().spawn(async move {
            let _ = stuck.recv();
        });
        let waits = here
            .block_on(async { tokio::time::timeout(Duration::from_millis(50), workers.come_round()).await });
        assert!(waits.is_err());
        drop(stick);
        here.block_on(workers.come_round());
        workers.stop();
    }

    #[test]
    fn connections_take_turns_and_end_with_their_loop() {
        struct Told(std::sync::mpsc::Sender<String>);
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = self.0.send("dropped".to_owned());
            }
        }
        let workers = Workers::start().unwrap();
        let (tell, told) = channel();
        for _ in 0..workers.loops.len() {
            let (tell, guard) = (tell.clone(), Told(tell.clone()));
            workers.next().spawn(async move {
                let _guard = guard;
                let _ = tell.send(std::thread::current().name().unwrap_or_default().to_owned());
                std::future::pending::<()>().await;
            });
        }
        drop(tell);
        let mut names: Vec<_> = told.iter().take(workers.loops.len()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), workers.loops.len(), "each loop has one");
        workers.stop();
        assert_eq!(
            told.iter().filter(|word| word == "dropped").count(),
            workers.loops.len()
        );
    }
}
