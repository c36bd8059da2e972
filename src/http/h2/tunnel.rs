//! A stream of HTTP/2 as bytes to read and to write: what is behind a CONNECT (RFC 9113 section 8.5).

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Both directions of a stream. The peer's window grows only by what has been read, and a write waits until the
/// peer's window has room, so that either end slows the other down.
///
/// The end of a direction is END_STREAM, and a peer that resets the stream with `CANCEL` or `NO_ERROR` has ended both, as
/// one that closes a socket; any other reset is an error. A stream that is dropped before it has sent that is reset with
/// `CONNECT_ERROR`, and what has not been flushed is lost, as with a TCP connection that is reset. One that has sent it
/// and whose peer has not is reset with `NO_ERROR` once everything is out.
#[derive(Debug)]
pub struct TunnelStream {
    recv: RecvStream,
    send: SendStream<SentPiece>,
    queue: Arc<Queue>,
    /// Received, and not read yet: the peer's window lacks these bytes.
    unread: Bytes,
    recv_ended: bool,
    send_ended: bool,
}

impl TunnelStream {
    /// A stream on which both heads have been exchanged.
    pub fn new(recv: RecvStream, send: SendStream<SentPiece>) -> Self {
        Self {
            recv,
            send,
            queue: Arc::default(),
            unread: Bytes::new(),
            recv_ended: false,
            send_ended: false,
        }
    }

    /// Why nothing can be sent any more.
    fn broken(&mut self, cx: &mut Context<'_>) -> io::Error {
        match self.send.poll_reset(cx) {
            Poll::Ready(Ok(reason)) => {
                let text = format!("the peer reset the stream: {reason}");
                io::Error::new(io::ErrorKind::ConnectionReset, text)
            }
            Poll::Ready(Err(error)) => fault(error),
            Poll::Pending => io::ErrorKind::BrokenPipe.into(),
        }
    }
}

impl Drop for TunnelStream {
    fn drop(&mut self) {
        if !self.send_ended {
            self.send.send_reset(Reason::CONNECT_ERROR);
        }
    }
}

/// What was written and the connection has not sent: the library drops a piece when it is out, or lost.
#[derive(Debug, Default)]
struct Queue(Mutex<QueueState>);

#[derive(Debug, Default)]
struct QueueState {
    pieces: usize,
    flush: Option<Waker>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one write has put on its way.
#[derive(Debug)]
pub struct SentPiece {
    data: Bytes,
    queue: Option<Arc<Queue>>,
}

impl From<Bytes> for SentPiece {
    /// Bytes that nobody waits for.
    fn from(data: Bytes) -> Self {
        Self { data, queue: None }
    }
}

impl Buf for SentPiece {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn advance(&mut self, n: usize) {
        self.data.advance(n);
    }
}

impl Drop for SentPiece {
    fn drop(&mut self) {
        let Some(queue) = self.queue.take() else { return };
        let mut waiting = queue.lock();
        waiting.pieces -= 1;
        if waiting.pieces == 0
            && let Some(waker) = waiting.flush.take()
        {
            waker.wake();
        }
    }
}

/// Whether the peer has closed the stream as a socket is closed, both directions at once: browsers do so with every
/// tunnel that they are done with.
fn is_close(error: &h2::Error) -> bool {
    let reason = error.reason();
    error.is_reset()
        && error.is_remote()
        && (reason == Some(Reason::CANCEL) || reason == Some(Reason::NO_ERROR))
}

fn fault(error: h2::Error) -> io::Error {
    if error.is_io() {
        // It says so itself.
        return error
            .into_io()
            .unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
    }
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

impl AsyncRead for TunnelStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.unread.is_empty() {
            if this.recv_ended || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            match ready!(this.recv.poll_data(cx)) {
                Some(Ok(data)) => this.unread = data,
                Some(Err(error)) if is_close(&error) => this.recv_ended = true,
                Some(Err(error)) => return Poll::Ready(Err(fault(error))),
                None => this.recv_ended = true,
            }
        }
        let n = this.unread.len().min(buf.remaining());
        buf.put_slice(&this.unread[..n]);
        this.unread.advance(n);
        if this.unread.is_empty() {
            // Lets go of the buffer of the connection that it is a part of.
            this.unread = Bytes::new();
        }
        // Fails only for more than was received.
        let _ = this.recv.flow_control().release_capacity(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TunnelStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.send_ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        this.send.reserve_capacity(buf.len());
        while this.send.capacity() == 0 {
            match ready!(this.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(fault(error))),
                None => return Poll::Ready(Err(this.broken(cx))),
            }
        }
        let n = this.send.capacity().min(buf.len());
        this.queue.lock().pieces += 1;
        let piece = SentPiece {
            data: Bytes::copy_from_slice(&buf[..n]),
            queue: Some(Arc::clone(&this.queue)),
        };
        match this.send.send_data(piece, false) {
            Ok(()) => Poll::Ready(Ok(n)),
            Err(_) => Poll::Ready(Err(this.broken(cx))),
        }
    }

    /// Waits until the connection has sent what was written. A stream that has broken has nothing to send.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = self.queue.lock();
        if waiting.pieces == 0 {
            return Poll::Ready(Ok(()));
        }
        waiting.flush = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.send_ended {
            this.send_ended = true;
            if this.send.send_data(Bytes::new().into(), true).is_err() {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
