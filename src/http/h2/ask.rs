//! Asking an origin: the head, the content beside it, and what comes back.

use crate::error::Side;
use crate::handshake::HandshakeOutcome;
use crate::http::error::HttpError;
use crate::http::exchange::hop;
use crate::http::exchange::pace::{Flow, Pace, Stalled, going};
use crate::http::exchange::road;
use crate::http::h2::pump::{Pump, PumpError};
use crate::http::h2::under_way::{StreamEnd, StreamExchange};
use crate::http::message::broke::BodyError;
use crate::http::pages::ErrorResponse;
use crate::wire::names::Authority;
use ::h2::client::{ResponseFuture, SendRequest};
use ::h2::server::SendResponse;
use ::h2::{Reason, RecvStream, SendStream};
use bytes::Bytes;
use http::{Request, Response};
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

/// Interim responses (RFC 9110 section 15.2) that one request may have: no window bounds what waits of them for a
/// client that does not read.
const INTERIM: u32 = 100;

/// What came instead of a response.
pub(in crate::http) enum StreamFailure {
    /// The client took its request back.
    Client(Reason),
    /// The origin's stream or connection broke.
    Origin(::h2::Error),
    /// Nothing moved for too long.
    Silent,
    /// The client sends its content too slowly.
    Slow,
    /// The origin goes on without coming to its response.
    Rambling,
    /// A rule does not let the exchange go on.
    Refused(Box<ErrorResponse>),
}

/// Why a request's content does not come to its end.
pub(in crate::http) enum UploadFailed {
    /// The client broke it off; the origin is told this code.
    Client(Reason),
    /// A rule does not let it go on.
    Refused(Box<ErrorResponse>),
}

/// A request's content on its way. Once it has broken, the response says why.
pub(in crate::http) struct RequestPump(pub(in crate::http) Option<Pump>);

impl RequestPump {
    pub(in crate::http) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UploadFailed>> {
        let Some(pump) = &mut self.0 else {
            return Poll::Ready(Ok(()));
        };
        match std::task::ready!(pump.poll(cx)) {
            // The origin wants no more of it; what it answers is still to come.
            Ok(()) | Err(PumpError::To(_)) => Poll::Ready(Ok(())),
            Err(PumpError::From(BodyError::Refused(problem))) => {
                Poll::Ready(Err(UploadFailed::Refused(problem)))
            }
            Err(PumpError::From(error)) => Poll::Ready(Err(UploadFailed::Client(client_reason(&error)))),
        }
    }

    /// A count that grows with each piece that goes on.
    pub(in crate::http) fn moved(&self) -> u64 {
        self.0.as_ref().map_or(0, Pump::moved)
    }

    /// How far it is.
    pub(in crate::http) fn flow(&mut self) -> Flow {
        self.0.as_mut().map_or(Flow::NONE, Pump::flow)
    }

    pub(in crate::http) fn reset(&mut self, reason: Reason) {
        if let Some(pump) = &mut self.0 {
            pump.reset(reason);
        }
    }
}

/// The code for an origin whose client's content broke off.
fn client_reason(error: &BodyError) -> Reason {
    match error {
        BodyError::H2(error) if error.is_reset() => error.reason().unwrap_or(Reason::CANCEL),
        BodyError::H2(_) | BodyError::H1(_) | BodyError::Refused(_) => Reason::CANCEL,
    }
}

/// Sends a head, at the place that was waited for: no future has to keep it meanwhile.
pub(in crate::http) fn send(
    mut place: SendRequest<Bytes>,
    head: Request<()>,
    is_over: bool,
) -> Result<(ResponseFuture, SendStream<Bytes>), StreamFailure> {
    place.send_request(head, is_over).map_err(StreamFailure::Origin)
}

impl StreamExchange<'_> {
    /// Waits for a place among the origin's streams.
    pub(in crate::http) async fn place(&mut self) -> Result<SendRequest<Bytes>, StreamFailure> {
        let mut sender = self.shared.sender.clone();
        let respond = &mut self.respond;
        let ready = poll_fn(|cx| {
            if let Poll::Ready(reason) = poll_reset(respond, cx) {
                return Poll::Ready(Err(StreamFailure::Client(reason)));
            }
            sender.poll_ready(cx).map_err(StreamFailure::Origin)
        });
        let context = &self.shared.context;
        match road::patiently(ready, context.response, || 0).await {
            Some(ready) => ready.map(|()| sender),
            None => Err(StreamFailure::Silent),
        }
    }

    /// Waits for a response, sending content meanwhile and passing on what comes before it.
    pub(in crate::http) async fn response(
        &mut self,
        mut response: ResponseFuture,
        upload: &mut RequestPump,
    ) -> Result<Response<RecvStream>, StreamFailure> {
        let (respond, inspected) = (&mut self.respond, &self.inspected);
        let mut uploading = true;
        let mut interim = 0;
        // Other streams' traffic is no sign of life of this one.
        let sent = self.record.received();
        let next = going(
            self.shared.context.response,
            self.pace,
            Pace::ANY,
            |cx, progress| {
                (progress.moved, progress.upload) = (sent.bytes(), Flow::NONE);
                if uploading && let Poll::Ready(uploaded) = upload.poll(cx) {
                    uploading = false;
                    match uploaded {
                        Ok(()) => {}
                        Err(UploadFailed::Client(reason)) => {
                            return Poll::Ready(Err(StreamFailure::Client(reason)));
                        }
                        Err(UploadFailed::Refused(problem)) => {
                            return Poll::Ready(Err(StreamFailure::Refused(problem)));
                        }
                    }
                }
                if uploading {
                    (progress.moved, progress.upload) = (sent.bytes(), upload.flow());
                }
                while let Poll::Ready(Some(Ok(mut early))) = response.poll_informational(cx) {
                    interim += 1;
                    if interim > INTERIM {
                        return Poll::Ready(Err(StreamFailure::Rambling));
                    }
                    if let Some(it) = inspected
                        && let Err(problem) = it.interim_head(early.status(), early.headers())
                    {
                        return Poll::Ready(Err(StreamFailure::Refused(Box::new(problem))));
                    }
                    hop::strip_h2(early.headers_mut());
                    self.shared.context.hide(early.headers_mut());
                    // The client may be gone, which is found out below.
                    let _ = respond.send_informational(early);
                }
                if let Poll::Ready(reason) = poll_reset(respond, cx) {
                    return Poll::Ready(Err(StreamFailure::Client(reason)));
                }
                std::pin::Pin::new(&mut response)
                    .poll(cx)
                    .map_err(StreamFailure::Origin)
            },
        );
        match next.await {
            Ok(response) => response,
            Err(Stalled::Silent) => Err(StreamFailure::Silent),
            Err(Stalled::Slow(_)) => Err(StreamFailure::Slow),
        }
    }

    /// Runs `work` until it is done or the client takes its request back.
    pub(in crate::http) async fn unless_reset<F: Future>(&mut self, work: F) -> Result<F::Output, Reason> {
        let mut work = std::pin::pin!(work);
        let respond = &mut self.respond;
        poll_fn(|cx| {
            // Work that waits for content knows best why there will be no more.
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            poll_reset(respond, cx).map(Err)
        })
        .await
    }

    /// There is no response.
    pub(in crate::http) async fn fail(mut self: Box<Self>, failed: StreamFailure) -> StreamEnd {
        let target = self.to.target;
        let error = match failed {
            StreamFailure::Client(_) => return StreamEnd::Reset,
            StreamFailure::Refused(problem) => return self.answer(&problem).await,
            StreamFailure::Silent => {
                let text = format!("{target} sent no response for {:?}", self.shared.context.response);
                return self.answer(&ErrorResponse::new(HttpError::Timeout, text)).await;
            }
            StreamFailure::Slow => {
                let text = self.pace.text(Side::Client);
                return self
                    .answer(&ErrorResponse::new(HttpError::Slow(Side::Client), text))
                    .await;
            }
            StreamFailure::Rambling => {
                let text = format!("{target} sent more than {INTERIM} interim responses");
                return self
                    .answer(&ErrorResponse::new(HttpError::BadResponse, text))
                    .await;
            }
            StreamFailure::Origin(error) => error,
        };
        if error.is_remote() && (error.is_reset() || error.is_go_away()) {
            // A stream behind a GOAWAY was not begun: the client may ask again (RFC 9113 section 8.7).
            let reason = match error.reason() {
                Some(reason) if error.is_reset() => reason,
                _ => Reason::REFUSED_STREAM,
            };
            self.record.failed(HttpError::Aborted(Side::Origin));
            self.respond.send_reset(reason);
            return StreamEnd::Regular;
        }
        if let Some(fallback) = &self.shared.context.fallback
            && let Some(said) = fallback.said()
        {
            return self.untaken(fallback.has_http1(), said.to_owned()).await;
        }
        let late = self.shared.activity.late_failure();
        self.answer(&problem(target, late, &error)).await
    }
}

impl StreamExchange<'_> {
    /// The host is asked over HTTP/1.1 from now on, as was found out on another connection. Nothing of the request has gone
    /// on, so that it can be sent again whatever it is.
    pub(in crate::http) fn turned_back(mut self: Box<Self>) -> StreamEnd {
        let text = format!(
            "{} is asked over HTTP/1.1 since another connection to it: the client is told to ask again by that",
            self.to.target
        );
        self.record.failed_for(HttpError::NotTaken, text);
        self.respond.send_reset(Reason::HTTP_1_1_REQUIRED);
        StreamEnd::Regular
    }

    /// The origin has said what HTTP/2 allows and the `h2` crate does not take. What has done nothing and can be sent
    /// again is asked again at once by clients that know what they are told; the others see what the next try is for.
    async fn untaken(mut self: Box<Self>, has_http1: bool, said: String) -> StreamEnd {
        let target = self.to.target;
        let text =
            format!("{target} sent {said} over HTTP/2, which this proxy can pass on over HTTP/1.1 alone");
        if has_http1 && self.record.may_repeat() {
            let text = format!("{text}: the client is told to ask again by that");
            self.record.failed_for(HttpError::BadResponse, text);
            self.respond.send_reset(Reason::HTTP_1_1_REQUIRED);
            return StreamEnd::Regular;
        }
        let text = format!("{text}. It is asked by that from now on: please try again");
        self.answer(&ErrorResponse::new(HttpError::BadResponse, text))
            .await
    }
}

/// What an error of the origin's connection means for a request; `late` is what its TLS meant.
pub(in crate::http) fn problem(
    target: &Authority,
    late: Option<HandshakeOutcome>,
    error: &::h2::Error,
) -> ErrorResponse {
    if let Some(outcome) = late {
        // In TLS 1.3 an origin says only now that it wanted a client certificate.
        return ErrorResponse::late(target, outcome);
    }
    let is_invalid = error
        .get_io()
        .is_some_and(|e| e.kind() == io::ErrorKind::InvalidData);
    if is_invalid || error.is_library() {
        let text = format!("{target} answered with something that is not HTTP/2: {error}");
        return ErrorResponse::new(HttpError::BadResponse, text);
    }
    let text = format!("{target} closed the connection without a response ({error})");
    ErrorResponse::new(HttpError::Aborted(Side::Origin), text)
}

pub(in crate::http) fn poll_reset(respond: &mut SendResponse<Bytes>, cx: &mut Context<'_>) -> Poll<Reason> {
    respond
        .poll_reset(cx)
        .map(|reset| reset.unwrap_or(Reason::INTERNAL_ERROR))
}
