//! What is written in the end: the configuration, and the files beside it.

use super::document::{Document, comments, conditions, lists as lists_of, quoted};
use super::headers::Setting;
use super::lists::ListFiles;
use super::output::OutputFile;
use super::policy::Table;
use crate::decide::Format;
use std::collections::BTreeSet;
use std::path::Path;

/// The names of the lists that rules and settings ask for.
pub(super) fn used(table: &Table, settings: &[Setting]) -> BTreeSet<String> {
    let terms = table
        .rules
        .iter()
        .map(|rule| &rule.term)
        .chain(settings.iter().map(|setting| &setting.term));
    terms.flat_map(lists_of).cloned().collect()
}

/// Whether a listener is asked for by its name.
pub(super) fn used_listeners(table: &Table, settings: &[Setting]) -> bool {
    let mut terms = table
        .rules
        .iter()
        .map(|rule| &rule.term)
        .chain(settings.iter().map(|setting| &setting.term));
    terms.any(|term| conditions(term).iter().any(|line| line.contains("listeners = ")))
}

/// The files: the configuration, its lists, its secrets.
pub(super) fn files(
    document: &mut Document,
    lists: &ListFiles,
    secrets: Vec<(String, String)>,
    path: &Path,
) -> Vec<OutputFile> {
    let mut files = Vec::new();
    for (name, list) in lists.iter() {
        let file = format!("lists/{name}");
        let format = match list.format {
            Format::UrlRegex => "url_regex",
            Format::HostRegex => "host_regex",
            Format::Domains => "domains",
        };
        let mut lines = comments(std::slice::from_ref(&list.about));
        lines.push(format!("name = {}", quoted(name)));
        lines.push(format!("file = {}", quoted(&file)));
        lines.push(format!("format = {}", quoted(format)));
        if format != "domains" {
            lines.push(format!("ignore_case = {}", list.ignore_case));
        }
        document.add("list", lines);
        files.push(OutputFile {
            path: file,
            text: format!("# {}\n{}", list.about, list.text),
            is_secret: false,
        });
    }
    let secrets = secrets.into_iter().map(|(path, text)| OutputFile {
        path,
        text,
        is_secret: true,
    });
    files.extend(secrets);
    let head = format!(
        "# Written by `wsbump import` from {}.\n# `wsbump check --config` says what is wrong or doubtful, `wsbump explain` what happens to a destination.\n",
        path.display()
    );
    files.insert(
        0,
        OutputFile {
            path: "wsbump.toml".to_owned(),
            text: document.text(&head),
            is_secret: false,
        },
    );
    files
}
