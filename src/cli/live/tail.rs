//! `wsbump tail`: what happens, while it happens.

use super::client::LiveClient;
use super::lines;
use crate::cli::args::{MessageKind, TailArgs, Way};
use crate::cli::output::{CommandError, emit, tell};
use crate::journey::Proxy;
use crate::live::{Delivery, LiveFilter, LiveTopic, LiveTopics, Shown, printable};
use crate::report::OperatorAct;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The most of one event, in bytes: content is cut before, so that what is longer is none.
const EVENT: usize = 128 << 20;

/// `wsbump tail`: prints events until the proxy ends, or so many have come.
///
/// # Errors
/// No proxy answers, or it lets nobody see what is asked for.
pub fn tail(options: &TailArgs) -> Result<(), CommandError> {
    let client = LiveClient::of(&options.place)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::Other(format!("cannot start: {error}")))?;
    runtime.block_on(follow(options, &client))
}

async fn follow(options: &TailArgs, client: &LiveClient) -> Result<(), CommandError> {
    let answer = client.stream("/api/v1/events", &asked(options)).await?;
    let mut events = Events::new(answer.into_body());
    let mut left = options.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let Some((name, data)) = events.next().await? else {
            tell("the proxy has ended\n");
            return Ok(());
        };
        if name == "watching" {
            let masked = if data["masked"] == false {
                "secrets in clear"
            } else {
                "secrets masked"
            };
            let topics = data["topics"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            let topics: Vec<_> = topics.collect();
            tell(&format!(
                "watching {}: {} ({masked})\n",
                client.path().display(),
                topics.join(", ")
            ));
            continue;
        }
        let is_event = name != "lost";
        emit(line(&data, options.json).as_bytes())?;
        left -= u64::from(is_event);
    }
    Ok(())
}

/// An event as it is printed.
fn line(event: &Value, as_json: bool) -> String {
    match as_json {
        true => format!("{}\n", json_line(event)),
        false => lines::event(event),
    }
}

/// JSON in which everything that a terminal would obey is an escape of JSON's.
fn json_line(event: &Value) -> String {
    let text = event.to_string();
    if matches!(printable(&text, false), std::borrow::Cow::Borrowed(_)) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        let mut bytes = [0; 4];
        if matches!(
            printable(c.encode_utf8(&mut bytes), false),
            std::borrow::Cow::Borrowed(_)
        ) {
            safe.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    safe
}

fn content(messages: bool, bodies: bool) -> LiveTopics {
    let mut topics = LiveTopics::NONE;
    if messages {
        topics = topics.with(LiveTopic::Messages);
    }
    if bodies {
        topics = topics.with(LiveTopic::Bodies);
    }
    topics
}

fn asked(options: &TailArgs) -> Value {
    // What is said of messages alone leaves out all that is none.
    let is_content = options.text.is_some() || options.opcode.is_some() || options.direction.is_some();
    let rows = if is_content {
        LiveTopics::NONE
    } else {
        LiveTopics::rows()
    };
    let messages = options.messages || options.raw || (is_content && !options.bodies);
    let topics = rows.and(content(messages, options.bodies));
    let topics: Vec<_> = topics.each().map(LiveTopic::label).collect();
    let mut asked = json!({
        "topics": topics, "host": options.host, "client": options.client, "user": options.user,
        "connection": options.connection, "text": options.text, "raw": options.raw, "reason": options.reason,
        "direction": options.direction.map(|way| match way {
            Way::ToOrigin => "to_origin",
            Way::ToClient => "to_client",
        }),
        "opcode": options.opcode.map(|kind| match kind {
            MessageKind::Text => "text",
            MessageKind::Binary => "binary",
        }),
    });
    if let Value::Object(asked) = &mut asked {
        asked.retain(|_, value| !value.is_null());
    }
    asked
}

/// The events of a stream, one by one.
struct Events {
    body: Incoming,
    read: Vec<u8>,
    /// Where in that the next event begins to be looked for.
    at: usize,
}

impl Events {
    fn new(body: Incoming) -> Self {
        Self {
            body,
            read: Vec::new(),
            at: 0,
        }
    }

    /// The name and data of the next one; `None` at the end.
    async fn next(&mut self) -> Result<Option<(String, Value)>, CommandError> {
        loop {
            while let Some(end) = memchr::memmem::find(&self.read[self.at..], b"\n\n") {
                let block = &self.read[self.at..self.at + end];
                let found = parse(block);
                self.at += end + 2;
                if found.is_some() {
                    return Ok(found);
                }
            }
            self.read.drain(..self.at);
            self.at = 0;
            if self.read.len() > EVENT {
                return Err(CommandError::Other(
                    "the proxy sends an event without an end".to_owned(),
                ));
            }
            match self.body.frame().await {
                // What ends in the middle has ended too.
                None | Some(Err(_)) => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.read.extend_from_slice(data);
                    }
                }
            }
        }
    }
}

/// One event; `None` for a comment.
fn parse(block: &[u8]) -> Option<(String, Value)> {
    let text = std::str::from_utf8(block).ok()?;
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    Some((
        field("event")?.to_owned(),
        serde_json::from_str(field("data")?).ok()?,
    ))
}

/// `wsbump run --tail`: prints what happens in this very process, messages included, until it ends.
pub async fn print_own(proxy: Arc<Proxy>) {
    let view = proxy.config.load().view;
    let topics = LiveTopics::rows().and(content(view.content, false));
    if view.content {
        let details = Map::from_iter([("topics".to_owned(), topics.each().map(LiveTopic::label).collect())]);
        let act = OperatorAct {
            r#type: "view",
            by: "run --tail".to_owned(),
            details,
        };
        let report = Arc::clone(&proxy.report);
        let written = tokio::task::spawn_blocking(move || report.act(&act, Duration::from_secs(2))).await;
        if !written.unwrap_or(false) {
            return tell("wsbump: nothing is shown, since the audit log cannot be written\n");
        }
    }
    let filter = LiveFilter {
        topics,
        ..LiveFilter::default()
    };
    let Ok(mut watching) = proxy.watch(filter) else {
        return;
    };
    let mut shown = Shown::new(
        Arc::clone(proxy.report.live()),
        false,
        view.content_bytes,
        None,
        view.content,
    );
    loop {
        let event = match watching.next().await {
            Delivery::Lost(lost) => Some(json!({ "type": "lost", "events": lost })),
            Delivery::Event(event) => shown.event(&event),
        };
        // Whoever has closed standard output sees nothing more, and the proxy goes on.
        if let Some(event) = event
            && emit(lines::event(&event).as_bytes()).is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn events_have_a_name_and_data() {
        let (name, data) = parse(b"id: 7\nevent: messages\ndata: {\"a\":1}").unwrap();
        assert_eq!((name.as_str(), &data["a"]), ("messages", &json!(1)));
        assert_eq!(parse(b":"), None);
        assert_eq!(parse(b"event: x\ndata: {"), None);
    }

    proptest! {
        #[test]
        fn a_line_of_json_is_safe_and_means_the_same(text in any::<String>()) {
            let event = json!({ "text": text });
            let line = json_line(&event);
            prop_assert!(line.chars().all(|c| !c.is_control()));
            prop_assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), event);
        }
    }
}
