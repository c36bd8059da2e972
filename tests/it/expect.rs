//! `Expect: 100-continue` (RFC 9110 section 10.1.1): the origin's word opens the body, and nothing else does.

use crate::harness::clients::curl;
use crate::harness::origins;
use crate::harness::proxy::Proxy;
use crate::harness::raw::{Wire, dial, header, tls};
use crate::harness::recorder::{Recorder, accept, tcp};
use std::io::{Read, Write};

fn ask(url: &str, host: &str, body: &str) -> String {
    format!(
        "POST {url} HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
}

fn is_asked<O: Read + Write>(origin: &mut Wire<O>) {
    let head = origin.head().unwrap();
    assert!(
        header(&head, "expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")),
        "the origin is not told: {head}"
    );
}

fn continues<C: Read + Write, O: Read + Write>(client: &mut Wire<C>, origin: &mut Wire<O>) {
    is_asked(origin);
    origin.send("HTTP/1.1 100 Continue\r\n\r\n");
    let head = client.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 100 "), "{head}");
    client.send("the body");
    assert_eq!(origin.exactly(8), b"the body");
    origin.send("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.answer().status, 201);
}

#[test]
fn the_origins_100_opens_the_body() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    let mut origin = recorder.accept();
    // Twice: the second on a connection that has served.
    for _ in 0..2 {
        client.send(ask("/", &recorder.target(), "the body"));
        continues(&mut client, &mut origin);
    }
    let (listener, port) = tcp();
    let host = format!("origin.test:{port}");
    let mut client = Wire::new(dial(&proxy.address));
    client.send(ask(&format!("http://{host}/"), &host, "the body"));
    continues(&mut client, &mut accept(&listener));
}

#[test]
fn a_refusal_instead_of_100_keeps_the_body_where_it_is() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    for status in ["417 Expectation Failed", "401 Unauthorized", "200 OK"] {
        let mut client = tls(&proxy, &recorder.target());
        client.send(ask("/", &recorder.target(), "the body"));
        let mut origin = recorder.accept();
        is_asked(&mut origin);
        origin.send(format!("HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\nwhy"));
        // No 100 of the proxy's own comes before.
        let answer = client.answer();
        assert_eq!(
            answer.status,
            status[..3].parse::<u16>().unwrap(),
            "{}",
            answer.head
        );
        assert_eq!(answer.body, b"why");
        drop(client);
        let seen = origin.rest();
        assert!(
            seen.is_empty(),
            "sent all the same: {:?}",
            String::from_utf8_lossy(&seen)
        );
    }
}

#[test]
fn a_body_that_did_not_wait_is_never_taken_for_a_request() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    let body = format!("GET /smuggled HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target());
    client.send(ask("/", &recorder.target(), &body) + &body);
    let mut origin = recorder.accept();
    is_asked(&mut origin);
    origin.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.answer().status, 417);
    client.half_close();
    assert!(client.rest().is_empty(), "a second answer");
    let seen = String::from_utf8(origin.rest()).unwrap();
    assert!(
        !seen.contains("Host:") || seen == body,
        "taken for a request: {seen}"
    );
    proxy.metric("wsbump_connections_open", &[], 0.0);
    assert_eq!(proxy.log_so_far("request").len(), 1);
}

#[test]
fn one_that_is_refused_may_be_asked_again_without_it() {
    let proxy = Proxy::start();
    let (listener, port) = tcp();
    let host = format!("origin.test:{port}");
    let mut client = Wire::new(dial(&proxy.address));
    client.send(format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let mut origin = accept(&listener);
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
    client.send(ask(&format!("http://{host}/"), &host, "the body"));
    is_asked(&mut origin);
    origin.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.header("connection")),
        (417, None),
        "{}",
        answer.head
    );
    // What curl does with a 417: the same once more, on the same connections, and now with its content at once.
    client.send(format!(
        "POST http://{host}/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 8\r\n\r\nthe body"
    ));
    let head = origin.head().unwrap();
    assert!(head.starts_with("POST / "), "{head}");
    assert_eq!(origin.exactly(8), b"the body");
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    drop((client, origin));
    proxy.metric("wsbump_connections_open", &[], 0.0);
}

#[test]
fn what_is_not_known_is_expected_in_vain() {
    let proxy = Proxy::start();
    let origin = origins::nginx_h2();
    for (option, version) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")] {
        let done = curl(
            Some(&proxy.url()),
            &proxy.ca,
            &[option, "-H", "Expect: 200-maybe", &origin.url("https", "/")],
        );
        assert!(done.text.starts_with(&format!("{version} 417")), "{done:?}");
        let line = proxy.log("request", |line| {
            line["status"] == 417
                && line["protocol"]
                    .as_str()
                    .is_some_and(|text| text.starts_with(version))
        });
        assert_eq!(
            (&line["error"], &line["malformed"]),
            (&"http_request_error".into(), &"expectation".into()),
            "{line}"
        );
    }
}
