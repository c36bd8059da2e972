//! `dst` in `http_access`: networks in which no origin is dialled for some, whatever name leads there.
//!
//! Squid resolves a name to decide. Here rules go by what a client says, and networks are held against what is dialled.

use super::access::{Access, Permit};
use super::acl::Acl;
use super::document::array;
use super::headers::Setting;
use super::meaning::{Meanings, Moment};
use super::note::Place;
use super::term::{Formula, Range};
use super::values::{networks, others, ranges};
use std::collections::BTreeMap;

/// More networks than so many are not written into a setting.
const MAX_NETWORKS: usize = 1000;

/// What a line by `dst` comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// Networks that nobody reaches, whatever name leads there.
    Everybody,
    /// Networks that some do not reach, likewise; and whether what a line above lets through had to be left out of account.
    Some { holds_more: bool },
    /// Other lines let the same through, wherever it leads.
    Needless,
}

/// What holds lines by `dst` against what is dialled.
#[derive(Debug, Default)]
pub(super) struct Guards {
    /// By the places of the lines.
    pub(super) lines: BTreeMap<Place, Guard>,
    /// Networks that nobody reaches, and the lines that say so.
    pub(super) networks: Vec<String>,
    pub(super) about: Vec<String>,
    /// For some.
    pub(super) settings: Vec<Setting>,
}

impl Guards {
    /// Of `http_access`; `allows_rest` is what its last line comes to where none holds.
    pub(super) fn of(lines: &[Access<Permit>], allows_rest: bool, meanings: &mut Meanings<'_>) -> Self {
        let mut guards = Self::default();
        let mut acls = lines.iter().flat_map(|line| &line.acls);
        if !acls.any(|(_, name)| is_dst(name, meanings)) {
            return guards;
        }
        // The first line without a condition says what becomes of the rest.
        let is_for_all =
            |line: &&Access<Permit>| line.acls.iter().all(|(negated, name)| !negated && name == "all");
        let allows_rest = match lines.iter().find(is_for_all) {
            Some(line) => line.action == Permit::Allow,
            None => allows_rest,
        };
        // Whom lines above let through, as far as that can be said of a tunnel.
        let (mut passed, mut is_whole) = (Formula::never(), true);
        for (at, line) in lines.iter().enumerate() {
            guards.line(line, &lines[at + 1..], (&passed, is_whole), allows_rest, meanings);
            if line.action == Permit::Allow {
                let rest: Vec<_> = line
                    .acls
                    .iter()
                    .filter(|(negated, name)| !(*negated && is_dst(name, meanings)))
                    .cloned()
                    .collect();
                let found = of_tunnel(&rest, meanings);
                match found.and_then(|formula| passed.clone().or(formula).ok()) {
                    Some(both) => passed = both,
                    None => is_whole = false,
                }
            }
        }
        guards
    }

    fn line(
        &mut self,
        line: &Access<Permit>,
        below: &[Access<Permit>],
        (passed, is_whole): (&Formula, bool),
        allows_rest: bool,
        meanings: &mut Meanings<'_>,
    ) -> Option<()> {
        let (of_dst, rest): (Vec<_>, Vec<_>) = line
            .acls
            .iter()
            .cloned()
            .partition(|(_, name)| is_dst(name, meanings));
        let [(negated, name)] = &of_dst[..] else {
            return None;
        };
        if line.action == Permit::Allow && !negated {
            // What a name leads to opens nothing here.
            return None;
        }
        let found = meanings.acls.get(name).and_then(addresses)?;
        let is_complement = line.action == Permit::Deny && *negated;
        let found = match is_complement {
            true => others(&found),
            false => found,
        };
        if is_for_all_special(line) {
            return None;
        }
        let nets: Vec<_> = found.iter().flat_map(networks).collect();
        let about = format!("{}: {}", line.place, line.text);
        let is_for_all = rest.iter().all(|(negated, name)| !negated && name == "all");
        if line.action == Permit::Deny
            && is_for_all
            && passed.is_never()
            && is_whole
            && !is_complement
            && !is_special(name)
            && !nets.iter().any(|net| net.ends_with("/0"))
        {
            self.about.push(about);
            for net in nets {
                if !self.networks.contains(&net) {
                    self.networks.push(net);
                }
            }
            self.lines.insert(line.place.clone(), Guard::Everybody);
            return Some(());
        }
        if nets.is_empty() || nets.len() > MAX_NETWORKS {
            return None;
        }
        let mut holds_more = !is_whole;
        let mut let_off = passed.clone();
        if line.action == Permit::Allow {
            if allows_rest {
                return None;
            }
            // What another line allows is allowed, wherever it leads.
            for other in below.iter().filter(|other| other.action == Permit::Allow) {
                let found = of_tunnel(&other.acls, meanings);
                match found.and_then(|formula| let_off.clone().or(formula).ok()) {
                    Some(both) => let_off = both,
                    None => holds_more = true,
                }
            }
        }
        let asked = of_tunnel(&rest, meanings)?;
        let held = let_off.not().and_then(|others| asked.and(&others)).ok()?;
        if held.is_never() {
            self.lines.insert(line.place.clone(), Guard::Needless);
            return Some(());
        }
        for term in held.0 {
            self.settings.push(Setting {
                about: vec![about.clone()],
                term,
                says: vec![format!(
                    "deny_networks = {}",
                    array(nets.iter().map(String::as_str))
                )],
            });
        }
        self.lines.insert(line.place.clone(), Guard::Some { holds_more });
        Some(())
    }
}

/// What is refused without a line.
pub(super) fn is_for_all_special(line: &Access<Permit>) -> bool {
    line.action == Permit::Deny && matches!(&line.acls[..], [(false, name)] if is_special(name))
}

/// Networks that are refused unless the configuration allows them, which it may.
pub(super) fn is_special(name: &str) -> bool {
    matches!(name, "to_localhost" | "to_linklocal")
}

/// What ACLs ask for of a tunnel as a whole, if it is all that they ask for.
fn of_tunnel(acls: &[(bool, String)], meanings: &mut Meanings<'_>) -> Option<Formula> {
    let leaves = meanings.acls.leaves(acls);
    if leaves.iter().any(|(_, acl)| acl.kind == "url_regex") {
        return None;
    }
    meanings.all(acls, Moment::Treatment).ok()
}

fn is_dst(name: &str, meanings: &Meanings<'_>) -> bool {
    meanings.acls.get(name).is_some_and(|acl| acl.kind == "dst")
}

/// The addresses of an ACL, if all of its values are some.
fn addresses(acl: &Acl) -> Option<Vec<Range>> {
    let found: Result<Vec<_>, _> = acl.values().map(|value| ranges(&value.text)).collect();
    Some(found.ok()?.into_iter().flatten().collect())
}
