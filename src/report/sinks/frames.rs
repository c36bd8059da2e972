//! The frame meter: what passes on open WebSockets, counted without contention.
//!
//! A shared atomic costs 5 ns with one thread and up to 400 ns with two, and a batch touches a dozen of them.
//! So each thread has its own shard, which it alone writes: a relaxed load and a relaxed store per number, and
//! no locked instruction. A scrape adds the shards up; it may miss a batch that is just being counted, and
//! finds it the next time.

mod export;

use super::names::{self, Def};
use crate::error::Side;
use crate::relay::{Batch, Meter, SIZE_BOUNDS};
use crate::wire::frame::Opcode;
use prometheus::core::Desc;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the time inside the proxy, in nanoseconds.
const INSIDE_BOUNDS: [u64; 18] = [
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
const ROUND_TRIP_BOUNDS: [u64; 16] = [
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
struct Count(AtomicU64);

impl Count {
    fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A sum of nanoseconds under the same rule; a float, for a whole number would overflow within months.
#[derive(Debug, Default)]
struct Nanos(AtomicU64);

impl Nanos {
    fn add(&self, nanos: f64) {
        self.0
            .store((f64::from_bits(self.0.load(Relaxed)) + nanos).to_bits(), Relaxed);
    }

    fn read(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

#[derive(Debug, Default)]
struct OneWay {
    frames: [Count; Opcode::ALL.len()],
    payload: [Count; Opcode::ALL.len()],
    inside: [Count; INSIDE_BOUNDS.len() + 1],
    inside_sum: Nanos,
    messages: [Count; SIZE_BOUNDS.len() + 1],
    message_bytes: Count,
}

#[derive(Debug, Default)]
struct RoundTrips {
    buckets: [Count; ROUND_TRIP_BOUNDS.len() + 1],
    sum: Nanos,
}

/// One thread's numbers. The alignment is that of the pair of cache lines that the prefetcher fetches together,
/// so that no two threads' shards share one.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    ways: [OneWay; 2],
    round_trips: [RoundTrips; 2],
}

impl Shard {
    fn batch(&self, batch: &Batch) {
        let way = &self.ways[batch.direction.index()];
        let mut frames = 0;
        for opcode in nonzero(&batch.frames) {
            way.frames[opcode].add(batch.frames[opcode].into());
            frames += u64::from(batch.frames[opcode]);
        }
        for opcode in nonzero(&batch.payload_bytes) {
            way.payload[opcode].add(batch.payload_bytes[opcode]);
        }
        if frames != 0 {
            let nanos = nanos(batch.inside);
            way.inside[bucket(&INSIDE_BOUNDS, nanos)].add(frames);
            way.inside_sum.add(nanos as f64 * frames as f64);
        }
        for size in nonzero(&batch.messages) {
            way.messages[size].add(batch.messages[size].into());
        }
        way.message_bytes.add(batch.message_bytes);
    }

    fn pong(&self, from: Side, round_trip: Duration) {
        let trips = &self.round_trips[side_index(from)];
        let nanos = nanos(round_trip);
        trips.buckets[bucket(&ROUND_TRIP_BOUNDS, nanos)].add(1);
        trips.sum.add(nanos as f64);
    }

    /// Adds another shard's numbers to this one, which nobody else writes.
    fn absorb(&self, other: &Self) {
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
        }
        for (trips, from) in self.round_trips.iter().zip(&other.round_trips) {
            each(&trips.buckets, &from.buckets);
            trips.sum.add(from.sum.read());
        }
    }
}

const fn side_index(side: Side) -> usize {
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

thread_local! {
    /// This thread's shard of each meter, by the meter's id: one meter in a proxy, several in tests.
    static MINE: RefCell<Vec<(u64, Arc<Shard>)>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
struct Inner {
    id: u64,
    shards: Mutex<Vec<Arc<Shard>>>,
    /// For a thread whose thread-locals are already gone; written under its lock.
    last_words: Mutex<Shard>,
    descriptions: Vec<Desc>,
}

/// The meter that relays write to and that `/metrics` reads.
#[derive(Debug, Clone)]
pub(in crate::report) struct Frames(Arc<Inner>);

/// The families, in the order in which they are collected.
const FAMILIES: [&Def; 5] = [
    &names::WEBSOCKET_FRAMES,
    &names::WEBSOCKET_PAYLOAD_BYTES,
    &names::WEBSOCKET_INSIDE_SECONDS,
    &names::WEBSOCKET_MESSAGE_BYTES,
    &names::WEBSOCKET_ROUND_TRIP_SECONDS,
];

impl Frames {
    pub(in crate::report) fn new() -> prometheus::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let descriptions = FAMILIES
            .iter()
            .map(|def| {
                let labels = def.labels.iter().map(ToString::to_string).collect();
                Desc::new(def.name.into(), def.help.into(), labels, HashMap::new())
            })
            .collect::<prometheus::Result<_>>()?;
        Ok(Self(Arc::new(Inner {
            id: NEXT.fetch_add(1, Relaxed),
            shards: Mutex::default(),
            last_words: Mutex::default(),
            descriptions,
        })))
    }

    /// Runs `write` on a shard that nobody else writes meanwhile.
    fn with(&self, write: impl Fn(&Shard)) {
        let written = MINE.try_with(|mine| {
            let Ok(mut mine) = mine.try_borrow_mut() else {
                return false;
            };
            if let Some((_, shard)) = mine.iter().find(|(id, _)| *id == self.0.id) {
                write(shard);
            } else {
                // Forgets the meters that are gone: only this thread still holds their shards.
                mine.retain(|(_, shard)| Arc::strong_count(shard) > 1);
                let shard = self.shard();
                write(&shard);
                mine.push((self.0.id, shard));
            }
            true
        });
        if written != Ok(true) {
            write(&self.0.last_words.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// A shard for this thread: that of a thread which has ended, with all that it counted, or a new one.
    fn shard(&self) -> Arc<Shard> {
        let mut shards = self.0.shards.lock().unwrap_or_else(PoisonError::into_inner);
        // `get_mut` succeeds once the owner is gone, and synchronizes with its last store.
        if let Some(orphan) = shards
            .iter_mut()
            .find_map(|shard| Arc::get_mut(shard).is_some().then_some(shard))
        {
            return Arc::clone(orphan);
        }
        let shard = Arc::new(Shard::default());
        shards.push(Arc::clone(&shard));
        shard
    }

    /// All shards added up.
    fn total(&self) -> Shard {
        let total = Shard::default();
        let shards = self.0.shards.lock().unwrap_or_else(PoisonError::into_inner);
        for shard in shards.iter() {
            total.absorb(shard);
        }
        total.absorb(&self.0.last_words.lock().unwrap_or_else(PoisonError::into_inner));
        total
    }
}

impl Meter for Frames {
    fn batch(&self, batch: &Batch) {
        self.with(|shard| shard.batch(batch));
    }

    fn pong(&self, from: Side, round_trip: Duration) {
        self.with(|shard| shard.pong(from, round_trip));
    }
}

#[cfg(test)]
mod tests;
