//! Tells the versions apart.

use super::header::ProxyHeader;
use super::{v1, v2};
use crate::wire::Parse;

/// The largest header: what version 2 can give a length to.
pub const LIMIT: usize = v2::BEGIN + u16::MAX as usize;

/// Reads a header at the beginning of `bytes`; also says how long it is.
pub fn parse(bytes: &[u8]) -> Parse<(ProxyHeader, usize)> {
    match v2::parse(bytes) {
        Parse::NotThis => v1::parse(bytes),
        known => known,
    }
}
