//! List files: which targets does the operator mean?
//!
//! The formats `url_regex` and `host_regex` are Squid's, read and matched as Squid does it, so that a list can move over
//! without an edit: see [`List::parse`]. The format `domains` is for new lists.

use super::domains::entry::{DomainEntry, DomainPlace};
use super::domains::{Domains, DomainsBuilder};
use super::entries::Entries;
use super::ere;
use super::patterns::{Patterns, PatternsBuilder};
use super::subject::{Searched, subject};
use super::verdict::Matched;
use crate::wire::names::{Authority, Host};
use std::fmt;
use std::sync::Arc;

/// The longest line that Squid reads in one piece, in bytes (its `CONFIG_LINE_LIMIT`, less the ends).
const MAX_LINE: usize = 2046;
/// What Squid trims: its `w_space`.
const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// How a list file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Squid's `url_regex`: a POSIX extended regular expression a line, searched for in `host:port`.
    UrlRegex,
    /// Squid's `dstdom_regex` and `ssl::server_name_regex`: such an expression a line, searched for in the host alone.
    HostRegex,
    /// A host, `.domain`, address or network a line, as in Squid's `dstdomain`.
    Domains,
}

/// A line that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListError {
    /// The line in the file, counted from 1.
    pub line: usize,
    /// The pattern as the file has it.
    pub pattern: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: `{}`: {}", self.line, self.pattern, self.message)
    }
}

impl std::error::Error for ListError {}

/// A list that can be asked about a target.
#[derive(Debug)]
pub struct List {
    name: Arc<str>,
    pub(super) entries: Entries,
    pub(super) matcher: Matcher,
}

impl List {
    /// What a list of domains covers, each with the port that it is meant for, in the order of its file; `None` for a list of
    /// expressions.
    pub fn places(&self) -> Option<impl Iterator<Item = (DomainPlace<'_>, Option<u16>)>> {
        let Matcher::Domains(_) = self.matcher else {
            return None;
        };
        let texts = (0..self.entries.len()).filter_map(|id| Some(self.entries.text(u32::try_from(id).ok()?)));
        Some(
            texts
                .filter_map(|text| DomainEntry::parse(text).ok())
                .map(|entry| (entry.place, entry.port)),
        )
    }
}

#[derive(Debug)]
pub(super) enum Matcher {
    Patterns(Searched, Cases, Box<Patterns>),
    Domains(Domains),
}

/// From which entry on case is ignored, or is not.
#[derive(Debug)]
pub(super) struct Cases(Vec<(u32, bool)>);

impl Cases {
    fn turn(&mut self, id: u32, ignored: bool) {
        self.0.push((id, ignored));
    }

    pub(super) fn ignored_at(&self, id: u32) -> bool {
        let next = self.0.partition_point(|(from, _)| *from <= id);
        next.checked_sub(1).is_some_and(|at| self.0[at].1)
    }
}

/// What a list is compiled from, by its format.
enum Builder {
    Patterns {
        searched: Searched,
        patterns: Box<PatternsBuilder>,
        cases: Cases,
    },
    Domains(DomainsBuilder),
}

impl List {
    /// Compiles the text of a list file; `name` is what reports call it.
    ///
    /// Lines are read as Squid reads a quoted file: white space around them goes, blank lines and those that
    /// begin with `#` are skipped, and a word that begins with `#` starts a comment. In lists of expressions a line `-i`
    /// makes the patterns after it ignore case and `+i` ends that; `ignore_case` is where the list starts, as `-i` on
    /// Squid's `acl` line. Domains never heed case.
    ///
    /// # Errors
    /// Every line that cannot be used, in the order of the file.
    pub fn parse(name: &str, text: &str, format: Format, ignore_case: bool) -> Result<Self, Vec<ListError>> {
        let mut errors = Vec::new();
        let mut entries = Entries::default();
        let mut builder = Builder::new(format, ignore_case);
        for (line, raw) in (1..).zip(text.split('\n')) {
            let pattern = content(raw);
            let added = check_line(line, raw)
                .map_err(str::to_owned)
                .and_then(|()| match pattern {
                    "" => Ok(false),
                    _ => builder.add(u32::try_from(entries.len()).unwrap_or(u32::MAX), pattern),
                });
            let message = match added {
                Ok(false) => continue,
                Ok(true) if entries.add(line, pattern) => continue,
                Ok(true) => "there is no room for a list of more than 4 GiB".to_owned(),
                Err(message) => message,
            };
            errors.push(ListError {
                line,
                pattern: shortened(pattern),
                message,
            });
        }
        entries.finish();
        match builder.build(&entries) {
            Ok(matcher) if errors.is_empty() => Ok(Self {
                name: name.into(),
                entries,
                matcher,
            }),
            Ok(_) => Err(errors),
            Err(failed) => {
                errors.extend(failed.into_iter().map(|(id, message)| ListError {
                    line: entries.line(id),
                    pattern: shortened(entries.text(id)),
                    message,
                }));
                errors.sort_by_key(|error| error.line);
                Err(errors)
            }
        }
    }

    /// The first line that covers `target`.
    pub fn find(&self, target: &Authority) -> Option<Matched> {
        let (host, port) = (&target.host, target.port);
        let id = match &self.matcher {
            Matcher::Patterns(searched, _, patterns) => patterns.first(searched.part(&subject(host, port))),
            Matcher::Domains(domains) => domains.first(host, port, |id| self.entries.text(id)),
        };
        Some(self.matched(id?))
    }

    /// The first line that covers `name`, for instance an SNI, at `port`.
    pub fn find_name(&self, name: &str, port: u16) -> Option<Matched> {
        let host = match name.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(ip) => Host::Ip(ip),
            Err(_) => Host::Name(name.to_owned()),
        };
        self.find(&Authority { host, port })
    }

    /// What is said of an entry that matched.
    pub(super) fn matched(&self, id: u32) -> Matched {
        Matched {
            list: self.name.clone(),
            line: self.entries.line(id),
            pattern: self.entries.text(id).into(),
        }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry, so that nothing can match.
    pub fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// What reports call it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Builder {
    fn new(format: Format, ignore_case: bool) -> Self {
        let searched = match format {
            Format::UrlRegex => Searched::HostAndPort,
            Format::HostRegex => Searched::Host,
            Format::Domains => return Self::Domains(DomainsBuilder::default()),
        };
        Self::Patterns {
            searched,
            patterns: Box::default(),
            cases: Cases(vec![(0, ignore_case)]),
        }
    }

    /// Adds what is to become entry number `id`; false if it is none, but says how those after it are read.
    fn add(&mut self, id: u32, pattern: &str) -> Result<bool, String> {
        match self {
            Self::Patterns { cases, .. } if pattern == "-i" || pattern == "+i" => {
                cases.turn(id, pattern == "-i");
                return Ok(false);
            }
            Self::Patterns { patterns, cases, .. } => {
                let node = ere::parse(without_wildcards(pattern), cases.ignored_at(id))
                    .map_err(|error| error.to_string())?;
                patterns.add(id, node);
            }
            Self::Domains(domains) => domains.add(pattern)?,
        }
        Ok(true)
    }

    fn build(self, entries: &Entries) -> Result<Matcher, Vec<(u32, String)>> {
        match self {
            Self::Patterns {
                searched,
                patterns,
                cases,
            } => {
                let again = |id| ere::parse(without_wildcards(entries.text(id)), cases.ignored_at(id)).ok();
                let patterns = Box::new(patterns.build(again)?);
                Ok(Matcher::Patterns(searched, cases, patterns))
            }
            Self::Domains(domains) => Ok(Matcher::Domains(domains.build(|id| entries.text(id)))),
        }
    }
}

/// A line without the white space around it and without a comment. White space between words stays.
fn content(line: &str) -> &str {
    let line = line.trim_matches(SPACE);
    let mut end = 0;
    while let Some(start) = line[end..].find(|c| !SPACE.contains(&c)).map(|at| end + at) {
        if line[start..].starts_with('#') {
            break;
        }
        end = line[start..].find(SPACE).map_or(line.len(), |at| start + at);
    }
    &line[..end]
}

fn check_line(line: usize, raw: &str) -> Result<(), &'static str> {
    if raw.len() > MAX_LINE {
        return Err("the line is longer than 2046 bytes, where Squid would cut it in two");
    }
    if raw.contains('\0') {
        return Err("the line has a NUL byte, where Squid would end it");
    }
    if line == 1 && raw.starts_with('\u{feff}') {
        return Err(
            "the file begins with a byte order mark, which Squid takes for a part of the pattern; save it \
                    without one",
        );
    }
    Ok(())
}

/// Squid drops leading wildcards, which do nothing in a search, before it compiles a pattern.
pub(super) fn without_wildcards(pattern: &str) -> &str {
    let mut rest = pattern.strip_prefix("^.*").unwrap_or(pattern);
    while let Some(shorter) = rest.strip_prefix(".*") {
        rest = shorter;
    }
    if rest.is_empty() { ".*" } else { rest }
}

/// Enough of a pattern for an error message.
fn shortened(pattern: &str) -> String {
    match pattern.char_indices().nth(200) {
        Some((end, _)) => format!("{}...", &pattern[..end]),
        None => pattern.to_owned(),
    }
}

#[cfg(test)]
mod tests;
