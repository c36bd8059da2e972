//! Files with rules.

use super::rule::RuleTable;
use crate::settings::files::{as_text, cannot_read, directory_of, read, relative_to};
use crate::settings::lists::Lists;
use crate::settings::problem::{Diagnostics, nearest};
use crate::settings::reader::{At, Section};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// The rules of one included file, and what is to say about it.
pub(super) struct Included {
    pub notes: Diagnostics,
    pub rules: Vec<RuleTable>,
}

/// Reads the files that `include` names, each once, in their order.
pub(super) fn read_all(include: &[At<String>], lists: &mut Lists, notes: &mut Diagnostics) -> Vec<Included> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for at in include {
        for path in expand(at, notes) {
            let real = relative_to(notes.file(), &path);
            let real = real.canonicalize().unwrap_or(real);
            if seen.insert(real) {
                found.extend(one(&path, at, lists, notes));
            }
        }
    }
    found
}

/// The files that match, by name; a name without `*` stands for itself.
fn expand(at: &At<String>, notes: &mut Diagnostics) -> Vec<PathBuf> {
    let written = Path::new(&at.value);
    let pattern = written
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let dir = written.parent().unwrap_or(Path::new(""));
    if dir.to_string_lossy().contains('*') {
        let message = "has a * in a directory's name; only a file's name may have one: \"rules/*.toml\"";
        notes.add(&at.span, "inspect.include", message);
        return Vec::new();
    }
    if !pattern.contains('*') {
        return vec![written.into()];
    }
    let place = relative_to(notes.file(), written);
    let within = directory_of(&place);
    // Files that come and go change the directory, which is seen by watching what is in it.
    notes.files.push(within.into());
    notes.files.push(place.clone());
    let entries = match std::fs::read_dir(within) {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("{}: {}", within.display(), cannot_read(&error));
            notes.add(&at.span, "inspect.include", message);
            return Vec::new();
        }
    };
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        // As in shells, a * does not mean hidden files: editors keep theirs under such names.
        .filter(|name| !name.starts_with('.') && matches(pattern, name))
        .collect();
    names.sort();
    if names.is_empty() {
        notes.warn(format!("inspect.include: no file matches {}", place.display()));
    }
    names.into_iter().map(|name| dir.join(name)).collect()
}

/// Whether `name` is `pattern`, in which each `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = name.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    // The leftmost place for each part leaves the most for those after it.
    let rest = parts.try_fold(rest, |rest, part| {
        rest.find(part).map(|at| &rest[at + part.len()..])
    });
    rest.is_some_and(|rest| rest.ends_with(last))
}

fn one(path: &Path, at: &At<String>, lists: &mut Lists, notes: &mut Diagnostics) -> Option<Included> {
    let (path, bytes) = read(path, &at.span, "inspect.include", notes)?;
    let text = match as_text(bytes) {
        Ok(text) => text,
        Err((place, message)) => {
            notes.add_in(&path, Some(place), "", message);
            return None;
        }
    };
    let mut notes = notes.on_named(&path, &text);
    let rules = parse(&text, lists, &mut notes);
    Some(Included { notes, rules })
}

/// The rules of a file of rules: tables `[[rule]]`, or `[[inspect.rule]]` as the main file has them.
pub(super) fn parse(text: &str, lists: &mut Lists, notes: &mut Diagnostics) -> Vec<RuleTable> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let message = format!("not TOML: {}", error.message());
            notes.add(&error.span().or(Some(0..0)), "", message);
        }
        return Vec::new();
    }
    let document = document.get_ref();
    for key in document.keys() {
        let word: &str = key.get_ref();
        if !matches!(word, "rule" | "inspect") {
            let advice = match nearest(word, ["rule"]) {
                Some(near) => format!("did you mean [[{near}]]?"),
                None => "everything else belongs in the configuration file".into(),
            };
            let message = format!("a file of rules has [[rule]] tables only; {advice}");
            notes.add(&Some(key.span()), word, message);
        }
    }
    let mut root = Section::root(Some(document), notes);
    let mut read = |rule: &mut Section<'_, '_>| RuleTable::read(rule, lists, false);
    let mut rules = root.tables("rule", "rule", false, &mut read);
    let mut inspect = root.table("inspect");
    rules.extend(inspect.tables("rule", "inspect.rule", false, &mut read));
    inspect.finish();
    rules
}

/// Whether `path` is a file of rules, and no configuration: it has a table `[[rule]]`, which only those have.
pub(in crate::settings) fn is_rules_only(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let (document, _) = DeTable::parse_recoverable(&text);
    document.get_ref().keys().any(|key| key.get_ref() == "rule")
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, name, wanted) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", true),
            ("*.toml", "a.toml~", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "acb", false),
            ("*", "anything", true),
            ("**", "", true),
            ("ab*ba", "aba", false),
            ("*a*", "bab", true),
            ("plain", "plain", true),
            ("plain", "plainer", false),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
    }
}
