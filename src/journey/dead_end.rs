//! Tunnels that lead nowhere: whoever asked for one is told why inside of it, where browsers show what they are told. They
//! show nothing of the answer to a CONNECT.

use super::client_tls::Shown;
use super::connection::{Connection, ConnectionEnd};
use super::next::Next;
use super::reach::Refusal;
use crate::accept::{Prefixed, Socket};
use crate::classify::{Classified, Seen, classify};
use crate::decide::{Bump, HelloFacts};
use crate::handshake::forge::Mimic;
use crate::http::{self, ErrorResponse, RefusedConnection, Served};
use crate::tls::Transport;
use crate::wire::client_hello::ClientHello;
use crate::wire::names::{Authority, Host};
use std::sync::Arc;

/// A tunnel has been granted that leads nowhere: what its client sends is answered with the reason, if it is a request.
pub(super) async fn dead_end(
    conn: &mut Connection,
    target: Authority,
    mut client: Prefixed<Socket>,
    refusal: Refusal,
) -> Next {
    let peek = conn.config.timeouts.peek;
    let Ok(Classified { seen, bytes }) = classify(&mut client, std::future::pending(), peek).await else {
        return Next::ended(refusal.ending, refusal.problem.text);
    };
    if let Seen::Tls(hello) = &seen {
        conn.record.sni.clone_from(&hello.server_name);
    }
    tell(conn, target, seen, client.rewind(bytes), refusal).await
}

/// Tells a client why its tunnel leads nowhere that has begun with what was `seen`.
pub(super) async fn tell(
    conn: &mut Connection,
    target: Authority,
    seen: Seen,
    client: Prefixed<Socket>,
    Refusal { ending, problem, .. }: Refusal,
) -> Next {
    let (is_secure, alpn, client) = match seen {
        Seen::Http => (false, None, Transport::plain(client)),
        Seen::Tls(hello) => {
            let Some(permission) = conn.permission(&target) else {
                return Next::ended(ending, problem.text);
            };
            match secure(conn, &permission, &target, &hello, client).await {
                Ok((alpn, client)) => (true, alpn, client),
                Err(end) => {
                    let why = end.detail().unwrap_or("TLS failed");
                    return Next::ended(ending, format!("{}; nobody read that: {why}", problem.text));
                }
            }
        }
        // Nothing that could be told would be understood.
        Seen::Closed | Seen::Unknown | Seen::BadClientHello(_) | Seen::ServerFirst | Seen::Silent => {
            return Next::ended(ending, problem.text);
        }
    };
    let ended = ConnectionEnd::new(ending, problem.text.as_str());
    explain(conn, &target, is_secure, alpn, client, &problem, ended).await
}

/// The protocol that is spoken with a client where no origin has a say in it.
pub(super) fn own_alpn(offers: &[Vec<u8>], may_speak_http2: bool) -> Option<Vec<u8>> {
    let known: &[&[u8]] = if may_speak_http2 {
        &[b"h2", b"http/1.1"]
    } else {
        &[b"http/1.1"]
    };
    let offered = |alpn: &&&[u8]| offers.iter().any(|offer| offer == **alpn);
    known.iter().find(offered).map(|alpn| alpn.to_vec())
}

/// TLS with the client alone, and what was agreed on.
async fn secure(
    conn: &mut Connection,
    permission: &Bump,
    target: &Authority,
    hello: &ClientHello,
    client: Prefixed<Socket>,
) -> Result<(Option<Vec<u8>>, Transport), ConnectionEnd> {
    let config = Arc::clone(&conn.config);
    let alpn = own_alpn(&hello.alpn, conn.treatment.may_speak_http2);
    let name = (hello.server_name.clone()).map_or_else(|| target.host.clone(), Host::Name);
    let shown = Shown {
        forge: &config.forge,
        mimic: Mimic::Name(name.clone()),
        name,
        alpn: alpn.as_deref(),
    };
    let client = conn.shake_hands(permission, hello, shown, client).await?;
    Ok((alpn, client))
}

/// Nothing inside can be had: say why to whoever asks.
pub(super) async fn explain(
    conn: &mut Connection,
    target: &Authority,
    is_secure: bool,
    alpn: Option<Vec<u8>>,
    client: Transport,
    problem: &ErrorResponse,
    ended: ConnectionEnd,
) -> Next {
    let context = conn.context();
    let name = conn.name().map(str::to_owned);
    let (sni, drain) = (name.as_deref(), &conn.proxy.drain);
    let RefusedConnection {
        served,
        requests,
        last,
    } = if alpn.as_deref() == Some(b"h2") {
        http::refuse_h2(client, is_secure, target, sni, problem, &context, drain).await
    } else {
        http::refuse(client, is_secure, target, sni, problem, &context, drain).await
    };
    conn.record.requests += requests;
    conn.record.request_id = last.or(conn.record.request_id);
    // Some clients refuse a certificate only once they read.
    if let Served::Failed(error) = served
        && let Some(alert) = error.refusal
    {
        conn.refused_ca(alert);
    }
    Next::Ended(ended)
}

impl Connection {
    /// The permission to decrypt what comes from a client whose tunnel leads nowhere.
    fn permission(&self, target: &Authority) -> Option<Bump> {
        let client = self.client_facts();
        let mut facts = client.tunnel(&self.config, target).beginning(None);
        // Whose name would keep it from being decrypted is believed: who lies is told nothing, and that is all.
        facts.hello = Some(HelloFacts {
            sni: self.record.sni.as_deref(),
            is_confirmed: true,
        });
        self.config.policy.at_dead_end(&facts)
    }
}
