//! Logins, in numbers. Names are never among their labels: an attacker chooses them.

use super::families::{counters, gauges, histograms};
use super::names;
use crate::admit::{Answer, Claim, Scheme, Source};
use crate::report::event::{Event, Topic};
use crate::report::sink::Sink;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Registry};

const DIRECTORY_SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// Every family of logins.
#[derive(Debug)]
pub(super) struct AuthMetrics {
    judged: IntCounterVec,
    verdicts: IntCounterVec,
    lockouts: IntCounter,
    asked: HistogramVec,
    up: IntGaugeVec,
}

impl AuthMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let none: [&str; 0] = [];
        let metrics = Self {
            judged: counters(registry, &names::AUTH)?,
            verdicts: counters(registry, &names::AUTH_VERDICTS)?,
            lockouts: counters(registry, &names::AUTH_LOCKOUTS)?.with_label_values(&none),
            asked: histograms(registry, &names::AUTH_DIRECTORY_SECONDS, &DIRECTORY_SECONDS)?,
            up: gauges(registry, &names::AUTH_DIRECTORY_UP)?,
        };
        for scheme in Scheme::ALL {
            for claim in Claim::all() {
                metrics.judged.with_label_values(&[scheme.label(), claim.label()]);
            }
        }
        for source in Source::ALL {
            metrics.verdicts.with_label_values(&[source.label()]);
        }
        Ok(metrics)
    }
}

impl Sink for AuthMetrics {
    fn topics(&self) -> &'static [Topic] {
        &[Topic::Logins]
    }

    fn state(&self, event: &Event<'_>) {
        match event {
            Event::Login(judged) => {
                let labels = [judged.scheme.label(), judged.claim.label()];
                self.judged.with_label_values(&labels).inc();
                if judged.scheme != Scheme::None {
                    self.verdicts.with_label_values(&[judged.source.label()]).inc();
                }
            }
            Event::DirectoryAsked {
                directory,
                answer,
                took,
            } => {
                self.asked
                    .with_label_values(&[directory, answer.label()])
                    .observe(took.as_secs_f64());
                let is_up = *answer != Answer::Unavailable;
                self.up.with_label_values(&[*directory]).set(i64::from(is_up));
            }
            Event::LockedOut { .. } => self.lockouts.inc(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::{CredentialsJudged, Unproven};
    use std::net::Ipv4Addr;
    use std::time::Duration;

    #[test]
    fn logins_are_counted_by_what_they_came_to_and_not_by_name() {
        let registry = Registry::new();
        let metrics = AuthMetrics::new(&registry).unwrap();
        metrics.state(&Event::Login(&CredentialsJudged {
            scheme: Scheme::Basic,
            claim: Claim::Unproven(Unproven::WrongPassword),
            source: Source::Cache,
            client: Ipv4Addr::LOCALHOST.into(),
            claimed: Some("ada"),
            detail: None,
        }));
        metrics.state(&Event::Login(&CredentialsJudged {
            scheme: Scheme::None,
            claim: Claim::Unproven(Unproven::Nothing),
            source: Source::Credentials,
            client: Ipv4Addr::LOCALHOST.into(),
            claimed: None,
            detail: None,
        }));
        let ask = |answer| {
            metrics.state(&Event::DirectoryAsked {
                directory: "ldap",
                answer,
                took: Duration::from_millis(3),
            });
        };
        ask(Answer::Accepted);
        metrics.state(&Event::LockedOut {
            claimed: "ada",
            client: Ipv4Addr::LOCALHOST.into(),
            attempts: 4,
            rest: Duration::from_secs(60),
        });
        let text = || {
            prometheus::TextEncoder::new()
                .encode_to_string(&registry.gather())
                .unwrap()
        };
        let before = text();
        for line in [
            "wsbump_auth_total{outcome=\"wrong_password\",scheme=\"basic\"} 1",
            "wsbump_auth_total{outcome=\"nothing\",scheme=\"none\"} 1",
            "wsbump_auth_total{outcome=\"accepted\",scheme=\"negotiate\"} 0",
            "wsbump_auth_verdicts_total{source=\"cache\"} 1",
            "wsbump_auth_verdicts_total{source=\"credentials\"} 0",
            "wsbump_auth_lockouts_total 1",
            "wsbump_auth_directory_up{directory=\"ldap\"} 1",
            "wsbump_auth_directory_seconds_bucket{answer=\"accepted\",directory=\"ldap\",le=\"0.005\"} 1",
        ] {
            assert!(before.lines().any(|known| known == line), "{line}: {before}");
        }
        assert!(!before.contains("ada"));
        ask(Answer::Unavailable);
        assert!(text().contains("wsbump_auth_directory_up{directory=\"ldap\"} 0"));
        ask(Answer::Refused);
        assert!(text().contains("wsbump_auth_directory_up{directory=\"ldap\"} 1"));
    }
}
