//! WebSockets by service: a service is what a list matches that `metrics.services` names, and `other` is the rest. The
//! names are the operator's, so that there are as many series as were asked for.

use super::families::{Declared, counters, gauges};
use super::names;
use crate::decide::List;
use crate::relay::{Batch, WebSocketTotals};
use crate::report::config::ReportConfig;
use crate::report::event::{Event, Topic};
use crate::report::sink::Sink;
use crate::wire::frame::Direction;
use crate::wire::names::Authority;
use arc_swap::ArcSwapOption;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Every destination that no service's list matches.
const OTHER: &str = "other";
/// The first Close's code, by class; `none` has no code, and `cut` had no Close.
const CLASSES: [&str; 8] = ["1000", "1001", "1xxx", "3xxx", "4xxx", "other", "none", "cut"];
/// Threads share a part of a service's numbers only if there are more of them than this.
const PARTS: usize = 8;

/// The families, and the services of the current configuration.
#[derive(Debug)]
pub(in crate::report) struct Services {
    open: IntGaugeVec,
    opens: IntCounterVec,
    closes: IntCounterVec,
    messages: IntCounterVec,
    payload: IntCounterVec,
    /// Without any, nothing is counted.
    current: ArcSwapOption<Current>,
    declared: Declared,
}

#[derive(Debug)]
struct Current {
    services: Vec<(Arc<List>, Arc<Service>)>,
    other: Arc<Service>,
}

impl Current {
    fn all(&self) -> impl Iterator<Item = &Arc<Service>> {
        let named = self.services.iter().map(|(_, service)| service);
        named.chain([&self.other])
    }
}

impl Services {
    /// No service is counted yet.
    pub(in crate::report) fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            open: gauges(registry, &names::SERVICE_OPEN)?,
            opens: counters(registry, &names::SERVICE_OPENS)?,
            closes: counters(registry, &names::SERVICE_CLOSES)?,
            messages: counters(registry, &names::SERVICE_MESSAGES)?,
            payload: counters(registry, &names::SERVICE_PAYLOAD_BYTES)?,
            current: ArcSwapOption::empty(),
            declared: Declared::default(),
        })
    }

    /// The service that a destination is of; `None` where services are not counted.
    pub(in crate::report) fn find(&self, target: &Authority) -> Option<Arc<Service>> {
        let current = self.current.load();
        let current = current.as_ref()?;
        let matched = |(list, _): &&(Arc<List>, _)| list.find(target).is_some();
        let service = current.services.iter().find(matched);
        Some(Arc::clone(service.map_or(&current.other, |(_, service)| service)))
    }

    /// A service's numbers: those that it has, or new ones at zero.
    fn service(&self, name: &str) -> Arc<Service> {
        let before = self.current.load();
        let kept = before
            .as_ref()
            .and_then(|before| before.all().find(|service| service.name == name).cloned());
        kept.unwrap_or_else(|| {
            let both = |family: &IntCounterVec| {
                Direction::ALL.map(|direction| family.with_label_values(&[name, direction.label()]))
            };
            Arc::new(Service {
                name: name.to_owned(),
                open: self.open.with_label_values(&[name]),
                opens: self.opens.with_label_values(&[name]),
                closes: CLASSES.map(|class| self.closes.with_label_values(&[name, class])),
                messages: both(&self.messages),
                payload: both(&self.payload),
                parts: Default::default(),
            })
        })
    }
}

impl Sink for Services {
    fn topics(&self) -> &'static [Topic] {
        &[]
    }

    fn state(&self, _event: &Event<'_>) {}

    fn declare(&self, config: &ReportConfig) {
        let next = (!config.services.is_empty()).then(|| {
            let named = config.services.iter();
            Arc::new(Current {
                services: named
                    .map(|list| (Arc::clone(list), self.service(list.name())))
                    .collect(),
                other: self.service(OTHER),
            })
        });
        let names = next.iter().flat_map(|next| next.all());
        self.declared
            .declare(names.map(|service| vec![service.name.clone()]));
        self.current.store(next);
        // Whoever is still open there counts for what nobody reads any more.
        self.declared.gone(|name| {
            let _ = self.open.remove_label_values(name);
            let _ = self.opens.remove_label_values(name);
            for class in CLASSES {
                let _ = self.closes.remove_label_values(&[name, &[class]].concat());
            }
            for direction in Direction::ALL {
                let of = [name, &[direction.label()]].concat();
                let _ = self.messages.remove_label_values(&of);
                let _ = self.payload.remove_label_values(&of);
            }
        });
    }

    fn refresh(&self) {
        for service in self.current.load().iter().flat_map(|current| current.all()) {
            service.sum_up();
        }
    }
}

/// One service's numbers.
#[derive(Debug)]
pub(in crate::report) struct Service {
    name: String,
    open: IntGauge,
    opens: IntCounter,
    closes: [IntCounter; CLASSES.len()],
    /// By [`Direction::index`], as of the last scrape.
    messages: [IntCounter; 2],
    payload: [IntCounter; 2],
    parts: [ThreadCounts; PARTS],
}

/// What some of the threads have counted. The alignment keeps each in cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct ThreadCounts {
    messages: [AtomicU64; 2],
    payload: [AtomicU64; 2],
}

thread_local! {
    /// Which part this thread counts in.
    static PART: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Relaxed) % PARTS
    };
}

impl Service {
    pub(in crate::report) fn opened(&self) {
        self.opens.inc();
        self.open.inc();
    }

    pub(in crate::report) fn closed(&self, totals: &WebSocketTotals) {
        self.open.dec();
        let class = class(totals.first_close.as_ref().map(|close| close.code));
        if let Some(at) = CLASSES.iter().position(|known| *known == class) {
            self.closes[at].inc();
        }
    }

    pub(in crate::report) fn batch(&self, batch: &Batch) {
        // A thread that is about to end has none any more.
        let part = &self.parts[PART.try_with(|part| *part).unwrap_or(0)];
        let way = batch.direction.index();
        let messages: u64 = batch.passed.messages.iter().map(|count| u64::from(*count)).sum();
        part.messages[way].fetch_add(messages, Relaxed);
        part.payload[way].fetch_add(batch.passed.payload_bytes.iter().sum(), Relaxed);
    }

    /// Brings what is exported up to what was counted.
    fn sum_up(&self) {
        for way in 0..2 {
            let sum = |of: fn(&ThreadCounts) -> &[AtomicU64; 2]| -> u64 {
                self.parts.iter().map(|part| of(part)[way].load(Relaxed)).sum()
            };
            for (counter, counted) in [
                (&self.messages[way], sum(|part| &part.messages)),
                (&self.payload[way], sum(|part| &part.payload)),
            ] {
                counter.inc_by(counted.saturating_sub(counter.get()));
            }
        }
    }
}

/// The class of the first Close: `None` where there was none, and `Some(None)` where it had no code.
const fn class(close: Option<Option<u16>>) -> &'static str {
    match close {
        None => "cut",
        Some(None) => "none",
        Some(Some(1000)) => "1000",
        Some(Some(1001)) => "1001",
        Some(Some(1002..=1999)) => "1xxx",
        Some(Some(3000..=3999)) => "3xxx",
        Some(Some(4000..=4999)) => "4xxx",
        Some(Some(_)) => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::hosts::Format;
    use crate::inspect::filter::Stopped;
    use crate::relay::{Closer, End, FirstClose};
    use crate::wire::frame::FrameCounts;
    use crate::wire::names::Host;
    use prometheus::TextEncoder;

    fn list(name: &str) -> Arc<List> {
        Arc::new(List::parse(name, &format!("^{name}\\.test:443$\n"), Format::UrlRegex, true).unwrap())
    }

    fn of(services: &[&str]) -> ReportConfig {
        ReportConfig {
            services: services.iter().map(|name| list(name)).collect(),
            ..ReportConfig::default()
        }
    }

    fn target(name: &str) -> Authority {
        Authority {
            host: Host::Name(format!("{name}.test")),
            port: 443,
        }
    }

    fn batch(direction: Direction, messages: u32, bytes: u64) -> Batch {
        let mut passed = FrameCounts::default();
        (passed.messages[0], passed.payload_bytes[1]) = (messages, bytes);
        Batch {
            direction,
            passed,
            stopped: Stopped::default(),
            inside: std::time::Duration::ZERO,
        }
    }

    fn ended(code: Option<Option<u16>>) -> WebSocketTotals {
        WebSocketTotals {
            first_close: code.map(|code| FirstClose {
                by: Closer::Client,
                code,
                reason: String::new(),
            }),
            end: End::Closed,
            ..WebSocketTotals::none()
        }
    }

    #[test]
    fn each_service_has_its_numbers_and_the_rest_is_other() {
        let registry = Registry::new();
        let services = Services::new(&registry).unwrap();
        let scrape = || {
            services.refresh();
            TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
        };
        assert!(services.find(&target("slack")).is_none());
        assert!(!scrape().contains("service="), "nobody asked for any");

        services.declare(&of(&["slack", "teams"]));
        let zero = "wsbump_service_websocket_messages_total{direction=\"to_origin\",service=\"other\"} 0\n";
        assert!(scrape().contains(zero), "{}", scrape());
        let (slack, unknown) = (
            services.find(&target("slack")).unwrap(),
            services.find(&target("elsewhere")).unwrap(),
        );
        slack.opened();
        unknown.opened();
        unknown.closed(&ended(Some(Some(4001))));
        // Threads that count at once lose nothing.
        std::thread::scope(|scope| {
            for _ in 0..2 * PARTS {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        slack.batch(&batch(Direction::ToClient, 2, 10));
                    }
                });
            }
        });
        let text = scrape();
        for series in [
            "wsbump_service_websockets_open{service=\"slack\"} 1\n",
            "wsbump_service_websockets_open{service=\"other\"} 0\n",
            "wsbump_service_websocket_opens_total{service=\"other\"} 1\n",
            "wsbump_service_websocket_opens_total{service=\"teams\"} 0\n",
            "wsbump_service_websocket_closes_total{code=\"4xxx\",service=\"other\"} 1\n",
            "wsbump_service_websocket_messages_total{direction=\"to_client\",service=\"slack\"} 32000\n",
            "wsbump_service_websocket_payload_bytes_total{direction=\"to_client\",service=\"slack\"} 160000\n",
            "wsbump_service_websocket_payload_bytes_total{direction=\"to_client\",service=\"other\"} 0\n",
        ] {
            assert!(text.contains(series), "{series} in {text}");
        }

        // What is open keeps its numbers over a reload; what is named no longer has none.
        services.declare(&of(&["slack"]));
        slack.closed(&ended(None));
        let text = scrape();
        assert!(!text.contains("teams"), "{text}");
        assert!(
            text.contains("wsbump_service_websockets_open{service=\"slack\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("wsbump_service_websocket_closes_total{code=\"cut\",service=\"slack\"} 1\n"),
            "{text}"
        );
        services.declare(&of(&[]));
        unknown.opened();
        assert!(!scrape().contains("service="), "{}", scrape());
    }

    #[test]
    fn every_close_has_a_class() {
        for (close, wanted) in [
            (None, "cut"),
            (Some(None), "none"),
            (Some(Some(1000)), "1000"),
            (Some(Some(1001)), "1001"),
            (Some(Some(1008)), "1xxx"),
            (Some(Some(2500)), "other"),
            (Some(Some(3000)), "3xxx"),
            (Some(Some(4999)), "4xxx"),
            (Some(Some(5000)), "other"),
        ] {
            assert_eq!(class(close), wanted);
            assert!(CLASSES.contains(&wanted));
        }
    }
}
