//! One's own origins: their clients know nothing of a proxy, and find TLS with a certificate of the operator's. What they ask for
//! is decided, inspected and logged as ever.

use super::connection::Connection;
use super::door::turn_away;
use super::next::Next;
use super::tunnel::tunnel;
use crate::accept::{Ask, AskKind, Prefixed, Socket};
use crate::classify::{Classified, Seen, classify};
use crate::http::{ErrorResponse, HttpError};
use crate::report::Ending;
use crate::wire::names::Authority;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

/// A fatal alert that there is no such name here (RFC 6066 section 3), in a record of its own.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// Serves a client of one's own origins.
pub(super) async fn reverse(conn: &mut Connection, mut client: Prefixed<Socket>) -> Next {
    let Some(port) = client.get_ref().local_addr().map(|address| address.port()) else {
        return Next::ended(Ending::ClientIo, "the socket has no address");
    };
    let (drain, deadline) = (conn.proxy.drain.clone(), conn.config.timeouts.handshake);
    let classified = tokio::select! {
        biased;
        // A client that has asked for nothing yet loses nothing.
        () = drain.begun() => return Next::end(Ending::Drained),
        classified = classify(&mut client, std::future::pending(), deadline) => classified,
    };
    let (seen, mut client) = match classified {
        Ok(Classified { seen, bytes }) => (seen, client.rewind(bytes)),
        Err(error) => return Next::ended(Ending::ClientIo, error),
    };
    let hello = match seen {
        Seen::Tls(hello) => hello,
        Seen::Closed => return Next::end(Ending::Closed),
        Seen::Http => {
            let text = "this port speaks TLS, and the client does not: use https:// in the URL";
            let problem = ErrorResponse::new(HttpError::BadRequest, text);
            return turn_away(conn, client.into_parts().1, HttpError::BadRequest, problem).await;
        }
        Seen::BadClientHello(why) => return Next::ended(Ending::ListenerTlsFailed, why),
        Seen::Silent => {
            let text = format!("the client did not begin TLS within {deadline:?}");
            return Next::ended(Ending::ListenerTlsFailed, text);
        }
        Seen::Unknown | Seen::ServerFirst => {
            return Next::ended(Ending::ListenerTlsFailed, "the client speaks no TLS");
        }
    };
    conn.record.sni.clone_from(&hello.server_name);
    let found = conn.options.sites.as_ref();
    let found = found.and_then(|sites| sites.find(hello.server_name.as_deref()));
    let Some((site, host)) = found.map(|(site, host)| (Arc::clone(site), host)) else {
        let _ = client.write_all(&UNRECOGNIZED_NAME).await;
        let _ = client.shutdown().await;
        let text = match &hello.server_name {
            Some(name) => format!("no site of this listener is called {name:?}"),
            None => "the client names no site (SNI), and none is there for such clients".to_owned(),
        };
        return Next::ended(Ending::ListenerTlsFailed, text);
    };
    conn.site = Some(site);
    let ask = Ask {
        client: conn.record.client,
        credentials: None,
        to: Authority { host, port },
        kind: AskKind::Tunnel,
    };
    match conn.open(&ask).await {
        Ok(way) => tunnel(conn, ask.to, client, way).await,
        Err(refusal) => Next::ended(refusal.ending, refusal.problem.text),
    }
}
