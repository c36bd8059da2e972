//! What is said of a WebSocket afterwards is what came of it: counted when it is known, and with who closed it and why.

use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Frame, frame};
use crate::harness::road::{End, Road, Version, over_both};
use serde_json::{Value, json};

over_both!(
    what_rules_stop_is_not_counted_as_passed,
    a_close_behind_what_closes_goes_nowhere,
    who_closed_and_what_was_said_is_logged,
    what_the_proxy_closes_has_its_cause,
);

const RULES: &str = r#"
[[inspect.rule]]
name = "leave"
mode = "enforce"
action = "drop"
direction = "to_origin"
keywords = ["leave this out"]

[[inspect.rule]]
name = "words"
mode = "enforce"
action = "redact"
with = "*"
keywords = ["kestrel"]

[[inspect.rule]]
name = "end"
mode = "enforce"
action = "close"
reason = "not that"
keywords = ["unspeakable"]
"#;

const MASK: Option<[u8; 4]> = Some([1, 2, 3, 4]);

fn payloads(frames: &[Frame]) -> Vec<String> {
    let payloads = frames.iter().map(|frame| &frame.payload);
    payloads
        .map(|payload| String::from_utf8_lossy(payload).into_owned())
        .collect()
}

fn counted(proxy: &Proxy, family: &str, direction: &str, label: (&str, &str)) -> f64 {
    let family = format!("wsbump_websocket_{family}_total");
    proxy.metrics().sum(&family, &[("direction", direction), label])
}

fn what_rules_stop_is_not_counted_as_passed(version: Version) {
    let proxy = Setup::new().config(RULES).start();
    let road = Road::start(version);
    let (mut client, mut origin) = road.websocket(&proxy);
    client.send(
        [
            frame(0x81, MASK, b"first"),
            frame(0x01, MASK, b"leave "),
            frame(0x89, MASK, b"ping"),
            frame(0x80, MASK, b"this out"),
            frame(0x81, MASK, b"a kestrel"),
            frame(0x01, MASK, b"in two "),
            frame(0x80, MASK, b"frames"),
            frame(0x81, MASK, b"unspeakable"),
            frame(0x82, MASK, b"behind it"),
        ]
        .concat(),
    );
    let came = origin.frames();
    assert_eq!(
        payloads(&came[..6]),
        [
            "first",
            "ping",
            "a *",
            "in two ",
            "frames",
            "\u{3}\u{fffd}not that"
        ]
    );
    assert_eq!((came.len(), came[5].close_code()), (6, Some(1008)));
    assert_eq!(client.frame().and_then(|frame| frame.close_code()), Some(1008));
    drop((client, origin));
    let line = proxy.log("websocket", |_| true);
    for (field, value) in [
        ("frames_to_origin", json!(5)),
        ("messages_to_origin", json!(3)),
        ("bytes_to_origin", json!(5 + 4 + 3 + 7 + 6)),
        ("changed_to_origin", json!(1)),
        ("dropped_to_origin", json!(1)),
        ("frames_to_client", json!(0)),
        ("changed_to_client", Value::Null),
        ("dropped_to_client", Value::Null),
        ("outcome", json!("closed_by_rule")),
        ("closed_by", json!("proxy")),
        ("close_code", json!(1008)),
        ("close_reason", json!("not that")),
        ("close_cause", json!("rule")),
        ("close_rule", json!("end")),
        ("close_direction", json!("to_origin")),
    ] {
        assert_eq!(line[field], value, "{field}: {line}");
    }
    let passed = ["text", "binary", "continuation", "ping", "close"]
        .map(|opcode| counted(&proxy, "frames", "to_origin", ("opcode", opcode)));
    assert_eq!(passed, [3.0, 0.0, 1.0, 1.0, 0.0]);
    let stopped = ["text", "binary", "continuation", "ping", "close"]
        .map(|opcode| counted(&proxy, "frames_stopped", "to_origin", ("opcode", opcode)));
    assert_eq!(stopped, [3.0, 1.0, 1.0, 0.0, 0.0]);
    let outcomes = ["passed", "changed", "dropped", "closed"]
        .map(|outcome| counted(&proxy, "messages", "to_origin", ("outcome", outcome)));
    assert_eq!(outcomes, [3.0, 1.0, 1.0, 1.0]);
    assert!(counted(&proxy, "messages", "to_client", ("outcome", "closed")) < 0.5);
    let closes = [("code", "1008"), ("side", "proxy"), ("cause", "rule")];
    proxy.metric("wsbump_websocket_closes_total", &closes, 1.0);
}

fn a_close_behind_what_closes_goes_nowhere(version: Version) {
    let proxy = Setup::new().config(RULES).start();
    let road = Road::start(version);
    let (mut client, mut origin) = road.websocket(&proxy);
    let close = frame(0x88, MASK, b"\x03\xe8all is well");
    client.send([frame(0x81, MASK, b"unspeakable"), close].concat());
    for end in [&mut origin, &mut client] {
        let frames = end.frames();
        assert_eq!((frames.len(), frames[0].close_code()), (1, Some(1008)));
    }
    drop((client, origin));
    let line = proxy.log("websocket", |_| true);
    let of = |field: &str| line[field].clone();
    assert_eq!(
        [
            "closed_by",
            "close_code",
            "close_reason",
            "close_rule",
            "frames_to_origin"
        ]
        .map(of),
        [
            json!("proxy"),
            json!(1008),
            json!("not that"),
            json!("end"),
            json!(0)
        ],
        "{line}"
    );
}

/// The line of a WebSocket that one side closes with this payload.
fn closed_with(version: Version, proxy: &Proxy, by_client: bool, payload: &[u8]) -> Value {
    let road = Road::start(version);
    let (mut client, mut origin) = road.websocket(proxy);
    let before = proxy.log_so_far("websocket").len();
    let close = frame(0x88, MASK.filter(|_| by_client), payload);
    let answer = |end: &mut End, masked: bool| {
        assert_eq!(end.frame().expect("a Close").payload, payload);
        end.send(frame(
            0x88,
            MASK.filter(|_| masked),
            &payload[..payload.len().min(2)],
        ));
    };
    if by_client {
        client.send(close);
        answer(&mut origin, false);
    } else {
        origin.send(close);
        answer(&mut client, true);
    }
    drop((client, origin));
    crate::harness::until("the line", || proxy.log_so_far("websocket").get(before).cloned())
}

fn who_closed_and_what_was_said_is_logged(version: Version) {
    let longest = [&b"\x0f\xa1"[..], &[b'x'; 123]].concat();
    for rules in ["", RULES] {
        let proxy = Setup::new().config(rules).start();
        for (by_client, payload, code, reason) in [
            (
                true,
                &b"\x03\xe8bye \"\xc3\xa4\"\n\x1b[2J"[..],
                json!(1000),
                json!("bye \"ä\"\n\u{1b}[2J"),
            ),
            (false, b"\x0f\xa9", json!(4009), Value::Null),
            (true, b"", Value::Null, Value::Null),
            (false, &longest, json!(4001), json!("x".repeat(123))),
        ] {
            let line = closed_with(version, &proxy, by_client, payload);
            let by = if by_client { "client" } else { "origin" };
            assert_eq!(
                [
                    "closed_by",
                    "close_code",
                    "close_reason",
                    "close_cause",
                    "outcome"
                ]
                .map(|field| line[field].clone()),
                [json!(by), code, reason, Value::Null, json!("closed")],
                "{line}"
            );
        }
        let peers = [("side", "client"), ("cause", "peer")];
        proxy.metric("wsbump_websocket_closes_total", &peers, 2.0);
    }
}

fn what_the_proxy_closes_has_its_cause(version: Version) {
    let proxy = Setup::new()
        .config("timeouts = { websocket_idle = '1s' }")
        .start();
    let road = Road::start(version);
    let said = |proxy: &Proxy, outcome: &str| {
        let line = proxy.log("websocket", |line| line["outcome"] == outcome);
        assert_eq!(line["closed_by"], "proxy", "{line}");
        ["close_code", "close_reason", "close_cause"].map(|field| line[field].clone())
    };
    let ends = road.websocket(&proxy);
    let closed = said(&proxy, "idle");
    assert_eq!(closed, [json!(1001), json!("idle for too long"), json!("idle")]);
    drop(ends);
    let (mut client, origin) = road.websocket(&proxy);
    client.send(frame(0x83, MASK, b"reserved"));
    assert_eq!(client.frame().and_then(|frame| frame.close_code()), Some(1002));
    drop((client, origin));
    let closed = said(&proxy, "protocol_error");
    assert_eq!(
        closed,
        [json!(1002), json!("reserved_opcode"), json!("protocol_error")]
    );

    let proxy = Proxy::start();
    let ends = road.websocket(&proxy);
    proxy.process().signal("TERM");
    let closed = said(&proxy, "drained");
    assert_eq!(
        closed,
        [json!(1001), json!("proxy is shutting down"), json!("drain")]
    );
    drop(ends);
    let ended = proxy.terminate_after_signal();
    assert!(ended.status.success());
}
