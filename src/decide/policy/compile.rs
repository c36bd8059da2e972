//! From a policy as configured to one that can be asked.

use super::Policy;
use super::config::{PolicyConfig, SniTrust};
use crate::decide::action::RuleAction;
use crate::decide::candidates::Candidates;
use crate::decide::conditions::Conditions;
use crate::decide::hosts::List;
use crate::decide::list_set::ListSet;
use crate::decide::rule::{PolicyRule, Rule, Source};
use crate::decide::setting::{PolicySetting, Says, Settings};
use crate::decide::treatment::{TellClient, Treatment, WayOut};
use crate::decide::verdict::CertError;
use std::sync::Arc;

impl Policy {
    /// A policy of these rules.
    pub fn new(config: PolicyConfig) -> Self {
        let mut lists: Vec<Arc<List>> = Vec::new();
        let mut place = |list: &Arc<List>| {
            let known = lists.iter().position(|known| Arc::ptr_eq(known, list));
            known.unwrap_or_else(|| {
                lists.push(Arc::clone(list));
                lists.len() - 1
            })
        };
        let usual = Treatment {
            headers: Vec::new(),
            response_headers: Vec::new(),
            client_certificate: None,
            may_speak_http2: true,
            cert_error: CertError::Deny,
            other_upgrades: config.other_upgrades,
            http_idle: None,
            websocket_idle: None,
            tunnel_idle: None,
            via: config.via,
            inspects: true,
            pages_for_connect: config.pages_for_connect,
            tell_client: TellClient::No,
            tells_client_alone: false,
            adapt_requests: Arc::default(),
            adapt_responses: Arc::default(),
            way: WayOut::default(),
        };
        let needs_time = (config.rules.iter().map(|rule| &rule.conditions))
            .chain(config.settings.iter().map(|setting| &setting.conditions))
            .any(Conditions::needs_time);
        let needs_certificate = config
            .rules
            .iter()
            .any(|rule| rule.conditions.needs_certificate());
        let is_believed = config.sni == SniTrust::Believed;
        let by_lists = [
            (config.deny, "policy.deny", RuleAction::Deny, Source::DenyLists),
            (
                config.splice,
                "policy.splice",
                RuleAction::Splice,
                Source::SpliceLists,
            ),
        ];
        let by_lists = by_lists
            .into_iter()
            .filter(|(lists, ..)| !lists.is_empty())
            .map(|(lists, key, action, source)| (of_lists(lists, key, action), source));
        let table = config.rules.into_iter().map(|rule| (rule, Source::Table));
        let rules: Vec<_> = by_lists
            .chain(table)
            .map(|(rule, source)| Rule::new(rule, source, is_believed, &mut place))
            .collect();
        let by_lists = [
            (
                config.allow_invalid_certificate,
                says(|says| says.allow_invalid_certificate = Some(true)),
            ),
            (config.only_http1, says(|says| says.only_http1 = Some(true))),
            (config.without_via, says(|says| says.via = Some(false))),
        ];
        let by_lists = by_lists.into_iter().filter(|(lists, _)| !lists.is_empty());
        let by_lists = by_lists.map(|(hosts, says)| PolicySetting {
            conditions: Conditions {
                hosts,
                ..Conditions::default()
            },
            says,
        });
        let settings = by_lists.chain(config.settings);
        let settings = settings.map(|setting| setting.compile(&mut place)).collect();
        let lists = ListSet::new(&lists);
        let conditions: Vec<_> = rules.iter().map(|rule| &rule.compiled).collect();
        let permits = |at: usize| rules.get(at).is_some_and(Rule::permits);
        Self {
            candidates: Candidates::new(&conditions, permits, &lists),
            settings: Settings::new(settings, usual, &lists),
            rules,
            lists,
            default: config.default,
            unknown_protocol: config.unknown_protocol,
            needs_time,
            needs_certificate,
        }
    }
}

/// The rule that a key with names of lists stands for.
fn of_lists(hosts: Vec<Arc<List>>, key: &str, action: RuleAction) -> PolicyRule {
    PolicyRule {
        name: key.into(),
        title: None,
        conditions: Conditions {
            hosts,
            ..Conditions::default()
        },
        is_observed: false,
        action,
        page: None,
        at: "".into(),
    }
}

fn says(write: impl FnOnce(&mut Says)) -> Says {
    let mut says = Says::default();
    write(&mut says);
    says
}
