//! `inspect`: what looking into messages costs, without sockets and TLS, and beside it the inflating alone that
//! compressed messages need.

use super::filter::{counting, filter, frame, frame_of, searching, take, text};
use criterion::{Criterion, Throughput};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use std::hint::black_box;
use wsbump::inspect::filter::Pools;
use wsbump::inspect::{AppFraming, Mode};
use wsbump::wire::deflate::{DeflateSide, Inflater, Inflaters};
use wsbump::wire::frame::{Direction, Opcode};

pub(super) fn inspect(c: &mut Criterion) {
    let mut group = c.benchmark_group("inspect");
    for (name, size, each) in [("64B", 64, 200), ("1KiB", 1024, 4), ("one_1KiB", 1024, 1)] {
        for direction in Direction::ALL {
            // Each read has so many messages.
            let read: Vec<u8> = (0..each)
                .flat_map(|n| frame(direction, false, &text(n, size)))
                .collect();
            group.throughput(Throughput::Bytes((size * each) as u64));
            for (rules, specs) in [
                ("sizes", counting()),
                ("watched", searching(Mode::Observe)),
                ("held", searching(Mode::Enforce)),
            ] {
                let Some(mut filter) = filter(specs, direction, None) else {
                    continue;
                };
                let (mut pools, reads) = (Pools::default(), [read.clone()]);
                group.bench_function(format!("{name}/{rules}/{}", direction.label()), |b| {
                    b.iter(|| take(&mut filter, &mut pools, &reads));
                });
            }
        }
    }
    group.finish();
    framings(c);
    inflate(c);
}

/// 64 texts of 1 KiB with context takeover: a decoder alone, the shadow of it, and a direction that needs only sizes.
fn inflate(c: &mut Criterion) {
    const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
    let mut sender = Compress::new(Compression::default(), false);
    let payloads: Vec<Vec<u8>> = (0..64)
        .map(|n| {
            let mut payload = Vec::with_capacity(2048);
            let _ = sender.compress_vec(&text(n, 1024), &mut payload, FlushCompress::Sync);
            payload.truncate(payload.len().saturating_sub(TAIL.len()));
            payload
        })
        .collect();
    let mut group = c.benchmark_group("inflate_64_of_1KiB");
    group.throughput(Throughput::Bytes(64 << 10));
    let mut alone = Decompress::new(false);
    let mut out = vec![0; 16 << 10];
    // The texts are more than a window, so that they may come again and again.
    group.bench_function("alone", |b| {
        b.iter(|| {
            for payload in &payloads {
                for part in [&payload[..], &TAIL] {
                    let done = alone.decompress(black_box(part), &mut out, FlushDecompress::Sync);
                    assert!(done.is_ok());
                }
            }
        });
    });
    let (mut shadow, mut pool) = (Inflater::new(DeflateSide::default()), Inflaters::default());
    group.bench_function("shadow", |b| {
        b.iter(|| {
            let mut produced = 0;
            for payload in &payloads {
                let mut each = |plain: &[u8]| produced += plain.len();
                assert!(
                    shadow
                        .feed(&mut pool, black_box(payload), 1 << 20, &mut each)
                        .is_ok()
                );
                assert!(shadow.end(&mut pool, 1 << 20, &mut each).is_ok());
            }
            assert_eq!(produced, 64 << 10);
        });
    });
    for direction in Direction::ALL {
        for (rules, specs) in [("sizes", counting()), ("watched", searching(Mode::Observe))] {
            let Some(mut filter) = filter(specs, direction, Some(DeflateSide::default())) else {
                continue;
            };
            let reads: Vec<Vec<u8>> = payloads
                .iter()
                .map(|payload| frame(direction, true, payload))
                .collect();
            let mut pools = Pools::default();
            group.bench_function(format!("{rules}/{}", direction.label()), |b| {
                b.iter(|| take(&mut filter, &mut pools, &reads));
            });
        }
    }
    group.finish();
}

/// One JSON text of 1 KiB in each framing, searched as it is (`off`) and with the framing taken off (`on`).
fn framings(c: &mut Criterion) {
    let said = text(1, 1024);
    let around = |before: &[u8], behind: &[u8]| [before, &said, behind].concat();
    // Seven bits to a byte: 1 KiB and a topic take two.
    let mqtt_size = said.len() + 5;
    let mqtt_head = [
        0x30,
        (mqtt_size & 0x7f) as u8 | 0x80,
        (mqtt_size >> 7) as u8,
        0,
        3,
    ];
    let calls = [
        ("json", AppFraming::Json, Opcode::Text, said.clone()),
        (
            "socketio",
            AppFraming::SocketIo,
            Opcode::Text,
            around(b"42[\"message\",", b"]"),
        ),
        (
            "signalr",
            AppFraming::SignalR,
            Opcode::Text,
            around(b"{\"type\":1,\"target\":\"Send\",\"arguments\":[", b"]}\x1e"),
        ),
        ("msgpack", AppFraming::SignalR, Opcode::Binary, packed(&said)),
        (
            "graphql-ws",
            AppFraming::GraphQlWs,
            Opcode::Text,
            around(b"{\"id\":\"1\",\"type\":\"subscribe\",\"payload\":", b"}"),
        ),
        (
            "stomp",
            AppFraming::Stomp,
            Opcode::Text,
            around(b"SEND\ndestination:/a\n\n", b"\0"),
        ),
        (
            "mqtt",
            AppFraming::Mqtt,
            Opcode::Binary,
            around(&[&mqtt_head[..], b"a/b"].concat(), b""),
        ),
    ];
    let mut group = c.benchmark_group("framings_of_1KiB");
    for (name, framing, opcode, data) in calls {
        group.throughput(Throughput::Bytes(data.len() as u64));
        let reads = [frame_of(opcode, Direction::ToOrigin, false, &data)];
        for (which, decode) in [("off", None), ("on", Some(framing))] {
            let mut specs = searching(Mode::Observe);
            specs.iter_mut().for_each(|spec| spec.decode = decode);
            let Some(mut filter) = filter(specs, Direction::ToOrigin, None) else {
                continue;
            };
            let mut pools = Pools::default();
            group.bench_function(format!("{name}/{which}"), |b| {
                b.iter(|| take(&mut filter, &mut pools, &reads));
            });
        }
    }
    let [first, next] = streamed(&said);
    group.throughput(Throughput::Bytes(said.len() as u64));
    for (which, decode) in [("off", None), ("on", Some(AppFraming::ZlibStream))] {
        let mut specs = searching(Mode::Observe);
        specs.iter_mut().for_each(|spec| spec.decode = decode);
        let Some(mut filter) = filter(specs, Direction::ToClient, None) else {
            continue;
        };
        let mut pools = Pools::default();
        let [first, next] =
            [&first, &next].map(|data| [frame_of(Opcode::Binary, Direction::ToClient, false, data)]);
        take(&mut filter, &mut pools, &first);
        group.bench_function(format!("zlib-stream/{which}"), |b| {
            b.iter(|| take(&mut filter, &mut pools, &next));
        });
    }
    group.finish();
}

/// A call with one string, as SignalR's MessagePack protocol writes it.
fn packed(said: &[u8]) -> Vec<u8> {
    let string = [&[0xda, (said.len() >> 8) as u8, said.len() as u8], said].concat();
    let body = [&b"\x96\x01\x80\xc0\xa4Send\x91"[..], &string, b"\x90"].concat();
    let size = [(body.len() & 0x7f) as u8 | 0x80, (body.len() >> 7) as u8];
    [&size[..], &body].concat()
}

/// The beginning of a zlib stream, and a payload that may come behind it again and again.
fn streamed(said: &[u8]) -> [Vec<u8>; 2] {
    [true, false].map(|with_header| {
        let mut payload = Vec::with_capacity(4096);
        let mut state = Compress::new(Compression::default(), with_header);
        let _ = state.compress_vec(said, &mut payload, FlushCompress::Sync);
        payload
    })
}
