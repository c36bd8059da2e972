//! `acl` lines: names for kinds of values.

use super::note::{LineOutcome, Notes, Place};
use super::read::{Line, Reader};
use std::collections::BTreeMap;

/// A value, and whether case is ignored where it is an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) ignore_case: bool,
}

/// All lines of one name.
#[derive(Debug, Clone)]
pub(super) struct Acl {
    pub(super) name: String,
    /// The type, as Squid calls it today.
    pub(super) kind: String,
    /// What stands before the values and is no value: a header's name, the helper of an external type.
    pub(super) of: Option<String>,
    /// The values of each line.
    pub(super) lines: Vec<Vec<Value>>,
    pub(super) place: Place,
}

impl Acl {
    /// The values of all lines.
    pub(super) fn values(&self) -> impl Iterator<Item = &Value> {
        self.lines.iter().flatten()
    }

    fn built_in(name: &str, kind: &str, values: &[&str], place: &Place) -> Self {
        let value = |text: &&str| Value {
            text: (*text).to_owned(),
            ignore_case: false,
        };
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            of: None,
            lines: vec![values.iter().map(value).collect()],
            place: place.clone(),
        }
    }
}

/// All ACLs of a configuration, by name.
#[derive(Debug)]
pub(super) struct Acls(BTreeMap<String, Acl>);

/// The types whose values are regular expressions.
const EXPRESSIONS: [&str; 14] = [
    "srcdom_regex",
    "dstdom_regex",
    "url_regex",
    "urlpath_regex",
    "urllogin",
    "browser",
    "referer_regex",
    "proxy_auth_regex",
    "ident_regex",
    "req_mime_type",
    "rep_mime_type",
    "req_header",
    "rep_header",
    "ssl::server_name_regex",
];

/// Other spellings of a type.
fn kind_of(written: &str) -> &str {
    match written {
        "myport" => "localport",
        "server_name" => "ssl::server_name",
        "server_name_regex" => "ssl::server_name_regex",
        other => other,
    }
}

impl Acls {
    /// What Squid knows without an `acl` line.
    pub(super) fn built_in(place: &Place) -> Self {
        let built_in = [
            ("all", "src", &["all"][..]),
            ("localhost", "src", &["127.0.0.1/32", "::1"]),
            (
                "to_localhost",
                "dst",
                &["127.0.0.0/8", "0.0.0.0/32", "::1/128", "::/128"],
            ),
            ("to_linklocal", "dst", &["169.254.0.0/16", "fe80::/10"]),
            ("manager", "proto", &["cache_object"]),
            ("CONNECT", "method", &["CONNECT"]),
            (
                "ssl::certHasExpired",
                "ssl_error",
                &["X509_V_ERR_CERT_HAS_EXPIRED"],
            ),
            (
                "ssl::certNotYetValid",
                "ssl_error",
                &["X509_V_ERR_CERT_NOT_YET_VALID"],
            ),
            (
                "ssl::certDomainMismatch",
                "ssl_error",
                &["SQUID_X509_V_ERR_DOMAIN_MISMATCH"],
            ),
            (
                "ssl::certUntrusted",
                "ssl_error",
                &["X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY"],
            ),
            (
                "ssl::certSelfSigned",
                "ssl_error",
                &["X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT"],
            ),
        ];
        let known =
            built_in.map(|(name, kind, values)| (name.to_owned(), Acl::built_in(name, kind, values, place)));
        Self(known.into())
    }

    pub(super) fn get(&self, name: &str) -> Option<&Acl> {
        self.0.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Acl> {
        self.0.values()
    }

    /// The ACLs that a line is made of in the end, those of other ACLs in their place, and whether each must not hold.
    pub(super) fn leaves(&self, acls: &[(bool, String)]) -> Vec<(bool, &Acl)> {
        let mut found = Vec::new();
        // A name that has been followed is not followed again.
        let mut known: Vec<(bool, String)> = Vec::new();
        let mut open: Vec<(bool, String)> = acls.iter().rev().cloned().collect();
        while let Some((negated, name)) = open.pop() {
            let Some(acl) = self.get(&name) else { continue };
            if !matches!(&*acl.kind, "any-of" | "all-of") {
                found.push((negated, acl));
            } else if !known.contains(&(negated, name.clone())) {
                known.push((negated, name));
                open.extend(acl.values().map(|value| match value.text.strip_prefix('!') {
                    Some(name) => (!negated, name.to_owned()),
                    None => (negated, value.text.clone()),
                }));
            }
        }
        found
    }

    /// Takes an `acl` line in.
    pub(super) fn add(&mut self, line: &Line, reader: &mut Reader, notes: &mut Notes) {
        let place = &line.place;
        let (Some(name), Some(kind)) = (line.word(0), line.word(1)) else {
            let text = "has no name or no type; Squid would not start with it";
            notes.add(place, "acl", LineOutcome::Changed, text);
            return;
        };
        let kind = kind_of(kind).to_owned();
        if matches!(name, "all" | "manager" | "localhost" | "to_localhost" | "CONNECT")
            && self.0.contains_key(name)
        {
            notes.add(
                place,
                "acl",
                LineOutcome::NotNeeded,
                format!("{name} is known without this line"),
            );
            if name != "localhost" && name != "to_localhost" {
                return;
            }
        }
        let skip = match &*kind {
            "req_header"
            | "rep_header"
            | "external"
            | "note"
            | "annotate_client"
            | "annotate_transaction" => 3,
            _ => 2,
        };
        let of = (skip == 3).then(|| line.word(2).unwrap_or_default().to_owned());
        let is_expression = EXPRESSIONS.contains(&&*kind);
        let mut values = Vec::new();
        let mut ignore_case = false;
        let mut moved = Vec::new();
        for word in line.words.get(skip..).unwrap_or_default() {
            let mut take = |text: &str| match text {
                "-i" if is_expression => ignore_case = true,
                "+i" if is_expression => ignore_case = false,
                "-n" | "--consensus" | "--client-requested" | "--server-provided"
                    if !is_expression || text != "-n" => {}
                "-n" => {}
                "" => {}
                text => values.push(Value {
                    text: text.to_owned(),
                    ignore_case,
                }),
            };
            if !word.is_quoted {
                take(&word.text);
                continue;
            }
            let Some(path) = reader.find(&word.text) else {
                let text = format!(
                    "the file {:?} is not here: without it {name} matches nothing; bring it along, beside the configuration, and import again",
                    word.text
                );
                notes.add(place, "acl", LineOutcome::GuardLost, text);
                continue;
            };
            match reader.text(&path) {
                Ok(text) => text.lines().for_each(|line| take(content(line))),
                Err(message) => {
                    let text = format!(
                        "the file {:?} {message}: without it {name} matches nothing",
                        word.text
                    );
                    notes.add(place, "acl", LineOutcome::GuardLost, text);
                }
            }
            if !std::path::Path::new(&word.text).is_file() {
                moved.push(format!("{} is read for {}", path.display(), word.text));
            }
        }
        for moved in moved {
            notes.add(place, "acl", LineOutcome::Taken, moved);
        }
        match self.0.get_mut(name) {
            Some(known) if known.kind == kind => known.lines.push(values),
            Some(known) if matches!(name, "localhost" | "to_localhost") => {
                known.kind = kind;
                known.lines = vec![values];
            }
            Some(known) => {
                let text = format!(
                    "{name} is of type {} already, since {}; Squid does not take this line either",
                    known.kind, known.place
                );
                notes.add(place, "acl", LineOutcome::Changed, text);
            }
            None => {
                let acl = Acl {
                    name: name.to_owned(),
                    kind,
                    of,
                    lines: vec![values],
                    place: place.clone(),
                };
                self.0.insert(name.to_owned(), acl);
            }
        }
    }
}

/// A line of a quoted file without comment and the space around it.
fn content(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with('#') {
        return "";
    }
    match line.find(" #").or_else(|| line.find("\t#")) {
        Some(at) => line[..at].trim_end(),
        None => line,
    }
}
