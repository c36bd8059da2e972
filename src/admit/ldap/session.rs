//! One question, asked of one server.

use super::config::{LdapConfig, Users};
use super::connection::{Connection, Found, QuestionFailed};
use super::refusal::{BindAnswer, judge, words};
use super::server::{Purpose, Server, lock};
use super::template::Values;
use crate::admit::login::Verified;
use ldap3::{LdapResult, Scope, SearchEntry};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// How long the service account's password is not tried again once it was refused: AD locks accounts, this one too.
const ACCOUNT_REST: Duration = Duration::from_secs(300);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server cannot say; another one may.
    Server(String),
    /// Another one would say the same, or is not to be asked.
    Directory(String),
    /// The time was over before the server had what it is allowed.
    Late(String),
}

/// What a directory says of a user.
#[derive(Debug)]
pub(super) enum Answer {
    Yes(Verified),
    /// The text is for the log.
    No(String),
    /// The names of groups.
    Groups(Vec<String>),
}

/// When the service account may be tried again, and what its last refusal was.
pub(super) type AccountRefused = Mutex<Option<(Instant, String)>>;

/// A question under way.
#[derive(Clone, Copy)]
pub(super) struct Session<'a> {
    pub(super) config: &'a LdapConfig,
    pub(super) server: &'a Server,
    pub(super) account: &'a AccountRefused,
    pub(super) until: Instant,
}

/// What searches are made on.
pub(super) struct Searcher {
    connection: Connection,
    purpose: Purpose,
    /// It was idle before, so that the server may have closed it just now.
    reused: bool,
}

/// How long a step may take, and whether that is less than it is allowed.
struct Limit {
    length: Duration,
    clipped: bool,
}

impl Session<'_> {
    /// Whether the password is right, and who it is.
    pub(super) async fn verify(&self, login: Values<'_>, password: &str) -> Result<Answer, Failure> {
        use super::config::BindBy;
        let template = match &self.config.bind {
            BindBy::Search => return self.search_and_bind(login, password).await,
            BindBy::Template(template) => template,
        };
        let dn = template.bind(login);
        let user = match self.bind_user(&dn, password).await? {
            Ok(connection) => connection,
            Err(refused) => return Ok(Answer::No(refused)),
        };
        let mut searcher = match self.config.account {
            None => Searcher {
                connection: user,
                purpose: Purpose::Users,
                reused: false,
            },
            Some(_) => {
                self.server.give_back(Purpose::Users, user);
                self.searcher().await?
            }
        };
        let answer = match &self.config.users {
            Some(users) => match self
                .find(&mut searcher, users, &users.filter.filter(login))
                .await?
            {
                Ok(entry) => self
                    .describe(&mut searcher, users, entry, login)
                    .await
                    .map(Answer::Yes),
                Err(none) => Ok(Answer::No(none)),
            },
            None => {
                let groups = self.groups(&mut searcher, &dn, login.name).await?;
                let name = login.name.to_owned();
                Ok(Answer::Yes(Verified { name, groups }))
            }
        };
        self.keep(searcher);
        answer
    }

    async fn search_and_bind(&self, login: Values<'_>, password: &str) -> Result<Answer, Failure> {
        let users = self.users()?;
        let mut searcher = self.searcher().await?;
        let found = self
            .find(&mut searcher, users, &users.filter.filter(login))
            .await?;
        let entry = match found {
            Ok(entry) => entry,
            Err(none) => {
                self.keep(searcher);
                return Ok(Answer::No(none));
            }
        };
        match self.bind_user(&entry.dn, password).await? {
            Ok(connection) => self.server.give_back(Purpose::Users, connection),
            Err(refused) => {
                self.keep(searcher);
                return Ok(Answer::No(refused));
            }
        }
        let verified = self.describe(&mut searcher, users, entry, login).await?;
        self.keep(searcher);
        Ok(Answer::Yes(verified))
    }

    /// Who the user of a principal is, whom a ticket has shown.
    pub(super) async fn look_up(&self, principal: &str) -> Result<Answer, Failure> {
        let users = self.users()?;
        let (name, domain) = principal.rsplit_once('@').unwrap_or((principal, ""));
        let (filter, login) = named(users, name, domain);
        let mut searcher = self.searcher().await?;
        let found = self.find(&mut searcher, users, &filter).await?;
        let answer = match found {
            Ok(entry) => self
                .describe(&mut searcher, users, entry, login)
                .await
                .map(Answer::Yes),
            Err(none) => Ok(Answer::No(none)),
        };
        self.keep(searcher);
        answer
    }

    /// The names of the groups with these security identifiers.
    pub(super) async fn group_names(&self, sids: &[Vec<u8>]) -> Result<Answer, Failure> {
        let mut searcher = self.searcher().await?;
        let names = self.names_of(&mut searcher, sids).await?;
        self.keep(searcher);
        Ok(Answer::Groups(names))
    }

    fn users(&self) -> Result<&Users, Failure> {
        let users = self.config.users.as_ref();
        users.ok_or_else(|| Failure::Directory("nothing says where users are found".to_owned()))
    }

    /// The entry of one user; otherwise why there is none, for the log.
    async fn find(
        &self,
        searcher: &mut Searcher,
        users: &Users,
        filter: &str,
    ) -> Result<Result<SearchEntry, String>, Failure> {
        let at = (users.base.as_str(), Scope::Subtree, filter);
        let found = self.search(searcher, at, &[&users.name], 2).await?;
        // With a limit of two, more than that is an error; AD's says so too late.
        let many = found.result.rc == 4 || found.entries.len() > 1;
        if !many {
            self.succeeded(&found.result, &users.base)?;
        }
        match found.entries.into_iter().next() {
            _ if many => Ok(Err(format!("more than one entry fits {filter}"))),
            Some(entry) if !entry.dn.is_empty() => Ok(Ok(entry)),
            _ => Ok(Err(format!("no entry below {:?} fits {filter}", users.base))),
        }
    }

    /// The name and the groups of an entry.
    async fn describe(
        &self,
        searcher: &mut Searcher,
        users: &Users,
        entry: SearchEntry,
        login: Values<'_>,
    ) -> Result<Verified, Failure> {
        let names = texts(&entry, &users.name);
        let written = names
            .iter()
            .find(|name| name.to_lowercase() == login.name.to_lowercase());
        let Some(name) = written.or(names.first()) else {
            return Err(Failure::Directory(format!("{} has no {}", entry.dn, users.name)));
        };
        let groups = self.groups(searcher, &entry.dn, name).await?;
        Ok(Verified {
            name: name.clone(),
            groups,
        })
    }

    /// Binds as a user, on a connection that nothing else is asked on. The inner error is the directory's no.
    async fn bind_user(&self, name: &str, password: &str) -> Result<Result<Connection, String>, Failure> {
        let limit = self.limit(self.config.limits.bind);
        let idle = self.server.take(Purpose::Users);
        let bound = match idle {
            Some(mut connection) => match connection.bind(name, password, limit.length).await {
                // The server had closed it.
                Err(broken) if broken.ended => None,
                bound => Some((connection, bound)),
            },
            None => None,
        };
        let (connection, bound) = match bound {
            Some(bound) => bound,
            None => {
                let mut connection = self.open().await?;
                let bound = connection.bind(name, password, limit.length).await;
                (connection, bound)
            }
        };
        match judge(&bound.map_err(|broken| limit.failure(broken))?) {
            BindAnswer::Right => Ok(Ok(connection)),
            BindAnswer::Refused(text) => {
                self.server.give_back(Purpose::Users, connection);
                Ok(Err(text))
            }
            BindAnswer::Unjudged(text) => Err(Failure::Server(format!("no verdict on a bind: {text}"))),
        }
    }

    /// A connection to search on.
    pub(super) async fn searcher(&self) -> Result<Searcher, Failure> {
        let (connection, reused) = match self.server.take(Purpose::Searches) {
            Some(connection) => (connection, true),
            None => (self.open_as_account().await?, false),
        };
        Ok(Searcher {
            connection,
            purpose: Purpose::Searches,
            reused,
        })
    }

    /// Keeps what nothing went wrong on.
    pub(super) fn keep(&self, searcher: Searcher) {
        self.server.give_back(searcher.purpose, searcher.connection);
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let limits = &self.config.limits;
        let opening = Connection::open(&self.server.url, self.config.tls.as_deref(), limits);
        match tokio::time::timeout_at(self.until, opening).await {
            Ok(opened) => opened.map_err(Failure::Server),
            Err(_) => Err(Failure::Late("no connection".to_owned())),
        }
    }

    async fn open_as_account(&self) -> Result<Connection, Failure> {
        if let Some((until, text)) = &*lock(self.account)
            && Instant::now() < *until
        {
            let text = format!("the service account was refused and is not tried again yet: {text}");
            return Err(Failure::Directory(text));
        }
        let mut connection = self.open().await?;
        let Some(account) = &self.config.account else {
            return Ok(connection);
        };
        let limit = self.limit(self.config.limits.bind);
        let password = &account.password.0;
        let bound = connection.bind(&account.name, password, limit.length).await;
        match judge(&bound.map_err(|broken| limit.failure(broken))?) {
            BindAnswer::Right => Ok(connection),
            BindAnswer::Refused(text) => {
                let refused = Instant::now() + ACCOUNT_REST;
                *lock(self.account) = Some((refused, text.clone()));
                Err(Failure::Directory(format!(
                    "the service account is refused: {text}"
                )))
            }
            BindAnswer::Unjudged(text) => Err(Failure::Server(format!(
                "no verdict on the service account: {text}"
            ))),
        }
    }

    /// Searches; once more on a new connection if the server had closed an idle one.
    pub(super) async fn search(
        &self,
        searcher: &mut Searcher,
        at: (&str, Scope, &str),
        attributes: &[&str],
        most: usize,
    ) -> Result<Found, Failure> {
        let limit = self.limit(self.config.limits.search);
        let found = searcher
            .connection
            .search(at, attributes, most, limit.length)
            .await;
        let found = match found {
            Err(broken) if broken.ended && searcher.reused => {
                searcher.connection = self.open_as_account().await?;
                searcher.reused = false;
                let limit = self.limit(self.config.limits.search);
                searcher
                    .connection
                    .search(at, attributes, most, limit.length)
                    .await
            }
            found => found,
        };
        let found = found.map_err(|broken| limit.failure(broken))?;
        searcher.reused = false;
        Ok(found)
    }

    /// One entry and some of its attributes; `None` if it is not there.
    pub(super) async fn read(
        &self,
        searcher: &mut Searcher,
        dn: &str,
        attributes: &[&str],
    ) -> Result<Option<SearchEntry>, Failure> {
        const NO_SUCH_OBJECT: u32 = 32;
        let found = self
            .search(searcher, (dn, Scope::Base, "(objectClass=*)"), attributes, 1)
            .await?;
        if found.result.rc == NO_SUCH_OBJECT {
            return Ok(None);
        }
        self.succeeded(&found.result, dn)?;
        Ok(found.entries.into_iter().next())
    }

    /// What the result of a search below `base` means, if it is not all well (RFC 4511 appendix A.1).
    pub(super) fn succeeded(&self, result: &LdapResult, base: &str) -> Result<(), Failure> {
        let text = || format!("a search below {base:?} fails: {}", words(result));
        match result.rc {
            0 => Ok(()),
            // timeLimitExceeded, busy, unavailable, other.
            3 | 51 | 52 | 80 => Err(Failure::Server(text())),
            _ => Err(Failure::Directory(text())),
        }
    }

    fn limit(&self, step: Duration) -> Limit {
        let left = self.until.saturating_duration_since(Instant::now());
        Limit {
            length: step.min(left),
            clipped: left < step,
        }
    }
}

impl Limit {
    fn failure(&self, broken: QuestionFailed) -> Failure {
        match broken.ended || !self.clipped {
            true => Failure::Server(broken.text),
            false => Failure::Late(broken.text),
        }
    }
}

fn named<'v>(users: &Users, name: &'v str, domain: &'v str) -> (String, Values<'v>) {
    let values = Values {
        name,
        domain,
        ..Values::default()
    };
    (users.filter.filter(values), values)
}

/// The values of an attribute, whatever the case of its name; binary ones are left out.
pub(super) fn texts<'e>(entry: &'e SearchEntry, attribute: &str) -> &'e [String] {
    let mut attributes = entry.attrs.iter();
    let found = attributes.find(|(name, _)| name.eq_ignore_ascii_case(attribute));
    found.map_or(&[], |(_, values)| values)
}
