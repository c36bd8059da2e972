//! Latencies in a histogram with a bounded error, and medians.

use std::time::Instant;

/// Buckets per power of two: an error of at most 1/64.
const STEPS: u32 = 6;

/// Nanoseconds since then.
pub(crate) fn since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Durations in nanoseconds, counted in log-linear buckets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Latencies {
    /// Counts one duration.
    pub(crate) fn record(&mut self, nanos: u64) {
        let at = bucket(nanos);
        if at >= self.buckets.len() {
            self.buckets.resize(at + 1, 0);
        }
        if let Some(n) = self.buckets.get_mut(at) {
            *n += 1;
        }
        self.count += 1;
        self.max = self.max.max(nanos);
    }

    /// Adds what another counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.buckets.len() > self.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        self.buckets
            .iter_mut()
            .zip(&other.buckets)
            .for_each(|(mine, theirs)| *mine += theirs);
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// How many durations were counted.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The duration in microseconds below which `share` (0 to 1) of all lie; 1 gives the exact maximum.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        let rank = (share * self.count as f64).ceil() as u64;
        let mut seen = 0;
        let at = self.buckets.iter().position(|n| {
            seen += n;
            seen >= rank.max(1)
        });
        let nanos = if share >= 1.0 {
            self.max
        } else {
            at.map_or(0, upper).min(self.max)
        };
        nanos as f64 / 1000.0
    }
}

fn bucket(nanos: u64) -> usize {
    let shift = (63 - nanos.max(1).leading_zeros()).saturating_sub(STEPS);
    ((u64::from(shift) << STEPS) + (nanos >> shift)) as usize
}

/// The largest duration that falls into a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket >> STEPS).saturating_sub(1);
    ((bucket - (shift << STEPS) + 1) << shift) - 1
}

/// The middle value; the mean of the two middle ones where there is no single middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    Some((values.get(low)? + values.get(high)?) / 2.0)
}
