//! Content on its way from one side to the other: taken out of its framing, put into another, and looked at meanwhile.

use crate::http::h1::conn::Conn;
use crate::http::inspected::tap::Tap;
use crate::http::message::broke::Broke;
use crate::wire::http1::{Decoder, Fields, Malformed, chunk_head};
use bytes::Bytes;
use http_body::Frame;
use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

/// How often one poll goes round before it lets other tasks run.
const ROUNDS: usize = 16;

/// How content goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// As it is: its length was announced, or the end of the connection is its end.
    Plain,
    /// In chunks.
    Chunked,
}

/// One message's content on its way.
#[derive(Debug)]
pub(super) struct Transfer {
    decoder: Decoder,
    outgoing: Outgoing,
    /// What was read of it before it went on.
    held: VecDeque<Frame<Bytes>>,
    tap: Option<Box<Tap>>,
    /// Bytes of content that have gone on.
    bytes: u64,
    /// Something of it has come, or it was read as a whole before.
    has_begun: bool,
    ended: bool,
    given_up: bool,
}

impl Transfer {
    pub(super) fn new(decoder: Decoder, outgoing: Outgoing) -> Self {
        Self {
            decoder,
            outgoing,
            held: VecDeque::new(),
            tap: None,
            bytes: 0,
            has_begun: false,
            ended: false,
            given_up: false,
        }
    }

    /// Of a message without content.
    pub(super) fn none(decoder: Decoder) -> Self {
        Self {
            ended: true,
            ..Self::new(decoder, Outgoing::Plain)
        }
    }

    /// Lets this have a copy.
    pub(super) fn tapped(mut self, tap: Option<Box<Tap>>) -> Self {
        self.tap = tap;
        self
    }

    /// Begins with what was read before.
    pub(super) fn holding(mut self, held: VecDeque<Frame<Bytes>>) -> Self {
        self.has_begun |= !held.is_empty();
        self.held = held;
        self
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether all of it has been handed on; it may not have been written yet.
    pub(super) fn is_over(&self) -> bool {
        self.ended
    }

    /// Whether anything of it has come.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Nobody wants it any more.
    pub(super) fn give_up(&mut self) {
        self.given_up |= !self.ended;
        self.ended = true;
        self.tap = None;
    }

    /// Ends what looks on: it states what it has seen before the exchange's end is stated.
    pub(super) fn let_go(&mut self) {
        self.tap = None;
    }

    /// Whether it was given up before its end.
    pub(super) fn was_given_up(&self) -> bool {
        self.given_up
    }

    /// Moves what can be moved; ready when all of it has been written.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Conn,
        to: &mut Conn,
    ) -> Poll<Result<(), Broke>> {
        for _ in 0..ROUNDS {
            // While anything waits to be written, nothing is read.
            ready!(to.poll_flush(cx)).map_err(Broke::Write)?;
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            while let Some(frame) = self.held.pop_front() {
                match frame.into_data() {
                    Ok(data) => self.pass(&data, to),
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            self.end(Some(Fields::of_map(&trailers)), to);
                        }
                    }
                }
            }
            if self.ended {
                continue;
            }
            if self.decoder.is_done() {
                let trailers = self.decoder.take_trailers();
                self.end(trailers, to);
                continue;
            }
            let mut malformed = None;
            ready!(from.poll_take(cx, &mut |bytes| {
                match self.take(bytes, to) {
                    Ok(used) => used,
                    Err(why) => {
                        malformed.get_or_insert(why);
                        0
                    }
                }
            }))
            .map_err(Broke::Read)?;
            if let Some(why) = malformed {
                return Poll::Ready(Err(Broke::Malformed(why)));
            }
            if !self.ended && from.rest().is_empty() && from.eof().is_some() {
                if !self.decoder.ends_with_connection() {
                    return Poll::Ready(Err(Broke::Cut));
                }
                self.end(None, to);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Hands on what is content among these bytes; says how many belong to the message.
    fn take(&mut self, bytes: &[u8], to: &mut Conn) -> Result<usize, Malformed> {
        self.has_begun = true;
        let mut used = 0;
        while used < bytes.len() && !self.decoder.is_done() {
            let taken = self.decoder.take(&bytes[used..])?;
            used += taken.used;
            if !taken.data.is_empty() {
                self.pass(taken.data, to);
            }
        }
        if self.decoder.is_done() {
            let trailers = self.decoder.take_trailers();
            self.end(trailers, to);
        }
        Ok(used)
    }

    fn pass(&mut self, data: &[u8], to: &mut Conn) {
        if data.is_empty() {
            // An empty chunk would be the last one.
            return;
        }
        self.bytes += data.len() as u64;
        if let Some(tap) = &mut self.tap {
            tap.data(data);
        }
        match self.outgoing {
            Outgoing::Plain => to.queue(data),
            Outgoing::Chunked => {
                let mut line = Vec::with_capacity(18);
                chunk_head(data.len(), &mut line);
                to.queue(&line);
                to.queue(data);
                to.queue(b"\r\n");
            }
        }
    }

    fn end(&mut self, trailers: Option<Fields>, to: &mut Conn) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.tap = None;
        if self.outgoing == Outgoing::Chunked {
            let mut last = b"0\r\n".to_vec();
            if let Some(trailers) = trailers {
                trailers.write(&mut last);
            }
            last.extend_from_slice(b"\r\n");
            to.queue(&last);
        }
    }
}
