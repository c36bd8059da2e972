//! What `wsbump explain` says: what would happen, step by step, and why each rule above did not decide.

mod text;
mod told;

use super::action::RuleAction;
use super::facts::{Facts, User};
use super::holds::Holds;
use super::policy::{AtAsk, AtHello, Policy, Remaining};
use super::rule::{Asked, Source, walk};
use super::verdict::{Act, Matched, Reason, Verdict};
use crate::error::words;
use crate::wire::names::{Authority, Host};
use std::sync::Arc;

words! {
    /// What comes of it.
    pub enum ExplainedAction {
        /// It is decrypted.
        Bump = "bump",
        /// It is relayed as it is.
        Splice = "splice",
        /// It goes no further.
        Deny = "deny",
        /// The client has to say who it is.
        Authenticate = "authenticate",
    }
}

/// What one rule says at one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleStep {
    /// `ask`, `hello` or `request`.
    pub stage: &'static str,
    /// The rule.
    pub rule: Arc<str>,
    /// What it does where it holds.
    pub action: RuleAction,
    /// It is only observed.
    pub is_observed: bool,
    /// Where it was written, unless it is a key with names of lists.
    pub at: Box<str>,
    /// `yes`, `no`, `later` or `name`.
    pub holds: &'static str,
    /// The condition that does not hold, or that waits.
    pub condition: Option<&'static str>,
}

/// What would happen, and why.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// What a client asks for.
    pub target: Authority,
    /// What comes of it.
    pub action: ExplainedAction,
    /// Why.
    pub reason: Reason,
    /// The rule that decides, or that wants a name.
    pub rule: Option<Arc<str>>,
    /// The entry of the list by which it does.
    pub matched: Option<Matched>,
    /// What each rule says that was asked, in order.
    pub steps: Vec<RuleStep>,
    /// What decides nothing as long as the request is not known: the rules that wait for one.
    pub waiting: Vec<Arc<str>>,
    /// What the name in a ClientHello that is not known yet can still lead to.
    pub sni_may: Vec<ExplainedAction>,
    /// How it is treated, a sentence each.
    pub treatment: Vec<String>,
    /// Which way it goes, a sentence each; empty if it is dialled as everything is.
    pub way: Vec<String>,
    /// The parents that lead there, by their names.
    pub parents: Arc<[Arc<str>]>,
    /// The deny lists in their order, with their numbers of entries.
    deny_lists: Vec<(String, usize)>,
    /// The splice lists in their order, with their numbers of entries.
    splice_lists: Vec<(String, usize)>,
}

impl Policy {
    /// What would happen, step by step, for the operator.
    pub fn explain(&self, facts: &Facts<'_>) -> Explanation {
        explain(self, facts)
    }
}

/// Asks a policy as a connection would, as far as the facts go.
fn explain(policy: &Policy, facts: &Facts<'_>) -> Explanation {
    let mut said = Explanation {
        target: facts.target.clone(),
        action: ExplainedAction::Bump,
        reason: Reason::Default,
        rule: None,
        matched: None,
        steps: Vec::new(),
        waiting: Vec::new(),
        sni_may: Vec::new(),
        treatment: Vec::new(),
        way: Vec::new(),
        parents: Arc::default(),
        deny_lists: policy.sizes(Source::DenyLists),
        splice_lists: policy.sizes(Source::SpliceLists),
    };
    let ask = Facts {
        hello: facts.hello.filter(|_| !facts.is_tunnel),
        origin: None,
        request: facts.request.filter(|_| !facts.is_tunnel),
        ..facts.clone()
    };
    said.hear(
        policy,
        if facts.is_tunnel { "ask" } else { "request" },
        &ask,
        None,
    );
    let asked = match facts.is_tunnel {
        true => policy.at_ask(&ask),
        false => policy.at_named_request(&ask).0,
    };
    let has_ended = said.ended(asked);
    if has_ended || !facts.is_tunnel {
        if !has_ended {
            said.permitted(policy, &ask, None);
        }
        said.treat(policy, facts);
        return said;
    }
    // Without a name of its own the ClientHello says the one that was asked for.
    let hello = match facts.hello {
        Some(_) => facts.clone(),
        None => facts.clone().beginning(None),
    };
    let hello = Facts {
        origin: None,
        request: None,
        user: match facts.user {
            User::Unasked => User::Nobody,
            user => user,
        },
        ..hello
    };
    if facts.hello.is_some() || facts.request.is_some() {
        said.hear(policy, "hello", &hello, None);
    }
    let AtHello {
        verdict, remaining, ..
    } = policy.at_hello(&hello);
    said.reached(&verdict);
    if facts.hello.is_none() {
        said.sni_may = policy.sni_may(facts, &verdict);
    }
    if let (Some(remaining), true) = (&remaining, facts.request.is_some()) {
        let request = Facts {
            user: hello.user,
            hello: hello.hello,
            ..facts.clone()
        };
        said.hear(policy, "request", &request, Some(remaining));
        if !said.ended(policy.at_request(&request, remaining)) {
            said.permitted(policy, &request, Some(remaining));
        }
    } else if let Some(remaining) = &remaining {
        said.waiting = policy.waiting(&hello, remaining);
    }
    said.treat(policy, &hello);
    said
}

impl Explanation {
    /// Notes what each rule says.
    fn hear(
        &mut self,
        policy: &Policy,
        stage: &'static str,
        facts: &Facts<'_>,
        remaining: Option<&Remaining>,
    ) {
        let steps = &mut self.steps;
        let mut heard = |at: usize, holds: Holds| {
            let Some(rule) = policy.rules.get(at) else {
                return;
            };
            let (word, condition) = match holds {
                Holds::Yes | Holds::SoFar => ("yes", None),
                Holds::No(condition) => ("no", Some(condition)),
                Holds::Later(condition) => ("later", Some(condition)),
                Holds::Name => ("name", None),
            };
            steps.push(RuleStep {
                stage,
                rule: Arc::clone(&rule.spec.name),
                action: rule.spec.action,
                is_observed: rule.spec.is_observed,
                at: rule.spec.at.clone(),
                holds: word,
                condition,
            });
        };
        walk(
            &policy.rules,
            Asked::Each(remaining.map(Remaining::rules)),
            &policy.lists,
            facts,
            Some(&mut heard),
        );
    }

    /// Whether the matter has ended there.
    fn ended(&mut self, asked: AtAsk) -> bool {
        match asked {
            AtAsk::Denied(verdict) => {
                self.reached(&verdict);
                true
            }
            AtAsk::Name(rule) => {
                self.action = ExplainedAction::Authenticate;
                self.reason = Reason::Rule;
                self.rule = Some(rule);
                true
            }
            AtAsk::Open(_) => false,
        }
    }

    /// A request may go on, which is decided by what it shows and not by what its tunnel has.
    fn permitted(&mut self, policy: &Policy, facts: &Facts<'_>, remaining: Option<&Remaining>) {
        let walk = policy.walk(facts, remaining);
        let verdict = policy.verdict(&walk, facts, Act::Serve);
        (self.reason, self.rule, self.matched) = (verdict.reason, verdict.rule, verdict.matched);
    }

    fn reached(&mut self, verdict: &Verdict) {
        self.action = match verdict.act {
            Act::Splice(_) => ExplainedAction::Splice,
            Act::Deny | Act::Refuse => ExplainedAction::Deny,
            Act::Bump(_) | Act::Tunnel(_) | Act::Serve => ExplainedAction::Bump,
        };
        self.reason = verdict.reason;
        self.rule.clone_from(&verdict.rule);
        self.matched.clone_from(&verdict.matched);
    }

    fn treat(&mut self, policy: &Policy, facts: &Facts<'_>) {
        let explains = |facts: &Facts<'_>| {
            facts.is_tunnel
                && policy.treatment(facts).pages_for_connect
                && policy.at_dead_end(facts).is_some()
        };
        match self.action {
            ExplainedAction::Bump => self.treatment = policy.told_treatment(facts),
            ExplainedAction::Deny
                if explains(&facts.clone().beginning(facts.hello.and_then(|hello| hello.sni))) =>
            {
                self.treatment = vec![
                    "Its CONNECT is granted, and the reason told inside (pages.for_connect).".to_owned(),
                ];
            }
            ExplainedAction::Deny | ExplainedAction::Splice | ExplainedAction::Authenticate => {}
        }
        if matches!(self.action, ExplainedAction::Bump | ExplainedAction::Splice) {
            // A tunnel is dialled before its ClientHello is there.
            let facts = match facts.is_tunnel {
                true => facts.clone().beginning(None),
                false => facts.clone(),
            };
            let way = &policy.treatment(&facts).way;
            self.parents = Arc::clone(&way.parents);
            self.way = policy.told_way(&facts, way);
        }
    }
}

impl Policy {
    /// The lists of a key of `[policy]`, with their numbers of entries.
    fn sizes(&self, source: Source) -> Vec<(String, usize)> {
        let rules = self.rules.iter().filter(|rule| rule.source == source);
        rules
            .flat_map(|rule| &rule.spec.conditions.hosts)
            .map(|list| (list.name().to_owned(), list.len()))
            .collect()
    }

    /// The rules that wait for a request.
    fn waiting(&self, facts: &Facts<'_>, remaining: &Remaining) -> Vec<Arc<str>> {
        let walk = self.walk(facts, Some(remaining));
        let rules = walk.later.iter().filter_map(|at| self.rules.get(*at));
        rules.map(|rule| Arc::clone(&rule.spec.name)).collect()
    }

    /// What the name in the ClientHello can still lead to, for a target without a known one.
    fn sni_may(&self, facts: &Facts<'_>, verdict: &Verdict) -> Vec<ExplainedAction> {
        let walk = self.walk(
            &Facts {
                hello: None,
                user: User::Nobody,
                ..facts.clone()
            },
            None,
        );
        let waits = |action: RuleAction| {
            walk.later
                .iter()
                .filter_map(|at| self.rules.get(*at))
                .any(|rule| {
                    let conditions = &rule.spec.conditions;
                    rule.spec.action == action
                        && !rule.spec.is_observed
                        && !(conditions.hosts.is_empty() && conditions.except_hosts.is_empty())
                })
        };
        let is_address = matches!(facts.target.host, Host::Ip(_));
        let mut may = Vec::new();
        if waits(RuleAction::Deny) {
            may.push(ExplainedAction::Deny);
        }
        if is_address && waits(RuleAction::Splice) && !matches!(verdict.act, Act::Splice(_)) {
            may.push(ExplainedAction::Splice);
        }
        may
    }
}
