//! The configuration that is written.

use super::term::{Part, Range, Term, Test};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The sections in the order in which they are written.
const ORDER: [&str; 24] = [
    "listen",
    "listener",
    "auth",
    "auth.basic",
    "auth.ldap",
    "auth.negotiate",
    "ca",
    "origin",
    "network",
    "network.dns",
    "list",
    "parent",
    "icap",
    "policy",
    "policy.rule",
    "policy.setting",
    "inspect",
    "inspect.scanner",
    "inspect.rule",
    "timeouts",
    "limits",
    "limits.client",
    "pages",
    "log",
];

/// Lines by their sections.
#[derive(Debug, Default)]
pub(super) struct Document {
    tables: Vec<(&'static str, Vec<String>, bool)>,
}

impl Document {
    /// Sets a key of a table; the first word counts. `about` is what it comes from.
    pub(super) fn set(
        &mut self,
        section: &'static str,
        key: &str,
        value: impl Into<String>,
        about: &str,
    ) -> bool {
        let lines = self.table(section);
        let begin = format!("{key} = ");
        if lines.iter().any(|line| line.starts_with(&begin)) {
            return false;
        }
        comment(lines, about);
        lines.push(format!("{begin}{}", value.into()));
        true
    }

    /// A comment in a table.
    pub(super) fn remark(&mut self, section: &'static str, text: &str) {
        comment(self.table(section), text);
    }

    /// Whether a table has a key.
    pub(super) fn says(&self, section: &str) -> bool {
        let mut tables = self.tables.iter().filter(|(name, ..)| *name == section);
        tables.any(|(_, lines, _)| lines.iter().any(|line| !line.starts_with('#')))
    }

    /// Turns a table into a comment.
    pub(super) fn withdraw(&mut self, section: &str) {
        for (_, lines, _) in self.tables.iter_mut().filter(|(name, ..)| *name == section) {
            for line in lines.iter_mut().filter(|line| !line.starts_with('#')) {
                line.insert_str(0, "# ");
            }
        }
    }

    /// Adds one more of several tables.
    pub(super) fn add(&mut self, section: &'static str, lines: Vec<String>) {
        self.tables.push((section, lines, true));
    }

    fn table(&mut self, section: &'static str) -> &mut Vec<String> {
        let at = self
            .tables
            .iter()
            .position(|(name, _, several)| *name == section && !several);
        let at = at.unwrap_or_else(|| {
            self.tables.push((section, Vec::new(), false));
            self.tables.len() - 1
        });
        &mut self.tables[at].1
    }

    /// All of it.
    pub(super) fn text(&self, head: &str) -> String {
        let mut text = head.to_owned();
        for section in ORDER {
            for (name, lines, several) in &self.tables {
                if *name != section {
                    continue;
                }
                // A table of comments alone is a comment itself.
                let is_remark = !several && lines.iter().all(|line| line.starts_with('#'));
                let title = if is_remark {
                    format!("#[{name}]")
                } else if *several {
                    format!("[[{name}]]")
                } else {
                    format!("[{name}]")
                };
                // Comments of several tables stand before each.
                let (above, inside): (Vec<_>, Vec<_>) =
                    lines.iter().partition(|line| *several && line.starts_with('#'));
                text.push('\n');
                for line in above {
                    let _ = writeln!(text, "{line}");
                }
                let _ = writeln!(text, "{title}");
                for line in inside {
                    let _ = writeln!(text, "{line}");
                }
            }
        }
        text
    }
}

fn comment(lines: &mut Vec<String>, about: &str) {
    for line in about.lines() {
        let line = format!("# {}", line.replace(|c: char| c.is_control(), " "));
        if lines.last() != Some(&line) {
            lines.push(line);
        }
    }
}

/// Lines of comment.
pub(super) fn comments(about: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    about.iter().for_each(|about| comment(&mut lines, about));
    lines
}

/// A text as TOML has it; expressions, which are full of backslashes, in single quotes.
pub(super) fn quoted(text: &str) -> String {
    if text.contains('\\') && !text.contains('\'') && !text.chars().any(char::is_control) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A list of texts.
pub(super) fn array<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let texts: Vec<_> = texts.into_iter().map(quoted).collect();
    format!("[{}]", texts.join(", "))
}

/// The conditions of a term, a line each.
pub(super) fn conditions(term: &Term) -> Vec<String> {
    let mut lines: Vec<(String, String)> = Vec::new();
    let (mut also, mut except, mut headers): (Vec<String>, Vec<String>, Vec<String>) = Default::default();
    let mut except_hosts: BTreeSet<&String> = BTreeSet::new();
    for part in term {
        match part {
            Part::Is(Test::Header(name, text)) => headers.push(header(name, text)),
            Part::Is(test) => {
                let (key, value) = key(test);
                if lines.iter().any(|(known, _)| *known == key) {
                    also.push(format!("{{ {key} = {value} }}"));
                } else {
                    lines.push((key, value));
                }
            }
            Part::Not(tests) => match &tests[..] {
                [Test::Hosts(names)] => except_hosts.extend(names),
                tests => except.push(inline(tests)),
            },
        }
    }
    if !except_hosts.is_empty() {
        let names = except_hosts.iter().map(|name| name.as_str());
        lines.push(("except_hosts".into(), array(names)));
    }
    for (key, tables) in [("headers", headers), ("also", also), ("except", except)] {
        if !tables.is_empty() {
            lines.push((key.into(), format!("[{}]", tables.join(", "))));
        }
    }
    lines
        .into_iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect()
}

fn header(name: &str, text: &str) -> String {
    format!("{{ name = {}, matches = {} }}", quoted(name), quoted(text))
}

/// Tests as one table in a line.
fn inline(tests: &[Test]) -> String {
    let mut keys: Vec<String> = Vec::new();
    let mut headers = Vec::new();
    for test in tests {
        match test {
            Test::Header(name, text) => headers.push(header(name, text)),
            test => {
                let (key, value) = key(test);
                keys.push(format!("{key} = {value}"));
            }
        }
    }
    if !headers.is_empty() {
        keys.push(format!("headers = [{}]", headers.join(", ")));
    }
    format!("{{ {} }}", keys.join(", "))
}

fn key(test: &Test) -> (String, String) {
    let set = |names: &BTreeSet<String>| array(names.iter().map(String::as_str));
    let (key, value) = match test {
        Test::Clients(ranges) => ("clients", array(ranges.iter().map(|Range { text, .. }| &**text))),
        Test::Hosts(names) => ("hosts", set(names)),
        Test::Ports(ports) => {
            let ports: Vec<_> = ports
                .iter()
                .map(|ports| match (ports.start(), ports.end()) {
                    (first, last) if first == last => first.to_string(),
                    (first, last) => format!("\"{first}-{last}\""),
                })
                .collect();
            ("ports", format!("[{}]", ports.join(", ")))
        }
        Test::Methods(names) => ("methods", set(names)),
        Test::Users(names) => ("users", set(names)),
        Test::Groups(names) => ("groups", set(names)),
        Test::Listeners(names) => ("listeners", set(names)),
        Test::Time(hours) => ("time", array(hours.iter().map(String::as_str))),
        Test::Path(text) => ("path", quoted(text)),
        Test::Url(text) => ("url", quoted(text)),
        Test::Upgrade(name) => ("upgrade", array([&**name])),
        Test::ContentType(types) => ("content_type", set(types)),
        Test::Header(name, text) => ("headers", format!("[{}]", header(name, text))),
    };
    (key.to_owned(), value)
}

/// The lists that a term asks for.
pub(super) fn lists(term: &Term) -> impl Iterator<Item = &String> {
    let tests = term.iter().flat_map(|part| match part {
        Part::Is(test) => std::slice::from_ref(test),
        Part::Not(tests) => tests,
    });
    tests.flat_map(|test| match test {
        Test::Hosts(names) => names.iter().collect::<Vec<_>>(),
        _ => Vec::new(),
    })
}
