//! `[auth]`: how clients show who they are.

use super::files::{as_text, cannot_read, relative_to};
use super::problem::{Diagnostics, Place};
use super::reader::{At, Section};
use crate::admit::{AdmitConfig, BasicConfig, DirectoryConfig, HtpasswdTable, Names, Realm, Wrong};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The table as written, but for the files that it names.
#[derive(Debug)]
pub(super) struct AuthTable {
    realm: Realm,
    names: Names,
    htpasswd: Option<At<PathBuf>>,
    groups: Option<At<PathBuf>>,
}

impl AuthTable {
    /// Reads the table; what is wrong is stated and left out.
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let realm = section.parsed("realm", Realm::new);
        let domains = section.texts("domains");
        let mut basic = section.inner("basic", "auth.basic");
        let (htpasswd, groups) = (basic.path_to("htpasswd"), basic.path_to("groups"));
        if let (None, Some(groups)) = (&htpasswd, &groups) {
            basic.note(
                &groups.span,
                "groups",
                "needs htpasswd: there are no users that could be in groups",
            );
        }
        basic.finish();
        section.finish();
        Self {
            realm: realm.map(|at| at.value).unwrap_or_default(),
            names: Names::of(domains.iter().map(|domain| domain.value.as_str())),
            htpasswd,
            groups,
        }
    }

    /// Whether clients can show who they are.
    pub(super) fn asks_names(&self) -> bool {
        self.htpasswd.is_some()
    }

    /// With its files; `None` where nobody is asked, or nothing can be made of a file, which is stated.
    pub(super) fn resolve(self, notes: &mut Diagnostics) -> Option<AdmitConfig> {
        let written = self.htpasswd?;
        let (path, text) = secret(&written, "auth.basic.htpasswd", notes)?;
        let table = HtpasswdTable::read(&text, &self.names);
        let mut table = good(table, &path, "auth.basic.htpasswd", notes)?;
        if let Some(written) = &self.groups {
            let (path, text) = secret(written, "auth.basic.groups", notes)?;
            let strangers = table.add_groups(&text, &self.names);
            let strangers = good(strangers, &path, "auth.basic.groups", notes)?;
            if !strangers.is_empty() {
                notes.warn(format!(
                    "auth.basic.groups: {} has users that are not in auth.basic.htpasswd: {}",
                    path.display(),
                    strangers.join(", ")
                ));
            }
        }
        if table.is_empty() {
            notes.warn(format!("auth.basic.htpasswd: {} has no users", path.display()));
        }
        Some(AdmitConfig {
            realm: self.realm,
            names: self.names,
            basic: Some(BasicConfig {
                directory: DirectoryConfig::Htpasswd(Arc::new(table)),
            }),
        })
    }
}

/// A file that is nobody else's business.
fn secret(written: &At<PathBuf>, key: &'static str, notes: &mut Diagnostics) -> Option<(PathBuf, String)> {
    let path = relative_to(notes.file(), &written.value);
    notes.files.push(path.clone());
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("{}: {}", path.display(), cannot_read(&error));
            notes.add(&written.span, key, message);
            return None;
        }
    };
    let mode = std::fs::metadata(&path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o007 != 0 {
        notes.warn(format!(
            "{key}: {} may be read by everybody (mode {:03o}): chmod 640 would keep them from it",
            path.display(),
            mode & 0o777
        ));
    }
    match as_text(bytes) {
        Ok(text) => Some((path, text)),
        Err((place, message)) => {
            notes.add_in(&path, Some(place), key, message);
            None
        }
    }
}

/// What was read of a file; each line that cannot be used is stated.
fn good<T>(
    read: Result<T, Vec<Wrong>>,
    path: &Path,
    key: &'static str,
    notes: &mut Diagnostics,
) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(wrong) => {
            for Wrong { line, message } in wrong {
                let place = Place { line, column: 1 };
                notes.add_in(path, Some(place), key, message);
            }
            None
        }
    }
}
