//! A request on a stream of HTTP/2 that names its server (`:scheme: http`) becomes one of HTTP/1.1 in absolute form,
//! over a pipe inside the process, and its response one of HTTP/2: so there is one road for such requests,
//! [`forward`](super::forward()).

use super::floods::TakenBack;
use super::hop;
use super::source::Streamed;
use super::stream::Piece;
use super::streams::StreamRequest;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{HOST, HeaderValue};
use http::{Request, Response, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::DuplexStream;

/// How much the pipe holds in each direction, in bytes.
const PIPE: usize = 64 * 1024;

/// A pipe: the end at which [`bridge`] speaks HTTP/1.1, and the one at which it is to be served.
pub fn pipe() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(PIPE)
}

/// Puts the request into `pipe`, and what comes back onto its stream. Ends with the response, or when the client has
/// gone; the pipe's other end is then closed.
pub async fn bridge(request: StreamRequest, pipe: DuplexStream) {
    let (request, respond, taken_back) = request.into_parts();
    let respond = Answer(Arc::new(Mutex::new(respond)));
    let begun = hyper::client::conn::http1::Builder::new()
        .max_buf_size(PIPE)
        .max_headers(super::serve::MAX_HEADERS)
        .handshake(TokioIo::new(pipe))
        .await;
    let Ok((mut sender, connection)) = begun else {
        return respond.lock().send_reset(Reason::INTERNAL_ERROR);
    };
    let mut request = into_http1(request);
    let early = respond.clone();
    hyper::ext::on_informational(&mut request, move |response| {
        let mut head = Response::new(());
        *head.status_mut() = response.status();
        // A client that has gone needs no advice.
        let _ = early.lock().send_informational(head);
    });
    let exchange = async {
        let answered = tokio::select! {
            biased;
            () = respond.gone() => return taken_back.add(),
            answered = sender.send_request(request) => answered,
        };
        let passed = match answered {
            Ok(response) => pass(response, &respond, &taken_back).await,
            Err(_) => None,
        };
        if passed.is_none() {
            // Cut: what the client has is not the whole.
            respond.lock().send_reset(Reason::INTERNAL_ERROR);
        }
    };
    let (mut exchange, mut connection) = (pin!(exchange), pin!(connection));
    tokio::select! {
        () = exchange.as_mut() => {}
        // The last of the response may still be on its way.
        _ = connection.as_mut() => exchange.await,
    }
}

/// The answer that is owed: interim responses come from another place than the last one.
#[derive(Clone)]
struct Answer(Arc<Mutex<SendResponse<Piece>>>);

impl Answer {
    fn lock(&self) -> MutexGuard<'_, SendResponse<Piece>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when the client has reset the stream before its answer.
    async fn gone(&self) {
        let _ = poll_fn(|cx| self.lock().poll_reset(cx)).await;
    }
}

fn into_http1(request: Request<RecvStream>) -> Request<Upload> {
    let (mut parts, body) = request.into_parts();
    parts.version = Version::HTTP_11;
    hop::join_cookies(&mut parts.headers);
    if let Some(authority) = parts.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        parts.headers.insert(HOST, host);
    }
    let length = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let content = Streamed::new(body);
    Request::from_parts(parts, Upload { content, length })
}

/// Passes a response on; `None` if it does not come to its end, or the client has gone.
async fn pass(response: Response<Incoming>, respond: &Answer, taken_back: &TakenBack) -> Option<()> {
    let (mut parts, mut body) = response.into_parts();
    hop::strip_for_h2(&mut parts.headers);
    parts.version = Version::HTTP_2;
    let head = Response::from_parts(parts, ());
    let mut send = respond.lock().send_response(head, body.is_end_stream()).ok()?;
    if body.is_end_stream() {
        return Some(());
    }
    loop {
        let frame = tokio::select! {
            biased;
            // An origin that takes its time is not waited for by nobody.
            _ = poll_fn(|cx| send.poll_reset(cx)) => {
                taken_back.add();
                return None;
            }
            frame = body.frame() => frame,
        };
        let Some(frame) = frame else { break };
        match frame.ok()?.into_data() {
            Ok(data) => send_all(&mut send, data).await?,
            Err(frame) => {
                let trailers = frame.into_trailers().ok()?;
                return send.send_trailers(trailers).ok();
            }
        }
    }
    send.send_data(Bytes::new().into(), true).ok()
}

/// As much at a time as the client's window has room for.
async fn send_all(send: &mut SendStream<Piece>, mut data: Bytes) -> Option<()> {
    while !data.is_empty() {
        send.reserve_capacity(data.len());
        while send.capacity() == 0 {
            poll_fn(|cx| send.poll_capacity(cx)).await?.ok()?;
        }
        let n = send.capacity().min(data.len());
        send.send_data(data.split_to(n).into(), false).ok()?;
    }
    Some(())
}

/// A request's content as it comes: the pipe asks for the next piece only when it has room.
struct Upload {
    content: Streamed,
    /// As announced; the library holds the client to it.
    length: Option<u64>,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        Pin::new(&mut self.content).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match (self.content.is_end_stream(), self.length) {
            (true, _) => SizeHint::with_exact(0),
            (false, Some(length)) => SizeHint::with_exact(length),
            (false, None) => SizeHint::default(),
        }
    }
}
