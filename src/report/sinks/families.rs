//! Families of metrics, registered by their definition.

use super::names::Def;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, Result};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

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

/// Label values that the configuration names. What it names no longer is known too, so that its series can end: whoever
/// was served by the old configuration may still count for them once more.
#[derive(Debug, Default)]
pub(super) struct Declared(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    now: BTreeSet<Vec<String>>,
    /// Bounded by what the operator has ever named.
    gone: BTreeSet<Vec<String>>,
}

impl Declared {
    /// From now on these are named, and no others.
    pub(super) fn declare(&self, named: impl Iterator<Item = Vec<String>>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut known.now, named.collect());
        known.gone.extend(before);
        let Known { now, gone } = &mut *known;
        gone.retain(|values| !now.contains(values));
    }

    /// Each that is named.
    pub(super) fn now(&self) -> Vec<Vec<String>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.now.iter().cloned().collect()
    }

    /// Each that was named once and is not now.
    pub(super) fn gone(&self, mut end: impl FnMut(&[&str])) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for values in &known.gone {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            end(&values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_no_longer_is_gone_until_it_is_named_again() {
        let declared = Declared::default();
        let gone = || {
            let mut gone = Vec::new();
            declared.gone(|values| gone.push(values.join(" ")));
            gone
        };
        let name = |names: &[&str]| {
            declared.declare(names.iter().map(|name| vec![(*name).to_owned(), "x".to_owned()]));
        };
        name(&["a", "b"]);
        assert!(gone().is_empty());
        name(&["b", "c"]);
        assert_eq!(gone(), ["a x"]);
        name(&[]);
        assert_eq!(gone(), ["a x", "b x", "c x"]);
        name(&["a"]);
        assert_eq!(gone(), ["b x", "c x"]);
    }
}
