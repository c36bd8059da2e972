//! The corpus of ambiguous messages (`tests/corpus/README.md` says how a file is read), and what was seen of them.

use super::root;
use std::fmt;

/// One message, and what must become of it.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) proxy: Wanted,
    pub(crate) next: Next,
    pub(crate) is_front: bool,
    pub(crate) asks: String,
    pub(crate) ends: bool,
    lines: Vec<Vec<u8>>,
    sees: Vec<Vec<u8>>,
    has: Vec<Vec<u8>>,
    lacks: Vec<Vec<u8>>,
    refuses: Vec<String>,
    body: Vec<u8>,
}

/// What the proxy must do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Pass,
    Mended,
    Refused(Vec<u16>),
    Cut,
    Either,
}

/// Whether another request follows on the connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Answered,
    Either,
    None,
}

/// A message as a reader understands it: `METHOD TARGET` or a status, and the content.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) line: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn new(line: impl Into<Vec<u8>>, body: impl Into<Vec<u8>>) -> Self {
        Self {
            line: line.into(),
            body: body.into(),
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<{} \"{}\">",
            self.line.escape_ascii(),
            self.body.escape_ascii()
        )
    }
}

impl Entry {
    /// The bytes as sent to an origin at `host`.
    pub(crate) fn bytes(&self, host: &str) -> Vec<u8> {
        filled(&self.lines.concat(), host)
    }

    /// The fields of a message of HTTP/2.
    pub(crate) fn fields(&self, host: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let split = |line: &Vec<u8>| {
            let at = line.windows(4).position(|four| four == b" => ");
            let at = at.unwrap_or_else(|| panic!("{}: no => in a line", self.name));
            (filled(&line[..at], host), filled(&line[at + 4..], host))
        };
        self.lines.iter().map(split).collect()
    }

    /// What is sent as DATA over HTTP/2.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The messages that each reader must see.
    pub(crate) fn sees(&self, host: &str, words: usize) -> Vec<Message> {
        let read = |line: &Vec<u8>| {
            let line = filled(line, host);
            let mut spaces = line.iter().enumerate().filter(|&(_, &byte)| byte == b' ');
            match spaces.nth(words - 1) {
                Some((at, _)) => Message::new(&line[..at], &line[at + 1..]),
                None => Message::new(line, ""),
            }
        };
        self.sees.iter().map(read).collect()
    }

    /// Whether this reader may refuse what the proxy lets through.
    pub(crate) fn is_refused_by(&self, reader: &str) -> bool {
        let names = |reason: &String| {
            reason
                .split([' ', ','])
                .any(|word| word == reader || word == reader.trim_end_matches("-lenient"))
        };
        self.refuses.iter().any(names)
    }

    /// What `out` has and should not have, or lacks.
    pub(crate) fn missed(&self, out: &[u8]) -> Option<String> {
        let has = |part: &[u8]| out.windows(part.len()).any(|window| window == part);
        let lacking = self.has.iter().find(|part| !has(part));
        let unwanted = self.lacks.iter().find(|part| has(part));
        match (lacking, unwanted) {
            (Some(part), _) => Some(format!("it lacks \"{}\"", part.escape_ascii())),
            (_, Some(part)) => Some(format!("it has \"{}\"", part.escape_ascii())),
            _ => None,
        }
    }
}

fn filled(bytes: &[u8], host: &str) -> Vec<u8> {
    const PLACE: &[u8] = b"{host}";
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(PLACE.len()).position(|window| window == PLACE) {
        out.extend(&rest[..at]);
        out.extend(host.as_bytes());
        rest = &rest[at + PLACE.len()..];
    }
    out.extend(rest);
    out
}

/// The entries of these files.
pub(crate) fn corpus(files: &[&str]) -> Vec<Entry> {
    let mut entries = Vec::<Entry>::new();
    for file in files {
        let text = std::fs::read_to_string(root().join("tests/corpus").join(file)).unwrap();
        let first = entries.len();
        for (number, line) in (1..).zip(text.lines()) {
            let place = format!("{file}:{number}");
            if let Some(name) = line.strip_prefix("== ") {
                assert!(
                    entries[first..].iter().all(|entry| entry.name != name),
                    "{place}: twice"
                );
                entries.push(Entry::named(name));
            } else if !line.is_empty() && !line.starts_with('#') {
                entries
                    .last_mut()
                    .unwrap_or_else(|| panic!("{place}: no entry yet"))
                    .set(line, &place);
            }
        }
    }
    entries
}

impl Entry {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            proxy: Wanted::Either,
            next: Next::Answered,
            is_front: false,
            asks: "GET".to_owned(),
            ends: false,
            lines: Vec::new(),
            sees: Vec::new(),
            has: Vec::new(),
            lacks: Vec::new(),
            refuses: Vec::new(),
            body: Vec::new(),
        }
    }

    fn set(&mut self, line: &str, place: &str) {
        if let Some(bytes) = line.strip_prefix('>') {
            self.lines
                .push(unescaped(bytes.strip_prefix(' ').unwrap_or(bytes), place));
            return;
        }
        let (key, value) = line
            .split_once(':')
            .unwrap_or_else(|| panic!("{place}: no field"));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match (key, value) {
            ("class" | "source", _) => {}
            ("proxy", "pass") => self.proxy = Wanted::Pass,
            ("proxy", "mended") => self.proxy = Wanted::Mended,
            ("proxy", "cut") => self.proxy = Wanted::Cut,
            ("proxy", "either") => self.proxy = Wanted::Either,
            ("proxy", _) => {
                let statuses = value.strip_prefix("refused").map(str::split_whitespace);
                let statuses = statuses.unwrap_or_else(|| panic!("{place}: {value}"));
                self.proxy = Wanted::Refused(statuses.map(|status| status.parse().unwrap()).collect());
            }
            ("sees", _) => self.sees.push(unescaped(value, place)),
            ("has", _) => self.has.push(unescaped(value, place)),
            ("lacks", _) => self.lacks.push(unescaped(value, place)),
            ("body", _) => self.body = unescaped(value, place),
            ("refuses", _) => self.refuses.push(value.to_owned()),
            ("next", "no") => self.next = Next::None,
            ("next", "either") => self.next = Next::Either,
            ("road", "front") => self.is_front = true,
            ("asks", _) => self.asks = value.to_owned(),
            ("ends", "yes") => self.ends = true,
            _ => panic!("{place}: unknown: {line}"),
        }
    }
}

/// The bytes that a line of a file means.
fn unescaped(text: &str, place: &str) -> Vec<u8> {
    let wrong = || -> ! { panic!("{place}: a wrong escape in {text}") };
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&kind, after)) = rest.split_first() else {
            wrong()
        };
        rest = after;
        match kind {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'0' => out.push(0),
            b'\\' => out.push(b'\\'),
            b'x' if rest.len() >= 2 => {
                let digits = std::str::from_utf8(&rest[..2]).unwrap_or_default();
                out.push(u8::from_str_radix(digits, 16).unwrap_or_else(|_| wrong()));
                rest = &rest[2..];
            }
            b'*' => {
                let open = rest.iter().position(|&byte| byte == b'(');
                let close = rest.iter().position(|&byte| byte == b')');
                let (Some(open), Some(close)) = (open, close) else {
                    wrong()
                };
                let part = |bytes| std::str::from_utf8(bytes).unwrap();
                let count = part(&rest[..open]).parse().unwrap_or_else(|_| wrong());
                out.extend(unescaped(part(&rest[open + 1..close]), place).repeat(count));
                rest = &rest[close + 1..];
            }
            _ => wrong(),
        }
    }
    out
}
