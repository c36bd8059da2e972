//! What a rule of the policy asks for, as configured.

use super::addresses::Addresses;
use super::hosts::List;
use super::times::Hours;
use crate::identity::Identity;
use http::{HeaderName, Method};
use regex::Regex;
use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// What has to hold, as configured. What is empty asks for nothing; all that is written has to hold.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// The host is in one of these lists.
    pub hosts: Vec<Arc<List>>,
    /// And in none of these.
    pub except_hosts: Vec<Arc<List>>,
    /// The client's address is in one of these.
    pub clients: Vec<Addresses>,
    /// The client is one of these users, in lower case; `*` is anyone who is known.
    pub users: Vec<Box<str>>,
    /// And in one of these groups, in lower case.
    pub groups: Vec<Box<str>>,
    /// It came in by one of these listeners.
    pub listeners: Vec<Box<str>>,
    /// The port is one of these.
    pub ports: Vec<RangeInclusive<u16>>,
    /// The time is in one of these.
    pub time: Vec<Hours>,
    /// The request's method is one of these; `CONNECT` is a tunnel's own.
    pub methods: Vec<Method>,
    /// The request's path with its query matches, as it came or normalised (RFC 3986 section 6.2.2).
    pub path: Option<Regex>,
    /// Its URL matches: the scheme, the host, the port if it is not the scheme's own, and the path, written as above.
    pub url: Option<Regex>,
    /// The request asks its connection to become one of these, in lower case.
    pub upgrade: Vec<Box<str>>,
    /// Each of these fields of the request has a value that matches.
    pub headers: Vec<(HeaderName, Regex)>,
    /// The origin's certificate verifies, or does not.
    pub certificate_valid: Option<bool>,
    /// The issuer of the origin's certificate matches.
    pub issuer: Option<Regex>,
    /// All of these hold too.
    pub also: Vec<Conditions>,
    /// None of these holds.
    pub except: Vec<Conditions>,
}

impl Conditions {
    /// Whether nothing but the head of a request, or an origin's certificate, can answer them.
    pub fn needs_content(&self) -> bool {
        let is_tunnels_own = self.methods.contains(&Method::CONNECT);
        (!self.methods.is_empty() && !is_tunnels_own)
            || self.path.is_some()
            || self.url.is_some()
            || !self.upgrade.is_empty()
            || !self.headers.is_empty()
            || self.certificate_valid.is_some()
            || self.issuer.is_some()
            || self.also.iter().any(Self::needs_content)
    }

    /// Whether they ask for nothing but requests beside listeners, ports and clients.
    pub(super) fn asks_requests_beside_these(&self) -> bool {
        self.hosts.is_empty()
            && self.except_hosts.is_empty()
            && self.time.is_empty()
            && !self.asks_name()
            && self.certificate_valid.is_none()
            && self.issuer.is_none()
            && self.also.is_empty()
            && self.except.is_empty()
    }

    /// Whether they ask for nothing but hosts, clients, users, listeners, ports, the time and methods.
    pub(super) fn asks_simple_things(&self) -> bool {
        self.except_hosts.is_empty()
            && self.groups.is_empty()
            && self.path.is_none()
            && self.url.is_none()
            && self.upgrade.is_empty()
            && self.headers.is_empty()
            && self.certificate_valid.is_none()
            && self.issuer.is_none()
            && self.also.is_empty()
            && self.except.is_empty()
    }

    /// Whether they ask for an origin's certificate.
    pub fn needs_certificate(&self) -> bool {
        self.any(&|it| it.certificate_valid.is_some() || it.issuer.is_some())
    }

    /// Whether they ask for the time.
    pub fn needs_time(&self) -> bool {
        self.any(&|it| !it.time.is_empty())
    }

    /// Whether they go on holding for a connection for which they do: the time moves on, and the tunnel's own method is none
    /// of its requests'.
    pub(super) fn is_lasting(&self) -> bool {
        !self.any(&|it| !it.time.is_empty() || !it.methods.is_empty())
    }

    /// Whether they ask for the host.
    pub fn needs_hosts(&self) -> bool {
        self.any(&|it| !it.hosts.is_empty() || !it.except_hosts.is_empty())
    }

    /// Whether something is so of these, or of what is nested in them.
    fn any(&self, is: &dyn Fn(&Self) -> bool) -> bool {
        let mut nested = self.also.iter().chain(&self.except);
        is(self) || nested.any(|it| it.any(is))
    }

    /// The key of what they ask of users, where this user does not meet it.
    pub fn missed_by(&self, identity: &Identity) -> Option<&'static str> {
        let is = |wanted: &str, name: &str| wanted == "*" || wanted == lower(name);
        if !self.users.is_empty() && !self.users.iter().any(|user| is(user, &identity.name)) {
            return Some("users");
        }
        let is_in = |group: &str| group == "*" || identity.groups.iter().any(|name| is(group, name));
        if !self.groups.is_empty() && !self.groups.iter().any(|group| is_in(group)) {
            return Some("groups");
        }
        self.also.iter().find_map(|also| also.missed_by(identity))
    }

    /// Calls users and groups what `user` and `group` call them, nested ones too.
    pub fn rename(&mut self, user: &dyn Fn(&str) -> Box<str>, group: &dyn Fn(&str) -> Box<str>) {
        self.users.iter_mut().for_each(|name| *name = user(name));
        self.groups.iter_mut().for_each(|name| *name = group(name));
        for nested in self.also.iter_mut().chain(&mut self.except) {
            nested.rename(user, group);
        }
    }

    /// Whether they ask who the client is.
    pub fn needs_name(&self) -> bool {
        self.any(&Self::asks_name)
    }

    /// The same without what is nested in them.
    pub(super) fn asks_name(&self) -> bool {
        !self.users.is_empty() || !self.groups.is_empty()
    }

    /// Whether all that `other` asks for is asked for here, or more: what meets `other` meets these. Said only where it is
    /// sure.
    pub fn covers(&self, other: &Self) -> bool {
        let lists = |wide: &[Arc<List>], narrow: &[Arc<List>]| {
            wide.is_empty()
                || (!narrow.is_empty()
                    && narrow
                        .iter()
                        .all(|list| wide.iter().any(|known| Arc::ptr_eq(known, list))))
        };
        fn among<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
            wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|one| wide.contains(one)))
        }
        let clients = self.clients.is_empty()
            || (!other.clients.is_empty()
                && (other.clients.iter()).all(|narrow| self.clients.iter().any(|wide| wide.covers(narrow))));
        let ports = self.ports.is_empty()
            || (!other.ports.is_empty()
                && (other.ports.iter()).all(|narrow| {
                    (self.ports.iter())
                        .any(|wide| wide.contains(narrow.start()) && wide.contains(narrow.end()))
                }));
        let same = |one: &Option<Regex>, two: &Option<Regex>| match (one, two) {
            (None, _) => true,
            (Some(one), Some(two)) => one.as_str() == two.as_str(),
            (Some(_), None) => false,
        };
        let headers = self.headers.iter().all(|(name, wanted)| {
            (other.headers.iter()).any(|(known, more)| known == name && more.as_str() == wanted.as_str())
        });
        // Of what is nested nothing is known to be covered.
        let is_flat = self.also.is_empty() && self.except.is_empty();
        is_flat
            && lists(&self.hosts, &other.hosts)
            && (self.except_hosts.iter())
                .all(|list| other.except_hosts.iter().any(|known| Arc::ptr_eq(known, list)))
            && clients
            && ports
            && headers
            && (among(&self.users, &other.users)
                || (self.users.iter().any(|user| **user == *"*") && other.needs_name()))
            && among(&self.groups, &other.groups)
            && among(&self.listeners, &other.listeners)
            && among(&self.time, &other.time)
            && among(&self.methods, &other.methods)
            && among(&self.upgrade, &other.upgrade)
            && same(&self.path, &other.path)
            && same(&self.url, &other.url)
            && same(&self.issuer, &other.issuer)
            && (self.certificate_valid.is_none() || self.certificate_valid == other.certificate_valid)
    }
}

/// Whether any name is one of these.
pub(super) fn is_anyone(names: &[Box<str>]) -> bool {
    names.is_empty() || names.iter().any(|name| **name == *"*")
}

/// A name in lower case, as rules have them.
pub(super) fn lower(name: &str) -> Cow<'_, str> {
    match name
        .bytes()
        .any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii())
    {
        true => name.to_lowercase().into(),
        false => name.into(),
    }
}
