//! Scanners, from what is written to what they are built from.

use super::raw::Scanner;
use crate::scan::{Endpoint, IcapConfig, IcapUrl, ScannerConfig, ScannerKind};
use crate::settings::problem::{Notes, nearest};

/// Where clamd listens if nothing else is said.
const CLAMD_PORT: u16 = 3310;

/// Every scanner in its order; what is wrong is stated.
pub(super) fn configs(written: &[Scanner], notes: &mut Notes) -> Vec<ScannerConfig> {
    let mut found: Vec<ScannerConfig> = Vec::new();
    for scanner in written {
        let name = &scanner.name.value;
        if found.iter().any(|other| other.name == *name) {
            let message = format!("there are two scanners named {name:?}; give each its own");
            notes.add(&scanner.name.span, "inspect.scanner.name", message);
        }
        let Some(url) = &scanner.url else { continue };
        let kind = match kind(&url.value) {
            Ok(kind) => kind,
            Err(message) => {
                notes.add(&url.span, "inspect.scanner.url", message);
                continue;
            }
        };
        let config = ScannerConfig {
            deadline: scanner.deadline,
            on_failure: scanner.on_failure,
            concurrency: scanner.concurrency,
            max_size: usize::try_from(scanner.max_size).unwrap_or(usize::MAX),
            ..ScannerConfig::new(name, kind)
        };
        for problem in config.problems() {
            let key = format!("inspect.scanner.{}", problem.key);
            notes.add(&scanner.name.span, key, problem.message);
        }
        found.push(config);
    }
    found
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
