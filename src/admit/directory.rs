//! What passwords are asked of.

use super::htpasswd::{Htpasswd, HtpasswdTable};
use super::ldap::{self, Ldap, LdapConfig};
use super::login::{Login, Refused, Ticketed, Unavailable, Verified};
use super::watch::AdmitWatch;
use std::sync::Arc;

/// The metric label and log word of files.
const HTPASSWD: &str = "htpasswd";

/// What a directory is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryConfig {
    /// A file that was read.
    Htpasswd(Arc<HtpasswdTable>),
    /// Servers that are asked by LDAP.
    Ldap(Arc<LdapConfig>),
    /// One that tests play.
    #[cfg(test)]
    Tested(super::testing::TestDirectory),
}

impl DirectoryConfig {
    /// `watch` hears of servers that fail.
    pub(super) fn open(&self, watch: &Arc<dyn AdmitWatch>) -> Directory {
        match self {
            Self::Ldap(config) => Directory::Ldap(Box::new(Ldap::new(Arc::clone(config), Arc::clone(watch)))),
            Self::Htpasswd(table) => Directory::Htpasswd(Htpasswd::new(Arc::clone(table))),
            #[cfg(test)]
            Self::Tested(directory) => Directory::Tested(directory.clone()),
        }
    }

    /// The metric label and log word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Htpasswd(_) => HTPASSWD,
            Self::Ldap(_) => ldap::LABEL,
            #[cfg(test)]
            Self::Tested(_) => "tested",
        }
    }

    /// Whether what the directory of `other` said holds for this one too.
    pub(super) fn keeps_verdicts_of(&self, other: &Self) -> bool {
        match (self, other) {
            // Each verdict depends on the version of its entry.
            (Self::Htpasswd(_), Self::Htpasswd(_)) => true,
            (Self::Ldap(ours), Self::Ldap(theirs)) => ours.keeps_verdicts_of(theirs),
            _ => self == other,
        }
    }
}

/// One source of users.
#[derive(Debug)]
pub(crate) enum Directory {
    /// A file that was read into memory.
    Htpasswd(Htpasswd),
    /// Servers that are asked by LDAP.
    Ldap(Box<Ldap>),
    /// One that tests play.
    #[cfg(test)]
    Tested(super::testing::TestDirectory),
}

impl Directory {
    /// Asks whether this is the user's password. A user whom it does not know is refused.
    pub(crate) async fn verify(
        &self,
        login: &Login,
        password: &[u8],
    ) -> Result<Result<Verified, Refused>, Unavailable> {
        let verified = match self {
            Self::Ldap(ldap) => return ldap.verify(login, password).await,
            Self::Htpasswd(file) => file.verify(login, password).await,
            #[cfg(test)]
            Self::Tested(directory) => directory.verify(login, password).await,
        };
        verified.map(|verified| verified.ok_or(Refused { why: None }))
    }

    /// Whether it can be asked for the groups of whom a ticket has shown.
    pub(crate) fn knows_groups(&self) -> bool {
        match self {
            Self::Htpasswd(_) => false,
            Self::Ldap(ldap) => ldap.knows_groups(),
            #[cfg(test)]
            Self::Tested(_) => true,
        }
    }

    /// The groups of whom a ticket has shown, as the directory spells them. Who is not in it is in none.
    pub(crate) async fn groups_of(&self, user: &Ticketed) -> Result<Vec<String>, Unavailable> {
        match self {
            Self::Htpasswd(_) => Ok(Vec::new()),
            Self::Ldap(ldap) => ldap.groups_of(user).await,
            #[cfg(test)]
            Self::Tested(directory) => directory.groups_of(user).await,
        }
    }

    /// What verdicts about this user depend on: one that was reached by another version holds no more. Asked for each
    /// request, so it must be found at once.
    pub(crate) fn version(&self, login: &Login) -> u64 {
        match self {
            Self::Htpasswd(file) => file.version(login),
            // Nobody tells when it changes.
            Self::Ldap(_) => 0,
            #[cfg(test)]
            Self::Tested(_) => 0,
        }
    }

    /// The metric label and log word.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Htpasswd(_) => HTPASSWD,
            Self::Ldap(_) => ldap::LABEL,
            #[cfg(test)]
            Self::Tested(_) => "tested",
        }
    }
}
