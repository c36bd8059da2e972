//! The policy: its table, and what it says at each stage of a connection.

mod answer;
mod compile;
mod config;

use super::action::RuleAction;
use super::bits::Bits;
use super::candidates::{Candidates, Wanted};
use super::facts::{Facts, OriginFacts};
use super::findings::Findings;
use super::hosts::List;
use super::list_set::ListSet;
use super::rule::{Asked, PolicyRule, Reached, Rule, Source, TableWalk, walk};
use super::setting::Settings;
use super::treatment::Treatment;
use super::verdict::{Act, Bump, CertError, Observed, Reason, Splice, Tunnel, Unserved, Verdict};
use crate::identity::Identity;
pub use answer::{AtAsk, AtHello, Permitted, Remaining};
pub use config::{DefaultAction, PolicyConfig, SniTrust, Unknown};
use std::sync::Arc;

/// The compiled rules; decides with facts alone.
#[derive(Debug)]
pub struct Policy {
    pub(super) rules: Vec<Rule>,
    pub(super) candidates: Candidates,
    pub(super) settings: Settings,
    pub(super) lists: ListSet,
    pub(super) default: DefaultAction,
    pub(super) unknown_protocol: Unknown,
    /// A rule asks for the time.
    pub(super) needs_time: bool,
    /// A rule asks for an origin's certificate.
    pub(super) needs_certificate: bool,
}

impl Policy {
    /// Whether a rule asks for the time.
    pub fn needs_time(&self) -> bool {
        self.needs_time
    }

    /// Whether a rule that permits something asks for the host.
    pub fn needs_names(&self) -> bool {
        self.rules.iter().any(|rule| {
            let conditions = &rule.spec.conditions;
            matches!(rule.spec.action, RuleAction::Allow | RuleAction::Splice) && conditions.needs_hosts()
        })
    }

    /// Whether [`Policy::at_origin`] has anything to say.
    pub fn needs_certificate(&self) -> bool {
        self.needs_certificate
    }

    /// With only the ask known, before anything is resolved or dialled.
    pub fn at_ask(&self, facts: &Facts<'_>) -> AtAsk {
        let walk = self.walk_for(Wanted::Now, facts);
        match walk.reached {
            Reached::Name(at) => AtAsk::Name(self.name(at)),
            Reached::Rule(at) if self.forbids(at) && !walk.may_permit => {
                AtAsk::Denied(self.verdict(&walk, facts, Act::Deny))
            }
            Reached::Default if self.default == DefaultAction::Deny && !walk.may_permit => {
                AtAsk::Denied(self.verdict(&walk, facts, Act::Deny))
            }
            Reached::Rule(_) | Reached::Default => AtAsk::Open(Permitted {
                rule: None,
                observed: self.observed(&walk),
            }),
        }
    }

    /// With the beginning of a tunnel's content known too: the ClientHello, or that there is none.
    pub fn at_hello(&self, facts: &Facts<'_>) -> AtHello {
        let walk = self.walk(facts, None);
        let act = match (self.action(walk.reached), walk.may_permit) {
            (RuleAction::Splice, _) => Act::Splice(Splice(())),
            // What would permit it shows only inside.
            (RuleAction::Allow, _) | (_, true) => Act::Bump(Bump(())),
            (RuleAction::Deny | RuleAction::Authenticate, false) => Act::Deny,
        };
        let remaining = (!walk.later.is_empty() && matches!(act, Act::Bump(_))).then(|| {
            let reached = match walk.reached {
                Reached::Rule(at) | Reached::Name(at) => Some(at),
                Reached::Default => None,
            };
            let mut rules = Bits::none(self.rules.len());
            walk.later
                .iter()
                .copied()
                .chain(reached)
                .for_each(|at| rules.insert(at));
            let settled = reached.filter(|_| walk.is_settled);
            Remaining { rules, settled }
        });
        let is_denied = matches!(
            self.action(walk.reached),
            RuleAction::Deny | RuleAction::Authenticate
        );
        AtHello {
            otherwise: (is_denied && walk.may_permit).then(|| self.verdict(&walk, facts, Act::Deny)),
            verdict: self.verdict(&walk, facts, act),
            remaining,
        }
    }

    /// With the origin's certificate known too: a denial, if that is what comes of it.
    pub fn at_origin(&self, facts: &Facts<'_>, remaining: Option<&Remaining>) -> Option<Verdict> {
        let walk = self.walk(facts, Some(remaining?));
        let is_denied = match walk.reached {
            Reached::Rule(at) | Reached::Name(at) => self.forbids(at),
            Reached::Default => self.default == DefaultAction::Deny,
        };
        (is_denied && !walk.may_permit).then(|| self.verdict(&walk, facts, Act::Deny))
    }

    /// About a tunnel that leads nowhere, as far as it is known: the permission to terminate its TLS and say why; `None` where
    /// it would not be decrypted either if it led on.
    pub fn at_dead_end(&self, facts: &Facts<'_>) -> Option<Bump> {
        let act = self.at_hello(facts).verdict.act;
        (!matches!(act, Act::Splice(_))).then_some(Bump(()))
    }

    /// For TLS with the proxy's own portal, which leads nowhere and is nobody else's business.
    pub fn at_portal(&self) -> Verdict {
        Verdict::of(Act::Bump(Bump(())), Reason::Default)
    }

    /// How what passes between a client and the portal is treated: it is the proxy's own word.
    pub fn portal_treatment(&self) -> Arc<Treatment> {
        Arc::new(Treatment {
            headers: Vec::new(),
            may_speak_http2: false,
            via: false,
            inspects: false,
            ..Treatment::clone(self.settings.usual())
        })
    }

    /// About one request of a connection, with its head known.
    pub fn at_request(&self, facts: &Facts<'_>, remaining: &Remaining) -> AtAsk {
        self.about_request(facts, &self.walk(facts, Some(remaining)))
    }

    /// About a request that names its server, with its head known, and how it is treated if it may go on.
    pub fn at_named_request(&self, facts: &Facts<'_>) -> (AtAsk, Arc<Treatment>) {
        let walk = self.walk(facts, None);
        let treatment = self.treatment_of(facts, &walk.findings);
        (self.about_request(facts, &walk), treatment)
    }

    fn about_request(&self, facts: &Facts<'_>, walk: &TableWalk<'_>) -> AtAsk {
        match walk.reached {
            Reached::Name(at) => AtAsk::Name(self.name(at)),
            reached => match self.action(reached) {
                RuleAction::Deny | RuleAction::Authenticate => {
                    AtAsk::Denied(self.verdict(walk, facts, Act::Deny))
                }
                RuleAction::Allow | RuleAction::Splice => AtAsk::Open(Permitted {
                    rule: self.written(reached),
                    observed: self.observed(walk),
                }),
            },
        }
    }

    /// For first bytes that cannot be served, of what may go on.
    pub fn at_unserved(&self, what: Unserved) -> Verdict {
        let reason = match what {
            Unserved::UnknownProtocol => Reason::UnknownProtocol,
            Unserved::ServerSpeaksFirst => Reason::ServerSpeaksFirst,
            Unserved::Silent => Reason::Silent,
            Unserved::BadClientHello => Reason::BadClientHello,
        };
        let act = match self.unknown_protocol {
            Unknown::Tunnel => Act::Tunnel(Tunnel(())),
            Unknown::Refuse => Act::Refuse,
        };
        Verdict::of(act, reason)
    }

    /// For a request by `https` that a client asks the proxy for (RFC 9112 section 3.2.2) and that may go on: the client has
    /// no TLS of its own that could be spliced, and what it asks is in the open already.
    pub fn proxied_https(&self) -> Verdict {
        Verdict::of(Act::Bump(Bump(())), Reason::Default)
    }

    /// For a handshake of the proxy's own with an origin, to see its certificate: nothing of a client's goes over it.
    pub fn own_handshake(&self) -> Bump {
        Bump(())
    }

    /// For plain HTTP that may go on, which needs no decryption to be served.
    pub fn plain_http(&self) -> Verdict {
        Verdict::of(Act::Serve, Reason::PlainHttp)
    }

    /// How what no setting speaks of is treated.
    pub fn usual_treatment(&self) -> &Arc<Treatment> {
        self.settings.usual()
    }

    /// How what these facts are of is treated.
    pub fn treatment(&self, facts: &Facts<'_>) -> Arc<Treatment> {
        self.treatment_of(facts, &Findings::new())
    }

    fn treatment_of<'s>(&'s self, facts: &Facts<'_>, findings: &Findings<'s>) -> Arc<Treatment> {
        let mut treatment = self.settings.treatment(facts, &self.lists, findings);
        if self.needs_certificate && self.permits_invalid(facts) {
            Arc::make_mut(&mut treatment).cert_error = CertError::Allow;
        }
        treatment
    }

    /// Whether a rule that asks for a certificate that does not verify allows it.
    fn permits_invalid(&self, facts: &Facts<'_>) -> bool {
        let mut facts = facts.clone();
        facts.origin = Some(OriginFacts {
            is_valid: false,
            issuer: None,
        });
        match self.walk(&facts, None).reached {
            Reached::Rule(at) => self.rules.get(at).is_some_and(|rule| {
                rule.spec.action == RuleAction::Allow && rule.spec.conditions.certificate_valid == Some(false)
            }),
            Reached::Default | Reached::Name(_) => false,
        }
    }

    /// The names of the rules of the table, for metrics that start at zero.
    pub fn rule_names(&self) -> impl Iterator<Item = (&Arc<str>, bool)> {
        let table = self.rules.iter().filter(|rule| rule.source == Source::Table);
        table.map(|rule| (&rule.spec.name, rule.spec.is_observed))
    }

    /// The rules of the table that ask for users or groups: each with the key of what this user does not meet, if there is
    /// such a key. Their other conditions are not asked.
    pub fn rules_by_user<'a>(
        &'a self,
        identity: &'a Identity,
    ) -> impl Iterator<Item = (&'a PolicyRule, Option<&'static str>)> {
        let table = self.rules.iter().filter(|rule| rule.source == Source::Table);
        table
            .filter(|rule| rule.spec.conditions.needs_name())
            .map(|rule| (&rule.spec, rule.spec.conditions.missed_by(identity)))
    }

    /// The rules of the table, in their order.
    pub fn table(&self) -> impl Iterator<Item = &PolicyRule> {
        let table = self.rules.iter().filter(|rule| rule.source == Source::Table);
        table.map(|rule| &rule.spec)
    }

    /// The lists that its rules and settings name.
    pub fn named_lists(&self) -> &[Arc<List>] {
        self.lists.lists()
    }

    /// How many settings the table has.
    pub fn setting_count(&self) -> usize {
        self.settings.written()
    }

    pub(super) fn walk(&self, facts: &Facts<'_>, remaining: Option<&Remaining>) -> TableWalk<'_> {
        let wanted = remaining.map_or(Wanted::Later, Remaining::wanted);
        self.walk_for(wanted, facts)
    }

    fn walk_for(&self, wanted: Wanted<'_>, facts: &Facts<'_>) -> TableWalk<'_> {
        let asked = Asked::Candidates(&self.candidates, wanted);
        walk(&self.rules, asked, &self.lists, facts, None)
    }

    fn action(&self, reached: Reached) -> RuleAction {
        match reached {
            Reached::Rule(at) | Reached::Name(at) => {
                (self.rules.get(at)).map_or(RuleAction::Deny, |rule| rule.spec.action)
            }
            Reached::Default => match self.default {
                DefaultAction::Allow => RuleAction::Allow,
                DefaultAction::Deny => RuleAction::Deny,
            },
        }
    }

    fn forbids(&self, at: usize) -> bool {
        matches!(
            self.action(Reached::Rule(at)),
            RuleAction::Deny | RuleAction::Authenticate
        )
    }

    fn name(&self, at: usize) -> Arc<str> {
        (self.rules.get(at)).map_or_else(|| "".into(), |rule| Arc::clone(&rule.spec.name))
    }

    /// The name of what decides, if that is a rule of the table.
    fn written(&self, reached: Reached) -> Option<Arc<str>> {
        match reached {
            Reached::Rule(at) | Reached::Name(at) => {
                let rule = self.rules.get(at)?;
                (rule.source == Source::Table).then(|| Arc::clone(&rule.spec.name))
            }
            Reached::Default => None,
        }
    }

    fn observed(&self, walk: &TableWalk<'_>) -> Vec<Observed> {
        let rules = walk.observed.iter().filter_map(|at| self.rules.get(*at));
        rules
            .map(|rule| Observed {
                rule: Arc::clone(&rule.spec.name),
                action: rule.spec.action,
            })
            .collect()
    }

    pub(super) fn verdict(&self, walk: &TableWalk<'_>, facts: &Facts<'_>, act: Act) -> Verdict {
        let observed = self.observed(walk);
        let rule = match walk.reached {
            Reached::Rule(at) | Reached::Name(at) => self.rules.get(at),
            Reached::Default => None,
        };
        let Some(rule) = rule else {
            return Verdict {
                observed,
                ..Verdict::of(act, Reason::Default)
            };
        };
        let entry = walk.entry(rule, facts);
        let by_sni = entry.as_ref().is_some_and(|entry| entry.by_sni);
        let reason = match rule.source {
            Source::Table => Reason::Rule,
            Source::DenyLists => Reason::ListDeny,
            Source::SpliceLists if by_sni => Reason::ListSni,
            Source::SpliceLists => Reason::ListConnect,
        };
        Verdict {
            act,
            reason,
            rule: (rule.source == Source::Table).then(|| Arc::clone(&rule.spec.name)),
            title: rule.spec.title.clone(),
            page: rule.spec.page.clone(),
            matched: entry.map(|entry| entry.matched),
            observed,
        }
    }
}

#[cfg(test)]
mod tests;
