//! What tests of several rooms need.

use super::{
    About, Background, Blind, Judgement, Onlookers, RecordedContent, ScanOutcome, SessionFacts, Witness,
};
use crate::wire::frame::Direction;
use crate::wire::names::{Authority, Host};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Keeps what it is told, as lines.
#[derive(Debug, Default)]
pub(crate) struct Heard(pub(crate) Mutex<Vec<String>>);

impl Heard {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Witness for Heard {
    fn judged(&self, _: &SessionFacts, about: &About, judgement: &Judgement) {
        let names: Vec<&str> = judgement.findings.iter().map(|f| &*f.rule).collect();
        let verdict = judgement.verdict.label().replace("change", "replace");
        self.note(format!("judged {} {verdict} {names:?}", about.surface.label()));
    }

    fn blind(&self, _: &SessionFacts, about: &About, why: Blind, stopped: bool) {
        self.note(format!(
            "blind {} {} stopped={stopped}",
            about.surface.label(),
            why.label()
        ));
    }

    fn invalid_utf8(&self, _: &SessionFacts, direction: Direction) {
        self.note(format!("invalid_utf8 {}", direction.label()));
    }

    fn reframed(&self, direction: Direction, before: u64, after: u64) {
        self.note(format!("reframed {} {before} {after}", direction.label()));
    }

    fn inflated(&self, compressed: u64, plain: u64) {
        self.note(format!("inflated {compressed} {plain}"));
    }

    fn scanned(&self, scanner: &str, outcome: &ScanOutcome, _: Duration) {
        self.note(format!("scanned {scanner} {}", outcome.label()));
    }

    fn background(&self, what: Background) {
        self.note(format!("background {}", what.label()));
    }

    fn content(&self, _: &Arc<SessionFacts>, _: Onlookers, content: &RecordedContent<'_>) {
        if let RecordedContent::Message {
            direction,
            number,
            data,
            size,
            is_whole,
            judgement,
            ..
        } = content
        {
            let verdict = judgement.map_or("-", |judgement| judgement.verdict.label());
            let text = String::from_utf8_lossy(data);
            let direction = direction.label();
            self.note(format!(
                "content {direction} {number} {text:?} {size} {is_whole} {verdict}"
            ));
        }
    }
}

/// A session of `wss://example.com/chat?x=1` from 192.0.2.1.
pub(crate) fn facts() -> Arc<SessionFacts> {
    Arc::new(SessionFacts {
        connection: 1,
        client: [192, 0, 2, 1].into(),
        user: None,
        target: Authority {
            host: Host::Name("example.com".into()),
            port: 443,
        },
        aliases: Vec::new(),
        scheme: "wss",
        path: "/chat?x=1".into(),
        origin: Some("https://example.com".into()),
        subprotocol: None,
        websocket: None,
    })
}
