//! The library's scanners against a real clamd and a real c-icap.

use crate::harness::DEADLINE;
use crate::harness::certs::certs;
use crate::harness::scanners::{CIcap, Clamd, STREAM_MAX, eicar};
use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wsbump::dial::ServiceNames;
use wsbump::handshake::ServiceTls;
use wsbump::inspect::{HttpHead, ScanItem, ScanOutcome, Scanner, SessionFacts, Surface};
use wsbump::scan::{self, Endpoint, IcapConfig, IcapUrl, ScannerConfig, ScannerKind, Thresholds};
use wsbump::wire::frame::{Direction, Opcode};
use wsbump::wire::names::{Authority, Host};

fn facts() -> Arc<SessionFacts> {
    Arc::new(SessionFacts {
        connection: 1,
        client: [127, 0, 0, 1].into(),
        user: None,
        target: Authority {
            host: Host::Name("origin.test".to_owned()),
            port: 443,
        },
        aliases: Vec::new(),
        scheme: "https",
        path: "/files/sample.bin?x=1".to_owned(),
        origin: None,
        subprotocol: None,
        websocket: None,
    })
}

fn message(direction: Direction, opcode: Opcode, data: impl Into<Bytes>) -> ScanItem {
    ScanItem {
        facts: facts(),
        surface: Surface::Message,
        direction,
        opcode: Some(opcode),
        heads: None,
        data: data.into(),
    }
}

fn body(direction: Direction, data: impl Into<Bytes>) -> ScanItem {
    let head = |status| HttpHead {
        method: http::Method::POST,
        status,
        headers: [(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/octet-stream"),
        )]
        .into_iter()
        .collect(),
    };
    ScanItem {
        surface: Surface::Body,
        opcode: None,
        heads: Some(Arc::new((
            head(None),
            (direction == Direction::ToClient).then(|| head(Some(http::StatusCode::OK))),
        ))),
        ..message(direction, Opcode::Binary, data)
    }
}

/// Every way in which content comes: bodies and messages, both directions.
fn every_way(data: &[u8]) -> Vec<ScanItem> {
    let data = Bytes::copy_from_slice(data);
    Direction::ALL
        .into_iter()
        .flat_map(|direction| {
            [
                body(direction, data.clone()),
                message(direction, Opcode::Text, data.clone()),
                message(direction, Opcode::Binary, data.clone()),
            ]
        })
        .collect()
}

fn config(kind: ScannerKind) -> ScannerConfig {
    ScannerConfig {
        deadline: DEADLINE,
        ..ScannerConfig::new("scanner", kind)
    }
}

fn icaps(server: &CIcap, service: &str) -> Arc<dyn Scanner> {
    let url = IcapUrl::parse(&format!("icaps://127.0.0.1:{}/{service}", server.tls_port)).unwrap();
    let root = CertificateDer::from_pem_file(&certs().root).unwrap();
    let tls = ServiceTls::new(Some(vec![root]), None).unwrap();
    scan::build(
        config(ScannerKind::Icap(IcapConfig {
            tls: Some(Arc::new(tls)),
            ..IcapConfig::new(url)
        })),
        &ServiceNames::default(),
    )
}

fn icap(server: &CIcap, service: &str) -> Arc<dyn Scanner> {
    let url = IcapUrl::parse(&format!("icap://127.0.0.1:{}/{service}", server.port)).unwrap();
    scan::build(
        config(ScannerKind::Icap(IcapConfig::new(url))),
        &ServiceNames::default(),
    )
}

fn clamd(address: &str) -> Arc<dyn Scanner> {
    let address = Endpoint::parse(address, 3310).unwrap();
    scan::build(config(ScannerKind::Clamd { address }), &ServiceNames::default())
}

async fn finds_eicar_and_passes_the_rest(scanner: &dyn Scanner) {
    for item in every_way(eicar().as_bytes()) {
        let what = format!("{:?} {:?} {:?}", item.surface, item.direction, item.opcode);
        let outcome = scanner.scan(item).await;
        assert!(
            matches!(&outcome, ScanOutcome::Found(name) if name.contains("Eicar-Test-Signature")),
            "{what}: {outcome:?}"
        );
    }
    for data in [
        &b"hello"[..],
        b"",
        b"\x00\xff binary",
        &[b'x'; 1024],
        &[b'y'; 1025],
    ] {
        for item in every_way(data) {
            let what = format!("{} bytes, {:?} {:?}", data.len(), item.surface, item.direction);
            assert_eq!(scanner.scan(item).await, ScanOutcome::Clean, "{what}");
        }
    }
    // Deep inside of what is more than one preview, chunk and read.
    let mut large = vec![b'.'; 5 << 20];
    for item in every_way(&large) {
        assert_eq!(scanner.scan(item).await, ScanOutcome::Clean);
    }
    large.extend_from_slice(eicar().as_bytes());
    for item in every_way(&large) {
        let outcome = scanner.scan(item).await;
        assert!(matches!(outcome, ScanOutcome::Found(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn clamd_finds_eicar_over_tcp_and_a_unix_socket() {
    let server = Clamd::start();
    for address in [
        format!("127.0.0.1:{}", server.port),
        server.socket().display().to_string(),
    ] {
        let scanner = clamd(&address);
        finds_eicar_and_passes_the_rest(&*scanner).await;
        let large = body(Direction::ToClient, vec![b'.'; STREAM_MAX + 1]);
        let outcome = scanner.scan(large).await;
        assert!(
            matches!(&outcome, ScanOutcome::Failed(why) if why.contains("StreamMaxLength")),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn c_icap_finds_eicar_in_both_directions() {
    let clamd = Clamd::start();
    let server = CIcap::start(&clamd);
    finds_eicar_and_passes_the_rest(&*icap(&server, "scan")).await;
    finds_eicar_and_passes_the_rest(&*icaps(&server, "scan")).await;
}

#[tokio::test]
async fn what_c_icap_echoes_is_clean_whatever_it_is() {
    let clamd = Clamd::start();
    let server = CIcap::start(&clamd);
    for scanner in [icap(&server, "echo"), icaps(&server, "echo")] {
        for size in [0, 1, 1023, 1024, 1025, 5 << 20] {
            let data: Vec<u8> = (0..size).map(|at| (at * 31 % 251) as u8).collect();
            for item in every_way(&data) {
                assert_eq!(scanner.scan(item).await, ScanOutcome::Clean, "{size}");
            }
        }
    }
    let outcome = icap(&server, "nothing")
        .scan(message(Direction::ToOrigin, Opcode::Text, "x"))
        .await;
    assert!(
        matches!(&outcome, ScanOutcome::Failed(why) if why.contains("no such ICAP service")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn no_head_hides_eicar_from_c_icap() {
    let clamd = Clamd::start();
    let server = CIcap::start(&clamd);
    let scanner = icap(&server, "scan");
    let odd = "/a b\u{e4}#x?%0d%0a{}|\\^`<>\"".to_owned();
    for (path, method, count, length) in [
        (odd, "!#$%&'*+-.^_`|~", 1, 60_000),
        ("/".to_owned() + &"a".repeat(60_000), "HEAD", 500, 10),
        ("/".to_owned(), "CONNECT", 100, 600),
    ] {
        for direction in Direction::ALL {
            let mut item = body(direction, eicar());
            item.facts = Arc::new(SessionFacts {
                path: path.clone(),
                ..(*item.facts).clone()
            });
            let mut heads = (*item.heads.unwrap()).clone();
            heads.0.method = method.parse().unwrap();
            let head = heads.1.as_mut().unwrap_or(&mut heads.0);
            // What would mean something outside of the content's own heads.
            for (name, value) in [
                ("encapsulated", "req-hdr=0, null-body=5"),
                ("preview", "0"),
                ("connection", "content-length, content-type"),
                ("transfer-encoding", "chunked"),
                ("content-range", "bytes 0-3/10"),
            ] {
                head.headers.insert(name, value.parse().unwrap());
            }
            for at in 0..count {
                let name = http::HeaderName::try_from(format!("x-{at}")).unwrap();
                head.headers.insert(name, "v".repeat(length).parse().unwrap());
            }
            item.heads = Some(Arc::new(heads));
            let outcome = scanner.scan(item).await;
            assert!(
                matches!(outcome, ScanOutcome::Found(_)),
                "{method} {direction:?}: {outcome:?}"
            );
        }
    }
}

#[tokio::test]
async fn scans_one_after_another_share_one_connection() {
    let clamd = Clamd::start();
    let server = CIcap::start(&clamd);
    for (scanner, port) in [
        (icap(&server, "scan"), server.port),
        (icaps(&server, "scan"), server.tls_port),
    ] {
        let before = CIcap::connections(port);
        for _ in 0..20 {
            for item in every_way(b"hello") {
                assert_eq!(scanner.scan(item).await, ScanOutcome::Clean);
            }
        }
        assert_eq!(CIcap::connections(port).difference(&before).count(), 1);
    }
}

#[tokio::test]
async fn connections_that_c_icap_closes_cost_no_scan() {
    let clamd = Clamd::start();
    let server = CIcap::start_impatient(&clamd, 5);
    for (scanner, port) in [
        (icap(&server, "scan"), server.port),
        (icaps(&server, "scan"), server.tls_port),
    ] {
        let before = CIcap::connections(port);
        let mut after = before.clone();
        for _ in 0..10 {
            for item in every_way(b"hello") {
                assert_eq!(scanner.scan(item).await, ScanOutcome::Clean);
                // One that was reset is soon forgotten.
                after.extend(CIcap::connections(port));
            }
        }
        let used = after.difference(&before).count();
        assert!((10..=20).contains(&used), "{used}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_scans_at_once_are_each_answered_for_themselves() {
    let clamd = Clamd::start();
    let server = CIcap::start(&clamd);
    // One after the other: c-icap has 20 threads, and an idle connection keeps one.
    for scanner in [icap(&server, "scan"), icaps(&server, "scan")] {
        let mut scans = tokio::task::JoinSet::new();
        for at in 0..200 {
            let infected = at % 3 == 0;
            let text = if infected { eicar() } else { format!("clean {at}") };
            let scan = scanner.scan(message(Direction::ALL[at % 2], Opcode::Text, text));
            scans.spawn(async move { (infected, scan.await) });
        }
        while let Some(done) = scans.join_next().await {
            let (infected, outcome) = done.unwrap();
            let right = match outcome {
                ScanOutcome::Found(_) => infected,
                ScanOutcome::Clean => !infected,
                _ => false,
            };
            assert!(right, "infected: {infected}, {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_clamd_that_dies_is_left_alone_and_used_again_when_it_is_back() {
    let mut server = Clamd::start();
    let address = Endpoint::parse(&format!("127.0.0.1:{}", server.port), 3310).unwrap();
    let scanner = scan::build(
        ScannerConfig {
            breaker: Thresholds {
                failures: 2,
                rest: Duration::from_secs(1),
            },
            ..config(ScannerKind::Clamd { address })
        },
        &ServiceNames::default(),
    );
    let ask = || scanner.scan(message(Direction::ToOrigin, Opcode::Text, "hello"));
    assert_eq!(ask().await, ScanOutcome::Clean);
    server.kill();
    for _ in 0..2 {
        let outcome = ask().await;
        assert!(
            matches!(&outcome, ScanOutcome::Failed(why) if why.contains("cannot connect")),
            "{outcome:?}"
        );
    }
    let outcome = ask().await;
    assert!(
        matches!(&outcome, ScanOutcome::Failed(why) if why.contains("resting")),
        "{outcome:?}"
    );
    server.revive();
    let start = Instant::now();
    loop {
        match ask().await {
            ScanOutcome::Clean => break,
            ScanOutcome::Failed(why) => assert!(why.contains("resting"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert!(start.elapsed() < DEADLINE, "it is not tried again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Scans a second of clean messages of 1,000 bytes, with so many under way at once.
async fn rate(scanner: &Arc<dyn Scanner>, at_once: usize, long: Duration) -> f64 {
    let begin = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let scanner = Arc::clone(scanner);
        clients.spawn(async move {
            let data = Bytes::from(vec![b'x'; 1000]);
            let mut done = 0;
            while begin.elapsed() < long {
                let item = message(Direction::ToOrigin, Opcode::Binary, data.clone());
                assert_eq!(scanner.scan(item).await, ScanOutcome::Clean);
                done += 1;
            }
            done
        });
    }
    let done: u32 = clients.join_all().await.into_iter().sum();
    f64::from(done) / begin.elapsed().as_secs_f64()
}

/// The table of docs/scanners.md: the best of five rounds in which every row has its turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute, and says something only on an idle machine"]
async fn scans_a_second() {
    let server = Clamd::start();
    // An idle connection keeps a thread of c-icap, and it has 20.
    let [plain, secure] = [CIcap::start(&server), CIcap::start(&server)];
    let rows = [
        ("clamd, TCP", clamd(&format!("127.0.0.1:{}", server.port))),
        (
            "clamd, Unix socket",
            clamd(&server.socket().display().to_string()),
        ),
        ("c-icap, `echo`", icap(&plain, "echo")),
        ("c-icap, `echo`, inside TLS", icaps(&secure, "echo")),
        ("c-icap, `virus_scan`", icap(&plain, "scan")),
        ("c-icap, `virus_scan`, inside TLS", icaps(&secure, "scan")),
    ];
    let mut best = [[0.0_f64; 2]; 6];
    for _ in 0..5 {
        for ((_, scanner), best) in rows.iter().zip(&mut best) {
            for (at_once, best) in [1, 8].into_iter().zip(best) {
                *best = best.max(rate(scanner, at_once, Duration::from_secs(1)).await);
            }
        }
    }
    for ((name, _), [one, eight]) in rows.iter().zip(best) {
        println!("| {name} | {one:.0} | {eight:.0} |");
    }
}
