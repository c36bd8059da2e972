//! The first request, and the dial that comes before its answer.

use super::tunnel::{failed, tunnel};
use super::{House, Live, Next, Trip};
use crate::accept::{self, Ask, AskError, Connect, Prefixed, Socket};
use crate::decide::Verdict;
use crate::dial::{self, Deadlines, DialOutcome};
use crate::http::{self, Connector, Forwarded, HttpError, Problem};
use crate::report::{Ending, Event};
use crate::wire::names::Authority;
use ::http::StatusCode;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The first request: a tunnel, or HTTP with the proxy itself.
pub(super) async fn ask(trip: &mut Trip, stream: Socket) -> Next {
    let (limits, timeouts) = (trip.live.limits, trip.live.timeouts);
    let asked = tokio::select! {
        biased;
        // A client that has asked for nothing yet loses nothing.
        () = trip.house.drain.begun() => return Next::end(Ending::Drained),
        asked = accept::ask(stream, limits.header_bytes, timeouts.request_head) => asked,
    };
    match asked {
        Ok(Ask::Connect(Connect { target, stream })) => connect(trip, target, stream).await,
        Ok(Ask::Http(stream)) => forward(trip, stream).await,
        Err(AskError::Closed) => Next::end(Ending::Closed),
        Err(AskError::Io(error)) => Next::ended(Ending::ClientIo, error),
        Err(AskError::Timeout(stream)) => {
            let text = format!("no complete request within {:?}", timeouts.request_head);
            let mut problem = Problem::new(HttpError::BadRequest, text);
            problem.status = StatusCode::REQUEST_TIMEOUT;
            turn_away(stream, Ending::RequestTimeout, problem).await
        }
        Err(AskError::TooLarge(stream)) => {
            let text = format!("the request's head is larger than {} bytes", limits.header_bytes);
            let mut problem = Problem::new(HttpError::BadRequest, text);
            problem.status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            turn_away(stream, HttpError::BadRequest, problem).await
        }
        Err(AskError::Bad(stream, why)) => {
            turn_away(
                stream,
                HttpError::BadRequest,
                Problem::new(HttpError::BadRequest, why),
            )
            .await
        }
    }
}

/// Answers a request on a raw socket, and lets the answer arrive.
pub(super) async fn turn_away(mut stream: Socket, ending: impl Into<Ending>, problem: Problem) -> Next {
    let _ = tokio::time::timeout(GOODBYE, async {
        stream.write_all(&problem.raw()).await?;
        stream.shutdown().await?;
        // What the client still sends is read and forgotten: closing a socket with unread bytes resets it, and
        // the reset would overtake the answer.
        let mut sink = [0; 4096];
        while stream.read(&mut sink).await? > 0 {}
        std::io::Result::Ok(())
    })
    .await;
    Next::ended(ending, problem.text)
}

/// How long a client has to take in a refusal.
const GOODBYE: Duration = Duration::from_secs(2);

/// A CONNECT: the origin is dialled before the 200, so that a dead origin is an honest 502.
async fn connect(trip: &mut Trip, target: Authority, client: Prefixed<Socket>) -> Next {
    trip.record.target = Some(target.clone());
    match reach(trip, &target).await {
        Ok(origin) => {
            let mut client = client;
            let answered = async {
                client
                    .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    .await?;
                client.flush().await
            };
            if let Err(error) = answered.await {
                return Next::ended(Ending::ClientIo, error);
            }
            tunnel(trip, target, client, origin).await
        }
        Err((outcome, problem)) => turn_away(client.into_parts().1, outcome, problem).await,
    }
}

/// A connection to an origin, stated and recorded.
pub(super) async fn reach(trip: &mut Trip, target: &Authority) -> Result<TcpStream, (DialOutcome, Problem)> {
    let (result, origin) = dial_for(&trip.house, &trip.live, target).await;
    trip.record.origin = origin.or(trip.record.origin);
    result
}

pub(super) type Reached = Result<TcpStream, (DialOutcome, Problem)>;

pub(super) async fn dial_for(
    house: &House,
    live: &Live,
    target: &Authority,
) -> (Reached, Option<SocketAddr>) {
    let begun = Instant::now();
    let deadlines = Deadlines {
        dns: live.timeouts.dns,
        connect: live.timeouts.dial,
    };
    match dial::dial(target, &live.hosts, &live.reach, &house.own, deadlines).await {
        Ok(stream) => {
            house
                .report
                .state(&Event::Dialled(DialOutcome::Ok, begun.elapsed()));
            let origin = stream.peer_addr().ok();
            (Ok(stream), origin)
        }
        Err(error) => {
            house
                .report
                .state(&Event::Dialled(error.outcome, begun.elapsed()));
            let mut problem = Problem::new(HttpError::ConnectError, error.text);
            problem.status_error = Some(error.outcome.label());
            problem.status = StatusCode::from_u16(error.outcome.status()).unwrap_or(StatusCode::BAD_GATEWAY);
            (Err((error.outcome, problem)), None)
        }
    }
}

/// HTTP with the proxy itself; every request's server is judged and dialled by itself.
pub(super) async fn forward(trip: &mut Trip, client: Prefixed<Socket>) -> Next {
    let site = trip.site();
    let dialer = Dialer {
        house: Arc::clone(&trip.house),
        live: Arc::clone(&trip.live),
        last: Mutex::new(None),
    };
    let (forwarded, requests) = http::forward(client, &dialer, &site, &trip.house.drain).await;
    trip.record.requests += requests;
    if let Some((target, verdict, origin)) = dialer.last.into_inner().ok().flatten() {
        trip.judged(&verdict);
        (trip.record.target, trip.record.origin) = (Some(target), origin);
    }
    match forwarded {
        Forwarded::Ended => Next::end(Ending::Ok),
        Forwarded::Failed(error) => failed(trip, error),
        Forwarded::Upgraded(upgraded) => Next::from(*upgraded),
        Forwarded::Connect {
            target,
            client,
            origin,
        } => {
            trip.record.target = Some(target.clone());
            trip.record.origin = origin.peer_addr().ok();
            tunnel(trip, target, client, origin).await
        }
    }
}

/// Judges and dials for absolute-form requests; remembers the last one for the connection's record.
struct Dialer {
    house: Arc<House>,
    live: Arc<Live>,
    last: Mutex<Option<(Authority, Verdict, Option<SocketAddr>)>>,
}

impl Connector for Dialer {
    async fn connect(&self, target: &Authority) -> Result<TcpStream, Problem> {
        let verdict = self.live.policy.plain_http(target);
        self.house
            .report
            .state(&Event::Decided(&verdict.act, verdict.reason));
        let (reached, origin) = dial_for(&self.house, &self.live, target).await;
        if let Ok(mut last) = self.last.lock() {
            *last = Some((target.clone(), verdict, origin));
        }
        reached.map_err(|(_, problem)| problem)
    }

    async fn dial(&self, target: &Authority) -> Result<TcpStream, Problem> {
        let (reached, _) = dial_for(&self.house, &self.live, target).await;
        reached.map_err(|(_, problem)| problem)
    }
}
