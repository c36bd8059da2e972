//! Who asks, and what they may.

use super::answer::Problem;
use http::StatusCode;

/// What somebody may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// See what is open and what happens, without content.
    View,
    /// See content, with its secrets masked.
    Content,
    /// See content as it is.
    Raw,
    /// Close, reload and drain.
    Operate,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// As the audit log calls them.
    pub(super) by: String,
    /// What they may.
    pub(super) rights: &'static [Right],
}

impl Caller {
    /// A program of this user on the proxy's own machine.
    pub(super) fn local(uid: u32) -> Self {
        Self {
            by: format!("uid {uid}"),
            rights: &[Right::View, Right::Content, Right::Raw, Right::Operate],
        }
    }

    /// # Errors
    /// They may not.
    pub(super) fn may(&self, right: Right) -> Result<(), Problem> {
        if self.rights.contains(&right) {
            return Ok(());
        }
        Err(Problem::new(StatusCode::FORBIDDEN, "you have no right to this"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_had_or_not() {
        let viewer = Caller {
            by: "somebody".into(),
            rights: &[Right::View],
        };
        assert!(viewer.may(Right::View).is_ok());
        for right in [Right::Content, Right::Raw, Right::Operate] {
            assert!(viewer.may(right).is_err());
            assert!(Caller::local(0).may(right).is_ok());
        }
    }
}
