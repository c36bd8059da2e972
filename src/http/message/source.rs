//! Where content comes from: a message of HTTP/1.1, or a stream of HTTP/2.

use crate::http::h1::outbound::OwnContent;
use crate::http::message::broke::BodyError;
use crate::http::message::held::{Held, Rest};
use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

/// Content on its way in.
#[derive(Debug)]
pub(in crate::http) enum Source {
    /// As a connection of HTTP/1.1 brings it.
    H1(OwnContent),
    /// As a stream brings it.
    H2(Streamed),
    /// As one of these brings it, of which some was read before.
    Resumed(Box<Held<Source, BodyError>>),
}

impl Source {
    /// Content that is all there.
    pub(in crate::http) fn full(content: Bytes) -> Self {
        let frame = (!content.is_empty()).then(|| Frame::data(content));
        Self::Resumed(Box::new(Held {
            frames: frame.into_iter().collect(),
            rest: Rest::Over,
        }))
    }

    /// What a stream of HTTP/2 has brought that has not gone on, in bytes.
    pub(in crate::http) fn waiting(&mut self) -> usize {
        match self {
            Self::H1(_) => 0,
            Self::H2(stream) => stream.waiting(),
            Self::Resumed(held) => match &mut held.rest {
                Rest::More(source) => source.waiting(),
                Rest::Over | Rest::Broken(_) => 0,
            },
        }
    }
}

/// What a stream of HTTP/2 brings. The peer may send more only when what came has gone on: whoever reads this asks
/// for the next piece when the last one has been taken by the far side.
#[derive(Debug)]
pub(in crate::http) struct Streamed {
    /// There until this is dropped.
    stream: Option<RecvStream>,
    /// Bytes handed out, for which the peer has not been given room again.
    owed: usize,
    left: Option<Leftover>,
}

/// Where a stream goes whose content was not read to its end. The `h2` crate resets one that nobody has, however much of
/// the answer to it is still unread.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct Leftover(Arc<Mutex<Option<RecvStream>>>);

impl Leftover {
    pub(in crate::http) fn take(&self) -> Option<RecvStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Streamed {
    pub(in crate::http) fn new(stream: RecvStream) -> Self {
        Self {
            stream: Some(stream),
            owed: 0,
            left: None,
        }
    }

    /// Leaves what nobody reads of it there.
    pub(in crate::http) fn leaving(self, left: Option<&Leftover>) -> Self {
        let mut this = self;
        this.left = left.cloned();
        this
    }

    /// What has come and not gone on, in bytes: the piece that was handed out last, and what came behind it.
    fn waiting(&mut self) -> usize {
        self.stream
            .as_mut()
            .map_or(0, |stream| stream.flow_control().used_capacity())
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        let Some((left, mut stream)) = self.left.take().zip(self.stream.take()) else {
            return;
        };
        if !stream.is_end_stream() {
            // It fails only for more than was received.
            let _ = stream.flow_control().release_capacity(self.owed);
            *left.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
        }
    }
}

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let this = &mut *self;
        let owed = std::mem::take(&mut this.owed);
        let Some(stream) = &mut this.stream else {
            return Poll::Ready(None);
        };
        if owed > 0 {
            // It fails only for more than was received.
            let _ = stream.flow_control().release_capacity(owed);
        }
        match ready!(stream.poll_data(cx)) {
            Some(Ok(data)) => {
                this.owed = data.len();
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => Poll::Ready(match ready!(stream.poll_trailers(cx)) {
                Ok(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
                Err(error) => Some(Err(error)),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.as_ref().is_none_or(RecvStream::is_end_stream)
    }
}

impl HttpBody for Source {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::H1(incoming) => Pin::new(incoming)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(BodyError::H1))),
            Self::H2(stream) => Pin::new(stream)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(BodyError::H2))),
            Self::Resumed(held) => match held.frames.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => held.rest.poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::H1(incoming) => incoming.is_end_stream(),
            Self::H2(stream) => stream.is_end_stream(),
            Self::Resumed(held) => held.frames.is_empty() && held.rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::H1(incoming) => incoming.size_hint(),
            Self::H2(stream) => stream.size_hint(),
            Self::Resumed(held) if held.frames.is_empty() => held.rest.size_hint(),
            Self::Resumed(_) => SizeHint::new(),
        }
    }
}
