//! `[inspect]`: what is looked into, and by which rules.

mod include;
mod rule;
mod rules;
mod scanner;
#[cfg(test)]
mod tests;

pub(super) use include::is_rules_only;
pub use rules::RuleInfo;

use super::lists::Lists;
use super::problem::Diagnostics;
use super::reader::{At, Section};
use super::words::FAILURES;
use crate::admit::Names;
use crate::inspect::rules::Rules;
use crate::inspect::{Budgets, Inspection, OnFailure};
use crate::scan::ScannerConfig;
use rule::RuleTable;
use scanner::ScannerTable;
use std::path::Path;
use std::sync::Arc;

/// The table as written.
#[derive(Debug)]
pub(super) struct InspectTable {
    pub enabled: bool,
    /// Files with rules, or patterns of them.
    include: Vec<At<String>>,
    /// Without rules and scanners.
    inspection: Inspection,
    scanners: Vec<ScannerTable>,
    rules: Vec<RuleTable>,
}

/// What `[inspect]` amounts to.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// Without scanners.
    pub inspection: Inspection,
    pub rules: Vec<RuleInfo>,
    /// What the scanners are to be built from, by [`crate::inspect::ScannerId`].
    pub scanners: Vec<ScannerConfig>,
}

impl InspectTable {
    /// Reads the table, and those within it.
    pub(super) fn read(mut section: Section<'_, '_>, lists: &mut Lists, probe: bool) -> Self {
        let table = Self {
            enabled: section.flag("enabled", true),
            include: section.texts("include"),
            inspection: Inspection {
                budgets: budgets(&mut section, Budgets::default()),
                invalid_utf8: section.choice("invalid_utf8", &FAILURES, OnFailure::Pass),
                opaque_extensions: lists.named(&mut section, "opaque_extensions"),
                ..Inspection::default()
            },
            scanners: section.tables("scanner", "inspect.scanner", probe, ScannerTable::read),
            rules: section.tables("rule", "inspect.rule", probe, |rule| {
                RuleTable::read(rule, lists, probe)
            }),
        };
        section.finish();
        table
    }

    /// Has the rules of this file alone, as if it were the only one that is included.
    pub(super) fn include_only(&mut self, file: &Path) {
        self.include = vec![file.to_string_lossy().into_owned().into()];
        self.rules.clear();
    }

    /// Reads what the table names, and has the rules compiled. Its own come first, then those of each included file
    /// in the order of `include`. Users are called what `users` call them; without, nobody is asked who they are.
    pub(super) fn resolve(self, lists: &mut Lists, users: Option<&Names>, notes: &mut Diagnostics) -> Loaded {
        let included = include::read_all(&self.include, lists, notes);
        // A scanner that is wrong has been stated, and is no reason to say that it is not there.
        let names: Vec<_> = self
            .scanners
            .iter()
            .map(|table| table.name.value.clone())
            .collect();
        let scanners = scanner::configs(self.scanners, users.is_some(), notes);
        let nobody = Names::default();
        let users = users.unwrap_or(&nobody);
        let (rules, infos) = rules::compile(self.rules, included, (&names, users), notes);
        Loaded {
            inspection: Inspection {
                rules: Arc::new(if self.enabled { rules } else { Rules::default() }),
                ..self.inspection
            },
            rules: infos,
            scanners,
        }
    }
}

fn budgets(section: &mut Section<'_, '_>, default: Budgets) -> Budgets {
    // Below 1 KiB hardly any message could be judged; above 1 GiB a few connections take all memory.
    let mut kept = |key, default: usize| {
        let bytes = section.size(key, 1 << 10..=1 << 30);
        bytes
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(default)
    };
    let message = kept("message_bytes", default.message);
    // Who raises one budget should not have to raise the other to be allowed to.
    let connection = kept("connection_bytes", default.connection.max(message));
    if connection < message {
        let span = section
            .spans()
            .into_iter()
            .find(|(key, _)| key == "connection_bytes");
        let span = span.and_then(|(_, span)| span);
        section.note(
            &span,
            "connection_bytes",
            "is less than message_bytes: no message of that size could be kept; raise it, or lower message_bytes",
        );
    }
    let process = section.size("process_bytes", 1 << 20..=1 << 40);
    let process = process.and_then(|bytes| usize::try_from(bytes).ok());
    Budgets {
        message,
        inflated: section
            .size("inflated_bytes", 1 << 10..=1 << 40)
            .unwrap_or(default.inflated),
        connection,
        // Less than one connection may keep would be another way to write that.
        process: process.unwrap_or(default.process.max(connection)),
        spent: section.choice("on_budget", &FAILURES, default.spent),
        hold: section.duration("hold", default.hold),
    }
}
