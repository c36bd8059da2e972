//! One pass over the content for the patterns of all rules: which keywords occur, and which expressions may.

use super::grams::{GRAM, Grams};
use super::literals::{gram_of, needed};
use super::sets::Set;
use crate::wire::byte_set::ByteSet;
use aho_corasick::AhoCorasick;
use regex::bytes::Regex;
use regex_syntax::hir::Hir;
use std::cell::OnceCell;
use std::ops::Range;

/// Words of [`Hits`] that are not allocated.
const INLINE: usize = 4;

/// Whether a keyword occurs, or an expression may match: one bit for each.
#[derive(Debug)]
pub(super) struct Hits {
    few: [u64; INLINE],
    /// What does not fit there.
    more: Vec<u64>,
    /// Which expressions of the set match, once somebody asked; nothing inside where that is not known.
    of_set: OnceCell<Option<Vec<bool>>>,
}

impl Hits {
    fn none(bits: u32) -> Self {
        let words = bits as usize / 64 + 1;
        Self {
            few: [0; INLINE],
            more: vec![0; words.saturating_sub(INLINE)],
            of_set: OnceCell::new(),
        }
    }

    fn word(&self, at: usize) -> u64 {
        match self.few.get(at) {
            Some(word) => *word,
            None => self.more[at - INLINE],
        }
    }

    fn set(&mut self, bit: u32) {
        let at = bit as usize / 64;
        let word = match self.few.get_mut(at) {
            Some(word) => word,
            None => &mut self.more[at - INLINE],
        };
        *word |= 1 << (bit % 64);
    }

    pub(super) fn has(&self, bit: u32) -> bool {
        self.word(bit as usize / 64) >> (bit % 64) & 1 == 1
    }

    /// Whether one of these is there.
    pub(super) fn has_any(&self, bits: &Range<u32>) -> bool {
        if bits.is_empty() {
            return false;
        }
        let (first, last) = (bits.start as usize / 64, (bits.end - 1) as usize / 64);
        (first..=last).any(|at| {
            let mut word = self.word(at);
            if at == first {
                word &= u64::MAX << (bits.start % 64);
            }
            if at == last {
                word &= u64::MAX >> (63 - (bits.end - 1) % 64);
            }
            word != 0
        })
    }
}

#[derive(Debug, Clone)]
enum Leads {
    /// A keyword, which is there if its bytes are.
    Word(u32),
    /// An expression that has to be run.
    Maybe(u32),
}

#[derive(Debug)]
struct Keyword {
    bytes: Box<[u8]>,
    fold: bool,
    /// Where in it its gram is.
    gram_at: usize,
    bit: u32,
}

/// Collects patterns before they are compiled.
#[derive(Debug, Default)]
pub(super) struct Builder {
    bits: u32,
    words: Vec<Keyword>,
    grams: Vec<([ByteSet; GRAM], Leads)>,
    short: [Vec<(Vec<u8>, u32)>; 2],
    wide: Vec<(ByteSet, u32)>,
    always: Vec<(Hir, u32)>,
}

impl Builder {
    /// A bit for a condition.
    pub(super) fn bit(&mut self) -> u32 {
        self.bits += 1;
        self.bits - 1
    }

    /// Sets the bit when this string occurs; `fold` ignores ASCII case.
    pub(super) fn word(&mut self, word: &[u8], fold: bool, bit: u32) {
        let Some((gram_at, gram)) = gram_of(word) else {
            self.short[usize::from(fold)].push((word.to_vec(), bit));
            return;
        };
        let id = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
        self.grams.push((gram, Leads::Word(id)));
        self.words.push(Keyword {
            bytes: word.into(),
            fold,
            gram_at,
            bit,
        });
    }

    /// Sets the bit when this expression may match.
    pub(super) fn expression(&mut self, hir: Hir, bit: u32) {
        match needed(&hir) {
            Some(needed) => {
                let leads = needed.grams.into_iter().map(|gram| (gram, Leads::Maybe(bit)));
                self.grams.extend(leads);
                if !needed.leads.is_empty() {
                    self.wide.push((needed.leads, bit));
                }
            }
            None => self.always.push((hir, bit)),
        }
    }

    /// Compiles.
    ///
    /// # Errors
    /// When the short keywords do not fit into an automaton.
    pub(super) fn build(self) -> Result<Screen, String> {
        let mut short = Vec::new();
        for (fold, words) in [false, true].into_iter().zip(self.short) {
            if !words.is_empty() {
                let finder = AhoCorasick::builder()
                    .ascii_case_insensitive(fold)
                    .build(words.iter().map(|(word, _)| word))
                    .map_err(|error| error.to_string())?;
                short.push((finder, words.into_iter().map(|(_, bit)| bit).collect()));
            }
        }
        let (hirs, always): (Vec<Hir>, Vec<u32>) = self.always.into_iter().unzip();
        let set = Set::new(&hirs).map(|(set, count)| (set, always[..count].to_vec()));
        Ok(Screen {
            bits: self.bits,
            words: self.words,
            grams: Grams::new(self.grams),
            short,
            wide: self.wide,
            always,
            set,
        })
    }
}

/// All patterns of all rules.
#[derive(Debug)]
pub(super) struct Screen {
    bits: u32,
    words: Vec<Keyword>,
    grams: Grams<Leads>,
    /// Keywords of one or two bytes, which have no gram.
    short: Vec<(AhoCorasick, Vec<u32>)>,
    /// Expressions that may also match by a character that begins with one of these.
    wide: Vec<(ByteSet, u32)>,
    /// Expressions about which nothing is known.
    always: Vec<u32>,
    /// Those of them that are run together, with their bits in rising order.
    set: Option<(Set, Vec<u32>)>,
}

impl Screen {
    /// No hits, and those that cannot be ruled out.
    pub(super) fn hits(&self) -> Hits {
        let mut hits = Hits::none(self.bits);
        self.always.iter().for_each(|&bit| hits.set(bit));
        hits
    }

    /// Whether an expression matches in one of `parts`, whose hits these are.
    pub(super) fn matches(&self, regex: &Regex, bit: u32, parts: &[&[u8]], hits: &Hits) -> bool {
        if !hits.has(bit) {
            return false;
        }
        if let Some((set, bits)) = &self.set
            && let Ok(at) = bits.binary_search(&bit)
            && let Some(matches) = hits.of_set.get_or_init(|| set.matches(parts))
        {
            return matches[at];
        }
        parts.iter().any(|part| regex.is_match(part))
    }

    /// Adds what occurs in `data`.
    pub(super) fn scan(&self, data: &[u8], hits: &mut Hits) {
        self.grams.scan(data, |at, leads| match *leads {
            Leads::Maybe(bit) => hits.set(bit),
            Leads::Word(id) => {
                let word = &self.words[id as usize];
                if !hits.has(word.bit) && word.is_at(data, at) {
                    hits.set(word.bit);
                }
            }
        });
        for (finder, bits) in &self.short {
            for hit in finder.find_overlapping_iter(data) {
                hits.set(bits[hit.pattern().as_usize()]);
            }
        }
        if !self.wide.is_empty() && !data.is_ascii() {
            let mut there = ByteSet::EMPTY;
            data.iter()
                .filter(|byte| !byte.is_ascii())
                .for_each(|&byte| there.insert(byte));
            for (leads, bit) in &self.wide {
                if leads.meets(&there) {
                    hits.set(*bit);
                }
            }
        }
    }
}

impl Keyword {
    /// Whether it is where its gram was found.
    fn is_at(&self, data: &[u8], gram: usize) -> bool {
        let Some(start) = gram.checked_sub(self.gram_at) else {
            return false;
        };
        data.get(start..start + self.bytes.len()).is_some_and(|found| {
            if self.fold {
                found.eq_ignore_ascii_case(&self.bytes)
            } else {
                *found == *self.bytes
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_are_there_or_not(set in prop::collection::vec(0..600_u32, 0..8), start in 0..600_u32, size in 0..300_u32) {
            let mut hits = Hits::none(600);
            set.iter().for_each(|&bit| hits.set(bit));
            let range = start..(start + size).min(600);
            for bit in 0..600 {
                prop_assert_eq!(hits.has(bit), set.contains(&bit));
            }
            prop_assert_eq!(hits.has_any(&range), set.iter().any(|bit| range.contains(bit)));
        }
    }
}
