//! Sets of public keys (RFC 7517).

use super::algorithm::{Algorithm, Family};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// The largest set in bytes. Those of large providers have some tens of KiB, certificates included.
pub(super) const MAX_BYTES: usize = 512 * 1024;

/// How many keys a set may have.
const MAX_KEYS: usize = 200;

/// The shortest and the longest modulus, in bits: RFC 7518 section 3.3 asks for 2048, and what is long is slow.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Public keys by which signatures are verified. Two are equal that were read from the same text.
pub struct KeySet {
    source: Box<[u8]>,
    keys: Vec<VerifyingKey>,
    left_out: Vec<String>,
}

/// One key.
pub(super) struct VerifyingKey {
    /// How tokens name it.
    pub(super) id: Option<String>,
    /// For each algorithm that it may be used by.
    by: Vec<(Algorithm, ParsedPublicKey)>,
}

/// The set as it is written.
#[derive(Deserialize)]
struct Written {
    keys: Vec<Value>,
}

/// A key as it is written. What else it has, such as certificates, is not looked at: the set itself is trusted.
#[derive(Deserialize)]
struct WrittenKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a JWK Set. Keys that no signature is verified by are left out, as RFC 7517 section 5 has it.
    ///
    /// # Errors
    /// It is none, or no key of it is of use; in words.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("is larger than {MAX_BYTES} bytes"));
        }
        let written: Written = serde_json::from_slice(text)
            .map_err(|error| format!("is no JWK Set, {{\"keys\": [...]}} (RFC 7517): {error}"))?;
        if written.keys.len() > MAX_KEYS {
            return Err(format!("has more than {MAX_KEYS} keys"));
        }
        let (mut keys, mut left_out) = (Vec::new(), Vec::new());
        for (at, key) in written.keys.into_iter().enumerate() {
            match VerifyingKey::read(key) {
                Ok(key) => keys.push(key),
                Err(why) => left_out.push(format!("key {}: {why}", at + 1)),
            }
        }
        if keys.is_empty() {
            let why = match left_out.is_empty() {
                true => String::new(),
                false => format!(": {}", left_out.join("; ")),
            };
            return Err(format!("has no key that a signature can be verified by{why}"));
        }
        Ok(Self {
            source: text.into(),
            keys,
            left_out,
        })
    }

    /// Why keys of the set are not used.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The keys that a token may be signed with that names this one.
    pub(super) fn named<'a>(&'a self, id: Option<&str>) -> impl Iterator<Item = &'a VerifyingKey> + use<'a> {
        // Some sets have keys without names, and tokens that name them all the same.
        let is_known = id.is_some_and(|id| self.keys.iter().any(|key| key.id.as_deref() == Some(id)));
        let id = id.map(str::to_owned);
        self.keys.iter().filter(move |key| match &id {
            Some(_) if is_known => key.id == id,
            Some(_) => key.id.is_none(),
            None => true,
        })
    }
}

impl VerifyingKey {
    fn read(written: Value) -> Result<Self, String> {
        let key: WrittenKey = serde_json::from_value(written).map_err(|error| error.to_string())?;
        if key.r#use.as_deref().is_some_and(|r#use| r#use != "sig") {
            return Err("is not for signatures, by its use".to_owned());
        }
        let verifies = |ops: &Vec<String>| ops.iter().any(|op| op == "verify");
        if !key.key_ops.as_ref().is_none_or(verifies) {
            return Err("is not to verify with, by its key_ops".to_owned());
        }
        let (family, public) = key.public()?;
        let only = match &key.alg {
            None => None,
            Some(alg) => match Algorithm::named(alg) {
                Some(only) if only.family() == family => Some(only),
                _ => return Err(format!("has the alg {alg:?}, which it cannot be used by here")),
            },
        };
        let mut by = Vec::new();
        for &algorithm in Algorithm::ALL {
            if algorithm.family() == family && only.is_none_or(|only| only == algorithm) {
                let parsed = ParsedPublicKey::new(algorithm.verification(), &public);
                by.push((algorithm, parsed.map_err(|error| format!("is no key: {error}"))?));
            }
        }
        Ok(Self { id: key.kid, by })
    }

    /// Whether this is the signature of `signed`; `None` if the key is not for that algorithm.
    pub(super) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> Option<bool> {
        let (_, key) = self.by.iter().find(|(known, _)| *known == algorithm)?;
        Some(key.verify_sig(signed, signature).is_ok())
    }
}

impl WrittenKey {
    /// What it is for, and the key itself, as the cryptographic library takes it.
    fn public(&self) -> Result<(Family, Vec<u8>), String> {
        match (&*self.kty, self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (number("n", self.n.as_ref())?, number("e", self.e.as_ref())?);
                let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
                if !RSA_BITS.contains(&bits) {
                    return Err(format!(
                        "is an RSA key of {bits} bits; {} to {} are taken",
                        RSA_BITS.start(),
                        RSA_BITS.end()
                    ));
                }
                let der = RsaPublicKeyComponents { n, e }.as_der();
                let der = der.map_err(|_| "is no RSA key".to_owned())?;
                Ok((Family::Rsa, der.as_ref().to_vec()))
            }
            ("EC", Some("P-256")) => Ok((Family::P256, self.point(32)?)),
            ("EC", Some("P-384")) => Ok((Family::P384, self.point(48)?)),
            ("EC", Some("P-521")) => Ok((Family::P521, self.point(66)?)),
            ("OKP", Some("Ed25519")) => Ok((Family::Ed25519, coordinate("x", self.x.as_ref(), 32)?)),
            ("oct", _) => Err("is a secret, and no public key".to_owned()),
            (kty, crv) => Err(format!("is of a kind that is not taken: {kty:?}, {crv:?}")),
        }
    }

    /// A point of a curve, uncompressed (SEC 1 section 2.3.3).
    fn point(&self, length: usize) -> Result<Vec<u8>, String> {
        let mut point = vec![4];
        point.extend(coordinate("x", self.x.as_ref(), length)?);
        point.extend(coordinate("y", self.y.as_ref(), length)?);
        Ok(point)
    }
}

fn bytes(name: &str, text: Option<&String>) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("has no {name}"))?;
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(text);
    decoded.map_err(|_| format!("has an {name} that is not base64url"))
}

/// Some write a zero before it, as signed numbers have it.
fn number(name: &str, text: Option<&String>) -> Result<Vec<u8>, String> {
    let bytes = bytes(name, text)?;
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    match bytes.get(zeros..) {
        Some(number) if !number.is_empty() => Ok(number.to_vec()),
        _ => Err(format!("has an empty {name}")),
    }
}

fn coordinate(name: &str, text: Option<&String>, length: usize) -> Result<Vec<u8>, String> {
    let bytes = bytes(name, text)?;
    match bytes.len() == length {
        true => Ok(bytes),
        false => Err(format!(
            "has an {name} of {} bytes, and not {length}",
            bytes.len()
        )),
    }
}

impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for KeySet {}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.keys.iter().map(|key| &key.id);
        f.debug_list().entries(ids).finish()
    }
}
