//! Somebody who watches a proxy: all that happens in it, messages and bodies included, read as fast as it comes. What the
//! reading costs is this tool's and not the proxy's.

use crate::Fallible;
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// All topics that the interface has.
const WANTED: &str = r#"{"topics":["connections","requests","websockets","findings","refusals","reloads","messages","bodies"]}"#;
/// One read of the stream.
const READ: usize = 1 << 20;
/// A stream that brings nothing for so long has brought what waited.
const REST: Duration = Duration::from_millis(20);

/// What has come by the stream.
#[derive(Debug, Default)]
struct Seen {
    events: AtomicU64,
    /// What came faster than it could be told.
    lost: AtomicU64,
}

/// A stream of events that is read; dropping it ends it and says what it has brought.
#[derive(Debug)]
pub(crate) struct Watcher {
    stream: UnixStream,
    seen: Arc<Seen>,
    reader: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Asks for everything on a proxy's live socket, and waits until the proxy says that it is being watched.
    pub(crate) fn start(socket: &Path) -> Fallible<Self> {
        let mut stream = UnixStream::connect(socket)?;
        // By HTTP/1.0, so that the stream comes without chunks in it.
        write!(
            stream,
            "POST /api/v1/events HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{WANTED}",
            WANTED.len()
        )?;
        let mut events = BufReader::with_capacity(READ, stream.try_clone()?);
        let mut line = String::new();
        while line.trim_end() != "event: watching" {
            line.clear();
            if events.read_line(&mut line)? == 0 {
                return Err("the proxy lets nobody watch".into());
            }
        }
        let seen = Arc::<Seen>::default();
        let counts = Arc::clone(&seen);
        let reader = Some(thread::spawn(move || {
            // It ends with its stream.
            let _ = count(&mut events, &counts);
        }));
        Ok(Self { stream, seen, reader })
    }

    /// Waits until nothing more comes, so that no other proxy is measured meanwhile; something must have come.
    pub(crate) fn rest(&self) -> Fallible<()> {
        loop {
            let before = self.seen.events.load(Relaxed);
            thread::sleep(REST);
            match self.seen.events.load(Relaxed) {
                0 => return Err("who watches has seen nothing".into()),
                now if now == before => return Ok(()),
                _ => {}
            }
        }
    }
}

/// Counts events until the stream ends.
fn count(events: &mut impl BufRead, seen: &Seen) -> io::Result<()> {
    let mut line = Vec::new();
    let mut is_lost = false;
    loop {
        line.clear();
        if events.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if let Some(kind) = line.strip_prefix(b"event: ") {
            is_lost = kind == b"lost\n";
            seen.events.fetch_add(u64::from(!is_lost), Relaxed);
        } else if let (true, Some(data)) = (is_lost, line.strip_prefix(b"data: ")) {
            let lost = serde_json::from_slice::<Value>(data)?;
            seen.lost
                .fetch_add(lost["events"].as_u64().unwrap_or_default(), Relaxed);
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        let (events, lost) = (self.seen.events.load(Relaxed), self.seen.lost.load(Relaxed));
        eprintln!("load: who watched has read {events} events and lost {lost}");
    }
}
