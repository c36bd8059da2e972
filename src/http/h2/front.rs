//! HTTP/2 with the proxy itself: one connection whose streams are requests to it. What becomes of each is for the
//! caller to say; this file is about the connection.

use crate::accept::{Ask, AskKind, Credentials, ForwardedFor, Who};
use crate::drain::Drain;
use crate::error::Side;
use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::exchange::record::ExchangeRecord;
use crate::http::h2::cork::Server;
use crate::http::h2::failure::is_flood;
use crate::http::h2::floods::{Bucket, TakenBack};
use crate::http::h2::frames::Fault;
use crate::http::h2::heads::{self, Heads, Notice, Teller};
use crate::http::h2::settings::builder;
use crate::http::h2::tunnel::{SentPiece, TunnelStream};
use crate::http::pages::{ErrorResponse, PROXY_STATUS};
use crate::http::request_id::RequestId;
use crate::http::watch::Flood;
use crate::http::watch::RequestDone;
use crate::http::watch::Watch;
use crate::wire::headers::Headers;
use crate::wire::names::Authority;
use ::h2::server::SendResponse;
use ::h2::{Reason, RecvStream};
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, PROXY_AUTHORIZATION, RETRY_AFTER,
};
use http::{Method, Request, Response, Version};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};

/// Streams that one connection may have open at once.
const STREAMS: u32 = 256;

/// What holds for one connection.
#[derive(Debug, Clone)]
pub struct StreamLimits {
    /// Whose connection it is.
    pub who: Who,
    /// The largest head, in bytes as RFC 9113 section 6.5.2 counts them.
    pub header_bytes: usize,
    /// How long the client may take to begin.
    pub preface: Duration,
    /// How long the connection may be without a stream.
    pub idle: Duration,
}

/// How a connection ended.
#[derive(Debug)]
pub enum StreamsEnd {
    /// The client closed it, or it was closed after a drain or for want of streams.
    Ended,
    /// The client did not begin in time.
    Timeout,
    /// The client broke RFC 9113; in words.
    Violation(String),
    /// The client asked for too much, and how; in words.
    Flood(Flood, String),
    /// The connection broke.
    Io(io::Error),
}

/// Serves the streams of `io`: hands each to `each`, which must not block, and moves their bytes until the last one
/// has ended; also says how many there were. A drain ends it in order: GOAWAY, then the open streams.
pub async fn streams<T>(
    io: T,
    limits: StreamLimits,
    watch: Arc<dyn Watch>,
    drain: &Drain,
    mut each: impl FnMut(StreamRequest),
) -> (StreamsEnd, u64)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    // Extended CONNECT (RFC 8441) is not offered: a proxy's WebSockets are the origins'.
    let settings = builder(STREAMS, limits.header_bytes);
    let who = limits.who.clone();
    let tell = move |notice| {
        if let Notice::Refused(refused) = notice {
            watch.request_done(&refused.done(who.clone(), None));
        }
    };
    // Whoever offers HTTP/2 to a proxy speaks HTTP/1.1 with it as well.
    let heads = Heads::told(Teller::new(tell), true);
    let begun = tokio::select! {
        biased;
        // A client that has asked for nothing yet loses nothing.
        () = drain.begun() => return (StreamsEnd::Ended, 0),
        begun = tokio::time::timeout(limits.preface, Server::begin(&settings, io, heads)) => begun,
    };
    let mut connection: Server<T, SentPiece> = match begun {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return (end_of(error), 0),
        Err(_) => return (StreamsEnd::Timeout, 0),
    };
    let mut requests = 0;
    let (begun, mut resets, taken_back) = (Instant::now(), Bucket::of_resets(), TakenBack::default());
    let mut closing = false;
    let mut quiet = Duration::ZERO;
    let step = limits.idle / 4;
    let mut tick = std::pin::pin!(tokio::time::sleep(step));
    let end = loop {
        tokio::select! {
            biased;
            accepted = connection.accept() => match accepted {
                Some(Err(_)) if connection.fault().is_some() => break ended(&connection),
                None => break ended(&connection),
                Some(Err(error)) => break end_of(error),
                Some(Ok((request, respond))) => {
                    requests += 1;
                    quiet = Duration::ZERO;
                    each(StreamRequest { request, respond, taken_back: taken_back.clone() });
                    // Whoever goes on asking comes by here.
                    let taken_back = taken_back.take();
                    if connection.fault().is_none() && (0..taken_back).any(|_| !resets.may(begun.elapsed())) {
                        connection.cut_off(Flood::Resets);
                    }
                }
            },
            () = drain.begun(), if !closing => {
                closing = true;
                connection.graceful_shutdown();
            }
            () = tick.as_mut() => {
                quiet = if connection.has_streams() { Duration::ZERO } else { quiet.saturating_add(step) };
                if quiet >= limits.idle {
                    if closing {
                        // It has had its time to take in the end, or the reason.
                        break ended(&connection);
                    }
                    (closing, quiet) = (true, Duration::ZERO);
                    connection.graceful_shutdown();
                }
                tick.as_mut().reset(tokio::time::Instant::now() + step);
            }
        }
    };
    (end, requests + connection.over())
}

/// An end without an error, unless it was for what the client did.
fn ended<T, B>(connection: &Server<T, B>) -> StreamsEnd
where
    T: AsyncRead + AsyncWrite + Unpin,
    B: bytes::Buf,
{
    let Some(fault) = connection.fault() else {
        return StreamsEnd::Ended;
    };
    let text = fault.text(Side::Client);
    match fault {
        Fault::Flood(flood) => StreamsEnd::Flood(flood, text),
        Fault::Beginning | Fault::Push => StreamsEnd::Violation(text),
    }
}

fn end_of(error: ::h2::Error) -> StreamsEnd {
    if is_flood(&error) {
        return StreamsEnd::Flood(Flood::Frames, error.to_string());
    }
    if !error.is_io() {
        return match error.is_remote() && error.reason() == Some(Reason::NO_ERROR) {
            true => StreamsEnd::Ended,
            false => StreamsEnd::Violation(error.to_string()),
        };
    }
    StreamsEnd::Io(
        error
            .into_io()
            .unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()),
    )
}

/// A request on a stream, whose answer is still owed.
#[derive(Debug)]
pub struct StreamRequest {
    request: Request<RecvStream>,
    respond: SendResponse<SentPiece>,
    taken_back: TakenBack,
}

impl StreamRequest {
    /// Whether it asks for a tunnel. Any other names a server, and is for [`answer_stream`](crate::http::answer_stream()).
    pub fn is_connect(&self) -> bool {
        self.request.method() == Method::CONNECT
    }

    /// What a CONNECT asks for (RFC 9113 section 8.5).
    ///
    /// # Errors
    /// What is to be answered if that cannot be understood.
    pub fn ask(&self, client: SocketAddr) -> Result<Ask, ErrorResponse> {
        let authority = self.request.uri().authority();
        let credentials = Credentials::of_lines(self.request.headers().all(&PROXY_AUTHORIZATION));
        authority
            .and_then(|authority| Authority::parse(authority.as_str(), None))
            .map(|to| Ask {
                client,
                credentials,
                to,
                kind: AskKind::Tunnel,
            })
            .ok_or_else(|| {
                ErrorResponse::new(
                    HttpError::BadRequest,
                    "CONNECT needs a target of the form host:port",
                )
            })
    }

    /// Whose it is, where whoever has sent it is believed about that.
    pub fn told(&self, trust: &ForwardedFor) -> Option<IpAddr> {
        trust.client(self.request.headers())
    }

    pub(in crate::http) fn into_parts(self) -> (Request<RecvStream>, SendResponse<SentPiece>, TakenBack) {
        (self.request, self.respond, self.taken_back)
    }

    /// Resolves when the client has reset the stream, or its connection has ended.
    pub async fn gone(&mut self) {
        let _ = poll_fn(|cx| self.respond.poll_reset(cx)).await;
        self.taken_back.add();
    }

    /// Answers a CONNECT with 200; from then on the stream is the tunnel.
    ///
    /// # Errors
    /// The client has gone.
    pub fn accept(self) -> io::Result<TunnelStream> {
        let Self {
            request, mut respond, ..
        } = self;
        let send = respond
            .send_response(Response::new(()), false)
            .map_err(|error| io::Error::new(io::ErrorKind::ConnectionReset, error))?;
        Ok(TunnelStream::new(request.into_body(), send))
    }

    /// Answers with an error, which is stated; also says what the request is called.
    pub fn refuse(self, problem: &ErrorResponse, context: &ExchangeContext) -> RequestId {
        let method = self.request.method().clone();
        let url = match self.request.uri().authority() {
            Some(authority) if method == Method::CONNECT => authority.as_str().to_owned(),
            _ => self.request.uri().path().to_owned(),
        };
        let mut record = ExchangeRecord::begin(context, method, Version::HTTP_2, url)
            .noting(context, self.request.headers());
        record.answered(problem);
        let id = record.id();
        self.answer(problem, id);
        id
    }

    fn answer(mut self, problem: &ErrorResponse, id: RequestId) {
        let text = problem.line(id);
        let mut response = Response::new(());
        *response.status_mut() = problem.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(PROXY_STATUS, problem.proxy_status());
        if let Some(seconds) = problem.retry_after() {
            headers.insert(RETRY_AFTER, seconds);
        }
        for (name, value) in &problem.headers {
            headers.append(name, value.clone());
        }
        // A client that has gone needs no answer.
        if let Ok(mut send) = self.respond.send_response(response, false) {
            let _ = send.send_data(Bytes::from(text).into(), true);
        }
    }

    /// Tells the client that nothing was done for it: it may ask again, elsewhere. What is to be stated about that.
    #[must_use]
    pub fn decline(mut self, who: Who) -> RequestDone {
        self.respond.send_reset(Reason::REFUSED_STREAM);
        heads::declined(who, &self.request)
    }
}

#[cfg(test)]
mod tests;
