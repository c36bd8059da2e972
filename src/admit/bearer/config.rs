//! Which tokens are accepted.

use super::algorithm::Algorithm;
use super::key_set::KeySet;
use crate::fetch::Resource;
use crate::handshake::ServiceTls;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Which tokens are accepted, and by which keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BearerConfig {
    /// Who signs them: the claim `iss`, character by character.
    pub issuer: String,
    /// Whom they are for: one of these has to be in the claim `aud`.
    pub audiences: Vec<String>,
    /// How they may be signed.
    pub algorithms: Vec<Algorithm>,
    /// How far the issuer's clock may be from ours.
    pub leeway: Duration,
    /// The claim with the user's name.
    pub name_claim: String,
    /// The claim with the user's groups.
    pub groups_claim: Option<String>,
    /// Where the issuer's keys are.
    pub keys: KeysFrom,
}

/// Where keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysFrom {
    /// In a file that was read.
    File(Arc<KeySet>),
    /// At an address.
    Url(Arc<FetchedFrom>),
}

/// How keys are fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedFrom {
    /// From where.
    pub url: KeysUrl,
    /// The issuer whose description is there, which says where the keys are; `None` if they are there themselves.
    pub described: Option<String>,
    /// How the server is verified.
    pub tls: Arc<ServiceTls>,
    /// How long a fetch may take.
    pub timeout: Duration,
    /// How old keys may be before they are fetched again.
    pub refresh: Duration,
    /// How old they may be before nothing is verified by them.
    pub max_age: Duration,
    /// How long after a fetch the next one is tried, because the last one has failed or because a token names a key that
    /// is not known.
    pub retry_after: Duration,
}

/// The `https://` address of a set of keys.
#[derive(Debug, Clone)]
pub struct KeysUrl {
    text: String,
    pub(super) resource: Resource,
}

impl KeysUrl {
    /// Reads one.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        match Resource::parse(text) {
            Some(resource) if resource.secure => Ok(Self {
                text: text.to_owned(),
                resource,
            }),
            Some(_) => Err(format!(
                "{text:?} is not encrypted, and whoever is on the way could put in keys; write an https:// address"
            )),
            None => Err(format!(
                "{text:?} is no address; write one such as \"https://login.example/keys\""
            )),
        }
    }
}

impl KeysUrl {
    /// Where an issuer describes itself (OpenID Connect Discovery 1.0 section 4).
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn of_issuer(issuer: &str) -> Result<Self, String> {
        Self::parse(&format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        ))
    }
}

impl PartialEq for KeysUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for KeysUrl {}

impl fmt::Display for KeysUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl BearerConfig {
    /// Whether this audience is the proxy.
    pub(super) fn is_meant_by(&self, audience: &str) -> bool {
        self.audiences.iter().any(|ours| ours == audience)
    }
}
