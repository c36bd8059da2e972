//! Answers that still hold.

use super::answer::{Family, Found, Question};
use super::config::CacheLimits;
use super::reply::Reply;
use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use std::fmt;
use std::time::{Duration, Instant};

/// Answers, each for as long as it holds, and not more than there may be of them.
pub(super) struct Answers {
    kept: Option<Cache<Question, Kept>>,
    limits: CacheLimits,
}

#[derive(Debug, Clone)]
struct Kept {
    found: Found,
    until: Instant,
}

/// A question that owns nothing, to look with.
#[derive(Hash, PartialEq, Eq)]
struct BorrowedQuestion<'a> {
    name: &'a str,
    family: Family,
}

impl Equivalent<Question> for BorrowedQuestion<'_> {
    fn equivalent(&self, key: &Question) -> bool {
        *self.name == *key.name && self.family == key.family
    }
}

/// A server that failed is not asked again at once (RFC 9520 section 3.2 wants at least a second).
const FAILURE_TTL: Duration = Duration::from_secs(1);

/// How long it holds that there is none, where nobody says how long (no SOA). RFC 2308 section 5 would not keep that, for fear
/// of resolvers that keep it alive among each other. Home routers answer so for AAAA, and would be asked again for each
/// connection to a name whose other addresses are known; unbound keeps it for as long.
const UNSAID_TTL: Duration = Duration::from_secs(5);

impl Answers {
    pub(super) fn new(limits: CacheLimits) -> Self {
        Self {
            kept: (limits.entries > 0).then(|| Cache::new(limits.entries)),
            limits,
        }
    }

    /// What is known at `now`.
    pub(super) fn get(&self, name: &str, family: Family, now: Instant) -> Option<Found> {
        let kept = self.kept.as_ref()?.get(&BorrowedQuestion { name, family })?;
        (now < kept.until).then_some(kept.found)
    }

    /// Keeps what `reply` said at `now`, if it is to be kept at all.
    pub(super) fn keep(&self, question: Question, reply: &Reply, now: Instant) {
        let Some(kept) = &self.kept else { return };
        if let Some(until) = lifetime(&self.limits, reply).and_then(|ttl| now.checked_add(ttl)) {
            let found = reply.found.clone();
            kept.insert(question, Kept { found, until });
        }
    }

    /// How many there are; some may hold no more.
    pub(super) fn len(&self) -> usize {
        self.kept.as_ref().map_or(0, Cache::len)
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers")
            .field("len", &self.len())
            .field("limits", &self.limits)
            .finish()
    }
}

/// How long a reply is kept; `None` for not at all.
fn lifetime(limits: &CacheLimits, reply: &Reply) -> Option<Duration> {
    let ttl = match &reply.found {
        Ok(_) => reply.ttl?.max(limits.min_ttl).min(limits.max_ttl),
        Err(failure) if failure.is_negative() => reply.ttl.unwrap_or(UNSAID_TTL).min(limits.negative_ttl),
        Err(_) => FAILURE_TTL,
    };
    (!ttl.is_zero()).then_some(ttl)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial::dns::answer::Failure;
    use std::net::IpAddr;

    const LIMITS: CacheLimits = CacheLimits {
        entries: 100,
        min_ttl: Duration::from_secs(2),
        max_ttl: Duration::from_secs(100),
        negative_ttl: Duration::from_secs(10),
    };

    fn question(name: &str, family: Family) -> Question {
        Question {
            name: name.into(),
            family,
        }
    }

    fn address(ttl: Option<u64>) -> Reply {
        Reply {
            found: Ok(vec![IpAddr::from([192, 0, 2, 1])].into()),
            ttl: ttl.map(Duration::from_secs),
        }
    }

    fn none(failure: Failure, ttl: Option<u64>) -> Reply {
        Reply {
            found: Err(failure),
            ttl: ttl.map(Duration::from_secs),
        }
    }

    #[test]
    fn an_answer_holds_until_its_time_and_for_its_question_only() {
        let answers = Answers::new(LIMITS);
        let start = Instant::now();
        answers.keep(question("a.test", Family::V4), &address(Some(30)), start);
        let get = |name, family, after| answers.get(name, family, start + Duration::from_secs(after));
        assert_eq!(get("a.test", Family::V4, 29), Some(address(None).found));
        assert_eq!(get("a.test", Family::V4, 30), None);
        assert_eq!(get("a.test", Family::V6, 0), None);
        assert_eq!(get("b.test", Family::V4, 0), None);
    }

    #[test]
    fn limits_bound_what_the_zone_says() {
        let seconds = |reply| lifetime(&LIMITS, &reply).map(|ttl| ttl.as_secs());
        assert_eq!(seconds(address(Some(1))), Some(2));
        assert_eq!(seconds(address(Some(0))), Some(2));
        assert_eq!(seconds(address(Some(1_000))), Some(100));
        assert_eq!(seconds(none(Failure::NoSuchName, Some(3))), Some(3));
        assert_eq!(seconds(none(Failure::NoAddress, Some(300))), Some(10));
        assert_eq!(seconds(none(Failure::NoSuchName, None)), Some(5));
        assert_eq!(seconds(none(Failure::NoAddress, None)), Some(5));
        assert_eq!(seconds(none(Failure::NoAddress, Some(0))), None);
        assert_eq!(seconds(none(Failure::Timeout, None)), Some(1));
        assert_eq!(seconds(none(Failure::ServerFailure, None)), Some(1));
        let unbounded = CacheLimits {
            min_ttl: Duration::ZERO,
            ..LIMITS
        };
        assert_eq!(lifetime(&unbounded, &address(Some(0))), None);
    }

    #[test]
    fn there_are_never_more_than_there_may_be() {
        let answers = Answers::new(LIMITS);
        let start = Instant::now();
        for number in 0..10_000 {
            answers.keep(
                question(&format!("{number}.test"), Family::V4),
                &address(Some(50)),
                start,
            );
        }
        assert!((50..=100).contains(&answers.len()), "{}", answers.len());
        let nothing = Answers::new(CacheLimits { entries: 0, ..LIMITS });
        nothing.keep(question("a.test", Family::V4), &address(Some(50)), start);
        assert_eq!(nothing.get("a.test", Family::V4, start), None);
        assert_eq!(nothing.len(), 0);
    }
}
