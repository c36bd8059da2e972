//! Sets of rules, a bit for each.

use smallvec::SmallVec;

/// Up to so many, rules are asked sooner than a table.
pub(super) const FEW: u32 = 4;

/// A set of rules. Up to 256 of them stand in place: such sets are made for each request.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Bits(SmallVec<[u64; 4]>);

/// As one piece, which the derived one does not.
impl Clone for Bits {
    fn clone(&self) -> Self {
        Self(SmallVec::from_slice(&self.0))
    }
}

impl Bits {
    pub(super) fn none(count: usize) -> Self {
        Self(SmallVec::from_elem(0, count.div_ceil(64)))
    }

    pub(super) fn all(count: usize) -> Self {
        let mut bits = Self(SmallVec::from_elem(u64::MAX, count.div_ceil(64)));
        if let (Some(last), rest @ 1..) = (bits.0.last_mut(), count % 64) {
            *last = (1 << rest) - 1;
        }
        bits
    }

    /// Those of `count` rules of which `is` holds.
    pub(super) fn of(count: usize, is: impl Fn(usize) -> bool) -> Self {
        let mut bits = Self::none(count);
        (0..count).filter(|at| is(*at)).for_each(|at| bits.insert(at));
        bits
    }

    pub(super) fn insert(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    pub(super) fn remove(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word &= !(1 << (at % 64));
        }
    }

    pub(super) fn contains(&self, at: usize) -> bool {
        self.0
            .get(at / 64)
            .is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    pub(super) fn keep(&mut self, others: &Self) {
        for (word, other) in self.0.iter_mut().zip(&others.0) {
            *word &= other;
        }
    }

    pub(super) fn take_out(&mut self, others: &Self) {
        for (word, other) in self.0.iter_mut().zip(&others.0) {
            *word &= !other;
        }
    }

    pub(super) fn add(&mut self, others: &Self) {
        for (word, other) in self.0.iter_mut().zip(&others.0) {
            *word |= other;
        }
    }

    pub(super) fn in_common(&self, others: &Self) -> u32 {
        let words = self.0.iter().zip(&others.0);
        words.map(|(word, other)| (word & other).count_ones()).sum()
    }

    /// Their places, rising.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.checked_sub(1)?;
                Some(at * 64 + bit)
            })
        })
    }
}
