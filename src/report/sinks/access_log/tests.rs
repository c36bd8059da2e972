use super::*;
use crate::accept::Who;
use crate::decide::{Matched, Reason};
use crate::dial::DialOutcome;
use crate::error::Side;
use crate::handshake::HandshakeOutcome;
use crate::http::{HttpError, WebSocketInfo};
use crate::identity::Identity;
use crate::relay::{FirstClose, OpaqueTotals, RuleClose};
use crate::report::ending::Ending;
use crate::report::tests::who;
use crate::wire::frame::Violation;
use crate::wire::http1::Malformed;
use crate::wire::names::{Authority, Host};
use crate::wire::proxy_protocol::{Told, ToldTls};
use serde_json::{Value, json};
use std::sync::Arc;

fn target() -> Authority {
    Authority {
        host: Host::Name("chat.example".into()),
        port: 443,
    }
}

fn record() -> ConnectionRecord {
    ConnectionRecord {
        connection: 7,
        client: ([127, 0, 0, 1], 4000).into(),
        listener: "proxy".into(),
        peer: None,
        told: None,
        user: None,
        proxy_tls: None,
        inside: None,
        target: None,
        origin: None,
        parent: None,
        sni: None,
        action: None,
        reason: None,
        rule: None,
        matched: None,
        tls_version: None,
        alpn: None,
        chain: None,
        requests: 0,
        request_id: None,
        tunnel: None,
        ending: HandshakeOutcome::Timeout.into(),
        detail: None,
        duration: Duration::from_millis(1500),
    }
}

fn whose<'a>(instance: &'a Instance, who: &'a Who) -> Whose<'a> {
    Whose::of(instance, who)
}

fn of_connection(record: &ConnectionRecord) -> Value {
    let (instance, who) = (Instance::random(), record.who());
    written(&AccessLine::connection(whose(&instance, &who), record))
}

fn of_request(done: &RequestDone) -> Value {
    let instance = Instance::random();
    let mut line = written(&AccessLine::request(whose(&instance, &done.who), done));
    let id = line.as_object_mut().unwrap().remove("request_id");
    assert_eq!(id, Some(json!(done.id.to_string())));
    line
}

/// The line as JSON, its time and its instance checked and taken out; each of its fields is one that the documentation has.
fn written(line: &AccessLine<'_>) -> Value {
    let bytes = serde_json::to_vec(line).unwrap();
    assert!(!bytes.contains(&b'\n'), "one line");
    let mut value: Value = serde_json::from_slice(&bytes).unwrap();
    let mut take = |key| value.as_object_mut().unwrap().remove(key).unwrap();
    let (time, instance) = (take("time"), take("instance"));
    assert_eq!(time.as_str().unwrap().len(), "2026-11-23T09:20:43.123Z".len());
    assert_eq!(instance.as_str().unwrap().len(), 10);
    let documented = include_str!("../../../../docs/access-log.md");
    let kind = value["type"].as_str().unwrap();
    let (_, section) = documented.split_once(&format!("## `{kind}`")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with("| `"))
            .collect::<String>()
    };
    let every = rows(documented.split("\n## ").nth(1).unwrap());
    for field in value.as_object().unwrap().keys() {
        let name = format!("`{field}`");
        assert!(
            rows(section).contains(&name) || every.contains(&name),
            "{kind}: {field} is not documented"
        );
    }
    value
}

#[test]
fn a_connection_with_everything_and_one_with_nothing() {
    assert_eq!(
        of_connection(&record()),
        json!({
            "type": "connection", "connection": 7, "client": "127.0.0.1", "client_port": 4000, "listener": "proxy", "action": "none", "requests": 0,
            "duration": 1.5, "outcome": "timeout",
        })
    );
    let id = crate::http::RequestId::new();
    let full = ConnectionRecord {
        request_id: Some(id),
        peer: Some(([10, 0, 0, 2], 9).into()),
        told: Some(Box::new(Told {
            authority: Some("chat.example".into()),
            tls: Some(ToldTls {
                common_name: Some("ada".into()),
                is_verified: true,
                ..ToldTls::default()
            }),
            ..Told::default()
        })),
        user: Some(Arc::new(Identity {
            groups: ["staff".into(), "x".repeat(3000).into()].into(),
            ..Identity::from("ada")
        })),
        proxy_tls: Some("TLSv1.2"),
        inside: Some(3),
        target: Some(target()),
        origin: Some(([192, 0, 2, 1], 443).into()),
        sni: Some("chat.example".into()),
        action: Some(ActKind::Splice),
        reason: Some(Reason::ListSni),
        matched: Some(Matched {
            list: "wslist".into(),
            line: 3,
            pattern: "^chat".into(),
        }),
        tls_version: Some("TLSv1.3"),
        alpn: Some("http/1.1".into()),
        chain: Some("fetched"),
        requests: 2,
        tunnel: Some(OpaqueTotals { bytes: [10, 20] }),
        ending: Ending::Ok,
        detail: Some("why".into()),
        ..record()
    };
    assert_eq!(
        of_connection(&full),
        json!({
            "type": "connection", "connection": 7, "client": "127.0.0.1", "user": "ada", "groups": ["staff"], "client_port": 4000, "listener": "proxy", "peer": "10.0.0.2:9",
            "told": { "authority": "chat.example", "tls_client": "ada", "tls_client_verified": true }, "proxy_tls": "TLSv1.2",
            "inside": 3, "target": "chat.example:443", "origin": "192.0.2.1:443", "sni": "chat.example", "action": "splice", "reason": "list_sni",
            "list": "wslist", "line": 3, "pattern": "^chat", "tls_version": "TLSv1.3", "alpn": "http/1.1", "chain": "fetched",
            "requests": 2, "request_id": id.to_string(), "bytes_to_origin": 10, "bytes_to_client": 20, "duration": 1.5, "outcome": "ok",
            "detail": "why",
        })
    );
}

fn failed() -> RequestDone {
    RequestDone {
        id: crate::http::RequestId::new(),
        rule: Some("no-post".into()),
        malformed: None,
        who: who(),
        version: http::Version::HTTP_11,
        method: http::Method::POST,
        url: "https://chat.example/send".into(),
        status: Some(502),
        time_to_head: Duration::from_millis(250),
        time_total: Duration::from_millis(500),
        request_bytes: 11,
        response_bytes: 12,
        error: Some(HttpError::Dial(DialOutcome::DnsError)),
        detail: Some("no such host".into()),
        headers: Vec::new(),
    }
}

#[test]
fn a_request() {
    assert_eq!(
        of_request(&failed()),
        json!({
            "type": "request", "connection": 7, "client": "127.0.0.1", "protocol": "HTTP/1.1",
            "method": "POST", "url": "https://chat.example/send", "status": 502,
            "time_to_head": 0.25, "duration": 0.5, "bytes_to_origin": 11, "bytes_to_client": 12,
            "error": "dns_error", "rule": "no-post", "detail": "no such host",
        })
    );
}

#[test]
fn a_request_that_could_not_be_read_and_an_answer_that_could_not() {
    let mut refused = RequestDone {
        method: http::Method::from_bytes(b"-").unwrap(),
        url: String::new(),
        status: Some(400),
        error: Some(HttpError::BadRequest),
        malformed: Some(Malformed::LengthBesideCoding),
        ..failed()
    };
    let line = of_request(&refused);
    for (field, value) in [
        ("error", "http_request_error"),
        ("malformed", "length_beside_coding"),
        ("malformed_by", "client"),
        ("method", "-"),
        ("url", ""),
    ] {
        assert_eq!(line[field], value, "{field}");
    }
    refused.error = Some(HttpError::BadResponse);
    assert_eq!(of_request(&refused)["malformed_by"], "origin");
}

#[test]
fn the_fields_of_a_request_that_are_logged_stay_in_their_place() {
    let mut hostile = failed();
    hostile.headers = vec![
        (
            http::header::USER_AGENT,
            "curl\"},{\"type\":\"forged\n".to_owned(),
        ),
        (http::header::REFERER, "https://a.example/".to_owned()),
    ];
    assert_eq!(
        of_request(&hostile)["headers"],
        json!({ "user-agent": "curl\"},{\"type\":\"forged\n", "referer": "https://a.example/" })
    );
}

#[test]
fn a_fallback_names_its_host() {
    let (instance, who) = (Instance::random(), who());
    let line = AccessLine::http1_fallback(whose(&instance, &who), "old.example");
    assert_eq!(
        written(&line),
        json!({ "type": "http1_fallback", "connection": 7, "client": "127.0.0.1", "host": "old.example" })
    );
}

fn websocket_info() -> WebSocketInfo {
    let facts = SessionFacts {
        connection: 7,
        client: [192, 0, 2, 1].into(),
        user: None,
        target: target(),
        aliases: Vec::new(),
        scheme: "wss",
        path: "/live".into(),
        origin: Some("https://app.example".into()),
        subprotocol: Some("chat".into()),
        websocket: Some(9),
    };
    WebSocketInfo {
        is_inspected: true,
        facts: Arc::new(facts),
        rule: Some("staff".into()),
        version: http::Version::HTTP_2,
        url: "wss://chat.example/live".into(),
        deflate: None,
        opaque_extensions: false,
        extensions: Some("permessage-deflate".into()),
    }
}

#[test]
fn a_websocket() {
    let info = websocket_info();
    let totals = WebSocketTotals {
        frames: [1, 2],
        messages: [3, 4],
        payload_bytes: [5, 6],
        pings: [0; 2],
        changed: [1, 0],
        dropped: [0, 2],
        discarded: [0, 8],
        first_close: Some(FirstClose {
            by: Closer::Client,
            code: Some(1000),
            reason: "gone \"away\"".into(),
        }),
        rule_close: None,
        end: End::Violation(Side::Origin, Violation::Masked),
    };
    let (instance, who) = (Instance::random(), who());
    let socket = OpenWebSocket {
        id: 9,
        who: &who,
        info: &info,
    };
    let of = |event, so_far| {
        written(&AccessLine::websocket(
            whose(&instance, &who),
            &socket,
            event,
            so_far,
        ))
    };
    let opened = of("opened", None);
    assert_eq!(
        opened,
        json!({
            "type": "websocket", "connection": 7, "client": "127.0.0.1", "websocket": 9, "event": "opened",
            "protocol": "HTTP/2", "target": "chat.example:443", "url": "wss://chat.example/live", "rule": "staff",
            "origin_header": "https://app.example", "subprotocol": "chat", "extensions": "permessage-deflate",
        })
    );
    let open = of("open", Some((&totals, Duration::from_secs(1))));
    assert_eq!(
        (&open["event"], &open["bytes_to_client"]),
        (&"open".into(), &6.into())
    );
    assert!(open["outcome"].is_null() && open["error"].is_null(), "{open}");
    assert_eq!(
        of("closed", Some((&totals, Duration::from_secs(2)))),
        json!({
            "type": "websocket", "connection": 7, "client": "127.0.0.1", "websocket": 9, "event": "closed", "protocol": "HTTP/2",
            "target": "chat.example:443", "url": "wss://chat.example/live", "rule": "staff",
            "origin_header": "https://app.example", "subprotocol": "chat", "extensions": "permessage-deflate",
            "frames_to_origin": 1, "frames_to_client": 2, "messages_to_origin": 3, "messages_to_client": 4,
            "bytes_to_origin": 5, "bytes_to_client": 6, "changed_to_origin": 1, "dropped_to_client": 2,
            "discarded_to_client": 8, "closed_by": "client", "close_code": 1000, "close_reason": "gone \"away\"",
            "duration": 2.0, "outcome": "protocol_error", "violation_by": "origin", "error": "masked",
        })
    );
}

#[test]
fn a_websocket_that_the_proxy_closed() {
    let info = websocket_info();
    let (instance, who) = (Instance::random(), who());
    let socket = OpenWebSocket {
        id: 9,
        who: &who,
        info: &info,
    };
    let close = |code, reason: &str| FirstClose {
        by: Closer::Proxy,
        code: Some(code),
        reason: reason.into(),
    };
    for (end, close, rule, expected) in [
        (
            End::ByRule,
            close(1008, "no secrets"),
            Some(("secrets", Direction::ToClient)),
            json!([1008, "no secrets", "rule", "secrets", "to_client"]),
        ),
        (
            End::ByBudget,
            close(1009, ""),
            None,
            json!([1009, null, "budget", null, null]),
        ),
        (
            End::Drained,
            close(1001, "bye"),
            None,
            json!([1001, "bye", "drain", null, null]),
        ),
        (
            End::Idle,
            close(1001, "idle"),
            None,
            json!([1001, "idle", "idle", null, null]),
        ),
        (
            End::Violation(Side::Client, Violation::Unmasked),
            close(1002, "unmasked"),
            None,
            json!([1002, "unmasked", "protocol_error", null, null]),
        ),
    ] {
        let totals = WebSocketTotals {
            first_close: Some(close),
            rule_close: rule.map(|(rule, direction)| RuleClose {
                rule: rule.into(),
                direction,
            }),
            end,
            ..WebSocketTotals::none()
        };
        let so_far = Some((&totals, Duration::from_secs(2)));
        let line = written(&AccessLine::websocket(
            whose(&instance, &who),
            &socket,
            "closed",
            so_far,
        ));
        let of = |field: &str| line[field].clone();
        let said = [
            "close_code",
            "close_reason",
            "close_cause",
            "close_rule",
            "close_direction",
        ]
        .map(of);
        assert_eq!(serde_json::Value::from(said.to_vec()), expected);
        assert_eq!(
            (&line["closed_by"], &line["outcome"]),
            (&json!("proxy"), &json!(end.label()))
        );
        assert_eq!(line.get("changed_to_origin"), None);
    }
}

#[test]
fn texts_from_the_network_stay_in_their_field() {
    let mut hostile = record();
    hostile.sni = Some("\"},\n{\"type\":\"forged\u{0}\u{1b}[2J".into());
    assert_eq!(of_connection(&hostile)["sni"], *hostile.sni.as_ref().unwrap());
}
