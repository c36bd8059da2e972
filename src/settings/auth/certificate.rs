//! `[auth.certificate]`: certificates that clients show to the proxy itself.

use crate::admit::CertificateConfig;
use crate::handshake::{ClientAuth, ClientAuthConfig, NamedBy};
use crate::settings::certificates::{crls_in, roots_in};
use crate::settings::problem::{Diagnostics, FileSpan};
use crate::settings::reader::{At, Section};
use std::path::PathBuf;
use std::sync::Arc;

const NAMES: [(&str, NamedBy); 5] = [
    (NamedBy::SubjectCn.label(), NamedBy::SubjectCn),
    (NamedBy::SanEmail.label(), NamedBy::SanEmail),
    (NamedBy::SanUpn.label(), NamedBy::SanUpn),
    (NamedBy::SanDns.label(), NamedBy::SanDns),
    (NamedBy::SanUri.label(), NamedBy::SanUri),
];

/// The table as written.
#[derive(Debug)]
pub(super) struct CertificateTable {
    span: FileSpan,
    ca: Option<At<PathBuf>>,
    crls: Vec<At<String>>,
    name: NamedBy,
    required: bool,
    listeners: Option<At<Vec<At<String>>>>,
}

impl CertificateTable {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let table = Self {
            span: section.span(),
            ca: section.path_to("ca"),
            crls: section.texts("crls"),
            name: section.choice("name", &NAMES, NamedBy::SubjectCn),
            required: section.flag("required", false),
            listeners: section.list("listeners", |text| Ok(text.to_owned())),
        };
        section.finish();
        table
    }

    pub(super) fn is_written(&self) -> bool {
        self.span.is_some()
    }

    /// Whose certificates are accepted, at which of the listeners that speak TLS. What cannot be read is an error: with less
    /// than all of it, somebody could be let in.
    pub(super) fn resolve(&self, secure: &[Arc<str>], notes: &mut Diagnostics) -> Option<CertificateConfig> {
        let Some(ca) = &self.ca else {
            let message = "verifies nobody; name a file with the CAs that sign the clients' certificates: ca = \"FILE\"";
            notes.add(&self.span, "auth.certificate", message);
            return None;
        };
        let before = notes.problems.len();
        let roots = roots_in(&ca.value, &ca.span, "auth.certificate.ca", notes);
        let mut crls = Vec::new();
        for At { value, span } in &self.crls {
            crls.extend(crls_in(
                &PathBuf::from(value),
                span,
                "auth.certificate.crls",
                notes,
            ));
        }
        self.tell_listeners(secure, notes);
        if notes.problems.len() > before {
            return None;
        }
        let tls = ClientAuthConfig {
            roots,
            crls,
            required: self.required,
        };
        if let Err(error) = ClientAuth::new(tls.clone()) {
            notes.add(&ca.span, "auth.certificate.ca", error);
            return None;
        }
        let listeners = self.listeners.as_ref();
        Some(CertificateConfig {
            name: self.name,
            tls,
            listeners: listeners.map(|list| list.value.iter().map(|at| at.value.clone()).collect()),
        })
    }

    fn tell_listeners(&self, secure: &[Arc<str>], notes: &mut Diagnostics) {
        if secure.is_empty() {
            let warning = "asks nobody, since no listener speaks TLS; see listen.tls";
            notes.warn_at(&self.span, "auth.certificate", warning);
        }
        for At { value, span } in self.listeners.iter().flat_map(|list| &list.value) {
            if !secure.iter().any(|name| **name == **value) {
                let known: Vec<_> = secure.iter().map(|name| format!("{name:?}")).collect();
                let message = format!(
                    "{value:?} is no listener that speaks TLS; those are: {}",
                    known.join(", ")
                );
                notes.add(span, "auth.certificate.listeners", message);
            }
        }
    }
}
