//! Negotiate towards proxies (RFC 4559 section 6): a user is whom a Kerberos ticket shows.

use super::bound::Bound;
use super::challenge::Unproven;
use super::login::{Ticketed, Verified};
use super::names::Names;
use super::negotiate::{Accepted, Keytab, Negotiate, NotProven, Privileges, Proven, Replays, Round};
use crate::identity::{Identity, Proof};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use std::sync::Arc;
use std::time::SystemTime;

/// Tickets as they are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiateConfig {
    /// The keys of the proxy's own account.
    pub keytab: Arc<Keytab>,
}

/// Judges the tokens of clients.
#[derive(Debug)]
pub(super) struct Tickets {
    negotiate: Negotiate,
    names: Names,
}

/// What a token led to.
#[derive(Debug)]
pub(super) enum Shown {
    /// It is known who it is.
    Accepted(TicketUser),
    /// The client has to go on with this challenge.
    Continue(HeaderValue),
    /// It is not.
    Unproven {
        why: Unproven,
        /// In words, for the log.
        detail: String,
    },
    /// Too many at a time.
    Busy,
}

/// Whom a ticket has shown.
#[derive(Debug)]
pub(super) struct TicketUser {
    /// The user, with the identifiers of its groups.
    pub(super) identity: Identity,
    /// What a directory may be asked for the names of its groups. It knows nothing of users of other realms, and must not
    /// take them for ours of the same name.
    pub(super) asked: Option<Ticketed>,
    /// The proxy's own proof, for the client.
    pub(super) answer: Option<HeaderValue>,
}

impl Tickets {
    pub(super) fn new(config: &NegotiateConfig, names: Names) -> Self {
        Self {
            negotiate: Negotiate::new(Arc::clone(&config.keytab), Replays::of_process()),
            names,
        }
    }

    /// The challenge to begin with.
    pub(super) fn challenge() -> HeaderValue {
        HeaderValue::from_static("Negotiate")
    }

    /// Judges the token68 behind `Negotiate`.
    pub(super) fn judge(&self, token: &[u8], bound: Option<&Bound>, now: SystemTime) -> Shown {
        let round = bound.and_then(Bound::take_round);
        let Ok(token) = STANDARD.decode(token) else {
            return refused(NotProven::Malformed("no base64"));
        };
        match self.negotiate.accept(&token, round, now) {
            Ok(Accepted::Proven(proven)) => self.accept(proven),
            Ok(Accepted::Continue { reply, round }) => go_on(&reply, round, bound),
            Err(NotProven::Overload) => Shown::Busy,
            Err(why) => refused(why),
        }
    }

    /// The user by the account's name, whatever name it logged in with; the groups by their identifiers.
    fn accept(&self, proven: Proven) -> Shown {
        let principal = format!("{}@{}", proven.principal, proven.realm);
        let (account, groups) = match proven.pac {
            Privileges::Verified(pac) => (pac.account, Some(pac.groups)),
            Privileges::None | Privileges::Doubtful(_) => (proven.principal, None),
        };
        // A name with a domain in it might be taken for one of ours, whatever realm it comes from.
        let identity = match account.contains(['@', '\\']) {
            true => None,
            false => self.names.identity(
                &Verified {
                    name: format!("{account}@{}", proven.realm),
                    groups: groups.clone().unwrap_or_default(),
                },
                Proof::Negotiate,
            ),
        };
        let Some(identity) = identity else {
            return refused(NotProven::Malformed(
                "the user's name in the ticket cannot be one here",
            ));
        };
        let asked = match groups {
            Some(groups) => (!groups.is_empty()).then_some(Ticketed::Groups(groups)),
            None if identity.name.contains('@') => None,
            None => Some(Ticketed::User(principal)),
        };
        Shown::Accepted(TicketUser {
            identity,
            asked,
            answer: proven.reply.as_deref().and_then(header),
        })
    }
}

fn go_on(reply: &[u8], round: Round, bound: Option<&Bound>) -> Shown {
    match (header(reply), bound) {
        (Some(challenge), Some(bound)) => {
            bound.keep_round(round);
            Shown::Continue(challenge)
        }
        // A stream of HTTP/2 is over after its answer.
        _ => refused(NotProven::OutOfOrder),
    }
}

fn refused(why: NotProven) -> Shown {
    let word = match why {
        NotProven::Ntlm => Unproven::Ntlm,
        NotProven::NoKey { .. } | NotProven::WeakKey { .. } => Unproven::NoKey,
        NotProven::Clock { .. } | NotProven::NotYetValid { .. } => Unproven::Clock,
        NotProven::Expired { .. } => Unproven::ExpiredTicket,
        NotProven::Replay => Unproven::Replay,
        NotProven::Integrity(_) | NotProven::OtherClient => Unproven::BadTicket,
        NotProven::Malformed(_)
        | NotProven::NoKerberos
        | NotProven::GivenUp
        | NotProven::OutOfOrder
        | NotProven::UserToUser
        | NotProven::Overload => Unproven::Malformed,
    };
    Shown::Unproven {
        why: word,
        detail: why.to_string(),
    }
}

/// `Negotiate` with a token.
fn header(token: &[u8]) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("Negotiate {}", STANDARD.encode(token))).ok()
}

#[cfg(test)]
mod tests;
