//! Content on its way from one side to the other: taken out of its framing, put into another, and looked at meanwhile.

use crate::http::h1::conn::Conn;
use crate::http::inspected::pieces::Pieces;
use crate::http::inspected::tap::Tap;
use crate::http::message::broke::ContentError;
use crate::http::pages::ErrorResponse;
use crate::wire::http1::{Decoder, Fields, chunk_head};
use bytes::Bytes;
use http_body::Frame;
use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

/// How often one poll goes round before it lets other tasks run.
const ROUNDS: usize = 16;

/// How content goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendFraming {
    /// As it is: its length was announced, or the end of the connection is its end.
    Plain,
    /// In chunks.
    Chunked,
}

/// One message's content on its way.
#[derive(Debug)]
pub(super) struct Transfer {
    decoder: Decoder,
    outgoing: SendFraming,
    /// What was read of it before it went on.
    held: VecDeque<Frame<Bytes>>,
    /// How it broke off behind that.
    broke: Option<ContentError>,
    tap: Option<Box<Tap>>,
    /// Bytes of content that have gone on.
    bytes: u64,
    /// Something of it has come, or it was read as a whole before.
    has_begun: bool,
    ended: bool,
    given_up: bool,
}

impl Transfer {
    pub(super) fn new(decoder: Decoder, outgoing: SendFraming) -> Self {
        Self {
            decoder,
            outgoing,
            held: VecDeque::new(),
            broke: None,
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
            ..Self::new(decoder, SendFraming::Plain)
        }
    }

    /// Lets this have a copy.
    pub(super) fn tapped(mut self, tap: Option<Box<Tap>>) -> Self {
        self.tap = tap;
        self
    }

    /// Begins with what was read before, up to where it broke off if it did.
    pub(super) fn holding(mut self, held: VecDeque<Frame<Bytes>>, broke: Option<ContentError>) -> Self {
        self.has_begun |= !held.is_empty();
        self.held = held;
        self.broke = broke;
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
    ) -> Poll<Result<(), ContentError>> {
        // What came with its head goes out with it, in one write.
        if !self.has_begun && !self.ended && !from.rest().is_empty() {
            ready!(self.poll_next(cx, from, to))?;
        }
        for _ in 0..ROUNDS {
            // While anything waits to be written, nothing is read.
            ready!(to.poll_flush(cx)).map_err(ContentError::Write)?;
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            let was_held = !self.held.is_empty();
            while let Some(frame) = self.held.pop_front() {
                match frame.into_data() {
                    Ok(data) => self.pass(&data, to),
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            self.end(Some(Fields::of_map(&trailers)), to)
                                .map_err(ContentError::Refused)?;
                        }
                    }
                }
            }
            if let Some(pieces) = self.pieces()
                && pieces.is_busy()
            {
                let data = ready!(pieces.poll(cx)).map_err(ContentError::Refused)?;
                self.pass(&data, to);
                continue;
            }
            if self.ended || was_held {
                // It goes out before anything else is waited for.
                continue;
            }
            if let Some(broke) = self.broke.take() {
                return Poll::Ready(Err(broke));
            }
            if self.decoder.is_done() {
                let trailers = self.decoder.take_trailers();
                self.end(trailers, to).map_err(ContentError::Refused)?;
                continue;
            }
            ready!(self.poll_next(cx, from, to))?;
            let is_waiting = self.pieces().is_some_and(|pieces| pieces.is_busy());
            if !self.ended && !is_waiting && from.rest().is_empty() && from.eof().is_some() {
                if !self.decoder.ends_with_connection() {
                    return Poll::Ready(Err(ContentError::Cut));
                }
                self.end(None, to).map_err(ContentError::Refused)?;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Hands on what has come, or reads once and does so.
    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Conn,
        to: &mut Conn,
    ) -> Poll<Result<(), ContentError>> {
        let mut broke = None;
        ready!(from.poll_take(cx, &mut |bytes| {
            match self.take(bytes, to) {
                Ok(used) => used,
                Err(why) => {
                    broke.get_or_insert(why);
                    0
                }
            }
        }))
        .map_err(ContentError::Read)?;
        Poll::Ready(broke.map_or(Ok(()), Err))
    }

    /// Hands on what is content among these bytes; says how many belong to the message.
    fn take(&mut self, bytes: &[u8], to: &mut Conn) -> Result<usize, ContentError> {
        self.has_begun = true;
        if self.pieces().is_some() {
            return self.take_piece(bytes);
        }
        let mut used = 0;
        while used < bytes.len() && !self.decoder.is_done() {
            let taken = self
                .decoder
                .take(&bytes[used..])
                .map_err(ContentError::Malformed)?;
            used += taken.used;
            if !taken.data.is_empty() {
                self.pass(taken.data, to);
            }
        }
        if self.decoder.is_done() {
            let trailers = self.decoder.take_trailers();
            self.end(trailers, to).map_err(ContentError::Refused)?;
        }
        Ok(used)
    }

    /// The same where it is judged first: what one read brought is one piece. What is malformed is met again behind it.
    fn take_piece(&mut self, bytes: &[u8]) -> Result<usize, ContentError> {
        if self.pieces().is_some_and(|pieces| pieces.is_busy()) {
            // One read of the socket may bring several records.
            return Ok(0);
        }
        let (mut used, mut piece) = (0, Vec::new());
        while used < bytes.len() && !self.decoder.is_done() {
            match self.decoder.take(&bytes[used..]) {
                Ok(taken) => {
                    used += taken.used;
                    piece.extend_from_slice(taken.data);
                }
                Err(why) if piece.is_empty() => return Err(ContentError::Malformed(why)),
                Err(why) => {
                    self.broke = Some(ContentError::Malformed(why));
                    break;
                }
            }
        }
        if let (false, Some(pieces)) = (piece.is_empty(), self.pieces()) {
            pieces.take(piece.into());
        }
        Ok(used)
    }

    fn pieces(&mut self) -> Option<&mut Pieces> {
        self.tap.as_mut()?.pieces.as_mut()
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
            SendFraming::Plain => to.queue(data),
            SendFraming::Chunked => {
                let mut line = Vec::with_capacity(18);
                chunk_head(data.len(), &mut line);
                to.queue(&line);
                to.queue(data);
                to.queue(b"\r\n");
            }
        }
    }

    fn end(&mut self, trailers: Option<Fields>, to: &mut Conn) -> Result<(), Box<ErrorResponse>> {
        if self.ended {
            return Ok(());
        }
        if let (Some(tap), Some(trailers)) = (&self.tap, &trailers) {
            tap.trailers(trailers)?;
        }
        self.ended = true;
        self.tap = None;
        if self.outgoing == SendFraming::Chunked {
            let mut last = b"0\r\n".to_vec();
            if let Some(trailers) = trailers {
                trailers.write(&mut last);
            }
            last.extend_from_slice(b"\r\n");
            to.queue(&last);
        }
        Ok(())
    }
}
