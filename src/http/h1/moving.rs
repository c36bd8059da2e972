//! What moves while an exchange is under way: the request goes on while its response is waited for, and both pass at once.

use crate::error::Side;
use crate::http::context::ExchangeContext;
use crate::http::exchange::pace::Paced;
use crate::http::h1::clock::{Clock, Standstill};
use crate::http::h1::conn::Conn;
use crate::http::h1::outbound::{NoHead, poll_head};
use crate::http::h1::transfer::Transfer;
use crate::http::message::broke::ContentError;
use crate::http::pages::ErrorResponse;
use crate::wire::http1::{Malformed, ResponseHead};
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// How long nothing may move once the client has ended its stream. Nearly all who do so have gone.
pub(super) const HALF_CLOSED: Duration = Duration::from_secs(60);

/// What is read ahead of a client whose request is under way.
const AHEAD: usize = 16 * 1024;

/// Why there is no response.
pub(super) enum NoResponse {
    /// The client's connection broke.
    Client(io::Error),
    /// The client ended its stream within its content.
    ClientCut,
    /// The client's content is malformed.
    Request(Malformed),
    /// The origin's connection broke or ended.
    Origin(Option<io::Error>),
    /// What the origin said is no response.
    Response(Malformed),
    /// Nothing moved for too long.
    Silent,
    /// The client sends its content too slowly.
    Slow,
    /// The origin goes on without coming to its response.
    Rambling,
    /// A rule does not let the request go on.
    Refused(Box<ErrorResponse>),
}

/// Why an exchange did not come to its end once its response had begun.
pub(super) enum Interrupted {
    Silent,
    /// This side sends its content too slowly.
    Slow(Side),
    Origin(ContentError),
    Client(String),
    /// A rule does not let the request go on.
    Refused(Box<ErrorResponse>),
}

/// Moves the response, and what is left of the request.
pub(super) fn poll_both(
    cx: &mut Context<'_>,
    client: &mut Conn,
    origin: &mut Conn,
    upload: &mut Transfer,
    download: &mut Transfer,
    origin_keeps: bool,
) -> Poll<Result<(), Interrupted>> {
    if !upload.is_over() || origin.wants_flush() {
        match upload.poll(cx, client, origin) {
            // What the origin does not want it need not have.
            Poll::Ready(Err(ContentError::Write(_))) => upload.give_up(),
            Poll::Ready(Err(ContentError::Refused(problem))) => {
                return Poll::Ready(Err(Interrupted::Refused(problem)));
            }
            Poll::Ready(Err(broke)) => return Poll::Ready(Err(Interrupted::Client(broke.to_string()))),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
    }
    match download.poll(cx, origin, client) {
        Poll::Pending => {}
        Poll::Ready(Ok(())) if upload.is_over() || !origin_keeps => return Poll::Ready(Ok(())),
        Poll::Ready(Ok(())) => {}
        Poll::Ready(Err(ContentError::Write(error))) => {
            return Poll::Ready(Err(Interrupted::Client(error.to_string())));
        }
        Poll::Ready(Err(broke)) => return Poll::Ready(Err(Interrupted::Origin(broke))),
    }
    // A client that is gone is noticed by what it resets; what it says next waits for its turn.
    if upload.is_over()
        && client.eof().is_none()
        && client.rest().len() < AHEAD
        && let Poll::Ready(Err(error)) = client.poll_fill(cx)
    {
        return Poll::Ready(Err(Interrupted::Client(error.to_string())));
    }
    Poll::Pending
}

/// Sends what is left of the request, and waits for the head of a response.
pub(super) fn poll_response(
    cx: &mut Context<'_>,
    client: &mut Conn,
    origin: &mut Conn,
    upload: &mut Transfer,
    clock: &mut Clock,
    patience: &mut Standstill,
    context: &ExchangeContext,
) -> Poll<Result<ResponseHead, NoResponse>> {
    // An interim response may be on its way.
    if let Poll::Ready(Err(error)) = client.poll_flush(cx) {
        return Poll::Ready(Err(NoResponse::Client(error)));
    }
    match upload.poll(cx, client, origin) {
        Poll::Pending | Poll::Ready(Ok(())) => {}
        // It may have answered before it closed.
        Poll::Ready(Err(ContentError::Write(_))) => upload.give_up(),
        Poll::Ready(Err(ContentError::Read(error))) => return Poll::Ready(Err(NoResponse::Client(error))),
        Poll::Ready(Err(ContentError::Cut)) => return Poll::Ready(Err(NoResponse::ClientCut)),
        Poll::Ready(Err(ContentError::Malformed(why))) => return Poll::Ready(Err(NoResponse::Request(why))),
        Poll::Ready(Err(ContentError::Refused(problem))) => {
            return Poll::Ready(Err(NoResponse::Refused(problem)));
        }
    }
    if let Poll::Ready(head) = poll_head(cx, origin, context.header_bytes) {
        return Poll::Ready(head.map_err(|no| match no {
            NoHead::Closed(error) => NoResponse::Origin(error),
            NoHead::Malformed(why) => NoResponse::Response(why),
        }));
    }
    // A client that is gone is noticed by what it resets. One that has only ended its stream gets its answer.
    if upload.is_over()
        && client.eof().is_none()
        && client.rest().len() < AHEAD
        && let Poll::Ready(Err(error)) = client.poll_fill(cx)
    {
        return Poll::Ready(Err(NoResponse::Client(error)));
    }
    patience
        .poll(clock, cx, upload.bytes())
        .map(|()| Err(NoResponse::Silent))
}

/// Ready when what goes to `to` comes too slowly, though nobody but its sender is waited for.
pub(super) fn poll_slow(
    cx: &mut Context<'_>,
    clock: &mut Clock,
    paced: &mut Paced,
    transfer: &Transfer,
    to: &Conn,
) -> Poll<()> {
    if transfer.is_over() {
        return Poll::Pending;
    }
    if to.wants_flush() {
        paced.excuse();
    }
    while let Some(deadline) = paced.deadline() {
        if clock.poll(cx, deadline).is_pending() {
            break;
        }
        if paced.is_slow(Instant::now(), transfer.bytes()) {
            return Poll::Ready(());
        }
    }
    Poll::Pending
}
