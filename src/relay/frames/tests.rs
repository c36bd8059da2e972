use super::*;
use crate::inspect::rules::Rules;
use crate::inspect::testing::{Heard, facts};
use crate::inspect::{Action, Inspection, Inspector, LooksFor, Mode, RuleSpec, Where};
use std::sync::Arc;

struct Silent;

impl Meter for Silent {
    fn batch(&self, _: &Batch) {}
    fn pong(&self, _: Side, _: Duration) {}
}

/// Drops messages with this word.
fn dropping(word: &str, place: Where) -> Arc<Inspection> {
    let spec = RuleSpec {
        name: "drop".into(),
        mode: Mode::Enforce,
        action: Action::Drop,
        place,
        what: LooksFor {
            keywords: vec![word.into()],
            ..LooksFor::default()
        },
        decode: None,
    };
    Arc::new(Inspection {
        rules: Arc::new(Rules::compile(vec![spec]).unwrap()),
        ..Inspection::default()
    })
}

fn elsewhere() -> Where {
    Where {
        subprotocols: vec!["another".into()],
        ..Where::default()
    }
}

fn text(direction: Direction, text: &str) -> Vec<u8> {
    let size = text.len() as u8;
    match direction {
        // Masked with zeros.
        Direction::ToOrigin => [&[0x81, 0x80 | size, 0, 0, 0, 0][..], text.as_bytes()].concat(),
        Direction::ToClient => [&[0x81, size][..], text.as_bytes()].concat(),
    }
}

fn passes(frames: &mut FrameRelay<'_>, direction: Direction, word: &str) -> bool {
    let (sent, mut passed) = (text(direction, word), Vec::new());
    frames
        .take(direction, &sent, Instant::now(), &mut |bytes| {
            passed.extend_from_slice(bytes)
        })
        .unwrap();
    assert!(passed.is_empty() || passed == sent);
    frames.flushed(direction, Instant::now());
    !passed.is_empty()
}

#[test]
fn a_direction_is_looked_into_once_a_rule_is_for_it() {
    let inspector = Arc::new(Inspector::new(
        dropping("word", elsewhere()),
        Arc::new(Heard::default()),
    ));
    let settings = WebSocket {
        allowed_rsv: 0,
        tallies: Arc::default(),
        idle: Duration::from_secs(60),
        mask: [1; 4],
        inspect: Some(FilterRoute {
            inspector: Arc::clone(&inspector),
            facts: facts(),
            deflate: None,
            is_opaque: false,
            fresh_mask: || [1; 4],
            epoch: Duration::ZERO,
            recorded: crate::inspect::Recorded::default(),
        }),
    };
    let mut frames = FrameRelay::new(settings, &Silent);
    let [there, back] = Direction::ALL;
    assert!(passes(&mut frames, there, "word") && passes(&mut frames, back, "word"));
    assert!(frames.inspected.is_none(), "no rule is for this WebSocket");

    let one_way = Where {
        direction: Some(there),
        ..Where::default()
    };
    inspector.replace(dropping("word", one_way));
    assert!(!passes(&mut frames, there, "word") && passes(&mut frames, there, "other"));
    assert!(passes(&mut frames, back, "word"));
    let looks =
        |frames: &FrameRelay<'_>| Direction::ALL.map(|to| frames.inspected.as_ref().unwrap().looks_into(to));
    assert_eq!(looks(&frames), [true, false]);

    inspector.replace(dropping("word", Where::default()));
    assert!(!passes(&mut frames, there, "word") && !passes(&mut frames, back, "word"));
    inspector.replace(Arc::new(Inspection::default()));
    assert!(passes(&mut frames, there, "word") && passes(&mut frames, back, "word"));
}

#[test]
fn who_only_looked_on_leaves_nothing_behind() {
    #[derive(Debug)]
    struct Everything;
    impl crate::inspect::Viewer for Everything {
        fn wants(&self, _: &crate::wire::names::Authority) -> bool {
            true
        }
    }
    let inspection = Inspection {
        view: Some(crate::inspect::Recording::default()),
        ..Inspection::default()
    };
    let heard = Arc::new(Heard::default());
    let inspector = Arc::new(Inspector::new(Arc::new(inspection), heard.clone()));
    let settings = WebSocket {
        allowed_rsv: 0,
        tallies: Arc::default(),
        idle: Duration::from_secs(60),
        mask: [1; 4],
        inspect: Some(FilterRoute {
            inspector: Arc::clone(&inspector),
            facts: facts(),
            deflate: None,
            is_opaque: false,
            fresh_mask: || [1; 4],
            epoch: Duration::ZERO,
            recorded: crate::inspect::Recorded::default(),
        }),
    };
    let mut frames = FrameRelay::new(settings, &Silent);
    let [there, back] = Direction::ALL;
    let looks = |frames: &FrameRelay<'_>| {
        Direction::ALL.map(|to| frames.inspected.as_ref().is_some_and(|it| it.looks_into(to)))
    };
    assert!(passes(&mut frames, there, "one") && looks(&frames) == [false; 2]);
    inspector.show(Some(Arc::new(Everything)));
    assert!(passes(&mut frames, there, "two") && passes(&mut frames, back, "three"));
    assert_eq!(looks(&frames), [true; 2]);
    inspector.show(None);
    // It is let go of by the first that comes then, which nobody was told of.
    assert!(passes(&mut frames, there, "four") && passes(&mut frames, back, "five"));
    assert_eq!(looks(&frames), [false; 2]);
    inspector.show(Some(Arc::new(Everything)));
    assert!(passes(&mut frames, there, "six") && looks(&frames) == [true, false]);
    let told = heard.lines().join("\n");
    let is_told = |word: &str| told.contains(&format!("{word:?}"));
    assert!(["two", "three", "six"].into_iter().all(is_told), "{told}");
    assert!(!["one", "four", "five"].into_iter().any(is_told), "{told}");
    assert_eq!(frames.totals(End::Closed).messages, [4, 2]);
}
