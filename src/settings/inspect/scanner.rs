//! Scanners, from what is written to what they are built from.

use super::raw::Scanner;
use crate::scan::{Endpoint, IcapConfig, IcapUrl, ScannerConfig, ScannerKind, Thresholds};
use crate::settings::problem::{Notes, nearest};

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
        icap(&mut kind, scanner, notes, warnings);
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

/// What only ICAP has.
fn icap(kind: &mut ScannerKind, scanner: &Scanner, notes: &mut Notes, warnings: &mut Vec<String>) {
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
        return;
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
    let advice = match nearest(scheme, ["clamd", "clamd+unix", "icap"]) {
        Some(near) => format!("did you mean {near:?}? "),
        None => String::new(),
    };
    Err(format!(
        "{url:?} is no scanner; {advice}Write clamd://HOST:PORT, clamd+unix:/PATH or icap://HOST:PORT/SERVICE"
    ))
}
