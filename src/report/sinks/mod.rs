//! Who turns events into something that people read: one file each.

mod access_log;
mod audit_log;
mod auth;
mod buffers;
mod certificates;
mod dns;
mod families;
mod found;
mod frames;
mod har;
mod inspection;
mod line;
mod live;
mod log_writer;
mod login_line;
mod metrics;
mod names;
mod operation_log;
mod parents;
mod policy;
mod process;
mod refused_line;
mod requests;
mod services;

pub(super) use services::{Service, Services};

use super::config::{ReportConfig, ReportError};
use super::instance::Instance;
use super::sink::Sink;
use crate::live::LiveBus;
use access_log::AccessLogSink;
use audit_log::AuditLog;
use auth::AuthMetrics;
use buffers::BufferMetrics;
use certificates::CertificateMetrics;
use dns::DnsMetrics;
use frames::FrameMeter;
use har::Har;
use inspection::InspectionMetrics;
use live::LiveSink;
use metrics::Metrics;
use operation_log::OperationLog;
use parents::ParentMetrics;
use policy::PolicyMetrics;
use prometheus::Registry;
use requests::RequestMetrics;
use std::sync::Arc;

/// Every sink, in the order in which they hear of an event. A new one has its line here.
pub(super) fn open(
    config: &ReportConfig,
    instance: &Instance,
    services: &Arc<Services>,
    live: &Arc<LiveBus>,
    registry: &Registry,
) -> Result<Vec<Arc<dyn Sink>>, ReportError> {
    let mut sinks: Vec<Arc<dyn Sink>> = vec![
        Arc::new(Metrics::new(registry)?),
        Arc::new(RequestMetrics::new(registry)?),
        Arc::new(DnsMetrics::new(registry)?),
        Arc::new(FrameMeter::new(registry)?),
        Arc::new(InspectionMetrics::new(registry)?),
        Arc::new(Har::new(instance, registry)?),
        Arc::new(CertificateMetrics::new(registry)?),
        Arc::new(BufferMetrics::new(registry)?),
        Arc::new(PolicyMetrics::new(registry)?),
        Arc::new(AuthMetrics::new(registry)?),
        Arc::new(ParentMetrics::new(registry)?),
        Arc::clone(services) as _,
        Arc::new(LiveSink(Arc::clone(live))),
        Arc::new(OperationLog::default()),
    ];
    let mut add = |sink: Option<Arc<dyn Sink>>| sinks.extend(sink);
    add(AccessLogSink::open(&config.access, instance, registry)?.map(|sink| Arc::new(sink) as _));
    add(AuditLog::open(&config.audit, instance, registry)?.map(|sink| Arc::new(sink) as _));
    Ok(sinks)
}
