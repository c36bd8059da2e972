//! What has passed so far, for whoever looks at it while it passes. Who counts is on one thread; who looks, on any.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A count that one thread adds to and others read. Adding costs what it costs in a plain field.
#[derive(Debug, Default)]
pub struct Tally(AtomicU64);

impl Tally {
    /// Adds; for the one thread that counts.
    #[inline]
    pub fn add(&self, more: u64) {
        self.set(self.0.load(Relaxed).wrapping_add(more));
    }

    /// Has it be this; for the one thread that counts.
    #[inline]
    pub fn set(&self, now: u64) {
        self.0.store(now, Relaxed);
    }

    /// How many there are by now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What a connection has carried beside WebSockets.
#[derive(Debug, Default)]
pub struct Carried {
    /// Requests that have begun.
    pub requests: Tally,
    /// Bytes of bodies and tunnels: towards the origin, and towards the client.
    pub bytes: [Tally; 2],
}

impl Carried {
    /// The bytes as they are now.
    pub fn bytes(&self) -> [u64; 2] {
        self.bytes.each_ref().map(Tally::get)
    }
}

/// What one transfer adds to what its connection has carried.
#[derive(Debug)]
pub struct CarriedPart<'a> {
    carried: &'a Carried,
    bytes: [u64; 2],
}

impl<'a> CarriedPart<'a> {
    /// Nothing yet.
    pub const fn new(carried: &'a Carried) -> Self {
        Self {
            carried,
            bytes: [0; 2],
        }
    }

    /// So many bytes have passed of it by now.
    pub fn reach(&mut self, bytes: [u64; 2]) {
        for (at, tally) in self.carried.bytes.iter().enumerate() {
            tally.add(bytes[at].wrapping_sub(self.bytes[at]));
        }
        self.bytes = bytes;
    }

    /// So many more have passed, towards the origin (0) or the client (1).
    pub fn add(&mut self, to: usize, more: u64) {
        self.bytes[to] += more;
        self.carried.bytes[to].add(more);
    }

    /// What has passed of it.
    pub const fn bytes(&self) -> [u64; 2] {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_read_what_one_counts() {
        let carried = Carried::default();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..1000).for_each(|_| carried.bytes[1].add(3)));
            let mut last = 0;
            while last < 3000 {
                let now = carried.bytes()[1];
                assert!(now >= last && now.is_multiple_of(3));
                last = now;
            }
        });
        let mut part = CarriedPart::new(&carried);
        part.reach([7, 0]);
        part.add(1, 5);
        part.reach([8, 6]);
        assert_eq!((part.bytes(), carried.bytes()), ([8, 6], [8, 3006]));
    }
}
