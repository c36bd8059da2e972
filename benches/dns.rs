//! Names: what one costs that is known, and one that a server has to be asked for.
#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "a benchmark may stop when it cannot run"
)]

use criterion::Criterion;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use wsbump::dial::{
    CacheLimits, DnsConfig, DnsServer, Families, Family, LookUpOutcome, LookUpSource, NameWatch, Resolver,
};

struct Deaf;

impl NameWatch for Deaf {
    fn looked_up(&self, _: LookUpSource, _: LookUpOutcome) {}
    fn queried(&self, _: LookUpOutcome, _: Duration, _: usize) {}
}

/// Names that are known.
const KNOWN: usize = 10_000;
const LIMIT: Duration = Duration::from_secs(10);

/// Answers everything with one address, for an hour (RFC 1035 section 4).
fn server() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = socket.local_addr().expect("its address");
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((size, from)) = socket.recv_from(&mut query) {
            // The question ends with its type and class behind the empty label.
            let Some(name) = query[12..size].iter().position(|byte| *byte == 0) else {
                continue;
            };
            let mut answer = query[..12 + name + 5].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4, 127, 0, 0, 1]);
            let _ = socket.send_to(&answer, from);
        }
    });
    address
}

pub(crate) fn dns(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let config = |entries| DnsConfig {
        servers: vec![DnsServer::plain(server())],
        families: Families {
            first: Family::V4,
            both: false,
        },
        cache: CacheLimits {
            entries,
            ..DnsConfig::default().cache
        },
        hosts_file: None,
        resolv_conf: None,
        ..DnsConfig::default()
    };
    let watch = Arc::new(Deaf);
    let ask = |resolver: &Resolver, name: &str| match runtime.block_on(resolver.look_up(
        black_box(name),
        LIMIT,
        &watch,
    )) {
        Ok(found) => found,
        Err(error) => panic!("{}", error.text),
    };
    let mut group = c.benchmark_group("dns");
    let resolver = Resolver::new(config(KNOWN * 2)).expect("a resolver");
    let names: Vec<String> = (0..KNOWN)
        .map(|number| format!("host{number}.bench.test"))
        .collect();
    for name in &names {
        ask(&resolver, name);
    }
    let mut next = 0;
    group.bench_function("one of 10,000 names that are known", |b| {
        b.iter(|| {
            next = (next + 1) % KNOWN;
            ask(&resolver, &names[next])
        });
    });
    let asking = Resolver::new(config(0)).expect("a resolver");
    group.bench_function("one that a server on this machine is asked for", |b| {
        b.iter(|| ask(&asking, &names[0]));
    });
    group.finish();
}
