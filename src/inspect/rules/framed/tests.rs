use super::super::super::testing::facts;
use super::super::{RuleSession, Rules};
use crate::inspect::{
    Action, AppFraming, Finding, JsonTest, Judging, LooksFor, Mode, RuleSpec, Ruling, Subject, Surface, Test,
    Where,
};
use crate::wire::frame::{Direction, Opcode};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn rule(framing: AppFraming, action: Action, words: &[&str]) -> RuleSpec {
    RuleSpec {
        name: format!("{} {words:?}", action.label()).into(),
        mode: Mode::Enforce,
        action,
        place: Where::default(),
        what: LooksFor {
            keywords: words.iter().map(|&word| word.into()).collect(),
            ..LooksFor::default()
        },
        decode: Some(framing),
    }
}

fn session(specs: Vec<RuleSpec>) -> RuleSession {
    let rules = Rules::compile(specs).unwrap();
    assert_eq!(rules.warnings(), []);
    RuleSession::new(Arc::new(rules), facts())
}

fn say(session: &mut RuleSession, opcode: Opcode, data: &[u8]) -> (Ruling, Vec<Finding>) {
    let item = Subject {
        surface: Surface::Message,
        direction: Direction::ToOrigin,
        opcode: Some(opcode),
        data,
        size: data.len() as u64,
        head: None,
    };
    match session.judge(&item, Duration::ZERO, &[]) {
        Judging::Done(judgement) => (judgement.verdict, judgement.findings),
        Judging::Scan(id) => panic!("wants {id:?}"),
    }
}

fn text(session: &mut RuleSession, data: &str) -> Ruling {
    say(session, Opcode::Text, data.as_bytes()).0
}

fn replaced(data: &str) -> Ruling {
    Ruling::Replace(data.as_bytes().to_vec())
}

#[test]
fn values_are_redacted_under_their_escapes_and_json_stays_json() {
    let mut rules = session(vec![rule(
        AppFraming::SocketIo,
        Action::Redact("\"x\"".into()),
        &["secret", "4711"],
    )]);
    let verdict = text(&mut rules, r#"42/a,7["say",{"k":"a s\u0065cret"},4711,"ok"]"#);
    assert_eq!(verdict, replaced(r#"42/a,7["say",{"k":"a \"x\""},"\"x\"","ok"]"#));
    assert_eq!(text(&mut rules, r#"420["say","nothing"]"#), Ruling::Pass);
}

#[test]
fn a_match_that_is_not_inside_of_a_value_is_left_out() {
    let mut rules = session(vec![rule(
        AppFraming::SocketIo,
        Action::Redact("x".into()),
        &["\"a\",\"b\""],
    )]);
    let (verdict, findings) = say(&mut rules, Opcode::Text, br#"42["a","b"]"#);
    assert_eq!(verdict, Ruling::Drop);
    assert_eq!(
        findings[0].detail.as_deref(),
        Some("what matched is not inside of one value")
    );
}

#[test]
fn what_follows_an_event_goes_with_it() {
    let mut rules = session(vec![rule(AppFraming::SocketIo, Action::Drop, &["secret"])]);
    assert_eq!(text(&mut rules, r#"452-["secret",0,1]"#), Ruling::Drop);
    assert_eq!(say(&mut rules, Opcode::Binary, b"one").0, Ruling::Drop);
    assert_eq!(text(&mut rules, "3"), Ruling::Pass);
    assert_eq!(say(&mut rules, Opcode::Binary, b"two").0, Ruling::Drop);
    assert_eq!(say(&mut rules, Opcode::Binary, b"three").0, Ruling::Pass);
    assert_eq!(text(&mut rules, r#"451-["fine",0]"#), Ruling::Pass);
    let (verdict, findings) = say(&mut rules, Opcode::Binary, b"a secret");
    assert!(matches!(verdict, Ruling::Close(_)), "{verdict:?}");
    assert!(
        findings[0]
            .detail
            .as_deref()
            .unwrap()
            .contains("its event has gone on")
    );
}

#[test]
fn a_rule_for_texts_alone_does_not_leave_attachments_behind() {
    let mut drop = rule(AppFraming::SocketIo, Action::Drop, &["secret"]);
    drop.place.opcode = Some(Opcode::Text);
    let mut rules = session(vec![drop]);
    assert!(matches!(
        text(&mut rules, r#"451-["secret",0]"#),
        Ruling::Close(_)
    ));
}

#[test]
fn conditions_hold_in_one_message_of_the_application() {
    let mut about = rule(AppFraming::SignalR, Action::Drop, &["secret"]);
    about.what.json.push(JsonTest {
        pointer: "/target".into(),
        test: Test::Equals("Send".into()),
    });
    let mut rules = session(vec![about]);
    let one = "{\"target\":\"Send\",\"arguments\":[\"a secret\"]}\u{1e}";
    let two = "{\"target\":\"Send\"}\u{1e}{\"target\":\"Other\",\"arguments\":[\"a secret\"]}\u{1e}";
    assert_eq!(text(&mut rules, one), Ruling::Drop);
    assert_eq!(text(&mut rules, two), Ruling::Pass);
    assert_eq!(
        text(&mut rules, "{\"target\":\"Send\",\"arguments\":[\"a secret\"]}"),
        Ruling::Pass
    );
}

#[test]
fn operations_are_reached_by_pointers() {
    let mut about = rule(AppFraming::GraphQlWs, Action::Redact("*".into()), &["secret"]);
    about.what.json.push(JsonTest {
        pointer: "/payload/operationName".into(),
        test: Test::Equals("Send".into()),
    });
    let mut rules = session(vec![about]);
    let said = |name: &str, word: &str| {
        format!(
            r#"{{"id":"1","type":"subscribe","payload":{{"operationName":"{name}","query":"subscription Send {{ a }}","variables":{{"x":"{word}"}}}}}}"#
        )
    };
    assert_eq!(
        text(&mut rules, &said("Send", "s\\u0065cret")),
        replaced(&said("Send", "*"))
    );
    assert_eq!(text(&mut rules, &said("Other", "secret")), Ruling::Pass);
}

#[test]
fn a_message_that_is_not_of_the_framing_is_looked_at_as_it_is() {
    for framing in [
        AppFraming::SocketIo,
        AppFraming::SignalR,
        AppFraming::GraphQlWs,
        AppFraming::Stomp,
        AppFraming::Mqtt,
        AppFraming::ZlibStream,
    ] {
        let mut rules = session(vec![rule(framing, Action::Redact("*".into()), &["secret"])]);
        assert_eq!(text(&mut rules, "{a secret"), replaced("{a *"), "{framing:?}");
    }
}

#[test]
fn later_rules_see_the_framing_of_what_was_changed() {
    let mut rules = session(vec![
        rule(AppFraming::SocketIo, Action::Redact("b".into()), &["secret"]),
        rule(AppFraming::SocketIo, Action::Redact("c".into()), &["ab"]),
    ]);
    assert_eq!(text(&mut rules, r#"42["asecret"]"#), replaced(r#"42["c"]"#));
}

#[test]
fn frames_are_redacted_with_their_lengths() {
    let mut rules = session(vec![rule(
        AppFraming::Stomp,
        Action::Redact("*".into()),
        &["secret"],
    )]);
    let said = "SEND\nx:a\\csecret\ncontent-length:13\n\nthe secret \\o\0";
    assert_eq!(
        text(&mut rules, said),
        replaced("SEND\nx:a\\c*\ncontent-length:8\n\nthe * \\o\0")
    );
    let mut rules = session(vec![rule(
        AppFraming::Mqtt,
        Action::Redact("*".into()),
        &["secret"],
    )]);
    let (verdict, _) = say(&mut rules, Opcode::Binary, b"\x30\x0f\0\x01t[\"a secret\"]\xc0\0");
    assert_eq!(
        verdict,
        Ruling::Replace(b"\x30\x0a\0\x01t[\"a *\"]\xc0\0".to_vec())
    );
}

#[test]
fn a_frame_over_two_messages_is_found_and_closed_for() {
    for action in [Action::Drop, Action::Redact("*".into())] {
        let mut rules = session(vec![rule(AppFraming::Mqtt, action, &["secret"])]);
        assert_eq!(
            say(&mut rules, Opcode::Binary, b"\x30\x09\0\x01tsec").0,
            Ruling::Pass
        );
        let (verdict, findings) = say(&mut rules, Opcode::Binary, b"ret");
        assert!(matches!(verdict, Ruling::Close(_)), "{verdict:?}");
        assert!(findings[0].detail.is_some());
    }
}

#[test]
fn a_length_beside_a_value_is_no_part_of_the_match() {
    let what = LooksFor {
        regex: vec!["[A-Za-z0-9.]+@example".into()],
        ..LooksFor::default()
    };
    let redact = |framing| RuleSpec {
        what: what.clone(),
        ..rule(framing, Action::Redact("x".into()), &[])
    };
    // Of 65 bytes, which is an `A` in front of the value.
    let address = format!("{}@example", "a".repeat(57));
    let call = |address: &str| {
        let head = match u8::try_from(address.len()).unwrap() {
            size @ ..32 => vec![0xa0 | size],
            size => vec![0xd9, size],
        };
        let body = [&b"\x95\x01\x80\xc0\xa1s\x91"[..], &head, address.as_bytes()].concat();
        [&[body.len() as u8], &body[..]].concat()
    };
    let mut rules = session(vec![redact(AppFraming::SignalR)]);
    let verdict = say(&mut rules, Opcode::Binary, &call(&address)).0;
    assert_eq!(verdict, Ruling::Replace(call("x")));
    let packet = |topic: &str| {
        let size = topic.len() as u8;
        [&[0x30, size + 2, 0, size], topic.as_bytes()].concat()
    };
    let mut rules = session(vec![redact(AppFraming::Mqtt)]);
    let verdict = say(&mut rules, Opcode::Binary, &packet(&address)).0;
    assert_eq!(verdict, Ruling::Replace(packet("x")));
}
