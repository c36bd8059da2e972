//! Tunnels to the proxy's own portal.

use super::client_tls::Shown;
use super::connection::Connection;
use super::dead_end::own_alpn;
use super::next::{HttpTunnel, Next};
use crate::accept::{Prefixed, Socket};
use crate::classify::{Classified, Seen, classify};
use crate::decide::Act;
use crate::handshake::forge::Mimic;
use crate::portal;
use crate::report::Ending;
use crate::tls::Transport;
use crate::wire::names::{Authority, Host};
use std::sync::Arc;

/// What is inside of a tunnel to the portal: HTTP, in TLS or without it.
pub(super) async fn to_portal(
    conn: &mut Connection,
    target: Authority,
    mut client: Prefixed<Socket>,
) -> Next {
    let config = Arc::clone(&conn.config);
    let peek = config.timeouts.peek;
    let Classified { seen, bytes } = match classify(&mut client, std::future::pending(), peek).await {
        Ok(classified) => classified,
        Err(error) => return Next::ended(Ending::ClientIo, error),
    };
    let client = client.rewind(bytes);
    conn.treatment = config.policy.portal_treatment();
    let (secure, client) = match seen {
        Seen::Http => {
            conn.decided(&config.policy.plain_http());
            (false, Transport::plain(client))
        }
        Seen::Tls(hello) => {
            conn.record.sni.clone_from(&hello.server_name);
            let verdict = config.policy.at_portal();
            conn.decided(&verdict);
            let Act::Bump(permission) = &verdict.act else {
                return Next::end(Ending::Refused);
            };
            let name = (hello.server_name.clone()).map_or_else(|| target.host.clone(), Host::Name);
            let alpn = own_alpn(&hello.alpn, false);
            let shown = Shown {
                forge: &config.forge,
                mimic: Mimic::Name(name.clone()),
                name,
                alpn: alpn.as_deref(),
            };
            match conn.shake_hands(permission, &hello, shown, client).await {
                Ok(client) => (true, client),
                Err(ended) => return ended.into(),
            }
        }
        Seen::Closed => return Next::end(Ending::Closed),
        Seen::Unknown | Seen::BadClientHello(_) | Seen::ServerFirst | Seen::Silent => {
            return Next::end(Ending::Refused);
        }
    };
    let origin = Socket::inner(portal::connect(&config.portal));
    Next::Http(Box::new(HttpTunnel {
        target,
        secure,
        client,
        origin: Transport::plain(origin.into()),
    }))
}
