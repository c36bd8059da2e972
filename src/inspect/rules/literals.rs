//! What every match of a regular expression contains: short grams that are cheap to look for in one pass.
//!
//! `(?i)confidential[- ]project` contains `fide` in some case, `\d{3}-\d{2}-\d{4}` a `-`, two digits and a `-`. A
//! cover is a set of sequences of byte sets, one of which describes any match of a part of the expression; from the
//! covers of all parts, the one that ordinary text contains least often is chosen.

use super::frequency::{FOLD, frequency_of};
use super::grams::GRAM;
use crate::wire::byte_set::ByteSet;
use regex_syntax::hir::{Class, Hir, HirKind};

/// A cover may have this many sequences.
const MAX_SEQUENCES: usize = 32;
/// Sequences are not grown beyond this many bytes.
const MAX_LENGTH: usize = 24;
/// One gram may stand for this many strings.
const MAX_STRINGS: usize = 4096;
/// Characters outside of ASCII that a class may have to be spelled out.
const MAX_SPELLED: usize = 8;
/// A class of more folded bytes than this says nothing.
const MAX_CLASS: usize = 64;

/// One character of a match: an ASCII one of these or, with these first bytes, one outside of ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Element {
    bytes: ByteSet,
    leads: ByteSet,
}

impl Element {
    fn byte(byte: u8) -> Self {
        Self {
            bytes: ByteSet::one(byte | FOLD),
            leads: ByteSet::EMPTY,
        }
    }
}

type Sequence = Vec<Element>;

/// Any match contains one of these grams, or a character that begins with one of `leads`.
#[derive(Debug, Clone, Default)]
pub(super) struct Needed {
    pub(super) grams: Vec<[ByteSet; GRAM]>,
    pub(super) leads: ByteSet,
    /// How often ordinary text has one of the grams, about.
    rarity: f64,
}

/// What every match of `hir` contains, or `None` where nothing useful is known.
pub(super) fn needed(hir: &Hir) -> Option<Needed> {
    let part = walk(hir);
    best(part.needed, part.cover.as_deref().and_then(choose))
}

/// The gram of a plain string that ordinary text has least often, with its place in the string. Strings of fewer
/// than three bytes have none.
pub(super) fn gram_of(string: &[u8]) -> Option<(usize, [ByteSet; GRAM])> {
    let sequence: Sequence = string.iter().map(|&byte| Element::byte(byte)).collect();
    window(&sequence).map(|(at, gram, ..)| (at, gram))
}

/// What is known of a part of an expression.
#[derive(Default)]
struct ExpressionPart {
    /// One of these describes the whole of any match.
    cover: Option<Vec<Sequence>>,
    /// Any match contains one of these.
    needed: Option<Needed>,
}

fn walk(hir: &Hir) -> ExpressionPart {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => ExpressionPart {
            cover: Some(vec![Vec::new()]),
            needed: None,
        },
        HirKind::Literal(literal) => concat(literal.0.iter().map(|&byte| {
            (
                ExpressionPart {
                    cover: Some(vec![vec![Element::byte(byte)]]),
                    needed: None,
                },
                true,
            )
        })),
        HirKind::Class(class) => ExpressionPart {
            cover: class_cover(class),
            needed: None,
        },
        HirKind::Capture(capture) => walk(&capture.sub),
        HirKind::Repetition(repetition) => {
            let inner = || walk(&repetition.sub);
            if repetition.min == 0 {
                let cover = (repetition.max == Some(1)).then(|| inner().cover).flatten();
                return ExpressionPart {
                    cover: cover.map(|mut cover| {
                        cover.push(Vec::new());
                        cover
                    }),
                    needed: None,
                };
            }
            let times = (repetition.min as usize).min(MAX_LENGTH);
            let exact = repetition.max == Some(repetition.min) && times == repetition.min as usize;
            let mut part = concat((0..times).map(|_| (inner(), true)));
            if !exact {
                part.needed = best(part.needed, part.cover.take().as_deref().and_then(choose));
            }
            part
        }
        HirKind::Concat(parts) => concat(parts.iter().flat_map(|hir| {
            // What is repeated without a fixed count is next to what precedes it, and to what follows it.
            match hir.kind() {
                HirKind::Repetition(repetition)
                    if repetition.min > 0 && repetition.max != Some(repetition.min) =>
                {
                    let copies = (repetition.min as usize).min(MAX_LENGTH / 2);
                    let copy = |joins| (walk(&repetition.sub), joins);
                    (0..2 * copies)
                        .map(move |at| copy(at != copies))
                        .collect::<Vec<_>>()
                }
                _ => vec![(walk(hir), true)],
            }
        })),
        HirKind::Alternation(branches) => {
            let parts: Vec<ExpressionPart> = branches.iter().map(walk).collect();
            let cover: Option<Vec<Sequence>> = parts
                .iter()
                .map(|part| part.cover.clone())
                .collect::<Option<Vec<_>>>()
                .map(|covers| covers.concat())
                .filter(|cover| cover.len() <= MAX_SEQUENCES);
            let needed = if cover.is_some() {
                None
            } else {
                parts
                    .into_iter()
                    .map(|part| best(part.needed, part.cover.as_deref().and_then(choose)))
                    .try_fold(Needed::default(), |all, one| Some(join(all, one?)))
            };
            ExpressionPart { cover, needed }
        }
    }
}

/// Parts one after the other; a part that does not join may have anything before it.
fn concat(parts: impl Iterator<Item = (ExpressionPart, bool)>) -> ExpressionPart {
    let empty = || vec![Vec::new()];
    let mut run = empty();
    let mut whole = true;
    let mut needed = None;
    for (part, joins) in parts {
        needed = best(needed, part.needed);
        let longer = part
            .cover
            .as_deref()
            .filter(|_| joins)
            .and_then(|cover| product(&run, cover));
        match longer {
            Some(longer) => run = longer,
            None => {
                needed = best(needed, choose(&run));
                whole = false;
                run = part.cover.unwrap_or_else(empty);
            }
        }
    }
    if whole {
        return ExpressionPart {
            cover: Some(run),
            needed,
        };
    }
    ExpressionPart {
        cover: None,
        needed: best(needed, choose(&run)),
    }
}

fn product(left: &[Sequence], right: &[Sequence]) -> Option<Vec<Sequence>> {
    if left.len() * right.len() > MAX_SEQUENCES {
        return None;
    }
    let all: Vec<Sequence> = left
        .iter()
        .flat_map(|l| right.iter().map(move |r| [l.as_slice(), r.as_slice()].concat()))
        .collect();
    all.iter()
        .all(|sequence| sequence.len() <= MAX_LENGTH)
        .then_some(all)
}

/// The sequences for one character of a class.
fn class_cover(class: &Class) -> Option<Vec<Sequence>> {
    let mut bytes = ByteSet::EMPTY;
    let mut leads = ByteSet::EMPTY;
    let mut spelled = Vec::new();
    match class {
        Class::Bytes(class) => {
            for range in class.iter() {
                (range.start()..=range.end()).for_each(|byte| bytes.insert(byte | FOLD));
            }
        }
        Class::Unicode(class) => {
            let beyond: usize = class
                .iter()
                .map(|range| (range.end() as usize + 1).saturating_sub((range.start() as usize).max(0x80)))
                .sum();
            for range in class.iter() {
                for ascii in (range.start() as u32)..=(range.end() as u32).min(0x7f) {
                    bytes.insert(ascii as u8 | FOLD);
                }
                if beyond <= MAX_SPELLED {
                    for wide in (range.start()..=range.end()).filter(|c| !c.is_ascii()) {
                        let mut buffer = [0; 4];
                        let text = wide.encode_utf8(&mut buffer);
                        spelled.push(text.bytes().map(Element::byte).collect());
                    }
                } else if !range.end().is_ascii() {
                    let first = |c: char| c.encode_utf8(&mut [0; 4]).as_bytes()[0];
                    let start = range.start().max('\u{80}');
                    (first(start)..=first(range.end())).for_each(|lead| leads.insert(lead));
                }
            }
        }
    }
    if bytes.len() > MAX_CLASS {
        return None;
    }
    if !bytes.is_empty() || !leads.is_empty() {
        spelled.push(vec![Element { bytes, leads }]);
    }
    (!spelled.is_empty()).then_some(spelled)
}

/// The grams of a cover: one for each sequence.
fn choose(cover: &[Sequence]) -> Option<Needed> {
    let each = cover.iter().map(|sequence| {
        let (_, gram, leads, rarity) = window(sequence)?;
        Some(Needed {
            grams: vec![gram],
            leads,
            rarity,
        })
    });
    let mut all = Needed::default();
    for one in each {
        all = join(all, one?);
    }
    (!all.grams.is_empty()).then_some(all)
}

fn join(mut all: Needed, one: Needed) -> Needed {
    all.grams.extend(one.grams);
    all.leads.union(&one.leads);
    all.rarity += one.rarity;
    all
}

fn best(a: Option<Needed>, b: Option<Needed>) -> Option<Needed> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.rarity < a.rarity { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// The rarest stretch of a sequence: its place, its bytes, first bytes of what may stand in for them, its rarity.
fn window(sequence: &[Element]) -> Option<(usize, [ByteSet; GRAM], ByteSet, f64)> {
    // A missing fourth byte may be any.
    if sequence.len() + 1 < GRAM {
        return None;
    }
    (0..=sequence.len().saturating_sub(GRAM))
        .filter_map(|at| {
            let mut gram = [ByteSet::FOLDED; GRAM];
            let mut leads = ByteSet::EMPTY;
            for (slot, element) in gram.iter_mut().zip(&sequence[at..]) {
                *slot = element.bytes;
                leads.union(&element.leads);
            }
            let strings: usize = gram.iter().map(|set| set.len()).product();
            let wide = leads.len() as f64 * 1e-4;
            (strings <= MAX_STRINGS).then(|| (at, gram, leads, rarity(&gram) + wide))
        })
        .min_by(|a, b| a.3.total_cmp(&b.3))
}

/// How often ordinary text has a gram, about: letters are not independent, so frequent trigrams count more.
fn rarity(gram: &[ByteSet; GRAM]) -> f64 {
    const FREQUENT: &str = "the and ing ion tio ent ati for her ter hat tha ere ate his con res ver all ons nce men ith \
        ted ers pro thi wit are ess not ive was ect rea com eve per int est sta cti ica ist ear ain one our iti rat \
        ble abl ura ran tra str ort ine nal ort ust use age ess ser dat act tim ame nam tle key val lue typ ype htt ttp";
    let product: f64 = gram.iter().map(frequency_of).product();
    let frequent = FREQUENT
        .split_ascii_whitespace()
        .flat_map(|trigram| gram.windows(3).map(move |sets| (trigram, sets)))
        .filter(|(trigram, sets)| trigram.bytes().zip(*sets).all(|(byte, set)| set.contains(byte)))
        .count();
    product * 30_f64.powi(i32::try_from(frequent).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pattern: &str) -> Vec<String> {
        let hir = regex_syntax::ParserBuilder::new()
            .utf8(false)
            .build()
            .parse(pattern)
            .unwrap();
        let Some(needed) = needed(&hir) else {
            return Vec::new();
        };
        needed
            .grams
            .iter()
            .map(|gram| {
                gram.iter()
                    .map(|set| match set.len() {
                        1 => char::from(set.iter().next().unwrap()),
                        10 => 'N',
                        128 => '*',
                        _ => 'C',
                    })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn the_rarest_stretch_is_chosen() {
        assert_eq!(shown("AKIA[0-9A-Z]{16}"), ["akia"]);
        assert_eq!(shown(r"\b\d{3}-\d{2}-\d{4}\b"), ["-NN-"]);
        assert_eq!(shown("(?-u)[0-9]{3,4}-[0-9]{2}x"), ["-NNx"]);
        assert_eq!(shown("abc"), ["abc*"]);
        assert_eq!(shown("(secret|quiz)+"), ["secr", "quiz"]);
        assert_eq!(shown("x?jazz"), ["jazz", "xjaz"].map(|_| "jazz"));
    }

    #[test]
    fn any_case_is_one_gram_and_unicode_folds_are_spelled_out() {
        assert_eq!(shown("(?i)zzqx"), ["zzqx"]);
        // U+212A folds to k; its bytes with bit 5 set.
        assert_eq!(shown("(?i)kzqx").len(), 2);
    }

    #[test]
    fn what_says_nothing_is_not_looked_for() {
        for pattern in [".*", r"\w+", "a?", "ab", "(abcd)?", "abcd|.", "[^a]{9}", ""] {
            assert_eq!(shown(pattern), Vec::<String>::new(), "{pattern}");
        }
    }

    #[test]
    fn wide_classes_name_their_first_bytes() {
        let hir = regex_syntax::parse(r"\d{3}-\d{2}-\d{4}").unwrap();
        let needed = needed(&hir).unwrap();
        // Arabic-Indic digits begin with D9; a typographic quote, with E2, is no digit.
        assert!(needed.leads.contains(0xd9));
        assert!(!needed.leads.contains(0xe2));
    }
}
