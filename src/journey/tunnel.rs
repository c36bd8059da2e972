//! Inside a CONNECT: what it is, what is to happen to it, and TLS on both sides.

use super::client_tls::Shown;
use super::connection::{Connection, ConnectionEnd};
use super::dead_end::{dead_end, explain, own_alpn, tell};
use super::fetch::Fetch;
use super::first_host::first_host;
use super::judging::{Begun, denial};
use super::next::{HttpTunnel, Next};
use super::onward::StreamSession;
use super::portal::to_portal;
use super::reach::{Refusal, Way, handshake_failure};
use crate::accept::{Prefixed, Socket};
use crate::classify::{Classified, Seen, classify};
use crate::decide::{Act, AtHello, Bump, Unserved, Verdict};
use crate::dial;
use crate::error::Side;
use crate::handshake::forge::Mimic;
use crate::handshake::origin::{HelloOffer, OriginError, OriginTls};
use crate::handshake::{Completed, Fetcher, HandshakeOutcome, issuer};
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
    way: Way,
) -> Next {
    let mut origin: Prefixed<Socket> = match way {
        Way::Origin(leg) => leg.socket,
        Way::DeadEnd(refusal) => return Box::pin(dead_end(conn, target, client, refusal)).await,
        Way::Portal => return Box::pin(to_portal(conn, target, client)).await,
    };
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
    let mut client = client.rewind(bytes);
    let origin = origin.rewind(spoken.into());
    match &seen {
        // A spliced connection's SNI is all that is ever seen of it.
        Seen::Tls(hello) => conn.record.sni.clone_from(&hello.server_name),
        // Of what nobody has asked for, Host is all that names it.
        Seen::Http if conn.names.is_some() => {
            let host;
            (host, client) = first_host(conn, client).await;
            conn.host = host.map(Into::into);
        }
        _ => {}
    }
    let mut begun = Begun {
        client: conn.client_facts(),
        is_confirmed: match &seen {
            // Until the origin's certificate has spoken.
            Seen::Tls(_) if conn.trusts_certificates() => true,
            _ => conn.is_at_its_name(&target).await,
        },
        sni: conn.name().map(str::to_owned),
        target,
        is_tunnel: true,
        certificate: None,
        rule: None,
        remaining: None,
        otherwise: None,
    };
    if let Seen::Tls(hello) = &seen
        && conn.trusts_certificates()
    {
        begun.is_confirmed = conn.may_go_by_its_name(&mut begun, hello).await;
    }
    let (said, treatment) = {
        let (facts, policy) = (begun.facts(&conn.config), &conn.config.policy);
        (policy.at_hello(&facts), policy.treatment(&facts))
    };
    let AtHello {
        verdict,
        remaining,
        otherwise,
    } = said;
    conn.treatment = treatment;
    match verdict.act {
        Act::Splice(_) | Act::Deny => {
            conn.decided(&verdict);
            let target = begun.target.clone();
            conn.shown = Some(Arc::new(begun));
            return match verdict.act {
                Act::Splice(_) if conn.site.as_ref().is_some_and(|site| !site.is_secure) => Next::ended(
                    Ending::Refused,
                    "the policy would have it spliced, and its origin speaks no TLS",
                ),
                Act::Splice(permission) => Next::Splice {
                    permission,
                    client,
                    origin,
                },
                // A request in the open that nobody had to ask for can be answered as it is.
                _ if conn.treatment.pages_for_connect
                    || conn.site.is_some()
                    || (conn.names.is_some() && seen == Seen::Http) =>
                {
                    drop(origin);
                    let problem = denial(&conn.named(&target), &verdict);
                    let refusal = Refusal::new(Ending::Denied, problem);
                    Box::pin(tell(conn, target, seen, client, refusal)).await
                }
                _ => Next::end(Ending::Denied),
            };
        }
        Act::Bump(_) | Act::Tunnel(_) | Act::Serve | Act::Refuse => {}
    }
    begun.rule.clone_from(&verdict.rule);
    begun.remaining = remaining;
    begun.otherwise = otherwise.map(Arc::new);
    let unserved = match seen {
        Seen::Closed => return Next::end(Ending::Closed),
        Seen::Tls(hello) => {
            conn.decided(&verdict);
            return match verdict.act {
                Act::Bump(permission) => bump(conn, &permission, begun, &hello, client, origin).await,
                _ => Next::end(Ending::Refused),
            };
        }
        Seen::Http => {
            let plain = conn.config.policy.plain_http();
            conn.decided(&plain.reached_as(verdict));
            let target = begun.target.clone();
            conn.shown = Some(Arc::new(begun));
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
    if let Some(denied) = &begun.otherwise {
        conn.decided(denied);
        return Next::end(Ending::Denied);
    }
    conn.shown = Some(Arc::new(begun));
    let verdict = conn.config.policy.at_unserved(unserved).reached_as(verdict);
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
    /// What was asked for, by the name in the ClientHello if there is one.
    fn named(&self, target: &Authority) -> Authority {
        Authority {
            host: self
                .name()
                .map_or_else(|| target.host.clone(), |name| Host::Name(name.to_owned())),
            port: target.port,
        }
    }

    /// The name in the ClientHello, or in Host where that is all that there is.
    pub(super) fn name(&self) -> Option<&str> {
        self.record.sni.as_deref().or(self.host.as_deref())
    }

    /// Whether the name in the ClientHello is as good as the address for now. Where the connection is decrypted, the origin's
    /// certificate has to be for this name, or nothing is had; where it is let be by the name alone, it has to be before.
    async fn may_go_by_its_name(&self, begun: &mut Begun, hello: &ClientHello) -> bool {
        let policy = &self.config.policy;
        let splices = |begun: &Begun| {
            let said = policy.at_hello(&begun.facts(&self.config));
            matches!(said.verdict.act, Act::Splice(_))
        };
        if !splices(begun) {
            return true;
        }
        begun.is_confirmed = false;
        // What is let be whatever it is called needs no name.
        if splices(begun) {
            return true;
        }
        let treatment = policy.treatment(&begun.facts(&self.config));
        let route = self.config.route(&treatment, false, Some(self.record.client));
        self.is_vouched_for(&begun.target, hello, &route).await
    }

    /// A denial, if the origin's certificate has not vouched for a name by which the connection was let pass.
    fn denied_without_its_name(
        &self,
        begun: &mut Begun,
        origin: &Result<OriginTls, OriginError>,
    ) -> Option<Verdict> {
        let is_unproven = matches!(origin, Ok(tls) if tls.unverified.is_some());
        if !(is_unproven && self.trusts_certificates()) {
            return None;
        }
        begun.is_confirmed = false;
        let said = self.config.policy.at_hello(&begun.facts(&self.config));
        match said.verdict.act {
            Act::Deny => Some(said.verdict),
            _ => None,
        }
    }

    /// Whether what was asked for is an address of the name in the ClientHello, so that the name is as good as the address.
    async fn is_at_its_name(&self, target: &Authority) -> bool {
        let (Host::Ip(ip), Some(sni)) = (&target.host, self.name()) else {
            return false;
        };
        if !self.config.policy.needs_names() {
            return false;
        }
        let named = Authority {
            host: Host::Name(sni.to_ascii_lowercase()),
            port: target.port,
        };
        let network = self.config.network(&self.proxy.own, self.config.deadlines());
        dial::is_at(&named, *ip, &network, &self.proxy.report).await
    }

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
        let fallback = Fallback::new(Arc::clone(memory), host, who, has_http1);
        self.fallback = Some(Box::new(fallback));
        may
    }
}

/// Resolves when the origin has sent something; never if it closes instead. What a socket cannot show without giving it
/// away is put into `spoken`.
async fn speaks(origin: &mut Prefixed<Socket>, spoken: &mut Vec<u8>) {
    let has_spoken = match origin.get_ref() {
        // What came behind a parent's answer is the origin's.
        _ if origin.is_replaying() => true,
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
    mut begun: Begun,
    hello: &ClientHello,
    client: Prefixed<Socket>,
    origin: Prefixed<Socket>,
) -> Next {
    let sni = hello.server_name.clone();
    let target = begun.target.clone();
    let name = sni.map_or_else(|| target.host.clone(), Host::Name);
    let deadline = conn.config.timeouts.handshake;
    let http2 = conn.treatment.may_speak_http2 && conn.may_offer_http2(&name, target.port, hello);
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

    if conn.site.as_ref().is_some_and(|site| !site.is_secure) {
        conn.shown = Some(Arc::new(begun));
        return in_the_open(conn, permission, hello, (target, name), client, origin).await;
    }
    let since = Instant::now();
    let fetch = Fetch::new(&conn.proxy, &conn.config);
    let wanted = HelloOffer {
        name: &name,
        alpn: &offers,
        post_quantum: hello.offers_post_quantum(),
        trust: conn.treatment.cert_error,
        certificate: conn.config.client_certificate(&conn.treatment),
        deadline,
        fetcher: fetch.as_ref().map(|fetch| fetch as &dyn Fetcher),
    };
    let origin = conn.config.upstream.connect(permission, origin, wanted).await;
    let outcome = origin
        .as_ref()
        .map_or_else(|error| error.outcome, |tls| tls.outcome);
    conn.state(&Event::Handshake(Side::Origin, outcome, since.elapsed()));
    let known = origin
        .as_ref()
        .map_or_else(|error| error.revocation, |tls| tls.revocation);
    known.inspect(|known| conn.state(&Event::RevocationChecked(*known)));
    let denied = by_certificate(conn, &mut begun, &origin);
    let denied = denied.or_else(|| conn.denied_without_its_name(&mut begun, &origin));
    conn.shown = Some(Arc::new(begun));

    let config = Arc::clone(&conn.config);
    let mut forge = &config.forge;
    let (mimic, alpn) = match &origin {
        // Nobody vouches for what this certificate says: the leaf has the name that was asked for, and no other.
        Ok(tls) if tls.unverified.is_some() => {
            forge = config.untrusted.as_ref().unwrap_or(forge);
            (Mimic::Name(name.clone()), tls.alpn.clone())
        }
        Ok(tls) => (Mimic::Certificate(tls.leaf.clone()), tls.alpn.clone()),
        // There will be an error page.
        Err(_) => (Mimic::Name(name.clone()), own_alpn(&offers, http2)),
    };
    let shown = Shown {
        forge,
        mimic,
        name,
        alpn: alpn.as_deref(),
    };
    let client = match conn.shake_hands(permission, hello, shown, client).await {
        Ok(client) => client,
        Err(ended) => return ended.into(),
    };

    if let Some(denied) = denied {
        conn.decided(&denied);
        let problem = denial(&target, &denied);
        return explain(conn, &target, true, alpn, client, &problem, Ending::Denied.into()).await;
    }
    match origin {
        Ok(tls) => inside(conn, target, alpn, client, tls).await,
        Err(error) => {
            let problem = handshake_failure(&error);
            let ended = ConnectionEnd::new(problem.error, error.text);
            explain(conn, &target, true, alpn, client, &problem, ended).await
        }
    }
}

/// One's own origin that speaks no TLS: only its client does.
async fn in_the_open(
    conn: &mut Connection,
    permission: &Bump,
    hello: &ClientHello,
    (target, name): (Authority, Host),
    client: Prefixed<Socket>,
    origin: Prefixed<Socket>,
) -> Next {
    let config = Arc::clone(&conn.config);
    let alpn = own_alpn(&hello.alpn, false);
    let shown = Shown {
        forge: &config.forge,
        mimic: Mimic::Name(name.clone()),
        name,
        alpn: alpn.as_deref(),
    };
    match conn.shake_hands(permission, hello, shown, client).await {
        Ok(client) => Next::Http(Box::new(HttpTunnel {
            target,
            secure: true,
            client,
            origin: Transport::plain(origin),
        })),
        Err(ended) => ended.into(),
    }
}

/// A denial, if a rule denies what the origin's certificate shows.
fn by_certificate(
    conn: &Connection,
    begun: &mut Begun,
    origin: &Result<OriginTls, OriginError>,
) -> Option<Verdict> {
    let policy = &conn.config.policy;
    if !policy.needs_certificate() {
        return None;
    }
    let (is_valid, certificate) = match origin {
        Ok(tls) => (tls.unverified.is_none(), Some(&tls.leaf)),
        Err(error) if error.outcome == HandshakeOutcome::CertificateInvalid => {
            (false, error.certificate.as_ref())
        }
        Err(_) => return None,
    };
    begun.certificate = Some((is_valid, certificate.and_then(issuer)));
    policy.at_origin(&begun.facts(&conn.config), begun.remaining.as_ref())
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
    if alpn.as_deref() != Some(b"h2") {
        // There is no way back to where it is.
        conn.fallback = None;
    }
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
    if let Some(denied) = conn.shown.as_ref().and_then(|shown| shown.otherwise.clone()) {
        conn.decided(&denied);
        return Next::end(Ending::Denied);
    }
    let verdict = conn.config.policy.at_unserved(unserved);
    conn.decided(&verdict);
    match &verdict.act {
        Act::Tunnel(_) => Next::Opaque { client, origin },
        _ => Next::end(Ending::Refused),
    }
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
    let name = conn.name().map(str::to_owned);
    let tunnel = ServedTunnel {
        client,
        origin,
        secure,
        target: &target,
        sni: name.as_deref(),
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
    let onward = Arc::new(StreamSession::new(conn.session()));
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
        return Next::ended(HandshakeOutcome::ClientRefusedCa, error.text);
    }
    if error.error == HttpError::BadRequest && !error.is_told {
        conn.state(&Event::MalformedRequest);
    }
    Next::ended(error.error, error.text)
}
