//! What a sink is.

use super::act::OperatorAct;
use super::config::ReportConfig;
use super::event::{Event, Topic};
use std::fmt;
use std::time::Duration;

/// A reader of events: turns them into numbers, lines or files that people read.
pub(super) trait Sink: fmt::Debug + Send + Sync {
    /// What it listens to; asked once.
    fn topics(&self) -> &'static [Topic];

    /// Takes in an event of its topics. Never waits; for [`Topic::Frames`] it neither locks nor allocates.
    fn state(&self, event: &Event<'_>);

    /// Takes in what holds from now on: at the start, and after each reload.
    fn declare(&self, _config: &ReportConfig) {}

    /// Takes in what somebody does who may see and act; says whether it is written for good, within `limit`. `None` where
    /// it does not keep such things. Blocks.
    fn act(&self, _act: &OperatorAct, _limit: Duration) -> Option<bool> {
        None
    }

    /// Brings up to date what it only asks for when somebody wants to read it.
    fn refresh(&self) {}

    /// Opens its file anew, since logrotate has moved it away.
    fn reopen(&self) {}

    /// Ends what it has under way, and tells whether that was written within `limit`. Blocks.
    fn finish(&self, _limit: Duration) -> bool {
        true
    }

    /// Tells whether everything that was stated could be written within `limit`. Blocks.
    fn flush(&self, _limit: Duration) -> bool {
        true
    }
}
