//! What follows once everything about a connection is known.

use super::connection::{Connection, ConnectionEnd};
use super::next::Next;
use super::onward;
use super::tunnel::serve_http;
use std::pin::Pin;

/// What comes once everything about a connection is known, up to its end. Not `async`: what is moved into such a future
/// would have its place in the caller's too, for as long as a relay lasts.
pub(super) fn go_on(
    conn: &mut Connection,
    next: Next,
) -> Pin<Box<dyn Future<Output = ConnectionEnd> + Send + '_>> {
    match next {
        Next::Ended(ended) => Box::pin(std::future::ready(ended)),
        next @ Next::Http(_) => Box::pin(async move {
            let (conn, next) = http_first(conn, next).await;
            go_on(conn, next).await
        }),
        Next::WebSocket {
            info,
            allowed_rsv,
            held,
            client,
            origin,
        } => Box::pin(onward::websocket(
            conn.session(),
            info,
            allowed_rsv,
            held,
            client,
            origin,
        )),
        Next::Opaque { client, origin } => Box::pin(onward::opaque(conn, client, origin)),
        Next::Splice {
            permission,
            client,
            origin,
        } => Box::pin(onward::splice(conn, permission, client, origin)),
    }
}

/// Serves HTTP, where that is what comes next, and gives what comes then. A connection waits for its next request most of
/// its life: what found out that it is HTTP took ten times the memory, and is gone. This is gone before a relay begins.
pub(super) fn http_first(
    conn: &mut Connection,
    next: Next,
) -> Pin<Box<dyn Future<Output = (&mut Connection, Next)> + Send + '_>> {
    match next {
        Next::Http(inner) => Box::pin(async move {
            let next = serve_http(conn, inner).await;
            (conn, next)
        }),
        next => Box::pin(std::future::ready((conn, next))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::next::HttpTunnel;
    use super::*;

    /// The size of what a function returns.
    fn size<A, B, R>(_: impl FnOnce(A, B) -> R) -> usize {
        size_of::<R>()
    }

    #[test]
    fn http_that_waits_is_small() {
        let size = size::<&'static mut Connection, Box<HttpTunnel>, _>(serve_http);
        assert!(size < 2560, "{size} bytes for each idle connection");
    }

    #[test]
    fn a_websocket_that_waits_is_small() {
        fn size<A, B, C, D, E, F, R>(_: impl FnOnce(A, B, C, D, E, F) -> R) -> usize {
            size_of::<R>()
        }
        let size = size(onward::websocket);
        assert!(size <= 1376, "{size} bytes for each WebSocket");
    }
}
