//! Pings, pongs and Closes are no way around a rule: what is in them is looked at as messages are.

use crate::harness::proxy::Setup;
use crate::harness::raw::{Frame, frame};
use crate::harness::road::{Road, Version, over_both};
use serde_json::{Value, json};

over_both!(
    nothing_gets_by_in_a_ping_a_pong_or_a_close,
    a_control_frame_may_close_both_sides,
    what_only_watches_changes_no_control_frame,
    rules_of_other_kinds_leave_control_frames_alone,
);

fn rule(rest: &str) -> String {
    format!("[[inspect.rule]]\nname = \"rule\"\nmode = \"enforce\"\n{rest}\n")
}

const MASK: Option<[u8; 4]> = Some([1, 2, 3, 4]);

/// Opcodes and payloads of all frames up to the Close.
fn said(frames: &[Frame]) -> Vec<(u8, String)> {
    let frames = frames.iter();
    frames
        .map(|frame| {
            (
                frame.first & 0x0f,
                String::from_utf8_lossy(&frame.payload).into_owned(),
            )
        })
        .collect()
}

/// What comes through of control frames of one end, the last of which is a Close, and the log's line.
fn through(
    version: Version,
    rules: &str,
    by_client: bool,
    sent: &[(u8, &[u8])],
) -> (Vec<(u8, String)>, Value) {
    let proxy = Setup::new().config(rules).start();
    let road = Road::start(version);
    let (mut client, mut origin) = road.websocket(&proxy);
    let mask = MASK.filter(|_| by_client);
    let bytes: Vec<Vec<u8>> = sent
        .iter()
        .map(|(opcode, payload)| frame(0x80 | opcode, mask, payload))
        .collect();
    let (from, to) = if by_client {
        (&mut client, &mut origin)
    } else {
        (&mut origin, &mut client)
    };
    from.send(bytes.concat());
    let mut got: Vec<Frame> = Vec::new();
    while got.last().is_none_or(|frame| frame.first != 0x88) {
        got.push(to.frame().expect("a Close at the end"));
    }
    assert!(got.iter().all(|frame| frame.masked == by_client), "{got:?}");
    drop((client, origin));
    (said(&got), proxy.log("websocket", |_| true))
}

fn nothing_gets_by_in_a_ping_a_pong_or_a_close(version: Version) {
    let long = [&b"kestrel"[..], &[b'.'; 118]].concat();
    let reason = [&b"\x0f\xa1kestrel"[..], &[b'.'; 116]].concat();
    for by_client in [true, false] {
        let sent: [(u8, &[u8]); 7] = [
            (9, b"plain"),
            (9, b"a kestrel"),
            (10, b"a kestrel too"),
            (9, b""),
            (1, b"a kestrel"),
            (9, &long),
            (8, b"\x0f\xa1it is a kestrel"),
        ];
        let way = if by_client { "to_origin" } else { "to_client" };
        let of = |line: &Value, field: &str| line[format!("{field}_{way}")].clone();
        let (got, line) = through(
            version,
            &rule("action = \"drop\"\nkeywords = [\"kestrel\"]"),
            by_client,
            &sent,
        );
        let wanted = [(9, "plain"), (9, ""), (8, "\u{f}\u{fffd}")];
        assert_eq!(
            got,
            wanted.map(|(opcode, text)| (opcode, text.to_owned())),
            "{line}"
        );
        assert_eq!(
            [
                of(&line, "dropped"),
                of(&line, "changed"),
                line["close_code"].clone(),
                line["close_reason"].clone()
            ],
            [json!(4), json!(1), json!(4001), Value::Null],
            "{line}"
        );

        let redact = rule("action = \"redact\"\nwith = \"[a bird]\"\nkeywords = [\"kestrel\"]");
        let (got, line) = through(version, &redact, by_client, &sent);
        let wanted = [
            (9, "plain"),
            (9, "a [a bird]"),
            (10, "a [a bird] too"),
            (9, ""),
            (1, "a [a bird]"),
            // The long one has no room for it.
            (8, "\u{f}\u{fffd}it is a [a bird]"),
        ];
        assert_eq!(
            got,
            wanted.map(|(opcode, text)| (opcode, text.to_owned())),
            "{line}"
        );
        assert_eq!(
            [
                of(&line, "dropped"),
                of(&line, "changed"),
                line["close_reason"].clone()
            ],
            [json!(1), json!(4), json!("it is a [a bird]")],
            "{line}"
        );
        let (got, _) = through(version, &redact, by_client, &[(8, &reason)]);
        assert_eq!(got, [(8, "\u{f}\u{fffd}".to_owned())]);
    }
}

fn a_control_frame_may_close_both_sides(version: Version) {
    for (opcode, payload) in [
        (9, &b"a kestrel"[..]),
        (10, b"a kestrel"),
        (8, b"\x03\xe8a kestrel"),
    ] {
        let rules =
            rule("action = \"close\"\nreason = \"no birds\"\nsecrets = [\"jwt\"]\nregex = [\"k.strel\"]");
        let rules = rules.replace("secrets = [\"jwt\"]\n", "");
        let (got, line) = through(
            version,
            &rules,
            true,
            &[(9, b"plain"), (opcode, payload), (9, b"behind")],
        );
        let wanted = [(9, "plain".to_owned()), (8, "\u{3}\u{fffd}no birds".to_owned())];
        assert_eq!(got, wanted, "{line}");
        assert_eq!(
            [
                "closed_by",
                "close_code",
                "close_reason",
                "close_rule",
                "close_direction"
            ]
            .map(|field| line[field].clone()),
            [
                json!("proxy"),
                json!(1008),
                json!("no birds"),
                json!("rule"),
                json!("to_origin")
            ],
            "{line}"
        );
    }
}

fn what_only_watches_changes_no_control_frame(version: Version) {
    let proxy = Setup::new()
        .config(
            "[[inspect.rule]]\nname = \"seen\"\naction = \"drop\"\nkeywords = [\"kestrel\"]\n\
             [[inspect.rule]]\nname = \"texts\"\naction = \"drop\"\nopcode = \"text\"\nkeywords = [\"kestrel\"]\n",
        )
        .start();
    let road = Road::start(version);
    let (mut client, mut origin) = road.websocket(&proxy);
    let sent = [
        frame(0x89, MASK, b"a kestrel"),
        frame(0x8a, MASK, b"a kestrel"),
        frame(0x88, MASK, b"\x0f\xa1a kestrel"),
    ]
    .concat();
    client.send(&sent);
    assert_eq!(origin.exactly(sent.len()), sent);
    drop((client, origin));
    let line = proxy.log("websocket", |_| true);
    assert_eq!(line["close_reason"], "a kestrel", "{line}");
    let findings = |rule: &str| {
        proxy.metrics().sum(
            "wsbump_inspect_findings_total",
            &[("rule", rule), ("mode", "observe")],
        )
    };
    assert_eq!((findings("seen"), findings("texts")), (3.0, 0.0));
}

fn rules_of_other_kinds_leave_control_frames_alone(version: Version) {
    let sent: [(u8, &[u8]); 3] = [(9, b"a kestrel"), (10, b"a kestrel"), (8, b"\x0f\xa1a kestrel")];
    let untouched = [
        (9, "a kestrel".to_owned()),
        (10, "a kestrel".to_owned()),
        (8, "\u{f}\u{fffd}a kestrel".to_owned()),
    ];
    for rules in [
        rule("action = \"drop\"\nin = [\"message\"]"),
        rule("action = \"drop\"\nmax_size = 100"),
        rule("action = \"close\"\nrate = \"1/1h\""),
        rule("action = \"drop\"\nopcode = \"binary\"\nkeywords = [\"kestrel\"]"),
        rule("action = \"drop\"\nin = [\"body\"]\nkeywords = [\"kestrel\"]"),
        rule("action = \"allow\"")
            + &rule("action = \"drop\"\nkeywords = [\"kestrel\"]").replace("\"rule\"", "\"never\""),
    ] {
        let (got, line) = through(version, &rules, true, &sent);
        assert_eq!(got, untouched, "{rules}: {line}");
    }
}
