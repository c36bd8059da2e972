//! Framings of applications, through a filter.

use super::*;
use crate::inspect::{AppFraming, Budgets};

fn stomp(word: &str, action: Action) -> RuleSpec {
    RuleSpec {
        decode: Some(AppFraming::Stomp),
        ..rule("stomp", Mode::Enforce, action, word)
    }
}

#[test]
fn what_is_redacted_keeps_its_framing_under_every_compression() {
    for side in [None, Some(DeflateSide::default())] {
        let rules = inspection(vec![stomp("secret", Action::Redact("*".into()))]);
        let mut line = Line::new(rules, Direction::ToOrigin, side);
        line.text("SEND\ncontent-length:6\n\nsecret\0");
        line.text("SEND\n\nfine\0");
        assert_eq!(
            line.texts(),
            ["SEND\ncontent-length:1\n\n*\0", "SEND\n\nfine\0"],
            "{side:?}"
        );
    }
}

#[test]
fn a_frame_over_messages_is_kept_within_the_budgets() {
    let with = |spent| Inspection {
        budgets: Budgets {
            message: 100,
            spent,
            ..Budgets::default()
        },
        ..inspection(vec![stomp("secret", Action::Drop)])
    };
    let begin = format!("SEND\ncontent-length:500\n\n{}", "x".repeat(50));
    let mut open = Line::new(with(OnFailure::Pass), Direction::ToOrigin, None);
    open.text(&begin);
    assert!(open.filter.held() >= begin.len());
    assert_eq!(open.heard.lines(), [""; 0]);
    open.text(&"y".repeat(90));
    assert_eq!(open.heard.lines(), ["blind message message_budget stopped=false"]);
    assert_eq!((open.filter.held(), open.texts().len()), (0, 2));

    let mut closed = Line::new(with(OnFailure::Close), Direction::ToOrigin, None);
    closed.text(&begin);
    closed.text(&"y".repeat(90));
    assert_eq!(closed.filter.closing().map(|closing| closing.code), Some(1009));
    assert_eq!(closed.texts().len(), 1);
}

#[test]
fn a_frame_over_messages_survives_a_reload() {
    for again in [true, false] {
        let mut line = Line::new(
            inspection(vec![stomp("secret", Action::Drop)]),
            Direction::ToOrigin,
            None,
        );
        line.text("SEND\n\nsec");
        let rules = if again {
            vec![stomp("other", Action::Drop), stomp("secret", Action::Drop)]
        } else {
            Vec::new()
        };
        let rules = (0..).zip(rules).map(|(n, rule)| RuleSpec {
            name: format!("{n}").into(),
            ..rule
        });
        line.inspector.replace(Arc::new(inspection(rules.collect())));
        line.text("ret\0");
        assert_eq!(line.texts().len(), if again { 0 } else { 2 });
        assert_eq!(line.filter.closing(), None);
        assert_eq!(line.filter.held(), 0);
    }
}

/// An MQTT packet that publishes under `a/b`.
fn publish(payload: &str) -> Vec<u8> {
    let size = u8::try_from(payload.len() + 5).unwrap();
    [&[0x30, size, 0, 3], &b"a/b"[..], payload.as_bytes()].concat()
}

fn mqtt(word: &str, action: Action) -> RuleSpec {
    RuleSpec {
        decode: Some(AppFraming::Mqtt),
        ..rule("mqtt", Mode::Enforce, action, word)
    }
}

impl Line {
    /// Each piece as a message.
    fn binaries(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            for frame in self.frames(Opcode::Binary, piece, true, 1) {
                self.send(&frame);
            }
        }
    }

    fn payloads(&self) -> Vec<Vec<u8>> {
        self.received()
            .0
            .into_iter()
            .map(|(_, payload)| payload)
            .collect()
    }
}

/// As MQTT.js sends: each field is a message of its own.
fn fields(packet: &[u8]) -> [&[u8]; 4] {
    [&packet[..1], &packet[1..2], &packet[2..7], &packet[7..]]
}

#[test]
fn messages_that_a_frame_is_cut_over_are_judged_as_one() {
    let (secret, fine) = (publish("a secret!"), publish("fine"));
    for side in [None, Some(DeflateSide::default())] {
        let redacting = inspection(vec![mqtt("secret", Action::Redact("*".into()))]);
        let mut line = Line::new(redacting, Direction::ToOrigin, side);
        line.binaries(&fields(&fine));
        line.binaries(&fields(&secret)[..3]);
        assert_eq!(line.payloads(), fields(&fine), "the beginning waits");
        line.binaries(&fields(&secret)[3..]);
        line.binaries(&fields(&fine));
        let changed = publish("a *!");
        let wanted: Vec<&[u8]> = [&fields(&fine)[..], &[&changed], &fields(&fine)].concat();
        assert_eq!(line.payloads(), wanted, "{side:?}");

        let mut line = Line::new(
            inspection(vec![mqtt("secret", Action::Drop)]),
            Direction::ToClient,
            side,
        );
        line.binaries(&fields(&fine));
        line.binaries(&fields(&secret));
        line.binaries(&fields(&fine));
        assert_eq!(
            line.payloads(),
            [fields(&fine), fields(&fine)].concat(),
            "{side:?}"
        );
        assert_eq!(line.filter.held(), 0);

        let mut line = Line::new(
            inspection(vec![mqtt("secret", Action::Close("no".into()))]),
            Direction::ToOrigin,
            side,
        );
        line.binaries(&fields(&secret));
        assert_eq!(line.filter.closing().map(|closing| closing.code), Some(1008));
        assert_eq!(line.out, b"");
    }
}

#[test]
fn what_passes_of_a_cut_frame_goes_on_as_it_came() {
    let packet = publish("nothing to see");
    let mut line = Line::new(
        inspection(vec![mqtt("secret", Action::Drop)]),
        Direction::ToOrigin,
        Some(DeflateSide::default()),
    );
    line.binaries(&fields(&packet)[..2]);
    let ping = line.control(Opcode::Ping, b"now");
    line.send(&ping);
    assert_eq!(line.out, ping, "a ping does not wait");
    line.binaries(&fields(&packet)[2..]);
    let (messages, pings) = line.received();
    assert_eq!(pings, [ping]);
    assert_eq!(messages.len(), 4);
    let mut sent: Vec<u8> = line.sent;
    let at = memchr::memmem::find(&sent, &pings[0]).unwrap();
    sent.drain(at..at + pings[0].len());
    assert_eq!(line.out[pings[0].len()..], sent);
}

#[test]
fn a_change_makes_no_larger_messages_than_came() {
    let body = format!("{} secret {}", "é".repeat(900), "ü".repeat(900));
    let frame = format!("SEND\n\n{body}\0");
    let mut line = Line::new(
        inspection(vec![stomp("secret", Action::Redact("*".into()))]),
        Direction::ToOrigin,
        None,
    );
    // Both pieces end between two characters.
    let (first, second) = frame.split_at("SEND\n\n".len() + 1200);
    line.text(first);
    line.text(second);
    let texts = line.texts();
    assert_eq!(texts.concat(), frame.replace("secret", "*"));
    let largest = first.len().max(second.len());
    assert!(texts.len() > 1 && texts.iter().all(|text| text.len() <= largest));
}

#[test]
fn what_cannot_end_a_frame_ends_the_waiting() {
    let waiting = || {
        let mut line = Line::new(
            inspection(vec![mqtt("secret", Action::Drop)]),
            Direction::ToOrigin,
            None,
        );
        line.binaries(&[&publish("a secret!")[..15]]);
        assert!(line.filter.awaits_rest() && line.out.is_empty());
        line
    };
    // A text, which is no part of MQTT; a Close; the end of the stream.
    let mut line = waiting();
    line.text("hello");
    assert_eq!(line.filter.closing().map(|closing| closing.code), Some(1008));
    let mut line = waiting();
    let close = line.control(Opcode::Close, &[]);
    line.send(&close);
    assert_eq!(line.filter.closing().map(|closing| closing.code), Some(1008));
    let mut line = waiting();
    line.turn(MessageFilter::no_rest);
    assert_eq!(line.filter.closing().map(|closing| closing.code), Some(1008));

    let mut line = Line::new(
        inspection(vec![mqtt("secret", Action::Drop)]),
        Direction::ToOrigin,
        None,
    );
    line.binaries(&[&publish("fine")[..9]]);
    line.turn(MessageFilter::no_rest);
    assert_eq!(line.payloads(), [&publish("fine")[..9]]);

    // Who only looks makes nothing wait.
    let rules = inspection(vec![RuleSpec {
        mode: Mode::Observe,
        ..mqtt("secret", Action::Drop)
    }]);
    let mut line = Line::new(rules, Direction::ToOrigin, None);
    line.binaries(&[&publish("a secret!")[..9]]);
    assert_eq!(line.payloads(), [&publish("a secret!")[..9]]);
}

#[test]
fn the_rest_of_a_frame_is_awaited_within_the_budgets() {
    let with = |budgets| Inspection {
        budgets,
        ..inspection(vec![stomp("secret", Action::Drop)])
    };
    let begin = format!("SEND\ncontent-length:5000\n\n{}", "x".repeat(50));
    // Of time.
    let mut line = Line::new(with(lenient()), Direction::ToOrigin, None);
    line.text(&begin);
    line.now = Budgets::default().hold;
    line.turn(MessageFilter::expire);
    assert_eq!(line.texts(), [&begin[..]]);
    assert_eq!(line.heard.lines(), ["blind message hold_time stopped=false"]);
    // Of what a connection keeps: it must go on taking bytes in, or the frame would never end.
    let small = Budgets {
        connection: 1000,
        ..lenient()
    };
    let mut line = Line::new(with(small), Direction::ToOrigin, None);
    line.text(&begin);
    for _ in 0..9 {
        assert!(!line.filter.is_full(0));
        line.text(&"y".repeat(150));
    }
    assert_eq!(line.texts().len(), 10, "nothing waits any more");
    assert!(line.filter.held() < 2000);
}

#[test]
fn tiny_pieces_take_no_more_than_the_budget() {
    let budget = 20_000;
    let rules = Inspection {
        budgets: Budgets {
            connection: budget,
            ..Budgets::default()
        },
        ..inspection(vec![mqtt("secret", Action::Drop)])
    };
    let mut line = Line::new(rules, Direction::ToOrigin, None);
    // Of a packet of 64 KiB.
    line.binaries(&[&[0x30], &[0x80], &[0x80], &[0x04], &[0, 3], b"a/b"]);
    for _ in 0..5000 {
        line.binaries(&[b"x"]);
        assert!(line.filter.held() <= budget + 10_000, "{}", line.filter.held());
    }
    assert!(!line.payloads().is_empty());
}

#[test]
fn a_scanner_is_shown_all_of_a_frame() {
    let mut spec = mqtt("secret", Action::Drop);
    spec.what.scan = Some(ScannerId(0));
    let mut line = Line::new(inspection(vec![spec]), Direction::ToOrigin, None);
    let packet = publish("a secret!");
    line.binaries(&fields(&packet));
    let asked = line.asked().unwrap();
    assert_eq!(asked.1.item().data, packet);
    line.binaries(&fields(&publish("fine"))[..2]);
    line.answer(asked, ScanOutcome::Clean);
    assert_eq!(
        line.payloads(),
        fields(&packet),
        "what is behind it waits for its own rest"
    );
    line.binaries(&fields(&publish("fine"))[2..]);
    assert_eq!(line.payloads().len(), 8);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Wherever a stream of MQTT is cut into messages, and messages into frames, the receiver reads the stream that an
    /// encoder would have written of what is allowed.
    #[test]
    fn the_receiver_reads_what_is_allowed_of_a_cut_stream(
        payloads in prop::collection::vec(prop::sample::select(vec!["fine", "a secret!", "secret, secret", ""]), 1..8),
        cuts in prop::collection::vec(1..25_usize, 1..12),
        fragments in 1..3_usize,
        side in prop::option::of((any::<bool>(), 9..=15_u8)),
        to_origin: bool,
        drops: bool,
    ) {
        let side = side.map(|(takeover, window_bits)| DeflateSide { takeover, window_bits });
        let direction = if to_origin { Direction::ToOrigin } else { Direction::ToClient };
        let action = if drops { Action::Drop } else { Action::Redact("*".into()) };
        let mut line = Line::new(inspection(vec![mqtt("secret", action)]), direction, side);
        let packets: Vec<Vec<u8>> = payloads.iter().map(|payload| publish(payload)).collect();
        let stream = packets.concat();
        let ends: Vec<usize> = packets
            .iter()
            .scan(0, |end, packet| { *end += packet.len(); Some(*end) })
            .collect();
        let (mut from, mut cuts) = (0, cuts.iter().cycle());
        // What is judged as one ends where a packet and a message do.
        let mut groups = vec![0];
        while from < stream.len() {
            let end = (from + cuts.next().unwrap()).min(stream.len());
            for frame in line.frames(Opcode::Binary, &stream[from..end], true, fragments) {
                line.send(&frame);
            }
            from = end;
            if ends.contains(&end) {
                groups.push(end);
            }
        }
        let expected: Vec<u8> = if drops {
            let kept = groups.windows(2).map(|group| &stream[group[0]..group[1]]);
            kept.filter(|group| memchr::memmem::find(group, b"secret").is_none()).collect::<Vec<_>>().concat()
        } else {
            payloads.iter().flat_map(|payload| publish(&payload.replace("secret", "*"))).collect()
        };
        prop_assert!(line.filter.closing().is_none());
        prop_assert_eq!(line.payloads().concat(), expected);
        prop_assert_eq!(line.filter.held(), 0);
    }
}

#[test]
fn messages_that_are_judged_as_one_are_recorded_one_by_one() {
    let rules = inspection(vec![
        mqtt("secret", Action::Redact("*".into())),
        RuleSpec {
            name: "drop".into(),
            ..mqtt("gone", Action::Drop)
        },
    ]);
    let mut line = Line::new(recorded(rules), Direction::ToOrigin, None);
    for said in ["fine", "a secret!", "gone"] {
        let packet = publish(said);
        line.binaries(&[&packet[..7], &packet[7..]]);
    }
    assert_eq!(
        contents(&line),
        [
            "\"0\\t\\0\\u{3}a/b\" 7 true -",
            "\"fine\" 4 true -",
            // What is read of the two that were changed.
            "\"0\\t\\0\\u{3}a/ba *!\" 11 true change",
            "\"\" 7 false drop",
            "\"\" 4 false drop",
        ]
    );
}
