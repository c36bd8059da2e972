//! `cache_peer`: the parents, and what goes by which of them.

use super::access::{Access, Permit};
use super::document::{Document, comments, quoted};
use super::lists::usable;
use super::note::{LineOutcome, Notes};
use super::read::{Line, Reader};
use crate::wire::names::Authority;

/// A parent.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: String,
    url: String,
    user: Option<String>,
    password: Option<String>,
    /// Keys that are written as they are.
    more: Vec<String>,
    /// It is shown tickets, which are for CONNECT alone.
    by_ticket: bool,
    /// They are asked in turn.
    pub(super) in_turn: bool,
    pub(super) access: Vec<Access<Permit>>,
    about: String,
}

/// What is said of ways out.
#[derive(Debug, Default)]
pub(super) struct Peers {
    pub(super) peers: Vec<Peer>,
    pub(super) always_direct: Vec<Access<Permit>>,
    pub(super) never_direct: Vec<Access<Permit>>,
    /// How long each may take to be reached, where its own line says nothing.
    connect_timeout: Option<String>,
}

/// The keys of a parent that is shown tickets, as comments until somebody has named who gives them.
fn negotiate(principal: Option<&str>, reader: &Reader) -> Vec<String> {
    const KEYTAB: &str = "/etc/krb5.keytab";
    let keytab = reader
        .find(KEYTAB)
        .map_or_else(|| KEYTAB.to_owned(), |path| path.display().to_string());
    let mut lines = vec![format!("# keytab = {}", quoted(&keytab))];
    lines.extend(principal.map(|name| format!("# principal = {}", quoted(name))));
    lines.push("# kdc = [\"HOST\"]".to_owned());
    lines
}

impl Peers {
    /// Takes a line in.
    pub(super) fn add(&mut self, line: &Line, reader: &Reader, notes: &mut Notes) {
        let place = &line.place;
        match &*line.directive {
            "cache_peer" => self.peer(line, reader, notes),
            "cache_peer_access" => {
                let known = line.word(0).map(usable);
                let peer = self
                    .peers
                    .iter_mut()
                    .find(|peer| Some(&peer.name) == known.as_ref());
                match (peer, line.word(1).and_then(Permit::parse)) {
                    (Some(peer), Some(permit)) => {
                        peer.access.push(super::access::access(line, 1, permit));
                        notes.add(
                            place,
                            "cache_peer_access",
                            LineOutcome::Taken,
                            "in settings of the policy that name parents",
                        );
                    }
                    _ => notes.add(
                        place,
                        "cache_peer_access",
                        LineOutcome::Lost,
                        "is about no parent that is taken over",
                    ),
                }
            }
            "peer_connect_timeout" => {
                let number = line.word(0).unwrap_or_default();
                let time = super::values::duration(number, line.word(1).unwrap_or("seconds"));
                let (outcome, text) = match &time {
                    Some(_) => (LineOutcome::Taken, "as connect_timeout of each parent"),
                    None => (
                        LineOutcome::Changed,
                        "is no time that could be used; connect_timeout keeps its default",
                    ),
                };
                notes.add(place, "peer_connect_timeout", outcome, text);
                self.connect_timeout = time;
            }
            directive @ ("always_direct" | "never_direct") => {
                let Some(permit) = line.word(0).and_then(Permit::parse) else {
                    notes.add(
                        place,
                        directive,
                        LineOutcome::GuardLost,
                        "is neither allow nor deny, and left out",
                    );
                    return;
                };
                let list = if directive == "always_direct" {
                    &mut self.always_direct
                } else {
                    &mut self.never_direct
                };
                list.push(super::access::access(line, 0, permit));
            }
            directive => {
                let text = "write cache_peer_access with a dstdomain ACL, and import again";
                notes.add(place, directive, LineOutcome::Lost, text);
            }
        }
    }

    fn peer(&mut self, line: &Line, reader: &Reader, notes: &mut Notes) {
        let mut note = |outcome, text: &str| notes.add(&line.place, "cache_peer", outcome, text);
        let words: Vec<_> = line.words.iter().map(|word| &*word.text).collect();
        let [host, kind, port, _, options @ ..] = &words[..] else {
            note(
                LineOutcome::Lost,
                "has too few words: Squid has cache_peer HOST parent PORT 0",
            );
            return;
        };
        let value = |name: &str| {
            options
                .iter()
                .find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
        };
        let has = |name: &str| {
            options
                .iter()
                .any(|option| *option == name || option.starts_with(&format!("{name}=")))
        };
        if *kind != "parent" {
            note(
                LineOutcome::Lost,
                "caches beside this one are not asked: nothing is cached",
            );
            return;
        }
        if has("originserver") {
            note(
                LineOutcome::Lost,
                "is a server of one's own behind a reverse proxy, which this is not",
            );
            return;
        }
        let is_tls = has("tls") || has("ssl");
        let host_and_port = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let url = format!("{}://{host_and_port}", if is_tls { "https" } else { "http" });
        if Authority::parse(&host_and_port, None).is_none_or(|at| at.port == 0) {
            note(LineOutcome::Lost, "has no host and port that could be read");
            return;
        }
        let login = value("login");
        let mut secret = None;
        let (mut user, mut password) = (None, None);
        let (mut by_ticket, mut tickets) = (false, Vec::new());
        match login {
            None | Some("") => {}
            Some("PASS" | "PASSTHRU") => note(
                LineOutcome::Changed,
                "what clients show this proxy goes to no parent: give the parent a login of the proxy's own (parent.user)",
            ),
            Some(login) if login.starts_with("NEGOTIATE") => {
                by_ticket = true;
                let principal = login.strip_prefix("NEGOTIATE:");
                tickets = negotiate(principal, reader);
                note(
                    LineOutcome::Changed,
                    "Negotiate is spoken with parents by a keytab and by controllers that are named here: write kdc, and look at keytab and principal (docs/ways-out.md); until then no login is shown",
                );
            }
            Some(login) => match login.split_once(':') {
                Some(("*", word)) => {
                    secret = Some(word);
                    note(
                        LineOutcome::Changed,
                        "one login is shown for all, and not each client's name: write parent.user",
                    );
                }
                Some((name, word)) => {
                    secret = Some(word);
                    user = Some(name.to_owned());
                    password = Some(word.replace("%20", " "));
                    note(
                        LineOutcome::Taken,
                        "the login goes to the parent alone, from a file beside the configuration",
                    );
                }
                None => note(LineOutcome::Changed, "the login has no password, and is left out"),
            },
        }
        if options.iter().any(|option| option.contains("DONT_VERIFY")) {
            note(
                LineOutcome::Changed,
                "the parent's certificate is verified: name its CA in parent.ca",
            );
        }
        let in_turn = has("round-robin");
        if in_turn {
            note(
                LineOutcome::Taken,
                "as parent_order = \"round_robin\" of the settings that name it",
            );
        }
        if has("weighted-round-robin") || has("carp") || has("sourcehash") || has("userhash") {
            note(
                LineOutcome::Changed,
                "parents are asked in the order of their lines, and the next where one fails; parent_order = \"round_robin\" of a setting takes each in turn",
            );
        }
        let mut name = usable(value("name").unwrap_or(host));
        while self.peers.iter().any(|peer| peer.name == name) {
            name.push('x');
        }
        note(
            LineOutcome::Taken,
            "as a parent; requests by http:// are put to it in absolute form, as Squid does, and all else by CONNECT",
        );
        let mut more = tickets;
        for (key, names) in [
            ("ca", ["tls-cafile", "sslcafile"]),
            ("cert", ["tls-cert", "sslcert"]),
            ("key", ["tls-key", "sslkey"]),
        ] {
            let Some(written) = names.iter().find_map(|name| value(name)).filter(|_| is_tls) else {
                continue;
            };
            match reader.find(written) {
                Some(path) => more.push(format!("{key} = {}", quoted(&path.display().to_string()))),
                None => {
                    more.push(format!("# {key} = {}", quoted(written)));
                    note(
                        LineOutcome::Changed,
                        "a file that it names is not on this machine, and commented out: bring it along",
                    );
                }
            }
        }
        if let Some(seconds) =
            value("connect-timeout").and_then(|text| super::values::duration(text, "seconds"))
        {
            more.push(format!("connect_timeout = {}", quoted(&seconds)));
        }
        if let Some(count) = value("connect-fail-limit").and_then(|text| text.parse::<u32>().ok())
            && (1..=1_000_000).contains(&count)
        {
            more.push(format!("breaker_failures = {count}"));
        }
        let about = match secret.filter(|secret| !secret.is_empty()) {
            Some(secret) => line.text.replace(secret, "..."),
            None => line.text.clone(),
        };
        self.peers.push(Peer {
            name,
            url,
            user,
            password,
            more,
            by_ticket,
            in_turn,
            access: Vec::new(),
            about: format!("{}: {about}", line.place),
        });
    }

    /// Writes the parents, and returns the files with their passwords.
    pub(super) fn write(&self, document: &mut Document) -> Vec<(String, String)> {
        let mut secrets = Vec::new();
        for peer in &self.peers {
            let mut lines = comments(std::slice::from_ref(&peer.about));
            lines.push(format!("name = {}", quoted(&peer.name)));
            lines.push(format!("url = {}", quoted(&peer.url)));
            if !peer.by_ticket {
                lines.push("plain_http = \"absolute\"".to_owned());
            }
            if let (Some(user), Some(password)) = (&peer.user, &peer.password) {
                let file = format!("parent-{}", peer.name);
                lines.push(format!("user = {}", quoted(user)));
                lines.push(format!("password_file = {}", quoted(&file)));
                secrets.push((file, format!("{password}\n")));
            }
            lines.extend(peer.more.iter().cloned());
            if let Some(time) = &self.connect_timeout
                && !peer.more.iter().any(|line| line.starts_with("connect_timeout"))
            {
                lines.push(format!("connect_timeout = {}", quoted(time)));
            }
            document.add("parent", lines);
        }
        secrets
    }
}
