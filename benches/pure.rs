//! The functions on the paths that every frame or every connection takes. One function per room; add yours to the
//! list at the bottom.
//!
//! `cargo bench --bench pure`, or `cargo bench --bench pure -- follow` for those whose name contains "follow".
#![allow(missing_docs)]

mod admit;
mod batch;
mod decide;
mod dns;
mod filter;
mod handshake;
mod http1;
mod inspect;
mod key_exchange;
mod negotiate;
mod places;
mod policy;
mod report;
mod ways;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use wsbump::inspect::rules::{RuleSession, Rules};
use wsbump::inspect::{Action, LooksFor, Mode, RuleSpec, SessionFacts, Subject, Surface, Where};
use wsbump::wire::frame::{Direction, Follower, Opcode, See};
use wsbump::wire::names::{Authority, Host};
use wsbump::wire::{client_hello, ws_handshake};

/// Counts as the relay does.
#[derive(Default)]
struct Counts {
    frames: [u32; 6],
    bytes: [u64; 6],
    messages: u64,
}

impl See for Counts {
    fn frame(&mut self, opcode: Opcode, payload: u64) {
        self.frames[opcode.index()] += 1;
        self.bytes[opcode.index()] += payload;
    }
    fn message(&mut self, size: u64) {
        self.messages += size;
    }
    fn ping(&mut self, _payload: &[u8]) {}
    fn pong(&mut self, _payload: &[u8]) {}
    fn close(&mut self, _said: Option<(u16, &str)>) {}
    fn discarded(&mut self, _bytes: u64) {}
}

/// As many whole frames of `payload` bytes as fit into `room`, at least one.
fn frames(direction: Direction, payload: usize, room: usize) -> (Vec<u8>, u64) {
    let header = FrameHeader {
        opcode: OpCode::Data(Data::Text),
        mask: (direction == Direction::ToOrigin).then_some([1, 2, 3, 4]),
        ..FrameHeader::default()
    };
    let mut one = Vec::new();
    let _ = header.format(payload as u64, &mut one);
    one.resize(one.len() + payload, b'x');
    let count = (room / one.len()).max(1);
    (one.repeat(count), count as u64)
}

/// `wire::frame`: a direction of a WebSocket, in the chunks that a TLS record or a read brings.
fn frame(c: &mut Criterion) {
    let mut group = c.benchmark_group("follow");
    for direction in Direction::ALL {
        for (name, payload, chunk) in [
            ("64B_in_16KiB", 64, 16 << 10),
            ("1KiB_in_16KiB", 1 << 10, 16 << 10),
            ("64KiB_in_16KiB", 64 << 10, 16 << 10),
            // Each read ends in the middle of a frame, or of its header.
            ("64B_in_1000B", 64, 1000),
            // A ping-pong.
            ("one_64B", 64, 70),
        ] {
            let room = if name == "one_64B" { 0 } else { 64 << 10 };
            let (bytes, count) = frames(direction, payload, room);
            group.throughput(Throughput::Elements(count));
            group.bench_function(format!("{name}/{}", direction.label()), |b| {
                let mut follower = Follower::new(direction, 0);
                let mut counts = Counts::default();
                b.iter(|| {
                    for chunk in black_box(&bytes[..]).chunks(chunk) {
                        let end = follower.follow(chunk, &mut counts, &mut |passed| {
                            black_box(passed);
                        });
                        assert_eq!(end, Ok(()));
                    }
                });
                black_box(counts.messages);
            });
        }
    }
    // What the header parser costs that this one stands in for.
    let (bytes, count) = frames(Direction::ToOrigin, 64, 16 << 10);
    group.throughput(Throughput::Elements(count));
    group.bench_function("64B_in_16KiB/tungstenite_headers", |b| {
        b.iter(|| {
            let mut cursor = Cursor::new(black_box(&bytes[..]));
            let mut total = 0;
            while let Ok(Some((header, payload))) = FrameHeader::parse(&mut cursor) {
                cursor.set_position(cursor.position() + payload);
                total += payload + u64::from(header.is_final);
            }
            total
        });
    });
    group.finish();
}

/// A hello with the extensions that clients send, as one record.
fn hello() -> Option<Vec<u8>> {
    let roots = rustls::RootCertStore::empty();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = "wss-primary.slack.com".try_into().ok()?;
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).ok()?;
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).ok()?;
    Some(bytes)
}

/// `wire::client_hello`: once per TLS connection, and once more for each read that did not bring all of it.
fn client_hello(c: &mut Criterion) {
    let Some(whole) = hello() else {
        return;
    };
    let mut split = Vec::new();
    for part in whole[5..].chunks(100) {
        split.extend_from_slice(&[22, 3, 1, 0, part.len() as u8]);
        split.extend_from_slice(part);
    }
    let mut group = c.benchmark_group("client_hello");
    group.bench_function("one_record", |b| {
        b.iter(|| client_hello::parse(black_box(&whole)))
    });
    group.bench_function("records_of_100B", |b| {
        b.iter(|| client_hello::parse(black_box(&split)))
    });
    group.bench_function("cut_short", |b| {
        b.iter(|| client_hello::parse(black_box(&whole[..whole.len() - 1])));
    });
    group.finish();
}

/// `wire::ws_handshake`: once per WebSocket.
fn ws_handshake(c: &mut Criterion) {
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    let request = http::Request::get("https://chat.example/socket")
        .header("host", "chat.example")
        .header("upgrade", "websocket")
        .header("connection", "keep-alive, Upgrade")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", KEY)
        .header(
            "sec-websocket-extensions",
            "permessage-deflate; client_max_window_bits",
        )
        .body(());
    let response = http::Response::builder()
        .header("upgrade", "websocket")
        .header("connection", "Upgrade")
        .header("sec-websocket-accept", derive_accept_key(KEY.as_bytes()))
        .header("sec-websocket-extensions", "permessage-deflate")
        .body(());
    let (Ok(request), Ok(response)) = (request, response) else {
        return;
    };
    let (request, ()) = request.into_parts();
    let Ok(offer) = ws_handshake::check_request(&request.method, request.version, &request.headers) else {
        return;
    };
    let mut group = c.benchmark_group("ws_handshake");
    group.bench_function("check_request", |b| {
        b.iter(|| {
            let request = black_box(&request);
            ws_handshake::check_request(&request.method, request.version, &request.headers)
        });
    });
    group.bench_function("check_response", |b| {
        b.iter(|| ws_handshake::check_response(&offer, black_box(response.headers())));
    });
    group.bench_function("accept_key", |b| {
        b.iter(|| derive_accept_key(black_box(KEY.as_bytes())))
    });
    group.finish();
}

/// `wire::names`: once per CONNECT, and for the Host of each request.
fn names(c: &mut Criterion) {
    let parse = |text| Authority::parse(black_box(text), None);
    let mut group = c.benchmark_group("names");
    group.bench_function("parse", |b| b.iter(|| parse("WSS-Primary.slack.com:443")));
    if let Some(target) = parse("wss-primary.slack.com:443") {
        group.bench_function("names_same_host", |b| {
            b.iter(|| target.names_same_host(black_box("wss-primary.slack.com")));
        });
    }
    group.finish();
}

/// `wire::http1`: twice for each exchange, and once for each read of chunked content.
fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("http1");
    let mut out = Vec::new();
    group.bench_function("request_of_12_fields", |b| b.iter(|| http1::request(&mut out)));
    group.bench_function("response_of_12_fields", |b| b.iter(|| http1::response(&mut out)));
    let reads = http1::chunked();
    group.throughput(Throughput::Bytes(http1::CONTENT as u64));
    group.bench_function("64KiB_in_chunks_of_1KiB", |b| b.iter(|| http1::decode(&reads)));
    group.finish();
}

/// `inspect::rules`: a message of 1 KiB and 100 expressions of which nothing is known beforehand, in rules of their own.
fn rules(c: &mut Criterion) {
    let text: String = (0..64).map(|at| format!("some words, id{at:03}; ")).collect();
    let mut group = c.benchmark_group("rules");
    group.throughput(Throughput::Bytes(1 << 10));
    for (name, expression) in [
        ("no_match", r"[a-z]\d{N}[^a-z]{3}[A-Z]"),
        ("word_boundary", r"\b[a-z]{N}x\b"),
    ] {
        let specs = (0..100).map(|at| RuleSpec {
            name: at.to_string().into(),
            mode: Mode::Observe,
            action: Action::Log,
            place: Where::default(),
            what: LooksFor {
                regex: vec![expression.replace('N', &(1 + at % 10).to_string())],
                ..LooksFor::default()
            },
            decode: None,
        });
        let Ok(rules) = Rules::compile(specs.collect()) else {
            return;
        };
        let facts = SessionFacts {
            connection: 1,
            client: [192, 0, 2, 1].into(),
            user: None,
            target: Authority {
                host: Host::Name("chat.example".to_owned()),
                port: 443,
            },
            aliases: Vec::new(),
            scheme: "wss",
            path: "/".to_owned(),
            origin: None,
            subprotocol: None,
            websocket: None,
        };
        let mut session = RuleSession::new(Arc::new(rules), Arc::new(facts));
        let item = Subject {
            surface: Surface::Message,
            direction: Direction::ToOrigin,
            opcode: Some(Opcode::Text),
            data: &text.as_bytes()[..1 << 10],
            size: 1 << 10,
            head: None,
        };
        group.bench_function(format!("100_expressions_1KiB/{name}"), |b| {
            b.iter(|| session.judge(black_box(&item), Duration::ZERO, &[]));
        });
    }
    group.finish();
}

criterion_group! {
    name = rooms;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1));
    // One per room, in the order of a connection.
    targets = places::places, ways::ways, names, admit::admit, client_hello, decide::decide, dns::dns, handshake::handshake,
        key_exchange::key_exchange, negotiate::negotiate, codec, ws_handshake,
        frame, rules, inspect::inspect,
        report::report
}
criterion_main!(rooms);
