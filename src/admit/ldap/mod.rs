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

pub use config::{BindBy, Groups, GroupsBy, LdapConfig, Limits, Secret, ServiceAccount, Users};
pub use template::Template;
pub use url::LdapUrl;

use server::Server;
use session::{AccountRefused, Answer, Failure, Session};
use std::fmt;
use std::sync::Arc;
use template::Values;
use tokio::time::Instant;
use turns::Turns;

/// The longest name in bytes that a directory is asked for; AD's longest is 256 characters.
const NAME_MAX: usize = 1024;

/// Is told what clients are not.
pub trait LdapWatch: Send + Sync {
    /// The directory does not let this user in.
    fn refused(&self, name: &str, why: &str);
    /// A server did not answer.
    fn failed(&self, server: &str, why: &str);
}

/// What a client has written, split into its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The name without its domain.
    pub name: String,
    /// The domain, if the client named one that is ours.
    pub domain: Option<String>,
}

/// Who it is, as the directory spells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The user's name.
    pub name: String,
    /// The groups, nested ones included.
    pub groups: Vec<String>,
}

/// The directory cannot tell. The text is for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// What went wrong.
    pub text: String,
}

/// A directory.
pub struct Ldap {
    config: LdapConfig,
    servers: Vec<Server>,
    turns: Turns,
    account: AccountRefused,
    watch: Arc<dyn LdapWatch>,
}

/// Whom somebody else has verified.
#[derive(Debug, Clone, Copy)]
pub enum LookUp<'a> {
    /// By the security identifier, such as `S-1-5-21-1-2-3-1104`.
    Sid(&'a str),
    /// By the Kerberos principal, such as `ada@CORP.EXAMPLE`.
    Principal(&'a str),
    /// By the name.
    Name(&'a str),
}

enum Question<'q> {
    Verify(Values<'q>, &'q str),
    LookUp(&'q LookUp<'q>),
    Groups(&'q [Vec<u8>]),
}

impl Ldap {
    /// Does not connect before the first question.
    pub fn new(config: LdapConfig, watch: Arc<dyn LdapWatch>) -> Self {
        let server = |url: &LdapUrl| Server::new(url.clone(), &config);
        Self {
            servers: config.servers.iter().map(server).collect(),
            turns: Turns::new(config.connections.max(1), config.waiting),
            account: AccountRefused::default(),
            watch,
            config,
        }
    }

    /// What it was built from, to tell whether a reload changes it.
    pub fn config(&self) -> &LdapConfig {
        &self.config
    }

    /// Asks whether the password is right, and who that is. `None` is the directory's no.
    ///
    /// # Errors
    /// The directory cannot say.
    pub async fn verify(&self, login: &Login, password: &[u8]) -> Result<Option<Verified>, Unavailable> {
        let no = |why: &str| {
            self.watch.refused(&login.name, why);
            Ok(None)
        };
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
        let values = Values {
            name: &login.name,
            domain: login.domain.as_deref().unwrap_or_default(),
            dn: "",
        };
        let answer = self.ask(&Question::Verify(values, password)).await?;
        Ok(self.verified(answer, &login.name))
    }

    /// Asks who it is whom somebody else has verified. `None` if the directory knows no such user.
    ///
    /// # Errors
    /// The directory cannot say.
    pub async fn look_up(&self, who: &LookUp<'_>) -> Result<Option<Verified>, Unavailable> {
        let (LookUp::Sid(name) | LookUp::Principal(name) | LookUp::Name(name)) = *who;
        let answer = self.ask(&Question::LookUp(who)).await?;
        Ok(self.verified(answer, name))
    }

    /// The names of the groups with these security identifiers, such as a Kerberos ticket brings. What is no identifier,
    /// or of no group below the base, has none.
    ///
    /// # Errors
    /// The directory cannot say.
    pub async fn group_names(&self, sids: &[String]) -> Result<Vec<String>, Unavailable> {
        let sids: Vec<_> = sids.iter().filter_map(|text| sid::bytes(text)).collect();
        match self.ask(&Question::Groups(&sids)).await? {
            Answer::Groups(names) => Ok(names),
            Answer::Yes(_) | Answer::No(_) => Ok(Vec::new()),
        }
    }

    fn verified(&self, answer: Answer, name: &str) -> Option<Verified> {
        match answer {
            Answer::Yes(verified) => Some(verified),
            Answer::No(why) => {
                self.watch.refused(name, &why);
                None
            }
            Answer::Groups(_) => None,
        }
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
                Question::LookUp(who) => session.look_up(who).await,
                Question::Groups(sids) => session.group_names(sids).await,
            };
            match answer {
                Ok(answer) => {
                    trial.answered();
                    return Ok(answer);
                }
                Err(Failure::Server(text)) => {
                    self.watch.failed(&server.url.to_string(), &text);
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

impl fmt::Debug for Ldap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ldap")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
