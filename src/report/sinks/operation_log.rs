//! The few events that an operator must see even if nobody reads metrics or the access log.

use crate::inspect::ScanOutcome;
use crate::report::Event;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Writes through `tracing`.
#[derive(Debug)]
pub(in crate::report) struct OperationLog;

impl OperationLog {
    pub(super) fn state(&self, event: &Event<'_>) {
        match event {
            Event::AcceptFailed(error) => tracing::warn!(%error, "cannot accept a connection"),
            Event::Http1Fallback { host } => tracing::warn!(
                host,
                "spoken to over HTTP/1.1 for an hour: what is said over HTTP/2 cannot be passed on"
            ),
            Event::Reloaded(Ok(())) => tracing::info!("configuration reloaded"),
            Event::Reloaded(Err(error)) => {
                tracing::error!(
                    error,
                    "configuration not reloaded; the previous one stays in force"
                );
            }
            _ => {}
        }
    }
}

/// The least time between two lines about one scanner: it may fail for every message.
const QUIET: Duration = Duration::from_secs(60);

/// Says why content could not be scanned.
#[derive(Debug, Default)]
pub(in crate::report) struct ScanLog {
    /// By the scanner's name: its last line, and how many failures came behind it.
    told: Mutex<HashMap<String, (Instant, u64)>>,
}

impl ScanLog {
    pub(in crate::report) fn scanned(&self, scanner: &str, outcome: &ScanOutcome) {
        let ScanOutcome::Failed(reason) = outcome else {
            return;
        };
        if let Some(failures) = self.count(scanner, Instant::now()) {
            tracing::warn!(scanner, reason, failures, "content could not be scanned");
        }
    }

    /// Counts a failure; if it is to be told, how many there were since the last that was.
    fn count(&self, scanner: &str, now: Instant) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((last, untold)) = told.get_mut(scanner) else {
            // Bounded: a scanner has its name from the operator.
            told.insert(scanner.to_owned(), (now, 0));
            return Some(1);
        };
        *untold += 1;
        if now.saturating_duration_since(*last) < QUIET {
            return None;
        }
        *last = now;
        Some(std::mem::take(untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_of_each_scanner_is_told_at_once_and_then_one_a_minute() {
        let (log, start) = (ScanLog::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(log.count("a", start), Some(1));
        assert_eq!(log.count("a", start), None);
        assert_eq!(log.count("b", after(1)), Some(1));
        assert_eq!(log.count("a", after(59)), None);
        assert_eq!(
            log.count("a", after(60)),
            Some(3),
            "with those that were not told"
        );
        assert_eq!(log.count("b", after(60)), None);
        assert_eq!(log.count("a", after(119)), None);
        assert_eq!(log.count("a", after(500)), Some(2));
    }
}
