//! One leg of a connection: a socket and its record layer, driven directly. What is read is opened where it lies, and
//! what is written is sealed into the buffer that is written: an idle leg owns neither.

use super::outgoing::Outgoing;
use super::records::Records;
use super::stream::TlsStream;
use super::transport::{Parts, Transport};
use crate::accept::{Prefixed, Socket};
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How a leg's incoming stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eof {
    /// With a close_notify, or on a plain leg with a FIN.
    Clean,
    /// TLS with a FIN and no close_notify: the far end sees the same.
    Truncated,
}

/// A socket with its record layer.
///
/// To read, hand on what came before ([`take_early`](Self::take_early)), then [`poll_read`](Self::poll_read) into a
/// borrowed buffer and [`feed`](Self::feed) it. To write, [`queue`](Self::queue), then
/// [`poll_flush`](Self::poll_flush). [`poll_close`](Self::poll_close) ends the outgoing stream.
#[derive(Debug)]
pub struct Leg {
    socket: Socket,
    /// `None` on a plain leg.
    records: Option<Box<Records>>,
    /// The beginning of a record whose end has not come.
    partial: Vec<u8>,
    out: Outgoing,
    /// What was read before the leg was.
    early: Option<Box<Early>>,
    eof: Option<Eof>,
    write_closed: bool,
    /// The key cannot seal any more.
    worn_out: bool,
}

/// Plaintext first, and then bytes of the socket.
#[derive(Debug)]
struct Early {
    plain: Bytes,
    wire: Vec<u8>,
}

impl From<Leg> for Transport {
    /// What was queued on a plain leg has to be flushed before.
    fn from(leg: Leg) -> Self {
        let (early, wire) = match leg.early {
            Some(early) => (early.plain, early.wire),
            None => (Bytes::new(), leg.partial),
        };
        match leg.records {
            Some(records) => Self::tls(TlsStream::new(leg.socket, *records, wire, leg.out)).rewind(early),
            None => Self::plain(Prefixed::new(early, leg.socket)),
        }
    }
}

impl Leg {
    /// Takes a transport apart, with everything that it has read and not yet written.
    pub fn new(transport: Transport) -> Self {
        let Parts {
            socket,
            records,
            wire,
            early: plain,
            out,
        } = transport.into_parts();
        Self {
            socket,
            records,
            partial: Vec::new(),
            out,
            early: Some(Box::new(Early { plain, wire })),
            eof: None,
            write_closed: false,
            worn_out: false,
        }
    }

    /// How the incoming stream ended, if it has.
    pub fn eof(&self) -> Option<Eof> {
        self.eof
    }

    /// Whether the outgoing stream has been closed: nothing can be queued any more.
    pub fn is_write_closed(&self) -> bool {
        self.write_closed
    }

    /// Hands on what was received before the leg was made; says whether there may have been any.
    ///
    /// # Errors
    /// Those of the record layer.
    pub fn take_early(&mut self, each: &mut impl FnMut(&[u8])) -> Result<bool, rustls::Error> {
        let Some(early) = self.early.take() else {
            return Ok(false);
        };
        let Early { plain, mut wire } = *early;
        if !plain.is_empty() {
            each(&plain);
        }
        self.feed(&mut wire, each)?;
        Ok(true)
    }

    /// Reads from the socket into `buf`, behind what is already there of an unfinished record, and says how much of
    /// `buf` is to be [fed](Self::feed); 0 is the end of the stream, which is also remembered.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let kept = self.partial.len();
        let mut into = ReadBuf::new(&mut buf[kept..]);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut into))?;
        let n = into.filled().len();
        if n == 0 {
            self.eof.get_or_insert(match self.records {
                None => Eof::Clean,
                Some(_) => Eof::Truncated,
            });
            return Poll::Ready(Ok(0));
        }
        if kept > 0 {
            buf[..kept].copy_from_slice(&self.partial);
            self.partial = Vec::new();
        }
        Poll::Ready(Ok(kept + n))
    }

    /// Decrypts `wire` in place and hands each piece of plaintext to `each`.
    ///
    /// # Errors
    /// Those of the record layer, after which nothing more can be read.
    pub fn feed(&mut self, wire: &mut [u8], each: &mut impl FnMut(&[u8])) -> Result<(), rustls::Error> {
        let Some(records) = &mut self.records else {
            if !wire.is_empty() {
                each(wire);
            }
            return Ok(());
        };
        let opened = records.open(wire, &mut self.out, each);
        if opened.is_err() {
            // The alert goes out if the socket takes it: the error is what counts.
            let _ = records.finish(&mut self.out);
            self.out.try_write_to(&mut self.socket);
        }
        let used = opened?;
        if used < wire.len() {
            self.partial = wire[used..].to_vec();
        }
        if records.is_closed() {
            self.eof.get_or_insert(Eof::Clean);
        }
        Ok(())
    }

    /// Queues plaintext; it goes out with the next flush.
    pub fn queue(&mut self, plaintext: &[u8]) {
        match &mut self.records {
            None => self.out.extend(plaintext),
            Some(records) => self.worn_out |= records.put(plaintext, &mut self.out).is_err(),
        }
    }

    /// Whether [`poll_flush`](Self::poll_flush) has anything to do or to say.
    pub fn wants_flush(&self) -> bool {
        !self.out.is_empty() || self.worn_out
    }

    /// Writes what is queued until nothing is left.
    ///
    /// # Errors
    /// Those of the socket, and a key that has sealed all that it may.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(records) = &mut self.records {
            self.worn_out |= records.finish(&mut self.out).is_err();
        }
        ready!(self.out.poll_write_to(&mut self.socket, cx))?;
        if self.worn_out {
            return Poll::Ready(Err(io::Error::other(rustls::Error::EncryptError)));
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and forgets until the stream ends.
    pub fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut sink = [0; 4096];
        loop {
            let mut into = ReadBuf::new(&mut sink);
            match ready!(Pin::new(&mut self.socket).poll_read(cx, &mut into)) {
                Ok(()) if !into.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    /// Ends the outgoing stream the way that the far one ended, once everything queued is out.
    ///
    /// # Errors
    /// Those of [`poll_flush`](Self::poll_flush) and of the socket's shutdown.
    pub fn poll_close(&mut self, cx: &mut Context<'_>, how: Eof) -> Poll<io::Result<()>> {
        if !self.write_closed {
            self.write_closed = true;
            if let (Some(records), Eof::Clean) = (&mut self.records, how) {
                records.close_notify(&mut self.out);
            }
        }
        ready!(self.poll_flush(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
