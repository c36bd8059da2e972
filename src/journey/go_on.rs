//! What follows once everything about a connection is known.

use super::next::Next;
use super::onward;
use super::trip::{Connection, Ended};
use std::pin::Pin;

/// What comes once everything about a connection is known, up to its end. Not `async`: what is moved into such a future
/// would have its place in the caller's too, for as long as a relay lasts.
pub(super) fn go_on(trip: &mut Connection, next: Next) -> Pin<Box<dyn Future<Output = Ended> + Send + '_>> {
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
