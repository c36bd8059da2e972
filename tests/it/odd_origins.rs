//! Origins that are old, early, stuck or full: what the client gets is still the truth.

use crate::harness::certs::certs;
use crate::harness::clients::curl;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Secure, connect, header, tls};
use crate::harness::recorder::{Recorder, Served};
use crate::harness::road::{Road, Version, over_both};
use crate::harness::{free_port, until};
use std::io::Read as _;
use std::net::TcpStream;
use std::process::Command;

/// A request without a body, and the origin that has read it.
fn asked(proxy: &Proxy, recorder: &Recorder) -> (Secure, Served) {
    let mut client = tls(proxy, &recorder.target());
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    (client, origin)
}

#[test]
fn a_body_that_ends_with_its_connection() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    for version in ["1.0", "1.1"] {
        let (mut client, mut origin) = asked(&proxy, &recorder);
        origin.send(format!("HTTP/{version} 200 OK\r\n\r\nall there is"));
        origin.stream.conn.send_close_notify();
        origin.send("");
        drop(origin);
        let head = client.head().unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(header(&head, "content-length").is_none(), "{head}");
        if header(&head, "transfer-encoding") == Some("chunked") {
            assert_eq!(client.rest(), b"C\r\nall there is\r\n0\r\n\r\n");
        } else {
            assert_eq!(header(&head, "connection"), Some("close"), "{head}");
            assert_eq!(client.exactly(12), b"all there is");
            assert_eq!(client.stream.read(&mut [0]).unwrap(), 0, "not an orderly end");
        }

        // Cut off, it must not look whole: without a close_notify the end may be an attacker's.
        let (mut client, mut origin) = asked(&proxy, &recorder);
        origin.send(format!("HTTP/{version} 200 OK\r\n\r\nhalf of what"));
        drop(origin);
        let head = client.head().unwrap();
        if header(&head, "transfer-encoding") == Some("chunked") {
            assert!(!client.rest().ends_with(b"0\r\n\r\n"), "passed off as whole");
        } else {
            assert_eq!(client.exactly(12), b"half of what");
            let end = client.stream.read(&mut [0]);
            assert!(end.is_err(), "passed off as whole: {end:?}");
        }
    }
}

#[test]
fn an_answer_that_does_not_wait_for_the_body() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let target = recorder.target();
    let mut client = tls(&proxy, &target);
    client.send(format!(
        "POST /upload HTTP/1.1\r\nHost: {target}\r\nContent-Length: 50000000\r\n\r\n"
    ));
    client.send([b'x'; 100_000]);
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 8\r\n\r\ntoo much");
    // The client never ends its body, and hears all the same why.
    let answer = client.answer();
    assert_eq!(
        (answer.status, &answer.body[..]),
        (413, &b"too much"[..]),
        "{}",
        answer.head
    );
    assert_eq!(answer.header("connection"), Some("close"), "{}", answer.head);
    drop((client, origin));
    proxy.metric("wsbump_connections_open", &[], 0.0);
}

#[test]
fn a_response_that_stops_halfway_is_cut() {
    let proxy = Setup::new()
        .config("timeouts = { http_idle = '700ms', response = '700ms' }")
        .start();
    let recorder = Recorder::start();
    let (mut client, mut origin) = asked(&proxy, &recorder);
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    client.head().unwrap();
    assert_eq!(client.rest(), b"half");
    assert!(origin.rest().is_empty());
    let line = proxy.log("request", |_| true);
    assert_eq!(line["status"], 200, "{line}");
    assert!(
        line["error"].is_string(),
        "a response that was cut is no success: {line}"
    );
    assert_ne!(proxy.log("connection", |_| true)["outcome"], "ok");
}

over_both!(an_upload_that_stops_halfway_is_cut);

fn an_upload_that_stops_halfway_is_cut(version: Version) {
    let proxy = Setup::new()
        .config("timeouts = { http_idle = '700ms', response = '700ms' }")
        .start();
    let road = Road::start(version);
    let mut client = road.client(&proxy);
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 100\r\n\r\nhalf",
        road.target()
    ));
    let mut origin = road.accept();
    origin.head().unwrap();
    assert_eq!(origin.rest(), b"half");
    let answer = client.try_answer();
    assert!(
        answer.is_none_or(|answer| matches!(answer.status, 408 | 500..=504)),
        "no success"
    );
    proxy.metric("wsbump_connections_open", &[], 0.0);
}

#[test]
fn an_origin_that_closes_between_two_requests() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let (mut client, mut origin) = asked(&proxy, &recorder);
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
    // The client sees what it would see without a proxy, and can ask again on a new connection.
    drop(origin);
    assert!(client.rest().is_empty());
    assert_eq!(proxy.log("connection", |_| true)["outcome"], "ok");
}

#[test]
fn an_origin_of_tls_1_2_by_openssl() {
    let proxy = Proxy::start();
    let port = free_port();
    let mut command = Command::new("openssl");
    command.args([
        "s_server",
        "-tls1_2",
        "-www",
        "-accept",
        &format!("127.0.0.1:{port}"),
    ]);
    command
        .arg("-cert")
        .arg(&certs().origin.cert)
        .arg("-key")
        .arg(&certs().origin.key);
    let _origin = Process::start("openssl", command);
    until("openssl listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    let url = format!("https://origin.test:{port}/");
    // The client's version is its own.
    let done = curl(Some(&proxy.url()), &proxy.ca, &["--tlsv1.3", &url, &url]);
    assert_eq!((done.code, done.status), (0, 200), "{done:?}");
    assert!(done.text.contains("TLSv1.2"), "{}", done.text);
    let resumed = [("side", "origin"), ("outcome", "resumed")];
    let resumed = proxy
        .metrics()
        .sum("wsbump_tls_handshake_seconds_count", &resumed);
    assert_eq!(resumed as u64, 1, "{}", done.verbose);
}

#[test]
fn an_origin_whose_queue_is_full_is_a_504() {
    let proxy = Setup::new().config("timeouts = { dial = '300ms' }").start();
    let full = "import socket, sys\n\
        s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(0)\n\
        held = [socket.socket() for _ in range(8)]\n\
        for c in held: c.setblocking(False); c.connect_ex(s.getsockname())\n\
        print(s.getsockname()[1], flush=True)\n\
        sys.stdin.read()";
    let mut command = Command::new("python3");
    command.args(["-c", full]);
    let origin = Process::start("python3", command);
    let port: u16 = origin.out("a port", |line| line.parse().ok());
    let (_, answer) = connect(&proxy, &format!("origin.test:{port}"));
    assert_eq!(answer.status, 504, "{}", answer.head);
    let status = answer.header("proxy-status").unwrap();
    assert!(status.contains("error=connection_timeout"), "{status}");
    proxy.metric(
        "wsbump_dial_seconds_count",
        &[("outcome", "connection_timeout")],
        1.0,
    );
}

#[test]
fn the_roots_of_the_system_are_trusted_when_asked_for() {
    let recorder = Recorder::start();
    let own = Setup::new()
        .config("origin = { system_roots = true, extra_roots = [] }")
        .env("SSL_CERT_FILE", &certs().root)
        .start();
    let mut client = tls(&own, &recorder.target());
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);

    let others = Setup::new()
        .config("origin = { system_roots = true, extra_roots = [] }")
        .start();
    let done = curl(
        Some(&others.url()),
        &others.ca,
        &[&format!("https://{}/", recorder.target())],
    );
    assert_eq!((done.code, done.status), (0, 502), "{done:?}");
}
