//! One connection's whole life, from accept to its record. The stages never call each other; this room does:
//! `listener` is TLS with the proxy itself, `door` takes what is asked in HTTP/1.1, `streams` what is asked in HTTP/2,
//! `reach` decides about both and dials, `tunnel` goes through classification and handshakes, `onward` after all is known.

mod door;
mod listener;
mod onward;
mod reach;
mod streams;
mod trip;
mod tunnel;
mod workers;

use crate::accept::{Acceptor, Arrival, Prefixed, Socket};
use crate::decide::Splice;
use crate::decide::nets::Reach;
use crate::decide::policy::Policy;
use crate::dial::Hosts;
use crate::drain::Drain;
use crate::handshake::ListenerTls;
use crate::handshake::ca::Ca;
use crate::handshake::forge::Forge;
use crate::handshake::origin::Upstream;
use crate::http::{Http1Only, UpgradeKind, Upgraded, WebSocketInfo};
use crate::inspect::{Inspection, Inspector};
use crate::report::{Ending, Event, Report};
use crate::tls::Transport;
use listener::Greeted;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use trip::{Ended, Trip};
pub use workers::Workers;

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Reading the first request's head.
    pub request_head: Duration,
    /// Waiting for the first bytes inside a CONNECT.
    pub peek: Duration,
    /// Resolving a name.
    pub dns: Duration,
    /// Connecting to an origin, over all its addresses.
    pub dial: Duration,
    /// One TLS handshake.
    pub handshake: Duration,
    /// An origin's silence before its response.
    pub response: Duration,
    /// An HTTP connection's silence between requests.
    pub http_idle: Duration,
    /// A WebSocket's silence.
    pub websocket_idle: Duration,
    /// An opaque tunnel's silence.
    pub tunnel_idle: Duration,
    /// Draining, as a whole.
    pub drain: Duration,
}

/// How much of anything there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at once; more wait in the kernel's backlog.
    pub connections: usize,
    /// One request's or response's head, in bytes.
    pub header_bytes: usize,
}

/// Everything that a reload replaces. A connection keeps what it began with.
#[derive(Debug)]
pub struct Live {
    /// What happens to whom.
    pub policy: Policy,
    /// Which addresses may be dialled.
    pub reach: Reach,
    /// Names with fixed addresses.
    pub hosts: Hosts,
    /// The CA that signs leaves.
    pub ca: Arc<Ca>,
    /// Mints leaves; survives a reload that keeps the CA.
    pub forge: Arc<Forge>,
    /// What clients are shown that speak TLS with the proxy itself.
    pub listener: ListenerTls,
    /// TLS towards origins; survives a reload that keeps the roots.
    pub upstream: Arc<Upstream>,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Limits.
    pub limits: Limits,
    /// What is looked into, and by which rules. Sessions that are open see a new one too.
    pub inspection: Arc<Inspection>,
}

/// What every connection of this process shares.
#[derive(Debug)]
pub struct House {
    /// The current configuration.
    pub live: arc_swap::ArcSwap<Live>,
    /// Looks into what passes.
    pub inspector: Arc<Inspector>,
    /// Where events go.
    pub report: Arc<Report>,
    /// Ends it all.
    pub drain: Drain,
    /// The addresses that this process listens on, which it never dials.
    pub own: Vec<SocketAddr>,
    /// The event loops that connections run on.
    pub workers: Workers,
    /// Hosts to which no HTTP/2 is offered, since they have said what cannot be taken.
    pub http1_only: Arc<Http1Only>,
    permits: Arc<Semaphore>,
}

impl House {
    /// A house that serves `live` on `workers`; the number of connections is fixed here.
    pub fn new(live: Live, report: Arc<Report>, own: Vec<SocketAddr>, workers: Workers) -> Self {
        let permits = Arc::new(Semaphore::new(
            live.limits.connections.min(Semaphore::MAX_PERMITS),
        ));
        let inspector = Arc::new(Inspector::new(live.inspection.clone(), report.clone()));
        Self {
            live: arc_swap::ArcSwap::from_pointee(live),
            inspector,
            report,
            drain: Drain::new(),
            own,
            workers,
            http1_only: Arc::default(),
            permits,
        }
    }

    /// Serves by `live` from now on: new connections as a whole, open ones in what is inspected.
    pub fn adopt(&self, live: Live) {
        self.inspector.replace(live.inspection.clone());
        self.live.store(Arc::new(live));
    }
}

/// What clients begin with at a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// HTTP/1.1: an `http://` proxy.
    Plain,
    /// TLS, and HTTP/1.1 or HTTP/2 inside: an `https://` proxy.
    Tls,
}

/// Accepts connections until draining begins, and hands each to one of the workers.
pub async fn serve(listener: TcpListener, entrance: Entrance, house: Arc<House>) {
    let on_error = |error: &std::io::Error| house.report.state(&Event::AcceptFailed(error));
    let acceptor = Acceptor::new(listener, Arc::clone(&house.permits));
    loop {
        tokio::select! {
            biased;
            () = house.drain.begun() => return,
            arrival = acceptor.next(on_error) => {
                house.drain.spawn_on(travel(arrival, entrance, Arc::clone(&house)), house.workers.next());
            }
        }
    }
}

/// One connection, whose record is closed exactly once, whatever happens.
async fn travel(arrival: Arrival, entrance: Entrance, house: Arc<House>) {
    let Arrival {
        id,
        client,
        stream,
        at,
        permit,
    } = arrival;
    let mut trip = Trip::begin(id, client, at, &house);
    drop(house);
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return trip.end(Ended::new(Ending::ClientIo, error)),
    };
    // Handshakes and HTTP need a large future for a short time. It is gone before a relay begins, which needs a
    // small one for a long time.
    let greeted = match entrance {
        Entrance::Plain => Greeted::Http1(stream.into()),
        Entrance::Tls => Box::pin(listener::greet(&mut trip, stream)).await,
    };
    let next = match greeted {
        Greeted::Http1(socket) => Box::pin(door::http1(&mut trip, socket)).await,
        Greeted::Http2(tls) => Box::pin(streams::carry(&mut trip, tls)).await,
        Greeted::Over(next) => next,
    };
    let ended = go_on(&mut trip, next).await;
    trip.end(ended);
    drop(permit);
}

/// What comes once everything about a connection is known, up to its end. Not `async`: what is moved into such a future
/// would have its place in the caller's too, for as long as a relay lasts.
fn go_on(trip: &mut Trip, next: Next) -> Pin<Box<dyn Future<Output = Ended> + Send + '_>> {
    match next {
        Next::Ended(ended) => Box::pin(std::future::ready(ended)),
        Next::WebSocket {
            info,
            allowed_rsv,
            client,
            origin,
        } => Box::pin(onward::websocket(
            trip.session(),
            info,
            allowed_rsv,
            client,
            origin,
        )),
        Next::Opaque { client, origin } => Box::pin(onward::opaque(trip, client, origin)),
        Next::Splice {
            permission,
            client,
            origin,
        } => Box::pin(onward::splice(trip, permission, client, origin)),
    }
}

/// What a connection has become once everything about it is known.
enum Next {
    /// It is over.
    Ended(Ended),
    /// Both ends agreed to RFC 6455.
    WebSocket {
        info: Box<WebSocketInfo>,
        allowed_rsv: u8,
        client: Transport,
        origin: Transport,
    },
    /// Bytes inside TLS, or behind another upgrade, that no stage reads.
    Opaque { client: Transport, origin: Transport },
    /// A connection that is not decrypted.
    Splice {
        permission: Splice,
        client: Prefixed<Socket>,
        origin: Prefixed<Socket>,
    },
}

impl Next {
    fn end(ending: impl Into<Ending>) -> Self {
        Self::Ended(Ended::from(ending.into()))
    }

    fn ended(ending: impl Into<Ending>, detail: impl std::fmt::Display) -> Self {
        Self::Ended(Ended::new(ending, detail))
    }
}

impl From<Ended> for Next {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

impl From<Upgraded> for Next {
    fn from(upgraded: Upgraded) -> Self {
        let Upgraded { kind, client, origin } = upgraded;
        match kind {
            UpgradeKind::WebSocket { info, allowed_rsv } => Self::WebSocket {
                info: Box::new(info),
                allowed_rsv,
                client,
                origin,
            },
            UpgradeKind::Other(_) => Self::Opaque { client, origin },
        }
    }
}
