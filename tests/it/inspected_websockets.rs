//! Messages of clients and servers that others wrote, judged and changed on their way.

use crate::harness::proxy::Setup;
use crate::harness::raw::{Frame, frame, header};
use crate::harness::road::{Road, Talk, Version, over_both};
use crate::harness::rules;
use crate::relay::noise;
use flate2::{Compress, Compression, FlushCompress};
use std::collections::BTreeMap;

over_both!(
    rules_hold_over_every_kind_of_compression,
    rules_come_and_go_under_a_live_websocket,
    offers_that_cannot_be_decoded_do_not_reach_the_origin,
    what_is_only_watched_is_counted_and_changes_no_byte,
    what_does_not_fit_the_budget_follows_policy,
    a_bomb_is_let_go_or_stopped,
    what_is_held_too_long_follows_policy,
);

fn rules_hold_over_every_kind_of_compression(version: Version) {
    let proxy = Setup::new().config(rules::MESSAGES).start();
    for (name, origin) in [("websockets", version.websockets()), ("ws", version.node_ws())] {
        for options in [
            &[("compression", "none")][..],
            &[],
            &[("takeover", "none")],
            &[("bits", "9")],
            &[("bits", "12"), ("takeover", "none")],
        ] {
            let mut talk = Talk::open(version, &proxy, origin, options);
            talk.say("hello, and some words that later messages repeat");
            talk.say("leave this out, and some words that later messages repeat");
            talk.say("watched, and some words that later messages repeat");
            talk.say("pay with 4111 1111 1111 1111, and some words that later messages repeat");
            talk.say("fragments 41111111 11111111, internal- 77");
            talk.say("ping");
            talk.say("and some words that later messages repeat");
            talk.say("end");
            assert_eq!(
                talk.heard("end"),
                [
                    "hello, and some words that later messages repeat",
                    "watched, and some words that later messages repeat",
                    "pay with [card], and some words that later messages repeat",
                    "[card],#",
                    "and some words that later messages repeat",
                    "end"
                ],
                "{name} with {options:?}"
            );
            talk.say("unspeakable");
            let end = talk.end();
            assert_eq!(
                (&end["code"], &end["reason"]),
                (&1008.into(), &"that may not be said".into()),
                "{end}"
            );
        }
    }
    let line = proxy.log("websocket", |_| true);
    assert_eq!(
        (&line["outcome"], &line["protocol"]),
        (&"closed_by_rule".into(), &version.logged().into()),
        "{line}"
    );
}

fn rules_come_and_go_under_a_live_websocket(version: Version) {
    let rule = |mode: &str, action: &str| {
        format!(
            "[[rule]]\nname = \"codename\"\nmode = \"{mode}\"\naction = \"{action}\"\nwith = \"***\"\nkeywords = [\"kestrel\"]\n"
        )
    };
    let rule = |mode: &str, action: &str| {
        let text = rule(mode, action);
        if action == "redact" {
            text
        } else {
            text.replace("with = \"***\"\n", "")
        }
    };
    let proxy = Setup::new()
        .config("[inspect]\ninclude = [\"rules.toml\"]")
        .file(
            "rules.toml",
            "[[rule]]\nname = \"none\"\naction = \"log\"\nkeywords = [\"zzzz\"]\n",
        )
        .start();
    let mut talk = Talk::open(version, &proxy, version.websockets(), &[]);
    let mut said = 0;
    // Says it until it comes back as wanted: a reload takes a moment.
    let mut until = |talk: &mut Talk, wanted: Option<&str>| {
        crate::harness::until("the reload", || {
            said += 1;
            talk.say(&format!("kestrel {said}"));
            talk.say(&format!("mark {said}"));
            let heard = talk.heard(&format!("mark {said}"));
            let before_mark = heard.get(heard.len().checked_sub(2)?)?;
            let is_wanted = match wanted {
                Some(wanted) => *before_mark == format!("{wanted} {said}"),
                None => *before_mark == format!("mark {}", said - 1),
            };
            is_wanted.then_some(())
        });
    };
    until(&mut talk, Some("kestrel"));
    proxy.replace("rules.toml", &rule("enforce", "redact"));
    until(&mut talk, Some("***"));
    proxy.replace("rules.toml", &rule("enforce", "drop"));
    until(&mut talk, None);
    proxy.replace("rules.toml", &rule("observe", "drop"));
    until(&mut talk, Some("kestrel"));
}

fn offers_that_cannot_be_decoded_do_not_reach_the_origin(version: Version) {
    let offers = "Sec-WebSocket-Extensions: x-mystery, permessage-deflate; client_max_window_bits, bbf-usp-protocol\r\n";
    let proxy = Setup::new().config(rules::MESSAGES).start();
    let road = Road::start(version);
    let mut client = road.client(&proxy);
    client.ask_websocket(&road.target(), "/", offers);
    let sent = road.accept().accept_websocket("");
    assert_eq!(
        header(&sent, "sec-websocket-extensions"),
        Some("permessage-deflate; client_max_window_bits"),
        "{sent}"
    );

    // Without rules nothing is taken away, nor where a list lets it pass. What it carries then follows policy.
    let listed = format!(
        "[inspect]\non_budget = \"pass\"\nopaque_extensions = [\"strange\"]\n[[list]]\nname = \"strange\"\nfile = \"strange\"\nformat = \"domains\"\n{}",
        rules::MESSAGES
    );
    for setup in [
        Setup::new(),
        Setup::new()
            .file("strange", "origin.test\nlocalhost\n127.0.0.1\n")
            .config(&listed),
    ] {
        let proxy = setup.start();
        let road = Road::start(version);
        let (mut client, mut origin) =
            road.websocket_with(&proxy, offers, "Sec-WebSocket-Extensions: x-mystery\r\n");
        let odd = frame(0xf1, Some([1, 2, 3, 4]), b"unspeakable");
        client.send(&odd);
        assert_eq!(origin.exactly(odd.len()), odd);
    }
}

/// One end's messages, compressed with context takeover.
struct Packer(Compress);

impl Packer {
    fn new() -> Self {
        Self(Compress::new(Compression::best(), false))
    }

    fn pack(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut packed = Vec::with_capacity(plain.len() + 1024);
        self.0
            .compress_vec(plain, &mut packed, FlushCompress::Sync)
            .unwrap();
        assert!(packed.ends_with(&[0, 0, 0xff, 0xff]), "it had room");
        packed.truncate(packed.len() - 4);
        packed
    }
}

const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// Every kind of message with what the rules look for, and pings in between.
fn watched(masked: bool) -> Vec<u8> {
    let mut packer = Packer::new();
    let mask = |key: u8| masked.then_some([key, 2, 3, 4]);
    let (first, again) = (
        packer.pack(b"watched, and compressed"),
        packer.pack(b"watched, and compressed once more"),
    );
    let (begin, end) = again.split_at(again.len() / 2);
    [
        frame(0x81, mask(1), b"kestrel, watched"),
        frame(0x82, mask(2), b"watched as binary"),
        frame(0x01, mask(3), b"wat"),
        frame(0x89, mask(4), b"ping"),
        frame(0x80, mask(5), b"ched"),
        frame(0xc1, mask(6), &first),
        frame(0x41, mask(7), begin),
        frame(0x8a, mask(8), b""),
        frame(0x80, mask(9), end),
        frame(0x82, mask(10), &noise(5, 70_000)),
    ]
    .concat()
}

fn what_is_only_watched_is_counted_and_changes_no_byte(version: Version) {
    let rules: String = ["redact", "drop", "close", "log"]
        .map(|action| {
            format!(
                "[[inspect.rule]]\nname = \"{action}s\"\naction = \"{action}\"\nkeywords = [\"watched\"]\n"
            )
        })
        .concat();
    let proxy = Setup::new().config(&rules).start();
    let road = Road::cut(version, Some("3"));
    let (mut client, mut origin) = road.websocket_with(&proxy, DEFLATE, DEFLATE);
    let (out, back) = (watched(true), watched(false));
    client.send(&out);
    assert!(
        origin.exactly(out.len()) == out,
        "changed on the way to the origin"
    );
    origin.send(&back);
    assert!(
        client.exactly(back.len()) == back,
        "changed on the way to the client"
    );
    for rule in ["redacts", "drops", "closes", "logs"] {
        proxy.metric(
            "wsbump_inspect_findings_total",
            &[("rule", rule), ("mode", "observe")],
            10.0,
        );
    }
    let metrics = proxy.metrics();
    for family in [
        "wsbump_inspect_reframed_messages_total",
        "wsbump_inspect_blind_total",
    ] {
        assert_eq!(metrics.sum(family, &[]), 0.0, "{family}");
    }
}

const HOLDING: &str = "[[inspect.rule]]\nname = \"words\"\nmode = \"enforce\"\naction = \"drop\"\n\
                       keywords = [\"unspeakable\"]\n";

/// A WebSocket under rules that hold and a budget that `bytes` go beyond: they pass as they are, or both sides are told
/// 1009.
fn beyond(version: Version, budget: &str, bytes: &[u8], reason: &str) {
    for (policy, stopped) in [("pass", "false"), ("close", "true")] {
        let config = format!("[inspect]\n{budget}\non_budget = \"{policy}\"\n{HOLDING}");
        let proxy = Setup::new().config(&config).start();
        let road = Road::start(version);
        let (mut client, mut origin) = road.websocket_with(&proxy, DEFLATE, DEFLATE);
        let before = frame(0x81, Some([1; 4]), b"small");
        client.send(&before);
        assert_eq!(origin.exactly(before.len()), before);
        client.send(bytes);
        if policy == "pass" {
            assert!(origin.exactly(bytes.len()) == bytes, "changed");
            // What comes behind is judged again.
            client.send(frame(0x81, Some([1; 4]), b"unspeakable"));
            client.send(&before);
            assert_eq!(origin.exactly(before.len()), before);
        } else {
            let codes =
                [client.frame(), origin.frame()].map(|frame| frame.as_ref().and_then(Frame::close_code));
            assert_eq!(codes, [Some(1009), Some(1009)], "{reason}");
            drop((client, origin));
            let line = proxy.log("websocket", |_| true);
            assert_eq!(line["protocol"], version.logged(), "{line}");
        }
        proxy.metric(
            "wsbump_inspect_blind_total",
            &[("reason", reason), ("stopped", stopped)],
            1.0,
        );
    }
}

fn what_does_not_fit_the_budget_follows_policy(version: Version) {
    let large = frame(0x82, Some([9, 8, 7, 6]), &noise(1, 200_000));
    beyond(version, "message_bytes = \"64KiB\"", &large, "message_budget");
    // In fragments, so that no frame says how large it is.
    let pieces: Vec<u8> = (0..10)
        .flat_map(|n| {
            let first = [0x02, 0x00][usize::from(n > 0)] | if n == 9 { 0x80 } else { 0 };
            frame(first, Some([n; 4]), &noise(u32::from(n) + 1, 20_000))
        })
        .collect();
    beyond(version, "message_bytes = \"64KiB\"", &pieces, "message_budget");
}

fn a_bomb_is_let_go_or_stopped(version: Version) {
    let bomb = frame(0xc2, Some([1, 2, 3, 4]), &Packer::new().pack(&vec![0; 20 << 20]));
    assert!(bomb.len() < 50_000);
    beyond(
        version,
        "message_bytes = \"64KiB\"\ninflated_bytes = \"4MiB\"",
        &bomb,
        "inflate_budget",
    );
}

fn what_is_held_too_long_follows_policy(version: Version) {
    for (policy, stopped) in [("pass", "false"), ("close", "true")] {
        let config = format!("[inspect]\nhold = \"300ms\"\non_budget = \"{policy}\"\n{HOLDING}");
        let proxy = Setup::new().config(&config).start();
        let road = Road::start(version);
        let (mut client, mut origin) = road.websocket(&proxy);
        let begun = frame(0x01, Some([1; 4]), b"begun, and ");
        client.send(&begun);
        // The message stays unfinished: what has come of it goes on when its time is up.
        if policy == "pass" {
            assert_eq!(origin.exactly(begun.len()), begun);
        } else {
            let codes =
                [client.frame(), origin.frame()].map(|frame| frame.as_ref().and_then(Frame::close_code));
            assert_eq!(codes, [Some(1009), Some(1009)]);
        }
        proxy.metric(
            "wsbump_inspect_blind_total",
            &[("reason", "hold_time"), ("stopped", stopped)],
            1.0,
        );
    }
}

/// What a conversation leaves in the metrics, but for times.
fn counted(version: Version) -> BTreeMap<String, f64> {
    let proxy = Setup::new().config(rules::MESSAGES).start();
    let road = Road::start(version);
    let (mut client, mut origin) = road.websocket_with(&proxy, DEFLATE, DEFLATE);
    let mut packer = Packer::new();
    let mask = Some([1, 2, 3, 4]);
    client.send(frame(0x81, mask, b"watched"));
    client.send(frame(0xc1, mask, &packer.pack(b"pay with 4111 1111 1111 1111")));
    client.send(frame(0x81, mask, b"leave this out"));
    client.send(frame(0xc1, mask, &packer.pack(b"pay with 4111 1111 1111 1112")));
    client.send(frame(0x89, mask, b"ping"));
    client.send(frame(0x82, mask, &noise(3, 30_000)));
    let fine = std::iter::from_fn(|| origin.frame()).find(|frame| frame.payload.len() == 30_000);
    assert!(fine.is_some(), "the last message");
    origin.send(frame(0x8a, None, b"ping"));
    origin.send(frame(0x81, None, b"from internal-77"));
    assert_eq!(client.frame().unwrap().payload, b"ping");
    assert_eq!(client.frame().unwrap().payload, b"from #");
    client.send(frame(0x81, mask, b"unspeakable"));
    for end in [&mut client, &mut origin] {
        assert_eq!(end.frame().unwrap().payload, b"\x03\xf0that may not be said");
    }
    drop((client, origin));
    proxy.log("websocket", |line| line["protocol"] == version.logged());
    proxy.metric("wsbump_websockets_open", &[], 0.0);
    proxy.metrics().counts(&["wsbump_inspect_", "wsbump_websocket"])
}

#[test]
fn both_versions_are_counted_alike() {
    let (one, two) = (counted(Version::Http1), counted(Version::Http2));
    let findings = one.keys().filter(|name| name.contains("rule="));
    assert!(findings.count() > 4, "{one:?}");
    assert_eq!(one, two);
}
