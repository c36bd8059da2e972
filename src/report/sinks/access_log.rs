//! The access log: one JSON line per connection, request and WebSocket, and per client that refused the CA.
//!
//! The runtime never waits for the disk or for whoever reads the pipe: see [`super::log_writer`].

use super::line::{Stamp, cap};
use super::log_writer::{Log, Writer};
use super::names;
use crate::decide::ActKind;
use crate::error::Side;
use crate::http::{RequestDone, WebSocketInfo};
use crate::relay::{End, WebSocketTotals};
use crate::report::config::{AccessLog, ReportError};
use crate::report::event::{ConnectionRecord, Event, Topic};
use crate::report::sink::Sink;
use crate::wire::frame::Direction;
use prometheus::Registry;
use serde::Serialize;
use std::borrow::Cow;
use std::time::Duration;

/// Makes the lines.
#[derive(Debug)]
pub(super) struct AccessLogSink {
    writer: Writer,
}

impl AccessLogSink {
    /// The sink, unless the log is off.
    pub(super) fn open(to: &AccessLog, registry: &Registry) -> Result<Option<Self>, ReportError> {
        let log = Log {
            name: "access-log",
            written: &names::ACCESS_LOG_LINES,
            dropped: &names::ACCESS_LOG_DROPPED,
            rotate_bytes: 0,
            keep: 0,
            failure: ReportError::AccessLog,
        };
        Ok(log.open(to, registry)?.map(|writer| Self { writer }))
    }
}

impl Sink for AccessLogSink {
    fn topics(&self) -> &'static [Topic] {
        &[Topic::Connections, Topic::Requests, Topic::WebSockets]
    }

    fn state(&self, event: &Event<'_>) {
        let line = match event {
            Event::Ended(record) => Line::connection(record),
            Event::Request(done) => Line::request(done),
            Event::WebSocketClosed {
                connection,
                info,
                totals,
                open,
            } => Line::websocket(*connection, info, totals, *open),
            Event::ClientRefusedCa { server_name, alert } => Line::ClientRefusedCa {
                time: Stamp::current(),
                server_name: cap(server_name),
                alert: cap(alert),
            },
            _ => return,
        };
        self.writer.line(&line);
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
enum Line<'a> {
    Connection(Box<ConnectionLine<'a>>),
    Request(RequestLine<'a>),
    Websocket(Box<WebSocketLine<'a>>),
    ClientRefusedCa {
        time: Stamp,
        server_name: Cow<'a, str>,
        alert: Cow<'a, str>,
    },
}

#[derive(Serialize)]
struct ConnectionLine<'a> {
    time: Stamp,
    connection: u64,
    client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_tls: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inside: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<Cow<'a, str>>,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
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
    requests: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_to_origin: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_to_client: Option<u64>,
    duration: f64,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
struct RequestLine<'a> {
    time: Stamp,
    connection: u64,
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
    detail: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
struct WebSocketLine<'a> {
    time: Stamp,
    connection: u64,
    protocol: &'static str,
    target: String,
    url: Cow<'a, str>,
    /// The Origin header; `origin` is an address elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_header: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subprotocol: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<Cow<'a, str>>,
    frames_to_origin: u64,
    frames_to_client: u64,
    messages_to_origin: u64,
    messages_to_client: u64,
    bytes_to_origin: u64,
    bytes_to_client: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    discarded_to_origin: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discarded_to_client: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_code: Option<u16>,
    duration: f64,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    violation_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl<'a> Line<'a> {
    fn connection(record: &'a ConnectionRecord) -> Self {
        let matched = record.matched.as_ref();
        let bytes = |direction: Direction| record.tunnel.map(|tunnel| tunnel.bytes[direction.index()]);
        Self::Connection(Box::new(ConnectionLine {
            time: Stamp::current(),
            connection: record.connection,
            client: record.client.to_string(),
            proxy_tls: record.proxy_tls,
            inside: record.inside,
            target: record
                .target
                .as_ref()
                .map(|target| cap(&target.to_string()).into_owned()),
            origin: record.origin.map(|origin| origin.to_string()),
            sni: record.sni.as_deref().map(cap),
            action: record.action.map_or("none", ActKind::label),
            reason: record.reason.map(|reason| reason.label()),
            list: matched.map(|matched| cap(&matched.list)),
            line: matched.map(|matched| matched.line),
            pattern: matched.map(|matched| cap(&matched.pattern)),
            tls_version: record.tls_version,
            alpn: record.alpn.as_deref().map(cap),
            requests: record.requests,
            bytes_to_origin: bytes(Direction::ToOrigin),
            bytes_to_client: bytes(Direction::ToClient),
            duration: record.duration.as_secs_f64(),
            outcome: record.ending.label(),
            detail: record.detail.as_deref().map(cap),
        }))
    }

    fn request(done: &'a RequestDone) -> Self {
        Self::Request(RequestLine {
            time: Stamp::current(),
            connection: done.connection,
            protocol: protocol(done.version),
            method: cap(done.method.as_str()),
            url: cap(&done.url),
            status: done.status,
            time_to_head: done.time_to_head.as_secs_f64(),
            duration: done.time_total.as_secs_f64(),
            bytes_to_origin: done.request_bytes,
            bytes_to_client: done.response_bytes,
            error: done.error.map(|error| error.label()),
            detail: done.detail.as_deref().map(cap),
        })
    }

    fn websocket(connection: u64, info: &'a WebSocketInfo, totals: &WebSocketTotals, open: Duration) -> Self {
        let (out, back) = (Direction::ToOrigin.index(), Direction::ToClient.index());
        let discarded = |way: usize| Some(totals.discarded[way]).filter(|bytes| *bytes > 0);
        let violation = match totals.end {
            End::Violation(side, violation) => Some((side, violation)),
            _ => None,
        };
        Self::Websocket(Box::new(WebSocketLine {
            time: Stamp::current(),
            connection,
            protocol: protocol(info.version),
            target: cap(&info.target.to_string()).into_owned(),
            url: cap(&info.url),
            origin_header: info.origin.as_deref().map(cap),
            subprotocol: info.subprotocol.as_deref().map(cap),
            extensions: info.extensions.as_deref().map(cap),
            frames_to_origin: totals.frames[out],
            frames_to_client: totals.frames[back],
            messages_to_origin: totals.messages[out],
            messages_to_client: totals.messages[back],
            bytes_to_origin: totals.payload_bytes[out],
            bytes_to_client: totals.payload_bytes[back],
            discarded_to_origin: discarded(out),
            discarded_to_client: discarded(back),
            closed_by: totals.first_close.map(|close| Side::label(close.by)),
            close_code: totals.first_close.and_then(|close| close.code),
            duration: open.as_secs_f64(),
            outcome: totals.end.label(),
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
