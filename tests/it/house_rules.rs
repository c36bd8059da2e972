//! The rules of docs/architecture.md that a compiler does not hold.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms that every room but these may use.
const SUPPORT: [&str; 3] = ["error", "tls", "wire"];
/// Rooms that may use every room.
const ACROSS: [&str; 5] = ["cli", "journey", "lib", "main", "settings"];
/// Rooms that only compute.
const PURE: [&str; 3] = ["decide", "inspect", "wire"];
/// Rooms that a room may use although they sort behind it: what `http` serves is inspected while it is served.
/// `inspect` is pure and uses nothing of `http`, so this makes no circle.
/// A TLS connection goes over a socket as it was accepted.
const AHEAD: [(&str, &str); 2] = [("http", "inspect"), ("tls", "accept")];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Every source file with its room: the first part of its path below `src`.
fn rooms() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files
        .into_iter()
        .map(|path| {
            let first = path.strip_prefix(&root).unwrap().components().next().unwrap();
            let room = first
                .as_os_str()
                .to_str()
                .unwrap()
                .trim_end_matches(".rs")
                .to_owned();
            let text = fs::read_to_string(&path).unwrap();
            (room, path, text)
        })
        .collect()
}

/// The part of a file that ships: everything before its tests.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

/// The rooms that a file names in `crate::room`.
fn used(text: &str) -> Vec<&str> {
    text.match_indices("crate::")
        .map(|(at, found)| {
            let rest = &text[at + found.len()..];
            &rest[..rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len())]
        })
        .filter(|room| !room.is_empty())
        .collect()
}

fn may_use(room: &str, other: &str) -> bool {
    room == other
        || ACROSS.contains(&room)
        || SUPPORT.contains(&other)
        || AHEAD.contains(&(room, other))
        || (other < room
            && !AHEAD.contains(&(other, room))
            && !ACROSS.contains(&other)
            && !SUPPORT.contains(&room))
}

#[test]
fn a_stage_uses_only_stages_before_it() {
    let mut broken = Vec::new();
    for (room, path, text) in rooms() {
        if path.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        for other in used(shipped(&text)) {
            if !may_use(&room, other) {
                broken.push(format!("{}: {room} uses {other}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_rule_tells_right_from_wrong() {
    assert!(may_use("relay", "handshake"));
    assert!(!may_use("handshake", "relay"));
    assert!(!may_use("wire", "decide"));
    assert!(may_use("wire", "error"));
    assert!(!may_use("http", "settings"));
    assert!(may_use("http", "inspect"));
    assert!(!may_use("inspect", "http"));
    assert!(may_use("journey", "report"));
    assert_eq!(
        used("use crate::wire::{a, b}; x: crate::error::Side"),
        ["wire", "error"]
    );
}

#[test]
fn pure_rooms_do_no_io_and_know_no_clock() {
    const IMPURE: [&str; 9] = [
        "tokio",
        "std::net::Tcp",
        "std::fs",
        "std::io",
        "Instant",
        "SystemTime",
        "rand",
        "tracing",
        "println!",
    ];
    let mut broken = Vec::new();
    for (room, path, text) in rooms() {
        if !PURE.contains(&room.as_str()) || path.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        for line in shipped(&text)
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for word in IMPURE {
                let named = line.match_indices(word).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
                });
                if named && (line.contains("use ") || line.contains("::") || line.contains('!')) {
                    broken.push(format!("{}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn only_the_decision_makes_the_tokens_of_bump_and_splice() {
    for (room, path, text) in rooms() {
        let text = shipped(&text);
        if room != "decide" {
            assert!(
                !text.contains("Bump(())") && !text.contains("Splice(())"),
                "{}",
                path.display()
            );
        }
        assert!(
            !text.contains("derive(Clone, Copy)]\npub struct Bump"),
            "{}",
            path.display()
        );
    }
}
