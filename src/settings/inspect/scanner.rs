//! Scanners, from their tables to what they are built from.

use crate::handshake::ServiceTls;
use crate::inspect::OnFailure;
use crate::scan::{Endpoint, IcapConfig, IcapUrl, ScannerConfig, ScannerKind, Thresholds};
use crate::settings::certificates::{own_certificate, roots_in};
use crate::settings::problem::{Diagnostics, FileSpan, nearest};
use crate::settings::reader::{At, Section};
use crate::settings::words::{self, FAILURES};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where clamd listens if nothing else is said.
const CLAMD_PORT: u16 = 3310;

/// One `[[inspect.scanner]]` as written.
#[derive(Debug)]
pub(super) struct ScannerTable {
    pub name: At<String>,
    /// The scanner, but for what only ICAP has; absent only where the URL's absence or mistake has been stated.
    config: Option<ScannerConfig>,
    url: FileSpan,
    breaker_rest: FileSpan,
    respmod_url: Option<At<String>>,
    /// Absent where it is not written: the protocol then says whether it is.
    tell_client_ip: Option<At<bool>>,
    tell_user: Option<At<bool>>,
    ca: Option<At<PathBuf>>,
    cert: Option<At<PathBuf>>,
    key: Option<At<PathBuf>>,
    standby: Vec<At<String>>,
}

impl ScannerTable {
    /// Reads one table; without a name there is no scanner, which is stated.
    pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let name = section.read("name", |value| match value.as_str() {
            Some(text) => words::name(text, "scanner"),
            None => Err(format!("is of type {}; write a name in quotes", value.type_str())),
        });
        let kind = section.parsed("url", kind);
        for key in ["name", "url"] {
            if !section.has(key) {
                let span = section.span();
                section.note(
                    &span,
                    key,
                    format!("is missing; each [[inspect.scanner]] needs {key} = \"...\""),
                );
            }
        }
        let deadline = section.duration("deadline", Duration::from_secs(5));
        let on_failure = section.choice("on_failure", &FAILURES, OnFailure::Pass);
        let concurrency = section.number("concurrency", 1..=1024, 16);
        let max_size = section.size("max_size", 1..=u64::from(u32::MAX));
        let failures = section.number("breaker_failures", 1..=1_000_000, 5);
        let rest = section.duration_at("breaker_rest", Duration::from_secs(10));
        let url = kind.as_ref().and_then(|at| at.span.clone());
        let config = |name: &str| {
            Some(ScannerConfig {
                name: name.to_owned(),
                kind: kind?.value,
                deadline,
                on_failure,
                concurrency,
                max_size: usize::try_from(max_size.unwrap_or(25 << 20)).unwrap_or(usize::MAX),
                breaker: Thresholds {
                    failures: u32::try_from(failures).unwrap_or(u32::MAX),
                    rest: rest.value,
                },
                standby: Vec::new(),
            })
        };
        let (respmod_url, tell_client_ip) =
            (section.text("respmod_url"), section.flag_if_any("tell_client_ip"));
        let tell_user = section.flag_if_any("tell_user");
        let (ca, cert, key) = (
            section.path_to("ca"),
            section.path_to("cert"),
            section.path_to("key"),
        );
        let standby = section.texts("standby");
        let name = name?;
        Some(Self {
            config: config(&name.value),
            name,
            url,
            breaker_rest: rest.span,
            respmod_url,
            tell_client_ip,
            tell_user,
            ca,
            cert,
            key,
            standby,
        })
    }
}

/// Every scanner in its order; what is wrong is stated.
pub(super) fn configs(
    tables: Vec<ScannerTable>,
    asks_names: bool,
    notes: &mut Diagnostics,
) -> Vec<ScannerConfig> {
    let mut found: Vec<ScannerConfig> = Vec::new();
    let names: Vec<_> = tables.iter().map(|table| table.name.value.clone()).collect();
    for mut table in tables {
        let name = &table.name.value;
        if found.iter().any(|other| other.name == *name) {
            let message = format!("there are two scanners named {name:?}; give each its own");
            notes.add(&table.name.span, "inspect.scanner.name", message);
        }
        let Some(mut config) = table.config.take() else {
            continue;
        };
        if let (false, Some(at)) = (asks_names, table.tell_user.as_ref().filter(|at| at.value)) {
            let warning = "there is no name to tell: without [auth] nobody is asked who they are";
            notes.warn_at(&at.span, "inspect.scanner.tell_user", warning);
        }
        if !icap(&mut config.kind, &table, notes) {
            continue;
        }
        config.standby = standby(&table, &names, notes);
        for problem in config.problems() {
            let (key, span) = match problem.key {
                "breaker.rest" => ("breaker_rest", &table.breaker_rest),
                key => (key, &table.name.span),
            };
            notes.add(span, format!("inspect.scanner.{key}"), problem.message);
        }
        found.push(config);
    }
    found
}

/// The scanners that stand in for one, each of which has to be another one that is there.
fn standby(table: &ScannerTable, names: &[String], notes: &mut Diagnostics) -> Vec<String> {
    const KEY: &str = "inspect.scanner.standby";
    for at in &table.standby {
        let message = if at.value == table.name.value {
            "is the scanner itself; name others".to_owned()
        } else if names.contains(&at.value) {
            continue;
        } else {
            let advice = match nearest(&at.value, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("write an [[inspect.scanner]] with name = {:?}", at.value),
            };
            format!("there is no scanner named {:?}; {advice}", at.value)
        };
        notes.add(&at.span, KEY, message);
    }
    table.standby.iter().map(|at| at.value.clone()).collect()
}

/// What only ICAP has; says whether it can be connected to.
fn icap(kind: &mut ScannerKind, scanner: &ScannerTable, notes: &mut Diagnostics) -> bool {
    let ScannerTable {
        respmod_url,
        tell_client_ip,
        tell_user,
        ..
    } = scanner;
    let ScannerKind::Icap(config) = kind else {
        for (key, span) in [
            ("respmod_url", respmod_url.as_ref().map(|at| &at.span)),
            ("tell_client_ip", tell_client_ip.as_ref().map(|at| &at.span)),
            ("tell_user", tell_user.as_ref().map(|at| &at.span)),
        ] {
            if let Some(span) = span {
                let message =
                    "is for ICAP, and this scanner is a clamd, which is told the content only; leave it out";
                notes.add(span, format!("inspect.scanner.{key}"), message);
            }
        }
        refuse_tls_keys(scanner, "this scanner is a clamd, which has no TLS", notes);
        return true;
    };
    if let Some(at) = respmod_url {
        match IcapUrl::parse(&at.value) {
            Ok(url) => config.respmod_url = Some(url),
            Err(message) => notes.add(&at.span, "inspect.scanner.respmod_url", message),
        }
    }
    if let Some(at) = tell_client_ip {
        config.tell_client_ip = at.value;
    }
    if let Some(at) = tell_user {
        config.tell_user = at.value;
    }
    tls(config, scanner, notes)
}

/// How a server of `icaps://` is verified, and what it is shown; says whether that can be used.
fn tls(config: &mut IcapConfig, scanner: &ScannerTable, notes: &mut Diagnostics) -> bool {
    if !config.wants_tls() {
        refuse_tls_keys(scanner, "this scanner has no icaps:// URL", notes);
        return true;
    }
    if let (Some(url), Some(at)) = (&config.respmod_url, &scanner.respmod_url)
        && url.is_tls() != config.url.is_tls()
    {
        let warning = "one direction goes by icaps:// and the other one unencrypted";
        notes.warn_at(&at.span, "inspect.scanner.respmod_url", warning);
    }
    let before = notes.problems.len();
    let roots = scanner
        .ca
        .as_ref()
        .map(|at| roots_in(&at.value, &at.span, "inspect.scanner.ca", notes));
    let certificate = own_certificate(
        ("inspect.scanner.cert", scanner.cert.as_ref()),
        ("inspect.scanner.key", scanner.key.as_ref()),
        notes,
    );
    if notes.problems.len() > before {
        return false;
    }
    if let (Some(certificate), Some(at)) = (&certificate, &scanner.cert) {
        for warning in certificate.warnings() {
            notes.warn_at(&at.span, "inspect.scanner.cert", warning);
        }
    }
    match ServiceTls::new(roots, certificate) {
        Ok(tls) => {
            config.tls = Some(Arc::new(tls));
            true
        }
        Err(error) => {
            let message = format!("{error}; name a file with the CA of the server: ca = \"...\"");
            notes.add(&scanner.url, "inspect.scanner.url", message);
            false
        }
    }
}

/// States that what is about TLS is of no use to this scanner.
fn refuse_tls_keys(scanner: &ScannerTable, why: &str, notes: &mut Diagnostics) {
    for (key, at) in [
        ("ca", &scanner.ca),
        ("cert", &scanner.cert),
        ("key", &scanner.key),
    ] {
        if let Some(at) = at {
            let message = format!("is for icaps://, and {why}; leave it out");
            notes.add(&at.span, format!("inspect.scanner.{key}"), message);
        }
    }
}

/// What a URL says of the scanner behind it.
fn kind(url: &str) -> Result<ScannerKind, String> {
    let clamd = |text: &str| Endpoint::parse(text, CLAMD_PORT).map(|address| ScannerKind::Clamd { address });
    if let Some(address) = url.strip_prefix("clamd://") {
        return clamd(address).map_err(|_| {
            format!("{url:?} names no clamd; write clamd://HOST:PORT, such as clamd://127.0.0.1:3310")
        });
    }
    if let Some(path) = url.strip_prefix("clamd+unix:") {
        return clamd(&format!("unix:{path}"));
    }
    let scheme = url.split(':').next().unwrap_or_default();
    if scheme == "icap" || scheme == "icaps" {
        return IcapUrl::parse(url).map(|url| ScannerKind::Icap(IcapConfig::new(url)));
    }
    let advice = match nearest(scheme, ["clamd", "clamd+unix", "icap", "icaps"]) {
        Some(near) => format!("did you mean {near:?}? "),
        None => String::new(),
    };
    Err(format!(
        "{url:?} is no scanner; {advice}Write clamd://HOST:PORT, clamd+unix:/PATH, icap://HOST:PORT/SERVICE or \
         icaps://HOST:PORT/SERVICE"
    ))
}
