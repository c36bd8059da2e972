//! The few events that an operator must see even if nobody reads metrics or the access log.

use crate::admit::{Claim, CredentialsJudged};
use crate::inspect::ScanOutcome;
use crate::report::act::OperatorAct;
use crate::report::event::{Event, Topic};
use crate::report::sink::Sink;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two lines about one scanner or one directory server: it may fail for every message.
const QUIET: Duration = Duration::from_secs(60);

/// Writes through `tracing`.
#[derive(Debug, Default)]
pub(super) struct OperationLog {
    /// By the scanner's name or the server's URL: its last line, and how many failures came behind it.
    told: Mutex<HashMap<String, (Instant, u64)>>,
    /// The same of logins that nobody can judge.
    undecided: Mutex<Option<(Instant, u64)>>,
}

impl OperationLog {
    /// Says why content could not be scanned.
    fn scanned(&self, scanner: &str, outcome: &ScanOutcome) {
        let ScanOutcome::Failed(reason) = outcome else {
            return;
        };
        if let Some(failures) = self.count(scanner, Instant::now()) {
            tracing::warn!(scanner, reason, failures, "content could not be scanned");
        }
    }

    /// Says why nobody can tell who clients are. Whose login it was is not said: the name is not verified.
    fn login(&self, judged: &CredentialsJudged<'_>) {
        let Claim::Undecided(why) = judged.claim else {
            return;
        };
        let mut undecided = self.undecided.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failures) = due(&mut undecided, Instant::now()) {
            let (reason, detail) = (why.label(), judged.detail.unwrap_or_default());
            tracing::warn!(reason, detail, failures, "it cannot be told who clients are");
        }
    }

    /// Counts a failure; if it is to be told, how many there were since the last that was.
    fn count(&self, scanner: &str, now: Instant) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match told.get_mut(scanner) {
            Some((last, untold)) => due_again(last, untold, now),
            None => {
                // Bounded: each has its name from the operator.
                told.insert(scanner.to_owned(), (now, 0));
                Some(1)
            }
        }
    }
}

/// Counts a failure of the one thing that `told` is of.
fn due(told: &mut Option<(Instant, u64)>, now: Instant) -> Option<u64> {
    match told {
        Some((last, untold)) => due_again(last, untold, now),
        None => {
            *told = Some((now, 0));
            Some(1)
        }
    }
}

fn due_again(last: &mut Instant, untold: &mut u64, now: Instant) -> Option<u64> {
    *untold += 1;
    if now.saturating_duration_since(*last) < QUIET {
        return None;
    }
    *last = now;
    Some(std::mem::take(untold))
}

impl Sink for OperationLog {
    /// Not for good: who wants that has an audit log.
    fn act(&self, act: &OperatorAct, _limit: Duration) -> Option<bool> {
        let (by, details) = (&act.by, serde_json::Value::from(act.details.clone()));
        match act.r#type {
            "view" => tracing::warn!(by, %details, "content is watched"),
            "view_ended" => tracing::info!(by, %details, "content is watched no longer"),
            "export" => tracing::warn!(by, %details, "content is kept by somebody"),
            "export_ended" => tracing::info!(by, %details, "what is kept has ended"),
            _ => tracing::warn!(by, %details, "an operator acts"),
        }
        None
    }

    fn topics(&self) -> &'static [Topic] {
        &[Topic::Process, Topic::Inspection, Topic::Logins]
    }

    fn state(&self, event: &Event<'_>) {
        match event {
            Event::AcceptFailed(error) => tracing::warn!(%error, "cannot accept a connection"),
            Event::Reloaded(Ok(())) => tracing::info!("configuration reloaded"),
            Event::Reloaded(Err(error)) => {
                tracing::error!(
                    error,
                    "configuration not reloaded; the previous one stays in force"
                );
            }
            Event::Login(judged) => self.login(judged),
            Event::DirectoryServerFailed {
                directory,
                server,
                why,
            } => {
                if let Some(failures) = self.count(server, Instant::now()) {
                    tracing::warn!(
                        directory,
                        server,
                        why,
                        failures,
                        "a server of the directory does not answer"
                    );
                }
            }
            Event::ParentHealth {
                parent,
                is_well: false,
                why,
            } => tracing::warn!(parent, why, "a parent has failed, and is left alone for a while"),
            Event::ParentHealth { parent, .. } => tracing::info!(parent, "a parent is well again"),
            Event::Scanned { scanner, outcome, .. } => self.scanned(scanner, outcome),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_of_each_scanner_is_told_at_once_and_then_one_a_minute() {
        let (log, start) = (OperationLog::default(), Instant::now());
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
        let mut told = None;
        assert_eq!(due(&mut told, start), Some(1));
        assert_eq!(due(&mut told, after(59)), None);
        assert_eq!(due(&mut told, after(60)), Some(2));
    }
}
