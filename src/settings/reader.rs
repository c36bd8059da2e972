//! Walks a TOML document key by key. Serde would stop at the first mistake; an operator wants all of them in one
//! go, each with its line. Keys that nobody asked for are unknown, so the code that reads is the schema.

use super::problem::{Diagnostics, FileSpan, nearest};
use super::size;
use super::unknown::advice;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it was written.
#[derive(Clone, Default)]
pub(super) struct At<T> {
    pub value: T,
    pub span: FileSpan,
}

impl<T: fmt::Debug> fmt::Debug for At<T> {
    /// The value alone: what is written and what is a default look alike.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T> From<T> for At<T> {
    /// A default: written nowhere.
    fn from(value: T) -> Self {
        Self { value, span: None }
    }
}

/// One table of the document, or the absence of it.
pub(super) struct Section<'d, 'n> {
    name: &'static str,
    table: Option<&'d DeTable<'d>>,
    span: FileSpan,
    asked: Vec<&'static str>,
    notes: &'n mut Diagnostics,
}

impl<'d, 'n> Section<'d, 'n> {
    /// The whole document.
    pub(super) fn root(table: Option<&'d DeTable<'d>>, notes: &'n mut Diagnostics) -> Self {
        Self {
            name: "",
            table,
            span: None,
            asked: Vec::new(),
            notes,
        }
    }

    /// The table `[name]`.
    pub(super) fn table(&mut self, name: &'static str) -> Section<'d, '_> {
        let written = self.find(name);
        self.section(written, name)
    }

    /// The table `[name]`, which is the key `key` here.
    pub(super) fn inner(&mut self, key: &'static str, name: &'static str) -> Section<'d, '_> {
        // A table is no key with a value of its own.
        self.asked.push(key);
        let written = self.written(key);
        self.section(written, name)
    }

    fn section(&mut self, written: Option<&'d Spanned<DeValue<'d>>>, name: &'static str) -> Section<'d, '_> {
        let table = written.and_then(|v| v.get_ref().as_table());
        if let (Some(value), None) = (written, table) {
            let found = value.get_ref().type_str();
            let message = format!("is of type {found}; write a table: [{name}]");
            self.notes.add(&Some(value.span()), name, message);
        }
        Section {
            name,
            table,
            span: written.map(Spanned::span),
            asked: Vec::new(),
            notes: self.notes,
        }
    }

    /// Each of the tables `[[name]]`, which is the key `key` here. `read` is called for an absent one too if there
    /// are none and `probe` is set.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        name: &'static str,
        probe: bool,
        mut read: impl FnMut(&mut Section<'d, '_>) -> Option<T>,
    ) -> Vec<T> {
        let mut found = Vec::new();
        let written = self.find(key);
        let entries = written.and_then(|v| v.get_ref().as_array());
        if let (Some(value), None) = (written, entries) {
            let message =
                format!("is one table, and there may be several: write [[{name}]] in double brackets");
            self.notes.add(&Some(value.span()), name, message);
        }
        let entries: Vec<_> = entries.into_iter().flat_map(|array| array.iter()).collect();
        for entry in &entries {
            let table = entry.get_ref().as_table();
            if table.is_none() {
                let what = entry.get_ref().type_str();
                self.notes.add(
                    &Some(entry.span()),
                    name,
                    format!("is of type {what}; write a table: [[{name}]]"),
                );
                continue;
            }
            let mut section = Section {
                name,
                table,
                span: Some(entry.span()),
                asked: Vec::new(),
                notes: self.notes,
            };
            found.extend(read(&mut section));
            section.finish();
        }
        if probe && entries.is_empty() {
            read(&mut Section {
                name,
                table: None,
                span: None,
                asked: Vec::new(),
                notes: self.notes,
            });
        }
        found
    }

    /// Whether nothing is written in it.
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_none_or(|table| table.is_empty())
    }

    /// What is noted about the file.
    pub(super) fn notes(&mut self) -> &mut Diagnostics {
        self.notes
    }

    /// What the table is called.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Where the table begins.
    pub(super) fn span(&self) -> FileSpan {
        self.span.clone()
    }

    /// Whether `key` is written, rightly or wrongly.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table
            .is_none_or(|table| table.keys().any(|name| name.get_ref() == key))
    }

    /// Whether `key` is written in a table that is there.
    pub(super) fn table_has(&self, key: &str) -> bool {
        self.table.is_some() && self.has(key)
    }

    /// States a problem of one of this table's keys.
    pub(super) fn note(&mut self, span: &FileSpan, key: &str, message: impl Into<String>) {
        let key = self.path(key);
        self.notes.add(span, key, message);
    }

    /// Where each key stands.
    pub(super) fn spans(&self) -> Vec<(String, FileSpan)> {
        let keys = self.table.into_iter().flat_map(|table| table.iter());
        keys.map(|(key, value)| (key.get_ref().to_string(), Some(value.span())))
            .collect()
    }

    /// The key with its section.
    pub(super) fn name_of(&self, key: &str) -> String {
        self.path(key)
    }

    fn path(&self, key: &str) -> String {
        match (self.name, key) {
            ("", key) => key.into(),
            (name, "") => name.into(),
            (name, key) => format!("{name}.{key}"),
        }
    }

    fn find(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.asked.push(key);
        if !self.name.is_empty() {
            let path = self.path(key);
            self.notes.keys.push(path);
        }
        self.written(key)
    }

    fn written(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        let (_, value) = self.table?.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(value)
    }

    /// A value that `parse` understands.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<At<T>> {
        let written = self.find(key)?;
        let span = Some(written.span());
        match parse(written.get_ref()) {
            Ok(value) => Some(At { value, span }),
            Err(message) => {
                self.note(&span, key, message);
                None
            }
        }
    }

    /// A list whose members `parse` understands; each wrong member is a problem of its own.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<At<Vec<At<T>>>> {
        let written = self.find(key)?;
        let span = Some(written.span());
        let Some(array) = written.get_ref().as_array() else {
            let wrong = match written.get_ref() {
                DeValue::String(text) => format!("is one text; write a list: [{text:?}]"),
                other => format!(
                    "is of type {}; write a list of texts: [\"...\", \"...\"]",
                    other.type_str()
                ),
            };
            self.note(&span, key, wrong);
            return None;
        };
        let mut members = Vec::new();
        for member in array.iter() {
            let span = Some(member.span());
            let read = match member.get_ref() {
                // What is wrong with a number may be more than that it has no quotes: a port is no address.
                DeValue::Integer(number) => {
                    let number = number.as_str();
                    parse(number).and_then(|_| Err(format!("is a number; write it in quotes: {number:?}")))
                }
                member => text(member).and_then(&parse),
            };
            match read {
                Ok(value) => members.push(At { value, span }),
                Err(message) => self.note(&span, key, message),
            }
        }
        Some(At { value: members, span })
    }

    /// A list of texts that are taken as they are, none of them empty.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<At<String>> {
        let members = self.list(key, |text| match text {
            "" => Err("is empty; leave it out".into()),
            text => Ok(text.to_owned()),
        });
        members.map(|list| list.value).unwrap_or_default()
    }

    /// A table with keys of its own, each with one text or a list of them.
    pub(super) fn map(&mut self, key: &'static str) -> Vec<(At<String>, Vec<String>)> {
        let Some(written) = self.find(key) else {
            return Vec::new();
        };
        let Some(table) = written.get_ref().as_table() else {
            let found = written.get_ref().type_str();
            self.note(
                &Some(written.span()),
                key,
                format!("is of type {found}; write a table: {{ NAME = \"VALUE\" }}"),
            );
            return Vec::new();
        };
        let mut entries = Vec::new();
        for (name, value) in table.iter() {
            let one = std::slice::from_ref(value);
            let members = value.get_ref().as_array().map_or(one, |array| &array[..]);
            let texts: Result<Vec<_>, _> = members
                .iter()
                .map(|m| text(m.get_ref()).map(str::to_owned))
                .collect();
            let at = At {
                value: name.get_ref().to_string(),
                span: Some(value.span()),
            };
            match texts {
                Ok(texts) => entries.push((at, texts)),
                Err(message) => self.note(&at.span, key, message),
            }
        }
        entries
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, key: &'static str) -> Option<At<String>> {
        self.parsed(key, |text| Ok(text.to_owned()))
    }

    /// A text that is not empty, and that `parse` understands.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<At<T>> {
        self.read(key, |value| match text(value)? {
            "" => Err("is empty; leave the line out for the default".into()),
            text => parse(text),
        })
    }

    /// A path, as written.
    pub(super) fn path_to(&mut self, key: &'static str) -> Option<At<PathBuf>> {
        let At { value, span } = self.text(key)?;
        Some(At {
            value: value.into(),
            span,
        })
    }

    /// A duration.
    pub(super) fn duration(&mut self, key: &'static str, default: Duration) -> Duration {
        self.duration_at(key, default).value
    }

    /// A duration and where it stands.
    pub(super) fn duration_at(&mut self, key: &'static str, default: Duration) -> At<Duration> {
        self.duration_if_any(key).unwrap_or_else(|| default.into())
    }

    /// A duration, if it is there.
    pub(super) fn duration_if_any(&mut self, key: &'static str) -> Option<At<Duration>> {
        self.read(key, |value| match value {
            DeValue::Integer(number) => {
                let number = number.as_str();
                Err(format!("is a number without a unit; write \"{number}s\" for seconds or \"{number}ms\" for milliseconds"))
            }
            value => super::duration::parse(text(value)?),
        })
    }

    /// A whole number within `range`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<usize>,
        default: usize,
    ) -> usize {
        let (low, high) = (*range.start(), *range.end());
        let read = self.read(key, |value| {
            let within = format!("write a whole number from {low} to {high}");
            let Some(number) = value.as_integer() else {
                return Err(format!(
                    "is of type {}; {within}, without quotes",
                    value.type_str()
                ));
            };
            match i128::from_str_radix(number.as_str(), number.radix())
                .ok()
                .and_then(|n| usize::try_from(n).ok())
            {
                Some(number) if range.contains(&number) => Ok(number),
                _ => Err(format!("is out of range; {within}")),
            }
        });
        read.map_or(default, |at| at.value)
    }

    /// A number of bytes, with or without a unit, within `range`.
    pub(super) fn size(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let (low, high) = (size::format(*range.start()), size::format(*range.end()));
        let read = self.read(key, |value| {
            let bytes = match value {
                DeValue::Integer(number) => {
                    u64::from_str_radix(number.as_str(), number.radix()).map_err(|_| {
                        format!("is no number of bytes; write a size from \"{low}\" to \"{high}\"")
                    })?
                }
                value => size::parse(text(value)?)?,
            };
            match range.contains(&bytes) {
                true => Ok(bytes),
                false => Err(format!(
                    "is out of range; write a size from \"{low}\" to \"{high}\""
                )),
            }
        });
        read.map(|at| at.value)
    }

    /// A number, whole or not.
    pub(super) fn real(&mut self, key: &'static str) -> Option<f64> {
        let read = self.read(key, |value| {
            let number = match value {
                DeValue::Integer(number) => number.as_str(),
                DeValue::Float(number) => number.as_str(),
                other => {
                    return Err(format!(
                        "is of type {}; write a number, without quotes",
                        other.type_str()
                    ));
                }
            };
            let number = number.parse::<f64>().ok().filter(|number| number.is_finite());
            number
                .ok_or_else(|| "is not a number that can be compared with; write one such as 4.5".to_owned())
        });
        read.map(|at| at.value)
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.flag_if_any(key).map_or(default, |at| at.value)
    }

    /// `true` or `false`, if it is there.
    pub(super) fn flag_if_any(&mut self, key: &'static str) -> Option<At<bool>> {
        self.read(key, |value| {
            value.as_bool().ok_or(format!(
                "is of type {}; write true or false, without quotes",
                value.type_str()
            ))
        })
    }

    /// A list whose members are each one of a few words.
    pub(super) fn choices<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Vec<T> {
        let read = self.list(key, |text| one_of(text, words));
        let members = read.map(|list| list.value).unwrap_or_default();
        members.into_iter().map(|at| at.value).collect()
    }

    /// One of a few words, if it is there.
    pub(super) fn choice_if_any<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let read = self.read(key, |value| one_of(text(value)?, words));
        read.map(|at| at.value)
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)], default: T) -> T {
        self.choice_if_any(key, words).unwrap_or(default)
    }

    /// States every key that nobody asked for.
    pub(super) fn finish(self) {
        let Some(table) = self.table else { return };
        for key in table.keys() {
            let word: &str = key.get_ref();
            if self.asked.contains(&word) {
                continue;
            }
            let path = self.path(word);
            let advice = advice(word, self.name, &self.asked, &self.notes.known_keys());
            self.notes
                .add(&Some(key.span()), path, format!("unknown key; {advice}"));
        }
    }
}

/// The text of a value.
fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("is of type {}; write a text in quotes", value.type_str()))
}

fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let known = words.iter().find(|(word, _)| *word == text);
    known.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let all: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let advice = match nearest(text, words.iter().map(|(word, _)| *word)) {
            Some(near) if words.len() > 4 => format!("did you mean {near:?}? Known here: {}", all.join(", ")),
            _ => format!("write {}", all.join(" or ")),
        };
        format!("{text:?} is not known; {advice}")
    })
}
