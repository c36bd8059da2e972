//! What `wsbump test-rules` says.

use super::super::recorded::RecordedItem;
use crate::inspect::{Finding, Judgement, Ruling, Surface};
use crate::settings::RuleSet;
use crate::wire::frame::Opcode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// So much of a content is shown, in characters.
const SHOWN: usize = 400;

#[derive(Debug, Default)]
pub(super) struct RuleTotals {
    items: u64,
    pub(super) fired: u64,
    changed: u64,
    dropped: u64,
    closed: u64,
    by_rule: BTreeMap<Arc<str>, u64>,
}

impl RuleTotals {
    pub(super) fn count(&mut self, judgement: &Judgement, messages: u64) {
        self.items += messages;
        self.fired += u64::from(!judgement.findings.is_empty());
        match judgement.verdict {
            Ruling::Pass => {}
            Ruling::Replace(_) => self.changed += 1,
            Ruling::Drop => self.dropped += 1,
            Ruling::Close(_) => self.closed += 1,
        }
        for finding in &judgement.findings {
            *self.by_rule.entry(finding.rule.clone()).or_default() += 1;
        }
    }

    pub(super) fn write(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "{} judged: rules fired on {}; {} changed, {} dropped, {} closed",
            self.items, self.fired, self.changed, self.dropped, self.closed
        );
        for (rule, count) in &self.by_rule {
            let _ = writeln!(out, "  {rule}  {count}");
        }
    }
}

/// One judgement, and the messages that it is about.
pub(super) struct SaidJudgement<'a> {
    /// Of the first message that it is about.
    pub(super) number: u64,
    pub(super) messages: u64,
    pub(super) item: &'a RecordedItem,
    pub(super) judgement: &'a Judgement,
}

impl SaidJudgement<'_> {
    pub(super) fn as_text(&self, out: &mut String, set: &RuleSet) {
        let Self {
            number,
            messages,
            item,
            judgement,
        } = *self;
        let number = match messages {
            1 => number.to_string(),
            _ => format!("{number} and {} behind it", messages - 1),
        };
        let facts = &item.facts;
        let opcode = item
            .opcode
            .map_or_else(String::new, |opcode| format!(" {}", opcode.label()));
        let _ = writeln!(
            out,
            "{number}. {}{opcode} {}, {} bytes, {}://{}{}",
            item.surface.label(),
            item.direction.label(),
            item.data.len(),
            facts.scheme,
            facts.target,
            facts.path
        );
        for finding in &judgement.findings {
            let _ = writeln!(out, "   {}", finding_text(finding, set));
            if let Some(excerpt) = &finding.excerpt {
                let _ = writeln!(out, "     {}", shown(excerpt));
            }
        }
        if judgement.findings.is_empty() {
            out.push_str("   no rule fires\n");
        }
        let _ = match &judgement.verdict {
            Ruling::Pass => writeln!(out, "   => passes"),
            Ruling::Replace(data) => {
                writeln!(out, "   => changed to: {}", shown(&String::from_utf8_lossy(data)))
            }
            Ruling::Drop if item.surface == Surface::Message => writeln!(out, "   => dropped"),
            Ruling::Drop => writeln!(out, "   => answered 403"),
            Ruling::Close(reason) => writeln!(out, "   => closed with 1008 {reason:?}"),
        };
    }

    pub(super) fn as_json(&self) -> serde_json::Value {
        let Self {
            number,
            messages,
            item,
            judgement,
        } = *self;
        let findings: Vec<_> = judgement
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "rule": &*finding.rule,
                    "action": finding.action,
                    "enforced": finding.enforced,
                    "matches": finding.matches,
                    "excerpt": finding.excerpt,
                    "detail": finding.detail,
                })
            })
            .collect();
        let mut line = json!({
            "number": number,
            "messages": messages,
            "session": item.facts.connection,
            "surface": item.surface.label(),
            "direction": item.direction.label(),
            "opcode": item.opcode.map(Opcode::label),
            "host": item.facts.target.to_string(),
            "path": item.facts.path,
            "bytes": item.data.len(),
            "findings": findings,
        });
        let (verdict, key, value) = match &judgement.verdict {
            Ruling::Pass => ("pass", None, String::new()),
            Ruling::Drop => ("drop", None, String::new()),
            Ruling::Close(reason) => ("close", Some("reason"), reason.clone()),
            Ruling::Replace(data) => match std::str::from_utf8(data) {
                Ok(text) => ("replace", Some("data"), text.to_owned()),
                Err(_) => ("replace", Some("data_base64"), STANDARD.encode(data)),
            },
        };
        line["verdict"] = verdict.into();
        if let Some(key) = key {
            line[key] = value.into();
        }
        line
    }
}

fn finding_text(finding: &Finding, set: &RuleSet) -> String {
    let mode = match finding.enforced {
        true => "",
        false => " (observe: would)",
    };
    let times = match finding.matches {
        1 => "1 match".to_owned(),
        many => format!("{many} matches"),
    };
    let detail = finding
        .detail
        .as_ref()
        .map_or_else(String::new, |detail| format!(", {detail}"));
    let at = set.rules.iter().find(|rule| rule.name == finding.rule);
    let at = at.map_or_else(String::new, |rule| format!("  [{}]", rule.at));
    format!("{}: {}{mode}, {times}{detail}{at}", finding.rule, finding.action)
}

/// On one line, without what a terminal would act upon, and not too long.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(escaped).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push_str(" ...");
    }
    shown
}

fn escaped(c: char) -> impl Iterator<Item = char> {
    let control = c.is_control();
    let escaped = control.then(|| c.escape_default());
    escaped.into_iter().flatten().chain((!control).then_some(c))
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_is_shown_cannot_drive_a_terminal() {
        assert_eq!(shown("a\u{1b}[31mb\r\n\u{9b}ü"), "a\\u{1b}[31mb\\r\\n\\u{9b}ü");
        assert_eq!(shown(&"x".repeat(400)), "x".repeat(400));
        assert_eq!(shown(&"x".repeat(401)), "x".repeat(400) + " ...");
    }
}
