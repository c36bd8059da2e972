//! What rules and settings have in common: for whom and what they hold.

use crate::decide::{Addresses, Conditions, Hours};
use crate::settings::lists::Lists;
use crate::settings::reader::{At, Section};
use crate::settings::words;
use http::{HeaderName, Method};
use regex::{Regex, RegexBuilder};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use toml::de::DeValue;

/// Reads what is known of a connection before its content is.
pub(super) fn of_connection(section: &mut Section<'_, '_>, lists: &mut Lists) -> Conditions {
    Conditions {
        hosts: lists.named(section, "hosts"),
        except_hosts: lists.named(section, "except_hosts"),
        clients: members(section.list("clients", addresses)),
        users: names(section, "users"),
        groups: names(section, "groups"),
        listeners: listeners(section),
        ports: ports(section),
        time: members(section.list("time", Hours::parse)),
        ..Conditions::default()
    }
}

/// Adds what is nested in them, of the same kind: `read` reads each.
pub(super) fn nested(
    section: &mut Section<'_, '_>,
    (also, except): (&'static str, &'static str),
    conditions: &mut Conditions,
    mut read: impl FnMut(&mut Section<'_, '_>) -> Conditions,
) {
    conditions.also = section.tables("also", also, false, |section| Some(read(section)));
    conditions.except = section.tables("except", except, false, |section| {
        let conditions = read(section);
        if section.is_empty() {
            let span = section.span();
            section.note(
                &span,
                "",
                "excepts everything, since it asks for nothing; write a condition or take it out",
            );
        }
        Some(conditions)
    });
}

/// Adds what only content shows.
pub(super) fn of_content(section: &mut Section<'_, '_>, probe: bool, conditions: &mut Conditions) {
    conditions.methods = members(section.list("methods", method));
    conditions.path = section.parsed("path", regex).map(|at| at.value);
    conditions.url = section.parsed("url", regex).map(|at| at.value);
    conditions.upgrade = members(section.list("upgrade", |name| Ok(name.to_ascii_lowercase().into())));
    conditions.headers = section.tables("headers", "policy.rule.headers", probe, |header| {
        let name = header.parsed("name", |name| {
            let parsed = HeaderName::from_bytes(name.as_bytes());
            parsed.map_err(|_| format!("{name:?} is no name of a header"))
        });
        let matches = header.parsed("matches", regex);
        for key in ["name", "matches"] {
            if !header.has(key) {
                let span = header.span();
                header.note(
                    &span,
                    key,
                    "is missing; write { name = \"User-Agent\", matches = \"curl\" }",
                );
            }
        }
        Some((name?.value, matches?.value))
    });
    let mut origin = section.inner("origin", "policy.rule.origin");
    let certificates = [("valid", true), ("invalid", false)];
    conditions.certificate_valid = origin.choice_if_any("certificate", &certificates);
    conditions.issuer = origin.parsed("issuer", regex).map(|at| at.value);
    origin.finish();
}

/// Names of listeners, each of which has to be there.
fn listeners(section: &mut Section<'_, '_>) -> Vec<Box<str>> {
    let names = section.texts("listeners");
    let key = format!("{}.listeners", section.name());
    let asked = &mut section.notes().asked_listeners;
    asked.extend(
        names
            .iter()
            .map(|at| (at.span.clone(), key.clone(), at.value.clone())),
    );
    names.into_iter().map(|at| at.value.into()).collect()
}

/// Users and groups in lower case, as they are compared.
fn names(section: &mut Section<'_, '_>, key: &'static str) -> Vec<Box<str>> {
    members(section.list(key, |name| match name.trim() {
        "" => Err("is empty; leave it out".to_owned()),
        name => Ok(name.to_lowercase().into()),
    }))
}

fn members<T>(list: Option<At<Vec<At<T>>>>) -> Vec<T> {
    let members = list.into_iter().flat_map(|list| list.value);
    members.map(|at| at.value).collect()
}

/// A network, an address, or `FIRST-LAST`.
fn addresses(text: &str) -> Result<Addresses, String> {
    let Some((first, last)) = text.split_once('-') else {
        return words::network(text).map(Addresses::from);
    };
    let parse = |text: &str| text.trim().parse::<IpAddr>().ok();
    let range = parse(first).zip(parse(last));
    range
        .and_then(|(first, last)| Addresses::new(first, last))
        .ok_or_else(|| {
            format!("{text:?} is no range; write FIRST-LAST with two addresses of one family, such as 10.3.0.5-10.3.0.9")
        })
}

/// Upper-case names, as methods are compared (RFC 9110 section 9.1).
fn method(text: &str) -> Result<Method, String> {
    let wrong = || format!("{text:?} is no method; write such as \"POST\"");
    if text.is_empty() || text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(wrong());
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| wrong())
}

/// An expression that is searched for.
pub(super) fn regex(text: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(text).size_limit(1 << 20).build();
    built.map_err(|error| format!("{text:?} is no regular expression: {error}"))
}

/// Numbers, and texts with one or `FIRST-LAST`.
fn ports(section: &mut Section<'_, '_>) -> Vec<RangeInclusive<u16>> {
    let read = section.read("ports", |value| {
        let members = value.as_array().ok_or_else(|| {
            format!(
                "is of type {}; write a list: [443, \"8000-8999\"]",
                value.type_str()
            )
        })?;
        members
            .iter()
            .map(|member| port_range(member.get_ref()))
            .collect()
    });
    read.map_or_else(Vec::new, |at: At<Vec<_>>| at.value)
}

fn port_range(value: &DeValue<'_>) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port != 0);
    let (range, written) = match value {
        DeValue::Integer(number) => {
            let text = number.as_str();
            (port(text).map(|port| port..=port), text.to_owned())
        }
        DeValue::String(text) => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let range = port(first).zip(port(last)).filter(|(first, last)| first <= last);
            (range.map(|(first, last)| first..=last), text.to_string())
        }
        other => (None, other.type_str().to_owned()),
    };
    range.ok_or_else(|| format!("{written:?} is no port; write 443 or \"8000-8999\", from 1 to 65535"))
}
