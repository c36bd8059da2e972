//! All rules together, of the configuration and of the files that it includes.

use super::include::Included;
use super::rule::RuleTable;
use crate::admit::Names;
use crate::inspect::rules::Rules;
use crate::inspect::{HostScope, Mode};
use crate::settings::problem::Diagnostics;
use crate::wire::names::Authority;
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
    scope: HostScope,
}

impl RuleInfo {
    /// Its name and its action's label.
    pub(in crate::settings) fn label(&self) -> (String, &'static str) {
        (self.name.as_ref().to_owned(), self.action)
    }

    /// Its name and its own sampling.
    pub(in crate::settings) fn sample(&self) -> Option<(String, u64)> {
        Some((self.name.as_ref().to_owned(), self.audit_sample?))
    }

    /// Whether it looks at what goes to or comes from `target`; its other conditions may still say no.
    pub fn concerns(&self, target: &Authority) -> bool {
        // By one name alone it does not matter whether a rule guards or lets off.
        self.scope.guards(std::iter::once(target))
    }
}

/// Resolves what the rules refer to, and compiles them; what is wrong is stated in the file that the rule stands in.
pub(super) fn compile(
    own: Vec<RuleTable>,
    included: Vec<Included>,
    (scanners, users): (&[String], &Names),
    notes: &mut Diagnostics,
) -> (Rules, Vec<RuleInfo>) {
    let mut named: BTreeMap<Arc<str>, String> = BTreeMap::new();
    let mut specs = Vec::new();
    let mut infos = Vec::new();
    // Each file's notes, and each rule with the file that it stands in.
    let mut others = Vec::new();
    let mut all: Vec<(Option<usize>, RuleTable)> = own.into_iter().map(|rule| (None, rule)).collect();
    for file in included {
        all.extend(file.rules.into_iter().map(|rule| (Some(others.len()), rule)));
        others.push(file.notes);
    }
    for (file, rule) in &mut all {
        let notes = notes_of(*file, notes, &mut others);
        let at = notes.whereabouts(&rule.span);
        if let Some(first) = named.insert(rule.spec.name.clone(), at.clone()) {
            let message = format!(
                "{:?} is the name of the rule at {first} too; metrics could not tell them apart, so give each its own",
                rule.spec.name
            );
            notes.add(&rule.name_span, format!("{}.name", rule.table), message);
        }
        rule.resolve(scanners, users, notes);
        let spec = rule.spec.clone();
        infos.push(RuleInfo {
            name: spec.name.clone(),
            action: spec.action.label(),
            mode: spec.mode,
            audit_sample: rule.audit_sample,
            at,
            scope: spec.place.scope.clone(),
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
            notes.warn(format!("{}: rule {:?}: {warning}", info.at, info.name));
        }
    }
    for other in others {
        notes.absorb(other);
    }
    (compiled, infos)
}

/// The notes of the file that a rule stands in.
fn notes_of<'n>(
    file: Option<usize>,
    own: &'n mut Diagnostics,
    others: &'n mut [Diagnostics],
) -> &'n mut Diagnostics {
    match file.and_then(|index| others.get_mut(index)) {
        Some(notes) => notes,
        None => own,
    }
}
