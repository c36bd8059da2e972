//! Zlib streams over messages, through a filter.

use super::*;
use crate::inspect::{AppFraming, Budgets, JsonTest, Test};

fn zlib(word: &str, action: Action) -> RuleSpec {
    RuleSpec {
        name: action.label().into(),
        decode: Some(AppFraming::ZlibStream),
        ..rule("zlib", Mode::Enforce, action, word)
    }
}

fn rules() -> Vec<RuleSpec> {
    vec![
        zlib("secret", Action::Redact("*".into())),
        zlib("gone", Action::Drop),
    ]
}

/// One end of a connection whose origin says everything in one zlib stream.
struct Gateway {
    line: Line,
    stream: Compress,
}

impl Gateway {
    fn new(inspection: Inspection) -> Self {
        Self::with(inspection, 15, None)
    }

    fn with(inspection: Inspection, window_bits: u8, side: Option<DeflateSide>) -> Self {
        Self {
            line: Line::new(inspection, Direction::ToClient, side),
            stream: Compress::new_with_window_bits(Compression::default(), true, window_bits),
        }
    }

    fn payload(&mut self, text: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 1024);
        self.stream
            .compress_vec(text.as_bytes(), &mut out, FlushCompress::Sync)
            .unwrap();
        assert!(out.ends_with(&TAIL));
        out
    }

    fn send(&mut self, message: &[u8]) {
        for frame in self.line.frames(Opcode::Binary, message, true, 1) {
            self.line.send(&frame);
        }
    }

    fn say(&mut self, text: &str) {
        let payload = self.payload(text);
        self.send(&payload);
    }

    /// What the client makes of all that has come, as a library for such gateways does: one stream, cut where a message
    /// ends with a flush.
    fn read(&self) -> Vec<String> {
        let mut state = Decompress::new(true);
        let (mut texts, mut waiting) = (Vec::new(), Vec::new());
        for (opcode, message) in self.line.received().0 {
            assert_eq!(opcode, Opcode::Binary);
            waiting.extend(message);
            if waiting.ends_with(&TAIL) {
                let mut text = Vec::with_capacity(1 << 20);
                state
                    .decompress_vec(&waiting, &mut text, FlushDecompress::Sync)
                    .unwrap();
                waiting.clear();
                texts.push(String::from_utf8(text).unwrap());
            }
        }
        assert!(waiting.is_empty());
        texts
    }

    fn code(&self) -> Option<u16> {
        self.line.filter.closing().map(|closing| closing.code)
    }
}

fn event(content: &str) -> String {
    format!(r#"{{"t":"MESSAGE_CREATE","s":1,"op":0,"d":{{"content":"{content}"}}}}"#)
}

#[test]
fn what_is_said_in_a_stream_is_changed_and_left_out() {
    for window_bits in [9, 15] {
        for side in [None, Some(DeflateSide::default())] {
            // The first one too, which brings the stream's header.
            for first in ["hello", "a secret", "gone"] {
                let mut gateway = Gateway::with(inspection(rules()), window_bits, side);
                for said in [first, "hello again", "the secret", "hello", "gone", "hello again"] {
                    gateway.say(&event(said));
                }
                let mut read: Vec<String> =
                    ["hello again", "the *", "hello", "hello again"].map(event).into();
                if first != "gone" {
                    read.insert(0, event(&first.replace("secret", "*")));
                }
                assert_eq!(gateway.read(), read, "{window_bits} {side:?} {first}");
                assert_eq!(gateway.line.filter.held(), 0);
            }
        }
    }
}

#[test]
fn what_nothing_is_changed_of_goes_on_as_it_came() {
    let mut gateway = Gateway::new(inspection(rules()));
    let payloads: Vec<Vec<u8>> = ["one", "two", "three"]
        .map(|said| gateway.payload(&event(said)))
        .into();
    for payload in &payloads {
        let (first, second) = payload.split_at(payload.len() / 2);
        gateway.send(first);
        gateway.send(second);
    }
    assert_eq!(gateway.line.out, gateway.line.sent);
    assert_eq!(gateway.read().len(), 3);
}

#[test]
fn texts_are_no_part_of_a_stream() {
    let mut gateway = Gateway::new(inspection(rules()));
    gateway.say(&event("one"));
    let begun = gateway.line.out.len();
    gateway.line.text("gone");
    assert_eq!(gateway.line.out.len(), begun, "it was left out");
    let before = gateway.line.sent.len();
    gateway.say(&event("two"));
    assert_eq!(gateway.line.out[begun..], gateway.line.sent[before..]);
    assert_eq!(gateway.read(), ["one", "two"].map(event));
}

#[test]
fn json_tests_lead_into_what_is_said() {
    let mut spec = zlib("x", Action::Close("no".into()));
    spec.what.keywords.clear();
    spec.what.json = vec![JsonTest {
        pointer: "/d/content".into(),
        test: Test::Equals("s\u{e9}cret".into()),
    }];
    let mut gateway = Gateway::new(inspection(vec![spec]));
    gateway.say(&event("fine"));
    gateway.say(&event("s\\u00e9cret"));
    assert_eq!((gateway.code(), gateway.read().len()), (Some(1008), 1));
}

#[test]
fn messages_that_are_streams_of_their_own_are_read_too() {
    let mut gateway = Gateway::new(inspection(rules()));
    for said in ["hello", "a secret", "gone", "hello"] {
        let mut whole = Vec::with_capacity(1024);
        Compress::new(Compression::default(), true)
            .compress_vec(event(said).as_bytes(), &mut whole, FlushCompress::Finish)
            .unwrap();
        gateway.send(&whole);
    }
    let read: Vec<String> = gateway
        .line
        .received()
        .0
        .iter()
        .map(|(_, message)| {
            let mut text = Vec::with_capacity(1024);
            let mut state = Decompress::new(true);
            let status = state.decompress_vec(message, &mut text, FlushDecompress::Finish);
            assert_eq!(status.unwrap(), flate2::Status::StreamEnd);
            String::from_utf8(text).unwrap()
        })
        .collect();
    assert_eq!(read, ["hello", "a *", "hello"].map(event));
}

#[test]
fn what_only_looks_like_the_beginning_of_a_stream_waits_for_nothing() {
    let mut gateway = Gateway::new(inspection(rules()));
    gateway.send(b"\x78\x9c and then no stream");
    gateway.send(b"x");
    assert_eq!(gateway.line.out, gateway.line.sent);
    assert_eq!(gateway.line.heard.lines(), [""; 0]);
}

#[test]
fn a_stream_whose_beginning_was_not_seen_is_blind_and_unharmed() {
    let mut gateway = Gateway::new(inspection(rules()));
    gateway.payload(&event("before"));
    gateway.say(&event("a secret"));
    let lines = gateway.line.heard.lines();
    assert_eq!(lines, ["blind message no_context stopped=false"]);
    assert_eq!(gateway.line.out, gateway.line.sent);
}

#[test]
fn budgets_hold_inside_of_a_stream() {
    let with = |budgets, specs| Inspection {
        budgets,
        ..inspection(specs)
    };
    let small = Budgets {
        message: 2000,
        inflated: 20_000,
        ..lenient()
    };
    // More than may be kept of it: not looked into, but the stream can be followed.
    let large = event(&"large ".repeat(1000));
    let mut gateway = Gateway::new(with(small, rules()));
    for said in [
        &large,
        &event("a secret"),
        &large,
        &event("gone"),
        &event("a secret"),
    ] {
        gateway.say(said);
    }
    assert_eq!(gateway.read(), [large.clone(), event("a *"), large, event("a *")]);
    let blind = |lines: &[String]| {
        let blind = lines.iter().filter(|line| line.starts_with("blind"));
        blind.cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        blind(&gateway.line.heard.lines()),
        ["blind message message_budget stopped=false"; 2]
    );

    // A stream of its own is awaited by nobody, however large.
    for size in [5000, 50_000] {
        let mut gateway = Gateway::new(with(small, rules()));
        let mut whole = Vec::with_capacity(1024);
        Compress::new(Compression::default(), true)
            .compress_vec("x".repeat(size).as_bytes(), &mut whole, FlushCompress::Finish)
            .unwrap();
        gateway.send(&whole);
        assert_eq!(gateway.line.out, gateway.line.sent);
        assert_eq!(blind(&gateway.line.heard.lines()).len(), 1);
    }

    // A bomb: what comes behind it cannot be read any more.
    let bomb = event(&"x".repeat(100_000));
    let mut gateway = Gateway::new(with(small, rules()));
    for said in [&event("fine"), &bomb, &event("a secret")] {
        gateway.say(said);
    }
    assert_eq!(gateway.line.out, gateway.line.sent);
    assert_eq!(
        blind(&gateway.line.heard.lines()),
        ["blind message inflate_budget stopped=false"; 2]
    );
    // Not even passed on, once a payload was changed.
    let mut gateway = Gateway::new(with(small, rules()));
    gateway.say(&event("a secret"));
    gateway.say(&bomb);
    assert_eq!((gateway.code(), gateway.read().len()), (Some(1008), 1));
    // Nor a message that is given up while it is held.
    let mut gateway = Gateway::new(with(small, rules()));
    gateway.say(&event("a secret"));
    gateway.send(&[1; 3000]);
    assert_eq!(gateway.code(), Some(1009));
    let mut gateway = Gateway::new(with(small, rules()));
    gateway.say(&event("a secret"));
    gateway.send(b"begun");
    gateway.line.now = small.hold;
    gateway.line.turn(MessageFilter::expire);
    assert_eq!(gateway.code(), Some(1009));
}

#[test]
fn a_changed_stream_stays_the_proxys_own_under_other_rules() {
    let mut gateway = Gateway::new(inspection(rules()));
    gateway.say(&event("a secret"));
    for other in [
        Inspection::default(),
        inspection(vec![rule("other", Mode::Observe, Action::Drop, "x")]),
    ] {
        gateway.line.inspector.replace(Arc::new(other));
        gateway.say(&event("a secret"));
        let payload = gateway.payload(&event("cut"));
        gateway.send(&payload[..5]);
        gateway.send(&payload[5..]);
    }
    gateway.line.inspector.replace(Arc::new(inspection(rules())));
    gateway.say(&event("a secret"));
    let read = ["a *", "a secret", "cut", "a secret", "cut", "a *"].map(event);
    assert_eq!(gateway.read(), read);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// However payloads are cut into messages, the client reads what is allowed.
    #[test]
    fn the_client_reads_what_is_allowed(
        said in prop::collection::vec(prop::sample::select(vec!["hello", "a secret", "gone", "the same again", ""]), 1..10),
        cuts in prop::collection::vec(2..60_usize, 1..12),
        side in prop::option::of((any::<bool>(), 9..=15_u8)),
        window_bits in 9..=15_u8,
    ) {
        let side = side.map(|(takeover, window_bits)| DeflateSide { takeover, window_bits });
        let mut gateway = Gateway::with(inspection(rules()), window_bits, side);
        let mut cuts = cuts.iter().cycle();
        for said in &said {
            let payload = gateway.payload(&event(said));
            let mut rest = &payload[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                gateway.send(now);
                rest = later;
            }
        }
        let allowed: Vec<String> = said
            .iter()
            .filter(|said| **said != "gone")
            .map(|said| event(&said.replace("secret", "*")))
            .collect();
        prop_assert_eq!(gateway.code(), None);
        prop_assert_eq!(gateway.read(), allowed);
    }
}
