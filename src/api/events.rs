//! What happens, while it happens: one stream for each client (Server-Sent Events, HTML Living Standard section 9.2).

use super::answer::{Problem, answer};
use super::context::ApiContext;
use super::operate::body;
use super::rights::{Caller, Right};
use crate::journey::Watching;
use crate::live::{Delivery, LiveFilter, LiveTopic, LiveTopics, Shown};
use crate::wire::frame::{Direction, Opcode};
use axum::body::Body;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::Response;
use axum::{Extension, Json};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A stream that says nothing for so long says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events on their way to one client besides those that wait for it.
const AHEAD: usize = 16;
/// What waits is gathered up to this many bytes before it goes out.
const BATCH: usize = 64 << 10;
/// The shortest reason that says anything.
const REASON: usize = 4;

/// What a stream is to have.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
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
    /// Without a mask.
    #[serde(default)]
    raw: bool,
    /// Why, for the audit log.
    reason: Option<String>,
}

impl Wanted {
    fn filter(&self) -> Result<LiveFilter, Problem> {
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
        })
    }

    /// As the audit log has it. What is looked for may be a secret, so that it is only said that something is.
    fn details(&self, filter: &LiveFilter) -> Map<String, Value> {
        let topics: Vec<_> = filter.topics.each().map(LiveTopic::label).collect();
        let details = json!({
            "topics": topics, "raw": self.raw, "reason": self.reason, "host": filter.host, "client": filter.client,
            "user": filter.user, "connection": filter.connection, "websocket": filter.websocket,
            "direction": self.direction, "opcode": self.opcode, "by_text": filter.text.as_ref().map(|_| true),
        });
        let Value::Object(mut details) = details else {
            return Map::new();
        };
        details.retain(|_, value| !value.is_null());
        details
    }
}

/// `POST /api/v1/events`
pub(super) async fn events(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<Response, Problem> {
    caller.may(Right::View)?;
    let wanted = body(wanted)?;
    let filter = wanted.filter()?;
    let view = context.proxy.config.load().view;
    let has_content = filter.topics.has_content();
    let details = wanted.details(&filter);
    if has_content {
        caller.may(Right::Content)?;
        if !view.content {
            let detail = "the configuration lets nobody watch content (view.content)";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
    }
    if wanted.raw {
        caller.may(Right::Raw)?;
        if !view.raw {
            let detail = "the configuration lets nobody watch without a mask (view.raw)";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        let reason = wanted.reason.as_deref().unwrap_or_default().trim();
        if reason.chars().count() < REASON {
            let detail = "who watches without a mask says why, in reason";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
    }
    if has_content || wanted.raw {
        // Before the first byte leaves.
        context.act("view", &caller.by, details.clone()).await?;
    }
    let text = filter.text.clone();
    let topics: Vec<_> = filter.topics.each().map(LiveTopic::label).collect();
    let hello = json!({
        "instance": context.proxy.report.instance(), "topics": topics, "masked": !wanted.raw,
    });
    let watching = context.proxy.watch(filter).map_err(|_| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "as many watch as may; somebody has to stop first",
        )
    })?;
    let live = Arc::clone(context.proxy.report.live());
    let stream = Stream {
        shown: Shown::new(live, wanted.raw, view.content_bytes, text, has_content),
        watching,
        seen: 0,
        lost: 0,
    };
    let (sender, queue) = mpsc::channel(AHEAD);
    let by = caller.by;
    tokio::spawn(async move {
        let (seen, lost) = stream.run(&hello, &sender, &context.over).await;
        if has_content {
            let mut details = details;
            details.insert("events".into(), seen.into());
            details.insert("lost".into(), lost.into());
            // What is over cannot be kept from happening.
            let _ = context.act("view_ended", &by, details).await;
        }
    });
    let mut response = answer("text/event-stream", Body::new(EventBody(queue)));
    response.headers_mut().insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// Fills one client's stream.
struct Stream {
    watching: Watching,
    shown: Shown,
    seen: u64,
    lost: u64,
}

impl Stream {
    /// Until the client has gone, or all is over: how many events it has got, and how many it has lost.
    async fn run(
        mut self,
        hello: &Value,
        sender: &mpsc::Sender<Bytes>,
        over: &CancellationToken,
    ) -> (u64, u64) {
        let mut out = String::new();
        write(&mut out, None, "watching", hello);
        loop {
            if !out.is_empty() {
                let batch = Bytes::from(std::mem::take(&mut out));
                if sender.send(batch).await.is_err() {
                    return (self.seen, self.lost);
                }
            }
            tokio::select! {
                biased;
                () = sender.closed() => return (self.seen, self.lost),
                () = over.cancelled() => return (self.seen, self.lost),
                delivery = self.watching.next() => self.take(&delivery, &mut out),
                () = tokio::time::sleep(HEARTBEAT) => {
                    // What was lost at the end of a flood is told though nothing comes behind it.
                    match self.watching.lost() {
                        0 => out.push_str(":\n\n"),
                        lost => self.take(&Delivery::Lost(lost), &mut out),
                    }
                }
            }
            // One write for what has come meanwhile.
            while out.len() < BATCH
                && let Some(delivery) = self.watching.ready()
            {
                self.take(&delivery, &mut out);
            }
        }
    }

    fn take(&mut self, delivery: &Delivery, out: &mut String) {
        match delivery {
            Delivery::Lost(lost) => {
                self.lost += lost;
                write(out, None, "lost", &json!({ "type": "lost", "events": lost }));
            }
            Delivery::Event(event) => {
                if let Some(shown) = self.shown.event(event) {
                    self.seen += 1;
                    write(out, Some(event.id), event.what.topic().label(), &shown);
                }
            }
        }
    }
}

fn write(out: &mut String, id: Option<u64>, event: &str, data: &Value) {
    use std::fmt::Write as _;
    // Writing to a string cannot fail; JSON has no line's end in it.
    if let Some(id) = id {
        let _ = writeln!(out, "id: {id}");
    }
    let _ = write!(out, "event: {event}\ndata: {data}\n\n");
}

/// What has been written, as a body.
struct EventBody(mpsc::Receiver<Bytes>);

impl http_body::Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|batch| batch.map(|batch| Ok(Frame::data(batch))))
    }
}
