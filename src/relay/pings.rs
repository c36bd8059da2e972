//! Which pong answers which ping (RFC 6455 section 5.5.3).

use std::time::Instant;

/// How many pings of one side may wait for their pongs; older ones are forgotten.
const WAITING: usize = 4;

/// The pings of one side that no pong has answered yet. Where none waits there is nothing.
#[derive(Debug, Default)]
pub(super) struct Pings(Vec<(u64, Instant)>);

impl Pings {
    /// A ping passed.
    pub(super) fn sent(&mut self, payload: &[u8], now: Instant) {
        if self.0.len() == WAITING {
            self.0.remove(0);
        }
        self.0.push((digest(payload), now));
    }

    /// A pong passed the other way; says when its ping did. A pong answers the pings before its own too.
    pub(super) fn answered(&mut self, payload: &[u8]) -> Option<Instant> {
        let digest = digest(payload);
        let (_, sent) = *self
            .0
            .iter()
            .filter(|(d, _)| *d == digest)
            .max_by_key(|(_, sent)| *sent)?;
        self.0.retain(|(_, at)| *at > sent);
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
        Some(sent)
    }
}

/// FNV-1a: a ping's payload is at most 125 bytes, and a collision costs one wrong round trip.
fn digest(payload: &[u8]) -> u64 {
    payload.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_pong_finds_its_ping_once() {
        let start = Instant::now();
        let mut pings = Pings::default();
        pings.sent(b"a", start);
        pings.sent(b"b", start + Duration::from_secs(1));
        assert_eq!(pings.answered(b"x"), None);
        assert_eq!(pings.answered(b"b"), Some(start + Duration::from_secs(1)));
        assert_eq!(
            pings.answered(b"a"),
            None,
            "answered together with the later ping"
        );
    }

    #[test]
    fn unanswered_pings_are_forgotten_not_gathered() {
        let start = Instant::now();
        let mut pings = Pings::default();
        for n in 0..100u64 {
            pings.sent(&n.to_be_bytes(), start + Duration::from_secs(n));
        }
        assert_eq!(pings.answered(&0u64.to_be_bytes()), None);
        assert!(pings.answered(&99u64.to_be_bytes()).is_some());
    }
}
