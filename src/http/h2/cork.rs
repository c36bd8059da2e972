//! A leg that the `h2` crate writes to: sent once for all that the crate has to say, counted, and ended with a word.
//!
//! The crate flushes behind every DATA frame of 256 bytes and more. Twenty-five answers that came in one read would go
//! out in twenty-five records and as many system calls. Here a flush waits until the connection has been polled to
//! where it has nothing left to do.
//!
//! What a peer sends is read on its way (see [`Frames`]). The crate lets no client of an origin choose the code of its
//! GOAWAY, which is put in here.

use crate::error::Side;
use crate::http::h2::frames::{Fault, Frames};
use crate::http::h2::heads::{Broken, HeadFault, Heads, Said};
use crate::http::watch::Flood;
use bytes::Buf;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A client's connection over such a leg.
///
/// Dropped, it tells of the requests that it has not come to.
pub(in crate::http) struct Server<T, B: Buf> {
    connection: Connection<Corked<T>, B>,
    leg: Corked<T>,
    /// What it was ended for, and how long it has to read that.
    fault: Option<(Fault, Pin<Box<Sleep>>)>,
}

/// A request and the way to answer it, or how the connection broke.
type Accepted<B> = Result<(Request<RecvStream>, SendResponse<B>), h2::Error>;

/// How long a client that is cut off may leave unread what it is told.
const FAREWELL: Duration = Duration::from_secs(5);

impl<T, B> Server<T, B>
where
    T: AsyncRead + AsyncWrite + Unpin,
    B: Buf,
{
    /// Begins HTTP/2 with a client; `heads` tells of requests that the crate keeps to itself.
    pub(in crate::http) async fn begin(settings: &Builder, io: T, heads: Heads) -> Result<Self, h2::Error> {
        let leg = Corked::new(io, Frames::of_client(heads));
        let connection = settings.handshake(leg.handle()).await?;
        Ok(Self {
            connection,
            leg,
            fault: None,
        })
    }

    /// Drives the connection to its next request; `None` when it has ended.
    pub(in crate::http) async fn accept(&mut self) -> Option<Accepted<B>> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// The same for who polls.
    pub(in crate::http) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<Accepted<B>>> {
        loop {
            let mut polled = self.leg.poll(cx, |cx| self.connection.poll_accept(cx));
            match &mut polled {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    let stream = respond.stream_id().as_u32();
                    if self.leg.leg().frames.heads.accepted(stream) {
                        request.extensions_mut().insert(Broken);
                    }
                }
                Poll::Ready(_) => {}
                Poll::Pending => self.leg.leg().frames.heads.settle(),
            }
            if let Some((_, farewell)) = &mut self.fault {
                return match polled {
                    Poll::Pending => farewell.as_mut().poll(cx).map(|()| None),
                    ready => ready,
                };
            }
            let Some(fault) = self.leg.leg().frames.fault() else {
                return polled;
            };
            // Nothing more is read from it. It is told why.
            self.end(fault);
        }
    }

    /// Ends the connection for what the client did too often.
    pub(in crate::http) fn cut_off(&mut self, flood: Flood) {
        self.end(Fault::Flood(flood));
    }

    fn end(&mut self, fault: Fault) {
        self.fault = Some((fault, Box::pin(tokio::time::sleep(FAREWELL))));
        self.connection.abrupt_shutdown(fault.code());
    }

    /// What the client did, if its connection was ended for that.
    pub(in crate::http) fn fault(&self) -> Option<Fault> {
        self.fault.as_ref().map(|(fault, _)| *fault)
    }

    /// The code that the client has said goodbye with, if that was an error: its connection need not have been closed
    /// well for that.
    pub(in crate::http) fn goodbye(&self) -> Option<Reason> {
        self.leg.leg().frames.goodbye_code().map(Reason::from)
    }

    /// Whether a request that the crate has kept to itself was what the connection ended for. That was told.
    pub(in crate::http) fn has_blamed(&self) -> bool {
        self.leg.leg().frames.heads.has_blamed()
    }

    /// The connection is over; how many requests the crate has kept to itself.
    pub(in crate::http) fn over(self) -> u64 {
        let mut leg = self.leg.leg();
        leg.frames.heads.over();
        leg.frames.heads.refused()
    }

    pub(in crate::http) fn has_streams(&self) -> bool {
        self.connection.has_streams()
    }

    pub(in crate::http) fn graceful_shutdown(&mut self) {
        self.connection.graceful_shutdown();
    }

    pub(in crate::http) fn abrupt_shutdown(&mut self, reason: Reason) {
        self.connection.abrupt_shutdown(reason);
    }
}

impl<T, B: Buf> Drop for Server<T, B> {
    fn drop(&mut self) {
        self.leg.leg().frames.heads.over();
    }
}

/// One of the two handles on a leg: the connection has the other. What is below must gather writes, or nothing is won.
#[derive(Debug)]
pub(in crate::http) struct Corked<T>(Arc<Mutex<CorkedLeg<T>>>);

#[derive(Debug)]
struct CorkedLeg<T> {
    io: T,
    /// The connection is being polled: flushes wait.
    is_corked: bool,
    /// Something was written that has not been flushed to the peer.
    is_due: bool,
    /// How a flush failed that the connection has not seen yet.
    failed: Option<io::Error>,
    /// The peer's.
    frames: Frames,
    /// What is written to a client.
    said: Said,
    /// All that was written so far is whole frames.
    is_whole: bool,
    /// The GOAWAY that is to be said instead of the one without an error.
    goodbye: Option<[u8; GOODBYE.len()]>,
}

/// What the `h2` crate says to an origin in the end: GOAWAY, no stream of the origin's was taken, NO_ERROR (RFC 9113
/// section 6.8).
const GOODBYE: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn goodbye(code: Reason) -> [u8; GOODBYE.len()] {
    let mut frame = GOODBYE;
    if let Some(place) = frame.last_chunk_mut() {
        *place = u32::from(code).to_be_bytes();
    }
    frame
}

/// What is to be written, with another goodbye at its end; `None` where the crate says none yet.
fn says_goodbye(bufs: &[io::IoSlice<'_>], goodbye: [u8; GOODBYE.len()]) -> Option<Vec<u8>> {
    let mut said: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
    if !said.ends_with(&GOODBYE) {
        return None;
    }
    *said.last_chunk_mut()? = goodbye;
    Some(said)
}

impl<T> Corked<T> {
    /// What the peer sends is read by `frames`.
    pub(in crate::http) fn new(io: T, frames: Frames) -> Self {
        Self(Arc::new(Mutex::new(CorkedLeg {
            io,
            is_corked: false,
            is_due: false,
            failed: None,
            frames,
            said: Said::default(),
            is_whole: true,
            goodbye: None,
        })))
    }

    /// The other handle.
    pub(in crate::http) fn handle(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// From now on the `h2` crate's goodbye to an origin has this code. Every stream has ended: nothing else is said.
    pub(in crate::http) fn goodbye(&self, code: Reason) {
        self.leg().goodbye = Some(goodbye(code));
    }

    /// What is wrong with a header block that the crate has just failed on, if that can be told.
    pub(in crate::http) fn finding(&self) -> Option<HeadFault> {
        self.leg().frames.heads.finding()
    }

    fn leg(&self) -> MutexGuard<'_, CorkedLeg<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: AsyncWrite + Unpin> Corked<T> {
    /// Polls the connection over this leg, and sends what it has written as soon as it waits for something.
    pub(in crate::http) fn poll<R>(
        &self,
        cx: &mut Context<'_>,
        connection: impl FnOnce(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        self.leg().is_corked = true;
        let polled = connection(cx);
        let mut leg = self.leg();
        leg.is_corked = false;
        if polled.is_pending() && leg.is_due {
            match Pin::new(&mut leg.io).poll_flush(cx) {
                Poll::Ready(Ok(())) => leg.is_due = false,
                // The leg wakes this task when there is room.
                Poll::Pending => {}
                Poll::Ready(Err(error)) => {
                    // The connection has to learn of it, as if its own flush had failed.
                    leg.is_due = false;
                    leg.failed = Some(error);
                    cx.waker().wake_by_ref();
                }
            }
        }
        polled
    }
}

impl<T> CorkedLeg<T> {
    /// What is to be written to a client instead, where that differs.
    fn mend(&mut self, bufs: &[io::IoSlice<'_>]) -> Option<Vec<u8>> {
        let Self { said, frames, .. } = self;
        said.read(bufs, |word| frames.heads.said(word));
        said.mended(bufs)
    }
}

impl<T: AsyncWrite + Unpin> CorkedLeg<T> {
    /// What is read from a peer that has done this: nothing.
    fn refuse(&mut self, cx: &mut Context<'_>, fault: Fault) -> Poll<io::Result<()>> {
        if self.frames.side() == Side::Client {
            // The server says so itself; it comes by here again only to wait for nothing.
            return Poll::Pending;
        }
        // The crate will say no more. The origin is told why, as far as there is room for it (RFC 9113 section 5.4.1).
        if std::mem::take(&mut self.is_whole) {
            let _ = Pin::new(&mut self.io).poll_write(cx, &goodbye(fault.code()));
            let _ = Pin::new(&mut self.io).poll_flush(cx);
        }
        let text = fault.text(Side::Origin);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Corked<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut leg = self.leg();
        if let Some(fault) = leg.frames.fault() {
            return leg.refuse(cx, fault);
        }
        let known = buf.filled().len();
        leg.frames.heads.reading();
        let polled = Pin::new(&mut leg.io).poll_read(cx, buf);
        leg.frames.came(buf.filled().get(known..).unwrap_or_default());
        if let Some(fault) = leg.frames.fault() {
            // Nor does anything go on that came with it.
            buf.set_filled(known);
            return leg.refuse(cx, fault);
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Corked<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut leg = self.leg();
        if let Some(error) = leg.failed.take() {
            return Poll::Ready(Err(error));
        }
        (leg.is_due, leg.is_whole) = (true, false);
        let said = match leg.frames.side() {
            Side::Client => leg.mend(bufs),
            Side::Origin => leg.goodbye.and_then(|goodbye| says_goodbye(bufs, goodbye)),
        };
        let written = ready!(match &said {
            Some(said) => Pin::new(&mut leg.io).poll_write(cx, said),
            None => Pin::new(&mut leg.io).poll_write_vectored(cx, bufs),
        })?;
        leg.frames.sent(written);
        leg.said.gone(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.leg().io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut leg = self.leg();
        if let Some(error) = leg.failed.take() {
            return Poll::Ready(Err(error));
        }
        // The crate flushes when it has written all of what it has.
        leg.is_whole = true;
        if leg.is_corked {
            return Poll::Ready(Ok(()));
        }
        leg.is_due = false;
        Pin::new(&mut leg.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.leg().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter, DuplexStream};

    type Near = Corked<BufWriter<DuplexStream>>;

    fn pair(room: usize) -> (Near, DuplexStream) {
        let (near, far) = tokio::io::duplex(room);
        let leg = Corked::new(BufWriter::with_capacity(4096, near), Frames::of(Side::Origin));
        (leg, far)
    }

    /// A connection that writes each of `pieces` and flushes behind it, and then waits.
    fn says(leg: &mut Near, pieces: &[&[u8]], cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for piece in pieces {
            let written = std::task::ready!(Pin::new(&mut *leg).poll_write(cx, piece))?;
            assert_eq!(written, piece.len());
            std::task::ready!(Pin::new(&mut *leg).poll_flush(cx))?;
        }
        Poll::Pending
    }

    #[tokio::test]
    async fn flushes_wait_for_the_end_of_a_poll() {
        let (mut leg, mut far) = pair(1024);
        let handle = leg.handle();
        poll_fn(|cx| {
            let polled = handle.poll(cx, |cx| {
                let said = says(&mut leg, &[b"one ", b"two"], cx);
                let mut seen = [0; 16];
                let mut seen = ReadBuf::new(&mut seen);
                assert!(Pin::new(&mut far).poll_read(cx, &mut seen).is_pending());
                said
            });
            assert!(polled.is_pending());
            Poll::Ready(())
        })
        .await;
        let mut seen = [0; 7];
        far.read_exact(&mut seen).await.unwrap();
        assert_eq!(&seen, b"one two");
    }

    #[tokio::test]
    async fn outside_of_a_poll_a_flush_is_a_flush() {
        let (mut leg, mut far) = pair(1024);
        leg.write_all(b"hello").await.unwrap();
        leg.flush().await.unwrap();
        let mut seen = [0; 5];
        far.read_exact(&mut seen).await.unwrap();
        assert_eq!(&seen, b"hello");
    }

    #[tokio::test]
    async fn what_has_no_room_is_sent_when_there_is_some() {
        let (mut leg, mut far) = pair(4);
        let handle = leg.handle();
        let mut said = false;
        let sending = poll_fn(|cx| {
            handle.poll(cx, |cx| {
                if std::mem::replace(&mut said, true) {
                    return Poll::Pending;
                }
                says(&mut leg, &[b"more than four bytes"], cx)
            })
        });
        let mut seen = [0; 20];
        tokio::select! {
            result = sending => panic!("the connection never ends: {result:?}"),
            read = far.read_exact(&mut seen) => assert_eq!(read.unwrap(), 20),
        }
        assert_eq!(&seen, b"more than four bytes");
    }

    #[tokio::test]
    async fn the_connection_learns_of_a_flush_that_failed() {
        let (mut leg, far) = pair(1024);
        let handle = leg.handle();
        drop(far);
        let mut said = false;
        let error = poll_fn(|cx| {
            handle.poll(cx, |cx| {
                if std::mem::replace(&mut said, true) {
                    return Pin::new(&mut leg).poll_flush(cx);
                }
                says(&mut leg, &[b"hello"], cx)
            })
        })
        .await
        .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_goodbye_has_the_code_that_was_asked_for() {
        let (mut leg, mut far) = pair(1024);
        leg.goodbye(Reason::ENHANCE_YOUR_CALM);
        leg.write_all(&[&b"before"[..], &GOODBYE].concat()).await.unwrap();
        leg.shutdown().await.unwrap();
        let mut seen = Vec::new();
        far.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, b"before\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0b");
    }

    /// PING in the place of the SETTINGS that an origin begins with.
    const WRONG: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

    #[tokio::test]
    async fn an_origin_is_told_what_ends_its_connection() {
        let (mut leg, mut far) = pair(1024);
        leg.write_all(b"whole frames").await.unwrap();
        leg.flush().await.unwrap();
        far.write_all(&WRONG).await.unwrap();
        for _ in 0..2 {
            let error = leg.read(&mut [0; 64]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert_eq!(error.to_string(), "the origin did not begin HTTP/2 with SETTINGS");
        }
        drop(leg);
        let mut seen = Vec::new();
        far.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, b"whole frames\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01");
    }

    #[tokio::test]
    async fn nothing_is_put_into_the_middle_of_a_frame() {
        let (mut leg, mut far) = pair(1024);
        leg.write_all(b"half a fra").await.unwrap();
        far.write_all(&WRONG).await.unwrap();
        leg.read(&mut [0; 64]).await.unwrap_err();
        leg.flush().await.unwrap();
        drop(leg);
        let mut seen = Vec::new();
        far.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, b"half a fra");
    }
}
