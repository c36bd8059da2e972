//! Who asks, and what they may.

use super::answer::Problem;
use crate::error::words;
use http::StatusCode;
use std::fmt;
use std::sync::Arc;

words! {
    /// What somebody may.
    pub enum Right {
        /// See what is open and what happens, without content.
        View = "view",
        /// See content, with its secrets masked.
        Content = "content",
        /// See content as it is.
        Raw = "raw",
        /// Close, reload and drain.
        Operate = "operate",
        /// Let somebody else see what is locked.
        Approve = "approve",
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// As the audit log calls them.
    pub by: String,
    /// Who they are, from wherever they ask. Whoever may use the live socket can make codes for the console too, and is the
    /// same person there.
    pub person: Arc<str>,
    /// What they may.
    pub rights: Vec<Right>,
    /// They use the live socket, and are this user or root.
    pub is_local: bool,
    /// Whether they still may, for what takes its time.
    pub still: StillMay,
}

/// Asks again whether somebody may: who has logged out, or whose token was taken away, sees nothing more.
#[derive(Clone)]
pub struct StillMay(Arc<dyn Fn(Right) -> bool + Send + Sync>);

impl fmt::Debug for StillMay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StillMay").finish_non_exhaustive()
    }
}

impl StillMay {
    /// By this question.
    pub fn by(ask: impl Fn(Right) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// Whether they still have this right.
    pub fn has(&self, right: Right) -> bool {
        (self.0)(right)
    }
}

impl Caller {
    /// Whoever may use the proxy's own machine as its user.
    pub const MACHINE: &str = "the proxy's machine";

    /// A program of this user on the proxy's own machine.
    pub(super) fn local(uid: u32) -> Self {
        Self {
            by: format!("uid {uid}"),
            person: Self::MACHINE.into(),
            rights: Right::ALL.to_vec(),
            is_local: true,
            still: StillMay::by(|_| true),
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
            person: "somebody".into(),
            rights: vec![Right::View],
            is_local: false,
            still: StillMay::by(|_| true),
        };
        assert!(viewer.may(Right::View).is_ok());
        for right in [Right::Content, Right::Raw, Right::Operate, Right::Approve] {
            assert!(viewer.may(right).is_err());
            assert!(Caller::local(0).may(right).is_ok());
        }
    }
}
