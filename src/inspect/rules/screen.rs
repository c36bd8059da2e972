//! One pass over the content for the patterns of all rules: which keywords occur, and which expressions may.

use super::grams::{GRAM, Grams};
use super::literals::{ByteSet, gram_of, needed};
use aho_corasick::AhoCorasick;

/// Whether a keyword occurs, or an expression may match: one bit for each.
#[derive(Debug)]
pub(super) struct Hits(Vec<u64>);

impl Hits {
    fn set(&mut self, bit: u32) {
        self.0[bit as usize / 64] |= 1 << (bit % 64);
    }

    pub(super) fn has(&self, bit: u32) -> bool {
        self.0[bit as usize / 64] >> (bit % 64) & 1 == 1
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
struct Word {
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
    words: Vec<Word>,
    grams: Vec<([ByteSet; GRAM], Leads)>,
    short: [Vec<(Vec<u8>, u32)>; 2],
    wide: Vec<(ByteSet, u32)>,
    always: Vec<u32>,
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
        self.words.push(Word {
            bytes: word.into(),
            fold,
            gram_at,
            bit,
        });
    }

    /// Sets the bit when this expression may match.
    pub(super) fn expression(&mut self, hir: &regex_syntax::hir::Hir, bit: u32) {
        match needed(hir) {
            Some(needed) => {
                let leads = needed.grams.into_iter().map(|gram| (gram, Leads::Maybe(bit)));
                self.grams.extend(leads);
                if !needed.leads.is_empty() {
                    self.wide.push((needed.leads, bit));
                }
            }
            None => self.always.push(bit),
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
        Ok(Screen {
            bits: self.bits,
            words: self.words,
            grams: Grams::new(self.grams),
            short,
            wide: self.wide,
            always: self.always,
        })
    }
}

/// All patterns of all rules.
#[derive(Debug)]
pub(super) struct Screen {
    bits: u32,
    words: Vec<Word>,
    grams: Grams<Leads>,
    /// Keywords of one or two bytes, which have no gram.
    short: Vec<(AhoCorasick, Vec<u32>)>,
    /// Expressions that may also match by a character that begins with one of these.
    wide: Vec<(ByteSet, u32)>,
    /// Expressions about which nothing is known.
    always: Vec<u32>,
}

impl Screen {
    /// No hits, and those that cannot be ruled out.
    pub(super) fn hits(&self) -> Hits {
        let mut hits = Hits(vec![0; self.bits as usize / 64 + 1]);
        self.always.iter().for_each(|&bit| hits.set(bit));
        hits
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
            let mut there = ByteSet::default();
            data.iter()
                .filter(|byte| !byte.is_ascii())
                .for_each(|&byte| there.add(byte));
            for (leads, bit) in &self.wide {
                if leads.meets(&there) {
                    hits.set(*bit);
                }
            }
        }
    }
}

impl Word {
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
