//! Whose messages a filter has, and what was agreed about them.

use super::super::{Inspector, Recorded, SessionFacts};
use crate::wire::deflate::{Deflate, DeflateSide};
use crate::wire::frame::Direction;
use std::sync::Arc;
use std::time::Duration;

/// What stays the same for the life of a filter.
#[derive(Debug)]
pub(super) struct FilterContext {
    pub(super) inspector: Arc<Inspector>,
    pub(super) facts: Arc<SessionFacts>,
    pub(super) direction: Direction,
    pub(super) side: Option<DeflateSide>,
    /// An extension was agreed that cannot be decoded.
    pub(super) is_opaque: bool,
    pub(super) fresh_mask: fn() -> [u8; 4],
    /// The Unix time when the filter's clock was 0.
    pub(super) epoch: Duration,
    pub(super) recorded: Recorded,
}

/// How a filter is made.
#[derive(Debug, Clone)]
pub struct FilterRoute {
    /// Rules, budgets, and who is told.
    pub inspector: Arc<Inspector>,
    /// The session that the messages are from.
    pub facts: Arc<SessionFacts>,
    /// permessage-deflate as agreed.
    pub deflate: Option<Deflate>,
    /// An extension was agreed that the proxy cannot decode.
    pub is_opaque: bool,
    /// A mask that nobody can guess (RFC 6455 section 10.3).
    pub fresh_mask: fn() -> [u8; 4],
    /// The Unix time when the clock of [`Turn::now`](super::Turn::now) was 0.
    pub epoch: Duration,
    /// Whether it is recorded, as far as that is known.
    pub recorded: Recorded,
}
