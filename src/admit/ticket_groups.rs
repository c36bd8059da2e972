//! The groups of users whom a ticket has shown: a ticket has them as identifiers, or not at all.

use super::challenge::{Undecided, Unsure};
use super::directory::Directory;
use super::flights::Flights;
use super::limits::PasswordLimits;
use super::login::Ticketed;
use super::names::group_name;
use super::watch::{AdmitWatch, Answer};
use quick_cache::sync::Cache;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// How many answers are remembered: users of one department have the same groups.
const ENTRIES: usize = 2000;

type GroupNames = Arc<[Arc<str>]>;

/// Asks a directory for the names of groups, and remembers them.
pub(super) struct TicketGroups {
    directory: Arc<Directory>,
    limits: PasswordLimits,
    known: Cache<Ticketed, KnownGroups>,
    flights: Arc<Flights<Ticketed, Result<GroupNames, Unsure>>>,
    watch: Arc<dyn AdmitWatch>,
}

#[derive(Clone)]
struct KnownGroups {
    groups: GroupNames,
    at: Instant,
}

impl TicketGroups {
    pub(super) fn new(
        directory: Arc<Directory>,
        limits: PasswordLimits,
        watch: Arc<dyn AdmitWatch>,
    ) -> Arc<Self> {
        Arc::new(Self {
            directory,
            limits,
            known: Cache::new(ENTRIES.min(limits.entries.max(1))),
            flights: Arc::default(),
            watch,
        })
    }

    /// The groups, by the names that everything else calls them. Who would be let in without those that cannot be asked for
    /// might be let in against a rule.
    pub(super) async fn of(self: &Arc<Self>, user: &Ticketed) -> Result<GroupNames, Unsure> {
        if let Some(groups) = self.at_hand(user) {
            return Ok(groups);
        }
        let known = self.known.get(user);
        let (asker, about) = (Arc::clone(self), user.clone());
        let asked = self.flights.join(user, || async move { asker.ask(about).await });
        let answer = asked
            .await
            .unwrap_or_else(|| Err(unsure("the question broke off".into())));
        let stale = known.filter(|known| {
            let lives = self.limits.stale;
            lives.is_some_and(|lives| known.at.elapsed() < lives)
        });
        match (answer, stale) {
            (Err(_), Some(stale)) => Ok(stale.groups),
            (answer, _) => answer,
        }
    }

    /// The same, if nobody has to be asked for that.
    pub(super) fn at_hand(&self, user: &Ticketed) -> Option<GroupNames> {
        let known = self.known.get(user)?;
        (known.at.elapsed() < self.limits.accepted).then_some(known.groups)
    }

    async fn ask(&self, user: Ticketed) -> Result<GroupNames, Unsure> {
        let begun = Instant::now();
        let asked = tokio::time::timeout(self.limits.timeout, self.directory.groups_of(&user)).await;
        let now = Instant::now();
        let answer = match asked {
            Ok(Ok(names)) => {
                let groups: GroupNames = names.iter().map(|name| group_name(name).into()).collect();
                let known = KnownGroups {
                    groups: Arc::clone(&groups),
                    at: now,
                };
                self.known.insert(user, known);
                Ok(groups)
            }
            Ok(Err(error)) => Err(unsure(error.text)),
            Err(_) => Err(unsure(format!("no answer after {:?}", self.limits.timeout))),
        };
        let told = match answer {
            Ok(_) => Answer::Accepted,
            Err(_) => Answer::Unavailable,
        };
        self.watch.asked(self.directory.label(), told, now - begun);
        answer
    }
}

fn unsure(text: String) -> Unsure {
    Unsure {
        why: Undecided::DirectoryUnavailable,
        text,
    }
}

impl fmt::Debug for TicketGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketGroups")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{TestDirectory, Told};
    use super::*;
    use std::time::Duration;

    fn asking(directory: &TestDirectory, limits: PasswordLimits) -> (Arc<TicketGroups>, Arc<Told>) {
        let told = Arc::<Told>::default();
        let groups = TicketGroups::new(
            Arc::new(Directory::Tested(directory.clone())),
            limits,
            told.clone(),
        );
        (groups, told)
    }

    fn sids(last: u32) -> Ticketed {
        Ticketed::Groups(vec![format!("S-1-5-21-{last}")])
    }

    #[tokio::test]
    async fn many_users_of_the_same_groups_ask_once() {
        let directory = TestDirectory::silent("");
        let (groups, told) = asking(&directory, PasswordLimits::DEFAULT);
        let all: Vec<_> = (0..30)
            .map(|_| {
                let groups = Arc::clone(&groups);
                tokio::spawn(async move { groups.of(&sids(7)).await })
            })
            .collect();
        directory.answer(1);
        for one in all {
            assert_eq!(&*one.await.unwrap().unwrap(), ["named s-1-5-21-7".into()]);
        }
        assert_eq!(directory.asked(), 1);
        assert_eq!(told.take(), ["tested: accepted"]);
        // Other groups, and a user without any in its ticket, are another question.
        directory.answer(2);
        assert!(groups.of(&sids(8)).await.is_ok());
        let user = Ticketed::User("ada@CORP.EXAMPLE".to_owned());
        assert_eq!(&*groups.of(&user).await.unwrap(), ["of ada@corp.example".into()]);
        assert_eq!(directory.asked(), 3);
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_not_taken_for_no_groups() {
        let directory = TestDirectory::of("");
        for (stale, holds) in [(None, false), (Some(Duration::from_secs(60)), true)] {
            directory.set_down(false);
            let limits = PasswordLimits {
                accepted: Duration::ZERO,
                stale,
                ..PasswordLimits::DEFAULT
            };
            let (groups, told) = asking(&directory, limits);
            assert!(groups.of(&sids(1)).await.is_ok());
            directory.set_down(true);
            assert_eq!(groups.of(&sids(1)).await.is_ok(), holds);
            let never = groups.of(&sids(2)).await.unwrap_err();
            assert_eq!(never.why, Undecided::DirectoryUnavailable);
            assert_eq!(told.take().last().unwrap(), "tested: unavailable");
        }
    }
}
