//! Who is logged in. What they show is kept as its hash alone.

use aws_lc_rs::digest::{SHA256, digest};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Who are logged in at once; the one that would be out first makes room.
const SESSIONS: usize = 256;
/// Codes that wait for somebody.
const CODES: usize = 16;

/// What a secret is kept as.
type Hash = [u8; 32];

/// Who has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holder {
    /// Somebody who has read a code where the proxy has written it.
    Code,
    /// Somebody with the token of this name.
    Token(Arc<str>),
}

/// A session that has just begun.
#[derive(Debug)]
pub(super) struct Begun {
    /// What the browser keeps, and no page can read.
    pub(super) cookie: String,
    /// What pages of the console put into the header of each request that does something.
    pub(super) token: String,
}

#[derive(Debug)]
struct Session {
    holder: Holder,
    token: String,
    until: Instant,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Each until when it works, if not for ever.
    codes: Vec<(Hash, Option<Instant>)>,
    sessions: HashMap<Hash, Session>,
}

/// A secret that nobody guesses: 192 bits in base64; none without randomness.
fn secret() -> Option<String> {
    let mut bytes = [0; 24];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn hash(secret: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, secret).as_ref());
    hash
}

impl Sessions {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A code that lets one in, once, and until then if that is said; none without randomness.
    pub(super) fn code(&self, until: Option<Instant>) -> Option<String> {
        let code = secret()?;
        let mut kept = self.kept();
        if kept.codes.len() >= CODES {
            kept.codes.remove(0);
        }
        kept.codes.push((hash(code.as_bytes()), until));
        Some(code)
    }

    /// Takes a code away, if it is one that works.
    pub(super) fn spend(&self, code: &[u8], now: Instant) -> bool {
        let (hash, mut kept) = (hash(code), self.kept());
        kept.codes
            .retain(|(_, until)| until.is_none_or(|until| until > now));
        let found = kept.codes.iter().position(|(known, _)| *known == hash);
        found.map(|at| kept.codes.remove(at)).is_some()
    }

    /// Logs somebody in for so long; none without randomness.
    pub(super) fn begin(&self, holder: Holder, now: Instant, lasts: Duration) -> Option<Begun> {
        let (cookie, token) = (secret()?, secret()?);
        let mut kept = self.kept();
        kept.sessions.retain(|_, session| session.until > now);
        if kept.sessions.len() >= SESSIONS {
            let first = kept.sessions.iter().min_by_key(|(_, session)| session.until);
            if let Some(first) = first.map(|(hash, _)| *hash) {
                kept.sessions.remove(&first);
            }
        }
        let session = Session {
            holder,
            token: token.clone(),
            until: now + lasts,
        };
        kept.sessions.insert(hash(cookie.as_bytes()), session);
        Some(Begun { cookie, token })
    }

    /// Who shows this cookie, and the token that belongs to it.
    pub(super) fn find(&self, cookie: &[u8], now: Instant) -> Option<(Holder, String)> {
        let kept = self.kept();
        let session = kept.sessions.get(&hash(cookie))?;
        (session.until > now).then(|| (session.holder.clone(), session.token.clone()))
    }

    /// Logs out whoever shows this cookie.
    pub(super) fn end(&self, cookie: &[u8]) {
        self.kept().sessions.remove(&hash(cookie));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_code_works_once_and_while_it_is_fresh() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let (one, other) = (sessions.code(None).unwrap(), sessions.code(None).unwrap());
        assert_ne!(one, other);
        let spend = |code: &str, at| sessions.spend(code.as_bytes(), at);
        assert!(!spend("", now) && !spend(&one[1..], now));
        assert!(spend(&one, now) && !spend(&one, now));
        assert!(spend(&other, now + HOUR), "this one has no end");
        let brief = sessions.code(Some(now + HOUR)).unwrap();
        let late = sessions.code(Some(now + HOUR)).unwrap();
        assert!(spend(&brief, now) && !spend(&late, now + HOUR));
        let old = sessions.code(None).unwrap();
        let newer: Vec<_> = (0..CODES).map(|_| sessions.code(None).unwrap()).collect();
        assert!(!spend(&old, now) && spend(&newer[0], now));
    }

    #[test]
    fn a_session_has_an_end_by_time_by_word_and_by_number() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let begun = sessions.begin(Holder::Code, now, HOUR).unwrap();
        let found = sessions.find(begun.cookie.as_bytes(), now).unwrap();
        assert_eq!(found, (Holder::Code, begun.token.clone()));
        assert!(sessions.find(begun.token.as_bytes(), now).is_none());
        assert!(sessions.find(begun.cookie.as_bytes(), now + HOUR).is_none());
        sessions.end(begun.cookie.as_bytes());
        assert!(sessions.find(begun.cookie.as_bytes(), now).is_none());

        let first = sessions.begin(Holder::Token("ada".into()), now, HOUR).unwrap();
        for second in 1..=SESSIONS as u64 {
            let later = now + Duration::from_secs(second);
            let last = sessions.begin(Holder::Code, later, HOUR).unwrap();
            assert!(sessions.find(last.cookie.as_bytes(), later).is_some());
        }
        assert!(sessions.find(first.cookie.as_bytes(), now).is_none());
        assert_eq!(sessions.kept().sessions.len(), SESSIONS);
    }

    #[test]
    fn secrets_are_not_kept_as_they_are() {
        let sessions = Sessions::default();
        let code = sessions.code(None).unwrap();
        let begun = sessions.begin(Holder::Code, Instant::now(), HOUR).unwrap();
        let kept = format!("{sessions:?}");
        assert!(!kept.contains(&code) && !kept.contains(&begun.cookie));
    }
}
