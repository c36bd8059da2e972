//! What verdicts can be, without the tokens that permit them: for logs, and for metrics that start at zero.

use super::verdict::{Act, Reason};
use crate::error::words;

words! {
    /// An [`Act`] as a word.
    pub enum ActKind {
        /// [`Act::Bump`].
        Bump = "bump",
        /// [`Act::Splice`].
        Splice = "splice",
        /// [`Act::Tunnel`].
        Tunnel = "tunnel",
        /// [`Act::Serve`].
        Serve = "serve",
        /// [`Act::Refuse`].
        Refuse = "refuse",
        /// [`Act::Deny`].
        Deny = "deny",
    }
}

/// First bytes that cannot be served; the configuration says what comes of them.
const UNSERVED: [Reason; 4] = [
    Reason::UnknownProtocol,
    Reason::ServerSpeaksFirst,
    Reason::Silent,
    Reason::BadClientHello,
];

impl ActKind {
    /// The reasons that a verdict of this kind can have.
    pub const fn reasons(self) -> &'static [Reason] {
        match self {
            Self::Bump => &[Reason::Default, Reason::Rule],
            Self::Splice => &[Reason::ListConnect, Reason::ListSni, Reason::Rule],
            Self::Serve => &[Reason::PlainHttp],
            Self::Tunnel | Self::Refuse => &UNSERVED,
            Self::Deny => &[Reason::ListDeny, Reason::Rule, Reason::Default],
        }
    }
}

impl Act {
    /// The act as a word.
    pub const fn kind(&self) -> ActKind {
        match self {
            Self::Bump(_) => ActKind::Bump,
            Self::Splice(_) => ActKind::Splice,
            Self::Serve => ActKind::Serve,
            Self::Tunnel(_) => ActKind::Tunnel,
            Self::Refuse => ActKind::Refuse,
            Self::Deny => ActKind::Deny,
        }
    }

    /// The metric label and log word.
    pub const fn label(&self) -> &'static str {
        self.kind().label()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::policy::{AtAsk, DefaultAction};
    use crate::decide::{
        Conditions, Facts, Format, List, Policy, PolicyConfig, PolicyRule, RuleAction, Unknown, Unserved,
        Verdict,
    };
    use crate::wire::names::Authority;
    use std::sync::Arc;

    fn list(name: &str) -> Vec<Arc<List>> {
        let text = format!("{name}.example\n");
        vec![Arc::new(List::parse(name, &text, Format::Domains, true).unwrap())]
    }

    fn rule(name: &str, action: RuleAction) -> PolicyRule {
        PolicyRule {
            name: name.into(),
            title: None,
            conditions: Conditions {
                hosts: list(name),
                ..Conditions::default()
            },
            is_observed: false,
            action,
            page: None,
            at: "".into(),
        }
    }

    /// What a policy can say, at each of the places where it is asked.
    fn verdicts(unknown_protocol: Unknown) -> Vec<Verdict> {
        let config = PolicyConfig {
            splice: list("listed"),
            deny: list("denied"),
            rules: vec![
                rule("let-in", RuleAction::Allow),
                rule("let-by", RuleAction::Splice),
                rule("kept-out", RuleAction::Deny),
            ],
            unknown_protocol,
            ..PolicyConfig::default()
        };
        let strict = Policy::new(PolicyConfig {
            default: DefaultAction::Deny,
            ..config.clone()
        });
        let policy = Policy::new(config);
        let client = [127, 0, 0, 1].into();
        let mut verdicts = vec![policy.plain_http()];
        for (policy, name) in [
            (&policy, "other"),
            (&policy, "listed"),
            (&policy, "denied"),
            (&policy, "let-in"),
            (&policy, "let-by"),
            (&policy, "kept-out"),
            (&strict, "other"),
        ] {
            let target = Authority::parse(&format!("{name}.example:443"), None).unwrap();
            let facts = Facts::tunnel(client, &target);
            match policy.at_ask(&facts) {
                AtAsk::Denied(verdict) => verdicts.push(verdict),
                AtAsk::Name(_) => panic!("nobody is asked"),
                AtAsk::Open(_) => verdicts.push(policy.at_hello(&facts.beginning(None)).verdict),
            }
        }
        let address = Authority::parse("192.0.2.1:443", None).unwrap();
        let mut by_sni = Facts::tunnel(client, &address).beginning(Some("listed.example"));
        by_sni.hello.as_mut().unwrap().is_confirmed = true;
        verdicts.push(policy.at_hello(&by_sni).verdict);
        verdicts.extend(
            [
                Unserved::UnknownProtocol,
                Unserved::ServerSpeaksFirst,
                Unserved::Silent,
                Unserved::BadClientHello,
            ]
            .map(|what| policy.at_unserved(what)),
        );
        verdicts
    }

    #[test]
    fn the_table_has_what_a_policy_says_and_nothing_else() {
        let said: Vec<_> = [Unknown::Tunnel, Unknown::Refuse]
            .into_iter()
            .flat_map(verdicts)
            .map(|verdict| (verdict.act.kind(), verdict.reason))
            .collect();
        for (kind, reason) in &said {
            assert!(
                kind.reasons().contains(reason),
                "{kind:?} {reason:?} is not in the table"
            );
        }
        for kind in ActKind::ALL {
            for reason in kind.reasons() {
                assert!(
                    said.contains(&(*kind, *reason)),
                    "no policy says {kind:?} {reason:?}"
                );
            }
        }
    }
}
