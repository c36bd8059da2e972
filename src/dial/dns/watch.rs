//! Who is told of look-ups.

use super::answer::{LookUpOutcome, LookUpSource};
use std::time::Duration;

/// Hears what look-ups and queries come to.
pub trait NameWatch: Send + Sync {
    /// A look-up ended; one whose client went away before is not told.
    fn looked_up(&self, source: LookUpSource, outcome: LookUpOutcome);

    /// DNS servers were asked for one name and one family: how that ended and how long it took. From now on there are
    /// `kept` answers in the cache.
    fn queried(&self, outcome: LookUpOutcome, took: Duration, kept: usize);
}
