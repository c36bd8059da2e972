//! Who asks: found out where the policy wants to know, before it decides.

use super::client_facts::ClientFacts;
use super::config::Config;
use crate::accept::{Ask, AskKind, Credentials};
use crate::admit::{Admission, Admitted, Undecided, Unproven};
use crate::decide::AtAsk;
use crate::http::{ErrorResponse, HttpError};
use crate::identity::Identity;
use crate::wire::names::Authority;
use http::HeaderValue;
use http::header::PROXY_AUTHENTICATE;
use std::sync::Arc;

impl ClientFacts {
    /// Who it is that asks. What it shows is only judged where a rule wants to know: a destination that is open to all
    /// hangs on no directory.
    ///
    /// # Errors
    /// What the client is told that has shown something that does not hold (407), or of whom nobody can tell (503).
    pub(super) async fn identify(
        &self,
        config: &Config,
        ask: &Ask,
    ) -> Result<Option<Arc<Identity>>, Box<ErrorResponse>> {
        let Some(admission) = &config.admission else {
            return Ok(None);
        };
        // Where no scheme is on offer, what a client shows nevertheless is none of the proxy's business.
        let shown = ask.credentials.as_ref().map(Credentials::as_bytes);
        let shown = shown.filter(|_| !admission.challenges().is_empty());
        let bound = self.bound.as_deref();
        if let Some(user) = admission.remembered(shown, self.who.client, bound) {
            return Ok(Some(user));
        }
        if let (None, Some(certified)) = (shown, &self.certified)
            && let Some(user) = admission.certified_at_hand(certified, self.who.client)
        {
            return Ok(Some(user));
        }
        if shown.is_none() && self.certified.is_none() {
            return Ok(admission.by_address(self.who.client));
        }
        let Some(rule) = self.wanted_by(config, ask) else {
            return Ok(None);
        };
        let admitted = match (shown, &self.certified) {
            (None, Some(certified)) => admission.judge_certified(certified, self.who.client).await,
            (shown, _) => admission.judge(shown, self.who.client, bound).await,
        };
        let of_rule = |problem: ErrorResponse| {
            Box::new(ErrorResponse {
                policy_rule: Some(Box::new(rule)),
                ..problem
            })
        };
        match admitted {
            Admitted::Known(user) => Ok(Some(user)),
            Admitted::Challenge(challenge) => {
                let text = format!("{} is for users who sign in: {}", ask.to, words(challenge.why));
                Err(of_rule(challenging(text, &challenge.lines)))
            }
            Admitted::Unsure(unsure) => {
                let why = match unsure.why {
                    Undecided::DirectoryUnavailable => "the directory does not answer",
                    Undecided::Busy => "too many sign in at once",
                };
                let text = format!("the proxy cannot find out who you are: {why}; please try again later");
                Err(of_rule(ErrorResponse::new(
                    HttpError::AuthenticationUnavailable,
                    text,
                )))
            }
        }
    }

    /// The rule that wants to know who asks for this.
    fn wanted_by(&self, config: &Config, ask: &Ask) -> Option<Arc<str>> {
        let facts = self.facts(config, &ask.to, None, ask.kind == AskKind::Tunnel);
        match config.policy.at_ask(&facts) {
            AtAsk::Name(rule) => Some(rule),
            AtAsk::Denied(_) | AtAsk::Open(_) => None,
        }
    }
}

/// What a client is told that has to say who it is, and can; `None` where nobody can.
pub(super) fn unnamed(config: &Config, to: &Authority) -> Option<ErrorResponse> {
    let admission: &Admission = config.admission.as_ref()?;
    // A 407 has to say how (RFC 9110 section 15.5.8).
    if admission.challenges().is_empty() {
        return None;
    }
    let text = format!("{to} is for users who sign in: {}", words(Unproven::Nothing));
    Some(challenging(text, admission.challenges()))
}

fn challenging(text: String, challenges: &[HeaderValue]) -> ErrorResponse {
    ErrorResponse {
        headers: (challenges.iter())
            .map(|challenge| (PROXY_AUTHENTICATE, challenge.clone()))
            .collect(),
        ..ErrorResponse::new(HttpError::NotAuthenticated, text)
    }
}

/// What the person is told who tries.
const fn words(why: Unproven) -> &'static str {
    match why {
        Unproven::Nothing => "please say who you are",
        Unproven::Malformed => "what was sent to say who you are cannot be read",
        Unproven::UnknownScheme => "the way in which you say who you are is not on offer here",
        Unproven::Ntlm => "NTLM is not on offer here; there was no Kerberos ticket for this proxy",
        Unproven::Negotiating => "one more message of yours is needed",
        Unproven::NoKey => "the proxy has no key for your ticket or token: please tell its administrators",
        Unproven::Clock => "your clock and the proxy's are too far apart",
        Unproven::ExpiredTicket => {
            "your ticket has ended: please lock and unlock your session, or sign in again"
        }
        Unproven::Replay => "what was sent to say who you are was used before",
        Unproven::BadTicket => "your ticket is not one that can be accepted",
        Unproven::BadToken => "your token is not one that can be accepted",
        Unproven::ExpiredToken => "your token has ended: please get a new one",
        Unproven::ForeignToken => "your token is not for this proxy",
        Unproven::BadCertificate => "your certificate is not one that can be accepted",
        Unproven::EmptyPassword => "the password is empty",
        Unproven::WrongPassword => "the name or the password is wrong",
        Unproven::Throttled => "there were too many wrong passwords: please wait a moment",
        Unproven::LockedOut => "there were too many wrong passwords for this name: please try again later",
    }
}
