//! What is found out about some facts, once, when a rule asks for it for the first time.

use super::facts::Facts;
use super::list_set::{ListSet, Matches};
use crate::wire::names::{Authority, Host};
use crate::wire::path::{Slashes, is_plain, normalised};
use std::cell::OnceCell;

/// What the lists say of the names, and how else the path can be written.
pub(super) struct Findings<'s> {
    target: OnceCell<Matches<'s>>,
    sni: OnceCell<Option<Matches<'s>>>,
    /// The path normalised, where that is another text.
    paths: OnceCell<[Option<Box<str>>; 2]>,
}

impl<'s> Findings<'s> {
    pub(super) fn new() -> Self {
        Self {
            target: OnceCell::new(),
            sni: OnceCell::new(),
            paths: OnceCell::new(),
        }
    }

    /// Of what was asked for.
    pub(super) fn target(&self, set: &'s ListSet, target: &Authority) -> &Matches<'s> {
        self.target.get_or_init(|| set.matches(&target.host, target.port))
    }

    /// Of the name in the ClientHello, where it is another one.
    pub(super) fn sni(&self, set: &'s ListSet, facts: &Facts<'_>) -> Option<&Matches<'s>> {
        self.sni
            .get_or_init(|| {
                let sni = facts.hello?.sni?;
                if matches!(&facts.target.host, Host::Name(name) if name.eq_ignore_ascii_case(sni)) {
                    return None;
                }
                let host = match sni.trim_start_matches('[').trim_end_matches(']').parse() {
                    Ok(ip) => Host::Ip(ip),
                    Err(_) => Host::Name(sni.to_ascii_lowercase()),
                };
                (host != facts.target.host).then(|| set.matches(&host, facts.target.port))
            })
            .as_ref()
    }

    /// The ways to write a path: as it came, and in the normal forms that differ from it.
    pub(super) fn paths<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        let other = self.paths.get_or_init(|| {
            if is_plain(path) {
                return [None, None];
            }
            [Slashes::Kept, Slashes::Merged].map(|slashes| {
                let normal = normalised(path, slashes);
                (*normal != *path).then(|| normal.into())
            })
        });
        std::iter::once(path).chain(other.iter().flatten().map(AsRef::as_ref))
    }
}
