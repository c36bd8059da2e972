//! The thread that writes a log, and the bounded queue before it.

use super::families::counters;
use super::names::Def;
use crate::report::config::{AccessLog, ReportError};
use prometheus::{IntCounter, Registry};
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::time::Duration;

/// Lines that may wait.
const QUEUE_LINES: usize = 64 * 1024;
/// Bytes that may wait: a hostile client can make each of its lines long.
const QUEUE_BYTES: usize = 32 << 20;
/// Lines are gathered up to this size before they are written.
const BATCH_BYTES: usize = 256 * 1024;

/// A log that is to be opened.
pub(super) struct Log {
    /// The name of its thread.
    pub(super) name: &'static str,
    /// The metric of the lines that are written.
    pub(super) written: &'static Def,
    /// The metric of the lines that are lost, by cause.
    pub(super) dropped: &'static Def,
    /// Its file is moved away before it grows beyond this many bytes; 0 for never.
    pub(super) rotate_bytes: u64,
    /// How many files stay that were moved away.
    pub(super) keep: u32,
    /// What it is when its file cannot be opened.
    pub(super) failure: fn(PathBuf, io::Error) -> ReportError,
}

impl Log {
    /// Registers its metrics and opens it, unless it is off.
    pub(super) fn open(&self, to: &AccessLog, registry: &Registry) -> Result<Option<Writer>, ReportError> {
        let dropped = counters(registry, self.dropped)?;
        let counts = LogCounts {
            written: counters(registry, self.written)?.with_label_values::<&str>(&[]),
            queue_full: dropped.with_label_values(&["queue_full"]),
            write_error: dropped.with_label_values(&["write_error"]),
        };
        let output = match to {
            AccessLog::Off => return Ok(None),
            AccessLog::Stdout => Output::Stream(Box::new(io::stdout())),
            AccessLog::Stderr => Output::Stream(Box::new(io::stderr())),
            AccessLog::File(path) => Output::rotating(path, self.rotate_bytes, self.keep)
                .map_err(|error| (self.failure)(path.clone(), error))?,
        };
        let writer = Writer::start(self.name, output, counts).map_err(ReportError::Thread)?;
        Ok(Some(writer))
    }
}

/// What becomes of the lines.
#[derive(Debug, Clone)]
pub(super) struct LogCounts {
    pub(super) written: IntCounter,
    pub(super) queue_full: IntCounter,
    pub(super) write_error: IntCounter,
}

/// Where the lines go.
pub(super) enum Output {
    /// A stream that is never opened again.
    Stream(Box<dyn Write + Send>),
    /// A file that logrotate may move away.
    File(File, PathBuf),
    /// A file that is also moved away here, when it grows beyond a size.
    Rotating {
        /// The file that is written to.
        file: File,
        /// Where it lies; older ones lie beside it, with a number behind the name.
        path: PathBuf,
        /// How many bytes are in it.
        size: u64,
        /// How many bytes may be in it.
        limit: u64,
        /// How many older ones stay.
        keep: u32,
    },
}

impl Output {
    /// Opens a file to append to. Lines name the hosts that people visit: others may not read it.
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .open(path)?;
        Ok(Self::File(file, path.into()))
    }

    /// Opens a file to append to that is moved to `PATH.1` before it grows beyond `limit` bytes (0: never), and that
    /// one to `PATH.2`, up to `keep`.
    pub(super) fn rotating(path: &Path, limit: u64, keep: u32) -> io::Result<Self> {
        let Self::File(file, path) = Self::file(path)? else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        if limit == 0 {
            return Ok(Self::File(file, path));
        }
        let size = file.metadata()?.len();
        Ok(Self::Rotating {
            file,
            path,
            size,
            limit,
            keep,
        })
    }

    /// Makes room for `bytes` more.
    fn make_room(&mut self, bytes: u64) {
        let Self::Rotating {
            path,
            size,
            limit,
            keep,
            ..
        } = self
        else {
            return;
        };
        if *size > 0 && *size + bytes > *limit {
            let older = |n: u32| PathBuf::from(format!("{}.{n}", path.display()));
            for n in (1..*keep).rev() {
                // What is not there yet need not move.
                let _ = std::fs::rename(older(n), older(n + 1));
            }
            if *keep == 0 {
                let _ = std::fs::remove_file(&*path);
            } else {
                let _ = std::fs::rename(&*path, older(1));
            }
            self.reopen();
        }
        if let Self::Rotating { size, .. } = self {
            *size += bytes;
        }
    }

    fn reopen(&mut self) {
        if let Self::Rotating {
            path, limit, keep, ..
        } = self
        {
            match Self::rotating(path, *limit, *keep) {
                Ok(again) => *self = again,
                Err(error) => tracing::error!(
                    path = %path.display(), %error,
                    "cannot reopen the log; lines still go to the file that was open"
                ),
            }
            return;
        }
        if let Self::File(_, path) = self {
            match Self::file(path) {
                Ok(file) => *self = file,
                Err(error) => tracing::error!(
                    path = %path.display(), %error,
                    "cannot reopen the log; lines still go to the file that was open"
                ),
            }
        }
    }

    fn stream(&mut self) -> &mut dyn Write {
        match self {
            Self::Stream(stream) => stream,
            Self::File(file, _) | Self::Rotating { file, .. } => file,
        }
    }
}

enum LogMessage {
    Line(Vec<u8>),
    Reopen,
    /// Tells whether the last write went well.
    Flush(SyncSender<bool>),
}

/// How much is waiting.
#[derive(Debug, Default)]
struct LogBacklog {
    lines: AtomicUsize,
    bytes: AtomicUsize,
}

/// A handle on the thread, which ends after the last handle is gone and all is written.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: Sender<LogMessage>,
    waiting: Arc<LogBacklog>,
    queue_full: IntCounter,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(name: &str, output: Output, counts: LogCounts) -> io::Result<Self> {
        // Unbounded in itself, so that a full queue keeps out lines but never a flush: `Waiting` is the bound.
        let (queue, messages) = mpsc::channel();
        let waiting = Arc::<LogBacklog>::default();
        let queue_full = counts.queue_full.clone();
        let work = LogThread {
            output,
            counts,
            waiting: Arc::clone(&waiting),
            batch: Vec::new(),
            lines: 0,
            bytes: 0,
            torn: false,
            failing: false,
            lost: 0,
        };
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || work.run(&messages))?;
        Ok(Self {
            queue,
            waiting,
            queue_full,
        })
    }

    /// Queues a line of JSON, or drops and counts it. Never waits.
    pub(super) fn line(&self, line: &impl Serialize) {
        // Writing plain structures into memory cannot fail; were it to, a lost line is no reason to stop.
        if let Ok(mut bytes) = serde_json::to_vec(line) {
            bytes.push(b'\n');
            self.push(bytes);
        }
    }

    /// Queues a line of JSON, and says whether it was written within `limit`. Blocks.
    pub(super) fn line_for_good(&self, line: &impl Serialize, limit: Duration) -> bool {
        let Ok(mut bytes) = serde_json::to_vec(line) else {
            return false;
        };
        bytes.push(b'\n');
        self.push(bytes) && self.written(limit) == Some(true)
    }

    /// Queues a line that ends in a newline, or drops and counts it: says which. Never waits.
    fn push(&self, line: Vec<u8>) -> bool {
        let waiting = &self.waiting;
        // A race lets in a few lines more than the bound, which is no harm.
        if waiting.lines.load(Relaxed) >= QUEUE_LINES || waiting.bytes.load(Relaxed) >= QUEUE_BYTES {
            self.queue_full.inc();
            return false;
        }
        waiting.lines.fetch_add(1, Relaxed);
        waiting.bytes.fetch_add(line.len(), Relaxed);
        // The thread outlives every handle, so that there is somebody to send to.
        self.queue.send(LogMessage::Line(line)).is_ok()
    }

    /// After logrotate has moved the file away: opens it anew.
    pub(super) fn reopen(&self) {
        let _ = self.queue.send(LogMessage::Reopen);
    }

    /// Waits, for no longer than `limit`, until what is queued now is written. Tells whether it is.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        self.written(limit).is_some()
    }

    /// Waits, for no longer than `limit`, until what is queued now was written or could not be: whether the last of it was.
    fn written(&self, limit: Duration) -> Option<bool> {
        let (done, written) = mpsc::sync_channel(1);
        self.queue.send(LogMessage::Flush(done)).ok()?;
        written.recv_timeout(limit).ok()
    }
}

/// The thread's own state.
struct LogThread {
    output: Output,
    counts: LogCounts,
    waiting: Arc<LogBacklog>,
    batch: Vec<u8>,
    /// Lines in the batch, and their bytes.
    lines: usize,
    bytes: usize,
    /// The last write stopped in the middle of a line.
    torn: bool,
    /// The last write failed, and the operator was told.
    failing: bool,
    /// Lines that were lost since it could be written last.
    lost: u64,
}

impl LogThread {
    fn run(mut self, messages: &Receiver<LogMessage>) {
        while let Ok(first) = messages.recv() {
            self.take(first);
            while self.batch.len() < BATCH_BYTES {
                let Ok(next) = messages.try_recv() else { break };
                self.take(next);
            }
            self.write();
        }
    }

    fn take(&mut self, message: LogMessage) {
        match message {
            LogMessage::Line(line) => {
                if self.batch.is_empty() && self.torn {
                    // Half a line stays half a line; the next one is whole.
                    self.batch.push(b'\n');
                }
                self.batch.extend_from_slice(&line);
                self.lines += 1;
                self.bytes += line.len();
            }
            LogMessage::Reopen => {
                self.write();
                self.output.reopen();
            }
            LogMessage::Flush(done) => {
                self.write();
                // Whoever waited may have given up.
                let _ = done.try_send(!self.failing);
            }
        }
    }

    fn write(&mut self) {
        if self.lines == 0 {
            return;
        }
        self.output.make_room(self.batch.len() as u64);
        let (sent, result) = send(self.output.stream(), &self.batch);
        let ends = self.batch[..sent].iter().filter(|byte| **byte == b'\n').count();
        let whole = ends - usize::from(self.torn && sent > 0);
        self.counts.written.inc_by(whole as u64);
        self.counts.write_error.inc_by((self.lines - whole) as u64);
        if let Some(last) = self.batch[..sent].last() {
            self.torn = *last != b'\n';
        }
        if let Err(error) = &result
            && !self.failing
        {
            tracing::error!(%error, "cannot write the log; lines are lost until it can be written again");
        }
        self.lost += (self.lines - whole) as u64;
        if self.failing && result.is_ok() {
            tracing::warn!(lost = self.lost, "the log can be written again; lines were lost");
        }
        if result.is_ok() {
            self.lost = 0;
        }
        self.failing = result.is_err();
        self.waiting.lines.fetch_sub(self.lines, Relaxed);
        self.waiting.bytes.fetch_sub(self.bytes, Relaxed);
        self.batch.clear();
        (self.lines, self.bytes) = (0, 0);
    }
}

/// Writes all of it, or tells how much was written before it failed.
fn send(stream: &mut dyn Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(0) => return (sent, Err(io::ErrorKind::WriteZero.into())),
            Ok(n) => sent += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (sent, Err(error)),
        }
    }
    (sent, stream.flush())
}

#[cfg(test)]
mod tests;
