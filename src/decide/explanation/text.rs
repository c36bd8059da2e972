//! An explanation as people read it.

use super::{ExplainedAction, Explanation, RuleStep};
use crate::decide::verdict::Matched;
use std::fmt;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = &self.target;
        let what = match self.action {
            ExplainedAction::Deny if self.steps.iter().all(|step| step.stage == "ask") => {
                "is denied: nothing is resolved or dialled."
            }
            ExplainedAction::Deny => "is denied.",
            ExplainedAction::Splice => "is spliced: its bytes are relayed unread.",
            ExplainedAction::Bump => "is bumped: its TLS is terminated and its content is seen.",
            ExplainedAction::Authenticate => "has to say who asks: the answer is 407.",
        };
        write!(f, "{target} {what}")?;
        self.by(f)?;
        self.rules(f)?;
        if self.action == ExplainedAction::Bump {
            self.lists(f)?;
        }
        self.sni(f)?;
        for told in self.treatment.iter().chain(&self.way) {
            write!(f, "\n  {told}")?;
        }
        if !self.waiting.is_empty() {
            write!(f, "\n  Each request is held to the policy too, by ")?;
            write!(f, "{}.", self.waiting.join(", "))?;
        }
        Ok(())
    }
}

impl Explanation {
    fn by(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rule) = &self.rule {
            let written = self.steps.iter().rev().find(|step| step.rule == *rule);
            write!(f, "\n  by rule \"{rule}\"")?;
            if let Some(step) = written.filter(|step| !step.at.is_empty()) {
                write!(f, "  [{}]", step.at)?;
            }
        }
        match &self.matched {
            Some(matched) => write!(f, "\n  by {matched}"),
            None if self.action == ExplainedAction::Deny && self.rule.is_none() => {
                write!(f, "\n  by policy.default: no rule allows it.")
            }
            None => Ok(()),
        }
    }

    /// What the rules of the table say, where there are any.
    fn rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_written = |step: &&RuleStep| !step.at.is_empty();
        for step in self.steps.iter().filter(is_written) {
            let RuleStep {
                stage, rule, action, ..
            } = step;
            let observed = if step.is_observed { ", observed only" } else { "" };
            write!(f, "\n  {stage}: rule \"{rule}\" ({}{observed}) ", action.label())?;
            match (step.holds, step.condition) {
                ("yes", _) => write!(f, "holds"),
                ("name", _) => write!(f, "depends on who asks"),
                ("later", Some(condition)) => write!(f, "waits for: {condition}"),
                (_, condition) => write!(f, "does not hold: {}", condition.unwrap_or_default()),
            }?;
        }
        Ok(())
    }

    fn lists(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.deny_lists.is_empty() {
            write!(f, "\n  No deny list matches it: {}.", Sizes(&self.deny_lists))?;
        }
        if !self.splice_lists.is_empty() {
            return write!(f, "\n  No splice list matches it: {}.", Sizes(&self.splice_lists));
        }
        if self.steps.iter().all(|step| step.at.is_empty()) {
            write!(f, "\n  No splice list is configured.")?;
        }
        Ok(())
    }

    /// What the name in the ClientHello can still change.
    fn sni(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.sni_may.iter().map(|action| match action {
            ExplainedAction::Splice => "a splice",
            _ => "a denial",
        });
        let what: Vec<_> = what.collect();
        if what.is_empty() {
            return Ok(());
        }
        let port = self.target.port;
        write!(
            f,
            "\n  The server name (SNI) of the ClientHello is looked up too, as SNI:{port}, and can still lead to {}.",
            what.join(" or ")
        )
    }
}

/// `first (1 entry), second (3 entries)`
struct Sizes<'a>(&'a [(String, usize)]);

impl fmt::Display for Sizes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, entries)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let plural = if *entries == 1 { "entry" } else { "entries" };
            write!(f, "{comma}{name} ({entries} {plural})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Matched {
    /// `list "wslist", line 3: PATTERN`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "list \"{}\", line {}: {}", self.list, self.line, self.pattern)
    }
}
