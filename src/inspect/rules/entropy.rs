//! Tokens that look random.

use std::collections::BTreeMap;
use std::ops::Range;

/// Shorter tokens say too little.
const MIN_TOKEN: usize = 20;
/// The most that the bytes of a token can have: they are of 67 kinds.
pub(super) const MAX_BITS: f64 = 6.1;

/// Adds the tokens of at least this many bits a character.
pub(super) fn find(threshold: f64, data: &[u8], into: &mut Vec<Range<usize>>) {
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-');
    let mut start = 0;
    for token in data.split(|byte| !inside(byte)) {
        if token.len() >= MIN_TOKEN && bits(token) >= threshold {
            into.push(start..start + token.len());
        }
        start += token.len() + 1;
    }
}

/// Shannon's entropy of a token's bytes, in bits a byte.
pub(super) fn bits(token: &[u8]) -> f64 {
    let mut counts = BTreeMap::<u8, u32>::new();
    token
        .iter()
        .for_each(|&byte| *counts.entry(byte).or_default() += 1);
    let total = token.len() as f64;
    counts
        .values()
        .map(|&count| f64::from(count) / total)
        .map(|share| -share * share.log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_tokens_are_told_from_words() {
        let text = b"an_ordinary_long_name_here aaaaaaaaaaaaaaaaaaaaaaaa q7Zp2Lx9Vb4Nc8Mw1Rt6 short";
        let mut found = Vec::new();
        find(4.0, text, &mut found);
        assert_eq!(found.len(), 1);
        assert_eq!(&text[found[0].clone()], b"q7Zp2Lx9Vb4Nc8Mw1Rt6");
    }
}
