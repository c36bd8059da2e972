//! What a stream of events is asked to have.

use super::answer::Problem;
use crate::live::{LiveFilter, LiveTopic, LiveTopics};
use crate::wire::frame::{Direction, Opcode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::num::NonZeroU32;

/// The most events of a HAR file, which is kept in memory until it is whole.
const HAR_EVENTS: u64 = 5000;
/// The longest time that a stream may be asked to go on, in seconds: a day.
const LONGEST: u64 = 24 * 60 * 60;
/// The longest time that a stream is kept for a client that has gone, in seconds.
const KEPT: u64 = 60;
/// The most characters of a text that is looked for, or of a reason.
const TEXT: usize = 4096;

/// As what events come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// Server-Sent Events.
    #[default]
    Events,
    /// A line of JSON for each.
    Lines,
    /// One HAR 1.2 file, at the end.
    Har,
}

impl Format {
    /// Whether it is to be kept: that is an act of its own.
    pub(super) const fn is_export(self) -> bool {
        !matches!(self, Self::Events)
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Lines => "lines",
            Self::Har => "har",
        }
    }
}

/// What a stream is to have.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedEvents {
    /// Names of topics; all that hold no content, if left out.
    topics: Option<Vec<String>>,
    host: Option<String>,
    client: Option<String>,
    user: Option<String>,
    connection: Option<u64>,
    websocket: Option<u64>,
    direction: Option<String>,
    opcode: Option<String>,
    text: Option<String>,
    at_least: Option<u64>,
    at_most: Option<u64>,
    /// One of so many messages and exchanges.
    sample: Option<NonZeroU32>,
    /// Without a mask.
    #[serde(default)]
    pub(super) raw: bool,
    /// Why, for the audit log.
    reason: Option<String>,
    #[serde(default)]
    pub(super) format: Format,
    /// It ends after so many events.
    limit: Option<u64>,
    /// It ends after so many seconds.
    pub(super) seconds: Option<u64>,
    /// So long it is kept for a client that has gone.
    pub(super) keep_seconds: Option<u64>,
}

impl WantedEvents {
    /// As the bus is asked for it.
    pub(super) fn filter(&self) -> Result<LiveFilter, Problem> {
        self.check()?;
        let topics = match &self.topics {
            None => LiveTopics::rows(),
            Some(words) => {
                let known = |word: &String| {
                    LiveTopic::parse(word).ok_or_else(|| Problem::bad(format!("{word:?} is no topic")))
                };
                words.iter().map(known).collect::<Result<_, _>>()?
            }
        };
        let direction = match self.direction.as_deref() {
            None => None,
            Some(word) => {
                let found = Direction::ALL
                    .into_iter()
                    .find(|direction| direction.label() == word);
                let problem = || Problem::bad("direction is \"to_origin\" or \"to_client\"");
                Some(found.ok_or_else(problem)?)
            }
        };
        let opcode = match self.opcode.as_deref() {
            None => None,
            Some("text") => Some(Opcode::Text),
            Some("binary") => Some(Opcode::Binary),
            Some(_) => return Err(Problem::bad("opcode is \"text\" or \"binary\"")),
        };
        Ok(LiveFilter {
            topics,
            host: self.host.clone(),
            client: self.client.clone(),
            user: self.user.clone(),
            connection: self.connection,
            websocket: self.websocket,
            direction,
            opcode,
            text: self.text.clone().filter(|text| !text.is_empty()),
            at_least: self.at_least,
            at_most: self.at_most,
            sample: self.sample,
            names_until: None,
        })
    }

    fn check(&self) -> Result<(), Problem> {
        let texts = [&self.text, &self.reason, &self.host, &self.client, &self.user];
        if texts
            .into_iter()
            .flatten()
            .any(|text| text.chars().count() > TEXT)
        {
            return Err(Problem::bad(format!("a text is longer than {TEXT} characters")));
        }
        if self.seconds.is_some_and(|seconds| seconds > LONGEST) {
            return Err(Problem::bad(format!("seconds are {LONGEST} at most")));
        }
        if self.keep_seconds.is_some_and(|seconds| seconds > KEPT) {
            return Err(Problem::bad(format!("keep_seconds are {KEPT} at most")));
        }
        Ok(())
    }

    /// After how many events it ends.
    pub(super) fn limit(&self) -> Option<u64> {
        match self.format {
            Format::Har => Some(self.limit.unwrap_or(HAR_EVENTS).min(HAR_EVENTS)),
            _ => self.limit,
        }
    }

    /// The reason, if it says anything.
    pub(super) fn reason(&self) -> Option<&str> {
        /// The shortest reason that says anything.
        const REASON: usize = 4;
        let reason = self.reason.as_deref().unwrap_or_default().trim();
        (reason.chars().count() >= REASON).then_some(reason)
    }

    /// As the audit log has it. What is looked for may be a secret, so that it is only said that something is.
    pub(super) fn details(&self, filter: &LiveFilter) -> Map<String, Value> {
        let topics: Vec<_> = filter.topics.each().map(LiveTopic::label).collect();
        let details = json!({
            "topics": topics, "raw": self.raw, "reason": self.reason, "host": filter.host, "client": filter.client,
            "user": filter.user, "connection": filter.connection, "websocket": filter.websocket,
            "direction": self.direction, "opcode": self.opcode, "by_text": filter.text.as_ref().map(|_| true),
            "at_least": self.at_least, "at_most": self.at_most, "sample": self.sample,
            "format": self.format.is_export().then(|| self.format.label()),
        });
        let Value::Object(mut details) = details else {
            return Map::new();
        };
        details.retain(|_, value| !value.is_null());
        details
    }
}
