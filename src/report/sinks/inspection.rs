//! What inspection saw and did, in numbers.

use super::families::{Declared, counters, histograms};
use super::names;
use crate::inspect::{Action, Background, Blind, Judgement, ScanOutcome};
use crate::report::config::ReportConfig;
use crate::report::event::{Event, Topic};
use crate::report::sink::Sink;
use crate::wire::frame::Direction;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, Registry};
use std::time::Duration;

const SCAN_SECONDS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];
const KINDS: [&str; 2] = ["before", "after"];
const MODES: [(&str, bool); 2] = [("enforce", true), ("observe", false)];

/// Every family of inspection.
#[derive(Debug)]
pub(super) struct InspectionMetrics {
    findings: IntCounterVec,
    rules: Declared,
    scanners: Declared,
    blind: IntCounterVec,
    /// Told for each message: the handles are kept.
    compressed: IntCounter,
    plain: IntCounter,
    reframed: IntCounterVec,
    reframed_bytes: IntCounterVec,
    background: IntCounterVec,
    invalid_utf8: IntCounterVec,
    scans: HistogramVec,
}

impl InspectionMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let inflated = counters(registry, &names::INSPECT_INFLATED)?;
        let metrics = Self {
            findings: counters(registry, &names::INSPECT_FINDINGS)?,
            rules: Declared::default(),
            scanners: Declared::default(),
            blind: counters(registry, &names::INSPECT_BLIND)?,
            compressed: inflated.with_label_values(&["compressed"]),
            plain: inflated.with_label_values(&["plain"]),
            reframed: counters(registry, &names::INSPECT_REFRAMED)?,
            reframed_bytes: counters(registry, &names::INSPECT_REFRAMED_BYTES)?,
            background: counters(registry, &names::INSPECT_BACKGROUND_SCANS)?,
            invalid_utf8: counters(registry, &names::INSPECT_INVALID_UTF8)?,
            scans: histograms(registry, &names::INSPECT_SCAN_SECONDS, &SCAN_SECONDS)?,
        };
        for why in Blind::ALL {
            for stopped in ["false", "true"] {
                metrics.blind.with_label_values(&[why.label(), stopped]);
            }
        }
        for direction in Direction::ALL {
            metrics.reframed.with_label_values(&[direction.label()]);
            for kind in KINDS {
                metrics
                    .reframed_bytes
                    .with_label_values(&[direction.label(), kind]);
            }
            metrics.invalid_utf8.with_label_values(&[direction.label()]);
        }
        for what in Background::ALL {
            metrics.background.with_label_values(&[what.label()]);
        }
        Ok(metrics)
    }

    /// Ends the series of rules and scanners that are gone.
    fn forget(&self) {
        self.rules.gone(|rule| {
            // Whatever it has done in its time; where a series has ended already there is none.
            for action in Action::LABELS {
                for (mode, _) in MODES {
                    let _ = self
                        .findings
                        .remove_label_values(&[rule, &[action, mode]].concat());
                }
            }
        });
        self.scanners.gone(|scanner| {
            for outcome in ScanOutcome::LABELS {
                let _ = self.scans.remove_label_values(&[scanner, &[outcome]].concat());
            }
        });
    }

    /// Lets these rules' findings start at zero.
    fn declare_rules(&self, rules: &[(String, &'static str)]) {
        for (rule, action) in rules {
            debug_assert!(Action::LABELS.contains(action));
            for (mode, _) in MODES {
                self.findings.with_label_values(&[rule.as_str(), *action, mode]);
            }
        }
    }

    /// Lets these scanners' scans start at zero.
    fn declare_scanners(&self, scanners: &[String]) {
        for scanner in scanners {
            for outcome in ScanOutcome::LABELS {
                self.scans.with_label_values(&[scanner, outcome]);
            }
        }
    }

    fn judged(&self, judgement: &Judgement) {
        for finding in &judgement.findings {
            let mode = MODES
                .into_iter()
                .find(|(_, enforced)| *enforced == finding.enforced);
            let mode = mode.map_or("observe", |(mode, _)| mode);
            // Bounded: a rule has its name from the operator.
            self.findings
                .with_label_values(&[&*finding.rule, finding.action, mode])
                .inc();
        }
    }

    fn blind(&self, why: Blind, stopped: bool) {
        let stopped = if stopped { "true" } else { "false" };
        self.blind.with_label_values(&[why.label(), stopped]).inc();
    }

    fn invalid_utf8(&self, direction: Direction) {
        self.invalid_utf8.with_label_values(&[direction.label()]).inc();
    }

    fn reframed(&self, direction: Direction, before: u64, after: u64) {
        self.reframed.with_label_values(&[direction.label()]).inc();
        for (kind, bytes) in KINDS.into_iter().zip([before, after]) {
            self.reframed_bytes
                .with_label_values(&[direction.label(), kind])
                .inc_by(bytes);
        }
    }

    fn background(&self, what: Background) {
        self.background.with_label_values(&[what.label()]).inc();
    }

    fn inflated(&self, compressed: u64, plain: u64) {
        self.compressed.inc_by(compressed);
        self.plain.inc_by(plain);
    }

    fn scanned(&self, scanner: &str, outcome: &ScanOutcome, took: Duration) {
        self.scans
            .with_label_values(&[scanner, outcome.label()])
            .observe(took.as_secs_f64());
    }
}

impl Sink for InspectionMetrics {
    fn topics(&self) -> &'static [Topic] {
        &[Topic::Inspection]
    }

    fn state(&self, event: &Event<'_>) {
        match event {
            Event::Judged { judgement, .. } => self.judged(judgement),
            Event::Blind { why, stopped, .. } => self.blind(*why, *stopped),
            Event::InvalidUtf8(direction) => self.invalid_utf8(*direction),
            Event::Reframed {
                direction,
                before,
                after,
            } => self.reframed(*direction, *before, *after),
            Event::Inflated { compressed, plain } => self.inflated(*compressed, *plain),
            Event::Scanned {
                scanner,
                outcome,
                took,
            } => self.scanned(scanner, outcome, *took),
            Event::Background(what) => self.background(*what),
            _ => {}
        }
    }

    fn refresh(&self) {
        self.forget();
    }

    fn declare(&self, config: &ReportConfig) {
        self.rules
            .declare(config.rules.iter().map(|(rule, _)| vec![rule.clone()]));
        self.scanners
            .declare(config.scanners.iter().map(|scanner| vec![scanner.clone()]));
        self.forget();
        self.declare_rules(&config.rules);
        self.declare_scanners(&config.scanners);
    }
}
