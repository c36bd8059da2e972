//! The shipped rules load, only observe, and fire on what they are for and on nothing else.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use wsbump::inspect::rules::RuleSession;
use wsbump::inspect::{Judging, Mode, Ruling, SessionFacts, Subject, Surface};
use wsbump::settings::{RuleSet, load_rules};
use wsbump::wire::frame::{Direction, Opcode};
use wsbump::wire::names::Authority;

fn load(file: &str) -> RuleSet {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config/rules")
        .join(file);
    load_rules(Some(&path), None).unwrap_or_else(|problems| panic!("{problems}"))
}

fn session(set: &RuleSet) -> RuleSession {
    let facts = SessionFacts {
        connection: 1,
        client: [192, 0, 2, 1].into(),
        user: None,
        target: Authority::parse("example.com:443", None).unwrap(),
        aliases: Vec::new(),
        scheme: "wss",
        path: "/".into(),
        origin: None,
        subprotocol: None,
        websocket: None,
    };
    RuleSession::new(set.inspection.rules.clone(), Arc::new(facts))
}

/// The rules that fire; nothing may happen to the content.
fn fired(session: &mut RuleSession, surface: Surface, direction: Direction, data: &[u8]) -> Vec<String> {
    let item = Subject {
        surface,
        direction,
        opcode: (surface == Surface::Message).then_some(Opcode::Binary),
        data,
        size: data.len() as u64,
        head: None,
    };
    let Judging::Done(judgement) = session.judge(&item, Duration::ZERO, &[]) else {
        panic!("no shipped rule asks a scanner");
    };
    assert_eq!(judgement.verdict, Ruling::Pass, "shipped rules only observe");
    judgement
        .findings
        .iter()
        .map(|finding| finding.rule.to_string())
        .collect()
}

/// Each content with the rules that have to fire on it, over every rule of the file.
fn hold(file: &str, fixtures: &[(Surface, Direction, Vec<u8>, &[&str])]) {
    let set = load(file);
    assert_eq!(set.warnings, [""; 0]);
    let mut seen = BTreeSet::new();
    for (surface, direction, data, wanted) in fixtures {
        let found = fired(&mut session(&set), *surface, *direction, data);
        let shown = String::from_utf8_lossy(&data[..data.len().min(80)]);
        assert_eq!(found, *wanted, "{file}: {shown:?}");
        seen.extend(found);
    }
    for rule in &set.rules {
        assert_eq!(rule.mode, Mode::Observe, "{}", rule.name);
        let flood = &*rule.name == "message-floods";
        assert!(
            flood || seen.contains(&*rule.name),
            "{} has no fixture that fires it",
            rule.name
        );
    }
}

use Direction::{ToClient, ToOrigin};
use Surface::{Body, Message};

#[test]
fn secrets() {
    // Put together here, lest scanners of repositories take them for real ones.
    let token = |prefix: &str, rest: &str| format!("{{\"text\": \"{prefix}{rest}\"}}").into_bytes();
    let random = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY1zA2";
    let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQ==\n-----END PRIVATE KEY-----\n".to_owned();
    hold(
        "secrets.toml",
        &[
            (
                Message,
                ToOrigin,
                b"pay with 4111 1111 1111 1111 now".to_vec(),
                &["card-numbers"],
            ),
            (
                Body,
                ToOrigin,
                b"n=5500-0000-0000-0004".to_vec(),
                &["card-numbers"],
            ),
            (Message, ToClient, b"4111 1111 1111 1111".to_vec(), &[]),
            (Message, ToOrigin, b"order 4111 1111 1111 1112".to_vec(), &[]),
            (
                Message,
                ToOrigin,
                b"to GB82 WEST 1234 5698 7654 32.".to_vec(),
                &["bank-accounts"],
            ),
            (
                Message,
                ToOrigin,
                b"to GB83 WEST 1234 5698 7654 32.".to_vec(),
                &[],
            ),
            (
                Message,
                ToOrigin,
                b"ssn 536-22-8726".to_vec(),
                &["social-security-numbers"],
            ),
            (Message, ToOrigin, b"ssn 000-09-9999, 666-12-1234".to_vec(), &[]),
            (
                Message,
                ToOrigin,
                token("AKIA", "IOSFODNN7RVDMLEQ"),
                &["cloud-keys"],
            ),
            (
                Message,
                ToOrigin,
                token("AIza", "SyA1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1v"),
                &["cloud-keys"],
            ),
            (Message, ToOrigin, b"AKIA is a prefix".to_vec(), &[]),
            (Body, ToOrigin, key.into_bytes(), &["private-keys"]),
            (
                Body,
                ToOrigin,
                b"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----".to_vec(),
                &[],
            ),
            (Message, ToOrigin, token("ghp_", random), &["code-host-tokens"]),
            (
                Message,
                ToOrigin,
                token("glpat-", &random[..20]),
                &["code-host-tokens"],
            ),
            (
                Message,
                ToOrigin,
                token("sk_live_", &random[..24]),
                &["service-keys"],
            ),
            (
                Message,
                ToOrigin,
                token("sk-ant-api03-", &random.repeat(3)[..93]),
                &["service-keys"],
            ),
            (
                Message,
                ToOrigin,
                token("xoxb-", "123456789012-abcdefghijkl"),
                &["slack-tokens"],
            ),
            (Message, ToOrigin, b"just a chat about sk and xoxo".to_vec(), &[]),
        ],
    );
}

#[test]
fn uploads() {
    let zip = b"PK\x03\x04\x14\0\0\0\x08\0and what is in it, for which no office would have a use".to_vec();
    hold(
        "uploads.toml",
        &[
            (Message, ToOrigin, vec![b'a'; 512 << 10], &["large-messages"]),
            (Message, ToOrigin, vec![b'a'; (512 << 10) - 1], &[]),
            (Message, ToClient, vec![b'a'; 512 << 10], &[]),
            (Body, ToOrigin, vec![b'a'; 10 << 20], &["large-uploads"]),
            (Body, ToOrigin, vec![b'a'; 1 << 20], &[]),
            (Body, ToOrigin, zip.clone(), &["archive-uploads"]),
            (Message, ToOrigin, zip.clone(), &["archive-uploads"]),
            (Body, ToClient, zip, &[]),
        ],
    );
}

#[test]
fn more_than_two_hundred_messages_a_second_are_a_flood() {
    let set = load("uploads.toml");
    let mut session = session(&set);
    for number in 0..200 {
        assert_eq!(fired(&mut session, Message, ToOrigin, b"x"), [""; 0], "{number}");
    }
    assert_eq!(fired(&mut session, Message, ToOrigin, b"x"), ["message-floods"]);
}

#[test]
fn downloads() {
    let mut program = vec![0; 256];
    program[..2].copy_from_slice(b"MZ");
    program[60] = 128;
    program[128..132].copy_from_slice(b"PE\0\0");
    hold(
        "downloads.toml",
        &[
            (Body, ToClient, program.clone(), &["executable-downloads"]),
            (
                Body,
                ToClient,
                b"\x7fELF\x02\x01\x01\0\0\0\0\0".to_vec(),
                &["executable-downloads"],
            ),
            (Message, ToClient, program.clone(), &["executable-messages"]),
            (Body, ToOrigin, program, &[]),
            (Body, ToClient, b"MZ is how a sentence may begin".to_vec(), &[]),
            (
                Body,
                ToClient,
                b"var b = 'TVqQAAMAAAAEAAAA//8AALgAAAA';".to_vec(),
                &["smuggled-executables"],
            ),
            (Body, ToClient, b"<!doctype html><p>hello".to_vec(), &[]),
        ],
    );
}
