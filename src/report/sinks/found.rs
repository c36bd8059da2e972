//! The lines of what inspection found, and of what it could not look into. A matched secret is in neither: a finding's
//! excerpt comes masked from the rules.

use super::line::{Whose, cap, groups};
use crate::inspect::{About, Blind, Finding, Ruling, SessionFacts};
use crate::report::instance::Instance;
use serde::Serialize;
use std::borrow::Cow;

/// One line.
#[derive(Serialize)]
pub(super) struct Found<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    whose: Whose<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<&'a str>,
    target: String,
    path: Cow<'a, str>,
    surface: &'static str,
    direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    opcode: Option<&'static str>,
    size: u64,
    #[serde(flatten)]
    what: What<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum What<'a> {
    Finding {
        rule: &'a str,
        action: &'static str,
        enforced: bool,
        matches: u32,
        verdict: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        excerpt: Option<Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<Cow<'a, str>>,
        #[serde(skip_serializing_if = "is_one")]
        sampled: u64,
    },
    Blind {
        reason: &'static str,
        stopped: bool,
    },
}

const fn is_one(sample: &u64) -> bool {
    *sample == 1
}

impl<'a> Found<'a> {
    /// A finding, without its excerpt; the line stands for `sampled` of them.
    pub(super) fn finding(
        instance: &'a Instance,
        facts: &'a SessionFacts,
        about: &About,
        finding: &'a Finding,
        verdict: &Ruling,
        sampled: u64,
    ) -> Self {
        let what = What::Finding {
            rule: &finding.rule,
            action: finding.action,
            enforced: finding.enforced,
            matches: finding.matches,
            verdict: verdict.label(),
            excerpt: None,
            detail: finding.detail.as_deref().map(cap),
            sampled,
        };
        Self::of(instance, facts, about, "finding", what)
    }

    /// The same with the surroundings of the match, in which it is masked.
    pub(super) fn with_excerpt(mut self, of: &'a Finding) -> Self {
        if let What::Finding { excerpt, .. } = &mut self.what {
            *excerpt = of.excerpt.as_deref().map(cap);
        }
        self
    }

    /// Something that could not be looked into.
    pub(super) fn blind(
        instance: &'a Instance,
        facts: &'a SessionFacts,
        about: &About,
        why: Blind,
        stopped: bool,
    ) -> Self {
        let what = What::Blind {
            reason: why.label(),
            stopped,
        };
        Self::of(instance, facts, about, "uninspected", what)
    }

    fn of(
        instance: &'a Instance,
        facts: &'a SessionFacts,
        about: &About,
        r#type: &'static str,
        what: What<'a>,
    ) -> Self {
        Self {
            r#type,
            whose: Whose::of_facts(instance, facts),
            groups: groups(facts.user.as_deref()),
            target: facts.target.to_string(),
            // A query may hold secrets.
            path: cap(facts.path.split('?').next().unwrap_or_default()),
            surface: about.surface.label(),
            direction: about.direction.label(),
            opcode: about.opcode,
            size: about.size,
            what,
        }
    }
}
