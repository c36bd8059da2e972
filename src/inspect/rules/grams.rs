//! Where does one of many grams occur? One pass, a few cycles a byte however many grams there are.
//!
//! Every four bytes of the content, folded to lower case, are hashed into a table. The lookups do not depend on
//! each other, as the steps of an automaton do, so that the processor does several at a time. What is there by
//! accident is weeded out by an exact table.

use crate::wire::byte_set::ByteSet;

/// The length of a gram in bytes.
pub(super) const GRAM: usize = 4;
const FOLD_8: u64 = 0x2020_2020_2020_2020;
/// Positions that are looked at together, and the bytes that it takes.
const STEP: usize = 8;
const REACH: usize = STEP + GRAM;

/// Grams, each with values of the caller's.
#[derive(Debug)]
pub(super) struct Grams<V> {
    table: Table,
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

/// By the number of grams: it should be sparse, and small enough for the processor's caches. A byte for each hash is
/// looked up with half the instructions of a bit, so that bits are for those alone that would need too many bytes.
#[derive(Debug)]
enum Table {
    Small(Box<ByteTable<4096, 12>>),
    Medium(Box<ByteTable<65_536, 16>>),
    Large(Box<ByteTable<131_072, 17>>),
    Huge(Box<BitTable<32_768, 21>>),
}

/// Says which grams may be one of those that are looked for.
trait Lookup {
    /// In its lowest bit.
    fn test(&self, gram: u32) -> u64;
}

/// `SIZE` is two to the power of `LOG`.
#[derive(Debug)]
struct ByteTable<const SIZE: usize, const LOG: u32>([u8; SIZE]);

impl<const SIZE: usize, const LOG: u32> ByteTable<SIZE, LOG> {
    fn new(grams: impl Iterator<Item = u32>) -> Box<Self> {
        let mut bytes = Box::new(Self([0; SIZE]));
        grams.for_each(|gram| bytes.0[hash::<LOG>(gram)] = 1);
        bytes
    }
}

impl<const SIZE: usize, const LOG: u32> Lookup for ByteTable<SIZE, LOG> {
    #[inline(always)]
    fn test(&self, gram: u32) -> u64 {
        u64::from(self.0[hash::<LOG>(gram)])
    }
}

/// `WORDS` is two to the power of `LOG` by 64.
#[derive(Debug)]
struct BitTable<const WORDS: usize, const LOG: u32>([u64; WORDS]);

impl<const WORDS: usize, const LOG: u32> BitTable<WORDS, LOG> {
    fn new(grams: impl Iterator<Item = u32>) -> Box<Self> {
        let mut bits = Box::new(Self([0; WORDS]));
        for gram in grams {
            let hash = hash::<LOG>(gram);
            bits.0[hash >> 6] |= 1 << (hash & 63);
        }
        bits
    }
}

impl<const WORDS: usize, const LOG: u32> Lookup for BitTable<WORDS, LOG> {
    #[inline(always)]
    fn test(&self, gram: u32) -> u64 {
        let hash = hash::<LOG>(gram);
        self.0[hash >> 6] >> (hash & 63)
    }
}

#[inline(always)]
const fn hash<const LOG: u32>(gram: u32) -> usize {
    (gram.wrapping_mul(0x9e37_79b1) >> (32 - LOG)) as usize
}

/// Calls back with each position whose gram may be one of these, and the gram.
#[inline(always)]
fn scan(table: &impl Lookup, data: &[u8], mut candidate: impl FnMut(usize, u32)) {
    let mut at = 0;
    let mut rest = data;
    while let Some((low, high)) = two_words(rest) {
        step(table, at, STEP, low, high, &mut candidate);
        at += STEP;
        rest = &rest[STEP..];
    }
    // The end, with zeros behind it: the last grams have fewer than four bytes of content.
    let mut last = [0; STEP + REACH];
    last[..rest.len()].copy_from_slice(rest);
    for from in [0, STEP] {
        if let Some((low, high)) = two_words(&last[from..])
            && from < rest.len()
        {
            step(table, at + from, rest.len() - from, low, high, &mut candidate);
        }
    }
}

/// Looks up the grams at the first positions of a step, `most` at most.
#[inline(always)]
fn step(
    table: &impl Lookup,
    at: usize,
    most: usize,
    low: u64,
    high: u64,
    candidate: &mut impl FnMut(usize, u32),
) {
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
    let any = grams.iter().fold(0, |any, &gram| any | table.test(gram));
    if any & 1 == 1 {
        for (offset, &gram) in grams.iter().enumerate().take(most) {
            if table.test(gram) & 1 == 1 {
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
        let table = match groups.len() {
            0..=128 => Table::Small(ByteTable::new(all())),
            129..=3_000 => Table::Medium(ByteTable::new(all())),
            3_001..=6_000 => Table::Large(ByteTable::new(all())),
            _ => Table::Huge(BitTable::new(all())),
        };
        Self { table, slots, values }
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
        match &self.table {
            Table::Small(table) => scan(&**table, data, candidate),
            Table::Medium(table) => scan(&**table, data, candidate),
            Table::Large(table) => scan(&**table, data, candidate),
            Table::Huge(table) => scan(&**table, data, candidate),
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

/// Another hash than the table's, or what collides there would collide here too.
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

    /// Each kind of table finds what is there, where it is, and nothing else.
    #[test]
    fn tables_of_all_sizes_find_the_same() {
        for many in [100, 2_000, 5_000, 12_000] {
            let word = |n: usize| format!("{:04x}", (n * 40_503) & 0xffff);
            let grams = (0..many)
                .map(|n| (gram_of(word(n).as_bytes()).unwrap().1, n))
                .collect();
            let grams = Grams::new(grams);
            for size in 0..40 {
                let data: String = (0..10).map(|n| word(n * 1_999)).collect();
                let data = &data.as_bytes()[..size];
                let mut found = Vec::new();
                grams.scan(data, |at, &n| found.push((at, word(n).into_bytes())));
                let all = data.windows(4).enumerate();
                let there = all.filter(|(_, word)| {
                    let number = u16::from_str_radix(std::str::from_utf8(word).unwrap(), 16).unwrap();
                    (0..many).any(|n| (n * 40_503) & 0xffff == usize::from(number))
                });
                let expected: Vec<(usize, Vec<u8>)> = there.map(|(at, word)| (at, word.to_vec())).collect();
                assert_eq!(found, expected, "{many} grams in {size} bytes");
            }
        }
    }

    proptest! {
        // Each case fills a table.
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
