//! Who a client has shown to be.

use std::sync::Arc;

/// A user who was verified, by one name wherever it stands: in the policy, in rules, in every log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user's name, as the configuration normalises it.
    pub name: Arc<str>,
    /// The groups that the user belongs to, nested ones included, normalised likewise.
    pub groups: Arc<[Arc<str>]>,
}

impl From<&str> for Identity {
    /// Somebody of whom no group is known.
    fn from(name: &str) -> Self {
        Self {
            name: name.into(),
            groups: Arc::default(),
        }
    }
}
