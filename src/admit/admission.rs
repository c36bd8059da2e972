//! Judges credentials.

use super::basic;
use super::bound::Bound;
use super::challenge::{Admitted, Challenge, Realm, Scheme, Undecided, Unproven, Unsure};
use super::directory::Directory;
use super::htpasswd::{Htpasswd, HtpasswdTable};
use super::names::Names;
use super::watch::{AdmitWatch, Answer, Claim, Judged, Source};
use crate::identity::Identity;
use http::HeaderValue;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Who may show to be whom, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdmitConfig {
    /// What clients show to people who have to type a password.
    pub realm: Realm,
    /// The domains whose users are called by their names alone.
    pub names: Names,
    /// Basic, if it is on offer.
    pub basic: Option<BasicConfig>,
}

/// Names and passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasicConfig {
    /// What they are asked of.
    pub directory: DirectoryConfig,
}

/// What a directory is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryConfig {
    /// A file that was read.
    Htpasswd(Arc<HtpasswdTable>),
}

/// Judges what clients show of themselves.
pub struct Admission {
    config: AdmitConfig,
    directory: Option<Directory>,
    challenges: Vec<HeaderValue>,
    watch: OnceLock<Arc<dyn AdmitWatch>>,
}

impl Admission {
    /// Nobody hears what becomes of logins yet.
    pub fn new(config: AdmitConfig) -> Self {
        let directory = config.basic.as_ref().map(|basic| match &basic.directory {
            DirectoryConfig::Htpasswd(table) => Directory::Htpasswd(Htpasswd::new(Arc::clone(table))),
        });
        let basic = config.basic.as_ref().and_then(|_| config.realm.basic());
        Self {
            challenges: basic.into_iter().collect(),
            config,
            directory,
            watch: OnceLock::new(),
        }
    }

    /// From now on, `watch` hears what becomes of each login; whoever heard it before goes on.
    pub fn watched_by(&self, watch: Arc<dyn AdmitWatch>) {
        let _ = self.watch.set(watch);
    }

    fn tell(&self, judged: &Judged<'_>) {
        if let Some(watch) = self.watch.get() {
            watch.judged(judged);
        }
    }

    /// A value of `Proxy-Authenticate` each, the strongest first, for a client that has shown nothing.
    pub fn challenges(&self) -> &[HeaderValue] {
        &self.challenges
    }

    /// Who the connection was proven to be, where that is known without asking a directory.
    pub fn remembered(&self, shown: Option<&[u8]>, bound: Option<&Bound>) -> Option<Arc<Identity>> {
        match shown {
            None => bound?.identity(),
            Some(_) => None,
        }
    }

    /// Judges what a client shows: the value of `Proxy-Authorization` (RFC 9110 section 11.7.2). `bound` is what is known of an
    /// HTTP/1.1 connection; streams of HTTP/2 have nothing of the kind.
    pub async fn judge(&self, shown: Option<&[u8]>, client: IpAddr, bound: Option<&Bound>) -> Admitted {
        let Some(shown) = shown else {
            return match bound.and_then(Bound::identity) {
                Some(identity) => self.accept(Scheme::None, identity, Source::Connection, client),
                None => self.challenge(Scheme::None, Unproven::Nothing, client, None),
            };
        };
        // New credentials count, whoever the connection was before.
        if let Some(bound) = bound {
            bound.loosen();
        }
        let (scheme, token) = split(shown);
        if scheme.eq_ignore_ascii_case(b"basic")
            && let Some(directory) = &self.directory
        {
            return self.basic(directory, token, client).await;
        }
        match scheme {
            _ if scheme.eq_ignore_ascii_case(b"ntlm") => {
                self.challenge(Scheme::Other, Unproven::Ntlm, client, None)
            }
            _ => self.challenge(Scheme::Other, Unproven::UnknownScheme, client, None),
        }
    }

    async fn basic(&self, directory: &Directory, token: &[u8], client: IpAddr) -> Admitted {
        let shown = match basic::read(token, &self.config.names) {
            Ok(shown) => shown,
            Err(unusable) => {
                return self.challenge(Scheme::Basic, unusable.why, client, unusable.claimed.as_deref());
            }
        };
        let begun = Instant::now();
        let asked = directory.verify(&shown.login, &shown.password).await;
        let answer = match &asked {
            Ok(Some(_)) => Answer::Accepted,
            Ok(None) => Answer::Refused,
            Err(_) => Answer::Unavailable,
        };
        if let Some(watch) = self.watch.get() {
            watch.asked(directory.label(), answer, begun.elapsed());
        }
        let claimed = &shown.login.canonical;
        let unsure = |text| Unsure {
            why: Undecided::DirectoryUnavailable,
            text,
        };
        match asked {
            Ok(Some(verified)) => match self.config.names.identity(&verified) {
                Some(identity) => self.accept(Scheme::Basic, Arc::new(identity), Source::Directory, client),
                None => {
                    let text = format!("the directory calls the user {:?}", verified.name);
                    self.unsure(unsure(text), client, claimed)
                }
            },
            Ok(None) => self.challenge(Scheme::Basic, Unproven::WrongPassword, client, Some(claimed)),
            Err(error) => self.unsure(unsure(error.text), client, claimed),
        }
    }

    fn accept(&self, scheme: Scheme, identity: Arc<Identity>, source: Source, client: IpAddr) -> Admitted {
        self.tell(&Judged {
            scheme,
            claim: Claim::Accepted,
            source,
            client,
            claimed: Some(&identity.name),
            detail: None,
        });
        Admitted::Known(identity)
    }

    fn challenge(&self, scheme: Scheme, why: Unproven, client: IpAddr, claimed: Option<&str>) -> Admitted {
        self.tell(&Judged {
            scheme,
            claim: Claim::Unproven(why),
            source: Source::Credentials,
            client,
            claimed,
            detail: None,
        });
        Admitted::Challenge(Challenge {
            lines: self.challenges.clone(),
            why,
        })
    }

    fn unsure(&self, unsure: Unsure, client: IpAddr, claimed: &str) -> Admitted {
        self.tell(&Judged {
            scheme: Scheme::Basic,
            claim: Claim::Undecided(unsure.why),
            source: Source::Directory,
            client,
            claimed: Some(claimed),
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
