//! Bytes without their case, and how often text has them.

use crate::wire::byte_set::ByteSet;

/// Set in every folded byte; it makes ASCII letters lower-case.
pub(super) const FOLD: u8 = 0x20;

/// How often a byte of ordinary text is one of these, about.
pub(super) fn frequency_of(set: &ByteSet) -> f64 {
    set.iter().map(frequency).sum()
}

/// How often text and JSON have this folded byte, about.
fn frequency(byte: u8) -> f64 {
    const LETTERS: [u8; 26] = [
        65, 13, 24, 35, 100, 18, 16, 46, 58, 2, 7, 34, 20, 57, 62, 15, 1, 50, 52, 75, 24, 9, 18, 2, 16, 1,
    ];
    let per_mille = match byte {
        b' ' => 140,
        b'a'..=b'z' => LETTERS[usize::from(byte - b'a')],
        b'0'..=b'9' => 10,
        b'"' => 30,
        b',' | b'.' | b':' => 12,
        b'-' | b'/' | b'{' | b'}' | b'_' | 0x7f => 4,
        _ => 1,
    };
    f64::from(per_mille) / 1000.0
}
