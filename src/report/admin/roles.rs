//! Who may log in at the console, and to what.

use super::access::Token;
use crate::error::words;
use crate::wire::names::Host;
use std::sync::Arc;
use std::time::Duration;

words! {
    /// What somebody may who has logged in at the console; also the word in the configuration.
    pub enum ConsoleRole {
        /// See what is open and what happens, without content.
        Viewer = "viewer",
        /// See content too, with its secrets masked.
        Content = "content",
        /// See content as it is too, for a written reason.
        Raw = "raw",
        /// Close, reload and drain.
        Operator = "operator",
        /// Let somebody else see what is locked.
        Approver = "approver",
    }
}

/// A token that somebody logs in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleToken {
    /// Whose it is, as the audit log calls them.
    pub name: Arc<str>,
    /// What they show.
    pub token: Token,
    /// What they may.
    pub roles: Vec<ConsoleRole>,
}

/// Who may log in at the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleAccess {
    /// Names that the console is known by beside its own addresses and `localhost`.
    pub names: Vec<Host>,
    /// Who may log in.
    pub tokens: Vec<ConsoleToken>,
    /// How long somebody who has logged in stays so.
    pub session: Duration,
}

impl Default for ConsoleAccess {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            tokens: Vec::new(),
            session: Duration::from_secs(12 * 60 * 60),
        }
    }
}

impl ConsoleAccess {
    /// Whose token this is. All are compared, and how long that takes says nothing about them.
    pub fn shows(&self, secret: &[u8]) -> Option<&ConsoleToken> {
        self.tokens
            .iter()
            .fold(None, |found, token| match token.token.is(secret) {
                true => Some(token),
                false => found,
            })
    }

    /// What the one of this name may.
    pub fn named(&self, name: &str) -> Option<&ConsoleToken> {
        self.tokens.iter().find(|token| *token.name == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_what_it_is_and_shown_to_nobody() {
        let token = |name: &str, secret: &[u8]| ConsoleToken {
            name: name.into(),
            token: Token::parse(secret).unwrap(),
            roles: vec![ConsoleRole::Viewer],
        };
        let access = ConsoleAccess {
            tokens: vec![
                token("ada", b"0123456789abcdef0123456789abcdef"),
                token("ben", b"abcdefabcdefabcdefabcdefabcdef00"),
            ],
            ..ConsoleAccess::default()
        };
        let shown = |secret: &[u8]| access.shows(secret).map(|token| token.name.to_string());
        assert_eq!(shown(b"0123456789abcdef0123456789abcdef").as_deref(), Some("ada"));
        assert_eq!(shown(b"abcdefabcdefabcdefabcdefabcdef00").as_deref(), Some("ben"));
        assert_eq!(shown(b"0123456789abcdef0123456789abcde"), None);
        assert_eq!(shown(b""), None);
        assert!(access.named("ben").is_some() && access.named("eve").is_none());
        assert!(!format!("{access:?}").contains("0123"));
    }
}
