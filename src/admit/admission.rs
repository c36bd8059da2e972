//! Judges credentials.

use super::addresses::{AddressConfig, Addresses};
use super::basic;
use super::bearer::{Bearer, BearerConfig};
use super::bound::Bound;
use super::certificate::CertificateConfig;
use super::challenge::{Admitted, Challenge, Realm, Scheme, Undecided, Unproven, Unsure};
use super::directory::DirectoryConfig;
use super::limits::PasswordLimits;
use super::names::Names;
use super::passwords::{Passwords, Told};
use super::road::{LaterRoad, Road};
use super::ticket_groups::TicketGroups;
use super::tickets::{NegotiateConfig, Shown, Tickets};
use super::watch::{AdmitWatch, Claim, CredentialsJudged, Source};
use crate::identity::Identity;
use http::HeaderValue;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Who may show to be whom, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdmitConfig {
    /// What clients show to people who have to type a password.
    pub realm: Realm,
    /// The domains whose users are called by their names alone.
    pub names: Names,
    /// Basic, if it is on offer.
    pub basic: Option<BasicConfig>,
    /// Negotiate, if it is on offer.
    pub negotiate: Option<NegotiateConfig>,
    /// Bearer tokens, if they are taken.
    pub bearer: Option<BearerConfig>,
    /// Certificates of clients, if they name users.
    pub certificate: Option<CertificateConfig>,
    /// For how long an address is its user's, if that is ever so.
    pub address: Option<AddressConfig>,
}

/// Names and passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasicConfig {
    /// What they are asked of.
    pub directory: DirectoryConfig,
    /// How long verdicts are remembered, and how often it is asked.
    pub limits: PasswordLimits,
}

/// Judges what clients show of themselves.
pub struct Admission {
    config: AdmitConfig,
    passwords: Option<Arc<Passwords>>,
    tickets: Option<Tickets>,
    bearer: Option<Bearer>,
    /// Knows the groups of whom a ticket or a token has shown.
    groups: Option<Arc<TicketGroups>>,
    addresses: Option<Addresses>,
    challenges: Vec<HeaderValue>,
    watch: Arc<dyn AdmitWatch>,
}

impl Admission {
    /// `watch` hears what becomes of each login. Without a road, nothing that is elsewhere can be fetched.
    pub fn new(config: AdmitConfig, watch: Arc<dyn AdmitWatch>) -> Self {
        let nowhere: Arc<dyn Road> = Arc::new(LaterRoad::default());
        Self::again(config, watch, &nowhere, None)
    }

    /// Remembers what `before` does, as far as it depends on nothing that has changed; `road` leads to an issuer's keys.
    pub fn again(
        config: AdmitConfig,
        watch: Arc<dyn AdmitWatch>,
        road: &Arc<dyn Road>,
        before: Option<&Self>,
    ) -> Self {
        let passwords = config.basic.as_ref().map(|basic| {
            let old =
                before.and_then(|before| Some((before.config.basic.as_ref()?, before.passwords.as_ref()?)));
            let directory = match old {
                Some((old, passwords)) if old.directory == basic.directory => {
                    Arc::clone(&passwords.directory)
                }
                _ => Arc::new(basic.directory.open(&watch)),
            };
            let old =
                old.map(|(old, passwords)| (&**passwords, basic.directory.keeps_verdicts_of(&old.directory)));
            let (names, watch) = (config.names.clone(), Arc::clone(&watch));
            Arc::new(Passwords::new(directory, names, basic.limits, watch, old))
        });
        let basic = config.basic.as_ref().and_then(|_| config.realm.basic());
        let tickets =
            (config.negotiate.as_ref()).map(|negotiate| Tickets::new(negotiate, config.names.clone()));
        let negotiate = tickets.as_ref().map(|_| Tickets::challenge());
        let bearer = (config.bearer.as_ref()).map(|bearer| {
            let known = before.and_then(|before| before.bearer.as_ref());
            Bearer::new(bearer, &config.realm, (&watch, road), known)
        });
        let token = bearer.as_ref().and_then(|bearer| bearer.challenge(None));
        let without_groups = tickets.is_some()
            || config.certificate.is_some()
            || (config.bearer.as_ref()).is_some_and(|bearer| bearer.groups_claim.is_none());
        let groups = (passwords.as_ref().zip(config.basic.as_ref()))
            .filter(|(passwords, _)| without_groups && passwords.directory.knows_groups())
            .map(|(passwords, basic)| {
                let directory = Arc::clone(&passwords.directory);
                TicketGroups::new(directory, basic.limits, Arc::clone(&watch))
            });
        Self {
            // Who reloads another configuration has everybody log in again.
            addresses: config.address.as_ref().map(Addresses::new),
            challenges: [negotiate, token, basic].into_iter().flatten().collect(),
            config,
            passwords,
            tickets,
            bearer,
            groups,
            watch,
        }
    }

    /// What users are called.
    pub fn names(&self) -> &Names {
        &self.config.names
    }

    /// Whether names and passwords are on offer.
    pub fn takes_passwords(&self) -> bool {
        self.passwords.is_some()
    }

    /// A value of `Proxy-Authenticate` each, the strongest first, for a client that has shown nothing.
    pub fn challenges(&self) -> &[HeaderValue] {
        &self.challenges
    }

    /// Who it is if that is known without asking a directory: all that hosts are told that need no name. Who is not known so
    /// is not told to have failed.
    pub fn remembered(
        &self,
        shown: Option<&[u8]>,
        client: IpAddr,
        bound: Option<&Bound>,
    ) -> Option<Arc<Identity>> {
        let Some(shown) = shown else {
            let identity = bound?.identity()?;
            self.accepted(Scheme::None, &identity, Source::Connection, client);
            return Some(identity);
        };
        // New credentials count, also where nobody asks for them.
        if let Some(bound) = bound {
            bound.loosen();
        }
        let (scheme, token) = split(shown);
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return self.borne_at_hand(token, client);
        }
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return None;
        }
        let passwords = self.passwords.as_ref()?;
        let shown = basic::read(token, &self.config.names).ok()?;
        let (identity, source) = passwords.remembered(&shown)?;
        self.accepted(Scheme::Basic, &identity, source, client);
        Some(identity)
    }

    /// Judges what a client shows: the value of `Proxy-Authorization` (RFC 9110 section 11.7.2). `bound` is what is known of an
    /// HTTP/1.1 connection; streams of HTTP/2 have nothing of the kind.
    pub async fn judge(&self, shown: Option<&[u8]>, client: IpAddr, bound: Option<&Bound>) -> Admitted {
        let Some(shown) = shown else {
            return match bound.and_then(Bound::identity) {
                Some(identity) => self.accept(Scheme::None, identity, Source::Connection, client),
                None => self.unproven(Scheme::None, Unproven::Nothing, client),
            };
        };
        // New credentials count, whoever the connection was before.
        if let Some(bound) = bound {
            bound.loosen();
        }
        let (scheme, token) = split(shown);
        if scheme.eq_ignore_ascii_case(b"basic")
            && let Some(passwords) = &self.passwords
        {
            return self.basic(passwords, token, client).await;
        }
        if scheme.eq_ignore_ascii_case(b"negotiate")
            && let Some(tickets) = &self.tickets
        {
            let shown = tickets.judge(token, bound, SystemTime::now());
            return self.negotiated(shown, client, bound).await;
        }
        if scheme.eq_ignore_ascii_case(b"bearer")
            && let Some(bearer) = &self.bearer
        {
            let borne = bearer.judge(token, SystemTime::now()).await;
            return self.borne(borne, client).await;
        }
        let why = match scheme.eq_ignore_ascii_case(b"ntlm") {
            true => Unproven::Ntlm,
            false => Unproven::UnknownScheme,
        };
        self.unproven(Scheme::Other, why, client)
    }

    /// The credentials alone tell.
    fn unproven(&self, scheme: Scheme, why: Unproven, client: IpAddr) -> Admitted {
        self.challenge(scheme, why, Source::Credentials, client, None, None)
    }

    async fn basic(&self, passwords: &Arc<Passwords>, token: &[u8], client: IpAddr) -> Admitted {
        let shown = match basic::read(token, &self.config.names) {
            Ok(shown) => shown,
            Err(basic::Unusable { why, claimed, detail }) => {
                let claimed = claimed.as_deref();
                return self.challenge(Scheme::Basic, why, Source::Credentials, client, claimed, detail);
            }
        };
        let claimed = shown.login.canonical.clone();
        match passwords.judge(shown, client).await {
            Told::Accepted(identity, source) => self.accept(Scheme::Basic, identity, source, client),
            Told::Unproven(why, source, detail) => {
                let detail = detail.as_deref();
                self.challenge(Scheme::Basic, why, source, client, Some(&claimed), detail)
            }
            Told::Unsure(unsure) => {
                self.unsure(Scheme::Basic, Source::Directory, unsure, client, Some(&claimed))
            }
        }
    }

    async fn negotiated(&self, shown: Shown, client: IpAddr, bound: Option<&Bound>) -> Admitted {
        match shown {
            Shown::Accepted(user) => match self.with_groups(user.identity, user.asked).await {
                Ok(identity) => {
                    let identity = Arc::new(identity);
                    if let Some(bound) = bound {
                        bound.bind(Arc::clone(&identity), user.answer);
                    }
                    self.accept(Scheme::Negotiate, identity, Source::Credentials, client)
                }
                Err((name, unsure)) => {
                    self.unsure(Scheme::Negotiate, Source::Directory, unsure, client, Some(&name))
                }
            },
            // This challenge alone: what else is on offer would make the client begin again.
            Shown::Continue(line) => Admitted::Challenge(Challenge {
                lines: vec![line],
                why: Unproven::Negotiating,
            }),
            Shown::Unproven { why, detail } => self.challenge(
                Scheme::Negotiate,
                why,
                Source::Credentials,
                client,
                None,
                Some(&detail),
            ),
            Shown::Busy => {
                let why = Undecided::Busy;
                let text = "too many logins at a time to tell replays apart".to_owned();
                let unsure = Unsure { why, text };
                self.unsure(Scheme::Negotiate, Source::Credentials, unsure, client, None)
            }
        }
    }

    fn accept(&self, scheme: Scheme, identity: Arc<Identity>, source: Source, client: IpAddr) -> Admitted {
        self.accepted(scheme, &identity, source, client);
        Admitted::Known(identity)
    }

    fn accepted(&self, scheme: Scheme, identity: &Identity, source: Source, client: IpAddr) {
        let is_login = matches!(scheme, Scheme::Basic | Scheme::Negotiate | Scheme::Bearer);
        if let Some(addresses) = self.addresses.as_ref().filter(|_| is_login) {
            addresses.learn(client, identity, Instant::now());
        }
        self.watch.judged(&CredentialsJudged {
            scheme,
            claim: Claim::Accepted,
            source,
            client,
            claimed: Some(&identity.name),
            detail: None,
        });
    }

    fn challenge(
        &self,
        scheme: Scheme,
        why: Unproven,
        source: Source,
        client: IpAddr,
        claimed: Option<&str>,
        detail: Option<&str>,
    ) -> Admitted {
        self.watch.judged(&CredentialsJudged {
            scheme,
            claim: Claim::Unproven(why),
            source,
            client,
            claimed,
            detail,
        });
        Admitted::Challenge(Challenge {
            lines: self.challenges_after(scheme, why),
            why,
        })
    }

    /// What is on offer, to a client that has shown something that does not hold.
    fn challenges_after(&self, scheme: Scheme, why: Unproven) -> Vec<HeaderValue> {
        let mut lines = self.challenges.clone();
        if let (Scheme::Bearer, Some(bearer)) = (scheme, &self.bearer)
            && let Some(line) = (lines.iter_mut()).find(|line| line.as_bytes().starts_with(b"Bearer "))
            && let Some(told) = bearer.challenge(Some(why))
        {
            *line = told;
        }
        lines
    }

    fn unsure(
        &self,
        scheme: Scheme,
        source: Source,
        unsure: Unsure,
        client: IpAddr,
        claimed: Option<&str>,
    ) -> Admitted {
        self.watch.judged(&CredentialsJudged {
            scheme,
            claim: Claim::Undecided(unsure.why),
            source,
            client,
            claimed,
            detail: Some(&unsure.text),
        });
        Admitted::Unsure(unsure)
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The scheme, and what stands behind it (RFC 9110 section 11.4).
fn split(shown: &[u8]) -> (&[u8], &[u8]) {
    let shown = shown.trim_ascii();
    let end = shown.iter().position(|&byte| byte == b' ' || byte == b'\t');
    let (scheme, token) = shown.split_at(end.unwrap_or(shown.len()));
    (scheme, token.trim_ascii())
}

mod named;
#[cfg(test)]
mod tests;
