//! The pages of `docs/` and the README: what they show of a configuration is right.

use super::Dir;
use crate::settings::file::known_keys;
use std::fs;
use std::path::{Path, PathBuf};

fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let all = docs.chain([root.join("README.md")]);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        (name, fs::read_to_string(&path).unwrap())
    };
    all.map(read).collect()
}

/// The blocks of TOML of a page, each with its line.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut is_within = false;
    for (number, line) in page.lines().enumerate() {
        match line.trim() {
            "```toml" => {
                is_within = true;
                found.push((number + 1, String::new()));
            }
            "```" => is_within = false,
            _ if is_within => {
                let (_, block) = found.last_mut().unwrap();
                block.push_str(line);
                block.push('\n');
            }
            _ => {}
        }
    }
    found
}

/// A block shows what it is about: files and lists that it names are elsewhere, and so may be ways to log in.
const ELSEWHERE: [&str; 4] = [
    "there is no such file",
    "there is no directory",
    "there is no list named",
    "offers no way to log in",
];

#[test]
fn every_block_of_the_pages_is_a_configuration() {
    let dir = Dir::new();
    let mut count = 0;
    for (page, text) in pages() {
        for (line, block) in blocks(&text) {
            count += 1;
            let Err(problems) = dir.load(&block) else { continue };
            for problem in problems.list {
                let is_elsewhere = ELSEWHERE.iter().any(|words| problem.message.contains(words));
                assert!(is_elsewhere, "{page}:{line}: {problem}\n{block}");
            }
        }
    }
    assert!(count > 30, "{count}");
}

/// `section.key` in a page is a key, or a section.
#[test]
fn every_key_that_a_page_names_is_one() {
    let known = known_keys();
    let sections: Vec<&str> = known.iter().filter_map(|key| key.split('.').next()).collect();
    // Names of files, and of fields of other things.
    let others = ["live.sock", "ca.pem", "ca.crt", "ca.key", "ca.crl"];
    let mut wrong = Vec::new();
    for (page, text) in pages() {
        let words = text.split('`').skip(1).step_by(2);
        for word in words {
            let name = word.split(" = ").next().unwrap_or_default();
            let is_key =
                name.contains('.') && name.bytes().all(|b| b.is_ascii_lowercase() || b"_.".contains(&b));
            let section = name.split('.').next().unwrap_or_default();
            if !is_key || !sections.contains(&section) || others.contains(&name) || name.ends_with(".rs") {
                continue;
            }
            let prefix = format!("{name}.");
            if !known.iter().any(|key| *key == name || key.starts_with(&prefix)) {
                wrong.push(format!("{page}: `{name}` is no key"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each metric that a page names is in the list of them, which another test holds against the program.
#[test]
fn every_metric_that_a_page_names_is_one() {
    let list = include_str!("../../../docs/metrics.md");
    for (page, text) in pages() {
        let names = text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
        for name in names.filter(|name| name.starts_with("wsbump_") && name.len() > 10) {
            assert!(list.contains(name), "{page}: {name}");
        }
    }
}
