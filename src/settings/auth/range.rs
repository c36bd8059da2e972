//! Values that have to be within a range.

use crate::settings::reader::{At, Section};
use std::ops::RangeInclusive;
use std::time::Duration;

/// A duration within `range`.
pub(super) fn duration(
    section: &mut Section<'_, '_>,
    key: &'static str,
    default: Duration,
    range: RangeInclusive<Duration>,
) -> Duration {
    let At { value, span } = section.duration_at(key, default);
    if range.contains(&value) {
        return value;
    }
    let (low, high) = (range.start().as_secs_f32(), range.end().as_secs_f32());
    let message = format!("is out of range; write a time from {low} to {high} seconds");
    section.note(&span, key, message);
    default
}
