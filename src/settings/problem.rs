//! What is wrong with a configuration, said so that it can be put right: which file, line, key, and how.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A place in a file, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePlace {
    /// Lines are counted as editors count them.
    pub line: usize,
    /// Characters, not bytes.
    pub column: usize,
}

impl FilePlace {
    /// Where the byte at `offset` stands in `text`; past its end is its end.
    pub fn of(text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// One thing that is wrong. Prints as `FILE:LINE:COLUMN: KEY: what is wrong; what would be right`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file; `None` for a command-line option or the environment.
    pub file: Option<PathBuf>,
    /// Where in the file; `None` where the whole file is meant.
    pub place: Option<FilePlace>,
    /// The key with its section (`listen.proxy`), or the option (`--listen`).
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(place) = self.place {
                write!(f, "{}:{}:", place.line, place.column)?;
            }
            f.write_str(" ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong, in the order of the file; and the files whose change may put it right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    /// At least one.
    pub list: Vec<Problem>,
    /// The files that were read or looked for.
    pub files: Vec<PathBuf>,
}

impl Problems {
    /// A problem of a command-line option or of the environment.
    pub fn of_option(option: &str, message: impl Into<String>) -> Self {
        let problem = Problem {
            file: None,
            place: None,
            key: option.into(),
            message: message.into(),
        };
        Self {
            list: vec![problem],
            files: Vec::new(),
        }
    }

    /// A problem of a file as a whole, or of one place in it.
    pub fn of_file(file: &Path, place: Option<FilePlace>, message: impl Into<String>) -> Self {
        let problem = Problem {
            file: Some(file.into()),
            place,
            key: String::new(),
            message: message.into(),
        };
        Self {
            list: vec![problem],
            files: vec![file.into()],
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Where a value stands in its file; `None` for a default.
pub(super) type FileSpan = Option<Range<usize>>;

/// Collects what is to say about a file while it is read.
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    file: Option<PathBuf>,
    text: String,
    /// What is wrong, as far as it was found.
    pub problems: Vec<Problem>,
    /// What is allowed, but may be a mistake: one sentence each.
    pub warnings: Vec<String>,
    /// What was read or looked for.
    pub files: Vec<PathBuf>,
    /// Every key that was asked for, with its section.
    pub keys: Vec<String>,
    /// Every listener that the policy asks for, with the key that does.
    pub asked_listeners: Vec<(FileSpan, String, String)>,
    /// Every key that a configuration may have, for advice on where an unknown one belongs.
    known: Option<fn() -> Vec<String>>,
}

impl Diagnostics {
    /// None yet on `text`, the content of `file`; `known` has the keys that a configuration may have.
    pub(super) fn on(file: &Path, text: &str, known: fn() -> Vec<String>) -> Self {
        Self {
            file: Some(file.into()),
            text: text.into(),
            known: Some(known),
            ..Self::default()
        }
    }

    /// None yet on `text`, the content of `file`, which this file names.
    pub(super) fn on_named(&self, file: &Path, text: &str) -> Self {
        Self {
            file: Some(file.into()),
            text: text.into(),
            known: self.known,
            ..Self::default()
        }
    }

    /// Every key that a configuration may have.
    pub(super) fn known_keys(&self) -> Vec<String> {
        self.known.map_or_else(Vec::new, |known| known())
    }

    /// The configuration file.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Takes over what another file's notes say.
    pub(super) fn absorb(&mut self, other: Self) {
        self.problems.extend(other.problems);
        self.warnings.extend(other.warnings);
        self.files.extend(other.files);
    }

    /// `FILE:LINE` of `span`.
    pub(super) fn whereabouts(&self, span: &FileSpan) -> String {
        let file = self.file.as_deref().unwrap_or(Path::new("-"));
        format!("{}:{}", file.display(), self.line(span))
    }

    /// The line of `span`.
    pub(super) fn line(&self, span: &FileSpan) -> usize {
        span.as_ref()
            .map_or(0, |span| FilePlace::of(&self.text, span.start).line)
    }

    /// `key`, which stands at `span`, is wrong.
    pub(super) fn add(&mut self, span: &FileSpan, key: impl Into<String>, message: impl Into<String>) {
        let place = span.as_ref().map(|span| FilePlace::of(&self.text, span.start));
        let (key, message) = (key.into(), set_in(message.into()));
        self.problems.push(Problem {
            file: self.file.clone(),
            place,
            key,
            message,
        });
    }

    /// Something is allowed, and may be a mistake all the same.
    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// [`Diagnostics::warn`] of `key`, which stands at `span`.
    pub(super) fn warn_at(&mut self, span: &FileSpan, key: &str, warning: &str) {
        let at = self.whereabouts(span);
        self.warn(format!("{at}: {key}: {warning}"));
    }

    /// A file that the configuration names is wrong.
    pub(super) fn add_in(
        &mut self,
        file: &Path,
        place: Option<FilePlace>,
        key: impl Into<String>,
        message: impl Into<String>,
    ) {
        let (key, message) = (key.into(), set_in(message.into()));
        self.problems.push(Problem {
            file: Some(file.into()),
            place,
            key,
            message,
        });
    }

    /// `value`, unless something was wrong.
    pub(super) fn verdict<T>(mut self, value: Option<T>) -> Result<T, Problems> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => {
                let own = self.file;
                // The main file first, then the files that it names, each from its top.
                self.problems
                    .sort_by(|a, b| (a.file != own, a).cmp(&(b.file != own, b)));
                self.problems.dedup();
                Err(Problems {
                    list: self.problems,
                    files: self.files,
                })
            }
        }
    }
}

/// A problem is one line, for editors and log collectors; the pictures that libraries draw stand below it, set in.
fn set_in(message: String) -> String {
    if !message.contains(['\n', '\r']) {
        return message;
    }
    let is_drawn = |line: &&str| !line.trim().is_empty() && !line.trim().chars().all(|c| c == '~');
    let lines = message.lines().map(str::trim_end).filter(is_drawn);
    lines.collect::<Vec<_>>().join("\n    ")
}

/// The member of `known` that `word` was probably meant to be.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()) / 3 + 1)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            let here = (diagonal + usize::from(from != *to)).min(*cell + 1).min(left + 1);
            diagonal = std::mem::replace(cell, here);
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        let text = "a\nüb\n";
        let places: Vec<_> = (0..=text.len() + 1).map(|at| FilePlace::of(text, at)).collect();
        let pairs: Vec<_> = places.iter().map(|p| (p.line, p.column)).collect();
        assert_eq!(
            pairs,
            [(1, 1), (1, 2), (2, 1), (2, 1), (2, 2), (2, 3), (3, 1), (3, 1)]
        );
    }

    #[test]
    fn the_nearest_word_is_found_and_far_ones_are_not() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(nearest("prxy", ["admin", "proxy"]), Some("proxy"));
        assert_eq!(nearest("handshake_timeout", ["handshake", "peek"]), None);
        assert_eq!(nearest("xyz", ["proxy", "admin"]), None);
    }

    #[test]
    fn pictures_keep_their_lines_below_the_problem() {
        let drawn = "regex parse error:\n~~~~\n1: (?x)\n2:   (bar\n     ^\n~~~~\nerror: unclosed group";
        assert_eq!(
            set_in(drawn.to_owned()),
            "regex parse error:\n    1: (?x)\n    2:   (bar\n         ^\n    error: unclosed group"
        );
        assert_eq!(set_in("one; two".to_owned()), "one; two");
    }

    #[test]
    fn problems_print_file_line_and_key() {
        let mut notes = Diagnostics::on(Path::new("w.toml"), "[listen]\nproxy = 1\n", Vec::new);
        notes.add(&Some(17..18), "listen.proxy", "is wrong; be right");
        notes.add_in(Path::new("wslist"), None, "list.file", "is missing");
        notes.add(&Some(0..1), "listen", "early");
        let problems = notes.verdict(Some(())).unwrap_err();
        assert_eq!(
            problems.to_string(),
            "w.toml:1:1: listen: early\nw.toml:2:9: listen.proxy: is wrong; be right\nwslist: list.file: is missing"
        );
        assert_eq!(Problems::of_option("--listen", "no").to_string(), "--listen: no");
    }
}
