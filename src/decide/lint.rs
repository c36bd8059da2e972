//! What in a list surely is a mistake, though nothing forbids it.

use super::domains::Domains;
use super::ere::{self, Anchor, Node};
use super::hosts::{Cases, List, Matcher, without_wildcards};
use super::program::Assembler;
use super::subject::Searched;
use crate::wire::byte_set::ByteSet;
use std::collections::HashMap;

/// An entry that says something else than it seems to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListWarning {
    /// The line in the file, counted from 1.
    pub line: usize,
    /// The entry as the file has it.
    pub pattern: String,
    /// What is doubted.
    pub doubt: Doubt,
    /// Why, and what to write instead.
    pub message: String,
}

/// Kinds of mistakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doubt {
    /// Nothing that can be asked for is matched.
    NeverMatches,
    /// `\d`, which is the letter d.
    LetterD,
    /// A host that merely contains what is meant is matched too.
    Unanchored,
    /// Another entry covers it.
    Covered,
}

impl List {
    /// What surely is a mistake, in the order of the lines. Takes a time like that of loading the list.
    pub fn warnings(&self) -> Vec<ListWarning> {
        let count = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        match &self.matcher {
            Matcher::Domains(domains) => (0..count).filter_map(|id| self.covered(domains, id)).collect(),
            Matcher::Patterns(searched, cases, _) => self.doubtful(*searched, cases, count),
        }
    }

    fn warning(&self, id: u32, doubt: Doubt, message: impl Into<String>) -> ListWarning {
        ListWarning {
            line: self.entries.line(id),
            pattern: self.entries.text(id).to_owned(),
            doubt,
            message: message.into(),
        }
    }

    fn covered(&self, domains: &Domains, id: u32) -> Option<ListWarning> {
        let by = domains.covering(id, |id| self.entries.text(id))?;
        let (line, text) = (self.entries.line(by), self.entries.text(by));
        let message = format!("line {line}, {text:?}, covers it already");
        Some(self.warning(id, Doubt::Covered, message))
    }

    fn doubtful(&self, searched: Searched, cases: &Cases, count: u32) -> Vec<ListWarning> {
        let mut first = HashMap::new();
        let mut found = Vec::new();
        for id in 0..count {
            let (text, ignore_case) = (self.entries.text(id), cases.ignored_at(id));
            if let Some((doubt, message)) = doubt(text, searched, ignore_case) {
                found.push(self.warning(id, doubt, message));
            }
            let known = *first.entry((text, ignore_case)).or_insert(id);
            if known != id {
                let message = format!("it stands at line {} already", self.entries.line(known));
                found.push(self.warning(id, Doubt::Covered, message));
            }
        }
        found
    }
}

fn doubt(text: &str, searched: Searched, ignore_case: bool) -> Option<(Doubt, &'static str)> {
    if has_letter_d(text) {
        let message = "`\\d` is the letter d in this dialect, or nothing where case is ignored; write [0-9]";
        return Some((Doubt::LetterD, message));
    }
    let node = ere::parse(without_wildcards(text), ignore_case).ok()?;
    if !can_match(&node, searched) {
        return Some((Doubt::NeverMatches, never(text, searched, ignore_case)));
    }
    let (starts, ends) = (holds_start(&node), searched == Searched::Host || holds_end(&node));
    let message = match (starts, ends) {
        (true, true) => return None,
        // A word to search for, which a list of hosts may well be meant to have.
        (false, _) if searched == Searched::Host => return None,
        (false, true) => {
            "without `^` or a dot before it, it matches longer names that end so; write `(^|\\.)` before it, or `^`"
        }
        (true, false) => {
            "without a port behind it, it matches longer names that begin so; write `:443$` behind it"
        }
        (false, false) => {
            "it matches every name that contains it; write `(^|\\.)` before it and `:443$` behind it"
        }
    };
    Some((Doubt::Unanchored, message))
}

/// Why an expression can match nothing, as far as it shows.
fn never(text: &str, searched: Searched, ignore_case: bool) -> &'static str {
    let with_case_ignored =
        || ere::parse(without_wildcards(text), true).is_ok_and(|node| can_match(&node, searched));
    if text.contains("://") || text.contains(":\\/\\/") {
        "it can never match: nothing here begins with http:// or https://; write the host alone"
    } else if !ignore_case && with_case_ignored() {
        "it can never match: hosts are in lower case here; write it so, or set ignore_case"
    } else if text.contains('/') {
        "it can never match: there is no path here, only a host and its port"
    } else if searched == Searched::Host && text.contains(':') {
        "it can never match: there is no port here; leave it out, or use the format url_regex"
    } else if searched == Searched::HostAndPort && text.ends_with('$') && !text.contains(':') {
        "it can never match: a port follows the host; write `:443$`, or use the format host_regex"
    } else {
        "it can never match any host"
    }
}

/// Whether there is something that it matches; what is too large to be looked at may.
fn can_match(node: &Node, searched: Searched) -> bool {
    let mut assembler = Assembler::default();
    match assembler.add(node) {
        Some(number) => assembler.finish().can_match(number, searched),
        None => true,
    }
}

/// Whether `\d` stands in it, in brackets or not.
fn has_letter_d(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && bytes.next() == Some(b'd') {
            return true;
        }
    }
    false
}

/// Whether every match begins where a name or a label does.
fn holds_start(node: &Node) -> bool {
    let dot = |set: &ByteSet| set.only() == Some(b'.');
    held(node, false, &|node| match node {
        Node::At(Anchor::Start | Anchor::WordStart) => true,
        Node::Set(set) => dot(set) || set.only() == Some(b':'),
        _ => false,
    })
}

/// Whether every match has the colon before the port in it, or the end.
fn holds_end(node: &Node) -> bool {
    held(node, true, &|node| match node {
        Node::At(Anchor::End) => true,
        Node::Set(set) => set.only() == Some(b':'),
        _ => false,
    })
}

/// Whether each match has one of these `holds`: as its first piece or, with `anywhere`, as any.
fn held(node: &Node, anywhere: bool, holds: &impl Fn(&Node) -> bool) -> bool {
    match node {
        Node::Empty => false,
        Node::Set(_) | Node::At(_) => holds(node),
        Node::Concat(nodes) => {
            for node in nodes {
                if held(node, anywhere, holds) && !is_empty(node) {
                    return true;
                }
                if !anywhere && !(is_empty(node) && (held(node, anywhere, holds) || is_nothing(node))) {
                    return false;
                }
            }
            false
        }
        Node::Alt(branches) => branches
            .iter()
            .all(|branch| held(branch, anywhere, holds) || !anywhere && is_nothing(branch)),
        Node::Repeat { node, .. } => held(node, anywhere, holds),
    }
}

/// Whether it may take no byte and hold no place.
fn is_empty(node: &Node) -> bool {
    match node {
        Node::Empty => true,
        Node::Set(_) | Node::At(_) => false,
        Node::Concat(nodes) => nodes.iter().all(is_empty),
        Node::Alt(branches) => branches.iter().any(is_empty),
        Node::Repeat { node, min, .. } => *min == 0 || is_empty(node),
    }
}

/// Whether it never takes anything.
fn is_nothing(node: &Node) -> bool {
    match node {
        Node::Empty => true,
        Node::Set(_) | Node::At(_) => false,
        Node::Concat(nodes) | Node::Alt(nodes) => nodes.iter().all(is_nothing),
        Node::Repeat { node, max, .. } => *max == Some(0) || is_nothing(node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::hosts::Format;

    fn doubts(text: &str, format: Format, ignore_case: bool) -> Vec<(usize, Doubt)> {
        let list = List::parse("test", text, format, ignore_case).unwrap();
        let warnings = list.warnings();
        warnings
            .iter()
            .map(|warning| (warning.line, warning.doubt))
            .collect()
    }

    fn message(text: &str, format: Format, ignore_case: bool) -> String {
        let list = List::parse("test", text, format, ignore_case).unwrap();
        list.warnings()[0].message.clone()
    }

    #[test]
    fn what_is_written_well_is_not_doubted() {
        for text in [
            r"^wss-(backup|primary|mobile)\.slack\.com:443$",
            r"^([^/][^/]*\.)*slack-msgs\.com:443$",
            r"^(.*\.)?example\.com:443$",
            r"(^|\.)example\.com:443$",
            r"(\.|^)example\.com:(443|8443)$",
            r"\.example\.com:443$",
            r"^example\.com:",
            r"^([0-9]+-)?courier\.push\.apple\.com:(443|5223)$",
            r"\<example\.com:443",
            r"^a:443$|^b:443$",
            r"^(a:443|b:80)$",
            r":8443$",
            r"^\[2001:db8:",
            r"^(www\.)?(a|b)\.example:[0-9]+$",
            r".*\.example\.com:443$",
        ] {
            assert_eq!(doubts(text, Format::UrlRegex, true), [], "{text}");
        }
        for text in [r"\.bank\.example$", "bank", r"^bank\.", "^a$"] {
            assert_eq!(doubts(text, Format::HostRegex, true), [], "{text}");
        }
    }

    #[test]
    fn each_mistake_is_told_by_its_line() {
        use Doubt::{LetterD, NeverMatches, Unanchored};
        for (text, doubt, why) in [
            (r"^slack\.com$", NeverMatches, "write `:443$`"),
            (r"slack\.com$", NeverMatches, "host_regex"),
            (r"^https?://slack\.com", NeverMatches, "https://"),
            (r"^https?:\/\/slack\.com", NeverMatches, "https://"),
            (r"^slack\.com:443/path", NeverMatches, "no path"),
            (r"^slack\.com :443$", NeverMatches, "never match any host"),
            (r"^host\d+\.example:443$", LetterD, "[0-9]"),
            (r"^host[\d]\.example:443$", LetterD, "[0-9]"),
            (r"slack\.com:443$", Unanchored, "before it"),
            (r"^slack\.com", Unanchored, "behind it"),
            (r"slack\.com", Unanchored, "contains it"),
            (r"(^|\.)a|b:443$", Unanchored, "contains it"),
            (r"(www\.)?slack\.com:443$", Unanchored, "before it"),
            (r"(^|x)slack\.com:443$", Unanchored, "before it"),
        ] {
            for ignore_case in [true, false] {
                assert_eq!(
                    doubts(text, Format::UrlRegex, ignore_case),
                    [(1, doubt)],
                    "{text}"
                );
                let message = message(text, Format::UrlRegex, ignore_case);
                assert!(message.contains(why), "{text}: {message}");
            }
        }
        assert_eq!(
            doubts(r"^\\d:443$", Format::UrlRegex, false),
            [(1, NeverMatches)],
            "no \\d"
        );
        assert!(message("^Slack:443$", Format::UrlRegex, false).contains("lower case"));
        assert!(message(r"^a\.b:443$", Format::HostRegex, true).contains("no port"));
        let toggled = "^A:443$\n+i\n^A:443$\n-i\n^A:443$\n";
        assert_eq!(
            doubts(toggled, Format::UrlRegex, true),
            [(3, NeverMatches), (5, Doubt::Covered)]
        );
    }

    #[test]
    fn an_entry_that_another_covers_is_told_with_that() {
        let text = "# x\n.example.com\nwww.Example.com\nexample.com:443\n.a.example.com:80\nexample.org\nexample.org.\n\
                    www.example.org\n10.0.0.0/8\n10.1.0.0/16\n10.1.2.3:443\n192.0.2.1\n192.0.2.1:80\n2001:db8::/32\n\
                    [2001:db8::1]:443\na.example.net:80\n.example.net:443\n.net\nb.example.net\n";
        let lines = [3, 4, 5, 7, 10, 11, 13, 15, 16, 17, 19];
        assert_eq!(
            doubts(text, Format::Domains, true),
            lines.map(|line| (line, Doubt::Covered))
        );
        assert_eq!(
            message(text, Format::Domains, true),
            "line 2, \".example.com\", covers it already"
        );
        assert_eq!(
            doubts(
                "example.com\n.a.example.com\nexample.com:443\n",
                Format::Domains,
                true
            ),
            [(3, Doubt::Covered)]
        );
    }
}
