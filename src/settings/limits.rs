//! `[timeouts]`, `[limits]` and `[limits.client]`: how long anything may take, and how much of it there may be.

use super::reader::Section;
use super::words::network;
use crate::accept::ClientLimits;
use crate::handshake::forge::ForgeConfig;
use crate::journey::{ProxyLimits, Timeouts};
use std::time::Duration;

/// Reads `[timeouts]`.
pub(super) fn timeouts(mut section: Section<'_, '_>) -> Timeouts {
    let lame_duck = section.duration_if_any("lame_duck");
    let mut seconds = |key, default| section.duration(key, Duration::from_secs(default));
    let timeouts = Timeouts {
        request_head: seconds("request_head", 30),
        peek: seconds("peek", 5),
        dns: seconds("dns", 5),
        dial: seconds("dial", 10),
        handshake: seconds("handshake", 10),
        response: seconds("response", 5 * 60),
        http_idle: seconds("http_idle", 2 * 60),
        websocket_idle: seconds("websocket_idle", 3600),
        tunnel_idle: seconds("tunnel_idle", 3600),
        lame_duck: lame_duck.map_or(Duration::ZERO, |at| at.value),
        drain: seconds("drain", 30),
        slow_body: seconds("slow_body", 5 * 60),
    };
    section.finish();
    timeouts
}

/// Reads `[limits]`; those of the leaf cache and of clients are in it too.
pub(super) fn limits(mut section: Section<'_, '_>) -> (ProxyLimits, ClientLimits, ForgeConfig) {
    let limits = ProxyLimits {
        connections: section.number("connections", 1..=10_000_000, 10_000),
        header_bytes: section.number("header_bytes", 8 << 10..=16 << 20, 64 << 10),
        slow_body_bytes: section.number("slow_body_bytes", 0..=1 << 20, 1024) as u64,
    };
    let leaf_cache = ForgeConfig {
        entries: section.number("leaf_cache_entries", 1..=10_000_000, 10_000),
        lifetime: section.duration("leaf_cache_lifetime", Duration::from_secs(24 * 3600)),
    };
    let client = client_limits(section.inner("client", "limits.client"), limits.connections);
    section.finish();
    (limits, client, leaf_cache)
}

/// Reads `[limits.client]`, where there are so many connections in all.
fn client_limits(mut section: Section<'_, '_>, connections: usize) -> ClientLimits {
    const MANY: usize = 10_000_000;
    let half = (connections / 2).max(1);
    let loopback = || {
        ["127.0.0.0/8", "::1/128"]
            .into_iter()
            .flat_map(str::parse)
            .collect()
    };
    let limits = ClientLimits {
        connections: section.number("connections", 0..=MANY, half),
        websockets: section.number("websockets", 0..=MANY, half),
        handshakes_per_second: section.number("handshakes_per_second", 0..=1_000_000, 200),
        handshake_burst: section.number("handshake_burst", 1..=1_000_000, 5000),
        share_percent: section.number("share_percent", 0..=99, 90),
        ipv4_prefix: section.number("ipv4_prefix", 8..=32, 32) as u8,
        ipv6_prefix: section.number("ipv6_prefix", 16..=128, 64) as u8,
        except: match section.list("except", network) {
            Some(list) => list.value.into_iter().map(|at| at.value).collect(),
            None => loopback(),
        },
    };
    section.finish();
    limits
}
