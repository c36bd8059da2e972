//! Decoder states, which directions borrow while they decode a message.

use std::fmt;
use zlib_rs::Inflate;

/// Decoders that a thread keeps, 48 KB each.
pub(super) const SPARE: usize = 16;

/// A decoder of zlib-rs, which is large and lent by its pool.
pub(super) struct InflateDecoder(pub(super) Inflate);

impl fmt::Debug for InflateDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

/// Whose window a state holds, and after how many of its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) id: u64,
    pub(super) messages: u64,
}

/// Decoder states of one thread.
#[derive(Debug, Default)]
pub struct Inflaters {
    /// The one that was used least recently first; those that hold nobody's window before all others.
    #[allow(
        clippy::vec_box,
        reason = "they move between here and the directions that borrow them"
    )]
    pub(super) spare: Vec<(Option<Mark>, Box<InflateDecoder>)>,
    /// Decoded bytes on their way.
    pub(super) out: Vec<u8>,
}

impl Inflaters {
    /// The state with this window, if it is still here.
    pub(super) fn find(&mut self, mark: Mark) -> Option<Box<InflateDecoder>> {
        let at = self.spare.iter().rposition(|(known, _)| *known == Some(mark))?;
        Some(self.spare.remove(at).1)
    }

    /// A state with nothing in it.
    pub(super) fn take(&mut self) -> Box<InflateDecoder> {
        let is_free = self.spare.first().is_some_and(|(mark, _)| mark.is_none());
        if is_free || self.spare.len() >= SPARE {
            let (_, mut state) = self.spare.remove(0);
            state.0.reset(false);
            return state;
        }
        Box::new(InflateDecoder(Inflate::new(false, 15)))
    }

    pub(super) fn give_back(&mut self, state: Box<InflateDecoder>, mark: Option<Mark>) {
        if self.spare.len() >= SPARE {
            self.spare.remove(0);
        }
        let at = if mark.is_some() { self.spare.len() } else { 0 };
        self.spare.insert(at, (mark, state));
    }
}
