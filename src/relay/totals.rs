//! What is left of a relay when it has ended.

use crate::error::Side;
use crate::wire::frame::Violation;

/// How a WebSocket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// Close frames went both ways, or one and then the end of the stream.
    Closed,
    /// A stream ended without a Close frame.
    Cut(Side),
    /// A frame of this side broke RFC 6455.
    Violation(Side, Violation),
    /// A rule closed it.
    ByRule,
    /// A budget was spent or a scan failed, and policy says to close then.
    ByBudget,
    /// Nothing moved for the idle time.
    Idle,
    /// The proxy is draining.
    Drained,
    /// Reading from or writing to this side failed.
    Io(Side),
    /// The proxy gave it up before it had ended.
    Aborted,
}

impl End {
    /// Every end, for metrics that start at zero; violations share a label.
    pub fn all() -> impl Iterator<Item = Self> {
        let of_a_side = |side| {
            let violations = Violation::ALL
                .into_iter()
                .map(move |kind| Self::Violation(side, kind));
            [Self::Cut(side), Self::Io(side)].into_iter().chain(violations)
        };
        [
            Self::Closed,
            Self::ByRule,
            Self::ByBudget,
            Self::Idle,
            Self::Drained,
            Self::Aborted,
        ]
        .into_iter()
        .chain([Side::Client, Side::Origin].into_iter().flat_map(of_a_side))
    }

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Cut(Side::Client) => "cut_by_client",
            Self::Cut(Side::Origin) => "cut_by_origin",
            Self::Violation(..) => "protocol_error",
            Self::ByRule => "closed_by_rule",
            Self::ByBudget => "closed_by_budget",
            Self::Idle => "idle",
            Self::Drained => "drained",
            Self::Io(Side::Client) => "client_io",
            Self::Io(Side::Origin) => "origin_io",
            Self::Aborted => "aborted",
        }
    }
}

/// The first Close frame that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstClose {
    /// Who sent it.
    pub by: Side,
    /// Its code; `None` for an empty Close (1005).
    pub code: Option<u16>,
}

/// One WebSocket's totals, by [`Direction::index`](crate::wire::frame::Direction::index).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSocketTotals {
    /// Frames that came whole, control frames included.
    pub frames: [u64; 2],
    /// Messages that have ended.
    pub messages: [u64; 2],
    /// Payload bytes of all frames, without their headers.
    pub payload_bytes: [u64; 2],
    /// Bytes that came behind the sender's Close, and did not pass.
    pub discarded: [u64; 2],
    /// Who closed first, with which code.
    pub first_close: Option<FirstClose>,
    /// Why nothing passes any more.
    pub end: End,
}

impl WebSocketTotals {
    /// Of a WebSocket on which nothing has passed.
    pub const fn none() -> Self {
        Self {
            frames: [0; 2],
            messages: [0; 2],
            payload_bytes: [0; 2],
            discarded: [0; 2],
            first_close: None,
            end: End::Aborted,
        }
    }
}

/// One opaque tunnel's totals, by [`Direction::index`](crate::wire::frame::Direction::index).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpaqueTotals {
    /// Bytes that went on.
    pub bytes: [u64; 2],
}
