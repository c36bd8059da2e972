//! Sets of byte values: what expressions over bytes are made of.

/// The bits of A to Z in the second word.
const UPPER: u64 = 0x07ff_fffe;

/// Which of the 256 byte values are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(crate) const EMPTY: Self = Self([0; 4]);
    pub(crate) const ALL: Self = Self([u64::MAX; 4]);
    /// All bytes with bit 5 set, as letters have it in lower case.
    pub(crate) const FOLDED: Self = Self([0xffff_ffff_0000_0000; 4]);

    pub(crate) fn of(belongs: impl Fn(u8) -> bool) -> Self {
        let mut set = Self::EMPTY;
        (0..=u8::MAX)
            .filter(|&byte| belongs(byte))
            .for_each(|byte| set.insert(byte));
        set
    }

    pub(crate) fn one(byte: u8) -> Self {
        let mut set = Self::EMPTY;
        set.insert(byte);
        set
    }

    pub(crate) fn range(low: u8, high: u8) -> Self {
        let mut set = Self::EMPTY;
        (low..=high).for_each(|byte| set.insert(byte));
        set
    }

    /// Puts one in.
    pub(crate) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(crate) fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }

    /// Takes in all that are in the other.
    pub(crate) fn union(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    /// Whether any is in both.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).any(|(a, b)| a & b != 0)
    }

    pub(crate) fn complement(self) -> Self {
        Self(self.0.map(|word| !word))
    }

    /// The bytes whose upper-case form is in this set.
    pub(crate) fn unfolded(mut self) -> Self {
        // A to Z and a to z lie in the same word, 32 bits apart.
        let upper = self.0[1] & UPPER;
        self.0[1] = self.0[1] & !(UPPER << 32) | upper << 32;
        self
    }

    /// Without the letters A to Z, which no normalised host has.
    pub(crate) fn without_upper_case(mut self) -> Self {
        self.0[1] &= !UPPER;
        self
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// The byte, if it is one alone.
    pub(crate) fn only(&self) -> Option<u8> {
        if self.len() == 1 { self.iter().next() } else { None }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u8> {
        (0_u8..).zip(self.0).flat_map(|(i, mut word)| {
            std::iter::from_fn(move || {
                let bit = u8::try_from(word.trailing_zeros()).ok().filter(|&bit| bit < 64)?;
                word &= word - 1;
                Some(i * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_and_iterating_agree_with_their_definitions() {
        assert_eq!(ByteSet::FOLDED, ByteSet::of(|b| b & 0x20 != 0));
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
            assert_eq!(set.is_empty(), members.is_empty());
        }
    }

    #[test]
    fn two_sets_meet_where_their_members_do() {
        let (low, mut high) = (ByteSet::range(0, 99), ByteSet::range(100, 255));
        assert!(!low.meets(&high));
        high.insert(99);
        assert!(low.meets(&high) && high.meets(&low));
        assert!(!low.meets(&ByteSet::EMPTY));
        high.union(&low);
        assert_eq!(high, ByteSet::ALL);
    }
}
