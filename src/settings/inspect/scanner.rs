//! Scanners, from what is written to what they are built from.

use super::raw::Scanner;
use crate::handshake::ServiceTls;
use crate::scan::{Endpoint, IcapConfig, IcapUrl, ScannerConfig, ScannerKind, Thresholds};
use crate::settings::problem::{Notes, nearest};
use crate::settings::trust::{own_certificate, roots_in};
use std::sync::Arc;

/// Where clamd listens if nothing else is said.
const CLAMD_PORT: u16 = 3310;

/// Every scanner in its order; what is wrong is stated.
pub(super) fn configs(
    written: &[Scanner],
    notes: &mut Notes,
    warnings: &mut Vec<String>,
) -> Vec<ScannerConfig> {
    let mut found: Vec<ScannerConfig> = Vec::new();
    for scanner in written {
        let name = &scanner.name.value;
        if found.iter().any(|other| other.name == *name) {
            let message = format!("there are two scanners named {name:?}; give each its own");
            notes.add(&scanner.name.span, "inspect.scanner.name", message);
        }
        let Some(url) = &scanner.url else { continue };
        let mut kind = match kind(&url.value) {
            Ok(kind) => kind,
            Err(message) => {
                notes.add(&url.span, "inspect.scanner.url", message);
                continue;
            }
        };
        if !icap(&mut kind, scanner, notes, warnings) {
            continue;
        }
        let config = ScannerConfig {
            deadline: scanner.deadline,
            on_failure: scanner.on_failure,
            concurrency: scanner.concurrency,
            max_size: usize::try_from(scanner.max_size).unwrap_or(usize::MAX),
            breaker: Thresholds {
                failures: scanner.breaker_failures,
                rest: scanner.breaker_rest.value,
            },
            ..ScannerConfig::new(name, kind)
        };
        for problem in config.problems() {
            let (key, span) = match problem.key {
                "breaker.rest" => ("breaker_rest", &scanner.breaker_rest.span),
                key => (key, &scanner.name.span),
            };
            notes.add(span, format!("inspect.scanner.{key}"), problem.message);
        }
        found.push(config);
    }
    found
}

/// What only ICAP has; says whether it can be connected to.
fn icap(kind: &mut ScannerKind, scanner: &Scanner, notes: &mut Notes, warnings: &mut Vec<String>) -> bool {
    let Scanner {
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
        if at.value {
            let at = notes.whereabouts(&at.span);
            warnings.push(format!(
                "{at}: inspect.scanner.tell_user: the proxy asks no client for a name, so there is none to tell"
            ));
        }
    }
    tls(config, scanner, notes, warnings)
}

/// How a server of `icaps://` is verified, and what it is shown; says whether that can be used.
fn tls(config: &mut IcapConfig, scanner: &Scanner, notes: &mut Notes, warnings: &mut Vec<String>) -> bool {
    if !config.wants_tls() {
        refuse_tls_keys(scanner, "this scanner has no icaps:// URL", notes);
        return true;
    }
    if let (Some(url), Some(at)) = (&config.respmod_url, &scanner.respmod_url)
        && url.is_tls() != config.url.is_tls()
    {
        let at = notes.whereabouts(&at.span);
        warnings.push(format!(
            "{at}: inspect.scanner.respmod_url: one direction goes by icaps:// and the other one unencrypted"
        ));
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
        let at = notes.whereabouts(&at.span);
        let about = |warning: &String| format!("{at}: inspect.scanner.cert: {warning}");
        warnings.extend(certificate.warnings().iter().map(about));
    }
    match ServiceTls::new(roots, certificate) {
        Ok(tls) => {
            config.tls = Some(Arc::new(tls));
            true
        }
        Err(error) => {
            let span = scanner.url.as_ref().and_then(|at| at.span.clone());
            let message = format!("{error}; name a file with the CA of the server: ca = \"...\"");
            notes.add(&span, "inspect.scanner.url", message);
            false
        }
    }
}

/// States that what is about TLS is of no use to this scanner.
fn refuse_tls_keys(scanner: &Scanner, why: &str, notes: &mut Notes) {
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
