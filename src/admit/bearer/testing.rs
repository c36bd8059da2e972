//! Keys and tokens of tests.

use super::algorithm::Algorithm;
use super::config::{BearerConfig, KeysFrom};
use super::key_set::KeySet;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Signs by ES256.
pub(crate) struct Signer {
    id: &'static str,
    pair: EcdsaKeyPair,
}

impl Signer {
    pub(crate) fn new(id: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { id, pair }
    }

    /// Its public half.
    pub(crate) fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({ "kty": "EC", "crv": "P-256", "kid": self.id, "x": encode(x), "y": encode(y) })
    }

    /// A token with these members of its header beside its own, and in place of them.
    pub(crate) fn token_of(&self, header: &Value, claims: &Value) -> String {
        let mut whole = json!({ "alg": "ES256", "typ": "JWT", "kid": self.id });
        for (name, value) in header.as_object().unwrap() {
            whole[name] = value.clone();
        }
        self.sign(&whole.to_string(), &claims.to_string())
    }

    /// A token as usual.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_of(&json!({}), claims)
    }

    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature))
    }
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Whose tokens are accepted.
pub(crate) static ISSUER: LazyLock<Signer> = LazyLock::new(|| Signer::new("one"));

/// A set of these keys.
pub(crate) fn key_set(keys: &[Value]) -> KeySet {
    KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

/// Accepts tokens of [`ISSUER`].
pub(crate) fn config() -> BearerConfig {
    BearerConfig {
        issuer: "https://login.example".to_owned(),
        audiences: vec!["wsbump".to_owned()],
        algorithms: Algorithm::ALL.to_vec(),
        leeway: Duration::from_secs(60),
        name_claim: "sub".to_owned(),
        groups_claim: None,
        keys: KeysFrom::File(Arc::new(key_set(&[ISSUER.jwk()]))),
    }
}

/// The claims of somebody, good for five minutes.
pub(crate) fn claims(name: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({ "iss": "https://login.example", "aud": ["wsbump"], "sub": name, "exp": now + 300 })
}
