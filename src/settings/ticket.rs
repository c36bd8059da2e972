//! Kerberos tickets that the proxy shows to a parent, as their keys say.

use super::files::{read, warn_of_readers};
use super::problem::Diagnostics;
use super::reader::At;
use crate::admit::{Initiator, KDC_PORT, Keytab};
use crate::dial::{ParentTickets, TokenSource};
use crate::wire::names::Authority;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The keys of `[[parent]]` that are about tickets.
#[derive(Debug, Default)]
pub(super) struct TicketKeys {
    pub keytab: Option<At<PathBuf>>,
    pub principal: Option<At<String>>,
    pub kdc: Vec<At<String>>,
    pub service: Option<At<String>>,
}

/// Tickets for the parent at a host, each step of which may take so long. `others` is what is wrong with having any.
pub(super) fn tickets(
    keys: &TicketKeys,
    host: &str,
    limit: Duration,
    others: Option<&str>,
    notes: &mut Diagnostics,
) -> Option<ParentTickets> {
    let Some(keytab) = &keys.keytab else {
        let principal = keys.principal.as_ref().map(|at| ("parent.principal", &at.span));
        let kdc = keys.kdc.first().map(|at| ("parent.kdc", &at.span));
        let service = keys.service.as_ref().map(|at| ("parent.service", &at.span));
        for (key, span) in [principal, kdc, service].into_iter().flatten() {
            notes.add(span, key, "is for Kerberos tickets; write keytab = \"FILE\" too");
        }
        return None;
    };
    if let Some(message) = others {
        notes.add(&keytab.span, "parent.keytab", message);
        return None;
    }
    let mut centres = Vec::new();
    for at in &keys.kdc {
        match Authority::parse(&at.value, Some(KDC_PORT)) {
            Some(authority) => centres.push(authority.to_string()),
            None => {
                let message = format!(
                    "{:?} is no host; write HOST or HOST:PORT, such as \"dc.corp.example\"",
                    at.value
                );
                notes.add(&at.span, "parent.kdc", message);
            }
        }
    }
    if keys.kdc.is_empty() {
        let message = "needs somebody who gives tickets; write kdc = [\"HOST\"], the domain controllers";
        notes.add(&keytab.span, "parent.keytab", message);
    }
    let (path, bytes) = read(&keytab.value, &keytab.span, "parent.keytab", notes)?;
    warn_of_readers(&path, "parent.keytab", notes);
    let principal = keys.principal.as_ref().map(|at| &*at.value);
    let service = keys
        .service
        .as_ref()
        .map_or_else(|| format!("HTTP/{host}"), |at| at.value.clone());
    let made = Keytab::read(&bytes).map_err(|error| error.to_string());
    let mut hash = DefaultHasher::new();
    (&bytes, principal, &service, &centres, limit).hash(&mut hash);
    let made = made.and_then(|keytab| Initiator::new(&keytab, principal, &service, centres, limit));
    match made {
        Ok(initiator) => Some(ParentTickets {
            configured: hash.finish(),
            of: Arc::new(Own(initiator)),
        }),
        Err(message) => {
            notes.add(
                &keytab.span,
                "parent.keytab",
                format!("{}: {message}", path.display()),
            );
            None
        }
    }
}

/// What makes tokens, as parents ask for them.
#[derive(Debug)]
struct Own(Initiator);

impl TokenSource for Own {
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + '_>> {
        Box::pin(async { Ok(STANDARD.encode(self.0.token().await?)) })
    }

    fn refused(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.0.forget())
    }
}
