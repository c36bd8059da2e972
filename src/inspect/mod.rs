//! What is said inside, and what is to happen to it. Pure: content and rules in, findings and verdicts out.
//!
//! `http` and `relay` hand in what passes; what must happen comes back, and they do it. What takes time, a scan
//! by another process, is asked for by [`Judging::Scan`] and answered later.

mod facts;
mod framing;
pub mod lane;
mod recording;
mod rule;
pub mod rules;
mod scan;
#[cfg(test)]
pub(crate) mod testing;

pub use facts::{Content, Facts, HttpHead, Item, Surface};
pub use recording::{Recorded, Recording, Room, Share};
pub use rule::{Action, FileType, Framing, JsonTest, Mode, Rate, RuleSpec, Secret, Test, What, Where};
pub use scan::{OnFailure, ScanItem, ScanOutcome, Scanner, ScannerId, Scanning};

use crate::wire::frame::Direction;
use crate::wire::names::Authority;
use arc_swap::ArcSwap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How much a message or body may take, and what happens to what takes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// The most of one message or body that is kept to be judged, in decoded bytes.
    pub message: usize,
    /// The most that one message or body may be inflated to, kept or not; a bomb costs this much and no more.
    pub inflated: u64,
    /// The most that one connection may keep in both directions: messages under way and what waits behind them.
    pub connection: usize,
    /// What happens to content that a rule wants to stop or change, and that does not fit.
    pub spent: OnFailure,
    /// The longest that one message may be held while it arrives or is scanned.
    pub hold: Duration,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            message: 1 << 20,
            inflated: 64 << 20,
            connection: 4 << 20,
            spent: OnFailure::Pass,
            hold: Duration::from_secs(30),
        }
    }
}

/// Everything about inspection that a reload replaces. The default inspects nothing.
#[derive(Debug, Default)]
pub struct Inspection {
    /// The rules; without any, nothing is looked into.
    pub rules: Arc<rules::Rules>,
    /// How much may be kept.
    pub budgets: Budgets,
    /// By [`ScannerId`].
    pub scanners: Vec<Arc<dyn Scanner>>,
    /// The lists whose destinations may agree on extensions that the proxy cannot decode.
    pub opaque_extensions: Vec<Arc<crate::decide::List>>,
    /// What happens to a text message that is not UTF-8 (RFC 6455 section 8.1 wants 1007).
    pub invalid_utf8: OnFailure,
    /// What is recorded; `None` for nothing.
    pub recording: Option<Recording>,
}

/// The current inspection, and who is told what it does: one for the process. A reload replaces the inspection;
/// live sessions see the new one at their next message.
pub struct Inspector {
    current: ArcSwap<Inspection>,
    /// Whether there is any rule.
    active: AtomicBool,
    /// Counts the reloads while something is recorded; 0 while nothing is. Read for every message.
    era: AtomicU64,
    reloads: AtomicU64,
    /// Grows with each replacement: read on the path of every batch of frames, where it is all that is read.
    generation: AtomicU64,
    witness: Arc<dyn Witness>,
}

impl Inspector {
    /// Begins with this inspection.
    pub fn new(inspection: Arc<Inspection>, witness: Arc<dyn Witness>) -> Self {
        Self {
            active: AtomicBool::new(!inspection.rules.is_empty()),
            era: AtomicU64::new(u64::from(inspection.recording.is_some())),
            reloads: AtomicU64::new(1),
            current: ArcSwap::new(inspection),
            generation: AtomicU64::new(0),
            witness,
        }
    }

    /// The current inspection.
    pub fn current(&self) -> arc_swap::Guard<Arc<Inspection>> {
        self.current.load()
    }

    /// Grows when another inspection takes the place of the current one. Whoever asks for this first and for
    /// [`Inspector::current`] then misses none.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether there is any rule.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// Whether WebSockets to `target` may only agree on extensions that can be decoded.
    pub fn decodes(&self, target: &Authority) -> bool {
        self.is_active()
            && !self
                .current()
                .opaque_extensions
                .iter()
                .any(|list| list.find(target).is_some())
    }

    /// Puts another in its place.
    pub fn replace(&self, inspection: Arc<Inspection>) {
        let active = !inspection.rules.is_empty();
        let reloads = self.reloads.fetch_add(1, Ordering::Relaxed) + 1;
        let era = if inspection.recording.is_some() {
            reloads
        } else {
            0
        };
        self.current.store(inspection);
        self.active.store(active, Ordering::Release);
        self.era.store(era, Ordering::Release);
        // Last, since it is what is asked first.
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Differs after each reload; 0 while nothing is recorded.
    pub fn recording_era(&self) -> u64 {
        self.era.load(Ordering::Acquire)
    }

    /// Whether what goes to or comes from `target` is recorded.
    pub fn records(&self, target: &Authority) -> bool {
        self.recording_era() != 0
            && self
                .current()
                .recording
                .as_ref()
                .is_some_and(|recording| recording.concerns(target))
    }

    /// Who is told.
    pub fn witness(&self) -> &dyn Witness {
        &*self.witness
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector")
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}

/// How a kind of content concerns the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Interest {
    /// No rule looks at it.
    #[default]
    None,
    /// Rules look at it and can neither stop nor change it: it passes at once.
    Watch,
    /// A rule can stop or change it: it is held until it is judged.
    Hold,
}

/// Where judging has come to.
#[derive(Debug)]
pub enum Judging {
    /// All rules have spoken.
    Done(Judgement),
    /// A rule needs this scanner's outcome. Judge again with it among the outcomes.
    Scan(ScannerId),
}

/// What the rules say to one message, head or body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What is to happen.
    pub verdict: Verdict,
    /// Which rules matched, in the order of the rules; rules in observe mode included.
    pub findings: Vec<Finding>,
}

impl Judgement {
    /// No rule has anything to say.
    pub const fn pass() -> Self {
        Self {
            verdict: Verdict::Pass,
            findings: Vec::new(),
        }
    }

    /// Whether it goes on exactly as it came.
    pub fn is_pass(&self) -> bool {
        self.verdict == Verdict::Pass
    }
}

/// What is to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on exactly as it came.
    Pass,
    /// This goes on in its place.
    Replace(Vec<u8>),
    /// It does not go on: a message is left out, an HTTP exchange is answered 403.
    Drop,
    /// It does not go on, and both sides are closed with 1008 and this reason, at most 123 bytes.
    Close(String),
}

impl Verdict {
    /// The log word.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Replace(_) => "change",
            Self::Drop => "drop",
            Self::Close(_) => "close",
        }
    }
}

/// One rule that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name.
    pub rule: Arc<str>,
    /// What the rule does, or in observe mode would do.
    pub action: &'static str,
    /// Whether it was done: false for a rule in observe mode.
    pub enforced: bool,
    /// How often it matched; 1 where matches cannot be counted.
    pub matches: u32,
    /// The surroundings of the first match with every match masked; never a secret in clear.
    pub excerpt: Option<String>,
    /// Who else said so: the name of what a scanner found.
    pub detail: Option<String>,
}

/// Why something could not be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blind {
    /// It was larger than [`Budgets::message`].
    MessageBudget,
    /// It inflated to more than [`Budgets::inflated`].
    InflateBudget,
    /// The connection kept more than [`Budgets::connection`].
    ConnectionBudget,
    /// It was held for longer than [`Budgets::hold`].
    HoldTime,
    /// Its compression is broken.
    Corrupt,
    /// Its compression needs what passed before inspection began.
    NoContext,
    /// An extension or content coding that the proxy cannot decode.
    UnknownCoding,
    /// A scanner failed or took too long.
    ScanFailed,
}

impl Blind {
    /// Every reason, for metrics that start at zero.
    pub const ALL: [Self; 8] = [
        Self::MessageBudget,
        Self::InflateBudget,
        Self::ConnectionBudget,
        Self::HoldTime,
        Self::Corrupt,
        Self::NoContext,
        Self::UnknownCoding,
        Self::ScanFailed,
    ];

    /// The metric label and log word.
    pub const fn label(self) -> &'static str {
        match self {
            Self::MessageBudget => "message_budget",
            Self::InflateBudget => "inflate_budget",
            Self::ConnectionBudget => "connection_budget",
            Self::HoldTime => "hold_time",
            Self::Corrupt => "corrupt",
            Self::NoContext => "no_context",
            Self::UnknownCoding => "unknown_coding",
            Self::ScanFailed => "scan_failed",
        }
    }
}

/// What became of a scan of content that has already gone on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Background {
    /// It began.
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
    fn judged(&self, facts: &Facts, about: &About, judgement: &Judgement);
    /// Something could not be looked into, and passed (`stopped` false) or was stopped for that.
    fn blind(&self, facts: &Facts, about: &About, why: Blind, stopped: bool);
    /// A text message that is not UTF-8.
    fn invalid_utf8(&self, facts: &Facts, direction: Direction);
    /// A message was written anew, with this many payload bytes in place of that many.
    fn reframed(&self, direction: Direction, before: u64, after: u64);
    /// Compressed payload or content was decoded.
    fn inflated(&self, compressed: u64, plain: u64);
    /// A scan ended.
    fn scanned(&self, scanner: &str, outcome: &ScanOutcome, took: Duration);
    /// Something became of a scan that nothing waits for.
    fn background(&self, what: Background);
    /// Content of a session that [`Inspection::recording`] concerns, as its receiver reads it.
    fn content(&self, facts: &Arc<Facts>, content: &Content<'_>);
}

/// What was judged, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Which part.
    pub surface: Surface,
    /// Which way it went.
    pub direction: Direction,
    /// The opcode's label for a message.
    pub opcode: Option<&'static str>,
    /// Decoded size in bytes, as far as it is known.
    pub size: u64,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// Its place in the list of rules, from 0.
    pub rule: usize,
    /// The key, as the configuration writes it: `regex`, `json`, `path`.
    pub key: &'static str,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

impl std::error::Error for RuleError {}
