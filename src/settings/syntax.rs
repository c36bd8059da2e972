//! What is wrong with a text that is no TOML. The parser's words are those of a grammar; an operator wants the key, and what to
//! write instead.

use std::ops::Range;

/// A mistake in the syntax.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub span: Range<usize>,
    /// The key of that line with its section, as far as it can be told.
    pub key: String,
    pub message: String,
}

/// Words by which a squid.conf is known.
const SQUID: [&str; 8] = [
    "http_port",
    "https_port",
    "acl",
    "http_access",
    "ssl_bump",
    "cache_peer",
    "visible_hostname",
    "cache_dir",
];

/// What word processors make of quotation marks.
const QUOTES: &str = "\u{201c}\u{201d}\u{201e}\u{2018}\u{2019}";

/// What the parser found, of each line the first; or what the file is instead, which explains all of it.
pub(super) fn mistakes(text: &str, found: &[(Range<usize>, String)]) -> Vec<Mistake> {
    let lines = Lines::of(text);
    if let Some((line, what)) = lines.is_something_else() {
        let start = lines.all.get(line).map_or(0, |(start, _)| *start);
        return vec![Mistake {
            span: start..start,
            key: String::new(),
            message: format!("not TOML: {what}"),
        }];
    }
    let mut found: Vec<_> = found.iter().collect();
    found.sort_by_key(|(span, _)| span.start);
    let mut told = Vec::new();
    let mut mistakes = Vec::new();
    for (span, message) in found {
        let line = lines.at(span.start);
        if told.contains(&line) {
            continue;
        }
        told.push(line);
        // What is wrong at the beginning of a line is wrong with what stands above.
        if message.contains("array elements") && lines.begins(line, span.start) {
            mistakes.push(Mistake {
                span: span.clone(),
                key: String::new(),
                message: "not TOML: a list above lacks its ] or a comma".into(),
            });
            break;
        }
        mistakes.push(Mistake {
            span: span.clone(),
            key: lines.key(line),
            message: lines.explain(line, span, message),
        });
    }
    mistakes
}

/// The text, line by line: where each begins, and what stands in it.
struct Lines<'t> {
    text: &'t str,
    all: Vec<(usize, &'t str)>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let mut start = 0;
        let lines = text.split_inclusive('\n').map(|line| {
            let here = (start, line.trim_end());
            start += line.len();
            here
        });
        Self {
            text,
            all: lines.collect(),
        }
    }

    /// The line of a byte.
    fn at(&self, offset: usize) -> usize {
        self.all
            .partition_point(|(start, _)| *start <= offset)
            .saturating_sub(1)
    }

    fn line(&self, line: usize) -> &'t str {
        self.all.get(line).map_or("", |(_, text)| text.trim_start())
    }

    /// Whether nothing stands before this place in its line.
    fn begins(&self, line: usize, offset: usize) -> bool {
        let start = self.all.get(line).map_or(0, |(start, _)| *start);
        self.text
            .get(start..offset)
            .is_some_and(|before| before.trim().is_empty())
    }

    /// The key that is written in a line, or the table.
    fn own_key(&self, line: usize) -> Option<(bool, String)> {
        let text = self.line(line);
        let plain = |name: &str| {
            let name = name.trim().replace(['"', '\''], "");
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_. ".contains(c);
            (!name.is_empty() && name.chars().all(fits)).then(|| name.replace(' ', ""))
        };
        if let Some(table) = text.strip_prefix('[') {
            let table = table.trim_start_matches('[');
            let end = table.find([']', '#', '=']).unwrap_or(table.len());
            return Some((true, plain(table.get(..end)?)?));
        }
        let (name, _) = text.split_once('=')?;
        Some((false, plain(name)?))
    }

    /// The table that a line stands in.
    fn table(&self, line: usize) -> Option<String> {
        let tables = (0..line).rev().filter_map(|line| self.own_key(line));
        tables
            .filter(|(is_table, _)| *is_table)
            .map(|(_, name)| name)
            .next()
    }

    /// The key of a line with its section.
    fn key(&self, line: usize) -> String {
        match self.own_key(line) {
            Some((true, table)) => table,
            Some((false, key)) => match self.table(line) {
                Some(table) => format!("{table}.{key}"),
                None => key,
            },
            None => String::new(),
        }
    }

    /// Whether it is no configuration at all, the line by which that is seen, and what to do.
    fn is_something_else(&self) -> Option<(usize, &'static str)> {
        let says = |line: &usize| !self.line(*line).is_empty() && !self.line(*line).starts_with('#');
        let mut lines = (0..self.all.len()).filter(says);
        let first = lines.next()?;
        let text = self.line(first);
        if text.starts_with('{') {
            return Some((
                first,
                "this looks like JSON; write TOML: [section], and key = value below it",
            ));
        }
        if text.starts_with('<') {
            return Some((
                first,
                "this looks like XML; write TOML: [section], and key = value below it",
            ));
        }
        if text == "---" || (text.ends_with(':') && !text.contains(['=', ' '])) {
            return Some((
                first,
                "this looks like YAML; write TOML: [section], and key = value below it",
            ));
        }
        let is_squid = |line: &usize| {
            let mut words = self.line(*line).split_ascii_whitespace();
            let is_known = words.next().is_some_and(|word| SQUID.contains(&word));
            is_known && words.next().is_some_and(|word| !word.starts_with('='))
        };
        let squid = std::iter::once(first).chain(lines).find(is_squid)?;
        Some((
            squid,
            "this is a line of a squid.conf; `wsbump import FILE` makes a configuration of one",
        ))
    }

    fn explain(&self, line: usize, span: &Range<usize>, message: &str) -> String {
        let text = self.line(line);
        let here = self.text.get(span.start..).unwrap_or_default();
        if message.contains("duplicate key") {
            return self.twice(line);
        }
        if text.starts_with(';') || text.starts_with("//") {
            return "not TOML: a comment begins with #".into();
        }
        if message.contains("carriage return") {
            return "not TOML: a line ends as on an old Macintosh; save the file with the line ends of Linux"
                .into();
        }
        let odd = here.chars().next();
        match odd.filter(|c| !c.is_ascii() && !c.is_alphanumeric()) {
            Some(quote) if QUOTES.contains(quote) => {
                return format!("not TOML: {quote} is a quotation mark of word processors; write \" instead");
            }
            Some(odd) => {
                let code = u32::from(odd);
                return format!(
                    "not TOML: here is a character U+{code:04X}, which only looks as if it belonged there; type the line anew"
                );
            }
            None => {}
        }
        if message.contains("must be quoted") {
            return unquoted(here);
        }
        if message.contains("invalid basic string") && message.contains("expected `\"`") {
            return "not TOML: a text has no end in this line; write \" behind it".into();
        }
        if message.contains("missing escaped value") {
            return "not TOML: a backslash has a meaning of its own between \" and \"; write it twice, or put the text between ' and '"
                .into();
        }
        if message.contains("key with no value") && !text.contains('=') {
            return "not TOML: there is no = in this line; write key = value, or # before a comment".into();
        }
        format!("not TOML: {message}")
    }

    /// A key or a table that is there before.
    fn twice(&self, line: usize) -> String {
        let key = self.key(line);
        let is_table = self.own_key(line).is_some_and(|(is_table, _)| is_table);
        let first = (0..line).find(|line| self.own_key(*line).is_some() && self.key(*line) == key);
        let at = match first {
            Some(first) => format!("at line {} already", first + 1),
            None => "above already".to_owned(),
        };
        match is_table {
            true => format!("is written {at}; put the keys of both below the first"),
            false => format!("is written {at}; leave one of them out"),
        }
    }
}

/// A value without quotes.
fn unquoted(here: &str) -> String {
    let end = here.find([',', ']', '}', '#', '\n', '\r']).unwrap_or(here.len());
    let word = here.get(..end).unwrap_or_default().trim();
    let yes = ["yes", "on", "True", "TRUE", "Yes", "On"];
    let no = ["no", "off", "False", "FALSE", "No", "Off"];
    let right = match word {
        "" => return "not TOML: a value is missing".into(),
        word if yes.contains(&word) => "true".to_owned(),
        word if no.contains(&word) => "false".to_owned(),
        word => format!("{word:?}"),
    };
    match right.starts_with('"') {
        true => format!("not TOML: a text stands in quotes; write {right}"),
        false => {
            format!("not TOML: {word} is no value here; write {right}, or {word:?} where a text is wanted")
        }
    }
}
