//! Bodies as they pass: streamed, counted, and told about when they end.

use super::HttpError;
use super::inspected::{Held, Tap};
use super::record::Record;
use super::source::{BodyError, Source};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Full;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::oneshot::{self, error::RecvError};
use tokio::time::Sleep;

/// A message's content.
#[derive(Debug)]
pub(super) enum Body {
    /// The proxy's own.
    Full(Full<Bytes>),
    /// A request's, towards the origin.
    Request(RequestBody),
    /// A response's, towards the client.
    Response(ResponseBody),
}

/// How long an origin has to answer `Expect: 100-continue`. Many never do and wait for the body instead, as
/// RFC 9110 section 10.1.1 expects of their clients.
const CONTINUE: Duration = Duration::from_secs(1);

/// A request's content: counted, and held back until the origin has answered `Expect: 100-continue`, or has had
/// its time to.
#[derive(Debug)]
pub(super) struct RequestBody {
    /// `None` once it is never going to be wanted: hyper waits for a body until it is read or dropped.
    incoming: Option<Source>,
    /// The final answer came before the origin wanted it.
    is_unwanted: bool,
    /// What was read of it before it went on.
    held: VecDeque<Frame<Bytes>>,
    bytes: Arc<AtomicU64>,
    gate: Option<Gate>,
    tap: Option<Box<Tap>>,
}

#[derive(Debug)]
struct Gate {
    opened: oneshot::Receiver<()>,
    /// Runs from when the body is first wanted.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Gate {
    /// Opens with the origin's 100, or once it has had its time; an error if the final answer came first.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RecvError>> {
        match Pin::new(&mut self.opened).poll(cx) {
            Poll::Pending => self
                .patience
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(CONTINUE)))
                .as_mut()
                .poll(cx)
                .map(Ok),
            ready => ready,
        }
    }
}

/// A response's content; the exchange is recorded when it ends or is dropped.
#[derive(Debug)]
pub(super) struct ResponseBody {
    /// `None` once all of it has been read and is held.
    incoming: Option<Source>,
    /// What was read of it before it went on.
    held: VecDeque<Frame<Bytes>>,
    // Before the record, so that a body which is dropped is stated before its exchange's end.
    tap: Option<Box<Tap>>,
    record: Record,
}

impl Body {
    pub(super) fn full(content: Bytes) -> Self {
        Self::Full(Full::new(content))
    }

    pub(super) fn empty() -> Self {
        Self::full(Bytes::new())
    }

    /// With a `gate`, nothing is read of the client until it opens: reading is what makes hyper send
    /// `100 Continue`, which is the origin's to give.
    pub(super) fn request(
        incoming: Source,
        bytes: Arc<AtomicU64>,
        gate: Option<oneshot::Receiver<()>>,
    ) -> Self {
        let gate = gate.map(|opened| Gate {
            opened,
            patience: None,
        });
        Self::Request(RequestBody {
            incoming: Some(incoming),
            is_unwanted: false,
            held: VecDeque::new(),
            bytes,
            gate,
            tap: None,
        })
    }

    pub(super) fn response(incoming: Source, record: Record, tap: Option<Box<Tap>>) -> Self {
        let held = Held {
            frames: VecDeque::new(),
            rest: Some(incoming),
        };
        Self::held_response(held, record, tap)
    }

    /// A response of which some was read before it goes on.
    pub(super) fn held_response(held: Held<Source>, record: Record, tap: Option<Box<Tap>>) -> Self {
        let mut body = ResponseBody {
            incoming: held.rest,
            held: held.frames,
            record,
            tap,
        };
        if body.is_over() {
            body.record.complete();
        }
        Self::Response(body)
    }

    /// Lets `tap` have a copy of a request's content.
    pub(super) fn tapped(mut self, tap: Option<Box<Tap>>) -> Self {
        if let Self::Request(body) = &mut self {
            body.tap = tap;
        }
        self
    }

    /// A response goes no further: nothing of it has moved for too long.
    pub(super) fn gave_up(&mut self) {
        if let Self::Response(body) = self {
            body.record.failed(HttpError::Timeout);
        }
    }

    /// Wants a request's content now, whatever the origin says to `Expect: 100-continue`.
    pub(super) fn open_gate(&mut self) {
        if let Self::Request(body) = self {
            body.gate = None;
        }
    }

    /// Puts back what was read of a request's content.
    pub(super) fn put_back(held: Held<Self>) -> Self {
        match held.rest {
            Some(Self::Request(mut body)) => {
                body.held = held.frames;
                Self::Request(body)
            }
            Some(other) => other,
            None => Self::Request(RequestBody {
                incoming: None,
                is_unwanted: false,
                held: held.frames,
                bytes: Arc::default(),
                gate: None,
                tap: None,
            }),
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Full(full) => Pin::new(full)
                .poll_frame(cx)
                .map(|frame| frame.map(|f| f.map_err(|e: Infallible| match e {}))),
            Self::Request(body) => {
                if let Some(gate) = &mut body.gate {
                    if ready!(gate.poll(cx)).is_err() {
                        body.incoming = None;
                        body.is_unwanted = true;
                    }
                    body.gate = None;
                }
                if let Some(frame) = body.held.pop_front() {
                    if let (Some(tap), Some(data)) = (&mut body.tap, frame.data_ref()) {
                        tap.data(data);
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                let Some(incoming) = &mut body.incoming else {
                    body.tap = None;
                    if !body.is_unwanted {
                        return Poll::Ready(None);
                    }
                    // The connection ends: to end the body would make it look whole.
                    return Poll::Pending;
                };
                let frame = ready!(Pin::new(incoming).poll_frame(cx));
                if let Some(data) = frame.as_ref().and_then(|f| f.as_ref().ok()?.data_ref()) {
                    body.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                    if let Some(tap) = &mut body.tap {
                        tap.data(data);
                    }
                }
                if !matches!(frame, Some(Ok(_))) {
                    body.tap = None;
                }
                Poll::Ready(frame)
            }
            Self::Response(body) => {
                let frame = match (body.held.pop_front(), &mut body.incoming) {
                    (Some(frame), _) => Some(Ok(frame)),
                    (None, Some(incoming)) => ready!(Pin::new(incoming).poll_frame(cx)),
                    (None, None) => None,
                };
                if !matches!(frame, Some(Ok(_))) {
                    body.tap = None;
                }
                match &frame {
                    Some(Ok(frame)) => {
                        if let Some(data) = frame.data_ref() {
                            body.record.add_response_bytes(data.len() as u64);
                            if let Some(tap) = &mut body.tap {
                                tap.data(data);
                            }
                        }
                        if body.is_over() {
                            body.tap = None;
                            body.record.complete();
                        }
                    }
                    Some(Err(_)) => body.record.broke_off(),
                    None => body.record.complete(),
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(full) => full.is_end_stream(),
            Self::Request(body) => {
                body.held.is_empty()
                    && match &body.incoming {
                        Some(incoming) => incoming.is_end_stream(),
                        None => !body.is_unwanted,
                    }
            }
            Self::Response(body) => body.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(full) => full.size_hint(),
            Self::Request(body) if body.is_unwanted => SizeHint::default(),
            Self::Request(body) => hint(&body.held, body.incoming.as_ref()),
            Self::Response(body) => hint(&body.held, body.incoming.as_ref()),
        }
    }
}

impl ResponseBody {
    fn is_over(&self) -> bool {
        self.held.is_empty() && self.incoming.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

/// The size of what is held and of what is still to come.
fn hint(held: &VecDeque<Frame<Bytes>>, rest: Option<&Source>) -> SizeHint {
    let held: u64 = held
        .iter()
        .filter_map(|frame| Some(frame.data_ref()?.len() as u64))
        .sum();
    let rest = rest.map_or(SizeHint::with_exact(0), HttpBody::size_hint);
    let mut hint = SizeHint::new();
    hint.set_lower(held + rest.lower());
    if let Some(upper) = rest.upper() {
        hint.set_upper(held + upper);
    }
    hint
}
