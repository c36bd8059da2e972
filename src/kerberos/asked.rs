//! When something is asked, and what tells its answer from others.

use aws_lc_rs::rand;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

/// In microseconds.
const SECOND: u64 = 1_000_000;

/// When something is asked, and what tells its answer from others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AskedAt {
    /// Seconds since 1970, and microseconds.
    pub(crate) now: (i64, u32),
    pub(crate) nonce: u32,
}

impl AskedAt {
    /// Now; `None` if no random number could be had. No two of them have the same moment.
    pub(crate) fn now() -> Option<Self> {
        let now = moment();
        Some(Self {
            now: (
                i64::try_from(now / SECOND).unwrap_or_default(),
                u32::try_from(now % SECOND).unwrap_or_default(),
            ),
            nonce: first_number()?,
        })
    }
}

/// A random number to count messages from. Thirty bits, since some take more for a negative number.
pub(crate) fn first_number() -> Option<u32> {
    let mut bytes = [0; 4];
    rand::fill(&mut bytes).ok()?;
    Some(u32::from_be_bytes(bytes) >> 2)
}

/// Now, in microseconds since 1970. A service takes what has a moment that it has seen before for a replay (RFC 4120 section
/// 3.2.3), so that no two of them are the same.
fn moment() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_micros()).unwrap_or_default();
    // A clock that was set back is followed: the domain does not take what is far ahead of it.
    let after = |last: u64| match last.checked_sub(now) {
        Some(ahead) if ahead < SECOND => last + 1,
        _ => now,
    };
    LAST.fetch_update(Relaxed, Relaxed, |last| Some(after(last)))
        .map_or(now, after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_moments_are_the_same() {
        let several = || (0..1000).map(|_| AskedAt::now().unwrap().now).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(several)).collect();
        let all: Vec<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }
}
