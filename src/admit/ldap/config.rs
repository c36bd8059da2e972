//! A directory as the configuration has it.

use super::template::Template;
use super::url::LdapUrl;
use crate::handshake::ServiceTls;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A directory and how it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapConfig {
    /// Servers of the same directory, the preferred first.
    pub servers: Vec<LdapUrl>,
    /// How they are verified. Without it there is no connection but to `ldap://` servers, and unencrypted.
    pub tls: Option<Arc<ServiceTls>>,
    /// How the name to bind with is found.
    pub bind: BindBy,
    /// Where users are found.
    pub users: Option<Users>,
    /// Who searches, where it is not the user.
    pub account: Option<ServiceAccount>,
    /// How groups are found.
    pub groups: GroupSearch,
    /// How long each step may take.
    pub limits: LdapLimits,
    /// How many questions may be under way at once, and so how many connections for each purpose are open.
    pub connections: usize,
    /// How many more may wait for their turn.
    pub waiting: usize,
    /// How long a server rests that failed.
    pub rest: Duration,
}

impl LdapConfig {
    /// Whether what a directory of `other` said of users holds for this one too.
    pub(in crate::admit) fn keeps_verdicts_of(&self, other: &Self) -> bool {
        let asked = |config: &Self| {
            let Self {
                bind, users, groups, ..
            } = config;
            (bind.clone(), users.clone(), groups.clone())
        };
        self.servers == other.servers && asked(self) == asked(other)
    }
}

/// How the name is found that a user binds with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindBy {
    /// It is made from the user's name.
    Template(Template),
    /// It is the DN of the entry that [`LdapConfig::users`] finds.
    Search,
}

/// Where users are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users {
    /// The entry below which they are.
    pub base: String,
    /// What finds one.
    pub filter: Template,
    /// The attribute with the user's name, as it stands in policies and logs. One of several values is the one that the
    /// user wrote.
    pub name: String,
}

/// Whom the proxy binds as to search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its DN, or what else its server takes.
    pub name: String,
    /// Its password.
    pub password: Secret,
}

/// A text that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// How the groups of a user are found. Each is named by its attribute [`GroupSearch::name`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSearch {
    /// By what.
    pub by: GroupsBy,
    /// The entry below which groups are.
    pub base: String,
    /// The attribute with the name of a group.
    pub name: String,
    /// How deep groups within groups are followed; 1 is none but the user's own. AD itself follows all.
    pub depth: usize,
    /// More than so many groups of one user are an error: to leave some out could allow what a rule denies.
    pub most: usize,
}

/// By what groups are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupsBy {
    /// They are not looked for.
    None,
    /// AD's `tokenGroups`: nested ones and the primary one too, all that Windows would put into a ticket.
    Ad,
    /// The attribute `memberOf` of the user and of the groups.
    MemberOf,
    /// A search for groups that name their member.
    Search(Template),
}

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LdapLimits {
    /// A TCP connection.
    pub connect: Duration,
    /// The handshake of TLS, StartTLS included.
    pub tls: Duration,
    /// A bind.
    pub bind: Duration,
    /// A search.
    pub search: Duration,
    /// All of it, on all servers, waiting for a turn included.
    pub whole: Duration,
}

impl Default for LdapLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            tls: Duration::from_secs(3),
            bind: Duration::from_secs(3),
            search: Duration::from_secs(3),
            whole: Duration::from_secs(10),
        }
    }
}
