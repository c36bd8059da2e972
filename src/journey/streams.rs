//! HTTP/2 with the proxy itself: each request on it travels like a connection of its own.

use super::go_on::go_on;
use super::limited::TRY_AGAIN;
use super::next::Next;
use super::proxy::Proxy;
use super::reach::{Opened, Refusal, Servers};
use super::trip::{Connection, Ended};
use super::tunnel::tunnel;
use crate::accept::{self, NoPlace, Socket, Who};
use crate::http::{self, ErrorResponse, HttpError, StreamLimits, StreamRequest, StreamsEnd, Watch};
use crate::report::Ending;
use crate::tls::TlsStream;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;

/// What the streams of a connection have in common.
#[derive(Clone)]
struct Carrier {
    house: Arc<Proxy>,
    who: Who,
    client: SocketAddr,
    proxy_tls: Option<&'static str>,
}

/// Serves the streams until the connection ends. They stay on its event loop.
pub(super) async fn carry(trip: &mut Connection, mut stream: TlsStream) -> Next {
    let limits = StreamLimits {
        who: trip.record.who(),
        header_bytes: trip.live.limits.header_bytes,
        preface: trip.live.timeouts.request_head,
        idle: trip.live.timeouts.http_idle,
    };
    let carrier = Carrier {
        house: Arc::clone(&trip.house),
        who: trip.record.who(),
        client: trip.record.client,
        proxy_tls: trip.record.proxy_tls,
    };
    let each = |request| {
        let stream = travel(request, carrier.clone());
        carrier.house.drain.spawn_on(stream, &Handle::current());
    };
    stream.gather_writes();
    let report = carrier.house.report.clone();
    let (end, requests) = http::streams(stream, limits, report, &carrier.house.drain, each).await;
    trip.record.alpn = Some("h2".to_owned());
    trip.record.requests += requests;
    match end {
        StreamsEnd::Ended => Next::end(Ending::Ok),
        StreamsEnd::Timeout => Next::ended(Ending::RequestTimeout, "the client did not begin HTTP/2 in time"),
        StreamsEnd::Flood(flood, text) => {
            trip.house.report.flooded(flood);
            Next::ended(HttpError::BadRequest, text)
        }
        StreamsEnd::Violation(text) => Next::ended(HttpError::BadRequest, text),
        StreamsEnd::Io(error) => Next::ended(Ending::ClientIo, error),
    }
}

/// One stream, from its head to its end.
async fn travel(request: StreamRequest, carrier: Carrier) {
    let Carrier {
        house,
        who,
        client,
        proxy_tls,
    } = carrier;
    if house.drain.is_begun() {
        let declined = request.decline(who);
        return house.report.request_done(&declined);
    }
    // A stream does not wait for its place as a connection does: what would make room may be its own connection.
    let place = house.places.try_take(client.ip());
    let mut trip = Connection::begin(accept::next_id(), client, Instant::now(), &house);
    (trip.record.inside, trip.record.proxy_tls) = (Some(who.connection), proxy_tls);
    trip.record.user = who.user;
    drop(house);
    let place = match place {
        Ok(place) => place,
        Err(why) => {
            let Refusal { ending, problem } = match why {
                NoPlace::All => full(),
                NoPlace::Client(limit) => trip.limited(limit, TRY_AGAIN),
            };
            trip.record.requests += 1;
            request.refuse(&problem, &trip.site());
            return trip.end(Ended::new(ending, problem.text));
        }
    };
    let next = match request.is_connect() {
        true => Box::pin(connect(&mut trip, request)).await,
        false => Box::pin(serve(&mut trip, request)).await,
    };
    let ended = go_on(&mut trip, next).await;
    trip.end(ended);
    drop(place);
}

/// All places are taken.
fn full() -> Refusal {
    let problem = ErrorResponse::new(
        HttpError::ConnectionLimit,
        "the proxy has as many connections as it may have",
    );
    Refusal {
        ending: Ending::ConnectionLimitReached,
        problem,
    }
}

/// Any other request names a server, as in the absolute form of HTTP/1.1, and takes its road.
async fn serve(trip: &mut Connection, request: StreamRequest) -> Next {
    let site = trip.site();
    let servers = Servers::of(trip);
    let target = http::answer_stream(request, trip.record.client, &servers, &site).await;
    trip.record.requests += 1;
    let denied = servers.tell(trip);
    trip.record.target = trip.record.target.take().or(target);
    Next::end(if denied { Ending::Denied } else { Ending::Ok })
}

/// A CONNECT: the origin is dialled before the 200, as on any other connection.
async fn connect(trip: &mut Connection, mut request: StreamRequest) -> Next {
    let ask = match request.ask(trip.record.client) {
        Ok(ask) => ask,
        Err(problem) => {
            trip.record.requests += 1;
            request.refuse(&problem, &trip.site());
            return Next::ended(HttpError::BadRequest, problem.text);
        }
    };
    let opened = tokio::select! {
        biased;
        () = request.gone() => return Next::end(Ending::Closed),
        opened = trip.open(&ask) => opened,
    };
    let Opened { leg, verdict } = match opened {
        Ok(opened) => opened,
        Err(Refusal { ending, problem }) => {
            trip.record.requests += 1;
            request.refuse(&problem, &trip.site());
            return Next::ended(ending, problem.text);
        }
    };
    match request.accept() {
        Ok(stream) => {
            let client = Socket::inner(stream).into();
            tunnel(trip, ask.to, client, leg.socket.into(), verdict).await
        }
        Err(error) => Next::ended(Ending::ClientIo, error),
    }
}
