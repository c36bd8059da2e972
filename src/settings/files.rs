//! The files that a configuration names.

use super::problem::{Diagnostics, FilePlace, FileSpan};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// `path`, taken from the directory of `file`.
pub(super) fn relative_to(file: Option<&Path>, path: &Path) -> PathBuf {
    match file.and_then(Path::parent) {
        Some(dir) => dir.join(path),
        None => path.into(),
    }
}

/// The content of a file that the configuration names, and its path.
pub(super) fn read(
    written: &Path,
    span: &FileSpan,
    key: &str,
    notes: &mut Diagnostics,
) -> Option<(PathBuf, Vec<u8>)> {
    let path = relative_to(notes.file(), written);
    notes.files.push(path.clone());
    match std::fs::read(&path) {
        Ok(bytes) => Some((path, bytes)),
        Err(error) => {
            let why = match written.starts_with("~") {
                true => "there is no such file: ~ means nothing here; write the whole path".to_owned(),
                false => cannot_read(&error),
            };
            notes.add(span, key, format!("{}: {why}", path.display()));
            None
        }
    }
}

/// Warns of a file with secrets that everybody on this machine may read or write, or whose group may write.
pub(super) fn warn_of_readers(path: &Path, key: &str, notes: &mut Diagnostics) {
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    let who = match mode {
        _ if mode & 0o002 != 0 => "may be written by everybody",
        _ if mode & 0o007 != 0 => "may be read by everybody",
        _ if mode & 0o020 != 0 => "may be written by its group",
        _ => return,
    };
    notes.warn(format!(
        "{key}: {} {who} (mode {:03o}): chmod 640 would keep them from it",
        path.display(),
        mode & 0o777
    ));
}

/// Warns of a file that decides whom to believe, and that others than its owner may write.
pub(super) fn warn_of_writers(path: &Path, key: &str, notes: &mut Diagnostics) {
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    let who = match mode {
        _ if mode & 0o002 != 0 => "everybody",
        _ if mode & 0o020 != 0 => "its group",
        _ => return,
    };
    notes.warn(format!(
        "{key}: {} may be written by {who} (mode {:03o}), who could let themselves in: chmod 644 would keep them from it",
        path.display(),
        mode & 0o777
    ));
}

/// The content of a file as text.
///
/// # Errors
/// Where it stops to be UTF-8, and what to do.
pub(super) fn as_text(bytes: Vec<u8>) -> Result<String, (FilePlace, &'static str)> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let place = FilePlace::of(&String::from_utf8_lossy(error.as_bytes()), valid);
        (place, "is not UTF-8 text; save it as UTF-8")
    })
}

/// Why a file cannot be read, and what to do.
pub(super) fn cannot_read(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such file; relative paths are taken from the naming file's directory".into()
        }
        io::ErrorKind::PermissionDenied => "may not be read; let the user that wsbump runs as read it".into(),
        io::ErrorKind::IsADirectory => "is a directory; name a file".into(),
        _ => format!("cannot be read: {error}"),
    }
}

/// The directory that `path` is in.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
