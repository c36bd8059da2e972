//! `[origin]`: whom the proxy trusts, and what it tells of itself.

use super::certificates::{crls_in, roots_in};
use super::problem::Diagnostics;
use super::reader::{At, Section};
use crate::handshake::origin::UpstreamConfig;
use crate::handshake::{FetchedCrls, RevocationMode};
use crate::journey;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MODES: [(&str, RevocationMode); 3] = [
    ("off", RevocationMode::Off),
    ("soft", RevocationMode::Soft),
    ("hard", RevocationMode::Hard),
];

/// How often a CRL is asked for at least.
const CRL_REFRESH: Duration = Duration::from_secs(4 * 3600);
/// The most addresses of CRLs.
const CRL_URLS: usize = 64;

/// The table as written.
#[derive(Debug)]
pub(super) struct OriginTable {
    system_roots: bool,
    extra_roots: Vec<At<String>>,
    revocation: RevocationMode,
    crls: Vec<At<String>>,
    crl_urls: Vec<At<String>>,
    crl_refresh: Duration,
    /// Whether intermediates are fetched that origins do not send.
    pub fetch_intermediates: bool,
    /// Whether Via is added where no list says otherwise.
    pub via: bool,
}

impl OriginTable {
    /// Reads the table; no file that it names is opened yet.
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let table = Self {
            system_roots: section.flag("system_roots", true),
            extra_roots: section.texts("extra_roots"),
            revocation: section.choice("revocation", &MODES, RevocationMode::Soft),
            crls: section.texts("crls"),
            crl_urls: section.texts("crl_urls"),
            crl_refresh: section.duration("crl_refresh", CRL_REFRESH),
            fetch_intermediates: section.flag("fetch_intermediates", true),
            via: section.flag("via", true),
        };
        section.finish();
        table
    }

    /// Which CRLs are fetched, and kept below the data directory.
    pub(super) fn fetched_crls(&mut self, data_dir: Option<&Path>, notes: &mut Diagnostics) -> FetchedCrls {
        const KEY: &str = "origin.crl_urls";
        let mut urls: Vec<String> = Vec::new();
        for At { value, span } in &self.crl_urls {
            if !journey::may_be_fetched(value) {
                let message =
                    format!("{value:?} is no address; write \"http://HOST/PATH\" or \"https://HOST/PATH\"");
                notes.add(span, KEY, message);
            } else if urls.len() == CRL_URLS {
                notes.add(span, KEY, format!("there are more than {CRL_URLS} addresses"));
                break;
            } else if !urls.contains(value) {
                urls.push(value.clone());
            }
        }
        if self.revocation == RevocationMode::Off {
            urls.clear();
        }
        if !urls.is_empty() && data_dir.is_none() {
            notes.warn("there is no data directory: the CRLs of origin.crl_urls do not outlive a restart");
        }
        FetchedCrls {
            urls,
            refresh: self.crl_refresh,
            directory: data_dir.map(|dir| dir.join("crls")),
        }
    }

    /// Reads the roots that it names.
    pub(super) fn resolve(self, notes: &mut Diagnostics) -> UpstreamConfig {
        if !self.system_roots && self.extra_roots.is_empty() {
            notes.warn(
                "origin.system_roots is false and origin.extra_roots is empty: no origin's certificate can verify",
            );
        }
        if self.revocation == RevocationMode::Off {
            for (key, written) in [("crls", &self.crls), ("crl_urls", &self.crl_urls)] {
                if !written.is_empty() {
                    notes.warn(format!(
                        "origin.{key} are not looked at while origin.revocation is \"off\""
                    ));
                }
            }
        }
        let files = self.extra_roots.into_iter();
        UpstreamConfig {
            system_roots: self.system_roots,
            extra_roots: files
                .flat_map(|At { value, span }| {
                    roots_in(&PathBuf::from(value), &span, "origin.extra_roots", notes)
                })
                .collect(),
            revocation: self.revocation,
            crls: self
                .crls
                .into_iter()
                .flat_map(|At { value, span }| crls_in(&PathBuf::from(value), &span, "origin.crls", notes))
                .collect(),
        }
    }
}
