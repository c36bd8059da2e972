//! What a request is called, on the page that a person sees and in the log that the operator has.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Chosen by chance once for each run of the program.
static RUN: LazyLock<u32> = LazyLock::new(|| {
    let mut bits = [0; 4];
    // Without randomness there is no TLS either; what is lost is that two runs can be told apart.
    let _ = rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bits);
    u32::from_be_bytes(bits)
});

static NEXT: AtomicU64 = AtomicU64::new(1);

/// One request's id. No other request has it, of this run or another; it is written in at most 25 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

impl RequestId {
    /// One that was not given before.
    pub fn new() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:x}", *RUN, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_differ() {
        let (one, other) = (RequestId::new().to_string(), RequestId::new().to_string());
        assert_ne!(one, other);
        assert_eq!(one[..9], other[..9]);
        assert!(RequestId(u64::MAX).to_string().len() <= 25);
    }
}
