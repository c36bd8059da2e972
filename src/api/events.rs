//! What happens, while it happens: one stream for each client (Server-Sent Events, HTML Living Standard section 9.2), or a
//! file of it.

use super::answer::{Problem, answer};
use super::asked::{Asking, body};
use super::context::ApiContext;
use super::kept::{self, KeptStream};
use super::rights::{Caller, Right};
use super::stream::{Begun, Ends, Stopped, Stream};
use super::unlocks::Locked;
use super::wanted::{Format, WantedEvents};
use crate::live::{LiveFilter, LiveTopic, Shown, ViewConfig};
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_DISPOSITION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Frame;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Events on their way to one client besides those that wait for it.
const AHEAD: usize = 16;

/// `POST /api/v1/events`
pub(super) async fn events(
    State(context): State<ApiContext>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    wanted: Asking,
) -> Result<Response, Problem> {
    caller.may(Right::View)?;
    let wanted: WantedEvents = body(wanted)?;
    let mut filter = wanted.filter()?;
    filter.names_until = context.sees_people(&caller);
    let view = context.proxy.config.load().view;
    let has_content = filter.topics.has_content();
    may(&caller, &wanted, has_content, view)?;
    let unmasked = match wanted.raw && view.two_persons.raw {
        true => Some(let_by_another(&context, &caller)?),
        false => None,
    };

    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let found = last.and_then(|id| context.streams.find(id, &caller.by, &wanted));
    let now = std::time::Instant::now();
    // One that calls people by other words than this client may see them by now is none to go on with.
    let found = found.filter(|(kept, _)| kept.names_until.filter(|until| *until > now) == filter.names_until);
    let mut details = wanted.details(&filter);
    if filter.names_until.is_some() {
        details.insert("names".into(), true.into());
    }
    if found.is_some() {
        details.insert("resumed".into(), true.into());
    }
    let acts = match (wanted.format.is_export(), has_content || wanted.raw) {
        (_, false) => None,
        (true, true) => Some(("export", "export_ended")),
        (false, true) => Some(("view", "view_ended")),
    };
    if let Some((act, _)) = acts {
        // Before the first byte leaves.
        context.act(act, &caller.by, details.clone()).await?;
    }
    let mut run = Run {
        begun: begun(&context, &wanted, &filter, found.is_some()),
        keep: Duration::from_secs(wanted.keep_seconds.unwrap_or_default()),
        name: None,
        context: context.clone(),
        audited: acts.map(|(_, act)| (act, caller.by.clone(), details)),
    };
    // What another has let somebody see has an end.
    run.begun.until = [run.begun.until, unmasked].into_iter().flatten().min();
    let format = wanted.format;
    let still = still(&context, &caller, &wanted, &filter);
    let kept = match found {
        Some((kept, number)) => {
            run.begun.from = Some(number);
            // It is one that was found by its name.
            run.name = last
                .and_then(|id| id.rsplit_once('.'))
                .map(|(name, _)| name.to_owned());
            kept
        }
        None => {
            let kept = open(&context, caller.by, wanted, filter, view, &mut run.name)?;
            if let Some(name) = &run.name {
                context.streams.keep(name.clone(), Arc::clone(&kept));
            }
            kept
        }
    };
    let taken_up = kept.take_up();
    let (sender, queue) = mpsc::channel(AHEAD);
    let ends = Ends {
        still,
        over: context.over,
        taken_up,
    };
    tokio::spawn(run.go(kept, sender, ends));
    Ok(respond(format, queue))
}

/// # Errors
/// The caller may not watch this.
fn may(caller: &Caller, wanted: &WantedEvents, has_content: bool, view: ViewConfig) -> Result<(), Problem> {
    let forbidden = |detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, detail));
    if has_content {
        caller.may(Right::Content)?;
        if !view.content {
            return forbidden("the configuration lets nobody watch content (view.content)");
        }
    }
    if wanted.raw {
        caller.may(Right::Raw)?;
        if !view.raw {
            return forbidden("the configuration lets nobody watch without a mask (view.raw)");
        }
        if wanted.reason().is_none() {
            return forbidden("who watches without a mask says why, in reason");
        }
    }
    Ok(())
}

/// Until when another person has let this one see what is not masked.
///
/// # Errors
/// Nobody has.
fn let_by_another(context: &ApiContext, caller: &Caller) -> Result<Instant, Problem> {
    let until = (context.unlocks).until(Locked::Raw, &caller.person, std::time::Instant::now());
    until.map(Instant::from_std).ok_or_else(|| {
        let detail = "a second person has to let you first (view.two_persons): ask on the console's page State, or by /api/v1/unlocks";
        Problem::new(StatusCode::FORBIDDEN, detail)
    })
}

/// Whether somebody may watch this any longer: what another has let them see may end before its time.
fn still(
    context: &ApiContext,
    caller: &Caller,
    wanted: &WantedEvents,
    filter: &LiveFilter,
) -> Arc<dyn Fn() -> bool + Send + Sync> {
    let (proxy, still, raw) = (Arc::clone(&context.proxy), caller.still.clone(), wanted.raw);
    let (unlocks, person) = (Arc::clone(&context.unlocks), Arc::clone(&caller.person));
    let (has_content, names_until) = (filter.topics.has_content(), filter.names_until);
    Arc::new(move || {
        let (view, now) = (proxy.config.load().view, std::time::Instant::now());
        let is_let = |what| unlocks.until(what, &person, now).is_some();
        let may_raw = || view.raw && still.has(Right::Raw) && (!view.two_persons.raw || is_let(Locked::Raw));
        still.has(Right::View)
            && (!has_content || (view.content && still.has(Right::Content)))
            && (!raw || may_raw())
            && names_until.is_none_or(|until| until <= now || is_let(Locked::People))
    })
}

fn begun(context: &ApiContext, wanted: &WantedEvents, filter: &LiveFilter, resumed: bool) -> Begun {
    let topics: Vec<_> = filter.topics.each().map(LiveTopic::label).collect();
    Begun {
        hello: json!({
            "instance": context.proxy.report.instance(), "topics": topics, "masked": !wanted.raw, "resumed": resumed,
        }),
        from: None,
        until: (wanted.seconds).map(|seconds| Instant::now() + Duration::from_secs(seconds)),
    }
}

/// A new stream, with a name if it is to be kept.
fn open(
    context: &ApiContext,
    by: String,
    wanted: WantedEvents,
    filter: LiveFilter,
    view: ViewConfig,
    name: &mut Option<String>,
) -> Result<Arc<KeptStream>, Problem> {
    let (text, has_content) = (filter.text.clone(), filter.topics.has_content());
    let names_until = filter.names_until;
    let watching = context.proxy.watch(filter).map_err(|_| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "as many watch as may; somebody has to stop first",
        )
    })?;
    if wanted.keep_seconds.is_some_and(|seconds| seconds > 0) {
        *name = kept::name();
    }
    let live = Arc::clone(context.proxy.report.live());
    let shown = Shown::new(live, wanted.raw, view.content_bytes, text, has_content).with_names(names_until);
    let stream = Stream::new(watching, shown, wanted.format, wanted.limit(), name.clone());
    Ok(Arc::new(KeptStream::new(by, wanted, names_until, stream)))
}

/// A stream's life from one connection of its client to the next.
struct Run {
    begun: Begun,
    /// How long it waits for its client once that has gone.
    keep: Duration,
    name: Option<String>,
    context: ApiContext,
    /// What the audit log is told at the end, and of whom.
    audited: Option<(&'static str, String, Map<String, Value>)>,
}

impl Run {
    async fn go(self, kept: Arc<KeptStream>, sender: mpsc::Sender<Bytes>, ends: Ends) {
        let (stopped, counts) = {
            // Whoever held it has been told to stop.
            let mut stream = kept.stream.lock().await;
            let before = stream.counts();
            let stopped = stream.run(self.begun, &sender, &ends).await;
            let (seen, lost) = stream.counts();
            (stopped, (seen - before.0, lost - before.1))
        };
        drop(sender);
        if let Some((act, by, mut details)) = self.audited {
            details.insert("events".into(), counts.0.into());
            details.insert("lost".into(), counts.1.into());
            // What is over cannot be kept from happening.
            let _ = self.context.act(act, &by, details).await;
        }
        let Some(name) = self.name else { return };
        if stopped == Stopped::Gone {
            tokio::select! {
                () = tokio::time::sleep(self.keep) => {}
                () = ends.over.cancelled() => {}
                () = ends.taken_up.cancelled() => return,
            }
        }
        if stopped != Stopped::TakenUp {
            self.context.streams.forget(&name);
        }
    }
}

fn respond(format: Format, queue: mpsc::Receiver<Bytes>) -> Response {
    let body = Body::new(EventBody(queue));
    let (mut response, file) = match format {
        Format::Events => (answer("text/event-stream", body), None),
        // A file that no browser shows, whatever is in it.
        Format::Lines => (answer("application/octet-stream", body), Some("wsbump.jsonl")),
        Format::Har => (answer("application/octet-stream", body), Some("wsbump.har")),
    };
    let headers = response.headers_mut();
    if let Some(name) = file
        && let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\""))
    {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
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
