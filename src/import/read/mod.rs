//! A squid.conf as Squid reads it: files in place of their `include`, lines that go on, conditions, macros, quoted words.

mod words;

use super::note::Place;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub(super) use words::Word;
use words::words;

/// Squid refuses deeper includes.
const MAX_DEPTH: usize = 16;
/// The most that all files together may have.
const MAX_BYTES: u64 = 64 << 20;
/// The most files.
const MAX_FILES: usize = 10_000;

/// Why a configuration cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// Where.
    pub place: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for ReadError {}

/// One directive with its arguments.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Where it begins.
    pub(super) place: Place,
    /// As it was written, its continuations joined.
    pub(super) text: String,
    /// The first word.
    pub(super) directive: String,
    /// The others.
    pub(super) words: Vec<Word>,
}

impl Line {
    /// The text of a word.
    pub(super) fn word(&self, at: usize) -> Option<&str> {
        self.words.get(at).map(|word| &*word.text)
    }

    /// All that is behind the directive and `skip` words, as it was written.
    pub(super) fn rest(&self, skip: usize) -> &str {
        let mut rest = self.text.trim_start();
        for _ in 0..=skip {
            rest = rest.trim_start_matches(|c: char| !c.is_ascii_whitespace());
            rest = rest.trim_start();
        }
        rest
    }
}

/// The lines of a configuration, and the folder that it is in.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) lines: Vec<Line>,
    /// Files that were named by a path that is not there, and were found beside the configuration.
    pub(super) moved: Vec<(Place, String)>,
}

/// Reads files, each once for each time that it is named, and remembers how many.
#[derive(Debug)]
pub(super) struct Reader {
    folder: PathBuf,
    left: u64,
    files: usize,
}

impl Reader {
    /// Of a configuration in that file.
    pub(super) fn beside(file: &Path) -> Self {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        Self {
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
            left: MAX_BYTES,
            files: 0,
        }
    }

    /// The file that a path of the configuration means: where it says, or else beside the configuration, to which a folder
    /// was brought from another machine.
    pub(super) fn find(&self, written: &str) -> Option<PathBuf> {
        let path = Path::new(written);
        let absolute = path.is_absolute().then(|| path.to_owned());
        let mut parts: Vec<_> = path.components().skip(usize::from(path.is_absolute())).collect();
        let mut beside = Vec::new();
        while !parts.is_empty() {
            beside.push(self.folder.join(parts.iter().collect::<PathBuf>()));
            if !path.is_absolute() {
                break;
            }
            parts.remove(0);
        }
        let found = absolute.into_iter().chain(beside).find(|path| path.is_file())?;
        std::path::absolute(&found).ok().or(Some(found))
    }

    /// The text of a file.
    pub(super) fn text(&mut self, path: &Path) -> Result<String, String> {
        self.files += 1;
        if self.files > MAX_FILES {
            return Err(format!(
                "more than {MAX_FILES} files are included; does one include itself?"
            ));
        }
        let about = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
        if !about.is_file() {
            return Err("is no file".to_owned());
        }
        self.left = self.left.checked_sub(about.len()).ok_or_else(|| {
            format!(
                "is too large: all files together may have {} MiB",
                MAX_BYTES >> 20
            )
        })?;
        let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        // An editor's mark of UTF-8 belongs to no line.
        let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) => rest.to_vec(),
            None => bytes,
        };
        match String::from_utf8(bytes) {
            Ok(text) => Ok(text),
            // Squid takes bytes; comments in Latin-1 are common, and names are ASCII.
            Err(error) => Ok(error.into_bytes().into_iter().map(char::from).collect()),
        }
    }

    /// The files that a pattern of an `include` matches, in the order of their names.
    fn matching(&self, pattern: &str) -> Vec<PathBuf> {
        if !pattern.contains(['*', '?', '[']) {
            return self.find(pattern).into_iter().collect();
        }
        let path = Path::new(pattern);
        let (parent, name) = (path.parent().unwrap_or(Path::new("")), path.file_name());
        let Some(name) = name.and_then(|name| name.to_str()) else {
            return Vec::new();
        };
        let mut folders = vec![self.folder.join(parent)];
        if path.is_absolute() {
            let mut parts: Vec<_> = parent.components().skip(1).collect();
            loop {
                folders.push(self.folder.join(parts.iter().collect::<PathBuf>()));
                if parts.is_empty() {
                    break;
                }
                parts.remove(0);
            }
        }
        for folder in folders {
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            let mut found: Vec<_> = entries
                .map(|entry| entry.path())
                .filter(|path| {
                    let name_of = path.file_name().and_then(|name| name.to_str());
                    path.is_file() && name_of.is_some_and(|of| words::globs(name, of))
                })
                .collect();
            if !found.is_empty() {
                found.sort();
                return found;
            }
        }
        Vec::new()
    }
}

/// Reads a configuration.
///
/// # Errors
/// What Squid would not start with, by file and line.
pub(super) fn read(path: &Path, reader: &mut Reader) -> Result<Read, ReadError> {
    let mut reading = Reading {
        reader,
        read: Read {
            lines: Vec::new(),
            moved: Vec::new(),
        },
        order: 0,
        is_smp: false,
        quotes_words: false,
    };
    let file: Arc<str> = path.display().to_string().into();
    let text = reading.reader.text(path).map_err(|message| ReadError {
        place: file.to_string(),
        message,
    })?;
    // A process of its own has number 0; where there are workers, the first of them is meant.
    reading.is_smp = text.lines().any(|line| {
        let mut words = line.split_ascii_whitespace();
        words.next() == Some("workers") && words.next().is_some_and(|count| count != "1" && count != "0")
    });
    reading.file(&file, &text, 0)?;
    Ok(reading.read)
}

struct Reading<'r> {
    reader: &'r mut Reader,
    read: Read,
    order: usize,
    is_smp: bool,
    /// Words in quotes are words, and no names of files.
    quotes_words: bool,
}

impl Reading<'_> {
    fn file(&mut self, file: &Arc<str>, text: &str, depth: usize) -> Result<(), ReadError> {
        let order = self.order;
        self.order += 1;
        let wrong = |line: usize, message: &str| ReadError {
            place: format!("{file}:{line}"),
            message: message.to_owned(),
        };
        // For each `if` that is open: whether what is inside holds, and where it began.
        let mut conditions: Vec<(bool, usize)> = Vec::new();
        for (began, joined) in joined(text) {
            let joined = self.with_macros(&joined);
            if let Some(condition) = joined.strip_prefix("if ") {
                let holds = words::condition(condition.trim()).ok_or_else(|| {
                    wrong(
                        began,
                        "is no condition; Squid knows true, false, and A = B of two numbers",
                    )
                })?;
                conditions.push((holds, began));
            } else if joined == "else" {
                match conditions.last_mut() {
                    Some((holds, _)) => *holds = !*holds,
                    None => return Err(wrong(began, "\"else\" without \"if\"")),
                }
            } else if joined == "endif" {
                if conditions.pop().is_none() {
                    return Err(wrong(began, "\"endif\" without \"if\""));
                }
            } else if conditions.iter().all(|(holds, _)| *holds) {
                self.line(&Place::new(order, file, began), &joined, depth)?;
            }
        }
        match conditions.last() {
            Some((_, began)) => Err(wrong(*began, "this \"if\" has no \"endif\"")),
            None => Ok(()),
        }
    }

    fn line(&mut self, place: &Place, joined: &str, depth: usize) -> Result<(), ReadError> {
        let wrong = |message: String| ReadError {
            place: place.to_string(),
            message,
        };
        let mut all = words(joined, self.quotes_words).into_iter();
        let Some(first) = all.next() else { return Ok(()) };
        if first.text == "configuration_includes_quoted_values" {
            self.quotes_words = all.clone().next().is_some_and(|word| word.text == "on");
        }
        if first.text != "include" {
            self.read.lines.push(Line {
                place: place.clone(),
                text: joined.to_owned(),
                directive: first.text,
                words: all.collect(),
            });
            return Ok(());
        }
        if depth >= MAX_DEPTH {
            return Err(wrong(format!("includes are nested more than {MAX_DEPTH} deep")));
        }
        for pattern in all {
            let found = self.reader.matching(&pattern.text);
            if found.is_empty() {
                let message = format!(
                    "nothing is at {:?}, which is to be included: Squid would not start; bring the file along, beside the configuration",
                    pattern.text
                );
                return Err(wrong(message));
            }
            for path in found {
                let name: Arc<str> = path.display().to_string().into();
                if !Path::new(&pattern.text).exists() && !pattern.text.contains('*') {
                    self.read
                        .moved
                        .push((place.clone(), format!("{} is read for {}", name, pattern.text)));
                }
                let text = self
                    .reader
                    .text(&path)
                    .map_err(|message| wrong(format!("{name}: {message}")))?;
                self.file(&name, &text, depth + 1)?;
            }
        }
        Ok(())
    }

    fn with_macros(&self, line: &str) -> String {
        if !line.contains("${") {
            return line.to_owned();
        }
        let number = if self.is_smp { "1" } else { "0" };
        line.replace("${process_number}", number)
            .replace("${process_name}", "squid-1")
            .replace("${service_name}", "squid")
    }
}

/// The lines of a text with the number of each, those that end with a backslash joined with the next. Comments and empty
/// lines are left out, also where they stand inside of a line that goes on.
fn joined(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (line, written) in (1..).zip(text.split('\n')) {
        let written = written.split(['\r', '\0']).next().unwrap_or_default();
        let written = written.trim_start_matches(words::is_space);
        if written.is_empty() || written.starts_with('#') {
            continue;
        }
        let (began, mut whole) = open.take().unwrap_or((line, String::new()));
        whole.push_str(written);
        if whole.ends_with('\\') {
            whole.pop();
            open = Some((began, whole));
        } else {
            found.push((began, whole));
        }
    }
    let whole = found.into_iter().chain(open);
    whole
        .map(|(began, line)| (began, line.trim_end_matches(words::is_space).to_owned()))
        .filter(|(_, line)| !line.is_empty())
        .collect()
}

#[cfg(test)]
mod tests;
