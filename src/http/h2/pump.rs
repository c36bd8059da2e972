//! Content on its way into a stream: no more is read than the far side has room for.

use crate::http::error::HttpError;
use crate::http::exchange::hop;
use crate::http::exchange::pace::Flow;
use crate::http::message::body::Body;
use crate::http::message::broke::BodyError;
use crate::http::pages::ErrorResponse;
use crate::inspect::{Buffered, Room, Share};
use ::h2::{Reason, SendStream};
use bytes::{Buf, Bytes};
use http_body::Body as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Which end of a pump broke.
#[derive(Debug)]
pub(in crate::http) enum PumpError {
    /// Where the content comes from.
    From(BodyError),
    /// Where it goes: the peer reset the stream with this code, or its connection is gone.
    To(Reason),
}

/// Moves one message's content.
#[derive(Debug)]
pub(in crate::http) struct Pump<B: Buf = Bytes> {
    body: Body,
    send: SendStream<B>,
    /// Read, and waits for room.
    chunk: Bytes,
    done: bool,
    /// The content has broken off, and what came before has had its turn to be written.
    broke: Option<BodyError>,
    /// Pieces that have gone on.
    moved: u64,
    /// Bytes that have come.
    received: u64,
    /// The far side had no room, since somebody looked.
    is_held_up: bool,
    /// What waits here for that, where it counts.
    share: Option<Share>,
}

impl<B: Buf + From<Bytes>> Pump<B> {
    pub(in crate::http) fn new(body: Body, send: SendStream<B>) -> Self {
        Self {
            body,
            send,
            chunk: Bytes::new(),
            done: false,
            broke: None,
            moved: 0,
            received: 0,
            is_held_up: false,
            share: None,
        }
    }

    /// Has what waits for the far side count in `room`, whenever somebody polls this.
    pub(in crate::http) fn counted_in(self, room: &Arc<Room>) -> Self {
        Self {
            share: Some(Share::new(Arc::clone(room), Buffered::Streams)),
            ..self
        }
    }

    /// One that has nothing to move, since the head ended the stream.
    pub(in crate::http) fn done(send: SendStream<B>) -> Self {
        Self {
            done: true,
            ..Self::new(Body::empty(), send)
        }
    }

    pub(in crate::http) fn is_done(&self) -> bool {
        self.done
    }

    /// A count that grows with each piece that goes on.
    pub(in crate::http) fn moved(&self) -> u64 {
        self.moved
    }

    /// How far it is; tells once that the far side had no room.
    pub(in crate::http) fn flow(&mut self) -> Flow {
        Flow {
            bytes: self.received,
            is_over: self.done,
            is_held_up: std::mem::take(&mut self.is_held_up),
        }
    }

    /// Ends the stream, for a reason that is stated.
    pub(in crate::http) fn give_up(&mut self, why: HttpError, text: Option<String>) {
        if !self.done {
            self.body.gave_up(why, text);
            self.reset(Reason::INTERNAL_ERROR);
        }
    }

    /// Ends the stream since a rule does not let the request go on to which it belongs.
    pub(in crate::http) fn refuse(&mut self, problem: &ErrorResponse) {
        if !self.done {
            self.body.refused(problem);
            self.reset(Reason::INTERNAL_ERROR);
        }
    }

    /// Ends the stream with this code.
    pub(in crate::http) fn reset(&mut self, reason: Reason) {
        self.done = true;
        self.send.send_reset(reason);
    }

    /// Whether the peer has reset the stream; for whoever waits for something else.
    pub(in crate::http) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Reason> {
        self.send
            .poll_reset(cx)
            .map(|reset| reset.unwrap_or(Reason::INTERNAL_ERROR))
    }

    /// Moves what can be moved; ready when all has been, trailers included.
    pub(in crate::http) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        let ended = ready!(self.poll_move(cx));
        self.done = true;
        Poll::Ready(ended)
    }

    fn poll_move(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        if let Some(error) = self.broke.take() {
            return Poll::Ready(Err(PumpError::From(error)));
        }
        loop {
            if !self.chunk.is_empty() {
                ready!(self.poll_room(cx))?;
                let last = self.body.is_end_stream();
                let chunk = std::mem::take(&mut self.chunk);
                self.send(chunk, last)?;
                if last {
                    return Poll::Ready(Ok(()));
                }
            }
            if let Poll::Ready(reason) = self.poll_reset(cx) {
                return Poll::Ready(Err(PumpError::To(reason)));
            }
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(self.send(Bytes::new(), true)),
                Some(Err(error)) => {
                    // A reset takes with it what the crate has not written yet: its connection's task goes first.
                    self.broke = Some(error);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Ok(frame)) => frame,
            };
            match frame.into_data() {
                Ok(data) if data.is_empty() && self.body.is_end_stream() => {
                    return Poll::Ready(self.send(data, true));
                }
                Ok(data) => {
                    self.received += data.len() as u64;
                    self.chunk = data;
                }
                Err(frame) => {
                    let Ok(mut trailers) = frame.into_trailers() else {
                        continue;
                    };
                    hop::strip_h2(&mut trailers);
                    let sent = self.send.send_trailers(trailers);
                    return Poll::Ready(sent.map_err(|error| PumpError::To(reason(&error))));
                }
            }
        }
    }

    /// Waits until the peer has room for something. The piece then goes whole: it is one frame at most.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        self.send.reserve_capacity(self.chunk.len());
        while self.send.capacity() == 0 {
            let capacity = self.send.poll_capacity(cx);
            if capacity.is_pending() {
                self.is_held_up = true;
                let waiting = self.body.waiting();
                if let Some(share) = &mut self.share {
                    share.count(waiting);
                }
            }
            match ready!(capacity) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(PumpError::To(reason(&error)))),
                None => {
                    let reason = match self.poll_reset(cx) {
                        Poll::Ready(reason) => reason,
                        Poll::Pending => Reason::STREAM_CLOSED,
                    };
                    return Poll::Ready(Err(PumpError::To(reason)));
                }
            }
        }
        if let Some(share) = self.share.as_mut().filter(|share| share.bytes() > 0) {
            share.count(0);
        }
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, data: Bytes, last: bool) -> Result<(), PumpError> {
        self.moved += 1;
        self.send
            .send_data(data.into(), last)
            .map_err(|error| PumpError::To(reason(&error)))
    }
}

/// The code that tells a peer of an error on the other side: the one that the other side gave, if it gave one.
pub(in crate::http) fn reason(error: &::h2::Error) -> Reason {
    if error.is_go_away() || error.is_io() {
        return Reason::INTERNAL_ERROR;
    }
    error.reason().unwrap_or(Reason::INTERNAL_ERROR)
}
