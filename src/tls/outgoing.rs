//! What waits to be written to a socket, in a buffer that belongs to the thread while it is empty.

use crate::accept::Socket;
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// The largest buffer that a thread keeps for the next one who writes.
const KEPT: usize = 128 * 1024;

/// The first size of a buffer: two full records and what comes with them.
const FIRST: usize = 34 * 1024;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes on their way out. An empty one owns nothing.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Initialised throughout, so that room for a record costs no clearing.
    buffer: Vec<u8>,
    sent: usize,
    filled: usize,
    /// Everything is written, but a stream that has a buffer of its own still holds some of it.
    unflushed: bool,
}

impl Outgoing {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.sent == self.filled && !self.unflushed
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.filled - self.sent
    }

    /// Puts bytes at the end as they are.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.grow(bytes.len()).copy_from_slice(bytes);
    }

    /// The next `n` bytes, which hold anything and are to be overwritten.
    pub(super) fn grow(&mut self, n: usize) -> &mut [u8] {
        if self.buffer.is_empty() {
            self.buffer = SPARE.take();
        }
        let start = self.filled;
        self.filled += n;
        if self.buffer.len() < self.filled {
            self.buffer.resize(self.filled.max(FIRST), 0);
        }
        &mut self.buffer[start..self.filled]
    }

    /// The bytes from `start` on, counted like [`end`](Self::end).
    pub(super) fn from(&mut self, start: usize) -> &mut [u8] {
        &mut self.buffer[start..self.filled]
    }

    /// Where the next byte will stand; good until the next write to a socket.
    pub(super) fn end(&self) -> usize {
        self.filled
    }

    /// Takes back everything from `start` on.
    pub(super) fn truncate(&mut self, start: usize) {
        self.filled = self.filled.min(start);
    }

    /// Fills the thread's buffer, as another connection would.
    #[cfg(test)]
    pub(super) fn poison(with: u8) {
        let mut out = Self::default();
        out.grow(KEPT).fill(with);
        out.give_back();
        assert!(SPARE.take().first() == Some(&with));
        SPARE.set(vec![with; KEPT]);
    }

    #[cfg(test)]
    pub(super) fn take(&mut self) -> Vec<u8> {
        let taken = self.buffer[self.sent..self.filled].to_vec();
        self.give_back();
        taken
    }

    /// Writes until nothing is left, here or in a stream inside another connection.
    ///
    /// # Errors
    /// Those of the socket, and `WriteZero`.
    pub fn poll_write_to(&mut self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let idle = self.is_empty();
        let written = self.write(|rest| Pin::new(&mut *socket).poll_write(cx, rest));
        if written.is_pending() {
            self.settle();
        }
        ready!(written)?;
        // The kernel sends by itself what it has taken.
        let (Socket::Inner(stream), false) = (socket, idle) else {
            return Poll::Ready(Ok(()));
        };
        let flushed = Pin::new(stream).poll_flush(cx);
        self.unflushed = flushed.is_pending();
        flushed
    }

    /// Writes what the socket takes at once, and forgets the rest: the last word on a connection that has failed.
    pub fn try_write_to(&mut self, socket: &mut Socket) {
        let _ = self.write(|rest| match socket.try_write(rest) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            done => Poll::Ready(done),
        });
        (self.sent, self.unflushed) = (self.filled, false);
        self.give_back();
    }

    fn write(&mut self, mut some: impl FnMut(&[u8]) -> Poll<io::Result<usize>>) -> Poll<io::Result<()>> {
        while self.sent < self.filled {
            match ready!(some(&self.buffer[self.sent..self.filled]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.sent += n,
            }
        }
        self.give_back();
        Poll::Ready(Ok(()))
    }

    /// A peer that does not read keeps only what it has not taken, and not the thread's buffer.
    fn settle(&mut self) {
        if self.buffer.len() >= FIRST && self.len() < self.buffer.len() {
            let rest = self.buffer[self.sent..self.filled].to_vec();
            self.give_back();
            (self.filled, self.buffer) = (rest.len(), rest);
        }
    }

    fn give_back(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        (self.sent, self.filled) = (0, 0);
        if (FIRST..=KEPT).contains(&buffer.len()) {
            SPARE.set(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_is_the_threads_while_nothing_waits() {
        let mut out = Outgoing::default();
        out.extend(b"first");
        out.extend(b" second");
        assert_eq!(out.len(), 12);
        let mut seen = Vec::new();
        let mut room = 8;
        let mut some = |rest: &[u8]| {
            let n = rest.len().min(room);
            room -= n;
            seen.extend_from_slice(&rest[..n]);
            if n == 0 { Poll::Pending } else { Poll::Ready(Ok(n)) }
        };
        assert!(out.write(&mut some).is_pending());
        out.settle();
        assert_eq!((out.len(), out.buffer.len()), (4, 4), "only the rest is kept");
        assert_eq!(SPARE.take().len(), FIRST, "and the buffer is there for others");
        out.extend(b"!");
        let mut some = |rest: &[u8]| {
            seen.extend_from_slice(rest);
            Poll::Ready(Ok(rest.len()))
        };
        assert!(matches!(out.write(&mut some), Poll::Ready(Ok(()))));
        assert_eq!(seen, b"first second!");
        assert!(out.is_empty() && out.buffer.is_empty());
    }

    /// Takes everything at once, and holds it back until it is flushed once more than it likes.
    #[derive(Debug)]
    struct Holds(u32);

    impl tokio::io::AsyncRead for Holds {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Holds {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            match self.0.checked_sub(1) {
                None => Poll::Ready(Ok(())),
                Some(left) => {
                    self.0 = left;
                    Poll::Pending
                }
            }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_another_connection_holds_back_is_not_sent_yet() {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut socket = Socket::inner(Holds(2));
        let mut out = Outgoing::default();
        assert!(
            out.poll_write_to(&mut socket, &mut cx).is_ready(),
            "nothing to send"
        );
        out.extend(b"x");
        for _ in 0..2 {
            assert!(out.poll_write_to(&mut socket, &mut cx).is_pending());
            assert_eq!((out.is_empty(), out.len()), (false, 0));
        }
        assert!(out.poll_write_to(&mut socket, &mut cx).is_ready());
        assert!(out.is_empty());
    }

    #[test]
    fn a_socket_that_takes_nothing_is_an_error() {
        let mut out = Outgoing::default();
        out.extend(b"x");
        assert!(matches!(out.write(|_| Poll::Ready(Ok(0))), Poll::Ready(Err(_))));
    }
}
