//! Names and passwords: what is remembered, what is held back, and what the directory is asked.

use super::basic::NameAndPassword;
use super::challenge::{Undecided, Unproven, Unsure};
use super::directory::Directory;
use super::flights::Flights;
use super::guard::Guard;
use super::limits::PasswordLimits;
use super::names::Names;
use super::verdicts::{KnownVerdict, VerdictKey, Verdicts};
use super::watch::{AdmitWatch, Answer, Source};
use crate::identity::{Identity, Proof};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;

impl Default for PasswordLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What became of a name with a password.
#[derive(Debug, Clone)]
pub(super) enum Told {
    Accepted(Arc<Identity>, Source),
    /// Why, how that is known, and what the directory says of it.
    Unproven(Unproven, Source, Option<Arc<str>>),
    Unsure(Unsure),
}

/// Asks one directory for passwords.
pub(super) struct Passwords {
    pub(super) directory: Arc<Directory>,
    names: Names,
    limits: PasswordLimits,
    verdicts: Arc<Verdicts>,
    guard: Arc<Guard>,
    flights: Arc<Flights<VerdictKey, Told>>,
    waiting: Semaphore,
    watch: Arc<dyn AdmitWatch>,
}

impl Passwords {
    /// `before` is what the configuration before remembers; `keeps_verdicts` says that the directory is still the same.
    pub(super) fn new(
        directory: Arc<Directory>,
        names: Names,
        limits: PasswordLimits,
        watch: Arc<dyn AdmitWatch>,
        before: Option<(&Self, bool)>,
    ) -> Self {
        let before = before.filter(|(before, _)| before.limits == limits);
        let same = before.filter(|(before, keeps_verdicts)| *keeps_verdicts && before.names == names);
        Self {
            directory,
            names,
            limits,
            verdicts: same.map_or_else(
                || Arc::new(Verdicts::new(limits)),
                |(before, _)| Arc::clone(&before.verdicts),
            ),
            // Whoever reloads must not set guessers free.
            guard: before.map_or_else(
                || Arc::new(Guard::new(limits)),
                |(before, _)| Arc::clone(&before.guard),
            ),
            flights: Arc::default(),
            waiting: Semaphore::new(limits.waiting.min(Semaphore::MAX_PERMITS)),
            watch,
        }
    }

    fn key(&self, shown: &NameAndPassword) -> Option<VerdictKey> {
        self.verdicts.key(shown, self.directory.version(&shown.login))
    }

    /// Who it is if that is remembered, and how.
    pub(super) fn remembered(&self, shown: &NameAndPassword) -> Option<(Arc<Identity>, Source)> {
        match self.known(&self.key(shown)?)? {
            Told::Accepted(identity, source) => Some((identity, source)),
            Told::Unproven(..) | Told::Unsure(_) => None,
        }
    }

    /// Who it is. A directory that cannot be asked is no reason to say no.
    pub(super) async fn judge(self: &Arc<Self>, shown: NameAndPassword, client: IpAddr) -> Told {
        let unsure = |why, text: &str| {
            let text = text.to_owned();
            Told::Unsure(Unsure { why, text })
        };
        let Some(key) = self.key(&shown) else {
            return unsure(Undecided::DirectoryUnavailable, "there is no randomness");
        };
        if let Some(told) = self.known(&key) {
            return told;
        }
        let Ok(_waiting) = self.waiting.try_acquire() else {
            let text = "too many requests wait for the directory";
            return self.stale(&key).unwrap_or_else(|| unsure(Undecided::Busy, text));
        };
        let asker = Arc::clone(self);
        let asking = self.flights.join(&key, || async move {
            // Another's question may just have been answered.
            match asker.known(&key) {
                Some(told) => told,
                None => asker.ask(key, &shown, client).await,
            }
        });
        match asking.await {
            Some(Told::Unsure(why)) => self.stale(&key).unwrap_or(Told::Unsure(why)),
            Some(told) => told,
            None => unsure(Undecided::DirectoryUnavailable, "the question broke off"),
        }
    }

    fn known(&self, key: &VerdictKey) -> Option<Told> {
        match self.verdicts.get(key, Instant::now()) {
            KnownVerdict::Accepted(identity, false) => Some(Told::Accepted(identity, Source::Cache)),
            KnownVerdict::Accepted(identity, true) => Some(Told::Accepted(identity, Source::StaleCache)),
            KnownVerdict::Refused => Some(Told::Unproven(Unproven::WrongPassword, Source::Cache, None)),
            KnownVerdict::Unknown { .. } => None,
        }
    }

    fn stale(&self, key: &VerdictKey) -> Option<Told> {
        let identity = self.verdicts.stale(key, Instant::now())?;
        Some(Told::Accepted(identity, Source::StaleCache))
    }

    /// Asks the directory, unless that might lock the account.
    async fn ask(&self, key: VerdictKey, shown: &NameAndPassword, client: IpAddr) -> Told {
        let (begun, claimed) = (Instant::now(), &*shown.login.canonical);
        let was_accepted = matches!(
            self.verdicts.get(&key, begun),
            KnownVerdict::Unknown { was_accepted: true }
        );
        let attempt = match self.guard.enter(claimed, client, was_accepted, begun) {
            Ok(attempt) => attempt,
            Err(why) => return Told::Unproven(why, Source::Guard, None),
        };
        let asked = self.directory.verify(&shown.login, &shown.password);
        let asked = tokio::time::timeout(self.limits.timeout, asked).await;
        let now = Instant::now();
        let (answer, told) = match asked {
            Ok(Ok(Ok(verified))) => match self.names.identity(&verified, Proof::Basic) {
                Some(identity) => {
                    let identity = Arc::new(identity);
                    self.verdicts.accept(key, Arc::clone(&identity), now);
                    (Answer::Accepted, Told::Accepted(identity, Source::Directory))
                }
                None => unavailable(format!(
                    "the directory calls the user {:?}, which cannot be a name",
                    verified.name
                )),
            },
            Ok(Ok(Err(refused))) => {
                self.verdicts.refuse(key, now);
                let (why, detail) = (Unproven::WrongPassword, refused.why.map(Into::into));
                (Answer::Refused, Told::Unproven(why, Source::Directory, detail))
            }
            Ok(Err(error)) => unavailable(error.text),
            Err(_) => unavailable(format!("no answer after {:?}", self.limits.timeout)),
        };
        self.watch.asked(self.directory.label(), answer, now - begun);
        if let Some(locked) = attempt.answered(answer, now) {
            let rest = self.limits.lockout_window;
            self.watch.locked_out(claimed, client, locked.attempts, rest);
        }
        told
    }
}

fn unavailable(text: String) -> (Answer, Told) {
    let why = Undecided::DirectoryUnavailable;
    (Answer::Unavailable, Told::Unsure(Unsure { why, text }))
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords")
            .field("directory", &self.directory)
            .field("verdicts", &self.verdicts)
            .finish_non_exhaustive()
    }
}
