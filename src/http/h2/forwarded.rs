//! A request on a stream of HTTP/2 with the proxy itself, on its way to a server as one of HTTP/1.1, and the response to it.

use crate::accept::Ask;
use crate::decide::Treatment;
use crate::error::Side;
use crate::handshake::origin::late_failure;
use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::exchange::destination::Destination;
use crate::http::exchange::endless::may_be_quiet;
use crate::http::exchange::hop;
use crate::http::exchange::judge;
use crate::http::exchange::pace::{Pace, Stalled, going};
use crate::http::exchange::record::ExchangeRecord;
use crate::http::exchange::road::{self};
use crate::http::h1::door::{Origins, Reached};
use crate::http::h1::outbound::{NoHead, Outbound};
use crate::http::h2::answer::{both, deliver};
use crate::http::h2::ask::RequestPump;
use crate::http::h2::pump::Pump;
use crate::http::h2::tunnel::SentPiece;
use crate::http::h2::under_way::StreamEnd;
use crate::http::inspected::adapting::{Adapter, Change};
use crate::http::inspected::exchange::InspectedExchange;
use crate::http::message::body::Body;
use crate::http::message::broke::BodyError;
use crate::http::message::source::Source;
use crate::http::pages::{Audience, ErrorResponse};
use crate::wire::headers::Headers;
use crate::wire::http1::{Fields, ResponseHead, response_framing};
use crate::wire::names::Authority;
use ::h2::server::SendResponse;
use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderMap, PROXY_AUTHORIZATION, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// Interim responses that one request may have.
const INTERIM: u32 = 100;

/// A request under way.
pub(super) struct Forwarded<'a> {
    pub(super) context: &'a ExchangeContext,
    pub(super) to: &'a Destination<'a>,
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) audience: Audience,
    pub(super) respond: SendResponse<SentPiece>,
    pub(super) record: ExchangeRecord,
    pub(super) inspected: Option<Box<InspectedExchange>>,
    pub(super) adapter: Option<Box<Adapter>>,
    /// How the policy has it treated.
    pub(super) treatment: Arc<Treatment>,
    /// How fast its content has to come.
    pub(super) pace: Pace,
}

/// What came instead of a response.
enum NotCarried {
    TakenBack,
    ErrorResponse(ErrorResponse),
}

impl Forwarded<'_> {
    /// Carries the request, with this content, to where it asks for, and the response back.
    pub(super) async fn carry(
        mut self,
        mut headers: HeaderMap,
        body: Body,
        ask: &Ask,
        origins: &impl Origins,
    ) -> StreamEnd {
        let waits = road::expects_continue(&headers) && !body.is_end_stream();
        let mut request = Request::new(body);
        std::mem::swap(request.headers_mut(), &mut headers);
        if let Some(mut it) = self.inspected.take() {
            if waits && it.holds_request() {
                // What is judged first has to be there first.
                let mut early = Response::new(());
                *early.status_mut() = StatusCode::CONTINUE;
                let _ = self.respond.send_informational(early);
                request.headers_mut().remove(EXPECT);
            }
            let judged = self.unless_reset(it.request_body(request)).await;
            self.inspected = Some(it);
            request = match judged {
                Some(Ok(request)) => request,
                Some(Err(problem)) => return self.answer(&problem).await,
                None => return StreamEnd::Reset,
            };
        }
        let mut method = self.method.clone();
        let mut path = self.path.to_owned();
        if let Some(mut adapter) = self.adapter.take() {
            if waits {
                let mut early = Response::new(());
                *early.status_mut() = StatusCode::CONTINUE;
                let _ = self.respond.send_informational(early);
                request.headers_mut().remove(EXPECT);
            }
            let (mut parts, body) = request.into_parts();
            let headers = parts.headers.clone();
            let asked = Box::pin(adapter.request(&method, &path, headers, false, body));
            let change = self.unless_reset(asked).await;
            self.adapter = Some(adapter);
            request = match change {
                Some(Change::None(held)) => Request::from_parts(parts, Body::put_back(held)),
                Some(Change::Request(changed)) => {
                    (method, path, parts.headers) = (changed.method, changed.path, changed.headers);
                    Request::from_parts(parts, Body::full(changed.body))
                }
                Some(Change::Response(response, problem)) => {
                    self.record.answered(&problem);
                    return deliver(self.context, self.record.is_head(), self.respond, response).await;
                }
                Some(Change::Stop(problem)) => return self.answer(&problem).await,
                None => return StreamEnd::Reset,
            };
        }
        let reached = match self.unless_reset(origins.reach(ask, false)).await {
            Some(Ok(reached)) => reached,
            Some(Err(problem)) => return self.answer(&problem).await,
            None => return StreamEnd::Reset,
        };
        let Reached {
            leg,
            address,
            absolute,
        } = reached;
        let (parts, body) = request.into_parts();
        let (mut fields, is_chunked) = outgoing(&parts.headers, &body, self.treatment.via);
        let mut target = Cow::Borrowed(path.as_bytes());
        if let Some(form) = &absolute {
            target = Cow::Owned(form.target(self.to, &target));
            if let Some(credentials) = &form.credentials {
                fields.set(&PROXY_AUTHORIZATION, credentials.as_bytes());
            }
        }
        let mut outbound = Outbound::begin(leg, &method, &target, &fields, Box::new(body), is_chunked);
        match self.response(&mut outbound).await {
            Ok(head) => match absolute.and_then(|form| form.refusal(self.to, head.status)) {
                Some(problem) => self.answer(&problem).await,
                None => self.pass_on(head, outbound, address).await,
            },
            Err(NotCarried::TakenBack) => StreamEnd::Reset,
            Err(NotCarried::ErrorResponse(problem)) => self.answer(&problem).await,
        }
    }

    /// Waits for a response, passing on what comes before it.
    async fn response(&mut self, outbound: &mut Outbound) -> Result<ResponseHead, NotCarried> {
        let sent = self.record.received();
        let (context, target) = (self.context, self.to.target);
        let mut interim = 0;
        loop {
            let respond = &mut self.respond;
            let next = going(context.response, self.pace, Pace::ANY, |cx, progress| {
                // Whoever moves content knows best why there will be no more of it.
                if let Poll::Ready(head) = outbound.poll_head(cx, context.header_bytes) {
                    return Poll::Ready(match head {
                        Ok(Ok(head)) => Ok(head),
                        Ok(Err(why)) => Err(NotCarried::ErrorResponse(no_head(target, why))),
                        Err(BodyError::Refused(problem)) => Err(NotCarried::ErrorResponse(*problem)),
                        Err(_) => Err(NotCarried::TakenBack),
                    });
                }
                progress.moved = sent.bytes();
                progress.upload = outbound.flow(progress.moved);
                respond.poll_reset(cx).map(|_| Err(NotCarried::TakenBack))
            });
            let head = match next.await {
                Ok(head) => head?,
                Err(stalled) => {
                    let (why, text) = match stalled {
                        Stalled::Silent => (
                            HttpError::Timeout,
                            format!("{target} sent no response for {:?}", context.response),
                        ),
                        Stalled::Slow(side) => (HttpError::Slow(side), self.pace.text(side)),
                    };
                    return Err(NotCarried::ErrorResponse(ErrorResponse::new(why, text)));
                }
            };
            if !head.status.is_informational() {
                return Ok(head);
            }
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(NotCarried::ErrorResponse(road::unasked(self.to)));
            }
            interim += 1;
            if interim > INTERIM {
                let text = format!("{target} sent more than {INTERIM} interim responses");
                return Err(NotCarried::ErrorResponse(ErrorResponse::new(
                    HttpError::BadResponse,
                    text,
                )));
            }
            if let Some(it) = &self.inspected
                && let Err(problem) = it.interim_head(head.status, &head.fields)
            {
                return Err(NotCarried::ErrorResponse(problem));
            }
            let mut early = Response::new(());
            *early.status_mut() = head.status;
            *early.headers_mut() = incoming(head.fields);
            // A client that has gone needs no advice.
            let _ = self.respond.send_informational(early);
        }
    }

    async fn pass_on(
        mut self,
        mut head: ResponseHead,
        outbound: Outbound,
        address: Option<std::net::IpAddr>,
    ) -> StreamEnd {
        let framing = match response_framing(&mut head, self.method) {
            Ok(framing) => framing,
            Err(why) => {
                let problem = ErrorResponse::malformed_response(self.to.target, why);
                return self.answer(&problem).await;
            }
        };
        let mut source = Source::H1(outbound.into_content(framing, self.context.header_bytes));
        let received = head.version;
        let adapter = self.adapter.take();
        let fields = head.fields.to_map();
        if let Some(adapter) = adapter.filter(|it| it.takes_response(head.status, &fields)) {
            let adapting = Box::pin(adapter.response(head.status, fields, source));
            match self.unless_reset(adapting).await {
                Some(Change::None(held)) => source = Source::Resumed(Box::new(held)),
                Some(Change::Response(response, _)) => {
                    let (changed, content) = response.into_parts();
                    head = ResponseHead::new(changed.status);
                    head.fields = Fields::of_map(&changed.headers);
                    source = Source::full(content);
                }
                Some(Change::Stop(problem)) => return self.answer(&problem).await,
                Some(Change::Request(_)) => {
                    let text = "a service answers a response with a request";
                    return self
                        .answer(&ErrorResponse::new(HttpError::Uninspected, text))
                        .await;
                }
                None => return StreamEnd::Reset,
            }
        }
        let looked_at = match self
            .inspected
            .as_ref()
            .map(|it| it.response_head(head.status, head.version, &head.fields, address))
        {
            Some(Err(problem)) => return self.answer(&problem).await,
            Some(Ok(looked_at)) => Some(looked_at),
            None => None,
        };
        self.record.head(head.status);
        let is_stream = may_be_quiet(&head.fields);
        let patience = self.context.patience(is_stream);
        let pace = self.pace.unless(is_stream);
        let status = head.status;
        let mut headers = incoming(head.fields);
        judge::edit(&self.treatment.response_headers, &mut headers);
        if self.treatment.via {
            hop::add_via(&mut headers, received);
        }
        let Self {
            context,
            audience,
            mut respond,
            record,
            inspected,
            ..
        } = self;
        let body = match inspected.zip(looked_at) {
            None => Body::response(source, record, None),
            Some((it, looked_at)) => {
                let mut judging = pin!(it.response_body(&looked_at, &mut headers, source, record));
                let judged = poll_fn(|cx| {
                    if respond.poll_reset(cx).is_ready() {
                        return Poll::Ready(None);
                    }
                    judging.as_mut().poll(cx).map(Some)
                })
                .await;
                match judged {
                    Some(Ok(body)) => body,
                    Some(Err((mut record, problem))) => {
                        let response = road::answer_with(&mut record, &problem, audience);
                        return deliver(context, record.is_head(), respond, response).await;
                    }
                    None => return StreamEnd::Reset,
                }
            }
        };
        let mut response = Response::new(());
        *response.status_mut() = status;
        *response.version_mut() = Version::HTTP_2;
        *response.headers_mut() = headers;
        let is_over = body.is_end_stream();
        let Ok(send) = respond.send_response(response, is_over) else {
            return StreamEnd::Reset;
        };
        let mut download = if is_over {
            Pump::done(send)
        } else {
            Pump::new(body, send)
        };
        both(&mut download, &mut RequestPump(None), patience, [pace; 2]).await
    }

    /// Answers with a problem of the proxy's.
    async fn answer(mut self, problem: &ErrorResponse) -> StreamEnd {
        let response = road::answer_with(&mut self.record, problem, self.audience);
        deliver(self.context, self.record.is_head(), self.respond, response).await
    }

    /// Runs `work` until it is done; `None` when the client takes its request back before.
    async fn unless_reset<F: Future>(&mut self, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        let respond = &mut self.respond;
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            respond.poll_reset(cx).map(|_| None)
        })
        .await
    }
}

/// Makes the fields of a request of HTTP/2 those of one of HTTP/1.1; also says whether its content goes in chunks.
fn outgoing(headers: &HeaderMap, body: &Body, via: bool) -> (Fields, bool) {
    let mut fields = Fields::new();
    // As every client of HTTP/1.1 does.
    if let Some(host) = headers.first(&HOST) {
        fields.push(b"host", host);
    }
    headers.each(&mut |name, value| {
        if name != b"host" {
            fields.push(name, value);
        }
    });
    hop::strip(&mut fields, None);
    let is_chunked = !body.is_end_stream() && !fields.has(&CONTENT_LENGTH);
    if is_chunked {
        fields.set(&TRANSFER_ENCODING, b"chunked");
    }
    if via {
        hop::add_via(&mut fields, Version::HTTP_2);
    }
    (fields, is_chunked)
}

/// Makes the fields of a response of HTTP/1.1 those of one of HTTP/2.
fn incoming(mut fields: Fields) -> HeaderMap {
    hop::strip(&mut fields, None);
    let mut headers = fields.to_map();
    hop::strip_for_h2(&mut headers);
    headers
}

fn no_head(target: &Authority, why: NoHead) -> ErrorResponse {
    match why {
        NoHead::Malformed(why) => ErrorResponse::malformed_response(target, why),
        NoHead::Closed(error) => match error.as_ref().and_then(late_failure) {
            Some(outcome) => ErrorResponse::late(target, outcome),
            None => {
                let why = error.map(|error| format!(" ({error})")).unwrap_or_default();
                let text = format!("{target} closed the connection without a response{why}");
                ErrorResponse::new(HttpError::Aborted(Side::Origin), text)
            }
        },
    }
}
