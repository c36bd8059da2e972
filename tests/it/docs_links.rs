//! The documents point at each other: each link leads somewhere, and each page is in the index.

use crate::harness::root;
use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The documents at the top, and those of `docs/`.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for folder in [root(), root().join("docs")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|kind| kind == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// The text without its blocks of code.
fn prose(page: &Path) -> String {
    let text = fs::read_to_string(page).unwrap();
    let mut in_code = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// The anchors of a page, as the usual viewers make them of headings.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = prose(page);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let mut anchors = BTreeSet::new();
    for heading in headings {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c => c.is_alphanumeric().then_some(c),
        });
        let base: String = kept.collect();
        let mut anchor = base.clone();
        let mut times = 0;
        while !anchors.insert(anchor) {
            times += 1;
            anchor = format!("{base}-{times}");
        }
    }
    anchors
}

/// The links of a page that lead to files.
fn links(page: &Path) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let text = prose(page);
    let links = link.captures_iter(&text).map(|found| found[1].to_owned());
    links
        .filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut dead = Vec::new();
    for page in pages() {
        for link in links(&page) {
            let (file, anchor) = link
                .split_once('#')
                .map_or((&*link, None), |(file, anchor)| (file, Some(anchor)));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let leads = match anchor {
                Some(anchor) => target.is_file() && anchors(&target).contains(anchor),
                None => target.exists(),
            };
            if !leads {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn every_page_is_in_the_index() {
    let index = root().join("docs/README.md");
    let listed = links(&index);
    let docs = pages()
        .into_iter()
        .filter(|page| page.parent() == index.parent() && *page != index);
    let missing: Vec<_> = docs
        .map(|page| page.file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|name| !listed.iter().any(|link| link.split('#').next() == Some(name)))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
