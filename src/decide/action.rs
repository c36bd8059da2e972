//! What rules of the policy do.

use crate::error::words;

words! {
    /// What a rule does.
    pub enum RuleAction {
        /// It goes on, decrypted.
        Allow = "allow",
        /// It goes on as it is.
        Splice = "splice",
        /// It goes no further.
        Deny = "deny",
        /// It goes on if the client says who it is.
        Authenticate = "authenticate",
    }
}
