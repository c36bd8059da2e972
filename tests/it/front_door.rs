//! What is asked at the front door, in every protocol that it can be asked in: one decision, one dial, one answer.

use crate::harness::certs::certs;
use crate::harness::clients::{Client, curl};
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, connect, dial};
use crate::harness::recorder::{accept, tcp};

/// Denies a name that nobody could resolve: whoever looked it up would say so.
fn denying() -> Proxy {
    Setup::new()
        .file("denied", "^denied\\.invalid:\n^origin\\.test:1:443$\n")
        .config(
            "listen = { tls = ['127.0.0.1:0'] }\npolicy = { deny = ['denied'] }\n\
             list = [{ name = 'denied', file = 'denied', format = 'url_regex' }]",
        )
        .start()
}

/// What is told of a destination that is denied: a line for the request, one for its connection, and the counts.
fn told(proxy: &Proxy, protocol: &str, method: &str) {
    let request = proxy.log("request", |line| {
        line["protocol"] == protocol && line["method"] == method
    });
    assert_eq!(
        (&request["status"], &request["error"]),
        (&403.into(), &"http_request_denied".into()),
        "{request}"
    );
    let line = proxy.log("connection", |line| line["outcome"] == "http_request_denied");
    assert_eq!(
        (&line["action"], &line["reason"], &line["list"], &line["line"]),
        (&"deny".into(), &"list_deny".into(), &"denied".into(), &1.into()),
        "{line}"
    );
    assert!(line["origin"].is_null(), "nothing was dialled: {line}");
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum("wsbump_decisions_total", &[("action", "deny")]), 1.0);
    assert_eq!(
        metrics.sum("wsbump_dial_seconds_count", &[]),
        0.0,
        "nothing was resolved"
    );
}

#[test]
fn a_denied_connect_is_a_403_before_anything_is_resolved() {
    let proxy = denying();
    let (_, answer) = connect(&proxy, "denied.invalid:443");
    assert_eq!(answer.status, 403, "{}", answer.head);
    let status = answer.header("proxy-status").unwrap();
    assert!(
        status.starts_with("wsbump; error=http_request_denied;"),
        "{status}"
    );
    let text = String::from_utf8_lossy(&answer.body);
    assert!(text.contains("denied.invalid:443 is not allowed here"), "{text}");
    told(&proxy, "HTTP/1.1", "CONNECT");
}

#[test]
fn a_denied_request_in_absolute_form_is_a_page() {
    let proxy = denying();
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send("GET http://denied.invalid/ HTTP/1.1\r\nHost: denied.invalid\r\nAccept: text/html\r\n\r\n");
    let answer = wire.answer();
    assert_eq!(answer.status, 403, "{}", answer.head);
    assert!(
        String::from_utf8_lossy(&answer.body).contains("This is not allowed here"),
        "{answer:?}"
    );
    drop(wire);
    told(&proxy, "HTTP/1.1", "GET");
}

#[test]
fn a_denied_stream_of_http_2_is_a_403() {
    let proxy = denying();
    let found = Client::new("h2_ask.py")
        .with("proxy", proxy.secure_url())
        .with("ca", &proxy.ca)
        .with("method", "CONNECT")
        .with("target", "denied.invalid:443")
        .run();
    assert_eq!(found["status"], "403", "{found}");
    assert!(
        found["proxy-status"]
            .as_str()
            .unwrap()
            .contains("error=http_request_denied"),
        "{found}"
    );
    told(&proxy, "HTTP/2", "CONNECT");
}

#[test]
fn a_denied_request_over_http_2_is_a_403() {
    let proxy = denying();
    let found = Client::new("h2_ask.py")
        .with("proxy", proxy.secure_url())
        .with("ca", &proxy.ca)
        .with("method", "GET")
        .with("target", "http://denied.invalid/")
        .run();
    assert_eq!(found["status"], "403", "{found}");
    told(&proxy, "HTTP/2", "GET");
}

#[test]
fn a_connect_that_is_refused_may_be_asked_again_on_its_connection() {
    let proxy = denying();
    let mut wire = Wire::new(dial(&proxy.address));
    for _ in 0..2 {
        wire.send("CONNECT denied.invalid:443 HTTP/1.1\r\nHost: denied.invalid:443\r\n\r\n");
        let answer = wire.answer();
        assert_eq!(
            (answer.status, answer.header("connection")),
            (403, None),
            "{}",
            answer.head
        );
    }
    let port = origins::plain_aiohttp().port;
    wire.send(format!(
        "GET http://origin.test:{port}/status/204 HTTP/1.1\r\nHost: origin.test:{port}\r\n\r\n"
    ));
    assert_eq!(wire.answer().status, 204);
    // HTTP/1.0 without keep-alive ends with its answer.
    let mut old = Wire::new(dial(&proxy.address));
    old.send("CONNECT denied.invalid:443 HTTP/1.0\r\n\r\n");
    assert_eq!(old.answer().status, 403);
    assert!(old.rest().is_empty());
}

#[test]
fn content_of_a_refused_request_is_read_past_or_ends_the_connection() {
    let proxy = denying();
    let port = origins::plain_aiohttp().port;
    let next =
        format!("GET http://origin.test:{port}/status/204 HTTP/1.1\r\nHost: origin.test:{port}\r\n\r\n");
    let post = |fields: &str| {
        format!("POST http://denied.invalid/ HTTP/1.1\r\nHost: denied.invalid\r\n{fields}\r\n")
    };
    // More than what sockets hold between them.
    let much = vec![b'x'; 900 << 10];
    let mut chunked = format!("{:x}\r\n", much.len()).into_bytes();
    chunked.extend_from_slice(&much);
    chunked.extend_from_slice(b"\r\n0\r\nX-Sum: 1\r\n\r\n");
    let length = format!("Content-Length: {}\r\n", much.len());
    for (fields, content) in [(&*length, &much), ("Transfer-Encoding: chunked\r\n", &chunked)] {
        let mut wire = Wire::new(dial(&proxy.address));
        wire.send(post(fields));
        wire.send(content);
        wire.send(&next);
        let answer = wire.answer();
        assert_eq!(
            (answer.status, answer.header("connection")),
            (403, None),
            "{}",
            answer.head
        );
        assert_eq!(wire.answer().status, 204, "{fields}");
    }
    // What is longer than is worth reading, and what may never come (RFC 9110 section 10.1.1).
    for fields in [
        "Content-Length: 2000000\r\n",
        "Content-Length: 10\r\nExpect: 100-continue\r\n",
    ] {
        let mut wire = Wire::new(dial(&proxy.address));
        wire.send(post(fields));
        let answer = wire.answer();
        assert_eq!(
            (answer.status, answer.header("connection")),
            (403, Some("close")),
            "{}",
            answer.head
        );
        // No second answer, and no reset.
        assert!(wire.rest().is_empty());
    }
}

#[test]
fn https_is_served_without_a_tunnel() {
    let proxy = Proxy::start();
    let origin = origins::aiohttp();
    let mut wire = Wire::new(dial(&proxy.address));
    for status in [200, 404] {
        wire.send(format!(
            "GET https://origin.test:{0}/status/{status} HTTP/1.1\r\nHost: origin.test:{0}\r\n\r\n",
            origin.port
        ));
        assert_eq!(wire.answer().status, status);
    }
    drop(wire);
    let request = proxy.log("request", |line| line["status"] == 404);
    assert_eq!(
        request["url"],
        format!("https://origin.test:{}/status/404", origin.port),
        "{request}"
    );
    // One connection served both.
    proxy.metric("wsbump_tls_handshake_seconds_count", &[("side", "origin")], 1.0);
}

#[test]
fn https_without_a_tunnel_is_verified_all_the_same() {
    let proxy = Proxy::start();
    let origin = crate::harness::recorder::Recorder::with(&certs().untrusted);
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(format!(
        "GET https://{0}/ HTTP/1.1\r\nHost: {0}\r\n\r\n",
        origin.target()
    ));
    let answer = wire.answer();
    assert_eq!(answer.status, 502, "{}", answer.head);
    let request = proxy.log("request", |_| true);
    assert_eq!(request["error"], "tls_certificate_error", "{request}");
}

#[test]
fn an_origin_that_closes_leaves_its_client_at_the_door() {
    let proxy = Proxy::start();
    let (listener, port) = tcp();
    let host = format!("origin.test:{port}");
    let mut client = Wire::new(dial(&proxy.address));
    for n in 0..2 {
        client.send(format!("GET http://{host}/{n} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let mut origin = accept(&listener);
        origin.head().unwrap();
        origin.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        let answer = client.answer();
        assert_eq!(
            (answer.status, answer.header("connection")),
            (200, None),
            "{}",
            answer.head
        );
    }
}

#[test]
fn a_kept_origin_that_has_gone_is_asked_anew() {
    let proxy = Proxy::start();
    let (listener, port) = tcp();
    let host = format!("origin.test:{port}");
    let mut client = Wire::new(dial(&proxy.address));
    let ask = |n: usize| format!("GET http://{host}/{n} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    client.send(ask(0));
    let mut origin = accept(&listener);
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
    client.send(ask(1));
    // It takes the request, and closes without a word.
    origin.head().unwrap();
    drop(origin);
    let mut origin = accept(&listener);
    let head = origin.head().unwrap();
    assert!(head.starts_with("GET /1 "), "{head}");
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
}

#[test]
fn curl_asks_a_denying_proxy() {
    let proxy = denying();
    let done = curl(Some(&proxy.url()), &proxy.ca, &["https://denied.invalid/"]);
    assert_eq!(done.code, 56, "{done:?}");
    assert!(done.verbose.contains("403"), "{}", done.verbose);
}
