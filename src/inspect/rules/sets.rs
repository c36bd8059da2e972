//! Expressions about which nothing is known beforehand, all of them in one pass over the content.
//!
//! One automaton for all is built as it is walked, and forgets what it built where that would become too much. It says
//! exactly which expressions match, or that it does not know: where content beyond ASCII meets a Unicode word boundary,
//! and where it would have to forget too often. Each expression is run by itself then, as without it.

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{NFA, WhichCaptures};
use regex_automata::util::pool::Pool;
use regex_automata::{Input, MatchKind, PatternSet};
use regex_syntax::hir::Hir;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// Fewer are better run one by one: each has its own ways to skip content.
const FEWEST: usize = 8;
/// The most that the automaton may take before it is walked, in bytes. Expressions beyond that are run one by one.
const NFA_SIZE: usize = 8 << 20;
/// The most that a thread keeps of what it built, in bytes. An automaton of which hardly a few states fit in is too large
/// as well.
const CACHE_SIZE: usize = 2 << 20;
/// Times that a walk may forget all before it looks at how much content that was good for.
const FORGETS: usize = 3;
/// Content that each state has to be good for then, in bytes.
const BYTES_PER_STATE: usize = 10;

type Create = Box<dyn Fn() -> Cache + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// One automaton for many expressions.
pub(super) struct Set {
    dfa: DFA,
    caches: Pool<Cache, Create>,
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Set({} expressions)", self.dfa.pattern_len())
    }
}

impl Set {
    /// As many of `expressions` as fit, from the first on, and how many those are; `None` where that is not worth it.
    pub(super) fn new(expressions: &[Hir]) -> Option<(Self, usize)> {
        let mut count = expressions.len();
        while count >= FEWEST {
            if let Some(set) = Self::of(&expressions[..count]) {
                return Some((set, count));
            }
            count /= 2;
        }
        None
    }

    fn of(expressions: &[Hir]) -> Option<Self> {
        let nfa = NFA::compiler()
            .configure(
                NFA::config()
                    .utf8(false)
                    .which_captures(WhichCaptures::None)
                    .nfa_size_limit(Some(NFA_SIZE)),
            )
            .build_many_from_hir(expressions)
            .ok()?;
        let dfa = DFA::builder()
            .configure(
                DFA::config()
                    .match_kind(MatchKind::All)
                    .unicode_word_boundary(true)
                    .cache_capacity(CACHE_SIZE)
                    .minimum_cache_clear_count(Some(FORGETS))
                    .minimum_bytes_per_state(Some(BYTES_PER_STATE)),
            )
            .build_from_nfa(nfa)
            .ok()?;
        let create: Create = {
            let dfa = dfa.clone();
            Box::new(move || dfa.create_cache())
        };
        Some(Self {
            dfa,
            caches: Pool::new(create),
        })
    }

    /// Which of the expressions match in one of `parts`, in their order; `None` where that is not known.
    pub(super) fn matches(&self, parts: &[&[u8]]) -> Option<Vec<bool>> {
        let mut found = PatternSet::new(self.dfa.pattern_len());
        let mut cache = self.caches.get();
        for part in parts {
            self.dfa
                .try_which_overlapping_matches(&mut cache, &Input::new(*part), &mut found)
                .ok()?;
        }
        let mut matches = vec![false; self.dfa.pattern_len()];
        found.iter().for_each(|id| matches[id.as_usize()] = true);
        Some(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::bytes::RegexBuilder;

    fn parse(text: &str, fold: bool) -> Hir {
        regex_syntax::ParserBuilder::new()
            .utf8(false)
            .case_insensitive(fold)
            .build()
            .parse(text)
            .unwrap()
    }

    fn expression() -> impl Strategy<Value = (String, bool)> {
        let atom = prop::sample::select(vec![
            "a",
            "b",
            "[ab]",
            r"\w",
            r"\W",
            r"\d",
            ".",
            "(?s:.)",
            r"\b",
            "^",
            "$",
            r"(?-u:\b)",
            "(?m:^)",
            "é",
            "k",
            r"\s",
            r"(?-u:\xff)",
            "(?-u:.)",
        ]);
        let repeat = prop::sample::select(vec!["", "", "?", "+", "*", "{2}"]);
        (prop::collection::vec((atom, repeat), 1..5), any::<bool>()).prop_map(|(parts, fold)| {
            let text = parts.iter().map(|(atom, repeat)| format!("(?:{atom}){repeat}"));
            (text.collect::<Vec<_>>().concat(), fold)
        })
    }

    proptest! {
        #[test]
        fn it_says_the_same_as_each_by_itself(
            expressions in prop::collection::vec(expression(), FEWEST..24),
            parts in prop::collection::vec(prop_oneof![
                "[abkK1 \n]{0,30}".prop_map(String::into_bytes),
                "[abé\u{212a} ]{0,20}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..20),
            ], 0..4),
        ) {
            let hirs: Vec<Hir> = expressions.iter().map(|(text, fold)| parse(text, *fold)).collect();
            let (set, count) = Set::new(&hirs).unwrap();
            prop_assert_eq!(count, hirs.len());
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            // Twice: the second walk goes over what the first one built.
            for _ in 0..2 {
                let Some(found) = set.matches(&parts) else {
                    prop_assert!(parts.iter().any(|part| !part.is_ascii()), "ASCII is always known");
                    continue;
                };
                for ((text, fold), found) in expressions.iter().zip(found) {
                    let regex = RegexBuilder::new(text).case_insensitive(*fold).build().unwrap();
                    prop_assert_eq!(parts.iter().any(|part| regex.is_match(part)), found, "{}", text);
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let small = vec![parse("[0-9]+", false); FEWEST];
        assert_eq!(Set::new(&small).unwrap().1, FEWEST);
        assert!(Set::new(&small[1..]).is_none());
        let large = vec![parse("[0-9]{3000}", false); 64];
        let (_, count) = Set::new(&large).unwrap_or_else(|| panic!("some fit"));
        assert!((FEWEST..64).contains(&count), "{count}");
    }

    #[test]
    fn what_would_cost_too_much_is_not_known() {
        // Each byte leads to a state of its own.
        let greedy: Vec<Hir> = (0..FEWEST)
            .map(|at| parse(&format!("(?-u)[ab]*a[ab]{{{}}}c", 40 + at), false))
            .collect();
        let (set, _) = Set::new(&greedy).unwrap();
        let mut state = 1_u32;
        let noise: Vec<u8> = (0..1 << 20)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if state >> 31 == 1 { b'a' } else { b'b' }
            })
            .collect();
        assert_eq!(set.matches(&[&noise]), None);
    }
}
