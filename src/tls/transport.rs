//! A leg of a connection as the stages after the handshake see it: plain or TLS, with nothing lost.

use super::outgoing::Outgoing;
use super::records::Records;
use super::stream::{TlsParts, TlsStream};
use crate::accept::{Prefixed, Socket};
use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One leg: a plain or a TLS stream, whose reads begin with what was read ahead of its consumer.
#[derive(Debug)]
pub struct Transport {
    early: Bytes,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Plain(Socket),
    Tls(Box<TlsStream>),
}

/// A leg taken apart, for a consumer that drives the socket and TLS itself.
#[derive(Debug)]
pub struct Parts {
    /// The socket that its bytes go over.
    pub socket: Socket,
    /// The record layer, if there is one.
    pub records: Option<Box<Records>>,
    /// Bytes of the socket that TLS has not used up.
    pub wire: Vec<u8>,
    /// Decrypted (or plain) bytes that come before everything else.
    pub early: Bytes,
    /// What is still to be written to the socket.
    pub out: Outgoing,
}

impl Transport {
    /// A leg without TLS, with what was read ahead of it.
    pub fn plain(stream: Prefixed<Socket>) -> Self {
        let (early, socket) = stream.into_parts();
        Self {
            early,
            kind: Kind::Plain(socket),
        }
    }

    /// A leg inside TLS.
    pub fn tls(stream: TlsStream) -> Self {
        Self {
            early: Bytes::new(),
            kind: Kind::Tls(Box::new(stream)),
        }
    }

    /// Puts `bytes` before everything that is still to be read.
    #[must_use]
    pub fn rewind(mut self, bytes: Bytes) -> Self {
        self.early = join(bytes, self.early);
        self
    }

    /// Lets small writes wait for a flush: for a writer that flushes when it has no more to say.
    #[must_use]
    pub fn gathers_writes(mut self) -> Self {
        if let Kind::Tls(tls) = &mut self.kind {
            tls.gather_writes();
        }
        self
    }

    /// The socket that its bytes go over.
    pub fn socket(&self) -> &Socket {
        match &self.kind {
            Kind::Plain(socket) => socket,
            Kind::Tls(tls) => tls.socket(),
        }
    }

    /// Takes the leg apart.
    pub fn into_parts(self) -> Parts {
        match self.kind {
            Kind::Plain(socket) => Parts {
                socket,
                records: None,
                wire: Vec::new(),
                early: self.early,
                out: Outgoing::default(),
            },
            Kind::Tls(tls) => {
                let TlsParts {
                    socket,
                    records,
                    wire,
                    early,
                    out,
                } = tls.into_parts();
                Parts {
                    socket,
                    records: Some(records),
                    wire,
                    early: join(self.early, early.freeze()),
                    out,
                }
            }
        }
    }
}

fn join(first: Bytes, second: Bytes) -> Bytes {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second,
        (_, true) => first,
        (false, false) => [first, second].concat().into(),
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.has_remaining() {
            let n = self.early.len().min(buf.remaining());
            buf.put_slice(&self.early[..n]);
            self.early.advance(n);
            if self.early.is_empty() {
                self.early = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Kind::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Kind::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Kind::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
