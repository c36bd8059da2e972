//! `forwarded_for`: what servers are told of clients.

use super::headers::Setting;
use super::note::{LineOutcome, Notes};
use super::read::Line;

/// What is said of X-Forwarded-For.
#[derive(Debug, Default)]
pub(super) struct Forwarded {
    says: Option<(Vec<String>, String)>,
    is_said: bool,
}

impl Forwarded {
    /// Takes the line in.
    pub(super) fn add(&mut self, line: &Line, notes: &mut Notes) {
        let about = format!("{}: {}", line.place, line.text);
        let mut note = |outcome, text: &str| notes.add(&line.place, "forwarded_for", outcome, text);
        self.is_said = true;
        let (says, outcome, text) = match line.word(0).unwrap_or("on") {
            "delete" => (
                vec!["remove_headers = [\"X-Forwarded-For\"]".to_owned()],
                LineOutcome::Taken,
                "as remove_headers of a setting, and nothing is told",
            ),
            "truncate" => (
                vec![
                    "remove_headers = [\"X-Forwarded-For\"]".to_owned(),
                    "tell_client = \"x_forwarded_for\"".to_owned(),
                ],
                LineOutcome::Taken,
                "as tell_client and remove_headers of a setting",
            ),
            "transparent" => (
                Vec::new(),
                LineOutcome::Taken,
                "as it is by default: what the client sends passes",
            ),
            "off" => (
                Vec::new(),
                LineOutcome::Changed,
                "nothing is added; Squid adds the word \"unknown\", which tells as little",
            ),
            _ => (
                vec!["tell_client = \"x_forwarded_for\"".to_owned()],
                LineOutcome::Taken,
                "as tell_client of a setting: each server learns its clients' addresses",
            ),
        };
        note(outcome, text);
        self.says = (!says.is_empty()).then_some((says, about));
    }

    /// Whether nothing is said, where Squid tells every server.
    pub(super) fn is_silent(&self) -> bool {
        !self.is_said
    }

    /// The setting.
    pub(super) fn settings(&self) -> Option<Setting> {
        let (says, about) = self.says.clone()?;
        Some(Setting {
            about: vec![about],
            term: Vec::new(),
            says,
        })
    }
}
