//! Starts the real proxy, real origins and real clients, and waits for what they say.

pub(crate) mod certs;
pub(crate) mod clients;
pub(crate) mod corpus;
pub(crate) mod dns;
pub(crate) mod domain;
pub(crate) mod icap;
pub(crate) mod issuer;
pub(crate) mod live;
pub(crate) mod logins;
pub(crate) mod meddler;
pub(crate) mod metrics;
pub(crate) mod netns;
pub(crate) mod origins;
pub(crate) mod parents;
pub(crate) mod plain;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod raw;
pub(crate) mod readers;
pub(crate) mod recorder;
pub(crate) mod revocation;
pub(crate) mod road;
pub(crate) mod rules;
pub(crate) mod scanners;
pub(crate) mod small_window;
pub(crate) mod squid;
pub(crate) mod wiretap;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take before its test fails. Generous: a machine with two cores runs many tests at once.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What `tests/setup.sh` installed.
pub(crate) fn tool(path: &str) -> PathBuf {
    let found = root().join(".tools").join(path);
    assert!(
        found.exists(),
        "{} is missing: run tests/setup.sh",
        found.display()
    );
    found
}

/// A folder of a test's own, outside the clone: servers that give up their rights cannot look into a private folder
/// such as root's home, and what they are told in configuration files has neither spaces nor a length that a socket's
/// path cannot have. Those that servers shared by all tests were given outlive them; a later run clears them away.
pub(crate) fn scratch() -> tempfile::TempDir {
    const PREFIX: &str = "wsbump-it-";
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        let base = open_to_all([std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()]);
        let old = |entry: &std::fs::DirEntry| {
            let made = entry.metadata().and_then(|metadata| metadata.modified());
            made.is_ok_and(|made| {
                made.elapsed()
                    .is_ok_and(|age| age > Duration::from_secs(2 * 3600))
            })
        };
        for entry in std::fs::read_dir(&base).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(PREFIX) && old(&entry) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        base
    });
    tempfile::Builder::new().prefix(PREFIX).tempdir_in(base).unwrap()
}

/// The first of these folders that every user may pass through: that of the environment may be one user's own.
fn open_to_all(folders: [PathBuf; 3]) -> PathBuf {
    let passable = |folder: &Path| {
        std::fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    };
    let found = folders
        .iter()
        .filter_map(|folder| folder.canonicalize().ok())
        .find(|folder| folder.ancestors().all(passable));
    found.unwrap_or_else(|| panic!("none of {folders:?} is open to all users"))
}

/// A port for a server that cannot be told to take a free one. Below the range from which the kernel gives out
/// ports, and never twice in this run, so nothing else takes it in between.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 18_000;
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    // Runs that follow each other closely start at different ports.
    let next =
        NEXT.get_or_init(|| AtomicU16::new((std::process::id().wrapping_mul(97) % u32::from(COUNT)) as u16));
    loop {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Asks again and again until there is an answer; fails with `what` at the deadline.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
