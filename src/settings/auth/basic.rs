//! `[auth.basic]`: names and passwords, and what they are asked of.

use crate::admit::{DirectoryConfig, HtpasswdTable, Names, Wrong};
use crate::settings::files::{as_text, read, warn_of_readers};
use crate::settings::problem::{Diagnostics, FilePlace, FileSpan};
use crate::settings::reader::{At, Section};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The table as written.
#[derive(Debug)]
pub(super) struct BasicTable {
    span: FileSpan,
    htpasswd: Option<At<PathBuf>>,
    groups: Option<At<PathBuf>>,
}

impl BasicTable {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let table = Self {
            span: section.span(),
            htpasswd: section.path_to("htpasswd"),
            groups: section.path_to("groups"),
        };
        section.finish();
        table
    }

    pub(super) fn is_written(&self) -> bool {
        self.span.is_some()
    }

    /// Whether passwords are asked of `other` and not of files; what is wrong is stated.
    pub(super) fn leaves_to(&self, other: &str, notes: &mut Diagnostics) -> Option<()> {
        let files = [("htpasswd", &self.htpasswd), ("groups", &self.groups)];
        let written = files.iter().find_map(|(key, file)| Some((key, file.as_ref()?)));
        let Some((key, file)) = written else {
            return Some(());
        };
        let message = format!(
            "is there beside {other}, and passwords are asked of one of them; leave the other one out"
        );
        notes.add(&file.span, format!("auth.basic.{key}"), message);
        None
    }

    /// What passwords are asked of. Every line that is wrong is stated.
    pub(super) fn resolve(&self, names: &Names, notes: &mut Diagnostics) -> Option<DirectoryConfig> {
        let Some(htpasswd) = &self.htpasswd else {
            let message = "asks nobody; name a file that `htpasswd -B` writes: htpasswd = \"FILE\"";
            notes.add(&self.span, "auth.basic", message);
            return None;
        };
        let key = "auth.basic.htpasswd";
        let (path, text) = text_of(htpasswd, key, notes)?;
        warn_of_readers(&path, key, notes);
        let table = HtpasswdTable::read(&text, names);
        let mut table = table.map_err(|wrong| blame(&path, key, wrong, notes)).ok()?;
        if table.is_empty() {
            notes.warn(format!(
                "{key}: {} has no users: nobody can log in",
                path.display()
            ));
        }
        if let Some(groups) = &self.groups {
            let key = "auth.basic.groups";
            let (path, text) = text_of(groups, key, notes)?;
            match table.add_groups(&text, names) {
                Err(wrong) => {
                    blame(&path, key, wrong, notes);
                    return None;
                }
                Ok(strangers) if strangers.is_empty() => {}
                Ok(strangers) => notes.warn(format!(
                    "{key}: {} names users that are not in the password file: {}",
                    path.display(),
                    strangers.join(", ")
                )),
            }
        }
        Some(DirectoryConfig::Htpasswd(Arc::new(table)))
    }
}

fn text_of(written: &At<PathBuf>, key: &str, notes: &mut Diagnostics) -> Option<(PathBuf, String)> {
    let (path, bytes) = read(&written.value, &written.span, key, notes)?;
    match as_text(bytes) {
        Ok(text) => Some((path, text)),
        Err((place, message)) => {
            notes.add_in(&path, Some(place), key, message);
            None
        }
    }
}

fn blame(path: &Path, key: &str, wrong: Vec<Wrong>, notes: &mut Diagnostics) {
    for Wrong { line, message } in wrong {
        notes.add_in(path, Some(FilePlace { line, column: 1 }), key, message);
    }
}
