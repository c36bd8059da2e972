//! Recordings as HAR 1.2 files. Whoever states content never waits: what does not fit into the memory that recordings
//! may take is dropped and counted, and a thread does the rest.

mod entry;
mod files;
mod piece;
mod queue;
#[cfg(test)]
mod tests;
mod work;

use super::families::{counters, gauges};
use super::names;
use crate::inspect::{RecordedContent, Room, SessionFacts};
use crate::report::config::{RecordConfig, ReportConfig};
use crate::report::event::{Event, Topic};
use crate::report::instance::Instance;
use crate::report::sink::Sink;
use arc_swap::ArcSwapOption;
use piece::HarPiece;
use prometheus::Registry;
use queue::{HarCounts, HarQueue, Note};
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use work::HarWriter;

/// The recording, which a reload begins and ends.
#[derive(Debug)]
pub(super) struct Har {
    current: ArcSwapOption<HarThread>,
    instance: Instance,
    /// Where this process has recorded: unfinished files there may be its own.
    used: Mutex<HashSet<PathBuf>>,
    counts: HarCounts,
    /// The room of all that is kept, once it is known.
    room: Arc<OnceLock<Arc<Room>>>,
}

struct HarThread {
    config: RecordConfig,
    notes: Sender<Note>,
    shared: Arc<HarQueue>,
    /// Disconnected when the thread has ended.
    done: Mutex<Receiver<()>>,
}

impl fmt::Debug for HarThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Har {
    /// Nothing is recorded yet.
    pub(super) fn new(instance: &Instance, registry: &Registry) -> prometheus::Result<Self> {
        let dropped = counters(registry, &names::RECORD_DROPPED)?;
        let none: [&str; 0] = [];
        Ok(Self {
            current: ArcSwapOption::empty(),
            instance: instance.clone(),
            used: Mutex::default(),
            room: Arc::default(),
            counts: HarCounts {
                entries: counters(registry, &names::RECORD_ENTRIES)?.with_label_values(&none),
                files: counters(registry, &names::RECORD_FILES)?.with_label_values(&none),
                memory: dropped.with_label_values(&["memory"]),
                write_error: dropped.with_label_values(&["write_error"]),
                kept: gauges(registry, &names::RECORD_KEPT)?.with_label_values(&none),
                enabled: gauges(registry, &names::RECORD_ENABLED)?.with_label_values(&none),
            },
        })
    }

    /// Records by `config` from now on, or not at all. What was recorded by another is written, without a wait.
    ///
    /// # Errors
    /// The thread cannot be started; nothing is recorded then.
    fn configure(&self, config: Option<&RecordConfig>) -> io::Result<()> {
        let before = self.current.load_full();
        if before.as_ref().map(|running| &running.config) == config {
            return Ok(());
        }
        self.counts.enabled.set(0);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let next = config.map(|config| {
            let is_first = used.insert(config.directory.clone());
            let shared = HarQueue::new(self.counts.clone(), Arc::clone(&self.room));
            HarThread::start(config, &self.instance, shared, is_first)
        });
        let next = next.transpose();
        let (next, result) = match next {
            Ok(next) => (next, Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.counts.enabled.set(i64::from(next.is_some()));
        self.current.store(next.map(Arc::new));
        if let Some(before) = before {
            let _ = before.notes.send(Note::Stop);
        }
        result
    }

    /// Takes a copy of content, or drops and counts it. Never waits.
    fn content(&self, facts: &Arc<SessionFacts>, content: &RecordedContent<'_>) {
        let current = self.current.load();
        let Some(running) = &*current else { return };
        let (shared, cost) = (&running.shared, HarPiece::cost(content));
        // An end lets go of what is held.
        let is_end = matches!(
            content,
            RecordedContent::End { .. } | RecordedContent::Closed { .. }
        );
        if is_end {
            shared.take(cost);
        } else if !shared.try_take(cost, running.config.memory_bytes) {
            self.counts.memory.inc();
            shared.lose(facts.connection);
            return;
        }
        let note = Note::Piece(Arc::clone(facts), HarPiece::of(content), cost);
        if running.notes.send(note).is_err() {
            self.counts.memory.inc();
            shared.release(cost);
        }
    }

    /// A client connection is over.
    fn ended(&self, connection: u64) {
        if let Some(running) = &*self.current.load() {
            let _ = running.notes.send(Note::Ended(connection));
        }
    }
}

impl Sink for Har {
    fn topics(&self) -> &'static [Topic] {
        &[Topic::Process, Topic::Connections, Topic::Content]
    }

    fn state(&self, event: &Event<'_>) {
        match event {
            Event::Content {
                facts,
                onlookers,
                content,
            } if onlookers.recording => self.content(facts, content),
            Event::Ended(record) => self.ended(record.connection),
            Event::Keeping(room) => {
                // It is the only one of its process.
                let _ = self.room.set(Arc::clone(room));
            }
            _ => {}
        }
    }

    fn declare(&self, config: &ReportConfig) {
        if let Err(error) = self.configure(config.record.as_ref()) {
            tracing::error!(%error, "nothing is recorded: the thread that writes recordings cannot be started");
        }
    }

    /// Ends the recording.
    fn finish(&self, limit: Duration) -> bool {
        let Some(running) = self.current.swap(None) else {
            return true;
        };
        self.counts.enabled.set(0);
        let _ = running.notes.send(Note::Stop);
        let done = running.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.recv_timeout(limit) != Err(mpsc::RecvTimeoutError::Timeout)
    }
}

impl HarThread {
    fn start(
        config: &RecordConfig,
        instance: &Instance,
        shared: HarQueue,
        is_first: bool,
    ) -> io::Result<Self> {
        // Unbounded in itself: what it may take is the bound.
        let (notes, queue) = mpsc::channel();
        let (working, done) = mpsc::sync_channel(0);
        let shared = Arc::new(shared);
        let work = HarWriter::new(config.clone(), instance.clone(), Arc::clone(&shared), is_first);
        std::thread::Builder::new()
            .name("har".to_owned())
            .spawn(move || {
                work.run(&queue);
                drop(working);
            })?;
        Ok(Self {
            config: config.clone(),
            notes,
            shared,
            done: Mutex::new(done),
        })
    }
}
