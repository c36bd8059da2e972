//! The client's side of a connection: its requests as they come, and the proxy's own answers.

use crate::drain::Drain;
use crate::error::Side;
use crate::handshake::client;
use crate::handshake::origin::late_failure;
use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::exchange::record::ExchangeRecord;
use crate::http::exchange::road;
use crate::http::exchange::served::{ServeError, Served};
use crate::http::h1::clock::{Clock, Standstill};
use crate::http::h1::conn::Conn;
use crate::http::pages::{Audience, ErrorResponse};
use crate::tls::Eof;
use crate::wire::headers::Headers;
use crate::wire::http1::{
    Fields, Malformed, RequestHead, as_usual, head_end, parse_request, skip_blank_lines,
};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, UPGRADE};
use http::{Method, Response, StatusCode, Version};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// The client's side of a connection.
pub(super) struct Client<'a> {
    pub(super) conn: Conn,
    pub(super) clock: Clock,
    pub(super) context: &'a ExchangeContext,
    pub(super) drain: &'a Drain,
    /// All requests there have been.
    pub(super) requests: u64,
    /// What comes next is sure to be a request: all of the last one has been read.
    pub(super) in_step: bool,
}

/// What came of waiting for a request.
pub(super) enum Waited {
    /// Its head.
    Request(Box<RequestHead>),
    /// It is refused for what it looks like.
    Refused(Malformed),
    /// No more will come.
    Ended,
    /// The client has asked for nothing for too long.
    Idle,
    /// A head was begun, or was to be, and is not there in time.
    Late,
    /// The proxy is draining, and nothing is under way.
    Drained,
    /// The origin has closed its connection, or said something that nobody asked for.
    OriginLeft,
    /// The client's connection broke.
    Failed(ServeError),
}

impl<'a> Client<'a> {
    pub(super) fn new(conn: Conn, context: &'a ExchangeContext, drain: &'a Drain) -> Self {
        Self {
            conn,
            clock: Clock::new(context.idle.min(context.response)),
            context,
            drain,
            requests: 0,
            in_step: false,
        }
    }

    /// Waits for a request, and so long for its first byte. Meanwhile the origin, where there is one, may leave; how its
    /// handshake failed, if that is what comes of it, is told in `failed`.
    pub(super) async fn next(
        &mut self,
        quiet: Duration,
        mut origin: Option<&mut Conn>,
        failed: &mut Option<io::Error>,
    ) -> Waited {
        let mut draining = pin!(self.drain.begun());
        let Self {
            conn, clock, context, ..
        } = self;
        let mut patience = Standstill::new(quiet);
        // How much has been looked at, and whether a head has begun.
        let (mut known, mut has_begun) = (0, false);
        let waited = poll_fn(|cx| {
            loop {
                let blank = skip_blank_lines(conn.rest());
                if blank > 0 {
                    conn.consume(blank);
                    known = 0;
                }
                let rest = conn.rest();
                if let Some(end) = head_end(rest, known) {
                    if end > context.header_bytes {
                        return Poll::Ready(Waited::Refused(Malformed::HeadTooLarge));
                    }
                    let parsed = rest.get(..end).map_or(Err(Malformed::RequestLine), parse_request);
                    return Poll::Ready(match parsed {
                        Ok(head) => {
                            conn.consume(end);
                            Waited::Request(Box::new(head))
                        }
                        Err(why) => Waited::Refused(why),
                    });
                }
                known = rest.len();
                if known >= context.header_bytes {
                    return Poll::Ready(Waited::Refused(Malformed::HeadTooLarge));
                }
                if let Some(why) = looks_wrong(rest) {
                    return Poll::Ready(Waited::Refused(why));
                }
                match conn.poll_fill(cx) {
                    Poll::Ready(Ok(true)) => continue,
                    Poll::Ready(Ok(false)) if conn.rest().is_empty() => return Poll::Ready(Waited::Ended),
                    Poll::Ready(Ok(false)) => {
                        let text = "the client ended its stream within a request's head";
                        return Poll::Ready(Waited::Failed(ServeError::client(text)));
                    }
                    Poll::Ready(Err(error)) => {
                        return Poll::Ready(Waited::Failed(ServeError::reading(&error)));
                    }
                    Poll::Pending => break,
                }
            }
            let is_quiet = conn.rest().is_empty();
            if is_quiet && draining.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Waited::Drained);
            }
            if let (true, None, Some(origin)) = (is_quiet, &failed, &mut origin)
                && let Poll::Ready(left) = origin.poll_fill(cx)
            {
                match left {
                    // What the client asks for next is answered with that.
                    Err(error) if late_failure(&error).is_some() => *failed = Some(error),
                    _ => return Poll::Ready(Waited::OriginLeft),
                }
            }
            if !is_quiet && !has_begun {
                has_begun = true;
                patience = Standstill::new(context.request_head);
            }
            match patience.poll(clock, cx, 0) {
                Poll::Ready(()) if has_begun => Poll::Ready(Waited::Late),
                Poll::Ready(()) => Poll::Ready(Waited::Idle),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        if matches!(waited, Waited::Request(_) | Waited::Refused(_))
            || (matches!(waited, Waited::Late) && has_begun)
        {
            self.requests += 1;
        }
        self.in_step = false;
        waited
    }

    /// What a request that could not be read is in the log.
    pub(super) fn unread(&self, base: &str) -> ExchangeRecord {
        let line = self
            .conn
            .rest()
            .split(|&byte| matches!(byte, b'\r' | b'\n'))
            .next()
            .unwrap_or_default();
        let mut words = line.split(|&byte| byte == b' ');
        let method = words.next().filter(|word| word.len() <= 32);
        let method = method.and_then(|word| Method::from_bytes(word).ok());
        // Only what is surely a path: whatever else is there may hold secrets.
        let path = words
            .next()
            .filter(|word| word.starts_with(b"/") && method.is_some());
        let path = path
            .and_then(|path| path.split(|&byte| byte == b'?').next())
            .unwrap_or_default();
        let url = format!("{base}{}", String::from_utf8_lossy(path));
        let method = method.unwrap_or_else(unknown_method);
        ExchangeRecord::begin(self.context, method, Version::HTTP_11, url)
    }

    /// Answers by itself; says whether the connection can go on.
    pub(super) async fn answer(
        &mut self,
        record: &mut ExchangeRecord,
        problem: &ErrorResponse,
        reply: Reply,
    ) -> bool {
        let response = road::answer_with(record, problem, reply.audience);
        // Whoever sent what is malformed may see other requests in the bytes that follow than the proxy does.
        let keeps = reply.keeps && !matches!(problem.error, HttpError::BadRequest | HttpError::Misdirected);
        self.say(&response, Reply { keeps, ..reply }).await && keeps
    }

    /// Sends a response of the proxy's own; says whether the client has taken it.
    pub(super) async fn say(&mut self, response: &Response<Bytes>, reply: Reply) -> bool {
        let mut out = Vec::with_capacity(512 + response.body().len());
        write_answer(response, &reply, &mut out);
        self.conn.queue(&out);
        self.flush().await.is_ok()
    }

    /// Writes what is queued; a client that does not take it is not waited for without end.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        let Self {
            conn, clock, context, ..
        } = self;
        let mut patience = Standstill::new(context.patience(false));
        poll_fn(|cx| {
            if let Poll::Ready(flushed) = conn.poll_flush(cx) {
                return Poll::Ready(flushed);
            }
            let moved = conn.moved();
            patience
                .poll(clock, cx, moved)
                .map(|()| Err(io::ErrorKind::TimedOut.into()))
        })
        .await
    }

    /// Ends the connection in order.
    pub(super) async fn close(&mut self) {
        self.conn.close(Eof::Clean).await;
    }
}

/// How the proxy answers by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply {
    /// For whom the answer is.
    pub(super) audience: Audience,
    /// Its version.
    pub(super) version: Version,
    /// It wants no content.
    pub(super) is_head: bool,
    /// The connection may go on.
    pub(super) keeps: bool,
}

impl Reply {
    /// To what could not be read.
    pub(super) const fn last() -> Self {
        Self {
            audience: Audience::PROGRAM,
            version: Version::HTTP_11,
            is_head: false,
            keeps: false,
        }
    }
}

/// A request whose method nobody knows.
fn unknown_method() -> Method {
    Method::from_bytes(b"-").unwrap_or_default()
}

/// What is no HTTP from its first byte on need not be waited for: a TLS ClientHello deserves to be named, since
/// `https_proxy=https://...` is an easy mistake.
fn looks_wrong(bytes: &[u8]) -> Option<Malformed> {
    match bytes {
        [0x16, 0x03, ..] => Some(Malformed::Tls),
        [0..=8 | 11..=12 | 14..=31 | 127.., ..] => Some(Malformed::RequestLine),
        _ => None,
    }
}

/// A response of the proxy's own, as bytes.
pub(super) fn write_answer(response: &Response<Bytes>, reply: &Reply, out: &mut Vec<u8>) {
    use std::io::Write as _;
    let (status, body) = (response.status(), response.body());
    let version = if reply.version == Version::HTTP_10 {
        "HTTP/1.0"
    } else {
        "HTTP/1.1"
    };
    // Writing to memory cannot fail.
    let _ = write!(
        out,
        "{version} {} {}\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or("Error")
    );
    for (name, value) in response.headers() {
        if name == CONNECTION {
            continue;
        }
        out.extend_from_slice(&as_usual(name.as_str().as_bytes()));
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    let is_bare = status == StatusCode::NO_CONTENT || response.headers().contains_key(CONTENT_LENGTH);
    if !is_bare {
        let _ = write!(out, "Content-Length: {}\r\n", body.len());
    }
    let upgrade = response.headers().has(&UPGRADE);
    let connection = match (reply.keeps, upgrade) {
        (true, true) => "Connection: Upgrade\r\n",
        (false, true) => "Connection: Upgrade, close\r\n",
        (false, false) => "Connection: close\r\n",
        (true, false) if reply.version == Version::HTTP_10 => "Connection: keep-alive\r\n",
        (true, false) => "",
    };
    out.extend_from_slice(connection.as_bytes());
    out.extend_from_slice(b"\r\n");
    if !reply.is_head {
        out.extend_from_slice(body);
    }
}

impl ServeError {
    /// The client went away.
    pub(super) fn client(text: impl Into<String>) -> Self {
        Self {
            error: HttpError::Aborted(Side::Client),
            refusal: None,
            text: text.into(),
            is_told: true,
        }
    }

    /// Reading from the client failed: some refuse the forged certificate only then.
    pub(super) fn reading(error: &io::Error) -> Self {
        Self {
            refusal: client::refusal(error),
            ..Self::client(error.to_string())
        }
    }

    /// Nothing moved on either side.
    pub(super) fn silent() -> Self {
        Self {
            error: HttpError::Timeout,
            refusal: None,
            text: "nothing moved for too long".to_owned(),
            is_told: true,
        }
    }

    /// One side sent its content too slowly.
    pub(super) fn slow(side: Side, text: String) -> Self {
        Self {
            error: HttpError::Slow(side),
            refusal: None,
            text,
            is_told: true,
        }
    }

    /// The origin went away.
    pub(super) fn origin(text: impl Into<String>) -> Self {
        Self {
            error: HttpError::Aborted(Side::Origin),
            refusal: None,
            text: text.into(),
            is_told: true,
        }
    }
}

/// Nothing more is served.
pub(super) async fn closed(client: &mut Client<'_>) -> Served {
    client.close().await;
    Served::Ended
}

/// No request came, or one that cannot be served.
pub(super) async fn over(client: &mut Client<'_>, base: &str, waited: Waited) -> Served {
    let refused = match waited {
        Waited::Refused(why) => {
            let mut problem = ErrorResponse::malformed(why);
            if why == Malformed::Tls {
                problem.text =
                    "this is a plain HTTP proxy port, and the client began TLS with the proxy itself"
                        .to_owned();
            }
            problem
        }
        Waited::Late => ErrorResponse::late_request(client.context.request_head),
        Waited::Failed(error) => return Served::Failed(error),
        Waited::Request(_) | Waited::Ended | Waited::Idle | Waited::Drained | Waited::OriginLeft => {
            return closed(client).await;
        }
    };
    // Whoever was told of with the request before has not sent this.
    client.context.hear(&Fields::new());
    let mut record = client.unread(base);
    client.answer(&mut record, &refused, Reply::last()).await;
    client.close().await;
    Served::Failed(ServeError {
        error: refused.error,
        refusal: None,
        text: refused.text,
        is_told: true,
    })
}
