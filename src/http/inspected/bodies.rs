//! Bodies: let pass with a copy kept, or held until they are judged.

use crate::http::exchange::endless::is_event_stream;
use crate::http::exchange::record::ExchangeRecord;
use crate::http::inspected::exchange::{InspectedExchange, about, refusal, uninspected};
use crate::http::inspected::kept::{Kept, Taken};
use crate::http::inspected::tap::Tap;
use crate::http::inspected::views::{How, Views};
use crate::http::message::body::Body;
use crate::http::message::coding;
use crate::http::message::held::{Held, Rest};
use crate::http::message::source::Source;
use crate::http::pages::ErrorResponse;
use crate::inspect::rules::RuleSession;
use crate::inspect::{Blind, HttpHead, Interest, OnFailure, Ruling, Subject, Surface};
use crate::wire::frame::Direction;
use crate::wire::headers::Headers;
use bytes::Bytes;
use http::Request;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, HeaderName, TRANSFER_ENCODING,
};
use http_body::Body as HttpBody;
use http_body_util::BodyExt;
use std::sync::Arc;

/// What becomes of a body that was held.
pub(in crate::http) enum JudgedBody<B, E> {
    /// It goes on as it came, and this looks on.
    Pass(Held<B, E>, Option<Box<Tap>>),
    /// This goes on in its place, without a content coding.
    Replace(Bytes),
    /// It does not go on.
    Stop(ErrorResponse),
}

/// How a body goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// No rule looks at it.
    Pass,
    /// At once, with a copy kept for the rules.
    Watch,
    /// Piece by piece, each when it has been judged.
    Pieces,
    /// When it has been judged.
    Hold,
}

impl InspectedExchange {
    fn plan(&self, direction: Direction, head: &HttpHead) -> Plan {
        match self.body_interest(direction) {
            Interest::None => Plan::Pass,
            Interest::Watch => Plan::Watch,
            // Whoever sends a request waits for its answer, whatever it calls its content.
            Interest::Hold if head.status.is_some() && is_event_stream(&head.headers) => Plan::Pieces,
            Interest::Hold => Plan::Hold,
        }
    }

    /// Whether a rule that can stop or change the response has to see all of its content.
    pub(in crate::http) fn wants_whole_response(&self) -> bool {
        self.body_interest(Direction::ToClient) == Interest::Hold
    }

    /// Whether the request's content is judged before anything of it goes on.
    pub(in crate::http) fn holds_request(&self) -> bool {
        self.plan(Direction::ToOrigin, &self.request) == Plan::Hold
    }

    /// Judges a request's content before it goes on.
    pub(in crate::http) async fn hold_request<B>(&self, content: B) -> JudgedBody<B, B::Error>
    where
        B: HttpBody<Data = Bytes> + Unpin,
    {
        self.hold(Direction::ToOrigin, &self.request, content).await
    }

    /// What looks on while a request's content goes on. What is held has been judged by then.
    pub(in crate::http) fn request_tap(&self) -> Option<Box<Tap>> {
        let (direction, head) = (Direction::ToOrigin, &self.request);
        match self.plan(direction, head) {
            Plan::Watch => Some(self.tap(direction, head)),
            Plan::Pass | Plan::Pieces | Plan::Hold => self.looking_on(direction, head),
        }
    }

    /// Whether the content of a response is judged before anything of it goes on.
    pub(in crate::http) fn holds_response(&self, head: &HttpHead) -> bool {
        self.plan(Direction::ToClient, head) == Plan::Hold
    }

    /// What looks on while the content of a response that is not held goes on.
    ///
    /// # Errors
    /// It cannot be looked into, and policy does not let it pass then.
    pub(in crate::http) fn response_tap(
        &self,
        head: &Arc<HttpHead>,
    ) -> Result<Option<Box<Tap>>, ErrorResponse> {
        let direction = Direction::ToClient;
        match self.plan(direction, head) {
            Plan::Watch => Ok(Some(self.tap(direction, head))),
            Plan::Pass | Plan::Hold => Ok(self.looking_on(direction, head)),
            Plan::Pieces => {
                let mut tap = self.tap(direction, head);
                if let Some(pieces) = self.pieces(direction, head) {
                    (tap.pieces, tap.is_judged) = (Some(pieces), false);
                    return Ok(Some(tap));
                }
                let stopped = self.inspection.budgets.spent == OnFailure::Close;
                let (why, about) = (Blind::UnknownCoding, about(Surface::Body, direction, 0));
                self.inspector.witness().blind(&self.facts, &about, why, stopped);
                if stopped {
                    return Err(uninspected(why));
                }
                Ok(Some(tap))
            }
        }
    }

    /// Reads a body as far as the budgets let it, and judges it by what has come. What of it could not be seen follows
    /// policy.
    pub(in crate::http) async fn hold<B>(
        &self,
        direction: Direction,
        head: &Arc<HttpHead>,
        mut body: B,
    ) -> JudgedBody<B, B::Error>
    where
        B: HttpBody<Data = Bytes> + Unpin,
    {
        let budgets = self.inspection.budgets;
        let mut kept = Kept::new(&self.rooms, budgets.message);
        let deadline = tokio::time::Instant::now() + budgets.hold;
        let (rest, why) = loop {
            match tokio::time::timeout_at(deadline, body.frame()).await {
                Err(_) => break (Rest::More(body), Some(Blind::HoldTime)),
                Ok(None) => break (Rest::Over, None),
                Ok(Some(Err(error))) => break (Rest::Broken(error), Some(Blind::BrokeOff)),
                Ok(Some(Ok(frame))) => {
                    let full = kept.push(frame);
                    if kept.len() > budgets.message {
                        break (Rest::More(body), Some(Blind::MessageBudget));
                    }
                    if full.is_some() {
                        break (Rest::More(body), full);
                    }
                }
            }
        };
        let (frames, raw) = kept.into_parts();
        let held = Held { frames, rest };
        let views = self.views(head, raw);
        let is_plain = coding::codings(&head.headers).is_empty();
        let how = How {
            is_whole: why.is_none(),
            has_passed: false,
            announced: match &held.rest {
                Rest::More(_) if is_plain => announced(head),
                _ => 0,
            },
        };
        let seen = how.announced.max(views.plain.len() as u64);
        let about = about(Surface::Body, direction, seen);
        let Ok(judgement) = self.judge_views(direction, head, &views, how, || true).await else {
            return JudgedBody::Stop(uninspected(Blind::ScanFailed));
        };
        self.told(&about, &judgement);
        if let Some(tape) = &self.tape {
            tape.judged(direction, &judgement);
        }
        match judgement.verdict {
            Ruling::Pass => {}
            Ruling::Replace(changed) => return JudgedBody::Replace(changed.into()),
            Ruling::Drop | Ruling::Close(_) => return JudgedBody::Stop(refusal(&judgement)),
        }
        let tap = self.looking_on(direction, head);
        let stops = budgets.spent == OnFailure::Close;
        let (why, stopped) = match (why, views.blind) {
            (None, None) => return JudgedBody::Pass(held, tap),
            // Its receiver gets no more of it than the rules have seen.
            (Some(Blind::BrokeOff), None) => (Blind::BrokeOff, false),
            (None, Some(Blind::MessageBudget))
            | (
                Some(Blind::MessageBudget | Blind::ConnectionBudget | Blind::ProcessBudget | Blind::HoldTime),
                _,
            ) if !self.asks(direction, head, &views, seen, RuleSession::awaits_more) => {
                return JudgedBody::Pass(held, tap);
            }
            (
                Some(
                    why @ (Blind::MessageBudget
                    | Blind::ConnectionBudget
                    | Blind::ProcessBudget
                    | Blind::HoldTime),
                ),
                None,
            ) if !self.asks(direction, head, &views, seen, RuleSession::awaits_whole) => {
                match self.pieces_behind(direction, head, &views.plain) {
                    Some(pieces) => {
                        let mut tap = tap.unwrap_or_else(|| self.tap(direction, head));
                        (tap.pieces, tap.is_judged) = (Some(pieces), false);
                        return JudgedBody::Pass(held, Some(tap));
                    }
                    None => (why, stops),
                }
            }
            (Some(why), _) | (None, Some(why)) => (why, stops),
        };
        self.inspector.witness().blind(&self.facts, &about, why, stopped);
        if stopped {
            JudgedBody::Stop(uninspected(why))
        } else {
            JudgedBody::Pass(held, tap)
        }
    }

    /// Asks the rules about each view of a body of which more is to come, or may be.
    fn asks(
        &self,
        direction: Direction,
        head: &HttpHead,
        views: &Views,
        size: u64,
        question: fn(&RuleSession, &Subject<'_>) -> bool,
    ) -> bool {
        let session = self.session();
        let mut each = std::iter::once(&views.plain).chain(&views.others);
        views.blind == Some(Blind::UnknownCoding)
            || each.any(|view| {
                let item = Subject {
                    surface: Surface::Body,
                    direction,
                    opcode: None,
                    data: view,
                    size: size.max(view.len() as u64),
                    head: Some(head),
                };
                question(&session, &item)
            })
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
        if !self.holds_request() {
            return Ok(Request::from_parts(parts, body.tapped(self.request_tap())));
        }
        let body = match self.hold_request(body).await {
            JudgedBody::Pass(held, tap) => Body::put_back(held).tapped(tap),
            JudgedBody::Replace(content) => {
                as_plain(&mut parts.headers, content.len());
                Body::full(content)
            }
            JudgedBody::Stop(problem) => return Err(problem),
        };
        Ok(Request::from_parts(parts, body))
    }

    /// The same for a response's body; its headers change with it.
    pub(in crate::http) async fn response_body(
        &self,
        head: &Arc<HttpHead>,
        headers: &mut HeaderMap,
        incoming: Source,
        mut record: ExchangeRecord,
    ) -> Result<Body, (Box<ExchangeRecord>, ErrorResponse)> {
        if incoming.is_end_stream() {
            return Ok(Body::response(incoming, record, None));
        }
        let direction = Direction::ToClient;
        if !self.holds_response(head) {
            return match self.response_tap(head) {
                Ok(tap) => Ok(Body::response(incoming, record, tap)),
                Err(problem) => Err((Box::new(record), problem)),
            };
        }
        match self.hold(direction, head, incoming).await {
            JudgedBody::Pass(held, tap) => Ok(Body::held_response(held, record, tap)),
            JudgedBody::Replace(content) => {
                as_plain(headers, content.len());
                record.add_response_bytes(content.len() as u64);
                record.complete();
                Ok(Body::full(content))
            }
            JudgedBody::Stop(problem) => Err((Box::new(record), problem)),
        }
    }

    /// A copy of a body that passes, to be judged at its end.
    fn tap(&self, direction: Direction, head: &Arc<HttpHead>) -> Box<Tap> {
        Box::new(Tap {
            exchange: self.clone(),
            direction,
            head: head.clone(),
            raw: Vec::new(),
            taken: Taken::none(&self.rooms),
            full: None,
            size: 0,
            is_judged: true,
            copy: self.tape.as_ref().map(|tape| tape.copy(direction)),
            pieces: None,
        })
    }

    /// What looks on where the body itself needs no judging: for a recording, or for rules that look at trailers.
    fn looking_on(&self, direction: Direction, head: &Arc<HttpHead>) -> Option<Box<Tap>> {
        if self.tape.is_none() && !self.judges_heads(direction) {
            return None;
        }
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

/// The size that a message's head states.
fn announced(head: &HttpHead) -> u64 {
    let length = head.headers.get(CONTENT_LENGTH);
    length
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .unwrap_or_default()
}
