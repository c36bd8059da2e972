//! One stored password: which kinds are taken, and which are refused with what to do.

use super::apr1;
use argon2::password_hash::phc;
use argon2::{Argon2, PasswordVerifier};
use sha_crypt::ShaCrypt;
use std::fmt;

/// A stored password of a kind that is slow enough to guess, or that old files have much of.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Hash {
    /// `$2y$`, `$2b$`, `$2a$`.
    Bcrypt(String),
    /// `$argon2id$`, `$argon2i$`, `$argon2d$`.
    Argon2(String),
    /// `$5$` and `$6$`.
    ShaCrypt(String),
    /// `$apr1$`.
    Apr1(String),
}

/// More would let one login hold a processor for seconds.
const MAX_BCRYPT_COST: u32 = 14;
/// About a second, for the same reason.
const MAX_SHA_ROUNDS: u32 = 1_000_000;
/// One login must not take more memory than that, in KiB.
const MAX_ARGON2_MEMORY: u32 = 256 << 10;
/// Nor read it more often.
const MAX_ARGON2_TIME: u32 = 32;

/// What people can do whose entry is refused.
const ANEW: &str = "set the password anew with `htpasswd -B FILE USER`";

impl Hash {
    /// Reads the second field of an entry.
    ///
    /// # Errors
    /// A sentence that says what it is and what to do; nothing of the stored password is in it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let weak = |what: &str| Err(format!("{what}; {ANEW}"));
        let kind = text.strip_prefix('$').and_then(|rest| rest.split('$').next());
        match kind {
            Some("2y" | "2b" | "2a") => bcrypt(text),
            Some("argon2id" | "argon2i" | "argon2d") => argon2(text),
            Some("5" | "6") => sha_crypt(text),
            Some("apr1") if apr1::is_well_formed(text) => Ok(Self::Apr1(text.to_owned())),
            Some("apr1") => weak("is an MD5 hash of Apache that is cut off or was changed"),
            Some("1") => weak("is the MD5 hash of old Unix systems, which is not taken"),
            Some("2x") => weak("is a bcrypt hash of a broken implementation ($2x$), which is not taken"),
            Some("y" | "gy" | "7") => weak("is a yescrypt or scrypt hash, which is not taken"),
            Some(_) => weak("is a hash of a kind that is not known here"),
            None if text.starts_with("{SHA}") => {
                weak("is an unsalted SHA-1 hash ({SHA}), which anybody can look up")
            }
            None if text.starts_with('{') => weak("is a hash of a kind that is for LDAP servers"),
            None if text.is_empty() => weak("has no password, which would let everybody in"),
            None if matches!(text, "*" | "!" | "x" | "!!" | "*LK*") => {
                weak("has no password but the mark of a locked account; leave the line out")
            }
            None => weak(
                "is a password in plain text, or one of crypt(3), which sees eight characters of it and can be guessed",
            ),
        }
    }

    /// Whether it is of this password. Takes tens of milliseconds, as it should.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        match self {
            // bcrypt sees 72 bytes, and so it was when the hash was made.
            Self::Bcrypt(hash) => ::bcrypt::verify(password, hash).unwrap_or(false),
            Self::Argon2(hash) => phc::PasswordHash::new(hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok()),
            Self::ShaCrypt(hash) => sha_crypt::PasswordHashRef::new(hash)
                .is_ok_and(|hash| ShaCrypt::default().verify_password(password, hash).is_ok()),
            Self::Apr1(hash) => apr1::verify(password, hash),
        }
    }

    /// How it is written.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Bcrypt(text) | Self::Argon2(text) | Self::ShaCrypt(text) | Self::Apr1(text) => text,
        }
    }

    /// The higher, the longer a login takes.
    pub(super) const fn slowness(&self) -> u8 {
        match self {
            Self::Apr1(_) => 0,
            Self::ShaCrypt(_) => 1,
            Self::Bcrypt(_) => 2,
            Self::Argon2(_) => 3,
        }
    }
}

impl fmt::Debug for Hash {
    /// A hash can be guessed offline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(..)")
    }
}

fn bcrypt(text: &str) -> Result<Hash, String> {
    let parts: ::bcrypt::HashParts = text
        .parse()
        .map_err(|_| format!("is a bcrypt hash that is cut off or was changed; {ANEW}"))?;
    if parts.get_cost() > MAX_BCRYPT_COST {
        let cost = parts.get_cost();
        return Err(format!(
            "is a bcrypt hash of cost {cost}, which takes seconds for each login; the most is {MAX_BCRYPT_COST}: {ANEW}"
        ));
    }
    Ok(Hash::Bcrypt(text.to_owned()))
}

fn argon2(text: &str) -> Result<Hash, String> {
    let broken = || format!("is an argon2 hash that is cut off or was changed; {ANEW}");
    let hash = phc::PasswordHash::new(text).map_err(|_| broken())?;
    let params = argon2::Params::try_from(&hash).map_err(|_| broken())?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(broken());
    }
    if params.m_cost() > MAX_ARGON2_MEMORY || params.t_cost() > MAX_ARGON2_TIME {
        return Err(format!(
            "is an argon2 hash that takes more than {MAX_ARGON2_MEMORY} KiB or {MAX_ARGON2_TIME} rounds for each login; make one with less of both"
        ));
    }
    Ok(Hash::Argon2(text.to_owned()))
}

/// `$6$SALT$HASH` or `$6$rounds=N$SALT$HASH`, whose salts and hashes have alphabets of their own.
fn sha_crypt(text: &str) -> Result<Hash, String> {
    let broken = || format!("is a SHA-crypt hash that is cut off or was changed; {ANEW}");
    let length = if text.starts_with("$5$") { 43 } else { 86 };
    let mut fields = text.split('$').skip(2).peekable();
    if let Some(rounds) = fields.peek().and_then(|field| field.strip_prefix("rounds=")) {
        let rounds: u32 = rounds.parse().map_err(|_| broken())?;
        if !(1000..=MAX_SHA_ROUNDS).contains(&rounds) {
            return Err(format!(
                "is a SHA-crypt hash of {rounds} rounds, and 1000 to {MAX_SHA_ROUNDS} are taken; {ANEW}"
            ));
        }
        fields.next();
    }
    let (salt, hash, rest) = (fields.next(), fields.next(), fields.next());
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b"./".contains(&byte);
    let is_whole = salt.is_some_and(|salt| (1..=16).contains(&salt.len()) && salt.bytes().all(alphabet))
        && hash.is_some_and(|hash| hash.len() == length && hash.bytes().all(alphabet))
        && rest.is_none();
    if !is_whole {
        return Err(broken());
    }
    Ok(Hash::ShaCrypt(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of "secret", by others: glibc's crypt(3) and openssl passwd for SHA-crypt, `openssl passwd -apr1`, the argon2
    /// reference tool, and Apache's htpasswd for bcrypt.
    const GOOD: [&str; 5] = [
        "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/",
        "$5$rounds=1000$salty$06aBYV2eUs1esmJmOQQgv1TMMifACEXHgDCvS/yIVR.",
        "$6$salty$KvzWKWLYEXXyw/4wzxu854gkPY3lhi7u.wm/HJabfYGIHFFddhyZ3xA43wiP4pG2CNfejds7h3eeku.O.9PSx0",
        "$2y$05$t.zcRpoi9B9PAL8YgUWalOtCptFGla/FxicQz0zNQ.jI12TYtBH/.",
        "$argon2id$v=19$m=1024,t=1,p=1$c29tZXNhbHQ$7GnnAsSKn5YeUzRZ69ANQhvASUBG2dmGoFmvaHe/eDs",
    ];

    #[test]
    fn hashes_that_others_made_verify() {
        for text in GOOD {
            let hash = Hash::read(text).unwrap();
            assert!(hash.verify(b"secret"), "{text}");
            assert!(!hash.verify(b"Secret"), "{text}");
            assert!(!hash.verify(b""), "{text}");
            assert_eq!(hash.as_str(), text);
            assert!(!format!("{hash:?}").contains(text));
        }
    }

    #[test]
    fn each_kind_that_is_refused_says_what_to_do() {
        for (text, word) in [
            ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "SHA-1"),
            ("{SSHA}x", "LDAP"),
            ("rqXexS6ZhobKA", "crypt(3)"),
            ("secret", "plain text"),
            ("", "everybody"),
            ("!", "locked"),
            ("$1$salt$hash", "old Unix"),
            ("$2x$05$abc", "broken"),
            ("$y$j9T$salt$hash", "yescrypt"),
            ("$9$x", "not known"),
            (
                "$2y$15$abcdefghijklmnopqrstuuK0kXcmPFPWOcSuE5VQbfoJdlw4m.0vu",
                "cost 15",
            ),
            ("$2y$05$short", "cut off"),
            ("$apr1$salt$short", "cut off"),
            ("$6$salty$short", "cut off"),
            ("$6$rounds=9999999$salty$KvzWKWLYEXXyw", "9999999 rounds"),
            ("$6$rounds=x$salty$KvzWKWLYEXXyw", "cut off"),
            ("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ", "cut off"),
            (
                "$argon2id$v=19$m=1048576,t=2,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b0/J5fZ9JxN1v0nlM6pvvXQ3Qg",
                "less of both",
            ),
        ] {
            let message = Hash::read(text).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
            assert!(text.len() < 8 || !message.contains(text), "{message}");
        }
    }
}
