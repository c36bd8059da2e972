//! Text in UTF-16 and UTF-32, which rules read in UTF-8.

use std::fmt::Write as _;

/// An encoding whose units are wider than a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf16 { is_big: bool },
    Utf32 { is_big: bool },
}

const UTF16_BIG: Encoding = Encoding::Utf16 { is_big: true };
const UTF16_LITTLE: Encoding = Encoding::Utf16 { is_big: false };
const UTF32_BIG: Encoding = Encoding::Utf32 { is_big: true };
const UTF32_LITTLE: Encoding = Encoding::Utf32 { is_big: false };

/// Byte order marks. That of UTF-32 begins as that of UTF-16 does.
const MARKS: [(&[u8], Encoding); 4] = [
    (b"\xff\xfe\0\0", UTF32_LITTLE),
    (b"\0\0\xfe\xff", UTF32_BIG),
    (b"\xff\xfe", UTF16_LITTLE),
    (b"\xfe\xff", UTF16_BIG),
];

/// Text that was in such an encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct WideText {
    /// The text, without a byte order mark. What is no character is U+FFFD.
    pub(in crate::http) utf8: String,
    encoding: Encoding,
    mark: &'static [u8],
    /// Something was no character.
    is_lossy: bool,
}

impl WideText {
    /// Reads `data` in each of the ways in which its receivers do: none if nothing says that it is such text. Byte order
    /// marks say so, the `charset` of a Content-Type, and in the absence of both the first characters, by which parsers of
    /// JSON go (RFC 4627 section 3).
    pub(in crate::http) fn readings(content_type: Option<&[u8]>, data: &[u8]) -> Vec<Self> {
        let mut readings: Vec<Self> = Vec::new();
        for (mark, encoding) in MARKS {
            // A mark of UTF-32 may be one of UTF-16 and a NUL, unless all behind it is UTF-32.
            if data.starts_with(mark) && readings.iter().all(|reading| reading.is_lossy) {
                readings.push(encoding.read(mark, data));
            }
        }
        let is_marked = !readings.is_empty();
        let stated: &[Encoding] = match content_type.and_then(charset).as_deref() {
            Some("utf-16le" | "utf16le") => &[UTF16_LITTLE],
            Some("utf-16be" | "utf16be" | "unicodefffe") => &[UTF16_BIG],
            Some("utf-32le" | "utf32le") => &[UTF32_LITTLE],
            Some("utf-32be" | "utf32be") => &[UTF32_BIG],
            // Without a mark, browsers take it for little endian and Java for big endian.
            Some(
                "utf-16" | "utf16" | "ucs-2" | "iso-10646-ucs-2" | "csunicode" | "unicode" | "unicodefeff",
            ) if !is_marked => &[UTF16_LITTLE, UTF16_BIG],
            Some("utf-32" | "utf32" | "ucs-4" | "iso-10646-ucs-4") if !is_marked => {
                &[UTF32_BIG, UTF32_LITTLE]
            }
            _ => &[],
        };
        for &encoding in stated {
            if readings.iter().all(|reading| reading.encoding != encoding) {
                readings.push(encoding.read(b"", data));
            }
        }
        if readings.is_empty()
            && let Some(encoding) = looks_like(data)
        {
            readings.push(encoding.read(b"", data));
        }
        readings
    }

    /// Other text in the same encoding; `None` where the original could not be read without loss.
    pub(in crate::http) fn write(&self, text: &str) -> Option<Vec<u8>> {
        if self.is_lossy {
            return None;
        }
        let mut out = self.mark.to_vec();
        match self.encoding {
            Encoding::Utf16 { is_big } => out.extend(text.encode_utf16().flat_map(|unit| {
                if is_big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            })),
            Encoding::Utf32 { is_big } => out.extend(text.chars().flat_map(|c| {
                if is_big {
                    u32::from(c).to_be_bytes()
                } else {
                    u32::from(c).to_le_bytes()
                }
            })),
        }
        Some(out)
    }
}

impl Encoding {
    /// What stands behind `mark`.
    fn read(self, mark: &'static [u8], data: &[u8]) -> WideText {
        let (utf8, is_lossy) = self.decode(data.get(mark.len()..).unwrap_or_default());
        WideText {
            utf8,
            encoding: self,
            mark,
            is_lossy,
        }
    }

    /// The text, and whether something in it is no character.
    fn decode(self, data: &[u8]) -> (String, bool) {
        let mut text = String::with_capacity(data.len() / 2);
        let mut is_lossy = false;
        let mut push = |c: Option<char>| {
            is_lossy |= c.is_none();
            // Writing to a string cannot fail.
            let _ = text.write_char(c.unwrap_or(char::REPLACEMENT_CHARACTER));
        };
        let rest = match self {
            Self::Utf16 { is_big } => {
                let (units, rest) = data.as_chunks::<2>();
                let units = units.iter().map(|unit| match is_big {
                    true => u16::from_be_bytes(*unit),
                    false => u16::from_le_bytes(*unit),
                });
                char::decode_utf16(units).for_each(|c| push(c.ok()));
                rest
            }
            Self::Utf32 { is_big } => {
                let (units, rest) = data.as_chunks::<4>();
                units.iter().for_each(|unit| {
                    push(char::from_u32(match is_big {
                        true => u32::from_be_bytes(*unit),
                        false => u32::from_le_bytes(*unit),
                    }));
                });
                rest
            }
        };
        if !rest.is_empty() {
            push(None);
        }
        (text, is_lossy)
    }
}

/// The `charset` parameter of a Content-Type, in lower case.
fn charset(content_type: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(content_type).ok()?;
    text.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches(['"', '\'']).to_ascii_lowercase())
    })
}

/// What two ASCII characters look like at the beginning.
fn looks_like(data: &[u8]) -> Option<Encoding> {
    let is_text = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e);
    match *data.first_chunk::<8>()? {
        [0, 0, 0, a, 0, 0, 0, b] if is_text(a) && is_text(b) => Some(UTF32_BIG),
        [a, 0, 0, 0, b, 0, 0, 0] if is_text(a) && is_text(b) => Some(UTF32_LITTLE),
        [0, a, 0, b, ..] if is_text(a) && is_text(b) => Some(UTF16_BIG),
        [a, 0, b, 0, ..] if is_text(a) && is_text(b) => Some(UTF16_LITTLE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(encoding: Encoding, mark: &'static [u8], text: &str) -> Vec<u8> {
        let like = WideText {
            utf8: String::new(),
            encoding,
            mark,
            is_lossy: false,
        };
        like.write(text).unwrap()
    }

    fn one(content_type: Option<&str>, data: &[u8]) -> Option<WideText> {
        let mut readings = WideText::readings(content_type.map(str::as_bytes), data);
        assert!(readings.len() <= 1, "{readings:?}");
        readings.pop()
    }

    #[test]
    fn text_is_told_by_its_mark_by_what_is_stated_and_by_how_it_begins() {
        let text = "a word \u{e9} \u{1f600}";
        for (mark, encoding) in MARKS {
            let read = one(Some("text/plain; charset=utf-8"), &written(encoding, mark, text)).unwrap();
            assert_eq!(
                (read.utf8.as_str(), read.encoding, read.is_lossy),
                (text, encoding, false)
            );
            let bare = one(None, &written(encoding, b"", text)).unwrap();
            assert_eq!((bare.utf8.as_str(), bare.encoding), (text, encoding));
        }
        // Letters of another script do not look like anything.
        let other = written(UTF16_BIG, b"", "\u{43a}\u{430}\u{43a}\u{430}");
        assert_eq!(one(None, &other), None);
        for kind in [
            "text/plain; charset=UTF-16BE",
            "text/html;x=y; Charset=\"utf-16be\"",
        ] {
            let read = one(Some(kind), &other).unwrap();
            assert_eq!(read.utf8, "\u{43a}\u{430}\u{43a}\u{430}", "{kind}");
        }
        for data in [&b"plain text"[..], b"", b"\0\0\0\0\0\0\0\0", b"a\0"] {
            assert_eq!(one(Some("text/plain"), data), None, "{data:?}");
        }
    }

    #[test]
    fn text_that_receivers_read_in_two_ways_is_read_in_both() {
        let texts = |kind: &str, data: &[u8]| -> Vec<String> {
            let readings = WideText::readings(Some(kind.as_bytes()), data);
            readings.into_iter().map(|reading| reading.utf8).collect()
        };
        let big = written(UTF16_BIG, b"", "no mark");
        assert!(texts("text/plain; charset=utf-16", &big).contains(&"no mark".to_owned()));
        // The mark says one thing and the head another: browsers go by the mark, and others by the head.
        let torn = written(UTF16_LITTLE, b"\xff\xfe", "by the mark");
        let both = texts("text/plain; charset=utf-16be", &torn);
        assert_eq!((both.len(), both[0].as_str()), (2, "by the mark"));
        // What a browser takes for UTF-16 begins as UTF-32 does.
        let disguised = written(UTF16_LITTLE, b"\xff\xfe", "\0told twice");
        assert!(texts("text/plain", &disguised).contains(&"\0told twice".to_owned()));
    }

    #[test]
    fn what_is_no_character_is_seen_around_and_never_written_back() {
        for data in [
            &b"\xff\xfea\0\0\xd8b\0"[..],
            b"\xff\xfea\0b\0c",
            b"\0\0\xfe\xff\0\x11\0\0",
        ] {
            let read = one(None, data).unwrap();
            assert!(read.is_lossy && read.utf8.contains('\u{fffd}'), "{read:?}");
            assert_eq!(read.write("x"), None);
        }
    }

    proptest! {
        #[test]
        fn text_comes_back_as_it_was(text in "\\PC{0,40}", at in 0..4_usize) {
            let (mark, encoding) = MARKS[at];
            let data = written(encoding, mark, &text);
            let read = one(None, &data).unwrap();
            prop_assert_eq!(&read.utf8, &text);
            prop_assert_eq!(read.write(&text).unwrap(), data);
        }

        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = WideText::readings(Some(b"x; charset=utf-32be"), &noise);
        }
    }
}
