//! `[console]`: who may look at the proxy in a browser.

use super::admin::{name, token_in};
use super::certificates::own_certificate;
use super::problem::Diagnostics;
use super::reader::{At, Section};
use super::words;
use crate::handshake::OwnCertificate;
use crate::report::admin::{ConsoleAccess, ConsoleRole, ConsoleToken};
use crate::wire::names::Host;
use std::path::PathBuf;
use std::time::Duration;

/// What the console's listener is called among those that have certificates.
pub(super) const CONSOLE: &str = "console";

/// The table as written.
#[derive(Debug)]
pub(super) struct ConsoleTable {
    names: Vec<Host>,
    cert: Option<At<PathBuf>>,
    key: Option<At<PathBuf>>,
    session: At<Duration>,
    tokens: Vec<TokenTable>,
}

/// One of the tables `[[console.token]]`.
#[derive(Debug)]
struct TokenTable {
    name: At<String>,
    file: At<PathBuf>,
    roles: Vec<ConsoleRole>,
}

/// The longest that somebody stays logged in.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl ConsoleTable {
    /// Reads the table; no file that it names is opened yet.
    pub(super) fn read(mut section: Section<'_, '_>, probe: bool) -> Self {
        let names = section.list("names", name).unwrap_or_default();
        let session = section.duration_at("session", ConsoleAccess::default().session);
        if session.value > LONGEST || session.value < Duration::from_secs(60) {
            section.note(
                &session.span,
                "session",
                "is not between 1m and 7d; whoever leaves a browser open should be logged out some day",
            );
        }
        let table = Self {
            names: names.value.into_iter().map(|at| at.value).collect(),
            cert: section.path_to("cert"),
            key: section.path_to("key"),
            session,
            tokens: section.tables("token", "console.token", probe, TokenTable::read),
        };
        section.finish();
        table
    }

    /// Whether anybody has a token.
    pub(super) fn has_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Who may log in, and what browsers are shown; `None` for leaves of the CA.
    pub(super) fn resolve(
        self,
        is_used: bool,
        notes: &mut Diagnostics,
    ) -> (ConsoleAccess, Option<OwnCertificate>) {
        let (cert, key) = (self.cert.as_ref(), self.key.as_ref());
        if !is_used && (cert.is_some() || self.has_tokens()) {
            notes.warn("[console] is not used: listen.console names no address");
        }
        let certificate = own_certificate(("console.cert", cert), ("console.key", key), notes);
        for warning in certificate.iter().flat_map(OwnCertificate::warnings) {
            notes.warn(format!("console.cert: {warning}"));
        }
        let mut tokens: Vec<ConsoleToken> = Vec::new();
        for table in self.tokens {
            let At { value, span } = &table.name;
            if tokens.iter().any(|other| *other.name == **value) {
                let message =
                    format!("there are two tokens named {value:?}; the audit log could not tell them apart");
                notes.add(span, "console.token.name", message);
            }
            let Some(token) = token_in(&table.file, "console.token.file", notes) else {
                continue;
            };
            if let Some(other) = tokens.iter().find(|other| other.token == token) {
                let message = format!("holds the token of {:?}; make one of its own", other.name);
                notes.add(&table.file.span, "console.token.file", message);
            }
            tokens.push(ConsoleToken {
                name: value.as_str().into(),
                token,
                roles: table.roles,
            });
        }
        let access = ConsoleAccess {
            names: self.names,
            tokens,
            session: self.session.value,
        };
        (access, certificate)
    }
}

impl TokenTable {
    fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let name = section.parsed("name", |text| words::name(text, "token"));
        let file = section.path_to("file");
        let known: Vec<_> = ConsoleRole::ALL
            .iter()
            .map(|role| (role.label(), *role))
            .collect();
        let roles = section.choices("roles", &known);
        for (key, advice) in [
            ("name", "the audit log calls its holder by it"),
            (
                "file",
                "name the file of the token: `openssl rand -hex 32` makes one",
            ),
            (
                "roles",
                "write what its holder may: [\"viewer\"], \"content\", \"raw\", \"operator\", \"approver\"",
            ),
        ] {
            if !section.has(key) {
                let span = section.span();
                section.note(&span, key, format!("is missing; {advice}"));
            }
        }
        Some(Self {
            name: name?,
            file: file?,
            roles,
        })
    }
}
