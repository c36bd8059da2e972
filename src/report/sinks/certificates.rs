//! The numbers of certificates: what is known of origins' chains, and the CA that signs.

use super::families::{counters, gauges, histograms};
use super::names;
use crate::handshake::{FetchOutcome, Revocation};
use crate::report::event::{Event, Topic};
use crate::report::sink::Sink;
use prometheus::{HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry};
use std::time::UNIX_EPOCH;

const FETCH_SECONDS: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
const CRL_SECONDS: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

/// Every family of this sink.
#[derive(Debug)]
pub(super) struct CertificateMetrics {
    fetches: HistogramVec,
    revocation: IntCounterVec,
    crl_fetches: HistogramVec,
    crls: IntGaugeVec,
    ca_not_after: IntGauge,
}

impl CertificateMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let none: [&str; 0] = [];
        let metrics = Self {
            fetches: histograms(registry, &names::INTERMEDIATE_FETCH_SECONDS, &FETCH_SECONDS)?,
            revocation: counters(registry, &names::REVOCATION_CHECKS)?,
            crl_fetches: histograms(registry, &names::CRL_FETCH_SECONDS, &CRL_SECONDS)?,
            crls: gauges(registry, &names::CRL_NEXT_UPDATE)?,
            ca_not_after: gauges(registry, &names::CA_NOT_AFTER)?.with_label_values(&none),
        };
        for outcome in FetchOutcome::ALL {
            metrics.fetches.with_label_values(&[outcome.label()]);
            metrics.crl_fetches.with_label_values(&[outcome.label()]);
        }
        for known in Revocation::ALL {
            metrics.revocation.with_label_values(&[known.label()]);
        }
        Ok(metrics)
    }
}

impl Sink for CertificateMetrics {
    fn topics(&self) -> &'static [Topic] {
        &[Topic::Process, Topic::Connections]
    }

    fn state(&self, event: &Event<'_>) {
        match event {
            Event::IntermediateFetched(outcome, took) => {
                let fetches = self.fetches.with_label_values(&[outcome.label()]);
                fetches.observe(took.as_secs_f64());
            }
            Event::CrlFetched(outcome, took) => {
                let fetches = self.crl_fetches.with_label_values(&[outcome.label()]);
                fetches.observe(took.as_secs_f64());
            }
            Event::CrlsInUse(lists) => {
                // Bounded: the operator has named each.
                self.crls.reset();
                for (source, next_update) in *lists {
                    let gauge = self.crls.with_label_values(&[source.as_str()]);
                    gauge.set(next_update.unwrap_or(0));
                }
            }
            Event::RevocationChecked(known) => self.revocation.with_label_values(&[known.label()]).inc(),
            Event::CaInUse { not_after } => {
                let since = not_after.duration_since(UNIX_EPOCH).unwrap_or_default();
                self.ca_not_after
                    .set(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
            }
            _ => {}
        }
    }
}
