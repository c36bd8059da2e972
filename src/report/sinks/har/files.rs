//! Recordings as files: written beside, and renamed once they are whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const PREFIX: &str = "wsbump-";
const SUFFIX: &str = ".har";
const PART: &str = ".part";

/// A file that is being written. Nobody sees it under its own name before it is whole.
#[derive(Debug)]
pub(super) struct PartFile {
    path: PathBuf,
    whole: PathBuf,
    /// Its length after the last whole entry.
    length: u64,
    pub(super) entries: u64,
}

impl PartFile {
    /// Begins `DIRECTORY/wsbump-STAMP-NAME.har`, readable by this user alone.
    pub(super) fn begin(directory: &Path, stamp: &str, name: &str) -> io::Result<Self> {
        let mut again = String::new();
        for number in 2..100 {
            let file = format!("{PREFIX}{stamp}-{name}{again}{SUFFIX}");
            let (path, whole) = (directory.join(format!(".{file}{PART}")), directory.join(&file));
            // Sorts behind the name without it.
            again = format!("_{number}");
            if whole.exists() {
                continue;
            }
            let made = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            match made {
                Ok(_) => {
                    return Ok(Self {
                        path,
                        whole,
                        length: 0,
                        entries: 0,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Adds an entry, or leaves the file as it was.
    pub(super) fn add(&mut self, entry: &[u8]) -> io::Result<()> {
        let before = if self.entries == 0 {
            opening()
        } else {
            ",\n".into()
        };
        self.write(&[before.as_bytes(), entry].concat())?;
        self.entries += 1;
        Ok(())
    }

    /// Makes it whole and gives it its name.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let done = self
            .write(b"\n]}}\n")
            .and_then(|()| fs::rename(&self.path, &self.whole));
        if done.is_err() {
            let _ = fs::remove_file(&self.path);
        }
        done
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Opened for each entry: there may be one for each connection.
        let mut file = File::options().append(true).open(&self.path)?;
        let written = file.write_all(bytes);
        if written.is_err() {
            file.set_len(self.length)?;
        } else {
            self.length += bytes.len() as u64;
        }
        written
    }
}

fn opening() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        r#"{{"log":{{"version":"1.2","creator":{{"name":"wsbump","version":"{version}"}},"pages":[],"entries":[
"#
    )
}

/// Removes what a process that was killed left unfinished.
pub(super) fn clear(directory: &Path) -> io::Result<()> {
    for name in names(directory, PART)? {
        if name.starts_with(&format!(".{PREFIX}")) {
            fs::remove_file(directory.join(name))?;
        }
    }
    Ok(())
}

/// Removes the oldest files beyond `keep`.
pub(super) fn prune(directory: &Path, keep: usize) -> io::Result<()> {
    let mut names = names(directory, SUFFIX)?;
    names.retain(|name| name.starts_with(PREFIX));
    // Names begin with the time.
    names.sort_unstable();
    for name in names.iter().take(names.len().saturating_sub(keep)) {
        fs::remove_file(directory.join(name))?;
    }
    Ok(())
}

fn names(directory: &Path, suffix: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        if let Ok(name) = entry?.file_name().into_string()
            && name.ends_with(suffix)
        {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_has_its_name_only_once_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut part = PartFile::begin(folder.path(), "1", "c1").unwrap();
        part.add(b"{}").unwrap();
        part.add(b"{}").unwrap();
        let hidden = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
        assert_eq!(hidden.file_name(), ".wsbump-1-c1.har.part");
        assert_eq!(hidden.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        part.finish().unwrap();
        let text = fs::read_to_string(folder.path().join("wsbump-1-c1.har")).unwrap();
        let har: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(har["log"]["entries"].as_array().unwrap().len(), 2);
        // The next one of that name does not take its place.
        let mut next = PartFile::begin(folder.path(), "1", "c1").unwrap();
        next.add(b"{}").unwrap();
        next.finish().unwrap();
        assert!(folder.path().join("wsbump-1-c1_2.har").exists());
    }

    #[test]
    fn the_newest_stay_and_what_is_not_ours_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "wsbump-1.har",
            "wsbump-3.har",
            "wsbump-2.har",
            "mine.har",
            ".wsbump-9.har.part",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        prune(folder.path(), 2).unwrap();
        clear(folder.path()).unwrap();
        let mut left = names(folder.path(), "").unwrap();
        left.sort();
        assert_eq!(left, ["mine.har", "wsbump-2.har", "wsbump-3.har"]);
        assert!(PartFile::begin(Path::new("/nonexistent"), "1", "c").is_err());
    }
}
