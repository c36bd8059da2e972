//! What directories said, for a while.

use super::basic::NameAndPassword;
use super::limits::PasswordLimits;
use crate::identity::Identity;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use quick_cache::sync::Cache;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Stands for a name with a password. Only this process could tell what it is of, and only by guessing: nothing that it keeps
/// has the password.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct VerdictKey([u8; 32]);

/// While a directory cannot be asked, a verdict that lives longer for that is not asked about again for so long.
const NEXT_TRY: Duration = Duration::from_secs(10);

/// Verdicts, each for as long as it holds, and not more than there may be of them. Guesses cannot drive out who is known.
pub(super) struct Verdicts {
    /// Of this process alone, chosen by chance.
    secret: Option<hmac::Key>,
    accepted: Cache<VerdictKey, AcceptedBefore>,
    refused: Cache<VerdictKey, RefusedBefore>,
    limits: PasswordLimits,
}

#[derive(Clone)]
struct AcceptedBefore {
    identity: Arc<Identity>,
    /// When the directory said so.
    at: Instant,
    until: Instant,
    /// It lives longer than usual.
    is_stale: bool,
}

#[derive(Clone, Copy)]
struct RefusedBefore {
    until: Instant,
}

/// What is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KnownVerdict {
    /// It is who it says; whether that is older than usual.
    Accepted(Arc<Identity>, bool),
    /// It is not.
    Refused,
    /// The directory has to be asked; whether it has said yes to the same before.
    Unknown { was_accepted: bool },
}

impl Verdicts {
    pub(super) fn new(limits: PasswordLimits) -> Self {
        Self {
            secret: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok(),
            accepted: Cache::new(limits.entries.max(1)),
            refused: Cache::new(limits.entries.max(1)),
            limits,
        }
    }

    /// What stands for these credentials, where the directory's entry is of this version; `None` if there is no randomness.
    pub(super) fn key(&self, shown: &NameAndPassword, version: u64) -> Option<VerdictKey> {
        let secret = self.secret.as_ref()?;
        let name = shown.login.canonical.as_bytes();
        let mut context = hmac::Context::with_key(secret);
        context.update(&version.to_be_bytes());
        // Where the name ends must not be open: `ab` with `c` is not `a` with `bc`.
        context.update(&(name.len() as u64).to_be_bytes());
        context.update(name);
        context.update(&shown.password);
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        Some(VerdictKey(key))
    }

    /// What is known at `now`.
    pub(super) fn get(&self, key: &VerdictKey, now: Instant) -> KnownVerdict {
        let accepted = self.accepted.get(key);
        if let Some(verdict) = &accepted
            && now < verdict.until
        {
            return KnownVerdict::Accepted(Arc::clone(&verdict.identity), verdict.is_stale);
        }
        if self.refused.get(key).is_some_and(|verdict| now < verdict.until) {
            return KnownVerdict::Refused;
        }
        KnownVerdict::Unknown {
            was_accepted: accepted.is_some(),
        }
    }

    /// The directory has said yes.
    pub(super) fn accept(&self, key: VerdictKey, identity: Arc<Identity>, now: Instant) {
        self.refused.remove(&key);
        self.accepted.insert(
            key,
            AcceptedBefore {
                identity,
                at: now,
                until: now + self.limits.accepted,
                is_stale: false,
            },
        );
    }

    /// The directory has said no. Who goes on to say the same, as a phone does with an old password, is not asked about again
    /// before the directory has forgotten this one: some lock an account for a few of them.
    pub(super) fn refuse(&self, key: VerdictKey, now: Instant) {
        self.accepted.remove(&key);
        let is_first = self.refused.get(&key).is_none();
        let keep = match is_first {
            true => self.limits.refused,
            false => self.limits.refused.max(self.limits.lockout_window),
        };
        self.refused.insert(key, RefusedBefore { until: now + keep });
    }

    /// The directory cannot be asked: who it is by a verdict that is older than usual, where those are used.
    pub(super) fn stale(&self, key: &VerdictKey, now: Instant) -> Option<Arc<Identity>> {
        let longer = self.limits.stale?;
        let mut verdict = self.accepted.get(key)?;
        let end = verdict.at + self.limits.accepted.max(longer);
        if now >= end {
            return None;
        }
        verdict.until = end.min(now + NEXT_TRY);
        verdict.is_stale = true;
        let identity = Arc::clone(&verdict.identity);
        self.accepted.insert(*key, verdict);
        Some(identity)
    }
}

impl fmt::Debug for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verdicts")
            .field("accepted", &self.accepted.len())
            .field("refused", &self.refused.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::names::Names;
    use zeroize::Zeroizing;

    const LIMITS: PasswordLimits = PasswordLimits {
        entries: 100,
        accepted: Duration::from_secs(100),
        refused: Duration::from_secs(50),
        stale: Some(Duration::from_secs(1000)),
        lockout_window: Duration::from_secs(200),
        ..PasswordLimits::DEFAULT
    };

    fn shown(name: &str, password: &str) -> NameAndPassword {
        NameAndPassword {
            login: Names::default().login(name).unwrap(),
            password: Zeroizing::new(password.as_bytes().to_vec()),
        }
    }

    fn ada() -> Arc<Identity> {
        Arc::new(Identity::from("ada"))
    }

    struct Since(Instant);

    impl Since {
        fn at(&self, seconds: u64) -> Instant {
            self.0 + Duration::from_secs(seconds)
        }
    }

    const UNKNOWN: KnownVerdict = KnownVerdict::Unknown { was_accepted: false };

    #[test]
    fn a_key_is_of_one_name_one_password_one_version_and_one_process() {
        let (verdicts, others) = (Verdicts::new(LIMITS), Verdicts::new(LIMITS));
        let key = |name, password, version| verdicts.key(&shown(name, password), version).unwrap().0;
        let ada = key("ada", "secret", 0);
        assert_eq!(ada, key("ADA", "secret", 0));
        assert_ne!(ada, key("ada", "Secret", 0));
        assert_ne!(ada, key("adas", "ecret", 0));
        assert_ne!(ada, key("ada", "secret", 1));
        assert_ne!(ada, others.key(&shown("ada", "secret"), 0).unwrap().0);
    }

    #[test]
    fn a_verdict_holds_until_its_time() {
        let (verdicts, since) = (Verdicts::new(LIMITS), Since(Instant::now()));
        let key = verdicts.key(&shown("ada", "secret"), 0).unwrap();
        assert_eq!(verdicts.get(&key, since.at(0)), UNKNOWN);
        verdicts.accept(key, ada(), since.at(0));
        assert_eq!(
            verdicts.get(&key, since.at(99)),
            KnownVerdict::Accepted(ada(), false)
        );
        assert_eq!(
            verdicts.get(&key, since.at(100)),
            KnownVerdict::Unknown { was_accepted: true }
        );
        let wrong = verdicts.key(&shown("ada", "wrong"), 0).unwrap();
        assert_eq!(verdicts.get(&wrong, since.at(1)), UNKNOWN);
        verdicts.refuse(key, since.at(100));
        assert_eq!(verdicts.get(&key, since.at(101)), KnownVerdict::Refused);
        assert_eq!(
            verdicts.get(&key, since.at(150)),
            UNKNOWN,
            "it is not what it was"
        );
        verdicts.accept(key, ada(), since.at(150));
        assert_eq!(
            verdicts.get(&key, since.at(151)),
            KnownVerdict::Accepted(ada(), false)
        );
    }

    #[test]
    fn who_goes_on_with_a_wrong_password_is_remembered_for_longer() {
        let (verdicts, since) = (Verdicts::new(LIMITS), Since(Instant::now()));
        let key = verdicts.key(&shown("ada", "old"), 0).unwrap();
        verdicts.refuse(key, since.at(0));
        assert_eq!(verdicts.get(&key, since.at(50)), UNKNOWN);
        verdicts.refuse(key, since.at(50));
        assert_eq!(verdicts.get(&key, since.at(249)), KnownVerdict::Refused);
        assert_eq!(verdicts.get(&key, since.at(250)), UNKNOWN);
    }

    #[test]
    fn a_verdict_lives_longer_only_while_the_directory_cannot_be_asked_and_not_for_ever() {
        let (verdicts, since) = (Verdicts::new(LIMITS), Since(Instant::now()));
        let key = verdicts.key(&shown("ada", "secret"), 0).unwrap();
        assert_eq!(verdicts.stale(&key, since.at(0)), None);
        verdicts.accept(key, ada(), since.at(0));
        assert_eq!(verdicts.stale(&key, since.at(300)), Some(ada()));
        assert_eq!(
            verdicts.get(&key, since.at(309)),
            KnownVerdict::Accepted(ada(), true)
        );
        assert_eq!(
            verdicts.get(&key, since.at(310)),
            KnownVerdict::Unknown { was_accepted: true }
        );
        assert_eq!(verdicts.stale(&key, since.at(999)), Some(ada()));
        assert!(matches!(
            verdicts.get(&key, since.at(1000)),
            KnownVerdict::Unknown { .. }
        ));
        assert_eq!(verdicts.stale(&key, since.at(1000)), None);
        let never = Verdicts::new(PasswordLimits {
            stale: None,
            ..LIMITS
        });
        let key = never.key(&shown("ada", "secret"), 0).unwrap();
        never.accept(key, ada(), since.at(0));
        assert_eq!(never.stale(&key, since.at(101)), None);
    }

    #[test]
    fn guesses_do_not_drive_out_who_is_known_and_there_are_never_more_than_there_may_be() {
        let (verdicts, since) = (Verdicts::new(LIMITS), Since(Instant::now()));
        let known = verdicts.key(&shown("ada", "secret"), 0).unwrap();
        verdicts.accept(known, ada(), since.at(0));
        for guess in 0..10_000 {
            let key = verdicts.key(&shown("ada", &guess.to_string()), 0).unwrap();
            verdicts.refuse(key, since.at(0));
        }
        assert!(matches!(
            verdicts.get(&known, since.at(1)),
            KnownVerdict::Accepted(..)
        ));
        assert!(verdicts.refused.len() <= 100);
    }
}
