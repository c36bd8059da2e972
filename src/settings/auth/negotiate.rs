//! `[auth.negotiate]`: Kerberos tickets, and the keys that they are made with.

use crate::admit::{Keytab, NegotiateConfig};
use crate::settings::files::{read, warn_of_readers};
use crate::settings::problem::{Diagnostics, FileSpan};
use crate::settings::reader::{At, Section};
use std::path::PathBuf;
use std::sync::Arc;

/// The table as written.
#[derive(Debug)]
pub(super) struct NegotiateTable {
    span: FileSpan,
    keytab: Option<At<PathBuf>>,
}

impl NegotiateTable {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let table = Self {
            span: section.span(),
            keytab: section.path_to("keytab"),
        };
        section.finish();
        table
    }

    pub(super) fn is_written(&self) -> bool {
        self.span.is_some()
    }

    /// What tickets are decrypted with.
    pub(super) fn resolve(&self, notes: &mut Diagnostics) -> Option<NegotiateConfig> {
        let key = "auth.negotiate.keytab";
        let Some(keytab) = &self.keytab else {
            let message = "has no keys; name a keytab with those of the proxy's account: keytab = \"FILE\"";
            notes.add(&self.span, "auth.negotiate", message);
            return None;
        };
        let (path, bytes) = read(&keytab.value, &keytab.span, key, notes)?;
        warn_of_readers(&path, key, notes);
        let read = match Keytab::read(&bytes) {
            Ok(read) => read,
            Err(error) => {
                notes.add(&keytab.span, key, format!("{}: {error}", path.display()));
                return None;
            }
        };
        if !read.principals().any(|principal| principal.starts_with("HTTP/")) {
            let principals: Vec<_> = read.principals().collect();
            notes.warn(format!(
                "{key}: {} has keys of {} only; clients ask for tickets of HTTP/ and the proxy's name, which must be another \
                 name of the same account",
                path.display(),
                principals.join(", ")
            ));
        }
        Some(NegotiateConfig {
            keytab: Arc::new(read),
        })
    }
}
