//! Which of many expressions could match a subject, by short strings that have to occur in it.
//!
//! Each expression is filed under a few windows, the rarest that can be had: strings of up to seven bytes, one of
//! which is in every subject that it matches. A subject has few windows, and only what is filed under one of them
//! is run.

use super::ere::Node;
use super::program::{Assembler, Programs, Scratch};
use super::required::required;

/// The bytes of the longest window: with its length it fits a `u64`.
const WINDOW: usize = 7;
/// When more expressions than this share a window, it tells them apart too badly.
const MAX_SHARED: usize = 128;
/// Counters of the frequency of windows.
const COUNTERS_BITS: u32 = 20;
/// 2^64 divided by the golden ratio: spreads keys over the upper bits (Knuth, TAOCP 6.4).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A window's length and bytes.
fn key(window: &[u8]) -> u64 {
    let length = window.len() as u64;
    window
        .iter()
        .fold(length, |key, &byte| key << 8 | u64::from(byte))
}

fn slot(key: u64, bits: u32) -> usize {
    // Folded first: short windows differ in their lowest bits only, and long ones in all.
    ((key ^ key >> 29).wrapping_mul(SPREAD) >> (64 - bits)) as usize
}

/// The windows of a string: one, if the string is short.
fn windows(string: &[u8]) -> impl Iterator<Item = u64> {
    string.windows(string.len().clamp(1, WINDOW)).map(key)
}

/// Expressions and the windows they are filed under.
#[derive(Debug, Default)]
pub(super) struct Index {
    programs: Programs,
    /// The id of each program, rising.
    ids: Vec<u32>,
    /// Where the entries of each slot begin, and where the last ones end.
    slots: Vec<u32>,
    bits: u32,
    /// Windows and the programs under them, by slot.
    keys: Vec<u64>,
    numbers: Vec<u32>,
    /// For each length of a window whether there is one.
    lengths: [bool; WINDOW + 1],
}

/// Collects expressions and the strings that they need.
#[derive(Debug, Default)]
pub(super) struct Filing {
    assembler: Assembler,
    ids: Vec<u32>,
    /// All required strings one after another.
    text: Vec<u8>,
    /// Strings, in the order of their programs and conditions.
    strings: Vec<Required>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Required {
    program: u32,
    condition: u16,
    start: u32,
    length: u16,
}

impl Filing {
    /// Files an expression; ids have to rise. False if it cannot be filed and has to be run each time.
    pub(super) fn add(&mut self, id: u32, node: &Node) -> bool {
        let conditions = required(node);
        if conditions.is_empty() {
            return false;
        }
        let Some(program) = self.assembler.add(node) else {
            return false;
        };
        self.ids.push(id);
        if conditions.iter().any(Vec::is_empty) {
            // Nothing can match it: it is under no window.
            return true;
        }
        for (condition, strings) in (0..).zip(conditions) {
            for string in strings {
                self.strings.push(Required {
                    program,
                    condition,
                    start: u32::try_from(self.text.len()).unwrap_or(u32::MAX),
                    length: u16::try_from(string.len()).unwrap_or(u16::MAX),
                });
                self.text.extend(string);
            }
        }
        true
    }

    /// The index, and the ids of the expressions whose windows are all too common.
    pub(super) fn finish(self) -> (Index, Vec<u32>) {
        let text = |string: &Required| {
            let start = string.start as usize;
            self.text
                .get(start..start + usize::from(string.length))
                .unwrap_or_default()
        };
        // Counters that windows may share: a count too high only makes a choice less good.
        let mut counters = vec![0_u32; 1 << COUNTERS_BITS];
        for string in &self.strings {
            windows(text(string)).for_each(|key| counters[slot(key, COUNTERS_BITS)] += 1);
        }
        let rarest = |string: &Required| {
            windows(text(string))
                .map(|key| (counters[slot(key, COUNTERS_BITS)], key))
                .min()
                .unwrap_or((u32::MAX, 0))
        };
        let mut entries: Vec<(u64, u32)> = Vec::new();
        for strings in self.strings.chunk_by(|a, b| a.program == b.program) {
            // The whole cost of a condition is what is run along with it under all its windows.
            let best = strings
                .chunk_by(|a, b| a.condition == b.condition)
                .map(|one_of| {
                    let chosen: Vec<(u32, u64)> = one_of.iter().map(rarest).collect();
                    let sum = chosen
                        .iter()
                        .fold(0_u32, |sum, (count, _)| sum.saturating_add(*count));
                    (sum, chosen)
                })
                .min_by_key(|(sum, _)| *sum);
            if let (Some((_, chosen)), Some(string)) = (best, strings.first()) {
                entries.extend(chosen.into_iter().map(|(_, key)| (key, string.program)));
            }
        }
        // Exact where it decides what has to be compiled.
        entries.sort_unstable();
        entries.dedup();
        let mut common: Vec<u32> = entries
            .chunk_by(|a, b| a.0 == b.0)
            .filter(|sharing| sharing.len() > MAX_SHARED)
            .flatten()
            .map(|&(_, program)| program)
            .collect();
        common.sort_unstable();
        common.dedup();
        entries.retain(|(_, program)| common.binary_search(program).is_err());
        let common = common
            .into_iter()
            .filter_map(|program| self.ids.get(program as usize).copied())
            .collect();
        let index = Index::new(self.assembler.finish(), self.ids, entries);
        (index, common)
    }
}

impl Index {
    fn new(programs: Programs, mut ids: Vec<u32>, mut entries: Vec<(u64, u32)>) -> Self {
        ids.shrink_to_fit();
        let bits = (entries.len().max(8) * 2).next_power_of_two().trailing_zeros();
        entries.sort_unstable_by_key(|&(key, program)| (slot(key, bits), key, program));
        let mut lengths = [false; WINDOW + 1];
        let mut slots = vec![0_u32; (1 << bits) + 1];
        for &(key, _) in &entries {
            slots[slot(key, bits) + 1] += 1;
            let length = (64 - key.leading_zeros()).saturating_sub(1) / 8;
            lengths[length as usize] = true;
        }
        let mut end = 0;
        for slot in &mut slots {
            end += *slot;
            *slot = end;
        }
        Self {
            programs,
            ids,
            slots,
            bits,
            keys: entries.iter().map(|&(key, _)| key).collect(),
            numbers: entries.iter().map(|&(_, program)| program).collect(),
            lengths,
        }
    }

    /// The numbers of the programs that could match, rising.
    fn candidates(&self, subject: &[u8]) -> Vec<u32> {
        let mut found = Vec::new();
        if self.keys.is_empty() {
            return found;
        }
        for (length, _) in self.lengths.iter().enumerate().filter(|&(_, &used)| used) {
            for window in subject.windows(length.max(1)) {
                let key = key(window);
                let slot = slot(key, self.bits);
                for at in self.slots[slot] as usize..self.slots[slot + 1] as usize {
                    if self.keys[at] == key {
                        found.push(self.numbers[at]);
                    }
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The lowest id below `known` of the expressions that match `subject`, which has no upper-case letters.
    pub(super) fn first(&self, subject: &[u8], known: Option<u32>) -> Option<u32> {
        let mut scratch = Scratch::default();
        self.candidates(subject)
            .into_iter()
            .filter_map(|number| Some((number, *self.ids.get(number as usize)?)))
            .take_while(|&(_, id)| known.is_none_or(|known| id < known))
            .find(|&(number, _)| self.programs.is_match(number, subject, &mut scratch))
            .map(|(_, id)| id)
    }

    /// How many expressions are run for a subject that none of them matches.
    #[cfg(test)]
    pub(super) fn runs(&self, subject: &[u8]) -> usize {
        self.candidates(subject).len()
    }
}
