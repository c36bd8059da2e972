//! Child processes of a run: started with what they print kept for messages, ended by their own ids.

use crate::{Fallible, proc};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A peer must listen within this time.
const START: Duration = Duration::from_secs(20);
/// A peer that was asked to end is killed after this time.
const END: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(10);

/// A running process; dropping it ends it and its children.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Held open: this tool's own children end when it closes, even if this process is killed.
    _stdin: Option<ChildStdin>,
}

impl Process {
    /// Starts a command and waits until it prints a line that contains `mark`; returns the address after it.
    pub(crate) fn start_announced(
        name: &str,
        command: &mut Command,
        mark: &'static str,
    ) -> Fallible<(Self, SocketAddr)> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (tell, told) = mpsc::channel();
        for stream in [
            child
                .stdout
                .take()
                .map(|io| Box::new(io) as Box<dyn std::io::Read + Send>),
            child.stderr.take().map(|io| Box::new(io) as _),
        ] {
            let (tell, Some(stream)) = (tell.clone(), stream) else {
                continue;
            };
            // Reads to the end, so that a chatty child never blocks on a full pipe.
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = tell.send(line);
                }
            });
        }
        drop(tell);
        let process = Self {
            _stdin: child.stdin.take(),
            child,
        };
        let (end, mut last) = (Instant::now() + START, String::new());
        while let Ok(line) = told.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if let Some((_, rest)) = line.split_once(mark) {
                return Ok((process, rest.trim().parse()?));
            }
            last = line;
        }
        Err(format!("{name} did not start: {last}").into())
    }

    /// Starts a command and waits until something accepts connections on `addr`.
    pub(crate) fn start_listening(
        name: &str,
        command: &mut Command,
        addr: SocketAddr,
        log: &Path,
    ) -> Fallible<Self> {
        Self::start_within(name, command, addr, log, START)
    }

    /// The same, with as much patience as `within`.
    pub(crate) fn start_within(
        name: &str,
        command: &mut Command,
        addr: SocketAddr,
        log: &Path,
        within: Duration,
    ) -> Fallible<Self> {
        let out = std::fs::File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()?;
        let mut process = Self { child, _stdin: None };
        let end = Instant::now() + within;
        while TcpStream::connect(addr).is_err() {
            if process.child.try_wait()?.is_some() || Instant::now() > end {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let tail: Vec<&str> = said.lines().rev().take(3).collect();
                return Err(format!("{name} did not start: {}", tail.join(" / ")).into());
            }
            thread::sleep(POLL);
        }
        Ok(process)
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let family = proc::tree(self.child.id());
        let signal = |signal: &str, pids: &[u32]| {
            let ids = pids.iter().map(u32::to_string);
            // The standard library can only kill; a parent that is killed leaves its workers behind.
            let _ = Command::new("kill")
                .arg(signal)
                .args(ids)
                .stderr(Stdio::null())
                .status();
        };
        // Squid waits for its clients on TERM; INT means "at once" to all of these programs.
        signal("-INT", &[self.child.id()]);
        let end = Instant::now() + END;
        while Instant::now() < end {
            if let Ok(Some(_)) = self.child.try_wait() {
                break;
            }
            thread::sleep(POLL);
        }
        // Squid with helpers takes longer than anybody wants to wait.
        let left = family
            .into_iter()
            .filter(|pid| Path::new(&format!("/proc/{pid}")).exists());
        let left: Vec<u32> = left.collect();
        if !left.is_empty() {
            signal("-KILL", &left);
        }
        let _ = self.child.wait();
    }
}

/// A loopback port that nobody uses now.
pub(crate) fn free_port() -> Fallible<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// What a program says about its version, or `None` when it is not there.
pub(crate) fn version(program: &Path, flag: &str) -> Option<String> {
    let output = Command::new(program)
        .arg(flag)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    // The first word that looks like a number, wherever the program puts it.
    let word = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    text.split([' ', '\n', '/'])
        .find(word)
        .map(|word| word.trim_end_matches(',').to_owned())
}
