//! Framings of applications, through a lane.

use super::*;
use crate::inspect::{Budgets, Framing};

fn stomp(word: &str, action: Action) -> RuleSpec {
    RuleSpec {
        decode: Some(Framing::Stomp),
        ..rule("stomp", Mode::Enforce, action, word)
    }
}

#[test]
fn what_is_redacted_keeps_its_framing_under_every_compression() {
    for side in [None, Some(Side::default())] {
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
    assert!(open.lane.held() >= begin.len());
    assert_eq!(open.heard.lines(), [""; 0]);
    open.text(&"y".repeat(90));
    assert_eq!(open.heard.lines(), ["blind message message_budget stopped=false"]);
    assert_eq!((open.lane.held(), open.texts().len()), (0, 2));

    let mut closed = Line::new(with(OnFailure::Close), Direction::ToOrigin, None);
    closed.text(&begin);
    closed.text(&"y".repeat(90));
    assert_eq!(closed.lane.closing().map(|closing| closing.code), Some(1009));
    assert_eq!(closed.texts().len(), 1);
}

#[test]
fn a_frame_over_messages_survives_a_reload() {
    let mut line = Line::new(
        inspection(vec![stomp("secret", Action::Drop)]),
        Direction::ToOrigin,
        None,
    );
    line.text("SEND\n\nsec");
    line.inspector
        .replace(Arc::new(inspection(vec![stomp("secret", Action::Drop)])));
    line.text("ret\0");
    assert_eq!(line.lane.closing().map(|closing| closing.code), Some(1008));
}
