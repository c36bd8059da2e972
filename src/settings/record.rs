//! `[record]`: what is kept of content and of TLS keys, by the operator's explicit word.

use super::files::{directory_of, relative_to};
use super::lists::Lists;
use super::problem::{Diagnostics, FileSpan};
use super::reader::{At, Section};
use crate::inspect::{HostScope, Recording, Room};
use crate::report::{Per, RecordConfig};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The table as written.
#[derive(Debug)]
pub(super) struct RecordTable {
    directory: Option<At<PathBuf>>,
    /// Without its directory.
    config: RecordConfig,
    /// Without room for copies.
    recording: Recording,
    tls_key_log: Option<At<String>>,
}

/// The file that TLS keys go to where it stands for `$SSLKEYLOGFILE`.
const FROM_ENVIRONMENT: &str = "$SSLKEYLOGFILE";
const VARIABLE: &str = "SSLKEYLOGFILE";

/// Compressed bodies are cut as they came and masked as they are read: a secret at the cut has to be whole for that.
const BEYOND: usize = 4096;

/// One in so many bytes of the memory is for bodies and messages that have not ended yet.
const UNDER_WAY: usize = 4;

impl RecordTable {
    /// Reads the table; no file that it names is opened yet.
    pub(super) fn read(mut section: Section<'_, '_>, lists: &mut Lists) -> Self {
        let directory = section.path_to("directory");
        let scope = HostScope {
            hosts: lists.named(&mut section, "hosts"),
            except: lists.named(&mut section, "except_hosts"),
        };
        let per_window = section.choice("per", &[("connection", false), ("window", true)], false);
        let window = section.duration("window", Duration::from_secs(5 * 60));
        let mut size = |key, range, default| section.size(key, range).unwrap_or(default);
        let config = RecordConfig {
            directory: PathBuf::new(),
            per: match per_window {
                false => Per::Connection,
                true => Per::Window(window),
            },
            body_bytes: in_memory(size("body_bytes", 0..=1 << 30, 64 << 10)),
            websocket_bytes: size("websocket_bytes", 0..=1 << 30, 1 << 20),
            memory_bytes: in_memory(size("memory_bytes", 1 << 20..=1 << 36, 64 << 20)),
            mask: section.flag("mask", true),
            websocket_messages: section.number("websocket_messages", 0..=10_000_000, 10_000),
            keep: section.number("keep", 1..=1_000_000, 100),
        };
        let table = Self {
            directory,
            recording: Recording {
                scope,
                body: config.body_bytes.saturating_add(BEYOND),
                room: Arc::default(),
            },
            config,
            tls_key_log: section.text("tls_key_log"),
        };
        section.finish();
        table
    }

    /// What is recorded and how, nothing without a directory; and where TLS keys go, if anywhere.
    pub(super) fn resolve(
        mut self,
        notes: &mut Diagnostics,
    ) -> (Option<(Recording, RecordConfig)>, Option<PathBuf>) {
        let keys = self.tls_key_log.take();
        let recorded = self.recorded(notes);
        (recorded, key_log(keys.as_ref(), notes))
    }

    fn recorded(self, notes: &mut Diagnostics) -> Option<(Recording, RecordConfig)> {
        let At { value, span } = self.directory?;
        let directory = relative_to(notes.file(), &value);
        if !directory.is_dir() {
            let message = format!(
                "there is no directory {}; make it, for this process alone, and let others not read it",
                directory.display()
            );
            notes.add(&span, "record.directory", message);
        }
        let whose = if self.recording.scope.hosts.is_empty() {
            ", of every host that is decrypted: name lists in record.hosts to record less"
        } else {
            ""
        };
        notes.warn(format!(
            "record.directory: content is recorded in {}{whose}",
            directory.display()
        ));
        if !self.config.mask {
            notes.warn("record.mask is false: recordings hold passwords, cookies and other secrets in clear");
        }
        let under_way = self.config.memory_bytes / UNDER_WAY;
        let recording = Recording {
            room: Arc::new(Room::new(under_way)),
            ..self.recording
        };
        let config = RecordConfig {
            directory,
            memory_bytes: self.config.memory_bytes - under_way,
            ..self.config
        };
        Some((recording, config))
    }
}

/// Where TLS keys go, if anywhere.
fn key_log(written: Option<&At<String>>, notes: &mut Diagnostics) -> Option<PathBuf> {
    let from_environment = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
    let Some(At { value, span }) = written else {
        if let Some(path) = from_environment {
            notes.warn(format!(
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
    notes.warn(format!(
        "record.tls_key_log: the keys of every TLS connection, of both sides, are written to {}: whoever reads it can decrypt what was captured",
        path.display()
    ));
    Some(path)
}

/// What 32-bit processors cannot count is more than they have.
fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// States what keys cannot be written to.
fn check(path: &Path, span: &FileSpan, notes: &mut Diagnostics) {
    let directory = directory_of(path);
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
