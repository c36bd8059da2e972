//! Who a client has shown to be.

use crate::error::words;
use std::sync::Arc;

words! {
    /// How somebody has shown who they are; also the log word.
    pub enum Proof {
        /// By name and password (RFC 7617).
        Basic = "basic",
        /// By a Kerberos ticket (RFC 4559).
        Negotiate = "negotiate",
        /// By a token (RFC 6750).
        Bearer = "bearer",
        /// By the certificate of the connection.
        Certificate = "certificate",
        /// By a login from the same address before.
        Address = "address",
    }
}

/// A user who was verified, by one name wherever it stands: in the policy, in rules, in every log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user's name, as the configuration normalises it.
    pub name: Arc<str>,
    /// The groups that the user belongs to, nested ones included, normalised likewise.
    pub groups: Arc<[Arc<str>]>,
    /// How that was shown; `None` of somebody who is only supposed.
    pub proof: Option<Proof>,
}

impl From<&str> for Identity {
    /// Somebody of whom no group is known.
    fn from(name: &str) -> Self {
        Self {
            name: name.into(),
            groups: Arc::default(),
            proof: None,
        }
    }
}
