//! Single lines of a head: where they end, and what is the name and what the value.

use super::Malformed;
use memchr::{memchr, memchr3};

/// A part of the text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
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

    pub(super) fn is_empty(self) -> bool {
        self.start >= self.end
    }

    pub(super) fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// How strictly field lines are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// As requests and their trailers are: what is doubtful is refused.
    Strict,
    /// As trailers of responses are: white space before a colon goes (RFC 9112 section 5.1). A line that is no field may be
    /// the next response, whose sender forgot an empty line, and is refused like all else that is doubtful.
    Trailers,
    /// As responses are: what is doubtful is mended or left out, as browsers do.
    Mending,
}

/// The lines of a head, without their ends.
pub(super) struct Lines<'t> {
    pub(super) text: &'t [u8],
    pub(super) at: usize,
    pub(super) reading: Reading,
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
pub(super) struct FieldPlaces {
    pub(super) name: (usize, usize),
    pub(super) value: (usize, usize),
    pub(super) is_mended: bool,
}

/// Reads a field line; `None` where it is left out.
pub(super) fn field(line: &[u8], reading: Reading) -> Result<Option<FieldPlaces>, Malformed> {
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
    let strict = reading != Reading::Mending;
    let Some(colon) = memchr(b':', line) else {
        return if strict { Err(Malformed::NoColon) } else { Ok(None) };
    };
    let before = &line[..colon];
    let end = before
        .iter()
        .rposition(|&byte| !is_space(byte))
        .map_or(0, |last| last + 1);
    let name = &before[..end];
    if reading == Reading::Strict && end < colon && end > 0 {
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
