//! Dashboard, alert rules and `docs/metrics.md` against the program's real metrics, promtool and Prometheus.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail as tests do"
)]

use regex::Regex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wsbump::accept::{ClientLimit, Who};
use wsbump::admit::{Answer, Claim, CredentialsJudged, Scheme, Source};
use wsbump::decide::{ActKind, Format, List, Matched, Policy, PolicyConfig, Reason};
use wsbump::dial::{DialOutcome, LookUpOutcome, LookUpSource, ParentOutcome};
use wsbump::error::Side;
use wsbump::handshake::ca::Ca;
use wsbump::handshake::{FetchOutcome, HandshakeOutcome, LeafKey, Revocation};
use wsbump::http::{HttpError, RequestDone, WebSocketInfo};
use wsbump::inspect::filter::Stopped;
use wsbump::inspect::{Buffered, Room, SessionFacts, Witness as _};
use wsbump::portal::{Portal, PortalConfig, PublicRoots};
use wsbump::relay::{Batch, Closer, End, FirstClose, Meter, OpaqueTotals, WebSocketTotals};
use wsbump::report::admin::{
    self, AdminAccess, AdminListener, AdminPages, AdminPeer, AdminRefusal, AdminState, CaCertificate,
    Readiness, RefusedAdmin,
};
use wsbump::report::{
    AccessLog, ConnectionRecord, Ending, Event, OpenWebSocket, Report, ReportConfig, ServiceMeter,
};
use wsbump::wire::frame::{Direction, FrameCounts, Violation};
use wsbump::wire::http1::Malformed;
use wsbump::wire::names::{Authority, Host};

const PATIENCE: Duration = Duration::from_secs(60);

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a tool of the system; one that is not there fails the test with a hint.
fn start(command: &mut Command) -> Child {
    let tool = command.get_program().to_string_lossy().into_owned();
    command.spawn().unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => panic!("{tool} is not on the PATH: run tests/setup.sh"),
        _ => panic!("{tool}: {error}"),
    })
}

fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new("promtool");
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = start(&mut command);
    // One that does not read its input closes it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn succeeds(arguments: &[&str], input: &str) {
    let output = promtool(arguments, input);
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}: {text}");
}

/// A blocking GET: the status and the body. HTTP/1.0, so that the body ends with the connection.
pub(crate) fn get(server: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut socket = TcpStream::connect_timeout(&server, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    write!(socket, "GET {path} HTTP/1.0\r\nHost: {server}\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status
        .zip(body)
        .ok_or_else(|| std::io::Error::other(format!("not HTTP: {answer:?}")))
}

// ---- what the repository says ----

/// A panel of the dashboard.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) queries: Vec<String>,
}

fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(repository("grafana/wsbump-dashboard.json")).unwrap()).unwrap()
}

/// Every panel that asks for data.
pub(crate) fn panels() -> Vec<Panel> {
    let dashboard = dashboard();
    let panels = dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|panel| panel["type"] != "row");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let panel = |panel: &Value| Panel {
        title: text(&panel["title"]),
        queries: panel["targets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|target| text(&target["expr"]))
            .collect(),
    };
    panels.map(panel).collect()
}

/// A query as Grafana sends it with All selected, for a Prometheus that has scraped once a second for at least
/// `range` (such as `10s`).
fn substitute(query: &str, range: &str) -> String {
    let pairs = [
        ("$__rate_interval", range),
        ("$__range", range),
        ("$job", ".+"),
        ("$instance", ".+"),
    ];
    let query = pairs.iter().fold(query.to_owned(), |query, (variable, value)| {
        query.replace(variable, value)
    });
    assert!(!query.contains('$'), "an unknown variable: {query}");
    query
}

/// The alert rules' expressions by alert, as promtool understands them.
fn alerts() -> BTreeMap<String, String> {
    let text = fs::read_to_string(repository("grafana/alerts.yml")).unwrap();
    let mut alerts = BTreeMap::<String, String>::new();
    let (mut name, mut in_expr) = (String::new(), false);
    for line in text.lines() {
        if let Some(alert) = line.strip_prefix("      - alert: ") {
            name = alert.into();
        } else if let Some(expr) = line.strip_prefix("        expr: ") {
            in_expr = true;
            alerts
                .entry(name.clone())
                .or_default()
                .push_str(expr.trim_start_matches('|'));
        } else if in_expr && line.starts_with("          ") {
            alerts
                .entry(name.clone())
                .or_default()
                .push_str(line.trim_start());
            alerts.entry(name.clone()).or_default().push(' ');
        } else {
            in_expr = false;
        }
    }
    alerts
}

/// Every metric name in a query: identifiers that are neither functions, nor keywords, nor in matchers or label lists.
fn metric_names(query: &str) -> BTreeSet<String> {
    let rest = Regex::new(r#"\{[^}]*\}|\[[^\]]*\]|\boffset \d+[a-z]|\b(by|on|ignoring|without)\s*\([^)]*\)"#)
        .unwrap();
    let rest = rest.replace_all(query, " ");
    let identifiers = Regex::new(r"[a-zA-Z_:][a-zA-Z0-9_:]*(\s*\()?").unwrap();
    let names = identifiers.find_iter(&rest).map(|found| found.as_str());
    names
        .filter(|name| !name.ends_with('(') && !["and", "or", "unless"].contains(name))
        // Aggregations may stand before their `by`.
        .filter(|name| !["sum", "min", "max", "count", "topk"].contains(name))
        .map(str::to_owned)
        .collect()
}

/// Each selector in a query: a name, with its matchers if it has some.
fn selectors(query: &str) -> Vec<String> {
    let selector = Regex::new(r"\b(wsbump|process)_[a-z_]+(\{[^}]*\})?").unwrap();
    selector
        .find_iter(query)
        .map(|found| found.as_str().to_owned())
        .collect()
}

/// A family that the program exports.
#[derive(Debug, PartialEq, Eq)]
struct Family {
    kind: String,
    labels: BTreeSet<String>,
}

/// Every family by name, and the names that queries may use.
fn exported(text: &str) -> (BTreeMap<String, Family>, BTreeSet<String>) {
    let mut families = BTreeMap::new();
    let mut queryable = BTreeSet::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            families.insert(
                name.to_owned(),
                Family {
                    kind: kind.into(),
                    labels: BTreeSet::new(),
                },
            );
            match kind {
                "histogram" => {
                    queryable.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")))
                }
                _ => drop(queryable.insert(name.to_owned())),
            }
        }
    }
    let label = Regex::new(r#"[{,]([a-z_]+)=""#).unwrap();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix));
        let name = base.filter(|base| families.contains_key(*base)).unwrap_or(name);
        let labels = label
            .captures_iter(line)
            .map(|found| found[1].to_owned())
            .filter(|label| label != "le");
        families.get_mut(name).unwrap().labels.extend(labels);
    }
    (families, queryable)
}

// ---- a report that has heard everything ----

fn report() -> Arc<Report> {
    let service = List::parse("chat", "^chat\\.example:443$\n", Format::UrlRegex, true).unwrap();
    let config = ReportConfig {
        access: AccessLog::Off,
        lists: vec!["wslist".into()],
        connection_limit: 1000,
        policy_rules: vec![("bank".into(), false)],
        parents: vec!["upstream".into()],
        rules: vec![("cards".into(), "redact")],
        scanners: vec!["clamav".into()],
        services: vec![Arc::new(service)],
        ..ReportConfig::default()
    };
    let report = Report::new(config).unwrap();
    // The proxy says so as soon as it serves.
    report.state(&Event::CrlsInUse(&[("http://ca.example/a.crl".to_owned(), None)]));
    // And this with the first login.
    report.state(&Event::DirectoryAsked {
        directory: "htpasswd",
        answer: Answer::Accepted,
        took: Duration::from_millis(2),
    });
    report
}

/// States every event once and moves a few frames.
fn feed(report: &Arc<Report>) {
    report.inflated(100, 300);
    let target = Authority {
        host: Host::Name("chat.example".into()),
        port: 443,
    };
    let time = Duration::from_millis(2);
    let who = Who {
        connection: 1,
        client: std::net::Ipv4Addr::LOCALHOST.into(),
        user: None,
    };
    let done = RequestDone {
        id: wsbump::http::RequestId::new(),
        malformed: Some(Malformed::ChunkSize),
        who: who.clone(),
        version: http::Version::HTTP_2,
        method: http::Method::GET,
        url: "https://chat.example/".into(),
        status: Some(502),
        time_to_head: time,
        time_total: time,
        request_bytes: 1,
        response_bytes: 2,
        error: Some(HttpError::Dial(DialOutcome::DnsError)),
        detail: None,
        rule: None,
        headers: Vec::new(),
    };
    let info = WebSocketInfo {
        rule: None,
        is_inspected: true,
        facts: Arc::new(SessionFacts {
            connection: 1,
            client: [127, 0, 0, 1].into(),
            user: None,
            target: target.clone(),
            aliases: Vec::new(),
            scheme: "wss",
            path: "/".into(),
            origin: None,
            subprotocol: None,
            websocket: Some(1),
        }),
        version: http::Version::HTTP_2,
        url: "wss://chat.example/".into(),
        deflate: None,
        opaque_extensions: false,
        extensions: None,
    };
    let totals = WebSocketTotals {
        frames: [1, 2],
        messages: [1, 2],
        payload_bytes: [10, 20],
        pings: [0; 2],
        changed: [1, 0],
        dropped: [0, 2],
        discarded: [0, 0],
        first_close: Some(FirstClose {
            by: Closer::Client,
            code: Some(1000),
            reason: "gone \"away\"".into(),
        }),
        rule_close: None,
        end: End::Violation(Side::Origin, Violation::Masked),
    };
    let record = ConnectionRecord {
        connection: 1,
        client: ([127, 0, 0, 1], 4000).into(),
        listener: "proxy".into(),
        peer: None,
        told: None,
        user: None,
        proxy_tls: None,
        inside: None,
        target: Some(target),
        origin: None,
        parent: Some("upstream".into()),
        sni: None,
        action: Some(ActKind::Splice),
        reason: Some(Reason::ListConnect),
        rule: None,
        matched: Some(Matched {
            list: "wslist".into(),
            line: 1,
            pattern: "chat".into(),
        }),
        tls_version: None,
        alpn: None,
        chain: None,
        requests: 1,
        request_id: None,
        tunnel: Some(OpaqueTotals { bytes: [5, 6] }),
        ending: Ending::Ok,
        detail: None,
        duration: time,
    };
    let socket = OpenWebSocket {
        id: 1,
        who: &who,
        info: &info,
    };
    let failure = std::io::Error::other("no descriptors");
    let lists = [
        ("http://ca.example/a.crl".to_owned(), Some(4_000_000_000)),
        ("http://ca.example/b.crl".to_owned(), None),
    ];
    let mut plain = Policy::new(PolicyConfig::default()).plain_http();
    plain.rule = Some("bank".into());
    let mut events = vec![
        Event::Accepted,
        Event::AcceptFailed(&failure),
        Event::Decided(&plain),
        Event::Leaf {
            key: LeafKey::P256,
            minted: Some(time),
        },
        Event::Leaf {
            key: LeafKey::Rsa2048,
            minted: None,
        },
        Event::ClientRefusedCa {
            who: &who,
            server_name: "chat.example",
            alert: "unknown_ca",
        },
        Event::Request(&done),
        Event::LockedOut {
            claimed: "ada",
            client: who.client,
            attempts: 4,
            rest: time,
        },
        Event::Http1Fallback {
            who: &who,
            host: "chat.example:443",
        },
        Event::WebSocketOpened(socket),
        Event::WebSocketClosed {
            socket,
            totals: &totals,
            open: time,
        },
        Event::Ended(&record),
        Event::CrlsInUse(&lists),
        Event::Reloaded(Err("line 1")),
        Event::Reloaded(Ok(())),
    ];
    let room = Arc::new(Room::new(1000));
    room.take(Buffered::Bodies, 7);
    events.push(Event::Keeping(&room));
    events.extend(HandshakeOutcome::ALL.map(|outcome| Event::ListenerHandshake(outcome, time)));
    events.extend(ClientLimit::ALL.iter().map(|limit| Event::Limited(*limit)));
    let judged: Vec<_> = Scheme::ALL
        .iter()
        .flat_map(|&scheme| Claim::all().map(move |claim| (scheme, claim)))
        .flat_map(|(scheme, claim)| Source::ALL.iter().map(move |&source| (scheme, claim, source)))
        .map(|(scheme, claim, source)| CredentialsJudged {
            scheme,
            claim,
            source,
            client: who.client,
            claimed: Some("ada"),
            detail: None,
        })
        .collect();
    events.extend(judged.iter().map(Event::Login));
    events.extend(Answer::ALL.iter().map(|&answer| Event::DirectoryAsked {
        directory: "htpasswd",
        answer,
        took: time,
    }));
    let refused = AdminRefusal::ALL.map(|why| RefusedAdmin {
        why,
        pages: AdminPages::Admin,
        peer: AdminPeer::Unknown,
        method: "GET",
        path: "/metrics",
        host: None,
    });
    events.extend(refused.iter().map(Event::AdminRefused));
    events.extend(DialOutcome::ALL.map(|outcome| Event::Dialled(outcome, time)));
    events.extend(ParentOutcome::ALL.iter().map(|&outcome| Event::ParentAsked {
        parent: "upstream",
        outcome,
        took: time,
    }));
    events.push(Event::ParentHealth {
        parent: "upstream",
        is_well: false,
        why: "it is down",
    });
    events.push(Event::WentDirect);
    events.extend(Revocation::ALL.map(Event::RevocationChecked));
    events.extend(FetchOutcome::ALL.map(|outcome| Event::IntermediateFetched(outcome, time)));
    events.extend(FetchOutcome::ALL.map(|outcome| Event::CrlFetched(outcome, time)));
    for outcome in LookUpOutcome::ALL {
        events.extend(LookUpSource::ALL.map(|source| Event::LookedUp(source, outcome)));
        events.push(Event::Queried {
            outcome,
            took: time,
            kept: 7,
        });
    }
    for side in [Side::Client, Side::Origin] {
        events.extend(HandshakeOutcome::ALL.map(|outcome| Event::Handshake(side, outcome, time)));
        report.pong(side, time);
    }
    events.iter().for_each(|event| report.state(event));
    let service = ServiceMeter::opened(report, &info.facts.target).unwrap();
    // Another one stays open.
    ServiceMeter::opened(report, &info.facts.target).unwrap();
    for direction in Direction::ALL {
        let mut passed = FrameCounts {
            frames: [1; 6],
            payload_bytes: [100; 6],
            ..FrameCounts::default()
        };
        (0..6).for_each(|_| passed.message(100));
        let stopped = Stopped {
            frames: [1; 6],
            changed: 1,
            dropped: 2,
            closed: 3,
        };
        let inside = Duration::from_micros(15);
        service.batch(&Batch {
            direction,
            passed,
            stopped,
            inside,
        });
    }
    service.closed(&totals);
}

fn fed() -> String {
    let report = report();
    feed(&report);
    report.scrape().unwrap()
}

// ---- a real Prometheus ----

/// A Prometheus that scrapes one address once a second, until it is dropped.
pub(crate) struct Prometheus {
    child: Child,
    /// Goes after the process that writes into it, since fields are dropped after [`Drop::drop`].
    _dir: TempDir,
    pub(crate) address: SocketAddr,
}

impl Prometheus {
    /// Starts it and waits until it listens.
    pub(crate) fn scraping(admin: SocketAddr) -> Self {
        Self::scraping_with(admin, "")
    }

    /// The same with more lines for its scrapes.
    pub(crate) fn scraping_with(admin: SocketAddr, lines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: wsbump\n    static_configs:\n      - targets: ['{admin}']\n{lines}"
        );
        fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let log = dir.path().join("log");
        let mut command = Command::new("prometheus");
        command
            .current_dir(dir.path())
            .args([
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=data",
                "--web.listen-address=127.0.0.1:0",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        let child = start(&mut command);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut prometheus = Self {
            child,
            _dir: dir,
            address,
        };
        let listening = Regex::new(r#"msg="Listening on".* address=([0-9.:]+)"#).unwrap();
        until("Prometheus listens", || {
            let text = fs::read_to_string(&log).unwrap();
            if let Some(status) = prometheus.child.try_wait().unwrap() {
                panic!("Prometheus ended with {status}: {text}");
            }
            let found = listening.captures(&text).ok_or_else(|| text.clone())?;
            prometheus.address = found[1].parse().unwrap();
            Ok::<_, String>(())
        });
        prometheus
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tries until it works; the last failure is the panic's message.
pub(crate) fn until<T, E: std::fmt::Debug>(what: &str, mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(error) => assert!(
                Instant::now() < deadline,
                "not before the deadline: {what}: {error:?}"
            ),
        }
        // Between two looks at the condition.
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What the query returns now: one value per series.
pub(crate) fn query(prometheus: SocketAddr, query: &str) -> Vec<f64> {
    let encoded = query.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    });
    let Ok((status, body)) = get(prometheus, &format!("/api/v1/query?query={encoded}")) else {
        return Vec::new();
    };
    // 503 while it starts; anything else says that the query is wrong.
    assert!([200, 503].contains(&status), "{query}: {body}");
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    let results = answer["data"]["result"].as_array().cloned().unwrap_or_default();
    results
        .iter()
        .map(|series| series["value"][1].as_str().unwrap().parse().unwrap())
        .collect()
}

/// The panels of the dashboard of which a query returns nothing, or nothing but NaN, each with that query. `range`
/// stands for Grafana's intervals, such as `10s`.
pub(crate) fn panels_without_data(prometheus: SocketAddr, range: &str) -> Vec<String> {
    let mut without = Vec::new();
    for panel in panels() {
        for expr in &panel.queries {
            let expr = substitute(expr, range);
            if query(prometheus, &expr).iter().all(|value| value.is_nan()) {
                without.push(format!("{}: {expr}", panel.title));
            }
        }
    }
    without
}

/// The panels of the dashboard on which nobody would see anything: no query returns a value other than zero.
pub(crate) fn panels_without_a_value(prometheus: SocketAddr, range: &str) -> Vec<String> {
    let shows = |panel: &Panel| {
        panel.queries.iter().any(|expr| {
            let values = query(prometheus, &substitute(expr, range));
            values.iter().any(|value| !value.is_nan() && *value != 0.0)
        })
    };
    panels()
        .into_iter()
        .filter(|panel| !shows(panel))
        .map(|panel| panel.title)
        .collect()
}

// ---- the tests ----

#[test]
fn promtool_finds_no_fault_with_the_metrics() {
    succeeds(&["check", "metrics"], &fed());
    // Nor do they need an event to be whole.
    succeeds(&["check", "metrics"], &report().scrape().unwrap());
}

#[test]
fn a_mistake_in_metrics_would_be_found() {
    assert!(
        !promtool(&["check", "metrics"], "# TYPE wsbump_x counter\nwsbump_x 1\n")
            .status
            .success()
    );
}

#[test]
fn alerts_fire_when_they_must_and_only_then() {
    succeeds(
        &[
            "check",
            "rules",
            repository("grafana/alerts.yml").to_str().unwrap(),
        ],
        "",
    );
    succeeds(
        &[
            "test",
            "rules",
            repository("grafana/alerts_test.yml").to_str().unwrap(),
        ],
        "",
    );
    let tested = fs::read_to_string(repository("grafana/alerts_test.yml")).unwrap();
    let cases: Vec<_> = tested.split("  - name: ").skip(1).collect();
    let alerts = alerts();
    assert!(alerts.len() >= 8, "{alerts:?}");
    for alert in alerts.keys() {
        let of_alert = || {
            cases
                .iter()
                .filter(|case| case.contains(&format!("alertname: {alert}\n")))
        };
        assert!(
            of_alert().any(|case| case.contains("exp_labels")),
            "no case in which {alert} fires"
        );
        assert!(
            of_alert().any(|case| case.contains("exp_alerts: []")),
            "no case in which {alert} is silent"
        );
    }
}

#[test]
fn every_metric_in_dashboard_and_alerts_is_exported() {
    let (_, exported) = exported(&report().scrape().unwrap());
    let panels = panels()
        .into_iter()
        .flat_map(|panel| panel.queries.into_iter().map(move |q| (panel.title.clone(), q)));
    for (place, query) in panels.chain(alerts()) {
        let names = metric_names(&query);
        assert!(!names.is_empty(), "{place}: {query}");
        for name in names {
            // `up` is Prometheus's own.
            assert!(
                name == "up" || exported.contains(&name),
                "{place}: nothing exports {name}"
            );
        }
    }
    let names =
        metric_names(r#"sum by (le, x) (rate(a_bucket{y="z"}[5m])) / on (job) b_total > 0.5 and count(c)"#);
    assert_eq!(names, ["a_bucket", "b_total", "c"].map(str::to_owned).into());
}

/// What Grafana's own schema finds wrong with a dashboard.
fn faults(dashboard: &Value) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dashboard.json");
    std::fs::write(&file, dashboard.to_string()).unwrap();
    let python = repository(".tools/venv/bin/python");
    let mut command = Command::new(python);
    command
        .arg(repository("tests/peers/check_dashboard.py"))
        .arg(&file);
    let done = command.output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    let mut lines: Vec<_> = said.lines().map(str::to_owned).collect();
    let last: Value = serde_json::from_str(&lines.pop().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {said} {}", String::from_utf8_lossy(&done.stderr)));
    assert_eq!(
        last["panels"].as_u64(),
        dashboard["panels"].as_array().map(|all| all.len() as u64)
    );
    assert_eq!(done.status.success(), lines.is_empty());
    lines
}

#[test]
fn the_dashboard_is_what_grafanas_own_schema_says() {
    let shipped = dashboard();
    assert_eq!(faults(&shipped), Vec::<String>::new());
    let panels = shipped["panels"].as_array().unwrap();
    let at = panels
        .iter()
        .position(|panel| panel["type"] == "timeseries")
        .unwrap();
    // A mistake in any of these would be found.
    for (place, value, said) in [
        ("/gridPos", json!([1]), "gridPos"),
        ("/targets/0/expr", json!(1), "expr"),
        ("/targets/0/exprr", json!("up"), "no key that Grafana knows"),
        ("/fieldConfig/defaults/unit", json!(5), "unit"),
        (
            "/fieldConfig/defaults/custom/drawStyle",
            json!("wrong"),
            "draw_style",
        ),
        ("/options/legnd", json!(1), "no key that Grafana knows"),
    ] {
        let mut broken = shipped.clone();
        let (path, key) = place.rsplit_once('/').unwrap();
        let inside = broken["panels"][at]
            .pointer_mut(path)
            .unwrap_or_else(|| panic!("{place}"));
        inside[key] = value;
        let found = faults(&broken);
        assert!(
            found.iter().any(|fault| fault.contains(said)),
            "{place}: {found:?}"
        );
    }
}

#[test]
fn the_dashboard_explains_every_panel_and_has_no_place_twice() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39);
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: an id twice");
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title}: too wide");
        for cell in (place("x")..place("x") + place("w"))
            .flat_map(|x| (place("y")..place("y") + place("h")).map(move |y| (x, y)))
        {
            assert!(cells.insert(cell), "{title}: over another panel");
        }
        if panel["type"] != "row" {
            assert!(
                panel["description"].as_str().unwrap().ends_with('.'),
                "{title}: no description"
            );
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            let unit = &panel["fieldConfig"]["defaults"]["unit"];
            assert!(
                unit.is_string() || panel["options"]["yAxis"]["unit"].is_string(),
                "{title}: no unit"
            );
            for target in panel["targets"].as_array().unwrap() {
                let expr = target["expr"].as_str().unwrap();
                let chosen = expr.matches(r#"job=~"$job",instance=~"$instance""#).count();
                assert_eq!(
                    chosen,
                    // A ratio may have the same one twice.
                    metric_names(expr)
                        .iter()
                        .map(|name| expr.matches(&**name).count())
                        .sum::<usize>(),
                    "{title}: {expr} ignores the chosen instances"
                );
            }
        }
    }
}

#[test]
fn the_docs_tell_every_metric_and_no_other() {
    let (families, exported) = exported(&fed());
    let docs = fs::read_to_string(repository("docs/metrics.md")).unwrap();
    let mut documented = BTreeMap::new();
    let quoted = Regex::new("`([^`]+)`").unwrap();
    let mut rules = String::from("groups:\n- name: docs\n  rules:\n");
    for row in docs.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, meaning, query] = cells[..] else {
            panic!("not five columns: {row}")
        };
        let labels = quoted
            .captures_iter(labels)
            .map(|label| label[1].to_owned())
            .collect();
        let name = name.trim_matches('`');
        assert!(
            documented
                .insert(
                    name.to_owned(),
                    Family {
                        kind: kind.into(),
                        labels
                    }
                )
                .is_none(),
            "{name} twice"
        );
        assert!(meaning.ends_with('.'), "{name}: {meaning}");
        let query = query.trim_matches('`');
        let used = metric_names(query);
        assert!(used.iter().any(|used| used.starts_with(name)), "{name}: {query}");
        assert!(
            used.is_subset(&exported),
            "{name}: {query} uses what is not exported"
        );
        let _ = writeln!(rules, "  - record: docs:{name}\n    expr: {}", Value::from(query));
    }
    assert_eq!(documented, families);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docs.yml");
    fs::write(&path, rules).unwrap();
    succeeds(&["check", "rules", path.to_str().unwrap()], "");
}

#[test]
fn a_real_prometheus_has_data_for_every_panel_and_every_alert() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let report = report();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let address = listener.local_addr().unwrap();
    let certificate = Arc::new(CaCertificate {
        pem: String::new(),
        der: Vec::new(),
        subject: String::new(),
        fingerprint_sha256: String::new(),
    });
    let ca = Arc::new(Ca::generate("Test").unwrap().0);
    let portal = Arc::new(Portal::new(PortalConfig::default(), &ca, PublicRoots::default()));
    let state = AdminState {
        ca: Arc::new(move || Arc::clone(&certificate)),
        portal: Arc::new(move || Arc::clone(&portal)),
        access: Arc::new(|| Arc::new(AdminAccess::default())),
        readiness: Arc::new(|| Readiness::Ready),
    };
    runtime.spawn(admin::serve(
        AdminListener::Tcp(listener),
        Arc::clone(&report),
        state,
        std::future::pending(),
    ));
    let prometheus = Prometheus::scraping(address);
    assert!(panels().len() > 30);
    // Before the first event no quantile is a number: the check finds panels without data.
    assert!(!panels_without_data(prometheus.address, "10s").is_empty());
    until("every panel has data", || {
        feed(&report);
        let without = panels_without_data(prometheus.address, "10s");
        if without.is_empty() { Ok(()) } else { Err(without) }
    });
    for (alert, expr) in alerts() {
        for selector in selectors(&expr) {
            assert!(
                !query(prometheus.address, &selector).is_empty(),
                "{alert}: nothing is exported as {selector}"
            );
        }
    }
    assert_eq!(
        query(prometheus.address, "wsbump_never_exported"),
        Vec::<f64>::new()
    );
}
