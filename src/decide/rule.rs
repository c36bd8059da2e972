//! The rules of the policy, and the walk down their table.

use super::action::RuleAction;
use super::bits::Bits;
use super::candidates::{Candidates, Wanted};
use super::compiled::{Compiled, MatchedEntry};
use super::conditions::Conditions;
use super::facts::Facts;
use super::findings::Findings;
use super::holds::{Holds, Names};
use super::hosts::List;
use super::list_set::ListSet;
use std::sync::Arc;

/// One rule, as configured.
#[derive(Debug, Clone)]
pub struct PolicyRule {
    /// What logs, metrics and `explain` call it.
    pub name: Arc<str>,
    /// What the people are told whom it concerns; its name if there is nothing else.
    pub title: Option<Arc<str>>,
    /// What has to hold.
    pub conditions: Conditions,
    /// It decides nothing, and is counted where it would have.
    pub is_observed: bool,
    /// What happens.
    pub action: RuleAction,
    /// The page of a denial.
    pub page: Option<Arc<str>>,
    /// Where it was written.
    pub at: Box<str>,
}

/// Where a rule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// `[[policy.rule]]`.
    Table,
    /// `policy.deny`.
    DenyLists,
    /// `policy.splice`.
    SpliceLists,
}

/// A rule that can be asked.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) spec: PolicyRule,
    pub(super) compiled: Compiled,
    pub(super) source: Source,
}

impl Rule {
    pub(super) fn new(
        spec: PolicyRule,
        source: Source,
        is_believed: bool,
        place: &mut dyn FnMut(&Arc<List>) -> usize,
    ) -> Self {
        let names = match spec.action {
            RuleAction::Deny | RuleAction::Authenticate => Names::Any,
            RuleAction::Allow | RuleAction::Splice if is_believed => Names::Sni,
            RuleAction::Allow | RuleAction::Splice => Names::All,
        };
        let compiled = Compiled::new(spec.conditions.clone(), names, place);
        Self {
            spec,
            compiled,
            source,
        }
    }

    /// Asks who the client is, and is fulfilled by whoever says so.
    fn is_about_names(&self) -> bool {
        self.spec.action == RuleAction::Authenticate
    }

    /// Permits something.
    pub(super) fn permits(&self) -> bool {
        matches!(self.spec.action, RuleAction::Allow | RuleAction::Splice)
    }
}

/// What decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// This rule.
    Rule(usize),
    /// None: the default does.
    Default,
    /// This rule, once it is known who the client is.
    Name(usize),
}

/// A walk down the table, to the first rule that holds.
pub(super) struct TableWalk<'r> {
    pub(super) reached: Reached,
    /// It holds whatever a request may show, and whenever.
    pub(super) is_settled: bool,
    /// A rule above it may still come to hold, and permit what it forbids.
    pub(super) may_permit: bool,
    /// Rules above it that wait for what is not known yet.
    pub(super) later: Vec<usize>,
    /// Rules that would have decided if they were not only observed.
    pub(super) observed: Vec<usize>,
    set: &'r ListSet,
    pub(super) findings: Findings<'r>,
}

/// What one rule says, for `explain`.
pub(super) type Heard<'a> = &'a mut dyn FnMut(usize, Holds);

/// Which rules are asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked<'r> {
    /// All, or those that are left, one by one, so that each says why it does not hold.
    Each(Option<&'r Bits>),
    /// Those that can hold.
    Candidates(&'r Candidates, Wanted<'r>),
}

/// Walks down the rules. What an authentication rule asks for is fulfilled by whoever is known.
pub(super) fn walk<'r>(
    rules: &'r [Rule],
    asked: Asked<'_>,
    set: &'r ListSet,
    facts: &Facts<'_>,
    heard: Option<Heard<'_>>,
) -> TableWalk<'r> {
    let mut walk = TableWalk {
        reached: Reached::Default,
        is_settled: false,
        may_permit: false,
        later: Vec::new(),
        observed: Vec::new(),
        set,
        findings: Findings::new(),
    };
    let found = match asked {
        Asked::Each(None) => None,
        Asked::Each(Some(rules)) => Some(rules.clone()),
        Asked::Candidates(candidates, wanted) => Some(candidates.find(wanted, facts, set, &walk.findings)),
    };
    let waiting = match asked {
        Asked::Candidates(candidates, Wanted::Later) if facts.hello.is_some() && facts.request.is_none() => {
            Some(candidates.waiting())
        }
        Asked::Candidates(..) | Asked::Each(_) => None,
    };
    let told = match asked {
        Asked::Candidates(candidates, Wanted::Later) => candidates.told(facts, set, &walk.findings),
        Asked::Candidates(..) | Asked::Each(_) => None,
    };
    let settled = match asked {
        Asked::Candidates(_, Wanted::Remaining(_, settled)) => settled,
        Asked::Candidates(..) | Asked::Each(_) => None,
    };
    let mut heard = heard;
    let ask = |at: usize| {
        let Some(rule) = rules.get(at) else {
            return false;
        };
        let holds = if waiting.is_some_and(|waiting| waiting.contains(at) && !rule.is_about_names()) {
            Holds::Later("a request")
        } else if settled == Some(at) || told.is_some_and(|told| told.contains(at) && !rule.is_about_names())
        {
            Holds::Yes
        } else {
            rule.holds(facts, set, &walk.findings)
        };
        if let Some(heard) = &mut heard {
            heard(at, holds);
        }
        match holds {
            Holds::No(_) => false,
            Holds::Yes | Holds::SoFar if rule.spec.is_observed => {
                walk.observed.push(at);
                false
            }
            Holds::Later(_) => {
                walk.later.push(at);
                walk.may_permit |= rule.permits() && !rule.spec.is_observed;
                false
            }
            Holds::Name if rule.spec.is_observed => false,
            Holds::Name => {
                walk.reached = Reached::Name(at);
                true
            }
            Holds::Yes | Holds::SoFar => {
                walk.reached = Reached::Rule(at);
                walk.is_settled = holds == Holds::Yes && rule.spec.conditions.is_lasting();
                true
            }
        }
    };
    match &found {
        Some(found) => found.iter().any(ask),
        None => (0..rules.len()).any(ask),
    };
    walk
}

impl Rule {
    fn holds<'s>(&self, facts: &Facts<'_>, set: &'s ListSet, findings: &Findings<'s>) -> Holds {
        use super::facts::User;
        let holds = self.compiled.holds(facts, set, findings);
        if !self.is_about_names() {
            return holds;
        }
        match (holds, facts.user) {
            (no @ Holds::No(_), _) => no,
            (_, User::Known(_)) => Holds::No("it is known who the client is"),
            (Holds::Yes | Holds::SoFar, User::Unasked) => Holds::Name,
            (holds, _) => holds,
        }
    }
}

impl TableWalk<'_> {
    /// The entry of a list by which that rule holds.
    pub(super) fn entry(&self, rule: &Rule, facts: &Facts<'_>) -> Option<MatchedEntry> {
        rule.compiled.entry(facts, self.set, &self.findings)
    }
}
