//! The fields of one head or trailer section, in their order, in one piece of memory.

use super::Malformed;
use crate::wire::headers::Headers;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use memchr::{memchr, memchr3};
use std::fmt;

/// The most field lines of one head: its bytes are what is limited, and an empty name costs two.
const MAX_LINES: usize = 4096;

/// A part of the text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Self {
        // A head is never larger than 4 GiB: its limit is a setting of some kilobytes.
        let narrow = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            start: narrow(start),
            end: narrow(end),
        }
    }

    fn is_empty(self) -> bool {
        self.start >= self.end
    }

    fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// One field.
#[derive(Debug, Clone, Copy)]
struct FieldLine {
    /// The line as it came, without its end; empty where it is written anew.
    raw: Span,
    name: Span,
    value: Span,
}

/// How strictly field lines are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// As requests and trailers are: what is doubtful is refused.
    Strict,
    /// As responses are: what is doubtful is mended or left out, as browsers do.
    Mending,
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
        let mut fields = Self {
            text: head.to_vec(),
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
    pub(super) fn parse_trailers(section: &[u8]) -> Result<Self, Malformed> {
        let reading = Reading::Strict;
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
                    None if reading == Reading::Strict => return Err(Malformed::LeadingSpace),
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
            return self.push(&as_usual(wanted), value);
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
            self.push(&as_usual(name.as_str().as_bytes()), value);
        }
    }

    fn remove(&mut self, name: &HeaderName) {
        let name = name.as_str().as_bytes();
        self.retain(|other| !other.eq_ignore_ascii_case(name));
    }
}

/// A name as HTTP/1.1 usually writes it: each word with a capital.
pub fn as_usual(name: &[u8]) -> Vec<u8> {
    let mut begins = true;
    name.iter()
        .map(|&byte| {
            let written = if begins { byte.to_ascii_uppercase() } else { byte };
            begins = byte == b'-';
            written
        })
        .collect()
}

/// The lines of a head, without their ends.
struct Lines<'t> {
    text: &'t [u8],
    at: usize,
    reading: Reading,
}

impl Iterator for Lines<'_> {
    type Item = Result<Span, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.text.get(self.at..)?;
        let found = memchr3(b'\r', b'\n', 0, rest)?;
        let (start, end) = (self.at, self.at + found);
        let (ending, length) = (rest.get(found), rest.get(found + 1));
        Some(match (ending, length) {
            (Some(b'\r'), Some(b'\n')) => {
                self.at = end + 2;
                Ok(Span::new(start, end))
            }
            (Some(b'\n'), _) if self.reading == Reading::Mending => {
                self.at = end + 1;
                Ok(Span::new(start, end))
            }
            (Some(b'\n'), _) => Err(Malformed::BareLineFeed),
            (Some(b'\r'), _) => Err(Malformed::BareCarriageReturn),
            _ => Err(Malformed::Nul),
        })
    }
}

/// A field line that stays, by the places of its parts.
struct FieldPlaces {
    name: (usize, usize),
    value: (usize, usize),
    is_mended: bool,
}

/// Reads a field line; `None` where it is left out.
fn field(line: &[u8], reading: Reading) -> Result<Option<FieldPlaces>, Malformed> {
    // As nearly all are: a plain name, a colon, one space, and no white space at the end.
    let end = line.iter().take_while(|&&byte| is_plain(byte)).count();
    if let (Some([b':', b' ', first, ..]), Some(last)) = (line.get(end..), line.last())
        && end > 0
        && !is_space(*first)
        && !is_space(*last)
    {
        return Ok(Some(FieldPlaces {
            name: (0, end),
            value: (end + 2, line.len()),
            is_mended: false,
        }));
    }
    odd_field(line, reading)
}

/// The same, of a line of any form.
fn odd_field(line: &[u8], reading: Reading) -> Result<Option<FieldPlaces>, Malformed> {
    let strict = reading == Reading::Strict;
    let Some(colon) = memchr(b':', line) else {
        return if strict { Err(Malformed::NoColon) } else { Ok(None) };
    };
    let before = &line[..colon];
    let end = before
        .iter()
        .rposition(|&byte| !is_space(byte))
        .map_or(0, |last| last + 1);
    let name = &before[..end];
    if strict && end < colon && end > 0 {
        return Err(Malformed::SpaceBeforeColon);
    }
    if name.is_empty() {
        return if strict {
            Err(Malformed::FieldName)
        } else {
            Ok(None)
        };
    }
    if !name.iter().all(|&byte| is_plain(byte)) {
        if is_framing(name) {
            return if strict {
                Err(Malformed::DisguisedFraming)
            } else {
                Ok(None)
            };
        }
        let is_odd = |&byte: &u8| byte < b' ' || byte == 0x7f || (strict && byte == b' ');
        if name.iter().any(is_odd) {
            return if strict {
                Err(Malformed::FieldName)
            } else {
                Ok(None)
            };
        }
    }
    let value = &line[colon + 1..];
    let leading = value
        .iter()
        .position(|&byte| !is_space(byte))
        .unwrap_or(value.len());
    let length = trim(value).len();
    let start = colon + 1 + leading;
    // To some readers a tab beside a value is a part of it, and the coding or the length another one.
    let has_tab = value[..leading].contains(&b'\t') || value[leading + length..].contains(&b'\t');
    Ok(Some(FieldPlaces {
        name: (0, end),
        value: (start, start + length),
        is_mended: end < colon || (has_tab && is_framing(name)),
    }))
}

/// Whether a byte is of those that names usually have.
fn is_plain(byte: u8) -> bool {
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            table[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'-';
            byte += 1;
        }
        table
    };
    TABLE[byte as usize]
}

/// Whether some reader could take a name for one that frames the message, as those that do are.
pub(super) fn is_framing(name: &[u8]) -> bool {
    let plain: Vec<u8> = name
        .iter()
        .map(|&byte| if byte == b'_' { b'-' } else { byte })
        .filter(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        .map(|byte| byte.to_ascii_lowercase())
        .collect();
    matches!(
        &plain[..],
        b"transfer-encoding" | b"content-length" | b"transferencoding" | b"contentlength"
    )
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

/// Whether a byte may be part of a token (RFC 9110 section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            let c = byte as u8;
            table[byte] = c.is_ascii_alphanumeric()
                || matches!(
                    c,
                    b'!' | b'#'
                        | b'$'
                        | b'%'
                        | b'&'
                        | b'\''
                        | b'*'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b'^'
                        | b'_'
                        | b'`'
                        | b'|'
                        | b'~'
                );
            byte += 1;
        }
        table
    };
    TABLE[byte as usize]
}
