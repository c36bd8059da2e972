//! Bodies as they pass: streamed, counted, and told about when they end.

use super::record::Record;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::oneshot::{self, error::RecvError};
use tokio::time::Sleep;

/// A message's content.
#[derive(Debug)]
pub(super) enum Body {
    /// The proxy's own.
    Full(Full<Bytes>),
    /// A request's, towards the origin.
    Request(RequestBody),
    /// A response's, towards the client.
    Response(ResponseBody),
}

/// How long an origin has to answer `Expect: 100-continue`. Many never do and wait for the body instead, as
/// RFC 9110 section 10.1.1 expects of their clients.
const CONTINUE: Duration = Duration::from_secs(1);

/// A request's content: counted, and held back until the origin has answered `Expect: 100-continue`, or has had
/// its time to.
#[derive(Debug)]
pub(super) struct RequestBody {
    /// `None` once it is never going to be wanted: hyper waits for a body until it is read or dropped.
    incoming: Option<Incoming>,
    bytes: Arc<AtomicU64>,
    gate: Option<Gate>,
}

#[derive(Debug)]
struct Gate {
    opened: oneshot::Receiver<()>,
    /// Runs from when the body is first wanted.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Gate {
    /// Opens with the origin's 100, or once it has had its time; an error if the final answer came first.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RecvError>> {
        match Pin::new(&mut self.opened).poll(cx) {
            Poll::Pending => self
                .patience
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(CONTINUE)))
                .as_mut()
                .poll(cx)
                .map(Ok),
            ready => ready,
        }
    }
}

/// A response's content; the exchange is recorded when it ends or is dropped.
#[derive(Debug)]
pub(super) struct ResponseBody {
    incoming: Incoming,
    record: Record,
}

impl Body {
    pub(super) fn full(content: Bytes) -> Self {
        Self::Full(Full::new(content))
    }

    pub(super) fn empty() -> Self {
        Self::full(Bytes::new())
    }

    /// With a `gate`, nothing is read of the client until it opens: reading is what makes hyper send
    /// `100 Continue`, which is the origin's to give.
    pub(super) fn request(
        incoming: Incoming,
        bytes: Arc<AtomicU64>,
        gate: Option<oneshot::Receiver<()>>,
    ) -> Self {
        let gate = gate.map(|opened| Gate {
            opened,
            patience: None,
        });
        Self::Request(RequestBody {
            incoming: Some(incoming),
            bytes,
            gate,
        })
    }

    pub(super) fn response(incoming: Incoming, record: Record) -> Self {
        let mut body = ResponseBody { incoming, record };
        if body.incoming.is_end_stream() {
            body.record.complete();
        }
        Self::Response(body)
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Full(full) => Pin::new(full)
                .poll_frame(cx)
                .map(|frame| frame.map(|f| f.map_err(|e: Infallible| match e {}))),
            Self::Request(body) => {
                if let Some(gate) = &mut body.gate {
                    if ready!(gate.poll(cx)).is_err() {
                        body.incoming = None;
                    }
                    body.gate = None;
                }
                let Some(incoming) = &mut body.incoming else {
                    // The connection ends: to end the body would make it look whole.
                    return Poll::Pending;
                };
                let frame = ready!(Pin::new(incoming).poll_frame(cx));
                if let Some(data) = frame.as_ref().and_then(|f| f.as_ref().ok()?.data_ref()) {
                    body.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                }
                Poll::Ready(frame)
            }
            Self::Response(body) => {
                let frame = ready!(Pin::new(&mut body.incoming).poll_frame(cx));
                match &frame {
                    Some(Ok(frame)) => {
                        if let Some(data) = frame.data_ref() {
                            body.record.add_response_bytes(data.len() as u64);
                        }
                        if body.incoming.is_end_stream() {
                            body.record.complete();
                        }
                    }
                    Some(Err(_)) => body.record.broke_off(),
                    None => body.record.complete(),
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(full) => full.is_end_stream(),
            Self::Request(body) => body.incoming.as_ref().is_some_and(Incoming::is_end_stream),
            Self::Response(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(full) => full.size_hint(),
            Self::Request(body) => body
                .incoming
                .as_ref()
                .map(Incoming::size_hint)
                .unwrap_or_default(),
            Self::Response(body) => body.incoming.size_hint(),
        }
    }
}
