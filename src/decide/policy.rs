//! The rules, and what they say about a connection.

use super::hosts::List;
use super::{Act, Bump, CertError, Matched, OtherUpgrade, Reason, Splice, Unserved, Verdict};
use crate::wire::names::Authority;
use std::fmt;
use std::sync::Arc;

/// What happens inside a CONNECT to bytes that are neither TLS nor HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Unknown {
    /// They are relayed unread.
    Tunnel,
    /// The connection is closed.
    #[default]
    Refuse,
}

/// The rules as configured, lists compiled.
#[derive(Debug, Clone)]
pub struct Rules {
    /// What matches one of these is spliced; all else is bumped.
    pub splice: Vec<Arc<List>>,
    /// What matches one of these may have a certificate that does not verify.
    pub allow_invalid_certificate: Vec<Arc<List>>,
    /// What matches one of these is not offered HTTP/2.
    pub only_http1: Vec<Arc<List>>,
    /// For bytes that are neither TLS nor HTTP.
    pub unknown_protocol: Unknown,
    /// For an Upgrade to something other than WebSocket.
    pub other_upgrades: OtherUpgrade,
}

impl Default for Rules {
    /// Everything is bumped and verified.
    fn default() -> Self {
        Self {
            splice: Vec::new(),
            allow_invalid_certificate: Vec::new(),
            only_http1: Vec::new(),
            unknown_protocol: Unknown::Refuse,
            other_upgrades: OtherUpgrade::Strip,
        }
    }
}

/// The compiled rules; decides with facts alone.
#[derive(Debug)]
pub struct Policy {
    rules: Rules,
}

impl Policy {
    /// A policy of these rules.
    pub fn new(rules: Rules) -> Self {
        Self { rules }
    }

    /// With only the CONNECT's target known: a splice, or nothing yet.
    pub fn at_connect(&self, target: &Authority) -> Option<Verdict> {
        let matched = find(&self.rules.splice, target)?;
        Some(splice(Reason::ListConnect, Some(matched)))
    }

    /// With the ClientHello known too. The lists are asked for `sni:port`; without an SNI, and with one that no
    /// list has, the answer is a bump. For the target itself [`Policy::at_connect`] has spoken before.
    pub fn at_hello(&self, target: &Authority, sni: Option<&str>) -> Verdict {
        match sni.and_then(|sni| find_name(&self.rules.splice, sni, target.port)) {
            Some(matched) => splice(Reason::ListSni, Some(matched)),
            None => Verdict {
                act: Act::Bump(Bump(())),
                reason: Reason::Default,
                matched: None,
            },
        }
    }

    /// For first bytes that cannot be served.
    pub fn at_unserved(&self, what: Unserved) -> Verdict {
        let reason = match what {
            Unserved::UnknownProtocol => Reason::UnknownProtocol,
            Unserved::ServerSpeaksFirst => Reason::ServerSpeaksFirst,
            Unserved::Silent => Reason::Silent,
            Unserved::BadClientHello => Reason::BadClientHello,
        };
        match self.rules.unknown_protocol {
            Unknown::Tunnel => splice(reason, None),
            Unknown::Refuse => Verdict {
                act: Act::Refuse,
                reason,
                matched: None,
            },
        }
    }

    /// For plain HTTP, which needs no decryption to be served.
    pub fn plain_http(&self, _target: &Authority) -> Verdict {
        Verdict {
            act: Act::Serve,
            reason: Reason::PlainHttp,
            matched: None,
        }
    }

    /// What a certificate that does not verify leads to.
    pub fn cert_error(&self, target: &Authority, sni: Option<&str>) -> CertError {
        if has(&self.rules.allow_invalid_certificate, target, sni) {
            CertError::Allow
        } else {
            CertError::Deny
        }
    }

    /// Whether HTTP/2 may be offered to the origin, and with its consent to the client.
    pub fn may_speak_http2(&self, target: &Authority, sni: Option<&str>) -> bool {
        !has(&self.rules.only_http1, target, sni)
    }

    /// What happens to an Upgrade to something other than WebSocket.
    pub fn other_upgrade(&self) -> OtherUpgrade {
        self.rules.other_upgrades
    }

    /// What would happen to a CONNECT to `target`, for the operator.
    pub fn explain(&self, target: &Authority) -> Explanation {
        Explanation {
            target: target.clone(),
            splice: find(&self.rules.splice, target),
            invalid_certificate: find(&self.rules.allow_invalid_certificate, target),
            only_http1: find(&self.rules.only_http1, target),
            asked: self
                .rules
                .splice
                .iter()
                .map(|list| (list.name().to_owned(), list.len()))
                .collect(),
        }
    }
}

fn splice(reason: Reason, matched: Option<Matched>) -> Verdict {
    Verdict {
        act: Act::Splice(Splice(())),
        reason,
        matched,
    }
}

/// The first match of the first list that has one.
fn find(lists: &[Arc<List>], target: &Authority) -> Option<Matched> {
    lists.iter().find_map(|list| list.find(target))
}

fn find_name(lists: &[Arc<List>], name: &str, port: u16) -> Option<Matched> {
    lists.iter().find_map(|list| list.find_name(name, port))
}

/// Whether the target or the SNI is in one of the lists.
fn has(lists: &[Arc<List>], target: &Authority, sni: Option<&str>) -> bool {
    find(lists, target).is_some() || sni.is_some_and(|sni| find_name(lists, sni, target.port).is_some())
}

/// What would happen to a target, and by which entry of which list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The CONNECT's target.
    pub target: Authority,
    /// The entry that splices it, if one does.
    pub splice: Option<Matched>,
    /// The entry that lets its certificate be invalid, if one does.
    pub invalid_certificate: Option<Matched>,
    /// The entry that keeps HTTP/2 from it, if one does.
    pub only_http1: Option<Matched>,
    /// The splice lists in their order, with their numbers of entries.
    pub asked: Vec<(String, usize)>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            target,
            splice,
            invalid_certificate,
            only_http1,
            asked,
        } = self;
        if let Some(matched) = splice {
            writeln!(f, "{target} is spliced: its bytes are relayed unread.")?;
            return write!(f, "  by {}", Entry(matched));
        }
        writeln!(
            f,
            "{target} is bumped: its TLS is terminated and its content is seen."
        )?;
        if asked.is_empty() {
            write!(f, "  No splice list is configured.")?;
        } else {
            write!(f, "  No splice list matches it:")?;
            for (i, (name, entries)) in asked.iter().enumerate() {
                let comma = if i == 0 { "" } else { "," };
                let plural = if *entries == 1 { "entry" } else { "entries" };
                write!(f, "{comma} {name} ({entries} {plural})")?;
            }
            write!(
                f,
                ".\n  The server name (SNI) of the ClientHello is looked up too, as SNI:{}, and can still lead to a \
                 splice.",
                target.port
            )?;
        }
        match invalid_certificate {
            Some(matched) => write!(
                f,
                "\n  A certificate that does not verify is accepted\n  by {}",
                Entry(matched)
            ),
            None => write!(
                f,
                "\n  A certificate that does not verify is answered with an error page."
            ),
        }?;
        match only_http1 {
            Some(matched) => write!(f, "\n  HTTP/2 is not offered\n  by {}", Entry(matched)),
            None => Ok(()),
        }
    }
}

/// `list "wslist", line 3: PATTERN`
struct Entry<'a>(&'a Matched);

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "list \"{}\", line {}: {}",
            self.0.list, self.0.line, self.0.pattern
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::hosts::Format;
    use crate::wire::names::Host;

    fn at(host: &str, port: u16) -> Authority {
        Authority {
            host: Host::Name(host.into()),
            port,
        }
    }

    fn list(name: &str, text: &str) -> Arc<List> {
        Arc::new(List::parse(name, text, Format::UrlRegex, true).unwrap())
    }

    fn policy() -> Policy {
        Policy::new(Rules {
            splice: vec![
                list("first", "^a\\.example:443$\n"),
                list("second", "\n^[ab]\\.example:443$\n"),
            ],
            allow_invalid_certificate: vec![list("lab", "^([^/][^/]*\\.)*lab\\.example:")],
            ..Rules::default()
        })
    }

    #[test]
    fn http2_is_kept_from_what_a_list_names() {
        let policy = Policy::new(Rules {
            only_http1: vec![list("old", "^old\\.example:")],
            ..Rules::default()
        });
        assert!(!policy.may_speak_http2(&at("old.example", 443), None));
        assert!(!policy.may_speak_http2(&at("192.0.2.1", 443), Some("old.example")));
        assert!(policy.may_speak_http2(&at("a.example", 443), Some("b.example")));
        let told = policy.explain(&at("old.example", 443)).to_string();
        assert!(
            told.contains("HTTP/2 is not offered\n  by list \"old\", line 1"),
            "{told}"
        );
        assert!(
            !policy
                .explain(&at("a.example", 443))
                .to_string()
                .contains("HTTP/2")
        );
    }

    #[test]
    fn the_target_decides_first_and_the_sni_after_it() {
        let policy = policy();
        let verdict = policy.at_connect(&at("a.example", 443)).unwrap();
        assert!(matches!(
            (&verdict.act, verdict.reason),
            (Act::Splice(_), Reason::ListConnect)
        ));
        assert_eq!(&*verdict.matched.unwrap().list, "first");
        assert_eq!(
            policy
                .at_connect(&at("b.example", 443))
                .unwrap()
                .matched
                .unwrap()
                .line,
            2
        );
        assert!(policy.at_connect(&at("c.example", 443)).is_none());
        assert!(policy.at_connect(&at("a.example", 8443)).is_none());

        let verdict = policy.at_hello(&at("192.0.2.1", 443), Some("B.example"));
        assert!(matches!(
            (&verdict.act, verdict.reason),
            (Act::Splice(_), Reason::ListSni)
        ));
        assert_eq!(&*verdict.matched.unwrap().list, "second");
        for sni in [None, Some("c.example")] {
            let verdict = policy.at_hello(&at("192.0.2.1", 443), sni);
            assert!(matches!(
                (&verdict.act, verdict.reason),
                (Act::Bump(_), Reason::Default)
            ));
            assert_eq!(verdict.matched, None);
        }
        let other_port = policy.at_hello(&at("192.0.2.1", 8443), Some("a.example"));
        assert!(matches!(other_port.act, Act::Bump(_)));
    }

    #[test]
    fn what_cannot_be_served_is_refused_or_tunnelled_with_its_reason() {
        let cases = [
            (Unserved::UnknownProtocol, Reason::UnknownProtocol),
            (Unserved::ServerSpeaksFirst, Reason::ServerSpeaksFirst),
            (Unserved::Silent, Reason::Silent),
            (Unserved::BadClientHello, Reason::BadClientHello),
        ];
        for (what, reason) in cases {
            let refused = Policy::new(Rules::default()).at_unserved(what);
            assert!(matches!(refused.act, Act::Refuse));
            assert_eq!(refused.reason, reason);
            let rules = Rules {
                unknown_protocol: Unknown::Tunnel,
                ..Rules::default()
            };
            let tunnelled = Policy::new(rules).at_unserved(what);
            assert!(matches!(tunnelled.act, Act::Splice(_)));
            assert_eq!(tunnelled.reason, reason);
        }
    }

    #[test]
    fn an_invalid_certificate_is_allowed_by_target_or_sni_only() {
        let policy = policy();
        assert_eq!(
            policy.cert_error(&at("x.lab.example", 443), None),
            CertError::Allow
        );
        assert_eq!(
            policy.cert_error(&at("192.0.2.1", 443), Some("lab.example")),
            CertError::Allow
        );
        assert_eq!(
            policy.cert_error(&at("192.0.2.1", 443), Some("a.example")),
            CertError::Deny
        );
        assert_eq!(policy.cert_error(&at("a.example", 443), None), CertError::Deny);
        assert_eq!(
            Policy::new(Rules::default()).cert_error(&at("lab.example", 443), None),
            CertError::Deny
        );
    }

    #[test]
    fn the_rest_is_as_configured() {
        let rules = Rules {
            other_upgrades: OtherUpgrade::Refuse,
            ..Rules::default()
        };
        assert_eq!(Policy::new(rules).other_upgrade(), OtherUpgrade::Refuse);
        let verdict = policy().plain_http(&at("a.example", 80));
        assert!(matches!(
            (verdict.act, verdict.reason),
            (Act::Serve, Reason::PlainHttp)
        ));
    }

    #[test]
    fn an_explanation_names_list_line_and_pattern() {
        let policy = policy();
        assert_eq!(
            policy.explain(&at("b.example", 443)).to_string(),
            "b.example:443 is spliced: its bytes are relayed unread.\n  by list \"second\", line 2: \
             ^[ab]\\.example:443$"
        );
        let bumped = policy.explain(&at("lab.example", 443)).to_string();
        assert!(bumped.contains("is bumped"), "{bumped}");
        assert!(bumped.contains("first (1 entry), second (1 entry)."), "{bumped}");
        assert!(bumped.contains("SNI:443"), "{bumped}");
        assert!(bumped.contains("by list \"lab\", line 1: "), "{bumped}");
        let bare = Policy::new(Rules::default())
            .explain(&at("b.example", 443))
            .to_string();
        assert!(bare.contains("No splice list is configured"), "{bare}");
        assert!(bare.contains("error page"), "{bare}");
    }
}
