//! Which rules can hold for a path, by the expressions that they ask paths for.

use super::bits::{Bits, FEW};
use super::compiled::Compiled;
use super::findings::Findings;
use aho_corasick::AhoCorasick;
use regex::{Regex, RegexSet};
use regex_syntax::hir::{Hir, HirKind};

/// The expressions of all paths.
#[derive(Debug)]
pub(super) struct Paths {
    /// What the paths contain that an expression matches, looked for at once. Most rules end here.
    texts: Option<Texts>,
    /// The expressions themselves, searched at once.
    expressions: RegexSet,
    /// The rule of each.
    rules: Vec<usize>,
    asking: Bits,
}

#[derive(Debug)]
struct Texts {
    finder: AhoCorasick,
    /// The rule of each.
    rules: Vec<usize>,
    needing: Bits,
}

impl Paths {
    pub(super) fn new(rules: &[&Compiled]) -> Option<Self> {
        let count = rules.len();
        let path = |at: usize| rules.get(at)?.conditions().path.as_ref();
        let asking = Bits::of(count, |at| path(at).is_some());
        if asking.in_common(&asking) <= FEW {
            return None;
        }
        let places: Vec<_> = asking.iter().collect();
        // Where they are too large together, each is asked.
        let expressions = RegexSet::new(places.iter().filter_map(|at| path(*at)).map(Regex::as_str)).ok()?;
        Some(Self {
            texts: Texts::new(count, path),
            expressions,
            rules: places,
            asking,
        })
    }

    /// Takes out the rules whose expressions match none of the ways to write `path`.
    pub(super) fn narrow(&self, path: &str, findings: &Findings<'_>, found: &mut Bits) {
        let is_worth_it = |found: &Bits, asking: &Bits| found.in_common(asking) > FEW;
        if let Some(texts) = &self.texts
            && is_worth_it(found, &texts.needing)
        {
            let mut missing = texts.needing.clone();
            for written in findings.paths(path) {
                for hit in texts.finder.find_overlapping_iter(written) {
                    if let Some(rule) = texts.rules.get(hit.pattern().as_usize()) {
                        missing.remove(*rule);
                    }
                }
            }
            found.take_out(&missing);
        }
        if is_worth_it(found, &self.asking) {
            let mut unsatisfied = self.asking.clone();
            for written in findings.paths(path) {
                for at in self.expressions.matches(written) {
                    if let Some(rule) = self.rules.get(at) {
                        unsatisfied.remove(*rule);
                    }
                }
            }
            found.take_out(&unsatisfied);
        }
    }
}

impl Texts {
    fn new<'r>(count: usize, path: impl Fn(usize) -> Option<&'r Regex>) -> Option<Self> {
        let needed = |at: usize| path(at).and_then(|path| contained(path.as_str()));
        let (rules, texts): (Vec<_>, Vec<_>) = (0..count).filter_map(|at| Some((at, needed(at)?))).unzip();
        Some(Self {
            // Paths are short: to look ahead for where a text may begin costs more than to read them.
            finder: AhoCorasick::builder().prefilter(false).build(texts).ok()?,
            needing: Bits::of(count, |at| rules.binary_search(&at).is_ok()),
            rules,
        })
    }
}

/// The longest text that is sure to be in whatever an expression matches.
fn contained(expression: &str) -> Option<Vec<u8>> {
    let parsed = regex_syntax::parse(expression).ok()?;
    let mut longest = Vec::new();
    longest_text(&parsed, &mut longest);
    (!longest.is_empty()).then_some(longest)
}

fn longest_text(of: &Hir, longest: &mut Vec<u8>) {
    match of.kind() {
        HirKind::Literal(text) if text.0.len() > longest.len() => *longest = text.0.to_vec(),
        HirKind::Capture(group) => longest_text(&group.sub, longest),
        HirKind::Repetition(part) if part.min > 0 => longest_text(&part.sub, longest),
        HirKind::Concat(parts) => parts.iter().for_each(|part| longest_text(part, longest)),
        HirKind::Literal(_)
        | HirKind::Repetition(_)
        | HirKind::Empty
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Alternation(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_longest_text_of_each_match() {
        for (expression, text) in [
            ("^/api/v[0-9]+/item7/", Some("/item7/")),
            ("[?&]tenant=7(&|$)", Some("tenant=7")),
            ("^/(admin)(/|$)", Some("admin")),
            ("(ab){2,}c?", Some("ab")),
            ("(long)?x", Some("x")),
            ("(?i)/admin", Some("/")),
            ("caf\u{e9}", Some("caf\u{e9}")),
            ("a|b", None),
            ("", None),
            ("^$", None),
            ("[0-9]+", None),
        ] {
            assert_eq!(
                contained(expression),
                text.map(|text| text.as_bytes().to_vec()),
                "{expression}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_matches_contains_it(expression in "(/|a|b|\\.|[ab]|(ab|/)|(a)?|b+|(?i:a)){0,6}", path in "[/abAB.]{0,12}") {
            let Ok(regex) = Regex::new(&expression) else {
                return Ok(());
            };
            if let Some(text) = contained(&expression) && regex.is_match(&path) {
                prop_assert!(path.as_bytes().windows(text.len()).any(|some| some == text));
            }
        }
    }
}
