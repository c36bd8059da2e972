//! SIGTERM or SIGINT: no new connections, Close 1001 for WebSockets, time for requests, then out.

use crate::harness::clients::{Client, curl};
use crate::harness::metrics::get;
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Frame, Plain, connect, frame, tls, tunnel};
use crate::harness::recorder::{Recorder, accept, tcp};
use crate::harness::road::{Road, Version, over_both};
use crate::harness::until;
use serde_json::Value;
use std::net::TcpStream;
use std::time::Instant;

over_both!(
    websocket_clients_are_told_that_the_proxy_goes_away,
    each_side_gets_the_close_in_its_own_framing,
    a_close_is_never_put_into_a_frame_and_the_deadline_holds,
    websockets_that_the_deadline_cuts_have_their_lines,
);

fn websocket_clients_are_told_that_the_proxy_goes_away(version: Version) {
    let proxy = Proxy::start();
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let client = version.client(&proxy, version.websockets(), "/echo");
            let client = client.with("mode", "hold").start();
            client.out("open", |line| line.contains("\"open\": true").then_some(()));
            client
        })
        .collect();
    proxy.metric("wsbump_websockets_open", &[], 3.0);
    let ended = proxy.terminate();
    assert!(ended.status.success(), "{:?} {:?}", ended.status, ended.err);
    for client in clients {
        let found = client.finish();
        assert!(
            found.status.success() && found.out.last().unwrap().contains("\"code\": 1001"),
            "{:?}",
            found.out
        );
    }
    let drained = ended
        .out
        .iter()
        .filter(|line| line.contains("\"type\":\"websocket\"") && line.contains("drained"));
    assert_eq!(drained.count(), 3, "{:?}", ended.out);
}

fn each_side_gets_the_close_in_its_own_framing(version: Version) {
    let proxy = Proxy::start();
    let road = Road::start(version);
    let (mut client, mut origin) = road.websocket(&proxy);
    // In the middle of a fragmented message, but between frames: that is a place for a Close.
    client.send(frame(0x01, Some([1, 2, 3, 4]), b"begun"));
    assert_eq!(origin.frame().unwrap().payload, b"begun");
    proxy.process().signal("TERM");
    let (to_client, to_origin) = (client.frame().unwrap(), origin.frame().unwrap());
    assert_eq!((to_client.close_code(), to_client.masked), (Some(1001), false));
    assert_eq!((to_origin.close_code(), to_origin.masked), (Some(1001), true));
    client.send(frame(0x88, Some([5, 6, 7, 8]), &1001_u16.to_be_bytes()));
    origin.send(frame(0x88, None, &1001_u16.to_be_bytes()));
    drop((client, origin));
    let ended = proxy.terminate_after_signal();
    assert!(ended.status.success(), "{:?}", ended.err);
}

#[test]
fn websockets_of_one_connection_are_closed_and_then_it_ends() {
    let proxy = Proxy::start();
    let road = Road::start(Version::Http2);
    let mut pairs: Vec<_> = (0..4).map(|_| road.websocket(&proxy)).collect();
    proxy.process().signal("TERM");
    // The connection is told first, and what is open on it goes on.
    road.fact(&proxy, "its goodbye", |fact| fact["goaway"] == 0);
    for (client, origin) in &mut pairs {
        for end in [client, origin] {
            assert_eq!(end.frame().and_then(|frame| frame.close_code()), Some(1001));
        }
    }
    for (mut client, mut origin) in pairs {
        client.send(frame(0x88, Some([5, 6, 7, 8]), &1001_u16.to_be_bytes()));
        origin.send(frame(0x88, None, &1001_u16.to_be_bytes()));
        assert!(client.rest().is_empty() && origin.rest().is_empty());
    }
    road.fact(&proxy, "its end", |fact| fact["session"] == "closed");
    road.far_fact("the origin's goodbye", |fact| fact["goaway"] == 0);
    let ended = proxy.terminate_after_signal();
    assert!(ended.status.success(), "{:?}", ended.err);
    let drained = ended
        .out
        .iter()
        .filter(|line| line.contains("\"type\":\"websocket\"") && line.contains("drained"));
    assert_eq!(drained.count(), 4, "{:?}", ended.out);
    let connections = ended
        .out
        .iter()
        .filter(|line| line.contains("\"type\":\"connection\""));
    assert_eq!(connections.count(), 1, "{:?}", ended.out);
}

fn a_close_is_never_put_into_a_frame_and_the_deadline_holds(version: Version) {
    let proxy = Setup::new().config("timeouts = { drain = '1s' }").start();
    let road = Road::start(version);
    let (mut client, mut origin) = road.websocket(&proxy);
    let whole = frame(0x82, Some([1, 2, 3, 4]), &[7; 1000]);
    client.send(&whole[..500]);
    assert_eq!(origin.exactly(500), whole[..500]);
    let start = Instant::now();
    proxy.process().signal("TERM");
    // The other direction is between frames.
    assert_eq!(
        client.frame().and_then(|frame| Frame::close_code(&frame)),
        Some(1001)
    );
    assert!(
        origin.rest().is_empty(),
        "half a frame must not be followed by anything but its rest"
    );
    let ended = proxy.terminate_after_signal();
    assert!(ended.status.success(), "{:?}", ended.err);
    assert!(start.elapsed().as_secs() < 20, "the deadline did not hold");
}

#[test]
fn a_response_on_its_way_is_finished_and_nothing_new_begins() {
    let proxy = Setup::new().config("timeouts = { drain = '30s' }").start();
    let origin = origins::own_aiohttp();
    let target = format!("origin.test:{}", origin.port);
    let mut client = tls(&proxy, &target);
    client.send(format!("GET /slow HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    client.head().unwrap();
    assert_eq!(client.exactly(6), b"first ");
    proxy.process().signal("TERM");
    until("the listener is closed", || {
        TcpStream::connect(&proxy.address).is_err().then_some(())
    });
    let root = &crate::harness::certs::certs().root;
    let released = curl(
        None,
        root,
        &[&format!("https://localhost:{}/release", origin.port)],
    );
    assert_eq!(released.status, 200, "{released:?}");
    assert_eq!(client.exactly(6), b"second");
    assert!(client.rest().is_empty());
    let ended = proxy.terminate_after_signal();
    assert!(ended.status.success(), "{:?}", ended.err);
}

#[test]
fn a_stream_on_its_way_is_finished_and_its_connection_ends_with_it() {
    let proxy = Setup::new().config("timeouts = { drain = '50s' }").start();
    let road = Road::start(Version::Http2);
    let mut client = road.client(&proxy);
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", road.target()));
    let mut origin = road.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nfirst ");
    client.head().unwrap();
    assert_eq!(client.exactly(6), b"first ");
    let start = Instant::now();
    proxy.process().signal("TERM");
    road.fact(&proxy, "its goodbye", |fact| fact["goaway"] == 0);
    origin.send("second");
    assert_eq!(client.exactly(6), b"second");
    let ended = proxy.terminate_after_signal();
    assert!(ended.status.success(), "{:?}", ended.err);
    assert!(start.elapsed().as_secs() < 30, "waited for the deadline");
}

/// A client that asks behind the goodbye: what is under way is answered, and what comes too late has its line.
fn asks_behind_the_goodbye(proxy: Proxy, client: Client) {
    let client = client.start();
    client.out("open", |line| line.contains("\"open\": true").then_some(()));
    proxy.process().signal("TERM");
    let found = client.finish();
    assert!(found.status.success(), "{:?} {:?}", found.out, found.err);
    let found: Value = serde_json::from_str(found.out.last().unwrap()).unwrap();
    assert_eq!(
        (&found["before"], &found["content"], &found["behind"]),
        (&"status 200".into(), &"still here".into(), &Value::Null),
        "{found}"
    );
    let ended = proxy.terminate_after_signal();
    assert!(ended.status.success(), "{:?}", ended.err);
    let requests: Vec<Value> = ended
        .out
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["type"] == "request")
        .collect();
    let too_late: Vec<&Value> = requests
        .iter()
        .filter(|line| line["error"] == "request_not_taken")
        .collect();
    assert_eq!((requests.len(), too_late.len()), (3, 1), "{requests:?}");
    let line = too_late[0];
    assert_eq!(
        (&line["method"], &line["status"], &line["protocol"]),
        (&"GET".into(), &Value::Null, &"HTTP/2".into()),
        "{line}"
    );
    assert!(line["url"].as_str().unwrap().ends_with("/behind"), "{line}");
}

#[test]
fn a_stream_behind_the_goodbye_has_its_line() {
    let proxy = Setup::new().config("timeouts = { drain = '50s' }").start();
    let origin = origins::own_node_h2(&[]);
    let client = Client::new("client_drained_h2.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .with("url", origin.url("https", "/"));
    asks_behind_the_goodbye(proxy, client);
}

#[test]
fn a_stream_of_the_proxy_itself_behind_the_goodbye_has_its_line() {
    let proxy = Setup::new()
        .config("timeouts = { drain = '50s' }\nlisten = { tls = ['127.0.0.1:0'] }")
        .start();
    let client = Client::new("client_drained_h2.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.secure_url())
        .with("listener", "1")
        .with("url", origins::plain_aiohttp().url("http", "/"));
    asks_behind_the_goodbye(proxy, client);
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let proxy = Setup::new().config("timeouts = { drain = '50s' }").start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    let _origin = recorder.accept();
    let start = Instant::now();
    let ended = proxy.terminate();
    assert!(ended.status.success(), "{:?}", ended.err);
    assert!(
        start.elapsed().as_secs() < 30,
        "waited for a connection on which nothing happens"
    );
    assert!(client.rest().is_empty());
}

/// A proxy with a long drain, and an opaque tunnel through it, which has no way to say goodbye.
fn held_up() -> (Proxy, Plain, Plain) {
    let proxy = Setup::new()
        .config("timeouts = { drain = '50s' }\npolicy = { unknown_protocol = 'tunnel' }")
        .start();
    let (listener, port) = tcp();
    let mut client = tunnel(&proxy, &format!("origin.test:{port}"));
    let mut origin = accept(&listener);
    client.send(b"\0opaque");
    assert_eq!(origin.exactly(7), b"\0opaque");
    (proxy, client, origin)
}

fn draining(proxy: &Proxy) {
    proxy
        .process()
        .err("draining", |line| line.contains("draining").then_some(()));
}

#[test]
fn readiness_ends_when_draining_begins_and_all_else_goes_on() {
    let (proxy, mut client, mut origin) = held_up();
    assert_eq!(get(&proxy.admin, "/readyz").0, 200);
    proxy.process().signal("TERM");
    draining(&proxy);
    until("not ready", || {
        (get(&proxy.admin, "/readyz").0 == 503).then_some(())
    });
    assert_eq!(get(&proxy.admin, "/healthz").0, 200);
    assert_eq!(proxy.metrics().sum("wsbump_connections_open", &[]) as u64, 1);
    origin.send(b"still here");
    assert_eq!(client.exactly(10), b"still here");
    // The last connection's end is the end, long before the deadline.
    let start = Instant::now();
    drop((client, origin));
    let ended = proxy.terminate_after_signal();
    assert!(ended.status.success(), "{:?}", ended.err);
    assert!(start.elapsed().as_secs() < 30, "waited for the deadline");
}

#[test]
fn a_second_signal_does_not_wait() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        let (proxy, mut client, _origin) = held_up();
        let start = Instant::now();
        proxy.process().signal(first);
        draining(&proxy);
        proxy.process().signal(second);
        let ended = proxy.terminate_after_signal();
        assert_eq!(ended.status.code(), Some(130), "{:?}", ended.err);
        assert!(start.elapsed().as_secs() < 30, "waited for the drain");
        assert!(client.rest().is_empty());
        // Even so, the connection that was cut has its line.
        let lines = ended.out.iter().filter(|line| {
            line.contains("\"type\":\"connection\"") && line.contains("\"outcome\":\"aborted\"")
        });
        assert_eq!(lines.count(), 1, "{:?}", ended.out);
    }
}

#[test]
fn ctrl_c_drains_too() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let (mut client, mut origin) = recorder.websocket(&proxy);
    proxy.process().signal("INT");
    assert_eq!(client.frame().and_then(|frame| frame.close_code()), Some(1001));
    assert_eq!(origin.frame().and_then(|frame| frame.close_code()), Some(1001));
    client.send(frame(0x88, Some([5, 6, 7, 8]), &1001_u16.to_be_bytes()));
    origin.send(frame(0x88, None, &1001_u16.to_be_bytes()));
    drop((client, origin));
    assert!(proxy.terminate_after_signal().status.success());
}

#[test]
fn the_deadline_cuts_what_is_left_and_still_tells_of_it() {
    let proxy = Setup::new()
        .config("timeouts = { drain = '300ms' }\npolicy = { unknown_protocol = 'tunnel' }")
        .start();
    let (listener, port) = tcp();
    let (mut client, answer) = connect(&proxy, &format!("origin.test:{port}"));
    assert_eq!(answer.status, 200);
    client.send(b"\0opaque");
    assert_eq!(accept(&listener).exactly(7), b"\0opaque");
    let ended = proxy.terminate();
    assert!(ended.status.success(), "{:?}", ended.err);
    assert!(client.rest().is_empty());
    let lines = ended
        .out
        .iter()
        .filter(|line| line.contains("\"type\":\"connection\"") && line.contains("\"outcome\":\"aborted\""));
    assert_eq!(lines.count(), 1, "{:?}", ended.out);
}

fn websockets_that_the_deadline_cuts_have_their_lines(version: Version) {
    let proxy = Setup::new().config("timeouts = { drain = '300ms' }").start();
    let road = Road::start(version);
    let mut pairs: Vec<_> = (0..3).map(|_| road.websocket(&proxy)).collect();
    for (client, origin) in &mut pairs {
        let text = frame(0x81, Some([1, 2, 3, 4]), b"hello");
        client.send(&text);
        assert_eq!(origin.exactly(text.len()), text);
    }
    // Nobody answers the Close.
    let ended = proxy.terminate();
    assert!(ended.status.success(), "{:?}", ended.err);
    let lines = ended
        .out
        .iter()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let lines: Vec<_> = lines
        .filter(|line| line["type"] == "websocket" && line["event"] == "closed")
        .collect();
    assert_eq!(lines.len(), 3, "{:?}", ended.out);
    for line in lines {
        assert_eq!(
            (&line["outcome"], &line["messages_to_origin"]),
            (&"drained".into(), &1.into()),
            "{line}"
        );
    }
}
