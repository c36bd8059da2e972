use super::*;
use crate::accept::Who;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A client.
pub(super) fn who() -> Who {
    Who {
        connection: 7,
        client: std::net::Ipv4Addr::LOCALHOST.into(),
        user: None,
    }
}

/// The value of the sample that is written exactly so, labels included.
pub(super) fn sample(text: &str, series: &str) -> f64 {
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found
        .unwrap_or_else(|| panic!("no {series} in\n{text}"))
        .parse()
        .unwrap()
}

pub(super) fn silent() -> Arc<Report> {
    Report::new(ReportConfig {
        access: AccessLog::Off,
        ..ReportConfig::default()
    })
    .unwrap()
}

/// After `events`, each series differs from a fresh report's by this much.
pub(super) fn rises(events: &[Event<'_>], series: &[(&str, f64)]) {
    let report = silent();
    let before = report.scrape().unwrap();
    events.iter().for_each(|event| report.state(event));
    let after = report.scrape().unwrap();
    for (series, by) in series {
        assert_eq!(sample(&after, series) - sample(&before, series), *by, "{series}");
    }
}

#[test]
fn a_log_that_cannot_be_opened_names_its_path() {
    let path = PathBuf::from("/nonexistent-directory/access.log");
    let error = Report::new(ReportConfig {
        access: AccessLog::File(path),
        ..ReportConfig::default()
    })
    .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot open the access log /nonexistent-directory/access.log: ")
    );
}

#[test]
fn lists_and_the_limit_follow_a_reload() {
    let lists = vec!["wslist".to_owned()];
    let config = ReportConfig {
        policy_rules: Vec::new(),
        audit: AuditConfig::default(),
        access: AccessLog::Off,
        findings: LoggedFindings::Off,
        lists,
        services: Vec::new(),
        parents: Vec::new(),
        connection_limit: 100,
        rules: Vec::new(),
        audit_samples: Vec::new(),
        scanners: Vec::new(),
        record: None,
        tls_key_log: false,
    };
    let report = Report::new(config).unwrap();
    let text = report.scrape().unwrap();
    assert_eq!(sample(&text, "wsbump_list_matches_total{list=\"wslist\"}"), 0.0);
    assert_eq!(sample(&text, "wsbump_connections_limit"), 100.0);
    report.declare(&ReportConfig {
        lists: vec!["new".into()],
        connection_limit: 200,
        ..ReportConfig::default()
    });
    let text = report.scrape().unwrap();
    assert_eq!(sample(&text, "wsbump_list_matches_total{list=\"new\"}"), 0.0);
    assert_eq!(sample(&text, "wsbump_connections_limit"), 200.0);
    assert!(!text.contains("wslist"), "what is gone has no series");
}

#[test]
fn series_of_rules_and_scanners_that_are_gone_end() {
    use crate::inspect::{About, Finding, Judgement, Ruling, ScanOutcome, Surface, Witness as _, testing};
    let report = silent();
    let of = |rules: &[(&str, &'static str)], scanners: &[&str]| ReportConfig {
        rules: rules
            .iter()
            .map(|(rule, action)| ((*rule).to_owned(), *action))
            .collect(),
        scanners: scanners.iter().map(|scanner| (*scanner).to_owned()).collect(),
        ..ReportConfig::default()
    };
    report.declare(&of(
        &[("cards", "redact"), ("words", "drop")],
        &["clamav", "icap"],
    ));
    let finding = |rule: &str, action| Judgement {
        verdict: Ruling::Drop,
        findings: vec![Finding {
            rule: rule.into(),
            action,
            enforced: true,
            matches: 1,
            excerpt: None,
            detail: None,
        }],
    };
    let about = About {
        surface: Surface::Message,
        direction: crate::wire::frame::Direction::ToOrigin,
        opcode: None,
        size: 1,
    };
    let judged = |rule: &str, action| report.judged(&testing::facts(), &about, &finding(rule, action));
    judged("cards", "redact");
    judged("words", "drop");
    report.scanned("clamav", &ScanOutcome::Clean, Duration::from_millis(1));
    // A rule is gone, and a scanner; another rule does something else from now on, and what it did stays counted.
    report.declare(&of(&[("cards", "close")], &["icap"]));
    // Who was served by the old rules had one more match.
    judged("words", "drop");
    let text = report.scrape().unwrap();
    for gone in ["rule=\"words\"", "scanner=\"clamav\""] {
        assert!(!text.contains(gone), "{gone} in\n{text}");
    }
    let series = "wsbump_inspect_findings_total{action=\"close\",mode=\"enforce\",rule=\"cards\"}";
    assert_eq!(sample(&text, series), 0.0);
    let series = "wsbump_inspect_findings_total{action=\"redact\",mode=\"enforce\",rule=\"cards\"}";
    assert_eq!(sample(&text, series), 1.0);
    assert!(text.contains("scanner=\"icap\""));
    // One that comes back begins anew.
    report.declare(&of(&[("words", "drop")], &[]));
    let series = "wsbump_inspect_findings_total{action=\"drop\",mode=\"enforce\",rule=\"words\"}";
    assert_eq!(sample(&report.scrape().unwrap(), series), 0.0);
}

#[test]
fn what_was_stated_is_written_after_a_flush_also_across_a_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let (path, rotated) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
    let report = Report::new(ReportConfig {
        access: AccessLog::File(path.clone()),
        ..ReportConfig::default()
    });
    let report = report.unwrap();
    let who = who();
    let refused = |name| Event::ClientRefusedCa {
        who: &who,
        server_name: name,
        alert: "unknown_ca",
    };
    report.state(&refused("before.example"));
    assert!(report.flush(Duration::from_secs(10)));
    fs::rename(&path, &rotated).unwrap();
    report.state(&refused("moved.example"));
    report.reopen_logs();
    report.state(&refused("after.example"));
    assert!(report.flush(Duration::from_secs(10)));
    let old = fs::read_to_string(&rotated).unwrap();
    assert!(
        old.contains("before.example") && old.contains("moved.example"),
        "{old}"
    );
    let new = fs::read_to_string(&path).unwrap();
    assert!(new.contains("after.example") && new.lines().count() == 1, "{new}");
    let text = report.scrape().unwrap();
    assert_eq!(sample(&text, "wsbump_access_log_lines_total"), 3.0);
}

/// As logrotate's `copytruncate` does: the file stays, and begins anew.
#[test]
fn a_log_that_was_truncated_has_whole_lines_from_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let report = Report::new(ReportConfig {
        access: AccessLog::File(path.clone()),
        ..ReportConfig::default()
    });
    let report = report.unwrap();
    let who = who();
    for name in ["before.example", "after.example"] {
        fs::write(&path, "").unwrap();
        report.state(&Event::ClientRefusedCa {
            who: &who,
            server_name: name,
            alert: "unknown_ca",
        });
        assert!(report.flush(Duration::from_secs(10)));
    }
    let text = fs::read_to_string(&path).unwrap();
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["server_name"], "after.example", "{text}");
}

#[test]
fn a_rotation_that_fails_keeps_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let (inside, moved) = (dir.path().join("logs"), dir.path().join("moved"));
    fs::create_dir(&inside).unwrap();
    let path = inside.join("access.log");
    let report = Report::new(ReportConfig {
        access: AccessLog::File(path),
        ..ReportConfig::default()
    })
    .unwrap();
    fs::rename(&inside, &moved).unwrap();
    report.reopen_logs();
    report.state(&Event::ClientRefusedCa {
        who: &who(),
        server_name: "kept.example",
        alert: "unknown_ca",
    });
    assert!(report.flush(Duration::from_secs(10)));
    assert!(
        fs::read_to_string(moved.join("access.log"))
            .unwrap()
            .contains("kept.example")
    );
}

#[test]
fn what_inspection_writes_anew_and_scans_behind_is_counted_from_zero() {
    use crate::inspect::{Background, Witness as _};
    use crate::wire::frame::Direction;
    let report = silent();
    let bytes = |direction: &str, kind: &str| {
        format!("wsbump_inspect_reframed_bytes_total{{direction=\"{direction}\",kind=\"{kind}\"}}")
    };
    let scans = |what: &str| format!("wsbump_inspect_background_scans_total{{what=\"{what}\"}}");
    let zero = report.scrape().unwrap();
    for what in ["started", "finished", "left_out"] {
        assert_eq!(sample(&zero, &scans(what)), 0.0);
    }
    assert_eq!(sample(&zero, &bytes("to_client", "after")), 0.0);
    report.reframed(Direction::ToClient, 100, 30);
    report.reframed(Direction::ToClient, 1, 2);
    for what in [Background::Started, Background::Started, Background::Finished] {
        report.background(what);
    }
    let text = report.scrape().unwrap();
    for (series, wanted) in [
        (bytes("to_client", "before"), 101.0),
        (bytes("to_client", "after"), 32.0),
        (bytes("to_origin", "after"), 0.0),
        (scans("started"), 2.0),
        (scans("finished"), 1.0),
        (scans("left_out"), 0.0),
    ] {
        assert_eq!(sample(&text, &series), wanted, "{series}");
    }
}
