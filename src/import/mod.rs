//! `wsbump import`: a squid.conf read as Squid reads it, and written as a configuration of this proxy with a word on each line.

mod access;
mod acl;
mod adaptation;
mod auth;
mod certificates;
mod document;
mod headers;
mod lists;
mod meaning;
mod note;
mod peers;
mod policy;
mod ports;
mod read;
mod rest;
mod ssl_bump;
mod term;
mod values;

pub use note::{Note, Outcome, Place};
pub use read::ReadError;

use access::{Access, Permit};
use acl::Acls;
use adaptation::Adaptation;
use auth::Auth;
use certificates::Certificates;
use document::{Document, comments, conditions, quoted};
use headers::{Headers, Setting};
use lists::ListFiles;
use meaning::Meanings;
use note::Notes;
use peers::Peers;
use ports::Ports;
use read::{Line, Reader};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What is asked of an import.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// Verification that is switched off there is off here too.
    pub insecure: bool,
}

/// A file to be written, relative to the folder of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    /// Its path.
    pub path: String,
    /// Its content.
    pub text: String,
    /// It holds a password.
    pub is_secret: bool,
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
    pub fn outcome(&self) -> Outcome {
        self.notes
            .iter()
            .map(|note| note.outcome)
            .max()
            .unwrap_or(Outcome::Taken)
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
        notes.add(place, "include", Outcome::Taken, text.clone());
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
        headers: Headers::default(),
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
    headers: Headers,
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
                    Outcome::GuardLost,
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
                        notes.add(&line.place, "ssl_bump", Outcome::Taken, text);
                        self.bumping.push(access);
                    }
                    None => notes.add(
                        &line.place,
                        "ssl_bump",
                        Outcome::GuardLost,
                        "does nothing that is known, and is left out",
                    ),
                }
            }
            "http_port" | "https_port" | "ascii_port" => self.ports.add(line, reader, notes),
            "auth_param" => self.auth.param(line, reader, document, notes),
            "external_acl_type" => self.auth.external(line, notes),
            "request_header_access" | "header_access" => self.late.push(line.clone()),
            "request_header_replace" | "header_replace" => self.headers.replace(line),
            "request_header_add" => self.headers.add(line),
            "sslproxy_cert_error" => self.certificates.error(line, notes),
            "http_upgrade_request_protocols" => self.upgrades.push(line.clone()),
            "cache_peer" | "cache_peer_access" | "cache_peer_domain" | "never_direct" | "always_direct" => {
                self.peers.add(line, reader, notes)
            }
            "tcp_outgoing_address" => {
                let text = "connections leave by the address that the system chooses, unless a setting has source = [\"ADDRESS\"] (docs/ways-out.md)";
                notes.add(&line.place, &*line.directive, Outcome::Lost, text);
            }
            "follow_x_forwarded_for" | "proxy_protocol_access" => {
                let text = "clients are known by the address that they come from; behind a load balancer a listener believes its PROXY header (docs/ways-in.md)";
                notes.add(&line.place, &*line.directive, Outcome::Changed, text);
            }
            name => {
                let taken = self.adaptation.add(line, notes)
                    || rest::take(line, document, notes)
                    || self
                        .certificates
                        .take(line, reader, self.wishes.insecure, document, notes);
                if !taken {
                    let text = format!(
                        "{name} is no directive that is known here; look it up in Squid's documentation"
                    );
                    notes.add(&line.place, name, Outcome::Changed, text);
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
            listeners: self.ports.names.clone(),
        };
        let exceptions = self.exceptions(&mut meanings);
        let table = policy::table(&self.access, &exceptions, &mut meanings);
        if self.access.is_empty() {
            let text = "there is no http_access: everybody is refused, as by Squid";
            meanings.notes.add(first, "http_access", Outcome::Surprise, text);
        }
        for line in std::mem::take(&mut self.late) {
            self.headers.access(&line, &mut meanings);
        }
        let mut settings = self.headers.settings(&mut meanings);
        settings.extend(
            self.certificates
                .settings(self.wishes.insecure, &mut self.document, &mut meanings),
        );
        settings.extend(self.peers.settings(&mut meanings));
        settings.extend(self.adaptation.settings(&mut meanings));
        self.adaptation.write(&mut self.document);
        if self.headers.no_via {
            self.document
                .set("origin", "via", "false", "request_header_access Via deny all");
        }
        let upgrades = upgrades(&self.upgrades, &mut self.document, &mut meanings);
        if table.is_cut {
            let text =
                "http_access and ssl_bump come to more rules than can be written out: some are missing";
            meanings.notes.add(first, "http_access", Outcome::GuardLost, text);
        }
        let mut used = used(&table, &settings);
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
            meanings
                .notes
                .add(&acl.place, "acl", Outcome::Taken, format!("{}: {text}", acl.name));
        }
        if !exceptions.is_empty() || !table.rules.is_empty() {
            self.general(&table, first, &mut meanings);
        }
        let mut lists = meanings.lists;
        lists.keep(|name| used.contains(name));
        self.document.set(
            "policy",
            "default",
            quoted(if table.allows_rest { "allow" } else { "deny" }),
            "",
        );
        for rule in upgrades.iter().chain(&table.rules) {
            let mut lines = comments(&rule.about);
            lines.push(format!("name = {}", quoted(&rule.name)));
            lines.extend(conditions(&rule.term));
            lines.push(format!("action = {}", quoted(rule.action)));
            self.document.add("policy.rule", lines);
        }
        for setting in &settings {
            self.document.add("policy.setting", setting.lines());
        }
        let asked_for = used_listeners(&table, &settings);
        for (about, file) in self.ports.write(&mut self.document, asked_for) {
            let text = format!(
                "{file} is not on this machine, and commented out in what is written: bring it along{}",
                if about.is_empty() {
                    "; without it the proxy makes a CA of its own"
                } else {
                    ""
                }
            );
            notes.add(first, "http_port", Outcome::Changed, text);
        }
        if self.ports.is_empty() {
            notes.add(
                first,
                "http_port",
                Outcome::Changed,
                "no port is taken over: the proxy listens on 127.0.0.1:3128",
            );
        }
        let password = self.auth.write(&self.reader, &mut self.document);
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
        Imported {
            files: files(&mut self.document, &lists, secrets, path),
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
                    .add(&line.place, "ssl_bump", Outcome::Surprise, text);
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

    /// What is so of every configuration with rules.
    fn general(&self, table: &policy::Table, first: &Place, meanings: &mut Meanings<'_>) {
        let splices_names = table
            .rules
            .iter()
            .any(|rule| rule.action == "splice" && document::lists(&rule.term).next().is_some());
        let note = |meanings: &mut Meanings<'_>, outcome, text: &str| {
            meanings.notes.add(first, "ssl_bump", outcome, text)
        };
        if splices_names {
            note(
                meanings,
                Outcome::Changed,
                "what is spliced or allowed by name needs both names: the CONNECT target and the name in the ClientHello (SNI), where an address counts as the names that resolve to it. Squid goes by the SNI alone for ssl::server_name, so that whoever lies in it walks around the list, and by the CONNECT target alone for the others. policy.sni = \"believed\" has it as Squid's ssl::server_name",
            );
        }
        note(
            meanings,
            Outcome::Changed,
            "a denial is a 403 to the CONNECT where it is known early enough, or else the end of the tunnel; Squid says 200 first and shows a page inside, or closes. A certificate that does not verify is a page with 502, where Squid has 503",
        );
        note(
            meanings,
            Outcome::Changed,
            "requests have no X-Forwarded-For; Squid tells every server its clients' addresses unless it is told not to",
        );
        note(
            meanings,
            Outcome::Changed,
            "private and other special addresses are not reached unless network.allow names them; Squid reaches them all",
        );
    }
}

/// Which upgrades may pass, as rules.
fn upgrades(lines: &[Line], document: &mut Document, meanings: &mut Meanings<'_>) -> Vec<policy::Rule> {
    const DIRECTIVE: &str = "http_upgrade_request_protocols";
    let mut rules = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let protocol = line.word(0).unwrap_or_default();
        let name = protocol
            .split('/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let mut note = |outcome, text: &str| meanings.notes.add(&line.place, DIRECTIVE, outcome, text);
        match (&*name, line.word(1)) {
            ("websocket", Some("allow")) => {
                if protocol.split('/').next() != Some("websocket") {
                    note(
                        Outcome::Surprise,
                        "Squid heeds case here, so that this does not match the \"websocket\" that browsers send, and drops every WebSocket",
                    );
                }
                note(
                    Outcome::Taken,
                    "WebSockets pass, and are inspected, without a line",
                );
            }
            ("other", Some("allow")) => {
                document.set(
                    "policy",
                    "other_upgrades",
                    quoted("tunnel"),
                    &format!("{}: {}", line.place, line.text),
                );
                note(
                    Outcome::Taken,
                    "as policy.other_upgrades = \"tunnel\", whatever the ACLs say: settings have it for some hosts alone",
                );
            }
            ("other", _) => note(Outcome::Taken, "as it is by default"),
            (_, Some("allow")) => note(
                Outcome::Changed,
                "other upgrades than WebSocket are let through by policy.other_upgrades = \"tunnel\", or by a setting for some hosts",
            ),
            (name, Some("deny")) => {
                let access = access::access(line, 1, ());
                let asked = meanings.all(&access.acls, meaning::Moment::Request);
                let upgrade = term::Formula::of(term::Test::Upgrade(name.to_owned()));
                match asked.and_then(|asked| Ok(upgrade.and(&asked)?)) {
                    Ok(formula) => {
                        for (part, term) in formula.0.into_iter().enumerate() {
                            rules.push(policy::Rule {
                                name: format!("upgrade-{}-{at}-{part}", lists::usable(name)),
                                about: vec![format!("{}: {}", line.place, line.text)],
                                term,
                                action: "deny",
                            });
                        }
                        meanings.notes.add(
                            &line.place,
                            DIRECTIVE,
                            Outcome::Changed,
                            "as a rule, which refuses the request; Squid takes the Upgrade out of it",
                        );
                    }
                    Err(why) => meanings
                        .notes
                        .add(&line.place, DIRECTIVE, Outcome::GuardLost, why.0),
                }
            }
            _ => note(Outcome::Changed, "is neither allow nor deny, and left out"),
        }
    }
    rules
}

/// The names of the lists that rules and settings ask for.
fn used(table: &policy::Table, settings: &[Setting]) -> BTreeSet<String> {
    let terms = table
        .rules
        .iter()
        .map(|rule| &rule.term)
        .chain(settings.iter().map(|setting| &setting.term));
    terms.flat_map(document::lists).cloned().collect()
}

/// Whether a listener is asked for by its name.
fn used_listeners(table: &policy::Table, settings: &[Setting]) -> bool {
    let mut terms = table
        .rules
        .iter()
        .map(|rule| &rule.term)
        .chain(settings.iter().map(|setting| &setting.term));
    terms.any(|term| conditions(term).iter().any(|line| line.contains("listeners = ")))
}

fn files(
    document: &mut Document,
    lists: &ListFiles,
    secrets: Vec<(String, String)>,
    path: &Path,
) -> Vec<OutputFile> {
    let mut files = Vec::new();
    for (name, list) in lists.iter() {
        let file = format!("lists/{name}");
        let format = match list.format {
            crate::decide::Format::UrlRegex => "url_regex",
            crate::decide::Format::HostRegex => "host_regex",
            crate::decide::Format::Domains => "domains",
        };
        let mut lines = comments(std::slice::from_ref(&list.about));
        lines.push(format!("name = {}", quoted(name)));
        lines.push(format!("file = {}", quoted(&file)));
        lines.push(format!("format = {}", quoted(format)));
        if format != "domains" {
            lines.push(format!("ignore_case = {}", list.ignore_case));
        }
        document.add("list", lines);
        files.push(OutputFile {
            path: file,
            text: format!("# {}\n{}", list.about, list.text),
            is_secret: false,
        });
    }
    let secrets = secrets.into_iter().map(|(path, text)| OutputFile {
        path,
        text,
        is_secret: true,
    });
    files.extend(secrets);
    let head = format!(
        "# Written by `wsbump import` from {}.\n# `wsbump check --config` says what is wrong or doubtful, `wsbump explain` what happens to a destination.\n",
        path.display()
    );
    files.insert(
        0,
        OutputFile {
            path: "wsbump.toml".to_owned(),
            text: document.text(&head),
            is_secret: false,
        },
    );
    files
}

#[cfg(test)]
mod tests;
