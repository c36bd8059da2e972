//! What rules say to what they have looked at.

use super::scan::ScannerId;
use std::sync::Arc;

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
    pub verdict: Ruling,
    /// Which rules matched, in the order of the rules; rules in observe mode included.
    pub findings: Vec<Finding>,
}

impl Judgement {
    /// No rule has anything to say.
    pub const fn pass() -> Self {
        Self {
            verdict: Ruling::Pass,
            findings: Vec::new(),
        }
    }

    /// The rule that had the last word.
    pub fn acted(&self) -> Option<Arc<str>> {
        let acted = self.findings.iter().rev().find(|finding| finding.enforced);
        acted.map(|finding| Arc::clone(&finding.rule))
    }

    /// Whether it goes on exactly as it came.
    pub fn is_pass(&self) -> bool {
        self.verdict == Ruling::Pass
    }
}

/// What is to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// It goes on exactly as it came.
    Pass,
    /// This goes on in its place.
    Replace(Vec<u8>),
    /// It does not go on: a message is left out, an HTTP exchange is answered 403.
    Drop,
    /// It does not go on, and both sides are closed with 1008 and this reason, at most 123 bytes.
    Close(String),
}

impl Ruling {
    /// A close for which no rule has given a reason.
    pub(super) fn refused() -> Self {
        Self::Close("a message was refused".to_owned())
    }

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
