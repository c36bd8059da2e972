//! From `[inspect]` as written to an [`Inspection`]: reads the files that it names, resolves lists and scanners,
//! and has the rules compiled.

mod include;
mod raw;
mod rule;
mod scanner;
#[cfg(test)]
mod tests;

pub(super) use include::is_rules_only;
pub(super) use raw::Inspect;

use super::lists::Lists;
use super::load::read;
use super::problem::{Notes, Place, nearest};
use crate::decide::List;
use crate::inspect::rules::Rules;
use crate::inspect::{Inspection, Mode, RuleSpec, ScannerId, Where};
use crate::scan::ScannerConfig;
use crate::wire::names::Authority;
use include::Included;
use rule::Rule;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a rule is called, and where it stands.
#[derive(Debug, Clone)]
pub struct RuleInfo {
    /// Its name.
    pub name: Arc<str>,
    /// Its action's label.
    pub action: &'static str,
    /// Whether it acts.
    pub mode: Mode,
    /// Of its findings that only observe, one in so many is in the audit log; `None` for what holds for all rules.
    pub audit_sample: Option<u64>,
    /// `FILE:LINE` of its table.
    pub at: String,
    hosts: Vec<Arc<List>>,
    except_hosts: Vec<Arc<List>>,
}

impl RuleInfo {
    /// Its name and its action's label.
    pub(super) fn label(&self) -> (String, &'static str) {
        (self.name.as_ref().to_owned(), self.action)
    }

    /// Its name and its own sampling.
    pub(super) fn sample(&self) -> Option<(String, u64)> {
        Some((self.name.as_ref().to_owned(), self.audit_sample?))
    }

    /// Whether it looks at what goes to or comes from `target`; its other conditions may still say no.
    pub fn concerns(&self, target: &Authority) -> bool {
        let any = |lists: &[Arc<List>]| lists.iter().any(|list| list.find(target).is_some());
        (self.hosts.is_empty() || any(&self.hosts)) && !any(&self.except_hosts)
    }
}

/// What `[inspect]` amounts to.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub inspection: Inspection,
    pub rules: Vec<RuleInfo>,
    /// What the scanners are to be built from, by [`ScannerId`].
    pub scanners: Vec<ScannerConfig>,
}

/// Reads and checks everything. The rules of the configuration itself come first, then those of each included file
/// in the order of `include`.
pub(super) fn load(
    written: &mut Inspect,
    lists: &mut Lists<'_>,
    notes: &mut Notes,
    warnings: &mut Vec<String>,
) -> Loaded {
    let included = include::read_all(&written.include, notes, warnings);
    let opaque_extensions = lists.resolve(&written.opaque_extensions, "inspect.opaque_extensions", notes);
    let scanners = scanner::configs(&written.scanners, notes, warnings);
    // A scanner that is wrong has been stated, and is no reason to say that it is not there.
    let names: Vec<_> = written.scanners.iter().map(|at| at.name.value.clone()).collect();
    let own = std::mem::take(&mut written.rules);
    let (rules, infos) = rules(own, included, lists, &names, notes, warnings);
    Loaded {
        inspection: Inspection {
            rules: Arc::new(if written.enabled { rules } else { Rules::default() }),
            budgets: written.budgets,
            scanners: Vec::new(),
            opaque_extensions,
            invalid_utf8: written.invalid_utf8,
            recording: None,
        },
        rules: infos,
        scanners,
    }
}

fn rules(
    own: Vec<Rule>,
    included: Vec<Included>,
    lists: &mut Lists<'_>,
    scanners: &[String],
    notes: &mut Notes,
    warnings: &mut Vec<String>,
) -> (Rules, Vec<RuleInfo>) {
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    let mut specs = Vec::new();
    let mut infos = Vec::new();
    // Each file's notes, and each rule with the file that it stands in.
    let mut others = Vec::new();
    let mut all: Vec<(Option<usize>, Rule)> = own.into_iter().map(|rule| (None, rule)).collect();
    for file in included {
        all.extend(file.rules.into_iter().map(|rule| (Some(others.len()), rule)));
        others.push(file.notes);
    }
    for (file, rule) in &all {
        let notes = notes_of(*file, notes, &mut others);
        let at = notes.whereabouts(&rule.span);
        if let Some(first) = named.insert(rule.name.value.clone(), at.clone()) {
            let message = format!(
                "{:?} is the name of the rule at {first} too; metrics could not tell them apart, so give each its own",
                rule.name.value
            );
            notes.add(&rule.name.span, format!("{}.name", rule.table), message);
        }
        let spec = resolve(rule, lists, scanners, notes);
        infos.push(RuleInfo {
            name: spec.name.clone(),
            action: spec.action.label(),
            mode: spec.mode,
            audit_sample: rule.audit_sample,
            at,
            hosts: spec.place.hosts.clone(),
            except_hosts: spec.place.except_hosts.clone(),
        });
        specs.push(spec);
    }
    let compiled = Rules::compile(specs).unwrap_or_else(|errors| {
        // That names are unique has been seen to, with the places of both.
        for error in errors.into_iter().filter(|error| error.key != "name") {
            if let Some((file, rule)) = all.get(error.rule) {
                let key = format!("{}.{}", rule.table, error.key);
                notes_of(*file, notes, &mut others).add(&rule.span_of(error.key), key, error.message);
            }
        }
        Rules::default()
    });
    for (index, warning) in compiled.warnings() {
        if let Some(info) = infos.get(index) {
            warnings.push(format!("{}: rule {:?}: {warning}", info.at, info.name));
        }
    }
    for other in others {
        notes.absorb(other);
    }
    (compiled, infos)
}

fn notes_of<'n>(file: Option<usize>, own: &'n mut Notes, others: &'n mut [Notes]) -> &'n mut Notes {
    match file.and_then(|index| others.get_mut(index)) {
        Some(notes) => notes,
        None => own,
    }
}

fn resolve(rule: &Rule, lists: &mut Lists<'_>, scanners: &[String], notes: &mut Notes) -> RuleSpec {
    let key = |key: &str| format!("{}.{key}", rule.table);
    let mut what = rule.what.clone();
    for at in &rule.keyword_files {
        let Some((path, bytes)) = read(&at.value, &at.span, &key("keyword_files"), notes) else {
            continue;
        };
        match String::from_utf8(bytes) {
            Ok(text) => what.keywords.extend(keywords(&text)),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let place = Place::of(&String::from_utf8_lossy(error.as_bytes()), valid);
                notes.add_in(&path, Some(place), "", "is not UTF-8 text; save it as UTF-8");
            }
        }
    }
    if let Some(at) = &rule.scan {
        let index = scanners.iter().position(|name| *name == at.value);
        what.scan = index.map(ScannerId);
        if index.is_none() {
            let advice = match nearest(&at.value, scanners.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("write an [[inspect.scanner]] with name = {:?}", at.value),
            };
            let message = format!("there is no scanner named {:?}; {advice}", at.value);
            notes.add(&at.span, key("scan"), message);
        }
    }
    let place = &rule.place;
    RuleSpec {
        name: rule.name.value.as_str().into(),
        mode: rule.mode,
        action: rule.action.clone(),
        place: Where {
            surfaces: place.surfaces.clone(),
            hosts: lists.resolve(&place.hosts, &key("hosts"), notes),
            except_hosts: lists.resolve(&place.except_hosts, &key("except_hosts"), notes),
            path: place.path.clone(),
            direction: place.direction,
            opcode: place.opcode,
            subprotocols: place.subprotocols.clone(),
            origin: place.origin.clone(),
            clients: place.clients.clone(),
            users: place.users.clone(),
            content_types: place.content_types.clone(),
        },
        what,
        decode: rule.decode,
    }
}

/// One a line; blank lines and those that begin with `#` are skipped.
fn keywords(text: &str) -> impl Iterator<Item = String> {
    let lines = text.trim_start_matches('\u{FEFF}').lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
}
