//! Bytes go out exactly as they came in.

use crate::harness::certs::certs;
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, frame, tls_over, tunnel};
use crate::harness::recorder::{Recorder, accept, tcp};
use crate::harness::road::{End, Road, Version, over_both};
use crate::leaks::resident;
use std::io::{Read, Write};

over_both!(
    frames_cut_at_every_byte,
    floods_in_both_directions_at_once,
    a_slow_reader_stops_the_writer_and_loses_nothing,
    an_origin_may_finish_its_message_after_the_clients_close,
    random_frames_go_on_as_they_came,
);

/// A stream of frames that uses everything RFC 6455 allows, with the bit of permessage-deflate on some.
pub(crate) fn everything(masked: bool) -> Vec<u8> {
    let mask = |key: [u8; 4]| masked.then_some(key);
    [
        frame(0x81, mask([1, 2, 3, 4]), b"text"),
        frame(0x82, mask([0; 4]), b""),
        frame(0x01, mask([0xff; 4]), b"one"),
        frame(0x89, mask([9, 8, 7, 6]), b"ping inside a message"),
        frame(0x00, mask([5, 5, 5, 5]), b""),
        frame(0x8a, mask([1, 0, 0, 0]), b""),
        frame(0x80, mask([0xde, 0xad, 0xbe, 0xef]), b"two"),
        frame(0xc1, mask([4, 3, 2, 1]), b"not really deflate, but nobody looks"),
        frame(0x42, mask([4, 3, 2, 1]), b"a"),
        frame(0x80, mask([4, 3, 2, 1]), b"b"),
        frame(0x89, mask([1, 1, 1, 1]), &[b'p'; 125]),
        frame(0x82, mask([2, 2, 2, 2]), &[b'q'; 126]),
    ]
    .concat()
}

/// Sends `bytes` from `from` to `to`, cut in two at every place.
pub(crate) fn at_every_byte<A: Read + Write, B: Read + Write>(
    from: &mut Wire<A>,
    to: &mut Wire<B>,
    bytes: &[u8],
) {
    for cut in 0..bytes.len() {
        from.send(&bytes[..cut]);
        from.send(&bytes[cut..]);
        assert!(to.exactly(bytes.len()) == bytes, "changed when cut at {cut}");
    }
    for &byte in bytes {
        from.send([byte]);
    }
    assert!(to.exactly(bytes.len()) == bytes, "changed when sent byte by byte");
}

fn frames_cut_at_every_byte(version: Version) {
    let proxy = Proxy::start();
    let road = Road::cut(version, Some("7"));
    let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let (mut client, mut origin) = road.websocket_with(&proxy, extension, extension);
    at_every_byte(&mut client, &mut origin, &everything(true));
    at_every_byte(&mut origin, &mut client, &everything(false));

    // Then an orderly end, byte for byte too.
    let close = frame(0x88, Some([7; 4]), b"\x03\xe9gone");
    client.send(&close);
    assert_eq!(origin.exactly(close.len()), close);
    let close = frame(0x88, None, b"\x03\xe9");
    origin.send(&close);
    assert_eq!(client.exactly(close.len()), close);
    drop(origin);
    assert!(client.rest().is_empty());
    let line = proxy.log("websocket", |_| true);
    assert_eq!(
        (line["outcome"].as_str(), line["closed_by"].as_str()),
        (Some("closed"), Some("client")),
        "{line}"
    );
    assert_eq!(line["close_code"], 1001, "{line}");
}

/// Pseudo-random bytes: the same for the same seed.
pub(crate) fn noise(mut seed: u32, length: usize) -> Vec<u8> {
    let step = || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed as u8
    };
    std::iter::repeat_with(step).take(length).collect()
}

fn floods_in_both_directions_at_once(version: Version) {
    let proxy = Proxy::start();
    let road = Road::start(version);
    let (client, origin) = road.websocket(&proxy);
    // Large and small frames; both ends write all of it before they read: what the proxy cannot hold must
    // wait in the kernel, so each end writes and reads in turn.
    let out: Vec<u8> = (0..40)
        .flat_map(|n| frame(0x82, Some([n; 4]), &noise(u32::from(n) + 1, 100_000)))
        .collect();
    let back: Vec<u8> = (0..40)
        .flat_map(|n| frame(0x82, None, &noise(n + 77, 100_000)))
        .collect();
    std::thread::scope(|scope| {
        scope.spawn(|| both(client, &out, &back));
        scope.spawn(|| both(origin, &back, &out));
    });
}

fn a_slow_reader_stops_the_writer_and_loses_nothing(version: Version) {
    let proxy = Proxy::start();
    let road = Road::start(version);
    let (mut client, mut origin) = road.websocket(&proxy);
    let all: Vec<u8> = (0..200)
        .flat_map(|n| frame(0x82, None, &noise(n + 1, 65_536)))
        .collect();
    let expected = all.clone();
    let writer = std::thread::spawn(move || {
        origin.send(&all);
        origin
    });
    // Nobody reads: 13 MB cannot all be taken in, so the writer must still be at it when the proxy has taken
    // what it will.
    let before = resident(&proxy);
    assert_eq!(client.exactly(1_000), expected[..1_000]);
    assert!(
        resident(&proxy) < before + 8_192,
        "the proxy holds what the client does not read"
    );
    assert!(!writer.is_finished(), "the proxy took in everything");
    assert!(client.exactly(expected.len() - 1_000) == expected[1_000..]);
    drop(writer.join().unwrap());
}

/// Frames of random kinds and sizes, as RFC 6455 lets them follow each other.
fn random_frames(seed: u32, count: usize, masked: bool) -> Vec<u8> {
    let dice = noise(seed, count * 8);
    let mut inside = false;
    let mut frames = Vec::new();
    for dice in dice.chunks(8) {
        let mask = masked.then_some([dice[0], dice[1], dice[2], dice[3]]);
        let size = match dice[4] % 16 {
            0..8 => usize::from(dice[5] % 120),
            8..11 => 120 + usize::from(dice[5] % 10),
            11..14 => usize::from(dice[5]) * 64,
            14 => 65_530 + usize::from(dice[5] % 12),
            _ => usize::from(dice[5]) * 1_000,
        };
        let (first, size) = match dice[6] % 8 {
            0 => (0x89, size.min(125)),
            1 => (0x8a, size.min(125)),
            kind => {
                let opcode = if inside { 0 } else { 1 + kind % 2 };
                inside = dice[7] % 3 == 0;
                (opcode | if inside { 0 } else { 0x80 }, size)
            }
        };
        let seed = u32::from_be_bytes([dice[1], dice[4], dice[5], dice[6] | 1]);
        // What is not UTF-8 is no business of a relay.
        frames.extend(frame(first, mask, &noise(seed, size)));
    }
    frames
}

fn random_frames_go_on_as_they_came(version: Version) {
    let watching = "[[inspect.rule]]\nname = 'words'\naction = 'drop'\nkeywords = ['kestrel']\n";
    for (seed, rules) in [(1, ""), (2, watching), (3, watching)] {
        let proxy = Setup::new().config(rules).start();
        let road = Road::cut(version, Some("11"));
        let (client, origin) = road.websocket(&proxy);
        let (out, back) = (
            random_frames(seed, 300, true),
            random_frames(seed + 100, 300, false),
        );
        std::thread::scope(|scope| {
            scope.spawn(|| both(client, &out, &back));
            scope.spawn(|| both(origin, &back, &out));
        });
    }
}

/// Writes and reads in turn, so that neither waits for the other.
fn both(mut end: End, send: &[u8], expect: &[u8]) {
    let steps = send.len().max(expect.len()).div_ceil(50_000);
    let mut got = 0;
    for step in 0..steps {
        let piece = |all: usize| (step * 50_000).min(all)..((step + 1) * 50_000).min(all);
        end.send(&send[piece(send.len())]);
        let wanted = piece(expect.len());
        assert!(
            end.exactly(wanted.len()) == expect[wanted],
            "changed behind byte {got}"
        );
        got = piece(expect.len()).end;
    }
}

#[test]
fn a_spliced_connection_is_the_clients_own() {
    let port = origins::websockets().port;
    let proxy = Setup::new()
        .file("all", &format!("# first a comment\n^origin\\.test:{port}$\n"))
        .config(
            "list = [{ name = 'all', file = 'all', format = 'url_regex' }]\npolicy = { splice = ['all'] }",
        )
        .start();
    let target = format!("origin.test:{port}");
    let mut client = tls_over(tunnel(&proxy, &target), &target, &certs().root);
    assert_eq!(
        client.leaf(),
        certs().origin.chain[0],
        "not the origin's own certificate"
    );
    client.ask_websocket(&target, "/echo", "");
    assert!(client.head().unwrap().starts_with("HTTP/1.1 101 "));
    client.send(frame(0x81, Some([1, 2, 3, 4]), b"unread"));
    assert_eq!(client.frame().unwrap().payload, b"unread");
    drop(client);
    let line = proxy.log("connection", |_| true);
    assert_eq!(
        (line["action"].as_str(), line["list"].as_str()),
        (Some("splice"), Some("all")),
        "{line}"
    );
    assert_eq!(line["line"], 2, "{line}");
    assert!(line["bytes_to_client"].as_u64().unwrap() > 100, "{line}");
    assert_eq!(proxy.metrics().sum("wsbump_websocket_opens_total", &[]) as u64, 0);
}

#[test]
fn a_domain_list_matches_the_sni_of_a_connect_to_an_address() {
    let proxy = Setup::new()
        .file("names", "origin.test\n")
        .config("list = [{ name = 'names', file = 'names', format = 'domains' }]\npolicy = { splice = ['names'] }")
        .start();
    let port = origins::websockets().port;
    // The CONNECT names an address, the ClientHello the name.
    let wire = tunnel(&proxy, &format!("127.0.0.1:{port}"));
    let client = tls_over(wire, "origin.test:443", &certs().root);
    assert_eq!(client.leaf(), certs().origin.chain[0]);
    drop(client);
    let line = proxy.log("connection", |_| true);
    assert_eq!(
        (line["action"].as_str(), line["reason"].as_str()),
        (Some("splice"), Some("list_sni")),
        "{line}"
    );
}

#[test]
fn an_unknown_protocol_is_tunnelled_with_half_closes_kept() {
    let proxy = Setup::new()
        .config("policy = { unknown_protocol = 'tunnel' }")
        .start();
    let (listener, port) = tcp();
    let mut client = tunnel(&proxy, &format!("origin.test:{port}"));
    let sent = b"\x00\x01 nothing that anyone knows \xff\xfe".repeat(1000);
    client.send(&sent);
    client.half_close();
    let mut origin = accept(&listener);
    assert!(origin.rest() == sent, "changed on the way to the origin");
    origin.send(b"answered after the client's end");
    drop(origin);
    assert_eq!(client.rest(), b"answered after the client's end");
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["reason"], "unknown_protocol", "{line}");
    assert_eq!(line["bytes_to_origin"], sent.len(), "{line}");
    assert_eq!(line["bytes_to_client"], 31, "{line}");
}

#[test]
fn an_origin_may_end_its_half_first() {
    let proxy = Setup::new()
        .config("policy = { unknown_protocol = 'tunnel' }")
        .start();
    let (listener, port) = tcp();
    let mut client = tunnel(&proxy, &format!("origin.test:{port}"));
    let mut origin = accept(&listener);
    client.send(b"\0ask");
    assert_eq!(origin.exactly(4), b"\0ask");
    origin.send("all there is");
    origin.half_close();
    assert_eq!(client.rest(), b"all there is");
    client.send("heard, and more to say");
    drop(client);
    assert_eq!(origin.rest(), b"heard, and more to say");
    drop(origin);
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["bytes_to_origin"], 26, "{line}");
    assert_eq!(line["bytes_to_client"], 12, "{line}");
}

#[test]
fn ten_mebibytes_both_ways_through_a_splice() {
    let proxy = Setup::new()
        .file("all", "^origin\\.test:\n")
        .config(
            "list = [{ name = 'all', file = 'all', format = 'url_regex' }]\npolicy = { splice = ['all'] }",
        )
        .start();
    const LENGTH: usize = 10 << 20;
    // Once as bytes that could be anything, once inside the client's own TLS.
    let (listener, port) = tcp();
    let mut client = tunnel(&proxy, &format!("origin.test:{port}"));
    let mut origin = accept(&listener);
    let (out, back) = (noise(3, LENGTH), noise(4, LENGTH));
    let sides = [&client, &origin].map(|wire| wire.stream.try_clone().unwrap());
    std::thread::scope(|scope| {
        for (mut side, bytes) in sides.into_iter().zip([&out, &back]) {
            scope.spawn(move || side.write_all(bytes).unwrap());
        }
        scope.spawn(|| assert!(origin.exactly(LENGTH) == out, "changed on the way to the origin"));
        assert!(client.exactly(LENGTH) == back, "changed on the way to the client");
    });
    drop((client, origin));
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["reason"], "list_connect", "{line}");
    assert_eq!(
        (line["bytes_to_origin"].as_u64(), line["bytes_to_client"].as_u64()),
        (Some(10 << 20), Some(10 << 20))
    );

    let recorder = Recorder::start();
    let target = recorder.target();
    let mut client = tls_over(tunnel(&proxy, &target), &target, &certs().root);
    let mut origin = recorder.accept();
    for piece in out.chunks(1 << 20) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert!(origin.exactly(piece.len()) == piece);
                origin.send(piece);
            });
            client.send(piece);
            assert!(client.exactly(piece.len()) == piece);
        });
    }
}

#[test]
fn a_client_hello_in_one_piece_with_the_connect() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let target = recorder.target();
    // The ClientHello is made by a client that never sees the proxy's answer.
    let config = crate::harness::raw::client_config(&proxy.ca);
    let name = rustls::pki_types::ServerName::try_from("origin.test").unwrap();
    let mut connection = rustls::ClientConnection::new(config, name).unwrap();
    let mut bytes = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").into_bytes();
    connection.write_tls(&mut bytes).unwrap();
    let mut wire = Wire::new(crate::harness::raw::dial(&proxy.address));
    wire.send(bytes);
    let head = wire.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    while connection.is_handshaking() {
        if connection.wants_write() {
            let mut out = Vec::new();
            connection.write_tls(&mut out).unwrap();
            wire.send(out);
        } else {
            connection.read_tls(&mut &wire.exactly(1)[..]).unwrap();
            connection.process_new_packets().unwrap();
        }
    }
    recorder.accept();
}

#[test]
fn a_client_that_does_not_read_a_response_holds_up_its_origin() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let target = recorder.target();
    let mut client = crate::harness::raw::tls(&proxy, &target);
    client.send(format!("GET /big HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    let body = noise(9, 40 << 20);
    let whole = body.clone();
    let writer = std::thread::spawn(move || {
        origin.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            whole.len()
        ));
        origin.send(&whole);
    });
    client.head().unwrap();
    let before = resident(&proxy);
    assert!(client.exactly(1_000) == body[..1_000]);
    assert!(
        resident(&proxy) < before + 8_192,
        "the proxy holds what the client does not read"
    );
    assert!(!writer.is_finished(), "the proxy took in everything");
    assert!(client.exactly(body.len() - 1_000) == body[1_000..]);
    writer.join().unwrap();
}

fn an_origin_may_finish_its_message_after_the_clients_close(version: Version) {
    let proxy = Proxy::start();
    let road = Road::start(version);
    let (mut client, mut origin) = road.websocket(&proxy);
    let close = frame(0x88, Some([7; 4]), b"\x03\xe8");
    client.send(&close);
    assert_eq!(origin.exactly(close.len()), close);
    // RFC 6455 section 5.5.1: an endpoint may delay its Close until its message is sent.
    let last = [
        frame(0x01, None, b"the last "),
        frame(0x80, None, b"word"),
        frame(0x88, None, b"\x03\xe8"),
    ]
    .concat();
    for byte in &last {
        origin.send([*byte]);
    }
    assert_eq!(client.exactly(last.len()), last);
    drop(origin);
    assert!(client.rest().is_empty());
    let line = proxy.log("websocket", |_| true);
    assert_eq!(
        (line["outcome"].as_str(), line["closed_by"].as_str()),
        (Some("closed"), Some("client")),
        "{line}"
    );
    assert_eq!(line["close_code"], 1000, "{line}");
}
