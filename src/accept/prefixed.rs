//! A stream that first replays bytes which were read ahead of their consumer.

use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An I/O object whose reads begin with `prefix`; writes go straight through.
#[derive(Debug)]
pub struct Prefixed<T> {
    prefix: Bytes,
    inner: T,
}

impl<T> Prefixed<T> {
    /// Replays `prefix`, then reads from `inner`.
    pub fn new(prefix: Bytes, inner: impl Into<T>) -> Self {
        Self {
            prefix,
            inner: inner.into(),
        }
    }

    /// Puts `bytes` before everything that is still to be read.
    pub fn rewind(self, bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return self;
        }
        if self.prefix.is_empty() {
            return Self::new(bytes, self.inner);
        }
        let mut joined = Vec::with_capacity(bytes.len() + self.prefix.len());
        joined.extend_from_slice(&bytes);
        joined.extend_from_slice(&self.prefix);
        Self::new(joined.into(), self.inner)
    }

    /// The stream behind the prefix.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// Whether what is replayed begins with `bytes`.
    pub fn begins_with(&self, bytes: &[u8]) -> bool {
        self.prefix.starts_with(bytes)
    }

    /// Whether there is still something to replay.
    pub fn is_replaying(&self) -> bool {
        !self.prefix.is_empty()
    }

    /// What has not been replayed yet, and the stream.
    pub fn into_parts(self) -> (Bytes, T) {
        (self.prefix, self.inner)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Prefixed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.has_remaining() {
            let n = self.prefix.len().min(buf.remaining());
            buf.put_slice(&self.prefix[..n]);
            self.prefix.advance(n);
            if self.prefix.is_empty() {
                // Lets go of the allocation that the peek made.
                self.prefix = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Prefixed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
