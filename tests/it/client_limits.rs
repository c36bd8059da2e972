//! One client cannot take the proxy from all others: connections, WebSockets and handshakes of each have limits.

use crate::harness::clients::{Client, curl};
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Answer, Plain, Wire, connect, prepare, tls_over};
use crate::harness::recorder::tcp;
use crate::harness::road::{Road, Version, over_both};
use crate::harness::{DEADLINE, until};
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr};

/// Tests come from this machine, which has no limits by default.
fn limited(limits: &str) -> Setup {
    Setup::new().config(&format!(
        "limits = {{ client = {{ except = [], {limits} }} }}\npolicy = {{ unknown_protocol = 'tunnel' }}"
    ))
}

/// TCP to the proxy from an address of this machine.
pub(crate) fn from(address: impl Into<Ipv4Addr>, proxy: &str) -> Plain {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((address.into(), 0)).into())
        .unwrap();
    let proxy: SocketAddr = proxy.parse().unwrap();
    socket.connect_timeout(&proxy.into(), DEADLINE).unwrap();
    let stream = socket.into();
    prepare(&stream);
    Wire::new(stream)
}

const A: [u8; 4] = [127, 0, 0, 1];
const B: [u8; 4] = [127, 0, 0, 2];

/// Asks for a tunnel, and says what is answered.
fn ask(wire: &mut Plain, target: &str) -> Answer {
    wire.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    let head = wire.head().expect("an answer to CONNECT");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Answer {
        status,
        head,
        body: Vec::new(),
    };
    if let Some(length) = answer
        .header("content-length")
        .map(|length| length.parse().unwrap())
    {
        answer.body = wire.exactly(length);
    }
    answer
}

/// Tunnels from an address until one is refused, and the refusal.
fn all_of(proxy: &Proxy, address: [u8; 4], target: &str) -> (Vec<Plain>, Answer) {
    let mut tunnels = Vec::new();
    loop {
        let mut wire = from(address, &proxy.address);
        let answer = ask(&mut wire, target);
        if answer.status != 200 {
            return (tunnels, answer);
        }
        tunnels.push(wire);
        assert!(tunnels.len() < 1000, "no limit");
    }
}

/// A refusal that says why and for how long.
fn is_refusal(answer: &Answer, status: u16, word: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let said = answer.header("proxy-status").unwrap();
    assert!(
        said.starts_with(&format!("wsbump; error={word}; details=")),
        "{said}"
    );
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

fn refused(proxy: &Proxy, word: &str, times: f64) {
    proxy.metric("wsbump_client_limited_total", &[("limit", word)], times);
}

#[test]
fn a_client_with_too_many_connections_is_told_and_others_are_not_hindered() {
    let (_listener, port) = tcp();
    let target = format!("origin.test:{port}");
    let proxy = limited("connections = 2").start();
    let (tunnels, answer) = all_of(&proxy, A, &target);
    assert_eq!(tunnels.len(), 2);
    is_refusal(&answer, 503, "client_connection_limit");
    assert_eq!(answer.header("connection"), Some("close"));
    let line = proxy.log("connection", |line| line["outcome"] == "client_connection_limit");
    assert_eq!(
        (&line["client"], &line["action"]),
        (&"127.0.0.1".into(), &"none".into()),
        "{line}"
    );
    refused(&proxy, "client_connection_limit", 1.0);

    let (others, _) = all_of(&proxy, B, &target);
    assert_eq!(others.len(), 2, "each has its own");
    drop(tunnels);
    // When the first have ended, there is room again.
    proxy.metric("wsbump_connections_open", &[], 2.0);
    assert_eq!(all_of(&proxy, A, &target).0.len(), 2);
}

#[test]
fn a_client_of_http_2_is_told_on_its_stream_and_keeps_its_tunnels() {
    let (_listener, port) = tcp();
    let proxy = limited("connections = 3")
        .config("listen = { tls = ['127.0.0.1:0'] }")
        .start();
    let found = Client::new("client_streams.mjs")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.secure_url())
        .with("mode", "limit")
        .with("target", format!("origin.test:{port}"))
        .run();
    let answers = found["answers"].as_array().unwrap();
    let statuses: Vec<_> = answers.iter().map(|answer| &answer["status"]).collect();
    assert_eq!(statuses, [200, 200, 503, 503], "one is the connection's own");
    let said = answers[2]["proxyStatus"].as_str().unwrap();
    assert!(said.contains("error=client_connection_limit"), "{found}");
    assert_eq!(answers[2]["retryAfter"], "5", "{found}");
    let line = proxy.log("connection", |line| line["outcome"] == "client_connection_limit");
    assert!(line["inside"].is_number(), "{line}");
    refused(&proxy, "client_connection_limit", 2.0);
}

#[test]
fn before_tls_a_connection_without_a_place_is_closed_and_counted() {
    let proxy = limited("connections = 1")
        .config("listen = { tls = ['127.0.0.1:0'] }")
        .start();
    let secure = proxy.secure.clone().unwrap();
    let first = from(A, &secure);
    proxy.metric("wsbump_connections_open", &[], 1.0);
    assert!(from(A, &secure).rest().is_empty());
    let line = proxy.log("connection", |line| line["outcome"] == "client_connection_limit");
    assert!(line["proxy_tls"].is_null(), "{line}");
    refused(&proxy, "client_connection_limit", 1.0);
    drop(first);
}

fn websockets(version: Version) {
    let proxy = limited("websockets = 1").start();
    let road = Road::start(version);
    let first = road.websocket(&proxy);
    let mut client = road.client(&proxy);
    client.ask_websocket(&road.target(), "/", "");
    let answer = client.answer();
    is_refusal(&answer, 503, "client_websocket_limit");
    if version == Version::Http1 {
        // Its connection reached the origin, which was asked nothing.
        drop(road.accept());
    }
    let line = proxy.log("request", |line| line["error"] == "client_websocket_limit");
    assert_eq!(
        (&line["status"], &line["protocol"]),
        (&503.into(), &version.logged().into())
    );
    refused(&proxy, "client_websocket_limit", 1.0);
    assert_eq!(proxy.metrics().sum("wsbump_websockets_open", &[]), 1.0);
    // What is no WebSocket goes on beside it.
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[version.curl(), &version.echo().url("https", "/status/202")],
    );
    assert_eq!(done.code, 0, "{done:?}");
    drop(first);
    proxy.metric("wsbump_websockets_open", &[], 0.0);
    let second = road.websocket(&proxy);
    drop(second);
}

over_both!(websockets);

#[test]
fn handshakes_come_as_a_burst_and_then_at_a_rate() {
    let (_listener, port) = tcp();
    let target = format!("origin.test:{port}");
    let proxy = limited("handshakes_per_second = 1, handshake_burst = 2").start();
    let mut tunnels = Vec::new();
    let mut refusal = None;
    // However slow this runs, one of so many comes too fast.
    for _ in 0..500 {
        let mut wire = from(A, &proxy.address);
        let answer = ask(&mut wire, &target);
        if answer.status != 200 {
            refusal = Some((wire, answer));
            break;
        }
        tunnels.push(wire);
    }
    let (mut wire, answer) = refusal.expect("a refusal");
    assert!(tunnels.len() >= 2, "{}", tunnels.len());
    is_refusal(&answer, 429, "client_handshake_rate");
    assert_eq!(
        answer.header("connection"),
        None,
        "the client may ask again on it"
    );
    let other = ask(&mut from(B, &proxy.address), &target);
    assert_eq!(other.status, 200, "another is not hindered");
    let line = proxy.log("request", |line| line["error"] == "client_handshake_rate");
    assert_eq!(
        (&line["method"], &line["status"]),
        (&"CONNECT".into(), &429.into())
    );

    // After a while it gets what it asks for, on the same connection.
    until("a tunnel", || {
        (ask(&mut wire, &target).status == 200).then_some(())
    });
    assert!(
        proxy.metrics().sum(
            "wsbump_client_limited_total",
            &[("limit", "client_handshake_rate")]
        ) >= 1.0
    );
}

#[test]
fn tls_with_the_proxy_and_urls_of_https_are_handshakes_too() {
    let proxy = limited("handshakes_per_second = 1, handshake_burst = 1")
        .config("listen = { tls = ['127.0.0.1:0'] }\nlimits = { client = { ipv4_prefix = 8 } }")
        .start();
    let url = origins::aiohttp().url("https", "/status/202");
    let target = url
        .strip_prefix("https://")
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let mut wire = from(A, &proxy.address);
    let mut statuses = Vec::new();
    for _ in 0..500 {
        // Each on a connection of its own to the origin, which the absolute form would otherwise keep.
        wire.send(format!(
            "GET {url} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n"
        ));
        let answer = wire.answer();
        statuses.push(answer.status);
        if answer.status != 202 {
            is_refusal(&answer, 429, "client_handshake_rate");
            break;
        }
        wire = from(A, &proxy.address);
    }
    assert_eq!(
        (statuses[0], *statuses.last().unwrap()),
        (202, 429),
        "{statuses:?}"
    );
    // One network is one client: the listener of TLS refuses who comes from the same one.
    let before = proxy.metrics().sum("wsbump_client_limited_total", &[]);
    let closed = (0..500).any(|_| {
        let mut wire = from(B, proxy.secure.as_ref().unwrap());
        let _ = wire.try_send(b"\x16\x03\x01\x00\x05\x63\x00\x00\x01\x00");
        // Whoever is let in gets an alert for what is no ClientHello.
        wire.rest().is_empty()
    });
    assert!(closed);
    assert!(proxy.metrics().sum("wsbump_client_limited_total", &[]) > before);
    proxy.log("connection", |line| {
        line["outcome"] == "client_handshake_rate" && line["proxy_tls"].is_null()
    });
}

#[test]
fn idle_websockets_of_one_client_leave_the_last_places_to_others() {
    let proxy = Setup::new()
        .config(
            "limits = { connections = 20, client = { except = [], connections = 0, websockets = 0, share_percent = 80 } }",
        )
        .start();
    let road = Road::start(Version::Http1);
    let mut held = Vec::new();
    let refusal = loop {
        let mut wire = from(A, &proxy.address);
        let answer = ask(&mut wire, &road.target());
        if answer.status != 200 {
            break answer;
        }
        let mut client = tls_over(wire, &road.target(), &proxy.ca);
        client.ask_websocket(&road.target(), "/", "");
        let mut origin = road.accept();
        origin.accept_websocket("");
        client.head().expect("an answer to the upgrade");
        held.push((client, origin));
    };
    assert_eq!(held.len(), 16, "four fifths of all");
    is_refusal(&refusal, 503, "client_share");
    refused(&proxy, "client_share", 1.0);
    proxy.log("connection", |line| line["outcome"] == "client_share");

    // The next one gets most of what is left, and then another still has a place.
    let (second, answer) = all_of(&proxy, B, &road.target());
    assert_eq!(second.len(), 3, "{answer:?}");
    is_refusal(&answer, 503, "client_share");
    assert_eq!(
        ask(&mut from([127, 0, 0, 3], &proxy.address), &road.target()).status,
        200
    );
}

#[test]
fn this_machine_has_no_limits_unless_it_is_told_and_a_reload_changes_them() {
    let (_listener, port) = tcp();
    let target = format!("origin.test:{port}");
    let mut proxy = Setup::new()
        .config("limits = { client = { connections = 1, handshakes_per_second = 1, handshake_burst = 1 } }\npolicy = { unknown_protocol = 'tunnel' }")
        .start();
    let tunnels: Vec<_> = (0..5).map(|_| connect(&proxy, &target)).collect();
    assert!(tunnels.iter().all(|(_, answer)| answer.status == 200));
    proxy.rewrite_config("limits = { client = { except = ['127.0.0.2'], handshakes_per_second = 0 } }");
    proxy.metric("wsbump_config_reloads_total", &[("result", "success")], 1.0);
    // Those that are open had no limits when they came.
    let (one, answer) = all_of(&proxy, A, &target);
    assert_eq!(one.len(), 1);
    is_refusal(&answer, 503, "client_connection_limit");
    let exempt: Vec<_> = (0..3)
        .map(|_| ask(&mut from(B, &proxy.address), &target))
        .collect();
    assert!(exempt.iter().all(|answer| answer.status == 200));
    drop(tunnels);
}

#[test]
fn a_flood_of_refused_connections_holds_no_places_and_few_sockets() {
    let (_listener, port) = tcp();
    let target = format!("origin.test:{port}");
    let proxy = limited("connections = 1")
        .config("limits = { connections = 4 }")
        .start();
    let (held, _) = all_of(&proxy, A, &target);
    assert_eq!(held.len(), 1);
    // They ask for nothing: 64 of them are given the time to.
    let silent: Vec<_> = (0..200).map(|_| from(A, &proxy.address)).collect();
    refused(&proxy, "client_connection_limit", 201.0);
    assert!(proxy.descriptors() < 64 + 60, "{}", proxy.descriptors());
    assert_eq!(ask(&mut from(B, &proxy.address), &target).status, 200);
    drop(silent);
    proxy.metric("wsbump_connections_open", &[], 1.0);
}
