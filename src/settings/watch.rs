//! Notices that files change.

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Notify;

/// Links that lead to links are followed no further than this.
const MAX_LINKS: usize = 16;

/// What tells one state of a file from the next; `None` for a file that is not there.
pub(super) type FileState = Option<(u64, u64, u64, i64, i64, i64, i64)>;

/// The state of `file`.
pub(super) fn stamp(file: &PathBuf) -> FileState {
    let m = std::fs::metadata(file).ok()?;
    Some((
        m.dev(),
        m.ino(),
        m.size(),
        m.mtime(),
        m.mtime_nsec(),
        m.ctime(),
        m.ctime_nsec(),
    ))
}

/// The state of each file.
pub(super) fn stamps(files: &[PathBuf]) -> Vec<FileState> {
    files.iter().map(stamp).collect()
}

/// Watches the directories of files, since editors and Kubernetes replace files instead of writing to them.
pub(super) struct FileWatch {
    /// `None` if the system offers no watching: SIGHUP remains.
    watcher: Option<RecommendedWatcher>,
    /// By path, with device and inode: a directory that was replaced has to be watched anew.
    dirs: BTreeMap<PathBuf, (u64, u64)>,
    /// Told when something has changed that may be one of the files.
    pub changed: Arc<Notify>,
}

impl FileWatch {
    /// Watches nothing yet.
    pub(super) fn new() -> Self {
        let changed = Arc::new(Notify::new());
        let tell = changed.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // The loading itself reads the files, which must not be taken for a change.
            let read_only = event.is_ok_and(|event| match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
                kind => kind.is_access(),
            });
            if !read_only {
                tell.notify_one();
            }
        });
        let watcher = watcher
            .inspect_err(|error| tracing::warn!("files are not watched, only SIGHUP reloads: {error}"))
            .ok();
        Self {
            watcher,
            dirs: BTreeMap::new(),
            changed,
        }
    }

    /// Watches these files from now on, and no others.
    pub(super) fn follow(&mut self, files: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: BTreeMap<_, _> = files.iter().flat_map(|file| dirs_of(file)).collect();
        self.dirs.retain(|dir, inode| {
            let stays = wanted.get(dir) == Some(inode);
            if !stays {
                // It may be gone, and its watch with it.
                let _ = watcher.unwatch(dir);
            }
            stays
        });
        for (dir, inode) in wanted {
            if self.dirs.contains_key(&dir) {
                continue;
            }
            match watcher.watch(&dir, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.dirs.insert(dir, inode);
                }
                Err(error) => tracing::warn!(
                    "changes in {} are not noticed, only SIGHUP reloads: {error}",
                    dir.display()
                ),
            }
        }
    }
}

/// The directories in which something happens when `file` or a link on the way to it is replaced. (Kubernetes
/// swaps `..data`, a link to the directory of the real file; it lies beside the file's own link.)
fn dirs_of(file: &Path) -> Vec<(PathBuf, (u64, u64))> {
    let mut found = Vec::new();
    let mut next = Some(file.to_owned());
    for _ in 0..MAX_LINKS {
        let Some(path) = next.take() else { break };
        let parent = match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => break,
        };
        // If the directory is missing, its making happens in the nearest one that is there.
        let dir = parent.ancestors().find_map(|dir| {
            let dir = if dir.as_os_str().is_empty() {
                Path::new(".")
            } else {
                dir
            };
            let dir = dir.canonicalize().ok()?;
            let meta = std::fs::metadata(&dir).ok()?;
            Some((dir, (meta.dev(), meta.ino())))
        });
        found.extend(dir);
        next = path.read_link().ok().map(|to| parent.join(to));
    }
    // A directory on the way may be a link too.
    if let Ok(real) = file.canonicalize()
        && let Some(dir) = real.parent()
        && let Ok(meta) = std::fs::metadata(dir)
    {
        found.push((dir.into(), (meta.dev(), meta.ino())));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn directories_are_those_of_every_link_and_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().canonicalize().unwrap().join(name);
        for name in ["a", "b", "c"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("c/file"), "").unwrap();
        symlink("../c/file", at("b/link")).unwrap();
        symlink(at("b/link"), at("a/link")).unwrap();
        let dirs = |path: PathBuf| {
            let mut dirs: Vec<_> = dirs_of(&path).into_iter().map(|(dir, _)| dir).collect();
            dirs.dedup();
            dirs
        };
        assert_eq!(dirs(at("a/link")), [at("a"), at("b"), at("c")]);
        assert_eq!(dirs(at("c/none/at/all")), [at("c")]);
        symlink("loop", at("a/loop")).unwrap();
        assert_eq!(dirs(at("a/loop")), [at("a")]);
    }
}
