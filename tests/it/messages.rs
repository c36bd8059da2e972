//! What becomes of a request and of its response on the way (RFC 9110, RFC 9112), sent byte for byte.

use crate::harness::origins;
use crate::harness::proxy::Proxy;
use crate::harness::raw::{Wire, dial, header, tls, tls_over};
use crate::harness::recorder::Recorder;

#[test]
fn the_absolute_form_wins_over_host_inside_a_tunnel() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    // RFC 9112 section 3.2.2: whoever forwards such a request writes Host anew, or it would reach a site that
    // was never judged.
    for line in ["HTTP/1.1\r\nHost: other.test", "HTTP/1.0\r\nX-No: host"] {
        let mut client = tls(&proxy, &recorder.target());
        client.send(format!("GET https://{}/x {line}\r\n\r\n", recorder.target()));
        let mut origin = recorder.accept();
        let head = origin.head().unwrap();
        assert!(head.starts_with("GET /x HTTP/1.1\r\n"), "{head}");
        assert_eq!(header(&head, "host"), Some(&*recorder.target()), "{head}");
        assert!(!head.contains("other.test"), "{head}");
    }
}

#[test]
fn a_request_of_http_1_0_gets_the_host_that_http_1_1_demands() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send("GET / HTTP/1.0\r\n\r\n");
    let head = recorder.accept().head().unwrap();
    assert_eq!(header(&head, "host"), Some(&*recorder.target()), "{head}");

    let mut client = tls(&proxy, &recorder.target());
    client.send("GET https://other.test/ HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().status, 421);
}

#[test]
fn a_chunked_body_of_a_get_is_not_lost() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(format!(
        "GET /search HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        recorder.target()
    ));
    let mut origin = recorder.accept();
    let head = origin.head().unwrap();
    assert_eq!(header(&head, "transfer-encoding"), Some("chunked"), "{head}");
    assert_eq!(origin.exactly(15), b"5\r\nhello\r\n0\r\n\r\n");
}

#[test]
fn a_length_beside_a_transfer_coding_does_not_cut_the_response() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    for lengths in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
    ] {
        let mut client = tls(&proxy, &recorder.target());
        client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
        let mut origin = recorder.accept();
        origin.head().unwrap();
        origin.send(format!(
            "HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nb\r\nhello world\r\n0\r\n\r\n"
        ));
        // RFC 9112 section 6.3: the coding counts, and the length must not go on.
        let answer = client.answer();
        assert_eq!(answer.body, b"hello world", "{}", answer.head);
        assert_eq!(answer.header("content-length"), None, "{}", answer.head);
    }
}

#[test]
fn an_origin_that_waits_for_the_body_gets_it_without_a_100() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        recorder.target()
    ));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    // RFC 9110 section 10.1.1: nobody waits for a 100 for ever, since many origins never send one.
    assert_eq!(client.answer().status, 100);
    client.send("hello");
    assert_eq!(origin.exactly(5), b"hello");
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_final_answer_instead_of_a_100_leaves_what_was_sent_a_body() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    let head = format!("Host: {}\r\n", recorder.target());
    // The client did not wait: what comes behind the head is its content, and what comes behind that is a request.
    client.send(format!(
        "POST / HTTP/1.1\r\n{head}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello\
         GET /second HTTP/1.1\r\n{head}\r\n"
    ));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.answer().status, 401);
    assert_eq!(origin.exactly(5), b"hello");
    let head = origin.head().unwrap();
    assert!(head.starts_with("GET /second "), "{head}");
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
}

#[test]
fn a_final_answer_instead_of_a_100_ends_the_connection_where_nobody_asks_again() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        recorder.target()
    ));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    // What the client sends next could be the content after all.
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.header("connection")),
        (404, Some("close")),
        "{}",
        answer.head
    );
    assert!(client.rest().is_empty());
}

#[test]
fn a_101_that_nobody_asked_for_is_a_502() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nbytes");
    assert_eq!(client.answer().status, 502);
    assert!(client.rest().is_empty());
}

#[test]
fn a_password_in_a_url_is_not_logged() {
    let proxy = Proxy::start();
    for request in [
        "GET http://user:s3cret@origin.test/a?q=s3cret HTTP/1.1\r\nHost: origin.test\r\n\r\n",
        "GET https://user:s3cret@origin.test/a HTTP/1.1\r\nHost: origin.test\r\n\r\n",
    ] {
        let mut wire = Wire::new(dial(&proxy.address));
        wire.send(request);
        assert_eq!(wire.answer().status, 400);
    }
    let ended = proxy.terminate();
    let lines = ended.out.join("\n");
    assert_eq!(lines.matches("\"type\":\"request\"").count(), 2, "{lines}");
    assert!(lines.contains("origin.test/a"), "{lines}");
    assert!(!lines.contains("s3cret"), "{lines}");
}

#[test]
fn a_connect_behind_other_requests_is_decided_once() {
    let proxy = Proxy::start();
    let port = origins::plain_aiohttp().port;
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(format!(
        "GET http://origin.test:{port}/status/204 HTTP/1.1\r\nHost: origin.test:{port}\r\n\r\n"
    ));
    assert_eq!(wire.answer().status, 204);
    let recorder = Recorder::start();
    wire.send(format!(
        "CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\r\n",
        recorder.target()
    ));
    let head = wire.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut client = tls_over(wire, &recorder.target(), &proxy.ca);
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
    recorder.accept().head().unwrap();
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum("wsbump_decisions_total", &[("action", "serve")]), 1.0);
    assert_eq!(metrics.sum("wsbump_decisions_total", &[("action", "bump")]), 1.0);
}

#[test]
fn a_client_that_never_stops_sending_is_hung_up_on() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send("GET / HTTP/1.1\r\n no\r\n\r\n");
    let flood = vec![b'x'; 1 << 20];
    // The answer is given time to arrive, and no more than that.
    while client.try_send(&flood).is_ok() {}
    proxy.metric("wsbump_connections_open", &[], 0.0);
}

#[test]
fn heads_are_bounded_in_bytes_and_not_in_lines() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let many: String = (0..300).map(|n| format!("X-Line-{n}: {n}\r\n")).collect();
    let mut client = tls(&proxy, &recorder.target());
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: {}\r\n{many}\r\n",
        recorder.target()
    ));
    let mut origin = recorder.accept();
    let head = origin.head().unwrap();
    assert_eq!(header(&head, "x-line-299"), Some("299"), "{head}");
    origin.send(format!("HTTP/1.1 204 No Content\r\n{many}\r\n"));
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.header("x-line-299")),
        (204, Some("299")),
        "{}",
        answer.head
    );
}
