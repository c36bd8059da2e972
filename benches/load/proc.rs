//! What the kernel says about a process and its children: CPU time and memory. Only the proxy is asked, never the
//! client or the origin, so that those may cost what they like.

use crate::Fallible;
use std::collections::HashMap;
use std::fs;
use std::process::Command;

/// A process and all its descendants.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut parents: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The command's name may hold spaces and brackets: the fields begin after its last bracket.
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            parents.entry(parent).or_default().push(pid);
        }
    }
    let (mut found, mut next) = (vec![root], 0);
    while let Some(pid) = found.get(next).copied() {
        found.extend(parents.remove(&pid).unwrap_or_default());
        next += 1;
    }
    found
}

/// CPU time used by each thread of a process tree, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Cpu(HashMap<u32, u64>);

impl Cpu {
    /// Reads `/proc/PID/task/*/schedstat` of the process and its descendants.
    pub(crate) fn of(root: u32) -> Self {
        let mut threads = HashMap::new();
        for pid in tree(root) {
            for task in fs::read_dir(format!("/proc/{pid}/task"))
                .into_iter()
                .flatten()
                .flatten()
            {
                let Some(tid) = task.file_name().to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
                if let Some(spent) = text
                    .split_whitespace()
                    .next()
                    .and_then(|field| field.parse().ok())
                {
                    threads.insert(tid, spent);
                }
            }
        }
        Self(threads)
    }

    /// Nanoseconds spent since `before`. A thread that ended meanwhile is lost: only idle helper threads end.
    pub(crate) fn since(&self, before: &Self) -> u64 {
        self.0
            .iter()
            .map(|(tid, spent)| spent.saturating_sub(before.0.get(tid).copied().unwrap_or(0)))
            .sum()
    }
}

/// What a process tree holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    /// Proportional and resident set size in KiB.
    pub(crate) pss: u64,
    pub(crate) rss: u64,
    /// Open file descriptors.
    pub(crate) files: usize,
    pub(crate) threads: usize,
}

impl Held {
    /// Asks the kernel about a process and its descendants.
    pub(crate) fn by(root: u32) -> Fallible<Self> {
        let mut held = Self::default();
        let entries = |pid, what| fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, Iterator::count);
        for pid in tree(root) {
            // A child may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else {
                continue;
            };
            let kib = |name| {
                let line = text.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|line: &str| line.split_whitespace().next()?.parse::<u64>().ok())
            };
            held.pss += kib("Pss:").unwrap_or(0);
            held.rss += kib("Rss:").unwrap_or(0);
            held.files += entries(pid, "fd");
            held.threads += entries(pid, "task");
        }
        if held.pss == 0 {
            Err(format!("no smaps_rollup of process {root}").into())
        } else {
            Ok(held)
        }
    }
}

/// Raises this process's limit of open files to its hard limit (children inherit it) and returns the limit.
pub(crate) fn raise_open_files() -> u64 {
    let read = || {
        let text = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"))
            .unwrap_or_default()
            .to_owned();
        let field = |n| {
            line.split_whitespace()
                .nth(n)
                .and_then(|f: &str| f.parse().ok())
                .unwrap_or(1024_u64)
        };
        (field(0), field(1))
    };
    let (soft, hard) = read();
    if soft < hard {
        let pid = std::process::id().to_string();
        let limit = format!("--nofile={hard}:{hard}");
        // The standard library has no setrlimit, and this crate has no unsafe code to call it with.
        let _ = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    }
    read().0
}

/// The machine a run was made on: kernel, processor, processors, load.
pub(crate) fn machine() -> Vec<(&'static str, String)> {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = text("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split(':').nth(1));
    let date = Command::new("date")
        .arg("-u")
        .arg("+%Y-%m-%dT%H:%MZ")
        .output()
        .map(|out| out.stdout)
        .unwrap_or_default();
    vec![
        ("date", String::from_utf8_lossy(&date).trim().to_owned()),
        ("kernel", text("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("cpu", model.unwrap_or("unknown").trim().to_owned()),
        (
            "cpus",
            std::thread::available_parallelism()
                .map_or(0, usize::from)
                .to_string(),
        ),
        (
            "load before",
            text("/proc/loadavg")
                .split_whitespace()
                .take(3)
                .collect::<Vec<_>>()
                .join(" "),
        ),
        ("command", arguments().skip(1).collect::<Vec<_>>().join(" ")),
    ]
}

/// The arguments without those that cargo adds.
pub(crate) fn arguments() -> impl Iterator<Item = String> {
    std::env::args().skip(1).filter(|argument| argument != "--bench")
}
