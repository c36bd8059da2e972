//! The numbers of the policy's rules.

use super::families::{Declared, counters};
use super::names;
use crate::report::config::ReportConfig;
use crate::report::event::{Event, Topic};
use crate::report::sink::Sink;
use prometheus::{IntCounterVec, Registry};

/// Verdicts by rule.
#[derive(Debug)]
pub(super) struct PolicyMetrics {
    verdicts: IntCounterVec,
    rules: Declared,
}

const fn mode(is_observed: bool) -> &'static str {
    if is_observed { "observe" } else { "enforce" }
}

impl PolicyMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            verdicts: counters(registry, &names::POLICY_VERDICTS)?,
            rules: Declared::default(),
        })
    }

    /// Ends the series of rules that are gone.
    fn forget(&self) {
        self.rules.gone(|labels| {
            let _ = self.verdicts.remove_label_values(labels);
        });
    }

    /// Bounded: a rule has its name from the operator.
    fn count(&self, rule: &str, is_observed: bool) {
        self.verdicts.with_label_values(&[rule, mode(is_observed)]).inc();
    }
}

impl Sink for PolicyMetrics {
    fn topics(&self) -> &'static [Topic] {
        &[Topic::Connections]
    }

    fn state(&self, event: &Event<'_>) {
        match event {
            Event::Decided(verdict) => {
                if let Some(rule) = &verdict.rule {
                    self.count(rule, false);
                }
            }
            Event::RuleReached(rule) => self.count(rule, false),
            Event::PolicyObserved { observed, .. } => self.count(&observed.rule, true),
            _ => {}
        }
    }

    fn declare(&self, config: &ReportConfig) {
        let labels = |(rule, is_observed): &(String, bool)| vec![rule.clone(), mode(*is_observed).to_owned()];
        self.rules.declare(config.policy_rules.iter().map(labels));
        self.forget();
        for (rule, is_observed) in &config.policy_rules {
            self.verdicts
                .with_label_values(&[rule.as_str(), mode(*is_observed)]);
        }
    }

    fn refresh(&self) {
        self.forget();
    }
}
