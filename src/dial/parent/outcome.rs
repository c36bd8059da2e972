//! How asking a parent ends.

use crate::breaker::Health;
use crate::dial::outcome::{DialError, DialOutcome};
use crate::error::words;
use http::StatusCode;
use std::sync::Arc;

words! {
    /// How asking a parent ended; also the metric label.
    pub enum ParentOutcome {
        /// It leads there.
        Ok = "ok",
        /// It could not be reached, or ended the connection before it was asked.
        Unreachable = "unreachable",
        /// It could not be reached in time.
        Timeout = "timeout",
        /// TLS with it failed.
        TlsFailed = "tls_failed",
        /// It ended the connection in the place of an answer.
        Closed = "closed",
        /// It did not answer in time.
        NoAnswer = "no_answer",
        /// Its answer is none.
        Malformed = "malformed",
        /// It does not know the proxy, or wants another login.
        Login = "login",
        /// It does not let that pass: a status from 300 to 499, or reply 2 of SOCKS.
        Denied = "denied",
        /// It cannot reach that either.
        Failed = "failed",
    }
}

impl ParentOutcome {
    /// Whether the next parent is asked. What one parent denies is not asked of another: that would be a way around it.
    pub(in crate::dial) const fn fails_over(self) -> bool {
        !matches!(self, Self::Ok | Self::Denied)
    }

    /// What this comes to where no other parent is left.
    const fn dialled(self) -> DialOutcome {
        match self {
            Self::Ok => DialOutcome::Ok,
            Self::Unreachable | Self::TlsFailed | Self::Closed | Self::Malformed => {
                DialOutcome::ParentUnreachable
            }
            Self::Timeout | Self::NoAnswer => DialOutcome::ParentTimeout,
            Self::Login => DialOutcome::ParentLogin,
            Self::Denied | Self::Failed => DialOutcome::ParentRefused,
        }
    }
}

/// Why a parent does not lead there.
#[derive(Debug, Clone)]
pub(in crate::dial) struct ParentError {
    pub(in crate::dial) outcome: ParentOutcome,
    pub(in crate::dial) text: String,
    /// The status of its answer.
    pub(super) received: Option<StatusCode>,
    /// What this says of the parent. What may be about one site alone says nothing: else one dead site would take the
    /// parent from all others.
    pub(super) health: Health,
}

impl ParentError {
    /// It was not asked yet: that is the parent's own fault.
    pub(super) fn before(outcome: ParentOutcome, text: impl Into<String>) -> Self {
        Self {
            outcome,
            text: text.into(),
            received: None,
            health: Health::Failing,
        }
    }

    /// It was asked, and did not answer as it should.
    pub(super) fn after(outcome: ParentOutcome, text: impl Into<String>) -> Self {
        Self {
            health: Health::Unknown,
            ..Self::before(outcome, text)
        }
    }

    /// It answered.
    pub(super) fn answer(outcome: ParentOutcome, text: impl Into<String>) -> Self {
        Self {
            health: Health::Well,
            ..Self::before(outcome, text)
        }
    }

    /// What a client is told of it.
    pub(in crate::dial) fn into_dial(self, parent: &Arc<str>) -> DialError {
        DialError {
            received: self.received,
            parent: Some(Arc::clone(parent)),
            ..DialError::new(self.outcome.dialled(), self.text)
        }
    }
}
