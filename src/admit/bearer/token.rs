//! Signed tokens in their compact form (RFC 7515 section 7.1).

use super::algorithm::Algorithm;
use super::key_set::KeySet;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The largest token in bytes. Those with two hundred groups have some ten KiB.
const MAX_TOKEN: usize = 48 * 1024;

/// The largest header of one, in base64.
const MAX_HEADER: usize = 4096;

/// How many keys are tried that a token may be signed with.
const MAX_TRIED: usize = 8;

/// The kinds of tokens that are shown to servers (RFC 7519 section 5.1, RFC 9068 section 2.1). What an issuer signs for
/// another purpose, such as a logout, says so here (RFC 8725 section 3.11).
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// Why a token is not one that can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenFault {
    /// It is not what a token looks like; in words.
    Malformed(&'static str),
    /// It is one, and not to be taken; in words.
    Refused(String),
    /// No key is known of this name for this algorithm.
    UnknownKey(String),
}

/// What the header says. What it has of keys or of their addresses (`jwk`, `jku`, `x5u`, `x5c`) is not looked at: whoever
/// writes the token would choose them.
#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    enc: bool,
}

/// Whether a member is there, whatever it says.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// A token that was read, and not yet verified.
pub(super) struct BearerToken<'t> {
    algorithm: Algorithm,
    key: Option<String>,
    signed: &'t [u8],
    payload: &'t [u8],
    signature: Vec<u8>,
}

impl<'t> BearerToken<'t> {
    /// Reads a token that is signed by one of `allowed`.
    pub(super) fn read(text: &'t [u8], allowed: &[Algorithm]) -> Result<Self, TokenFault> {
        if text.len() > MAX_TOKEN {
            return Err(TokenFault::Malformed("it is too large"));
        }
        let mut parts = text.split(|&byte| byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenFault::Malformed(
                "it is no signed token: three parts with dots between them",
            ));
        };
        if header.len() > MAX_HEADER {
            return Err(TokenFault::Malformed("its header is too large"));
        }
        let decoded = decode(header, "its header is not base64url")?;
        // Members that come twice are an error (RFC 7515 section 4).
        let read: Header = serde_json::from_slice(&decoded)
            .map_err(|_| TokenFault::Malformed("its header is not that of a signed token"))?;
        if read.crit {
            let why = "it has extensions that must be understood (crit)";
            return Err(TokenFault::Refused(why.to_owned()));
        }
        if read.enc {
            return Err(TokenFault::Refused("it is encrypted".to_owned()));
        }
        if let Some(typ) = &read.typ {
            let kind = typ.to_ascii_lowercase();
            if !TYPES.contains(&kind.strip_prefix("application/").unwrap_or(&kind)) {
                return Err(TokenFault::Refused(format!(
                    "it is a token of type {}",
                    capped(typ)
                )));
            }
        }
        let algorithm = Algorithm::named(&read.alg).filter(|algorithm| allowed.contains(algorithm));
        let Some(algorithm) = algorithm else {
            let alg = capped(&read.alg);
            return Err(TokenFault::Refused(format!(
                "it is signed by {alg}, which is not allowed"
            )));
        };
        Ok(Self {
            algorithm,
            key: read.kid,
            signed: &text[..header.len() + 1 + payload.len()],
            payload,
            signature: decode(signature, "its signature is not base64url")?,
        })
    }

    /// The claims, if one of these keys has signed them.
    pub(super) fn claims(&self, keys: &KeySet) -> Result<Map<String, Value>, TokenFault> {
        let named = keys.named(self.key.as_deref());
        let verdicts = named.filter_map(|key| key.verifies(self.algorithm, self.signed, &self.signature));
        let mut tried = false;
        for verified in verdicts.take(MAX_TRIED) {
            if verified {
                let payload = decode(self.payload, "its claims are not base64url")?;
                return serde_json::from_slice(&payload)
                    .map_err(|_| TokenFault::Malformed("its claims are no JSON object"));
            }
            tried = true;
        }
        match tried {
            true => Err(TokenFault::Refused("its signature is wrong".to_owned())),
            false => Err(TokenFault::UnknownKey(match &self.key {
                Some(key) => format!("the key {} for {}", capped(key), self.algorithm.label()),
                None => format!("a key for {}", self.algorithm.label()),
            })),
        }
    }
}

fn decode(text: &[u8], wrong: &'static str) -> Result<Vec<u8>, TokenFault> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| TokenFault::Malformed(wrong))
}

/// What a client has written, for the log.
pub(super) fn capped(text: &str) -> String {
    let start: String = text.chars().take(64).collect();
    format!("{start:?}")
}
