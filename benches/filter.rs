//! One direction of an inspected WebSocket, without sockets and TLS, and what to feed it with.
#![allow(dead_code, reason = "each benchmark uses a part")]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use wsbump::inspect::filter::{FilterRoute, MessageFilter, Pools, Turn};
use wsbump::inspect::rules::Rules;
use wsbump::inspect::{
    About, Action, Background, Blind, Inspection, Inspector, Judgement, LooksFor, Mode, Onlookers, Recorded,
    RecordedContent, RuleSpec, ScanOutcome, SessionFacts, Where, Witness,
};
use wsbump::wire::deflate::{Deflate, DeflateSide};
use wsbump::wire::frame::{DataHead, Direction, Opcode, write_frame};
use wsbump::wire::names::{Authority, Host};

/// Hears nothing: none of the rules matches.
struct Deaf;

impl Witness for Deaf {
    fn judged(&self, _: &SessionFacts, _: &About, _: &Judgement) {}
    fn blind(&self, _: &SessionFacts, _: &About, _: Blind, _: bool) {}
    fn invalid_utf8(&self, _: &SessionFacts, _: Direction) {}
    fn reframed(&self, _: Direction, _: u64, _: u64) {}
    fn inflated(&self, _: u64, _: u64) {}
    fn scanned(&self, _: &str, _: &ScanOutcome, _: Duration) {}
    fn background(&self, _: Background) {}
    fn content(&self, _: &Arc<SessionFacts>, _: Onlookers, _: &RecordedContent<'_>) {}
}

fn rule(name: &str, mode: Mode, what: LooksFor) -> RuleSpec {
    RuleSpec {
        name: name.into(),
        mode,
        action: Action::Drop,
        place: Where::default(),
        what,
        decode: None,
    }
}

/// One rule that asks for nothing but the size.
pub(super) fn counting() -> Vec<RuleSpec> {
    let what = LooksFor {
        min_size: Some(32 << 20),
        ..LooksFor::default()
    };
    vec![rule("large", Mode::Observe, what)]
}

/// 1,000 keywords and 100 regular expressions that no English text has.
pub(super) fn searching(mode: Mode) -> Vec<RuleSpec> {
    let word = |n: usize| {
        const SYLLABLES: [&str; 10] = [
            "qua", "zor", "vex", "lum", "kra", "nox", "mip", "weq", "hyl", "jat",
        ];
        let syllable = |n: usize| SYLLABLES.get(n % 10).copied().unwrap_or_default();
        format!("x{}{}{}", syllable(n), syllable(n / 10), syllable(n / 100))
    };
    let words = LooksFor {
        keywords: (0..1000).map(word).collect(),
        ignore_case: true,
        ..LooksFor::default()
    };
    let expressions = LooksFor {
        regex: (0..100)
            .map(|n| match n % 3 {
                0 => format!(r"(?i)\b{}[- ]project[- ]\w+", word(n * 7)),
                1 => format!(r"{}[0-9A-Z]{{16}}", word(n * 7).to_uppercase()),
                _ => format!(r"\b{}-\d{{3}}-\d{{2}}-\d{{4}}\b", word(n * 7)),
            })
            .collect(),
        ..LooksFor::default()
    };
    vec![rule("words", mode, words), rule("expressions", mode, expressions)]
}

pub(super) fn filter(
    specs: Vec<RuleSpec>,
    direction: Direction,
    side: Option<DeflateSide>,
) -> Option<MessageFilter> {
    let inspection = Inspection {
        rules: Arc::new(Rules::compile(specs).ok()?),
        ..Inspection::default()
    };
    let facts = SessionFacts {
        connection: 1,
        client: Ipv4Addr::LOCALHOST.into(),
        user: None,
        target: Authority {
            host: Host::Name("chat.example".into()),
            port: 443,
        },
        aliases: Vec::new(),
        scheme: "wss",
        path: "/".into(),
        origin: None,
        subprotocol: None,
        websocket: None,
    };
    let route = FilterRoute {
        inspector: Arc::new(Inspector::new(Arc::new(inspection), Arc::new(Deaf))),
        facts: Arc::new(facts),
        deflate: side.map(|side| Deflate { sides: [side; 2] }),
        is_opaque: false,
        fresh_mask: || [1, 2, 3, 4],
        epoch: Duration::ZERO,
        recorded: Recorded::default(),
    };
    MessageFilter::begin(&route, direction, false)
}

pub(super) fn frame(direction: Direction, rsv1: bool, payload: &[u8]) -> Vec<u8> {
    frame_of(Opcode::Text, direction, rsv1, payload)
}

pub(super) fn frame_of(opcode: Opcode, direction: Direction, rsv1: bool, payload: &[u8]) -> Vec<u8> {
    let head = DataHead {
        opcode,
        fin: true,
        rsv1,
        payload: 0,
        mask: Some([0x5a, 0xc3, 0x0f, 0x96]),
    };
    let mut frame = Vec::new();
    write_frame(&mut frame, direction, head, payload);
    frame
}

/// JSON with English in it, different for each `n`.
pub(super) fn text(n: usize, size: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "the", "meeting", "was", "moved", "to", "thursday", "because", "our", "room", "is", "taken",
        "please", "send", "me", "your", "notes",
    ];
    let mut text = format!(r#"{{"type":"message","channel":"C{n:08}","text":""#);
    let mut state = n as u32 + 1;
    while text.len() < size {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(WORDS.get((state >> 28) as usize).copied().unwrap_or_default());
        text.push(' ');
    }
    text.truncate(size - 2);
    text.push_str("\"}");
    text.into_bytes()
}

pub(super) fn take(filter: &mut MessageFilter, pools: &mut Pools, reads: &[Vec<u8>]) {
    for read in reads {
        let mut turn = Turn {
            pools,
            now: Duration::ZERO,
            other: 0,
            out: &mut |bytes| {
                black_box(bytes);
            },
        };
        filter.take(black_box(read), &mut turn);
    }
}
