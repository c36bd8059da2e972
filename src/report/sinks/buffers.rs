//! What is kept in memory, by what it is, as it is when somebody asks.

use super::names;
use crate::inspect::{Buffered, Room};
use crate::report::event::{Event, Topic};
use crate::report::sink::Sink;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};
use std::sync::{Arc, OnceLock};

/// The gauges, which are set when they are read.
#[derive(Debug, Clone)]
pub(super) struct BufferMetrics {
    kept: IntGaugeVec,
    limit: IntGauge,
    room: Arc<OnceLock<Arc<Room>>>,
}

impl BufferMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let (kept, limit) = (&names::BUFFERED, &names::BUFFERED_LIMIT);
        let metrics = Self {
            kept: IntGaugeVec::new(Opts::new(kept.name, kept.help), kept.labels)?,
            limit: IntGauge::new(limit.name, limit.help)?,
            room: Arc::default(),
        };
        registry.register(Box::new(metrics.clone()))?;
        Ok(metrics)
    }
}

fn gauge(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl Collector for BufferMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.kept.desc().into_iter().chain(self.limit.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let room = self.room.get();
        for kind in Buffered::ALL {
            let bytes = room.map_or(0, |room| room.taken_by(*kind));
            self.kept.with_label_values(&[kind.label()]).set(gauge(bytes));
        }
        self.limit.set(room.map_or(0, |room| gauge(room.limit())));
        [self.kept.collect(), self.limit.collect()].concat()
    }
}

impl Sink for BufferMetrics {
    fn topics(&self) -> &'static [Topic] {
        &[Topic::Process]
    }

    fn state(&self, event: &Event<'_>) {
        if let Event::Keeping(room) = event {
            // It is the only one of its process.
            let _ = self.room.set(Arc::clone(room));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::Share;

    #[test]
    fn what_is_kept_is_told_by_what_it_is_from_the_start() {
        let registry = Registry::new();
        let metrics = BufferMetrics::new(&registry).unwrap();
        let text = || {
            prometheus::TextEncoder::new()
                .encode_to_string(&registry.gather())
                .unwrap()
        };
        let has = |line: &str| assert!(text().lines().any(|known| known == line), "{line}: {}", text());
        has("wsbump_buffered_bytes{kind=\"messages\"} 0");
        let room = Arc::new(Room::new(100));
        metrics.state(&Event::Keeping(&room));
        let mut share = Share::new(Arc::clone(&room), Buffered::Bodies);
        assert!(share.resize(7));
        has("wsbump_buffered_bytes{kind=\"bodies\"} 7");
        has("wsbump_buffered_bytes{kind=\"recordings\"} 0");
        has("wsbump_buffered_limit_bytes 100");
        drop(share);
        has("wsbump_buffered_bytes{kind=\"bodies\"} 0");
    }
}
