//! Fairness: what the limits of each client cost a connection and a handshake, however many clients there are.
#![allow(clippy::panic, reason = "a benchmark may stop when it cannot run")]

use criterion::Criterion;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use wsbump::accept::{ClientLimits, ConnectionPlace, Places};

/// Limits that nobody here reaches.
fn limits() -> ClientLimits {
    ClientLimits {
        connections: 1_000,
        websockets: 1_000,
        handshakes_per_second: 1_000_000_000,
        handshake_burst: 1_000_000,
        share_percent: 90,
        ..ClientLimits::none()
    }
}

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 | number).into()
}

fn place(places: &Arc<Places>, number: u32) -> ConnectionPlace {
    match places.try_take(address(number)) {
        Ok(place) => place,
        Err(_) => panic!("there is room"),
    }
}

pub(crate) fn places(c: &mut Criterion) {
    let mut group = c.benchmark_group("places");
    for (what, limits, clients) in [
        ("no limits", ClientLimits::none(), 10_000),
        ("1 client", limits(), 1),
        ("10,000 clients", limits(), 10_000),
    ] {
        let places = Places::new(100_000, limits);
        // Each of them has one all the time.
        let held: Vec<ConnectionPlace> = (0..clients).map(|number| place(&places, number)).collect();
        let mut next = 0;
        group.bench_function(format!("a place taken and given back, {what}"), |b| {
            b.iter(|| {
                next = (next + 1) % clients;
                place(black_box(&places), next)
            });
        });
        group.bench_function(format!("a handshake, {what}"), |b| {
            b.iter(|| {
                next = (next + 1) % clients;
                match black_box(&places).shake_hands(address(next)) {
                    Ok(()) => {}
                    Err(_) => panic!("nobody is so fast"),
                }
            });
        });
        drop(held);
    }
    group.finish();
}
