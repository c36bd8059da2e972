//! A stream of HTTP/2 as the relay sees it: bytes both ways, ended by END_STREAM or by a reset.

use crate::http::h2::pump::reason;
use ::h2::{Reason, RecvStream, SendStream};
use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream after an extended CONNECT (RFC 8441 section 5) or a CONNECT (RFC 9113 section 8.5). The peer may send
/// more only when what came has been read.
#[derive(Debug)]
pub(in crate::http) struct UpgradedStream {
    recv: RecvStream,
    send: SendStream<Bytes>,
    /// Received and not yet read.
    rest: Bytes,
    /// END_STREAM has been sent.
    is_ended: bool,
    /// The code that its peer reset it with, told to the other one of the pair.
    told: Arc<AtomicU32>,
    /// The code that the other one was reset with.
    heard: Arc<AtomicU32>,
}

/// Nobody has reset it.
const NONE: u32 = u32::MAX;

impl UpgradedStream {
    /// Two streams of which each is reset as the other one was.
    pub(in crate::http) fn pair(
        first: (RecvStream, SendStream<Bytes>),
        second: (RecvStream, SendStream<Bytes>),
    ) -> (Self, Self) {
        let codes = [(); 2].map(|()| Arc::new(AtomicU32::new(NONE)));
        let [a, b] = codes;
        let new = |(recv, send), told: &Arc<AtomicU32>, heard: &Arc<AtomicU32>| Self {
            recv,
            send,
            rest: Bytes::new(),
            is_ended: false,
            told: Arc::clone(told),
            heard: Arc::clone(heard),
        };
        (new(first, &a, &b), new(second, &b, &a))
    }

    /// Tells the other stream of the pair; `None` where the peer has only said that it wants no more.
    fn broke(&self, reason: Reason) -> Option<io::Error> {
        if reason == Reason::NO_ERROR {
            // RFC 9113 section 8.1. What it sent before is whole.
            return None;
        }
        self.told.store(reason.into(), Ordering::Relaxed);
        let text = format!("the stream was reset: {reason}");
        Some(io::Error::new(io::ErrorKind::ConnectionReset, text))
    }
}

impl AsyncRead for UpgradedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.rest.is_empty() {
            match ready!(this.recv.poll_data(cx)) {
                Some(Ok(data)) => this.rest = data,
                Some(Err(error)) => {
                    return Poll::Ready(this.broke(reason(&error)).map_or(Ok(()), Err));
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let n = this.rest.len().min(buf.remaining());
        buf.put_slice(&this.rest[..n]);
        this.rest.advance(n);
        if this.rest.is_empty() {
            // It holds on to what came with it.
            this.rest = Bytes::new();
        }
        // It fails only for more than was received.
        let _ = this.recv.flow_control().release_capacity(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for UpgradedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        this.send.reserve_capacity(buf.len());
        let broken = loop {
            let n = this.send.capacity().min(buf.len());
            if n > 0 {
                match this.send.send_data(Bytes::copy_from_slice(&buf[..n]), false) {
                    Ok(()) => return Poll::Ready(Ok(n)),
                    Err(error) => break reason(&error),
                }
            }
            match ready!(this.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => break reason(&error),
                None => match this.send.poll_reset(cx) {
                    Poll::Ready(reset) => break reset.unwrap_or(Reason::CANCEL),
                    Poll::Pending => break Reason::STREAM_CLOSED,
                },
            }
        };
        // What the peer does not want is forgotten, so that what it has sent still arrives.
        Poll::Ready(this.broke(broken).map_or(Ok(buf.len()), Err))
    }

    /// The connection writes by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.is_ended, true) {
            // A stream that was reset needs no end.
            let _ = self.send.send_data(Bytes::new(), true);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for UpgradedStream {
    fn drop(&mut self) {
        // A stream that was ended goes its way: what waits in it is still sent.
        if !self.is_ended {
            let heard = self.heard.load(Ordering::Relaxed);
            // RFC 8441 section 5: CANCEL is what would be a TCP reset.
            let reason = if heard == NONE {
                Reason::CANCEL
            } else {
                Reason::from(heard)
            };
            self.send.send_reset(reason);
        }
    }
}
