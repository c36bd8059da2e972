//! Answering a client: with what the origin said, or with what the proxy has to say.

use crate::error::Side;
use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::exchange::destination::Destination;
use crate::http::exchange::endless::may_be_quiet;
use crate::http::exchange::hop;
use crate::http::exchange::pace::{Pace, Stalled, going};
use crate::http::exchange::record::ExchangeRecord;
use crate::http::exchange::road::answer_with;
use crate::http::h2::ask::{RequestPump, UploadFailed, poll_reset};
use crate::http::h2::pump::{self, Pump, PumpError};
use crate::http::h2::under_way::{StreamEnd, StreamExchange};
use crate::http::h2::unwanted::skip;
use crate::http::message::body::Body;
use crate::http::message::broke::BodyError;
use crate::http::message::source::{Source, Streamed};
use crate::http::pages::ErrorResponse;
use crate::http::request_id::RequestId;
use ::h2::server::SendResponse;
use ::h2::{Reason, RecvStream};
use bytes::{Buf, Bytes};
use http::{Method, Request, Response, Version};
use http_body::Body as _;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Sends a response of the proxy's own.
pub(in crate::http) async fn deliver<B: Buf + From<Bytes>>(
    context: &ExchangeContext,
    is_head: bool,
    mut respond: SendResponse<B>,
    response: Response<Bytes>,
) -> StreamEnd {
    let (mut parts, content) = response.into_parts();
    // Whatever its fields say, the answer to HEAD has no content (RFC 9110 section 9.3.2).
    let body = if is_head {
        Body::empty()
    } else {
        Body::full(content)
    };
    hop::strip_for_h2(&mut parts.headers);
    parts.version = Version::HTTP_2;
    let is_over = body.is_end_stream();
    let Ok(send) = respond.send_response(Response::from_parts(parts, ()), is_over) else {
        return StreamEnd::Reset;
    };
    if is_over {
        return StreamEnd::Regular;
    }
    let patience = context.patience(false);
    let mut download = Pump::new(body, send);
    both(&mut download, &mut RequestPump(None), patience, [Pace::ANY; 2]).await
}

impl StreamExchange<'_> {
    /// Gives the client a response, and what is left of its own content to the origin.
    pub(in crate::http) async fn pass_on(
        mut self: Box<Self>,
        response: Response<RecvStream>,
        upload: &mut RequestPump,
    ) -> StreamEnd {
        let (mut parts, recv) = response.into_parts();
        let room = Arc::clone(self.shared.context.inspector.kept());
        let mut source = Source::H2(Streamed::new(recv));
        let adapter = self.adapter.take();
        // Few streams need this, and it would take room in all of them.
        if let Some(adapter) = adapter.filter(|it| it.takes_response(parts.status, &parts.headers)) {
            let adapted = Box::pin(self.adapted_response(adapter, parts, source, upload)).await;
            (self, parts, source) = match adapted {
                Ok(adapted) => adapted,
                Err(ended) => return ended,
            };
        }
        let head = match self.inspected.as_ref().map(|it| {
            it.response_head(
                parts.status,
                parts.version,
                &parts.headers,
                self.shared.context.origin,
            )
        }) {
            Some(Err(problem)) => return self.answer(&problem).await,
            Some(Ok(head)) => Some(head),
            None => None,
        };
        self.record.head(parts.status);
        let is_stream = may_be_quiet(&parts.headers);
        let patience = self.shared.context.patience(is_stream);
        let pace = self.pace.unless(is_stream);
        self.incoming(&mut parts);
        let body = match self.inspected.take().zip(head) {
            None => Body::response(source, self.record, None),
            Some((it, head)) => {
                let judging = it.response_body(&head, &mut parts.headers, source, self.record);
                match uploading(&mut self.respond, upload, Box::pin(judging)).await {
                    Ok(Ok(body)) => body,
                    Ok(Err(refused)) => {
                        let (mut record, problem) = refused;
                        let response = answer_with(&mut record, &problem, self.audience);
                        let is_head = record.is_head();
                        drop(record);
                        let own = deliver(&self.shared.context, is_head, self.respond, response);
                        return Box::pin(own).await;
                    }
                    Err(reason) => {
                        upload.reset(reason);
                        return StreamEnd::Reset;
                    }
                }
            }
        };
        let is_over = body.is_end_stream();
        let Ok(send) = self
            .respond
            .send_response(Response::from_parts(parts, ()), is_over)
        else {
            return StreamEnd::Reset;
        };
        let mut download = if is_over {
            Pump::done(send)
        } else {
            Pump::new(body, send).counted_in(&room)
        };
        both(&mut download, upload, patience, [pace; 2]).await
    }

    /// Answers with a problem of the proxy's.
    pub(in crate::http) async fn answer(mut self: Box<Self>, problem: &ErrorResponse) -> StreamEnd {
        let response = answer_with(&mut self.record, problem, self.audience);
        // Few streams need it, and it would take room in all of them.
        let own = deliver(
            &self.shared.context,
            self.record.is_head(),
            self.respond,
            response,
        );
        Box::pin(own).await
    }
}

/// Runs `work` while what is left of the request goes on; why the client takes its request back, if it does before.
pub(in crate::http) async fn uploading<F: Future>(
    respond: &mut SendResponse<Bytes>,
    upload: &mut RequestPump,
    work: F,
) -> Result<F::Output, Reason> {
    let mut work = std::pin::pin!(work);
    let mut uploading = true;
    poll_fn(|cx| {
        if uploading && upload.poll(cx).is_ready() {
            uploading = false;
        }
        if let Poll::Ready(reason) = poll_reset(respond, cx) {
            return Poll::Ready(Err(reason));
        }
        work.as_mut().poll(cx).map(Ok)
    })
    .await
}

/// Moves a response, and what is left of the request, until both have ended, one has broken, nothing moves for
/// `patience`, or the content of one does not keep its pace: that of the request, and that of the response.
pub(in crate::http) async fn both<B: Buf + From<Bytes>>(
    download: &mut Pump<B>,
    upload: &mut RequestPump,
    patience: Duration,
    [up, down]: [Pace; 2],
) -> StreamEnd {
    let mut uploaded = false;
    let stalled = going(patience, up, down, |cx, progress| {
        let ended = poll_both(download, upload, &mut uploaded, cx);
        progress.moved = download.moved() + upload.moved();
        (progress.upload, progress.download) = (upload.flow(), download.flow());
        ended
    });
    match stalled.await {
        Ok(ended) => return ended,
        Err(Stalled::Silent) => download.give_up(HttpError::Timeout, None),
        Err(Stalled::Slow(side)) => {
            let pace = if side == Side::Client { up } else { down };
            download.give_up(HttpError::Slow(side), Some(pace.text(side)));
        }
    }
    upload.reset(Reason::CANCEL);
    StreamEnd::Regular
}

fn poll_both<B: Buf + From<Bytes>>(
    download: &mut Pump<B>,
    upload: &mut RequestPump,
    uploaded: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<StreamEnd> {
    if !*uploaded && let Poll::Ready(result) = upload.poll(cx) {
        *uploaded = true;
        match result {
            Ok(()) => {}
            Err(UploadFailed::Client(reason)) => {
                upload.reset(reason);
                return Poll::Ready(StreamEnd::Reset);
            }
            Err(UploadFailed::Refused(problem)) => {
                upload.reset(Reason::CANCEL);
                download.refuse(&problem);
                return Poll::Ready(StreamEnd::Regular);
            }
        }
    }
    if !download.is_done()
        && let Poll::Ready(Err(broke)) = download.poll(cx)
    {
        match broke {
            PumpError::To(reason) => {
                upload.reset(reason);
                return Poll::Ready(StreamEnd::Reset);
            }
            PumpError::From(error) => {
                download.reset(origin_reason(&error));
                return Poll::Ready(StreamEnd::Regular);
            }
        }
    }
    if *uploaded && download.is_done() {
        return Poll::Ready(StreamEnd::Regular);
    }
    Poll::Pending
}

/// The code for a client whose response broke off.
fn origin_reason(error: &BodyError) -> Reason {
    match error {
        BodyError::H2(error) => pump::reason(error),
        BodyError::H1(_) | BodyError::Refused(_) => Reason::INTERNAL_ERROR,
    }
}

/// Answers a stream with a problem, whatever it asks for; also says what the request is called.
pub(in crate::http) async fn refuse(
    context: &ExchangeContext,
    to: Destination<'_>,
    problem: &ErrorResponse,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> (RequestId, StreamEnd) {
    // It may be another client's than those of the streams beside it.
    let apart = context.forwarded.is_some().then(|| context.apart());
    let context = apart.as_ref().unwrap_or(context);
    context.hear(request.headers());
    let url = to.url(request.uri().path());
    let method: Method = request.method().clone();
    let mut record =
        ExchangeRecord::begin(context, method, Version::HTTP_2, url).noting(context, request.headers());
    let audience = context.pages.audience(request.headers());
    let response = answer_with(&mut record, problem, audience);
    let ended = deliver(context, record.is_head(), respond, response).await;
    let id = record.id();
    drop(record);
    if request.method() != Method::CONNECT {
        skip(request.into_body()).await;
    }
    (id, ended)
}
