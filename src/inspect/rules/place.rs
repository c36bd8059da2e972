//! Where a rule looks: what depends on the session alone, and what depends on the item.

use super::super::{Facts, HttpHead, RuleError, Surface, Where};
use crate::wire::frame::{Direction, Opcode};
use regex::Regex;

/// Where a rule looks, with its expressions compiled.
#[derive(Debug)]
pub(super) struct CompiledPlace {
    pub(super) spec: Where,
    path: Option<Regex>,
    origin: Option<Regex>,
}

impl CompiledPlace {
    pub(super) fn compile(rule: usize, spec: Where, errors: &mut Vec<RuleError>) -> Self {
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
            ("content_types", &spec.content_types),
        ] {
            if texts.iter().any(String::is_empty) {
                let message = "an entry is empty; leave it out".into();
                errors.push(RuleError { rule, key, message });
            }
        }
        Self { spec, path, origin }
    }

    /// Whether the rule can look at anything of this session.
    pub(super) fn concerns(&self, facts: &Facts) -> bool {
        let spec = &self.spec;
        let listed = |lists: &[std::sync::Arc<crate::decide::List>]| {
            lists.iter().any(|list| list.find(&facts.target).is_some())
        };
        (spec.hosts.is_empty() || listed(&spec.hosts))
            && !listed(&spec.except_hosts)
            && self.path.as_ref().is_none_or(|path| path.is_match(&facts.path))
            && (self.origin.as_ref())
                .is_none_or(|regex| facts.origin.as_ref().is_some_and(|origin| regex.is_match(origin)))
            && (spec.subprotocols.is_empty()
                || chosen(facts).any(|name| spec.subprotocols.iter().any(|s| s == name)))
            && (spec.clients.is_empty()
                || spec
                    .clients
                    .iter()
                    .any(|net| net.contains(&facts.client.to_canonical())))
            && (spec.users.is_empty()
                || facts
                    .user
                    .as_ref()
                    .is_some_and(|user| spec.users.iter().any(|u| **u == **user)))
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

/// The subprotocols that the origin chose. More than one is a mistake of its own, which hides it from no rule.
fn chosen(facts: &Facts) -> impl Iterator<Item = &str> {
    facts
        .subprotocol
        .iter()
        .flat_map(|names| names.split(',').map(str::trim))
}
