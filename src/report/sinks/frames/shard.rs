//! One thread's numbers.

use crate::error::Side;
use crate::relay::Batch;
use crate::wire::frame::{Opcode, SIZE_BOUNDS};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the time inside the proxy, in nanoseconds.
pub(super) const INSIDE_BOUNDS: [u64; 18] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
];

/// Upper bounds of ping round trips, in nanoseconds.
pub(super) const ROUND_TRIP_BOUNDS: [u64; 16] = [
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// A whole number that one thread at a time writes and any thread reads.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    pub(super) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A sum of nanoseconds under the same rule; a float, for a whole number would overflow within months.
#[derive(Debug, Default)]
pub(super) struct Nanos(AtomicU64);

impl Nanos {
    fn add(&self, nanos: f64) {
        self.0
            .store((f64::from_bits(self.0.load(Relaxed)) + nanos).to_bits(), Relaxed);
    }

    pub(super) fn read(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

#[derive(Debug, Default)]
pub(super) struct OneWay {
    pub(super) frames: [Count; Opcode::ALL.len()],
    pub(super) payload: [Count; Opcode::ALL.len()],
    pub(super) inside: [Count; INSIDE_BOUNDS.len() + 1],
    pub(super) inside_sum: Nanos,
    pub(super) messages: [Count; SIZE_BOUNDS.len() + 1],
    pub(super) message_bytes: Count,
    /// Frames that did not go on as they came.
    pub(super) stopped: [Count; Opcode::ALL.len()],
    /// By [`OUTCOMES`].
    pub(super) outcomes: [Count; OUTCOMES.len()],
}

/// What becomes of messages.
pub(super) const OUTCOMES: [&str; 4] = ["passed", "changed", "dropped", "closed"];

impl OneWay {
    #[cold]
    fn stop(&self, batch: &Batch) {
        let stopped = &batch.stopped;
        for (count, frames) in self.stopped.iter().zip(stopped.frames) {
            count.add(frames.into());
        }
        for (count, messages) in
            (self.outcomes.iter().skip(1)).zip([stopped.changed, stopped.dropped, stopped.closed])
        {
            count.add(messages.into());
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct RoundTrips {
    pub(super) buckets: [Count; ROUND_TRIP_BOUNDS.len() + 1],
    pub(super) sum: Nanos,
}

/// One thread's numbers. The alignment is that of the pair of cache lines that the prefetcher fetches together,
/// so that no two threads' shards share one.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Shard {
    pub(super) ways: [OneWay; 2],
    pub(super) round_trips: [RoundTrips; 2],
}

impl Shard {
    pub(super) fn batch(&self, batch: &Batch) {
        let way = &self.ways[batch.direction.index()];
        let passed = &batch.passed;
        let moved: [u64; Opcode::ALL.len()] =
            std::array::from_fn(|opcode| u64::from(passed.frames[opcode]) | passed.payload_bytes[opcode]);
        let mut frames = 0u32;
        for opcode in nonzero(&moved) {
            way.frames[opcode].add(passed.frames[opcode].into());
            way.payload[opcode].add(passed.payload_bytes[opcode]);
            frames = frames.saturating_add(passed.frames[opcode]);
        }
        if frames != 0 {
            let nanos = nanos(batch.inside);
            way.inside[bucket(&INSIDE_BOUNDS, nanos)].add(frames.into());
            way.inside_sum.add(nanos as f64 * f64::from(frames));
        }
        let mut messages = 0u32;
        for size in nonzero(&passed.messages) {
            way.messages[size].add(passed.messages[size].into());
            messages = messages.saturating_add(passed.messages[size]);
        }
        way.message_bytes.add(passed.message_bytes);
        way.outcomes[0].add(messages.into());
        if !batch.stopped.is_none() {
            way.stop(batch);
        }
    }

    pub(super) fn pong(&self, from: Side, round_trip: Duration) {
        let trips = &self.round_trips[side_index(from)];
        let nanos = nanos(round_trip);
        trips.buckets[bucket(&ROUND_TRIP_BOUNDS, nanos)].add(1);
        trips.sum.add(nanos as f64);
    }

    /// Adds another shard's numbers to this one, which nobody else writes.
    pub(super) fn absorb(&self, other: &Self) {
        let each = |into: &[Count], from: &[Count]| {
            into.iter()
                .zip(from)
                .for_each(|(into, from)| into.add(from.read()))
        };
        for (way, from) in self.ways.iter().zip(&other.ways) {
            each(&way.frames, &from.frames);
            each(&way.payload, &from.payload);
            each(&way.inside, &from.inside);
            way.inside_sum.add(from.inside_sum.read());
            each(&way.messages, &from.messages);
            way.message_bytes.add(from.message_bytes.read());
            each(&way.stopped, &from.stopped);
            each(&way.outcomes, &from.outcomes);
        }
        for (trips, from) in self.round_trips.iter().zip(&other.round_trips) {
            each(&trips.buckets, &from.buckets);
            trips.sum.add(from.sum.read());
        }
    }
}

pub(super) const fn side_index(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Origin => 1,
    }
}

/// Where `numbers` are not zero, in ascending order. Most batches hold one opcode and one size: a mask costs less
/// than a branch for each of the others.
fn nonzero<T: Copy + Default + PartialEq, const N: usize>(
    numbers: &[T; N],
) -> impl Iterator<Item = usize> + use<T, N> {
    const { assert!(N <= 32, "one bit each") };
    let zero = T::default();
    let mut mask = (0..N).fold(0u32, |mask, at| mask | u32::from(numbers[at] != zero) << at);
    std::iter::from_fn(move || {
        let at = mask.trailing_zeros() as usize;
        mask &= mask.wrapping_sub(1);
        (at < N).then_some(at)
    })
}

fn nanos(time: Duration) -> u64 {
    time.as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(time.subsec_nanos().into())
}

/// The first bucket whose upper bound is not below `nanos`.
fn bucket(bounds: &[u64], nanos: u64) -> usize {
    bounds.partition_point(|&bound| bound < nanos)
}
