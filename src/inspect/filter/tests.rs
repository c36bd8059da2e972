mod framed;
mod whole;
mod zlib;

use super::super::rules::Rules;
use super::super::testing::{Heard, facts};
use super::super::{
    Action, Inspector, LooksFor, Mode, OnFailure, Recorded, RuleSpec, ScanOutcome, Scanner, Scanning, Where,
};
use super::watched::SCANS;
use super::*;
use crate::inspect::Blind;
use crate::wire::deflate::{Deflate, DeflateSide};
use crate::wire::frame::{DataHead, Follower, FramePiece, See, write_frame};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proptest::prelude::*;

const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// A scanner that never answers by itself: the tests answer.
#[derive(Debug)]
struct Mute(OnFailure);

impl Scanner for Mute {
    fn name(&self) -> &str {
        "mute"
    }

    fn on_failure(&self) -> OnFailure {
        self.0
    }

    fn scan(&self, _: ScanItem) -> Scanning {
        Box::pin(std::future::pending())
    }
}

fn rule(name: &str, mode: Mode, action: Action, word: &str) -> RuleSpec {
    RuleSpec {
        name: name.into(),
        mode,
        action,
        place: Where::default(),
        what: LooksFor {
            keywords: vec![word.into()],
            ..LooksFor::default()
        },
        decode: None,
    }
}

fn scanning(action: Action, word: &str) -> RuleSpec {
    let mut spec = rule("scan", Mode::Enforce, action, word);
    spec.what.scan = Some(ScannerId(0));
    spec
}

fn inspection(specs: Vec<RuleSpec>) -> Inspection {
    Inspection {
        rules: Arc::new(Rules::compile(specs).unwrap()),
        scanners: vec![Arc::new(Mute(OnFailure::Pass))],
        budgets: lenient(),
        ..Inspection::default()
    }
}

/// Budgets of which nothing that is spent closes anything.
fn lenient() -> super::super::Budgets {
    super::super::Budgets {
        spent: OnFailure::Pass,
        ..super::super::Budgets::default()
    }
}

/// One direction from end to end: a sender as RFC 7692 has it, a filter, and a receiver of its own.
struct Line {
    filter: MessageFilter,
    heard: Arc<Heard>,
    inspector: Arc<Inspector>,
    direction: Direction,
    follower: Follower,
    pools: Pools,
    now: Duration,
    out: Vec<u8>,
    /// All that was sent.
    sent: Vec<u8>,
    /// What passed, by what the follower tells and the filter puts right.
    counted: FrameCounts,
    stopped: Stopped,
    /// What passed, by what came out; so many bytes of it are counted.
    gone: FrameCounts,
    behind: (Follower, usize),
    sender: Option<(Compress, DeflateSide)>,
}

struct Counting<'a>(&'a mut FrameCounts);

impl See for Counting<'_> {
    fn frame(&mut self, opcode: Opcode, payload: u64) {
        self.0.frame(opcode, payload);
    }
    fn message(&mut self, size: u64) {
        self.0.message(size);
    }
    fn ping(&mut self, _: &[u8]) {}
    fn pong(&mut self, _: &[u8]) {}
    fn close(&mut self, _: Option<(u16, &str)>) {}
    fn discarded(&mut self, _: u64) {}
}

struct Blindly;

impl See for Blindly {
    fn frame(&mut self, _: Opcode, _: u64) {}
    fn message(&mut self, _: u64) {}
    fn ping(&mut self, _: &[u8]) {}
    fn pong(&mut self, _: &[u8]) {}
    fn close(&mut self, _: Option<(u16, &str)>) {}
    fn discarded(&mut self, _: u64) {}
}

impl Line {
    fn new(inspection: Inspection, direction: Direction, side: Option<DeflateSide>) -> Self {
        Self::late(inspection, direction, side, false)
    }

    fn late(inspection: Inspection, direction: Direction, side: Option<DeflateSide>, late: bool) -> Self {
        let heard = Arc::new(Heard::default());
        let inspector = Arc::new(Inspector::new(Arc::new(inspection), heard.clone()));
        let route = FilterRoute {
            inspector: inspector.clone(),
            facts: facts(),
            deflate: side.map(|side| Deflate { sides: [side; 2] }),
            is_opaque: false,
            fresh_mask: || [9, 8, 7, 6],
            epoch: Duration::ZERO,
            recorded: Recorded::default(),
        };
        Self {
            filter: MessageFilter::new(&route, direction, late),
            heard,
            inspector,
            direction,
            follower: Follower::new(direction, if side.is_some() { 0x40 } else { 0 }),
            pools: Pools::default(),
            now: Duration::ZERO,
            out: Vec::new(),
            sent: Vec::new(),
            counted: FrameCounts::default(),
            stopped: Stopped::default(),
            gone: FrameCounts::default(),
            behind: (Follower::new(direction, if side.is_some() { 0x40 } else { 0 }), 0),
            sender: side.map(|side| {
                let state =
                    Compress::new_with_window_bits(Compression::default(), false, side.window_bits.max(9));
                (state, side)
            }),
        }
    }

    /// Frames of one message.
    fn frames(&mut self, opcode: Opcode, plain: &[u8], compress: bool, fragments: usize) -> Vec<Vec<u8>> {
        let mut payload = plain.to_vec();
        let rsv1 = compress && self.sender.is_some();
        if let (true, Some((state, side))) = (rsv1, &mut self.sender) {
            if !side.takeover {
                state.reset();
            }
            payload = Vec::with_capacity(plain.len() * 2 + 1024);
            if plain.is_empty() {
                payload.push(0);
            } else {
                state
                    .compress_vec(plain, &mut payload, FlushCompress::Sync)
                    .unwrap();
                payload.truncate(payload.len() - TAIL.len());
            }
        }
        let size = payload.len().div_ceil(fragments.max(1)).max(1);
        let pieces: Vec<&[u8]> = if payload.is_empty() {
            vec![&[]]
        } else {
            payload.chunks(size).collect()
        };
        let last = pieces.len() - 1;
        (0..)
            .zip(pieces)
            .map(|(at, piece)| {
                let head = DataHead {
                    opcode: if at == 0 { opcode } else { Opcode::Continuation },
                    fin: at == last,
                    rsv1: rsv1 && at == 0,
                    payload: piece.len() as u64,
                    mask: Some([1, 2, 3, at as u8]),
                };
                let mut frame = Vec::new();
                write_frame(&mut frame, self.direction, head, piece);
                frame
            })
            .collect()
    }

    fn control(&self, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        let head = DataHead {
            opcode,
            fin: true,
            rsv1: false,
            payload: 0,
            mask: Some([4, 4, 4, 4]),
        };
        let mut frame = Vec::new();
        write_frame(&mut frame, self.direction, head, payload);
        frame
    }

    fn send(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
        let Self {
            filter,
            follower,
            pools,
            now,
            out,
            counted,
            ..
        } = self;
        let mut pass = |passed: &[u8]| {
            filter.take(
                passed,
                &mut Turn {
                    pools,
                    now: *now,
                    other: 0,
                    out: &mut |bytes| out.extend_from_slice(bytes),
                },
            );
        };
        follower.follow(bytes, &mut Counting(counted), &mut pass).unwrap();
        self.settle();
    }

    /// What is counted as passed is what came out.
    fn settle(&mut self) {
        if let Some((difference, stopped)) = self.filter.corrections() {
            self.counted.add(&difference);
            self.stopped.add(&stopped);
        }
        let (behind, at) = &mut self.behind;
        behind
            .follow(&self.out[*at..], &mut Counting(&mut self.gone), &mut |_| {})
            .unwrap();
        *at = self.out.len();
        assert_eq!(self.counted, self.gone);
    }

    fn text(&mut self, text: &str) {
        for frame in self.frames(Opcode::Text, text.as_bytes(), true, 1) {
            self.send(&frame);
        }
    }

    fn turn(&mut self, act: impl FnOnce(&mut MessageFilter, &mut Turn<'_>)) {
        let Self {
            filter,
            pools,
            now,
            out,
            ..
        } = self;
        let mut turn = Turn {
            pools,
            now: *now,
            other: 0,
            out: &mut |bytes| out.extend_from_slice(bytes),
        };
        act(filter, &mut turn);
        self.settle();
    }

    fn answer(&mut self, (ticket, question): Asked, outcome: ScanOutcome) {
        let answer = question.answered(outcome);
        self.turn(|filter, turn| filter.scanned(ticket, answer, turn));
    }

    fn asked(&mut self) -> Option<Asked> {
        self.filter.wanted_scan()
    }

    /// What a receiver of the output makes of it, with a window of its own.
    fn received(&self) -> Received {
        let side = self.sender.as_ref().map(|(_, side)| *side);
        received(self.direction, side, &self.out)
    }

    fn texts(&self) -> Vec<String> {
        let (messages, _) = self.received();
        messages
            .into_iter()
            .map(|(_, text)| String::from_utf8(text).unwrap())
            .collect()
    }
}

/// A scan that a test answers.
type Asked = (ScanTicket, Question);

/// Messages, and control frames.
type Received = (Vec<(Opcode, Vec<u8>)>, Vec<Vec<u8>>);

/// Messages and control payloads of a stream, by the rules of RFC 6455 and RFC 7692.
fn received(direction: Direction, side: Option<DeflateSide>, stream: &[u8]) -> Received {
    let mut follower = Follower::new(direction, if side.is_some() { 0x40 } else { 0 });
    let mut cutter = Cutter::default();
    let mut state = side.map(|side| Decompress::new_with_window_bits(false, side.window_bits.max(9)));
    let (mut messages, mut controls) = (Vec::new(), Vec::new());
    let (mut first, mut frame, mut payload) = (None::<DataHead>, None::<DataHead>, Vec::new());
    let mut pass = |passed: &[u8]| {
        let mut passed = passed;
        while let Some(piece) = cutter.next(&mut passed) {
            match piece {
                FramePiece::Head { head, .. } => {
                    frame = Some(head);
                    first.get_or_insert(head);
                }
                FramePiece::Payload { raw, at } => {
                    let mut plain = raw.to_vec();
                    if let Some(mask) = frame.unwrap().mask {
                        crate::wire::frame::mask_payload(mask, at, &mut plain);
                    }
                    payload.extend(plain);
                }
                FramePiece::End if frame.unwrap().fin => {
                    let head = first.take().unwrap();
                    let mut plain = std::mem::take(&mut payload);
                    if head.rsv1 {
                        let (state, side) = (state.as_mut().unwrap(), side.unwrap());
                        if !side.takeover {
                            state.reset(false);
                        }
                        plain.extend(TAIL);
                        let mut out = Vec::with_capacity(1 << 22);
                        state
                            .decompress_vec(&plain, &mut out, FlushDecompress::Sync)
                            .unwrap();
                        plain = out;
                    }
                    messages.push((head.opcode, plain));
                }
                FramePiece::End => {}
                FramePiece::Control { raw, .. } => controls.push(raw.to_vec()),
            }
        }
    };
    follower.follow(stream, &mut Blindly, &mut pass).unwrap();
    assert!(
        follower.held().is_empty() && !follower.mid_message(),
        "the stream ends inside a message"
    );
    (messages, controls)
}

fn rules_of_words() -> Vec<RuleSpec> {
    vec![
        rule("watch", Mode::Observe, Action::Drop, "watch"),
        rule("redact", Mode::Enforce, Action::Redact("#".into()), "secret"),
        rule("drop", Mode::Enforce, Action::Drop, "drop"),
        scanning(Action::Drop, "scan"),
    ]
}

/// What the receiver is to see of a message, with what the scanner said.
fn allowed(plain: &[u8], found: bool) -> Option<Vec<u8>> {
    let text = String::from_utf8(plain.to_vec()).unwrap().replace("secret", "#");
    let stopped = text.contains("drop") || (text.contains("scan") && found);
    (!stopped).then(|| text.into_bytes())
}

#[derive(Debug, Clone)]
struct Sent {
    text: bool,
    plain: Vec<u8>,
    compress: bool,
    fragments: usize,
    /// A ping behind so many frames of it.
    ping: Option<usize>,
    found: bool,
}

fn sent() -> impl Strategy<Value = Sent> {
    let word = prop::sample::select(vec![
        "hello ",
        "world ",
        "secret ",
        "drop ",
        "watch ",
        "scan ",
        "é",
        "the same words again ",
        "x",
    ]);
    let plain = (prop::collection::vec(word, 0..6), 1..4_usize)
        .prop_map(|(words, times)| words.concat().repeat(times).into_bytes());
    (
        any::<bool>(),
        plain,
        any::<bool>(),
        1..4_usize,
        prop::option::of(0..3_usize),
        any::<bool>(),
    )
        .prop_map(|(text, plain, compress, fragments, ping, found)| Sent {
            text,
            plain,
            compress,
            fragments,
            ping,
            found,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_receiver_sees_exactly_what_is_allowed(
        to_origin: bool,
        side in prop::option::of((any::<bool>(), 9..=15_u8)),
        messages in prop::collection::vec(sent(), 1..12),
        cuts in prop::collection::vec(1..60_usize, 1..20),
        answers in prop::collection::vec(any::<bool>(), 1..20),
    ) {
        let direction = if to_origin { Direction::ToOrigin } else { Direction::ToClient };
        let side = side.map(|(takeover, window_bits)| DeflateSide { takeover, window_bits });
        let mut line = Line::new(inspection(rules_of_words()), direction, side);
        let (mut stream, mut pings, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (n, message) in (0..).zip(&messages) {
            let opcode = if message.text { Opcode::Text } else { Opcode::Binary };
            let frames = line.frames(opcode, &message.plain, message.compress, message.fragments);
            for (at, frame) in (0..).zip(frames) {
                stream.extend(frame);
                if message.ping == Some(at) {
                    let ping = line.control(Opcode::Ping, format!("{n}").as_bytes());
                    stream.extend_from_slice(&ping);
                    pings.push(ping);
                }
            }
            expected.extend(allowed(&message.plain, message.found).map(|plain| (opcode, plain)));
        }
        // Scans are answered at any later time, in order of being asked since one waits for the other.
        let verdicts: Vec<bool> = messages
            .iter()
            .filter(|m| {
                let text = String::from_utf8(m.plain.clone()).unwrap();
                text.contains("scan") && !text.contains("drop")
            })
            .map(|m| m.found)
            .collect();
        let (mut asked, mut open) = (0, None);
        let mut answer_one = |line: &mut Line, open: &mut Option<Asked>| {
            if open.is_none() {
                *open = line.asked();
            }
            let Some(ticket) = open.take() else { return false };
            let found = verdicts[asked];
            asked += 1;
            line.answer(ticket, if found { ScanOutcome::Found("x".into()) } else { ScanOutcome::Clean });
            true
        };
        let (mut rest, mut cuts, mut answers) = (&stream[..], cuts.iter().cycle(), answers.iter().cycle());
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            line.send(chunk);
            rest = later;
            if *answers.next().unwrap() {
                answer_one(&mut line, &mut open);
            }
        }
        while answer_one(&mut line, &mut open) {}
        prop_assert!(line.filter.closing().is_none());
        let (got, controls) = line.received();
        prop_assert_eq!(got, expected);
        prop_assert_eq!(controls, pings, "each once, in order");
        let untouched = messages.iter().all(|m| allowed(&m.plain, m.found).as_ref() == Some(&m.plain))
            && !messages.iter().any(|m| String::from_utf8_lossy(&m.plain).contains("scan") || m.ping.is_some());
        if untouched {
            prop_assert_eq!(&line.out, &stream, "byte for byte");
        }
        prop_assert_eq!(line.filter.held(), 0);
    }
}

#[test]
fn without_a_rule_that_acts_every_byte_passes_at_once() {
    let mut line = Line::new(
        inspection(vec![rule("watch", Mode::Observe, Action::Drop, "watch")]),
        Direction::ToOrigin,
        Some(DeflateSide::default()),
    );
    let frames = line.frames(Opcode::Text, b"watch this", true, 3);
    for frame in &frames {
        for byte in frame {
            line.send(&[*byte]);
        }
        assert_eq!(line.out, line.sent, "a frame's end is not waited for");
    }
    assert_eq!(
        line.heard.lines(),
        ["inflated 12 10", "judged message pass [\"watch\"]"]
    );
}

#[test]
fn pings_overtake_and_a_close_does_not() {
    let mut line = Line::new(
        inspection(vec![scanning(Action::Drop, "scan")]),
        Direction::ToClient,
        None,
    );
    line.text("scan one");
    line.text("two");
    let (ping, close) = (
        line.control(Opcode::Ping, b"p"),
        line.control(Opcode::Close, &[3, 232]),
    );
    line.send(&ping);
    line.send(&close);
    assert_eq!(line.out, ping);
    assert!(line.filter.is_waiting() && line.filter.at_boundary());
    let asked = line.asked().unwrap();
    assert!(line.asked().is_none());
    line.answer(asked, ScanOutcome::Clean);
    let (messages, controls) = line.received();
    assert_eq!(messages.len(), 2);
    assert_eq!(controls, [ping, close.clone()]);
    assert!(line.out.ends_with(&close));
    assert!(!line.filter.is_waiting());
}

#[test]
fn a_message_that_a_close_interrupts_is_gone() {
    let mut line = Line::new(inspection(rules_of_words()), Direction::ToClient, None);
    let frames = line.frames(Opcode::Text, b"never whole", false, 2);
    line.send(&frames[0]);
    let close = line.control(Opcode::Close, &[]);
    line.send(&close);
    assert_eq!(line.out, close);
    assert_eq!(line.filter.held(), 0);
}

#[test]
fn a_rule_closes_with_its_reason_and_nothing_more_goes_on() {
    let close = rule("close", Mode::Enforce, Action::Close("not here".into()), "bad");
    let mut line = Line::new(
        inspection(vec![close]),
        Direction::ToOrigin,
        Some(DeflateSide::default()),
    );
    line.text("good");
    let before = line.out.len();
    line.text("bad");
    line.text("good");
    assert_eq!(line.out.len(), before);
    let closing = line.filter.closing().unwrap();
    assert_eq!(
        (closing.code, &closing.reason[..], closing.rule.is_some()),
        (1008, "not here", true)
    );
}

#[test]
fn new_rules_hold_from_the_next_message_on() {
    let mut line = Line::new(
        inspection(vec![rule("none", Mode::Observe, Action::Log, "zzz")]),
        Direction::ToOrigin,
        Some(DeflateSide::default()),
    );
    line.text("drop me, some words to refer to");
    line.inspector.replace(Arc::new(inspection(rules_of_words())));
    line.text("drop me, some words to refer to");
    line.text("keep me, some words to refer to");
    line.inspector.replace(Arc::new(Inspection::default()));
    line.text("drop me, some words to refer to");
    assert_eq!(
        line.texts(),
        [
            "drop me, some words to refer to",
            "keep me, some words to refer to",
            "drop me, some words to refer to"
        ]
    );
}

#[test]
fn a_close_does_not_wait_for_the_rest_of_a_frame_that_was_held() {
    for (what, word) in [("a budget", "large "), ("a rule", "close ")] {
        let mut made = inspection(vec![
            rule("drop", Mode::Enforce, Action::Drop, "drop"),
            rule("close", Mode::Enforce, Action::Close("no".into()), "close"),
        ]);
        made.budgets.message = 1000;
        made.budgets.spent = OnFailure::Close;
        let mut line = Line::new(made, Direction::ToOrigin, None);
        let frames = line.frames(Opcode::Text, word.repeat(1000).as_bytes(), false, 1);
        line.send(&frames[0][..4000]);
        assert!(line.filter.closing().is_some() && line.out.is_empty(), "{what}");
        assert!(line.filter.at_boundary(), "{what}");
    }
}

#[test]
fn what_exceeds_a_budget_follows_policy() {
    let with = |spent, message, inflated| Inspection {
        budgets: super::super::Budgets {
            message,
            inflated,
            spent,
            ..super::super::Budgets::default()
        },
        ..inspection(rules_of_words())
    };
    let long = "large ".repeat(1000);
    for side in [
        None,
        Some(DeflateSide::default()),
        Some(DeflateSide {
            takeover: false,
            window_bits: 15,
        }),
    ] {
        let mut open = Line::new(with(OnFailure::Pass, 1000, 1 << 20), Direction::ToOrigin, side);
        open.text(&long);
        open.text("fine");
        open.text("drop");
        assert_eq!(open.texts(), [&long, "fine"], "{side:?}");
        let lines = open.heard.lines();
        let blind: Vec<&String> = lines.iter().filter(|line| line.starts_with("blind")).collect();
        assert_eq!(blind, ["blind message message_budget stopped=false"]);

        let mut closed = Line::new(with(OnFailure::Close, 1000, 1 << 20), Direction::ToOrigin, side);
        closed.text(&long);
        assert!(closed.out.is_empty());
        assert_eq!(closed.filter.closing().unwrap().code, 1009);
    }
    // A bomb: with takeover, nothing that follows can be decoded, so that it passes unseen.
    let bomb = "a".repeat(1 << 20);
    let mut line = Line::new(
        with(OnFailure::Pass, 1000, 10_000),
        Direction::ToOrigin,
        Some(DeflateSide::default()),
    );
    line.text(&bomb);
    line.text("drop");
    assert_eq!(line.texts(), [&bomb, "drop"]);
    assert!(
        line.heard
            .lines()
            .contains(&"blind message inflate_budget stopped=false".to_owned()),
        "{:?}",
        line.heard.lines()
    );
    assert!(line.pools.scratch.capacity() < 100_000);
    assert_eq!(line.filter.window(), 0);
}

#[test]
fn what_is_too_large_to_be_held_can_still_be_refused() {
    let mut large = rule("large", Mode::Enforce, Action::Drop, "x");
    large.what = LooksFor {
        min_size: Some(3000),
        ..LooksFor::default()
    };
    for side in [None, Some(DeflateSide::default())] {
        let mut limited = inspection(vec![large.clone()]);
        limited.budgets.message = 1000;
        let mut line = Line::new(limited, Direction::ToOrigin, side);
        line.text("small");
        line.text(&"mid".repeat(500));
        line.text(&"large".repeat(1000));
        line.text("small, again");
        assert_eq!(
            line.texts(),
            ["small", &"mid".repeat(500), "small, again"],
            "{side:?}"
        );
        assert_eq!(line.filter.held(), 0);
    }
}

#[test]
fn a_direction_of_its_own_streams_what_is_too_large() {
    let mut line = Line::new(
        Inspection {
            budgets: super::super::Budgets {
                message: 2000,
                ..lenient()
            },
            ..inspection(rules_of_words())
        },
        Direction::ToClient,
        Some(DeflateSide::default()),
    );
    line.text("drop what the next ones refer to: some words and some more words");
    let long = "some words and some more words ".repeat(5000);
    line.text(&long);
    line.text("some words and some more words");
    assert_eq!(line.texts(), [&long, "some words and some more words"]);
    assert!(line.filter.held() < 100_000);
}

#[test]
fn what_is_held_too_long_is_let_go() {
    let mut line = Line::new(
        inspection(vec![scanning(Action::Drop, "scan")]),
        Direction::ToClient,
        None,
    );
    line.text("scan");
    line.text("behind");
    assert_eq!(line.filter.deadline(), Some(Duration::from_secs(30)));
    line.now = Duration::from_secs(31);
    line.turn(|filter, turn| filter.expire(turn));
    assert_eq!(line.texts(), ["scan", "behind"]);
    // The answer comes too late for anything.
    let asked = line.asked().unwrap();
    line.answer(asked, ScanOutcome::Found("late".into()));
    assert_eq!(line.texts(), ["scan", "behind"]);

    let frames = line.frames(Opcode::Text, b"slow drop", false, 2);
    line.send(&frames[0]);
    line.now = Duration::from_secs(100);
    line.turn(|filter, turn| filter.expire(turn));
    line.send(&frames[1]);
    assert_eq!(line.texts(), ["scan", "behind", "slow drop"]);
    assert!(
        line.heard
            .lines()
            .contains(&"blind message hold_time stopped=false".to_owned())
    );
}

#[test]
fn a_failed_scan_follows_the_scanners_policy() {
    for (policy, closes) in [(OnFailure::Pass, false), (OnFailure::Close, true)] {
        let inspection = Inspection {
            scanners: vec![Arc::new(Mute(policy))],
            ..inspection(vec![scanning(Action::Drop, "scan")])
        };
        let mut line = Line::new(inspection, Direction::ToClient, None);
        line.text("scan");
        let asked = line.asked().unwrap();
        line.answer(asked, ScanOutcome::Failed("gone".into()));
        assert_eq!(line.filter.closing().is_some(), closes);
        assert_eq!(line.texts().len(), usize::from(!closes));
        assert_eq!(
            line.heard.lines()[..2],
            [
                "scanned mute failed".to_owned(),
                format!("blind message scan_failed stopped={closes}")
            ]
        );
    }
}

#[test]
fn the_failure_of_a_scan_whose_message_was_let_go_is_told_once() {
    let mut line = Line::new(
        inspection(vec![scanning(Action::Drop, "scan")]),
        Direction::ToClient,
        None,
    );
    line.text("scan");
    let asked = line.asked().unwrap();
    line.now = line.filter.deadline().unwrap();
    line.turn(MessageFilter::expire);
    line.answer(asked, ScanOutcome::Failed("late".into()));
    assert_eq!(line.texts(), ["scan"]);
    assert_eq!(
        line.heard.lines(),
        ["blind message hold_time stopped=false", "scanned mute failed"]
    );
}

#[test]
fn the_scanner_that_was_asked_says_what_its_failure_means() {
    let mut line = Line::new(
        inspection(vec![scanning(Action::Drop, "scan")]),
        Direction::ToClient,
        None,
    );
    line.text("scan");
    // Another scanner takes its place while it is asked, and the direction has that one's rules by then.
    line.inspector.replace(Arc::new(Inspection {
        scanners: vec![Arc::new(Mute(OnFailure::Close))],
        ..inspection(vec![scanning(Action::Drop, "scan")])
    }));
    line.text("behind");
    let asked = line.asked().unwrap();
    line.answer(asked, ScanOutcome::Failed("gone".into()));
    assert!(line.filter.closing().is_none());
    assert_eq!(line.texts(), ["scan", "behind"]);
}

#[test]
fn a_watched_scan_delays_nothing() {
    let mut spec = scanning(Action::Drop, "scan");
    spec.mode = Mode::Observe;
    let mut line = Line::new(inspection(vec![spec]), Direction::ToClient, None);
    for _ in 0..SCANS + 1 {
        line.text("scan");
    }
    assert_eq!(line.texts().len(), SCANS + 1);
    let count = |line: &Line, wanted: &str| line.heard.lines().iter().filter(|line| *line == wanted).count();
    assert_eq!(count(&line, "blind message scan_failed stopped=false"), 1);
    assert_eq!(count(&line, "background started"), SCANS);
    assert_eq!(count(&line, "background left_out"), 1);
    let mut all = Vec::new();
    while let Some(asked) = line.asked() {
        all.push(asked);
    }
    assert_eq!(all.len(), SCANS);
    for asked in all {
        line.answer(asked, ScanOutcome::Found("Eicar".into()));
    }
    assert_eq!(count(&line, "background finished"), SCANS);
    assert_eq!(line.heard.lines().len(), 2 + 4 * SCANS);
}

#[test]
fn back_pressure_begins_where_the_budget_ends() {
    let mut limited = inspection(vec![scanning(Action::Drop, "scan")]);
    limited.budgets.connection = 10_000;
    let mut line = Line::new(limited, Direction::ToClient, None);
    line.text("scan");
    assert!(!line.filter.is_full(0));
    assert!(line.filter.is_full(10_000), "the other direction's share counts");
    while !line.filter.is_full(0) {
        line.text("behind it, and behind it");
    }
    assert!(line.filter.held() < 20_000);
    let asked = line.asked().unwrap();
    line.answer(asked, ScanOutcome::Clean);
    assert!(!line.filter.is_full(0));
}

#[test]
fn a_late_start_cannot_read_what_refers_to_before() {
    let mut line = Line::late(
        inspection(rules_of_words()),
        Direction::ToOrigin,
        Some(DeflateSide::default()),
        true,
    );
    line.text("drop");
    assert_eq!(line.texts(), ["drop"]);
    assert_eq!(line.heard.lines(), ["blind message no_context stopped=false"]);
    let side = DeflateSide {
        takeover: false,
        window_bits: 15,
    };
    let mut line = Line::late(
        inspection(rules_of_words()),
        Direction::ToOrigin,
        Some(side),
        true,
    );
    line.text("drop");
    assert!(line.out.is_empty());
}

#[test]
fn text_has_to_be_utf8() {
    for (policy, passed) in [(OnFailure::Pass, true), (OnFailure::Close, false)] {
        let inspection = Inspection {
            invalid_utf8: policy,
            ..inspection(rules_of_words())
        };
        let mut line = Line::new(inspection, Direction::ToClient, None);
        let frames = line.frames(Opcode::Text, b"\xff\xfe", false, 1);
        line.send(&frames[0]);
        assert_eq!(line.out.is_empty(), !passed);
        assert_eq!(
            line.filter.closing().map(|closing| closing.code),
            (!passed).then_some(1007)
        );
        assert_eq!(line.heard.lines(), ["invalid_utf8 to_client"]);
    }
}

#[test]
fn an_idle_lane_keeps_its_window_and_little_else() {
    for (takeover, most) in [(true, 32 * 1024), (false, 0)] {
        let side = DeflateSide {
            takeover,
            window_bits: 15,
        };
        let mut line = Line::new(inspection(rules_of_words()), Direction::ToClient, Some(side));
        for n in 0..2000 {
            line.text(&format!(
                "message {n} secret with words that hardly repeat {}",
                n * 7919
            ));
        }
        assert_eq!(line.filter.held(), 0);
        assert!(line.filter.window() <= most);
    }
    assert!(
        size_of::<MessageFilter>() < 1024,
        "{}",
        size_of::<MessageFilter>()
    );
}

fn recorded(inspection: Inspection) -> Inspection {
    Inspection {
        recording: Some(super::super::Recording::default()),
        ..inspection
    }
}

/// What was stated of messages, as `(number, text, size, is_whole, verdict)` in the order of the numbers.
fn contents(line: &Line) -> Vec<String> {
    let mut lines: Vec<(u64, String)> = line
        .heard
        .lines()
        .iter()
        .filter_map(|line| {
            let (number, rest) = line
                .strip_prefix("content ")?
                .split_once(' ')?
                .1
                .split_once(' ')?;
            Some((number.parse().unwrap(), rest.to_owned()))
        })
        .collect();
    lines.sort();
    lines.into_iter().map(|(_, rest)| rest).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_recording_changes_nothing_and_has_what_the_receiver_reads(
        side in prop::option::of((any::<bool>(), 9..=15_u8)),
        messages in prop::collection::vec(sent(), 1..12),
        cuts in prop::collection::vec(1..60_usize, 1..20),
        with_rules: bool,
        message_budget in prop::sample::select(vec![20_usize, 1 << 20]),
        connection_budget in prop::sample::select(vec![100_usize, 4 << 20]),
    ) {
        let side = side.map(|(takeover, window_bits)| DeflateSide { takeover, window_bits });
        let inspection = || {
            let mut rules = rules_of_words();
            rules.truncate(if with_rules { 3 } else { 0 });
            let mut made = inspection(rules);
            made.budgets.message = message_budget;
            made.budgets.connection = connection_budget;
            made.invalid_utf8 = OnFailure::Close;
            made
        };
        let mut lines = [inspection(), recorded(inspection())].map(|it| Line::new(it, Direction::ToOrigin, side));
        for message in &messages {
            for line in &mut lines {
                // Half a character too: without a rule nobody minds.
                let cut = usize::from(!with_rules && message.plain.ends_with("é".as_bytes()));
                let plain = &message.plain[..message.plain.len() - cut];
                let frames = line.frames(Opcode::Text, plain, message.compress, message.fragments).concat();
                let mut rest = &frames[..];
                for cut in cuts.iter().cycle() {
                    if rest.is_empty() { break }
                    let (chunk, later) = rest.split_at(rest.len().min(*cut));
                    line.send(chunk);
                    rest = later;
                }
            }
        }
        let [bare, taped] = lines;
        prop_assert_eq!(&bare.out, &taped.out, "byte for byte");
        prop_assert_eq!(bare.filter.closing(), taped.filter.closing());
        let others = |line: &Line| -> Vec<String> {
            let lines = line.heard.lines();
            lines.into_iter().filter(|line| !line.starts_with("content") && !line.starts_with("inflated")).collect()
        };
        prop_assert_eq!(others(&bare), others(&taped));
        prop_assert_eq!(contents(&bare).len(), 0);
        let contents = contents(&taped);
        prop_assert_eq!(contents.len(), messages.len());
        if message_budget > 1000 && connection_budget > 1000 {
            let (got, _) = taped.received();
            let mut got = got.into_iter();
            for said in contents {
                if said.ends_with("drop") {
                    prop_assert!(said.starts_with("\"\" "), "{}", said);
                } else {
                    let text = got.next().unwrap().1;
                    let wanted = format!("{:?} {} true ", String::from_utf8_lossy(&text), text.len());
                    prop_assert!(said.starts_with(&wanted), "{} is not {}", said, wanted);
                }
            }
            prop_assert!(got.next().is_none());
        }
    }
}

#[test]
fn what_a_rule_does_is_recorded_and_what_cannot_be_read_is_told_by_its_size() {
    let mut line = Line::new(recorded(inspection(rules_of_words())), Direction::ToOrigin, None);
    line.text("a secret");
    line.text("drop it");
    line.text("watch it");
    assert_eq!(
        contents(&line),
        [
            "\"a #\" 3 true change",
            "\"\" 7 false drop",
            "\"watch it\" 8 true -"
        ]
    );

    // Begun in the middle of a conversation, of which the window is missing.
    let late = Line::late(
        recorded(inspection(Vec::new())),
        Direction::ToClient,
        Some(DeflateSide::default()),
        true,
    );
    let mut late = late;
    late.text("hello");
    let plain = late.frames(Opcode::Text, b"plain", false, 1).concat();
    late.send(&plain);
    let told = contents(&late);
    assert!(
        told[0].starts_with("\"\" ") && told[0].ends_with(" false -"),
        "{told:?}"
    );
    assert_eq!(told[1], "\"plain\" 5 true -");
    assert!(
        late.heard.lines().iter().all(|line| line.starts_with("content")),
        "nobody looks"
    );
}

#[test]
fn a_recording_begins_and_ends_under_an_open_websocket_and_leaves_other_hosts_alone() {
    let mut line = Line::new(inspection(rules_of_words()), Direction::ToOrigin, None);
    line.text("before");
    line.inspector
        .replace(Arc::new(recorded(inspection(rules_of_words()))));
    line.text("during");
    let list = crate::decide::List::parse(
        "l",
        "elsewhere.example",
        crate::decide::hosts::Format::Domains,
        true,
    );
    let mut other = inspection(rules_of_words());
    other.recording = Some(super::super::Recording {
        scope: super::super::HostScope {
            hosts: vec![Arc::new(list.unwrap())],
            ..super::super::HostScope::default()
        },
        ..super::super::Recording::default()
    });
    line.inspector.replace(Arc::new(other));
    line.text("other hosts alone");
    line.inspector.replace(Arc::new(inspection(rules_of_words())));
    line.text("after");
    assert_eq!(contents(&line), ["\"during\" 6 true -"]);
}

#[test]
fn copies_under_way_stay_within_their_room() {
    for side in [
        None,
        Some(DeflateSide::default()),
        Some(DeflateSide {
            takeover: false,
            window_bits: 15,
        }),
    ] {
        let mut made = recorded(inspection(Vec::new()));
        let room = Arc::new(super::super::Room::new(100));
        made.recording = Some(super::super::Recording {
            room: room.clone(),
            ..super::super::Recording::default()
        });
        let mut line = Line::new(made, Direction::ToOrigin, side);
        let frames = line.frames(Opcode::Text, &[b'x'; 90], false, 2);
        line.send(&frames[0]);
        assert_eq!(room.taken(), 45);
        line.send(&frames[1]);
        assert_eq!(room.taken(), 0);
        line.text(&"long ".repeat(100));
        line.text("short");
        let contents = contents(&line);
        assert_eq!(contents.len(), 3);
        assert!(
            contents[1].starts_with("\"\" ") && contents[1].contains(" false "),
            "{contents:?}"
        );
        assert_eq!(contents[2], "\"short\" 5 true -", "{side:?}");
        assert_eq!(line.texts()[1], "long ".repeat(100));
        assert_eq!(room.taken(), 0);
    }
}

#[test]
fn what_waits_counts_as_what_it_takes_in_the_room_of_all() {
    let mut line = Line::new(
        inspection(vec![scanning(Action::Drop, "x")]),
        Direction::ToOrigin,
        None,
    );
    let room = Arc::clone(line.inspector.kept());
    for _ in 0..100 {
        line.text("x");
    }
    // Of a message of one byte that is mostly what is known of it.
    assert!(
        room.taken() > 100 * size_of::<queue::QueuedMessage>(),
        "{}",
        room.taken()
    );
    assert_eq!(room.taken(), room.taken_by(Buffered::Messages));
    assert!(!line.filter.is_full(0));
    // Where all have no more room, nothing is taken in behind what waits.
    room.limit_to(room.taken());
    assert!(line.filter.is_full(0));
    drop(line);
    assert_eq!(room.taken(), 0);
}

#[test]
fn a_message_that_cannot_wait_follows_policy() {
    for (spent, passes) in [(OnFailure::Pass, true), (OnFailure::Close, false)] {
        let mut made = inspection(vec![scanning(Action::Drop, "scan")]);
        made.budgets.spent = spent;
        made.budgets.process = 100;
        let mut line = Line::new(made, Direction::ToOrigin, None);
        line.text("this should be scanned");
        assert_eq!(line.out == line.sent, passes);
        assert_eq!(
            line.filter.closing().map(|close| close.code),
            (!passes).then_some(1009)
        );
        assert_eq!(line.inspector.kept().taken(), 0);
    }
}
