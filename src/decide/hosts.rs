//! List files: which targets does the operator mean?
//!
//! The formats `url_regex` and `host_regex` are Squid's, read and matched as Squid does it, so that a list can move over
//! without an edit: see [`List::parse`]. The format `domains` is for new lists.

use super::domains::{Domains, DomainsBuilder};
use super::entries::Entries;
use super::ere;
use super::patterns::{Patterns, PatternsBuilder};
use super::verdict::Matched;
use crate::wire::names::{Authority, Host};
use std::fmt;
use std::net::IpAddr;
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

#[derive(Debug)]
pub(super) enum Matcher {
    Patterns(Searched, Box<Patterns>),
    Domains(Domains),
}

/// What expressions are searched in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Searched {
    HostAndPort,
    Host,
}

impl Searched {
    /// The part of [`subject`] that it is.
    pub(super) fn part(self, subject: &str) -> &[u8] {
        let host = || subject.rsplit_once(':').map_or(subject, |(host, _)| host);
        match self {
            Self::HostAndPort => subject.as_bytes(),
            Self::Host => host().as_bytes(),
        }
    }
}

/// What a list is compiled from, by its format.
enum Builder {
    Patterns {
        searched: Searched,
        patterns: Box<PatternsBuilder>,
        /// Whether case is ignored from here on.
        fold: bool,
        /// And whether it was for each entry.
        folds: Vec<bool>,
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
                    _ => builder.add(entries.len(), pattern),
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
            Matcher::Patterns(searched, patterns) => patterns.first(searched.part(&subject(host, port))),
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
            fold: ignore_case,
            folds: Vec::new(),
        }
    }

    /// Adds what is to become entry number `id`; false if it is none, but says how those after it are read.
    fn add(&mut self, id: usize, pattern: &str) -> Result<bool, String> {
        match self {
            Self::Patterns { fold, .. } if pattern == "-i" || pattern == "+i" => {
                *fold = pattern == "-i";
                return Ok(false);
            }
            Self::Patterns {
                patterns,
                fold,
                folds,
                ..
            } => {
                let node =
                    ere::parse(without_wildcards(pattern), *fold).map_err(|error| error.to_string())?;
                patterns.add(u32::try_from(id).unwrap_or(u32::MAX), node);
                folds.push(*fold);
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
                folds,
                ..
            } => {
                let again = |id: u32| {
                    let fold = *folds.get(id as usize)?;
                    ere::parse(without_wildcards(entries.text(id)), fold).ok()
                };
                Ok(Matcher::Patterns(searched, Box::new(patterns.build(again)?)))
            }
            Self::Domains(domains) => Ok(Matcher::Domains(domains.build(|id| entries.text(id)))),
        }
    }
}

/// What Squid would search: `host:port`, in lower case, without trailing dots, an IPv6 address in brackets.
pub(super) fn subject(host: &Host, port: u16) -> String {
    match host {
        Host::Name(name) => format!("{}:{port}", name.trim_end_matches('.').to_ascii_lowercase()),
        // Squid holds an IPv4-mapped address as the IPv4 address, and writes others as inet_ntop does, which
        // differs from Rust in the long deprecated IPv4-compatible ones.
        Host::Ip(ip) => match ip.to_canonical() {
            IpAddr::V4(ip) => format!("{ip}:{port}"),
            IpAddr::V6(ip) => match ip.segments() {
                [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
                    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
                    format!("[::{a}.{b}.{c}.{d}]:{port}")
                }
                _ => format!("[{ip}]:{port}"),
            },
        },
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
fn without_wildcards(pattern: &str) -> &str {
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
