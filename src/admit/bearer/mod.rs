//! Bearer tokens (RFC 6750), as OpenID Connect and OAuth issue them: JWTs (RFC 7519) that are signed by a key of their
//! issuer. They are read as RFC 8725 advises: the configuration says how they may be signed, and keys come from it alone.

mod algorithm;
mod claims;
mod config;
mod key_set;
mod keys;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
mod token;

pub use algorithm::Algorithm;
pub(super) use claims::TokenUser;
pub use config::{BearerConfig, FetchedFrom, KeysFrom, KeysUrl};
pub use key_set::KeySet;

use super::challenge::{Realm, Undecided, Unproven, Unsure};
use super::road::Road;
use super::watch::{AdmitWatch, Source};
use claims::Unfit;
use http::HeaderValue;
use keys::Keys;
use std::sync::Arc;
use std::time::SystemTime;
use token::{BearerToken, TokenFault};

/// Judges tokens.
#[derive(Debug)]
pub(super) struct Bearer {
    config: BearerConfig,
    keys: Arc<Keys>,
    realm: Realm,
}

/// What a token led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Borne {
    /// It is known who it is.
    User(TokenUser),
    /// It is not.
    Unproven {
        why: Unproven,
        /// In words, for the log. Nothing of the token is in it that would let somebody use it.
        detail: String,
    },
    /// Nobody can tell.
    Unsure(Unsure, Source),
}

impl Bearer {
    /// `before` is what the configuration before knows; the road leads to the keys, and the watch hears of that.
    pub(super) fn new(
        config: &BearerConfig,
        realm: &Realm,
        (watch, road): (&Arc<dyn AdmitWatch>, &Arc<dyn Road>),
        before: Option<&Self>,
    ) -> Self {
        let same = before.filter(|before| before.config.keys == config.keys);
        Self {
            keys: same.map_or_else(
                || Arc::new(Keys::new(&config.keys, watch, road)),
                |before| Arc::clone(&before.keys),
            ),
            config: config.clone(),
            realm: realm.clone(),
        }
    }

    /// The challenge (RFC 6750 section 3), and why what was shown does not hold.
    pub(super) fn challenge(&self, why: Option<Unproven>) -> Option<HeaderValue> {
        let error = match why {
            // What was not shown is no error.
            None | Some(Unproven::Nothing) => "",
            Some(Unproven::Malformed) => ", error=\"invalid_request\"",
            Some(Unproven::ExpiredToken) => {
                ", error=\"invalid_token\", error_description=\"the token has ended\""
            }
            Some(_) => ", error=\"invalid_token\"",
        };
        HeaderValue::try_from(format!("Bearer realm=\"{}\"{error}", self.realm)).ok()
    }

    /// The user of a token, by the keys that are at hand; `None` if it does not hold by them.
    pub(super) fn remembered(&self, token: &[u8], now: SystemTime) -> Option<TokenUser> {
        let keys = self.keys.at_hand()?;
        let judged = BearerToken::read(token, &self.config.algorithms).and_then(|token| token.claims(&keys));
        claims::user(&judged.ok()?, &self.config, now).ok()
    }

    /// Judges what stands behind `Bearer`.
    pub(super) async fn judge(&self, token: &[u8], now: SystemTime) -> Borne {
        let token = match BearerToken::read(token, &self.config.algorithms) {
            Ok(token) => token,
            Err(broken) => return Borne::from(broken),
        };
        let keys = match self.keys.current().await {
            Ok(keys) => keys,
            Err(why) => return unavailable(why),
        };
        let claims = match token.claims(&keys) {
            Err(TokenFault::UnknownKey(key)) => self.by_new_keys(&token, &keys, key).await,
            judged => judged.map_err(Borne::from),
        };
        match claims.map(|claims| claims::user(&claims, &self.config, now)) {
            Ok(Ok(user)) => Borne::User(user),
            Ok(Err(unfit)) => Borne::from(unfit),
            Err(borne) => borne,
        }
    }

    /// The issuer may have a key that was not there when its keys were last looked at.
    async fn by_new_keys(
        &self,
        token: &BearerToken<'_>,
        keys: &Arc<KeySet>,
        key: String,
    ) -> Result<serde_json::Map<String, serde_json::Value>, Borne> {
        match self.keys.after(keys).await {
            Ok(Some(new)) => token.claims(&new).map_err(Borne::from),
            Ok(None) => Err(Borne::from(TokenFault::UnknownKey(key))),
            Err(why) => Err(unavailable(why)),
        }
    }
}

fn unavailable(text: String) -> Borne {
    let why = Undecided::DirectoryUnavailable;
    Borne::Unsure(Unsure { why, text }, Source::Directory)
}

impl From<TokenFault> for Borne {
    fn from(broken: TokenFault) -> Self {
        let (why, detail) = match broken {
            TokenFault::Malformed(why) => (Unproven::Malformed, why.to_owned()),
            TokenFault::Refused(why) => (Unproven::BadToken, why),
            TokenFault::UnknownKey(key) => (Unproven::NoKey, format!("its issuer does not have {key}")),
        };
        Self::Unproven { why, detail }
    }
}

impl From<Unfit> for Borne {
    fn from(unfit: Unfit) -> Self {
        let (why, detail) = match unfit {
            Unfit::Expired(why) => (Unproven::ExpiredToken, why),
            Unfit::Early(why) => (Unproven::Clock, why),
            Unfit::Foreign(why) => (Unproven::ForeignToken, why),
            Unfit::Refused(why) => (Unproven::BadToken, why),
            Unfit::GroupsElsewhere => {
                let why = Undecided::DirectoryUnavailable;
                let text = "the token has so many groups that they are not in it".to_owned();
                return Self::Unsure(Unsure { why, text }, Source::Credentials);
            }
        };
        Self::Unproven { why, detail }
    }
}
