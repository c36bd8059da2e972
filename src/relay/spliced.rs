//! Two plain sockets joined: bytes go from one to the other unread, in bulk inside the kernel (`splice(2)`) and
//! in small pieces through a buffer of the thread, which takes two system calls less. An idle tunnel owns neither
//! a pipe nor a buffer. A direction reads nothing while anything of it is unsent.

use super::splice_pipe::Pipe;
use crate::error::Side;
use crate::wire::frame::Direction;
use bytes::{Buf, Bytes};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// One read through memory. One that fills the buffer says that bulk is coming.
const READ: usize = 16 * 1024;

/// Less than this from a pipe says that the bulk is over.
const SMALL: usize = 4 * 1024;

/// How often one poll goes round before it lets other tasks run.
const ROUNDS: usize = 16;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

/// A tunnel between two sockets.
#[derive(Debug)]
pub(super) struct Spliced {
    client: TcpStream,
    origin: TcpStream,
    halves: [SplicedHalf; 2],
    moved: u64,
}

/// One direction: what of it is unsent, and whether it has ended.
#[derive(Debug, Default)]
struct SplicedHalf {
    /// Read and not yet written: in memory, or in the pipe, never in both.
    rest: Bytes,
    pipe: Option<Pipe>,
    /// The next read goes into a pipe.
    bulk: bool,
    eof: bool,
    /// The end has been passed on.
    ended: bool,
    bytes: u64,
}

/// Which end of a half failed.
enum FailedEnd {
    From(io::Error),
    To(io::Error),
}

impl Spliced {
    /// `early` was read from the client before.
    pub(super) fn new(early: Bytes, client: TcpStream, origin: TcpStream) -> Self {
        let to_origin = SplicedHalf {
            bytes: early.len() as u64,
            rest: early,
            ..SplicedHalf::default()
        };
        Self {
            client,
            origin,
            halves: [to_origin, SplicedHalf::default()],
            moved: 0,
        }
    }

    /// A counter that grows while anything moves.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Bytes read, by [`Direction::index`].
    pub(super) fn bytes(&self) -> [u64; 2] {
        let [to_origin, to_client] = &self.halves;
        [to_origin.bytes, to_client.bytes]
    }

    /// Moves what can be moved, until nothing can; ready when both directions have ended or a side failed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), (Side, io::Error)>> {
        for _ in 0..ROUNDS {
            let mut progress = false;
            for direction in Direction::ALL {
                let [to_origin, to_client] = &mut self.halves;
                let (half, from, to, side) = match direction {
                    Direction::ToOrigin => (to_origin, &mut self.client, &mut self.origin, Side::Client),
                    Direction::ToClient => (to_client, &mut self.origin, &mut self.client, Side::Origin),
                };
                match half.pass(cx, from, to) {
                    Ok(moved) => progress |= moved,
                    Err(FailedEnd::From(error)) => return Poll::Ready(Err((side, error))),
                    Err(FailedEnd::To(error)) => return Poll::Ready(Err((side.other(), error))),
                }
            }
            if self.halves.iter().all(|half| half.ended) {
                return Poll::Ready(Ok(()));
            }
            if !progress {
                return Poll::Pending;
            }
            self.moved += 1;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl SplicedHalf {
    /// Writes what is left, reads once and writes that; says whether anything moved.
    fn pass(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
    ) -> Result<bool, FailedEnd> {
        if self.ended {
            return Ok(false);
        }
        let before = self.unsent();
        if before > 0 && self.poll_write(cx, to).map_err(FailedEnd::To)?.is_pending() {
            return Ok(self.unsent() < before);
        }
        let mut moved = before > 0;
        if !self.eof {
            match self.poll_read(cx, from, to)? {
                Poll::Ready(n) => {
                    moved = true;
                    self.bytes += n as u64;
                    self.eof = n == 0;
                }
                Poll::Pending => {}
            }
        }
        if let Some(pipe) = self.pipe.take_if(|pipe| pipe.inside() == 0) {
            pipe.give_back();
        }
        if self.eof && self.unsent() == 0 {
            match Pin::new(to).poll_shutdown(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => (self.ended, moved) = (true, true),
                // A peer that is already gone has no use for a shutdown.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::NotConnected => self.ended = true,
                Poll::Ready(Err(error)) => return Err(FailedEnd::To(error)),
            }
        }
        Ok(moved)
    }

    fn unsent(&self) -> usize {
        self.rest.len() + self.pipe.as_ref().map_or(0, Pipe::inside)
    }

    /// Reads once, by the way that suits what came last, and writes what it can of it.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
    ) -> Result<Poll<usize>, FailedEnd> {
        if self.bulk {
            if self.pipe.is_none() {
                self.pipe = Pipe::take();
            }
            if let Some(pipe) = &mut self.pipe {
                let n = match poll_fill(cx, pipe, from) {
                    Poll::Pending => return Ok(Poll::Pending),
                    Poll::Ready(n) => n.map_err(FailedEnd::From)?,
                };
                self.bulk = n >= SMALL;
                let _ = self.poll_write(cx, to).map_err(FailedEnd::To)?;
                return Ok(Poll::Ready(n));
            }
        }
        BUFFER.with_borrow_mut(|buffer| {
            let mut into = ReadBuf::new(buffer);
            match Pin::new(from).poll_read(cx, &mut into) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(read) => read.map_err(FailedEnd::From)?,
            }
            let mut read = into.filled();
            let n = read.len();
            self.bulk = n == READ;
            while !read.is_empty() {
                match Pin::new(&mut *to).poll_write(cx, read) {
                    Poll::Ready(written) => {
                        read.advance(written.and_then(some).map_err(FailedEnd::To)?);
                    }
                    Poll::Pending => {
                        self.rest = Bytes::copy_from_slice(read);
                        break;
                    }
                }
            }
            Ok(Poll::Ready(n))
        })
    }

    /// Writes what is left, until nothing is.
    fn poll_write(&mut self, cx: &mut Context<'_>, to: &mut TcpStream) -> io::Result<Poll<()>> {
        while !self.rest.is_empty() {
            match Pin::new(&mut *to).poll_write(cx, &self.rest) {
                Poll::Ready(n) => self.rest.advance(n.and_then(some)?),
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        // An idle tunnel owns no buffer.
        self.rest = Bytes::new();
        if let Some(pipe) = &mut self.pipe {
            while pipe.inside() > 0 {
                match poll_drain(cx, pipe, to) {
                    Poll::Ready(n) => some(n?)?,
                    Poll::Pending => return Ok(Poll::Pending),
                };
            }
        }
        Ok(Poll::Ready(()))
    }
}

/// A write of nothing would go round for ever.
fn some(n: usize) -> io::Result<usize> {
    match n {
        0 => Err(io::ErrorKind::WriteZero.into()),
        n => Ok(n),
    }
}

fn poll_fill(cx: &mut Context<'_>, pipe: &mut Pipe, from: &TcpStream) -> Poll<io::Result<usize>> {
    loop {
        ready!(from.poll_read_ready(cx))?;
        match from.try_io(Interest::READABLE, || pipe.fill(from)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return Poll::Ready(result),
        }
    }
}

fn poll_drain(cx: &mut Context<'_>, pipe: &mut Pipe, to: &TcpStream) -> Poll<io::Result<usize>> {
    loop {
        ready!(to.poll_write_ready(cx))?;
        match to.try_io(Interest::WRITABLE, || pipe.drain(to)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return Poll::Ready(result),
        }
    }
}

#[cfg(test)]
mod tests;
