//! What may be seen by those who watch.

use super::people::People;
use std::path::PathBuf;
use std::time::Duration;

/// What may be seen by those who watch. Of which hosts, the inspection says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewConfig {
    /// Messages, heads and bodies, with their secrets masked.
    pub content: bool,
    /// The same without a mask, for a written reason.
    pub raw: bool,
    /// How people are called.
    pub people: People,
    /// The most of one message or body that is shown, in bytes.
    pub content_bytes: usize,
    /// What it takes two people to see.
    pub two_persons: TwoPersons,
    /// For how long at most one lets the other.
    pub unlock: Duration,
}

/// What it takes two people to see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TwoPersons {
    /// Content without its mask.
    pub raw: bool,
    /// The names of people.
    pub people: bool,
}

impl Default for ViewConfig {
    fn default() -> Self {
        Self {
            content: true,
            raw: false,
            people: People::Show,
            content_bytes: 64 << 10,
            two_persons: TwoPersons::default(),
            unlock: Duration::from_secs(60 * 60),
        }
    }
}

/// The name of the socket's file in the data directory.
pub const SOCKET: &str = "live.sock";

/// The socket in the file system by which programs of the same user see and act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSocket {
    /// Its file.
    pub path: PathBuf,
    /// Whether the configuration names it: without it, nothing starts then.
    pub is_asked_for: bool,
}
