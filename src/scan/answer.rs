//! What a scanner's protocol comes to.

use crate::inspect::ScanOutcome;

/// An outcome, or why there is none.
pub(super) type ScanAnswer = Result<ScanOutcome, ScanFailure>;

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ScanFailure {
    /// The scanner cannot be reached, breaks off, or talks nonsense. Enough of these in a row and it is left alone.
    Scanner(String),
    /// The scanner is well and does not take this content.
    Content(String),
    /// It was not asked, which says nothing of it.
    Unasked(String),
}

impl ScanFailure {
    /// Why, in words.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Scanner(text) | Self::Content(text) | Self::Unasked(text) => text,
        }
    }
}

/// The longest name of a finding, in characters.
const NAME_MAX: usize = 200;

/// What a scanner calls a finding, fit for logs and headers: printable and bounded.
pub(super) fn printable(name: &str) -> String {
    name.trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(NAME_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printable_and_bounded() {
        assert_eq!(printable(" Eicar\r\nX: y\u{1b}[2J "), "Eicar  X: y [2J");
        assert_eq!(printable(&"é".repeat(1000)).chars().count(), NAME_MAX);
    }
}
