//! Whether the patterns of a rule are in some content.

use super::compile::Rule;
use super::screen::{Hits, Screen};
use super::{entropy, secrets};
use std::ops::Range;

/// Finds places in content.
type Finder<'a> = &'a dyn Fn(&[u8], &mut Vec<Range<usize>>);

/// Whether of each kind of pattern that the rule has one matches.
pub(super) fn match_all(rule: &Rule, parts: &[&[u8]], hits: &Hits, screen: &Screen) -> bool {
    let any = |test: &dyn Fn(&[u8]) -> bool| parts.iter().any(|part| test(part));
    let found = |find: Finder<'_>| {
        any(&|part| {
            let mut spans = Vec::new();
            find(part, &mut spans);
            !spans.is_empty()
        })
    };
    rule.keywords.as_ref().is_none_or(|(_, bit)| hits.has(*bit))
        && (rule.regexes.is_empty()
            || hits.has_any(&rule.regex_bits)
                && (rule.regexes.iter()).any(|(regex, bit)| screen.matches(regex, *bit, parts, hits)))
        && (rule.secrets.is_empty()
            || rule.secrets.iter().any(|(secret, bit)| {
                bit.is_none_or(|bit| hits.has(bit))
                    && found(&|part, spans| secrets::find(*secret, part, spans))
            }))
        && rule
            .entropy
            .is_none_or(|bits| found(&|part, spans| entropy::find(bits, part, spans)))
}
