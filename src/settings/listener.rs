//! `[[listener]]`: ways in by their names.

use super::certificates::own_certificate;
use super::console::CONSOLE;
use super::problem::{Diagnostics, FileSpan};
use super::reader::{At, Section};
use super::site::{SiteFile, SiteTable};
use super::words::{self, address};
use crate::accept::{Entrance, ForwardedFor, ListenerConfig, ProxyProtocol};
use crate::handshake::OwnCertificate;
use crate::journey::NameTrust;
use crate::wire::forwarded::ForwardedField;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const KINDS: [(&str, Entrance); 6] = [
    ("http", Entrance::Http),
    ("https", Entrance::Https),
    ("socks", Entrance::Socks),
    ("redirect", Entrance::Redirect),
    ("tproxy", Entrance::Tproxy),
    ("reverse", Entrance::Reverse),
];

/// The names of the listeners that `[listen]` makes.
pub(super) const PROXY: &str = "proxy";
/// The same of those that clients reach by TLS.
pub(super) const TLS: &str = "tls";

/// One of the tables as written.
#[derive(Debug)]
pub(super) struct ListenerTable {
    name: At<String>,
    kind: Entrance,
    addresses: At<Vec<At<SocketAddr>>>,
    socket: Option<At<String>>,
    reuse_port: bool,
    cert: Option<At<PathBuf>>,
    key: Option<At<PathBuf>>,
    own: OwnOptions,
    sites: Vec<SiteTable>,
    span: FileSpan,
}

/// A way in, and what is its own.
#[derive(Debug)]
pub(super) struct NamedListener {
    pub config: ListenerConfig,
    /// What its clients are shown; `None` for leaves of the CA.
    pub certificate: Option<OwnCertificate>,
    /// What else is its own.
    pub own: OwnOptions,
    /// One's own origins that it leads to.
    pub sites: Vec<SiteFile>,
}

/// What a listener has of its own beside its certificate.
#[derive(Debug, Default)]
pub(super) struct OwnOptions {
    /// Whether clients that come by TLS are not offered HTTP/2.
    pub only_http1: bool,
    /// Who says whose connections are.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Proxies that say whose requests are.
    pub forwarded_for: Option<ForwardedFor>,
    /// What vouches for the names that clients give.
    pub names: NameTrust,
}

impl ListenerTable {
    /// Reads one of the tables; no file that it names is opened yet.
    pub(super) fn read(section: &mut Section<'_, '_>, probe: bool) -> Option<Self> {
        let name = section.parsed("name", |text| match text {
            PROXY | TLS => Err(format!(
                "{text:?} is what the listeners of listen.{text} are called; choose another"
            )),
            CONSOLE => Err(format!(
                "{text:?} is what the console's listener is called; choose another"
            )),
            text => words::name(text, "listener"),
        });
        let kind = section.choice_if_any("kind", &KINDS);
        let table = (
            section.list("address", address),
            section.text("socket"),
            section.flag("reuse_port", false),
            section.path_to("cert"),
            section.path_to("key"),
        );
        let trusts = [("verify", NameTrust::Verify), ("resolve", NameTrust::Resolve)];
        let own = OwnOptions {
            only_http1: section.flag("only_http1", false),
            proxy_protocol: proxy_protocol(section),
            forwarded_for: forwarded_for(section),
            names: section.choice("names", &trusts, NameTrust::Verify),
        };
        let sites = section.tables("site", "listener.site", probe, SiteTable::read);
        if kind == Some(Entrance::Reverse) && !section.table_has("site") {
            let span = section.span();
            let message = "is missing; write a [[listener.site]] for each of your origins";
            section.note(&span, "site", message);
        }
        for key in ["names", "only_http1", "proxy_protocol", "forwarded_for", "site"] {
            let is_for = |kind: Entrance| match key {
                "names" => kind.is_caught(),
                "only_http1" => kind == Entrance::Https,
                "forwarded_for" => kind.is_http() || kind == Entrance::Reverse,
                "site" => kind == Entrance::Reverse,
                _ => !kind.is_caught(),
            };
            let Some(kind) = kind.filter(|kind| section.table_has(key) && !is_for(*kind)) else {
                continue;
            };
            let span = section.span();
            let message = format!(
                "says nothing to a listener of kind {:?}; take it out",
                kind.label()
            );
            section.note(&span, key, message);
        }
        for (key, advice) in [
            ("name", "policy and logs call the listener by it: name = \"lan\""),
            (
                "kind",
                "write \"http\", \"https\", \"socks\", \"redirect\", \"tproxy\" or \"reverse\"",
            ),
        ] {
            if !section.has(key) {
                let span = section.span();
                section.note(&span, key, format!("is missing; {advice}"));
            }
        }
        if !section.has("address") && !section.has("socket") {
            let span = section.span();
            section.note(
                &span,
                "address",
                "is missing; write at least one address, such as [\"127.0.0.1:3128\"], or the socket that the service manager hands over",
            );
        }
        let (addresses, socket, reuse_port, cert, key) = table;
        Some(Self {
            name: name?,
            kind: kind?,
            addresses: addresses.unwrap_or_default(),
            socket,
            reuse_port,
            cert,
            key,
            own,
            sites,
            span: section.span(),
        })
    }

    /// What the policy calls it.
    pub(super) fn name(&self) -> &str {
        &self.name.value
    }

    /// Whether its clients cannot choose where it leads.
    pub(super) fn leads_nowhere_else(&self) -> bool {
        self.kind.is_caught() || self.kind == Entrance::Reverse
    }

    /// Where it listens, each with its place.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &At<SocketAddr>> {
        self.addresses.value.iter()
    }

    /// Opens what it names.
    pub(super) fn resolve(self, notes: &mut Diagnostics) -> NamedListener {
        if self.kind != Entrance::Https {
            for (key, value) in [("cert", &self.cert), ("key", &self.key)] {
                if let Some(value) = value {
                    let message = "is only for kind = \"https\"; take it out";
                    notes.add(&value.span, format!("listener.{key}"), message);
                }
            }
        }
        let (cert, key) = (self.cert.as_ref(), self.key.as_ref());
        let certificate = (self.kind == Entrance::Https)
            .then(|| own_certificate(("listener.cert", cert), ("listener.key", key), notes))
            .flatten();
        for warning in certificate.iter().flat_map(OwnCertificate::warnings) {
            notes.warn_at(&self.span, "listener.cert", warning);
        }
        let sites = self.sites.into_iter().filter_map(|site| site.resolve(notes));
        NamedListener {
            sites: sites.collect(),
            config: ListenerConfig {
                name: self.name.value.into(),
                entrance: self.kind,
                addresses: self.addresses.value.iter().map(|at| at.value).collect(),
                socket: self.socket.map(|at| at.value),
                reuse_port: self.reuse_port,
            },
            certificate,
            own: self.own,
        }
    }
}

/// Who says whose connections are, and how long that may take.
fn proxy_protocol(section: &mut Section<'_, '_>) -> Option<ProxyProtocol> {
    let is_written = section.has("proxy_protocol");
    let mut section = section.inner("proxy_protocol", "listener.proxy_protocol");
    let from = section.list("from", words::network);
    let deadline = section.duration("timeout", Duration::from_secs(5));
    if is_written && from.as_ref().is_none_or(|from| from.value.is_empty()) {
        let span = section.span();
        section.note(
            &span,
            "from",
            "names nobody; write the networks of the load balancers, such as [\"10.0.0.2\"]",
        );
    }
    section.finish();
    let from: Vec<_> = from?.value.into_iter().map(|at| at.value).collect();
    Some(ProxyProtocol { from, deadline })
}

/// Who says whose requests are, and in which field.
fn forwarded_for(section: &mut Section<'_, '_>) -> Option<ForwardedFor> {
    let is_written = section.has("forwarded_for");
    let mut section = section.inner("forwarded_for", "listener.forwarded_for");
    let from = section.list("from", words::network);
    let fields = ForwardedField::ALL.iter().map(|field| (field.label(), *field));
    let fields: Vec<_> = fields.collect();
    let field = section.choice("field", &fields, ForwardedField::XForwardedFor);
    if is_written && from.as_ref().is_none_or(|from| from.value.is_empty()) {
        let span = section.span();
        section.note(
            &span,
            "from",
            "names nobody; write the networks of the proxies in front, such as [\"10.0.0.4\"]",
        );
    }
    section.finish();
    let from: Vec<_> = from?.value.into_iter().map(|at| at.value).collect();
    Some(ForwardedFor { from, field })
}

/// States names that several listeners have.
pub(super) fn tell_repeated(tables: &[ListenerTable], notes: &mut Diagnostics) {
    for (at, table) in tables.iter().enumerate() {
        let first = tables.iter().take(at).find(|other| other.name() == table.name());
        if let Some(first) = first {
            let line = notes.line(&first.name.span);
            let message = format!(
                "{:?} is the name of the listener at line {line} too; give each its own",
                table.name()
            );
            notes.add(&table.name.span, "listener.name", message);
        }
    }
}

/// States names that the policy asks for and no listener has.
pub(super) fn tell_unknown(names: &[Arc<str>], notes: &mut Diagnostics) {
    for (span, key, name) in std::mem::take(&mut notes.asked_listeners) {
        if names.iter().any(|known| **known == *name) {
            continue;
        }
        let known: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
        let message = format!(
            "there is no listener {name:?}; write a [[listener]] of this name, or one of {}",
            known.join(", ")
        );
        notes.add(&span, key, message);
    }
}
