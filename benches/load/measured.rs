//! What `scale` has measured, as scale.json keeps it.

use crate::stats::{Latencies, median};
use crate::work::Slice;
use serde::{Deserialize, Serialize};

/// The latencies that are kept: shares of all messages.
const SHARES: [f64; 12] = [
    0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999,
];

/// All of a run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) machine: Vec<(String, String)>,
    /// Names and versions.
    pub(crate) proxies: Vec<(String, String)>,
    pub(crate) connections: Vec<Point>,
    pub(crate) sizes: Vec<Point>,
}

/// One proxy at one number of connections or one size.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) proxy: String,
    /// Open connections, or bytes in a message.
    pub(crate) x: usize,
    /// CPU time of the proxy for each echoed message in microseconds: the median of the slices.
    pub(crate) cpu_us: f64,
    /// Memory (PSS) for each open connection after one message each, in KiB, in the runs over connections.
    pub(crate) pss_kib: Option<f64>,
    /// Messages in all slices.
    pub(crate) count: u64,
    /// Shares of all messages with the latency in microseconds that they stay below.
    pub(crate) latency_us: Vec<(f64, f64)>,
}

impl Point {
    pub(crate) fn new(proxy: String, x: usize, pss_kib: Option<f64>, slices: &[Slice]) -> Self {
        let mut all = Latencies::default();
        slices.iter().for_each(|slice| all.merge(&slice.latencies));
        // Fewer than ten messages beyond a share say nothing about it.
        let told = |share: &f64| (1.0 - share) * all.count() as f64 >= 10.0;
        Self {
            proxy,
            x,
            cpu_us: median(slices.iter().map(|slice| slice.cpu_nanos / 1e3)).unwrap_or(f64::NAN),
            pss_kib,
            count: all.count(),
            latency_us: SHARES
                .into_iter()
                .filter(|share| *share <= 0.5 || told(share))
                .map(|share| (share, all.quantile_us(share)))
                .collect(),
        }
    }
}
