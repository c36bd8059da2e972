//! The handshake of a WebSocket, and what is told of it.

use crate::harness::clients::Client;
use crate::harness::origins::{self, Origin};
use crate::harness::proxy::Proxy;
use crate::harness::raw::{Wire, dial, frame, header, tls, tls_over, tunnel};
use crate::harness::recorder::Recorder;
use crate::harness::road::{Road, Version, over_both};
use tungstenite::handshake::derive_accept_key;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

over_both!(
    an_origins_refusal_reaches_the_client_as_it_is,
    an_origins_close_reaches_the_client_and_the_log,
    pings_are_timed_and_frames_counted_by_opcode,
    frames_that_follow_a_handshake_at_once_are_not_lost,
    a_broken_request_to_upgrade_is_refused,
    an_origin_that_agrees_wrongly_is_a_502,
    a_handshake_that_both_ends_agree_on_passes,
);

fn python(proxy: &Proxy, origin: &Origin, scheme: &str, path: &str) -> Client {
    Client::new("client_websockets.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .with("url", origin.url(scheme, path))
}

fn an_origins_refusal_reaches_the_client_as_it_is(version: Version) {
    let proxy = Proxy::start();
    for status in [401, 403, 503] {
        let path = format!("/refuse/{status}");
        let found = version
            .client(&proxy, version.websockets(), &path)
            .with("mode", "open")
            .fail();
        assert_eq!(found.facts["status"], status, "{}", found.text);
        assert!(
            found.facts["proxy_status"].is_null(),
            "this was the origin's answer: {}",
            found.text
        );
    }
    let line = proxy.log("request", |line| line["status"] == 403);
    assert!(line["url"].as_str().unwrap().ends_with("/refuse/403"), "{line}");
    assert_eq!(proxy.log_so_far("websocket").len(), 0);
}

fn an_origins_close_reaches_the_client_and_the_log(version: Version) {
    let proxy = Proxy::start();
    let found = version
        .client(&proxy, version.websockets(), "/close/4009")
        .with("mode", "open")
        .run();
    assert_eq!(
        (found["code"].as_u64(), found["reason"].as_str()),
        (Some(4009), Some("as asked")),
        "{found}"
    );
    let line = proxy.log("websocket", |_| true);
    assert_eq!(line["closed_by"], "origin", "{line}");
    assert_eq!(line["close_code"], 4009, "{line}");
    assert!(
        line["url"].as_str().unwrap().starts_with("wss://origin.test:"),
        "{line}"
    );
    assert!(
        line["extensions"]
            .as_str()
            .unwrap()
            .starts_with("permessage-deflate"),
        "{line}"
    );
    assert!(
        (proxy
            .metrics()
            .sum("wsbump_websocket_closes_total", &[("side", "origin")])
            - 1.0)
            .abs()
            < 0.1
    );
}

#[test]
fn a_websocket_over_plain_http_inside_a_tunnel() {
    let proxy = Proxy::start();
    let found = python(&proxy, origins::plain_websockets(), "ws", "/echo").run();
    assert_eq!(found["code"], 4321, "{found}");
    let line = proxy.log("websocket", |_| true);
    assert!(line["url"].as_str().unwrap().starts_with("ws://"), "{line}");
    let connection = proxy.log("connection", |_| true);
    assert_eq!(connection["action"], "serve", "{connection}");
}

#[test]
fn a_websocket_in_absolute_form() {
    let proxy = Proxy::start();
    let mut wire = Wire::new(dial(&proxy.address));
    let port = origins::plain_websockets().port;
    wire.ask_websocket(
        &format!("origin.test:{port}"),
        &format!("http://origin.test:{port}/echo"),
        "",
    );
    let head = wire.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    wire.send(crate::harness::raw::frame(0x81, Some([1, 2, 3, 4]), b"hello"));
    assert_eq!(wire.frame().unwrap().payload, b"hello");
}

#[test]
fn the_token_counts_in_any_case_and_the_port_may_be_left_out_of_host() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    for (upgrade, connection) in [
        ("WebSocket", "Upgrade"),
        ("websocket", "keep-alive, upgrade"),
        ("WEBSOCKET", "UPGRADE"),
    ] {
        let mut client = tls(&proxy, &recorder.target());
        client.send(format!(
            "GET /a HTTP/1.1\r\nHost: origin.test\r\nUpgrade: {upgrade}\r\nConnection: {connection}\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ));
        let mut origin = recorder.accept();
        let asked = origin.accept_websocket("");
        assert!(
            header(&asked, "upgrade")
                .unwrap()
                .eq_ignore_ascii_case("websocket"),
            "{asked}"
        );
        assert_eq!(
            header(&asked, "sec-websocket-key"),
            Some("dGhlIHNhbXBsZSBub25jZQ=="),
            "{asked}"
        );
        let head = client.head().unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!(header(&head, "connection"), Some("Upgrade"), "{head}");
        assert_eq!(
            header(&head, "sec-websocket-accept"),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            "{head}"
        );
    }
}

fn frames_that_follow_a_handshake_at_once_are_not_lost(version: Version) {
    let proxy = Proxy::start();
    let road = Road::start(version);
    let mut client = road.client(&proxy);
    // The client does not wait for the 101, and the origin's first frame comes in one piece with it.
    let early = crate::harness::raw::frame(0x81, Some([9; 4]), b"early");
    let mut request =
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nHost: "
            .to_vec();
    request.extend(road.target().as_bytes());
    request.extend(b"\r\n\r\n");
    request.extend(&early);
    client.send(request);
    let mut origin = road.accept();
    origin.head().unwrap();
    let mut answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        .to_vec();
    answer.extend(crate::harness::raw::frame(0x81, None, b"welcome"));
    origin.send(answer);
    assert_eq!(origin.exactly(early.len()), early);
    assert!(client.head().unwrap().starts_with("HTTP/1.1 101 "));
    assert_eq!(client.frame().unwrap().payload, b"welcome");
}

fn a_broken_request_to_upgrade_is_refused(version: Version) {
    let proxy = Proxy::start();
    let road = Road::start(version);
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (lines, status) in [
        ("Sec-WebSocket-Version: 13\r\n".to_owned(), 400),
        (
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \r\n".to_owned(),
            400,
        ),
        (format!("{key}{key}Sec-WebSocket-Version: 13\r\n"), 400),
        (format!("{key}Sec-WebSocket-Version: 8\r\n"), 426),
    ] {
        if version == Version::Http2 && status == 400 {
            // It has no key (RFC 8441 section 5).
            continue;
        }
        let mut client = road.client(&proxy);
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{lines}\r\n",
            road.target()
        ));
        let answer = client.answer();
        assert_eq!(answer.status, status, "{}", answer.head);
        if status == 426 {
            assert_eq!(
                answer.header("sec-websocket-version"),
                Some("13"),
                "{}",
                answer.head
            );
        }
    }
}

fn an_origin_that_agrees_wrongly_is_a_502(version: Version) {
    let proxy = Proxy::start();
    let road = Road::start(version);
    for lines in [
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: d3Jvbmc=\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
    ] {
        if version == Version::Http2 && !lines.contains("Sec-WebSocket-Extensions") {
            // It has neither a switch nor a key (RFC 8441 section 5).
            continue;
        }
        let mut client = road.client(&proxy);
        client.ask_websocket(&road.target(), "/", "");
        let mut origin = road.accept();
        origin.head().unwrap();
        origin.send(format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n"));
        let answer = client.answer();
        assert_eq!(answer.status, 502, "for {lines}: {}", answer.head);
        assert!(answer.header("proxy-status").is_some(), "{}", answer.head);
    }
}

/// What only the ends have to agree about goes on as it came, and the WebSocket works.
fn a_handshake_that_both_ends_agree_on_passes(version: Version) {
    let proxy = Proxy::start();
    let road = Road::start(version);
    let protocol = |name: &str| format!("Sec-WebSocket-Protocol: {name}\r\n");
    for (key, ask, answer, chosen) in [
        (
            KEY,
            protocol("chat"),
            protocol("never-offered"),
            &["never-offered"][..],
        ),
        (KEY, String::new(), protocol("chat"), &["chat"]),
        (KEY, protocol("a, b"), protocol("a") + &protocol("b"), &["a", "b"]),
        (KEY, "Sec-WebSocket-Version: 13\r\n".into(), String::new(), &[]),
        ("short", String::new(), String::new(), &[]),
        (
            "not base64, and far longer than sixteen bytes",
            String::new(),
            String::new(),
            &[],
        ),
    ] {
        let mut client = road.client(&proxy);
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{ask}\r\n",
            road.target()
        ));
        let mut origin = road.accept();
        let asked = origin.head().unwrap();
        if version == Version::Http1 {
            assert_eq!(header(&asked, "sec-websocket-key"), Some(key), "{asked}");
        }
        let came = header(&asked, "sec-websocket-key").unwrap();
        origin.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n{answer}\r\n",
            derive_accept_key(came.as_bytes())
        ));
        let head = client.head().unwrap();
        assert!(
            head.starts_with("HTTP/1.1 101 "),
            "for {key} {ask} {answer}: {head}"
        );
        assert_eq!(
            header(&head, "sec-websocket-accept"),
            Some(&derive_accept_key(key.as_bytes())[..]),
            "{head}"
        );
        let came: Vec<&str> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"))
            .map(|(_, value)| value)
            .collect();
        assert_eq!(came, chosen, "{head}");
        client.send(frame(0x81, Some([1, 2, 3, 4]), b"hello"));
        let hello = frame(0x81, Some([1, 2, 3, 4]), b"hello");
        assert_eq!(origin.exactly(hello.len()), hello);
        origin.send(frame(0x81, None, b"and back"));
        assert_eq!(client.frame().unwrap().payload, b"and back");
    }
    // Both of them, where rules and people look for one.
    proxy.log("websocket", |line| line["subprotocol"] == "a, b");
}

#[test]
fn a_client_of_an_unverifiable_origin_learns_why() {
    let proxy = Proxy::start();
    let found = python(&proxy, origins::untrusted_websockets(), "wss", "/echo")
        .with("mode", "open")
        .fail();
    assert_eq!(found.facts["status"], 502, "{}", found.text);
    let status = found.facts["proxy_status"].as_str().expect("a Proxy-Status");
    assert!(status.contains("error=tls_certificate_error"), "{status}");
    assert_eq!(
        proxy.log("connection", |_| true)["outcome"],
        "tls_certificate_error"
    );
}

fn pings_are_timed_and_frames_counted_by_opcode(version: Version) {
    let proxy = Proxy::start();
    version
        .client(&proxy, version.websockets(), "/push")
        .with("mode", "push")
        .run();
    proxy.log("websocket", |_| true);
    let metrics = proxy.metrics();
    let count = |direction, opcode| {
        let labels = [("direction", direction), ("opcode", opcode)];
        metrics.sum("wsbump_websocket_frames_total", &labels) as u64
    };
    assert_eq!((count("to_client", "ping"), count("to_origin", "pong")), (1, 1));
    assert_eq!((count("to_client", "text"), count("to_client", "binary")), (1, 1));
    assert_eq!((count("to_client", "close"), count("to_origin", "close")), (1, 1));
    assert_eq!(
        metrics.sum("wsbump_websocket_ping_round_trip_seconds_count", &[]) as u64,
        1
    );
    assert_eq!(metrics.sum("wsbump_websocket_opens_total", &[]) as u64, 1);
    assert_eq!(metrics.sum("wsbump_websockets_open", &[]) as u64, 0);
    assert!(metrics.sum("wsbump_websocket_frame_inside_seconds_count", &[]) > 0.0);
}

#[test]
fn http_is_served_before_an_upgrade_on_the_same_connection() {
    let proxy = Proxy::start();
    let target = format!("origin.test:{}", origins::node_ws().port);
    let mut client = tls(&proxy, &target);
    client.send(format!("GET /x HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    assert_eq!(client.answer().status, 200);
    client.ask_websocket(&target, "/echo", "");
    assert!(client.head().unwrap().starts_with("HTTP/1.1 101 "));
    client.send(crate::harness::raw::frame(0x81, Some([1, 2, 3, 4]), b"after"));
    assert_eq!(client.frame().unwrap().payload, b"after");
}

#[test]
fn a_plain_websocket_request_is_bound_to_the_tunnels_target() {
    let proxy = Proxy::start();
    let mut client = tunnel(
        &proxy,
        &format!("origin.test:{}", origins::plain_websockets().port),
    );
    client.ask_websocket("other.test", "/echo", "");
    assert_eq!(client.answer().status, 421);
}

#[test]
fn a_tunnel_may_follow_requests_in_absolute_form() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let plain = format!("origin.test:{}", origins::plain_aiohttp().port);
    let mut wire = Wire::new(dial(&proxy.address));
    for status in [200, 404] {
        wire.send(format!(
            "GET http://{plain}/status/{status} HTTP/1.1\r\nHost: {plain}\r\n\r\n"
        ));
        assert_eq!(wire.answer().status, status);
    }
    let target = recorder.target();
    // One that fails first: the connection goes on.
    wire.send(format!(
        "CONNECT origin.test:{0} HTTP/1.1\r\nHost: origin.test:{0}\r\n\r\n",
        crate::harness::free_port()
    ));
    assert_eq!(wire.answer().status, 502);
    wire.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    let head = wire.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(
        header(&head, "content-length").is_none() && header(&head, "transfer-encoding").is_none(),
        "{head}"
    );
    let client = tls_over(wire, &target, &proxy.ca);
    let (mut client, mut origin) = recorder.websocket_over(client, "", "");
    let text = frame(0x81, Some([1, 2, 3, 4]), b"through");
    client.send(&text);
    assert_eq!(origin.exactly(text.len()), text);
    drop((client, origin));
    let line = proxy.log("connection", |_| true);
    assert_eq!(
        (line["action"].as_str(), line["target"].as_str()),
        (Some("bump"), Some(&*target)),
        "{line}"
    );
    // A decision for each request and for the tunnel, and none more.
    let metrics = proxy.metrics();
    let decided = |action| metrics.sum("wsbump_decisions_total", &[("action", action)]) as u64;
    assert_eq!((decided("serve"), decided("bump")), (1, 1), "{metrics:?}");
}
