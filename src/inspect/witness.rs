//! Who is told what inspection saw and did.

use super::content::RecordedContent;
use super::facts::{SessionFacts, Surface};
use super::judgement::Judgement;
use super::onlookers::Onlookers;
use super::scan::ScanOutcome;
use crate::wire::frame::Direction;
use std::sync::Arc;
use std::time::Duration;

/// Why something could not be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blind {
    /// It was larger than [`Budgets::message`](super::Budgets::message).
    MessageBudget,
    /// It inflated to more than [`Budgets::inflated`](super::Budgets::inflated).
    InflateBudget,
    /// The connection kept more than [`Budgets::connection`](super::Budgets::connection).
    ConnectionBudget,
    /// All connections together kept more than [`Budgets::process`](super::Budgets::process).
    ProcessBudget,
    /// It was held for longer than [`Budgets::hold`](super::Budgets::hold).
    HoldTime,
    /// Its compression is broken.
    Corrupt,
    /// Its compression needs what passed before inspection began.
    NoContext,
    /// An extension or content coding that the proxy cannot decode.
    UnknownCoding,
    /// A scanner failed or took too long.
    ScanFailed,
    /// It broke off: rules have seen no more of it than its receiver.
    BrokeOff,
    /// It has no end to wait for, and is none of what can be judged piece by piece.
    Endless,
}

impl Blind {
    /// Every reason, for metrics that start at zero.
    pub const ALL: [Self; 11] = [
        Self::MessageBudget,
        Self::InflateBudget,
        Self::ConnectionBudget,
        Self::ProcessBudget,
        Self::HoldTime,
        Self::Corrupt,
        Self::NoContext,
        Self::UnknownCoding,
        Self::ScanFailed,
        Self::BrokeOff,
        Self::Endless,
    ];

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::MessageBudget => "message_budget",
            Self::InflateBudget => "inflate_budget",
            Self::ConnectionBudget => "connection_budget",
            Self::ProcessBudget => "process_budget",
            Self::HoldTime => "hold_time",
            Self::Corrupt => "corrupt",
            Self::NoContext => "no_context",
            Self::UnknownCoding => "unknown_coding",
            Self::ScanFailed => "scan_failed",
            Self::BrokeOff => "broke_off",
            Self::Endless => "endless",
        }
    }
}

/// What became of a scan of content that has already gone on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Background {
    /// It began, beside the connection.
    Started,
    /// It has an outcome. One whose connection ended before has none.
    Finished,
    /// It did not begin, since as many are under way as may be.
    LeftOut,
}

impl Background {
    /// Each, for metrics that start at zero.
    pub const ALL: [Self; 3] = [Self::Started, Self::Finished, Self::LeftOut];

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Finished => "finished",
            Self::LeftOut => "left_out",
        }
    }
}

/// Who is told what inspection saw and did. The reporting stage implements it; implementations never wait.
pub trait Witness: Send + Sync + 'static {
    /// A message, head or body was judged and at least one rule matched, or it was changed or stopped.
    fn judged(&self, facts: &SessionFacts, about: &About, judgement: &Judgement);
    /// Something could not be looked into, and passed (`stopped` false) or was stopped for that.
    fn blind(&self, facts: &SessionFacts, about: &About, why: Blind, stopped: bool);
    /// A text message that is not UTF-8.
    fn invalid_utf8(&self, facts: &SessionFacts, direction: Direction);
    /// A message was written anew, with this many payload bytes in place of that many.
    fn reframed(&self, direction: Direction, before: u64, after: u64);
    /// Compressed payload or content was decoded.
    fn inflated(&self, compressed: u64, plain: u64);
    /// A scan ended.
    fn scanned(&self, scanner: &str, outcome: &ScanOutcome, took: Duration);
    /// Something became of a scan that nothing waits for.
    fn background(&self, what: Background);
    /// Content of a session that somebody looks on at, as its receiver reads it.
    fn content(&self, facts: &Arc<SessionFacts>, onlookers: Onlookers, content: &RecordedContent<'_>);
}

/// What was judged, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// The part of the traffic that it is.
    pub surface: Surface,
    /// Which way it went.
    pub direction: Direction,
    /// The opcode's label for a message.
    pub opcode: Option<&'static str>,
    /// Decoded size in bytes, as far as it is known.
    pub size: u64,
}
