//! `[auth]`: who may show to be whom, and how.

mod address;
mod basic;
mod bearer;
mod certificate;
mod ldap;
mod negotiate;
mod range;

use super::problem::{Diagnostics, FileSpan};
use super::reader::Section;
use crate::admit::{AdmitConfig, BasicConfig, DirectoryConfig, Names, PasswordLimits, Realm};
use address::AddressTable;
use basic::BasicTable;
use bearer::BearerTable;
use certificate::CertificateTable;
use ldap::LdapTable;
use negotiate::NegotiateTable;
use range::duration;
use std::sync::Arc;
use std::time::Duration;

/// What happens to whom a directory that cannot be asked was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnFailure {
    Deny,
    Cached,
}

const FAILURES: [(&str, OnFailure); 2] = [("deny", OnFailure::Deny), ("cached", OnFailure::Cached)];

/// Longer, and somebody who has left the company goes on for days.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// The table as written.
#[derive(Debug)]
pub(super) struct AuthTable {
    /// Where it begins; `None` if there is none.
    span: FileSpan,
    realm: Realm,
    names: Names,
    limits: PasswordLimits,
    basic: BasicTable,
    ldap: LdapTable,
    negotiate: NegotiateTable,
    bearer: BearerTable,
    certificate: CertificateTable,
    address: AddressTable,
}

impl AuthTable {
    /// Reads the table; no file that it names is opened yet.
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let realm = section.parsed("realm", Realm::new);
        let domains = section.list("domains", |text| domain(text, "corp.example"));
        let netbios = section.list("netbios", |text| domain(text, "CORP"));
        let domains: Vec<_> = [domains, netbios].into_iter().flatten().collect();
        let ours = domains.iter().flat_map(|list| &list.value);
        let table = Self {
            span: section.span(),
            realm: realm.map(|at| at.value).unwrap_or_default(),
            names: Names::of(ours.map(|at| &*at.value)),
            limits: limits(&mut section),
            basic: BasicTable::read(section.inner("basic", "auth.basic")),
            ldap: LdapTable::read(section.inner("ldap", "auth.ldap")),
            negotiate: NegotiateTable::read(section.inner("negotiate", "auth.negotiate")),
            bearer: BearerTable::read(section.inner("bearer", "auth.bearer")),
            certificate: CertificateTable::read(section.inner("certificate", "auth.certificate")),
            address: AddressTable::read(section.inner("address", "auth.address")),
        };
        section.finish();
        table
    }

    /// Whether it is there.
    pub(super) fn is_written(&self) -> bool {
        self.span.is_some()
    }

    /// The names of users, as far as the table itself says.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// What is judged by, if clients can show who they are; its files are opened here. `secure` are the listeners that speak
    /// TLS.
    pub(super) fn resolve(self, secure: &[Arc<str>], notes: &mut Diagnostics) -> Option<AdmitConfig> {
        self.span.as_ref()?;
        let written = [
            self.basic.is_written(),
            self.ldap.is_written(),
            self.negotiate.is_written(),
            self.bearer.is_written(),
            self.certificate.is_written(),
        ];
        if !written.contains(&true) {
            let message = "offers no way to log in; write [auth.basic] with htpasswd = \"FILE\", [auth.ldap] with the servers of \
                           a directory, [auth.negotiate] with keytab = \"FILE\", [auth.bearer] with the keys of an issuer, or \
                           [auth.certificate] with the CA of clients";
            notes.add(&self.span, "auth", message);
            return None;
        }
        let basic_is_written = self.basic.is_written() || self.ldap.is_written();
        let (mut names, mut negotiate, mut basic) = (self.names, None, None);
        if self.negotiate.is_written() {
            let resolved = self.negotiate.resolve(notes)?;
            // The proxy has an account in these realms: they are its own.
            names.add(resolved.keytab.realms());
            negotiate = Some(resolved);
        }
        let bearer = match self.bearer.is_written() {
            true => Some(self.bearer.resolve(notes)?),
            false => None,
        };
        let certificate = match self.certificate.is_written() {
            true => Some(self.certificate.resolve(secure, notes)?),
            false => None,
        };
        let address = match self.address.is_written() {
            true => {
                let logins = [basic_is_written, negotiate.is_some(), bearer.is_some()];
                Some(self.address.resolve(logins.contains(&true), notes)?)
            }
            false => None,
        };
        let directory = match (self.basic.is_written(), self.ldap.is_written()) {
            (false, false) => None,
            (true, false) => Some(self.basic.resolve(&names, notes)?),
            (_, true) => {
                let config = self.ldap.resolve(&self.limits, notes);
                self.basic.leaves_to("[auth.ldap]", notes)?;
                Some(DirectoryConfig::Ldap(Arc::new(config?)))
            }
        };
        if let Some(directory) = directory {
            basic = Some(BasicConfig {
                directory,
                limits: self.limits,
            });
        }
        Some(AdmitConfig {
            realm: self.realm,
            names,
            basic,
            negotiate,
            bearer,
            certificate,
            address,
        })
    }
}

fn limits(section: &mut Section<'_, '_>) -> PasswordLimits {
    let usual = PasswordLimits::DEFAULT;
    let on_failure = section.choice("on_failure", &FAILURES, OnFailure::Deny);
    let failure_cache = duration(
        section,
        "failure_cache",
        Duration::from_secs(3600),
        Duration::ZERO..=LONGEST,
    );
    PasswordLimits {
        stale: (on_failure == OnFailure::Cached).then_some(failure_cache),
        entries: section.number("cache_entries", 1..=10_000_000, usual.entries),
        accepted: duration(section, "cache", usual.accepted, Duration::ZERO..=LONGEST),
        refused: duration(section, "refused_cache", usual.refused, Duration::ZERO..=LONGEST),
        lockout_attempts: section.number("lockout_attempts", 0..=1000, usual.lockout_attempts as usize)
            as u32,
        lockout_window: duration(
            section,
            "lockout_window",
            usual.lockout_window,
            Duration::from_secs(1)..=LONGEST,
        ),
        throttle_attempts: section.number("throttle_attempts", 0..=1000, usual.throttle_attempts as usize)
            as u32,
        throttle_pause: duration(
            section,
            "throttle_pause",
            usual.throttle_pause,
            Duration::from_millis(100)..=Duration::from_secs(300),
        ),
        timeout: duration(
            section,
            "timeout",
            usual.timeout,
            Duration::from_millis(100)..=Duration::from_secs(300),
        ),
        waiting: section.number("waiting", 1..=1_000_000, usual.waiting),
    }
}

/// A domain whose users are called by their names alone.
fn domain(text: &str, example: &str) -> Result<String, String> {
    let fits = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if (1..=253).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err(format!("{text:?} is no domain; write it as in {example:?}"))
}

#[cfg(test)]
mod tests;
