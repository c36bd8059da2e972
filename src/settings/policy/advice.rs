//! What is allowed in a policy and surely is a mistake.

use crate::decide::policy::{DefaultAction, PolicyConfig};
use crate::decide::{Conditions, List, PolicyRule, RuleAction};
use std::sync::Arc;

/// A sentence for each mistake. `asks_names` says that clients can show who they are.
pub(super) fn warnings(policy: &PolicyConfig, asks_names: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    let rules = &policy.rules;
    for (at, rule) in rules.iter().enumerate() {
        let named = |text: String| format!("policy.rule {:?}: {text}", rule.name);
        let above = rules.get(..at).unwrap_or_default();
        if let Some(first) = above.iter().find(|first| shadows(first, rule)) {
            warnings.push(named(format!(
                "never decides, since whatever it is for is decided by {:?} above it",
                first.name
            )));
        }
        if rule.conditions.needs_content()
            && let Some(splice) = rules.iter().find(|other| keeps_shut(other, rule))
        {
            warnings.push(named(format!(
                "asks for what only a decrypted connection shows, and {:?} splices the hosts that it is for",
                splice.name
            )));
        }
        let hosts = &rule.conditions.hosts;
        let are_in = |lists: &[Arc<List>]| {
            let is_in = |list| lists.iter().any(|known| Arc::ptr_eq(known, list));
            !hosts.is_empty() && hosts.iter().all(is_in)
        };
        if are_in(&policy.deny) {
            warnings.push(named(
                "never decides, since policy.deny has the hosts that it is for".into(),
            ));
        } else if !forbids(rule) && !rule.conditions.needs_content() && are_in(&policy.splice) {
            warnings.push(named(
                "never decides, since policy.splice has the hosts that it is for".into(),
            ));
        } else if rule.conditions.needs_content() && are_in(&policy.splice) {
            warnings.push(named(
                "asks for what only a decrypted connection shows, and policy.splice has the hosts that it is for"
                    .into(),
            ));
        }
        if !asks_names && (rule.conditions.needs_name() || rule.action == RuleAction::Authenticate) {
            warnings.push(named(
                "asks who the client is, and nobody can say so: there is no [auth]".into(),
            ));
        }
        let certificate = rule.conditions.certificate_valid;
        if certificate == Some(false) && rule.action == RuleAction::Allow && rule.conditions.issuer.is_some()
        {
            warnings.push(named(
                "is to allow a certificate that does not verify for its issuer, which nobody has proved: the issuer is not heeded, and the certificate is refused".into(),
            ));
        }
    }
    let needs_name =
        |rule: &PolicyRule| rule.conditions.needs_name() || rule.action == RuleAction::Authenticate;
    if asks_names && !rules.iter().any(needs_name) {
        warnings.push(
            "auth: no rule of the policy asks for users, so that nobody is asked who they are: write a [[policy.rule]] with action = \"authenticate\", users or groups".into(),
        );
    }
    let permits = |rule: &PolicyRule| !matches!(rule.action, RuleAction::Deny | RuleAction::Authenticate);
    if policy.default == DefaultAction::Deny
        && policy.splice.is_empty()
        && !rules.iter().any(|rule| permits(rule) && !rule.is_observed)
    {
        warnings
            .push("policy.default is \"deny\", and no rule allows anything: every request is refused".into());
    }
    for setting in &policy.settings {
        if !asks_names && setting.conditions.needs_name() {
            warnings.push(format!(
                "policy.setting at {}: asks who the client is, and nobody can say so: there is no [auth]",
                setting.says.at
            ));
        }
    }
    warnings
}

/// Whether nothing that `rule` is for gets past `first`.
fn shadows(first: &PolicyRule, rule: &PolicyRule) -> bool {
    let is_final = match first.action {
        // Who has said who it is goes on.
        RuleAction::Authenticate => false,
        // It is not decided by what is still to come, as a rule that permits hosts may be.
        RuleAction::Allow | RuleAction::Splice | RuleAction::Deny => true,
    };
    let by_hosts = !first.conditions.hosts.is_empty() && forbids(first) != forbids(rule);
    is_final && !first.is_observed && !by_hosts && first.conditions.covers(&rule.conditions)
}

fn forbids(rule: &PolicyRule) -> bool {
    matches!(rule.action, RuleAction::Deny | RuleAction::Authenticate)
}

/// Whether `splice` keeps shut whatever `rule` wants to look into.
fn keeps_shut(splice: &PolicyRule, rule: &PolicyRule) -> bool {
    let before = Conditions {
        methods: Vec::new(),
        path: None,
        url: None,
        upgrade: Vec::new(),
        headers: Vec::new(),
        certificate_valid: None,
        issuer: None,
        ..rule.conditions.clone()
    };
    splice.action == RuleAction::Splice && !splice.is_observed && splice.conditions.covers(&before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Format, PolicyConfig};
    use http::Method;

    fn list(name: &str) -> Arc<List> {
        Arc::new(List::parse(name, "a.example\n", Format::Domains, true).unwrap())
    }

    fn rule(name: &str, action: RuleAction, conditions: Conditions) -> PolicyRule {
        PolicyRule {
            name: name.into(),
            title: None,
            conditions,
            is_observed: false,
            action,
            page: None,
            at: "w.toml:1".into(),
        }
    }

    fn warned(policy: PolicyConfig) -> String {
        warnings(&policy, false).join("\n")
    }

    #[test]
    fn a_rule_that_another_one_covers_never_decides() {
        let bank = list("bank");
        let hosts = || Conditions {
            hosts: vec![bank.clone()],
            ..Conditions::default()
        };
        let narrow = || Conditions {
            ports: vec![443..=443],
            ..hosts()
        };
        let of = |first: PolicyRule, second: PolicyRule| {
            warned(PolicyConfig {
                rules: vec![first, second],
                ..PolicyConfig::default()
            })
        };
        let said = of(
            rule("wide", RuleAction::Splice, hosts()),
            rule("narrow", RuleAction::Allow, narrow()),
        );
        assert!(
            said.contains("\"narrow\": never decides") && said.contains("by \"wide\" above"),
            "{said}"
        );
        // The other way round both have something to do.
        let said = of(
            rule("narrow", RuleAction::Splice, narrow()),
            rule("wide", RuleAction::Allow, hosts()),
        );
        assert_eq!(said, "");
        // A rule that permits holds only if all names are listed, one that forbids if any is.
        let said = of(
            rule("wide", RuleAction::Allow, hosts()),
            rule("narrow", RuleAction::Deny, narrow()),
        );
        assert_eq!(said, "");
        let mut observed = rule("wide", RuleAction::Splice, hosts());
        observed.is_observed = true;
        assert_eq!(of(observed, rule("narrow", RuleAction::Allow, narrow())), "");
    }

    #[test]
    fn what_the_lists_decide_is_decided() {
        let bank = list("bank");
        let of = |action, is_denied: bool| {
            let hosts = Conditions {
                hosts: vec![bank.clone()],
                ..Conditions::default()
            };
            let lists = vec![bank.clone()];
            let (deny, splice) = if is_denied {
                (lists, Vec::new())
            } else {
                (Vec::new(), lists)
            };
            warned(PolicyConfig {
                deny,
                splice,
                rules: vec![rule("bank", action, hosts)],
                ..PolicyConfig::default()
            })
        };
        for action in [RuleAction::Allow, RuleAction::Splice] {
            assert!(of(action, true).contains("\"bank\": never decides, since policy.deny has"));
            assert!(of(action, false).contains("\"bank\": never decides, since policy.splice has"));
        }
        assert!(of(RuleAction::Deny, true).contains("never decides"));
        // One of two names is enough for this rule, and not for the list.
        assert_eq!(of(RuleAction::Deny, false), "");
    }

    #[test]
    fn what_is_spliced_shows_no_request() {
        let posts = |hosts: Vec<Arc<List>>| {
            let conditions = Conditions {
                hosts,
                methods: vec![Method::POST],
                ..Conditions::default()
            };
            rule("posts", RuleAction::Deny, conditions)
        };
        let bank = list("bank");
        let splice = Conditions {
            hosts: vec![bank.clone()],
            ..Conditions::default()
        };
        let said = warned(PolicyConfig {
            rules: vec![
                posts(vec![bank.clone()]),
                rule("shut", RuleAction::Splice, splice),
            ],
            ..PolicyConfig::default()
        });
        assert!(
            said.contains("\"posts\": asks for what only") && said.contains("\"shut\" splices"),
            "{said}"
        );
        let said = warned(PolicyConfig {
            rules: vec![posts(vec![bank.clone()])],
            splice: vec![bank.clone()],
            ..PolicyConfig::default()
        });
        assert!(said.contains("policy.splice has the hosts"), "{said}");
        let said = warned(PolicyConfig {
            rules: vec![posts(Vec::new())],
            splice: vec![bank],
            ..PolicyConfig::default()
        });
        assert_eq!(said, "");
    }

    #[test]
    fn names_that_nobody_can_show_and_a_policy_that_allows_nothing() {
        let users = Conditions {
            users: vec!["ada".into()],
            ..Conditions::default()
        };
        let policy = PolicyConfig {
            rules: vec![rule("ada", RuleAction::Deny, users)],
            default: DefaultAction::Deny,
            ..PolicyConfig::default()
        };
        let said = warned(policy.clone());
        assert!(said.contains("\"ada\": asks who the client is"), "{said}");
        assert!(said.contains("no rule allows anything"), "{said}");
        assert!(!warnings(&policy, true).join("").contains("asks who"));
    }
}
