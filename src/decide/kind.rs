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
            Self::Bump => &[Reason::Default],
            Self::Splice => &[Reason::ListConnect, Reason::ListSni],
            Self::Serve => &[Reason::PlainHttp],
            Self::Tunnel | Self::Refuse => &UNSERVED,
            Self::Deny => &[Reason::ListDeny],
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
    use crate::decide::{Format, List, Policy, PolicyConfig, Unknown, Unserved, Verdict};
    use crate::wire::names::{Authority, Host};
    use std::sync::Arc;

    /// What a policy can say, at each of the places where it is asked.
    fn verdicts(unknown_protocol: Unknown) -> Vec<Verdict> {
        let target = |name: &str| Authority {
            host: Host::Name(name.into()),
            port: 443,
        };
        let list = List::parse("listed", "^listed\\.example:443$\n", Format::UrlRegex, true).unwrap();
        let denied = List::parse("denied", "^denied\\.example:443$\n", Format::UrlRegex, true).unwrap();
        let policy = Policy::new(PolicyConfig {
            splice: vec![Arc::new(list)],
            deny: vec![Arc::new(denied)],
            unknown_protocol,
            ..PolicyConfig::default()
        });
        let other = target("other.example");
        let mut verdicts = vec![
            policy.at_hello(&other, None),
            policy.at_hello(&other, Some("listed.example")),
            policy.plain_http(&other),
        ];
        verdicts.extend(policy.at_ask(&target("listed.example")));
        verdicts.extend(policy.at_ask(&target("denied.example")));
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
