//! `cache_peer_access`, `never_direct`, `always_direct`: what goes by which parents, as settings.

use super::access::{Access, Permit};
use super::headers::{Setting, chosen};
use super::meaning::Meanings;
use super::note::LineOutcome;
use super::peers::Peers;
use super::term::Formula;

/// Parents that are asked for different traffic; each combination is a setting.
const MAX_KINDS: usize = 4;

impl Peers {
    /// The settings that say what goes where; the last that holds wins.
    pub(super) fn settings(&self, meanings: &mut Meanings<'_>) -> Vec<Setting> {
        let mut found = Vec::new();
        if self.peers.is_empty() {
            for (lines, directive, outcome) in [
                (&self.always_direct, "always_direct", LineOutcome::Taken),
                (&self.never_direct, "never_direct", LineOutcome::GuardLost),
            ] {
                for line in lines {
                    let is_denial = line.action == Permit::Deny;
                    let text = "there is no parent: connections go directly to their origins";
                    meanings.notes.add(
                        &line.place,
                        directive,
                        if is_denial { LineOutcome::Taken } else { outcome },
                        text,
                    );
                }
            }
            return found;
        }
        // Parents that are asked for the same.
        let mut kinds: Vec<(Formula, Vec<&str>)> = Vec::new();
        for peer in &self.peers {
            let formula =
                allowed(&peer.access, meanings, "cache_peer_access").unwrap_or_else(Formula::always);
            match kinds.iter_mut().find(|(known, _)| *known == formula) {
                Some((_, names)) => names.push(&peer.name),
                None => kinds.push((formula, vec![&peer.name])),
            }
        }
        let never = allowed(&self.never_direct, meanings, "never_direct").unwrap_or_else(Formula::never);
        if kinds.len() > MAX_KINDS {
            let text = format!(
                "more than {MAX_KINDS} kinds of traffic have parents of their own; the settings that choose them have to be written by hand (docs/ways-out.md)"
            );
            if let Some(line) = self.peers.iter().flat_map(|peer| &peer.access).next() {
                meanings
                    .notes
                    .add(&line.place, "cache_peer_access", LineOutcome::GuardLost, text);
            }
            return found;
        }
        // What Squid may dial as it likes.
        let always = allowed(&self.always_direct, meanings, "always_direct").unwrap_or_else(Formula::never);
        let left = never.not().and_then(|left| left.and(&always.not()?));
        let may_be_direct = !left.is_ok_and(|left| left.is_never());
        let mut unserved = Formula::never();
        for chosen in 0..1_usize << kinds.len() {
            let mut formula = Ok(Formula::always());
            let mut names: Vec<&str> = Vec::new();
            for (at, (kind, of_kind)) in kinds.iter().enumerate() {
                let is_chosen = chosen & (1 << at) != 0;
                let part = if is_chosen { Ok(kind.clone()) } else { kind.not() };
                formula = formula.and_then(|formula| formula.and(&part?));
                if is_chosen {
                    names.extend(of_kind);
                }
            }
            let Ok(formula) = formula else { continue };
            if names.is_empty() {
                unserved = formula;
                continue;
            }
            // In the order of their lines.
            let ordered: Vec<_> = self
                .peers
                .iter()
                .map(|peer| &*peer.name)
                .filter(|name| names.contains(name))
                .collect();
            let in_turn = ordered.len() > 1
                && (self.peers.iter())
                    .filter(|peer| names.contains(&&*peer.name))
                    .all(|peer| peer.in_turn);
            for term in formula.0 {
                let mut says = vec![format!(
                    "parents = {}",
                    super::document::array(ordered.iter().copied())
                )];
                if in_turn {
                    says.push("parent_order = \"round_robin\"".to_owned());
                }
                found.push(Setting {
                    about: self
                        .peers
                        .iter()
                        .filter(|peer| names.contains(&&*peer.name))
                        .flat_map(|peer| peer.access.iter().map(about))
                        .collect(),
                    term,
                    says,
                });
            }
        }
        if may_be_direct {
            found.push(Setting {
                about: vec!["never_direct does not forbid it: once every parent has failed, the origin is dialled directly.".into()],
                term: Vec::new(),
                says: vec!["direct = \"last\"".into()],
            });
            if let Some(peer) = self.peers.first() {
                let text = format!(
                    "where never_direct does not forbid it Squid goes directly for CONNECT and for requests with a body, and asks parents for others as long as it thinks them nearer; here {} is asked for all, and origins are dialled directly once it has failed. always_direct names what is not for parents",
                    peer.name
                );
                if let Some(place) = self.never_direct.first().map(|line| &line.place) {
                    meanings
                        .notes
                        .add(place, "never_direct", LineOutcome::Surprise, text);
                } else {
                    meanings
                        .notes
                        .add(&meanings.first.clone(), "cache_peer", LineOutcome::Surprise, text);
                }
            }
            for term in never.0.iter().filter(|term| !term.is_empty()) {
                found.push(Setting {
                    about: self.never_direct.iter().map(about).collect(),
                    term: term.clone(),
                    says: vec!["direct = \"never\"".into()],
                });
            }
        }
        let guarded = unserved.and(&never).and_then(|both| both.and(&always.not()?));
        let is_unguarded = !guarded.is_ok_and(|guarded| guarded.is_never());
        for line in &self.never_direct {
            meanings.notes.add(
                &line.place,
                "never_direct",
                LineOutcome::Taken,
                "as direct = \"never\" of settings that name parents",
            );
            if is_unguarded && line.action == Permit::Allow {
                let text =
                    "what no parent is allowed to serve goes directly all the same: forbid it by a rule";
                meanings
                    .notes
                    .add(&line.place, "never_direct", LineOutcome::GuardLost, text);
            }
        }
        for (formula, line) in chosen(&self.always_direct, Permit::Allow, meanings, "always_direct") {
            meanings.notes.add(
                &line.place,
                "always_direct",
                LineOutcome::Taken,
                "as a setting with no parents",
            );
            for term in formula.0 {
                found.push(Setting {
                    about: vec![about(line)],
                    term,
                    says: vec!["parents = []".into()],
                });
            }
        }
        for line in &self.always_direct {
            meanings.notes.add(
                &line.place,
                "always_direct",
                LineOutcome::Taken,
                "in a setting with no parents",
            );
        }
        found
    }
}

fn about(line: &Access<Permit>) -> String {
    format!("{}: {}", line.place, line.text)
}

/// What a list allows; nothing if there is no list.
fn allowed(lines: &[Access<Permit>], meanings: &mut Meanings<'_>, directive: &str) -> Option<Formula> {
    if lines.is_empty() {
        return None;
    }
    let mut all = Formula::never();
    for (formula, _) in chosen(lines, Permit::Allow, meanings, directive) {
        all = all.clone().or(formula).unwrap_or(all);
    }
    Some(all.merged())
}
