//! The meter's numbers as Prometheus families.

use super::shard::{Count, INSIDE_BOUNDS, OUTCOMES, ROUND_TRIP_BOUNDS, side_index};
use super::{FAMILIES, FrameMeter};
use crate::error::Side;
use crate::report::sinks::names::{self, Def};
use crate::wire::frame::{Direction, Opcode, SIZE_BOUNDS};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Histogram, LabelPair, Metric, MetricFamily, MetricType};

const SIDES: [Side; 2] = [Side::Client, Side::Origin];

impl Collector for FrameMeter {
    fn desc(&self) -> Vec<&Desc> {
        self.inner.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let total = self.total();
        let (mut frames, mut payload, mut inside, mut messages) = (vec![], vec![], vec![], vec![]);
        let (mut stopped, mut outcomes) = (vec![], vec![]);
        for direction in Direction::ALL {
            let way = &total.ways[direction.index()];
            for opcode in Opcode::ALL {
                let labels = [direction.label(), opcode.label()];
                let (count, bytes) = (&way.frames[opcode.index()], &way.payload[opcode.index()]);
                frames.push(counter(&names::WEBSOCKET_FRAMES, &labels, count.read() as f64));
                payload.push(counter(
                    &names::WEBSOCKET_PAYLOAD_BYTES,
                    &labels,
                    bytes.read() as f64,
                ));
                let count = way.stopped[opcode.index()].read();
                stopped.push(counter(&names::WEBSOCKET_FRAMES_STOPPED, &labels, count as f64));
            }
            for (outcome, count) in OUTCOMES.into_iter().zip(&way.outcomes) {
                let labels = [direction.label(), outcome];
                outcomes.push(counter(&names::WEBSOCKET_MESSAGES, &labels, count.read() as f64));
            }
            let labels = [direction.label()];
            let times = histogram(
                INSIDE_BOUNDS.map(seconds),
                &way.inside,
                way.inside_sum.read() / 1e9,
            );
            inside.push(observed(&names::WEBSOCKET_INSIDE_SECONDS, &labels, times));
            let bounds = SIZE_BOUNDS.map(|bytes| bytes as f64);
            let sizes = histogram(bounds, &way.messages, way.message_bytes.read() as f64);
            messages.push(observed(&names::WEBSOCKET_MESSAGE_BYTES, &labels, sizes));
        }
        let round_trips = SIDES.map(|side| {
            let trips = &total.round_trips[side_index(side)];
            let times = histogram(
                ROUND_TRIP_BOUNDS.map(seconds),
                &trips.buckets,
                trips.sum.read() / 1e9,
            );
            observed(&names::WEBSOCKET_ROUND_TRIP_SECONDS, &[side.label()], times)
        });
        let round_trips = round_trips.into();
        let metrics = [frames, payload, stopped, outcomes, inside, messages, round_trips];
        let kinds = [MetricType::COUNTER; 4]
            .into_iter()
            .chain(std::iter::repeat(MetricType::HISTOGRAM));
        FAMILIES
            .into_iter()
            .zip(metrics)
            .zip(kinds)
            .map(|((def, metrics), kind)| family(def, kind, metrics))
            .collect()
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// `counts` has one more bucket than `bounds`, for the rest.
fn histogram<const N: usize>(bounds: [f64; N], counts: &[Count], sum: f64) -> Histogram {
    let mut below = 0u64;
    let buckets = bounds
        .into_iter()
        .zip(counts)
        .map(|(bound, count)| {
            below = below.wrapping_add(count.read());
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(below);
            bucket
        })
        .collect();
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(counts.iter().fold(0, |all, count| all.wrapping_add(count.read())));
    histogram.set_sample_sum(sum);
    histogram
}

fn family(def: &Def, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(def.name.into());
    family.set_help(def.help.into());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn counter(def: &Def, labels: &[&str], value: f64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = Metric::from_label(pairs(def, labels));
    metric.set_counter(counter);
    metric
}

fn observed(def: &Def, labels: &[&str], histogram: Histogram) -> Metric {
    let mut metric = Metric::from_label(pairs(def, labels));
    metric.set_histogram(histogram);
    metric
}

fn pairs(def: &Def, values: &[&str]) -> Vec<LabelPair> {
    def.labels
        .iter()
        .zip(values)
        .map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).into());
            pair.set_value((*value).into());
            pair
        })
        .collect()
}
