//! The fields of one head or trailer section, in their order, in one piece of memory.

use super::Malformed;
use super::field_line::{FieldPlaces, Lines, Reading, Span, field, is_space, is_token, trim};
use crate::wire::headers::Headers;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;
use std::fmt;

/// The most field lines of one head: its bytes are what is limited, and an empty name costs two.
const MAX_LINES: usize = 4096;

/// The bytes that there is room for behind a head that was read: its Via, and another short field.
const ADDED: usize = 64;

/// One field.
#[derive(Debug, Clone, Copy)]
struct FieldLine {
    /// The line as it came, without its end; empty where it is written anew.
    raw: Span,
    name: Span,
    value: Span,
}

/// The fields of one head or trailer section, in their order. What nobody changes is written as it came.
#[derive(Clone, Default)]
pub struct Fields {
    text: Vec<u8>,
    lines: Vec<FieldLine>,
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes| String::from_utf8_lossy(bytes);
        f.debug_map()
            .entries(self.iter().map(|(name, value)| (text(name), text(value))))
            .finish()
    }
}

impl Fields {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of a message of HTTP/2.
    pub fn of_map(map: &HeaderMap) -> Self {
        let mut fields = Self {
            text: Vec::with_capacity(map.len() * 32),
            lines: Vec::with_capacity(map.len()),
        };
        for (name, value) in map {
            fields.add(name, value.as_bytes());
        }
        fields
    }

    /// As what has no place for odd names and values knows them: bytes that it cannot take become `-` in names and a
    /// space in values, names are in lower case.
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.lines.len());
        for (name, value) in self.iter() {
            let name = HeaderName::from_bytes(name).or_else(|_| {
                let tame = |&byte: &u8| if is_token(byte) { byte } else { b'-' };
                HeaderName::from_bytes(&name.iter().map(tame).collect::<Vec<_>>())
            });
            let value = HeaderValue::from_bytes(value).or_else(|_| {
                let tame = |&byte: &u8| if byte < b' ' || byte == 0x7f { b' ' } else { byte };
                HeaderValue::from_bytes(&value.iter().map(tame).collect::<Vec<_>>())
            });
            if let (Ok(name), Ok(value)) = (name, value) {
                map.append(name, value);
            }
        }
        map
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines
            .iter()
            .map(|line| (line.name.of(&self.text), line.value.of(&self.text)))
    }

    /// Writes the lines, each with its end.
    pub fn write(&self, out: &mut Vec<u8>) {
        // Lines that came one behind the other, and that nobody has touched, are written at once.
        let mut run = Span::default();
        for line in &self.lines {
            let follows = !run.is_empty() && line.raw.start == run.end + 2 && self.ends_line(run.end);
            if follows && !line.raw.is_empty() {
                run.end = line.raw.end;
                continue;
            }
            self.write_run(run, out);
            run = line.raw;
            if line.raw.is_empty() {
                out.extend_from_slice(line.name.of(&self.text));
                out.extend_from_slice(b": ");
                out.extend_from_slice(line.value.of(&self.text));
                out.extend_from_slice(b"\r\n");
            }
        }
        self.write_run(run, out);
    }

    /// Whether a line ends here as it is to be written.
    fn ends_line(&self, at: u32) -> bool {
        self.text
            .get(at as usize..)
            .is_some_and(|rest| rest.starts_with(b"\r\n"))
    }

    fn write_run(&self, run: Span, out: &mut Vec<u8>) {
        if !run.is_empty() {
            out.extend_from_slice(run.of(&self.text));
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Keeps the fields whose name the test lets pass.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let text = &self.text;
        self.lines.retain(|line| keep(line.name.of(text)));
    }

    /// How much the text takes, in bytes.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.text.capacity()
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> Vec<&[u8]> {
        self.iter().map(|(name, _)| name).collect()
    }

    /// Adds a field, which must have neither NUL nor line ends in it.
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        let name = self.keep(name);
        let value = self.keep(value);
        self.lines.push(FieldLine {
            raw: Span::default(),
            name,
            value,
        });
    }

    /// The same, with the name as it is usually written.
    fn push_usual(&mut self, name: &[u8], value: &[u8]) {
        let start = self.text.len();
        self.text.extend(usual(name));
        let name = Span::new(start, self.text.len());
        let value = self.keep(value);
        self.lines.push(FieldLine {
            raw: Span::default(),
            name,
            value,
        });
    }

    fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        Span::new(start, self.text.len())
    }

    pub(super) fn text(&self, span: Span) -> &[u8] {
        span.of(&self.text)
    }

    /// Reads a start line and field lines, up to and with the empty one. The first line's place is given back.
    pub(super) fn parse_head(head: &[u8], reading: Reading) -> Result<(Self, Span), Malformed> {
        // With room for what a proxy adds.
        let mut text = Vec::with_capacity(head.len() + ADDED);
        text.extend_from_slice(head);
        let mut fields = Self {
            text,
            lines: Vec::with_capacity(16),
        };
        let mut lines = Lines {
            text: head,
            at: 0,
            reading,
        };
        let first = lines.next().ok_or(Malformed::RequestLine)??;
        fields.parse(head, &mut lines, reading)?;
        Ok((fields, first))
    }

    /// Reads a trailer section, up to and with the empty line.
    pub(super) fn parse_trailers(section: &[u8], reading: Reading) -> Result<Self, Malformed> {
        let mut fields = Self {
            text: section.to_vec(),
            lines: Vec::new(),
        };
        let mut lines = Lines {
            text: section,
            at: 0,
            reading,
        };
        fields.parse(section, &mut lines, reading)?;
        Ok(fields)
    }

    fn parse(&mut self, text: &[u8], lines: &mut Lines<'_>, reading: Reading) -> Result<(), Malformed> {
        // Whether the line before was left out, and what continues it with it.
        let mut is_left_out = false;
        for line in lines {
            let raw = line?;
            let bytes = raw.of(text);
            let Some(&begin) = bytes.first() else { break };
            if is_space(begin) {
                match self.lines.last_mut() {
                    Some(_) if is_left_out => {}
                    Some(before) => {
                        // Obsolete folding (RFC 9112 section 5.2). A value that was unfolded before lies at the end.
                        let is_last = before.raw.is_empty() && before.value.end as usize == self.text.len();
                        if !is_last {
                            let start = self.text.len();
                            let old = before.value;
                            self.text.extend_from_within(old.start as usize..old.end as usize);
                            before.value = Span::new(start, self.text.len());
                            before.raw = Span::default();
                        }
                        let more = trim(bytes);
                        if !before.value.is_empty() && !more.is_empty() {
                            self.text.push(b' ');
                        }
                        self.text.extend_from_slice(more);
                        before.value = Span::new(before.value.start as usize, self.text.len());
                    }
                    None if reading != Reading::Mending => return Err(Malformed::LeadingSpace),
                    None => is_left_out = true,
                }
                continue;
            }
            match field(bytes, reading)? {
                None => is_left_out = true,
                Some(FieldPlaces {
                    name,
                    value,
                    is_mended,
                }) => {
                    is_left_out = false;
                    let at = raw.start as usize;
                    let span = |(start, end): (usize, usize)| Span::new(at + start, at + end);
                    self.lines.push(FieldLine {
                        raw: if is_mended { Span::default() } else { raw },
                        name: span(name),
                        value: span(value),
                    });
                    if self.lines.len() > MAX_LINES {
                        return Err(Malformed::HeadTooLarge);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Headers for Fields {
    fn all<'h>(&'h self, name: &'h HeaderName) -> impl Iterator<Item = &'h [u8]> {
        let name = name.as_str().as_bytes();
        self.lines
            .iter()
            .filter(move |line| line.name.of(&self.text).eq_ignore_ascii_case(name))
            .map(|line| line.value.of(&self.text))
    }

    fn each(&self, tell: &mut dyn FnMut(&[u8], &[u8])) {
        self.iter().for_each(|(name, value)| tell(name, value));
    }

    /// The first keeps its place and the case of its name.
    fn set(&mut self, name: &HeaderName, value: &[u8]) {
        if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return;
        }
        let wanted = name.as_str().as_bytes();
        let is_it = |text: &[u8], line: &FieldLine| line.name.of(text).eq_ignore_ascii_case(wanted);
        let Some(first) = self.lines.iter().position(|line| is_it(&self.text, line)) else {
            return self.push_usual(wanted, value);
        };
        let mut place = 0;
        let text = &self.text;
        self.lines.retain(|line| {
            place += 1;
            place - 1 <= first || !is_it(text, line)
        });
        let kept = self.keep(value);
        if let Some(line) = self.lines.get_mut(first) {
            (line.raw, line.value) = (Span::default(), kept);
        }
    }

    fn add(&mut self, name: &HeaderName, value: &[u8]) {
        if !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            self.push_usual(name.as_str().as_bytes(), value);
        }
    }

    fn remove(&mut self, name: &HeaderName) {
        let name = name.as_str().as_bytes();
        self.retain(|other| !other.eq_ignore_ascii_case(name));
    }

    /// Goes through them once.
    fn remove_all(&mut self, names: &[HeaderName]) {
        let names: SmallVec<[&[u8]; 10]> = names.iter().map(|name| name.as_str().as_bytes()).collect();
        self.retain(|other| !names.iter().any(|name| other.eq_ignore_ascii_case(name)));
    }
}

/// A name as HTTP/1.1 usually writes it: each word with a capital.
pub fn as_usual(name: &[u8]) -> Vec<u8> {
    usual(name).collect()
}

fn usual(name: &[u8]) -> impl Iterator<Item = u8> {
    let mut begins = true;
    name.iter().map(move |&byte| {
        let written = if begins { byte.to_ascii_uppercase() } else { byte };
        begins = byte == b'-';
        written
    })
}
