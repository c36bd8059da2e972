//! A directory that passwords are asked of by LDAP (RFC 4511): OpenLDAP, Active Directory and the like.
//!
//! Its servers are asked in order. One that does not answer rests for a while, and the next is asked; a password that one
//! has refused is not shown to another, since each try counts towards a lockout. Every step has a time limit, only so many
//! questions are under way, and only so many wait.

mod config;
mod connection;
mod groups;
mod guard;
mod message;
mod refusal;
mod server;
mod session;
mod sid;
mod template;
#[cfg(test)]
mod tests;
mod turns;
mod url;

pub use config::{BindBy, GroupSearch, GroupsBy, LdapConfig, LdapLimits, Secret, ServiceAccount, Users};
pub use template::Template;
pub use url::LdapUrl;

use super::login::{Login, Refused, Ticketed, Unavailable, Verified};
use super::watch::AdmitWatch;
use server::Server;
use session::{AccountRefused, Answer, Failure, Session};
use std::fmt;
use std::sync::Arc;
use template::Values;
use tokio::time::Instant;
use turns::Turns;

/// The metric label and log word.
pub(super) const LABEL: &str = "ldap";

/// The longest name in bytes that a directory is asked for; AD's longest is 256 characters.
const NAME_MAX: usize = 1024;

/// A directory.
pub(super) struct Ldap {
    config: Arc<LdapConfig>,
    servers: Vec<Server>,
    turns: Turns,
    account: AccountRefused,
    watch: Arc<dyn AdmitWatch>,
}

enum Question<'q> {
    Verify(Values<'q>, &'q str),
    LookUp(&'q str),
    Groups(&'q [Vec<u8>]),
}

impl Ldap {
    /// Does not connect before the first question.
    pub(super) fn new(config: Arc<LdapConfig>, watch: Arc<dyn AdmitWatch>) -> Self {
        let server = |url: &LdapUrl| Server::new(url.clone(), &config);
        Self {
            servers: config.servers.iter().map(server).collect(),
            turns: Turns::new(config.connections.max(1), config.waiting),
            account: AccountRefused::default(),
            watch,
            config,
        }
    }

    /// Asks whether the password is right, and who that is.
    ///
    /// # Errors
    /// The directory cannot say.
    pub(crate) async fn verify(
        &self,
        login: &Login,
        password: &[u8],
    ) -> Result<Result<Verified, Refused>, Unavailable> {
        let no = |why: &str| Ok(Err(refused(why.to_owned())));
        // To bind without a password is to bind as nobody, and succeeds (RFC 4513 section 5.1.2).
        if password.is_empty() {
            return no("the password is empty");
        }
        // Passwords are UTF-8 in LDAP (RFC 4513 section 5.1.3).
        let Ok(password) = std::str::from_utf8(password) else {
            return no("the password is not UTF-8");
        };
        if login.name.is_empty() || login.name.len() > NAME_MAX {
            return no("the name is empty or too long");
        }
        // A name of another domain is not the same name of ours, though its password may be.
        let foreign = login.canonical.contains('@');
        let values = Values {
            name: if foreign { &login.canonical } else { &login.name },
            domain: login.domain.as_deref().filter(|_| !foreign).unwrap_or_default(),
            dn: "",
        };
        self.ask(&Question::Verify(values, password)).await.map(verified)
    }

    /// Whether groups are found, and it is known where.
    pub(crate) fn knows_groups(&self) -> bool {
        !matches!(self.config.groups.by, GroupsBy::None) && !self.config.groups.base.is_empty()
    }

    /// The names of the groups of whom a ticket has shown. What is no identifier, or of no group below the base, has no name;
    /// a user who is not here has no groups.
    ///
    /// # Errors
    /// The directory cannot say.
    pub(crate) async fn groups_of(&self, user: &Ticketed) -> Result<Vec<String>, Unavailable> {
        let answer = match user {
            Ticketed::Groups(sids) => {
                let sids: Vec<_> = sids.iter().filter_map(|text| sid::bytes(text)).collect();
                self.ask(&Question::Groups(&sids)).await?
            }
            Ticketed::User(_) if self.config.users.is_none() => return Ok(Vec::new()),
            Ticketed::User(principal) => self.ask(&Question::LookUp(principal)).await?,
        };
        Ok(match answer {
            Answer::Groups(names) => names,
            Answer::Yes(verified) => verified.groups,
            Answer::No(_) => Vec::new(),
        })
    }

    async fn ask(&self, question: &Question<'_>) -> Result<Answer, Unavailable> {
        let until = Instant::now() + self.config.limits.whole;
        let _turn = self
            .turns
            .take(until)
            .await
            .map_err(|text| Unavailable { text })?;
        let mut said = Vec::new();
        for server in &self.servers {
            let trial = match server.admit() {
                Ok(trial) => trial,
                Err(rests) => {
                    said.push(format!("{}: {rests}", server.url));
                    continue;
                }
            };
            let session = Session {
                config: &self.config,
                server,
                account: &self.account,
                until,
            };
            let answer = match question {
                Question::Verify(login, password) => session.verify(*login, password).await,
                Question::LookUp(principal) => session.look_up(principal).await,
                Question::Groups(sids) => session.group_names(sids).await,
            };
            match answer {
                Ok(answer) => {
                    trial.answered();
                    return Ok(answer);
                }
                Err(Failure::Server(text)) => {
                    self.watch.server_failed(LABEL, &server.url.to_string(), &text);
                    trial.failed(&text);
                    said.push(format!("{}: {text}", server.url));
                }
                Err(Failure::Directory(text)) => {
                    trial.answered();
                    said.push(format!("{}: {text}", server.url));
                    break;
                }
                Err(Failure::Late(text)) => {
                    said.push(format!("{}: {text}", server.url));
                    break;
                }
            }
            if Instant::now() >= until {
                break;
            }
        }
        Err(Unavailable {
            text: said.join("; "),
        })
    }
}

fn verified(answer: Answer) -> Result<Verified, Refused> {
    match answer {
        Answer::Yes(verified) => Ok(verified),
        Answer::No(why) => Err(refused(why)),
        Answer::Groups(_) => Err(Refused { why: None }),
    }
}

fn refused(why: String) -> Refused {
    Refused { why: Some(why) }
}

impl fmt::Debug for Ldap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ldap")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
