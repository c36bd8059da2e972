//! `http_port` and `https_port`.

use super::access::{Access, Permit};
use super::document::{Document, array, comments, quoted};
use super::headers::chosen;
use super::lists::usable;
use super::meaning::Meanings;
use super::note::{LineOutcome, Notes, Place};
use super::read::{Line, Reader};
use super::term::{Part, Test};
use super::values::networks;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The ways in of a configuration.
#[derive(Debug, Default)]
pub(super) struct Ports {
    listeners: Vec<Listener>,
    /// What `myportname` and `localport` may call each, and what it is called here.
    pub(super) names: BTreeMap<String, String>,
    /// Whether one of them lets `ssl_bump` decide, and one does not.
    pub(super) bumps: bool,
    pub(super) passes: Vec<String>,
    ca: Option<(String, Option<String>)>,
    /// Who may say whose connections are, and who may say whose requests are.
    trusted: [Vec<Access<Permit>>; 2],
}

/// Whose word counts for who a client is.
#[derive(Debug, Default)]
pub(super) struct Trusted {
    /// Networks that begin connections with a PROXY header.
    pub(super) headers: Vec<String>,
    /// Networks whose requests have X-Forwarded-For.
    pub(super) fields: Vec<String>,
}

/// Where each stands in [`Ports::trusted`].
const BY: [&str; 2] = ["proxy_protocol_access", "follow_x_forwarded_for"];

#[derive(Debug)]
struct Listener {
    name: String,
    host: Option<IpAddr>,
    port: u16,
    address: String,
    kind: &'static str,
    cert: Option<String>,
    key: Option<String>,
    proxy_protocol: bool,
    about: String,
    place: Place,
}

impl Ports {
    /// Takes a line in.
    pub(super) fn add(&mut self, line: &Line, reader: &Reader, notes: &mut Notes) {
        let (place, directive) = (&line.place, &line.directive);
        let mut note = |outcome, text: String| notes.add(place, directive.clone(), outcome, text);
        let Some((host, port)) = line.word(0).and_then(address) else {
            note(
                LineOutcome::Changed,
                "has no port that could be read, and is left out".into(),
            );
            return;
        };
        let taken = self.listeners.iter().find(|known| {
            let is_any = |ip: Option<IpAddr>| ip.is_none_or(|ip| ip.is_unspecified());
            known.port == port && (known.host == host || is_any(known.host) || is_any(host))
        });
        if let Some(taken) = taken {
            let text = format!(
                "{} has the port already, and Squid cannot listen on it twice either; it is left out",
                taken.place
            );
            note(LineOutcome::Changed, text);
            return;
        }
        let options: Vec<(&str, &str)> = line
            .words
            .iter()
            .skip(1)
            .map(|word| word.text.split_once('=').unwrap_or((&word.text, "")))
            .collect();
        let has = |wanted: &str| options.iter().any(|(name, _)| *name == wanted);
        let value = |wanted: &[&str]| {
            options
                .iter()
                .find(|(name, _)| wanted.contains(name))
                .map(|(_, value)| *value)
        };
        if has("accel") || has("vhost") || has("defaultsite") || has("vport") {
            note(
                LineOutcome::Lost,
                "is a reverse proxy's port, in front of servers of one's own: this is a forward proxy; leave that to a web server".into(),
            );
            return;
        }
        let is_tls = directive == "https_port";
        let kind = match (has("tproxy"), has("intercept") || has("transparent"), is_tls) {
            (true, ..) => "tproxy",
            (_, true, _) => "redirect",
            (.., true) => "https",
            _ => "http",
        };
        let is_caught = matches!(kind, "tproxy" | "redirect");
        let bumps = has("ssl-bump");
        self.bumps |= bumps;
        let name = value(&["name"])
            .map(usable)
            .unwrap_or_else(|| format!("{kind}-{port}"));
        let mut called = name.clone();
        while self.listeners.iter().any(|known| known.name == called) {
            called.push('x');
        }
        for alias in [
            value(&["name"]).unwrap_or_default().to_owned(),
            port.to_string(),
            line.word(0).unwrap_or_default().to_owned(),
        ] {
            self.names.entry(alias).or_insert_with(|| called.clone());
        }
        // A port that catches plain requests sees no TLS that could be left shut.
        if !bumps && (is_tls || !is_caught) {
            self.passes.push(called.clone());
        }
        let find = |written: &str| {
            reader
                .find(written)
                .map_or_else(|| written.to_owned(), |path| path.display().to_string())
        };
        let cert = value(&["cert", "tls-cert"]).map(find);
        let key = value(&["key", "tls-key"]).map(find);
        if bumps
            && let Some(cert) = &cert
            && self.ca.is_none()
        {
            self.ca = Some((cert.clone(), key.clone()));
        } else if bumps
            && let (Some(cert), Some((known, _))) = (&cert, &self.ca)
            && cert != known
        {
            note(
                LineOutcome::Changed,
                format!("there is one CA for all listeners, {known}; {cert} is not used"),
            );
        }
        if value(&["generate-host-certificates"]) == Some("off") && bumps {
            note(
                LineOutcome::Surprise,
                "generate-host-certificates=off makes Squid 5 cut each connection at the peek; it is read as on".into(),
            );
        }
        if is_caught {
            note(
                LineOutcome::Taken,
                format!(
                    "as a listener of kind {kind}, which takes TLS and plain requests alike; `wsbump transparent-rules` prints the kernel's rules that bring them"
                ),
            );
            note(
                LineOutcome::Changed,
                "the address that the client has dialled is dialled; the names in the ClientHello and in Host are for the rules, and the origin's certificate has to vouch for them (names = \"verify\"; docs/ways-in.md)".into(),
            );
        }
        if kind == "tproxy" && !has("no-spoof") {
            note(
                LineOutcome::Changed,
                "connections to servers come from the proxy's address, and not from the client's, unless a setting says otherwise (docs/ways-out.md)".into(),
            );
        }
        for (option, told) in [
            (
                "clientca",
                "certificates of clients are not asked for at this listener",
            ),
            ("tls-dh", "key exchanges are TLS 1.3's and 1.2's elliptic ones"),
            ("cipher", "ciphers are those of TLS 1.2 and 1.3 that are sound"),
            ("options", "versions are TLS 1.2 and 1.3"),
            (
                "tcpkeepalive",
                "sockets are kept alive by the system's own settings",
            ),
        ] {
            if has(option) {
                note(LineOutcome::Taken, format!("{option}: {told}"));
            }
        }
        if host.is_none_or(|host| !host.is_loopback()) {
            note(
                LineOutcome::Taken,
                "other machines can reach it, as in Squid: who may use it is for the rules to say".into(),
            );
        } else {
            note(LineOutcome::Taken, "as a listener".into());
        }
        self.listeners.push(Listener {
            name: called,
            host,
            port,
            address: match host {
                Some(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
                Some(ip) => format!("{ip}:{port}"),
                None => format!("[::]:{port}"),
            },
            kind,
            cert: cert.filter(|_| kind == "https" && !bumps),
            key: key.filter(|_| kind == "https" && !bumps),
            proxy_protocol: has("require-proxy-header"),
            about: format!("{place}: {}", line.text),
            place: place.clone(),
        });
    }

    /// Takes a `proxy_protocol_access` or `follow_x_forwarded_for` line in.
    pub(super) fn trust(&mut self, line: &Line, notes: &mut Notes) {
        let at = usize::from(line.directive == BY[1]);
        match line.word(0).and_then(Permit::parse) {
            Some(permit) => self.trusted[at].push(super::access::access(line, 0, permit)),
            None => {
                let text = "is neither allow nor deny, and left out";
                notes.add(&line.place, &*line.directive, LineOutcome::Changed, text);
            }
        }
    }

    /// The networks whose word counts for whose connections and requests are.
    pub(super) fn trusted(&self, meanings: &mut Meanings<'_>) -> Trusted {
        let [headers, fields] = [0, 1].map(|at| self.believed(at, meanings));
        let [requires, reads] = [
            self.listeners.iter().any(|listener| listener.proxy_protocol),
            self.listeners.iter().any(Listener::reads_fields),
        ];
        for (at, is_used, used, unused) in [
            (
                0,
                requires,
                "as proxy_protocol.from of the listeners that require such a header",
                "no port requires such a header, so that none is read",
            ),
            (
                1,
                reads,
                "as forwarded_for.from of the listeners that clients name their servers to: a request's client is the last address there that is none of these",
                "ports that catch connections read no X-Forwarded-For here: clients are known by the address that they come from",
            ),
        ] {
            for line in &self.trusted[at] {
                let text = if is_used { used } else { unused };
                let outcome = match (at, is_used) {
                    (1, false) => LineOutcome::Changed,
                    _ => LineOutcome::Taken,
                };
                meanings.notes.add(&line.place, BY[at], outcome, text);
            }
        }
        for listener in self.listeners.iter().filter(|listener| listener.proxy_protocol) {
            let place = &listener.place;
            let text = if headers.is_empty() {
                "require-proxy-header: no proxy_protocol_access allows anybody, so that Squid closes every connection here; name your load balancers in listener.proxy_protocol.from. As it is written, their connections are theirs"
            } else {
                "require-proxy-header: networks of proxy_protocol_access have to send a PROXY header, and anybody else is served without one; Squid closes the others' connections"
            };
            meanings.notes.add(place, "http_port", LineOutcome::Changed, text);
        }
        Trusted { headers, fields }
    }

    fn believed(&self, at: usize, meanings: &mut Meanings<'_>) -> Vec<String> {
        let key = ["proxy_protocol", "forwarded_for"][at];
        let mut found = Vec::new();
        for (formula, line) in chosen(&self.trusted[at], Permit::Allow, meanings, BY[at]) {
            for term in &formula.0 {
                match &term[..] {
                    [] => found.extend(["0.0.0.0/0".to_owned(), "::/0".to_owned()]),
                    [Part::Is(Test::Clients(ranges))] => found.extend(ranges.iter().flat_map(networks)),
                    _ => {
                        let text = format!(
                            "asks for more than where a connection comes from: name the networks in listener.{key}.from"
                        );
                        meanings
                            .notes
                            .add(&line.place, BY[at], LineOutcome::Changed, text);
                    }
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// Writes them.
    pub(super) fn write(
        &self,
        document: &mut Document,
        asked_for: bool,
        trusted: &Trusted,
    ) -> Vec<(String, String)> {
        let mut missing = Vec::new();
        if let [one] = &self.listeners[..]
            && one.kind == "http"
            && !one.proxy_protocol
            && trusted.fields.is_empty()
            && !asked_for
        {
            document.set("listen", "proxy", array([&*one.address]), &one.about);
        } else if self.listeners.is_empty() {
            document.remark(
                "listen",
                "No http_port is taken over: the proxy listens on this machine alone.",
            );
        } else {
            for listener in &self.listeners {
                let mut lines = comments(std::slice::from_ref(&listener.about));
                lines.push(format!("name = {}", quoted(&listener.name)));
                lines.push(format!("kind = {}", quoted(listener.kind)));
                lines.push(format!("address = {}", array([&*listener.address])));
                for (key, value) in [("cert", &listener.cert), ("key", &listener.key)] {
                    if let Some(value) = value {
                        let is_there = std::path::Path::new(value).is_file();
                        lines.push(format!(
                            "{}{key} = {}",
                            if is_there { "" } else { "#" },
                            quoted(value)
                        ));
                        if !is_there {
                            missing.push((listener.about.clone(), value.clone()));
                        }
                    }
                }
                for (key, from, holds) in [
                    ("proxy_protocol", &trusted.headers, listener.proxy_protocol),
                    ("forwarded_for", &trusted.fields, listener.reads_fields()),
                ] {
                    if holds && !from.is_empty() {
                        let from = array(from.iter().map(String::as_str));
                        lines.push(format!("{key} = {{ from = {from} }}"));
                    }
                }
                document.add("listener", lines);
            }
        }
        if let Some((cert, key)) = &self.ca {
            let is_there = |path: &String| std::path::Path::new(path).is_file();
            if is_there(cert) && key.as_ref().is_none_or(is_there) {
                document.set("ca", "cert", quoted(cert), "The CA that clients trust already.");
                if let Some(key) = key {
                    document.set("ca", "key", quoted(key), "");
                }
            } else {
                document.remark(
                    "ca",
                    "The CA that clients trust already; its files are not on this machine.",
                );
                document.remark("ca", &format!("cert = {}", quoted(cert)));
                if let Some(key) = key {
                    document.remark("ca", &format!("key = {}", quoted(key)));
                }
                missing.push((String::new(), cert.clone()));
            }
        }
        missing
    }

    /// Where the lines that name files which are not here stand.
    pub(super) fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }
}

impl Listener {
    /// Whether requests there may say whose they are.
    fn reads_fields(&self) -> bool {
        matches!(self.kind, "http" | "https")
    }
}

/// `[HOST:]PORT`; names of this machine are not resolved.
fn address(text: &str) -> Option<(Option<IpAddr>, u16)> {
    if let Ok(port) = text.parse() {
        return Some((None, port));
    }
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_matches(['[', ']']);
    let port = port.parse().ok()?;
    match host {
        "" | "*" => Some((None, port)),
        "localhost" => Some((Some(IpAddr::from([127, 0, 0, 1])), port)),
        host => Some((host.parse().ok(), port)),
    }
}
