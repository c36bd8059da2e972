//! The numbers of `/metrics`, but for what is asked for over HTTP, passes on WebSockets, and is inspected. What can be counted
//! is there from the start, at zero: `rate()` and alerts need a series before its first increment.

use super::families::{Declared, counters, gauges, histograms};
use super::names::{self, Def};
use super::process::Process;
use crate::accept::ClientLimit;
use crate::decide::ActKind;
use crate::dial::DialOutcome;
use crate::error::Side;
use crate::handshake::{HandshakeOutcome, LeafKey};
use crate::relay::{Closer, End, WebSocketTotals};
use crate::report::admin::access::AdminRefusal;
use crate::report::config::ReportConfig;
use crate::report::ending::Ending;
use crate::report::event::{ConnectionRecord, Event, Topic};
use crate::report::sink::Sink;
use crate::wire::frame::{Direction, Violation};
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NETWORK_SECONDS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
const MINT_SECONDS: [f64; 12] = [
    0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5,
];
const OPEN_SECONDS: [f64; 14] = [
    0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0, 86400.0, 604_800.0,
];

const SIDES: [Side; 2] = [Side::Client, Side::Origin];
/// The alerts by which a client can say that it does not trust a certificate (RFC 8446 section 6.2).
const ALERTS: [&str; 11] = [
    "unknown_ca",
    "bad_certificate",
    "certificate_unknown",
    "certificate_expired",
    "certificate_revoked",
    "unsupported_certificate",
    "access_denied",
    "decrypt_error",
    "bad_certificate_status_response",
    "closed",
    "other",
];
/// The cause of a Close that a peer sent of its own accord.
const PEER: &str = "peer";
/// The Closes that the proxy sends of its own accord, and why.
const OWN_CLOSES: [(&str, &str); 8] = [
    ("1001", "drain"),
    ("1001", "idle"),
    ("1002", "protocol_error"),
    ("1007", "budget"),
    ("1007", "protocol_error"),
    ("1008", "budget"),
    ("1008", "rule"),
    ("1009", "budget"),
];

/// RFC 6455 section 7.4 by number; 3000-4999 are for frameworks and applications, too many for a label each.
const CODES: [&str; 16] = [
    "1000", "1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008", "1009", "1010", "1011", "1012",
    "1013", "1014", "1015",
];
const OTHER_CODES: [&str; 4] = ["none", "3xxx", "4xxx", "other"];
/// Every family of this sink.
#[derive(Debug)]
pub(super) struct Metrics {
    accepted: IntCounter,
    open: IntGauge,
    limit: IntGauge,
    key_log: IntGauge,
    lost_keys: IntCounter,
    ended: IntCounterVec,
    limited: IntCounterVec,
    accept_errors: IntCounter,
    decisions: IntCounterVec,
    list_matches: IntCounterVec,
    lists: Declared,
    dial: HistogramVec,
    handshake: HistogramVec,
    listener_handshake: HistogramVec,
    leaf_mints: IntCounterVec,
    leaf_mint: Histogram,
    leaf_hits: IntCounterVec,
    refused_ca: IntCounterVec,
    websocket_opens: IntCounter,
    websockets: IntGauge,
    websocket_open: Histogram,
    closes: IntCounterVec,
    ends: IntCounterVec,
    protocol_errors: IntCounterVec,
    tunnel_bytes: IntCounterVec,
    admin_refused: IntCounterVec,
    reload_success: IntGauge,
    reload_timestamp: IntGauge,
    reloads: IntCounterVec,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        registry.register(Box::new(Process::of_self()))?;
        let none: [&str; 0] = [];
        let counter = |def| Ok::<_, prometheus::Error>(counters(registry, def)?.with_label_values(&none));
        let gauge = |def| Ok::<_, prometheus::Error>(gauges(registry, def)?.with_label_values(&none));
        let seconds = |def: &Def, bounds: &[f64]| histograms(registry, def, bounds);
        let build: IntGaugeVec = gauges(registry, &names::BUILD_INFO)?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Self {
            accepted: counter(&names::CONNECTIONS_ACCEPTED)?,
            open: gauge(&names::CONNECTIONS_OPEN)?,
            limit: gauge(&names::CONNECTIONS_LIMIT)?,
            key_log: gauge(&names::TLS_KEY_LOG)?,
            lost_keys: counter(&names::TLS_KEY_LOG_DROPPED)?,
            ended: counters(registry, &names::CONNECTIONS_ENDED)?,
            limited: counters(registry, &names::CLIENT_LIMITED)?,
            accept_errors: counter(&names::ACCEPT_ERRORS)?,
            decisions: counters(registry, &names::DECISIONS)?,
            list_matches: counters(registry, &names::LIST_MATCHES)?,
            lists: Declared::default(),
            dial: seconds(&names::DIAL_SECONDS, &NETWORK_SECONDS)?,
            handshake: seconds(&names::HANDSHAKE_SECONDS, &NETWORK_SECONDS)?,
            listener_handshake: seconds(&names::LISTENER_HANDSHAKE_SECONDS, &NETWORK_SECONDS)?,
            leaf_mints: counters(registry, &names::LEAF_MINTS)?,
            leaf_mint: seconds(&names::LEAF_MINT_SECONDS, &MINT_SECONDS)?.with_label_values(&none),
            leaf_hits: counters(registry, &names::LEAF_CACHE_HITS)?,
            refused_ca: counters(registry, &names::CLIENT_REFUSED_CA)?,
            websocket_opens: counter(&names::WEBSOCKET_OPENS)?,
            websockets: gauge(&names::WEBSOCKETS_OPEN)?,
            websocket_open: seconds(&names::WEBSOCKET_OPEN_SECONDS, &OPEN_SECONDS)?.with_label_values(&none),
            closes: counters(registry, &names::WEBSOCKET_CLOSES)?,
            ends: counters(registry, &names::WEBSOCKET_ENDS)?,
            protocol_errors: counters(registry, &names::WEBSOCKET_PROTOCOL_ERRORS)?,
            tunnel_bytes: counters(registry, &names::TUNNEL_BYTES)?,
            admin_refused: counters(registry, &names::ADMIN_REFUSED)?,
            reload_success: gauge(&names::RELOAD_SUCCESS)?,
            reload_timestamp: gauge(&names::RELOAD_TIMESTAMP)?,
            reloads: counters(registry, &names::RELOADS)?,
        };
        metrics.start_at_zero();
        // The configuration that the process started with.
        metrics.loaded();
        Ok(metrics)
    }

    fn start_at_zero(&self) {
        let zero = |family: &IntCounterVec, labels: &[&str]| drop(family.with_label_values(labels));
        Ending::all().for_each(|ending| zero(&self.ended, &[ending.label()]));
        for limit in ClientLimit::ALL {
            zero(&self.limited, &[limit.label()]);
        }
        AdminRefusal::ALL
            .iter()
            .for_each(|why| zero(&self.admin_refused, &[why.label()]));
        for outcome in DialOutcome::ALL {
            self.dial.with_label_values(&[outcome.label()]);
        }
        for outcome in HandshakeOutcome::ALL {
            for side in SIDES.into_iter().filter(|side| can_be(*side, outcome)) {
                self.handshake.with_label_values(&[side.label(), outcome.label()]);
            }
            if can_be(Side::Client, outcome) {
                self.listener_handshake.with_label_values(&[outcome.label()]);
            }
        }
        for act in ActKind::ALL {
            act.reasons()
                .iter()
                .for_each(|reason| zero(&self.decisions, &[act.label(), reason.label()]));
        }
        for key in [LeafKey::P256, LeafKey::Rsa2048] {
            zero(&self.leaf_mints, &[key.label()]);
            zero(&self.leaf_hits, &[key.label()]);
        }
        ALERTS.iter().for_each(|alert| zero(&self.refused_ca, &[alert]));
        for side in SIDES {
            CODES
                .iter()
                .chain(&OTHER_CODES)
                .for_each(|code| zero(&self.closes, &[code, side.label(), PEER]));
            for violation in Violation::ALL {
                zero(&self.protocol_errors, &[side.label(), violation.label()]);
            }
        }
        End::all().for_each(|end| zero(&self.ends, &[end.label()]));
        for (code, cause) in OWN_CLOSES {
            zero(&self.closes, &[code, Closer::Proxy.label(), cause]);
        }
        for direction in Direction::ALL {
            zero(&self.tunnel_bytes, &[direction.label()]);
        }
        ["success", "failure"]
            .iter()
            .for_each(|result| zero(&self.reloads, &[result]));
    }

    /// Ends the series of lists that are gone.
    fn forget_lists(&self) {
        self.lists
            .gone(|list| drop(self.list_matches.remove_label_values(list)));
    }

    fn loaded(&self) {
        self.reload_success.set(1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.reload_timestamp
            .set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    }

    fn websocket(&self, totals: &WebSocketTotals, open: Duration) {
        self.websockets.dec();
        self.websocket_open.observe(open.as_secs_f64());
        self.ends.with_label_values(&[totals.end.label()]).inc();
        if let Some(close) = &totals.first_close {
            let cause = match close.by {
                Closer::Client | Closer::Origin => PEER,
                Closer::Proxy => totals.end.cause(),
            };
            self.closes
                .with_label_values(&[close_class(close.code), close.by.label(), cause])
                .inc();
        }
        if let End::Violation(side, violation) = totals.end {
            self.protocol_errors
                .with_label_values(&[side.label(), violation.label()])
                .inc();
        }
    }

    fn ended(&self, record: &ConnectionRecord) {
        self.open.dec();
        self.ended.with_label_values(&[record.ending.label()]).inc();
        if let Some(matched) = &record.matched {
            // Bounded: a list has its name from the operator.
            self.list_matches.with_label_values(&[&*matched.list]).inc();
        }
        if let Some(tunnel) = record.tunnel {
            for direction in Direction::ALL {
                let bytes = tunnel.bytes[direction.index()];
                self.tunnel_bytes
                    .with_label_values(&[direction.label()])
                    .inc_by(bytes);
            }
        }
    }
}

impl Sink for Metrics {
    fn topics(&self) -> &'static [Topic] {
        &[Topic::Process, Topic::Connections, Topic::WebSockets]
    }

    fn state(&self, event: &Event<'_>) {
        match event {
            Event::Accepted => {
                self.accepted.inc();
                self.open.inc();
            }
            Event::Limited(limit) => self.limited.with_label_values(&[limit.label()]).inc(),
            Event::AcceptFailed(_) => self.accept_errors.inc(),
            Event::Decided(verdict) => {
                self.decisions
                    .with_label_values(&[verdict.act.label(), verdict.reason.label()])
                    .inc();
            }
            Event::Dialled(outcome, time) => observe(&self.dial, &[outcome.label()], *time),
            Event::Handshake(side, outcome, time) => {
                observe(&self.handshake, &[side.label(), outcome.label()], *time);
            }
            Event::ListenerHandshake(outcome, time) => {
                observe(&self.listener_handshake, &[outcome.label()], *time);
            }
            Event::Leaf {
                key,
                minted: Some(time),
            } => {
                self.leaf_mints.with_label_values(&[key.label()]).inc();
                self.leaf_mint.observe(time.as_secs_f64());
            }
            Event::Leaf { key, minted: None } => self.leaf_hits.with_label_values(&[key.label()]).inc(),
            Event::ClientRefusedCa { alert, .. } => {
                let alert = ALERTS.into_iter().find(|known| known == alert).unwrap_or("other");
                self.refused_ca.with_label_values(&[alert]).inc();
            }
            Event::WebSocketOpened(_) => {
                self.websocket_opens.inc();
                self.websockets.inc();
            }
            Event::WebSocketClosed { totals, open, .. } => self.websocket(totals, *open),
            Event::Ended(record) => self.ended(record),
            Event::AdminRefused(refused) => {
                self.admin_refused.with_label_values(&[refused.why.label()]).inc()
            }
            Event::Reloaded(Ok(())) => {
                self.reloads.with_label_values(&["success"]).inc();
                self.loaded();
            }
            Event::Reloaded(Err(_)) => {
                self.reloads.with_label_values(&["failure"]).inc();
                self.reload_success.set(0);
            }
            _ => {}
        }
    }

    fn declare(&self, config: &ReportConfig) {
        self.lists
            .declare(config.lists.iter().map(|list| vec![list.clone()]));
        self.forget_lists();
        for list in &config.lists {
            self.list_matches.with_label_values(&[list]);
        }
        self.limit
            .set(i64::try_from(config.connection_limit).unwrap_or(i64::MAX));
        self.key_log.set(i64::from(config.tls_key_log));
    }

    fn refresh(&self) {
        self.forget_lists();
        let lost = crate::handshake::lost_keys();
        self.lost_keys.inc_by(lost.saturating_sub(self.lost_keys.get()));
    }
}

fn observe(family: &HistogramVec, labels: &[&str], time: Duration) {
    family.with_label_values(labels).observe(time.as_secs_f64());
}

/// Some outcomes are only one side's.
const fn can_be(side: Side, outcome: HandshakeOutcome) -> bool {
    match outcome {
        HandshakeOutcome::CertificateInvalid | HandshakeOutcome::ClientCertificateRequired => {
            matches!(side, Side::Origin)
        }
        HandshakeOutcome::ClientRefusedCa => matches!(side, Side::Client),
        _ => true,
    }
}

fn close_class(code: Option<u16>) -> &'static str {
    match code {
        None => "none",
        Some(3000..=3999) => "3xxx",
        Some(4000..=4999) => "4xxx",
        Some(code) => code
            .checked_sub(1000)
            .and_then(|at| CODES.get(usize::from(at)))
            .copied()
            .unwrap_or("other"),
    }
}

#[cfg(test)]
mod tests;
