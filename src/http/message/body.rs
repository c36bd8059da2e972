//! Bodies as they pass: streamed, counted, and told about when they end.

use crate::http::error::HttpError;
use crate::http::exchange::record::{Received, Record};
use crate::http::inspected::tap::Tap;
use crate::http::message::broke::BodyError;
use crate::http::message::held::Held;
use crate::http::message::source::Source;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Full;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A message's content.
#[derive(Debug)]
pub(in crate::http) enum Body {
    /// The proxy's own.
    Full(Full<Bytes>),
    /// A request's, towards the origin.
    Request(RequestBody),
    /// A response's, towards the client.
    Response(ResponseBody),
}

/// A request's content, counted.
#[derive(Debug)]
pub(in crate::http) struct RequestBody {
    /// `None` once all of it has been read and is held.
    incoming: Option<Source>,
    /// What was read of it before it went on.
    held: VecDeque<Frame<Bytes>>,
    received: Arc<Received>,
    tap: Option<Box<Tap>>,
}

/// A response's content; the exchange is recorded when it ends or is dropped.
#[derive(Debug)]
pub(in crate::http) struct ResponseBody {
    /// `None` once all of it has been read and is held.
    incoming: Option<Source>,
    /// What was read of it before it went on.
    held: VecDeque<Frame<Bytes>>,
    // Before the record, so that a body which is dropped is stated before its exchange's end.
    tap: Option<Box<Tap>>,
    record: Record,
}

impl Body {
    pub(in crate::http) fn full(content: Bytes) -> Self {
        Self::Full(Full::new(content))
    }

    pub(in crate::http) fn empty() -> Self {
        Self::full(Bytes::new())
    }

    pub(in crate::http) fn request(incoming: Source, received: Arc<Received>) -> Self {
        Self::Request(RequestBody {
            incoming: Some(incoming),
            held: VecDeque::new(),
            received,
            tap: None,
        })
    }

    pub(in crate::http) fn response(incoming: Source, record: Record, tap: Option<Box<Tap>>) -> Self {
        let held = Held {
            frames: VecDeque::new(),
            rest: Some(incoming),
        };
        Self::held_response(held, record, tap)
    }

    /// A response of which some was read before it goes on.
    pub(in crate::http) fn held_response(held: Held<Source>, record: Record, tap: Option<Box<Tap>>) -> Self {
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
    pub(in crate::http) fn tapped(mut self, tap: Option<Box<Tap>>) -> Self {
        if let Self::Request(body) = &mut self {
            body.tap = tap;
        }
        self
    }

    /// A response goes no further: nothing of it has moved for too long.
    pub(in crate::http) fn gave_up(&mut self) {
        if let Self::Response(body) = self {
            body.record.failed(HttpError::Timeout);
        }
    }

    /// Puts back what was read of a request's content.
    pub(in crate::http) fn put_back(held: Held<Self>) -> Self {
        match held.rest {
            Some(Self::Request(mut body)) => {
                body.held = held.frames;
                Self::Request(body)
            }
            Some(other) => other,
            None => Self::Request(RequestBody {
                incoming: None,
                held: held.frames,
                received: Arc::default(),
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
                if let Some(frame) = body.held.pop_front() {
                    if let (Some(tap), Some(data)) = (&mut body.tap, frame.data_ref()) {
                        tap.data(data);
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                let Some(incoming) = &mut body.incoming else {
                    body.tap = None;
                    return Poll::Ready(None);
                };
                let frame = ready!(Pin::new(incoming).poll_frame(cx));
                if let Some(data) = frame.as_ref().and_then(|f| f.as_ref().ok()?.data_ref()) {
                    body.received.add(data.len() as u64);
                    if let Some(tap) = &mut body.tap {
                        tap.data(data);
                    }
                }
                if !matches!(frame, Some(Ok(_))) {
                    body.tap = None;
                }
                if let Some(Err(BodyError::H2(error))) = &frame
                    && error.is_library()
                    && error.is_reset()
                {
                    body.received.malformed();
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
                    Some(Err(error)) => body.record.broke_off(error.malformed()),
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
                body.held.is_empty() && body.incoming.as_ref().is_none_or(HttpBody::is_end_stream)
            }
            Self::Response(body) => body.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(full) => full.size_hint(),
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
