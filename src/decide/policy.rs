//! The rules, and what they say about a connection.

use super::explanation::Explanation;
use super::hosts::List;
use super::verdict::{
    Act, Bump, CertError, Matched, OtherUpgrade, Reason, Splice, Tunnel, Unserved, Verdict,
};
use crate::wire::names::Authority;
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
pub struct PolicyConfig {
    /// What matches one of these is denied, whatever else holds it.
    pub deny: Vec<Arc<List>>,
    /// What matches one of these is spliced; all else is bumped.
    pub splice: Vec<Arc<List>>,
    /// What matches one of these may have a certificate that does not verify.
    pub allow_invalid_certificate: Vec<Arc<List>>,
    /// What matches one of these is not offered HTTP/2.
    pub only_http1: Vec<Arc<List>>,
    /// Whether this proxy adds itself to Via (RFC 9110 section 7.6.3).
    pub via: bool,
    /// What matches one of these gets no Via, whatever `via` says.
    pub without_via: Vec<Arc<List>>,
    /// For bytes that are neither TLS nor HTTP.
    pub unknown_protocol: Unknown,
    /// For an Upgrade to something other than WebSocket.
    pub other_upgrades: OtherUpgrade,
}

impl Default for PolicyConfig {
    /// Everything is bumped and verified.
    fn default() -> Self {
        Self {
            deny: Vec::new(),
            splice: Vec::new(),
            allow_invalid_certificate: Vec::new(),
            only_http1: Vec::new(),
            via: true,
            without_via: Vec::new(),
            unknown_protocol: Unknown::Refuse,
            other_upgrades: OtherUpgrade::Strip,
        }
    }
}

/// The compiled rules; decides with facts alone.
#[derive(Debug)]
pub struct Policy {
    rules: PolicyConfig,
}

impl Policy {
    /// A policy of these rules.
    pub fn new(rules: PolicyConfig) -> Self {
        Self { rules }
    }

    /// With only the target known, before anything is resolved or dialled: a denial, a splice, or nothing yet. A
    /// denial wins over a splice.
    pub fn at_ask(&self, target: &Authority) -> Option<Verdict> {
        if let Some(matched) = find(&self.rules.deny, target) {
            return Some(by_list(Act::Deny, Reason::ListDeny, matched));
        }
        let matched = find(&self.rules.splice, target)?;
        Some(by_list(Act::Splice(Splice(())), Reason::ListConnect, matched))
    }

    /// With the ClientHello known too. The lists are asked for `sni:port`; without an SNI, and with one that no
    /// list has, the answer is a bump. For the target itself [`Policy::at_ask`] has spoken before.
    pub fn at_hello(&self, target: &Authority, sni: Option<&str>) -> Verdict {
        if let Some(denied) = self.denied_sni(target, sni) {
            return denied;
        }
        match sni.and_then(|sni| find_name(&self.rules.splice, sni, target.port)) {
            Some(matched) => by_list(Act::Splice(Splice(())), Reason::ListSni, matched),
            None => Verdict {
                act: Act::Bump(Bump(())),
                reason: Reason::Default,
                matched: None,
            },
        }
    }

    /// A denial, if a deny list has the SNI. It holds for a target that is spliced by [`Policy::at_ask`] too.
    pub fn denied_sni(&self, target: &Authority, sni: Option<&str>) -> Option<Verdict> {
        let matched = find_name(&self.rules.deny, sni?, target.port)?;
        Some(by_list(Act::Deny, Reason::ListDeny, matched))
    }

    /// For first bytes that cannot be served.
    pub fn at_unserved(&self, what: Unserved) -> Verdict {
        let reason = match what {
            Unserved::UnknownProtocol => Reason::UnknownProtocol,
            Unserved::ServerSpeaksFirst => Reason::ServerSpeaksFirst,
            Unserved::Silent => Reason::Silent,
            Unserved::BadClientHello => Reason::BadClientHello,
        };
        Verdict {
            act: match self.rules.unknown_protocol {
                Unknown::Tunnel => Act::Tunnel(Tunnel(())),
                Unknown::Refuse => Act::Refuse,
            },
            reason,
            matched: None,
        }
    }

    /// For a request by `https` that a client asks the proxy for (RFC 9112 section 3.2.2): the client has no TLS of its own
    /// that could be spliced, and what it asks is in the open already.
    pub fn proxied_https(&self, _target: &Authority) -> Verdict {
        Verdict {
            act: Act::Bump(Bump(())),
            reason: Reason::Default,
            matched: None,
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

    /// Whether requests to this origin and its responses get a Via of this proxy (RFC 9110 section 7.6.3).
    pub fn adds_via(&self, target: &Authority, sni: Option<&str>) -> bool {
        self.rules.via && !has(&self.rules.without_via, target, sni)
    }

    /// [`Policy::adds_via`] for an origin that no list holds.
    pub fn adds_via_by_default(&self) -> bool {
        self.rules.via
    }

    /// What happens to an Upgrade to something other than WebSocket.
    pub fn other_upgrade(&self) -> OtherUpgrade {
        self.rules.other_upgrades
    }

    /// What would happen to `target`, for the operator.
    pub fn explain(&self, target: &Authority) -> Explanation {
        let rules = &self.rules;
        let sizes = |lists: &[Arc<List>]| {
            let lists = lists.iter();
            lists.map(|list| (list.name().to_owned(), list.len())).collect()
        };
        Explanation {
            target: target.clone(),
            deny: find(&rules.deny, target),
            splice: find(&rules.splice, target),
            invalid_certificate: find(&rules.allow_invalid_certificate, target),
            only_http1: find(&rules.only_http1, target),
            without_via: find(&rules.without_via, target).filter(|_| rules.via),
            deny_lists: sizes(&rules.deny),
            splice_lists: sizes(&rules.splice),
        }
    }
}

fn by_list(act: Act, reason: Reason, matched: Matched) -> Verdict {
    Verdict {
        act,
        reason,
        matched: Some(matched),
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

#[cfg(test)]
mod tests;
