//! The lists, by name, and which of them are referred to.

use super::load::read;
use super::problem::{Notes, Place, nearest};
use super::raw;
use super::reader::At;
use crate::decide::hosts::List;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Every list of a configuration.
pub(super) struct Lists<'f> {
    /// `None` is a list that is itself wrong, which has been stated.
    by_name: BTreeMap<&'f str, Option<Arc<List>>>,
    used: BTreeSet<&'f str>,
}

impl<'f> Lists<'f> {
    /// Reads every list in one pass over their files; a list that is wrong is stated and left out.
    pub(super) fn read(written: &'f [raw::List], notes: &mut Notes) -> Self {
        let mut lists = BTreeMap::new();
        let mut first_lines: BTreeMap<&str, usize> = BTreeMap::new();
        for raw in written {
            let name = &*raw.name.value;
            if let Some(line) = first_lines.get(name) {
                let message =
                    format!("{name:?} is the name of the list at line {line} too; give each list its own");
                notes.add(&raw.name.span, "list.name", message);
                continue;
            }
            first_lines.insert(name, notes.line(&raw.name.span));
            let content = raw
                .file
                .as_ref()
                .and_then(|at| read(&at.value, &at.span, "list.file", notes));
            let list = content.and_then(|(path, bytes)| {
                let Ok(text) = String::from_utf8(bytes) else {
                    notes.add_in(
                        &path,
                        None,
                        format!("list {name}"),
                        "is not UTF-8 text; save it as UTF-8",
                    );
                    return None;
                };
                match List::parse(name, &text, raw.format, raw.ignore_case) {
                    Ok(list) => Some(Arc::new(list)),
                    Err(errors) => {
                        for error in errors {
                            let place = Some(Place {
                                line: error.line,
                                column: 1,
                            });
                            let message = format!("{:?}: {}", error.pattern, error.message);
                            notes.add_in(&path, place, format!("list {name}"), message);
                        }
                        None
                    }
                }
            });
            lists.insert(name, list);
        }
        Self {
            by_name: lists,
            used: BTreeSet::new(),
        }
    }

    /// The lists of these names; `key` is where they are named.
    pub(super) fn resolve(&mut self, names: &[At<String>], key: &str, notes: &mut Notes) -> Vec<Arc<List>> {
        let mut found = Vec::new();
        for at in names {
            let written = &*at.value;
            if let Some((name, list)) = self.by_name.get_key_value(written) {
                self.used.insert(name);
                found.extend(list.clone());
                continue;
            }
            let advice = match nearest(written, self.by_name.keys().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("write a [[list]] with name = {written:?}"),
            };
            notes.add(
                &at.span,
                key,
                format!("there is no list named {written:?}; {advice}"),
            );
        }
        found
    }

    /// A warning for each list that nothing refers to.
    pub(super) fn unused(&self) -> impl Iterator<Item = String> {
        self.by_name
            .keys()
            .filter(|name| !self.used.contains(*name))
            .map(|name| {
                format!(
                    "list {name:?} is not used: name it in policy.splice, policy.deny or a rule's hosts, or take it out"
                )
            })
    }
}
