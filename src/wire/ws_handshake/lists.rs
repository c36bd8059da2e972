//! Header fields that are comma-separated lists over any number of lines (RFC 9110 section 5.6.1).

use crate::wire::headers::Headers;
use http::header::HeaderName;

/// The elements of all lines in order, without empty ones. A comma inside a quoted string divides nothing.
pub(super) fn elements<'h>(
    headers: &'h impl Headers,
    name: &'h HeaderName,
) -> impl Iterator<Item = &'h [u8]> {
    headers
        .all(name)
        .flat_map(|value| divide(value, b','))
        .filter(|element| !element.is_empty())
}

/// Whether one of the elements is `token`, in any case.
pub(super) fn has_token(headers: &impl Headers, name: &HeaderName, token: &str) -> bool {
    elements(headers, name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// The name of each element, which is what stands before its parameters.
pub(super) fn names(headers: &impl Headers, name: &HeaderName) -> Vec<String> {
    elements(headers, name)
        .filter_map(|element| divide(element, b';').next())
        .map(text)
        .collect()
}

/// All lines as one, or `None` if they have no element.
pub(super) fn joined(headers: &impl Headers, name: &HeaderName) -> Option<String> {
    let elements: Vec<String> = elements(headers, name).map(text).collect();
    (!elements.is_empty()).then(|| elements.join(", "))
}

/// The value of a field that may stand there once.
pub(super) fn single<'h>(headers: &'h impl Headers, name: &'h HeaderName) -> Single<'h> {
    let mut values = headers.all(name);
    match (values.next(), values.next()) {
        (None, _) => Single::Missing,
        (Some(value), None) => Single::Value(trimmed(value)),
        (Some(_), Some(_)) => Single::Repeated,
    }
}

/// How often a field stands there.
pub(super) enum Single<'a> {
    Missing,
    Value(&'a [u8]),
    Repeated,
}

/// Bytes outside UTF-8 become replacement characters: the text is compared and shown, never sent.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Without the white space of RFC 9110 section 5.6.3 at either end. Any other control character is part of the value.
pub(super) fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Divides at `separator`, except inside quoted strings (RFC 9110 section 5.6.4), and trims each part.
pub(super) fn divide(mut rest: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let (mut quoted, mut escaped) = (false, false);
        let end = rest.iter().position(|&byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ => return byte == separator && !quoted,
            }
            false
        });
        let part = match end {
            Some(end) => {
                let part = &rest[..end];
                rest = &rest[end + 1..];
                part
            }
            None => {
                over = true;
                rest
            }
        };
        Some(trimmed(part))
    })
}
