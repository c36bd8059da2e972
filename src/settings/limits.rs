//! `[timeouts]` and `[limits]`: how long anything may take, and how much of it there may be.

use super::reader::Section;
use crate::handshake::forge::ForgeConfig;
use crate::journey::{Limits, Timeouts};
use std::time::Duration;

/// Reads `[timeouts]`.
pub(super) fn timeouts(mut section: Section<'_, '_>) -> Timeouts {
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
        drain: seconds("drain", 30),
    };
    section.finish();
    timeouts
}

/// Reads `[limits]`; those of the leaf cache are in it too.
pub(super) fn limits(mut section: Section<'_, '_>) -> (Limits, ForgeConfig) {
    let limits = Limits {
        connections: section.number("connections", 1..=10_000_000, 10_000),
        header_bytes: section.number("header_bytes", 8 << 10..=16 << 20, 64 << 10),
    };
    let leaf_cache = ForgeConfig {
        entries: section.number("leaf_cache_entries", 1..=10_000_000, 10_000),
        lifetime: section.duration("leaf_cache_lifetime", Duration::from_secs(24 * 3600)),
    };
    section.finish();
    (limits, leaf_cache)
}
