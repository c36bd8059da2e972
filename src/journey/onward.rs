//! The long part of a connection: bytes or frames, until it ends.

use super::trip::{Ending, Trip, random_mask};
use crate::accept::Prefixed;
use crate::decide::Splice;
use crate::handshake::Transport;
use crate::http::WebSocketInfo;
use crate::inspect::Facts;
use crate::inspect::lane::Route;
use crate::relay::{self, End, WebSocket};
use crate::report::Event;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;

/// A connection that must not be decrypted.
pub(super) async fn splice(
    trip: &mut Trip,
    permission: Splice,
    client: Prefixed<TcpStream>,
    origin: TcpStream,
) -> Ending {
    let idle = trip.live.timeouts.tunnel_idle;
    let (totals, end) = relay::splice(&permission, client, origin, idle).await;
    trip.record.tunnel = Some(totals);
    Ending::from(end.label())
}

/// Bytes inside two legs.
pub(super) async fn opaque(trip: &mut Trip, client: Transport, origin: Transport) -> Ending {
    let idle = trip.live.timeouts.tunnel_idle;
    let (totals, end) = relay::tunnel(client, origin, idle).await;
    trip.record.tunnel = Some(totals);
    Ending::from(end.label())
}

/// Frames, until either end or the proxy ends it.
pub(super) async fn websocket(
    trip: &Trip,
    info: Box<WebSocketInfo>,
    allowed_rsv: u8,
    client: Transport,
    origin: Transport,
) -> Ending {
    let opened = Instant::now();
    trip.state(&Event::WebSocketOpened);
    let facts = Facts {
        connection: trip.record.connection,
        client: trip.record.client.ip(),
        user: None,
        target: info.target.clone(),
        scheme: if info.url.starts_with("wss:") { "wss" } else { "ws" },
        path: info.path.clone(),
        origin: info.origin.clone(),
        subprotocol: info.subprotocol.clone(),
    };
    let route = Route {
        inspector: Arc::clone(&trip.house.inspector),
        facts: Arc::new(facts),
        deflate: info.deflate,
        is_opaque: info.opaque_extensions,
        fresh_mask: random_mask,
        epoch: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
    };
    let settings = WebSocket {
        inspect: Some(route),
        allowed_rsv,
        idle: trip.live.timeouts.websocket_idle,
        mask: random_mask(),
    };
    let totals = relay::websocket(client, origin, settings, &trip.house.drain, &*trip.house.report).await;
    trip.state(&Event::WebSocketClosed {
        connection: trip.record.connection,
        info: &info,
        totals: &totals,
        open: opened.elapsed(),
    });
    match totals.end {
        End::Closed => Ending::from("ok"),
        End::Violation(side, violation) => Ending::new(
            totals.end.label(),
            format!("the {side} broke RFC 6455: {}", violation.label()),
        ),
        end => Ending::from(end.label()),
    }
}
