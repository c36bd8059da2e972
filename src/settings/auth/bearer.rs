//! `[auth.bearer]`: tokens, and the keys that their issuer signs them with.

use super::range::duration;
use crate::admit::{Algorithm, BearerConfig, FetchedFrom, KeySet, KeysFrom, KeysUrl};
use crate::handshake::ServiceTls;
use crate::settings::certificates::roots_in;
use crate::settings::files::{read, warn_of_writers};
use crate::settings::problem::{Diagnostics, FileSpan, Problem};
use crate::settings::reader::{At, Section};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A clock that is further off than this should be set.
const MAX_LEEWAY: Duration = Duration::from_secs(5 * 60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The table as written.
#[derive(Debug)]
pub(super) struct BearerTable {
    span: FileSpan,
    issuer: Option<At<String>>,
    audience: Option<At<Vec<At<String>>>>,
    algorithms: Option<At<Vec<At<Algorithm>>>>,
    leeway: Duration,
    name_claim: Option<At<String>>,
    groups_claim: Option<At<String>>,
    jwks: Option<At<PathBuf>>,
    url: Option<At<KeysUrl>>,
    ca: Option<At<PathBuf>>,
    timeout: Duration,
    refresh: Duration,
    max_age: At<Duration>,
    retry_after: Duration,
}

impl BearerTable {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let (second, tenth) = (Duration::from_secs(1), Duration::from_millis(100));
        let max_age = section.spans().into_iter().find(|(key, _)| key == "max_age");
        let table = Self {
            span: section.span(),
            issuer: section.text("issuer"),
            audience: section.list("audience", |text| match text {
                "" => Err("is empty; leave it out".to_owned()),
                text => Ok(text.to_owned()),
            }),
            algorithms: section.list("algorithms", algorithm),
            leeway: duration(&mut section, "leeway", 60 * second, Duration::ZERO..=MAX_LEEWAY),
            name_claim: section.text("name_claim"),
            groups_claim: section.text("groups_claim"),
            jwks: section.path_to("jwks"),
            url: section.parsed("jwks_url", KeysUrl::parse),
            ca: section.path_to("ca"),
            timeout: duration(&mut section, "timeout", 5 * second, tenth..=60 * second),
            refresh: duration(&mut section, "refresh", 3600 * second, second..=7 * DAY),
            max_age: At {
                value: duration(&mut section, "max_age", DAY, second..=30 * DAY),
                span: max_age.and_then(|(_, span)| span),
            },
            retry_after: duration(&mut section, "retry_after", 10 * second, tenth..=3600 * second),
        };
        section.finish();
        table
    }

    pub(super) fn is_written(&self) -> bool {
        self.span.is_some()
    }

    /// Which tokens are accepted. Whoever leaves out for whom they are would take those for anybody.
    pub(super) fn resolve(self, notes: &mut Diagnostics) -> Option<BearerConfig> {
        let Some(issuer) = &self.issuer else {
            let message = "names nobody who issues tokens; write the iss that they have, character by character: issuer = \"https://...\"";
            notes.add(&self.span, "auth.bearer", message);
            return None;
        };
        let audiences: Vec<_> = (self.audience.iter().flat_map(|list| &list.value))
            .map(|at| at.value.clone())
            .collect();
        if audiences.is_empty() {
            let span = self.audience.as_ref().map_or(&self.span, |at| &at.span);
            let message = "nothing says for whom tokens have to be, and those for other services would do; write the aud that \
                           those for the proxy have: audience = [\"...\"]";
            notes.add(span, "auth.bearer.audience", message);
            return None;
        }
        let algorithms = match &self.algorithms {
            None => Algorithm::ALL.to_vec(),
            Some(list) if list.value.is_empty() => {
                // What could not be read was told of.
                if notes
                    .problems
                    .iter()
                    .any(|problem| problem.key == "auth.bearer.algorithms")
                {
                    return None;
                }
                let message = "lets no token be signed in any way; leave the line out for all of them";
                notes.add(&list.span, "auth.bearer.algorithms", message);
                return None;
            }
            Some(list) => list.value.iter().map(|at| at.value).collect(),
        };
        let keys = self.keys(notes)?;
        Some(BearerConfig {
            issuer: issuer.value.clone(),
            audiences,
            algorithms,
            leeway: self.leeway,
            name_claim: self.name_claim.map_or_else(|| "sub".to_owned(), |at| at.value),
            groups_claim: self.groups_claim.map(|at| at.value),
            keys,
        })
    }

    fn keys(&self, notes: &mut Diagnostics) -> Option<KeysFrom> {
        match (&self.jwks, &self.url) {
            (Some(file), None) => {
                if let Some(ca) = &self.ca {
                    let message = "verifies nobody: it is for jwks_url; leave it out";
                    notes.add(&ca.span, "auth.bearer.ca", message);
                    return None;
                }
                key_set(file, notes)
            }
            (None, Some(url)) => self.fetched(url, None, notes),
            (Some(file), Some(_)) => {
                let message =
                    "is there beside jwks_url, and keys come from one of them; leave the other one out";
                notes.add(&file.span, "auth.bearer.jwks", message);
                None
            }
            (None, None) => {
                // One that could not be read was told of.
                let is_told = |problem: &Problem| problem.key.starts_with("auth.bearer.jwks");
                if notes.problems.iter().any(is_told) {
                    return None;
                }
                let issuer = self.issuer.as_ref()?;
                match KeysUrl::of_issuer(&issuer.value) {
                    Ok(value) => {
                        let span = issuer.span.clone();
                        self.fetched(&At { value, span }, Some(issuer.value.clone()), notes)
                    }
                    Err(_) => {
                        let message = "has no keys to verify tokens by, and the issuer is no https:// address that would say where they are; name a JWK Set: jwks = \"FILE\", or jwks_url = \"https://...\"";
                        notes.add(&self.span, "auth.bearer", message);
                        None
                    }
                }
            }
        }
    }

    /// From an address, which may be that of an issuer's description of itself.
    fn fetched(
        &self,
        url: &At<KeysUrl>,
        described: Option<String>,
        notes: &mut Diagnostics,
    ) -> Option<KeysFrom> {
        if self.max_age.value <= self.refresh {
            let message =
                "is not longer than refresh, and keys would be too old before they are fetched again";
            notes.add(&self.max_age.span, "auth.bearer.max_age", message);
            return None;
        }
        let before = notes.problems.len();
        let ca = self.ca.as_ref();
        let roots = ca.map(|at| roots_in(&at.value, &at.span, "auth.bearer.ca", notes));
        if notes.problems.len() > before {
            return None;
        }
        let tls = match ServiceTls::new(roots, None) {
            Ok(tls) => Arc::new(tls),
            Err(error) => {
                let message = format!("{error}; name a file with the CA of the server: ca = \"FILE\"");
                notes.add(&url.span, "auth.bearer.ca", message);
                return None;
            }
        };
        Some(KeysFrom::Url(Arc::new(FetchedFrom {
            url: url.value.clone(),
            described,
            tls,
            timeout: self.timeout,
            refresh: self.refresh,
            max_age: self.max_age.value,
            retry_after: self.retry_after,
        })))
    }
}

fn key_set(file: &At<PathBuf>, notes: &mut Diagnostics) -> Option<KeysFrom> {
    const KEY: &str = "auth.bearer.jwks";
    let (path, bytes) = read(&file.value, &file.span, KEY, notes)?;
    warn_of_writers(&path, KEY, notes);
    match KeySet::read(&bytes) {
        Ok(set) => {
            for why in set.left_out() {
                notes.warn(format!("{KEY}: {}: {why}: it is not used", path.display()));
            }
            Some(KeysFrom::File(Arc::new(set)))
        }
        Err(why) => {
            notes.add(&file.span, KEY, format!("{}: {why}", path.display()));
            None
        }
    }
}

/// One that needs a public key alone.
fn algorithm(text: &str) -> Result<Algorithm, String> {
    let known = Algorithm::ALL.iter().find(|algorithm| algorithm.label() == text);
    known.copied().ok_or_else(|| {
        let all: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.label()).collect();
        let why = match text.starts_with("HS") || text.eq_ignore_ascii_case("none") {
            true => "lets whoever can read the keys write tokens",
            false => "is not known",
        };
        format!("{text:?} {why}; known here: {}", all.join(", "))
    })
}
