//! Clients and origins that are slow, silent, gone or forbidden: a deadline and a named outcome for each.

use crate::harness::certs::certs;
use crate::harness::clients::{Client, curl};
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, connect, dial, frame, start_tls, tls, tunnel};
use crate::harness::recorder::{Recorder, accept, tcp};
use crate::harness::road::{End, Road, Version, over_both};
use crate::harness::{free_port, origins, until};

over_both!(
    a_websocket_lives_by_its_own_timer_and_ends_with_a_close,
    a_websocket_that_is_cut_ends_on_both_sides,
    a_websocket_that_is_cut_behind_both_closes_was_closed,
    an_exchange_in_which_nothing_moves_is_given_up,
    event_streams_may_be_quiet_for_longer,
);

/// Deadlines that a test can wait for.
fn hurried() -> Setup {
    Setup::new().config(
        "[timeouts]\nrequest_head = '400ms'\npeek = '400ms'\ndial = '2s'\nhandshake = '500ms'\nresponse = '500ms'\n\
         http_idle = '500ms'\nwebsocket_idle = '700ms'\ntunnel_idle = '700ms'",
    )
}

#[test]
fn a_client_that_never_asks() {
    let proxy = hurried().start();
    for begun in [
        "",
        "CONN",
        "CONNECT origin.test:443 HTTP/1.1\r\nHost: origin.test",
    ] {
        let mut wire = Wire::new(dial(&proxy.address));
        wire.send(begun);
        // It may be told 408, and must be hung up on.
        let said = String::from_utf8(wire.rest()).unwrap();
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408 "), "{said}");
    }
    proxy.metric("wsbump_connections_open", &[], 0.0);
}

#[test]
fn a_silent_client_in_a_tunnel_is_refused() {
    let proxy = hurried().start();
    let (listener, port) = tcp();
    let mut client = tunnel(&proxy, &format!("origin.test:{port}"));
    let mut origin = accept(&listener);
    assert!(client.rest().is_empty());
    assert!(origin.rest().is_empty());
    let line = proxy.log("connection", |_| true);
    assert_eq!(
        (line["action"].as_str(), line["reason"].as_str()),
        (Some("refuse"), Some("silent")),
        "{line}"
    );
}

#[test]
fn a_silent_client_may_be_tunnelled() {
    let proxy = hurried()
        .config("policy = { unknown_protocol = 'tunnel' }")
        .start();
    let (listener, port) = tcp();
    let mut client = tunnel(&proxy, &format!("origin.test:{port}"));
    let mut origin = accept(&listener);
    proxy.metric(
        "wsbump_decisions_total",
        &[("action", "tunnel"), ("reason", "silent")],
        1.0,
    );
    // Only now does anyone speak.
    origin.send(b"late but heard");
    assert_eq!(client.exactly(14), b"late but heard");
}

#[test]
fn an_origin_that_speaks_first() {
    let banner = b"220 mail.test ESMTP\r\n";
    let proxy = Proxy::start();
    let (listener, port) = tcp();
    let mut client = tunnel(&proxy, &format!("origin.test:{port}"));
    let mut origin = accept(&listener);
    origin.send(banner);
    assert!(client.rest().is_empty(), "refused by default");
    let line = proxy.log("connection", |_| true);
    let verdict = (line["action"].as_str(), line["reason"].as_str());
    assert_eq!(verdict, (Some("refuse"), Some("server_speaks_first")), "{line}");

    let proxy = Setup::new()
        .config("policy = { unknown_protocol = 'tunnel' }")
        .start();
    let mut client = tunnel(&proxy, &format!("origin.test:{port}"));
    let mut origin = accept(&listener);
    origin.send(banner);
    assert_eq!(client.exactly(banner.len()), banner);
    client.send("EHLO client\r\n");
    assert_eq!(origin.exactly(13), b"EHLO client\r\n");
    drop(origin);
    drop(client);
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["action"], "tunnel", "{line}");
}

#[test]
fn half_a_client_hello() {
    let proxy = hurried().start();
    let (_listener, port) = tcp();
    let mut client = tunnel(&proxy, &format!("origin.test:{port}"));
    client.send([0x16, 3, 1, 0x02, 0x00, 1, 0, 0x01]);
    let said = client.rest();
    // A TLS alert, or nothing.
    assert!(said.is_empty() || said[0] == 0x15, "{said:?}");
    assert_ne!(proxy.log("connection", |_| true)["outcome"], "ok");
}

#[test]
fn a_broken_client_hello_is_refused() {
    let proxy = Proxy::start();
    let (_listener, port) = tcp();
    let mut client = tunnel(&proxy, &format!("origin.test:{port}"));
    // A record that says handshake and holds nonsense of the announced length.
    let mut hello = vec![0x16, 3, 1, 0, 8, 1, 0, 0, 4];
    hello.extend([0xff; 4]);
    client.send(hello);
    let said = client.rest();
    assert!(said.is_empty() || said[0] == 0x15, "{said:?}");
    assert_eq!(proxy.log("connection", |_| true)["reason"], "bad_client_hello");
}

#[test]
fn an_origin_that_never_shakes_hands_is_a_504() {
    let proxy = hurried().start();
    let (listener, port) = tcp();
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[&format!("https://origin.test:{port}/")],
    );
    assert_eq!((done.code, done.status), (0, 504), "{done:?}");
    drop(listener);
    proxy.metric(
        "wsbump_tls_handshake_seconds_count",
        &[("side", "origin"), ("outcome", "timeout")],
        1.0,
    );
}

#[test]
fn an_origin_that_hangs_up_in_the_handshake_is_a_502() {
    let proxy = Proxy::start();
    let (listener, port) = tcp();
    let origin = std::thread::spawn(move || drop(accept(&listener).exactly(5)));
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[&format!("https://origin.test:{port}/")],
    );
    assert_eq!((done.code, done.status), (0, 502), "{done:?}");
    origin.join().unwrap();
}

over_both!(an_origin_that_never_answers_is_a_504);

fn an_origin_that_never_answers_is_a_504(version: Version) {
    let proxy = hurried().start();
    let road = Road::start(version);
    let mut client = road.client(&proxy);
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", road.target()));
    let mut origin = road.accept();
    origin.head().unwrap();
    let answer = client.answer();
    assert_eq!(answer.status, 504, "{}", answer.head);
    let status = answer.header("proxy-status").unwrap();
    assert!(
        status.starts_with("wsbump; error=http_response_timeout;"),
        "{status}"
    );
    let line = proxy.log("request", |_| true);
    assert_eq!(
        (&line["status"], &line["error"], &line["protocol"]),
        (
            &504.into(),
            &"http_response_timeout".into(),
            &version.logged().into()
        ),
        "{line}"
    );
    proxy.metric(
        "wsbump_http_errors_total",
        &[("error", "http_response_timeout")],
        1.0,
    );
}

#[test]
fn an_origin_that_refuses_is_an_honest_502() {
    let proxy = Proxy::start();
    let (_, answer) = connect(&proxy, &format!("origin.test:{}", free_port()));
    assert_eq!(answer.status, 502, "{}", answer.head);
    assert!(
        answer
            .header("proxy-status")
            .unwrap()
            .contains("error=connection_refused"),
        "{}",
        answer.head
    );
    proxy.metric(
        "wsbump_dial_seconds_count",
        &[("outcome", "connection_refused")],
        1.0,
    );
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["outcome"], "connection_refused", "{line}");
}

#[test]
fn a_name_without_an_address_is_an_honest_502() {
    let proxy = Proxy::start();
    // RFC 6761: never an address.
    let (_, answer) = connect(&proxy, "nowhere.invalid:443");
    assert!(matches!(answer.status, 502 | 504), "{}", answer.head);
    assert!(
        answer.header("proxy-status").unwrap().contains("error=dns_"),
        "{}",
        answer.head
    );
}

#[test]
fn the_proxys_own_network_is_out_of_reach_by_default() {
    let port = origins::plain_aiohttp().port;
    let proxy = Setup::new()
        .config("network = { allow = [] }")
        .host("private.test", "10.1.2.3")
        .host("linklocal.test", "169.254.169.254")
        .start();
    for target in [
        format!("127.0.0.1:{port}"),
        format!("origin.test:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        "private.test:443".to_owned(),
        "linklocal.test:80".to_owned(),
        "0.0.0.0:443".to_owned(),
    ] {
        let (_, answer) = connect(&proxy, &target);
        assert_eq!(answer.status, 403, "CONNECT {target}: {}", answer.head);
        let status = answer.header("proxy-status").unwrap();
        assert!(status.contains("error=destination_ip_prohibited"), "{status}");
    }
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(format!(
        "GET http://origin.test:{port}/ HTTP/1.1\r\nHost: origin.test:{port}\r\n\r\n"
    ));
    assert_eq!(wire.answer().status, 403);
}

#[test]
fn the_proxy_never_dials_itself() {
    let proxy = Proxy::start();
    let (_, port) = proxy.address.rsplit_once(':').unwrap();
    for name in ["127.0.0.1", "localhost", "origin.test"] {
        let (_, answer) = connect(&proxy, &format!("{name}:{port}"));
        assert!(
            matches!(answer.status, 403 | 502 | 508),
            "CONNECT {name}: {}",
            answer.head
        );
        assert!(
            answer
                .header("proxy-status")
                .unwrap()
                .contains("error=proxy_loop_detected"),
            "{}",
            answer.head
        );
    }
}

#[test]
fn the_proxy_never_asks_itself_in_absolute_form_either() {
    let proxy = Proxy::start();
    for own in [&proxy.address, &proxy.admin] {
        let mut wire = Wire::new(dial(&proxy.address));
        wire.send(format!(
            "GET http://{own}/metrics HTTP/1.1\r\nHost: {own}\r\n\r\n"
        ));
        let answer = wire.answer();
        assert!(matches!(answer.status, 403 | 502 | 508), "{}", answer.head);
        let status = answer.header("proxy-status").unwrap();
        assert!(status.contains("error=proxy_loop_detected"), "{status}");
    }
}

#[test]
fn a_client_hello_that_comes_byte_by_byte() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let target = recorder.target();
    let mut client = start_tls(tunnel(&proxy, &target), &target, &proxy.ca);
    let rustls::StreamOwned { conn, sock } = &mut client.stream;
    let mut hello = Vec::new();
    conn.write_tls(&mut hello).unwrap();
    let mut raw = Wire::new(sock.try_clone().unwrap());
    for byte in hello {
        raw.send([byte]);
    }
    while conn.is_handshaking() {
        conn.complete_io(sock).unwrap();
    }
    recorder.accept();
}

#[test]
fn a_client_that_stops_in_its_handshake() {
    let proxy = hurried().start();
    let recorder = Recorder::start();
    let mut client = start_tls(
        tunnel(&proxy, &recorder.target()),
        &recorder.target(),
        &certs().root,
    );
    // The ClientHello and not a byte more.
    let rustls::StreamOwned { conn, sock } = &mut client.stream;
    conn.write_tls(sock).unwrap();
    let mut socket = Wire::new(sock.try_clone().unwrap());
    socket.rest();
    proxy.metric(
        "wsbump_tls_handshake_seconds_count",
        &[("side", "client"), ("outcome", "timeout")],
        1.0,
    );
}

#[test]
fn idle_http_connections_are_closed() {
    let proxy = hurried().start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    assert!(client.rest().is_empty());
    assert!(recorder.accept().rest().is_empty());
}

#[test]
fn a_slow_stream_of_events_is_not_idle() {
    // http_idle is for connections between two requests; how slow a response may be is another matter.
    let proxy = Setup::new().config("timeouts = { http_idle = '700ms' }").start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(format!(
        "GET /events HTTP/1.1\r\nHost: {}\r\n\r\n",
        recorder.target()
    ));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    let head = client.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    for _ in 0..3 {
        // The clock of this test: a connection on which nothing happens, until it is closed for that.
        let mut idle = tls(&proxy, &recorder.target());
        assert!(idle.rest().is_empty());
        drop(recorder.accept());
        origin.send("9\r\ndata: x\n\n\r\n");
        assert_eq!(client.exactly(14), b"9\r\ndata: x\n\n\r\n");
    }
    origin.send("0\r\n\r\n");
    assert_eq!(client.exactly(5), b"0\r\n\r\n");
    // Between two requests again.
    assert!(client.rest().is_empty() && origin.rest().is_empty());
    assert_eq!(proxy.log("request", |_| true)["status"], 200);
}

#[test]
fn a_slow_upload_is_not_idle() {
    let proxy = Setup::new().config("timeouts = { http_idle = '700ms' }").start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\n\r\n",
        recorder.target()
    ));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    for byte in [b"a", b"b"] {
        let mut idle = tls(&proxy, &recorder.target());
        assert!(idle.rest().is_empty());
        drop(recorder.accept());
        client.send(byte);
        assert_eq!(origin.exactly(1), byte);
    }
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
}

fn an_exchange_in_which_nothing_moves_is_given_up(version: Version) {
    let proxy = hurried().start();
    let road = Road::start(version);
    // Keeps the connection, if that is what its streams share.
    let (mut websocket, mut far) = road.websocket(&proxy);
    let mut client = road.client(&proxy);
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", road.target()));
    let mut origin = road.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun");
    client.head().unwrap();
    assert_eq!(client.exactly(5), b"begun");
    let (over, is_over) = std::sync::mpsc::channel::<()>();
    let talking = std::thread::spawn(move || {
        // The WebSocket has something to say all the while.
        let step = std::time::Duration::from_millis(200);
        while is_over.recv_timeout(step) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let text = frame(0x81, Some([1, 2, 3, 4]), b"still here");
            websocket.send(&text);
            assert_eq!(far.exactly(text.len()), text);
        }
    });
    assert!(client.rest().is_empty());
    assert!(origin.rest().is_empty());
    drop(over);
    talking.join().unwrap();
    let line = proxy.log("request", |line| line["bytes_to_client"] == 5);
    assert_eq!(line["status"], 200, "{line}");
}

/// Begins a response of this type, and leaves it there.
fn begin(road: &Road, proxy: &Proxy, kind: &str) -> (End, End) {
    let mut client = road.client(proxy);
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", road.target()));
    let mut origin = road.accept();
    origin.head().unwrap();
    origin.send(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 10\r\n\r\nbegun"
    ));
    client.head().unwrap();
    assert_eq!(client.exactly(5), b"begun");
    (client, origin)
}

fn event_streams_may_be_quiet_for_longer(version: Version) {
    let proxy = Setup::new()
        .config("[timeouts]\nresponse = '200ms'\nhttp_idle = '200ms'")
        .start();
    let road = Road::start(version);
    let kinds = ["text/event-stream; charset=utf-8", "application/grpc+proto"];
    let quiet = kinds.map(|kind| begin(&road, &proxy, kind));
    // Twice as long as others may be: they are given up one after the other.
    for _ in 0..2 {
        let (mut client, _origin) = begin(&road, &proxy, "text/plain");
        assert!(client.rest().is_empty());
    }
    for (mut client, mut origin) in quiet {
        origin.send("ended");
        assert_eq!(client.exactly(5), b"ended");
    }
    // As long as a tunnel, and no longer.
    let (mut client, _origin) = begin(&road, &hurried().start(), "text/event-stream");
    assert!(client.rest().is_empty());
}

#[test]
fn an_idle_connection_that_is_closed_is_no_failure() {
    let proxy = hurried().start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
    assert!(client.rest().is_empty());
    assert_eq!(proxy.log("connection", |_| true)["outcome"], "ok");

    // Half a request is no reason to stay either.
    let mut client = tls(&proxy, &recorder.target());
    client.send("GET / HTTP/1.1\r\n");
    assert_eq!(client.answer().status, 408);
    assert!(client.rest().is_empty());
    proxy.metric("wsbump_connections_open", &[], 0.0);
}

#[test]
fn a_client_that_hangs_up_between_requests_is_no_failure() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
    // Without a close_notify, as many clients do.
    drop(client);
    assert_eq!(proxy.log("connection", |_| true)["outcome"], "ok");
}

fn a_websocket_lives_by_its_own_timer_and_ends_with_a_close(version: Version) {
    let proxy = hurried().start();
    let road = Road::start(version);
    let (mut client, mut origin) = road.websocket(&proxy);
    let codes = |frames: Vec<crate::harness::raw::Frame>| {
        frames.iter().map(|frame| frame.close_code()).collect::<Vec<_>>()
    };
    let start = std::time::Instant::now();
    let (at_client, at_origin) = (codes(client.frames()), codes(origin.frames()));
    assert!(
        start.elapsed().as_millis() >= 600,
        "closed by HTTP's timer, not by its own"
    );
    assert_eq!((at_client, at_origin), (vec![Some(1001)], vec![Some(1001)]));
    assert_eq!(proxy.log("websocket", |_| true)["outcome"], "idle");
}

fn a_websocket_that_is_cut_ends_on_both_sides(version: Version) {
    let proxy = Proxy::start();
    let road = Road::start(version);
    let (client, mut origin) = road.websocket(&proxy);
    client.stream.cut();
    drop(client);
    origin.rest();
    drop(origin);
    let line = proxy.log("websocket", |_| true);
    // A connection that ends is one thing, and a stream that is reset another.
    let outcomes = match version {
        Version::Http1 => ["cut_by_client", "cut_by_origin"],
        Version::Http2 | Version::Front => ["client_io", "origin_io"],
    };
    assert_eq!(line["outcome"], outcomes[0], "{line}");

    let (mut client, origin) = road.websocket(&proxy);
    origin.stream.cut();
    drop(origin);
    client.rest();
    drop(client);
    proxy.log("websocket", |line| line["outcome"] == outcomes[1]);
    proxy.metric("wsbump_websockets_open", &[], 0.0);
}

fn a_websocket_that_is_cut_behind_both_closes_was_closed(version: Version) {
    let proxy = Proxy::start();
    let road = Road::start(version);
    for by_client in [true, false] {
        let (mut client, mut origin) = road.websocket(&proxy);
        client.send(frame(0x88, Some([1, 2, 3, 4]), b"\x0f\xa2"));
        assert_eq!(origin.frame().unwrap().close_code(), Some(4002));
        origin.send(frame(0x88, None, b"\x0f\xa2"));
        assert_eq!(client.frame().unwrap().close_code(), Some(4002));
        let (cut, mut other) = if by_client {
            (client, origin)
        } else {
            (origin, client)
        };
        cut.stream.cut();
        drop(cut);
        assert!(other.rest().is_empty());
    }
    let lines = until("both in the log", || {
        let lines = proxy.log_so_far("websocket");
        (lines.len() == 2).then_some(lines)
    });
    for line in lines {
        assert_eq!(
            (&line["outcome"], &line["close_code"]),
            (&"closed".into(), &4002.into()),
            "{line}"
        );
    }
}

#[test]
fn a_client_that_gives_no_room_is_not_waited_for() {
    let proxy = hurried().start();
    let found = Client::new("client_windowless_h2.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .with("url", origins::node_h2().url("https", "/"))
        .run();
    assert_eq!(
        found,
        serde_json::json!({
            "heads": {"1": "200", "3": "421"},
            "resets": {"1": "INTERNAL_ERROR", "3": "INTERNAL_ERROR"},
            "after": "status 204",
        })
    );
}
