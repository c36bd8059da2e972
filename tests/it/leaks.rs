//! Connections cut anywhere leave nothing behind.

use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, dial, frame, start_tls, tls};
use crate::harness::recorder::Recorder;
use crate::harness::until;
use std::net::{Shutdown, TcpStream};

/// How far a connection gets before it is cut.
const STAGES: usize = 8;

/// Walks up to `stage`, then cuts; `odd` chooses where inside a stage, and which end goes first.
fn cut(proxy: &Proxy, recorder: &Recorder, stage: usize, odd: usize) {
    let target = recorder.target();
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    let mut wire = Wire::new(dial(&proxy.address));
    if stage == 0 {
        wire.send(&request.as_bytes()[..odd % request.len()]);
        return;
    }
    wire.send(&request);
    if stage == 1 {
        return;
    }
    assert_eq!(wire.answer().status, 200);
    if stage == 2 {
        return;
    }
    let mut client = start_tls(wire, &target, &proxy.ca);
    if stage == 3 {
        let mut hello = Vec::new();
        client.stream.conn.write_tls(&mut hello).unwrap();
        let mut raw = Wire::new(client.stream.sock.try_clone().unwrap());
        raw.send(&hello[..odd % hello.len()]);
        return;
    }
    let rustls::StreamOwned { conn, sock } = &mut client.stream;
    while conn.is_handshaking() {
        conn.complete_io(sock).unwrap();
    }
    let mut origin = recorder.accept();
    if stage == 4 {
        client.send(&format!("GET / HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()[..odd % 30]);
        return;
    }
    if stage == 5 {
        client.send(format!("GET / HTTP/1.1\r\nHost: {target}\r\n\r\n"));
        origin.head().unwrap();
        if odd.is_multiple_of(2) {
            origin.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        }
        return;
    }
    client.ask_websocket(&target, "/", "");
    origin.accept_websocket("");
    client.head().unwrap();
    if stage == 6 {
        let text = frame(0x81, Some([1, 2, 3, 4]), &[b'x'; 300]);
        client.send(&text[..odd % text.len()]);
    } else {
        let text = frame(0x81, None, &[b'x'; 70_000]);
        origin.send(&text[..odd * 131 % text.len()]);
    }
    let reset = |socket: &TcpStream| drop(socket.shutdown(Shutdown::Both));
    if odd.is_multiple_of(2) {
        reset(&client.stream.sock)
    } else {
        reset(&origin.stream.sock)
    }
}

fn storm(proxy: &Proxy, recorder: &Recorder, seed: usize) {
    for number in 0..160 {
        let odd = (number + seed).wrapping_mul(2_654_435_761) >> 7;
        cut(proxy, recorder, number % STAGES, odd);
    }
}

fn settle(proxy: &Proxy) {
    proxy.metric("wsbump_connections_open", &[], 0.0);
    proxy.metric("wsbump_websockets_open", &[], 0.0);
}

/// Memory of the process, in KiB.
pub(crate) fn resident(proxy: &Proxy) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.process().pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap()
        .to_owned();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn connections_cut_anywhere_leave_nothing_behind() {
    let proxy = Setup::new()
        .config(
            "[timeouts]\nrequest_head = '2s'\npeek = '2s'\nhandshake = '2s'\nresponse = '2s'\nhttp_idle = '2s'\n\
             websocket_idle = '5s'\ntunnel_idle = '5s'",
        )
        .start();
    let recorder = Recorder::start();
    // The first connection opens what is kept for good.
    drop(tls(&proxy, &recorder.target()));
    drop(recorder.accept());
    settle(&proxy);
    let threads = |proxy: &Proxy| {
        std::fs::read_dir(format!("/proc/{}/task", proxy.process().pid()))
            .unwrap()
            .count()
    };
    let (descriptors, tasks) = (
        until("descriptors", || Some(proxy.descriptors())),
        threads(&proxy),
    );

    storm(&proxy, &recorder, 1);
    settle(&proxy);
    let memory = resident(&proxy);
    for seed in 2..5 {
        storm(&proxy, &recorder, seed);
        settle(&proxy);
    }
    until("every descriptor is closed", || {
        (proxy.descriptors() <= descriptors).then_some(())
    });
    until("no thread is left", || {
        (threads(&proxy) <= tasks + 4).then_some(())
    });
    let grown = resident(&proxy).saturating_sub(memory);
    assert!(grown < 8 * 1024, "grew by {grown} KiB over 480 connections");

    let ended = proxy.metrics().sum("wsbump_connections_ended_total", &[]);
    let accepted = proxy.metrics().sum("wsbump_connections_accepted_total", &[]);
    assert_eq!(
        ended as u64, accepted as u64,
        "every accepted connection ends exactly once"
    );
    until("one line for each", || {
        (proxy.log_so_far("connection").len() == accepted as usize).then_some(())
    });
}

/// One bumped request and its answer.
fn request(proxy: &Proxy, recorder: &Recorder) {
    let target = recorder.target();
    let mut client = tls(proxy, &target);
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n"
    ));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.answer().body, b"ok");
}

#[test]
fn two_thousand_short_connections_take_no_memory() {
    let proxy = Proxy::start();
    let burst = |count: usize| {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let proxy = &proxy;
                // Two origins each, so that what is kept per origin is kept from the beginning.
                scope.spawn(move || {
                    let recorder = Recorder::start();
                    (0..count / 4).for_each(|_| request(proxy, &recorder));
                });
            }
        });
        settle(&proxy);
        until("nothing is open", || {
            let metrics = proxy.metrics();
            let open = [
                "process_open_fds",
                "wsbump_connections_open",
                "wsbump_websockets_open",
            ]
            .map(|name| metrics.sum(name, &[]) as u64);
            (open[1..] == [0, 0]).then_some(open[0])
        })
    };
    burst(400);
    let (memory, descriptors) = (resident(&proxy), proxy.descriptors());
    burst(2_000);
    until("every descriptor is closed", || {
        (proxy.descriptors() <= descriptors).then_some(())
    });
    let grown = resident(&proxy).saturating_sub(memory);
    assert!(grown < 8 * 1024, "grew by {grown} KiB over 2,000 connections");
    let metrics = proxy.metrics();
    for family in [
        "wsbump_connections_accepted_total",
        "wsbump_connections_ended_total",
        "wsbump_http_requests_total",
    ] {
        assert_eq!(metrics.sum(family, &[]) as u64, 2_400, "{family}");
    }
    // The mimicked certificate is the same everywhere: one leaf, however many asked for it at once.
    assert_eq!(metrics.sum("wsbump_leaf_mints_total", &[]) as u64, 1);
    assert_eq!(metrics.sum("wsbump_leaf_cache_hits_total", &[]) as u64, 2_399);
}
