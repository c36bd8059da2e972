//! One `[[policy.rule]]`.

use super::conditions::{nested, of_connection, of_content};
use crate::decide::{PolicyRule, RuleAction};
use crate::settings::lists::Lists;
use crate::settings::reader::Section;
use crate::settings::words;
use std::sync::Arc;

const ACTIONS: [(&str, RuleAction); 4] = [
    ("allow", RuleAction::Allow),
    ("splice", RuleAction::Splice),
    ("deny", RuleAction::Deny),
    ("authenticate", RuleAction::Authenticate),
];

/// Words that others have for these actions.
const OTHER_WORDS: [(&str, &str); 13] = [
    ("allow", "allow"),
    ("splice", "splice"),
    ("deny", "deny"),
    ("authenticate", "authenticate"),
    ("drop", "deny"),
    ("block", "deny"),
    ("refuse", "deny"),
    ("reject", "deny"),
    ("bump", "allow"),
    ("permit", "allow"),
    ("inspect", "allow"),
    ("passthrough", "splice"),
    ("bypass", "splice"),
];

/// Reads one rule; `names` are those of the rules before it, with their lines.
pub(super) fn rule(
    section: &mut Section<'_, '_>,
    lists: &mut Lists,
    names: &mut Vec<(String, usize)>,
    probe: bool,
) -> Option<PolicyRule> {
    let name = section.parsed("name", |text| words::name(text, "rule"));
    let title = section.text("title");
    let mut conditions = of_connection(section, lists);
    of_content(section, probe, &mut conditions);
    let places = ("policy.rule.also", "policy.rule.except");
    nested(section, places, &mut conditions, |section| {
        let mut conditions = of_connection(section, lists);
        of_content(section, false, &mut conditions);
        conditions
    });
    let modes = [("enforce", false), ("observe", true)];
    let is_observed = section.choice("mode", &modes, false);
    let action = action(section);
    let page = section.parsed("page", |text| words::name(text, "page"));
    for (key, advice) in [
        (
            "name",
            "logs, metrics and pages call the rule by it: name = \"...\"",
        ),
        (
            "action",
            "write \"allow\", \"splice\", \"deny\" or \"authenticate\"",
        ),
    ] {
        if !section.has(key) {
            let span = section.span();
            section.note(&span, key, format!("is missing; {advice}"));
        }
    }
    let (name, action) = (name?, action?);
    if let Some(page) = page.as_ref().filter(|_| action != RuleAction::Deny) {
        section.note(&page.span, "page", "is only for action = \"deny\"; take it out");
    }
    if action == RuleAction::Splice && conditions.needs_content() {
        let message = "can never hold: it asks for what only a decrypted connection shows (methods, path, url, upgrade, headers, origin), and what is to be spliced is not decrypted";
        section.note(&name.span, "", message);
    }
    let line = section.notes().line(&name.span);
    match names.iter().find(|(known, _)| *known == name.value) {
        Some((_, first)) => {
            let message = format!(
                "{:?} is the name of the rule at line {first} too; give each rule its own",
                name.value
            );
            section.note(&name.span, "name", message);
        }
        None => names.push((name.value.clone(), line)),
    }
    let span = section.span();
    let at = section.notes().whereabouts(&span).into();
    Some(PolicyRule {
        name: name.value.into(),
        title: title.map(|at| Arc::from(at.value)),
        conditions,
        is_observed,
        action,
        page: page.map(|at| Arc::from(at.value)),
        at,
    })
}

fn action(section: &mut Section<'_, '_>) -> Option<RuleAction> {
    let read = section.parsed("action", |text| {
        let known = ACTIONS.iter().find(|(word, _)| *word == text);
        if let Some((_, action)) = known {
            return Ok(*action);
        }
        let meant = OTHER_WORDS
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(text));
        Err(match meant {
            Some((_, here)) => format!("{text:?} is called {here:?} here"),
            None => format!(
                "{text:?} is no action; write \"allow\" (decrypt), \"splice\", \"deny\" or \"authenticate\""
            ),
        })
    });
    read.map(|at| at.value)
}
