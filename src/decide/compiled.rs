//! Conditions that can be asked how far the facts so far answer them.

use super::conditions::Conditions;
use super::facts::{Facts, RequestFacts, User};
use super::findings::Findings;
use super::holds::{Holds, Names};
use super::hosts::List;
use super::list_set::{ListSet, Matches};
use super::verdict::Matched;
use crate::wire::names::Host;
use http::{HeaderName, Method};
use regex::Regex;
use std::sync::Arc;

/// Conditions whose lists are places in a set.
#[derive(Debug)]
pub(super) struct Compiled {
    conditions: Conditions,
    hosts: Vec<usize>,
    except_hosts: Vec<usize>,
    names: Names,
    /// What they let through is let through: in doubt they do not hold.
    permits: bool,
    also: Vec<Compiled>,
    except: Vec<Compiled>,
}

impl Compiled {
    /// `place` finds the place of a list in the set.
    pub(super) fn new(
        conditions: Conditions,
        names: Names,
        place: &mut dyn FnMut(&Arc<List>) -> usize,
    ) -> Self {
        Self::nested(conditions, names, names != Names::Any, place)
    }

    fn nested(
        conditions: Conditions,
        names: Names,
        permits: bool,
        place: &mut dyn FnMut(&Arc<List>) -> usize,
    ) -> Self {
        let hosts = conditions.hosts.iter().map(&mut *place).collect();
        let except_hosts = conditions.except_hosts.iter().map(&mut *place).collect();
        // What an exception from a permission spares is forbidden, and the other way round.
        let contrary = match names {
            Names::Any => Names::All,
            Names::All => Names::Any,
            Names::Sni => Names::Sni,
        };
        let mut inner = |conditions: &[Conditions], names, permits| {
            let each = conditions.iter().cloned();
            each.map(|it| Self::nested(it, names, permits, place)).collect()
        };
        let also = inner(&conditions.also, names, permits);
        let except = inner(&conditions.except, contrary, !permits);
        Self {
            conditions,
            hosts,
            except_hosts,
            names,
            permits,
            also,
            except,
        }
    }

    /// As configured.
    pub(super) fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// The places of the lists that a host has to be in.
    pub(super) fn host_lists(&self) -> &[usize] {
        &self.hosts
    }

    /// Which names have to be listed.
    pub(super) fn names(&self) -> Names {
        self.names
    }

    /// Whether they can hold for somebody who shows nothing.
    pub(super) fn may_be_of_nobody(&self) -> bool {
        let it = &self.conditions;
        !it.asks_name() || (!self.permits && !it.users.iter().any(|user| **user == *"*"))
    }

    /// How far they hold, cheap questions first.
    pub(super) fn holds<'s>(&self, facts: &Facts<'_>, set: &'s ListSet, findings: &Findings<'s>) -> Holds {
        let (it, mut holds) = (&self.conditions, Holds::Yes);
        if !it.listeners.is_empty() && !it.listeners.iter().any(|name| **name == *facts.listener) {
            return Holds::No("listeners");
        }
        if !it.ports.is_empty() && !it.ports.iter().any(|ports| ports.contains(&facts.target.port)) {
            return Holds::No("ports");
        }
        if !it.clients.is_empty() && !it.clients.iter().any(|some| some.contains(facts.client)) {
            return Holds::No("clients");
        }
        if !it.time.is_empty() && !it.time.iter().any(|hours| hours.holds(facts.moment)) {
            return Holds::No("time");
        }
        for ask in [Self::who, Self::request, Self::origin] {
            match ask(self, facts, findings) {
                no @ Holds::No(_) => return no,
                other => holds = holds.and(other),
            }
        }
        if !self.hosts.is_empty() || !self.except_hosts.is_empty() {
            holds = holds.and(self.host(facts, set, findings));
        }
        for also in &self.also {
            holds = holds.and(also.holds(facts, set, findings));
        }
        for except in &self.except {
            if let Holds::No(_) = holds {
                return holds;
            }
            holds = holds.and(except.spares(facts, set, findings));
        }
        holds
    }

    /// How far it holds that these, which are an exception, do not.
    fn spares<'s>(&self, facts: &Facts<'_>, set: &'s ListSet, findings: &Findings<'s>) -> Holds {
        match self.holds(facts, set, findings) {
            // That a tunnel is asked for by CONNECT says nothing of the requests inside of it.
            Holds::Yes if facts.request.is_none() && self.asks_method() => Holds::Later("except"),
            Holds::Yes => Holds::No("except"),
            Holds::No(_) => Holds::Yes,
            Holds::SoFar => Holds::Later("except"),
            Holds::Name => Holds::Name,
            // As where names are excepted from what is permitted.
            Holds::Later("hosts" | "except_hosts") if !self.permits && !self.conditions.needs_name() => {
                Holds::SoFar
            }
            Holds::Later(condition) => Holds::Later(condition),
        }
    }

    fn asks_method(&self) -> bool {
        !self.conditions.methods.is_empty() || self.also.iter().any(Self::asks_method)
    }

    /// The user and its groups.
    fn who(&self, facts: &Facts<'_>, _: &Findings<'_>) -> Holds {
        let it = &self.conditions;
        if it.users.is_empty() && it.groups.is_empty() {
            return Holds::Yes;
        }
        let identity = match facts.user {
            User::Known(identity) => identity,
            User::Unasked => return Holds::Name,
            // Who does not say who it is is held to what is forbidden to anybody by name.
            User::Nobody if self.may_be_of_nobody() => return Holds::Yes,
            User::Nobody => return Holds::No("users: nobody is known"),
        };
        match it.missed_by(identity) {
            None => Holds::Yes,
            Some(key) => Holds::No(key),
        }
    }

    /// What only a request tells.
    fn request(&self, facts: &Facts<'_>, findings: &Findings<'_>) -> Holds {
        let it = &self.conditions;
        let Some(request) = &facts.request else {
            let is_tunnels_own = facts.is_tunnel && it.methods.contains(&Method::CONNECT);
            return if !it.methods.is_empty() && !is_tunnels_own {
                Holds::Later("methods")
            } else if it.path.is_some() {
                Holds::Later("path")
            } else if it.url.is_some() {
                Holds::Later("url")
            } else if !it.upgrade.is_empty() {
                Holds::Later("upgrade")
            } else if !it.headers.is_empty() {
                Holds::Later("headers")
            } else {
                Holds::Yes
            };
        };
        if !it.methods.is_empty() && !it.methods.contains(request.method) {
            return Holds::No("methods");
        }
        if !it.upgrade.is_empty() {
            let names = request.upgrade.into_iter().flat_map(|names| names.split(','));
            let mut names = names.map(|name| name.split('/').next().unwrap_or_default().trim());
            let wanted = |name: &str| it.upgrade.iter().any(|one| one.eq_ignore_ascii_case(name));
            if !names.any(wanted) {
                return Holds::No("upgrade");
            }
        }
        if let Some(path) = &it.path
            && !findings.paths(request.path).any(|written| path.is_match(written))
        {
            return Holds::No("path");
        }
        if let Some(url) = &it.url
            && !self.url_matches(url, facts, request, findings)
        {
            return Holds::No("url");
        }
        let has = |(name, wanted): &(HeaderName, Regex)| {
            let mut test = |value: &[u8]| wanted.is_match(&String::from_utf8_lossy(value));
            request.fields.any(name, &mut test)
        };
        if it.headers.iter().all(has) {
            Holds::Yes
        } else {
            Holds::No("headers")
        }
    }

    /// Whether an expression is found in the request's URL, by the names that count.
    fn url_matches(
        &self,
        url: &Regex,
        facts: &Facts<'_>,
        request: &RequestFacts<'_>,
        findings: &Findings<'_>,
    ) -> bool {
        let port = facts.target.port;
        let (scheme, usual) = if request.is_tls {
            ("https", 443)
        } else {
            ("http", 80)
        };
        let port = if port == usual {
            String::new()
        } else {
            format!(":{port}")
        };
        let found = |host: &dyn std::fmt::Display| {
            let mut paths = findings.paths(request.path);
            paths.any(|path| url.is_match(&format!("{scheme}://{host}{port}{path}")))
        };
        let hello = facts.hello.as_ref();
        let sni = hello.and_then(|hello| hello.sni.filter(|sni| *sni != facts.target.host.to_string()));
        let Some(sni) = sni else {
            return found(&facts.target.host);
        };
        let is_confirmed = hello.is_some_and(|hello| hello.is_confirmed);
        let sni = sni.to_ascii_lowercase();
        match self.names {
            Names::Sni => found(&sni),
            Names::All if !is_confirmed => found(&sni) && found(&facts.target.host),
            Names::Any | Names::All => found(&sni) || found(&facts.target.host),
        }
    }

    /// What only the origin's certificate tells.
    fn origin(&self, facts: &Facts<'_>, _: &Findings<'_>) -> Holds {
        let it = &self.conditions;
        if it.certificate_valid.is_none() && it.issuer.is_none() {
            return Holds::Yes;
        }
        let Some(origin) = &facts.origin else {
            // Without TLS there is no certificate.
            let is_late = facts.request.is_some();
            return if is_late {
                Holds::No("origin: it has no certificate")
            } else {
                Holds::Later("origin")
            };
        };
        if it.certificate_valid.is_some_and(|valid| valid != origin.is_valid) {
            return Holds::No("origin.certificate");
        }
        let issued = |issuer: &Regex| origin.issuer.is_some_and(|name| issuer.is_match(name));
        match &it.issuer {
            Some(issuer) if !issued(issuer) => Holds::No("origin.issuer"),
            _ => Holds::Yes,
        }
    }

    /// The names that the client gives.
    fn host<'s>(&self, facts: &Facts<'_>, set: &'s ListSet, findings: &Findings<'s>) -> Holds {
        let listed = |matches: &Matches<'_>, lists: &[usize]| lists.iter().any(|list| matches.has(*list));
        let target = findings.target(set, facts.target);
        let sni = findings.sni(set, facts);
        let is_complete = facts.hello.is_some();
        let is_confirmed = facts.hello.is_some_and(|hello| hello.is_confirmed);
        // An address may have a name in the ClientHello that stands for it.
        let may_gain = !is_complete && matches!(facts.target.host, Host::Ip(_));
        let any = |lists: &[usize]| listed(target, lists) || sni.is_some_and(|sni| listed(sni, lists));
        let all = |lists: &[usize]| match sni {
            Some(sni) if is_confirmed => listed(sni, lists) || listed(target, lists),
            Some(sni) => listed(sni, lists) && listed(target, lists),
            None => listed(target, lists),
        };
        let claimed = |lists: &[usize]| listed(sni.unwrap_or(target), lists);
        match self.names {
            Names::Sni => {
                // Until the ClientHello is there, its name may be another.
                if !self.except_hosts.is_empty() && claimed(&self.except_hosts) {
                    return if is_complete {
                        Holds::No("except_hosts")
                    } else {
                        Holds::Later("except_hosts")
                    };
                }
                if !self.hosts.is_empty() && !claimed(&self.hosts) {
                    return if is_complete {
                        Holds::No("hosts")
                    } else {
                        Holds::Later("hosts")
                    };
                }
                if is_complete { Holds::Yes } else { Holds::SoFar }
            }
            Names::All => {
                if !self.except_hosts.is_empty() && any(&self.except_hosts) {
                    return Holds::No("except_hosts");
                }
                if !self.hosts.is_empty() && !all(&self.hosts) {
                    return if may_gain {
                        Holds::Later("hosts")
                    } else {
                        Holds::No("hosts")
                    };
                }
                if is_complete { Holds::Yes } else { Holds::SoFar }
            }
            Names::Any => {
                if !self.hosts.is_empty() && !any(&self.hosts) {
                    return if is_complete {
                        Holds::No("hosts")
                    } else {
                        Holds::Later("hosts")
                    };
                }
                if !self.except_hosts.is_empty() && all(&self.except_hosts) {
                    return if is_complete {
                        Holds::No("except_hosts")
                    } else {
                        Holds::Later("except_hosts")
                    };
                }
                Holds::Yes
            }
        }
    }

    /// The entry that a name of the client's is in, if the rule asks for hosts.
    pub(super) fn entry<'s>(
        &self,
        facts: &Facts<'_>,
        set: &'s ListSet,
        findings: &Findings<'s>,
    ) -> Option<MatchedEntry> {
        let find = |matches: &Matches<'_>| self.hosts.iter().find_map(|list| matches.find(*list));
        let by_target = find(findings.target(set, facts.target)).map(|matched| MatchedEntry {
            matched,
            by_sni: false,
        });
        by_target.or_else(|| {
            let matched = find(findings.sni(set, facts)?)?;
            Some(MatchedEntry {
                matched,
                by_sni: true,
            })
        })
    }
}

/// The entry of a list that a name is in.
#[derive(Debug)]
pub(super) struct MatchedEntry {
    pub(super) matched: Matched,
    /// It is the SNI, and not what was asked for.
    pub(super) by_sni: bool,
}
