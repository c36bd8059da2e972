//! What holds for connections of HTTP/2.

use crate::http::h2::cork::Server;
use crate::http::h2::leg::Watched;
use ::h2::server;
use bytes::Bytes;

/// Streams of one client at once; fewer where the origin wants fewer.
pub(in crate::http) const STREAMS: u32 = 100;

/// What a peer may send on one stream before what it sent has gone on, in bytes. Each connection has room for that
/// on every stream, so that slow streams never stall the others.
pub(in crate::http) const WINDOW: u32 = 256 * 1024;

/// What waits in a stream to be written, in bytes.
pub(in crate::http) const SEND_BUFFER: usize = 64 * 1024;

/// Streams that a client may have reset before they were looked at.
pub(in crate::http) const PENDING_RESETS: usize = STREAMS as usize;

pub(in crate::http) type ClientLeg = Server<Watched, Bytes>;

/// What holds for any client: so many streams at once, and heads of so many bytes (as RFC 9113 section 6.5.2 counts
/// them).
pub(in crate::http) fn builder(streams: u32, header_bytes: usize) -> server::Builder {
    let mut settings = server::Builder::new();
    settings
        .max_concurrent_streams(streams)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW * streams)
        .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS);
    settings
}
