//! A process that a test started: what it says is kept, and it does not outlive the tests.

use super::DEADLINE;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Instant;

/// The lines of one stream so far.
#[derive(Default)]
pub(crate) struct Lines {
    state: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Lines {
    fn follow(stream: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let fill = Arc::clone(&lines);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                fill.state.lock().unwrap().0.push(text);
                fill.changed.notify_all();
                line.clear();
            }
            fill.state.lock().unwrap().1 = true;
            fill.changed.notify_all();
        });
        lines
    }

    /// The first line in which `find` finds something; `None` if the stream ends or the deadline comes first.
    pub(crate) fn find<T>(&self, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let start = Instant::now();
        let mut seen = 0;
        let mut state = self.state.lock().unwrap();
        loop {
            while let Some(line) = state.0.get(seen) {
                if let Some(found) = find(line) {
                    return Some(found);
                }
                seen += 1;
            }
            let left = DEADLINE.checked_sub(start.elapsed())?;
            if state.1 {
                return None;
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Everything so far.
    pub(crate) fn all(&self) -> Vec<String> {
        self.state.lock().unwrap().0.clone()
    }

    /// Waits for the end of the stream.
    fn ended(&self) -> Vec<String> {
        self.find(|_| None::<()>);
        self.all()
    }
}

/// A running process.
pub(crate) struct Process {
    name: String,
    child: Child,
    /// Held, so that the process can tell by its end that the tests are gone.
    stdin: Option<ChildStdin>,
    pub(crate) out: Arc<Lines>,
    pub(crate) err: Arc<Lines>,
    /// Another one that it needs, and that ends with it.
    pub(crate) beside: Option<Box<Process>>,
}

/// How a process ended.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) out: Vec<String>,
    pub(crate) err: Vec<String>,
}

impl Process {
    /// Starts `command`, in its own process group, to be killed by the kernel should the tests die.
    pub(crate) fn start(name: &str, command: Command) -> Self {
        Self::start_by(name, &["setpriv", "--pdeathsig", "KILL", "--"], &command)
    }

    /// The same for a program that changes its user, with which it would escape that: a shell waits for the end
    /// of its standard input, which the tests hold.
    pub(crate) fn start_watched(name: &str, command: Command) -> Self {
        let watch = r#""$@" <&- & child=$!; cat >/dev/null; kill -KILL $child"#;
        Self::start_by(name, &["sh", "-c", watch, "sh"], &command)
    }

    fn start_by(name: &str, guard: &[&str], command: &Command) -> Self {
        let mut guarded = Command::new(guard[0]);
        guarded
            .args(&guard[1..])
            .arg(command.get_program())
            .args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(key, value),
                None => guarded.env_remove(key),
            };
        }
        // A proxy that the developer uses is none of these tests' business.
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            if !command
                .get_envs()
                .any(|(key, _)| key.eq_ignore_ascii_case(OsStr::new(name)))
            {
                guarded.env_remove(name).env_remove(name.to_ascii_uppercase());
            }
        }
        if let Some(directory) = command.get_current_dir() {
            guarded.current_dir(directory);
        }
        guarded
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = spawn(guarded).unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let out = Lines::follow(child.stdout.take().unwrap());
        let err = Lines::follow(child.stderr.take().unwrap());
        let stdin = child.stdin.take();
        Self {
            name: name.to_owned(),
            child,
            stdin,
            out,
            err,
            beside: None,
        }
    }

    /// The process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to the process.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for a line of standard output in which `find` finds something.
    pub(crate) fn out<T>(&self, what: &str, find: impl FnMut(&str) -> Option<T>) -> T {
        self.out
            .find(find)
            .unwrap_or_else(|| panic!("{what}: not said by {}", self.describe()))
    }

    /// The same for standard error.
    pub(crate) fn err<T>(&self, what: &str, find: impl FnMut(&str) -> Option<T>) -> T {
        self.err
            .find(find)
            .unwrap_or_else(|| panic!("{what}: not said by {}", self.describe()))
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.pid().to_string())
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "cannot send {name} to {}",
            self.name
        );
    }

    /// Waits for the end of the process; kills it at the deadline and fails.
    pub(crate) fn finish(mut self) -> Finished {
        let status = self
            .wait()
            .unwrap_or_else(|| panic!("does not end: {}", self.describe()));
        Finished {
            status,
            out: self.out.ended(),
            err: self.err.ended(),
        }
    }

    /// The status, once the process has ended; `None` at the deadline.
    pub(crate) fn wait(&mut self) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            if start.elapsed() > DEADLINE {
                return None;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// The name and everything that the process said.
    pub(crate) fn describe(&self) -> String {
        let mut text = format!("{}\n", self.name);
        for (name, lines) in [("stdout", &self.out), ("stderr", &self.err)] {
            for line in lines.all() {
                let _ = writeln!(text, "  {name}: {line}");
            }
        }
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // The whole group: a browser has many processes.
            let group = format!("-{}", self.child.id());
            let _ = Command::new("kill")
                .args(["-KILL", "--", &group])
                .stderr(Stdio::null())
                .status();
            let _ = self.child.wait();
        }
    }
}

/// Starts a process from a thread that lives as long as the tests: the kernel kills a `--pdeathsig` process
/// when the *thread* that started it ends, and a test's thread may end before an origin that it shares.
fn spawn(command: Command) -> std::io::Result<Child> {
    type Order = (Command, Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, result) = channel();
    spawner.lock().unwrap().send((command, answer)).unwrap();
    result.recv().unwrap()
}
