//! What passwords are asked of.

use super::htpasswd::{Htpasswd, HtpasswdTable};
use super::login::{Login, Unavailable, Verified};
use std::sync::Arc;

/// What a directory is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryConfig {
    /// A file that was read.
    Htpasswd(Arc<HtpasswdTable>),
    /// One that tests play.
    #[cfg(test)]
    Tested(super::testing::TestDirectory),
}

impl DirectoryConfig {
    pub(super) fn open(&self) -> Directory {
        match self {
            Self::Htpasswd(table) => Directory::Htpasswd(Htpasswd::new(Arc::clone(table))),
            #[cfg(test)]
            Self::Tested(directory) => Directory::Tested(directory.clone()),
        }
    }

    /// Whether what the directory of `other` said holds for this one too.
    pub(super) fn keeps_verdicts_of(&self, other: &Self) -> bool {
        match (self, other) {
            // Each verdict depends on the version of its entry.
            (Self::Htpasswd(_), Self::Htpasswd(_)) => true,
            #[cfg(test)]
            _ => self == other,
        }
    }
}

/// One source of users.
#[derive(Debug)]
pub(crate) enum Directory {
    /// A file that was read into memory.
    Htpasswd(Htpasswd),
    /// One that tests play.
    #[cfg(test)]
    Tested(super::testing::TestDirectory),
}

impl Directory {
    /// Asks whether this is the user's password; `None` if it is not, or if there is no such user.
    pub(crate) async fn verify(
        &self,
        login: &Login,
        password: &[u8],
    ) -> Result<Option<Verified>, Unavailable> {
        match self {
            Self::Htpasswd(file) => file.verify(login, password).await,
            #[cfg(test)]
            Self::Tested(directory) => directory.verify(login, password).await,
        }
    }

    /// What verdicts about this user depend on: one that was reached by another version holds no more. Asked for each
    /// request, so it must be found at once.
    pub(crate) fn version(&self, login: &Login) -> u64 {
        match self {
            Self::Htpasswd(file) => file.version(login),
            #[cfg(test)]
            Self::Tested(_) => 0,
        }
    }

    /// The metric label and log word.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Htpasswd(_) => "htpasswd",
            #[cfg(test)]
            Self::Tested(_) => "tested",
        }
    }
}
