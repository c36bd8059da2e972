//! Revocation lists that are fetched from addresses, refreshed, and kept.

use crate::harness::certs::certs;
use crate::harness::clients::curl;
use crate::harness::process::Process;
use crate::harness::proxy::Proxy;
use crate::harness::recorder::tcp;
use crate::harness::revocation::{Pki, is, origin};
use crate::harness::road::{Version, over_both};
use crate::harness::{scratch, until};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const URL: &str = "http://crl.test/ca.crl";
const FETCHES: &str = "wsbump_crl_fetch_seconds_count";
const NEXT_UPDATE: &str = "wsbump_crl_next_update_timestamp_seconds";

/// A web server that answers whatever it was last told to.
struct Publisher {
    port: u16,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<AtomicUsize>,
}

impl Publisher {
    fn new() -> Self {
        Self::start(|listener, answer, asked| {
            for socket in listener.incoming().flatten() {
                serve(socket, answer, asked);
            }
        })
    }

    /// The same behind TLS, as `origin.test`.
    fn secure() -> Self {
        let identity = &certs().origin;
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key_der())
        .unwrap();
        let config = Arc::new(config);
        Self::start(move |listener, answer, asked| {
            for socket in listener.incoming().flatten() {
                let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = rustls::StreamOwned::new(tls, socket);
                serve(&mut stream, answer, asked);
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        })
    }

    fn start(run: impl FnOnce(TcpListener, &Mutex<Vec<u8>>, &AtomicUsize) + Send + 'static) -> Self {
        let (listener, port) = tcp();
        let publisher = Self {
            port,
            answer: Arc::default(),
            asked: Arc::default(),
        };
        let (answer, asked) = (Arc::clone(&publisher.answer), Arc::clone(&publisher.asked));
        std::thread::spawn(move || run(listener, &answer, &asked));
        publisher
    }

    fn answer(&self, head: &str, body: &[u8]) {
        let answer = [head.as_bytes(), b"\r\nConnection: close\r\n\r\n", body].concat();
        *self.answer.lock().unwrap() = answer;
    }

    /// Publishes what the CA says now.
    fn publish(&self, pki: &Pki, status: &str) {
        pki.list(status, "published.crl");
        self.answer(
            "HTTP/1.1 200 OK",
            &std::fs::read(pki.path("published.crl")).unwrap(),
        );
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits until what it answers now has been looked at.
    fn is_seen(&self) {
        let before = self.asked();
        // One may be under way; the one after the next was begun later.
        until("three more fetches", || {
            (self.asked() >= before + 3).then_some(())
        });
    }
}

fn serve(mut socket: impl Read + Write, answer: &Mutex<Vec<u8>>, asked: &AtomicUsize) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if socket.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"GET /ca.crl HTTP/1.1\r\n"));
    let _ = socket.write_all(&answer.lock().unwrap().clone());
    asked.fetch_add(1, Ordering::SeqCst);
}

/// Which list is fetched, once a second.
fn fetching(url: &str) -> String {
    format!("crl_urls = ['{url}']\ncrl_refresh = '1s'\n")
}

fn fetched(proxy: &Proxy, outcome: &str) {
    until(outcome, || {
        (proxy.metrics().sum(FETCHES, &[("outcome", outcome)]) >= 1.0).then_some(())
    });
}

/// An origin, and what becomes of requests to it.
struct Visit {
    _origin: Process,
    url: String,
    version: Version,
}

impl Visit {
    fn new(pki: &Pki, version: Version) -> Self {
        let (origin, port) = origin(pki, version);
        Self {
            _origin: origin,
            url: format!("https://origin.test:{port}/"),
            version,
        }
    }

    fn status(&self, proxy: &Proxy) -> u16 {
        let done = curl(Some(&proxy.url()), &proxy.ca, &[self.version.curl(), &self.url]);
        assert_eq!(done.code, 0, "{done:?}");
        done.status
    }
}

over_both!(
    a_list_is_fetched_refreshed_and_kept,
    a_list_by_https_counts,
    hard_wants_a_list_that_is_in_date,
);

fn a_list_is_fetched_refreshed_and_kept(version: Version) {
    let (pki, publisher, data) = (Pki::new(), Publisher::new(), scratch());
    let start = || {
        let setup = pki.setup(&fetching(URL));
        setup
            .host("crl.test", &publisher.address())
            .data(data.path())
            .start()
    };
    publisher.publish(&pki, "good");
    let proxy = start();
    fetched(&proxy, "ok");
    is(&proxy, &pki, version, 200, Some("good"));
    let metrics = proxy.metrics();
    let next = metrics.sum(NEXT_UPDATE, &[("source", URL)]);
    let days = (next - now()) / 86_400.0;
    assert!((29.0..31.0).contains(&days), "{days}");

    // A new list is taken up while the proxy runs; sessions from before it are not resumed.
    let visit = Visit::new(&pki, version);
    assert_eq!(visit.status(&proxy), 200);
    publisher.publish(&pki, "revoked");
    publisher.is_seen();
    assert_eq!(visit.status(&proxy), 502);

    // It stays when it cannot be had any more, and over a restart.
    publisher.answer("HTTP/1.1 404 Not Found", b"");
    publisher.is_seen();
    assert_eq!(visit.status(&proxy), 502);
    fetched(&proxy, "http_error");
    drop(proxy);
    let proxy = start();
    assert_eq!(visit.status(&proxy), 502);
    assert!(proxy.metrics().sum(NEXT_UPDATE, &[("source", URL)]) >= next);
}

fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}

fn a_list_by_https_counts(version: Version) {
    let (pki, publisher) = (Pki::new(), Publisher::secure());
    publisher.publish(&pki, "revoked");
    let url = format!("https://other.test:{}/ca.crl", publisher.port);
    // Whoever shows a certificate that does not verify is not believed.
    let distrusting = pki.proxy(&fetching(&url));
    fetched(&distrusting, "unreachable");
    let roots = format!(
        "origin = {{ extra_roots = ['{}', '{}'] }}",
        pki.path("ca.pem").display(),
        certs().root.display()
    );
    let proxy = pki.setup(&fetching(&url)).config(&roots).start();
    fetched(&proxy, "ok");
    is(&proxy, &pki, version, 502, Some("revoked"));
}

fn hard_wants_a_list_that_is_in_date(version: Version) {
    let (pki, publisher) = (Pki::new(), Publisher::new());
    publisher.answer("HTTP/1.1 503 Not Yet", b"");
    let hard = format!("{}revocation = 'hard'\n", fetching(URL));
    let setup = pki.setup(&hard).host("crl.test", &publisher.address());
    let proxy = setup.start();
    let visit = Visit::new(&pki, version);
    // There is none yet, which the metric tells as well.
    fetched(&proxy, "http_error");
    assert_eq!(visit.status(&proxy), 502);
    proxy.metric(NEXT_UPDATE, &[("source", URL)], 0.0);
    // There is one, until it is out of date.
    pki.list_for("good", "short.crl", 8);
    publisher.answer("HTTP/1.1 200 OK", &std::fs::read(pki.path("short.crl")).unwrap());
    until("the list", || (visit.status(&proxy) == 200).then_some(()));
    // What is resumed is not looked up again.
    let fresh = || Visit::new(&pki, version).status(&proxy);
    until("the end of the list", || (fresh() == 502).then_some(()));
    let line = proxy.log("connection", |line| {
        line["detail"]
            .as_str()
            .is_some_and(|text| text.contains("nothing says whether"))
    });
    assert_eq!(line["outcome"], "tls_certificate_error", "{line}");
    assert!(proxy.metrics().sum(NEXT_UPDATE, &[("source", URL)]) < now());
}

#[test]
fn nobody_can_take_a_list_away() {
    let (pki, stranger, publisher) = (Pki::new(), Pki::new(), Publisher::new());
    let older = {
        pki.list_since("good", "older.crl", "250101000000Z");
        std::fs::read(pki.path("older.crl")).unwrap()
    };
    publisher.publish(&pki, "revoked");
    let setup = pki.setup(&fetching(URL)).host("crl.test", &publisher.address());
    let proxy = setup.start();
    fetched(&proxy, "ok");
    let visit = Visit::new(&pki, Version::Http1);
    assert_eq!(visit.status(&proxy), 502);
    stranger.list("good", "forged.crl");
    let forged = std::fs::read(stranger.path("forged.crl")).unwrap();
    let large = vec![b'0'; 33 << 20];
    let cases: [(&str, &[u8], &str); 6] = [
        ("HTTP/1.1 200 OK", &forged, "a CRL that its issuer has not signed"),
        ("HTTP/1.1 200 OK", &older, "older than the one that is kept"),
        ("HTTP/1.1 200 OK", b"<html>", "holds no CRL"),
        ("HTTP/1.1 200 OK", b"0\x03\x02\x01\x05", "cannot be used"),
        ("HTTP/1.1 200 OK", &large, "larger than 33554432 bytes"),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/",
            b"",
            "302 Found",
        ),
    ];
    for (head, body, words) in cases {
        publisher.answer(head, body);
        proxy.process().err(words, |line| {
            (line.contains("crl.test") && line.contains(words) && line.contains("stays in use")).then_some(())
        });
        assert_eq!(visit.status(&proxy), 502, "{words}");
    }
    // The next that counts is taken.
    publisher.publish(&pki, "good");
    until("the list", || (visit.status(&proxy) == 200).then_some(()));
}

#[test]
fn what_clients_may_not_reach_is_not_fetched_from() {
    let (pki, publisher) = (Pki::new(), Publisher::new());
    publisher.publish(&pki, "good");
    let setup = pki.setup(&fetching(URL)).host("crl.test", &publisher.address());
    let proxy = setup.config("network.deny = ['127.0.0.0/8']").start();
    fetched(&proxy, "forbidden");
    assert_eq!(publisher.asked(), 0);
}

#[test]
fn what_is_no_address_is_told() {
    let pki = Pki::new();
    for wrong in ["ldap://ca.test/x", "ca.test/x.crl", "http://user@ca.test/"] {
        let config = pki.path("wsbump.toml");
        std::fs::write(&config, format!("[origin]\ncrl_urls = ['{wrong}']\n")).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wsbump"));
        command.arg("check").arg("--config").arg(&config);
        let output = command.arg("--data-dir").arg(pki.path("data")).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("origin.crl_urls") && said.contains("is no address"),
            "{said}"
        );
    }
}
