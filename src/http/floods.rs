//! What one client may ask for and take back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What a client is told that was cut off for it.
pub(super) const TOO_MANY_RESETS: &str = "the client takes back too many of its requests";

/// Requests that a client may reset at once.
const BURST: u32 = 1000;

/// How long it takes until it may reset one more.
const EACH: Duration = Duration::from_millis(30);

/// A bucket of resets ("rapid reset", CVE-2023-44487): each costs the origin a request, and the client nothing. A
/// browser that leaves a page resets what is under way, which is a hundred at most, and then does something else.
#[derive(Debug)]
pub(super) struct Resets {
    left: u32,
    /// Up to where the bucket has been filled.
    filled: Duration,
}

impl Resets {
    pub(super) const fn new() -> Self {
        Self {
            left: BURST,
            filled: Duration::ZERO,
        }
    }

    /// A request was reset at `now`, counted from the connection's beginning; `false` when that was one too many.
    pub(super) fn may(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.filled).as_millis() / EACH.as_millis();
        let passed = u32::try_from(passed).unwrap_or(BURST).min(BURST);
        self.left = self.left.saturating_add(passed).min(BURST);
        self.filled = if passed == BURST {
            now
        } else {
            self.filled + EACH * passed
        };
        self.left = match self.left.checked_sub(1) {
            Some(left) => left,
            None => return false,
        };
        true
    }
}

/// Requests of one connection that its client took back and that [`Resets`] has not heard of yet: who serves a stream
/// finds it out, who drives the connection minds.
#[derive(Debug, Clone, Default)]
pub(super) struct TakenBack(Arc<AtomicU32>);

impl TakenBack {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many more there have been.
    pub(super) fn take(&self) -> u32 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_pass_and_a_flood_is_not() {
        let mut resets = Resets::new();
        let now = Duration::from_secs(1);
        let allowed = (0..2 * BURST).filter(|_| resets.may(now)).count();
        assert_eq!(
            allowed, BURST as usize,
            "time that passed before counts for nothing"
        );
        assert!(!resets.may(now + EACH / 2));
        assert!(resets.may(now + EACH));
        assert!(!resets.may(now + EACH));
        let later = now + EACH * BURST * 3;
        let allowed = (0..2 * BURST).filter(|_| resets.may(later)).count();
        assert_eq!(allowed, BURST as usize);
    }

    #[test]
    fn a_slow_client_is_never_cut_off() {
        let mut resets = Resets::new();
        assert!((1..20_000).all(|n| resets.may(EACH * n)));
    }
}
