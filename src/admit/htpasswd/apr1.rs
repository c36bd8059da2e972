//! `$apr1$`: the crypt of MD5 in Apache's variant, a thousand rounds of it.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use md5::{Digest, Md5};

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whether it can be one: `$apr1$SALT$HASH`.
pub(super) fn is_well_formed(text: &str) -> bool {
    parts(text).is_some_and(|(salt, hash)| {
        let fits = |part: &str| part.bytes().all(|byte| ALPHABET.contains(&byte));
        salt.len() <= 8 && hash.len() == 22 && fits(hash)
    })
}

pub(super) fn verify(password: &[u8], text: &str) -> bool {
    parts(text).is_some_and(|(salt, hash)| {
        verify_slices_are_equal(&encoded(password, salt.as_bytes()), hash.as_bytes()).is_ok()
    })
}

fn parts(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("$apr1$")?.split_once('$')
}

/// The hash in its own alphabet. The steps are those of Apache's `apr_md5_encode`.
fn encoded(password: &[u8], salt: &[u8]) -> [u8; 22] {
    let inner = Md5::new().chain_update(password).chain_update(salt);
    let inner = inner.chain_update(password).finalize();
    let mut first = Md5::new();
    first.update(password);
    first.update(b"$apr1$");
    first.update(salt);
    for left in (1..=password.len()).rev().step_by(16) {
        first.update(&inner[..left.min(16)]);
    }
    let mut bits = password.len();
    while bits > 0 {
        first.update(match bits & 1 {
            1 => &[0][..],
            _ => &password[..1],
        });
        bits >>= 1;
    }
    let mut digest = first.finalize();
    for round in 0..1000 {
        let mut next = Md5::new();
        let turn = |next: &mut Md5, is_password: bool| match is_password {
            true => next.update(password),
            false => next.update(digest),
        };
        turn(&mut next, round % 2 == 1);
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        turn(&mut next, round % 2 == 0);
        digest = next.finalize();
    }
    spelled(&digest.into())
}

fn spelled(digest: &[u8; 16]) -> [u8; 22] {
    const GROUPS: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];
    let mut out = [0; 22];
    let (threes, rest) = out.split_at_mut(20);
    let spell = |mut bits: usize, out: &mut [u8]| {
        for byte in out {
            *byte = ALPHABET[bits & 63];
            bits >>= 6;
        }
    };
    for ([high, middle, low], out) in GROUPS.into_iter().zip(threes.chunks_exact_mut(4)) {
        let byte = |at: usize| usize::from(digest[at]);
        spell(byte(high) << 16 | byte(middle) << 8 | byte(low), out);
    }
    spell(usize::from(digest[11]), rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl passwd -apr1 -salt SALT PASSWORD`.
    #[test]
    fn hashes_of_openssl_verify() {
        for (password, hash) in [
            ("secret", "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/"),
            ("a", "$apr1$x$16j9.5e7KiXmuYFAYpPJM/"),
            ("pässwörd", "$apr1$12345678$0NJU6izOW5MGH4BL2C/sK/"),
            ("xxxxxxxxxxxxxxx", "$apr1$s.lt/1$Jcow3pyDtzN.tWBVR1iyE/"),
            ("xxxxxxxxxxxxxxxx", "$apr1$salt$42GgRr8OmikkTsNrO.jqf0"),
            (
                "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
                "$apr1$saltsalt$ZQWSnZtNeJbt20z34VIjC/",
            ),
            (&"z".repeat(255), "$apr1$LongPass$3jM1BAGbqP4JzaDLqwpQk1"),
        ] {
            assert!(is_well_formed(hash), "{hash}");
            assert!(verify(password.as_bytes(), hash), "{password:?} {hash}");
            assert!(!verify(format!("{password}x").as_bytes(), hash));
        }
    }

    #[test]
    fn what_is_cut_off_is_not_well_formed() {
        for wrong in [
            "$apr1$",
            "$apr1$salt",
            "$apr1$salt$short",
            "$1$salt$aaaaaaaaaaaaaaaaaaaaaa",
            "$apr1$saltsalts$aaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(!is_well_formed(wrong), "{wrong}");
            assert!(!verify(b"x", wrong), "{wrong}");
        }
    }
}
