//! Names that the certificates of origins have vouched for, remembered for a time.

use crate::wire::names::Authority;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a certificate's word is good for.
const GOOD_FOR: Duration = Duration::from_secs(600);

/// How many are remembered.
const MOST: usize = 10_000;

/// What certificates have vouched for: an address and a name, and until when that is remembered.
#[derive(Debug, Default)]
pub(super) struct Vouched(Mutex<HashMap<(Authority, String), Instant>>);

impl Vouched {
    fn all(&self) -> MutexGuard<'_, HashMap<(Authority, String), Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has(&self, to: &Authority, name: &str, now: Instant) -> bool {
        let known = self.all().get(&(to.clone(), name.to_owned())).copied();
        known.is_some_and(|until| now < until)
    }

    pub(super) fn remember(&self, to: &Authority, name: &str, now: Instant) {
        let mut all = self.all();
        if all.len() >= MOST {
            all.retain(|_, until| now < *until);
        }
        if all.len() >= MOST {
            // They begin anew, which costs a handshake each.
            all.clear();
        }
        all.insert((to.clone(), name.to_owned()), now + GOOD_FOR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::names::Host;

    fn at(port: u16) -> Authority {
        Authority {
            host: Host::Ip([192, 0, 2, 1].into()),
            port,
        }
    }

    #[test]
    fn a_name_is_good_at_its_address_and_for_a_time() {
        let (vouched, now) = (Vouched::default(), Instant::now());
        vouched.remember(&at(443), "a.example", now);
        assert!(vouched.has(&at(443), "a.example", now));
        assert!(!vouched.has(&at(444), "a.example", now));
        assert!(!vouched.has(&at(443), "b.example", now));
        assert!(!vouched.has(&at(443), "a.example", now + GOOD_FOR));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (vouched, now) = (Vouched::default(), Instant::now());
        for number in 0..=MOST {
            vouched.remember(&at(443), &format!("{number}.example"), now);
        }
        assert_eq!(vouched.all().len(), 1);
        // Those that are over go first.
        for number in 0..MOST {
            vouched.remember(&at(443), &format!("{number}.example"), now + GOOD_FOR / 2);
        }
        vouched.remember(&at(443), "last.example", now + GOOD_FOR);
        assert!(vouched.has(&at(443), "last.example", now + GOOD_FOR));
        assert!(vouched.all().len() <= MOST);
    }
}
