//! A set of byte values.

use std::fmt::Write as _;

/// The bits of A to Z in the second word.
const UPPER: u64 = 0x07ff_fffe;

/// Which of the 256 byte values are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) const EMPTY: Self = Self([0; 4]);
    pub(super) const ALL: Self = Self([u64::MAX; 4]);

    pub(super) fn of(belongs: impl Fn(u8) -> bool) -> Self {
        let mut set = Self::EMPTY;
        (0..=u8::MAX)
            .filter(|&byte| belongs(byte))
            .for_each(|byte| set.insert(byte));
        set
    }

    pub(super) fn one(byte: u8) -> Self {
        let mut set = Self::EMPTY;
        set.insert(byte);
        set
    }

    pub(super) fn range(low: u8, high: u8) -> Self {
        let mut set = Self::EMPTY;
        (low..=high).for_each(|byte| set.insert(byte));
        set
    }

    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    pub(super) fn complement(self) -> Self {
        Self(self.0.map(|word| !word))
    }

    /// The bytes whose upper-case form is in this set.
    pub(super) fn unfolded(mut self) -> Self {
        // A to Z and a to z lie in the same word, 32 bits apart.
        let upper = self.0[1] & UPPER;
        self.0[1] = self.0[1] & !(UPPER << 32) | upper << 32;
        self
    }

    /// Without the letters A to Z, which no normalised host has.
    pub(super) fn without_upper_case(mut self) -> Self {
        self.0[1] &= !UPPER;
        self
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The byte, if it is one alone.
    pub(super) fn only(&self) -> Option<u8> {
        if self.len() == 1 { self.iter().next() } else { None }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u8> {
        (0_u8..).zip(self.0).flat_map(|(i, mut word)| {
            std::iter::from_fn(move || {
                let bit = u8::try_from(word.trailing_zeros()).ok().filter(|&bit| bit < 64)?;
                word &= word - 1;
                Some(i * 64 + bit)
            })
        })
    }

    /// Writes the set as a class of the `regex` crate.
    pub(super) fn emit(&self, out: &mut String) {
        let mut runs: Vec<(u8, u8)> = Vec::new();
        for byte in self.iter() {
            match runs.last_mut() {
                Some((_, high)) if byte.checked_sub(1) == Some(*high) => *high = byte,
                _ => runs.push((byte, byte)),
            }
        }
        // Writing to a String cannot fail.
        match runs[..] {
            // An intersection of two different bytes: the class of nothing.
            [] => out.push_str("[a&&b]"),
            [(low, high)] if low == high => {
                let _ = write!(out, r"\x{low:02x}");
            }
            _ => {
                out.push('[');
                for (low, high) in runs {
                    let _ = write!(out, r"\x{low:02x}-\x{high:02x}");
                }
                out.push(']');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_and_iterating_agree_with_their_definitions() {
        for set in [
            ByteSet::EMPTY,
            ByteSet::ALL,
            ByteSet::range(b'?', b'['),
            ByteSet::range(b'_', b'{'),
            ByteSet::range(b'B', b'y'),
            ByteSet::of(|b| b % 3 == 0),
        ] {
            assert_eq!(
                set.unfolded(),
                ByteSet::of(|b| set.contains(b.to_ascii_uppercase()))
            );
            assert_eq!(
                set.without_upper_case(),
                ByteSet::of(|b| set.contains(b) && !b.is_ascii_uppercase())
            );
            let members: Vec<u8> = (0..=255).filter(|&b| set.contains(b)).collect();
            assert_eq!(set.iter().collect::<Vec<u8>>(), members);
            assert_eq!(set.len(), members.len());
        }
    }
}
