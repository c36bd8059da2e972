//! When something happened.

use serde::{Serialize, Serializer};
use std::time::{Duration, SystemTime};

/// A time as RFC 3339 writes it: UTC, with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(SystemTime);

impl Stamp {
    /// Now.
    pub fn current() -> Self {
        Self(SystemTime::now())
    }

    /// So long after the Unix epoch.
    pub fn at(since: Duration) -> Self {
        Self(SystemTime::UNIX_EPOCH + since)
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let at = time::OffsetDateTime::from(self.0);
        let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
        let (hour, minute, second, milli) = (at.hour(), at.minute(), at.second(), at.millisecond());
        serializer.collect_str(&format_args!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
        ))
    }
}
