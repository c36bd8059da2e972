//! What happened: the events that the journey states. Sinks alone know metric names and log wording.

pub mod admin;
mod ending;
mod sinks;

pub use ending::Ending;

use crate::decide::{Act, ActKind, Matched, Reason};
use crate::dial::DialOutcome;
use crate::error::Side;
use crate::handshake::{LeafKey, Outcome};
use crate::http::{Flood, RequestDone, Watch, WebSocketInfo};
use crate::inspect::{About, Background, Blind, Content, Facts, Judgement, ScanOutcome, Witness};
use crate::relay::{Batch, Meter, OpaqueTotals, WebSocketTotals};
use crate::wire::frame::Direction;
use crate::wire::names::Authority;
use prometheus::{Registry, TextEncoder};
use sinks::{
    AccessLogSink, AuditLog, Frames, Har, InspectionMetrics, Metrics, OperationLog, ScanLog, Sink, Writer,
};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Every fact that a stage may state.
#[derive(Debug)]
pub enum Event<'a> {
    /// A client connected.
    Accepted,
    /// Accepting failed (out of descriptors, for instance).
    AcceptFailed(&'a std::io::Error),
    /// A verdict.
    Decided(&'a Act, Reason),
    /// The origin was dialled.
    Dialled(DialOutcome, Duration),
    /// A TLS handshake ended.
    Handshake(Side, Outcome, Duration),
    /// A TLS handshake of a client with the proxy itself ended.
    ListenerHandshake(Outcome, Duration),
    /// A leaf was asked for.
    Leaf {
        /// Its key.
        key: LeafKey,
        /// How long minting took; `None` for a cache hit.
        minted: Option<Duration>,
    },
    /// A client refused the forged certificate.
    ClientRefusedCa {
        /// What the client asked for.
        server_name: &'a str,
        /// The TLS alert, or `closed` for a close right after the certificate.
        alert: &'a str,
    },
    /// An exchange ended.
    Request(&'a RequestDone),
    /// A request could not be parsed, and was answered 400 without becoming an exchange.
    MalformedRequest,
    /// A client's HTTP/2 connection was closed for asking too much.
    Flooded(Flood),
    /// A host is not offered HTTP/2 any more for a while, since it says over that what this proxy cannot pass on.
    Http1Fallback {
        /// With its port.
        host: &'a str,
    },
    /// A WebSocket is open.
    WebSocketOpened(&'a WebSocketInfo),
    /// A WebSocket ended.
    WebSocketClosed {
        /// Its connection.
        connection: u64,
        /// Its handshake.
        info: &'a WebSocketInfo,
        /// What passed.
        totals: &'a WebSocketTotals,
        /// How long it was open.
        open: Duration,
    },
    /// A connection ended; stated exactly once for each `Accepted`.
    Ended(&'a ConnectionRecord),
    /// The configuration was loaded again, or not.
    Reloaded(Result<(), &'a str>),
}

/// One connection, from accept to its end.
#[derive(Debug, Clone)]
pub struct ConnectionRecord {
    /// Unique in this process.
    pub connection: u64,
    /// Who asked.
    pub client: SocketAddr,
    /// TLS with the proxy itself, for instance `TLSv1.3`.
    pub proxy_tls: Option<&'static str>,
    /// The connection whose HTTP/2 stream this is.
    pub inside: Option<u64>,
    /// What was asked for; `None` if the request never came or could not be read.
    pub target: Option<Authority>,
    /// The address that was dialled.
    pub origin: Option<SocketAddr>,
    /// The SNI of the ClientHello.
    pub sni: Option<String>,
    /// What was decided; `None` before a verdict was reached.
    pub action: Option<ActKind>,
    /// The verdict's reason.
    pub reason: Option<Reason>,
    /// The list entry that decided.
    pub matched: Option<Matched>,
    /// Negotiated with the client, for instance `TLSv1.3`.
    pub tls_version: Option<&'static str>,
    /// Negotiated ALPN.
    pub alpn: Option<String>,
    /// Requests served.
    pub requests: u64,
    /// What an opaque tunnel carried.
    pub tunnel: Option<OpaqueTotals>,
    /// How it ended.
    pub ending: Ending,
    /// The cause in words, for people.
    pub detail: Option<String>,
    /// From accept to end.
    pub duration: Duration,
}

/// Where the access log goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere.
    Off,
    /// A file, appended to; made with mode 0640 if it is not there.
    File(PathBuf),
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

/// What a [`Report`] needs to know.
#[derive(Debug, Clone, Default)]
pub struct ReportConfig {
    /// Where the access log goes.
    pub access: AccessLog,
    /// Where findings go.
    pub audit: AuditConfig,
    /// The names of the configured lists, so that each list's matches start at zero.
    pub lists: Vec<String>,
    /// The names of the rules with their actions' labels, so that each rule's findings start at zero.
    pub rules: Vec<(String, &'static str)>,
    /// Rules with a rate of their own in the audit log: in the place of [`AuditConfig::sample`].
    pub audit_samples: Vec<(String, u64)>,
    /// The names of the scanners, so that each one's scans start at zero.
    pub scanners: Vec<String>,
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

/// Hears every event and hands it to the sinks.
#[derive(Debug)]
pub struct Report {
    registry: Registry,
    sinks: Vec<Sink>,
    frames: Frames,
    inspection: InspectionMetrics,
    scans: ScanLog,
    audit: Option<AuditLog>,
    har: Har,
    logs: Vec<Writer>,
}

impl Report {
    /// Registers every metric at zero and opens the access log.
    ///
    /// # Errors
    /// When the access log's file cannot be opened or its thread cannot be started.
    pub fn new(config: ReportConfig) -> Result<Arc<Self>, ReportError> {
        let registry = Registry::new();
        let frames = Frames::new()?;
        let metrics = Metrics::new(&registry, &frames)?;
        let mut sinks = vec![Sink::Metrics(Box::new(metrics)), Sink::OperationLog(OperationLog)];
        let mut logs = Vec::new();
        if let Some((sink, writer)) = AccessLogSink::open(&config.access, &registry)? {
            sinks.push(Sink::AccessLog(sink));
            logs.push(writer);
        }
        let audit = AuditLog::open(&config.audit, &registry)?;
        logs.extend(audit.as_ref().map(AuditLog::writer));
        let inspection = InspectionMetrics::new(&registry)?;
        let har = Har::new(&registry)?;
        let report = Self {
            registry,
            sinks,
            frames,
            inspection,
            scans: ScanLog::default(),
            audit,
            har,
            logs,
        };
        report.declare(&config);
        Ok(Arc::new(report))
    }

    /// States what happened. Never waits.
    pub fn state(&self, event: &Event<'_>) {
        for sink in &self.sinks {
            sink.state(event);
        }
        if let Event::Ended(record) = event {
            self.har.ended(record.connection);
        }
    }

    /// After a reload: what now holds of lists, rules, limits and recordings. Where the logs go stays as it was.
    pub fn declare(&self, config: &ReportConfig) {
        for sink in &self.sinks {
            if let Sink::Metrics(metrics) = sink {
                metrics.declare_lists(config.lists.iter().map(String::as_str));
                metrics.set_connection_limit(config.connection_limit);
                metrics.set_key_log(config.tls_key_log);
            }
        }
        let rules = config.rules.iter().map(|(rule, action)| (rule.as_str(), *action));
        self.inspection.declare_rules(rules);
        if let Some(audit) = &self.audit {
            audit.declare_samples(&config.audit_samples);
        }
        self.inspection
            .declare_scanners(config.scanners.iter().map(String::as_str));
        if let Err(error) = self.har.configure(config.record.as_ref()) {
            tracing::error!(%error, "nothing is recorded: the thread that writes recordings cannot be started");
        }
    }

    /// Every metric in Prometheus's text format 0.0.4. Reads `/proc`, so call it where blocking is allowed.
    ///
    /// # Errors
    /// When two families contradict each other: a mistake in the program.
    pub fn scrape(&self) -> Result<String, ReportError> {
        for sink in &self.sinks {
            if let Sink::Metrics(metrics) = sink {
                metrics.set_lost_keys(crate::handshake::lost_keys());
            }
        }
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }

    /// Opens the logs' files anew after logrotate has moved it away. Lines stated before go to the old file.
    pub fn reopen_logs(&self) {
        self.logs.iter().for_each(Writer::reopen);
    }

    /// Ends the recording, and waits at most for `limit` until it is written; tells whether it is. Blocks.
    pub fn finish_recording(&self, limit: Duration) -> bool {
        self.har.finish(limit)
    }

    /// Waits until every line that was stated is written, at most for `limit`; tells whether it is. Blocks: for the
    /// end of `main`, or `spawn_blocking`.
    pub fn flush(&self, limit: Duration) -> bool {
        self.logs.iter().all(|log| log.flush(limit))
    }
}

impl Watch for Report {
    fn request_done(&self, done: &RequestDone) {
        self.state(&Event::Request(done));
    }

    fn flooded(&self, flood: Flood) {
        self.state(&Event::Flooded(flood));
    }

    fn http1_only(&self, host: &str) {
        self.state(&Event::Http1Fallback { host });
    }
}

impl Meter for Report {
    fn batch(&self, batch: &Batch) {
        self.frames.batch(batch);
    }

    fn pong(&self, from: Side, round_trip: Duration) {
        self.frames.pong(from, round_trip);
    }
}

impl Witness for Report {
    fn judged(&self, facts: &Facts, about: &About, judgement: &Judgement) {
        self.inspection.judged(judgement);
        if let Some(audit) = &self.audit {
            audit.judged(facts, about, judgement);
        }
    }

    fn blind(&self, facts: &Facts, about: &About, why: Blind, stopped: bool) {
        self.inspection.blind(why, stopped);
        if let Some(audit) = &self.audit {
            audit.blind(facts, about, why, stopped);
        }
    }

    fn invalid_utf8(&self, _facts: &Facts, direction: Direction) {
        self.inspection.invalid_utf8(direction);
    }

    fn reframed(&self, direction: Direction, before: u64, after: u64) {
        self.inspection.reframed(direction, before, after);
    }

    fn inflated(&self, compressed: u64, plain: u64) {
        self.inspection.inflated(compressed, plain);
    }

    fn scanned(&self, scanner: &str, outcome: &ScanOutcome, took: Duration) {
        self.inspection.scanned(scanner, outcome, took);
        self.scans.scanned(scanner, outcome);
    }

    fn background(&self, what: Background) {
        self.inspection.background(what);
    }

    fn content(&self, facts: &Arc<Facts>, content: &Content<'_>) {
        self.har.content(facts, content);
    }
}

#[cfg(test)]
mod tests;
