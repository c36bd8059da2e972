//! `deny_info`: what people are shown whom a line forbids something.

use super::document::Document;
use super::lists::usable;
use super::note::{LineOutcome, Notes};
use super::output::OutputFile;
use super::read::{Line, Reader};
use std::collections::BTreeMap;

const DIRECTIVE: &str = "deny_info";
/// The folder of the pages, beside the configuration.
const FOLDER: &str = "pages";

/// The pages, by the ACL that they are for.
#[derive(Debug, Default)]
pub(super) struct DenyInfo {
    pages: BTreeMap<String, Page>,
    /// Where Squid has its own.
    folder: Option<String>,
}

#[derive(Debug)]
struct Page {
    name: String,
    line: Line,
}

/// The page where Squid's file cannot be had.
const PLAIN: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{{title}}</title><style>{{style}}</style></head>\n<body><main>\n<h1>{{title}}</h1>\n<p class=\"what\">{{text}}</p>\n<p class=\"url\">{{url}}</p>\n<p class=\"who\">{{contact}} {{request_id}}</p>\n</main></body>\n</html>\n";

/// Squid's codes, as pages here have them.
const CODES: [(char, &str); 9] = [
    ('U', "{{url}}"),
    ('u', "{{url}}"),
    ('B', "{{url}}"),
    ('w', "{{contact}}"),
    ('T', "{{time}}"),
    ('t', "{{time}}"),
    ('h', "{{organisation}}"),
    ('l', "{{style}}"),
    ('%', "%"),
];

impl DenyInfo {
    /// Where Squid's own pages are.
    pub(super) fn folder(&mut self, line: &Line) {
        self.folder = line.word(0).map(str::to_owned);
    }

    /// Takes a line in.
    pub(super) fn add(&mut self, line: &Line, notes: &mut Notes) {
        let mut note = |outcome, text: &str| notes.add(&line.place, DIRECTIVE, outcome, text);
        let (Some(page), Some(_)) = (line.word(0), line.word(1)) else {
            note(LineOutcome::Changed, "has no page or no ACL, and is left out");
            return;
        };
        let named = unstated(page);
        if named == "TCP_RESET" {
            note(
                LineOutcome::Changed,
                "a denial is a 403, and never the mere end of the connection",
            );
            return;
        }
        if named.contains("://") || named.starts_with("mailto:") {
            note(
                LineOutcome::Lost,
                "clients are not sent elsewhere: they get a 403 with a page; write what they are to read into one (docs/pages.md)",
            );
            return;
        }
        for acl in line.words.iter().skip(1) {
            let name = usable(named.rsplit('/').next().unwrap_or(named));
            let page = Page {
                name,
                line: line.clone(),
            };
            self.pages.entry(acl.text.clone()).or_insert(page);
        }
    }

    /// The page of a denial whose line ends with this ACL.
    pub(super) fn page(&self, acl: &str) -> Option<&str> {
        self.pages.get(acl).map(|page| &*page.name)
    }

    /// The files of the pages that denials show.
    pub(super) fn write(
        &self,
        shown: &[&str],
        reader: &mut Reader,
        document: &mut Document,
        notes: &mut Notes,
    ) -> Vec<OutputFile> {
        let mut files: Vec<OutputFile> = Vec::new();
        for (acl, Page { name, line }) in &self.pages {
            let mut note = |outcome, text: &str| notes.add(&line.place, DIRECTIVE, outcome, text);
            if !shown.contains(&&**name) {
                let text = format!(
                    "no rule that forbids something ends with {acl}, so that nobody would see the page"
                );
                note(LineOutcome::Taken, &text);
                continue;
            }
            let path = format!("{FOLDER}/{name}.en.html");
            if files.iter().any(|file| file.path == path) {
                continue;
            }
            let stated = line.word(0).unwrap_or_default();
            let written = unstated(stated);
            if let Some(status) = stated
                .strip_suffix(written)
                .filter(|it| !it.is_empty() && *it != "403:")
            {
                let text = format!(
                    "the page comes with 403, and not with {}",
                    status.trim_end_matches(':')
                );
                note(LineOutcome::Changed, &text);
            }
            let folder = self.folder.as_deref().unwrap_or("errors");
            let tried = [
                written.to_owned(),
                format!("{folder}/{written}"),
                format!("errors/{written}"),
            ];
            let found = tried.iter().find_map(|path| reader.find(path));
            let text = match found.map(|path| reader.text(&path)) {
                Some(Ok(text)) => {
                    let (text, unknown) = translated(&text);
                    let told = match unknown.is_empty() {
                        true => format!("the rule's page, as {path}"),
                        false => format!(
                            "the rule's page, as {path}; {} of it have no counterpart and are left out (docs/pages.md has the fields)",
                            unknown.join(", ")
                        ),
                    };
                    let outcome = if unknown.is_empty() {
                        LineOutcome::Taken
                    } else {
                        LineOutcome::Changed
                    };
                    note(outcome, &told);
                    text
                }
                _ => {
                    let told = format!(
                        "the file of {written} is not here: {path} is a plain page in its place; write yours there (docs/pages.md)"
                    );
                    note(LineOutcome::Changed, &told);
                    PLAIN.to_owned()
                }
            };
            files.push(OutputFile {
                path,
                text,
                is_secret: false,
            });
        }
        if !files.is_empty() {
            document.set(
                "pages",
                "directory",
                super::document::quoted(FOLDER),
                "The pages of deny_info.",
            );
        }
        files
    }
}

/// The page without the status that may stand before it.
fn unstated(page: &str) -> &str {
    match page.split_once(':') {
        Some((status, rest)) if status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => page,
    }
}

/// A page of Squid's with the fields of pages here, and the codes that have none.
fn translated(text: &str) -> (String, Vec<String>) {
    let mut unknown = Vec::new();
    let mut out = String::with_capacity(text.len());
    // What begins a field here begins none there.
    let text = text.replace("{{", "&#123;&#123;");
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let Some(code) = chars.next() else {
            out.push('%');
            break;
        };
        match CODES.iter().find(|(known, _)| *known == code) {
            Some((_, field)) => out.push_str(field),
            None if code.is_ascii_alphabetic() => {
                let code = format!("%{code}");
                if !unknown.contains(&code) {
                    unknown.push(code);
                }
            }
            // A share in percent, such as of a width.
            None => out.extend(['%', code]),
        }
    }
    (out, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_fields() {
        let (text, unknown) = translated("<p style='width:50%;'>%U by %w 100%% {{x}} %i %S %i</p>%");
        assert_eq!(
            text,
            "<p style='width:50%;'>{{url}} by {{contact}} 100% &#123;&#123;x}}   </p>%"
        );
        assert_eq!(unknown, ["%i", "%S"]);
    }

    #[test]
    fn a_page_with_a_status_before_it_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("squid.conf");
        let text = "acl h dstdomain .h.example\nacl k dstdomain .k.example\nhttp_access deny h\n\
            http_access allow k\ndeny_info 404:ERR_GONE h\n";
        std::fs::write(&path, text).unwrap();
        std::fs::create_dir(folder.path().join("errors")).unwrap();
        std::fs::write(folder.path().join("errors/ERR_GONE"), "<p>%U</p>").unwrap();
        let imported = crate::import::import(&path, crate::import::Wishes::default()).unwrap();
        let page = (imported.files.iter()).find(|file| file.path == "pages/ERR_GONE.en.html");
        assert_eq!(page.unwrap().text, "<p>{{url}}</p>");
        for (page, named) in [
            ("404:ERR_GONE", "ERR_GONE"),
            ("ERR_GONE", "ERR_GONE"),
            ("40:x", "40:x"),
        ] {
            assert_eq!(unstated(page), named);
        }
    }
}
