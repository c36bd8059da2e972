//! Which rules of a table can hold at all, found out without asking each of them.
//!
//! For each condition there is a table: for a value the rules that it satisfies, a bit for each rule. A look into each, and
//! what all of them have in common is asked in full. What is left out here would have said no.

mod tables;

use super::bits::{Bits, FEW};
use super::compiled::Compiled;
use super::conditions::{is_anyone, lower};
use super::facts::{Facts, RequestFacts, User};
use super::findings::Findings;
use super::holds::Names;
use super::list_set::{ListSet, Matches};
use super::paths::Paths;
use super::quick_hash::QuickMap;
use super::times::Hours;
use crate::wire::names::Host;
use http::Method;
use tables::{ByKey, ByRange, TABLE_BYTES, place, places};

/// Rules by what they ask for.
#[derive(Debug)]
pub(super) struct Candidates {
    all: Bits,
    listeners: Option<ByKey<Box<str>>>,
    ports: Option<ByRange>,
    clients: Option<ByRange>,
    minutes: Option<ByRange>,
    users: Option<Users>,
    methods: Option<ByKey<Method>>,
    /// Those that do not ask for an upgrade.
    without_upgrade: Option<Bits>,
    hosts: Option<Hosts>,
    paths: Option<Paths>,
    /// Those that only a request or a certificate can decide, that permit nothing and ask for no name.
    late: Bits,
    /// Those of them of which everything else is in a table: what is left of these at a ClientHello waits for requests.
    waiting: Bits,
    /// Those of which the tables say all, where all that they ask for is known.
    told: Bits,
}

/// How much a walk wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted<'r> {
    /// What can hold now, or permit something later.
    Now,
    /// What can hold now or later.
    Later,
    /// The same, of these, which are left from a walk with less facts; one of them is known to hold.
    Remaining(&'r Bits, Option<usize>),
}

#[derive(Debug)]
struct Users {
    by_name: ByKey<Box<str>>,
    /// Names stand in there, where rules ask for names.
    has_names: bool,
    groups: Option<Groups>,
    /// Those that hold for somebody of whom nothing is known.
    nobody: Bits,
}

#[derive(Debug)]
struct Groups {
    by_name: ByKey<Box<str>>,
    asking: Bits,
}

#[derive(Debug)]
struct Hosts {
    /// For each list of domains, the rules that ask for it.
    by_list: Vec<Bits>,
    /// Those that ask for no host, or for expressions, which are asked when there is need to.
    others: Bits,
    /// Those that ask for a host, by the names that count for them.
    by_any: Bits,
    by_all: Bits,
    by_sni: Bits,
    asking: Bits,
}

impl Candidates {
    /// Of rules that hold lists of `set`; `permits` says of each whether it permits something.
    pub(super) fn new(rules: &[&Compiled], permits: impl Fn(usize) -> bool, set: &ListSet) -> Self {
        let count = rules.len();
        let of = |at: usize| rules.get(at).map(|rule| rule.conditions());
        let some = |list: &[Box<str>]| (!list.is_empty()).then(|| list.to_vec());
        let is_late =
            |at: usize| of(at).is_some_and(|it| it.needs_content() && !it.needs_name()) && !permits(at);
        let listeners = ByKey::new(count, |at| of(at).and_then(|it| some(&it.listeners)));
        let ports = ByRange::new(count, |at| {
            let ports = of(at).into_iter().flat_map(|it| &it.ports);
            ports
                .map(|ports| ((*ports.start()).into(), (*ports.end()).into()))
                .collect()
        });
        let clients = ByRange::new(count, |at| {
            let clients = of(at).into_iter().flat_map(|it| &it.clients);
            clients.flat_map(places).collect()
        });
        let is_waiting = |at: usize| {
            is_late(at)
                && of(at).is_some_and(|it| {
                    (it.listeners.is_empty() || listeners.is_some())
                        && (it.ports.is_empty() || ports.is_some())
                        && (it.clients.is_empty() || clients.is_some())
                        && it.asks_requests_beside_these()
                })
        };
        let upgrades = Bits::of(count, |at| of(at).is_some_and(|it| it.upgrade.is_empty()));
        let minutes = ByRange::new(count, |at| {
            let hours = of(at)
                .into_iter()
                .flat_map(|it| &it.time)
                .flat_map(Hours::minutes);
            hours.map(|(first, last)| (first.into(), last.into())).collect()
        });
        let methods = ByKey::new(count, |at| {
            of(at).and_then(|it| (!it.methods.is_empty()).then(|| it.methods.clone()))
        });
        let (users, hosts) = (Users::new(rules), Hosts::new(rules, set));
        // A table that would be too large is not there.
        let is_told = |at: usize| {
            let lists = rules.get(at).map_or(&[][..], |rule| rule.host_lists());
            let is_of_domains = |list: &usize| !set.is_of_expressions(*list);
            of(at).is_some_and(|it| {
                it.asks_simple_things()
                    && (it.listeners.is_empty() || listeners.is_some())
                    && (it.ports.is_empty() || ports.is_some())
                    && (it.clients.is_empty() || clients.is_some())
                    && (it.time.is_empty() || minutes.is_some())
                    && (it.methods.is_empty() || methods.is_some())
                    && (is_anyone(&it.users) || users.as_ref().is_some_and(|users| users.has_names))
                    && (lists.is_empty() || (hosts.is_some() && lists.iter().all(is_of_domains)))
            })
        };
        Self {
            all: Bits::all(count),
            waiting: Bits::of(count, is_waiting),
            told: Bits::of(count, is_told),
            listeners,
            ports,
            clients,
            minutes,
            users,
            methods,
            without_upgrade: (upgrades != Bits::all(count)).then_some(upgrades),
            hosts,
            paths: Paths::new(rules),
            late: Bits::of(count, is_late),
        }
    }

    /// The rules that wait for requests if they are found with a ClientHello and no request.
    pub(super) fn waiting(&self) -> &Bits {
        &self.waiting
    }

    /// Those of which no more is to be asked: where they are found they hold.
    pub(super) fn told<'s>(
        &self,
        facts: &Facts<'_>,
        set: &'s ListSet,
        findings: &Findings<'s>,
    ) -> Option<&Bits> {
        let is_known = facts.hello.is_some()
            && facts.request.is_some()
            && facts.user != User::Unasked
            && facts.moment.of_week().is_some();
        // Of two names, each rule says by itself which of them counts.
        (is_known && findings.sni(set, facts).is_none()).then_some(&self.told)
    }

    /// The rules that can hold.
    pub(super) fn find<'s>(
        &self,
        wanted: Wanted<'_>,
        facts: &Facts<'_>,
        set: &'s ListSet,
        findings: &Findings<'s>,
    ) -> Bits {
        let mut found = match wanted {
            Wanted::Remaining(rules, _) => rules.clone(),
            Wanted::Now | Wanted::Later => {
                let mut found = self.all.clone();
                self.by_connection(facts, &mut found);
                found
            }
        };
        let is_begun = matches!(wanted, Wanted::Remaining(..));
        let minute = facts.moment.of_week();
        if let Some(rules) = (self.minutes.as_ref()).and_then(|table| table.get(minute?.into())) {
            found.keep(rules);
        }
        match &facts.request {
            Some(request) => self.by_request(request, &mut found),
            None if matches!(wanted, Wanted::Now) => found.take_out(&self.late),
            None => {}
        }
        if !is_begun {
            if let Some(hosts) = &self.hosts {
                hosts.narrow(wanted, facts, set, findings, &mut found);
            }
            if let (Some(groups), User::Known(identity)) = (
                self.users.as_ref().and_then(|users| users.groups.as_ref()),
                facts.user,
            ) && found.in_common(&groups.asking) > FEW
            {
                let mut satisfied = groups.by_name.others.clone();
                for name in identity.groups.iter() {
                    if let Some(rules) = groups.by_name.by.get(&*lower(name)) {
                        satisfied.add(rules);
                    }
                }
                found.keep(&satisfied);
            }
        }
        if let (Some(paths), Some(request)) = (&self.paths, &facts.request) {
            paths.narrow(request.path, findings, &mut found);
        }
        found
    }

    fn by_connection(&self, facts: &Facts<'_>, found: &mut Bits) {
        if let Some(table) = &self.listeners {
            found.keep(table.by.get(facts.listener).unwrap_or(&table.others));
        }
        if let Some(rules) = self
            .ports
            .as_ref()
            .and_then(|table| table.get(facts.target.port.into()))
        {
            found.keep(rules);
        }
        if let Some(rules) = self
            .clients
            .as_ref()
            .and_then(|table| table.get(place(facts.client)))
        {
            found.keep(rules);
        }
        match (&self.users, facts.user) {
            (Some(users), User::Known(identity)) => {
                let table = &users.by_name;
                found.keep(table.by.get(&*lower(&identity.name)).unwrap_or(&table.others));
            }
            (Some(users), User::Nobody) => found.keep(&users.nobody),
            (Some(_), User::Unasked) | (None, _) => {}
        }
    }

    fn by_request(&self, request: &RequestFacts<'_>, found: &mut Bits) {
        if let Some(table) = &self.methods {
            found.keep(table.by.get(request.method).unwrap_or(&table.others));
        }
        if let (Some(rules), None) = (&self.without_upgrade, request.upgrade) {
            found.keep(rules);
        }
    }
}

impl Users {
    fn new(rules: &[&Compiled]) -> Option<Self> {
        let count = rules.len();
        let of = |at: usize| rules.get(at).map(|rule| rule.conditions());
        let asked = |names: &[Box<str>]| (!is_anyone(names)).then(|| names.to_vec());
        let is_asking = |at: usize| of(at).is_some_and(|it| it.needs_name());
        if !(0..count).any(is_asking) {
            return None;
        }
        let by_name = ByKey::new(count, |at| asked(&of(at)?.users));
        let groups = ByKey::new(count, |at| asked(&of(at)?.groups)).map(|by_name| Groups {
            asking: Bits::of(count, |at| !by_name.others.contains(at)),
            by_name,
        });
        Some(Self {
            has_names: by_name.is_some(),
            by_name: by_name.unwrap_or_else(|| ByKey {
                by: QuickMap::default(),
                others: Bits::all(count),
            }),
            groups,
            nobody: Bits::of(count, |at| {
                rules.get(at).is_some_and(|rule| rule.may_be_of_nobody())
            }),
        })
    }
}

impl Hosts {
    fn new(rules: &[&Compiled], set: &ListSet) -> Option<Self> {
        let count = rules.len();
        let lists = |at: usize| rules.get(at).map_or(&[][..], |rule| rule.host_lists());
        let asking = Bits::of(count, |at| !lists(at).is_empty());
        let places = set.lists().len();
        if asking.iter().next().is_none() || places.saturating_mul(count / 8) > TABLE_BYTES {
            return None;
        }
        let mut by_list = vec![Bits::none(count); places];
        for at in 0..count {
            for list in lists(at) {
                if let Some(rules) = by_list.get_mut(*list) {
                    rules.insert(at);
                }
            }
        }
        let by = |names: Names| {
            Bits::of(count, |at| {
                asking.contains(at) && rules.get(at).is_some_and(|rule| rule.names() == names)
            })
        };
        Some(Self {
            by_list,
            others: Bits::of(count, |at| {
                !asking.contains(at) || lists(at).iter().any(|list| set.is_of_expressions(*list))
            }),
            by_any: by(Names::Any),
            by_all: by(Names::All),
            by_sni: by(Names::Sni),
            asking,
        })
    }

    fn narrow<'s>(
        &self,
        wanted: Wanted<'_>,
        facts: &Facts<'_>,
        set: &'s ListSet,
        findings: &Findings<'s>,
        found: &mut Bits,
    ) {
        if found.in_common(&self.asking) == 0 {
            return;
        }
        let mut satisfied = self.others.clone();
        let target = findings.target(set, facts.target);
        for list in target
            .of_domains()
            .chain(findings.sni(set, facts).into_iter().flat_map(Matches::of_domains))
        {
            if let Some(rules) = self.by_list.get(list) {
                satisfied.add(rules);
            }
        }
        if facts.hello.is_none() {
            // A name that is still to come may be listed.
            satisfied.add(&self.by_sni);
            if matches!(facts.target.host, Host::Ip(_)) {
                satisfied.add(&self.by_all);
            }
            if matches!(wanted, Wanted::Later) {
                satisfied.add(&self.by_any);
            }
        }
        found.keep(&satisfied);
    }
}
