//! Where does one of many grams occur? One pass, a few cycles a byte however many grams there are.
//!
//! Every four bytes of the content, folded to lower case, are hashed into a bitmap. The lookups do not depend on
//! each other, as the steps of an automaton do, so that the processor does several at a time. Bits that are set by
//! accident are weeded out by an exact table.

use super::literals::ByteSet;

/// The length of a gram in bytes.
pub(super) const GRAM: usize = 4;
/// Set in every folded byte; it makes ASCII letters lower-case.
pub(super) const FOLD: u8 = 0x20;
const FOLD_4: u32 = 0x2020_2020;
const FOLD_8: u64 = 0x2020_2020_2020_2020;
/// Positions that are looked at together, and the bytes that it takes.
const STEP: usize = 8;
const REACH: usize = STEP + GRAM;

/// Grams, each with values of the caller's.
#[derive(Debug)]
pub(super) struct Grams<V> {
    bitmap: Bitmap,
    /// By hash; a power of two, less than half full.
    slots: Vec<Slot>,
    values: Vec<V>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    gram: u32,
    start: u32,
    /// An empty slot ends here too.
    end: u32,
}

/// By the number of grams: it should be sparse, and small enough for the processor's caches.
#[derive(Debug)]
enum Bitmap {
    Small(Box<Bits<64, 12>>),
    Medium(Box<Bits<4096, 18>>),
    Large(Box<Bits<32_768, 21>>),
}

/// `WORDS` is two to the power of `LOG` by 64.
#[derive(Debug)]
struct Bits<const WORDS: usize, const LOG: u32>([u64; WORDS]);

impl<const WORDS: usize, const LOG: u32> Bits<WORDS, LOG> {
    fn new(grams: impl Iterator<Item = u32>) -> Box<Self> {
        let mut bits = Box::new(Self([0; WORDS]));
        for gram in grams {
            let hash = Self::hash(gram);
            bits.0[(hash >> 6) as usize] |= 1 << (hash & 63);
        }
        bits
    }

    const fn hash(gram: u32) -> u32 {
        gram.wrapping_mul(0x9e37_79b1) >> (32 - LOG)
    }

    /// In its lowest bit.
    #[inline(always)]
    fn test(&self, gram: u32) -> u64 {
        let hash = Self::hash(gram);
        self.0[(hash >> 6) as usize] >> (hash & 63)
    }

    /// Calls back with each position whose gram may be one of these, and the gram.
    #[inline(always)]
    fn scan(&self, data: &[u8], mut candidate: impl FnMut(usize, u32)) {
        let mut at = 0;
        let mut rest = data;
        while let Some((low, high)) = two_words(rest) {
            let grams = [
                low as u32,
                (low >> 8) as u32,
                (low >> 16) as u32,
                (low >> 24) as u32,
                high as u32,
                (high >> 8) as u32,
                (high >> 16) as u32,
                (high >> 24) as u32,
            ];
            let any = grams.iter().fold(0, |any, &gram| any | self.test(gram));
            if any & 1 == 1 {
                for (offset, &gram) in grams.iter().enumerate() {
                    if self.test(gram) & 1 == 1 {
                        candidate(at + offset, gram);
                    }
                }
            }
            at += STEP;
            rest = &rest[STEP..];
        }
        // The end, with zeros behind it: the last grams have fewer than four bytes of content.
        for (offset, _) in rest.iter().enumerate() {
            let mut bytes = [0; GRAM];
            bytes
                .iter_mut()
                .zip(&rest[offset..])
                .for_each(|(to, from)| *to = *from);
            let gram = u32::from_le_bytes(bytes) | FOLD_4;
            if self.test(gram) & 1 == 1 {
                candidate(at + offset, gram);
            }
        }
    }
}

/// The folded bytes of a step's positions: from the first one on, and from the fifth one on.
#[inline(always)]
fn two_words(rest: &[u8]) -> Option<(u64, u64)> {
    let chunk = rest.first_chunk::<REACH>()?;
    let low = chunk.first_chunk::<8>()?;
    let high = chunk.last_chunk::<8>()?;
    Some((
        u64::from_le_bytes(*low) | FOLD_8,
        u64::from_le_bytes(*high) | FOLD_8,
    ))
}

impl<V> Grams<V> {
    /// Every string of each gram leads to its value.
    pub(super) fn new(grams: Vec<([ByteSet; GRAM], V)>) -> Self
    where
        V: Clone,
    {
        let mut strings: Vec<(u32, usize)> = Vec::new();
        for (value, (gram, _)) in grams.iter().enumerate() {
            let mut all = vec![0_u32];
            for (place, set) in gram.iter().enumerate() {
                all = all
                    .iter()
                    .flat_map(|&before| {
                        set.iter()
                            .map(move |byte| before | u32::from(byte) << (8 * place))
                    })
                    .collect();
            }
            strings.extend(all.into_iter().map(|string| (string, value)));
        }
        strings.sort_unstable();
        let values = strings.iter().map(|&(_, value)| grams[value].1.clone()).collect();
        let groups: Vec<Slot> = groups(&strings);
        let mut slots = vec![Slot::default(); (groups.len() * 2 + 1).next_power_of_two()];
        for group in &groups {
            let mut at = home(group.gram, slots.len());
            while slots[at].end != 0 {
                at = (at + 1) & (slots.len() - 1);
            }
            slots[at] = *group;
        }
        let all = || groups.iter().map(|slot| slot.gram);
        let bitmap = match groups.len() {
            0..=128 => Bitmap::Small(Bits::new(all())),
            129..=6_000 => Bitmap::Medium(Bits::new(all())),
            _ => Bitmap::Large(Bits::new(all())),
        };
        Self {
            bitmap,
            slots,
            values,
        }
    }

    /// Whether there is nothing to find.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Calls back with each position of a gram, and its value.
    pub(super) fn scan(&self, data: &[u8], mut found: impl FnMut(usize, &V)) {
        if self.is_empty() {
            return;
        }
        let candidate = |at: usize, gram: u32| self.values_of(gram).iter().for_each(|value| found(at, value));
        match &self.bitmap {
            Bitmap::Small(bits) => bits.scan(data, candidate),
            Bitmap::Medium(bits) => bits.scan(data, candidate),
            Bitmap::Large(bits) => bits.scan(data, candidate),
        }
    }

    fn values_of(&self, gram: u32) -> &[V] {
        let mut at = home(gram, self.slots.len());
        loop {
            let slot = &self.slots[at];
            if slot.end == 0 {
                return &[];
            }
            if slot.gram == gram {
                return &self.values[slot.start as usize..slot.end as usize];
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }
}

/// Another hash than the bitmap's, or what collides there would collide here too.
const fn home(gram: u32, slots: usize) -> usize {
    (gram ^ (gram >> 15)).wrapping_mul(0x2c1b_3c6d) as usize >> 7 & (slots - 1)
}

fn groups(strings: &[(u32, usize)]) -> Vec<Slot> {
    let mut groups: Vec<Slot> = Vec::new();
    for (at, &(gram, _)) in (0_u32..).zip(strings) {
        match groups.last_mut() {
            Some(last) if last.gram == gram => last.end = at + 1,
            _ => groups.push(Slot {
                gram,
                start: at,
                end: at + 1,
            }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::super::literals::gram_of;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // Each case fills a bitmap.
        #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

        #[test]
        fn every_place_is_found_and_no_other(
            words in prop::collection::vec("[ab]{3,5}", 1..300),
            data in "[abc]{0,60}",
        ) {
            let grams = words
                .iter()
                .enumerate()
                .map(|(id, word)| (gram_of(word.as_bytes()).unwrap().1, id))
                .collect();
            let grams = Grams::new(grams);
            let mut found = Vec::new();
            grams.scan(data.as_bytes(), |at, &id| found.push((at, id)));
            found.sort_unstable();
            let mut expected = Vec::new();
            for at in 0..data.len() {
                for (id, word) in words.iter().enumerate() {
                    let (start, gram) = gram_of(word.as_bytes()).unwrap();
                    let length = gram.iter().filter(|set| set.len() == 1).count();
                    if data.as_bytes()[at..].starts_with(&word.as_bytes()[start..start + length]) {
                        expected.push((at, id));
                    }
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
