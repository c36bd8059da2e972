//! Bodies as they pass: streamed, counted, and told about when they end.

use crate::http::error::HttpError;
use crate::http::exchange::record::{ExchangeRecord, ReceivedContent};
use crate::http::inspected::tap::Tap;
use crate::http::message::broke::BodyError;
use crate::http::message::held::{Held, Rest};
use crate::http::message::source::Source;
use crate::http::pages::ErrorResponse;
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
    rest: Rest<Source, BodyError>,
    /// What was read of it before it went on.
    held: VecDeque<Frame<Bytes>>,
    received: Arc<ReceivedContent>,
    tap: Option<Box<Tap>>,
}

/// A response's content; the exchange is recorded when it ends or is dropped.
#[derive(Debug)]
pub(in crate::http) struct ResponseBody {
    rest: Rest<Source, BodyError>,
    /// What was read of it before it went on.
    held: VecDeque<Frame<Bytes>>,
    // Before the record, so that a body which is dropped is stated before its exchange's end.
    tap: Option<Box<Tap>>,
    record: ExchangeRecord,
}

impl Body {
    pub(in crate::http) fn full(content: Bytes) -> Self {
        Self::Full(Full::new(content))
    }

    pub(in crate::http) fn empty() -> Self {
        Self::full(Bytes::new())
    }

    pub(in crate::http) fn request(incoming: Source, received: Arc<ReceivedContent>) -> Self {
        Self::Request(RequestBody {
            rest: Rest::More(incoming),
            held: VecDeque::new(),
            received,
            tap: None,
        })
    }

    pub(in crate::http) fn response(incoming: Source, record: ExchangeRecord, tap: Option<Box<Tap>>) -> Self {
        let held = Held {
            frames: VecDeque::new(),
            rest: Rest::More(incoming),
        };
        Self::held_response(held, record, tap)
    }

    /// A response of which some was read before it goes on.
    pub(in crate::http) fn held_response(
        held: Held<Source, BodyError>,
        record: ExchangeRecord,
        tap: Option<Box<Tap>>,
    ) -> Self {
        let mut body = ResponseBody {
            rest: held.rest,
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

    /// What a stream of HTTP/2 has brought of it that has not gone on, in bytes.
    pub(in crate::http) fn waiting(&mut self) -> usize {
        let rest = match self {
            Self::Full(_) => return 0,
            Self::Request(body) => &mut body.rest,
            Self::Response(body) => &mut body.rest,
        };
        match rest {
            Rest::More(source) => source.waiting(),
            Rest::Over | Rest::Broken(_) => 0,
        }
    }

    /// A response goes no further, for this reason.
    pub(in crate::http) fn gave_up(&mut self, why: HttpError, text: Option<String>) {
        let Self::Response(body) = self else {
            return;
        };
        match text {
            Some(text) => body.record.failed_for(why, text),
            None => body.record.failed(why),
        }
    }

    /// A response goes no further: a rule does not let its request go on.
    pub(in crate::http) fn refused(&mut self, problem: &ErrorResponse) {
        if let Self::Response(body) = self {
            body.record.failed_for(problem.error, problem.text.clone());
        }
    }

    /// Puts back what was read of a request's content.
    pub(in crate::http) fn put_back(held: Held<Self, BodyError>) -> Self {
        let rest = match held.rest {
            Rest::More(Self::Request(mut body)) => {
                // Some of it may have been put back before.
                let mut frames = held.frames;
                frames.append(&mut body.held);
                body.held = frames;
                return Self::Request(body);
            }
            Rest::More(other) => return other,
            Rest::Over => Rest::Over,
            Rest::Broken(error) => Rest::Broken(error),
        };
        Self::Request(RequestBody {
            rest,
            held: held.frames,
            received: Arc::default(),
            tap: None,
        })
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
                let is_held = !body.held.is_empty();
                let frame = ready!(next(&mut body.held, &mut body.rest, &mut body.tap, cx));
                if let (false, Some(Ok(frame))) = (is_held, &frame) {
                    body.received
                        .add(frame.data_ref().map_or(0, |data| data.len() as u64));
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
                let frame = ready!(next(&mut body.held, &mut body.rest, &mut body.tap, cx));
                if !matches!(frame, Some(Ok(_))) {
                    body.tap = None;
                }
                match &frame {
                    Some(Ok(frame)) => {
                        let size = frame.data_ref().map_or(0, |data| data.len() as u64);
                        body.record.add_response_bytes(size);
                        if body.is_over() {
                            body.tap = None;
                            body.record.complete();
                        }
                    }
                    Some(Err(BodyError::Refused(problem))) => {
                        body.record.failed_for(problem.error, problem.text.clone());
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
            Self::Request(body) => is_over(&body.held, &body.rest, body.tap.as_deref()),
            Self::Response(body) => body.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(full) => full.size_hint(),
            Self::Request(body) => hint(&body.held, &body.rest),
            Self::Response(body) => hint(&body.held, &body.rest),
        }
    }
}

impl ResponseBody {
    fn is_over(&self) -> bool {
        is_over(&self.held, &self.rest, self.tap.as_deref())
    }
}

/// The next frame of a body: first those that were judged before it went on, then each that `tap` lets pass.
fn next(
    held: &mut VecDeque<Frame<Bytes>>,
    rest: &mut Rest<Source, BodyError>,
    tap: &mut Option<Box<Tap>>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    loop {
        let mut judged = None;
        if let Some(pieces) = tap.as_mut().and_then(|tap| tap.pieces.as_mut())
            && pieces.is_busy()
        {
            judged = Some(ready!(pieces.poll(cx)).map_err(BodyError::Refused)?);
        }
        let (frame, is_judged) = match judged {
            Some(data) => (Frame::data(data), true),
            None => match held.pop_front() {
                Some(frame) => (frame, true),
                None => match ready!(rest.poll_frame(cx)) {
                    Some(Ok(frame)) => (frame, false),
                    other => return Poll::Ready(other),
                },
            },
        };
        let Some(looking) = tap else {
            return Poll::Ready(Some(Ok(frame)));
        };
        match frame.into_data() {
            Ok(data) => match &mut looking.pieces {
                Some(pieces) if !is_judged => pieces.take(data),
                _ => {
                    looking.data(&data);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
            },
            Err(frame) => {
                if let Some(trailers) = frame.trailers_ref() {
                    looking.trailers(trailers).map_err(BodyError::Refused)?;
                }
                return Poll::Ready(Some(Ok(frame)));
            }
        }
    }
}

fn is_over(held: &VecDeque<Frame<Bytes>>, rest: &Rest<Source, BodyError>, tap: Option<&Tap>) -> bool {
    held.is_empty() && rest.is_end_stream() && !tap.is_some_and(Tap::is_busy)
}

/// The size of what is held and of what is still to come.
fn hint(held: &VecDeque<Frame<Bytes>>, rest: &Rest<Source, BodyError>) -> SizeHint {
    let held: u64 = held
        .iter()
        .filter_map(|frame| Some(frame.data_ref()?.len() as u64))
        .sum();
    let rest = rest.size_hint();
    let mut hint = SizeHint::new();
    hint.set_lower(held + rest.lower());
    if let Some(upper) = rest.upper() {
        hint.set_upper(held + upper);
    }
    hint
}
