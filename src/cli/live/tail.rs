//! `wsbump tail`: what happens, while it happens.

use super::client::LiveClient;
use super::fold::Fold;
use crate::cli::args::{MessageKind, MessageWay, TailArgs};
use crate::cli::output::{CommandError, json_line, tell};
use crate::journey::Proxy;
use crate::live::{Delivery, LiveFilter, LiveTopic, LiveTopics, Shown};
use crate::report::OperatorAct;
use crate::settings::Problems;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The most of one event, in bytes: content is cut before, so that what is longer is none.
const EVENT: usize = 128 << 20;
/// How often it is told how many times what is on the screen has come again.
const COUNTS: Duration = Duration::from_secs(5);

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
    if let Some(file) = &options.har {
        return record(options, client, file).await;
    }
    let answer = client.stream("/api/v1/events", &asked(options)?).await?;
    let mut events = Events::new(answer.into_body());
    let mut fold = Fold::new(options.heartbeats);
    let mut counts = tokio::time::interval(COUNTS);
    loop {
        let next = tokio::select! {
            next = events.next() => next?,
            _ = counts.tick() => {
                if write(&fold.flush())? {
                    continue;
                }
                return Ok(());
            }
        };
        let Some((name, data)) = next else {
            write(&fold.flush())?;
            // What was asked to end has ended by itself.
            if options.limit.is_none() && options.seconds.is_none() {
                tell("the proxy has ended\n");
            }
            return Ok(());
        };
        if name == "watching" {
            greet(client, &data);
            continue;
        }
        let text = match options.json {
            true => format!("{}\n", json_line(&data)),
            false => fold.take(&data),
        };
        if !write(&text)? {
            return Ok(());
        }
    }
}

fn greet(client: &LiveClient, hello: &Value) {
    let masked = match hello["masked"] == false {
        true => "secrets in clear",
        false => "secrets masked",
    };
    let topics = hello["topics"].as_array().into_iter().flatten();
    let topics: Vec<_> = topics.filter_map(Value::as_str).collect();
    let path = client.path().display();
    tell(&format!("watching {path}: {} ({masked})\n", topics.join(", ")));
}

/// Writes to standard output; tells whether anybody reads on.
fn write(text: &str) -> Result<bool, CommandError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        // Whoever has seen enough (`| head`) has not failed.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CommandError::Other(format!(
            "cannot write to standard output: {error}"
        ))),
    }
}

/// Has the proxy make a HAR file, and keeps it as what only this user reads.
async fn record(options: &TailArgs, client: &LiveClient, file: &Path) -> Result<(), CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError::Other(format!("{}: {error}", file.display()));
    let asked = asked(options)?;
    // Before anybody waits for minutes.
    let mut kept = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(|error| failed(&error))?;
    let answer = match client.stream("/api/v1/events", &asked).await {
        Ok(answer) => answer,
        Err(error) => {
            // Nothing is in it.
            let _ = std::fs::remove_file(file);
            return Err(error);
        }
    };
    greet(
        client,
        &json!({ "topics": asked["topics"], "masked": !options.raw }),
    );
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failed(&error))?;
        if let Some(data) = frame.data_ref() {
            kept.write_all(data).map_err(|error| failed(&error))?;
        }
    }
    kept.sync_all().map_err(|error| failed(&error))
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

fn asked(options: &TailArgs) -> Result<Value, CommandError> {
    if options.har.is_some() && options.limit.is_none() && options.seconds.is_none() {
        let message = "a HAR file has an end: say --limit or --seconds";
        return Err(Problems::of_option("--har", message.to_owned()).into());
    }
    // What is said of messages alone leaves out all that is none.
    let has_size = options.at_least.is_some() || options.at_most.is_some();
    let is_content =
        options.text.is_some() || options.opcode.is_some() || options.direction.is_some() || has_size;
    let rows = match (is_content, options.har.is_some()) {
        (true, _) => LiveTopics::NONE,
        (false, true) => LiveTopics::NONE.with(LiveTopic::WebSockets),
        (false, false) => LiveTopics::rows(),
    };
    let is_asked = options.messages || options.bodies;
    let messages = options.messages || ((options.raw || is_content || options.har.is_some()) && !is_asked);
    let topics = rows.and(content(
        messages,
        options.bodies || (options.har.is_some() && !is_asked),
    ));
    let topics: Vec<_> = topics.each().map(LiveTopic::label).collect();
    let mut asked = json!({
        "topics": topics, "host": options.host, "client": options.client, "user": options.user,
        "connection": options.connection, "text": options.text, "raw": options.raw, "reason": options.reason,
        "direction": options.direction.map(|way| match way {
            MessageWay::ToOrigin => "to_origin",
            MessageWay::ToClient => "to_client",
        }),
        "opcode": options.opcode.map(|kind| match kind {
            MessageKind::Text => "text",
            MessageKind::Binary => "binary",
        }),
        "at_least": options.at_least, "at_most": options.at_most, "sample": options.sample,
        "limit": options.limit, "seconds": options.seconds, "format": options.har.as_ref().map(|_| "har"),
    });
    if let Value::Object(asked) = &mut asked {
        asked.retain(|_, value| !value.is_null());
    }
    Ok(asked)
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
    let mut fold = Fold::new(false);
    let mut counts = tokio::time::interval(COUNTS);
    loop {
        let text = tokio::select! {
            delivery = watching.next() => match delivery {
                Delivery::Lost(lost) => fold.take(&json!({ "type": "lost", "events": lost })),
                Delivery::Event(event) => shown.event(&event).map(|event| fold.take(&event)).unwrap_or_default(),
            },
            _ = counts.tick() => fold.flush(),
        };
        // Whoever has closed standard output sees nothing more, and the proxy goes on.
        if !matches!(write(&text), Ok(true)) {
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
