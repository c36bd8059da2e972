//! What is read before a client has its say: the PROXY protocol, SOCKS, and who a proxy in front says its client is.

use criterion::Criterion;
use std::hint::black_box;
use wsbump::accept::ForwardedFor;
use wsbump::wire::forwarded::ForwardedField;
use wsbump::wire::proxy_protocol::{Endpoints, parse, write};
use wsbump::wire::socks;

/// A header of version 2 with what AWS, HAProxy and Envoy add to the addresses.
fn with_values() -> Vec<u8> {
    let mut block = vec![192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0x01, 0xbb];
    for (kind, value) in [
        (0x01, &b"h2"[..]),
        (0x02, b"www.example.com"),
        (0x05, b"4f1c9a7be2d84c0f9a3356d2a1b7e8c0"),
        (0x20, b"\x07\x00\x00\x00\x00\x21\x00\x07TLSv1.3"),
        (0xea, b"\x01vpce-08d2bf15fac5001c9"),
    ] {
        block.push(kind);
        block.extend(u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        block.extend(value);
    }
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    header.extend(u16::try_from(block.len()).unwrap_or_default().to_be_bytes());
    header.extend(block);
    header
}

/// The ways in.
pub(crate) fn ways(c: &mut Criterion) {
    let mut group = c.benchmark_group("ways");
    let line = b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 443\r\nGET / HTTP/1.1\r\n";
    group.bench_function("proxy_protocol_v1", |b| b.iter(|| parse(black_box(line))));
    let header = with_values();
    group.bench_function("proxy_protocol_v2_values", |b| {
        b.iter(|| parse(black_box(&header)))
    });
    let at = |text: &str| text.parse().ok();
    let both = at("192.0.2.7:40000").zip(at("198.51.100.1:443"));
    let both = both.map(|(source, destination)| Endpoints { source, destination });
    group.bench_function("proxy_protocol_write_v2", |b| {
        b.iter(|| write::v2(black_box(both)))
    });
    let asked = b"\x05\x01\x00\x03\x0fwww.example.com\x01\xbb";
    group.bench_function("socks5_request", |b| b.iter(|| socks::request(black_box(asked))));
    let trust = ForwardedFor {
        from: "10.0.0.0/8".parse().into_iter().collect(),
        field: ForwardedField::XForwardedFor,
    };
    let mut headers = http::HeaderMap::new();
    let value = http::HeaderValue::from_static("203.0.113.9, 192.0.2.1, 10.0.0.3, 10.0.0.2");
    headers.insert("x-forwarded-for", value);
    group.bench_function("x_forwarded_for", |b| {
        b.iter(|| trust.client(black_box(&headers)))
    });
    group.finish();
}
