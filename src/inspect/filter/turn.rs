//! What a filter is given with each call, and what it answers with.

use crate::wire::deflate::{Deflaters, Inflaters};
use std::sync::Arc;
use std::time::Duration;

/// What the filters of one thread share.
#[derive(Debug, Default)]
pub struct Pools {
    pub(super) inflaters: Inflaters,
    pub(super) deflaters: Deflaters,
    pub(super) scratch: Vec<u8>,
    /// A whole message, unmasked.
    pub(super) plain: Vec<u8>,
    /// What a message in pieces was put together in, for the next one.
    pub(super) spare: Vec<u8>,
}

/// A larger spare than this is not kept.
const SPARE: usize = 16 * 1024;

impl Pools {
    pub(super) fn recycle(&mut self, mut plain: Vec<u8>) {
        if plain.capacity() <= SPARE {
            plain.clear();
            self.spare = plain;
        }
    }
}

/// What a filter is told with each call.
pub struct Turn<'a> {
    /// The thread's pools.
    pub pools: &'a mut Pools,
    /// A clock that only goes forward.
    pub now: Duration,
    /// What the other direction keeps, in bytes.
    pub other: usize,
    /// Where bytes go on to.
    pub out: &'a mut dyn FnMut(&[u8]),
}

/// Which scan an outcome belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanTicket(pub(super) u64);

/// Why both sides are to be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedClose {
    /// The close code.
    pub code: u16,
    /// The reason, at most 123 bytes.
    pub reason: String,
    /// The rule that said so; `None` where a budget or a failure did.
    pub rule: Option<Arc<str>>,
}
