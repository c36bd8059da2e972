//! The audit log: one JSON line for each finding, for what could not be looked into, for each reload, and
//! for who may not read the operator's pages.

use super::found::Found;
use super::line::{Stamp, cap};
use super::log_writer::{Log, Writer};
use super::names;
use super::refused_line::RefusedLines;
use crate::inspect::{About, Blind, Judgement, SessionFacts};
use crate::report::act::OperatorAct;
use crate::report::config::{AuditConfig, ReportConfig, ReportError};
use crate::report::event::{Event, Topic};
use crate::report::instance::Instance;
use crate::report::sink::Sink;
use arc_swap::ArcSwap;
use prometheus::Registry;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Makes the lines.
#[derive(Debug)]
pub(super) struct AuditLog {
    writer: Writer,
    instance: Instance,
    excerpts: bool,
    /// Of findings that only observe, one in so many is written.
    sample: u64,
    observed: AtomicU64,
    /// Rules with a rate of their own, by name.
    rules: ArcSwap<HashMap<String, Sampled>>,
    refused: RefusedLines,
}

/// A rule's own rate, and how many it has had.
#[derive(Debug)]
struct Sampled {
    sample: u64,
    observed: AtomicU64,
}

/// Somebody who may see and act did so.
#[derive(Serialize)]
struct ActLine<'a> {
    time: Stamp,
    instance: &'a Instance,
    #[serde(flatten)]
    act: &'a OperatorAct,
}

/// Somebody changed what the proxy goes by.
#[derive(Serialize)]
struct ReloadLine<'a> {
    r#type: &'static str,
    time: Stamp,
    instance: &'a Instance,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
}

impl AuditLog {
    /// The sink, unless the log is off.
    pub(super) fn open(
        config: &AuditConfig,
        instance: &Instance,
        registry: &Registry,
    ) -> Result<Option<Self>, ReportError> {
        let log = Log {
            name: "audit-log",
            written: &names::AUDIT_LOG_LINES,
            dropped: &names::AUDIT_LOG_DROPPED,
            rotate_bytes: config.rotate_bytes,
            keep: config.keep,
            failure: ReportError::AuditLog,
        };
        Ok(log.open(&config.to, registry)?.map(|writer| Self {
            writer,
            instance: instance.clone(),
            excerpts: config.excerpts,
            sample: config.sample.max(1),
            observed: AtomicU64::new(0),
            rules: ArcSwap::default(),
            refused: RefusedLines::default(),
        }))
    }

    /// From now on these rules have these rates of their own.
    fn declare_samples(&self, rules: &[(String, u64)]) {
        let sampled = |(name, sample): &(String, u64)| {
            let sampled = Sampled {
                sample: (*sample).max(1),
                observed: AtomicU64::new(0),
            };
            (name.clone(), sampled)
        };
        self.rules.store(Arc::new(rules.iter().map(sampled).collect()));
    }

    fn judged(&self, facts: &SessionFacts, about: &About, judgement: &Judgement) {
        let rules = self.rules.load();
        for finding in &judgement.findings {
            let (sample, observed) = match rules.get(&*finding.rule) {
                Some(own) => (own.sample, &own.observed),
                None => (self.sample, &self.observed),
            };
            let sampled = if finding.enforced { 1 } else { sample };
            if sampled > 1 && !observed.fetch_add(1, Relaxed).is_multiple_of(sampled) {
                continue;
            }
            let (instance, verdict) = (&self.instance, &judgement.verdict);
            let line = Found::finding(instance, facts, about, finding, verdict, sampled);
            self.writer.line(&match self.excerpts {
                true => line.with_excerpt(finding),
                false => line,
            });
        }
    }

    fn blind(&self, facts: &SessionFacts, about: &About, why: Blind, stopped: bool) {
        let line = Found::blind(&self.instance, facts, about, why, stopped);
        self.writer.line(&line);
    }

    fn reloaded(&self, result: Result<(), &str>) {
        let (result, error) = match result {
            Ok(()) => ("success", None),
            Err(error) => ("failure", Some(cap(error))),
        };
        self.writer.line(&ReloadLine {
            r#type: "reload",
            time: Stamp::current(),
            instance: &self.instance,
            result,
            error,
        });
    }
}

impl Sink for AuditLog {
    fn topics(&self) -> &'static [Topic] {
        &[Topic::Process, Topic::Inspection]
    }

    fn state(&self, event: &Event<'_>) {
        match event {
            Event::Judged {
                facts,
                about,
                judgement,
            } => self.judged(facts, about, judgement),
            Event::Blind {
                facts,
                about,
                why,
                stopped,
            } => self.blind(facts, about, *why, *stopped),
            Event::Reloaded(result) => self.reloaded(*result),
            Event::AdminRefused(refused) => {
                if let Some(line) = self.refused.line(&self.instance, refused) {
                    self.writer.line(&line);
                }
            }
            _ => {}
        }
    }

    fn act(&self, act: &OperatorAct, limit: Duration) -> Option<bool> {
        let line = ActLine {
            time: Stamp::current(),
            instance: &self.instance,
            act,
        };
        Some(self.writer.line_for_good(&line, limit))
    }

    fn declare(&self, config: &ReportConfig) {
        self.declare_samples(&config.audit_samples);
    }

    fn reopen(&self) {
        self.writer.reopen();
    }

    fn flush(&self, limit: Duration) -> bool {
        self.writer.flush(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::testing::facts;
    use crate::inspect::{Finding, Ruling, Surface};
    use crate::report::config::AccessLog;
    use serde_json::Value;

    fn judgement(enforced: bool) -> Judgement {
        Judgement {
            verdict: Ruling::Drop,
            findings: vec![Finding {
                rule: "cards".into(),
                action: "drop",
                enforced,
                matches: 2,
                excerpt: Some("pay with ****".into()),
                detail: None,
            }],
        }
    }

    const ABOUT: About = About {
        surface: Surface::Message,
        direction: crate::wire::frame::Direction::ToOrigin,
        opcode: Some("text"),
        size: 77,
    };

    fn lines(
        config: impl FnOnce(&mut AuditConfig),
        act: impl FnOnce(&AuditLog),
    ) -> (Vec<Value>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let mut wanted = AuditConfig {
            to: AccessLog::File(path.clone()),
            ..AuditConfig::default()
        };
        config(&mut wanted);
        let log = AuditLog::open(&wanted, &Instance::random(), &Registry::new())
            .unwrap()
            .unwrap();
        act(&log);
        assert!(log.flush(Duration::from_secs(20)));
        let text = std::fs::read_to_string(path).unwrap();
        (
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
            folder,
        )
    }

    #[test]
    fn a_finding_is_a_line_without_the_query() {
        let (lines, _folder) = lines(
            |_| {},
            |log| {
                log.judged(&facts(), &ABOUT, &judgement(true));
                log.blind(&facts(), &ABOUT, Blind::Corrupt, true);
            },
        );
        let [finding, blind] = &lines[..] else {
            panic!("{lines:?}")
        };
        for (key, value) in [
            ("type", "finding"),
            ("client", "192.0.2.1"),
            ("target", "example.com:443"),
            ("path", "/chat"),
            ("surface", "message"),
            ("direction", "to_origin"),
            ("opcode", "text"),
            ("rule", "cards"),
            ("action", "drop"),
            ("verdict", "drop"),
            ("excerpt", "pay with ****"),
        ] {
            assert_eq!(finding[key], value, "{key}");
        }
        assert_eq!(
            (&finding["size"], &finding["matches"], &finding["enforced"]),
            (&77.into(), &2.into(), &true.into())
        );
        assert_eq!(
            (&blind["type"], &blind["reason"], &blind["stopped"]),
            (&"uninspected".into(), &"corrupt".into(), &true.into())
        );
    }

    #[test]
    fn observed_findings_are_sampled_and_enforced_ones_are_not() {
        let (lines, _folder) = lines(
            |config| {
                config.sample = 10;
                config.excerpts = false;
            },
            |log| {
                for _ in 0..100 {
                    log.judged(&facts(), &ABOUT, &judgement(false));
                }
                log.judged(&facts(), &ABOUT, &judgement(true));
            },
        );
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[0]["sampled"], 10);
        assert!(lines.iter().all(|line| line["excerpt"].is_null()));
        assert!(lines[10]["sampled"].is_null());
    }

    #[test]
    fn a_rule_has_a_rate_of_its_own_beside_that_of_the_others() {
        let (lines, _folder) = lines(
            |config| config.sample = 10,
            |log| {
                let mut both = judgement(false);
                let mut other = both.findings[0].clone();
                other.rule = "names".into();
                both.findings.push(other);
                log.declare_samples(&[("names".to_owned(), 4)]);
                for _ in 0..20 {
                    log.judged(&facts(), &ABOUT, &both);
                }
                log.declare_samples(&[("names".to_owned(), 1)]);
                for _ in 0..3 {
                    log.judged(&facts(), &ABOUT, &both);
                }
            },
        );
        let sampled = |rule: &str| -> Vec<Option<u64>> {
            let lines = lines.iter().filter(|line| line["rule"] == rule);
            lines.map(|line| line["sampled"].as_u64()).collect()
        };
        assert_eq!(sampled("cards"), [Some(10); 3]);
        assert_eq!(sampled("names"), [[Some(4); 5].as_slice(), &[None; 3]].concat());
    }

    #[test]
    fn a_file_is_rotated_where_it_grows_too_large() {
        let (_, folder) = lines(
            |config| {
                config.rotate_bytes = 1000;
                config.keep = 2;
            },
            |log| {
                for _ in 0..40 {
                    log.judged(&facts(), &ABOUT, &judgement(true));
                    assert!(log.flush(Duration::from_secs(20)));
                }
            },
        );
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["audit.log", "audit.log.1", "audit.log.2"]);
        for name in names {
            let text = std::fs::read_to_string(folder.path().join(&name)).unwrap();
            assert!(
                text.len() < 1500
                    && text
                        .lines()
                        .all(|line| serde_json::from_str::<Value>(line).is_ok()),
                "{name}"
            );
        }
    }
}
