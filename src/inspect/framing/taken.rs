//! What taking a framing off may take, and what it gives.

use super::decoded::Decoded;
use crate::inspect::Blind;

/// How much taking a framing off may take.
#[derive(Debug, Clone, Copy)]
pub(in crate::inspect) struct FramingLimits {
    /// Bytes of what is said, and of what is kept for the next message.
    pub(in crate::inspect) kept: usize,
    /// Bytes that a message is inflated to, kept or not.
    pub(in crate::inspect) inflated: u64,
}

/// What taking a framing off gave, and what is known of the direction then.
pub(in crate::inspect) struct Unframed<S> {
    /// `None` where the message is not of that framing.
    pub(in crate::inspect) decoded: Option<Decoded>,
    pub(in crate::inspect) after: S,
    /// Why it could not be looked into.
    pub(in crate::inspect) blind: Option<Blind>,
    /// Why it cannot be left out, where nothing is decoded that could say so.
    pub(in crate::inspect) needed: Option<&'static str>,
    /// What goes on in its place even if no rule changes it.
    pub(in crate::inspect) rewritten: Option<Vec<u8>>,
}

impl<S> Unframed<S> {
    pub(super) fn of(decoded: Option<Decoded>, after: S) -> Self {
        Self {
            decoded,
            after,
            blind: None,
            needed: None,
            rewritten: None,
        }
    }

    /// The same with another state.
    pub(super) fn map<T>(self, state: impl FnOnce(S) -> T) -> Unframed<T> {
        Unframed {
            decoded: self.decoded,
            after: state(self.after),
            blind: self.blind,
            needed: self.needed,
            rewritten: self.rewritten,
        }
    }
}
