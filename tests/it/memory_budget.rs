//! What waits inside the proxy takes about what it holds, whatever pieces it comes in, and all of it together no more than
//! the budget says.

use crate::harness::certs::certs;
use crate::harness::clients::Client;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{frame, tls};
use crate::harness::recorder::Recorder;
use crate::harness::road::{Road, Version, over_both};
use crate::harness::until;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::Write as _;

/// A field of the process's status, in KiB.
fn memory(proxy: &Proxy, field: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.process().pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A client of HTTP/2 whose streams bring DATA of one byte each, which their origin has no room for.
fn tiny_data(proxy: &Proxy, mode: &str, streams: usize) -> (Process, Value) {
    let client = Client::new("tiny_data_h2.py")
        .with("proxy", proxy.url())
        .with("ca", &proxy.ca)
        .with("cert", &certs().origin.cert)
        .with("key", &certs().origin.key)
        .with("mode", mode)
        .with("streams", streams.to_string())
        .start();
    let fact = client.out("what was sent", |line| serde_json::from_str::<Value>(line).ok());
    (client, fact)
}

#[test]
fn bytes_that_come_one_by_one_in_streams_take_what_they_are() {
    // A connection that has too many of them is closed: nobody waits for room by the byte.
    for mode in ["post", "websocket"] {
        let proxy = Setup::new().start();
        let before = memory(&proxy, "VmHWM:");
        let (mut client, fact) = tiny_data(&proxy, mode, 8);
        let grown = memory(&proxy, "VmHWM:") - before;
        client.say("");
        assert!(grown < 16 << 10, "{mode}: {grown} KiB for {fact}");
    }
}

const DOCUMENTS: &str = "
[inspect]
message_bytes = '8MiB'
connection_bytes = '8MiB'
process_bytes = '16MiB'
on_budget = 'close'
[[inspect.rule]]
name = 'documents'
mode = 'enforce'
action = 'drop'
in = ['body']
json = [{ pointer = '/secret', exists = true }]
[[inspect.rule]]
name = 'words'
mode = 'enforce'
action = 'drop'
in = ['message']
keywords = ['never said']
";

/// The budget of those rules, in KiB.
const BUDGET: usize = 16 << 10;

fn kept(proxy: &Proxy, kind: &str) -> f64 {
    proxy.metrics().sum("wsbump_buffered_bytes", &[("kind", kind)])
}

over_both!(
    a_hundred_bodies_take_no_more_than_the_budget,
    messages_that_wait_take_no_more_than_the_budget,
);

fn a_hundred_bodies_take_no_more_than_the_budget(version: Version) {
    let (proxy, road) = (Setup::new().config(DOCUMENTS).start(), Road::start(version));
    let target = road.target();
    let text = "x".repeat(1 << 20);
    let before = memory(&proxy, "VmHWM:");
    // Each is short of its end, and so waits for that, or for nothing more where there was no room.
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let mut client = road.client(&proxy);
            client.send(format!(
                "POST / HTTP/1.1\r\nHost: {target}\r\nContent-Length: {}\r\n\r\n",
                text.len() + 100
            ));
            let _ = client.try_send(&text);
            client
        })
        .collect();
    let refused = || {
        let metrics = proxy.metrics();
        let of = |reason| {
            let labels = [("reason", reason), ("stopped", "true")];
            metrics.sum("wsbump_inspect_blind_total", &labels)
        };
        of("process_budget") + of("connection_budget")
    };
    until("most are refused", || (refused() >= 80.0).then_some(()));
    assert!(kept(&proxy, "bodies") > 1e6, "some wait");
    let grown = memory(&proxy, "VmHWM:") - before;
    assert!(grown < 2 * BUDGET, "{grown} KiB");
    drop(clients);
    proxy.metric("wsbump_buffered_bytes", &[("kind", "bodies")], 0.0);
}

fn messages_that_wait_take_no_more_than_the_budget(version: Version) {
    let (proxy, road) = (Setup::new().config(DOCUMENTS).start(), Road::start(version));
    // The first fragment of a message of which the rest never comes; some in frames of one byte.
    let large = frame(0x01, Some([1, 2, 3, 4]), &[b'x'; 1 << 20]);
    let tiny = [
        frame(0x01, Some([1, 2, 3, 4]), b"x"),
        frame(0x00, Some([1, 2, 3, 4]), b"x").repeat(1 << 17),
    ]
    .concat();
    let sockets: Vec<_> = (0..20).map(|_| road.websocket(&proxy)).collect();
    let (mut client, mut origin) = road.websocket(&proxy);
    let before = memory(&proxy, "VmHWM:");
    client.send(&large);
    until("the first waits", || {
        (kept(&proxy, "messages") > 1e6).then_some(())
    });
    let sockets: Vec<_> = sockets
        .into_iter()
        .zip([&large, &tiny].into_iter().cycle())
        .map(|((mut client, origin), message)| {
            let _ = client.try_send(message);
            (client, origin)
        })
        .collect();
    let reason = [("reason", "process_budget"), ("stopped", "true")];
    until("some are refused", || {
        (proxy.metrics().sum("wsbump_inspect_blind_total", &reason) >= 3.0).then_some(())
    });
    let grown = memory(&proxy, "VmHWM:") - before;
    assert!(grown < 2 * BUDGET, "{grown} KiB");
    // Whoever came when there was room goes on.
    client.send(frame(0x80, Some([1, 2, 3, 4]), b"the end"));
    assert_eq!(origin.exactly(large.len()), large);
    drop((sockets, client, origin));
    proxy.metric("wsbump_buffered_bytes", &[("kind", "messages")], 0.0);
}

#[test]
fn what_streams_hold_for_receivers_that_take_their_time_counts() {
    const SIZE: usize = 16 << 20;
    let proxy = Setup::new()
        .config("inspect = { message_bytes = '1MiB', connection_bytes = '1MiB', process_bytes = '1MiB', on_budget = 'close' }")
        .config(
            "[[inspect.rule]]\nname = 'documents'\nmode = 'enforce'\naction = 'drop'\nin = ['body']\ndirection = 'to_origin'\n\
             json = [{ pointer = '/secret', exists = true }]\n",
        )
        .start();
    let road = Road::start(Version::Http2);
    // By a connection of its own: that of the downloads has no room left.
    let others = Road::start(Version::Http2);
    let target = road.target();
    let post = |body: &str| {
        let (target, mut client) = (others.target(), others.client(&proxy));
        let size = body.len();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: {target}\r\nContent-Length: {size}\r\n\r\n{body}"
        ));
        client
    };
    let body = "x".repeat(600 << 10);
    // Five downloads that their clients do not read: the window of each is full.
    let downloads: Vec<_> = (0..5)
        .map(|_| {
            let mut client = road.client(&proxy);
            client.send(format!("GET / HTTP/1.1\r\nHost: {target}\r\n\r\n"));
            let mut origin = road.accept();
            origin.head().unwrap();
            let sending = std::thread::spawn(move || {
                origin.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
                origin.send(vec![b'y'; SIZE]);
                origin
            });
            (client, sending)
        })
        .collect();
    until("the windows are full", || {
        (kept(&proxy, "streams") > 5.0 * 200_000.0).then_some(())
    });
    let refused = post(&body).answer();
    assert_eq!(refused.status, 502, "{}", refused.head);
    let reason = [("reason", "process_budget"), ("stopped", "true")];
    proxy.metric("wsbump_inspect_blind_total", &reason, 1.0);
    // Nothing was stopped for want of room that was there before, and what is taken counts no longer.
    // They share the window of one connection, so that all have to be read at once.
    std::thread::scope(|scope| {
        for (mut client, sending) in downloads {
            scope.spawn(move || {
                assert!(client.head().unwrap().starts_with("HTTP/1.1 200 "));
                assert_eq!(client.exactly(SIZE).len(), SIZE);
                drop(sending.join().unwrap());
            });
        }
    });
    proxy.metric("wsbump_buffered_bytes", &[("kind", "streams")], 0.0);
    let mut client = post(&body);
    let mut origin = others.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
}

#[test]
fn what_is_decoded_counts_and_without_room_follows_policy() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&[b'x'; 6 << 20]).unwrap();
    without_room("4MiB", "Content-Encoding: gzip\r\n", &packed.finish().unwrap());
}

#[test]
fn text_that_is_read_in_utf_8_counts_and_without_room_follows_policy() {
    // Three bytes of UTF-8 for each two: 2.3 MB that are kept, in 4.4 MiB at most, have 3.4 MB beside them.
    let wide = [0xff, 0xfe].into_iter().chain([0x42, 0x30].repeat(1_150_000));
    without_room("5MiB", "Content-Type: text/plain\r\n", &wide.collect::<Vec<u8>>());
}

/// A body that fits into the budget, and what it becomes does not.
fn without_room(budget: &str, stated: &str, body: &[u8]) {
    for (stops, status) in [("close", 502), ("pass", 200)] {
        let proxy = Setup::new()
            .config(&format!(
                "inspect = {{ message_bytes = '8MiB', connection_bytes = '8MiB', process_bytes = '{budget}', on_budget = '{stops}' }}"
            ))
            .config(
                "[[inspect.rule]]\nname = 'words'\nmode = 'enforce'\naction = 'drop'\nin = ['body']\nkeywords = ['never said']\n",
            )
            .start();
        let recorder = Recorder::start();
        let target = recorder.target();
        let mut client = tls(&proxy, &target);
        client.send(format!("GET / HTTP/1.1\r\nHost: {target}\r\n\r\n"));
        let mut origin = recorder.accept();
        origin.head().unwrap();
        let size = body.len();
        origin.send(format!(
            "HTTP/1.1 200 OK\r\n{stated}Content-Length: {size}\r\n\r\n"
        ));
        origin.send(body);
        assert_eq!(client.answer().status, status, "{stops}");
        let stopped = if stops == "close" { "true" } else { "false" };
        let reason = [("reason", "process_budget"), ("stopped", stopped)];
        proxy.metric("wsbump_inspect_blind_total", &reason, 1.0);
        proxy.metric("wsbump_buffered_bytes", &[("kind", "decoded")], 0.0);
    }
}
