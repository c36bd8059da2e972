//! What the import says of a line that it has read.

use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's place among those that were read.
    order: usize,
    /// The line, from 1.
    pub line: usize,
    /// The file, as it was named.
    pub file: Arc<str>,
}

impl Place {
    /// `order` is the file's place among those that were read.
    pub(super) fn new(order: usize, file: &Arc<str>, line: usize) -> Self {
        Self {
            order,
            line,
            file: Arc::clone(file),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Line 0 is the file as a whole.
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// What has become of a line, from the least to the most that has to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineOutcome {
    /// It is about something that is not here, and nobody will miss it.
    NotNeeded,
    /// It means here what it means to Squid.
    Taken,
    /// It means something else to Squid than people tend to think, or than it would mean here.
    Surprise,
    /// It was taken over in another form, and something differs.
    Changed,
    /// It has no counterpart. What it allowed is refused, or what it made better is as good as without it.
    Lost,
    /// It has no counterpart, and it guarded something.
    GuardLost,
}

impl LineOutcome {
    /// How it is called.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotNeeded => "not needed",
            Self::Taken => "taken over",
            Self::Surprise => "surprise",
            Self::Changed => "changed",
            Self::Lost => "no counterpart",
            Self::GuardLost => "GUARD LOST",
        }
    }
}

/// What the import says of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The line.
    pub place: Place,
    /// Its first word.
    pub directive: String,
    /// What has become of it.
    pub outcome: LineOutcome,
    /// More about that: what it is now, what differs, what to do.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            directive,
            outcome,
            text,
        } = self;
        write!(f, "{place}: {directive}: {}: {text}", outcome.word())
    }
}

/// The notes of an import.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<Note>);

impl Notes {
    /// Notes something of a line; once, if it is said twice.
    pub(super) fn add(
        &mut self,
        place: &Place,
        directive: impl Into<String>,
        outcome: LineOutcome,
        text: impl Into<String>,
    ) {
        let note = Note {
            place: place.clone(),
            directive: directive.into(),
            outcome,
            text: text.into(),
        };
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// In the order of the lines.
    pub(super) fn finish(mut self) -> Vec<Note> {
        self.0.sort_by(|one, two| one.place.cmp(&two.place));
        self.0
    }
}
