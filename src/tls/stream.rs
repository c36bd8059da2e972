//! A TLS connection after its handshake as the HTTP stages see it: bytes to read and to write.

use super::buffer::with_scratch;
use super::outgoing::Outgoing;
use super::records::Records;
use crate::accept::Socket;
use bytes::{Buf, BytesMut};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most plaintext that one write takes.
const WRITE: usize = 32 * 1024;

/// What is gathered before it is sent without a flush.
const GATHER: usize = 32 * 1024;

/// A socket and its record layer.
#[derive(Debug)]
pub struct TlsStream {
    socket: Socket,
    records: Box<Records>,
    /// What the record layer has not used up.
    wire: Vec<u8>,
    /// `wire` may hold whole records, since it was read by somebody else.
    primed: bool,
    /// Plaintext that nobody has asked for yet.
    early: BytesMut,
    out: Outgoing,
    eof: bool,
    /// Writes wait for a flush.
    gathers: bool,
    /// A writer has been told to wait: its task is woken when the socket takes more, and sends what there is.
    writer_waits: bool,
}

/// A TLS connection taken apart.
#[derive(Debug)]
pub struct TlsParts {
    /// The socket that its records go over.
    pub socket: Socket,
    /// The record layer, with the keys that are in use.
    pub records: Box<Records>,
    /// Bytes of the socket that the record layer has not used up.
    pub wire: Vec<u8>,
    /// Plaintext that comes before them.
    pub early: BytesMut,
    /// What is still to be written to the socket.
    pub out: Outgoing,
}

impl TlsStream {
    /// `wire` was read behind the handshake.
    pub(super) fn new(socket: Socket, records: Records, wire: Vec<u8>, out: Outgoing) -> Self {
        Self {
            socket,
            records: Box::new(records),
            primed: !wire.is_empty(),
            wire: if wire.is_empty() { Vec::new() } else { wire },
            early: BytesMut::new(),
            out,
            eof: false,
            gathers: false,
            writer_waits: false,
        }
    }

    /// Lets small writes wait for a flush, so that they share records and system calls: for a writer that flushes when
    /// it has no more to say.
    pub fn gather_writes(&mut self) {
        self.gathers = true;
    }

    /// The socket that its records go over.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether nothing is under way: nothing that was read is unused, nothing is to be written, and the peer has not
    /// closed it.
    pub(super) fn is_idle(&self) -> bool {
        self.wire.is_empty()
            && self.early.is_empty()
            && self.out.is_empty()
            && !self.eof
            && !self.records.is_closed()
    }

    /// Says a close_notify, and what is still unsent, if the socket takes them at once: for who leaves and waits for
    /// nothing.
    pub fn farewell(&mut self) {
        let _ = self.records.finish(&mut self.out);
        self.records.close_notify(&mut self.out);
        self.out.try_write_to(&mut self.socket);
    }

    /// Takes the connection apart.
    pub fn into_parts(self) -> TlsParts {
        TlsParts {
            socket: self.socket,
            records: self.records,
            wire: self.wire,
            early: self.early,
            out: self.out,
        }
    }

    /// Opens `wire`: what fits goes to `buf`, the rest waits. A record that is not whole is kept.
    fn open(&mut self, wire: &mut [u8], buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let early = &mut self.early;
        let opened = self.records.open(wire, &mut self.out, &mut |plain| {
            let n = plain.len().min(buf.remaining());
            buf.put_slice(&plain[..n]);
            early.extend_from_slice(&plain[n..]);
        });
        match opened {
            Ok(used) => {
                self.wire = wire[used..].to_vec();
                Ok(())
            }
            Err(error) => {
                let _ = self.records.finish(&mut self.out);
                self.out.try_write_to(&mut self.socket);
                Err(io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }

    /// Reads the socket once; says whether anything came.
    fn poll_fill(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        if self.primed {
            self.primed = false;
            let mut wire = std::mem::take(&mut self.wire);
            self.open(&mut wire, buf)?;
            return Poll::Ready(Ok(true));
        }
        with_scratch(|scratch| {
            let kept = self.wire.len();
            let mut room = ReadBuf::new(&mut scratch[kept..]);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut room))?;
            let n = room.filled().len();
            if n == 0 {
                return Poll::Ready(Ok(false));
            }
            scratch[..kept].copy_from_slice(&self.wire);
            self.open(&mut scratch[..kept + n], buf)?;
            Poll::Ready(Ok(true))
        })
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.records.finish(&mut self.out).map_err(io::Error::other)?;
        let sent = self.out.poll_write_to(&mut self.socket, cx);
        self.writer_waits = sent.is_pending();
        sent
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.early.has_remaining() {
            let n = this.early.len().min(buf.remaining());
            buf.put_slice(&this.early[..n]);
            this.early.advance(n);
            if this.early.is_empty() {
                this.early = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        // Data that does not fit is `early`, and then `buf` is full.
        while buf.filled().len() == before && buf.remaining() > 0 && !this.records.is_closed() {
            if !this.eof {
                let filled = this.poll_fill(cx, buf);
                // The answer to a key update; the task is woken when the socket takes it. A peer that does not read
                // any more may still have sent something: an error is for the next write.
                // A socket wakes one task for writing: not the reader's while a writer of another task waits.
                if !this.out.is_empty() && !this.writer_waits {
                    let _ = this.poll_send(cx);
                    this.writer_waits = false;
                }
                this.eof = !ready!(filled)?;
            }
            if this.eof {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the peer closed the connection without a TLS close_notify",
                )));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        // One write at most is on its way, or what is gathered, so that a peer that does not read stops the writer.
        if !this.gathers || this.out.len() >= GATHER {
            ready!(this.poll_send(cx))?;
        }
        let mut taken = 0;
        for buf in bufs {
            let n = buf.len().min(WRITE - taken);
            this.records
                .put(&buf[..n], &mut this.out)
                .map_err(io::Error::other)?;
            taken += n;
        }
        if !this.gathers || this.out.len() >= GATHER {
            let _ = this.poll_send(cx)?;
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.records.close_notify(&mut this.out);
        ready!(this.poll_send(cx))?;
        match ready!(Pin::new(&mut this.socket).poll_shutdown(cx)) {
            // A peer that is already gone has no use for it.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            ended => Poll::Ready(ended),
        }
    }
}

#[cfg(test)]
mod tests;
