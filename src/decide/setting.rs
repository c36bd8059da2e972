//! What holds for some of the traffic, once it may go on.

use super::bits::Bits;
use super::candidates::{Candidates, Wanted};
use super::compiled::Compiled;
use super::conditions::Conditions;
use super::facts::Facts;
use super::findings::Findings;
use super::holds::{Holds, Names};
use super::hosts::List;
use super::list_set::ListSet;
use super::quick_hash::QuickMap;
use super::treatment::{Direct, HeaderEdit, ParentOrder, ProxyProtocolOut, Sources, TellClient, Treatment};
use super::verdict::{CertError, OtherUpgrade};
use arc_swap::ArcSwap;
use ipnet::IpNet;
use std::sync::Arc;
use std::time::Duration;

/// One setting, as configured: what it says nothing of stays as it is.
#[derive(Debug, Clone, Default)]
pub struct PolicySetting {
    /// For whom it holds. Conditions that only a request or a certificate answers never hold here.
    pub conditions: Conditions,
    /// What it says.
    pub says: Says,
}

/// What a setting says.
#[derive(Debug, Clone, Default)]
pub struct Says {
    /// Where it was written.
    pub at: Box<str>,
    /// Changes to the heads of requests, in their order.
    pub headers: Vec<HeaderEdit>,
    /// Changes to the heads of responses, likewise.
    pub response_headers: Vec<HeaderEdit>,
    /// The place of the client certificate that origins are shown.
    pub client_certificate: Option<usize>,
    /// Whether HTTP/2 is kept from it.
    pub only_http1: Option<bool>,
    /// Whether a certificate that does not verify is accepted.
    pub allow_invalid_certificate: Option<bool>,
    /// What happens to an Upgrade to something other than WebSocket.
    pub other_upgrades: Option<OtherUpgrade>,
    /// How long HTTP connections may be quiet between requests.
    pub http_idle: Option<Duration>,
    /// How long WebSockets may be quiet.
    pub websocket_idle: Option<Duration>,
    /// How long tunnels and streams may be quiet.
    pub tunnel_idle: Option<Duration>,
    /// Whether a Via is added.
    pub via: Option<bool>,
    /// Whether rules look at it.
    pub inspect: Option<bool>,
    /// Whether a CONNECT that fails is answered inside of its tunnel.
    pub pages_for_connect: Option<bool>,
    /// Whether origins are told who the client is.
    pub tell_client: Option<TellClient>,
    /// Whether that is all that they are told.
    pub tell_client_alone: Option<bool>,
    /// Whether they are told by the PROXY protocol too, before the first byte.
    pub proxy_protocol: Option<ProxyProtocolOut>,
    /// Whether its connections to origins come from the client's own address.
    pub as_client: Option<bool>,
    /// The services that may change its requests, by their names, in their order.
    pub adapt_requests: Option<Arc<[Arc<str>]>>,
    /// The services that may change its responses, likewise.
    pub adapt_responses: Option<Arc<[Arc<str>]>>,
    /// The parents that lead to it, by their names; empty for none.
    pub parents: Option<Arc<[Arc<str>]>>,
    /// Which of them is asked first.
    pub parent_order: Option<ParentOrder>,
    /// Whether it may be dialled where parents are named.
    pub direct: Option<Direct>,
    /// The addresses that its connections come from.
    pub source: Option<Sources>,
    /// The interface that its connections leave by.
    pub interface: Option<Arc<str>>,
    /// The mark of its packets (RFC 2474): a DSCP.
    pub dscp: Option<u8>,
    /// Networks in which no origin is dialled for it; those of all settings that hold.
    pub deny_networks: Arc<[IpNet]>,
}

impl PolicySetting {
    /// Its conditions with the places of their lists, which `place` finds, and what it says.
    pub(super) fn compile(self, place: &mut dyn FnMut(&Arc<List>) -> usize) -> (Compiled, Says) {
        (Compiled::new(self.conditions, Names::Any, place), self.says)
    }
}

/// The settings of a policy, in their order.
#[derive(Debug)]
pub(super) struct Settings {
    settings: Vec<(Compiled, Says)>,
    candidates: Candidates,
    /// Where none holds.
    usual: Arc<Treatment>,
    /// For each setting, what it comes to where it alone holds.
    alone: Vec<Arc<Treatment>>,
    /// What several of them come to together, by which ones hold. Put together once: traffic meets the same few sets again.
    together: ArcSwap<QuickMap<Bits, Arc<Treatment>>>,
}

/// The most sets of settings that are remembered. What is beyond that is put together each time.
const SETS: usize = 256;

impl Settings {
    /// `settings` hold lists of `set`, in the places that they have there.
    pub(super) fn new(settings: Vec<(Compiled, Says)>, usual: Treatment, set: &ListSet) -> Self {
        let alone = settings.iter().map(|(_, says)| {
            let mut treatment = usual.clone();
            says.change(&mut treatment);
            Arc::new(treatment)
        });
        let alone = alone.collect();
        let conditions: Vec<_> = settings.iter().map(|(conditions, _)| conditions).collect();
        Self {
            candidates: Candidates::new(&conditions, |_| false, set),
            settings,
            usual: Arc::new(usual),
            alone,
            together: ArcSwap::default(),
        }
    }

    /// How what these facts are of is treated: the last setting that holds wins, key by key.
    pub(super) fn treatment<'s>(
        &self,
        facts: &Facts<'_>,
        set: &'s ListSet,
        findings: &Findings<'s>,
    ) -> Arc<Treatment> {
        if self.settings.is_empty() {
            return Arc::clone(&self.usual);
        }
        let found = self.candidates.find(Wanted::Now, facts, set, findings);
        let told = self.candidates.told(facts, set, findings);
        let (mut holding, mut first, mut count) = (found.clone(), None, 0_usize);
        for at in found.iter() {
            let holds = told.is_some_and(|told| told.contains(at)) || {
                let setting = self.settings.get(at);
                let said = setting.map(|(it, _)| it.holds(facts, set, findings));
                matches!(said, Some(Holds::Yes | Holds::SoFar))
            };
            if holds {
                first.get_or_insert(at);
                count += 1;
            } else {
                holding.remove(at);
            }
        }
        let alone = first.and_then(|at| self.alone.get(at));
        match (count, alone) {
            (0, _) | (_, None) => Arc::clone(&self.usual),
            (1, Some(alone)) => Arc::clone(alone),
            (_, Some(_)) => self.together(holding),
        }
    }

    /// What these come to.
    fn together(&self, holding: Bits) -> Arc<Treatment> {
        let known = self.together.load();
        if let Some(treatment) = known.get(&holding) {
            return Arc::clone(treatment);
        }
        let mut treatment = Treatment::clone(&self.usual);
        let says = holding.iter().filter_map(|at| self.settings.get(at));
        says.for_each(|(_, says)| says.change(&mut treatment));
        let treatment = Arc::new(treatment);
        if known.len() < SETS {
            self.together.rcu(|known| {
                let mut known = QuickMap::clone(known);
                known.insert(holding.clone(), Arc::clone(&treatment));
                known
            });
        }
        treatment
    }

    /// How many were written as such, and not as a key with names of lists.
    pub(super) fn written(&self) -> usize {
        let written = self.settings.iter().filter(|(_, says)| !says.at.is_empty());
        written.count()
    }

    /// The same with each setting asked.
    #[cfg(test)]
    pub(super) fn treatment_by_each(&self, facts: &Facts<'_>, set: &ListSet) -> Treatment {
        let findings = Findings::new();
        let mut treatment = Treatment::clone(&self.usual);
        for (conditions, says) in &self.settings {
            if matches!(conditions.holds(facts, set, &findings), Holds::Yes | Holds::SoFar) {
                says.change(&mut treatment);
            }
        }
        treatment
    }

    /// How what no setting holds for is treated.
    pub(super) fn usual(&self) -> &Arc<Treatment> {
        &self.usual
    }

    /// What the last setting goes by that holds and has said something.
    pub(super) fn spoken(
        &self,
        facts: &Facts<'_>,
        set: &ListSet,
        has: &dyn Fn(&Says) -> bool,
    ) -> Option<String> {
        let findings = Findings::new();
        let (conditions, says) = self.settings.iter().rev().find(|(conditions, says)| {
            has(says) && matches!(conditions.holds(facts, set, &findings), Holds::Yes | Holds::SoFar)
        })?;
        Some(match conditions.entry(facts, set, &findings) {
            Some(entry) => entry.matched.to_string(),
            None => format!("the setting at {}", says.at),
        })
    }
}

impl Says {
    fn change(&self, treatment: &mut Treatment) {
        for (said, all) in [
            (&self.headers, &mut treatment.headers),
            (&self.response_headers, &mut treatment.response_headers),
        ] {
            for edit in said {
                // Of one field the last word counts.
                if !matches!(edit, HeaderEdit::Add(..)) {
                    all.retain(|known| known.name() != edit.name());
                }
                all.push(edit.clone());
            }
        }
        if self.client_certificate.is_some() {
            treatment.client_certificate = self.client_certificate;
        }
        if let Some(only) = self.only_http1 {
            treatment.may_speak_http2 = !only;
        }
        if let Some(allow) = self.allow_invalid_certificate {
            treatment.cert_error = if allow { CertError::Allow } else { CertError::Deny };
        }
        treatment.other_upgrades = self.other_upgrades.unwrap_or(treatment.other_upgrades);
        for (idle, said) in [
            (&mut treatment.http_idle, self.http_idle),
            (&mut treatment.websocket_idle, self.websocket_idle),
            (&mut treatment.tunnel_idle, self.tunnel_idle),
        ] {
            *idle = said.or(*idle);
        }
        treatment.via = self.via.unwrap_or(treatment.via);
        treatment.inspects = self.inspect.unwrap_or(treatment.inspects);
        treatment.pages_for_connect = self.pages_for_connect.unwrap_or(treatment.pages_for_connect);
        treatment.tell_client = self.tell_client.unwrap_or(treatment.tell_client);
        treatment.tells_client_alone = (self.tell_client_alone).unwrap_or(treatment.tells_client_alone);
        for (services, said) in [
            (&mut treatment.adapt_requests, &self.adapt_requests),
            (&mut treatment.adapt_responses, &self.adapt_responses),
        ] {
            if let Some(said) = said {
                *services = Arc::clone(said);
            }
        }
        let way = &mut treatment.way;
        if let Some(parents) = &self.parents {
            way.parents = Arc::clone(parents);
        }
        way.order = self.parent_order.unwrap_or(way.order);
        way.direct = self.direct.unwrap_or(way.direct);
        way.as_client = self.as_client.unwrap_or(way.as_client);
        way.proxy_protocol = self.proxy_protocol.unwrap_or(way.proxy_protocol);
        way.leaving.source = self.source.or(way.leaving.source);
        if let Some(interface) = &self.interface {
            way.leaving.interface = Some(Arc::clone(interface));
        }
        way.leaving.dscp = self.dscp.or(way.leaving.dscp);
        // A guard of one setting is none of another's to lift.
        if way.denied.is_empty() {
            way.denied = Arc::clone(&self.deny_networks);
        } else if !self.deny_networks.is_empty() {
            way.denied = way.denied.iter().chain(&*self.deny_networks).copied().collect();
        }
    }
}
