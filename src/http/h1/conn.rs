//! One side of an HTTP/1.1 connection: a leg, and what was received on it and belongs to no message yet.

use crate::accept::{Prefixed, Socket};
use crate::tls::{Eof, Leg, Parts, Transport, with_buffer};
use bytes::Bytes;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

/// How long a client has to take in the last answer.
const LINGER: Duration = Duration::from_secs(1);

/// A leg and what was received on it.
#[derive(Debug)]
pub(super) struct Conn {
    leg: Leg,
    /// Received; used up to `at`.
    received: Vec<u8>,
    at: usize,
    /// Grows with everything that moves.
    moved: u64,
}

impl Conn {
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            leg: Leg::new(transport),
            received: Vec::new(),
            at: 0,
            moved: 0,
        }
    }

    /// One on which nothing ever comes: what stays in the place of a connection that was given away.
    pub(super) fn none() -> Self {
        let nothing = Socket::inner(tokio::io::empty());
        Self::new(Transport::plain(Prefixed::new(Bytes::new(), nothing)))
    }

    /// A counter that grows while anything moves.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// How the incoming stream ended, if it has.
    pub(super) fn eof(&self) -> Option<Eof> {
        self.leg.eof()
    }

    /// What was received and is not used.
    pub(super) fn rest(&self) -> &[u8] {
        self.received.get(self.at..).unwrap_or_default()
    }

    /// So much of it is used now.
    pub(super) fn consume(&mut self, n: usize) {
        self.at += n;
        if self.at >= self.received.len() {
            // A connection that waits for its next message owns no buffer.
            (self.received, self.at) = (Vec::new(), 0);
        }
    }

    /// Reads until something has come; `false` at the end of the stream.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            let before = self.received.len();
            let received = &mut self.received;
            ready!(poll_some(&mut self.leg, cx, &mut |plain| received.extend_from_slice(plain)))?;
            if self.received.len() > before {
                self.moved += 1;
                return Poll::Ready(Ok(true));
            }
            if self.leg.eof().is_some() {
                return Poll::Ready(Ok(false));
            }
        }
    }

    /// Hands what was received to `each`, or reads once and does so. What `each` does not use stays. At the end of the
    /// stream, and where only TLS had something to say, it is not called.
    pub(super) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<()>> {
        if !self.rest().is_empty() {
            let used = each(self.rest());
            self.consume(used);
            self.moved += 1;
            return Poll::Ready(Ok(()));
        }
        let received = &mut self.received;
        ready!(poll_some(&mut self.leg, cx, &mut |plain| {
            let used = if received.is_empty() { each(plain) } else { 0 };
            received.extend_from_slice(&plain[used..]);
        }))?;
        self.moved += 1;
        Poll::Ready(Ok(()))
    }

    /// Puts bytes on their way; they go out with the next flush.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.leg.queue(bytes);
    }

    pub(super) fn wants_flush(&self) -> bool {
        self.leg.wants_flush()
    }

    /// Writes what is queued until nothing is left.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.leg.wants_flush() {
            ready!(self.leg.poll_flush(cx))?;
            self.moved += 1;
        }
        Poll::Ready(Ok(()))
    }

    /// Ends the outgoing stream in this way, and gives the peer a moment to take in what was said: a socket that is
    /// closed with unread bytes resets the connection, and the reset would overtake the last answer.
    pub(super) async fn close(&mut self, how: Eof) {
        let closing = poll_fn(|cx| {
            if let Err(error) = ready!(self.leg.poll_close(cx, how)) {
                return Poll::Ready(Err(error));
            }
            self.leg.poll_discard(cx).map(Ok)
        });
        let _ = tokio::time::timeout(LINGER, closing).await;
    }

    /// Ends the outgoing stream without waiting for anything.
    pub(super) fn leave(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let _ = self.leg.poll_close(&mut cx, Eof::Clean);
    }

    /// The leg, which begins with what was received and not used.
    pub(super) fn into_transport(self) -> Transport {
        let rest = self.rest().to_vec();
        Transport::from(self.leg).rewind(rest.into())
    }

    /// The same, taken apart.
    pub(super) fn into_parts(self) -> Parts {
        self.into_transport().into_parts()
    }
}

/// Reads once and hands on what came, in pieces.
fn poll_some(leg: &mut Leg, cx: &mut Context<'_>, each: &mut impl FnMut(&[u8])) -> Poll<io::Result<()>> {
    let broken = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    if leg.take_early(each).map_err(broken)? || leg.eof().is_some() {
        return Poll::Ready(Ok(()));
    }
    with_buffer(|buffer| {
        let n = ready!(leg.poll_read(cx, buffer))?;
        if n > 0 {
            leg.feed(&mut buffer[..n], each).map_err(broken)?;
        }
        Poll::Ready(Ok(()))
    })
}
