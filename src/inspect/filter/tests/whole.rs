//! Whichever way a message goes, the same becomes of it and the same is told.

use super::*;
use crate::inspect::{
    Background, FileType, Judgement, Onlookers, Rate, RecordedContent, SessionFacts, Witness,
};
use std::sync::Mutex;

/// Keeps all of what it is told.
#[derive(Debug, Default)]
struct Verbatim(Mutex<Vec<String>>);

impl Verbatim {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Witness for Verbatim {
    fn judged(&self, _: &SessionFacts, about: &About, judgement: &Judgement) {
        self.note(format!("{about:?} {judgement:?}"));
    }
    fn blind(&self, _: &SessionFacts, about: &About, why: Blind, stopped: bool) {
        self.note(format!("{about:?} {why:?} {stopped}"));
    }
    fn invalid_utf8(&self, _: &SessionFacts, direction: Direction) {
        self.note(format!("{direction:?} UTF-8"));
    }
    fn reframed(&self, direction: Direction, before: u64, after: u64) {
        self.note(format!("{direction:?} {before} {after}"));
    }
    fn inflated(&self, compressed: u64, plain: u64) {
        self.note(format!("inflated {compressed} {plain}"));
    }
    fn scanned(&self, _: &str, _: &ScanOutcome, _: Duration) {}
    fn background(&self, _: Background) {}
    fn content(&self, _: &Arc<SessionFacts>, _: Onlookers, _: &RecordedContent<'_>) {}
}

fn what(change: impl FnOnce(&mut LooksFor)) -> LooksFor {
    let mut what = LooksFor::default();
    change(&mut what);
    what
}

fn word(word: &str) -> LooksFor {
    what(|what| what.keywords = vec![word.into()])
}

/// Conditions, of which the first can be told by kind and size.
fn conditions() -> Vec<LooksFor> {
    let rate = |count, secs| Rate {
        count,
        per: Duration::from_secs(secs),
    };
    vec![
        what(|what| what.min_size = Some(12)),
        what(|what| what.max_size = Some(5)),
        what(|what| (what.min_size, what.max_size) = (Some(3), Some(20))),
        what(|what| what.rate = Some(rate(2, 5))),
        what(|what| (what.rate, what.min_size) = (Some(rate(1, 3)), Some(8))),
        LooksFor::default(),
        word("drop"),
        word("secret"),
        what(|what| (what.keywords, what.min_size) = (vec!["secret".into()], Some(15))),
        what(|what| (what.keywords, what.scan) = (vec!["scan".into()], Some(ScannerId(0)))),
        what(|what| what.scan = Some(ScannerId(0))),
        what(|what| what.files = vec![FileType::Archive]),
    ]
}

const HEADS: usize = 6;

fn specs(conditions: Vec<LooksFor>) -> impl Strategy<Value = Vec<RuleSpec>> {
    let action = prop::sample::select(vec![
        Action::Allow,
        Action::Log,
        Action::Log,
        Action::Alert,
        Action::Redact("#".into()),
        Action::Drop,
        Action::Close("no".into()),
    ]);
    let spec = (
        prop::sample::select(conditions),
        action,
        any::<bool>(),
        prop::option::weighted(0.3, any::<bool>()),
        prop::option::weighted(0.2, any::<bool>()),
    );
    prop::collection::vec(spec, 0..4).prop_map(|specs| {
        let specs = (0..).zip(specs);
        let specs = specs.map(|(n, (what, action, enforce, opcode, direction))| RuleSpec {
            name: format!("rule {n}").into(),
            mode: if enforce { Mode::Enforce } else { Mode::Observe },
            action,
            place: Where {
                opcode: opcode.map(|text| if text { Opcode::Text } else { Opcode::Binary }),
                direction: direction.map(|there| {
                    if there {
                        Direction::ToOrigin
                    } else {
                        Direction::ToClient
                    }
                }),
                ..Where::default()
            },
            what,
            decode: None,
        });
        specs.collect()
    })
}

#[derive(Debug, Clone)]
struct Came {
    text: bool,
    plain: Vec<u8>,
    compress: bool,
    fragments: usize,
    ping: bool,
    /// It comes so many seconds after the one before it.
    later: u64,
}

fn came() -> impl Strategy<Value = Came> {
    let plain = prop::sample::select(vec![
        &b""[..],
        b"x",
        b"abc",
        b"words",
        b"8 bytes.",
        b"twelve bytes",
        b"exactly twenty bytes",
        b"secret",
        b"drop it",
        b"scan this",
        b"a secret to drop",
        b"PK\x03\x04 an archive",
        b"caf\xc3\xa9 and more",
        b"\xff\xfe",
        b"a long message without anything in it",
    ]);
    (
        any::<bool>(),
        plain,
        prop::bool::weighted(0.2),
        prop_oneof![4 => Just(1_usize), 1 => 2..4_usize],
        prop::bool::weighted(0.2),
        prop_oneof![3 => Just(0), 1 => 0..6_u64],
    )
        .prop_map(|(text, plain, compress, fragments, ping, later)| Came {
            text,
            plain: plain.to_vec(),
            compress,
            fragments,
            ping,
            later,
        })
}

/// What came of a stream: the bytes that went on, what was told, and how it ended.
type Outcome = (Vec<u8>, Vec<String>, Option<WantedClose>, usize);

/// Sends what comes at one moment in pieces of this size.
fn outcome(
    inspection: Inspection,
    direction: Direction,
    side: Option<DeflateSide>,
    moments: &[(u64, Vec<u8>)],
    piece: usize,
) -> Outcome {
    let heard = Arc::new(Verbatim::default());
    let mut line = Line::new(Inspection::default(), direction, side);
    let route = FilterRoute {
        inspector: Arc::new(Inspector::new(Arc::new(inspection), heard.clone())),
        facts: facts(),
        deflate: side.map(|side| Deflate { sides: [side; 2] }),
        is_opaque: false,
        fresh_mask: || [9, 8, 7, 6],
        epoch: Duration::ZERO,
        recorded: Recorded::default(),
    };
    line.filter = MessageFilter::new(&route, direction, false);
    for (now, bytes) in moments {
        line.now = Duration::from_secs(*now);
        for bytes in bytes.chunks(piece) {
            line.send(bytes);
        }
        // Scanners find something in every other message.
        let mut found = false;
        while let Some(ticket) = line.asked() {
            found = !found;
            let outcome = if found {
                ScanOutcome::Found("x".into())
            } else {
                ScanOutcome::Clean
            };
            line.answer(ticket, outcome);
        }
    }
    let told = heard.0.lock().unwrap().clone();
    (line.out, told, line.filter.closing().cloned(), line.filter.held())
}

/// The bytes that a sender of these messages sends, by the second.
fn moments(direction: Direction, side: Option<DeflateSide>, messages: &[Came]) -> Vec<(u64, Vec<u8>)> {
    let mut sender = Line::new(Inspection::default(), direction, side);
    let (mut moments, mut now) = (vec![(0, Vec::new())], 0);
    for message in messages {
        let opcode = if message.text {
            Opcode::Text
        } else {
            Opcode::Binary
        };
        let mut frames = sender.frames(opcode, &message.plain, message.compress, message.fragments);
        if message.ping {
            let at = frames.len() / 2;
            frames.insert(at, sender.control(Opcode::Ping, &message.plain));
        }
        if message.later > 0 {
            now += message.later;
            moments.push((now, Vec::new()));
        }
        moments.last_mut().unwrap().1.extend(frames.concat());
    }
    moments
}

fn the_same_whichever_way(
    to_origin: bool,
    side: Option<(bool, u8)>,
    refuses: bool,
    specs: &[RuleSpec],
    messages: &[Came],
    piece: usize,
) -> Result<(), TestCaseError> {
    let direction = if to_origin {
        Direction::ToOrigin
    } else {
        Direction::ToClient
    };
    let side = side.map(|(takeover, window_bits)| DeflateSide {
        takeover,
        window_bits,
    });
    let inspection = || Inspection {
        invalid_utf8: if refuses {
            OnFailure::Close
        } else {
            OnFailure::Pass
        },
        ..inspection(specs.to_vec())
    };
    let moments = moments(direction, side, messages);
    // No message of a byte or more is ever whole where each byte comes alone.
    let long_way = outcome(inspection(), direction, side, &moments, 1);
    let at_once = outcome(inspection(), direction, side, &moments, usize::MAX);
    let in_pieces = outcome(inspection(), direction, side, &moments, piece);
    prop_assert_eq!(&at_once, &long_way);
    prop_assert_eq!(&in_pieces, &long_way);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_rules_say_the_same_to_whole_messages_and_to_pieces(
        to_origin: bool,
        side in prop::option::weighted(0.3, (any::<bool>(), 9..=15_u8)),
        refuses: bool,
        specs in specs(conditions()),
        messages in prop::collection::vec(came(), 1..20),
        piece in 2..200_usize,
    ) {
        the_same_whichever_way(to_origin, side, refuses, &specs, &messages, piece)?;
    }

    #[test]
    fn rules_that_need_no_content_say_the_same_as_with_it(
        to_origin: bool,
        refuses: bool,
        specs in specs(conditions()[..HEADS].to_vec()),
        messages in prop::collection::vec(came(), 1..20),
    ) {
        // A rule that looks for what is never there makes every message be read.
        let reading = RuleSpec {
            name: "reading".into(),
            mode: Mode::Observe,
            action: Action::Log,
            place: Where::default(),
            what: word("never there"),
            decode: None,
        };
        let with = [&specs[..], &[reading]].concat();
        let direction = if to_origin { Direction::ToOrigin } else { Direction::ToClient };
        let moments = moments(direction, None, &messages);
        let outcome = |specs: &[RuleSpec]| {
            let inspection = Inspection {
                invalid_utf8: if refuses { OnFailure::Close } else { OnFailure::Pass },
                ..inspection(specs.to_vec())
            };
            outcome(inspection, direction, None, &moments, usize::MAX)
        };
        let (without, with) = (outcome(&specs), outcome(&with));
        // Texts of a kind that no rule looked at are then looked at for their UTF-8.
        let judged = |(out, told, closing, held): Outcome| {
            let told: Vec<String> = told.into_iter().filter(|line| !line.ends_with("UTF-8")).collect();
            (out, told, closing, held)
        };
        if !(refuses && messages.iter().any(|m| m.plain == b"\xff\xfe" && m.text)) {
            prop_assert_eq!(judged(without), judged(with));
        }
    }
}

#[test]
fn what_passes_of_one_read_goes_on_in_one_piece() {
    let mut line = Line::new(
        inspection(vec![rule("drop", Mode::Enforce, Action::Drop, "drop")]),
        Direction::ToOrigin,
        None,
    );
    let mut stream = Vec::new();
    for text in ["one", "two", "drop", "three", "four"] {
        stream.extend(line.frames(Opcode::Text, text.as_bytes(), false, 1).concat());
    }
    let mut pieces = Vec::new();
    line.filter.take(
        &stream,
        &mut Turn {
            pools: &mut line.pools,
            now: Duration::ZERO,
            other: 0,
            out: &mut |bytes| pieces.push(bytes.len()),
        },
    );
    assert_eq!(pieces, [9 + 9, 11 + 10]);
}

#[test]
fn nobody_begins_where_no_rule_looks() {
    let mut one_way = rule("one way", Mode::Observe, Action::Log, "x");
    one_way.place.direction = Some(Direction::ToOrigin);
    let mut body = rule("bodies", Mode::Observe, Action::Log, "x");
    body.place.surfaces = vec![Surface::Body];
    let mut elsewhere = rule("elsewhere", Mode::Observe, Action::Log, "x");
    elsewhere.place.subprotocols = vec!["mqtt".into()];
    for (specs, begins) in [
        (vec![], [false, false]),
        (vec![body.clone(), elsewhere.clone()], [false, false]),
        (vec![body, elsewhere, one_way], [true, false]),
    ] {
        let inspector = Inspector::new(Arc::new(inspection(specs)), Arc::new(Heard::default()));
        let route = FilterRoute {
            inspector: Arc::new(inspector),
            facts: facts(),
            deflate: None,
            is_opaque: false,
            fresh_mask: || [9, 8, 7, 6],
            epoch: Duration::ZERO,
            recorded: Recorded::default(),
        };
        let begun = Direction::ALL.map(|direction| MessageFilter::begin(&route, direction, false).is_some());
        assert_eq!(begun, begins);
        let before = route.inspector.generation();
        route.inspector.replace(Arc::new(inspection(rules_of_words())));
        assert_ne!(route.inspector.generation(), before);
        assert!(MessageFilter::begin(&route, Direction::ToClient, true).is_some());
    }
}
