//! Parents, in numbers.

use super::families::{Declared, counters, gauges, histograms};
use super::names;
use crate::dial::ParentOutcome;
use crate::report::config::ReportConfig;
use crate::report::event::{Event, Topic};
use crate::report::sink::Sink;
use prometheus::{HistogramVec, IntCounter, IntGaugeVec, Registry};

const SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Every family of parents. Their names are the operator's, so that there are as many series as were asked for.
#[derive(Debug)]
pub(super) struct ParentMetrics {
    asked: HistogramVec,
    up: IntGaugeVec,
    direct: IntCounter,
    parents: Declared,
}

impl ParentMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let none: [&str; 0] = [];
        Ok(Self {
            asked: histograms(registry, &names::PARENT_SECONDS, &SECONDS)?,
            up: gauges(registry, &names::PARENT_UP)?,
            direct: counters(registry, &names::PARENT_DIRECT)?.with_label_values(&none),
            parents: Declared::default(),
        })
    }

    /// Ends the series of parents that are gone.
    fn forget(&self) {
        self.parents.gone(|parent| {
            let _ = self.up.remove_label_values(parent);
            for outcome in ParentOutcome::ALL {
                let _ = self
                    .asked
                    .remove_label_values(&[parent, &[outcome.label()]].concat());
            }
        });
    }
}

impl Sink for ParentMetrics {
    fn topics(&self) -> &'static [Topic] {
        &[Topic::Connections, Topic::Process]
    }

    fn state(&self, event: &Event<'_>) {
        match event {
            Event::ParentAsked {
                parent,
                outcome,
                took,
            } => self
                .asked
                .with_label_values(&[parent, outcome.label()])
                .observe(took.as_secs_f64()),
            Event::ParentHealth { parent, is_well, .. } => {
                self.up.with_label_values(&[*parent]).set(i64::from(*is_well));
            }
            Event::WentDirect => self.direct.inc(),
            _ => {}
        }
    }

    fn declare(&self, config: &ReportConfig) {
        let known: Vec<Vec<String>> = self.parents.now();
        self.parents
            .declare(config.parents.iter().map(|parent| vec![parent.to_string()]));
        self.forget();
        for parent in &config.parents {
            for outcome in ParentOutcome::ALL {
                self.asked.with_label_values(&[&**parent, outcome.label()]);
            }
            // How one does that was there before is not forgotten.
            if !known.contains(&vec![parent.to_string()]) {
                self.up.with_label_values(&[&**parent]).set(1);
            }
        }
    }

    fn refresh(&self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::TextEncoder;
    use std::time::Duration;

    #[test]
    fn each_parent_has_its_numbers_for_as_long_as_it_is_configured() {
        let registry = Registry::new();
        let metrics = ParentMetrics::new(&registry).unwrap();
        let scrape = || {
            metrics.refresh();
            TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
        };
        let declare = |names: &[&str]| {
            metrics.declare(&ReportConfig {
                parents: names.iter().map(|name| (*name).into()).collect(),
                ..ReportConfig::default()
            });
        };
        assert!(!scrape().contains("parent="));
        declare(&["a", "b"]);
        assert!(scrape().contains("wsbump_parent_seconds_count{outcome=\"login\",parent=\"b\"} 0\n"));
        metrics.state(&Event::ParentAsked {
            parent: "a",
            outcome: ParentOutcome::Timeout,
            took: Duration::from_secs(5),
        });
        metrics.state(&Event::ParentHealth {
            parent: "a",
            is_well: false,
            why: "it is down",
        });
        metrics.state(&Event::WentDirect);
        declare(&["a"]);
        let text = scrape();
        for line in [
            "wsbump_parent_seconds_count{outcome=\"timeout\",parent=\"a\"} 1\n",
            "wsbump_parent_up{parent=\"a\"} 0\n",
            "wsbump_parent_direct_total 1\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("parent=\"b\""), "{text}");
        declare(&["b"]);
        declare(&["a"]);
        assert!(
            scrape().contains("wsbump_parent_up{parent=\"a\"} 1\n"),
            "it is another one"
        );
    }
}
