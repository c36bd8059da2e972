//! HTTP/2 with the proxy itself: each request on it travels like a connection of its own.

use super::connection::{Connection, ConnectionEnd};
use super::go_on::{go_on, http_first};
use super::limited::TRY_AGAIN;
use super::next::Next;
use super::proxy::Proxy;
use super::reach::{Refusal, Servers};
use super::tunnel::tunnel;
use crate::accept::{self, ConnectionPlace, NoPlace, Socket, Who};
use crate::admit::Certified;
use crate::http::{self, ErrorResponse, HttpError, StreamLimits, StreamRequest, StreamsEnd, Watch};
use crate::report::Ending;
use crate::tls::TlsStream;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;

/// What the streams of a connection have in common.
#[derive(Clone)]
struct Carrier {
    proxy: Arc<Proxy>,
    who: Who,
    client: SocketAddr,
    /// Who speaks for the client, where somebody does.
    peer: Option<SocketAddr>,
    listener: Arc<str>,
    proxy_tls: Option<&'static str>,
    certified: Option<Arc<Certified>>,
}

/// Serves the streams until the connection ends. They stay on its event loop.
pub(super) async fn carry(conn: &mut Connection, mut stream: TlsStream) -> Next {
    let limits = StreamLimits {
        who: conn.record.who(),
        header_bytes: conn.config.limits.header_bytes,
        preface: conn.config.timeouts.request_head,
        idle: conn.config.timeouts.http_idle,
    };
    let carrier = Carrier {
        proxy: Arc::clone(&conn.proxy),
        who: conn.record.who(),
        client: conn.record.client,
        peer: conn.record.peer,
        listener: Arc::clone(&conn.listener),
        proxy_tls: conn.record.proxy_tls,
        certified: conn.certified.clone(),
    };
    let each = |request| {
        let stream = travel(request, carrier.clone());
        carrier.proxy.drain.spawn_on(stream, &Handle::current());
    };
    stream.gather_writes();
    let report = carrier.proxy.report.clone();
    let (end, requests) = http::streams(stream, limits, report, &carrier.proxy.drain, each).await;
    conn.record.alpn = Some("h2".into());
    conn.record.requests += requests;
    match end {
        StreamsEnd::Ended => Next::end(Ending::Ok),
        StreamsEnd::Timeout => Next::ended(Ending::RequestTimeout, "the client did not begin HTTP/2 in time"),
        StreamsEnd::Flood(flood, text) => {
            conn.proxy.report.flooded(flood);
            Next::ended(HttpError::BadRequest, text)
        }
        StreamsEnd::Violation(text) => Next::ended(HttpError::BadRequest, text),
        StreamsEnd::Io(error) => Next::ended(Ending::ClientIo, error),
    }
}

/// One stream, from its head to its end. Not `async`, and in boxes, as every connection is: see `journey::serve`.
fn travel(request: StreamRequest, carrier: Carrier) -> impl Future<Output = ()> + Send {
    let begun = begin(request, carrier).map(Box::new);
    async move {
        let Some((mut conn, place, request)) = begun.map(unboxed) else {
            return;
        };
        let open = Arc::clone(conn.open.connection());
        let ended = {
            let arriving = Box::pin(arrive(&mut conn, request));
            let life = pin!(async {
                let (conn, next) = arriving.await;
                let (conn, next) = http_first(conn, next).await;
                go_on(conn, next).await
            });
            open.unless_closed(life).await
        };
        if let Some(ended) = ended {
            conn.end(ended);
        }
        drop(place);
    }
}

/// Gives the box's memory back.
#[allow(
    clippy::boxed_local,
    reason = "to take it out of its box is all that this is for"
)]
fn unboxed<T>(it: Box<T>) -> T {
    *it
}

/// What a stream has asked for, with its place; `None` where it is refused already.
fn begin(request: StreamRequest, carrier: Carrier) -> Option<(Connection, ConnectionPlace, StreamRequest)> {
    let Carrier {
        proxy,
        who,
        client,
        peer,
        listener,
        proxy_tls,
        certified,
    } = carrier;
    if proxy.drain.is_begun() {
        let declined = request.decline(who);
        proxy.report.request_done(&declined);
        return None;
    }
    // A stream does not wait for its place as a connection does: what would make room may be its own connection.
    let place = proxy.places.try_take(peer.unwrap_or(client).ip());
    let mut conn = Connection::begin(
        accept::next_id(),
        client,
        &listener,
        Instant::now(),
        &proxy,
        Some(who.connection),
    );
    conn.record.proxy_tls = proxy_tls;
    conn.speaks_for(peer);
    conn.record.user = who.user;
    conn.certified = certified;
    match place {
        Ok(place) => Some((conn, place, request)),
        Err(why) => {
            let Refusal { ending, problem, .. } = match why {
                NoPlace::All => full(),
                NoPlace::Client(limit) => conn.limited(limit, TRY_AGAIN),
            };
            conn.record.requests += 1;
            conn.record.request_id = Some(request.refuse(&problem, &conn.context()));
            conn.end(ConnectionEnd::new(ending, problem.text));
            None
        }
    }
}

async fn arrive(conn: &mut Connection, request: StreamRequest) -> (&mut Connection, Next) {
    let next = match request.is_connect() {
        true => Box::pin(connect(conn, request)).await,
        false => Box::pin(serve(conn, request)).await,
    };
    (conn, next)
}

/// All places are taken.
fn full() -> Refusal {
    let problem = ErrorResponse::new(
        HttpError::ConnectionLimit,
        "the proxy has as many connections as it may have",
    );
    Refusal::new(Ending::ConnectionLimitReached, problem)
}

/// Any other request names a server, as in the absolute form of HTTP/1.1, and takes its road.
async fn serve(conn: &mut Connection, request: StreamRequest) -> Next {
    let servers = Servers::of(conn);
    let context = servers.context(conn);
    let target = http::answer_stream(request, conn.record.client, &*servers, &context).await;
    conn.record.requests += 1;
    let denied = servers.tell(conn);
    conn.record.target = conn.record.target.take().or(target);
    Next::end(if denied { Ending::Denied } else { Ending::Ok })
}

/// A CONNECT: the origin is dialled before the 200, as on any other connection.
async fn connect(conn: &mut Connection, mut request: StreamRequest) -> Next {
    if let Some(trust) = conn.forwarded() {
        conn.is_told(request.told(&trust));
    }
    let ask = match request.ask(conn.record.client) {
        Ok(ask) => ask,
        Err(problem) => {
            conn.record.requests += 1;
            conn.record.request_id = Some(request.refuse(&problem, &conn.context()));
            return Next::ended(HttpError::BadRequest, problem.text);
        }
    };
    let opened = tokio::select! {
        biased;
        () = request.gone() => return Next::end(Ending::Closed),
        opened = conn.open(&ask) => opened,
    };
    let way = match opened {
        Ok(way) => way,
        Err(Refusal { ending, problem, .. }) => {
            conn.record.requests += 1;
            conn.record.request_id = Some(request.refuse(&problem, &conn.context()));
            return Next::ended(ending, problem.text);
        }
    };
    match request.accept() {
        Ok(stream) => {
            let client = Socket::inner(stream).into();
            tunnel(conn, ask.to, client, way).await
        }
        Err(error) => Next::ended(Ending::ClientIo, error),
    }
}
