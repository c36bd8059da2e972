//! `docs/threat-model.md` names tests: each of them has to exist.

use crate::harness::root;
use regex::Regex;
use std::collections::BTreeSet;
use std::fs;

/// The tests that a text names, each as its file below the repository and its function.
fn named(text: &str) -> BTreeSet<(String, String)> {
    let name = Regex::new("`([a-z0-9_/.]+)::([a-z0-9_]+)`").unwrap();
    let file = |place: &str| match place.strip_suffix(".rs") {
        Some(_) => place.to_owned(),
        None => format!("tests/it/{place}.rs"),
    };
    name.captures_iter(text)
        .map(|found| (file(&found[1]), found[2].to_owned()))
        .collect()
}

/// Whether a source has this test: a function that is marked as one, or one that `over_both!` or another macro of the
/// file makes tests of.
fn has_test(source: &str, name: &str) -> bool {
    let marked = format!(r"#\[(tokio::)?test[^\]]*\]\s*(#\[[^\]]*\]\s*)*(async )?fn {name}\(");
    let listed = format!(r"(?s)over_both!\([^)]*\b{name}\b[^)]*\)");
    [marked, listed]
        .iter()
        .any(|pattern| Regex::new(pattern).unwrap().is_match(source))
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let model = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let named = named(&model);
    assert!(named.len() > 50, "{}", named.len());
    let missing: Vec<_> = named
        .iter()
        .filter(|(file, name)| {
            let source = fs::read_to_string(root().join(file)).unwrap_or_default();
            !has_test(&source, name)
        })
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

#[test]
fn every_threat_names_what_holds_it_and_a_test() {
    let model = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let rows = model
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| threat"));
    let mut count = 0;
    for row in rows {
        count += 1;
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [threat, holds, tests] = cells[..] else {
            panic!("not three columns: {row}")
        };
        assert!(threat.ends_with('.') && holds.ends_with('.'), "{row}");
        assert!(!named(tests).is_empty(), "no test: {row}");
    }
    assert!(count > 25, "{count}");
}

#[test]
fn a_test_that_is_not_there_would_be_missed() {
    let source = "over_both!(\n    one,\n    two,\n);\nfn one() {}\n#[test]\nfn three() {}\nfn four() {}\n\
                  #[tokio::test]\nasync fn five() {}\n";
    for (name, is_there) in [
        ("one", true),
        ("two", true),
        ("three", true),
        ("four", false),
        ("five", true),
        ("six", false),
        ("thre", false),
    ] {
        assert_eq!(has_test(source, name), is_there, "{name}");
    }
}
