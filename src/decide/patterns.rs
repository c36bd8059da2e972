//! Many patterns, one subject: which is the first that matches?

use super::ere::{self, Node};
use super::index::{Filing, Index};
use super::shape::{Before, Labels, shapes};
use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::{RegexBuilder, RegexSet, RegexSetBuilder};
use std::collections::HashMap;

/// The most that one compiled expression or set may take, in bytes.
pub(super) const SIZE_LIMIT: usize = 64 << 20;
/// Expressions of one set: larger sets are faster until their automaton outgrows its cache.
const SET_PATTERNS: usize = 500;
/// The sum of [`Node::cost`] in one set.
const SET_COST: u64 = 40_000;
/// What the lazily built automaton of one set may cache, in bytes and for each thread.
const SET_CACHE: usize = 2 << 20;

/// Patterns by the order in which they were added, indexed by their shape.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    /// Patterns that only one subject matches, by that subject.
    exact: HashMap<Box<[u8]>, u32>,
    /// Ends of subjects that begin at a label, and what may stand before them.
    tails: HashMap<Box<[u8]>, Vec<(Labels, u32)>>,
    /// Everything else that is a plain string.
    literals: Option<Literals>,
    /// Expressions that need a string which few others need.
    index: Index,
    /// Everything else.
    sets: Vec<RegexBatch>,
}

#[derive(Debug)]
struct Literals {
    finder: AhoCorasick,
    entries: Vec<Literal>,
}

#[derive(Debug)]
struct Literal {
    before: Before,
    at_end: bool,
    id: u32,
}

#[derive(Debug)]
struct RegexBatch {
    regexes: RegexSet,
    /// The patterns' ids, rising.
    ids: Vec<u32>,
}

/// Collects patterns before they are compiled.
#[derive(Debug, Default)]
pub(super) struct PatternsBuilder {
    patterns: Patterns,
    strings: Vec<Vec<u8>>,
    entries: Vec<Literal>,
    filing: Filing,
    /// What has to be run each time.
    expressions: Vec<(u32, Node)>,
}

impl PatternsBuilder {
    /// Adds a pattern; ids have to rise.
    pub(super) fn add(&mut self, id: u32, node: Node) {
        let Some(shapes) = shapes(&node) else {
            if !self.filing.add(id, &node) {
                self.expressions.push((id, node));
            }
            return;
        };
        for shape in shapes {
            for string in shape.strings {
                match shape.before {
                    Before::Nothing if shape.at_end => {
                        self.patterns.exact.entry(string.into()).or_insert(id);
                    }
                    Before::Labels(labels) if shape.at_end => {
                        let entries = self.patterns.tails.entry(string.into()).or_default();
                        // Only the first of equal patterns can ever be the answer.
                        if !entries.iter().any(|(known, _)| *known == labels) {
                            entries.push((labels, id));
                        }
                    }
                    before => {
                        self.strings.push(string);
                        self.entries.push(Literal {
                            before,
                            at_end: shape.at_end,
                            id,
                        });
                    }
                }
            }
        }
    }

    /// Adds a pattern to be run as an expression whatever its shape.
    #[cfg(test)]
    pub(super) fn add_expression(&mut self, id: u32, node: Node) {
        self.expressions.push((id, node));
    }

    /// Adds a pattern to the index whatever its shape; false if it cannot be filed there.
    #[cfg(test)]
    pub(super) fn add_filed(&mut self, id: u32, node: &Node) -> bool {
        self.filing.add(id, node)
    }

    /// Compiles. `node` gives a pattern again: those that the index has taken are not kept, which would take many
    /// times the memory of the index.
    ///
    /// # Errors
    /// The ids of patterns that are too large, with the reason.
    pub(super) fn build(
        mut self,
        node: impl Fn(u32) -> Option<Node>,
    ) -> Result<Patterns, Vec<(u32, String)>> {
        let mut errors = Vec::new();
        let (index, common) = self.filing.finish();
        self.patterns.index = index;
        if !common.is_empty() {
            let common = common.into_iter().filter_map(|id| Some((id, node(id)?)));
            self.expressions.extend(common);
            self.expressions.sort_by_key(|(id, _)| *id);
        }
        if !self.strings.is_empty() {
            match AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .build(&self.strings)
            {
                Ok(finder) => {
                    self.patterns.literals = Some(Literals {
                        finder,
                        entries: self.entries,
                    })
                }
                Err(error) => errors.push((self.entries[0].id, error.to_string())),
            }
        }
        for chunk in chunks(&self.expressions) {
            let texts = chunk.iter().map(|(_, node)| ere::emit(node));
            match RegexSetBuilder::new(texts)
                .size_limit(SIZE_LIMIT)
                .dfa_size_limit(SET_CACHE)
                .build()
            {
                Ok(regexes) => {
                    let ids = chunk.iter().map(|(id, _)| *id).collect();
                    self.patterns.sets.push(RegexBatch { regexes, ids });
                }
                Err(error) => errors.extend(blame(chunk, &error)),
            }
        }
        if errors.is_empty() {
            Ok(self.patterns)
        } else {
            Err(errors)
        }
    }
}

/// Cuts the expressions where a set would grow too large.
fn chunks(expressions: &[(u32, Node)]) -> Vec<&[(u32, Node)]> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut cost = 0;
    for (i, (_, node)) in expressions.iter().enumerate() {
        let more = node.cost();
        if i > start && (i - start == SET_PATTERNS || cost + more > SET_COST) {
            chunks.push(&expressions[start..i]);
            start = i;
            cost = 0;
        }
        cost += more;
    }
    if start < expressions.len() {
        chunks.push(&expressions[start..]);
    }
    chunks
}

/// Which patterns of a set that did not compile are at fault.
fn blame(chunk: &[(u32, Node)], error: &regex::Error) -> Vec<(u32, String)> {
    let alone: Vec<(u32, String)> = chunk
        .iter()
        .filter_map(|(id, node)| {
            let error = RegexBuilder::new(&ere::emit(node))
                .size_limit(SIZE_LIMIT)
                .build()
                .err()?;
            Some((*id, error.to_string()))
        })
        .collect();
    match (alone.is_empty(), chunk.first()) {
        (true, Some((id, _))) => vec![(*id, format!("this pattern and the ones after it: {error}"))],
        _ => alone,
    }
}

impl Patterns {
    /// The lowest id of the patterns that match `subject`, which has no upper-case letters.
    pub(super) fn first(&self, subject: &[u8]) -> Option<u32> {
        let mut first = self.exact.get(subject).copied();
        let mut offer = |id: u32| first = Some(first.map_or(id, |known| known.min(id)));
        if !self.tails.is_empty() {
            let after_dots = subject
                .iter()
                .enumerate()
                .filter(|&(_, &b)| b == b'.')
                .map(|(i, _)| i + 1);
            for start in std::iter::once(0).chain(after_dots) {
                let (before, tail) = subject.split_at(start);
                let candidates = self.tails.get(tail).map_or(&[][..], Vec::as_slice);
                candidates
                    .iter()
                    .filter(|(labels, _)| labels.accept(before))
                    .for_each(|&(_, id)| offer(id));
            }
        }
        if let Some(literals) = &self.literals {
            for hit in literals.finder.find_overlapping_iter(subject) {
                let literal = &literals.entries[hit.pattern().as_usize()];
                let before = &subject[..hit.start()];
                let fits = match &literal.before {
                    Before::Anything => true,
                    Before::Nothing => before.is_empty(),
                    Before::Labels(labels) => labels.accept(before),
                };
                if fits && (!literal.at_end || hit.end() == subject.len()) {
                    offer(literal.id);
                }
            }
        }
        first = self.index.first(subject, first).or(first);
        for set in &self.sets {
            // Ids rise within a set and from set to set: what cannot improve on the answer is not run.
            if first.is_some_and(|known| set.ids.first().is_none_or(|&lowest| known < lowest)) {
                break;
            }
            if let Some(id) = set.regexes.matches(subject).iter().next().map(|at| set.ids[at]) {
                first = Some(first.map_or(id, |known| known.min(id)));
                break;
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::program::{Assembler, Scratch};
    use proptest::prelude::*;

    fn pattern() -> impl Strategy<Value = String> {
        let start = prop::sample::select(vec![
            "",
            "^",
            "(^|\\.)",
            "(\\.|^)",
            "^(.*\\.)?",
            "^(.+\\.)?",
            "^([^/][^/]*\\.)*",
            "^([^.]+\\.)+",
            "^([a-z]*\\.)*",
            "^[a-b]+\\.",
            "^.*\\.",
            "\\.",
            "^(www\\.)?",
            "^([^/][^/]+\\.)*",
            "^(.{2,}\\.)?",
            "^..*\\.",
            "^a*b*\\.",
            "^[ab].*\\.",
            "^\\.*\\.",
            "(.+\\.)?",
            "^([^a]*\\.)+",
            "^(a|\\.)*\\.",
            "^(a+\\.){2}",
        ]);
        let middle = prop::sample::select(vec![
            "a", "ab", "a\\.b", "(a|b)", "[ab]", "a?b", "a{1,2}", "(a|b|)c", "b\\.", "a*", "A", "[A-C]",
            "\\.a", "", ".",
        ]);
        let end = prop::sample::select(vec![
            "",
            "$",
            ":443$",
            ":443",
            ":[0-9]+$",
            "(:443|:80)$",
            "$|^b",
            "|b$",
        ]);
        (start, middle, end).prop_map(|(start, middle, end)| format!("{start}{middle}{end}"))
    }

    /// Made of what the patterns are made of, so that many of them nearly match.
    fn subject() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec!["a", "b", "c", "ab", "a.", "b.", "ab.", ".", "/", "www."]);
        let port = prop::sample::select(vec![":443", ":443", ":80", ""]);
        (prop::collection::vec(piece, 0..5), port).prop_map(|(pieces, port)| pieces.concat() + port)
    }

    /// Expressions of any form, of which many have no shape.
    fn expression() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "a", "b", "ab", "c", "aB", "[ab]", "[a-c]", "[^a]", "[0-9]", ".", "\\.", ":443", "^", "$", "\\<",
            "\\>", "\\b", "\\B", "\\w", "\\W", "()", "www", "(^|\\.)", "b\\.", "[A-C]",
        ]);
        let leaf = leaf.prop_map(str::to_owned);
        leaf.prop_recursive(4, 24, 5, |inner| {
            let repeats = prop::sample::select(vec!["*", "+", "?", "{2}", "{1,3}", "{2,}", "{0}", "{,2}"]);
            prop_oneof![
                4 => prop::collection::vec(inner.clone(), 1..5).prop_map(|parts| parts.concat()),
                2 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join("|"))),
                2 => (inner, repeats).prop_map(|(inner, times)| format!("({inner}){times}")),
            ]
        })
    }

    fn node_again(pattern: &str, ignore_case: bool) -> impl Fn(u32) -> Option<Node> {
        move |_| ere::parse(pattern, ignore_case).ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

        #[test]
        fn a_shape_accepts_what_its_expression_accepts(
            pattern in pattern(),
            ignore_case: bool,
            subjects in prop::collection::vec(subject(), 16),
        ) {
            let node = ere::parse(&pattern, ignore_case).unwrap();
            let (mut by_shape, mut by_expression) = (PatternsBuilder::default(), PatternsBuilder::default());
            by_shape.add(7, node.clone());
            by_expression.add_expression(7, node);
            let again = node_again(&pattern, ignore_case);
            let (by_shape, by_expression) = (by_shape.build(again).unwrap(), by_expression.build(|_| None).unwrap());
            for subject in subjects {
                prop_assert_eq!(
                    by_shape.first(subject.as_bytes()),
                    by_expression.first(subject.as_bytes()),
                    "{} on {}", pattern, subject
                );
            }
        }

        #[test]
        fn the_index_answers_as_the_expression_alone(
            pattern in expression(),
            ignore_case: bool,
            subjects in prop::collection::vec(subject(), 16),
        ) {
            let node = ere::parse(&pattern, ignore_case).unwrap();
            let (mut filed, mut alone) = (PatternsBuilder::default(), PatternsBuilder::default());
            if !filed.add_filed(7, &node) {
                filed.add_expression(7, node.clone());
            }
            alone.add_expression(7, node);
            // What the index leaves out as too common must come again, as in a list.
            let filed = filed.build(node_again(&pattern, ignore_case)).unwrap();
            let alone = alone.build(|_| None).unwrap();
            for subject in subjects {
                prop_assert_eq!(
                    filed.first(subject.as_bytes()),
                    alone.first(subject.as_bytes()),
                    "{} on {}", pattern, subject
                );
            }
        }

        #[test]
        fn a_program_answers_as_the_regex_crate(
            pattern in expression(),
            ignore_case: bool,
            subjects in prop::collection::vec(subject(), 16),
        ) {
            let node = ere::parse(&pattern, ignore_case).unwrap();
            let mut assembler = Assembler::default();
            if let Some(number) = assembler.add(&node) {
                let programs = assembler.finish();
                // It compiles, so that leaving that out hides no error.
                let regex = RegexBuilder::new(&ere::emit(&node)).size_limit(SIZE_LIMIT).build().unwrap();
                let mut scratch = Scratch::default();
                for subject in subjects {
                    let subject = subject.as_bytes();
                    prop_assert_eq!(
                        programs.is_match(number, subject, &mut scratch),
                        regex.is_match(subject),
                        "{} on {:?}", pattern, subject
                    );
                }
            }
        }

        #[test]
        fn the_first_of_any_expressions_wins(
            patterns in prop::collection::vec(expression(), 1..12),
            subject in subject(),
        ) {
            let nodes: Vec<Node> = patterns.iter().map(|p| ere::parse(p, true).unwrap()).collect();
            let subject = subject.as_bytes();
            let mut all = PatternsBuilder::default();
            for (id, node) in (0..).zip(&nodes) {
                all.add(id, node.clone());
            }
            let all = all.build(|id| nodes.get(id as usize).cloned()).unwrap();
            let first = nodes.iter().position(|node| {
                RegexBuilder::new(&ere::emit(node)).build().unwrap().is_match(subject)
            });
            prop_assert_eq!(all.first(subject).map(|id| id as usize), first);
        }

        #[test]
        fn the_first_of_many_wins(
            patterns in prop::collection::vec(pattern(), 1..12),
            subject in subject(),
        ) {
            let nodes: Vec<Node> = patterns.iter().map(|p| ere::parse(p, true).unwrap()).collect();
            let first = nodes.iter().position(|node| {
                let mut alone = PatternsBuilder::default();
                alone.add_expression(0, node.clone());
                alone.build(|_| None).unwrap().first(subject.as_bytes()).is_some()
            });
            let mut all = PatternsBuilder::default();
            for (id, node) in (0..).zip(&nodes) {
                all.add(id, node.clone());
            }
            let all = all.build(|id| nodes.get(id as usize).cloned());
            prop_assert_eq!(all.unwrap().first(subject.as_bytes()).map(|id| id as usize), first);
        }
    }

    #[test]
    fn the_published_patterns_need_no_expression() {
        for pattern in [
            r"^wss-(backup|primary|mobile)\.slack\.com:443$",
            r"^([^/][^/]*\.)*slack-msgs\.com:443$",
            r"^(.*\.)?example\.com:443$",
            r"(^|\.)example\.com:443$",
            r"\.example\.com:443$",
            r"^example\.com:(443|8443)$",
            r"example\.com",
        ] {
            for ignore_case in [false, true] {
                let node = ere::parse(pattern, ignore_case).unwrap();
                assert!(shapes(&node).is_some(), "{pattern}");
            }
        }
    }

    fn build(count: u32, pattern: impl Fn(u32) -> String) -> Patterns {
        let node = |id| ere::parse(&pattern(id), true).unwrap();
        let mut builder = PatternsBuilder::default();
        (0..count).for_each(|id| builder.add(id, node(id)));
        builder.build(|id| Some(node(id))).unwrap()
    }

    #[test]
    fn of_a_large_list_only_a_handful_is_run() {
        let patterns = build(20_000, |id| {
            let (a, b) = (id % 317, id / 317);
            match id % 4 {
                0 => format!("^h{id}-[0-9]+\\.example:443$"),
                1 => format!("(cdn|edge)[0-9]+\\.site{id}\\.[a-z]+:443$"),
                2 => format!("^([a-z]+-)?x{a}-[a-z]*q{b}\\.example"),
                _ => format!("v[0-9]{{1,3}}(a{id}x|b{id}y)[a-z.]*:443$"),
            }
        });
        assert!(patterns.sets.is_empty());
        for (subject, first) in [
            ("h17776-5.example:443", Some(17_776)),
            ("edge12.site17777.org:443", Some(17_777)),
            ("v1b19999y.example:443", Some(19_999)),
            ("edge12.site19998.org:443", None),
            ("edge.static.example.org:443", None),
        ] {
            assert_eq!(patterns.first(subject.as_bytes()), first, "{subject}");
            assert!(patterns.index.runs(subject.as_bytes()) < 130, "{subject}");
        }
        assert_eq!(patterns.index.runs(b"edge.static.example.org:443"), 0);
    }

    #[test]
    fn expressions_that_share_all_their_strings_are_cut_into_sets() {
        let patterns = build(1200, |id| {
            format!("^[a-z]{{{}}}[0-9]{{{}}}x:443$", id % 40 + 1, id / 40 + 1)
        });
        assert!(patterns.sets.len() >= 3);
        let subject = |id: usize| format!("{}{}x:443", "a".repeat(id % 40 + 1), "7".repeat(id / 40 + 1));
        assert_eq!(patterns.first(subject(1199).as_bytes()), Some(1199));
        assert_eq!(patterns.first(b"h7-x:443"), None);
    }

    #[test]
    fn expressions_too_large_for_a_program_are_compiled_at_load() {
        let patterns = build(2, |id| format!("host{id}[0-9]{{600}}"));
        assert_eq!(patterns.sets.len(), 1);
        let subject = format!("host1{}", "5".repeat(600));
        assert_eq!(patterns.first(subject.as_bytes()), Some(1));
    }
}
