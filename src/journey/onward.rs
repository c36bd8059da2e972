//! The long part of a connection: bytes or frames, until it ends.

use super::connection::{Connection, ConnectionEnd, Session, random_mask};
use super::proxy::Proxy;
use super::relays::Place;
use super::standing::{Known, Relayed};
use crate::accept::{ClientHold, Prefixed, Socket};
use crate::decide::{ActKind, Splice};
use crate::http::{UpgradeHandler, UpgradeKind, Upgraded, WebSocketInfo};
use crate::inspect::filter::Route;
use crate::inspect::{Facts, Recorded, RecordedContent};
use crate::live::RelayKind;
use crate::relay::{self, End, FrameTallies, Meter, WebSocket, WebSocketProgress, WebSocketTotals};
use crate::report::{Ending, Event, OpenWebSocket, ServiceMeter};
use crate::tls::Transport;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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
    info: Box<WebSocketInfo>,
    allowed_rsv: u8,
    held: ClientHold,
    client: Transport,
    origin: Transport,
) -> impl Future<Output = ConnectionEnd> + Send {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    session.who.client = info.client;
    let (since, id) = (Instant::now(), NEXT.fetch_add(1, Relaxed));
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
        let facts = Arc::new(Facts {
            connection: who.connection,
            client: who.client,
            user: who.user.clone(),
            target: info.target.clone(),
            aliases: info.aliases.clone(),
            scheme: if info.url.starts_with("wss:") { "wss" } else { "ws" },
            path: info.path.clone(),
            origin: info.origin.clone(),
            subprotocol: info.subprotocol.clone(),
            websocket: Some(id),
        });
        let route = Route {
            inspector: Arc::clone(&proxy.inspector),
            facts: Arc::clone(&facts),
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
        let service = ServiceMeter::opened(&proxy.report, &info.target);
        let mut open = Open {
            proxy,
            service: service.as_ref(),
            socket,
            facts,
            since,
            totals: WebSocketTotals::none(),
        };
        let place = session.enter(Relayed::WebSocket(info.path.as_str().into()));
        let drain = &place.drain;
        let kind = RelayKind::WebSocket {
            url: info.url.as_str().into(),
            subprotocol: info.subprotocol.as_deref().map(Into::into),
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
        relay::websocket(client, origin, settings, drain, meter, progress, &mut open.totals).await;
        match open.totals.end {
            End::Closed => ConnectionEnd::from(Ending::Ok),
            End::Violation(side, violation) => ConnectionEnd::new(
                open.totals.end,
                format!("the {side} broke RFC 6455: {}", violation.label()),
            ),
            end => ConnectionEnd::from(Ending::from(end)),
        }
    }
}

/// A WebSocket under way, whose end is stated however it comes.
struct Open<'a> {
    proxy: &'a Proxy,
    /// What is counted of it beside what is of all.
    service: Option<&'a ServiceMeter>,
    socket: OpenWebSocket<'a>,
    facts: Arc<Facts>,
    since: Instant,
    totals: WebSocketTotals,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let totals = &self.totals;
        let onlookers = Recorded::default().by(&self.proxy.inspector, &self.facts);
        if !onlookers.is_none() {
            let closed = RecordedContent::Closed {
                at: unix_time(),
                end: totals.end.label(),
                code: totals.first_close.as_ref().and_then(|close| close.code),
            };
            let witness = self.proxy.inspector.witness();
            witness.content(&self.facts, onlookers, &closed);
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

/// Streams of HTTP/2 are relayed beside those that stay HTTP, and end without their connection.
impl UpgradeHandler for Session {
    fn upgraded(&self, upgraded: Upgraded) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let session = self.clone();
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
                session.add_tunnel(totals);
            }),
        }
    }
}

fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
