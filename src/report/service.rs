//! One WebSocket of a service that has numbers of its own.

use super::dispatch::Report;
use super::sinks::Service;
use crate::error::Side;
use crate::relay::{Batch, Meter, WebSocketTotals};
use crate::wire::names::Authority;
use std::sync::Arc;
use std::time::Duration;

/// Counts what passes for everybody and for a service.
#[derive(Debug)]
pub struct ServiceMeter {
    report: Arc<Report>,
    service: Arc<Service>,
}

impl ServiceMeter {
    /// Of a WebSocket with `target` that has opened; `None` where no services are counted.
    pub fn opened(report: &Arc<Report>, target: &Authority) -> Option<Self> {
        let service = report.service(target)?;
        service.opened();
        Some(Self {
            report: Arc::clone(report),
            service,
        })
    }

    /// It has ended so; to be said once.
    pub fn closed(&self, totals: &WebSocketTotals) {
        self.service.closed(totals);
    }
}

impl Meter for ServiceMeter {
    fn batch(&self, batch: &Batch) {
        self.report.batch(batch);
        self.service.batch(batch);
    }

    fn pong(&self, from: Side, round_trip: Duration) {
        self.report.pong(from, round_trip);
    }
}
