//! The long part of a connection: bytes or frames, until it ends.

use super::connection::{Connection, ConnectionEnd, Session, random_mask};
use super::proxy::Proxy;
use super::relays::Place;
use super::standing::{Known, Relayed};
use crate::accept::{ClientHold, Prefixed, Socket};
use crate::decide::{ActKind, Splice};
use crate::http::{UpgradeHandler, UpgradeKind, Upgraded, WebSocketInfo};
use crate::inspect::filter::FilterRoute;
use crate::inspect::{Recorded, RecordedContent};
use crate::live::{OpenUrl, RelayKind};
use crate::relay::{
    self, End, FrameTallies, Meter, OpaqueTotals, WebSocket, WebSocketLegs, WebSocketProgress,
    WebSocketTotals,
};
use crate::report::{Ending, Event, OpenWebSocket, ServiceMeter};
use crate::tls::Transport;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A connection that must not be decrypted.
pub(super) async fn splice(
    conn: &mut Connection,
    permission: Splice,
    client: Prefixed<Socket>,
    origin: Prefixed<Socket>,
) -> ConnectionEnd {
    let idle = conn.tunnel_idle();
    let relayed = match conn.record.action {
        Some(ActKind::Splice) => Relayed::Spliced,
        _ => Relayed::Opaque,
    };
    let place = conn.enter(relayed);
    let open = conn.open.connection();
    let _shown = open.relay(0, RelayKind::Spliced, &place.drain);
    let (totals, end) = relay::splice(&permission, client, origin, idle, &place.drain, &open.carried).await;
    conn.record.tunnel = Some(totals);
    ConnectionEnd::from(Ending::from(end))
}

/// Bytes inside two legs.
pub(super) async fn opaque(conn: &mut Connection, client: Transport, origin: Transport) -> ConnectionEnd {
    let idle = conn.tunnel_idle();
    let place = conn.enter(Relayed::Opaque);
    let open = conn.open.connection();
    let _shown = open.relay(0, RelayKind::Opaque, &place.drain);
    let (totals, end) = relay::tunnel(client, origin, idle, &place.drain, &open.carried).await;
    conn.record.tunnel = Some(totals);
    ConnectionEnd::from(Ending::from(end))
}

/// Frames, until either end or the proxy ends it. What its client holds of WebSockets is given back with it.
/// Not `async`, so that what it is given has one place in its future.
pub(super) fn websocket(
    mut session: Session,
    mut info: Box<WebSocketInfo>,
    allowed_rsv: u8,
    held: ClientHold,
    client: Transport,
    origin: Transport,
) -> impl Future<Output = ConnectionEnd> + Send {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    session.who.client = info.facts.client;
    // A change of the policy is to judge it for its client, too, and not for whoever has brought it.
    if session.begun.client.who.client != info.facts.client {
        let begun = Arc::make_mut(&mut session.begun);
        begun.client = begun.client.of(info.facts.client);
    }
    let (since, id) = (Instant::now(), NEXT.fetch_add(1, Relaxed));
    Arc::make_mut(&mut info.facts).websocket = Some(id);
    let mut legs = WebSocketLegs::new(client, origin);
    async move {
        let _held = &held;
        let Session {
            proxy,
            config,
            who,
            treatment,
            ..
        } = &session;
        let socket = OpenWebSocket { id, who, info: &info };
        proxy.report.state(&Event::WebSocketOpened(socket));
        let route = FilterRoute {
            inspector: Arc::clone(&proxy.inspector),
            facts: Arc::clone(&info.facts),
            deflate: info.deflate,
            is_opaque: info.opaque_extensions,
            fresh_mask: random_mask,
            epoch: unix_time(),
            recorded: Recorded::default(),
        };
        let tallies = Arc::<[FrameTallies; 2]>::default();
        let settings = WebSocket {
            tallies: Arc::clone(&tallies),
            inspect: info.is_inspected.then_some(route),
            allowed_rsv,
            idle: treatment.websocket_idle.unwrap_or(config.timeouts.websocket_idle),
            mask: random_mask(),
        };
        let service = ServiceMeter::opened(&proxy.report, &info.facts.target);
        let mut open = WebSocketUnderWay {
            proxy,
            service: service.as_ref(),
            socket,
            since,
            totals: None,
        };
        let place = session.enter(Relayed::WebSocket(Arc::clone(&info.facts)));
        let drain = &place.drain;
        let kind = RelayKind::WebSocket {
            url: OpenUrl::new(Arc::clone(&info.url)),
            subprotocol: info.facts.subprotocol.as_deref().map(Into::into),
            is_compressed: info.deflate.is_some(),
            is_http2: info.version == http::Version::HTTP_2,
            tallies,
        };
        let _shown = session.open.relay(id, kind, drain);
        let meter: &dyn Meter = match &service {
            Some(service) => service,
            None => &*proxy.report,
        };
        let tell = |totals: &WebSocketTotals| {
            proxy.report.state(&Event::WebSocketOpen {
                socket,
                totals,
                open: since.elapsed(),
            });
        };
        let progress = WebSocketProgress {
            every: config.logged.websocket_interval,
            tell: &tell,
        };
        relay::websocket(&mut legs, settings, drain, meter, progress, &mut open.totals).await;
        let end = open.totals.as_ref().map_or(End::Aborted, |totals| totals.end);
        match end {
            End::Closed => ConnectionEnd::from(Ending::Ok),
            End::Violation(side, violation) => {
                ConnectionEnd::new(end, format!("the {side} broke RFC 6455: {}", violation.label()))
            }
            end => ConnectionEnd::from(Ending::from(end)),
        }
    }
}

/// A WebSocket under way, whose end is stated however it comes.
struct WebSocketUnderWay<'a> {
    proxy: &'a Proxy,
    /// What is counted of it beside what is of all.
    service: Option<&'a ServiceMeter>,
    socket: OpenWebSocket<'a>,
    since: Instant,
    /// Once it is over.
    totals: Option<Box<WebSocketTotals>>,
}

impl Drop for WebSocketUnderWay<'_> {
    fn drop(&mut self) {
        const NOTHING: &WebSocketTotals = &WebSocketTotals::none();
        let totals = self.totals.as_deref().unwrap_or(NOTHING);
        let facts = &self.socket.info.facts;
        let onlookers = Recorded::default().by(&self.proxy.inspector, facts);
        if !onlookers.is_none() {
            let closed = RecordedContent::Closed {
                at: unix_time(),
                end: totals.end.label(),
                code: totals.first_close.as_ref().and_then(|close| close.code),
            };
            let witness = self.proxy.inspector.witness();
            witness.content(facts, onlookers, &closed);
        }
        if let Some(service) = self.service {
            service.closed(totals);
        }
        self.proxy.report.state(&Event::WebSocketClosed {
            socket: self.socket,
            totals,
            open: self.since.elapsed(),
        });
    }
}

impl Connection {
    /// Remembers what is relayed of it.
    fn enter(&self, relayed: Relayed) -> Place {
        let begun = self.standing();
        (self.proxy.relays).enter(&self.proxy.drain, Known { begun, relayed })
    }
}

impl Session {
    /// Remembers what is relayed of it.
    fn enter(&self, relayed: Relayed) -> Place {
        let begun = Arc::clone(&self.begun);
        (self.proxy.relays).enter(&self.proxy.drain, Known { begun, relayed })
    }
}

/// What the streams of an HTTP/2 connection become that leave HTTP.
#[derive(Debug)]
pub(super) struct StreamSession {
    session: Session,
    tunnelled: Arc<Mutex<Option<OpaqueTotals>>>,
}

impl StreamSession {
    pub(super) fn new(session: Session) -> Self {
        Self {
            session,
            tunnelled: Arc::default(),
        }
    }

    /// What upgrades to something else than WebSockets have moved, all together: they are the connection's tunnel. `None`
    /// without any.
    pub(super) fn tunnelled(&self) -> Option<OpaqueTotals> {
        *self.tunnelled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(tunnelled: &Mutex<Option<OpaqueTotals>>, totals: OpaqueTotals) {
    let mut sum = tunnelled.lock().unwrap_or_else(PoisonError::into_inner);
    let known = sum.get_or_insert(OpaqueTotals { bytes: [0; 2] });
    for (known, more) in known.bytes.iter_mut().zip(totals.bytes) {
        *known += more;
    }
}

/// Streams of HTTP/2 are relayed beside those that stay HTTP, and end without their connection.
impl UpgradeHandler for StreamSession {
    fn upgraded(&self, upgraded: Upgraded) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (session, tunnelled) = (self.session.clone(), Arc::clone(&self.tunnelled));
        let Upgraded { kind, client, origin } = upgraded;
        match kind {
            UpgradeKind::WebSocket {
                info,
                allowed_rsv,
                held,
            } => {
                // In a box of its own: moved into this future, it would have two places there.
                let mut relayed = Box::pin(websocket(session, info, allowed_rsv, held, client, origin));
                Box::pin(async move {
                    relayed.as_mut().await;
                })
            }
            UpgradeKind::Other(_) => Box::pin(async move {
                let usual = session.config.timeouts.tunnel_idle;
                let idle = session.treatment.tunnel_idle.unwrap_or(usual);
                let place = session.enter(Relayed::Opaque);
                let open = &session.open;
                let _shown = open.relay(0, RelayKind::Opaque, &place.drain);
                let (totals, _) = relay::tunnel(client, origin, idle, &place.drain, &open.carried).await;
                add(&tunnelled, totals);
            }),
        }
    }
}

fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
