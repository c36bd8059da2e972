//! Where a rule looks: what depends on the session alone, and what depends on the item.

use super::super::{HttpHead, RuleError, SessionFacts, Surface, Where};
use crate::identity::Identity;
use crate::wire::frame::{Direction, Opcode};
use crate::wire::path::{Slashes, normalised};
use regex::Regex;
use std::borrow::Cow;
use std::cell::OnceCell;

/// Where a rule looks, with its expressions compiled.
#[derive(Debug)]
pub(super) struct CompiledPlace {
    pub(super) spec: Where,
    /// The rule lets off what it is about. What can be called or written in more than one way then has to be meant by all
    /// of them, and by one of them where the rule guards it: nobody gets by with another name.
    lets_off: bool,
    path: Option<Regex>,
    origin: Option<Regex>,
}

impl CompiledPlace {
    pub(super) fn compile(rule: usize, spec: Where, lets_off: bool, errors: &mut Vec<RuleError>) -> Self {
        let mut regex = |key, text: &Option<String>| {
            let built = Regex::new(text.as_deref()?);
            built
                .map_err(|error| {
                    errors.push(RuleError {
                        rule,
                        key,
                        message: error.to_string(),
                    })
                })
                .ok()
        };
        let (path, origin) = (regex("path", &spec.path), regex("origin", &spec.origin));
        for (key, texts) in [
            ("subprotocols", &spec.subprotocols),
            ("users", &spec.users),
            ("groups", &spec.groups),
            ("except_users", &spec.except_users),
            ("content_types", &spec.content_types),
        ] {
            if texts.iter().any(String::is_empty) {
                let message = "an entry is empty; leave it out".into();
                errors.push(RuleError { rule, key, message });
            }
        }
        Self {
            spec,
            lets_off,
            path,
            origin,
        }
    }

    /// Whether the rule can look at anything of this session.
    pub(super) fn concerns(&self, facts: &SessionFacts, paths: &Paths<'_>) -> bool {
        let spec = &self.spec;
        let is_host = if self.lets_off {
            spec.scope.exempts(facts.names())
        } else {
            spec.scope.guards(facts.names())
        };
        is_host
            && (self.path.as_ref()).is_none_or(|regex| {
                let mut paths = paths.all();
                if self.lets_off {
                    paths.all(|path| regex.is_match(path))
                } else {
                    paths.any(|path| regex.is_match(path))
                }
            })
            && (self.origin.as_ref())
                .is_none_or(|regex| facts.origin.as_ref().is_some_and(|origin| regex.is_match(origin)))
            && (spec.subprotocols.is_empty()
                || chosen(facts).any(|name| spec.subprotocols.iter().any(|s| s == name)))
            && (spec.clients.is_empty()
                || spec
                    .clients
                    .iter()
                    .any(|net| net.contains(&facts.client.to_canonical())))
            && self.is_user(facts.user.as_deref())
    }

    /// Whether the client is one of those whom the rule is about.
    fn is_user(&self, user: Option<&Identity>) -> bool {
        let spec = &self.spec;
        let Some(user) = user else {
            // Who says nothing may be one of the exceptions, and is not let off by that.
            let may_be_excepted = self.lets_off && !spec.except_users.is_empty();
            return spec.users.is_empty() && spec.groups.is_empty() && !may_be_excepted;
        };
        let is = |wanted: &[String], name: &str| {
            let name = name.to_lowercase();
            wanted.iter().any(|wanted| wanted == "*" || *wanted == name)
        };
        (spec.users.is_empty() || is(&spec.users, &user.name))
            && (spec.groups.is_empty() || user.groups.iter().any(|group| is(&spec.groups, group)))
            && !is(&spec.except_users, &user.name)
    }

    /// Whether it looks at this kind of content.
    pub(super) fn covers(&self, surface: Surface, direction: Direction, opcode: Option<Opcode>) -> bool {
        self.surfaces().contains(&surface)
            && self.spec.direction.is_none_or(|wanted| wanted == direction)
            && self.spec.opcode.is_none_or(|wanted| opcode == Some(wanted))
            && (self.spec.content_types.is_empty() || surface == Surface::Body)
    }

    pub(super) fn surfaces(&self) -> &[Surface] {
        match &self.spec.surfaces[..] {
            [] => &[Surface::Message, Surface::Body],
            some => some,
        }
    }

    /// Whether the body is of a kind that it looks at.
    pub(super) fn takes(&self, head: Option<&HttpHead>) -> bool {
        if self.spec.content_types.is_empty() {
            return true;
        }
        let Some(kind) = head.and_then(|head| head.headers.get(http::header::CONTENT_TYPE)) else {
            return false;
        };
        self.spec.content_types.iter().any(|wanted| {
            let start = kind.as_bytes().get(..wanted.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(wanted.as_bytes()))
        })
    }
}

/// The path as it came, and as servers may read it.
#[derive(Debug)]
pub(super) struct Paths<'a> {
    written: &'a str,
    /// Found out where a rule asks for it.
    read: OnceCell<[Cow<'a, str>; 2]>,
}

impl<'a> Paths<'a> {
    pub(super) fn of(facts: &'a SessionFacts) -> Self {
        Self {
            written: &facts.path,
            read: OnceCell::new(),
        }
    }

    /// Each that differs from what it came as.
    fn all(&self) -> impl Iterator<Item = &str> {
        let read = self.read.get_or_init(|| {
            [Slashes::Merged, Slashes::Kept].map(|slashes| normalised(self.written, slashes))
        });
        let other = read.iter().filter(|path| matches!(path, Cow::Owned(_)));
        std::iter::once(self.written).chain(other.map(|path| &**path))
    }
}

/// The subprotocols that the origin chose. More than one is a mistake of its own, which hides it from no rule.
fn chosen(facts: &SessionFacts) -> impl Iterator<Item = &str> {
    facts
        .subprotocol
        .iter()
        .flat_map(|names| names.split(',').map(str::trim))
}
