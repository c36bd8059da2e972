//! `[record]`: what is kept of content and of TLS keys, by the operator's explicit word.

use super::lists::Lists;
use super::problem::{Notes, Span};
use super::reader::{At, Section};
use super::relative_to;
use crate::inspect::{Recording, Room};
use crate::report::{Per, RecordConfig};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The table as written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    directory: Option<At<PathBuf>>,
    hosts: Vec<At<String>>,
    except_hosts: Vec<At<String>>,
    per_window: bool,
    window: Duration,
    mask: bool,
    body: usize,
    websocket: u64,
    messages: usize,
    memory: usize,
    keep: usize,
    tls_key_log: Option<At<String>>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            directory: None,
            hosts: Vec::new(),
            except_hosts: Vec::new(),
            per_window: false,
            window: Duration::from_secs(5 * 60),
            mask: true,
            body: 64 << 10,
            websocket: 1 << 20,
            messages: 10_000,
            memory: 64 << 20,
            keep: 100,
            tls_key_log: None,
        }
    }
}

/// The file that TLS keys go to where it stands for `$SSLKEYLOGFILE`.
const FROM_ENVIRONMENT: &str = "$SSLKEYLOGFILE";
const VARIABLE: &str = "SSLKEYLOGFILE";

/// Compressed bodies are cut as they came and masked as they are read: a secret at the cut has to be whole for that.
const BEYOND: usize = 4096;

/// One in so many bytes of the memory is for bodies and messages that have not ended yet.
const UNDER_WAY: usize = 4;

impl Record {
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let default = Self::default();
        let directory = section.path_to("directory");
        let (hosts, except_hosts) = (section.texts("hosts"), section.texts("except_hosts"));
        let per_window = section.choice("per", &[("connection", false), ("window", true)], false);
        let window = section.duration("window", default.window);
        let mask = section.flag("mask", default.mask);
        let mut size = |key, range, default| {
            let bytes = section.size(key, range);
            bytes
                .and_then(|bytes| usize::try_from(bytes).ok())
                .unwrap_or(default)
        };
        let body = size("body_bytes", 0..=1 << 30, default.body);
        let websocket = size("websocket_bytes", 0..=1 << 30, 1 << 20) as u64;
        let memory = size("memory_bytes", 1 << 20..=1 << 36, default.memory);
        let read = Self {
            directory,
            hosts,
            except_hosts,
            per_window,
            window,
            mask,
            body,
            websocket,
            messages: section.number("websocket_messages", 0..=10_000_000, default.messages),
            memory,
            keep: section.number("keep", 1..=1_000_000, default.keep),
            tls_key_log: section.text("tls_key_log"),
        };
        section.finish();
        read
    }

    /// What is recorded, and how; nothing without a directory.
    pub(super) fn resolve(
        &self,
        lists: &mut Lists<'_>,
        notes: &mut Notes,
        warnings: &mut Vec<String>,
    ) -> Option<(Recording, RecordConfig)> {
        let hosts = lists.resolve(&self.hosts, "record.hosts", notes);
        let except_hosts = lists.resolve(&self.except_hosts, "record.except_hosts", notes);
        let At { value, span } = self.directory.as_ref()?;
        let directory = relative_to(notes.file(), value);
        if !directory.is_dir() {
            let message = format!(
                "there is no directory {}; make it, for this process alone, and let others not read it",
                directory.display()
            );
            notes.add(span, "record.directory", message);
        }
        let whose = if self.hosts.is_empty() {
            ", of every host that is decrypted: name lists in record.hosts to record less"
        } else {
            ""
        };
        warnings.push(format!(
            "record.directory: content is recorded in {}{whose}",
            directory.display()
        ));
        if !self.mask {
            warnings.push(
                "record.mask is false: recordings hold passwords, cookies and other secrets in clear"
                    .to_owned(),
            );
        }
        let recording = Recording {
            hosts,
            except_hosts,
            body: self.body.saturating_add(BEYOND),
            room: Arc::new(Room::new(self.memory / UNDER_WAY)),
        };
        let config = RecordConfig {
            directory,
            per: match self.per_window {
                false => Per::Connection,
                true => Per::Window(self.window),
            },
            mask: self.mask,
            body_bytes: self.body,
            websocket_bytes: self.websocket,
            websocket_messages: self.messages,
            memory_bytes: self.memory - self.memory / UNDER_WAY,
            keep: self.keep,
        };
        Some((recording, config))
    }

    /// Where TLS keys go, if anywhere.
    pub(super) fn key_log(&self, notes: &mut Notes, warnings: &mut Vec<String>) -> Option<PathBuf> {
        let from_environment = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
        let Some(At { value, span }) = &self.tls_key_log else {
            if let Some(path) = from_environment {
                warnings.push(format!(
                    "SSLKEYLOGFILE is set and not used: TLS keys are written to {} only with record.tls_key_log = \"{FROM_ENVIRONMENT}\"",
                    Path::new(&path).display()
                ));
            }
            return None;
        };
        let path = if value == FROM_ENVIRONMENT {
            let Some(path) = from_environment else {
                let message = "the environment has no SSLKEYLOGFILE; set it, or write a path";
                notes.add(span, "record.tls_key_log", message);
                return None;
            };
            path.into()
        } else {
            relative_to(notes.file(), Path::new(value))
        };
        check(&path, span, notes);
        warnings.push(format!(
            "record.tls_key_log: the keys of every TLS connection, of both sides, are written to {}: whoever reads it can decrypt what was captured",
            path.display()
        ));
        Some(path)
    }
}

fn check(path: &Path, span: &Span, notes: &mut Notes) {
    let directory = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let kind = std::fs::metadata(path).map(|metadata| metadata.file_type());
    if kind.is_ok_and(|kind| kind.is_fifo() || kind.is_socket()) {
        // Whoever reads a pipe could stop every handshake by not reading.
        let message = format!("{} is a pipe or a socket; name a file", path.display());
        notes.add(span, "record.tls_key_log", message);
    } else if path.is_dir() {
        let message = format!("{} is a directory; name a file in it", path.display());
        notes.add(span, "record.tls_key_log", message);
    } else if !directory.is_dir() {
        let message = format!("there is no directory {}; make it", directory.display());
        notes.add(span, "record.tls_key_log", message);
    }
}
