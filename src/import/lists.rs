//! The list files that are written beside the configuration.

use super::acl::Acl;
use super::note::{LineOutcome, Notes};
use crate::decide::{Format, List};
use std::collections::BTreeMap;

/// Expressions that match every host, which people put at the end of lists that were empty once.
const MAX_TOLD: usize = 3;

/// A list: its text, and how that is read.
#[derive(Debug, Clone)]
pub(super) struct ListFile {
    pub(super) format: Format,
    pub(super) ignore_case: bool,
    pub(super) text: String,
    /// The ACL that it is of, and where that stands.
    pub(super) about: String,
}

/// All lists, by name.
#[derive(Debug, Default)]
pub(super) struct ListFiles(BTreeMap<String, ListFile>);

impl ListFiles {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &ListFile)> {
        self.0.iter()
    }

    /// Only those whose names are asked for.
    pub(super) fn keep(&mut self, is_used: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| is_used(name));
    }

    /// The list of an ACL, made when it is asked for the first time; `None` if no value of it can be used.
    pub(super) fn of(&mut self, acl: &Acl, format: Format, notes: &mut Notes) -> Option<String> {
        let name = usable(&acl.name);
        let name = (1..)
            .map(|at| {
                if at == 1 {
                    name.clone()
                } else {
                    format!("{name}-{at}")
                }
            })
            .find(|name| {
                let about = about(acl);
                self.0
                    .get(name)
                    .is_none_or(|known| known.about == about && known.format == format)
            })?;
        if !self.0.contains_key(&name) {
            let list = make(acl, format, notes)?;
            self.0.insert(name.clone(), list);
        }
        Some(name)
    }
}

fn about(acl: &Acl) -> String {
    format!("acl {} {} ({})", acl.name, acl.kind, acl.place)
}

/// A name of up to 64 letters, digits, hyphens, underscores and dots.
pub(super) fn usable(name: &str) -> String {
    let kept = name.chars().map(|c| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            c
        } else {
            '-'
        }
    });
    let kept: String = kept.take(56).collect();
    let kept = kept.trim_start_matches('.').to_owned();
    if kept.is_empty() { "list".to_owned() } else { kept }
}

fn make(acl: &Acl, format: Format, notes: &mut Notes) -> Option<ListFile> {
    let ignored: Vec<bool> = acl.values().map(|value| value.ignore_case).collect();
    let ignore_case = ignored.first().copied().unwrap_or(false);
    let (mut text, mut ignoring, mut bad, mut good) = (String::new(), ignore_case, 0, 0);
    for value in acl.values() {
        let entries = entries(acl, &value.text, format);
        let parsed = List::parse(&acl.name, &entries, format, value.ignore_case);
        if let Err(errors) = &parsed {
            bad += 1;
            if bad <= MAX_TOLD {
                let why = errors
                    .first()
                    .map(|error| error.message.clone())
                    .unwrap_or_default();
                let told = format!("{:?} is left out: {why}", value.text);
                notes.add(&acl.place, "acl", LineOutcome::GuardLost, told);
            }
            continue;
        }
        if value.ignore_case != ignoring {
            ignoring = value.ignore_case;
            text.push_str(if ignoring { "-i\n" } else { "+i\n" });
        }
        good += 1;
        text.push_str(&entries);
        text.push('\n');
    }
    if bad > MAX_TOLD {
        let told = format!("{} more values are left out", bad - MAX_TOLD);
        notes.add(&acl.place, "acl", LineOutcome::GuardLost, told);
    }
    (good > 0).then(|| ListFile {
        format,
        ignore_case: ignore_case || format == Format::Domains,
        text,
        about: about(acl),
    })
}

/// A value as a line of a list; addresses from one to another as several.
fn entries(acl: &Acl, value: &str, format: Format) -> String {
    match format {
        Format::Domains if acl.kind == "dst" => match super::values::ranges(value) {
            Ok(ranges) => {
                let lines = ranges.iter().flat_map(|range| match range.text.contains('-') {
                    true => super::values::networks(range),
                    false => vec![range.text.clone()],
                });
                lines.collect::<Vec<_>>().join("\n")
            }
            Err(_) => value.to_owned(),
        },
        // Squid takes this for a name; what was meant is clear.
        Format::Domains => match value.strip_prefix("*.") {
            Some(rest) => format!(".{rest}"),
            None => value.to_owned(),
        },
        _ => value.to_owned(),
    }
}
