//! The secrets of TLS sessions, for tools that decrypt captures: one line each in NSS's key log format, of both
//! sides. Off unless the operator has asked for it.
//!
//! One for the process, as the file is: settings of TLS that were made before a reload follow it.

use arc_swap::ArcSwapOption;
use rustls::KeyLog;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

static CURRENT: ArcSwapOption<Keys> = ArcSwapOption::const_empty();

/// An open key log.
#[derive(Debug)]
struct Keys {
    path: PathBuf,
    file: Mutex<File>,
}

/// Lines that could not be written.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Writes the keys of all sessions that begin from now on to this file, or to none.
///
/// # Errors
/// The file cannot be opened; then everything stays as it was.
pub fn log_keys_to(path: Option<&Path>) -> io::Result<()> {
    let next = match path {
        None => None,
        Some(path) => {
            if CURRENT.load().as_ref().is_some_and(|keys| keys.path == path) && path.exists() {
                return Ok(());
            }
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)?;
            // It may have been there before, open to others. What is no file, a pipe, keeps its mode.
            if file.metadata()?.is_file() {
                file.set_permissions(PermissionsExt::from_mode(0o600))?;
            }
            Some(Arc::new(Keys {
                path: path.to_owned(),
                file: Mutex::new(file),
            }))
        }
    };
    CURRENT.store(next);
    Ok(())
}

/// Whether keys are written now.
pub fn logs_keys() -> bool {
    CURRENT.load().is_some()
}

/// How many lines could not be written.
pub fn lost_keys() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// What rustls is told to hand secrets to.
#[derive(Debug)]
pub(super) struct ToCurrent;

impl KeyLog for ToCurrent {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        if let Some(keys) = &*CURRENT.load() {
            keys.add(label, client_random, secret);
        }
    }

    fn will_log(&self, _label: &str) -> bool {
        logs_keys()
    }
}

impl Keys {
    fn add(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line = String::with_capacity(label.len() + 2 * (client_random.len() + secret.len()) + 3);
        line.push_str(label);
        for bytes in [client_random, secret] {
            line.push(' ');
            for byte in bytes {
                // Writing to a string cannot fail.
                let _ = write!(line, "{byte:02x}");
            }
        }
        line.push('\n');
        // One short append to the page cache: lines of two threads do not mix.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.write_all(line.as_bytes()).is_err() {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_in_the_format_of_nss_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, "# before\n").unwrap();
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        let keys = Keys {
            path: path.clone(),
            file: Mutex::new(file),
        };
        keys.add("CLIENT_RANDOM", &[0, 0xab], &[1, 2]);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "# before\nCLIENT_RANDOM 00ab 0102\n"
        );
        assert!(log_keys_to(Some(Path::new("/nonexistent/keys"))).is_err());
        assert!(!logs_keys());
    }
}
