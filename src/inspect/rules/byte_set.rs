//! Sets of bytes without their case, and how often text has them.

/// Set in every folded byte; it makes ASCII letters lower-case.
pub(super) const FOLD: u8 = 0x20;

/// Bytes with bit 5 set, which makes ASCII letters lower-case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    /// Every folded byte.
    pub(super) const ANY: Self = Self([0xffff_ffff_0000_0000; 4]);

    pub(super) fn one(byte: u8) -> Self {
        let mut set = Self::default();
        set.add(byte | FOLD);
        set
    }

    pub(super) fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(super) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    pub(super) fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    pub(super) fn union(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a |= b);
    }

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).any(|(a, b)| a & b != 0)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|&byte| self.has(byte))
    }

    /// How often a byte of ordinary text is one of these, about.
    pub(super) fn frequency(&self) -> f64 {
        self.iter().map(frequency).sum()
    }
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
