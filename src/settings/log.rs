//! `[log]`: what the logs hold, and where they go.

use super::files::{directory_of, relative_to};
use super::problem::{Diagnostics, Span, nearest};
use super::reader::{At, Section};
use super::words::level;
use crate::report::{AccessLog, AuditConfig};
use std::path::{Path, PathBuf};

/// The table as written.
#[derive(Debug)]
pub(super) struct LogTable {
    access: At<String>,
    audit_to: At<String>,
    audit: AuditConfig,
    /// The operational log's level, in `tracing_subscriber`'s filter syntax.
    pub level: String,
}

impl LogTable {
    /// Reads the table; no file that it names is opened yet.
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let text = |at: Option<At<String>>, default: &str| at.unwrap_or_else(|| default.to_owned().into());
        let table = Self {
            access: text(section.text("access"), "stdout"),
            audit_to: text(section.text("audit"), "off"),
            audit: AuditConfig {
                to: AccessLog::Off,
                excerpts: section.flag("audit_excerpts", true),
                sample: section.number("audit_sample", 1..=1_000_000, 1) as u64,
                rotate_bytes: section.size("audit_rotate", 0..=1 << 40).unwrap_or(0),
                keep: u32::try_from(section.number("audit_keep", 0..=1000, 5)).unwrap_or(u32::MAX),
            },
            level: text(
                section.read("level", |value| {
                    let text = value.as_str().unwrap_or_default();
                    level(text).map(|()| text.to_owned())
                }),
                "info",
            )
            .value,
        };
        section.finish();
        table
    }

    /// Where the logs go.
    pub(super) fn resolve(self, notes: &mut Diagnostics) -> (AccessLog, AuditConfig) {
        let access = target("log.access", &self.access, notes);
        let to = target("log.audit", &self.audit_to, notes);
        (access, AuditConfig { to, ..self.audit })
    }
}

/// Where a log goes.
fn target(key: &str, written: &At<String>, notes: &mut Diagnostics) -> AccessLog {
    match &*written.value {
        "off" => AccessLog::Off,
        "stdout" => AccessLog::Stdout,
        "stderr" => AccessLog::Stderr,
        path => AccessLog::File(file(key, path, &written.span, notes)),
    }
}

fn file(key: &str, written: &str, span: &Span, notes: &mut Diagnostics) -> PathBuf {
    let path = relative_to(notes.file(), Path::new(written));
    let dir = directory_of(&path);
    if !dir.is_dir() {
        let words = ["stdout", "stderr", "off"];
        let advice = match nearest(written, words) {
            Some(near) if !written.contains('/') => format!("did you mean {near:?}?"),
            _ => "make it, or write \"stdout\", \"stderr\" or \"off\"".into(),
        };
        notes.add(
            span,
            key,
            format!("there is no directory {}; {advice}", dir.display()),
        );
    } else if path.is_dir() {
        notes.add(
            span,
            key,
            format!("{} is a directory; name a file in it", path.display()),
        );
    }
    path
}
