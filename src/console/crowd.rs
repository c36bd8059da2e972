//! Who is connected. There is room for so many; where it is taken, those go first who have not shown who they are, so that nobody
//! keeps operators out by connections that say nothing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio_util::sync::CancellationToken;

/// A connection.
#[derive(Debug, Default)]
pub(super) struct Visitor {
    is_known: AtomicBool,
    /// It has to make room.
    pub(super) goes: CancellationToken,
}

impl Visitor {
    /// Somebody who may see something has asked by it.
    pub(super) fn known(&self) {
        self.is_known.store(true, Relaxed);
    }
}

/// All of them, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<VecDeque<Weak<Visitor>>>);

impl Crowd {
    fn all(&self) -> MutexGuard<'_, VecDeque<Weak<Visitor>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody comes.
    pub(super) fn enter(&self) -> Arc<Visitor> {
        let visitor = Arc::<Visitor>::default();
        let mut all = self.all();
        all.retain(|other| other.strong_count() > 0);
        all.push_back(Arc::downgrade(&visitor));
        visitor
    }

    /// Sends away the first of those who have not shown who they are, if there is one.
    pub(super) fn make_room(&self) {
        let all = self.all();
        let mut all = all.iter().filter_map(Weak::upgrade);
        let first = all.find(|other| !other.is_known.load(Relaxed) && !other.goes.is_cancelled());
        if let Some(first) = first {
            first.goes.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_stranger_goes_and_nobody_who_is_known() {
        let crowd = Crowd::default();
        crowd.make_room();
        let gone = crowd.enter();
        drop(gone);
        let all: Vec<_> = (0..3).map(|_| crowd.enter()).collect();
        all[0].known();
        let goes = || all.iter().map(|it| it.goes.is_cancelled()).collect::<Vec<_>>();
        crowd.make_room();
        assert_eq!(goes(), [false, true, false]);
        crowd.make_room();
        assert_eq!(goes(), [false, true, true]);
        crowd.make_room();
        assert_eq!(goes(), [false, true, true], "who is known stays");
        assert_eq!(crowd.all().len(), 3, "who has gone is forgotten");
    }
}
