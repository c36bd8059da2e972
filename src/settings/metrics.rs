//! `[metrics]`: what is counted by itself.

use super::lists::Lists;
use super::reader::Section;
use crate::decide::List;
use std::collections::HashSet;
use std::sync::Arc;

/// How many services may be counted; each has two dozen series.
const MOST: usize = 32;
/// What does not match any of them.
const OTHER: &str = "other";

/// Reads the table: the lists whose WebSockets are counted by themselves.
pub(super) fn services(mut section: Section<'_, '_>, lists: &mut Lists) -> Vec<Arc<List>> {
    let key = "services";
    let named = lists.named(&mut section, key);
    let span = section.span();
    if named.len() > MOST {
        let message = format!("has {} lists; at most {MOST} can be told apart", named.len());
        section.note(&span, key, message);
    }
    let mut seen = HashSet::new();
    for list in &named {
        if list.name() == OTHER {
            let message =
                format!("names the list {OTHER:?}, as all that no list matches is called; rename it");
            section.note(&span, key, message);
        } else if !seen.insert(list.name().to_owned()) {
            section.note(&span, key, format!("has {:?} twice; one is enough", list.name()));
        }
    }
    section.finish();
    named
}
