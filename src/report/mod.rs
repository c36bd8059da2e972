//! What happened: the events that the journey states. Sinks alone know metric names and log wording.

pub mod admin;
mod sinks;

use crate::decide::{Act, Matched, Reason};
use crate::dial::DialOutcome;
use crate::error::Side;
use crate::handshake::{LeafKey, Outcome};
use crate::http::Watch;
use crate::http::{RequestDone, WebSocketInfo};
use crate::relay::{Batch, Meter, OpaqueTotals, WebSocketTotals};
use crate::wire::names::Authority;
use prometheus::{Registry, TextEncoder};
use sinks::{AccessLogSink, Frames, Metrics, OperationLog, Sink, Writer};
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
    /// A WebSocket is open.
    WebSocketOpened,
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
    /// What was asked for; `None` if the request never came or could not be read.
    pub target: Option<Authority>,
    /// The address that was dialled.
    pub origin: Option<SocketAddr>,
    /// The SNI of the ClientHello.
    pub sni: Option<String>,
    /// The verdict's label, `none` before one was reached.
    pub action: &'static str,
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
    /// How it ended: `ok`, or a short machine-readable cause such as a [`DialOutcome`] or [`Outcome`] label.
    pub outcome: &'static str,
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

/// What a [`Report`] needs to know.
#[derive(Debug, Clone, Default)]
pub struct ReportConfig {
    /// Where the access log goes.
    pub access: AccessLog,
    /// The names of the configured lists, so that each list's matches start at zero.
    pub lists: Vec<String>,
    /// How many connections may be open at once; 0 if unlimited.
    pub connection_limit: u64,
}

/// Why there can be no report.
#[derive(Debug)]
pub enum ReportError {
    /// The access log's file cannot be opened.
    AccessLog(PathBuf, io::Error),
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
            Self::Thread(error) => write!(f, "cannot start the thread that writes the access log: {error}"),
            Self::Metrics(error) => write!(f, "metrics: {error}"),
        }
    }
}

impl std::error::Error for ReportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::AccessLog(_, error) | Self::Thread(error) => Some(error),
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
    log: Option<Writer>,
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
        let mut sinks = vec![Sink::Metrics(metrics), Sink::OperationLog(OperationLog)];
        let mut log = None;
        if let Some((sink, writer)) = AccessLogSink::open(&config.access, &registry)? {
            sinks.push(Sink::AccessLog(sink));
            log = Some(writer);
        }
        let report = Self {
            registry,
            sinks,
            frames,
            log,
        };
        report.declare(config.lists.iter().map(String::as_str), config.connection_limit);
        Ok(Arc::new(report))
    }

    /// States what happened. Never waits.
    pub fn state(&self, event: &Event<'_>) {
        for sink in &self.sinks {
            sink.state(event);
        }
    }

    /// After a reload: the lists' names and the connection limit (0 if unlimited) that now hold.
    pub fn declare<'a>(&self, lists: impl IntoIterator<Item = &'a str> + Clone, connection_limit: u64) {
        for sink in &self.sinks {
            if let Sink::Metrics(metrics) = sink {
                metrics.declare_lists(lists.clone());
                metrics.set_connection_limit(connection_limit);
            }
        }
    }

    /// Every metric in Prometheus's text format 0.0.4. Reads `/proc`, so call it where blocking is allowed.
    ///
    /// # Errors
    /// When two families contradict each other: a mistake in the program.
    pub fn scrape(&self) -> Result<String, ReportError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }

    /// Opens the access log's file anew after logrotate has moved it away. Lines stated before go to the old file.
    pub fn reopen_logs(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
    }

    /// Waits until every line that was stated is written, at most for `limit`; tells whether it is. Blocks: for the
    /// end of `main`, or `spawn_blocking`.
    pub fn flush(&self, limit: Duration) -> bool {
        self.log.as_ref().is_none_or(|log| log.flush(limit))
    }
}

impl Watch for Report {
    fn request_done(&self, done: &RequestDone) {
        self.state(&Event::Request(done));
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

#[cfg(test)]
mod tests;
