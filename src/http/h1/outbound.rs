//! A request that came by another protocol, on its way to an origin that speaks HTTP/1.1, and what comes back.

use crate::http::exchange::pace::Flow;
use crate::http::h1::conn::Conn;
use crate::http::h1::content::poll_content;
use crate::http::message::broke::{BodyError, ContentError};
use crate::tls::Transport;
use crate::wire::http1::{
    Decoder, Fields, Framing, Malformed, ResponseHead, chunk_head, head_end, parse_response,
    skip_blank_lines, write_request,
};
use bytes::Bytes;
use http::Method;
use http_body::Frame;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Why there is no head of a response.
#[derive(Debug)]
pub(in crate::http) enum NoHead {
    /// The origin's connection broke or ended before it had said anything.
    Closed(Option<io::Error>),
    /// What it said is no response.
    Malformed(Malformed),
}

/// Reads the head of a response.
pub(super) fn poll_head(
    cx: &mut Context<'_>,
    origin: &mut Conn,
    limit: usize,
) -> Poll<Result<ResponseHead, NoHead>> {
    loop {
        let blank = skip_blank_lines(origin.rest());
        origin.consume(blank);
        let rest = origin.rest();
        if let Some(end) = head_end(rest, 0) {
            if end > limit {
                return Poll::Ready(Err(NoHead::Malformed(Malformed::HeadTooLarge)));
            }
            let parsed = rest.get(..end).map_or(Err(Malformed::StatusLine), parse_response);
            origin.consume(end);
            return Poll::Ready(parsed.map_err(NoHead::Malformed));
        }
        if rest.len() > limit {
            return Poll::Ready(Err(NoHead::Malformed(Malformed::HeadTooLarge)));
        }
        if !b"HTTP/".starts_with(&rest[..rest.len().min(5)]) {
            return Poll::Ready(Err(NoHead::Malformed(Malformed::StatusLine)));
        }
        match ready!(origin.poll_fill(cx)) {
            Ok(true) => {}
            Ok(false) if origin.rest().is_empty() => return Poll::Ready(Err(NoHead::Closed(None))),
            Ok(false) => return Poll::Ready(Err(NoHead::Malformed(Malformed::StatusLine))),
            Err(error) => return Poll::Ready(Err(NoHead::Closed(Some(error)))),
        }
    }
}

/// A request on a connection of its own.
#[derive(Debug)]
pub(in crate::http) struct Outbound {
    conn: Box<Conn>,
    /// What is left of its content.
    upload: Option<Upload>,
}

/// Content on its way to the origin, wherever it comes from.
struct Upload {
    body: Box<Incoming>,
    is_chunked: bool,
}

/// Content as a request brings it.
pub(in crate::http) type Incoming = dyn http_body::Body<Data = Bytes, Error = BodyError> + Send + Unpin;

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("is_chunked", &self.is_chunked)
            .finish_non_exhaustive()
    }
}

impl Outbound {
    /// Begins it: content without a length goes in chunks, as the fields must say.
    pub(in crate::http) fn begin(
        leg: Transport,
        method: &Method,
        target: &[u8],
        fields: &Fields,
        body: Box<Incoming>,
        is_chunked: bool,
    ) -> Self {
        let mut conn = Box::new(Conn::new(leg));
        let mut out = Vec::with_capacity(1024);
        write_request(method, target, fields, &mut out);
        conn.queue(&out);
        let upload = (!body.is_end_stream()).then_some(Upload { body, is_chunked });
        Self { conn, upload }
    }

    /// Waits for the head of a response while the content goes on.
    ///
    /// # Errors
    /// `Ok(Err(..))` if there is none, an error of the content's if that broke.
    pub(in crate::http) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
    ) -> Poll<Result<Result<ResponseHead, NoHead>, BodyError>> {
        if let Poll::Ready(Err(error)) = self.poll_upload(cx) {
            return Poll::Ready(Err(error));
        }
        poll_head(cx, &mut self.conn, limit).map(Ok)
    }

    /// How far the content is, of which so much has come.
    pub(in crate::http) fn flow(&self, bytes: u64) -> Flow {
        Flow {
            bytes,
            is_over: self.upload.is_none(),
            is_held_up: self.conn.wants_flush(),
        }
    }

    /// Moves what is left of the content. What the origin does not want it need not have.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let Self { conn, upload } = self;
        loop {
            if ready!(conn.poll_flush(cx)).is_err() {
                *upload = None;
                return Poll::Ready(Ok(()));
            }
            let Some(Upload { body, is_chunked }) = upload else {
                return Poll::Ready(Ok(()));
            };
            let is_chunked = *is_chunked;
            let frame = match ready!(Pin::new(&mut **body).poll_frame(cx)) {
                Some(Ok(frame)) => Some(frame),
                Some(Err(error)) => {
                    *upload = None;
                    return Poll::Ready(Err(error));
                }
                None => None,
            };
            let trailers = match frame.map(Frame::into_data) {
                Some(Ok(data)) => {
                    pass(conn, &data, is_chunked);
                    continue;
                }
                Some(Err(frame)) => frame.into_trailers().ok(),
                None => None,
            };
            if is_chunked {
                let mut last = b"0\r\n".to_vec();
                if let Some(trailers) = trailers {
                    Fields::of_map(&trailers).write(&mut last);
                }
                last.extend_from_slice(b"\r\n");
                conn.queue(&last);
            }
            *upload = None;
        }
    }

    /// The content of its response.
    pub(in crate::http) fn into_content(self, framing: Framing, trailer_limit: usize) -> OwnContent {
        OwnContent {
            outbound: self,
            decoder: Box::new(Decoder::of_response(framing, trailer_limit)),
        }
    }
}

fn pass(conn: &mut Conn, data: &[u8], is_chunked: bool) {
    if data.is_empty() {
        return;
    }
    if !is_chunked {
        return conn.queue(data);
    }
    let mut line = Vec::with_capacity(18);
    chunk_head(data.len(), &mut line);
    conn.queue(&line);
    conn.queue(data);
    conn.queue(b"\r\n");
}

/// The content of a response on a connection of its own, which goes on with the request's while it is read.
#[derive(Debug)]
pub(in crate::http) struct OwnContent {
    outbound: Outbound,
    decoder: Box<Decoder>,
}

impl http_body::Body for OwnContent {
    type Data = Bytes;
    type Error = ContentError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ContentError>>> {
        let this = &mut *self;
        // Content that breaks off ends with its stream, whatever is read here.
        let _ = this.outbound.poll_upload(cx);
        poll_content(&mut this.outbound.conn, &mut this.decoder, cx)
    }

    fn is_end_stream(&self) -> bool {
        self.decoder.is_done() && !self.decoder.has_trailers()
    }
}
