//! What the rules can say to a kind of content before anybody looks into it.

use super::super::{Action, Interest, Mode};
use super::compile::Rule;

/// The rules that look at a kind of content, at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// How it concerns the rules.
    pub interest: Interest,
    /// Whether a rule has to see the bytes. Otherwise kind and size are enough to judge it, and no bytes need be given.
    pub needs_content: bool,
    /// A rule counts what passes.
    counts: bool,
    /// The smallest and the largest size that a rule can match.
    sizes: (u64, u64),
}

impl Glance {
    /// What is left where no rule looks.
    pub(super) const NOTHING: Self = Self {
        interest: Interest::None,
        needs_content: false,
        counts: false,
        sizes: (u64::MAX, 0),
    };

    /// What rules mean, of which all look at the same kind of content; behind one that ends the asking for everything
    /// no rule is asked.
    pub(super) fn of<'r>(rules: impl Iterator<Item = &'r Rule>) -> Self {
        let mut glance = Self::NOTHING;
        for rule in rules {
            glance.add(rule);
            if rule.stops() && rule.is_unconditional() && rule.place.spec.content_types.is_empty() {
                break;
            }
        }
        glance
    }

    /// The same where everything has to be held and read, whatever the rules say.
    pub(super) fn that_holds(self) -> Self {
        Self {
            interest: Interest::Hold,
            needs_content: true,
            counts: true,
            ..self
        }
    }

    /// Whether judging something of this size would find nothing and change nothing, not even a count.
    #[inline]
    pub fn is_silent(&self, size: u64) -> bool {
        !self.counts && (size < self.sizes.0 || size > self.sizes.1)
    }

    fn add(&mut self, rule: &Rule) {
        self.interest = self.interest.max(if rule.holds() {
            Interest::Hold
        } else {
            Interest::Watch
        });
        // What cannot be redacted is told by what there is of it.
        let redacts = rule.mode == Mode::Enforce && matches!(rule.action, Action::Redact(_));
        // A framing may have a state that every message moves.
        let decodes = rule.decode.is_some();
        self.needs_content |= rule.has_patterns()
            || !rule.files.is_empty()
            || !rule.json.is_empty()
            || rule.scan.is_some()
            || redacts
            || decodes;
        self.counts |= rule.rate.is_some() || decodes;
        let (min, max) = rule.sizes;
        self.sizes.0 = self.sizes.0.min(min.unwrap_or(0));
        self.sizes.1 = self.sizes.1.max(max.unwrap_or(u64::MAX));
    }
}
