//! Bodies: let pass with a copy kept, or held until they are judged.

use crate::http::error::HttpError;
use crate::http::exchange::endless::is_event_stream;
use crate::http::exchange::record::Record;
use crate::http::inspected::exchange::InspectedExchange;
use crate::http::inspected::exchange::about;
use crate::http::inspected::exchange::refusal;
use crate::http::inspected::tap::Tap;
use crate::http::message::body::Body;
use crate::http::message::held::Held;
use crate::http::message::source::Source;
use crate::http::pages::ErrorResponse;
use crate::inspect::{Blind, HttpHead, Interest, OnFailure, Ruling, Surface};
use crate::wire::frame::Direction;
use crate::wire::headers::Headers;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, HeaderName, TRANSFER_ENCODING,
};
use http::{Request, StatusCode};
use http_body::Body as HttpBody;
use http_body_util::BodyExt;
use std::collections::VecDeque;
use std::sync::Arc;

/// What becomes of a body that was held.
pub(in crate::http) enum Judged<B> {
    /// It goes on as it came.
    Pass(Held<B>),
    /// This goes on in its place, without a content coding.
    Replace(Bytes),
    /// It does not go on.
    Stop(ErrorResponse),
}

impl InspectedExchange {
    /// How rules look at a body.
    pub(in crate::http) fn body_interest(&self, direction: Direction, head: &HttpHead) -> Interest {
        let interest = self.session().interest(Surface::Body, direction, None);
        match interest {
            Interest::Hold if is_endless(head) => Interest::Watch,
            interest => interest,
        }
    }

    /// Whether the request's content is judged before anything of it goes on.
    pub(in crate::http) fn holds_request(&self) -> bool {
        self.body_interest(Direction::ToOrigin, &self.request) == Interest::Hold
    }

    /// Judges a request's content before it goes on.
    pub(in crate::http) async fn hold_request<B>(&self, content: B) -> Judged<B>
    where
        B: HttpBody<Data = Bytes> + Unpin,
    {
        self.hold(Direction::ToOrigin, &self.request, content).await
    }

    /// What looks on while a request's content goes on.
    pub(in crate::http) fn request_tap(&self) -> Option<Box<Tap>> {
        let (direction, head) = (Direction::ToOrigin, &self.request);
        match self.body_interest(direction, head) {
            Interest::Watch => Some(self.tap(direction, head)),
            // What is held has been judged by now.
            Interest::None | Interest::Hold => self.copy_only(direction, head),
        }
    }

    /// How rules look at the content of a response.
    pub(in crate::http) fn response_interest(&self, head: &HttpHead) -> Interest {
        self.body_interest(Direction::ToClient, head)
    }

    /// What looks on while the content of a response that is not held goes on.
    pub(in crate::http) fn response_tap(&self, interest: Interest, head: &Arc<HttpHead>) -> Option<Box<Tap>> {
        match interest {
            Interest::Watch => Some(self.tap(Direction::ToClient, head)),
            Interest::None | Interest::Hold => self.copy_only(Direction::ToClient, head),
        }
    }

    /// Reads a body as far as the budgets let it, and judges it.
    pub(in crate::http) async fn hold<B>(
        &self,
        direction: Direction,
        head: &Arc<HttpHead>,
        mut body: B,
    ) -> Judged<B>
    where
        B: HttpBody<Data = Bytes> + Unpin,
    {
        let budgets = self.inspection.budgets;
        let mut held = Held {
            frames: VecDeque::new(),
            rest: None,
        };
        let mut raw = Vec::new();
        let deadline = tokio::time::Instant::now() + budgets.hold;
        let why = loop {
            match tokio::time::timeout_at(deadline, body.frame()).await {
                Err(_) => break Some(Blind::HoldTime),
                Ok(None) => break None,
                Ok(Some(Err(_))) => {
                    // It broke off: whoever gets it learns that by reading on.
                    held.rest = Some(body);
                    return Judged::Pass(held);
                }
                Ok(Some(Ok(frame))) => {
                    if let Some(data) = frame.data_ref() {
                        raw.extend_from_slice(data);
                    }
                    held.frames.push_back(frame);
                    if raw.len() > budgets.message {
                        break Some(Blind::MessageBudget);
                    }
                }
            }
        };
        let size = raw.len() as u64;
        if why.is_some() {
            held.rest = Some(body);
        }
        let plain = match why {
            Some(why) => Err(why),
            None => self.decoded(head, raw),
        };
        let about = about(Surface::Body, direction, size);
        let plain = match plain {
            Ok(plain) => Bytes::from(plain),
            Err(why) => {
                let stopped = budgets.spent == OnFailure::Close;
                self.inspector.witness().blind(&self.facts, &about, why, stopped);
                return if stopped {
                    Judged::Stop(uninspected(why))
                } else {
                    Judged::Pass(held)
                };
            }
        };
        let Ok(judgement) = self.judge(direction, head, &plain, false, || true).await else {
            return Judged::Stop(uninspected(Blind::ScanFailed));
        };
        self.told(
            &self::about(Surface::Body, direction, plain.len() as u64),
            &judgement,
        );
        if let Some(tape) = &self.tape {
            tape.judged(direction, &judgement);
        }
        match judgement.verdict {
            Ruling::Pass => Judged::Pass(held),
            Ruling::Replace(changed) => Judged::Replace(changed.into()),
            Ruling::Drop | Ruling::Close(_) => Judged::Stop(refusal(&judgement)),
        }
    }

    /// Looks at a request's body: lets it pass, holds it, or puts another in its place.
    pub(in crate::http) async fn request_body(
        &mut self,
        request: Request<Body>,
    ) -> Result<Request<Body>, ErrorResponse> {
        let (mut parts, body) = request.into_parts();
        if body.is_end_stream() || std::mem::replace(&mut self.request_is_judged, true) {
            return Ok(Request::from_parts(parts, body));
        }
        let (direction, head) = (Direction::ToOrigin, &self.request);
        let body = match self.body_interest(direction, head) {
            Interest::None => body.tapped(self.copy_only(direction, head)),
            Interest::Watch => body.tapped(Some(self.tap(direction, head))),
            Interest::Hold => match self.hold(direction, head, body).await {
                Judged::Pass(held) => Body::put_back(held).tapped(self.copy_only(direction, head)),
                Judged::Replace(content) => {
                    as_plain(&mut parts.headers, content.len());
                    Body::full(content)
                }
                Judged::Stop(problem) => return Err(problem),
            },
        };
        Ok(Request::from_parts(parts, body))
    }

    /// The same for a response's body; its headers change with it.
    pub(in crate::http) async fn response_body(
        &self,
        head: &Arc<HttpHead>,
        headers: &mut HeaderMap,
        incoming: Source,
        mut record: Record,
    ) -> Result<Body, (Box<Record>, ErrorResponse)> {
        if incoming.is_end_stream() {
            return Ok(Body::response(incoming, record, None));
        }
        let direction = Direction::ToClient;
        match self.body_interest(direction, head) {
            Interest::None => Ok(Body::response(incoming, record, self.copy_only(direction, head))),
            Interest::Watch => Ok(Body::response(incoming, record, Some(self.tap(direction, head)))),
            Interest::Hold => match self.hold(direction, head, incoming).await {
                Judged::Pass(held) => Ok(Body::held_response(held, record, self.copy_only(direction, head))),
                Judged::Replace(content) => {
                    as_plain(headers, content.len());
                    record.add_response_bytes(content.len() as u64);
                    record.complete();
                    Ok(Body::full(content))
                }
                Judged::Stop(problem) => Err((Box::new(record), problem)),
            },
        }
    }

    /// A copy of a body that passes, to be judged at its end.
    pub(in crate::http) fn tap(&self, direction: Direction, head: &Arc<HttpHead>) -> Box<Tap> {
        Box::new(Tap {
            exchange: self.clone(),
            direction,
            head: head.clone(),
            raw: Vec::new(),
            size: 0,
            is_judged: true,
            copy: self.tape.as_ref().map(|tape| tape.copy(direction)),
        })
    }

    /// The same for a recording alone.
    pub(in crate::http) fn copy_only(&self, direction: Direction, head: &Arc<HttpHead>) -> Option<Box<Tap>> {
        self.tape.as_ref()?;
        let mut tap = self.tap(direction, head);
        tap.is_judged = false;
        Some(tap)
    }
}

/// Headers for content that is no longer what the sender described.
pub(in crate::http) fn as_plain(headers: &mut impl Headers, length: usize) {
    for name in [
        CONTENT_ENCODING,
        TRANSFER_ENCODING,
        ETAG,
        ACCEPT_RANGES,
        HeaderName::from_static("content-md5"),
        HeaderName::from_static("digest"),
        HeaderName::from_static("content-digest"),
        HeaderName::from_static("repr-digest"),
    ] {
        headers.remove(&name);
    }
    headers.set(&CONTENT_LENGTH, length.to_string().as_bytes());
}

/// A body that has no end to wait for, or that is a piece of something.
fn is_endless(head: &HttpHead) -> bool {
    head.status == Some(StatusCode::PARTIAL_CONTENT) || is_event_stream(&head.headers)
}

fn uninspected(why: Blind) -> ErrorResponse {
    let text = format!(
        "this could not be inspected ({}), and policy does not let it pass then",
        why.label()
    );
    ErrorResponse::new(HttpError::Uninspected, text)
}
