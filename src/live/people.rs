//! How people are called where somebody watches.

use crate::error::words;
use crate::identity::Identity;
use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

words! {
    /// How people are called where somebody watches; also the word in the configuration.
    pub enum People {
        /// By their names and addresses.
        Show = "show",
        /// By words that mean the same person for a day, and say nothing else.
        Pseudonym = "pseudonym",
        /// Not at all.
        Hide = "hide",
    }
}

impl People {
    /// How they are called for whoever sees their names until then.
    #[must_use]
    pub fn until(self, names_until: Option<Instant>) -> Self {
        match names_until {
            Some(until) if Instant::now() < until => Self::Show,
            _ => self,
        }
    }
}

/// How long a pseudonym means the same person.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes pseudonyms, by a key that nobody knows.
pub struct Pseudonyms {
    key: Mutex<(Instant, Arc<Key>)>,
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pseudonyms").finish_non_exhaustive()
    }
}

impl Default for Pseudonyms {
    fn default() -> Self {
        Self {
            key: Mutex::new((Instant::now(), Arc::new(fresh_key()))),
        }
    }
}

fn fresh_key() -> Key {
    let mut bytes = [0; 32];
    // Without randomness there is no TLS either.
    let _ = rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes);
    Key::new(HMAC_SHA256, &bytes)
}

impl Pseudonyms {
    /// A user's name.
    pub fn user<'a>(&self, people: People, user: &'a Identity) -> Option<Cow<'a, str>> {
        self.called(people, "user", || Cow::Borrowed(&*user.name))
    }

    /// A client's address.
    pub fn client(&self, people: People, client: IpAddr) -> Option<Cow<'static, str>> {
        self.called(people, "client", || Cow::Owned(client.to_string()))
    }

    fn called<'a>(
        &self,
        people: People,
        kind: &str,
        name: impl FnOnce() -> Cow<'a, str>,
    ) -> Option<Cow<'a, str>> {
        match people {
            People::Show => Some(name()),
            People::Hide => None,
            People::Pseudonym => {
                let key = self.key(Instant::now());
                let tag = hmac::sign(&key, format!("{kind}:{}", name()).as_bytes());
                let digits: String = tag
                    .as_ref()
                    .iter()
                    .take(4)
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                Some(Cow::Owned(format!("{kind}-{digits}")))
            }
        }
    }

    /// The key of the day.
    fn key(&self, now: Instant) -> Arc<Key> {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(key.0) >= DAY {
            *key = (now, Arc::new(fresh_key()));
        }
        Arc::clone(&key.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sight_of_names_has_an_end() {
        let now = Instant::now();
        for people in People::ALL {
            assert_eq!(people.until(Some(now + DAY)), People::Show);
            assert_eq!((people.until(Some(now)), people.until(None)), (*people, *people));
        }
    }

    #[test]
    fn a_pseudonym_is_the_same_for_a_day_and_says_nothing() {
        let pseudonyms = Pseudonyms::default();
        let (ada, ben) = (Identity::from("ada"), Identity::from("ben"));
        let called = |user: &Identity| pseudonyms.user(People::Pseudonym, user).unwrap().into_owned();
        assert_eq!(called(&ada), called(&ada));
        assert_ne!(called(&ada), called(&ben));
        assert!(called(&ada).starts_with("user-") && !called(&ada).contains("ada"));
        // Another process calls her by another word, and so does another day.
        assert_ne!(
            called(&ada),
            Pseudonyms::default().user(People::Pseudonym, &ada).unwrap()
        );
        let today = pseudonyms.key(Instant::now());
        assert!(Arc::ptr_eq(&today, &pseudonyms.key(Instant::now())));
        assert!(!Arc::ptr_eq(&today, &pseudonyms.key(Instant::now() + DAY)));

        let address = "192.0.2.1".parse().unwrap();
        assert_eq!(pseudonyms.client(People::Show, address).unwrap(), "192.0.2.1");
        assert_eq!(pseudonyms.client(People::Hide, address), None);
        assert_eq!(pseudonyms.user(People::Hide, &ada), None);
        assert_eq!(pseudonyms.user(People::Show, &ada).unwrap(), "ada");
    }
}
