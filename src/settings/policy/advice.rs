//! What is allowed in a policy and surely is a mistake.

use crate::decide::policy::{DefaultAction, PolicyConfig};
use crate::decide::{Conditions, PolicyRule, RuleAction};

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
        let by_list = |list| {
            policy
                .splice
                .iter()
                .any(|known| std::sync::Arc::ptr_eq(known, list))
        };
        let hosts = &rule.conditions.hosts;
        if rule.conditions.needs_content() && !hosts.is_empty() && hosts.iter().all(by_list) {
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
        upgrade: Vec::new(),
        headers: Vec::new(),
        certificate_valid: None,
        issuer: None,
        ..rule.conditions.clone()
    };
    splice.action == RuleAction::Splice && !splice.is_observed && splice.conditions.covers(&before)
}
