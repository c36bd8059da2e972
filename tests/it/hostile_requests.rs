//! Requests that mean different things to different readers (RFC 9112 section 11), sent byte for byte.

use crate::harness::origins;
use crate::harness::proxy::Proxy;
use crate::harness::raw::{Wire, connect, dial, header, tls};
use crate::harness::recorder::Recorder;

/// Sends a request whose Host is in order; the proxy must answer `status`, hang up, and tell the origin nothing.
/// `{host}` stands for the target.
fn refused(proxy: &Proxy, recorder: &Recorder, request: &str, status: u16) {
    let mut client = tls(proxy, &recorder.target());
    client.send(request.replace("{host}", &recorder.target()));
    let answer = client.answer();
    assert_eq!(answer.status, status, "for {request:?}: {}", answer.head);
    // What cannot be framed ends the connection; what can may leave it open for the next request.
    let framed = answer.header("connection") != Some("close");
    let said = if framed { Vec::new() } else { client.rest() };
    assert!(said.is_empty(), "something followed the refusal of {request:?}");
    drop(client);
    let mut origin = recorder.accept();
    let seen = origin.rest();
    assert!(
        seen.is_empty(),
        "{request:?} reached the origin as {:?}",
        String::from_utf8_lossy(&seen)
    );
}

#[test]
fn what_rfc_9112_forbids_is_a_400() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let ok = "Host: {host}\r\n";
    for request in [
        format!("POST / HTTP/1.1\r\n{ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
        format!("POST / HTTP/1.1\r\n{ok}Content-Length: 5, 6\r\n\r\nhello!"),
        format!("POST / HTTP/1.1\r\n{ok}Content-Length: +5\r\n\r\nhello"),
        format!("POST / HTTP/1.1\r\n{ok}Content-Length: 5x\r\n\r\nhello"),
        format!("POST / HTTP/1.1\r\n{ok}Content-Length: 99999999999999999999999\r\n\r\nhello"),
        format!("GET / HTTP/1.1\r\n{ok}X-Bare: a\rb\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{ok}X-Nul: a\0b\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{ok}X-Space : 1\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n X-First: 1\r\n{ok}\r\n"),
        format!("GET / HTTP/1.1\r\n{ok}no colon\r\n\r\n"),
        "GET / HTTP/1.1\r\nX-No: host\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\n{ok}Host: other.test\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{ok}{ok}\r\n"),
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(),
    ] {
        refused(&proxy, &recorder, &request, 400);
    }
    assert!(
        proxy
            .metrics()
            .sum("wsbump_http_errors_total", &[("error", "http_request_error")])
            >= 14.0
    );
}

#[test]
fn a_length_beside_a_transfer_coding_never_reaches_the_origin() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    // To one reader the second request is a body, to another it is a request.
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: {0}\r\nContent-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: {0}\r\n\r\n",
        recorder.target()
    ));
    // RFC 9112 section 6.3: refuse, or go by the transfer coding alone; close the connection either way.
    let mut origin = recorder.accept();
    match origin.head() {
        None => assert_eq!(client.answer().status, 400),
        Some(head) => {
            assert!(header(&head, "content-length").is_none(), "{head}");
            assert_eq!(header(&head, "transfer-encoding"), Some("chunked"), "{head}");
            assert_eq!(origin.exactly(5), b"0\r\n\r\n");
            origin.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            assert_eq!(client.answer().status, 200);
            assert_eq!(
                String::from_utf8_lossy(&origin.rest()),
                "",
                "the smuggled request went on"
            );
        }
    }
    assert!(client.try_answer().is_none(), "the connection must close");
}

#[test]
fn a_bare_line_feed_never_reaches_the_origin() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(format!(
        "GET / HTTP/1.1\nHost: {}\nX-One: 1\r\nX-Two: 2\n\n",
        recorder.target()
    ));
    // RFC 9112 section 2.2: a line feed alone may be taken for a line's end; it may not be passed on.
    let mut origin = recorder.accept();
    match origin.head() {
        None => assert_eq!(client.answer().status, 400),
        Some(head) => {
            assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "{head:?}");
            assert_eq!(
                (header(&head, "x-one"), header(&head, "x-two")),
                (Some("1"), Some("2")),
                "{head}"
            );
        }
    }
}

#[test]
fn an_unknown_transfer_coding_is_refused() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    for coding in ["gzip", "xchunked", "chunked, gzip", "identity"] {
        let mut client = tls(&proxy, &recorder.target());
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n",
            recorder.target()
        ));
        let answer = client.answer();
        assert!(matches!(answer.status, 400 | 501), "{coding}: {}", answer.head);
        drop(client);
        assert!(recorder.accept().head().is_none(), "{coding} reached the origin");
    }
}

#[test]
fn a_broken_chunk_cuts_the_request() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    for chunks in [
        "zz\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello!!\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nhello",
        "-5\r\nhello\r\n",
    ] {
        let mut client = tls(&proxy, &recorder.target());
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}",
            recorder.target()
        ));
        let mut origin = recorder.accept();
        let seen = String::from_utf8_lossy(&origin.rest()).into_owned();
        assert!(
            !seen.ends_with("0\r\n\r\n"),
            "the origin takes this for whole: {seen:?}"
        );
        drop(origin);
        if let Some(answer) = client.try_answer() {
            assert!(answer.status >= 400, "{chunks:?}: {}", answer.head);
        }
    }
}

#[test]
fn another_host_is_misdirected() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    for request in [
        "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: origin.test:1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: origin.test.evil.example\r\n\r\n",
        "GET https://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n",
        "GET https://other.test/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    ] {
        let mut client = tls(&proxy, &recorder.target());
        client.send(request.replace("{host}", &recorder.target()));
        assert_eq!(client.answer().status, 421, "{request}");
        drop(client);
        assert!(recorder.accept().rest().is_empty(), "{request}");
    }
}

#[test]
fn the_same_host_may_be_written_in_other_ways() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let port = recorder.port;
    for host in [
        "origin.test".to_owned(),
        "ORIGIN.Test".to_owned(),
        format!("origin.test.:{port}"),
        format!("origin.test:{port}"),
    ] {
        let mut client = tls(&proxy, &recorder.target());
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let mut origin = recorder.accept();
        assert!(origin.head().unwrap().starts_with("GET / HTTP/1.1\r\n"));
        origin.send("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(client.answer().status, 204, "{host}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let proxy = Proxy::start();
    let target = format!("origin.test:{}", origins::aiohttp().port);
    let mut client = tls(&proxy, &target);
    let statuses = [200, 404, 204, 500, 201];
    let requests: String = statuses
        .iter()
        .map(|status| format!("GET /status/{status} HTTP/1.1\r\nHost: {target}\r\n\r\n"))
        .collect();
    client.send(requests);
    for status in statuses {
        let answer = client.answer();
        assert_eq!(answer.status, status, "{}", answer.head);
    }
}

#[test]
fn too_many_header_bytes_are_a_431() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    // As many bytes as the limit, and the head is not over: all of it is read, so the answer is not lost to the
    // reset with which the kernel answers bytes that nobody reads.
    let fill = |start: String| {
        let missing = (64 << 10) - start.len();
        start + &"x".repeat(missing)
    };
    let mut client = tls(&proxy, &recorder.target());
    client.send(fill(format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nX-Long: ",
        recorder.target()
    )));
    assert_eq!(client.answer().status, 431);
    drop(client);
    assert!(recorder.accept().rest().is_empty());

    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(fill("CONNECT origin.test:443 HTTP/1.1\r\nX-Long: ".to_owned()));
    assert_eq!(wire.answer().status, 431);
}

#[test]
fn a_broken_connect_is_a_400() {
    let proxy = Proxy::start();
    for target in [
        "origin.test",
        "origin.test:",
        "origin.test:0",
        "origin.test:99999",
        ":443",
        "a b:443",
        "[::1:443",
    ] {
        let (_, answer) = connect(&proxy, target);
        assert_eq!(answer.status, 400, "CONNECT {target}: {}", answer.head);
    }
}

#[test]
fn a_broken_answer_of_the_origin_is_a_502() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "nonsense\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\n\r\n",
        "",
    ] {
        let mut client = tls(&proxy, &recorder.target());
        client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
        let mut origin = recorder.accept();
        origin.head().unwrap();
        origin.send(response);
        drop(origin);
        let answer = client.answer();
        assert_eq!(answer.status, 502, "{response:?}: {}", answer.head);
        assert!(answer.header("proxy-status").is_some(), "{}", answer.head);
    }
}

#[test]
fn a_body_that_ends_early_is_never_passed_off_as_whole() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    drop(origin);
    let head = client.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let seen = String::from_utf8_lossy(&client.rest()).into_owned();
    assert!(
        seen.starts_with("5\r\nhello") && !seen.contains("0\r\n\r\n"),
        "{seen:?}"
    );
}
