//! What has passed in one direction and is not stated yet. It is there from a read to the end of the write that follows, and
//! its memory is the thread's for the rest of the time.

use super::Batch;
use crate::wire::frame::Direction;
use std::cell::Cell;

thread_local! {
    static SPARE: Cell<Option<Box<Batch>>> = const { Cell::new(None) };
}

/// A batch, where one is under way.
#[derive(Debug, Default)]
pub(super) struct Unstated(Option<Box<Batch>>);

impl Unstated {
    /// The one that is under way, or a new one.
    #[inline]
    pub(super) fn of(&mut self, direction: Direction) -> &mut Batch {
        self.0.get_or_insert_with(|| fresh(direction))
    }

    /// Whether whole frames have passed.
    #[inline]
    pub(super) fn has_passed(&self) -> bool {
        (self.0.as_ref()).is_some_and(|batch| batch.passed.all_frames() > 0)
    }

    /// Whether something was stopped.
    #[inline]
    pub(super) fn has_stopped(&self) -> bool {
        self.0.as_ref().is_some_and(|batch| !batch.stopped.is_none())
    }

    /// It has been stated.
    #[inline]
    pub(super) fn clear(&mut self) {
        // A thread that is about to end keeps none.
        let _ = SPARE.try_with(|spare| spare.set(self.0.take()));
    }

    /// Gives the memory back if there is nothing in it: a frame is under way, and counts when it has ended.
    #[inline]
    pub(super) fn let_go(&mut self) {
        if (self.0.as_ref()).is_some_and(|batch| **batch == Batch::new(batch.direction)) {
            self.clear();
        }
    }
}

#[inline]
fn fresh(direction: Direction) -> Box<Batch> {
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    match spare {
        Some(mut batch) => {
            *batch = Batch::new(direction);
            batch
        }
        None => Box::new(Batch::new(direction)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::Opcode;

    #[test]
    fn what_is_counted_is_there_until_it_is_stated() {
        let mut one = Unstated::default();
        assert!(!one.has_passed() && !one.has_stopped());
        one.of(Direction::ToOrigin).passed.frame(Opcode::Text, 5);
        one.let_go();
        assert!(one.has_passed(), "it has not been stated");
        one.clear();
        assert!(one.0.is_none());
        // The next one begins with nothing, whoever had the memory before.
        let next = one.of(Direction::ToClient);
        assert_eq!(*next, Batch::new(Direction::ToClient));
        one.let_go();
        assert!(one.0.is_none(), "nothing is in it");
    }
}
