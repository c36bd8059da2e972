//! Upgrades to something other than WebSocket: stripped, refused or tunnelled, as the policy says.

use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, dial, frame, header, tls, tunnel};
use crate::harness::recorder::{Recorder, accept, tcp};
use std::io::{Read, Write};

fn policy(other_upgrades: &str) -> Proxy {
    Setup::new()
        .config(&format!("policy = {{ other_upgrades = '{other_upgrades}' }}"))
        .start()
}

/// A request to switch to `foo/1`; `url` is in the form that the connection wants.
fn ask(url: &str, host: &str) -> String {
    format!(
        "GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: foo/1\r\nX-Kept: 1\r\n\r\n"
    )
}

const AGREED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo/1\r\nX-Own: 2\r\n\r\n";

/// The origin agrees, and both ends speak something that nobody knows, the origin in one piece with its 101.
fn switches<C: Read + Write, O: Read + Write>(client: &mut Wire<C>, origin: &mut Wire<O>) {
    let asked = origin.head().unwrap();
    assert!(asked.starts_with("GET /foo HTTP/1.1\r\n"), "{asked}");
    assert_eq!(header(&asked, "upgrade"), Some("foo/1"), "{asked}");
    assert!(
        header(&asked, "connection")
            .unwrap()
            .eq_ignore_ascii_case("upgrade"),
        "{asked}"
    );
    assert_eq!(header(&asked, "x-kept"), Some("1"), "{asked}");
    origin.send([AGREED.as_bytes(), b"\x00welcome"].concat());
    let head = client.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(header(&head, "upgrade"), Some("foo/1"), "{head}");
    assert_eq!(header(&head, "connection"), Some("Upgrade"), "{head}");
    assert_eq!(header(&head, "x-own"), Some("2"), "{head}");
    assert_eq!(client.exactly(8), b"\x00welcome");
    // Neither HTTP nor frames: an unmasked frame from a client would break RFC 6455.
    let bytes = [
        &frame(0x81, None, b"not masked")[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 100_000],
    ]
    .concat();
    client.send(&bytes);
    assert!(
        origin.exactly(bytes.len()) == bytes,
        "changed on the way to the origin"
    );
    origin.send(&bytes);
    assert!(
        client.exactly(bytes.len()) == bytes,
        "changed on the way to the client"
    );
}

#[test]
fn one_inside_tls_is_tunnelled_both_ways() {
    let proxy = policy("tunnel");
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(ask("/foo", &recorder.target()));
    let mut origin = recorder.accept();
    switches(&mut client, &mut origin);
    // Each direction ends by itself.
    client.half_close();
    assert!(origin.rest().is_empty());
    origin.send("the last word");
    drop(origin);
    assert_eq!(client.rest(), b"the last word");
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["action"], "bump", "{line}");
    assert_eq!(line["bytes_to_origin"], 100_000 + 30, "{line}");
    assert_eq!(line["bytes_to_client"], 100_000 + 30 + 8 + 13, "{line}");
    assert_eq!(proxy.log("request", |_| true)["status"], 101);
    assert_eq!(proxy.metrics().sum("wsbump_websocket_opens_total", &[]) as u64, 0);
}

#[test]
fn one_in_a_plain_tunnel_and_one_in_absolute_form_are_tunnelled_both_ways() {
    let proxy = policy("tunnel");
    let (listener, port) = tcp();
    let host = format!("origin.test:{port}");
    let mut client = tunnel(&proxy, &host);
    client.send(ask("/foo", &host));
    switches(&mut client, &mut accept(&listener));

    let mut client = Wire::new(dial(&proxy.address));
    client.send(ask(&format!("http://{host}/foo"), &host));
    let mut origin = accept(&listener);
    switches(&mut client, &mut origin);
    client.half_close();
    assert!(origin.rest().is_empty());
    origin.send("the last word");
    drop(origin);
    assert_eq!(client.rest(), b"the last word");
}

#[test]
fn an_origin_that_does_not_want_to_switch_just_answers() {
    let proxy = policy("tunnel");
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(ask("/foo", &recorder.target()));
    let mut origin = recorder.accept();
    // The second exchange shows that the connection is still HTTP.
    for word in ["first", "again"] {
        origin.head().unwrap();
        origin.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{word}"));
        assert_eq!(client.answer().body, word.as_bytes());
        if word == "first" {
            client.send(ask("/foo", &recorder.target()));
        }
    }
}

#[test]
fn refused_ones_never_reach_the_origin() {
    let proxy = policy("refuse");
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(ask("/foo", &recorder.target()));
    let answer = client.answer();
    assert_eq!(answer.status, 403, "{}", answer.head);
    let status = answer.header("proxy-status").expect("a Proxy-Status");
    assert!(status.contains("error=http_request_denied"), "{status}");
    assert!(String::from_utf8_lossy(&answer.body).contains("foo/1"));
    drop(client);
    assert!(recorder.accept().rest().is_empty(), "it reached the origin");

    let (listener, port) = tcp();
    let mut client = Wire::new(dial(&proxy.address));
    let host = format!("origin.test:{port}");
    client.send(ask(&format!("http://{host}/foo"), &host));
    assert_eq!(client.answer().status, 403);
    drop(client);
    proxy.metric("wsbump_connections_open", &[], 0.0);
    listener.set_nonblocking(true).unwrap();
    assert!(
        listener.accept().is_err(),
        "the origin was dialled for a refused request"
    );
}

#[test]
fn websockets_are_not_other_upgrades() {
    for other in ["refuse", "tunnel", "strip"] {
        let proxy = policy(other);
        let recorder = Recorder::start();
        let (mut client, mut origin) = recorder.websocket(&proxy);
        let text = frame(0x81, Some([1, 2, 3, 4]), b"still followed");
        client.send(&text);
        assert_eq!(origin.exactly(text.len()), text);
        assert_eq!(proxy.metrics().sum("wsbump_websocket_opens_total", &[]) as u64, 1);
    }
}

#[test]
fn a_stripped_one_is_an_ordinary_request() {
    let proxy = policy("strip");
    let (listener, port) = tcp();
    let host = format!("origin.test:{port}");
    let mut client = Wire::new(dial(&proxy.address));
    client.send(ask(&format!("http://{host}/foo"), &host));
    let mut origin = accept(&listener);
    let asked = origin.head().unwrap();
    assert!(header(&asked, "upgrade").is_none(), "{asked}");
    assert_eq!(header(&asked, "x-kept"), Some("1"), "{asked}");
    // A 101 that nobody asked for is no answer.
    origin.send(AGREED);
    let answer = client.answer();
    assert_eq!(answer.status, 502, "{}", answer.head);
}
