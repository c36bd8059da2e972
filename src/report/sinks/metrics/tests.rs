use super::*;
use crate::decide::{Act, Matched, Reason, Verdict};
use crate::http::WebSocketInfo;
use crate::inspect::SessionFacts;
use crate::relay::{Closer, FirstClose, OpaqueTotals};
use crate::report::event::OpenWebSocket;
use crate::report::tests::{rises, sample, silent, who};
use crate::wire::names::{Authority, Host};
use std::sync::Arc;

fn target() -> Authority {
    Authority {
        host: Host::Name("chat.example".into()),
        port: 443,
    }
}

fn record() -> ConnectionRecord {
    ConnectionRecord {
        connection: 1,
        client: ([127, 0, 0, 1], 4000).into(),
        listener: "proxy".into(),
        peer: None,
        told: None,
        user: None,
        proxy_tls: None,
        inside: None,
        target: Some(target()),
        origin: None,
        parent: None,
        sni: None,
        action: Some(ActKind::Splice),
        reason: Some(Reason::ListConnect),
        rule: None,
        matched: None,
        tls_version: None,
        alpn: None,
        chain: None,
        requests: 0,
        request_id: None,
        tunnel: None,
        ending: Ending::Ok,
        detail: None,
        duration: Duration::from_secs(1),
    }
}

#[test]
fn connections_are_counted_from_accept_to_end() {
    let (mut matched, tunnel) = (record(), OpaqueTotals { bytes: [7, 9] });
    matched.tunnel = Some(tunnel);
    rises(
        &[Event::Accepted, Event::Accepted, Event::Ended(&matched)],
        &[
            ("wsbump_connections_accepted_total", 2.0),
            ("wsbump_connections_open", 1.0),
            ("wsbump_connections_ended_total{outcome=\"ok\"}", 1.0),
            ("wsbump_tunnel_bytes_total{direction=\"to_origin\"}", 7.0),
            ("wsbump_tunnel_bytes_total{direction=\"to_client\"}", 9.0),
        ],
    );
    rises(
        &[Event::AcceptFailed(&std::io::Error::other("no descriptors"))],
        &[("wsbump_accept_errors_total", 1.0)],
    );
}

#[test]
fn every_ending_is_there_before_it_happens() {
    let report = silent();
    let series = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .filter(|line| line.starts_with("wsbump_connections_ended_total"));
        lines
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    };
    let before = series(&report.scrape().unwrap());
    for ending in Ending::all() {
        report.state(&Event::Ended(&ConnectionRecord { ending, ..record() }));
    }
    assert_eq!(series(&report.scrape().unwrap()), before);
    assert!(before.len() > 40, "{before:?}");
}

#[test]
fn a_lists_matches_are_counted_once_per_connection() {
    let report = silent();
    let mut record = record();
    record.matched = Some(Matched {
        list: "wslist".into(),
        line: 3,
        pattern: "slack".into(),
    });
    report.state(&Event::Ended(&record));
    assert_eq!(
        sample(
            &report.scrape().unwrap(),
            "wsbump_list_matches_total{list=\"wslist\"}"
        ),
        1.0
    );
}

fn verdict(act: Act, reason: Reason) -> Verdict {
    Verdict {
        act,
        reason,
        rule: None,
        title: None,
        page: None,
        matched: None,
        observed: Vec::new(),
    }
}

#[test]
fn decisions_dials_and_handshakes() {
    let time = Duration::from_millis(3);
    rises(
        &[
            Event::Decided(&verdict(Act::Serve, Reason::PlainHttp)),
            Event::Decided(&verdict(Act::Refuse, Reason::Silent)),
            Event::Dialled(DialOutcome::Timeout, time),
            Event::Handshake(Side::Origin, HandshakeOutcome::CertificateInvalid, time),
            Event::Handshake(Side::Client, HandshakeOutcome::Resumed, time),
            Event::Leaf {
                key: LeafKey::P256,
                minted: Some(Duration::from_micros(40)),
            },
            Event::Leaf {
                key: LeafKey::Rsa2048,
                minted: None,
            },
        ],
        &[
            (
                "wsbump_decisions_total{action=\"serve\",reason=\"plain_http\"}",
                1.0,
            ),
            ("wsbump_decisions_total{action=\"refuse\",reason=\"silent\"}", 1.0),
            ("wsbump_decisions_total{action=\"bump\",reason=\"default\"}", 0.0),
            ("wsbump_dial_seconds_count{outcome=\"connection_timeout\"}", 1.0),
            (
                "wsbump_dial_seconds_bucket{outcome=\"connection_timeout\",le=\"0.0025\"}",
                0.0,
            ),
            (
                "wsbump_dial_seconds_bucket{outcome=\"connection_timeout\",le=\"0.005\"}",
                1.0,
            ),
            (
                "wsbump_tls_handshake_seconds_count{outcome=\"tls_certificate_error\",side=\"origin\"}",
                1.0,
            ),
            (
                "wsbump_tls_handshake_seconds_sum{outcome=\"resumed\",side=\"client\"}",
                0.003,
            ),
            ("wsbump_leaf_mints_total{key=\"p256\"}", 1.0),
            ("wsbump_leaf_mint_seconds_count", 1.0),
            ("wsbump_leaf_cache_hits_total{key=\"rsa2048\"}", 1.0),
        ],
    );
}

#[test]
fn a_refusal_by_an_unknown_alert_is_other_and_no_host_is_a_label() {
    let (report, who) = (silent(), who());
    for alert in ["unknown_ca", "closed", "made_up_by_a_peer"] {
        report.state(&Event::ClientRefusedCa {
            who: &who,
            server_name: "private.example",
            alert,
        });
    }
    let text = report.scrape().unwrap();
    for alert in ["unknown_ca", "closed", "other"] {
        assert_eq!(
            sample(
                &text,
                &format!("wsbump_client_refused_ca_total{{alert=\"{alert}\"}}")
            ),
            1.0
        );
    }
    assert!(!text.contains("private.example") && !text.contains("made_up"));
}

#[test]
fn websockets_end_with_a_code_a_side_and_a_cause() {
    let info = WebSocketInfo {
        rule: None,
        is_inspected: true,
        facts: Arc::new(SessionFacts {
            connection: 1,
            client: [127, 0, 0, 1].into(),
            user: None,
            target: target(),
            aliases: Vec::new(),
            scheme: "wss",
            path: "/".into(),
            origin: None,
            subprotocol: None,
            websocket: Some(1),
        }),
        version: http::Version::HTTP_2,
        url: "wss://chat.example/".into(),
        deflate: None,
        opaque_extensions: false,
        extensions: None,
    };
    let clean = WebSocketTotals {
        frames: [1, 2],
        messages: [1, 2],
        payload_bytes: [10, 20],
        pings: [0; 2],
        changed: [1, 0],
        dropped: [0, 2],
        discarded: [0, 0],
        first_close: Some(FirstClose {
            by: Closer::Origin,
            code: Some(1001),
            reason: "gone \"away\"".into(),
        }),
        rule_close: None,
        end: End::Closed,
    };
    let broken = WebSocketTotals {
        first_close: None,
        end: End::Violation(Side::Client, Violation::Unmasked),
        ..clean.clone()
    };
    let who = who();
    let socket = OpenWebSocket {
        id: 1,
        who: &who,
        info: &info,
    };
    let closed = |totals| Event::WebSocketClosed {
        socket,
        totals,
        open: Duration::from_secs(90),
    };
    rises(
        &[
            Event::WebSocketOpened(socket),
            Event::WebSocketOpened(socket),
            Event::WebSocketOpened(socket),
            closed(&clean),
            closed(&broken),
        ],
        &[
            ("wsbump_websocket_opens_total", 3.0),
            ("wsbump_websockets_open", 1.0),
            ("wsbump_websocket_open_seconds_bucket{le=\"60\"}", 0.0),
            ("wsbump_websocket_open_seconds_bucket{le=\"300\"}", 2.0),
            (
                "wsbump_websocket_closes_total{cause=\"peer\",code=\"1001\",side=\"origin\"}",
                1.0,
            ),
            ("wsbump_websocket_ends_total{end=\"closed\"}", 1.0),
            ("wsbump_websocket_ends_total{end=\"protocol_error\"}", 1.0),
            (
                "wsbump_websocket_protocol_errors_total{side=\"client\",violation=\"unmasked\"}",
                1.0,
            ),
        ],
    );
}

#[test]
fn every_close_code_has_a_bounded_label() {
    let mut labels: Vec<_> = (0..=u16::MAX).map(|code| close_class(Some(code))).collect();
    labels.push(close_class(None));
    labels.sort_unstable();
    labels.dedup();
    let mut bounded: Vec<_> = CODES.into_iter().chain(OTHER_CODES).collect();
    bounded.sort_unstable();
    assert_eq!(labels, bounded);
    assert_eq!(
        [1000, 1015, 3000, 3999, 4000, 4999, 999, 1016, 5000].map(|code| close_class(Some(code))),
        [
            "1000", "1015", "3xxx", "3xxx", "4xxx", "4xxx", "other", "other", "other"
        ]
    );
}

#[test]
fn a_failed_reload_shows_until_the_next_success() {
    let report = silent();
    let loaded = "wsbump_config_last_reload_success_timestamp_seconds";
    let started = report.scrape().unwrap();
    assert_eq!(sample(&started, "wsbump_config_last_reload_successful"), 1.0);
    assert!(sample(&started, loaded) > 1.7e9);
    report.state(&Event::Reloaded(Err("line 3: no such list")));
    let failed = report.scrape().unwrap();
    assert_eq!(sample(&failed, "wsbump_config_last_reload_successful"), 0.0);
    assert_eq!(sample(&failed, loaded), sample(&started, loaded));
    assert_eq!(
        sample(&failed, "wsbump_config_reloads_total{result=\"failure\"}"),
        1.0
    );
    report.state(&Event::Reloaded(Ok(())));
    let again = report.scrape().unwrap();
    assert_eq!(sample(&again, "wsbump_config_last_reload_successful"), 1.0);
    assert_eq!(
        sample(&again, "wsbump_config_reloads_total{result=\"success\"}"),
        1.0
    );
}
