//! The rules of docs/architecture.md that a compiler does not hold. They are about the code that ships: what stands under
//! `#[cfg(test)]` may do as it likes.

mod code;
mod imports;

use code::{is_of_word, words};
use imports::{File, Sources, circles, told};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// The rooms of `src/` from the ground up, each with the rooms that it may use beside itself and [`BELOW`]: only rooms that
/// stand above it in this list.
const LAYERS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("breaker", &[]),
    ("service_manager", &[]),
    ("identity", &[]),
    ("wire", &[]),
    ("kerberos", &[]),
    ("fetch", &[]),
    ("drain", &["error"]),
    ("accept", &[]),
    // TLS goes over a socket as it was accepted.
    ("tls", &["accept"]),
    ("classify", &[]),
    ("decide", &[]),
    ("handshake", &["accept", "decide", "tls"]),
    // A client of its own: it shares nothing with the proxy but how TLS, frames and Kerberos are spoken.
    ("doctor", &["accept", "kerberos", "tls"]),
    // A parent may be reached by TLS.
    ("dial", &["accept", "breaker", "decide", "handshake"]),
    ("pac", &["decide"]),
    ("inspect", &["decide"]),
    // A directory may be reached by TLS, and keys may be fetched.
    ("admit", &["accept", "breaker", "fetch", "handshake", "kerberos"]),
    // What it serves is judged while it is served.
    (
        "http",
        &[
            "accept",
            "admit",
            "decide",
            "dial",
            "drain",
            "handshake",
            "inspect",
            "tls",
        ],
    ),
    // The proxy's own host speaks the languages of its pages.
    ("portal", &["handshake", "http"]),
    ("relay", &["accept", "decide", "drain", "inspect", "tls"]),
    // Where scanners are is found as origins are.
    ("scan", &["breaker", "dial", "handshake", "inspect", "tls"]),
    // What another proxy's lists, services and directories mean is what they mean here.
    ("import", &["admit", "decide", "scan"]),
    // What is open and what happens, for those who watch.
    ("live", &["accept", "decide", "drain", "http", "inspect", "relay"]),
    (
        "report",
        &[
            "accept",
            "admit",
            "decide",
            "dial",
            "handshake",
            "http",
            "inspect",
            "live",
            "portal",
            "relay",
        ],
    ),
    ("journey", ALL),
    ("api", ALL),
    ("console", ALL),
    ("settings", ALL),
    ("cli", ALL),
    ("main", ALL),
];

/// Rooms that every room after them may use.
const BELOW: [&str; 3] = ["error", "identity", "wire"];
/// All rooms above it in the list.
const ALL: &[&str] = &["*"];
/// Rooms that only compute.
const PURE: [&str; 3] = ["decide", "inspect", "wire"];

/// The library, the program and the benches.
static SOURCES: LazyLock<Sources> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let roots = [
        "src/lib.rs",
        "src/main.rs",
        "benches/instructions.rs",
        "benches/load/main.rs",
        "benches/pure.rs",
    ];
    Sources::read("wsbump", &roots, |path| fs::read_to_string(root.join(path)).ok())
});

/// The files of `src/`, each with its room: the first part of its path below.
fn rooms() -> impl Iterator<Item = (&'static str, &'static File)> {
    SOURCES.files.iter().filter_map(|file| {
        let room = file.path.strip_prefix("src/")?.split('/').next()?;
        let room = room.trim_end_matches(".rs");
        (room != "lib").then_some((room, file))
    })
}

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|(name, _)| *name == room)
}

fn may_use(room: &str, other: &str) -> bool {
    let (Some(from), Some(to)) = (layer(room), layer(other)) else {
        return false;
    };
    let (_, uses) = LAYERS[from];
    from == to || (to < from && (uses == ALL || uses.contains(&other) || BELOW.contains(&other)))
}

#[test]
fn a_room_uses_only_the_rooms_of_its_layer() {
    let mut broken = Vec::new();
    for (room, file) in rooms() {
        for other in SOURCES.rooms(file) {
            if !may_use(room, &other) {
                broken.push(format!("{}: {room} uses {other}", file.path));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_layers_stand_on_each_other_and_name_every_room() {
    for (at, (room, uses)) in LAYERS.iter().enumerate() {
        assert_eq!(layer(room), Some(at), "{room} stands here twice");
        for other in *uses {
            assert!(
                uses == &ALL || layer(other) < Some(at),
                "{room} cannot stand on {other}"
            );
        }
    }
    for (room, file) in rooms() {
        assert!(layer(room).is_some(), "what may {} use?", file.path);
    }
}

#[test]
fn the_rule_tells_right_from_wrong() {
    for (room, other) in [
        ("relay", "tls"),
        ("http", "inspect"),
        ("wire", "wire"),
        ("tls", "error"),
        ("journey", "report"),
        ("cli", "tls"),
    ] {
        assert!(may_use(room, other), "{room} may use {other}");
    }
    for (room, other) in [
        ("tls", "relay"),
        ("inspect", "http"),
        ("wire", "decide"),
        ("error", "wire"),
        ("http", "settings"),
        ("relay", "http"),
        ("journey", "settings"),
        ("nobody", "wire"),
        ("main", "nobody"),
    ] {
        assert!(!may_use(room, other), "{room} may not use {other}");
    }
}

/// Nothing hides from these tests: a file that they do not read is one of tests.
#[test]
fn every_file_is_read() {
    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let mut found = Vec::new();
    sources(&Path::new(root).join("src"), &mut found);
    sources(&Path::new(root).join("benches"), &mut found);
    let unread: Vec<_> = found
        .iter()
        .filter_map(|path| path.strip_prefix(root))
        .filter(|path| !SOURCES.files.iter().any(|file| file.path == *path))
        .filter(|path| {
            !["/tests.rs", "/testing.rs"]
                .iter()
                .any(|name| path.ends_with(name))
                && !["/tests/", "/testing/"].iter().any(|name| path.contains(name))
        })
        .collect();
    assert!(unread.is_empty(), "{unread:?}");
    for file in &SOURCES.files {
        for other in ["cfg(all(test", "cfg(any(test", "#[path"] {
            assert!(
                !file.code.contains(other),
                "{}: {other} is not understood here",
                file.path
            );
        }
    }
}

#[test]
fn files_do_not_use_each_other_in_circles() {
    let uses = SOURCES.uses();
    let circles = circles(&uses);
    let told: Vec<_> = circles.iter().map(|circle| told(circle, &uses)).collect();
    assert!(told.is_empty(), "{} circles:\n{}", told.len(), told.join("\n"));
}

/// The type that a line of code begins to define, outside of functions and `impl`s.
fn defined(line: &str) -> Option<&str> {
    const KINDS: [&str; 5] = ["struct ", "enum ", "trait ", "type ", "union "];
    let behind = match line.strip_prefix("pub") {
        None => line,
        Some(seen) => match seen.strip_prefix('(') {
            None => seen.strip_prefix(' ')?,
            Some(whence) => whence.split_once(") ")?.1,
        },
    };
    let name = KINDS.iter().find_map(|kind| behind.strip_prefix(kind))?;
    name.split(|c| !is_of_word(c)).next()
}

/// Names that mean two things to somebody: within a room, and among those that rooms show each other. `types` has the room,
/// the file and the name of each type; `seen` says which file of a room somebody outside of it names by what.
fn ambiguous<'s>(
    types: &[(&'s str, &'s str, &'s str)],
    seen: impl Fn(&str, &str) -> bool,
) -> BTreeMap<&'s str, BTreeSet<&'s str>> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (at, &(room, file, name)) in types.iter().enumerate() {
        for &(other_room, other_file, other_name) in &types[at + 1..] {
            let are_both_seen = || seen(file, name) && seen(other_file, other_name);
            if name == other_name && file != other_file && (room == other_room || are_both_seen()) {
                found.entry(name).or_default().extend([file, other_file]);
            }
        }
    }
    found
}

#[test]
fn a_type_name_means_one_thing_in_its_room_and_to_the_rooms_that_see_it() {
    let room_of = |path: &str| {
        let inside = path.strip_prefix("src/").unwrap_or(path);
        inside.split('/').next().unwrap_or_default().to_owned()
    };
    let mut types = Vec::new();
    for (room, file) in rooms() {
        let names = file.code.lines().filter_map(defined);
        types.extend(names.map(|name| (room, file.path.as_str(), name)));
    }
    let mut seen = BTreeSet::new();
    for (user, used) in &SOURCES.uses() {
        for (file, names) in used.iter().filter(|(file, _)| room_of(file) != room_of(user)) {
            let last = |name: &String| name.rsplit("::").next().unwrap_or_default().to_owned();
            seen.extend(names.iter().map(|name| (file.clone(), last(name))));
        }
    }
    let is_seen = |file: &str, name: &str| seen.contains(&(file.to_owned(), name.to_owned()));
    assert!(
        types.len() > 1000 && seen.len() > 300,
        "{} {}",
        types.len(),
        seen.len()
    );
    let found = ambiguous(&types, is_seen);
    let told: Vec<_> = found
        .iter()
        .map(|(name, files)| format!("{name}: {files:?}"))
        .collect();
    assert!(
        told.is_empty(),
        "{} names mean two things:\n{}",
        told.len(),
        told.join("\n")
    );
}

#[test]
fn the_rule_about_names_tells_right_from_wrong() {
    for (line, name) in [
        ("struct Place;", Some("Place")),
        ("pub struct Place<'a> {", Some("Place")),
        ("pub(in crate::http) enum Part {", Some("Part")),
        ("pub(super) type Groups = Arc<[Arc<str>]>;", Some("Groups")),
        ("    type Error = io::Error;", None),
        ("impl Place {", None),
        ("structure!();", None),
        ("pub fn place() {", None),
    ] {
        assert_eq!(defined(line), name, "{line}");
    }
    let types = [
        ("accept", "src/accept/one.rs", "Place"),
        ("accept", "src/accept/two.rs", "Open"),
        ("decide", "src/decide/one.rs", "Place"),
        ("decide", "src/decide/two.rs", "Place"),
    ];
    let seen = |files: &'static [&'static str]| move |file: &str, _: &str| files.contains(&file);
    let in_one_room = BTreeSet::from(["src/decide/one.rs", "src/decide/two.rs"]);
    assert_eq!(
        ambiguous(&types, seen(&[])),
        BTreeMap::from([("Place", in_one_room)])
    );
    assert!(ambiguous(&types[..3], seen(&[])).is_empty());
    assert!(ambiguous(&types[..3], seen(&["src/accept/one.rs"])).is_empty());
    let shown = ambiguous(&types[..3], seen(&["src/accept/one.rs", "src/decide/one.rs"]));
    assert_eq!(shown.len(), 1);
}

#[test]
fn pure_rooms_do_no_io_and_know_no_clock() {
    const IMPURE: [&str; 13] = [
        "rand",
        "std::env",
        "std::fs",
        "std::io",
        "std::net::Tcp",
        "std::net::ToSocketAddrs",
        "std::net::Udp",
        "std::process",
        "std::thread::s",
        "std::time::Instant",
        "std::time::SystemTime",
        "tokio",
        "tracing",
    ];
    const SAYING: [&str; 5] = ["dbg", "eprint", "eprintln", "print", "println"];
    let mut broken = Vec::new();
    for (_, file) in rooms().filter(|(room, _)| PURE.contains(room)) {
        for path in file.spelled_out() {
            if IMPURE.iter().any(|word| path.starts_with(word)) {
                broken.push(format!("{}: {path}", file.path));
            }
        }
        for pair in words(&file.code).windows(2) {
            if SAYING.contains(&pair[0]) && pair[1] == "!" {
                broken.push(format!("{}: {}!", file.path, pair[0]));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn only_the_decision_makes_the_tokens_of_bump_and_splice() {
    for (room, file) in rooms() {
        let code = words(&file.code).join(" ");
        for token in ["Bump", "Splice"] {
            if room != "decide" {
                assert!(!code.contains(&format!("{token} ( ( ) )")), "{}", file.path);
            }
            for copied in ["Clone", "Copy"] {
                assert!(!code.contains(&format!("{copied} for {token} ")), "{}", file.path);
            }
            if let Some((before, _)) = code.split_once(&format!("pub struct {token} (")) {
                assert_eq!(room, "decide", "{}", file.path);
                assert!(
                    before.ends_with("# [ derive ( Debug ) ] "),
                    "{}: {token}",
                    file.path
                );
            }
        }
    }
}
