use super::*;
use std::sync::Mutex;
use std::sync::mpsc::channel;

const LONG: Duration = Duration::from_secs(30);

fn counts() -> LogCounts {
    let counter = |name| IntCounter::new(name, "help").unwrap();
    LogCounts {
        written: counter("written"),
        queue_full: counter("full"),
        write_error: counter("error"),
    }
}

/// What a stream received, and what it answers to each write: how many bytes to take, or an error at 0.
#[derive(Clone, Default)]
struct Script {
    received: Arc<Mutex<Vec<u8>>>,
    answers: Arc<Mutex<Vec<usize>>>,
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self
            .answers
            .lock()
            .unwrap()
            .pop()
            .unwrap_or(bytes.len())
            .min(bytes.len());
        if n == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.received.lock().unwrap().extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_queue_drops_and_counts_and_never_waits() {
    /// Takes nothing until it is let go.
    struct Stuck(Receiver<()>, Script);
    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (go, stuck) = channel();
    let (script, counts) = (Script::default(), counts());
    let output = Output::Stream(Box::new(Stuck(stuck, script.clone())));
    let writer = Writer::start("test", output, counts.clone()).unwrap();
    for _ in 0..QUEUE_LINES + 10 {
        writer.push(b"line\n".to_vec());
    }
    // What the thread has taken but not written still counts as waiting.
    assert_eq!(counts.queue_full.get(), 10);
    assert!(
        !writer.flush(Duration::from_millis(1)),
        "a stuck log cannot be flushed"
    );
    drop(go);
    assert!(writer.flush(LONG));
    assert_eq!(script.received.lock().unwrap().len(), QUEUE_LINES * 5);
    assert_eq!(counts.written.get(), QUEUE_LINES as u64);
    writer.push(b"more\n".to_vec());
    assert!(writer.flush(LONG));
    assert!(
        script.received.lock().unwrap().ends_with(b"more\n"),
        "there is room again"
    );
    // Few lines, but long ones.
    let (go, stuck) = channel::<()>();
    let output = Output::Stream(Box::new(Stuck(stuck, Script::default())));
    let writer = Writer::start("test", output, counts.clone()).unwrap();
    for _ in 0..9 {
        writer.push(vec![b'x'; QUEUE_BYTES / 8]);
    }
    assert_eq!(counts.queue_full.get(), 11);
    drop(go);
}

#[test]
fn a_write_that_fails_in_a_line_loses_only_that_line() {
    let (script, counts) = (Script::default(), counts());
    let writer = Writer::start("test", Output::Stream(Box::new(script.clone())), counts.clone()).unwrap();
    // Popped from the end: five bytes of the first batch, then no space.
    script.answers.lock().unwrap().extend([0, 5]);
    writer.push(b"first line\n".to_vec());
    assert!(writer.flush(LONG));
    assert_eq!((counts.written.get(), counts.write_error.get()), (0, 1));
    writer.push(b"second\n".to_vec());
    assert!(writer.flush(LONG));
    writer.push(b"third\n".to_vec());
    assert!(writer.flush(LONG));
    assert_eq!(*script.received.lock().unwrap(), b"first\nsecond\nthird\n");
    assert_eq!((counts.written.get(), counts.write_error.get()), (2, 1));
    assert_eq!(
        writer.waiting.lines.load(Relaxed) + writer.waiting.bytes.load(Relaxed),
        0
    );
}

#[test]
fn the_last_handle_leaves_nothing_unwritten() {
    let script = Script::default();
    let (ended, end) = channel();
    /// Tells when the thread lets go of its output.
    struct Last(Script, Sender<()>);
    impl Write for Last {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Drop for Last {
        fn drop(&mut self) {
            let _ = self.1.send(());
        }
    }
    let writer = Writer::start(
        "test",
        Output::Stream(Box::new(Last(script.clone(), ended))),
        counts(),
    )
    .unwrap();
    writer.push(b"line\n".to_vec());
    drop(writer);
    end.recv_timeout(LONG).unwrap();
    assert_eq!(*script.received.lock().unwrap(), b"line\n");
}

/// What is logged by `work`, as text.
fn told(work: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let shared = Shared::default();
    let writer = shared.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = shared.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn an_operator_learns_when_lines_are_lost_and_when_no_more() {
    let script = Script::default();
    // Popped from the end: two that fail, then all goes well.
    script.answers.lock().unwrap().extend([0, 0]);
    let mut thread = LogThread {
        output: Output::Stream(Box::new(script)),
        counts: counts(),
        waiting: Arc::default(),
        batch: Vec::new(),
        lines: 0,
        bytes: 0,
        torn: false,
        failing: false,
        lost: 0,
    };
    let text = told(|| {
        for _ in 0..4 {
            thread.waiting.lines.fetch_add(1, Relaxed);
            thread.waiting.bytes.fetch_add(5, Relaxed);
            thread.take(LogMessage::Line(b"line\n".to_vec()));
            thread.write();
        }
    });
    assert_eq!(text.matches("cannot write the log").count(), 1, "{text}");
    assert_eq!(text.matches("lines were lost").count(), 1, "{text}");
    assert!(text.contains("lost=2"), "{text}");
}
