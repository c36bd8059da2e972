//! Scanners outside of the process: clamd's INSTREAM, and ICAP services (RFC 3507).
//!
//! A scanner is asked for one whole message or body at a time, and it always answers within its deadline:
//! whatever goes wrong is [`crate::inspect::ScanOutcome::Failed`] with a text, and policy says what that means. At most
//! [`ScannerConfig::concurrency`] scans run at once, and a scanner that keeps failing is left alone for a while.
//!
//! Scanners are the operator's own hosts, named in the configuration: the addresses that clients may reach
//! through the proxy are no concern here. Their names are looked up at every connect, as those of origins are.

mod answer;
mod clamd;
mod config;
mod conversation;
mod endpoint;
mod guarded;
mod icap;
mod pool;
mod progress;
#[cfg(test)]
mod testing;

pub use crate::breaker::Thresholds;
pub use config::{ConfigProblem, IcapConfig, ScannerConfig, ScannerKind};
pub use endpoint::Endpoint;
pub use icap::IcapUrl;

use crate::dial::ServiceNames;
use crate::inspect::Scanner;
use guarded::Guarded;
use std::sync::Arc;

/// Makes the scanner. It does not connect before its first scan.
pub fn build(config: ScannerConfig, names: &ServiceNames) -> Arc<dyn Scanner> {
    Arc::new(Guarded::new(config, names))
}

/// A scanner with the configuration that it was built from.
#[derive(Debug, Clone)]
pub struct Built {
    /// What it was built from, to tell whether a reload changes it.
    pub config: ScannerConfig,
    /// What is asked.
    pub scanner: Arc<dyn Scanner>,
}

/// Builds each of `configs`. One whose configuration is the same as `before` is kept as it is, with its idle
/// connections, what it knows of its service, and what it remembers of failures.
pub fn rebuild(configs: Vec<ScannerConfig>, names: &ServiceNames, before: &[Built]) -> Vec<Built> {
    configs
        .into_iter()
        .map(
            |config| match before.iter().find(|built| built.config == config) {
                Some(built) => built.clone(),
                None => Built {
                    scanner: build(config.clone(), names),
                    config,
                },
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn clamd() -> ScannerConfig {
        let address = Endpoint::parse("/run/clamd.sock", 3310).unwrap();
        ScannerConfig::new("clamav", ScannerKind::Clamd { address })
    }

    #[test]
    fn a_reload_keeps_what_did_not_change() {
        let first = rebuild(vec![clamd()], &ServiceNames::default(), &[]);
        let slower = ScannerConfig {
            deadline: Duration::from_secs(11),
            ..clamd()
        };
        let second = rebuild(vec![slower, clamd()], &ServiceNames::default(), &first);
        assert!(Arc::ptr_eq(&second[1].scanner, &first[0].scanner));
        assert!(!Arc::ptr_eq(&second[0].scanner, &first[0].scanner));
        assert_eq!(second[0].scanner.name(), "clamav");
    }
}
