//! What comes again and again stands there once, with a number.

use super::lines;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Directions of WebSockets that are known at once; more than anybody reads.
const KNOWN: usize = 1024;

/// What was said last one way on one WebSocket.
#[derive(Debug)]
struct Last {
    text: Value,
    base64: Value,
    size: Value,
    name: String,
    /// How often it has come again since that was told.
    again: u64,
}

/// Events on their way to somebody who reads them.
#[derive(Debug, Default)]
pub(super) struct Fold {
    shows_heartbeats: bool,
    last: HashMap<(u64, bool), Last>,
    heartbeats: HashMap<u64, u64>,
}

impl Fold {
    pub(super) fn new(shows_heartbeats: bool) -> Self {
        Self {
            shows_heartbeats,
            ..Self::default()
        }
    }

    /// What is to be printed of an event, and of what came before it.
    pub(super) fn take(&mut self, event: &Value) -> String {
        let websocket = event["websocket"].as_u64();
        match (event["type"].as_str(), websocket) {
            (Some("message"), Some(websocket)) => self.message(event, websocket),
            (Some("websocket_closed"), Some(websocket)) => {
                let mut out = String::new();
                for way in [true, false] {
                    if let Some(last) = self.last.remove(&(websocket, way)) {
                        last.tell(&mut out);
                    }
                }
                if let Some(heartbeats) = self.heartbeats.remove(&websocket) {
                    let _ = writeln!(out, "{}{heartbeats} heartbeats were not shown", lines::INDENT);
                }
                out.push_str(&lines::event(event));
                out
            }
            _ => lines::event(event),
        }
    }

    fn message(&mut self, event: &Value, websocket: u64) -> String {
        if event["heartbeat"] == true && !self.shows_heartbeats {
            self.make_room();
            *self.heartbeats.entry(websocket).or_default() += 1;
            return String::new();
        }
        let key = (websocket, event["direction"] == "to_origin");
        if let Some(last) = self.last.get_mut(&key)
            && last.is(event)
        {
            last.again += 1;
            return String::new();
        }
        let mut out = self.make_room();
        let last = Last {
            text: event["text"].clone(),
            base64: event["base64"].clone(),
            size: event["size"].clone(),
            name: lines::name(event),
            again: 0,
        };
        if let Some(before) = self.last.insert(key, last) {
            before.tell(&mut out);
        }
        out.push_str(&lines::event(event));
        out
    }

    /// Forgets all where there is too much of it.
    fn make_room(&mut self) -> String {
        let mut out = String::new();
        if self.last.len() + self.heartbeats.len() >= KNOWN {
            out = self.flush();
            self.last.clear();
            self.heartbeats.clear();
        }
        out
    }

    /// How often what was printed has come again by now.
    pub(super) fn flush(&mut self) -> String {
        let mut out = String::new();
        let mut all: Vec<_> = self.last.iter_mut().collect();
        all.sort_unstable_by_key(|(key, _)| **key);
        for (_, last) in all {
            last.tell(&mut out);
            last.again = 0;
        }
        out
    }
}

impl Last {
    fn is(&self, event: &Value) -> bool {
        self.size == event["size"] && self.text == event["text"] && self.base64 == event["base64"]
            // What rules did to one is told of that one.
            && event["verdict"].is_null()
    }

    fn tell(&self, out: &mut String) {
        if self.again > 0 {
            let times = if self.again == 1 {
                "once more"
            } else {
                "times more"
            };
            let number = if self.again == 1 {
                String::new()
            } else {
                format!("{} ", self.again)
            };
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{}{} repeated {number}{times}", lines::INDENT, self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(websocket: u64, direction: &str, text: &str) -> Value {
        json!({ "type": "message", "time": "2026-11-30T12:00:00.000Z", "connection": 5, "websocket": websocket,
            "direction": direction, "opcode": "text", "size": text.len(), "text": text })
    }

    #[test]
    fn what_comes_again_is_counted_each_way() {
        let mut fold = Fold::new(false);
        let mut out = String::new();
        for _ in 0..413 {
            // What one end says between two of the other hides neither.
            out.push_str(&fold.take(&message(2, "to_origin", "tick")));
            out.push_str(&fold.take(&message(2, "to_client", "tock")));
        }
        assert_eq!(
            (out.matches("tick").count(), out.matches("tock").count()),
            (1, 1),
            "{out}"
        );
        let flushed = fold.flush();
        assert!(flushed.contains("<- #5/2 repeated 412 times more\n"), "{flushed}");
        assert!(flushed.contains("-> #5/2 repeated 412 times more\n"), "{flushed}");
        assert_eq!(fold.flush(), "", "that was told");
        fold.take(&message(2, "to_origin", "tick"));
        let other = fold.take(&message(2, "to_origin", "tack"));
        assert!(
            other.starts_with("              -> #5/2 repeated once more\n") && other.contains("tack"),
            "{other}"
        );
        assert!(
            fold.take(&message(3, "to_origin", "tack")).contains("tack"),
            "another WebSocket"
        );
        let mut ruled = message(3, "to_origin", "tack");
        ruled["verdict"] = "change".into();
        assert!(
            fold.take(&ruled).contains("change"),
            "what rules did is never folded"
        );
    }

    #[test]
    fn heartbeats_are_counted_and_shown_to_those_who_want_them() {
        let mut beat = message(2, "to_origin", "2");
        beat["heartbeat"] = true.into();
        let mut fold = Fold::new(false);
        assert_eq!(
            (fold.take(&beat), fold.take(&beat)),
            (String::new(), String::new())
        );
        let closed = fold.take(&json!({ "type": "websocket_closed", "websocket": 2 }));
        assert!(
            closed.starts_with("              2 heartbeats were not shown\n"),
            "{closed}"
        );
        assert!(Fold::new(true).take(&beat).contains("text 1 B"));
    }

    #[test]
    fn there_is_an_end_to_what_is_known() {
        let mut fold = Fold::new(false);
        for websocket in 0..5000 {
            fold.take(&message(websocket, "to_origin", "x"));
            assert!(fold.last.len() <= KNOWN);
        }
    }
}
