//! What lines of all logs have in common.

use crate::accept::Who;
use crate::identity::{Identity, Proof};
use crate::inspect::SessionFacts;
use crate::report::instance::Instance;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// What one text of a line may hold; much of it comes from the network.
const TEXT_BYTES: usize = 2048;

/// At most [`TEXT_BYTES`] of a text, and a sign that there was more.
pub(super) fn cap(text: &str) -> Cow<'_, str> {
    if text.len() <= TEXT_BYTES {
        return text.into();
    }
    let mut end = TEXT_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end]).into()
}

/// The names of a user's groups, as many as fit: some are in hundreds.
pub(super) fn groups(user: Option<&Identity>) -> Vec<&str> {
    let mut bytes = 0;
    let groups = user.into_iter().flat_map(|user| user.groups.iter());
    let fits = |group: &&str| {
        bytes += group.len();
        bytes <= TEXT_BYTES
    };
    groups.map(|group| &**group).take_while(fits).collect()
}

/// What every line about a client begins with: when it was written, and whose it is.
#[derive(Serialize)]
pub(super) struct Whose<'a> {
    time: Stamp,
    instance: &'a Instance,
    connection: u64,
    client: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<&'static str>,
}

impl<'a> Whose<'a> {
    pub(super) fn of(instance: &'a Instance, who: &'a Who) -> Self {
        Self::new(instance, who.connection, who.client, who.user.as_deref())
    }

    pub(super) fn of_facts(instance: &'a Instance, facts: &'a SessionFacts) -> Self {
        Self::new(instance, facts.connection, facts.client, facts.user.as_deref())
    }

    fn new(instance: &'a Instance, connection: u64, client: IpAddr, user: Option<&'a Identity>) -> Self {
        Self {
            time: Stamp::current(),
            instance,
            connection,
            client,
            user: user.map(|user| cap(&user.name)),
            auth: user.and_then(|user| user.proof).map(Proof::label),
        }
    }
}

/// A moment, written by RFC 3339 in UTC with milliseconds.
pub(super) struct Stamp(SystemTime);

impl Stamp {
    pub(super) fn current() -> Self {
        Self(SystemTime::now())
    }

    /// So long after the Unix epoch.
    pub(super) fn at(since: Duration) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_the_network_stay_short() {
        // Every length around the bound, with characters of two bytes across it.
        for len in TEXT_BYTES - 3..TEXT_BYTES + 3 {
            for text in ["x".repeat(len), "é".repeat(len), format!("x{}", "é".repeat(len))] {
                let capped = cap(&text);
                assert!(capped.len() <= TEXT_BYTES + '…'.len_utf8());
                assert_eq!(capped.ends_with('…'), text.len() > TEXT_BYTES);
                assert!(text.starts_with(capped.trim_end_matches('…')));
            }
        }
    }

    #[test]
    fn times_are_rfc_3339() {
        let at = |millis| {
            serde_json::to_value(Stamp(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))).unwrap()
        };
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(at(951_782_400_001), "2000-02-29T00:00:00.001Z");
        assert_eq!(at(1_795_425_643_042), "2026-11-23T09:20:43.042Z");
    }
}
