//! Look-ups and queries of DNS, in numbers.

use super::families::{counters, gauges, histograms};
use super::names;
use crate::dial::{LookUpOutcome, LookUpSource};
use crate::report::event::{Event, Topic};
use crate::report::sink::Sink;
use prometheus::{HistogramVec, IntCounterVec, IntGauge, Registry};

const QUERY_SECONDS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

/// Every family of DNS.
#[derive(Debug)]
pub(super) struct DnsMetrics {
    look_ups: IntCounterVec,
    queries: HistogramVec,
    entries: IntGauge,
}

impl DnsMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let none: [&str; 0] = [];
        let metrics = Self {
            look_ups: counters(registry, &names::DNS_LOOKUPS)?,
            queries: histograms(registry, &names::DNS_QUERY_SECONDS, &QUERY_SECONDS)?,
            entries: gauges(registry, &names::DNS_CACHE_ENTRIES)?.with_label_values(&none),
        };
        for outcome in LookUpOutcome::ALL {
            metrics.queries.with_label_values(&[outcome.label()]);
            for source in LookUpSource::ALL {
                metrics
                    .look_ups
                    .with_label_values(&[source.label(), outcome.label()]);
            }
        }
        Ok(metrics)
    }
}

impl Sink for DnsMetrics {
    fn topics(&self) -> &'static [Topic] {
        &[Topic::Connections]
    }

    fn state(&self, event: &Event<'_>) {
        match event {
            Event::LookedUp(source, outcome) => {
                self.look_ups
                    .with_label_values(&[source.label(), outcome.label()])
                    .inc();
            }
            Event::Queried { outcome, took, kept } => {
                self.queries
                    .with_label_values(&[outcome.label()])
                    .observe(took.as_secs_f64());
                self.entries.set(i64::try_from(*kept).unwrap_or(i64::MAX));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial::Failure;
    use std::time::Duration;

    #[test]
    fn look_ups_and_queries_are_counted_by_what_they_came_to() {
        let registry = Registry::new();
        let metrics = DnsMetrics::new(&registry).unwrap();
        let outcome = LookUpOutcome::Failed(Failure::NoSuchName);
        metrics.state(&Event::LookedUp(LookUpSource::Cache, outcome));
        metrics.state(&Event::Queried {
            outcome: LookUpOutcome::Ok,
            took: Duration::from_millis(3),
            kept: 5,
        });
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        for line in [
            "wsbump_dns_lookups_total{outcome=\"nxdomain\",source=\"cache\"} 1",
            "wsbump_dns_lookups_total{outcome=\"ok\",source=\"joined\"} 0",
            "wsbump_dns_query_seconds_bucket{outcome=\"ok\",le=\"0.0025\"} 0",
            "wsbump_dns_query_seconds_bucket{outcome=\"ok\",le=\"0.005\"} 1",
            "wsbump_dns_query_seconds_count{outcome=\"timeout\"} 0",
            "wsbump_dns_cache_entries 5",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}: {text}");
        }
    }
}
