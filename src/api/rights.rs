//! Who asks, and what they may.

use super::answer::Problem;
use crate::error::words;
use http::StatusCode;

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
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// As the audit log calls them.
    pub by: String,
    /// What they may.
    pub rights: Vec<Right>,
}

impl Caller {
    /// A program of this user on the proxy's own machine.
    pub(super) fn local(uid: u32) -> Self {
        Self {
            by: format!("uid {uid}"),
            rights: Right::ALL.to_vec(),
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
            rights: vec![Right::View],
        };
        assert!(viewer.may(Right::View).is_ok());
        for right in [Right::Content, Right::Raw, Right::Operate] {
            assert!(viewer.may(right).is_err());
            assert!(Caller::local(0).may(right).is_ok());
        }
    }
}
