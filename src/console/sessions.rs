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
    codes: Vec<Hash>,
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

    /// A code that lets one in, once; none without randomness.
    pub(super) fn code(&self) -> Option<String> {
        let code = secret()?;
        let mut kept = self.kept();
        if kept.codes.len() >= CODES {
            kept.codes.remove(0);
        }
        kept.codes.push(hash(code.as_bytes()));
        Some(code)
    }

    /// Takes a code away, if it is one.
    pub(super) fn spend(&self, code: &[u8]) -> bool {
        let (hash, mut kept) = (hash(code), self.kept());
        let found = kept.codes.iter().position(|known| *known == hash);
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
    fn a_code_works_once() {
        let sessions = Sessions::default();
        let (one, other) = (sessions.code().unwrap(), sessions.code().unwrap());
        assert_ne!(one, other);
        assert!(!sessions.spend(b"") && !sessions.spend(&one.as_bytes()[1..]));
        assert!(sessions.spend(one.as_bytes()));
        assert!(!sessions.spend(one.as_bytes()));
        assert!(sessions.spend(other.as_bytes()));
        let old = sessions.code().unwrap();
        let newer: Vec<_> = (0..CODES).map(|_| sessions.code().unwrap()).collect();
        assert!(!sessions.spend(old.as_bytes()) && sessions.spend(newer[0].as_bytes()));
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
        let code = sessions.code().unwrap();
        let begun = sessions.begin(Holder::Code, Instant::now(), HOUR).unwrap();
        let kept = format!("{sessions:?}");
        assert!(!kept.contains(&code) && !kept.contains(&begun.cookie));
    }
}
