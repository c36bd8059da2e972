//! Content as an inspection that holds it reads it.

use crate::http::h1::conn::Conn;
use crate::http::h1::transfer::Transfer;
use crate::http::message::broke::ContentError;
use crate::tls::Eof;
use crate::wire::http1::Decoder;
use bytes::Bytes;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The content of one message, out of a connection that is lent for it.
#[derive(Debug)]
pub(super) struct ConnContent<'c> {
    pub(super) conn: &'c mut Conn,
    pub(super) decoder: &'c mut Decoder,
}

impl Body for ConnContent<'_> {
    type Data = Bytes;
    type Error = ContentError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ContentError>>> {
        let this = &mut *self;
        poll_content(this.conn, this.decoder, cx)
    }

    fn is_end_stream(&self) -> bool {
        self.decoder.is_done() && !self.decoder.has_trailers()
    }
}

/// The next piece of content, or the trailers.
pub(super) fn poll_content(
    conn: &mut Conn,
    decoder: &mut Decoder,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, ContentError>>> {
    loop {
        if decoder.is_done() {
            let trailers = decoder.take_trailers();
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers.to_map()))));
        }
        if conn.rest().is_empty() && !ready!(conn.poll_fill(cx)).map_err(ContentError::Read)? {
            // A stream of TLS that ends without a close_notify may have been cut short by anybody (RFC 9112 section 9.8).
            let is_whole = decoder.ends_with_connection() && conn.eof() == Some(Eof::Clean);
            return Poll::Ready((!is_whole).then_some(Err(ContentError::Cut)));
        }
        let taken = decoder.take(conn.rest()).map_err(ContentError::Malformed)?;
        let (used, data) = (taken.used, Bytes::copy_from_slice(taken.data));
        conn.consume(used);
        if !data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }
}

/// The content of a response that is held, while the request's goes on.
#[derive(Debug)]
pub(super) struct Meanwhile<'c> {
    pub(super) client: &'c mut Conn,
    pub(super) origin: &'c mut Conn,
    pub(super) decoder: &'c mut Decoder,
    pub(super) upload: &'c mut Transfer,
}

impl Body for Meanwhile<'_> {
    type Data = Bytes;
    type Error = ContentError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ContentError>>> {
        let this = &mut *self;
        if !this.upload.is_over()
            && matches!(
                this.upload.poll(cx, this.client, this.origin),
                Poll::Ready(Err(_))
            )
        {
            // Whoever goes on with the exchange meets the same.
            this.upload.give_up();
        }
        poll_content(this.origin, this.decoder, cx)
    }
}
