//! The file as it is written: syntax, types and words are checked here, nothing is opened or resolved.

use super::inspect::Inspect;
use super::problem::{Notes, Span};
use super::reader::{At, Section};
use super::record::Record;
use super::words::{address, level, name, network};
use crate::decide::OtherUpgrade;
use crate::decide::hosts::Format;
use crate::decide::policy::Unknown;
use crate::journey::{Limits, Timeouts};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeTable;

/// The whole file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct File {
    pub listen: Listen,
    pub ca: Ca,
    pub origin: Origin,
    pub network: Network,
    pub lists: Vec<List>,
    pub policy: Policy,
    pub inspect: Inspect,
    pub record: Record,
    pub timeouts: Timeouts,
    pub limits: Limits,
    pub leaf_cache: LeafCache,
    pub log: Log,
}

/// `[listen]`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listen {
    pub proxy: At<Vec<At<SocketAddr>>>,
    pub tls: At<Vec<At<SocketAddr>>>,
    pub cert: Option<At<PathBuf>>,
    pub key: Option<At<PathBuf>>,
    pub admin: At<Vec<At<SocketAddr>>>,
}

/// `[ca]`
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Ca {
    pub cert: Option<At<PathBuf>>,
    pub key: Option<At<PathBuf>>,
}

/// `[origin]`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Origin {
    pub system_roots: bool,
    pub extra_roots: Vec<At<String>>,
    pub via: bool,
}

/// `[network]`
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Network {
    pub allow: Vec<At<IpNet>>,
    pub deny: Vec<At<IpNet>>,
    /// Names and their fixed addresses.
    pub hosts: Vec<(At<String>, Vec<String>)>,
}

/// One `[[list]]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct List {
    pub name: At<String>,
    /// Absent only where its absence has been stated.
    pub file: Option<At<PathBuf>>,
    pub format: Format,
    pub ignore_case: bool,
}

/// `[policy]`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Policy {
    pub deny: Vec<At<String>>,
    pub splice: Vec<At<String>>,
    pub allow_invalid_certificate: Vec<At<String>>,
    pub only_http1: Vec<At<String>>,
    pub without_via: Vec<At<String>>,
    pub unknown_protocol: Unknown,
    pub other_upgrades: OtherUpgrade,
}

/// The leaf cache's part of `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeafCache {
    pub entries: usize,
    pub lifetime: Duration,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Log {
    pub access: At<String>,
    pub audit: At<String>,
    pub audit_excerpts: bool,
    pub audit_sample: usize,
    pub audit_rotate: u64,
    pub audit_keep: usize,
    pub level: At<String>,
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

impl Default for File {
    fn default() -> Self {
        Self {
            listen: Listen {
                proxy: vec![loopback(3128).into()].into(),
                tls: Vec::new().into(),
                cert: None,
                key: None,
                admin: vec![loopback(9128).into()].into(),
            },
            ca: Ca::default(),
            origin: Origin {
                system_roots: true,
                extra_roots: Vec::new(),
                via: true,
            },
            network: Network::default(),
            lists: Vec::new(),
            policy: Policy {
                deny: Vec::new(),
                splice: Vec::new(),
                allow_invalid_certificate: Vec::new(),
                only_http1: Vec::new(),
                without_via: Vec::new(),
                unknown_protocol: Unknown::Refuse,
                other_upgrades: OtherUpgrade::Strip,
            },
            inspect: Inspect::default(),
            record: Record::default(),
            timeouts: Timeouts {
                request_head: Duration::from_secs(30),
                peek: Duration::from_secs(5),
                dns: Duration::from_secs(5),
                dial: Duration::from_secs(10),
                handshake: Duration::from_secs(10),
                response: Duration::from_secs(5 * 60),
                http_idle: Duration::from_secs(2 * 60),
                websocket_idle: Duration::from_secs(3600),
                tunnel_idle: Duration::from_secs(3600),
                drain: Duration::from_secs(30),
            },
            limits: Limits {
                connections: 10_000,
                header_bytes: 64 << 10,
            },
            leaf_cache: LeafCache {
                entries: 10_000,
                lifetime: Duration::from_secs(24 * 3600),
            },
            log: Log {
                access: "stdout".to_owned().into(),
                audit: "off".to_owned().into(),
                audit_excerpts: true,
                audit_sample: 1,
                audit_rotate: 0,
                audit_keep: 5,
                level: "info".to_owned().into(),
            },
        }
    }
}

impl File {
    /// Reads `text`; what is wrong goes to `notes`, and its default stands in.
    pub(super) fn parse(text: &str, notes: &mut Notes) -> Self {
        let (document, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Self::read(Some(document.get_ref()), notes, false);
        }
        // Keys cannot be told from the debris of a syntax error, so the rest waits until TOML can be read.
        for error in errors {
            notes.add(
                &error.span().or(Some(0..0)),
                "",
                format!("not TOML: {}", error.message()),
            );
        }
        Self::default()
    }

    fn read(document: Option<&DeTable<'_>>, notes: &mut Notes, probe: bool) -> Self {
        let default = Self::default();
        let mut root = Section::root(document, notes);
        let file = Self {
            listen: Listen::read(root.table("listen"), default.listen),
            ca: Ca::read(root.table("ca")),
            origin: Origin::read(root.table("origin"), default.origin),
            network: Network::read(root.table("network")),
            lists: root.tables("list", "list", probe, List::read),
            policy: Policy::read(root.table("policy"), default.policy),
            inspect: Inspect::read(root.table("inspect"), probe),
            record: Record::read(root.table("record")),
            timeouts: read_timeouts(root.table("timeouts"), default.timeouts),
            log: Log::read(root.table("log"), default.log),
            ..read_limits(root.table("limits"))
        };
        root.finish();
        file
    }
}

/// Every key that a file may have, as `section.key`.
pub(super) fn known_keys() -> Vec<String> {
    let mut notes = Notes::default();
    File::read(None, &mut notes, true);
    notes.keys
}

impl Listen {
    fn read(mut section: Section<'_, '_>, default: Self) -> Self {
        let read = Self {
            proxy: section.list("proxy", address).unwrap_or(default.proxy),
            tls: section.list("tls", address).unwrap_or(default.tls),
            cert: section.path_to("cert"),
            key: section.path_to("key"),
            admin: section.list("admin", address).unwrap_or(default.admin),
        };
        section.finish();
        read
    }
}

impl Ca {
    fn read(mut section: Section<'_, '_>) -> Self {
        let read = Self {
            cert: section.path_to("cert"),
            key: section.path_to("key"),
        };
        section.finish();
        read
    }
}

impl Origin {
    fn read(mut section: Section<'_, '_>, default: Self) -> Self {
        let read = Self {
            system_roots: section.flag("system_roots", default.system_roots),
            extra_roots: section.texts("extra_roots"),
            via: section.flag("via", default.via),
        };
        section.finish();
        read
    }
}

impl Network {
    fn read(mut section: Section<'_, '_>) -> Self {
        let mut nets = |key| {
            section
                .list(key, network)
                .map(|list| list.value)
                .unwrap_or_default()
        };
        let read = Self {
            allow: nets("allow"),
            deny: nets("deny"),
            hosts: section.map("hosts"),
        };
        section.finish();
        read
    }
}

impl List {
    fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let name = section.read("name", |value| match value.as_str() {
            Some(text) => name(text, "list"),
            None => Err(format!("is of type {}; write a name in quotes", value.type_str())),
        });
        let file = section.path_to("file");
        let formats = [("url_regex", Format::UrlRegex), ("domains", Format::Domains)];
        let format = section.choice("format", &formats, Format::UrlRegex);
        let ignore_case = section.flag("ignore_case", true);
        for key in ["name", "file"] {
            if !section.has(key) {
                let span: Span = section.span();
                section.note(
                    &span,
                    key,
                    format!("is missing; each [[list]] needs {key} = \"...\""),
                );
            }
        }
        Some(Self {
            name: name?,
            file,
            format,
            ignore_case,
        })
    }
}

impl Policy {
    fn read(mut section: Section<'_, '_>, default: Self) -> Self {
        let unknown = [("refuse", Unknown::Refuse), ("tunnel", Unknown::Tunnel)];
        let upgrades = [
            ("strip", OtherUpgrade::Strip),
            ("tunnel", OtherUpgrade::Tunnel),
            ("refuse", OtherUpgrade::Refuse),
        ];
        let read = Self {
            deny: section.texts("deny"),
            splice: section.texts("splice"),
            allow_invalid_certificate: section.texts("allow_invalid_certificate"),
            only_http1: section.texts("only_http1"),
            without_via: section.texts("without_via"),
            unknown_protocol: section.choice("unknown_protocol", &unknown, default.unknown_protocol),
            other_upgrades: section.choice("other_upgrades", &upgrades, default.other_upgrades),
        };
        section.finish();
        read
    }
}

fn read_timeouts(mut section: Section<'_, '_>, default: Timeouts) -> Timeouts {
    let read = Timeouts {
        request_head: section.duration("request_head", default.request_head),
        peek: section.duration("peek", default.peek),
        dns: section.duration("dns", default.dns),
        dial: section.duration("dial", default.dial),
        handshake: section.duration("handshake", default.handshake),
        response: section.duration("response", default.response),
        http_idle: section.duration("http_idle", default.http_idle),
        websocket_idle: section.duration("websocket_idle", default.websocket_idle),
        tunnel_idle: section.duration("tunnel_idle", default.tunnel_idle),
        drain: section.duration("drain", default.drain),
    };
    section.finish();
    read
}

fn read_limits(mut section: Section<'_, '_>) -> File {
    let default = File::default();
    let limits = Limits {
        connections: section.number("connections", 1..=10_000_000, default.limits.connections),
        header_bytes: section.number("header_bytes", 8 << 10..=16 << 20, default.limits.header_bytes),
    };
    let leaf_cache = LeafCache {
        entries: section.number("leaf_cache_entries", 1..=10_000_000, default.leaf_cache.entries),
        lifetime: section.duration("leaf_cache_lifetime", default.leaf_cache.lifetime),
    };
    section.finish();
    File {
        limits,
        leaf_cache,
        ..default
    }
}

impl Log {
    fn read(mut section: Section<'_, '_>, default: Self) -> Self {
        let read = Self {
            access: section.text("access").unwrap_or(default.access),
            audit: section.text("audit").unwrap_or(default.audit),
            audit_excerpts: section.flag("audit_excerpts", default.audit_excerpts),
            audit_sample: section.number("audit_sample", 1..=1_000_000, default.audit_sample),
            audit_rotate: section
                .size("audit_rotate", 0..=1 << 40)
                .unwrap_or(default.audit_rotate),
            audit_keep: section.number("audit_keep", 0..=1000, default.audit_keep),
            level: section
                .read("level", |value| {
                    let text = value.as_str().unwrap_or_default();
                    level(text).map(|()| text.to_owned())
                })
                .unwrap_or(default.level),
        };
        section.finish();
        read
    }
}
