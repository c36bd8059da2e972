//! Content as it passes, for whoever records it.

use super::facts::HttpHead;
use super::judgement::Judgement;
use crate::wire::frame::{Direction, Opcode};
use std::net::IpAddr;
use std::time::Duration;

/// Content as it passes, for whoever records it. Times are since the Unix epoch.
#[derive(Debug)]
pub enum RecordedContent<'a> {
    /// A request's or response's head, stated before its body. A WebSocket's handshake is two of them.
    Head {
        /// The number of its exchange, which no other of this process has.
        exchange: u64,
        /// When that was.
        at: Duration,
        /// As the message has it.
        version: http::Version,
        /// The head; a response's has a status.
        head: &'a HttpHead,
        /// Where the origin is, once that is known.
        origin: Option<IpAddr>,
        /// Whether a body is stated before the exchange ends, or after.
        has_body: bool,
    },
    /// A body, when it has ended or broken off.
    Body {
        /// The number of its exchange, which no other of this process has.
        exchange: u64,
        /// The direction that it goes.
        direction: Direction,
        /// Its bytes with their content coding, cut at what a recording keeps.
        data: &'a [u8],
        /// Its whole size in bytes.
        size: u64,
        /// What rules changed or stopped. Then `data` is what goes on, without a content coding.
        judgement: Option<&'a Judgement>,
    },
    /// The exchange is over: its last byte went to the client, or it broke off.
    End {
        /// The number of its exchange, which no other of this process has.
        exchange: u64,
        /// From the request's head to the response's.
        wait: Duration,
        /// From the request's head to the end.
        total: Duration,
        /// What the client got, if it got anything.
        status: Option<http::StatusCode>,
        /// Why the proxy answered by itself or cut it, and in words.
        error: Option<(&'static str, Option<&'a str>)>,
    },
    /// A WebSocket message, unmasked and inflated.
    Message {
        /// The direction that it goes.
        direction: Direction,
        /// `Text` or `Binary`.
        opcode: Opcode,
        /// Counts the messages of this direction: those that wait for a verdict are stated late.
        number: u64,
        /// When its last byte came.
        at: Duration,
        /// What its receiver reads, cut at the budget.
        data: &'a [u8],
        /// Its whole size in bytes; as it was sent, where it could not be inflated.
        size: u64,
        /// Whether `data` is all of it.
        is_whole: bool,
        /// What rules changed or stopped.
        judgement: Option<&'a Judgement>,
    },
    /// The WebSocket is over.
    Closed {
        /// When that was.
        at: Duration,
        /// How it ended, as in the access log.
        end: &'static str,
        /// The code of the first Close.
        code: Option<u16>,
    },
}
