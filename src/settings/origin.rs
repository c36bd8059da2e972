//! `[origin]`: whom the proxy trusts, and what it tells of itself.

use super::certificates::roots_in;
use super::problem::Diagnostics;
use super::reader::{At, Section};
use crate::handshake::origin::UpstreamConfig;
use std::path::PathBuf;

/// The table as written.
#[derive(Debug)]
pub(super) struct OriginTable {
    system_roots: bool,
    extra_roots: Vec<At<String>>,
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
        let files = self.extra_roots.into_iter();
        UpstreamConfig {
            system_roots: self.system_roots,
            extra_roots: files
                .flat_map(|At { value, span }| {
                    roots_in(&PathBuf::from(value), &span, "origin.extra_roots", notes)
                })
                .collect(),
        }
    }
}
