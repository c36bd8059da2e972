//! Why a pattern cannot be used, and what to write instead.

use super::node::MAX_REPEAT;
use std::fmt;

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EreError {
    /// `*`, `+`, `?` or `{` with nothing before it.
    NothingToRepeat(char),
    /// `(` without `)`.
    UnmatchedOpen,
    /// `)` without `(`.
    UnmatchedClose,
    /// `[` without `]`.
    UnmatchedBracket,
    /// `{` without `}`.
    UnmatchedBrace,
    /// Something that is no repeat count between `{` and `}`.
    BadInterval,
    /// An upper repeat count below the lower one or above 32767.
    IntervalOutOfRange,
    /// A range whose end sorts before its start, or one that ends in a class.
    BadRange,
    /// `[[:name:]]` with an unknown name.
    UnknownClass(String),
    /// `[[.name.]]` or `[[=name=]]` with anything but one character.
    UnknownCollating(String),
    /// A backslash at the end.
    TrailingBackslash,
    /// `\1` to `\9`.
    BackReference(char),
    /// Too many nested groups, or intervals that unroll to too much.
    TooLarge,
}

impl fmt::Display for EreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToRepeat(op) => write!(
                f,
                "`{op}` has nothing to repeat; write `\\{op}` for the character"
            ),
            Self::UnmatchedOpen => f.write_str("`(` is never closed; write `\\(` for the character"),
            Self::UnmatchedClose => f.write_str("`)` closes nothing; write `\\)` for the character"),
            Self::UnmatchedBracket => f.write_str("`[` is never closed; write `\\[` for the character"),
            Self::UnmatchedBrace => f.write_str("`{` is never closed; write `\\{` for the character"),
            Self::BadInterval => {
                f.write_str("between `{` and `}` only a count as in {2}, {2,} or {2,5} is allowed")
            }
            Self::IntervalOutOfRange => {
                write!(f, "the counts in {{m,n}} must rise and be at most {MAX_REPEAT}")
            }
            Self::BadRange => f.write_str(
                "a range in [...] runs backwards or does not end in a character (under -i both ends count as \
                 upper case); put a literal `-` last",
            ),
            Self::UnknownClass(name) => write!(f, "there is no character class [:{name}:]"),
            Self::UnknownCollating(name) => {
                write!(f, "there is no collating element {name:?}; write one character")
            }
            Self::TrailingBackslash => f.write_str("the backslash at the end escapes nothing"),
            Self::BackReference(digit) => write!(
                f,
                "back-references such as `\\{digit}` are not supported; write the alternatives out, one a line"
            ),
            Self::TooLarge => f.write_str(
                "the pattern is too large: fewer nested groups or smaller {m,n} counts are needed",
            ),
        }
    }
}

impl std::error::Error for EreError {}
