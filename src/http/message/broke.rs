//! Why content does not come to its end.

use crate::http::pages::ErrorResponse;
use crate::wire::http1::Malformed;
use std::fmt;
use std::io;

/// Why content over HTTP/1.1 broke off.
#[derive(Debug)]
pub(in crate::http) enum ContentError {
    /// Its coding is broken.
    Malformed(Malformed),
    /// The stream ended before it did.
    Cut,
    /// Reading failed.
    Read(io::Error),
    /// Writing failed.
    Write(io::Error),
    /// A rule does not let it go on.
    Refused(Box<ErrorResponse>),
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "it has {why}"),
            Self::Cut => f.write_str("the stream ended before the message did"),
            Self::Read(error) | Self::Write(error) => error.fmt(f),
            Self::Refused(problem) => f.write_str(&problem.text),
        }
    }
}

impl std::error::Error for ContentError {}

/// Why content broke off.
#[derive(Debug)]
pub(in crate::http) enum BodyError {
    H1(ContentError),
    H2(h2::Error),
    /// A rule does not let it go on.
    Refused(Box<ErrorResponse>),
}

impl BodyError {
    /// What is malformed in it, if that is why.
    pub(in crate::http) fn malformed(&self) -> Option<Malformed> {
        match self {
            Self::H1(ContentError::Malformed(why)) => Some(*why),
            Self::H1(_) | Self::H2(_) | Self::Refused(_) => None,
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::H1(error) => error.fmt(f),
            Self::H2(error) => error.fmt(f),
            Self::Refused(problem) => f.write_str(&problem.text),
        }
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::H1(error) => error.source(),
            Self::H2(error) => error.source(),
            Self::Refused(_) => None,
        }
    }
}
