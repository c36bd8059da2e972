//! The access log: one JSON line per connection, request and WebSocket, per client that refused the CA, and per finding
//! that was enforced.
//!
//! The runtime never waits for the disk or for whoever reads the pipe: see [`super::log_writer`].

use super::found::Found;
use super::line::{Whose, cap, groups};
use super::log_writer::{Log, Writer};
use super::login_line::LoginLine;
use super::names;
use super::refused_line::RefusedLines;
use crate::decide::ActKind;
use crate::http::RequestDone;
use crate::inspect::{About, Finding, Judgement, SessionFacts};
use crate::relay::{Closer, End, WebSocketTotals};
use crate::report::config::{AccessLog, LoggedFindings, ReportConfig, ReportError};
use crate::report::event::{ConnectionRecord, Event, OpenWebSocket, Topic};
use crate::report::instance::Instance;
use crate::report::sink::Sink;
use crate::wire::frame::Direction;
use crate::wire::proxy_protocol::{Told, ToldTls};
use http::HeaderName;
use prometheus::Registry;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Makes the lines.
#[derive(Debug)]
pub(super) struct AccessLogSink {
    writer: Writer,
    instance: Instance,
    /// Whether findings that were enforced have lines.
    findings: AtomicBool,
    refused: RefusedLines,
}

impl AccessLogSink {
    /// The sink, unless the log is off.
    pub(super) fn open(
        to: &AccessLog,
        instance: &Instance,
        registry: &Registry,
    ) -> Result<Option<Self>, ReportError> {
        let log = Log {
            name: "access-log",
            written: &names::ACCESS_LOG_LINES,
            dropped: &names::ACCESS_LOG_DROPPED,
            rotate_bytes: 0,
            keep: 0,
            failure: ReportError::AccessLog,
        };
        Ok(log.open(to, registry)?.map(|writer| Self {
            writer,
            instance: instance.clone(),
            findings: AtomicBool::new(true),
            refused: RefusedLines::default(),
        }))
    }

    fn websocket(
        &self,
        socket: &OpenWebSocket<'_>,
        event: &'static str,
        so_far: Option<(&WebSocketTotals, Duration)>,
    ) {
        let whose = Whose::of(&self.instance, socket.who);
        self.writer
            .line(&AccessLine::websocket(whose, socket, event, so_far));
    }

    /// A message, head or body was judged. What only observes is for the audit log to tell.
    fn judged(&self, facts: &SessionFacts, about: &About, judgement: &Judgement) {
        for finding in judgement.findings.iter().filter(|finding| is_told(finding)) {
            let verdict = &judgement.verdict;
            let line = Found::finding(&self.instance, facts, about, finding, verdict, 1);
            self.writer.line(&line);
        }
    }
}

/// Whether a finding did something to what passes, or is meant to be seen at once.
fn is_told(finding: &Finding) -> bool {
    finding.enforced && !["allow", "log"].contains(&finding.action)
}

impl Sink for AccessLogSink {
    fn topics(&self) -> &'static [Topic] {
        &[
            Topic::Process,
            Topic::Connections,
            Topic::Requests,
            Topic::Logins,
            Topic::WebSockets,
            Topic::Inspection,
        ]
    }

    fn state(&self, event: &Event<'_>) {
        let whose = |who| Whose::of(&self.instance, who);
        match event {
            Event::Ended(record) => self
                .writer
                .line(&AccessLine::connection(whose(&record.who()), record)),
            Event::Request(done) => self.writer.line(&AccessLine::request(whose(&done.who), done)),
            Event::WebSocketOpened(socket) => self.websocket(socket, "opened", None),
            Event::WebSocketOpen { socket, totals, open } => {
                self.websocket(socket, "open", Some((totals, *open)))
            }
            Event::WebSocketClosed { socket, totals, open } => {
                self.websocket(socket, "closed", Some((totals, *open)))
            }
            Event::ClientRefusedCa {
                who,
                server_name,
                alert,
            } => self.writer.line(&AccessLine::ClientRefusedCa {
                whose: whose(who),
                server_name: cap(server_name),
                alert: cap(alert),
            }),
            Event::Judged {
                facts,
                about,
                judgement,
            } if self.findings.load(Relaxed) => self.judged(facts, about, judgement),
            Event::Blind {
                facts,
                about,
                why,
                stopped: true,
            } if self.findings.load(Relaxed) => {
                let line = Found::blind(&self.instance, facts, about, *why, true);
                self.writer.line(&line);
            }
            Event::PolicyObserved {
                who,
                target,
                observed,
            } => self.writer.line(&AccessLine::PolicyObserved {
                whose: whose(who),
                target: target.to_string(),
                rule: cap(&observed.rule),
                action: observed.action.label(),
            }),
            Event::Login(judged) => {
                if let Some(line) = LoginLine::failed(&self.instance, judged) {
                    self.writer.line(&line);
                }
            }
            Event::LockedOut {
                claimed,
                client,
                attempts,
                rest,
            } => {
                let line = LoginLine::locked_out(&self.instance, claimed, *client, *attempts, *rest);
                self.writer.line(&line);
            }
            Event::AdminRefused(refused) => {
                if let Some(line) = self.refused.line(&self.instance, refused) {
                    self.writer.line(&line);
                }
            }
            Event::Http1Fallback { who, host } => {
                self.writer.line(&AccessLine::http1_fallback(whose(who), host))
            }
            _ => {}
        }
    }

    fn declare(&self, config: &ReportConfig) {
        let are_told = config.findings == LoggedFindings::Enforced;
        self.findings.store(are_told, Relaxed);
    }

    fn reopen(&self) {
        self.writer.reopen();
    }

    fn flush(&self, limit: Duration) -> bool {
        self.writer.flush(limit)
    }
}

/// What may be in the log: each kind of line with its `type`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum AccessLine<'a> {
    Connection(Box<ConnectionLine<'a>>),
    Request(RequestLine<'a>),
    Websocket(Box<WebSocketLine<'a>>),
    ClientRefusedCa {
        #[serde(flatten)]
        whose: Whose<'a>,
        server_name: Cow<'a, str>,
        alert: Cow<'a, str>,
    },
    Http1Fallback {
        #[serde(flatten)]
        whose: Whose<'a>,
        host: Cow<'a, str>,
    },
    /// A rule of the policy that is only observed would have decided.
    PolicyObserved {
        #[serde(flatten)]
        whose: Whose<'a>,
        target: String,
        rule: Cow<'a, str>,
        action: &'static str,
    },
}

#[derive(Serialize)]
struct ConnectionLine<'a> {
    #[serde(flatten)]
    whose: Whose<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<&'a str>,
    client_port: u16,
    listener: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<ToldLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_tls: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inside: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<Cow<'a, str>>,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpn: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<&'static str>,
    requests: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_to_origin: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_to_client: Option<u64>,
    duration: f64,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
}

/// What a load balancer tells of a client.
#[derive(Serialize)]
struct ToldLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    authority: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpn: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    netns: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_version: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cipher: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_client: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_client_verified: Option<bool>,
}

impl<'a> ToldLine<'a> {
    fn of(told: &'a Told) -> Self {
        let tls = told.tls.as_ref();
        let of_tls = |of: fn(&ToldTls) -> &Option<String>| tls.and_then(|tls| of(tls).as_deref()).map(cap);
        Self {
            authority: told.authority.as_deref().map(cap),
            alpn: told.alpn.as_deref().map(cap),
            unique_id: told.unique_id.as_deref().map(cap),
            netns: told.netns.as_deref().map(cap),
            tls_version: of_tls(|tls| &tls.version),
            tls_cipher: of_tls(|tls| &tls.cipher),
            tls_client: of_tls(|tls| &tls.common_name),
            tls_client_verified: tls.map(|tls| tls.is_verified),
        }
    }
}

#[derive(Serialize)]
struct RequestLine<'a> {
    #[serde(flatten)]
    whose: Whose<'a>,
    request_id: String,
    protocol: &'static str,
    method: Cow<'a, str>,
    url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    time_to_head: f64,
    duration: f64,
    bytes_to_origin: u64,
    bytes_to_client: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    malformed: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    malformed_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Headers::is_empty")]
    headers: Headers<'a>,
}

/// Fields of a request, as an object with a text for each.
struct Headers<'a>(&'a [(HeaderName, String)]);

impl Headers<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name.as_str(), value)))
    }
}

#[derive(Serialize)]
struct WebSocketLine<'a> {
    #[serde(flatten)]
    whose: Whose<'a>,
    websocket: u64,
    event: &'static str,
    protocol: &'static str,
    target: String,
    url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<Cow<'a, str>>,
    /// The Origin header; `origin` is an address elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_header: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subprotocol: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<Cow<'a, str>>,
    #[serde(flatten)]
    so_far: Option<SoFar<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    violation_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// What has passed on a WebSocket.
#[derive(Serialize)]
struct SoFar<'a> {
    frames_to_origin: u64,
    frames_to_client: u64,
    messages_to_origin: u64,
    messages_to_client: u64,
    bytes_to_origin: u64,
    bytes_to_client: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_to_origin: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_to_client: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped_to_origin: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped_to_client: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discarded_to_origin: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discarded_to_client: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_reason: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_rule: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_direction: Option<&'static str>,
    duration: f64,
}

impl<'a> SoFar<'a> {
    fn of((totals, open): (&'a WebSocketTotals, Duration)) -> Self {
        let (out, back) = (Direction::ToOrigin.index(), Direction::ToClient.index());
        let some = |count: u64| Some(count).filter(|count| *count > 0);
        let close = totals.first_close.as_ref();
        let by_proxy = close.is_some_and(|close| close.by == Closer::Proxy);
        let by_rule = totals.rule_close.as_ref();
        Self {
            frames_to_origin: totals.frames[out],
            frames_to_client: totals.frames[back],
            messages_to_origin: totals.messages[out],
            messages_to_client: totals.messages[back],
            bytes_to_origin: totals.payload_bytes[out],
            bytes_to_client: totals.payload_bytes[back],
            changed_to_origin: some(totals.changed[out]),
            changed_to_client: some(totals.changed[back]),
            dropped_to_origin: some(totals.dropped[out]),
            dropped_to_client: some(totals.dropped[back]),
            discarded_to_origin: some(totals.discarded[out]),
            discarded_to_client: some(totals.discarded[back]),
            closed_by: close.map(|close| close.by.label()),
            close_code: close.and_then(|close| close.code),
            close_reason: close
                .map(|close| cap(&close.reason))
                .filter(|reason| !reason.is_empty()),
            close_cause: by_proxy.then(|| totals.end.cause()),
            close_rule: by_rule.map(|by| cap(&by.rule)),
            close_direction: by_rule.map(|by| by.direction.label()),
            duration: open.as_secs_f64(),
        }
    }
}

impl<'a> AccessLine<'a> {
    fn connection(whose: Whose<'a>, record: &'a ConnectionRecord) -> Self {
        let matched = record.matched.as_ref();
        let bytes = |direction: Direction| record.tunnel.map(|tunnel| tunnel.bytes[direction.index()]);
        Self::Connection(Box::new(ConnectionLine {
            whose,
            groups: groups(record.user.as_deref()),
            client_port: record.client.port(),
            listener: cap(&record.listener),
            peer: record.peer.map(|peer| peer.to_string()),
            told: record.told.as_deref().map(ToldLine::of),
            proxy_tls: record.proxy_tls,
            inside: record.inside,
            target: record
                .target
                .as_ref()
                .map(|target| cap(&target.to_string()).into_owned()),
            origin: record.origin.map(|origin| origin.to_string()),
            parent: record.parent.as_deref().map(cap),
            sni: record.sni.as_deref().map(cap),
            action: record.action.map_or("none", ActKind::label),
            reason: record.reason.map(|reason| reason.label()),
            rule: record.rule.as_deref().map(cap),
            list: matched.map(|matched| cap(&matched.list)),
            line: matched.map(|matched| matched.line),
            pattern: matched.map(|matched| cap(&matched.pattern)),
            tls_version: record.tls_version,
            alpn: record.alpn.as_deref().map(cap),
            chain: record.chain,
            requests: record.requests,
            request_id: record.request_id.map(|id| id.to_string()),
            bytes_to_origin: bytes(Direction::ToOrigin),
            bytes_to_client: bytes(Direction::ToClient),
            duration: record.duration.as_secs_f64(),
            outcome: record.ending.label(),
            detail: record.detail.as_deref().map(cap),
        }))
    }

    fn request(whose: Whose<'a>, done: &'a RequestDone) -> Self {
        let malformed = done.malformed_by();
        Self::Request(RequestLine {
            whose,
            request_id: done.id.to_string(),
            protocol: protocol(done.version),
            method: cap(done.method.as_str()),
            url: cap(&done.url),
            status: done.status,
            time_to_head: done.time_to_head.as_secs_f64(),
            duration: done.time_total.as_secs_f64(),
            bytes_to_origin: done.request_bytes,
            bytes_to_client: done.response_bytes,
            error: done.error.map(|error| error.label()),
            rule: done.rule.as_deref().map(cap),
            malformed: malformed.map(|(_, why)| why.label()),
            malformed_by: malformed.map(|(side, _)| side.label()),
            detail: done.detail.as_deref().map(cap),
            headers: Headers(&done.headers),
        })
    }

    fn http1_fallback(whose: Whose<'a>, host: &'a str) -> Self {
        Self::Http1Fallback {
            whose,
            host: cap(host),
        }
    }

    fn websocket(
        whose: Whose<'a>,
        socket: &OpenWebSocket<'a>,
        event: &'static str,
        so_far: Option<(&'a WebSocketTotals, Duration)>,
    ) -> Self {
        let OpenWebSocket { id, info, .. } = *socket;
        let end = so_far.filter(|_| event == "closed").map(|(totals, _)| totals.end);
        let violation = match end {
            Some(End::Violation(side, violation)) => Some((side, violation)),
            _ => None,
        };
        Self::Websocket(Box::new(WebSocketLine {
            whose,
            websocket: id,
            event,
            protocol: protocol(info.version),
            target: cap(&info.facts.target.to_string()).into_owned(),
            url: cap(&info.url),
            rule: info.rule.as_deref().map(cap),
            origin_header: info.facts.origin.as_deref().map(cap),
            subprotocol: info.facts.subprotocol.as_deref().map(cap),
            extensions: info.extensions.as_deref().map(cap),
            so_far: so_far.map(SoFar::of),
            outcome: end.map(End::label),
            violation_by: violation.map(|(side, _)| side.label()),
            error: violation.map(|(_, violation)| violation.label()),
        }))
    }
}

/// A protocol's name, as a start line has it.
fn protocol(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_2 => "HTTP/2",
        http::Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests;
