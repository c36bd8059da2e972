//! A file that is read again when it has changed.

use arc_swap::ArcSwap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// What a file said when it was last read.
#[derive(Debug)]
pub(super) struct WatchedFile<T> {
    path: Option<PathBuf>,
    read: fn(&str) -> T,
    current: ArcSwap<T>,
    stamp: Mutex<Option<Stamp>>,
}

/// What changes when a file does: its inode where it is replaced, its time and length where it is written to.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            length: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }
}

impl<T> WatchedFile<T> {
    /// Reads the file by `read`; one that is not there, or is not to be read at all, is empty.
    pub(super) fn new(path: Option<PathBuf>, read: fn(&str) -> T) -> Self {
        let file = Self {
            path,
            read,
            current: ArcSwap::from_pointee(read("")),
            stamp: Mutex::new(None),
        };
        file.refresh();
        file
    }

    /// What it says.
    pub(super) fn get(&self) -> arc_swap::Guard<Arc<T>> {
        self.current.load()
    }

    /// Reads it again if it has changed; tells whether it has. A file that cannot be read, since it is just being
    /// replaced, say, goes on to say what it said.
    pub(super) fn refresh(&self) -> bool {
        let Some(path) = &self.path else {
            return false;
        };
        let mut seen = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = std::fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata));
        if stamp.is_none() || stamp == *seen {
            return false;
        }
        let Ok(bytes) = std::fs::read(path) else {
            return false;
        };
        *seen = stamp;
        self.current
            .store(Arc::new((self.read)(&String::from_utf8_lossy(&bytes))));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_however_it_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        let file = WatchedFile::new(Some(path.clone()), str::to_owned);
        assert_eq!(**file.get(), "");
        assert!(!file.refresh());
        std::fs::write(&path, "one").unwrap();
        assert!(file.refresh());
        assert_eq!(**file.get(), "one");
        assert!(!file.refresh());
        // Replaced by one of the same length.
        let new = folder.path().join("new");
        std::fs::write(&new, "two").unwrap();
        std::fs::rename(&new, &path).unwrap();
        assert!(file.refresh());
        assert_eq!(**file.get(), "two");
        std::fs::remove_file(&path).unwrap();
        assert!(!file.refresh());
        assert_eq!(**file.get(), "two");
    }

    #[test]
    fn no_file_says_nothing() {
        let file = WatchedFile::new(None, str::to_owned);
        assert!(!file.refresh());
        assert_eq!(**file.get(), "");
    }
}
