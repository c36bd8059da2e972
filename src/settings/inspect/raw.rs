//! `[inspect]` as it is written.

use super::rule::Rule;
use crate::inspect::{Budgets, OnFailure};
use crate::settings::reader::{At, Section};
use crate::settings::words::name;
use std::path::PathBuf;
use std::time::Duration;

/// What happens to what cannot be judged.
const FAILURES: [(&str, OnFailure); 2] = [("pass", OnFailure::Pass), ("close", OnFailure::Close)];

/// `[inspect]`
#[derive(Debug, Clone, PartialEq)]
pub(in crate::settings) struct Inspect {
    pub enabled: bool,
    /// Files with rules, or patterns of them.
    pub include: Vec<At<String>>,
    pub budgets: Budgets,
    pub invalid_utf8: OnFailure,
    pub opaque_extensions: Vec<At<String>>,
    pub scanners: Vec<Scanner>,
    pub rules: Vec<Rule>,
}

/// One `[[inspect.scanner]]`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::settings) struct Scanner {
    pub name: At<String>,
    /// Absent only where its absence has been stated.
    pub url: Option<At<String>>,
    pub deadline: Duration,
    pub on_failure: OnFailure,
    pub concurrency: usize,
    pub max_size: u64,
    pub breaker_failures: u32,
    pub breaker_rest: At<Duration>,
    pub respmod_url: Option<At<String>>,
    /// Absent where it is not written: the protocol then says whether it is.
    pub tell_client_ip: Option<At<bool>>,
    pub tell_user: Option<At<bool>>,
    pub ca: Option<At<PathBuf>>,
    pub cert: Option<At<PathBuf>>,
    pub key: Option<At<PathBuf>>,
}

impl Default for Inspect {
    fn default() -> Self {
        Self {
            enabled: true,
            include: Vec::new(),
            budgets: Budgets::default(),
            invalid_utf8: OnFailure::Pass,
            opaque_extensions: Vec::new(),
            scanners: Vec::new(),
            rules: Vec::new(),
        }
    }
}

impl Inspect {
    pub(in crate::settings) fn read(mut section: Section<'_, '_>, probe: bool) -> Self {
        let default = Self::default();
        let read = Self {
            enabled: section.flag("enabled", default.enabled),
            include: section.texts("include"),
            budgets: budgets(&mut section, default.budgets),
            invalid_utf8: section.choice("invalid_utf8", &FAILURES, default.invalid_utf8),
            opaque_extensions: section.texts("opaque_extensions"),
            scanners: section.tables("scanner", "inspect.scanner", probe, Scanner::read),
            rules: section.tables("rule", "inspect.rule", probe, |rule| Rule::read(rule, probe)),
        };
        section.finish();
        read
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
    Budgets {
        message,
        inflated: section
            .size("inflated_bytes", 1 << 10..=1 << 40)
            .unwrap_or(default.inflated),
        connection,
        spent: section.choice("on_budget", &FAILURES, default.spent),
        hold: section.duration("hold", default.hold),
    }
}

impl Scanner {
    fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let named = section.read("name", |value| {
            let text = value.as_str();
            text.map_or_else(
                || Err(format!("is of type {}; write a name in quotes", value.type_str())),
                |text| name(text, "scanner"),
            )
        });
        let url = section.text("url");
        for key in ["name", "url"] {
            if !section.has(key) {
                let span = section.span();
                section.note(
                    &span,
                    key,
                    format!("is missing; each [[inspect.scanner]] needs {key} = \"...\""),
                );
            }
        }
        let read = Some(Self {
            url,
            deadline: section.duration("deadline", Duration::from_secs(5)),
            on_failure: section.choice("on_failure", &FAILURES, OnFailure::Pass),
            concurrency: section.number("concurrency", 1..=1024, 16),
            max_size: section
                .size("max_size", 1..=u64::from(u32::MAX))
                .unwrap_or(25 << 20),
            breaker_failures: u32::try_from(section.number("breaker_failures", 1..=1_000_000, 5))
                .unwrap_or(u32::MAX),
            breaker_rest: section.duration_at("breaker_rest", Duration::from_secs(10)),
            respmod_url: section.text("respmod_url"),
            tell_client_ip: section.flag_if_any("tell_client_ip"),
            tell_user: section.flag_if_any("tell_user"),
            ca: section.path_to("ca"),
            cert: section.path_to("cert"),
            key: section.path_to("key"),
            name: At::default(),
        });
        let name = named?;
        read.map(|scanner| Self { name, ..scanner })
    }
}
