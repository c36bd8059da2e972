//! `[log]`: what the logs hold, and where they go.

use super::duration;
use super::files::{directory_of, relative_to};
use super::problem::{Diagnostics, FileSpan, nearest};
use super::reader::{At, Section};
use super::words::level;
use crate::journey::Logged;
use crate::report::{AccessLog, AuditConfig, LoggedFindings};
use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeValue;

/// How often open WebSockets are told of by default.
const INTERVAL: Duration = Duration::from_secs(15 * 60);
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// How many fields of a request may be logged.
const MOST_HEADERS: usize = 16;

/// The table as written.
#[derive(Debug)]
pub(super) struct LogTable {
    access: At<String>,
    audit_to: At<String>,
    audit: AuditConfig,
    findings: LoggedFindings,
    logged: Logged,
    /// The operational log's level, in `tracing_subscriber`'s filter syntax.
    pub level: String,
}

impl LogTable {
    /// Reads the table; no file that it names is opened yet.
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let text = |at: Option<At<String>>, default: &str| at.unwrap_or_else(|| default.to_owned().into());
        let findings = [
            ("enforced", LoggedFindings::Enforced),
            ("off", LoggedFindings::Off),
        ];
        let table = Self {
            findings: section.choice("findings", &findings, LoggedFindings::Enforced),
            logged: Logged {
                headers: headers(&mut section),
                websocket_interval: interval(&mut section),
            },
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

    /// Where the logs go, and what they hold.
    pub(super) fn resolve(self, notes: &mut Diagnostics) -> Logs {
        let access = target("log.access", &self.access, notes);
        let to = target("log.audit", &self.audit_to, notes);
        Logs {
            access,
            findings: self.findings,
            audit: AuditConfig { to, ..self.audit },
            logged: self.logged,
        }
    }
}

/// The table with what it names.
#[derive(Debug)]
pub(super) struct Logs {
    pub access: AccessLog,
    pub findings: LoggedFindings,
    pub audit: AuditConfig,
    pub logged: Logged,
}

/// How often open WebSockets are told of; 0 is never.
fn interval(section: &mut Section<'_, '_>) -> Option<Duration> {
    let key = "websocket_interval";
    let read = section.read(key, |value| match value {
        DeValue::Integer(number) if number.as_str() == "0" => Ok(None),
        DeValue::String(text) => match duration::parse(text)? {
            short if short < SHORTEST_INTERVAL => Err(format!(
                "is {text:?}, and each open WebSocket has a line so often; write \"1s\" or more"
            )),
            interval => Ok(Some(interval)),
        },
        _ => Err("is no duration; write one such as \"15m\", or 0 for no such lines".to_owned()),
    });
    read.map_or(Some(INTERVAL), |at| at.value)
}

/// The fields of requests that are logged.
fn headers(section: &mut Section<'_, '_>) -> Arc<[HeaderName]> {
    let Some(list) = section.list("request_headers", header) else {
        return Arc::default();
    };
    if list.value.len() > MOST_HEADERS {
        let message = format!(
            "has {} names; a line has room for {MOST_HEADERS}",
            list.value.len()
        );
        section.note(&list.span, "request_headers", message);
    }
    let mut names: Vec<HeaderName> = Vec::new();
    for At { value, span } in list.value {
        if names.contains(&value) {
            section.note(
                &span,
                "request_headers",
                format!("has {value} twice; one is enough"),
            );
        } else {
            names.push(value);
        }
    }
    names.into()
}

/// The name of a field that may be logged.
fn header(written: &str) -> Result<HeaderName, String> {
    let name = HeaderName::from_bytes(written.as_bytes()).map_err(|_| {
        format!("{written:?} is no name of a field; write one such as \"User-Agent\" (RFC 9110 section 5.1)")
    })?;
    if [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE].contains(&name) {
        return Err(format!(
            "{written} holds secrets, which are never logged; take it out"
        ));
    }
    Ok(name)
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

fn file(key: &str, written: &str, span: &FileSpan, notes: &mut Diagnostics) -> PathBuf {
    let path = relative_to(notes.file(), Path::new(written));
    let dir = directory_of(&path);
    // A file may have any name, but hardly this one.
    if let Some(near) = nearest(written, ["stdout", "stderr"])
        && !written.contains(['/', '.'])
        && !path.exists()
    {
        notes.warn_at(
            span,
            key,
            &format!("{written:?} is the name of a file here; did you mean {near:?}?"),
        );
    }
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
