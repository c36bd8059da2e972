//! A leg as the `h2` crate sees it, with a counter that tells whether anything moves.

use crate::error::Side;
use crate::handshake::origin::late_failure;
use crate::handshake::{HandshakeOutcome, client};
use crate::tls::Transport;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// What moves on the legs that share it.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct Activity(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    /// Grows with every read and write: a clock read per I/O would cost more.
    moved: AtomicU64,
    /// The alert by which the client refused the forged certificate after the handshake.
    refusal: OnceLock<&'static str>,
    /// How the origin's handshake failed after it had seemed to be done.
    late: OnceLock<HandshakeOutcome>,
}

impl Activity {
    pub(in crate::http) fn count(&self) -> u64 {
        self.0.moved.load(Ordering::Relaxed)
    }

    /// The alert by which the client refused the forged certificate after the handshake, if it did.
    pub(in crate::http) fn refusal(&self) -> Option<&'static str> {
        self.0.refusal.get().copied()
    }

    /// How the origin's handshake failed after it had seemed to be done, if it did.
    pub(in crate::http) fn late_failure(&self) -> Option<HandshakeOutcome> {
        self.0.late.get().copied()
    }

    /// Remembers what an error of TLS meant: HTTP/2 keeps no more of it than its text.
    fn learn(&self, side: Side, error: &io::Error) {
        // The first error is the one that counts.
        match side {
            Side::Client => {
                let _ = client::refusal(error).map(|alert| self.0.refusal.set(alert));
            }
            Side::Origin => {
                let _ = late_failure(error).map(|outcome| self.0.late.set(outcome));
            }
        }
    }

    fn note<T>(&self, poll: Poll<T>) -> Poll<T> {
        if poll.is_ready() {
            self.0.moved.fetch_add(1, Ordering::Relaxed);
        }
        poll
    }
}

/// A leg that notes its activity.
#[derive(Debug)]
pub(in crate::http) struct Watched {
    leg: Transport,
    side: Side,
    activity: Activity,
    closing: Closing,
}

/// What happens when a leg is closed.
#[derive(Debug)]
enum Closing {
    /// The outgoing stream ends, and that is all.
    Plain,
    /// The peer's remaining bytes are read and forgotten for a moment: a socket that is closed with unread bytes
    /// resets the connection, and the reset would overtake the answer that says why it was closed.
    Linger,
    /// That moment.
    Lingering(Pin<Box<Sleep>>),
}

/// How long a client has to take in the last answer.
const LINGER: Duration = Duration::from_secs(1);

impl Watched {
    /// A leg to an origin.
    pub(in crate::http) fn origin(leg: Transport, activity: &Activity) -> Self {
        let (activity, closing) = (activity.clone(), Closing::Plain);
        Self {
            leg,
            side: Side::Origin,
            activity,
            closing,
        }
    }

    /// A leg to a client.
    pub(in crate::http) fn client(leg: Transport, activity: &Activity) -> Self {
        let (activity, closing) = (activity.clone(), Closing::Linger);
        Self {
            leg,
            side: Side::Client,
            activity,
            closing,
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.leg).poll_read(cx, buf);
        if let Poll::Ready(Err(error)) = &poll {
            self.activity.learn(self.side, error);
        }
        self.activity.note(poll)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.leg).poll_write(cx, buf);
        self.activity.note(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.leg).poll_write_vectored(cx, bufs);
        self.activity.note(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.leg.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.leg).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Closing::Plain | Closing::Linger = this.closing {
            let ended = ready!(Pin::new(&mut this.leg).poll_shutdown(cx));
            if matches!(this.closing, Closing::Plain) || ended.is_err() {
                return Poll::Ready(ended);
            }
            this.closing = Closing::Lingering(Box::pin(tokio::time::sleep(LINGER)));
        }
        // First, since a client that never stops sending would use up the task's budget for timers too.
        if let Closing::Lingering(over) = &mut this.closing
            && over.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Ok(()));
        }
        let mut sink = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut sink);
            match Pin::new(&mut this.leg).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
