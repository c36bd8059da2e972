//! What is left of a relay when it has ended.

use crate::drain::Recall;
use crate::error::{Side, words};
use crate::wire::frame::{Direction, Violation};
use std::sync::Arc;

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
    /// A change of the policy ended it.
    Recalled(Recall),
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
        .chain(Recall::ALL.iter().copied().map(Self::Recalled))
        .chain([Side::Client, Side::Origin].into_iter().flat_map(of_a_side))
    }

    /// Why the proxy sent a Close, where it sent the first one.
    pub const fn cause(self) -> &'static str {
        match self {
            Self::ByRule => "rule",
            Self::ByBudget => "budget",
            Self::Idle => "idle",
            Self::Drained => "drain",
            Self::Recalled(Recall::Operator) => "operator",
            Self::Recalled(_) => "policy",
            Self::Violation(..) => "protocol_error",
            Self::Closed | Self::Cut(_) | Self::Io(_) | Self::Aborted => "none",
        }
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
            Self::Recalled(why) => why.label(),
            Self::Io(Side::Client) => "client_io",
            Self::Io(Side::Origin) => "origin_io",
            Self::Aborted => "aborted",
        }
    }
}

words! {
    /// Who sent a Close.
    pub enum Closer {
        /// The client.
        Client = "client",
        /// The origin.
        Origin = "origin",
        /// The proxy itself; the WebSocket's [`End`] says why.
        Proxy = "proxy",
    }
}

impl From<Side> for Closer {
    fn from(side: Side) -> Self {
        match side {
            Side::Client => Self::Client,
            Side::Origin => Self::Origin,
        }
    }
}

/// The first Close frame that went out to a side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstClose {
    /// Who sent it.
    pub by: Closer,
    /// Its code; `None` for an empty Close (1005).
    pub code: Option<u16>,
    /// Its reason as it went on, at most 123 bytes.
    pub reason: String,
}

/// The rule that closed a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleClose {
    /// Its name.
    pub rule: Arc<str>,
    /// Which way the message went that it found something in.
    pub direction: Direction,
}

/// One WebSocket's totals, by [`Direction::index`](crate::wire::frame::Direction::index).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketTotals {
    /// Frames that went on, control frames included; in the place of those that a rule changed, the changed ones.
    pub frames: [u64; 2],
    /// Messages that went on, changed ones included.
    pub messages: [u64; 2],
    /// Payload bytes of all these frames, without their headers.
    pub payload_bytes: [u64; 2],
    /// Pings and pongs among these frames.
    pub pings: [u64; 2],
    /// Messages, pings, pongs and Closes that a rule changed.
    pub changed: [u64; 2],
    /// Messages, pings and pongs that a rule left out.
    pub dropped: [u64; 2],
    /// Bytes that came behind the sender's Close, and did not pass.
    pub discarded: [u64; 2],
    /// Who closed first, with which code and reason.
    pub first_close: Option<FirstClose>,
    /// The rule that closed it, where one did.
    pub rule_close: Option<RuleClose>,
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
            pings: [0; 2],
            changed: [0; 2],
            dropped: [0; 2],
            discarded: [0; 2],
            first_close: None,
            rule_close: None,
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
