//! The lists, by name, and which of them are referred to.

use super::files::{as_text, read};
use super::problem::{Diagnostics, FilePlace, FileSpan, nearest};
use super::reader::{At, Section};
use super::words;
use crate::decide::Doubt;
use crate::decide::hosts::{Format, List};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// So many doubtful lines of a kind are told for each list; a mistake that fills a file is one mistake.
const TOLD: usize = 3;

/// One `[[list]]` as written.
#[derive(Debug)]
pub(super) struct ListTable {
    pub name: At<String>,
    /// Absent only where its absence has been stated.
    pub file: Option<At<PathBuf>>,
    pub format: Format,
    pub ignore_case: bool,
}

impl ListTable {
    /// Each `[[list]]` of the file.
    pub(super) fn read_all(root: &mut Section<'_, '_>, probe: bool) -> Vec<Self> {
        root.tables("list", "list", probe, Self::read)
    }

    fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let name = section.read("name", |value| match value.as_str() {
            Some(text) => words::name(text, "list"),
            None => Err(format!("is of type {}; write a name in quotes", value.type_str())),
        });
        let file = section.path_to("file");
        let formats = [
            ("url_regex", Format::UrlRegex),
            ("host_regex", Format::HostRegex),
            ("domains", Format::Domains),
        ];
        let format = section.choice("format", &formats, Format::UrlRegex);
        let ignore_case = section.flag("ignore_case", true);
        for key in ["name", "file"] {
            if !section.has(key) {
                let span: FileSpan = section.span();
                section.note(
                    &span,
                    key,
                    format!("is missing; each [[list]] needs {key} = \"...\""),
                );
            }
        }
        Some(Self {
            name: name?,
            file,
            format,
            ignore_case,
        })
    }

    /// Reads the list's file; what is wrong with it is stated.
    fn open(&self, notes: &mut Diagnostics) -> Option<Arc<List>> {
        let name = &*self.name.value;
        let file = self.file.as_ref()?;
        let (path, bytes) = read(&file.value, &file.span, "list.file", notes)?;
        let key = format!("list {name}");
        let text = match as_text(bytes) {
            Ok(text) => text,
            Err((place, message)) => {
                notes.add_in(&path, Some(place), key, message);
                return None;
            }
        };
        match List::parse(name, &text, self.format, self.ignore_case) {
            Ok(list) => Some(Arc::new(list)),
            Err(errors) => {
                for error in errors {
                    let place = Some(FilePlace {
                        line: error.line,
                        column: 1,
                    });
                    let message = format!("{:?}: {}", error.pattern, error.message);
                    notes.add_in(&path, place, &*key, message);
                }
                None
            }
        }
    }
}

/// Every list of a configuration.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// `None` is a list that is itself wrong, which has been stated.
    by_name: BTreeMap<String, Option<Arc<List>>>,
    used: BTreeSet<String>,
    /// The files of those that are good.
    files: Vec<(PathBuf, Arc<List>)>,
    /// Their names, in the order of the file.
    pub names: Vec<String>,
}

impl Lists {
    /// Reads every list and its file; a list that is wrong is stated and left out.
    pub(super) fn read(root: &mut Section<'_, '_>, probe: bool) -> Self {
        let tables = ListTable::read_all(root, probe);
        let notes = root.notes();
        let mut lists = Self::default();
        let mut first_lines: BTreeMap<&str, usize> = BTreeMap::new();
        for table in &tables {
            let name = &*table.name.value;
            if let Some(line) = first_lines.get(name) {
                let message =
                    format!("{name:?} is the name of the list at line {line} too; give each list its own");
                notes.add(&table.name.span, "list.name", message);
                continue;
            }
            first_lines.insert(name, notes.line(&table.name.span));
            let list = table.open(notes);
            let file = table.file.as_ref().map(|file| file.value.clone());
            lists.files.extend(file.zip(list.clone()));
            lists.by_name.insert(name.to_owned(), list);
            lists.names.push(name.to_owned());
        }
        lists
    }

    /// The lists that `key` of this table names.
    pub(super) fn named(&mut self, section: &mut Section<'_, '_>, key: &'static str) -> Vec<Arc<List>> {
        let mut found = Vec::new();
        for At { value, span } in section.texts(key) {
            if let Some(list) = self.by_name.get(&value) {
                found.extend(list.clone());
                self.used.insert(value);
                continue;
            }
            let advice = match nearest(&value, self.by_name.keys().map(String::as_str)) {
                Some(near) => format!("did you mean {near:?}?"),
                // A name of a list may have dots too, so that it is no more than probable.
                None if value.contains('*') || value.contains('.') => format!(
                    "{} names lists, and no hosts: write {value} into the file of a [[list]], and the list's name here",
                    section.name_of(key)
                ),
                None => format!("write a [[list]] with name = {value:?}"),
            };
            section.note(&span, key, format!("there is no list named {value:?}; {advice}"));
        }
        found
    }

    /// What in the files surely is a mistake. Of each kind the first lines of a file are told.
    pub(super) fn doubts(&self) -> impl Iterator<Item = String> {
        self.files.iter().flat_map(|(file, list)| {
            let mut kinds: BTreeMap<Doubt, (usize, Vec<String>)> = BTreeMap::new();
            let of = format!("list {}", list.name());
            for warning in list.warnings() {
                let (count, told) = kinds.entry(warning.doubt).or_default();
                *count += 1;
                if *count <= TOLD {
                    let at = format!("{}:{}", file.display(), warning.line);
                    told.push(format!("{at}: {of}: {:?}: {}", warning.pattern, warning.message));
                }
            }
            kinds.into_values().flat_map(move |(count, mut told)| {
                if count > TOLD {
                    told.push(format!(
                        "{}: {of}: and {} more like these",
                        file.display(),
                        count - TOLD
                    ));
                }
                told
            })
        })
    }

    /// A warning for each list that nothing refers to.
    pub(super) fn unused(&self) -> impl Iterator<Item = String> {
        self.by_name
            .keys()
            .filter(|name| !self.used.contains(*name))
            .map(|name| {
                format!(
                    "list {name:?} is not used: name it in policy.splice, policy.deny, metrics.services or a rule's hosts, or take it out"
                )
            })
    }
}
