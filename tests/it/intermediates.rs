//! Origins that do not send all of their chain: what lacks is fetched, by the rules that hold for clients.

use crate::harness::certs::{Incomplete, incomplete};
use crate::harness::clients::curl;
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::recorder::{Recorder, tcp};
use crate::harness::road::{Version, over_both};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) const URL: &str = "http://ca.test/intermediate.cer";

/// A web server that gives the same answer to everybody.
pub(crate) struct Shelf {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Shelf {
    fn answering(head: &str, body: &[u8]) -> Self {
        let answer = [head.as_bytes(), b"\r\nConnection: close\r\n\r\n", body].concat();
        let (listener, port) = tcp();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || serve(&listener, &answer, &count));
        Self { port, asked }
    }

    pub(crate) fn with(certificate: &[u8]) -> Self {
        Self::answering("HTTP/1.1 200 OK", certificate)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn serve(listener: &TcpListener, answer: &[u8], asked: &AtomicUsize) {
    for mut socket in listener.incoming().flatten() {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if socket.read(&mut byte).unwrap_or(0) == 0 {
                break;
            }
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"GET /intermediate.cer HTTP/1.1\r\n"));
        asked.fetch_add(1, Ordering::SeqCst);
        let _ = socket.write_all(answer);
    }
}

fn trusting(pki: &Incomplete) -> Setup {
    let root = pki.root.display();
    Setup::new().config(&format!("origin = {{ extra_roots = ['{root}'] }}"))
}

fn fetches(proxy: &Proxy, outcome: &str) -> u64 {
    let labels = [("outcome", outcome)];
    proxy
        .metrics()
        .sum("wsbump_intermediate_fetch_seconds_count", &labels) as u64
}

over_both!(a_chain_is_completed);

fn a_chain_is_completed(version: Version) {
    let pki = incomplete(URL);
    let shelf = Shelf::with(&pki.intermediate);
    let proxy = trusting(&pki).host("ca.test", &shelf.address()).start();
    let origin = origins::own_nginx(version, &pki.origin);
    for _ in 0..2 {
        let done = curl(
            Some(&proxy.url()),
            &proxy.ca,
            &[version.curl(), &origin.url("https", "/")],
        );
        assert_eq!((done.code, done.status), (0, 200), "{done:?}");
    }
    // What is known is not fetched again; a connection that resumes a session needs none of it.
    assert_eq!((shelf.asked(), fetches(&proxy, "ok")), (1, 1));
    let lines = crate::harness::until("both connections", || {
        Some(proxy.log_so_far("connection")).filter(|lines| lines.len() == 2)
    });
    assert_eq!(lines[0]["chain"], "fetched", "{lines:?}");
    assert_ne!(lines[1]["chain"], "fetched", "{lines:?}");
    assert_eq!(lines[0]["outcome"], "ok", "{lines:?}");
}

#[test]
fn a_websocket_opens_at_an_origin_with_an_incomplete_chain() {
    let pki = incomplete(URL);
    let shelf = Shelf::with(&pki.intermediate);
    let proxy = trusting(&pki).host("ca.test", &shelf.address()).start();
    let recorder = Recorder::with(&pki.origin);
    let (mut client, mut origin) = recorder.websocket(&proxy);
    origin.send([0x82, 1, b'x']);
    assert_eq!(client.exactly(3), [0x82, 1, b'x']);
}

/// The client is told why, and the metric knows the kind.
fn is_refused(version: Version, proxy: &Proxy, pki: &Incomplete, outcome: Option<&str>, words: &str) {
    let origin = origins::own_nginx(version, &pki.origin);
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[version.curl(), &origin.url("https", "/")],
    );
    assert_eq!((done.code, done.status), (0, 502), "{done:?}");
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["outcome"], "tls_certificate_error", "{line}");
    let detail = line["detail"].as_str().unwrap();
    assert!(
        detail.contains("unknown issuer: CN=An intermediate that is not sent"),
        "{detail}"
    );
    assert!(detail.contains(words), "{detail}");
    assert!(line.get("chain").is_none(), "{line}");
    if let Some(outcome) = outcome {
        assert_eq!(fetches(proxy, outcome), 1);
    }
}

over_both!(
    nothing_is_fetched_where_that_is_switched_off,
    an_address_that_may_not_be_dialled_is_not_asked,
    what_brings_no_certificate_is_told,
);

fn nothing_is_fetched_where_that_is_switched_off(version: Version) {
    let pki = incomplete(URL);
    let shelf = Shelf::with(&pki.intermediate);
    let setup = trusting(&pki).host("ca.test", &shelf.address());
    let proxy = setup.config("origin = { fetch_intermediates = false }").start();
    is_refused(version, &proxy, &pki, None, "unknown issuer");
    assert_eq!(shelf.asked(), 0);
    assert_eq!(
        proxy
            .metrics()
            .sum("wsbump_intermediate_fetch_seconds_count", &[]) as u64,
        0
    );
}

fn an_address_that_may_not_be_dialled_is_not_asked(version: Version) {
    let pki = incomplete(URL);
    let shelf = Shelf::with(&pki.intermediate);
    // Within the networks that are allowed, but denied.
    let address = format!("127.0.0.2:{}", shelf.port);
    let setup = trusting(&pki).host("ca.test", &address);
    let proxy = setup.config("network = { deny = ['127.0.0.2/32'] }").start();
    is_refused(
        version,
        &proxy,
        &pki,
        Some("forbidden"),
        "may not be reached from here",
    );

    // Private, as everywhere else.
    let proxy = trusting(&pki).host("ca.test", "10.1.2.3").start();
    is_refused(version, &proxy, &pki, Some("forbidden"), "private use (RFC 1918)");

    // The proxy itself.
    let mut proxy = trusting(&pki).start();
    let own = proxy.address.clone();
    proxy.rewrite_config(&format!("network = {{ hosts = {{ 'ca.test' = '{own}' }} }}"));
    proxy.metric("wsbump_config_reloads_total", &[("result", "success")], 1.0);
    is_refused(version, &proxy, &pki, Some("forbidden"), "this proxy itself");

    // By name.
    let setup = trusting(&pki).host("ca.test", &shelf.address());
    let setup = setup.file("denied", "ca.test\n").config(
        "list = [{ name = 'denied', file = 'denied', format = 'domains' }]\n[policy]\ndeny = ['denied']",
    );
    is_refused(
        version,
        &setup.start(),
        &pki,
        Some("forbidden"),
        "the policy denies ca.test:80",
    );
    assert_eq!(shelf.asked(), 0);
}

fn what_brings_no_certificate_is_told(version: Version) {
    let pki = incomplete(URL);
    let large = vec![b'x'; 100_000];
    let cases: [(&str, &[u8], &str, &str); 4] = [
        ("HTTP/1.1 404 Not Found", b"", "http_error", "404 Not Found"),
        (
            "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/",
            b"",
            "http_error",
            "301 Moved",
        ),
        ("HTTP/1.1 200 OK", &large, "too_large", "larger than 65536 bytes"),
        ("HTTP/1.1 200 OK", b"<html>", "unusable", "no certificate"),
    ];
    for (head, body, outcome, words) in cases {
        let shelf = Shelf::answering(head, body);
        let proxy = trusting(&pki).host("ca.test", &shelf.address()).start();
        is_refused(version, &proxy, &pki, Some(outcome), words);
        assert_eq!(shelf.asked(), 1);
    }
    // Nobody is there; somebody is and says nothing.
    let (silent, port) = tcp();
    let proxy = trusting(&pki)
        .host("ca.test", &format!("127.0.0.1:{port}"))
        .start();
    is_refused(
        version,
        &proxy,
        &pki,
        Some("timeout"),
        "no whole answer within 4s",
    );
    drop(silent);
    let proxy = trusting(&pki)
        .host("ca.test", &format!("127.0.0.1:{port}"))
        .start();
    is_refused(
        version,
        &proxy,
        &pki,
        Some("unreachable"),
        "no connection to ca.test:80",
    );
}
