//! What judging credentials may come to.

use crate::error::words;
use crate::identity::Identity;
use http::HeaderValue;
use std::fmt;
use std::sync::Arc;

/// What judging has come to.
#[derive(Debug, Clone)]
pub enum Admitted {
    /// It is known who asks.
    Known(Arc<Identity>),
    /// It is not, and the client may try again: 407.
    Challenge(Challenge),
    /// Nobody can tell: 503. A client that was asked again would have its user type passwords in vain.
    Unsure(Unsure),
}

/// Asks for credentials (RFC 9110 section 11.7.1).
#[derive(Debug, Clone)]
pub struct Challenge {
    /// A value of `Proxy-Authenticate` each, the strongest first.
    pub lines: Vec<HeaderValue>,
    /// Why.
    pub why: Unproven,
}

words! {
    /// Why a client is asked who it is.
    pub enum Unproven {
        /// It has shown nothing.
        Nothing = "nothing",
        /// What it has shown is not what the scheme says it looks like, or names nobody that could be.
        Malformed = "malformed",
        /// Its scheme is not on offer.
        UnknownScheme = "unknown_scheme",
        /// It speaks NTLM, which is not on offer: it had no ticket for the proxy.
        Ntlm = "ntlm",
        /// One more token has to come, on the same connection.
        Negotiating = "negotiating",
        /// There is no key for its ticket: it is for an older password of the proxy's account, or not of AES. Or its token's
        /// issuer does not have the key.
        NoKey = "no_key",
        /// Its clock and the proxy's are too far apart.
        Clock = "clock",
        /// Its ticket has ended.
        ExpiredTicket = "expired_ticket",
        /// It was used before.
        Replay = "replay",
        /// Its ticket is not what a domain controller made, or not for its user.
        BadTicket = "bad_ticket",
        /// Its token's signature is wrong, or it is not to be taken for another reason.
        BadToken = "bad_token",
        /// Its token has ended.
        ExpiredToken = "expired_token",
        /// Its token is of another issuer, or for somebody else.
        ForeignToken = "foreign_token",
        /// The certificate of its connection is not accepted, or names nobody.
        BadCertificate = "bad_certificate",
        /// The password is empty, which some directories take for an anonymous login (RFC 4513 section 5.1.2).
        EmptyPassword = "empty_password",
        /// The directory knows nobody of that name with that password.
        WrongPassword = "wrong_password",
        /// The client has guessed too often, and has to wait for some seconds.
        Throttled = "throttled",
        /// There were so many wrong passwords for the name that the directory is not asked for a while.
        LockedOut = "locked_out",
    }
}

/// Nobody can tell who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsure {
    /// Why.
    pub why: Undecided,
    /// The cause in words, for the log. No secret is in it.
    pub text: String,
}

words! {
    /// Why nobody can tell who asks.
    pub enum Undecided {
        /// The directory does not answer, or not with sense.
        DirectoryUnavailable = "directory_unavailable",
        /// Too many wait for the directory already.
        Busy = "busy",
    }
}

words! {
    /// How a client says who it is.
    pub enum Scheme {
        /// Not at all.
        None = "none",
        /// By name and password (RFC 7617).
        Basic = "basic",
        /// By SPNEGO (RFC 4559).
        Negotiate = "negotiate",
        /// By a token (RFC 6750).
        Bearer = "bearer",
        /// By the certificate of its connection.
        Certificate = "certificate",
        /// By a login from its address before.
        Address = "address",
        /// By a scheme that is never on offer.
        Other = "other",
    }
}

/// What a password is asked for, as clients show it to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm(String);

impl Realm {
    /// From printable ASCII without quotes and backslashes: clients differ in what they make of others.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn new(text: &str) -> Result<Self, String> {
        let fits = |b: u8| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\';
        if (1..=128).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "{text:?} cannot be shown by all clients; write 1 to 128 characters of ASCII, without quotes and backslashes"
        ))
    }

    /// The challenge of Basic (RFC 7617 section 2.1).
    pub(super) fn basic(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("Basic realm=\"{self}\", charset=\"UTF-8\"")).ok()
    }
}

impl Default for Realm {
    fn default() -> Self {
        Self("wsbump".to_owned())
    }
}

impl fmt::Display for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_stays_inside_its_quotes() {
        for wrong in ["", "a\"b", "a\\b", "a\r\nb", "Bürger", &"x".repeat(129)] {
            assert!(Realm::new(wrong).is_err(), "{wrong:?}");
        }
        let realm = Realm::new("Example Corp. proxy").unwrap();
        assert_eq!(
            realm.basic().unwrap(),
            r#"Basic realm="Example Corp. proxy", charset="UTF-8""#
        );
    }

    #[test]
    fn the_words_of_all_outcomes_differ() {
        let unproven = Unproven::ALL.iter().map(|word| word.label());
        let undecided = Undecided::ALL.iter().map(|word| word.label());
        let mut all: Vec<_> = unproven.chain(undecided).chain(["accepted"]).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
