//! ICAP's two methods (RFC 3507 section 3).

use crate::wire::frame::Direction;

/// Which of ICAP's two methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Modification {
    /// REQMOD: a request on its way to the origin.
    Request,
    /// RESPMOD: a response on its way to the client.
    Response,
}

impl Modification {
    pub(super) const fn of(direction: Direction) -> Self {
        match direction {
            Direction::ToOrigin => Self::Request,
            Direction::ToClient => Self::Response,
        }
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Request => "REQMOD",
            Self::Response => "RESPMOD",
        }
    }
}
