//! `wsbump import`: a squid.conf read as Squid reads it, and written as a configuration of this proxy with a word on each line.

mod access;
mod acl;
mod adaptation;
mod addresses;
mod auth;
mod certificates;
mod directory;
mod document;
mod forwarded;
mod general;
mod headers;
mod instead;
mod leaving;
mod lists;
mod meaning;
mod note;
mod nothing;
mod output;
mod pages;
mod peers;
mod policy;
mod ports;
mod read;
mod replies;
mod rest;
mod ssl_bump;
mod term;
mod upgrades;
mod values;
mod ways;
mod written;

pub use note::{LineOutcome, Note, Place};
pub use output::OutputFile;
pub use read::ReadError;

use access::{Access, Permit};
use acl::Acls;
use adaptation::Adaptation;
use auth::Auth;
use certificates::Certificates;
use document::{Document, array, comments, conditions, quoted};
use forwarded::Forwarded;
use general::General;
use headers::{Headers, Side};
use leaving::Leaving;
use lists::ListFiles;
use meaning::Meanings;
use note::Notes;
use pages::DenyInfo;
use peers::Peers;
use ports::Ports;
use read::{Line, Reader};
use replies::Replies;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What is asked of an import.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// Verification that is switched off there is off here too.
    pub insecure: bool,
}

/// What comes of an import.
#[derive(Debug, Clone)]
pub struct Imported {
    /// `wsbump.toml` and the lists that it names.
    pub files: Vec<OutputFile>,
    /// A word on each line, in their order.
    pub notes: Vec<Note>,
}

impl Imported {
    /// The worst that has become of a line.
    pub fn outcome(&self) -> LineOutcome {
        self.notes
            .iter()
            .map(|note| note.outcome)
            .max()
            .unwrap_or(LineOutcome::Taken)
    }
}

/// Reads a squid.conf with what it includes, and writes what it comes to here.
///
/// # Errors
/// It cannot be read, or Squid would not start with it; by file and line.
pub fn import(path: &Path, wishes: Wishes) -> Result<Imported, ReadError> {
    let mut reader = Reader::beside(path);
    let read = read::read(path, &mut reader)?;
    let mut notes = Notes::default();
    let first = Place::new(0, &Arc::from(path.display().to_string()), 0);
    for (place, text) in &read.moved {
        notes.add(place, "include", LineOutcome::Taken, text.clone());
    }
    let mut acls = Acls::built_in(&first);
    for line in read.lines.iter().filter(|line| line.directive == "acl") {
        acls.add(line, &mut reader, &mut notes);
    }
    let mut importing = Importing {
        wishes,
        reader,
        document: Document::default(),
        access: Vec::new(),
        bumping: Vec::new(),
        upgrades: Vec::new(),
        ports: Ports::default(),
        peers: Peers::default(),
        adaptation: Adaptation::default(),
        auth: Auth::default(),
        certificates: Certificates::default(),
        headers: [Side::Request, Side::Reply].map(Headers::of),
        replies: Replies::default(),
        forwarded: Forwarded::default(),
        leaving: Leaving::default(),
        pages: DenyInfo::default(),
        late: Vec::new(),
    };
    for line in &read.lines {
        importing.line(line, &mut notes);
    }
    Ok(importing.finish(acls, notes, path, &first))
}

/// What has been read so far.
struct Importing {
    wishes: Wishes,
    reader: Reader,
    document: Document,
    access: Vec<Access<Permit>>,
    bumping: Vec<Access<ssl_bump::Action>>,
    upgrades: Vec<Line>,
    ports: Ports,
    peers: Peers,
    adaptation: Adaptation,
    auth: Auth,
    certificates: Certificates,
    /// Of requests, and of responses.
    headers: [Headers; 2],
    replies: Replies,
    forwarded: Forwarded,
    leaving: Leaving,
    pages: DenyInfo,
    /// Lines whose ACLs have to be known first.
    late: Vec<Line>,
}

impl Importing {
    fn line(&mut self, line: &Line, notes: &mut Notes) {
        let Self { document, reader, .. } = self;
        match &*line.directive {
            "acl" => {}
            "http_access" | "http_access2" => match line.word(0).and_then(Permit::parse) {
                Some(permit) => self.access.push(access::access(line, 0, permit)),
                None => notes.add(
                    &line.place,
                    "http_access",
                    LineOutcome::GuardLost,
                    "is neither allow nor deny, and left out",
                ),
            },
            "ssl_bump" => {
                match ssl_bump::line(line) {
                    Some(access) => {
                        let written = line.word(0).unwrap_or_default();
                        let text = match ssl_bump::Action::today(written) {
                        Some(today) => format!("{written} is read as {today}, as Squid does today; the origin is asked first in any case"),
                        None => "in rules of the policy, which are asked as soon as what they ask for is known".into(),
                    };
                        notes.add(&line.place, "ssl_bump", LineOutcome::Taken, text);
                        self.bumping.push(access);
                    }
                    None => notes.add(
                        &line.place,
                        "ssl_bump",
                        LineOutcome::GuardLost,
                        "does nothing that is known, and is left out",
                    ),
                }
            }
            "http_port" | "https_port" | "ascii_port" => self.ports.add(line, reader, notes),
            "auth_param" => self.auth.param(line, reader, document, notes),
            "external_acl_type" => self.auth.external(line, notes),
            "request_header_access" | "header_access" | "reply_header_access" => self.late.push(line.clone()),
            "request_header_replace" | "header_replace" => self.headers[0].replace(line),
            "reply_header_replace" => self.headers[1].replace(line),
            "request_header_add" => self.headers[0].add(line),
            "reply_header_add" => self.headers[1].add(line),
            "http_reply_access" => self.replies.add(line, notes),
            "forwarded_for" => self.forwarded.add(line, notes),
            "deny_info" => self.pages.add(line, notes),
            "error_directory" => {
                self.pages.folder(line);
                let text = "the pages that people see are the proxy's own; [pages] and docs/pages.md say how to write others";
                notes.add(&line.place, &*line.directive, LineOutcome::Taken, text);
            }
            "proxy_protocol_access" | "follow_x_forwarded_for" => self.ports.trust(line, notes),
            "sslproxy_cert_error" => self.certificates.error(line, notes),
            "http_upgrade_request_protocols" => self.upgrades.push(line.clone()),
            "cache_peer"
            | "cache_peer_access"
            | "cache_peer_domain"
            | "peer_connect_timeout"
            | "never_direct"
            | "always_direct" => self.peers.add(line, reader, notes),
            name => {
                let taken = self.adaptation.add(line, notes)
                    || self.leaving.add(line, notes)
                    || rest::take(line, document, notes)
                    || self
                        .certificates
                        .take(line, reader, self.wishes.insecure, document, notes);
                if !taken {
                    let text = format!(
                        "{name} is no directive that is known here; look it up in Squid's documentation"
                    );
                    notes.add(&line.place, name, LineOutcome::Changed, text);
                }
            }
        }
    }

    fn finish(mut self, acls: Acls, mut notes: Notes, path: &Path, first: &Place) -> Imported {
        let mut meanings = Meanings {
            acls,
            lists: ListFiles::default(),
            notes: &mut notes,
            first: first.clone(),
            helpers: std::mem::take(&mut self.auth.helpers),
            by_parents: !self.peers.peers.is_empty(),
            listeners: self.ports.names.clone(),
        };
        let exceptions = self.exceptions(&mut meanings);
        let mut table = policy::table(&self.access, &exceptions, &mut meanings);
        if self.access.is_empty() {
            let text = "there is no http_access: everybody is refused, as by Squid";
            meanings
                .notes
                .add(first, "http_access", LineOutcome::Surprise, text);
        }
        for line in std::mem::take(&mut self.late) {
            let side = usize::from(line.directive == "reply_header_access");
            self.headers[side].access(&line, &mut meanings);
        }
        let mut settings: Vec<_> = self.forwarded.settings().into_iter().collect();
        for headers in &mut self.headers {
            settings.extend(headers.settings(&mut meanings));
        }
        settings.append(&mut table.guards.settings);
        settings.extend(self.leaving.settings(&mut meanings));
        settings.extend(
            self.certificates
                .settings(self.wishes.insecure, &mut self.document, &mut meanings),
        );
        settings.extend(self.peers.settings(&mut meanings));
        settings.extend(self.adaptation.settings(&mut meanings));
        self.adaptation.write(&mut self.document);
        if self.headers.iter().any(|headers| headers.no_via) {
            self.document.set(
                "origin",
                "via",
                "false",
                "request_header_access or reply_header_access Via deny all",
            );
        }
        let upgrades = upgrades::upgrades(&self.upgrades, &mut self.document, &mut meanings);
        if !table.guards.networks.is_empty() {
            self.document.set(
                "network",
                "deny",
                array(table.guards.networks.iter().map(String::as_str)),
                &table.guards.about.join("\n"),
            );
        }
        if table.is_cut {
            let text =
                "http_access and ssl_bump come to more rules than can be written out: some are missing";
            meanings
                .notes
                .add(first, "http_access", LineOutcome::GuardLost, text);
        }
        let mut used = written::used(&table, &settings);
        used.extend(self.replies.write(&mut self.document, &mut meanings));
        used.extend(
            upgrades
                .iter()
                .flat_map(|rule| document::lists(&rule.term))
                .cloned(),
        );
        for acl in meanings.acls.iter().filter(|acl| acl.place != *first) {
            let text = if used.contains(&lists::usable(&acl.name)) {
                "as a list"
            } else {
                "in the rules that ask for it"
            };
            meanings.notes.add(
                &acl.place,
                "acl",
                LineOutcome::Taken,
                format!("{}: {text}", acl.name),
            );
        }
        let general = General {
            bumps: self.ports.bumps,
            tells_nobody: self.forwarded.is_silent(),
            denies_special: general::denies_special(&self.access, &table.guards.networks),
            of_addresses: meanings
                .acls
                .iter()
                .filter(|acl| acl.kind == "dst")
                .map(|acl| lists::usable(&acl.name))
                .collect(),
        };
        general.say(&table, first, meanings.notes);
        let mut lists = std::mem::take(&mut meanings.lists);
        lists.keep(|name| used.contains(name));
        self.document.set(
            "policy",
            "default",
            quoted(if table.allows_rest { "allow" } else { "deny" }),
            "",
        );
        let mut shown = Vec::new();
        for rule in upgrades.iter().chain(&table.rules) {
            let mut lines = comments(&rule.about);
            lines.push(format!("name = {}", quoted(&rule.name)));
            lines.extend(conditions(&rule.term));
            lines.push(format!("action = {}", quoted(rule.action)));
            if let Some(page) = rule.last.as_deref().and_then(|acl| self.pages.page(acl)) {
                lines.push(format!("page = {}", quoted(page)));
                shown.push(page);
            }
            self.document.add("policy.rule", lines);
        }
        let pages = self
            .pages
            .write(&shown, &mut self.reader, &mut self.document, meanings.notes);
        for setting in &settings {
            self.document.add("policy.setting", setting.lines());
        }
        let asked_for = written::used_listeners(&table, &settings);
        let trusted = self.ports.trusted(&mut meanings);
        for (about, file) in self.ports.write(&mut self.document, asked_for, &trusted) {
            let text = format!(
                "{file} is not on this machine, and commented out in what is written: bring it along{}",
                if about.is_empty() {
                    "; without it the proxy makes a CA of its own"
                } else {
                    ""
                }
            );
            notes.add(first, "http_port", LineOutcome::Changed, text);
        }
        if self.ports.is_empty() {
            notes.add(
                first,
                "http_port",
                LineOutcome::Changed,
                "no port is taken over: the proxy listens on 127.0.0.1:3128",
            );
        }
        let password = self.auth.write(&self.reader, &mut self.document, &mut notes);
        if !["auth.basic", "auth.ldap", "auth.negotiate"]
            .iter()
            .any(|table| self.document.says(table))
        {
            // Where nobody can log in, nothing can be said of it.
            self.document.withdraw("auth");
        }
        let mut secrets = self.peers.write(&mut self.document);
        secrets.extend(password.map(|text| (auth::BIND_PASSWORD.to_owned(), text)));
        self.document.remark("network", "An inspecting proxy is no way into its own network: private and other special addresses are refused unless\nthey are named here. Squid reaches them all.\nallow = [\"10.0.0.0/8\", \"172.16.0.0/12\", \"192.168.0.0/16\"]");
        let mut files = written::files(&mut self.document, &lists, secrets, path);
        files.extend(pages);
        Imported {
            files,
            notes: notes.finish(),
        }
    }

    /// What is not decrypted.
    fn exceptions(&mut self, meanings: &mut Meanings<'_>) -> Vec<ssl_bump::Decision> {
        let everything = || ssl_bump::Decision {
            formula: term::Formula::always(),
            action: ssl_bump::Action::Splice,
            line: None,
        };
        if !self.ports.bumps {
            for line in &self.bumping {
                let text = "decides nothing, since no http_port has ssl-bump: everything is spliced, in Squid too. To decrypt, take the rules that splice out of what is written";
                meanings
                    .notes
                    .add(&line.place, "ssl_bump", LineOutcome::Surprise, text);
            }
            return vec![everything()];
        }
        let decisions = ssl_bump::decisions(&self.bumping, meanings);
        let mut found = ssl_bump::exceptions(&decisions, meanings);
        // A port without ssl-bump decrypts nothing, whatever the lines say.
        if !self.ports.passes.is_empty() {
            let listeners: BTreeSet<_> = self.ports.passes.iter().cloned().collect();
            found.insert(
                0,
                ssl_bump::Decision {
                    formula: term::Formula::of(term::Test::Listeners(listeners)),
                    ..everything()
                },
            );
        }
        found
    }
}

#[cfg(test)]
mod tests;
