use super::*;
use crate::handshake::ca::Ca;
use crate::portal::{Portal, PortalConfig, PublicRoots};
use crate::report::Event;
use crate::report::tests::{sample, silent};
use crate::wire::names::Host;
use std::net::SocketAddr;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Known by the name that these tests use.
fn access() -> AdminAccess {
    AdminAccess {
        names: Host::parse("admin.example").into_iter().collect(),
        ..AdminAccess::default()
    }
}

struct Admin {
    address: SocketAddr,
    report: Arc<Report>,
    readiness: Arc<Mutex<Readiness>>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

async fn admin() -> Admin {
    admin_within(DEADLINES).await
}

async fn admin_within(deadlines: AdminDeadlines) -> Admin {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = AdminListener::Tcp(listener);
    let report = silent();
    let ca = Arc::new(CaCertificate {
        pem: "-----BEGIN CERTIFICATE-----\n".into(),
        der: vec![0x30, 0x82, 0x00],
        subject: "CN=<script>alert(1)</script>".into(),
        fingerprint_sha256: "AA:BB".into(),
    });
    let readiness = Arc::new(Mutex::new(Readiness::Ready));
    let asked = Arc::clone(&readiness);
    let state = AdminState {
        ca: Arc::new(move || Arc::clone(&ca)),
        portal: Arc::new(|| {
            let ca = Arc::new(Ca::generate("Test").unwrap().0);
            Arc::new(Portal::new(PortalConfig::default(), &ca, PublicRoots::default()))
        }),
        access: Arc::new(|| Arc::new(access())),
        readiness: Arc::new(move || asked.lock().unwrap().clone()),
    };
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(serve_within(
        deadlines,
        listener,
        Arc::clone(&report),
        state,
        async {
            let _ = stopped.await;
        },
    ));
    Admin {
        address,
        report,
        readiness,
        stop,
        served,
    }
}

impl Admin {
    /// The answer's head in lower case, and its body.
    async fn ask(&self, method: &str, path: &str) -> (String, Vec<u8>) {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: admin.example:9128\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        let split = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
        (
            String::from_utf8_lossy(&answer[..split]).to_lowercase() + "\r\n",
            answer[split + 4..].to_vec(),
        )
    }

    async fn text(&self, path: &str) -> (String, String) {
        let (head, body) = self.ask("GET", path).await;
        (head, String::from_utf8(body).unwrap())
    }
}

#[tokio::test]
async fn metrics_health_and_readiness() {
    let admin = admin().await;
    admin.report.state(&Event::Accepted);
    let (head, body) = admin.text("/metrics").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(
        head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\ncache-control: no-store\r\n"));
    assert_eq!(sample(&body, "wsbump_connections_open"), 1.0);
    assert!(sample(&body, "process_open_fds") > 0.0);
    let (head, body) = admin.text("/healthz").await;
    assert!(
        head.starts_with("http/1.1 200 ") && body == "ok\n",
        "{head}{body}"
    );
    for (readiness, status, text) in [
        (Readiness::Ready, "200", "ready\n"),
        (Readiness::Draining, "503", "draining\n"),
        (Readiness::NotReady("no CA".into()), "503", "no CA\n"),
    ] {
        *admin.readiness.lock().unwrap() = readiness;
        let (head, body) = admin.text("/readyz").await;
        assert!(
            head.starts_with(&format!("http/1.1 {status} ")) && body == text,
            "{head}{body}"
        );
    }
}

#[tokio::test]
async fn the_ca_as_pem_and_as_der() {
    let admin = admin().await;
    let (head, body) = admin.text("/ca.pem").await;
    assert!(
        head.contains("\r\ncontent-type: application/x-pem-file\r\n"),
        "{head}"
    );
    assert_eq!(body, "-----BEGIN CERTIFICATE-----\n");
    let (head, body) = admin.ask("GET", "/ca.crt").await;
    assert!(
        head.contains("\r\ncontent-type: application/x-x509-ca-cert\r\n"),
        "{head}"
    );
    assert!(
        head.contains("\r\ncontent-disposition: attachment; filename=\"wsbump-ca.crt\"\r\n"),
        "{head}"
    );
    assert_eq!(body, [0x30, 0x82, 0x00]);
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere_and_repeats_nothing_raw() {
    let admin = admin().await;
    let (head, body) = admin.text("/").await;
    assert!(
        head.contains("content-security-policy: default-src 'none'; style-src 'self';"),
        "{head}"
    );
    assert!(body.contains("http://admin.example:9128/ca.pem") && body.contains(env!("CARGO_PKG_VERSION")));
    assert!(
        body.contains("CN=&lt;script&gt;") && !body.contains("<script"),
        "{body}"
    );
    for (link, _) in body
        .match_indices("href=\"")
        .map(|(at, _)| body[at + 6..].split_once('"').unwrap())
    {
        let (head, _) = admin.ask("GET", link).await;
        assert!(
            link.starts_with('/') && head.starts_with("http/1.1 200 "),
            "{link}: {head}"
        );
    }
    let ca = CaCertificate {
        pem: String::new(),
        der: vec![],
        subject: String::new(),
        fingerprint_sha256: String::new(),
    };
    let page = page::index(
        &ca,
        "http://portal.test/",
        &Readiness::Ready,
        Some("x\"><script>"),
    );
    assert!(page.contains("http://ADMIN-ADDRESS/ca.pem") && !page.contains("<script"));
}

#[tokio::test]
async fn only_get_and_head_and_every_answer_is_defensive() {
    let admin = admin().await;
    for path in [
        "/",
        "/style.css",
        "/metrics",
        "/healthz",
        "/readyz",
        "/ca.pem",
        "/ca.crt",
        "/bundle.pem",
        "/policies.json",
        "/nowhere",
    ] {
        let (head, body) = admin.ask("HEAD", path).await;
        let status = if path == "/nowhere" { "404" } else { "200" };
        assert!(
            head.starts_with(&format!("http/1.1 {status} ")) && body.is_empty(),
            "{path}: {head}"
        );
        for header in [
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'",
            "cache-control: no-store",
        ] {
            assert!(head.contains(header), "{path}: {head}");
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
            let (head, _) = admin.ask(method, path).await;
            let status = if path == "/nowhere" { "404" } else { "405" };
            assert!(
                head.starts_with(&format!("http/1.1 {status} ")),
                "{method} {path}: {head}"
            );
            assert!(
                head.contains("x-content-type-options: nosniff"),
                "{method} {path}: {head}"
            );
            assert_eq!(
                head.matches("\r\nallow: ").count(),
                usize::from(status == "405"),
                "{method} {path}: {head}"
            );
        }
    }
}

#[tokio::test]
async fn it_stops_with_a_kept_connection_open() {
    let admin = admin().await;
    let mut kept = TcpStream::connect(admin.address).await.unwrap();
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = vec![0; 1024];
    assert!(kept.read(&mut answer).await.unwrap() > 0);
    admin.stop.send(()).unwrap();
    timeout(Duration::from_secs(30), admin.served)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(admin.address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn a_silent_connection_meets_its_deadline_and_a_kept_one_its_end() {
    let (short, long) = (Duration::from_millis(20), Duration::from_secs(3600));
    for (deadlines, request) in [
        (
            AdminDeadlines {
                head: short,
                lifetime: long,
                grace: long,
            },
            "GET /hea",
        ),
        (
            AdminDeadlines {
                head: long,
                lifetime: short,
                grace: short,
            },
            "GET /hea",
        ),
        (
            AdminDeadlines {
                head: long,
                lifetime: short,
                grace: long,
            },
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ),
    ] {
        let admin = admin_within(deadlines).await;
        let mut socket = TcpStream::connect(admin.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = timeout(Duration::from_secs(30), socket.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{deadlines:?} {request}");
    }
}
