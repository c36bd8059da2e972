//! `[origin]`: whom the proxy trusts, and what it tells of itself.

use super::certificates::{crls_in, roots_in};
use super::problem::Diagnostics;
use super::reader::{At, Section};
use crate::handshake::RevocationMode;
use crate::handshake::origin::UpstreamConfig;
use std::path::PathBuf;

const MODES: [(&str, RevocationMode); 3] = [
    ("off", RevocationMode::Off),
    ("soft", RevocationMode::Soft),
    ("hard", RevocationMode::Hard),
];

/// The table as written.
#[derive(Debug)]
pub(super) struct OriginTable {
    system_roots: bool,
    extra_roots: Vec<At<String>>,
    revocation: RevocationMode,
    crls: Vec<At<String>>,
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
            fetch_intermediates: section.flag("fetch_intermediates", true),
            via: section.flag("via", true),
        };
        section.finish();
        table
    }

    /// Reads the roots that it names.
    pub(super) fn resolve(self, notes: &mut Diagnostics) -> UpstreamConfig {
        if !self.system_roots && self.extra_roots.is_empty() {
            notes.warn(
                "origin.system_roots is false and origin.extra_roots is empty: no origin's certificate can verify",
            );
        }
        if self.revocation == RevocationMode::Off && !self.crls.is_empty() {
            notes.warn("origin.crls are not looked at while origin.revocation is \"off\"");
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
