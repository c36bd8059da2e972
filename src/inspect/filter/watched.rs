//! A message that has gone on, and is judged all the same.

use super::turn::ScanTicket;
use crate::inspect::{ScanOutcome, ScannerId};
use crate::wire::frame::Opcode;
use bytes::Bytes;

/// Scans of such messages at once.
pub(super) const SCANS: usize = 16;

/// A message that has gone on and waits for a scanner's word.
#[derive(Debug)]
pub(super) struct WatchedMessage {
    pub(super) ticket: ScanTicket,
    pub(super) opcode: Opcode,
    pub(super) plain: Bytes,
    pub(super) size: u64,
    pub(super) scans: Vec<(ScannerId, ScanOutcome)>,
}

impl WatchedMessage {
    pub(super) fn new(opcode: Opcode, plain: Bytes, size: u64) -> Self {
        Self {
            ticket: ScanTicket(0),
            opcode,
            plain,
            size,
            scans: Vec::new(),
        }
    }
}
