use super::head::{Context, HeadStop};
use super::*;
use proptest::prelude::*;
use proptest::sample::Index;
use std::io::Cursor;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::OpCode;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Frame(Opcode, u64),
    Message(u64),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Discarded(u64),
}

#[derive(Debug, Default)]
struct Seen(Vec<Event>);

impl See for Seen {
    fn frame(&mut self, opcode: Opcode, payload: u64) {
        self.0.push(Event::Frame(opcode, payload));
    }
    fn message(&mut self, size: u64) {
        self.0.push(Event::Message(size));
    }
    fn ping(&mut self, payload: &[u8]) {
        self.0.push(Event::Ping(payload.to_vec()));
    }
    fn pong(&mut self, payload: &[u8]) {
        self.0.push(Event::Pong(payload.to_vec()));
    }
    fn close(&mut self, said: Option<(u16, &str)>) {
        self.0
            .push(Event::Close(said.map(|(code, reason)| (code, reason.to_owned()))));
    }
    fn discarded(&mut self, bytes: u64) {
        // In how many calls it comes depends on the chunks.
        if let Some(Event::Discarded(sum)) = self.0.last_mut() {
            *sum += bytes;
        } else {
            self.0.push(Event::Discarded(bytes));
        }
    }
}

/// What came of feeding some chunks.
#[derive(Debug)]
struct Run {
    passed: Vec<u8>,
    events: Vec<Event>,
    end: Result<(), Violation>,
    follower: Follower,
}

fn run<'a>(mut follower: Follower, chunks: impl IntoIterator<Item = &'a [u8]>) -> Run {
    let (mut seen, mut passed, mut end) = (Seen::default(), Vec::new(), Ok(()));
    for chunk in chunks {
        end = follower.follow(chunk, &mut seen, &mut |bytes| {
            assert!(!bytes.is_empty(), "an empty pass");
            passed.extend_from_slice(bytes);
        });
        if end.is_err() {
            break;
        }
    }
    Run {
        passed,
        events: seen.0,
        end,
        follower,
    }
}

/// A frame to send; its bytes are made by tungstenite.
#[derive(Debug, Clone)]
struct Sent {
    opcode: Opcode,
    fin: bool,
    rsv: u8,
    payload: Vec<u8>,
    mask: [u8; 4],
}

impl Sent {
    fn new(opcode: Opcode, fin: bool, payload: &[u8]) -> Self {
        Self {
            opcode,
            fin,
            rsv: 0,
            payload: payload.to_vec(),
            mask: [0x37, 0xFA, 0x21, 0x3D],
        }
    }

    fn bytes(&self, direction: Direction) -> Vec<u8> {
        let masked = direction == Direction::ToOrigin;
        let header = FrameHeader {
            is_final: self.fin,
            rsv1: self.rsv & 0x40 != 0,
            rsv2: self.rsv & 0x20 != 0,
            rsv3: self.rsv & 0x10 != 0,
            opcode: OpCode::from(number(self.opcode)),
            mask: masked.then_some(self.mask),
        };
        let mut bytes = Vec::new();
        header.format(self.payload.len() as u64, &mut bytes).unwrap();
        let key = if masked { self.mask } else { [0; 4] };
        bytes.extend(self.payload.iter().enumerate().map(|(i, b)| b ^ key[i % 4]));
        bytes
    }
}

fn number(opcode: Opcode) -> u8 {
    [0x0, 0x1, 0x2, 0x8, 0x9, 0xA][opcode.index()]
}

/// What a follower must say about whole frames up to a Close, worked out from the frames and not from their bytes.
fn expected(frames: &[Sent]) -> Vec<Event> {
    let (mut events, mut size) = (Vec::new(), 0);
    for frame in frames {
        let len = frame.payload.len() as u64;
        events.push(Event::Frame(frame.opcode, len));
        match frame.opcode {
            Opcode::Ping => events.push(Event::Ping(frame.payload.clone())),
            Opcode::Pong => events.push(Event::Pong(frame.payload.clone())),
            Opcode::Close => events.push(Event::Close(frame.payload.split_first_chunk().map(
                |(code, reason)| {
                    (
                        u16::from_be_bytes(*code),
                        String::from_utf8(reason.to_vec()).unwrap(),
                    )
                },
            ))),
            _ => {
                size += len;
                if frame.fin {
                    events.push(Event::Message(std::mem::take(&mut size)));
                }
            }
        }
    }
    events
}

/// What must have passed, and the two states, when `n` bytes of these frames have come.
fn progress(frames: &[Sent], direction: Direction, n: usize) -> (usize, bool, bool) {
    let (mut start, mut fragmented) = (0, false);
    for frame in frames {
        let size = frame.bytes(direction).len();
        let header = size - frame.payload.len();
        let end = start + size;
        if n < end {
            let inside = !frame.opcode.is_control() && n >= start + header;
            let passed = if inside { n } else { start };
            return (passed, !inside, fragmented || inside);
        }
        if !frame.opcode.is_control() {
            fragmented = !frame.fin;
        }
        start = end;
    }
    (start, true, fragmented)
}

/// One of each: every length form, fragments with control frames between them, empty frames, a Close.
fn script() -> Vec<Sent> {
    vec![
        Sent::new(Opcode::Text, true, b"Hello"),
        Sent::new(Opcode::Binary, true, b""),
        Sent::new(Opcode::Text, false, b"Hel"),
        Sent::new(Opcode::Ping, true, b"are you there"),
        Sent::new(Opcode::Continuation, false, b""),
        Sent::new(Opcode::Pong, true, b""),
        Sent::new(Opcode::Continuation, true, &[b'l'; 130]),
        Sent::new(Opcode::Binary, true, &[7; 125]),
        Sent::new(Opcode::Ping, true, &[9; 125]),
        Sent::new(Opcode::Close, true, b"\x03\xe8bye \xc3\xa9"),
    ]
}

fn joined(frames: &[Sent], direction: Direction) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.bytes(direction)).collect()
}

#[test]
fn a_whole_chunk_passes_in_one_call() {
    for direction in Direction::ALL {
        let bytes = joined(&script(), direction);
        let mut calls = 0;
        Follower::new(direction, 0)
            .follow(&bytes, &mut Seen::default(), &mut |passed| {
                calls += 1;
                assert_eq!(passed, bytes);
            })
            .unwrap();
        assert_eq!(calls, 1);
    }
}

#[test]
fn every_prefix_passes_what_it_may_and_the_rest_completes_it() {
    for direction in Direction::ALL {
        let frames = script();
        let bytes = joined(&frames, direction);
        for n in 0..=bytes.len() {
            let head = run(Follower::new(direction, 0), [&bytes[..n]]);
            let (passed, at_boundary, mid_message) = progress(&frames, direction, n);
            assert_eq!(head.end, Ok(()), "{n}");
            assert_eq!(head.passed, bytes[..passed], "{n}");
            assert_eq!(head.follower.at_boundary(), at_boundary, "{n}");
            assert_eq!(head.follower.mid_message(), mid_message, "{n}");
            assert_eq!(head.follower.close_seen(), n == bytes.len(), "{n}");
            let tail = run(head.follower, [&bytes[n..]]);
            assert_eq!([head.passed, tail.passed].concat(), bytes, "{n}");
            assert_eq!([head.events, tail.events].concat(), expected(&frames), "{n}");
        }
    }
}

#[test]
fn byte_by_byte_is_the_same_as_at_once() {
    for direction in Direction::ALL {
        let bytes = joined(&script(), direction);
        let one = run(Follower::new(direction, 0), bytes.chunks(1));
        assert_eq!(one.passed, bytes);
        assert_eq!(one.events, expected(&script()));
    }
}

#[test]
fn every_mutation_gets_one_verdict_in_any_chunks() {
    for direction in Direction::ALL {
        let bytes = joined(&script(), direction);
        for at in 0..bytes.len() {
            for flip in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF] {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                let whole = run(Follower::new(direction, 0), [&bytes[..]]);
                let single = run(Follower::new(direction, 0), bytes.chunks(1));
                assert_eq!(whole.end, single.end, "{at} {flip:#x}");
                assert_eq!(whole.passed, single.passed, "{at} {flip:#x}");
                assert_eq!(whole.events, single.events, "{at} {flip:#x}");
                assert!(bytes.starts_with(&whole.passed), "{at} {flip:#x}");
            }
        }
    }
}

#[test]
fn every_violation_is_named() {
    use Direction::{ToClient, ToOrigin};
    use Violation::*;
    const DEFLATE: u8 = 0x40;
    let cases: &[(Violation, Direction, u8, &[u8])] = &[
        (ReservedOpcode, ToClient, 0, &[0x83, 0]),
        (ReservedOpcode, ToClient, 0, &[0x87]),
        (ReservedOpcode, ToClient, 0, &[0x8B]),
        (ReservedOpcode, ToClient, 0, &[0x8F]),
        (ReservedBit, ToClient, 0, &[0xC1]),
        (ReservedBit, ToClient, 0, &[0xA1]),
        (ReservedBit, ToClient, 0, &[0x91]),
        (ReservedBit, ToClient, DEFLATE, &[0xA1]),
        (ReservedBit, ToClient, DEFLATE, &[0xD1]),
        (ReservedBit, ToClient, DEFLATE, &[0xC9, 0]),
        (ReservedBit, ToClient, DEFLATE, &[0x41, 0, 0xC0]),
        (FragmentedControl, ToClient, 0, &[0x08]),
        (FragmentedControl, ToClient, 0, &[0x09]),
        (FragmentedControl, ToClient, 0, &[0x0A]),
        (OversizedControl, ToClient, 0, &[0x89, 126]),
        (OversizedControl, ToClient, 0, &[0x88, 127]),
        (Unmasked, ToOrigin, 0, &[0x81, 0x05]),
        (Masked, ToClient, 0, &[0x81, 0x85]),
        (NonMinimalLength, ToClient, 0, &[0x82, 126, 0, 125]),
        (
            NonMinimalLength,
            ToClient,
            0,
            &[0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF],
        ),
        (NonMinimalLength, ToOrigin, 0, &[0x82, 0xFE, 0, 0]),
        (
            LengthOverflow,
            ToClient,
            0,
            &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
        ),
        (StrayContinuation, ToClient, 0, &[0x80]),
        (StrayContinuation, ToClient, 0, &[0x81, 0, 0x00]),
        (InterruptedMessage, ToClient, 0, &[0x01, 0, 0x81]),
        (BadCloseCode, ToClient, 0, &[0x88, 1, 3]),
        (BadCloseCode, ToClient, 0, &[0x88, 2, 0x03, 0xED]),
        (
            BadCloseCode,
            ToOrigin,
            0,
            &[0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xEE ^ 2],
        ),
        (BadCloseReason, ToClient, 0, &[0x88, 3, 0x03, 0xE8, 0xC3]),
        (
            BadCloseReason,
            ToOrigin,
            0,
            &[0x88, 0x83, 1, 2, 3, 4, 0x03 ^ 1, 0xE8 ^ 2, 0xFF ^ 3],
        ),
    ];
    for violation in Violation::ALL {
        assert!(cases.iter().any(|case| case.0 == violation), "{violation:?}");
    }
    for (violation, direction, allowed_rsv, bytes) in cases {
        let mut broken = run(Follower::new(*direction, *allowed_rsv), [*bytes]);
        assert_eq!(broken.end, Err(*violation), "{bytes:x?}");
        assert!(broken.passed.len() < bytes.len(), "{bytes:x?}");
        assert!(broken.follower.at_boundary(), "{bytes:x?}");
        let again = broken
            .follower
            .follow(&[0x8A, 0], &mut Seen::default(), &mut |_| panic!("passed"));
        assert_eq!(again, Err(*violation), "it stays broken");
    }
}

#[test]
fn rsv_bits_stand_where_the_extensions_allow_them() {
    let ok = |allowed_rsv, bytes: &[u8]| run(Follower::new(Direction::ToClient, allowed_rsv), [bytes]).end;
    // permessage-deflate: first frames of data messages, also while a Ping comes between.
    assert_eq!(
        ok(0x40, &[0x41, 0, 0x89, 0, 0x80, 0, 0xC2, 0, 0x81, 0, 0x88, 0]),
        Ok(())
    );
    // Unknown extensions: anywhere.
    assert_eq!(ok(0x70, &[0x71, 0, 0xF9, 0, 0xF0, 0, 0xF8, 0]), Ok(()));
    assert_eq!(ok(0x20, &[0x21, 0, 0xA9, 0, 0xA0, 0]), Ok(()));
    assert_eq!(ok(0x20, &[0xC1, 0]), Err(Violation::ReservedBit));
}

#[test]
fn what_follows_a_close_is_discarded_in_any_chunks() {
    let close = [0x88, 2, 0x03, 0xE8];
    for after in [
        &[0x89, 1, b'x', 0x88, 0, 0x8A, 0, 0x82, 0][..],
        &[0x81, 4, b'l', b'a', b't', b'e'],
        // None of these may be sent at all.
        &[0x83, 0],
        &[0x81, 0x80],
        &[0xFF; 300],
    ] {
        let bytes = [&close[..], after].concat();
        for size in 1..=bytes.len() {
            let run = run(Follower::new(Direction::ToClient, 0), bytes.chunks(size));
            assert_eq!(run.end, Ok(()), "{after:x?} in {size}");
            assert_eq!(run.passed, close, "{after:x?} in {size}");
            assert_eq!(
                run.events,
                [
                    Event::Frame(Opcode::Close, 2),
                    Event::Close(Some((1000, String::new()))),
                    Event::Discarded(after.len() as u64)
                ],
                "{after:x?} in {size}"
            );
            assert!(run.follower.held().is_empty() && run.follower.close_seen());
        }
    }
}

#[test]
fn the_longest_lengths_pass() {
    let mut follower = Follower::new(Direction::ToOrigin, 0);
    let header = [
        0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4,
    ];
    let mut passed = 0;
    for chunk in [&header[..9], &header[9..], &[0; 1000]] {
        follower
            .follow(chunk, &mut Seen::default(), &mut |bytes| passed += bytes.len())
            .unwrap();
    }
    assert_eq!(passed, 1014);
    assert!(!follower.at_boundary());
}

#[test]
fn close_codes_of_the_registry() {
    let sendable: Vec<u16> = (0..=u16::MAX)
        .filter(|code| close_code_may_be_sent(*code))
        .collect();
    let listed: Vec<u16> = [1000, 1001, 1002, 1003]
        .into_iter()
        .chain(1007..=1014)
        .chain(3000..=4999)
        .collect();
    assert_eq!(sendable, listed);
}

#[test]
fn a_close_of_our_own_is_followed_back() {
    for direction in Direction::ALL {
        let (long, wide) = ("x".repeat(124), "\u{e9}".repeat(100));
        for (reason, cut) in [
            ("", 0),
            ("going away", 10),
            (&long[1..], 123),
            (&long, 123),
            (&wide, 122),
        ] {
            let frame = close_frame(direction, 1001, reason, [1, 2, 3, 4]);
            let payload = [&[0x03, 0xE9], &reason.as_bytes()[..cut]].concat();
            let sent = Sent {
                mask: [1, 2, 3, 4],
                ..Sent::new(Opcode::Close, true, &payload)
            };
            assert_eq!(frame, sent.bytes(direction), "{reason}");
            let run = run(Follower::new(direction, 0), [&frame[..]]);
            assert_eq!((run.end, run.passed), (Ok(()), frame));
            assert_eq!(
                run.events.last(),
                Some(&Event::Close(Some((1001, reason[..cut].to_owned()))))
            );
        }
    }
}

fn payload(max: usize) -> impl Strategy<Value = Vec<u8>> {
    // Sizes around where the length changes its form are as likely as all others together. The long ones are
    // of one byte value, since random ones take most of the test's time.
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..=max.min(300)),
        prop::sample::select(vec![0, 1, 124, 125, 126, 127, 65_535, 65_536])
            .prop_map(move |size| vec![0xA5; size.min(max)]),
    ]
}

fn control() -> impl Strategy<Value = Sent> {
    (any::<bool>(), payload(125), any::<[u8; 4]>()).prop_map(|(ping, payload, mask)| Sent {
        mask,
        ..Sent::new(if ping { Opcode::Ping } else { Opcode::Pong }, true, &payload)
    })
}

/// A data message in 1-4 frames, with control frames before each.
fn message() -> impl Strategy<Value = Vec<Sent>> {
    let fragment = (
        prop::collection::vec(control(), 0..3),
        payload(70_000),
        any::<[u8; 4]>(),
    );
    (
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec(fragment, 1..=4),
    )
        .prop_map(|(text, deflated, fragments)| {
            let last = fragments.len() - 1;
            let mut frames = Vec::new();
            for (i, (controls, payload, mask)) in fragments.into_iter().enumerate() {
                frames.extend(controls);
                let opcode = match (i, text) {
                    (0, true) => Opcode::Text,
                    (0, false) => Opcode::Binary,
                    _ => Opcode::Continuation,
                };
                frames.push(Sent {
                    rsv: if i == 0 && deflated { 0x40 } else { 0 },
                    mask,
                    ..Sent::new(opcode, i == last, &payload)
                });
            }
            frames
        })
}

fn stream() -> impl Strategy<Value = Vec<Sent>> {
    (
        prop::collection::vec(message(), 0..4),
        prop::option::of((1000u16..1004, "[a-z\u{e9}]{0,40}")),
    )
        .prop_map(|(messages, close)| {
            let mut frames = messages.concat();
            if let Some((code, reason)) = close {
                let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
                frames.push(Sent::new(Opcode::Close, true, &payload));
            }
            frames
        })
}

fn direction() -> impl Strategy<Value = Direction> {
    prop::sample::select(Direction::ALL.to_vec())
}

/// Cuts anywhere, and more often near the start of a frame, where the hard cases are.
fn cut<'a>(bytes: &'a [u8], cuts: &[(Index, Index, usize)], starts: &[usize]) -> Vec<&'a [u8]> {
    let mut places = vec![0, bytes.len()];
    for (anywhere, start, after) in cuts {
        places.push(anywhere.index(bytes.len() + 1));
        places.push((starts[start.index(starts.len())] + after).min(bytes.len()));
    }
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn cuts() -> impl Strategy<Value = Vec<(Index, Index, usize)>> {
    prop::collection::vec((any::<Index>(), any::<Index>(), 0usize..16), 0..12)
}

fn starts(frames: &[Sent], direction: Direction) -> Vec<usize> {
    let mut at = 0;
    let mut starts = vec![0];
    for frame in frames {
        at += frame.bytes(direction).len();
        starts.push(at);
    }
    starts
}

/// A frame that breaks RFC 6455 wherever it stands, as its bytes.
fn breach(direction: Direction, kind: usize, fragmented: bool) -> (Violation, Vec<u8>) {
    let (mask, key): (u8, &[u8]) = match direction {
        Direction::ToOrigin => (0x80, &[0; 4]),
        Direction::ToClient => (0, &[]),
    };
    let data = if fragmented { 0x80 } else { 0x82 };
    let (violation, head, payload): (_, Vec<u8>, &[u8]) = match kind {
        0 => (Violation::ReservedOpcode, vec![0x8B, mask], b""),
        1 => (Violation::ReservedBit, vec![0x90 | data, mask], b""),
        2 => (Violation::FragmentedControl, vec![0x09, mask], b""),
        3 => (
            Violation::OversizedControl,
            vec![0x89, mask | 126, 0, 126],
            &[0; 126],
        ),
        4 => (Violation::NonMinimalLength, vec![data, mask | 126, 0, 1], b"x"),
        5 => (
            Violation::LengthOverflow,
            vec![data, mask | 127, 0xFF, 0, 0, 0, 0, 0, 0, 0],
            b"x",
        ),
        6 => (Violation::BadCloseCode, vec![0x88, mask | 2], &[0x03, 0xEE]),
        7 => (
            Violation::BadCloseReason,
            vec![0x88, mask | 3],
            &[0x03, 0xE8, 0xFF],
        ),
        8 if fragmented => (Violation::InterruptedMessage, vec![0x81, mask], b""),
        8 => (Violation::StrayContinuation, vec![0x80, mask], b""),
        _ if mask == 0 => (Violation::Masked, vec![data, 0x80, 0, 0, 0, 0], b""),
        _ => {
            return (Violation::Unmasked, vec![data, 0]);
        }
    };
    (violation, [&head, key, payload].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_in_any_chunks(frames in stream(), direction in direction(), cuts in cuts()) {
        let bytes = joined(&frames, direction);
        let chunks = cut(&bytes, &cuts, &starts(&frames, direction));
        let run = run(Follower::new(direction, 0x40), chunks);
        prop_assert_eq!(run.end, Ok(()));
        prop_assert_eq!(run.passed, bytes);
        prop_assert_eq!(run.events, expected(&frames));
        prop_assert!(run.follower.at_boundary());
        prop_assert!(!run.follower.mid_message());
    }

    #[test]
    fn passed_and_held_make_up_the_input(
        frames in stream(), direction in direction(), cuts in cuts(), end in any::<Index>(), near in any::<Index>(),
        after in 0usize..16, close in any::<bool>(),
    ) {
        let bytes = joined(&frames, direction);
        let starts = starts(&frames, direction);
        let end = if close {
            (starts[near.index(starts.len())] + after).min(bytes.len())
        } else {
            end.index(bytes.len() + 1)
        };
        let cuts = cut(&bytes[..end], &cuts, &starts);
        let run = run(Follower::new(direction, 0x40), cuts);
        let (passed, at_boundary, mid_message) = progress(&frames, direction, end);
        prop_assert_eq!(&run.passed[..], &bytes[..passed]);
        prop_assert_eq!([&run.passed, run.follower.held()].concat(), &bytes[..end]);
        prop_assert_eq!(run.follower.at_boundary(), at_boundary);
        prop_assert_eq!(run.follower.mid_message(), mid_message);
    }

    /// Whatever follows a Close, well formed or not, and however it is cut: nothing of it passes, is seen or breaks
    /// anything.
    #[test]
    fn a_close_is_the_last_that_passes(
        frames in stream(), direction in direction(), cuts in cuts(), inside in any::<bool>(),
        after in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            stream().prop_map(|frames| joined(&frames, Direction::ToClient)),
            stream().prop_map(|frames| joined(&frames, Direction::ToOrigin)),
        ],
    ) {
        let mut frames = frames;
        frames.retain(|frame| frame.opcode != Opcode::Close);
        if inside {
            frames.push(Sent::new(Opcode::Binary, false, b"a message that never ends"));
        }
        frames.push(Sent::new(Opcode::Close, true, &1000_u16.to_be_bytes()));
        let good = joined(&frames, direction);
        let bytes = [&good[..], &after].concat();
        let chunks = cut(&bytes, &cuts, &starts(&frames, direction));
        let run = run(Follower::new(direction, 0x40), chunks);
        prop_assert_eq!(run.end, Ok(()));
        prop_assert_eq!(run.passed, good);
        let mut events = expected(&frames);
        if !after.is_empty() {
            events.push(Event::Discarded(after.len() as u64));
        }
        prop_assert_eq!(run.events, events);
        prop_assert!(run.follower.close_seen() && run.follower.at_boundary());
        prop_assert!(run.follower.held().is_empty());
    }

    #[test]
    fn nothing_of_a_violation_passes_and_all_before_it_does(
        frames in prop::collection::vec(message(), 1..4), direction in direction(), cuts in cuts(),
        place in any::<Index>(), kind in 0usize..10, after in payload(300),
    ) {
        let frames = frames.concat();
        let (before, _) = frames.split_at(place.index(frames.len() + 1));
        let fragmented = before.iter().rfind(|f| !f.opcode.is_control()).is_some_and(|f| !f.fin);
        let good = joined(before, direction);
        let (violation, bad) = breach(direction, kind, fragmented);
        let bytes = [&good, &bad, &after].map(|part| &part[..]).concat();
        let chunks = cut(&bytes, &cuts, &starts(before, direction));
        let run = run(Follower::new(direction, 0x40), chunks);
        prop_assert_eq!(run.end, Err(violation));
        prop_assert_eq!(run.passed, good);
        prop_assert_eq!(run.events, expected(before));
        prop_assert!(run.follower.at_boundary());
    }

    /// Where tungstenite sees a header, this parser sees the same one or a named violation, and where it
    /// wants more bytes, this parser does too.
    #[test]
    fn headers_are_those_of_tungstenite(
        first in any::<u8>(), second in any::<u8>(), rest in prop::collection::vec(any::<u8>(), 0..14),
        small in any::<bool>(), fragmented in any::<bool>(),
    ) {
        let mut bytes = vec![first, second];
        bytes.extend(rest);
        if small {
            // A random 64-bit length is nearly always huge: let some be just above and below 65536.
            for byte in bytes.iter_mut().skip(2).take(5) {
                *byte = 0;
            }
        }
        let direction = if second & 0x80 == 0 { Direction::ToClient } else { Direction::ToOrigin };
        let context = Context { direction, allowed_rsv: 0x70, fragmented };
        let theirs = FrameHeader::parse(&mut Cursor::new(&bytes));
        match (context.head(&bytes), theirs) {
            (Ok(ours), Ok(Some((theirs, payload)))) => {
                prop_assert_eq!(number(ours.opcode), u8::from(theirs.opcode));
                prop_assert_eq!(ours.fin, theirs.is_final);
                prop_assert_eq!(ours.payload, payload);
                prop_assert_eq!(ours.size, theirs.len(payload));
            }
            (Err(HeadStop::Need(need)), Ok(None)) => prop_assert!(need > bytes.len()),
            (Err(HeadStop::Bad(Violation::ReservedOpcode)), Err(_) | Ok(None)) => {
                prop_assert!(matches!(first & 0x0F, 3..=7 | 11..))
            }
            // Stricter than tungstenite, each for what it says.
            (Err(HeadStop::Bad(violation)), _) => {
 let so = match violation {
                Violation::FragmentedControl => first & 0x88 == 0x08,
                Violation::OversizedControl => first & 0x08 != 0 && second & 0x7F > 125,
                Violation::NonMinimalLength => second & 0x7F > 125,
                Violation::LengthOverflow => second & 0x7F == 127 && bytes[2] & 0x80 != 0,
                Violation::StrayContinuation => !fragmented && first & 0x0F == 0,
                Violation::InterruptedMessage => fragmented && matches!(first & 0x0F, 1 | 2),
                _ => false,
            };
 prop_assert!(so, "{:?}", violation);
 }
            (ours, theirs) => prop_assert!(false, "{ours:?} {theirs:?}"),
        }
    }
}
