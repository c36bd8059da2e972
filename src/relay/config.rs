//! What the relay of a WebSocket goes by.

use super::FrameTallies;
use crate::inspect::filter::FilterRoute;
use std::sync::Arc;
use std::time::Duration;

/// What a relay needs to know.
#[derive(Debug, Clone)]
pub struct WebSocket {
    /// The RSV bits that the agreed extensions use.
    pub allowed_rsv: u8,
    /// How long a WebSocket may be quiet.
    pub idle: Duration,
    /// The mask of a Close that the proxy itself sends to the origin; unpredictable (RFC 6455 section 10.3).
    pub mask: [u8; 4],
    /// What looks into it, if something may.
    pub inspect: Option<FilterRoute>,
    /// What has passed so far, by [`Direction::index`](crate::wire::frame::Direction::index), for whoever looks at it
    /// meanwhile.
    pub tallies: Arc<[FrameTallies; 2]>,
}

/// How long both sides have to answer a Close, and to close the connection after the closing handshake.
pub(super) const CLOSING: Duration = Duration::from_secs(5);

/// How long the other direction may be quiet once one side's stream has ended.
pub(super) const HALF_CLOSED: Duration = Duration::from_secs(60);
