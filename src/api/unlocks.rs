//! Sight of what is locked for one person alone: names of people, or content without its mask. A second person has to let
//! them, for a time that has an end.

use super::rights::Caller;
use crate::error::words;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The most that are remembered, over or not.
const KEPT: usize = 100;
/// For how long somebody who has asked waits for another person.
const WAITS: Duration = Duration::from_secs(60 * 60);

words! {
    /// What is locked.
    pub(super) enum Locked {
        /// Content without its mask.
        Raw = "raw",
        /// The names and addresses of people.
        People = "people",
    }
}

/// All that were asked for lately.
#[derive(Debug, Default)]
pub(super) struct Unlocks(Mutex<VecDeque<Unlock>>);

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Unlock {
    pub(super) id: u64,
    pub(super) what: Locked,
    pub(super) reason: String,
    lasts: Duration,
    /// Who wants to see.
    pub(super) person: Arc<str>,
    pub(super) by: String,
    asked: Instant,
    granted: Option<Granted>,
    is_over: bool,
}

/// Who has let somebody, and until when.
#[derive(Debug, Clone)]
struct Granted {
    by: String,
    until: Instant,
}

/// Why nobody is let.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotLet {
    /// There is nothing of this number to be let, or no more.
    None,
    /// It is the same person.
    Oneself,
}

impl Unlock {
    fn state(&self, now: Instant) -> &'static str {
        match &self.granted {
            _ if self.is_over => "ended",
            Some(granted) if granted.until > now => "granted",
            None if now.saturating_duration_since(self.asked) < WAITS => "asked",
            _ => "ended",
        }
    }

    pub(super) fn shown(&self, now: Instant) -> Value {
        let left = self.granted.as_ref().filter(|_| self.state(now) == "granted");
        json!({
            "id": self.id, "what": self.what.label(), "reason": self.reason, "by": self.by, "state": self.state(now),
            "seconds": self.lasts.as_secs(), "granted_by": self.granted.as_ref().map(|granted| &granted.by),
            "seconds_left": left.map(|granted| granted.until.saturating_duration_since(now).as_secs()),
        })
    }
}

impl Unlocks {
    pub(super) fn all(&self) -> MutexGuard<'_, VecDeque<Unlock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when this person may see it.
    pub(super) fn until(&self, what: Locked, person: &str, now: Instant) -> Option<Instant> {
        let all = self.all();
        let own = all
            .iter()
            .filter(|it| it.what == what && *it.person == *person && it.state(now) == "granted");
        own.filter_map(|it| it.granted.as_ref().map(|granted| granted.until))
            .max()
    }

    pub(super) fn ask(
        &self,
        caller: &Caller,
        what: Locked,
        reason: String,
        lasts: Duration,
        now: Instant,
    ) -> Unlock {
        let mut all = self.all();
        let asked = Unlock {
            id: all.back().map_or(1, |last| last.id + 1),
            what,
            reason,
            lasts,
            person: Arc::clone(&caller.person),
            by: caller.by.clone(),
            asked: now,
            granted: None,
            is_over: false,
        };
        if all.len() >= KEPT {
            let goes = goes_first(&all, &caller.person, now);
            all.remove(goes);
        }
        all.push_back(asked.clone());
        asked
    }

    /// What would be let, if this person may let it.
    pub(super) fn may_let(&self, id: u64, person: &str, now: Instant) -> Result<Unlock, NotLet> {
        let all = self.all();
        let found = all.iter().find(|it| it.id == id && it.state(now) == "asked");
        let found = found.ok_or(NotLet::None)?;
        match *found.person == *person {
            true => Err(NotLet::Oneself),
            false => Ok(found.clone()),
        }
    }

    pub(super) fn grant(&self, id: u64, by: &Caller, now: Instant) -> Result<Unlock, NotLet> {
        self.may_let(id, &by.person, now)?;
        let mut all = self.all();
        let found = all.iter_mut().find(|it| it.id == id).ok_or(NotLet::None)?;
        found.granted = Some(Granted {
            by: by.by.clone(),
            until: now + found.lasts,
        });
        Ok(found.clone())
    }

    pub(super) fn end(&self, id: u64) -> Option<Unlock> {
        let mut all = self.all();
        let found = all.iter_mut().find(|it| it.id == id)?;
        found.is_over = true;
        Some(found.clone())
    }
}

/// Which makes place for what this person asks for: who asks often takes no place from others while they have one to give,
/// and nobody ends by asking what somebody was let.
fn goes_first(all: &VecDeque<Unlock>, person: &str, now: Instant) -> usize {
    let is_over = |it: &Unlock| it.state(now) == "ended";
    let is_own = |it: &Unlock| *it.person == *person && it.granted.is_none();
    let over = all.iter().position(is_over);
    over.or_else(|| all.iter().position(is_own))
        .or_else(|| all.iter().position(|it| it.granted.is_none()))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::rights::Right;

    fn caller(person: &str) -> Caller {
        Caller {
            by: format!("{person} from 192.0.2.1"),
            person: person.into(),
            rights: Right::ALL.to_vec(),
            is_local: false,
            still: crate::api::rights::StillMay::by(|_| true),
        }
    }

    #[test]
    fn a_second_person_lets_somebody_for_a_time() {
        let (all, now) = (Unlocks::default(), Instant::now());
        let minute = Duration::from_secs(60);
        let (ada, ben) = (caller("ada"), caller("ben"));
        let asked = all.ask(&ada, Locked::Raw, "ticket 7".into(), minute, now);
        assert_eq!((asked.state(now), asked.state(now + WAITS)), ("asked", "ended"));
        assert_eq!(all.until(Locked::Raw, "ada", now), None, "asking is not enough");
        assert_eq!(all.grant(asked.id, &ada, now).unwrap_err(), NotLet::Oneself);
        assert_eq!(all.grant(99, &ben, now).unwrap_err(), NotLet::None);
        assert_eq!(
            all.grant(asked.id, &ben, now + WAITS).unwrap_err(),
            NotLet::None,
            "too late"
        );
        all.grant(asked.id, &ben, now).unwrap();
        assert_eq!(all.grant(asked.id, &ben, now).unwrap_err(), NotLet::None, "once");
        assert_eq!(all.until(Locked::Raw, "ada", now), Some(now + minute));
        assert_eq!(all.until(Locked::Raw, "ada", now + minute), None, "it has an end");
        assert_eq!(all.until(Locked::People, "ada", now), None, "of something else");
        assert_eq!(all.until(Locked::Raw, "ben", now), None, "for somebody else");
        all.end(asked.id);
        assert_eq!(all.until(Locked::Raw, "ada", now), None, "ended before its time");
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let all = Unlocks::default();
        for _ in 0..KEPT + 5 {
            all.ask(
                &caller("ada"),
                Locked::People,
                "ticket".into(),
                WAITS,
                Instant::now(),
            );
        }
        let kept = all.all();
        assert_eq!((kept.len(), kept.front().unwrap().id), (KEPT, 6));
    }

    #[test]
    fn who_asks_often_takes_nothing_from_others() {
        let (all, now) = (Unlocks::default(), Instant::now());
        let ask = |person: &str, now| {
            let asked = all.ask(&caller(person), Locked::Raw, "ticket".into(), WAITS, now);
            asked.id
        };
        let ids = || all.all().iter().map(|it| it.id).collect::<Vec<_>>();
        let (let_to_ada, waits) = (ask("ada", now), ask("ben", now));
        all.grant(let_to_ada, &caller("ben"), now).unwrap();
        let given = (0..3 * KEPT).map(|_| ask("cem", now));
        let given: std::collections::BTreeSet<_> = given.collect();
        assert_eq!(given.len(), 3 * KEPT, "no number comes twice");
        assert_eq!(ids()[..2], [let_to_ada, waits]);
        assert!(all.until(Locked::Raw, "ada", now).is_some());
        // Who has none to give takes what nobody was let, and what is over goes before all.
        ask("dan", now);
        assert!(ids().len() == KEPT && ids()[0] == let_to_ada && !ids().contains(&waits));
        let last = *ids().last().unwrap();
        all.end(last);
        let next = ask("cem", now);
        assert!(next > last && !ids().contains(&last) && ids().len() == KEPT);
    }
}
