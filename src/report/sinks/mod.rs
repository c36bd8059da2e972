//! Who turns events into something that people read: one file and one enum arm each.

mod access_log;
mod audit_log;
mod frames;
mod har;
mod inspection;
mod log_writer;
mod metrics;
mod names;
mod operation_log;

pub(super) use access_log::AccessLogSink;
pub(super) use audit_log::AuditLog;
pub(super) use frames::Frames;
pub(super) use har::Har;
pub(super) use inspection::InspectionMetrics;
pub(super) use log_writer::Writer;
pub(super) use metrics::Metrics;
pub(super) use operation_log::{OperationLog, ScanLog};

use super::Event;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, Result};

/// A reader of events.
#[derive(Debug)]
pub(super) enum Sink {
    /// The numbers of `/metrics`.
    Metrics(Box<Metrics>),
    /// One JSON line per connection, request and WebSocket.
    AccessLog(AccessLogSink),
    /// What the operator must know, through `tracing`.
    OperationLog(OperationLog),
}

impl Sink {
    pub(super) fn state(&self, event: &Event<'_>) {
        match self {
            Self::Metrics(sink) => sink.state(event),
            Self::AccessLog(sink) => sink.state(event),
            Self::OperationLog(sink) => sink.state(event),
        }
    }
}

/// Registers a family of counters.
fn counters(registry: &Registry, def: &names::Def) -> Result<IntCounterVec> {
    let family = IntCounterVec::new(Opts::new(def.name, def.help), def.labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

/// Registers a family of gauges.
fn gauges(registry: &Registry, def: &names::Def) -> Result<IntGaugeVec> {
    let family = IntGaugeVec::new(Opts::new(def.name, def.help), def.labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

/// Registers a family of histograms with these upper bounds.
fn histograms(registry: &Registry, def: &names::Def, bounds: &[f64]) -> Result<HistogramVec> {
    let options = HistogramOpts::new(def.name, def.help).buckets(bounds.to_vec());
    let family = HistogramVec::new(options, def.labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}
