//! Inside a CONNECT: what it is, what is to happen to it, and TLS on both sides.

use super::connection::Connection;
use super::fetch::Fetch;
use super::next::{HttpTunnel, Next};
use super::reach::handshake_failure;
use crate::accept::{Prefixed, Socket};
use crate::classify::{Classified, Seen, classify};
use crate::decide::{Act, Bump, Unserved, Verdict};
use crate::error::Side;
use crate::handshake::client;
use crate::handshake::forge::{ForgeError, Mimic};
use crate::handshake::origin::{HelloOffer, OriginError, OriginTls};
use crate::handshake::{Completed, Fetcher, LeafKey, Outcome};
use crate::http::{self, Fallback, HttpError, ServeError, Served, ServedTunnel};
use crate::report::{Ending, Event};
use crate::tls::Transport;
use crate::wire::client_hello::ClientHello;
use crate::wire::names::{Authority, Host};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncReadExt;

/// Inside a CONNECT: find out what it is, decide, and do it.
pub(super) async fn tunnel(
    conn: &mut Connection,
    target: Authority,
    mut client: Prefixed<Socket>,
    mut origin: Prefixed<Socket>,
    listed: Option<Verdict>,
) -> Next {
    if let Some(verdict) = &listed {
        conn.decided(verdict);
    }
    let mut spoken = Vec::new();
    let Classified { seen, bytes } = match classify(
        &mut client,
        speaks(&mut origin, &mut spoken),
        conn.config.timeouts.peek,
    )
    .await
    {
        Ok(classified) => classified,
        Err(error) => return Next::ended(Ending::ClientIo, error),
    };
    let client = client.rewind(bytes);
    let origin = origin.rewind(spoken.into());
    if let Some(Verdict {
        act: Act::Splice(permission),
        ..
    }) = listed
    {
        // A spliced connection's SNI is all that is ever seen of it.
        if let Seen::Tls(hello) = seen {
            conn.record.sni = hello.server_name;
        }
        let sni = conn.record.sni.as_deref();
        if let Some(denied) = conn.config.policy.denied_sni(&target, sni) {
            conn.decided(&denied);
            return Next::end(Ending::Denied);
        }
        return Next::Splice {
            permission,
            client,
            origin,
        };
    }
    let unserved = match seen {
        Seen::Closed => return Next::end(Ending::Closed),
        Seen::Tls(hello) => {
            conn.record.sni.clone_from(&hello.server_name);
            let verdict = conn.config.policy.at_hello(&target, hello.server_name.as_deref());
            conn.decided(&verdict);
            return match verdict.act {
                Act::Bump(permission) => bump(conn, &permission, target, &hello, client, origin).await,
                Act::Splice(permission) => Next::Splice {
                    permission,
                    client,
                    origin,
                },
                Act::Deny => Next::end(Ending::Denied),
                Act::Tunnel(_) | Act::Serve | Act::Refuse => Next::end(Ending::Refused),
            };
        }
        Seen::Http => {
            conn.decided(&conn.config.policy.plain_http(&target));
            return Next::Http(Box::new(HttpTunnel {
                target,
                secure: false,
                client: Transport::plain(client),
                origin: Transport::plain(origin),
            }));
        }
        Seen::Unknown => Unserved::UnknownProtocol,
        Seen::BadClientHello(why) => {
            conn.record.detail = Some(why.to_owned());
            Unserved::BadClientHello
        }
        Seen::ServerFirst => Unserved::ServerSpeaksFirst,
        Seen::Silent => Unserved::Silent,
    };
    let verdict = conn.config.policy.at_unserved(unserved);
    conn.decided(&verdict);
    match verdict.act {
        Act::Tunnel(permission) => Next::Splice {
            permission: permission.into(),
            client,
            origin,
        },
        _ => Next::end(Ending::Refused),
    }
}

impl Connection {
    /// Whether an origin is offered HTTP/2 that has said nothing over it that cannot be taken; what says so later is
    /// remembered from here on.
    fn may_offer_http2(&mut self, name: &Host, port: u16, hello: &ClientHello) -> bool {
        let host = Authority {
            host: name.clone(),
            port,
        };
        let (memory, who) = (&self.proxy.http1_only, self.record.who());
        // Who has no other protocol is better off with what may break than without any.
        let has_http1 = hello.alpn.iter().any(|alpn| alpn == b"http/1.1");
        let may = !(has_http1 && memory.holds(&host, who.client, Instant::now()));
        self.fallback = Some(Fallback::new(Arc::clone(memory), host, who, has_http1));
        may
    }
}

/// Resolves when the origin has sent something; never if it closes instead. What a socket cannot show without giving it
/// away is put into `spoken`.
async fn speaks(origin: &mut Prefixed<Socket>, spoken: &mut Vec<u8>) {
    let has_spoken = match origin.get_ref() {
        Socket::Tcp(socket) => matches!(socket.peek(&mut [0; 1]).await, Ok(n) if n > 0),
        // A read that is cancelled has taken nothing.
        Socket::Inner(_) => matches!(origin.read_buf(spoken).await, Ok(n) if n > 0),
    };
    if !has_spoken {
        std::future::pending().await
    }
}

/// TLS on both sides: the origin's handshake first, so that the client is offered what the origin agreed to and
/// the leaf can mimic the origin's certificate.
async fn bump(
    conn: &mut Connection,
    permission: &Bump,
    target: Authority,
    hello: &ClientHello,
    client: Prefixed<Socket>,
    origin: Prefixed<Socket>,
) -> Next {
    let sni = hello.server_name.clone();
    let name = sni.clone().map_or_else(|| target.host.clone(), Host::Name);
    let deadline = conn.config.timeouts.handshake;
    let http2 = conn.config.policy.may_speak_http2(&target, sni.as_deref())
        && conn.may_offer_http2(&name, target.port, hello);
    // What the two ends agree on must be what this proxy can serve.
    let offers: Vec<Vec<u8>> = hello
        .alpn
        .iter()
        .filter(|alpn| match &alpn[..] {
            b"h2" => http2,
            alpn => alpn != b"h3",
        })
        .cloned()
        .collect();

    let begun = Instant::now();
    let trust = conn.config.policy.cert_error(&target, sni.as_deref());
    let fetch = Fetch::new(&conn.proxy, &conn.config);
    let wanted = HelloOffer {
        name: &name,
        alpn: &offers,
        post_quantum: hello.offers_post_quantum(),
        trust,
        deadline,
        fetcher: fetch.as_ref().map(|fetch| fetch as &dyn Fetcher),
    };
    let origin = conn.config.upstream.connect(permission, origin, wanted).await;
    let outcome = origin
        .as_ref()
        .map_or_else(|error| error.outcome, |tls| tls.outcome);
    conn.state(&Event::Handshake(Side::Origin, outcome, begun.elapsed()));
    let known = origin
        .as_ref()
        .map_or_else(|error| error.revocation, |tls| tls.revocation);
    known.inspect(|known| conn.state(&Event::RevocationChecked(*known)));

    let mut forge = &conn.config.forge;
    let (mimic, alpn) = match &origin {
        // Nobody vouches for what this certificate says: the leaf has the name that was asked for, and no other.
        Ok(tls) if tls.unverified.is_some() => {
            forge = conn.config.untrusted.as_ref().unwrap_or(forge);
            (Mimic::Name(name.clone()), tls.alpn.clone())
        }
        Ok(tls) => (Mimic::Certificate(tls.leaf.clone()), tls.alpn.clone()),
        // There will be an error page.
        Err(_) => (
            Mimic::Name(name.clone()),
            [b"http/1.1", &b"h2"[..]]
                .iter()
                .find_map(|known| offers.iter().find(|alpn| alpn == known).cloned()),
        ),
    };
    let key = if hello.takes_p256() {
        LeafKey::P256
    } else {
        LeafKey::Rsa2048
    };
    let given = match forge.leaf(&mimic, key).await {
        // A certificate that verifies and still cannot be read is mimicked by its name alone.
        Err(ForgeError::Unreadable(_)) => forge.leaf(&Mimic::Name(name), key).await,
        given => given,
    };
    let given = match given {
        Ok(given) => given,
        Err(error) => return Next::ended(Ending::from(&error), error),
    };
    conn.state(&Event::Leaf {
        key,
        minted: given.minted,
    });

    let begun = Instant::now();
    let client = match client::accept(permission, client, &given.leaf, alpn.as_deref(), deadline).await {
        Ok(tls) => tls,
        Err(error) => {
            conn.state(&Event::Handshake(Side::Client, error.outcome, begun.elapsed()));
            if error.outcome == Outcome::ClientRefusedCa {
                conn.refused_ca(error.alert);
            }
            return Next::ended(error.outcome, error.text);
        }
    };
    conn.state(&Event::Handshake(Side::Client, client.outcome, begun.elapsed()));
    conn.agreed(client.version, alpn.as_deref());
    let client = Transport::tls(client.stream);

    match origin {
        Ok(tls) => inside(conn, target, alpn, client, tls).await,
        Err(error) => explain_failure(conn, &target, alpn, client, error).await,
    }
}

/// What is inside TLS: HTTP by agreement or by its looks; anything else is for the policy to say.
async fn inside(
    conn: &mut Connection,
    target: Authority,
    alpn: Option<Vec<u8>>,
    mut client: Transport,
    tls: OriginTls,
) -> Next {
    if let Some(unverified) = tls.unverified {
        conn.record.detail = Some(format!("origin certificate not verified: {unverified}"));
    }
    conn.record.chain = tls.completed.map(Completed::label);
    let mut origin = Transport::tls(tls.stream);
    let seen = match alpn.as_deref() {
        Some(b"h2") => return serve_h2(conn, &target, client, origin).await,
        Some(b"http/1.1" | b"http/1.0") => Seen::Http,
        Some(_) => Seen::Unknown,
        None => {
            let mut spoken = Vec::new();
            let speaks = async {
                // A read that is cancelled has taken nothing.
                if !matches!(origin.read_buf(&mut spoken).await, Ok(n) if n > 0) {
                    std::future::pending::<()>().await;
                }
            };
            let classified = classify(&mut client, speaks, conn.config.timeouts.peek).await;
            origin = origin.rewind(spoken.into());
            match classified {
                Ok(Classified { seen, bytes }) => {
                    client = client.rewind(bytes);
                    seen
                }
                Err(error) => return conn.broke_after_handshake(&error).into(),
            }
        }
    };
    let unserved = match seen {
        Seen::Http => {
            return Next::Http(Box::new(HttpTunnel {
                target,
                secure: true,
                client,
                origin,
            }));
        }
        Seen::Closed => return Next::end(Ending::Closed),
        Seen::ServerFirst => Unserved::ServerSpeaksFirst,
        Seen::Silent => Unserved::Silent,
        Seen::Tls(_) | Seen::Unknown | Seen::BadClientHello(_) => Unserved::UnknownProtocol,
    };
    let verdict = conn.config.policy.at_unserved(unserved);
    conn.decided(&verdict);
    match &verdict.act {
        Act::Tunnel(_) => Next::Opaque { client, origin },
        _ => Next::end(Ending::Refused),
    }
}

/// The origin cannot be had: say why to whoever asks.
async fn explain_failure(
    conn: &mut Connection,
    target: &Authority,
    alpn: Option<Vec<u8>>,
    client: Transport,
    error: OriginError,
) -> Next {
    let problem = handshake_failure(&error);
    let context = conn.context();
    let sni = conn.record.sni.clone();
    let (sni, drain) = (sni.as_deref(), &conn.proxy.drain);
    let (_, requests) = if alpn.as_deref() == Some(b"h2") {
        http::refuse_h2(client, true, target, sni, &problem, &context, drain).await
    } else {
        http::refuse(client, true, target, sni, &problem, &context, drain).await
    };
    conn.record.requests += requests;
    Next::ended(problem.error, error.text)
}

/// HTTP/1.1 on both sides, until it ends or becomes something else.
pub(super) async fn serve_http(conn: &mut Connection, inner: Box<HttpTunnel>) -> Next {
    let HttpTunnel {
        target,
        secure,
        client,
        origin,
    } = *inner;
    let context = conn.context();
    let sni = conn.record.sni.clone();
    let tunnel = ServedTunnel {
        client,
        origin,
        secure,
        target: &target,
        sni: sni.as_deref(),
    };
    let (served, requests) = http::serve(tunnel, &context, &conn.proxy.drain).await;
    conn.record.requests += requests;
    match served {
        Served::Ended => Next::end(Ending::Ok),
        Served::Failed(error) => failed(conn, error),
        Served::Upgraded(upgraded) => Next::from(*upgraded),
    }
}

/// HTTP/2 on both sides, which is only ever agreed to inside TLS.
async fn serve_h2(conn: &mut Connection, target: &Authority, client: Transport, origin: Transport) -> Next {
    let context = conn.context();
    let sni = conn.record.sni.clone();
    let tunnel = ServedTunnel {
        client,
        origin,
        secure: true,
        target,
        sni: sni.as_deref(),
    };
    let onward = Arc::new(conn.session());
    let (served, requests) = http::serve_h2(tunnel, &context, &conn.proxy.drain, onward.clone()).await;
    conn.record.requests += requests;
    conn.record.tunnel = onward.tunnelled();
    match served {
        Served::Failed(error) => failed(conn, error),
        Served::Ended | Served::Upgraded(_) => Next::end(Ending::Ok),
    }
}

pub(super) fn failed(conn: &mut Connection, error: ServeError) -> Next {
    if let Some(alert) = error.refusal {
        conn.refused_ca(alert);
        return Next::ended(Outcome::ClientRefusedCa, error.text);
    }
    if error.error == HttpError::BadRequest && !error.is_told {
        conn.state(&Event::MalformedRequest);
    }
    Next::ended(error.error, error.text)
}
