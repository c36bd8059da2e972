//! How Kerberos writes its messages (RFC 4120 section 5): fields of DER by number.

use crate::wire::der::{self, INTEGER, SEQUENCE, Value};

/// The tag of `[APPLICATION n]`.
pub(crate) const fn application(n: u8) -> u8 {
    0x60 | n
}

/// The tag of `[n]`.
pub(crate) const fn context(n: u8) -> u8 {
    0xa0 | n
}

/// The value of field `[n]` in the content of a SEQUENCE.
pub(crate) fn field(content: &[u8], n: u8) -> Option<Value<'_>> {
    let field = der::each(content).find(|value| value.tag == context(n))?;
    let (value, rest) = der::read(field.content)?;
    rest.is_empty().then_some(value)
}

/// The content of field `[n]` if it has this tag.
pub(crate) fn content(bytes: &[u8], n: u8, tag: u8) -> Option<&[u8]> {
    field(bytes, n)
        .filter(|value| value.tag == tag)
        .map(|value| value.content)
}

/// An INTEGER of up to eight bytes.
pub(crate) fn integer(bytes: &[u8], n: u8) -> Option<i64> {
    let content = content(bytes, n, INTEGER)?;
    let (&first, _) = content.split_first()?;
    let start = if first & 0x80 == 0 { 0 } else { -1 };
    (content.len() <= 8).then(|| {
        content
            .iter()
            .fold(start, |sum, byte| (sum << 8) | i64::from(*byte))
    })
}

/// The SEQUENCE within `[APPLICATION n]`.
pub(crate) fn message(bytes: &[u8], n: u8) -> Option<&[u8]> {
    let (outer, _) = der::expect(bytes, application(n))?;
    let (sequence, _) = der::expect(outer.content, SEQUENCE)?;
    Some(sequence.content)
}

/// An INTEGER in the shortest form that is not read as a negative one.
pub(crate) fn unsigned(number: u32) -> Vec<u8> {
    let bytes = u64::from(number).to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let start = match bytes.get(zeros) {
        Some(0..=0x7f) => zeros,
        _ => zeros.saturating_sub(1),
    };
    der::value(INTEGER, bytes.get(start..).unwrap_or_default())
}
