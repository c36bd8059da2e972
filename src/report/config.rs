//! What the sinks are told at the start and after each reload, and what can go wrong then.

use crate::decide::List;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where the access log goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// To standard output, which a service manager keeps.
    #[default]
    Stdout,
    /// To standard error, beside the operation log.
    Stderr,
    /// Nowhere: no line is made.
    Off,
    /// To a file, appended to; made with mode 0640 if it is not there.
    File(PathBuf),
}

/// Which findings the access log has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoggedFindings {
    /// Those that stopped or changed something or raised an alert, and what was stopped uninspected.
    #[default]
    Enforced,
    /// None.
    Off,
}

/// Where findings go, and how many of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// Where the lines go.
    pub to: AccessLog,
    /// Whether lines have the surroundings of a match, with the match masked.
    pub excerpts: bool,
    /// Of findings that only observe, one in so many is written; all that were enforced are.
    pub sample: u64,
    /// A file is moved away before it grows beyond this many bytes; 0 for never.
    pub rotate_bytes: u64,
    /// How many files stay that were moved away.
    pub keep: u32,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            to: AccessLog::Off,
            excerpts: true,
            sample: 1,
            rotate_bytes: 0,
            keep: 5,
        }
    }
}

/// What gets a file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// Each client connection.
    Connection,
    /// Each of these times, counted from the Unix epoch.
    Window(Duration),
}

/// How content is recorded. Which is, the inspection says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordConfig {
    /// Where the files go; of this process alone.
    pub directory: PathBuf,
    /// What gets a file of its own.
    pub per: Per,
    /// Whether credentials and known secrets are masked.
    pub mask: bool,
    /// The most of one body that is written, in bytes without its content coding.
    pub body_bytes: usize,
    /// The most of one WebSocket's messages, in bytes, in one file.
    pub websocket_bytes: u64,
    /// The most messages of one WebSocket in one file.
    pub websocket_messages: usize,
    /// The most memory that recordings take.
    pub memory_bytes: usize,
    /// How many files stay.
    pub keep: usize,
}

/// What a [`Report`](crate::report::Report) needs to know.
#[derive(Debug, Clone, Default)]
pub struct ReportConfig {
    /// Where the access log goes.
    pub access: AccessLog,
    /// Which findings it has.
    pub findings: LoggedFindings,
    /// Where findings go.
    pub audit: AuditConfig,
    /// The names of the configured lists, so that each list's matches start at zero.
    pub lists: Vec<String>,
    /// The lists whose WebSockets are counted by themselves, under the lists' names.
    pub services: Vec<Arc<List>>,
    /// The names of the policy's rules, and whether each is only observed, so that each one's verdicts start at zero.
    pub policy_rules: Vec<(String, bool)>,
    /// The names of the rules with their actions' labels, so that each rule's findings start at zero.
    pub rules: Vec<(String, &'static str)>,
    /// Rules with a rate of their own in the audit log: in the place of [`AuditConfig::sample`].
    pub audit_samples: Vec<(String, u64)>,
    /// The names of the scanners, so that each one's scans start at zero.
    pub scanners: Vec<String>,
    /// The names of the parents, so that each one's numbers start at zero.
    pub parents: Vec<Arc<str>>,
    /// How many connections may be open at once; 0 if unlimited.
    pub connection_limit: u64,
    /// How content is recorded; `None` where none is.
    pub record: Option<RecordConfig>,
    /// Whether the keys of TLS sessions are written to a file.
    pub tls_key_log: bool,
}

/// Why there can be no report.
#[derive(Debug)]
pub enum ReportError {
    /// The access log's file cannot be opened.
    AccessLog(PathBuf, io::Error),
    /// The audit log's file cannot be opened.
    AuditLog(PathBuf, io::Error),
    /// The access log's thread cannot be started.
    Thread(io::Error),
    /// A metric cannot be registered or written: a mistake in the program.
    Metrics(prometheus::Error),
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessLog(path, error) => {
                write!(f, "cannot open the access log {}: {error}", path.display())
            }
            Self::AuditLog(path, error) => {
                write!(f, "cannot open the audit log {}: {error}", path.display())
            }
            Self::Thread(error) => write!(f, "cannot start the thread that writes a log: {error}"),
            Self::Metrics(error) => write!(f, "metrics: {error}"),
        }
    }
}

impl std::error::Error for ReportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::AccessLog(_, error) | Self::AuditLog(_, error) | Self::Thread(error) => Some(error),
            Self::Metrics(error) => Some(error),
        }
    }
}

impl From<prometheus::Error> for ReportError {
    fn from(error: prometheus::Error) -> Self {
        Self::Metrics(error)
    }
}
