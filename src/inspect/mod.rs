//! What is said inside, and what is to happen to it. Pure: content and rules in, findings and verdicts out.
//!
//! `http` and `relay` hand in what passes; what must happen comes back, and they do it. What takes time, a scan
//! by another process, is asked for by [`Judging::Scan`] and answered later.

mod adapt;
mod ask;
mod content;
mod facts;
pub mod filter;
mod framing;
mod hosts;
mod inspector;
mod judgement;
mod mask;
mod onlookers;
mod recorded;
mod recording;
mod room;
mod rule;
pub mod rules;
mod said;
mod scan;
#[cfg(test)]
pub(crate) mod testing;
mod witness;

pub use adapt::{AdaptBody, AdaptItem, Adapted, Soon};
pub use ask::{Answer, Asker, Question, Scan, Unscanned};
pub use content::RecordedContent;
pub use facts::{HttpHead, SessionFacts, Subject, Surface};
pub use hosts::HostScope;
pub use inspector::{Budgets, Inspection, Inspector};
pub use judgement::{Finding, Interest, Judgement, Judging, Ruling};
pub use mask::Mask;
pub use onlookers::{Onlookers, Viewer};
pub use recorded::Recorded;
pub use recording::Recording;
pub use room::{Buffered, Room, Share};
pub use rule::{
    Action, AppFraming, FileType, JsonTest, LooksFor, Mode, Rate, RuleError, RuleSpec, Secret, Test, Where,
};
pub use said::{FramingSaid, said};
pub use scan::{OnFailure, ScanItem, ScanOutcome, Scanner, ScannerId, Scanning};
pub use witness::{About, Background, Blind, Witness};
