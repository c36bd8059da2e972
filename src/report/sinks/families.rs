//! Families of metrics, registered by their definition.

use super::names::Def;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, Result};

/// Registers a family of counters.
pub(super) fn counters(registry: &Registry, def: &Def) -> Result<IntCounterVec> {
    let family = IntCounterVec::new(Opts::new(def.name, def.help), def.labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

/// Registers a family of gauges.
pub(super) fn gauges(registry: &Registry, def: &Def) -> Result<IntGaugeVec> {
    let family = IntGaugeVec::new(Opts::new(def.name, def.help), def.labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

/// Registers a family of histograms with these upper bounds.
pub(super) fn histograms(registry: &Registry, def: &Def, bounds: &[f64]) -> Result<HistogramVec> {
    let options = HistogramOpts::new(def.name, def.help).buckets(bounds.to_vec());
    let family = HistogramVec::new(options, def.labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}
