//! Matches replaced in content, and masked in what is reported of it.

use super::super::Secret;
use super::secrets;
use std::ops::Range;

/// Characters of an excerpt on each side of the first match.
const AROUND: usize = 20;
/// In an excerpt, in the place of a match.
const MASK: &str = "****";

/// Overlapping and adjacent spans as one; `spans` rise by their start.
pub(super) fn merge(spans: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut merged: Vec<Range<usize>> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span.clone()),
        }
    }
    merged
}

/// `data` with `text` in the place of each span. In UTF-8 no character is cut.
pub(super) fn redact(data: &[u8], spans: &[Range<usize>], text: &str) -> Vec<u8> {
    let utf8 = std::str::from_utf8(data).ok();
    let whole = spans.iter().map(|span| {
        let Some(utf8) = utf8 else {
            return span.clone();
        };
        let (mut start, mut end) = (span.start, span.end);
        while !utf8.is_char_boundary(start) {
            start -= 1;
        }
        while !utf8.is_char_boundary(end) {
            end += 1;
        }
        start..end
    });
    let whole: Vec<Range<usize>> = whole.collect();
    let mut out = Vec::with_capacity(data.len());
    let mut from = 0;
    for span in merge(&whole) {
        out.extend_from_slice(&data[from..span.start]);
        out.extend_from_slice(text.as_bytes());
        from = span.end;
    }
    out.extend_from_slice(&data[from..]);
    out
}

/// `data` with every known secret masked; `None` where it has none.
pub fn mask_secrets(data: &[u8]) -> Option<Vec<u8>> {
    let mut hidden = Vec::new();
    for secret in Secret::ALL {
        secrets::find(*secret, data, &mut hidden);
    }
    hidden.sort_unstable_by_key(|span| (span.start, span.end));
    (!hidden.is_empty()).then(|| redact(data, &hidden, MASK))
}

/// The surroundings of the first span, with every span and every known secret masked.
pub(super) fn excerpt(data: &[u8], spans: &[Range<usize>]) -> Option<String> {
    /// Secrets that reach into the excerpt begin within so many bytes.
    const NEAR: usize = 512;
    let first = spans.first()?;
    let near = first.start.saturating_sub(NEAR)..data.len().min(first.start + NEAR);
    let mut hidden = spans.to_vec();
    for &secret in Secret::ALL {
        let mut found = Vec::new();
        secrets::find(secret, &data[near.clone()], &mut found);
        hidden.extend(
            found
                .into_iter()
                .map(|span| span.start + near.start..span.end + near.start),
        );
    }
    hidden.sort_unstable_by_key(|span| (span.start, span.end));
    let hidden = merge(&hidden);
    let window = first.start.saturating_sub(AROUND)..data.len().min(first.end.min(first.start + 1) + AROUND);
    let mut out = String::new();
    let mut at = window.start;
    // What follows the first match is shown after its end, however long it is.
    let mut end = window.end;
    for span in &hidden {
        if span.end <= at {
            continue;
        }
        if span.start >= end {
            break;
        }
        push(&mut out, &data[at..span.start.max(at)]);
        out.push_str(MASK);
        at = span.end;
        if span.contains(&first.start) {
            end = data.len().min(at + AROUND);
        }
    }
    if at < end {
        push(&mut out, &data[at..end]);
    }
    Some(out)
}

/// As text, without control characters.
fn push(out: &mut String, bytes: &[u8]) {
    for c in String::from_utf8_lossy(bytes).chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_replaced_once() {
        assert_eq!(redact(b"abcdefg", &[1..3, 2..4, 4..5, 6..7], "-"), b"a-f-");
        // U+00E9 is not cut in two.
        assert_eq!(
            redact("a\u{e9}b".as_bytes(), std::slice::from_ref(&(2..3)), "-"),
            b"a-b"
        );
        assert_eq!(redact(b"\xffab", std::slice::from_ref(&(1..2)), "-"), b"\xff-b");
    }

    #[test]
    fn every_known_secret_is_masked() {
        let text = b"4111 1111 1111 1111 and ghp_abcdefghijklmnopqrstuvwxyz0123456789, no more";
        assert_eq!(mask_secrets(text).unwrap(), b"**** and ****, no more");
        assert_eq!(mask_secrets(b"nothing"), None);
    }

    #[test]
    fn excerpts_show_no_secret() {
        let text = b"token secret\n4111 1111 1111 1111 secret end";
        let shown = excerpt(text, &[6..12, 33..39]).unwrap();
        assert_eq!(shown, "token ****\\n****");
        assert_eq!(excerpt(b"", &[]), None);
    }
}
