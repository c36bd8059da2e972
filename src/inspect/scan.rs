//! Scanners: judges outside of the process, which take their time.

use super::adapt::{AdaptItem, Adapted, Soon};
use super::facts::{HttpHead, SessionFacts, Surface};
use crate::wire::frame::{Direction, Opcode};
use bytes::Bytes;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// A scanner's place in [`super::Inspection::scanners`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ScannerId(pub usize);

/// What happens when the proxy cannot find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnFailure {
    /// It passes and is counted: fail open.
    #[default]
    Pass,
    /// It is stopped and the WebSocket is closed, or the exchange answered with an error: fail closed.
    Close,
}

/// What a scanner is given.
#[derive(Debug, Clone)]
pub struct ScanItem {
    /// The session that it is from.
    pub facts: Arc<SessionFacts>,
    /// The part of the traffic that it is.
    pub surface: Surface,
    /// Which way it goes.
    pub direction: Direction,
    /// A message's opcode; `None` for everything else.
    pub opcode: Option<Opcode>,
    /// Of a body: the request's head, and the response's.
    pub heads: Option<Arc<(HttpHead, Option<HttpHead>)>>,
    /// The content, decoded.
    pub data: Bytes,
}

/// What a scanner says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanOutcome {
    /// Nothing was found.
    Clean,
    /// Something was found, by this name of the scanner's.
    Found(String),
    /// This is to go on in its place.
    Replaced(Bytes),
    /// The scanner did not answer in time, or answered nonsense, or is being given a rest.
    Failed(String),
}

impl ScanOutcome {
    /// Every label, for metrics that start at zero.
    pub const LABELS: [&'static str; 4] = ["clean", "found", "replaced", "failed"];

    /// The metric label and log word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Found(_) => "found",
            Self::Replaced(_) => "replaced",
            Self::Failed(_) => "failed",
        }
    }
}

/// A scan under way; it ends within the scanner's own deadline.
pub type Scanning = Pin<Box<dyn Future<Output = ScanOutcome> + Send>>;

/// A judge outside of the process.
pub trait Scanner: Send + Sync + fmt::Debug + 'static {
    /// Its name in the configuration, which is a metric label.
    fn name(&self) -> &str;
    /// What happens to content that it could not scan.
    fn on_failure(&self) -> OnFailure;
    /// The scanners that stand in for it where it could not change a message, by their names, in their order.
    fn standby(&self) -> &[String] {
        &[]
    }
    /// Scans; never fails to answer.
    fn scan(&self, item: ScanItem) -> Scanning;
    /// Changes a message, or answers in its place; never fails to answer.
    fn adapt<'a>(&'a self, _item: AdaptItem<'a>) -> Soon<'a, Adapted> {
        Box::pin(async { Adapted::Failed("it changes no messages: only ICAP services do".to_owned()) })
    }
}
