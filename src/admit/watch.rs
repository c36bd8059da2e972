//! Who is told of logins.

use super::challenge::{Scheme, Undecided, Unproven};
use crate::error::words;
use std::net::IpAddr;
use std::time::Duration;

words! {
    /// Where a verdict comes from.
    pub enum Source {
        /// The credentials alone tell.
        Credentials = "credentials",
        /// The directory was asked, or another's question to it was joined.
        Directory = "directory",
        /// It was remembered.
        Cache = "cache",
        /// It was remembered for longer than usual, since the directory cannot be asked.
        StaleCache = "stale_cache",
        /// The connection was proven before.
        Connection = "connection",
        /// Somebody has logged in from the same address.
        Address = "address",
        /// The guard against guessing: nobody was asked.
        Guard = "guard",
    }
}

words! {
    /// What a directory said.
    pub enum Answer {
        /// It is who it says.
        Accepted = "accepted",
        /// It is not.
        Refused = "refused",
        /// Nothing, or nothing that makes sense.
        Unavailable = "unavailable",
    }
}

/// What judging came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is known who asks.
    Accepted,
    /// It is not.
    Unproven(Unproven),
    /// Nobody can tell.
    Undecided(Undecided),
}

impl Claim {
    /// Every one, for metrics that start at zero.
    pub fn all() -> impl Iterator<Item = Self> {
        let unproven = Unproven::ALL.iter().map(|&why| Self::Unproven(why));
        let undecided = Undecided::ALL.iter().map(|&why| Self::Undecided(why));
        std::iter::once(Self::Accepted).chain(unproven).chain(undecided)
    }

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unproven(why) => why.label(),
            Self::Undecided(why) => why.label(),
        }
    }
}

/// Credentials were judged.
#[derive(Debug, Clone, Copy)]
pub struct CredentialsJudged<'a> {
    /// By which scheme they were shown.
    pub scheme: Scheme,
    /// What it came to.
    pub claim: Claim,
    /// How that is known.
    pub source: Source,
    /// Whose address they came from.
    pub client: IpAddr,
    /// The name that was claimed, where one could be read: normalised, but not verified unless they were accepted.
    pub claimed: Option<&'a str>,
    /// The cause in words, where there is more to say.
    pub detail: Option<&'a str>,
}

/// Hears what becomes of logins.
pub trait AdmitWatch: Send + Sync {
    /// Credentials were judged, or missed.
    fn judged(&self, judged: &CredentialsJudged<'_>);

    /// A directory of this kind has answered after this time, or not.
    fn asked(&self, directory: &'static str, answer: Answer, took: Duration);

    /// A server of a directory of this kind did not answer, and is left alone for a while; another one may have answered in
    /// its place.
    fn server_failed(&self, _directory: &'static str, _server: &str, _why: &str) {}

    /// From now on, a directory is not asked for this name for so long: there were so many wrong passwords for it, the last
    /// of them from this client.
    fn locked_out(&self, claimed: &str, client: IpAddr, attempts: u32, rest: Duration);
}
