//! HTTP/1.1 with the proxy itself: tunnels are asked for by CONNECT, servers by the absolute form (RFC 9112 section 3.2),
//! each request by itself.

use crate::accept::{Ask, AskKind, Credentials, Prefixed, Socket};
use crate::drain::Drain;
use crate::error::Side;
use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::exchange::absolute::AbsoluteForm;
use crate::http::exchange::check::Wanted;
use crate::http::exchange::destination::{Destination, scheme};
use crate::http::exchange::record::ExchangeRecord;
use crate::http::exchange::served::{Served, Upgraded};
use crate::http::h1::after::After;
use crate::http::h1::client::{Client, Reply, Waited, closed, over};
use crate::http::h1::conn::Conn;
use crate::http::h1::exchange::carry;
use crate::http::h1::prepared::{Leading, Prepared, prepare, reply_to};
use crate::http::h1::target::{Form, Target};
use crate::http::h1::unwanted::Unwanted;
use crate::http::pages::{Audience, ErrorResponse};
use crate::http::request_id::RequestId;
use crate::identity::Identity;
use crate::tls::{Eof, Transport};
use crate::wire::headers::Headers;
use crate::wire::http1::{Fields, Malformed, RequestHead, parse_request, request_framing};
use crate::wire::names::Authority;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Version};
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;

/// What reaches the servers that requests name.
pub trait Origins: Sync {
    /// Finds out who makes a request, before anything else is done about it.
    fn identify(&self, ask: &Ask) -> impl Future<Output = Result<(), ErrorResponse>> + Send;
    /// Where a request goes that names no server, if it is for something of the proxy's own.
    fn home(&self, path: &str) -> Option<Authority>;
    /// A connection for a request that may go on. One that becomes something else gets one of its own to the server.
    fn reach(
        &self,
        ask: &Ask,
        is_upgrade: bool,
    ) -> impl Future<Output = Result<Reached, ErrorResponse>> + Send;
}

/// A connection to a server.
#[derive(Debug)]
pub struct Reached {
    /// Plain or TLS, as the request wants it.
    pub leg: Transport,
    /// Its address.
    pub address: Option<IpAddr>,
    /// It leads to a parent, which is told the server with each request.
    pub absolute: Option<AbsoluteForm>,
}

/// What a client at the door comes to.
#[derive(Debug)]
pub enum DoorStep {
    /// It asks for a tunnel, and waits for an answer.
    Tunnel(Ask),
    /// It is served, or broke.
    Over(Served),
    /// It has asked for nothing.
    Unasked(Unasked),
}

/// Why a client's connection ends before it has asked for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unasked {
    /// The client closed it.
    Closed,
    /// The proxy is draining.
    Drained,
    /// The client was silent for too long.
    Late,
}

/// A client that speaks HTTP/1.1 with the proxy itself.
pub struct Door<'a> {
    client: Client<'a>,
    address: SocketAddr,
    kept: Option<KeptOrigin>,
    /// A CONNECT that waits for its answer: where to, and how it can be answered.
    asked: Option<(String, Version, Reply, Fields)>,
}

/// The connection that served the last request; kept for the next one.
struct KeptOrigin {
    target: Authority,
    /// Whose requests it has served: how it was dialled, by what certificate, and what was told there, goes by that.
    client: IpAddr,
    user: Option<Arc<Identity>>,
    is_secure: bool,
    conn: Conn,
    address: Option<IpAddr>,
    absolute: Option<AbsoluteForm>,
    requests: u64,
}

impl<'a> Door<'a> {
    /// A client that has just come.
    pub fn new(
        client: Prefixed<Socket>,
        address: SocketAddr,
        context: &'a ExchangeContext,
        drain: &'a Drain,
    ) -> Self {
        Self {
            client: Client::new(Conn::new(Transport::plain(client)), context, drain),
            address,
            kept: None,
            asked: None,
        }
    }

    /// All requests there have been that were not for tunnels.
    pub fn requests(&self) -> u64 {
        self.client.requests
    }

    /// Serves the client until it asks for a tunnel, or is done.
    pub async fn next(&mut self, origins: &impl Origins) -> DoorStep {
        loop {
            let is_first = self.client.requests == 0;
            let quiet = if is_first {
                self.client.context.request_head
            } else {
                self.client.context.idle
            };
            let head = match self.client.next(quiet, None, &mut None).await {
                Waited::Request(head) => *head,
                Waited::Ended if is_first => return self.unasked(Unasked::Closed).await,
                Waited::Drained if is_first => return self.unasked(Unasked::Drained).await,
                Waited::Idle if is_first => return self.unasked(Unasked::Late).await,
                other => return DoorStep::Over(over(&mut self.client, "", other).await),
            };
            self.client.context.hear(&head.fields);
            if head.method == Method::CONNECT {
                match self.tunnel(head).await {
                    Some(ask) => return DoorStep::Tunnel(ask),
                    None => return DoorStep::Over(closed(&mut self.client).await),
                }
            }
            match Box::pin(self.request(head, origins)).await {
                None => {}
                Some(served) => return DoorStep::Over(served),
            }
        }
    }

    /// The client is gone, or has to go, before it has asked for anything.
    async fn unasked(&mut self, why: Unasked) -> DoorStep {
        if why == Unasked::Late {
            let problem = ErrorResponse::late_request(self.client.context.request_head);
            let pages = &self.client.context.pages;
            let response = problem.response(pages, Audience::PROGRAM, "", RequestId::new());
            self.client.say(&response, Reply::last()).await;
        }
        self.client.close().await;
        DoorStep::Unasked(why)
    }

    /// A CONNECT (RFC 9110 section 9.3.6); `None` if it was refused for what it looks like.
    async fn tunnel(&mut self, mut head: RequestHead) -> Option<Ask> {
        // It is counted with the tunnel.
        self.client.requests -= 1;
        let reply = Reply {
            audience: Audience::PROGRAM,
            ..reply_to(&head, &self.client)
        };
        let target = String::from_utf8_lossy(head.target()).into_owned();
        let to = match connect_target(&mut head) {
            Ok(to) => to,
            Err(problem) => {
                let context = self.client.context;
                let mut record = ExchangeRecord::begin(context, head.method.clone(), head.version, target)
                    .noting(context, &head.fields);
                let reply = Reply {
                    keeps: false,
                    ..reply
                };
                self.client.answer(&mut record, &problem, reply).await;
                return None;
            }
        };
        let ask = Ask {
            client: self.address,
            credentials: credentials(&head),
            to,
            kind: AskKind::Tunnel,
        };
        self.asked = Some((target, head.version, reply, head.fields));
        Some(ask)
    }

    /// Grants the tunnel that was asked for: the client, with what it has sent behind its CONNECT. `proof` is the end of a
    /// negotiation, in which the proxy shows the client who it is (RFC 4559 section 6).
    ///
    /// # Errors
    /// The client has gone.
    pub async fn grant(mut self, proof: Option<&HeaderValue>) -> std::io::Result<Prefixed<Socket>> {
        let conn = &mut self.client.conn;
        conn.queue(b"HTTP/1.1 200 Connection established\r\n");
        if let Some(proof) = proof {
            conn.queue(b"Proxy-Authenticate: ");
            conn.queue(proof.as_bytes());
            conn.queue(b"\r\n");
        }
        conn.queue(b"\r\n");
        self.client.flush().await?;
        let parts = self.client.conn.into_parts();
        Ok(Prefixed::new(parts.early, parts.socket))
    }

    /// Refuses the tunnel that was asked for; says whether the client may ask again on this connection, and what its request
    /// is called.
    pub async fn refuse(&mut self, problem: &ErrorResponse) -> (bool, Option<RequestId>) {
        let Some((target, version, reply, fields)) = self.asked.take() else {
            return (false, None);
        };
        self.client.requests += 1;
        let context = self.client.context;
        let mut record =
            ExchangeRecord::begin(context, Method::CONNECT, version, target).noting(context, &fields);
        let id = record.id();
        let keeps = self.client.answer(&mut record, problem, reply).await;
        if !keeps {
            self.client.close().await;
        }
        (keeps, Some(id))
    }

    /// A request that names its server; what is left when it is over, if the connection is.
    async fn request(&mut self, head: RequestHead, origins: &impl Origins) -> Option<Served> {
        let head = at_home(head, origins);
        let bare = bare(head.target());
        let named = match named(&head) {
            Ok(named) => named,
            Err(problem) => return self.turn_away(head, &bare, &problem).await,
        };
        let ask = Ask {
            client: self.address,
            credentials: credentials(&head),
            to: named.target,
            kind: AskKind::Request {
                is_secure: named.is_secure,
            },
        };
        let to = Destination::new(scheme(named.is_secure), &ask.to, None);
        if let Err(problem) = origins.identify(&ask).await {
            let url = to.url(&Target::parse(head.target(), &head.method).text());
            return self.turn_away(head, &url, &problem).await;
        }
        let prepared = match prepare(&mut self.client, &to, head).await {
            Ok(prepared) => prepared,
            Err(true) => return None,
            Err(false) => return Some(closed(&mut self.client).await),
        };
        let is_reused = self.kept.as_mut().is_some_and(|kept| {
            kept.target == ask.to
                && kept.client == self.client.context.client()
                && kept.user == self.client.context.requester.user()
                && kept.is_secure == named.is_secure
                && (kept.absolute.is_none() || matches!(prepared.wanted, Wanted::Nothing))
        });
        let mut reusable = None;
        if is_reused && let Some(mut kept) = self.kept.take() {
            // One that has said anything meanwhile, or has ended, serves nothing more.
            let is_alive = poll_fn(|cx| Poll::Ready(kept.conn.poll_fill(cx).is_pending())).await;
            reusable = is_alive.then_some(kept);
        }
        self.carry(&ask, &to, prepared, reusable, origins).await
    }

    /// Answers a request that goes no further; what is left when that ends the connection.
    async fn turn_away(
        &mut self,
        mut head: RequestHead,
        url: &str,
        problem: &ErrorResponse,
    ) -> Option<Served> {
        let reply = reply_to(&head, &self.client);
        let context = self.client.context;
        let mut record = ExchangeRecord::begin(context, head.method.clone(), head.version, url.to_owned())
            .noting(context, &head.fields);
        let keeps = match request_framing(&mut head) {
            Ok(framing) => {
                let content = Unwanted::new(framing, head.version, &head.fields);
                self.client.refuse(&mut record, problem, reply, content).await
            }
            Err(why) => {
                let problem = ErrorResponse::malformed(why);
                self.client.answer(&mut record, &problem, reply).await
            }
        };
        match keeps {
            true => None,
            false => Some(closed(&mut self.client).await),
        }
    }

    async fn carry(
        &mut self,
        ask: &Ask,
        to: &Destination<'_>,
        mut prepared: Box<Prepared>,
        mut reusable: Option<KeptOrigin>,
        origins: &impl Origins,
    ) -> Option<Served> {
        loop {
            let mut kept = match reusable.take() {
                Some(kept) => kept,
                None => {
                    if let Some(mut old) = self.kept.take() {
                        old.conn.leave();
                    }
                    let is_upgrade = !matches!(prepared.wanted, Wanted::Nothing);
                    match origins.reach(ask, is_upgrade).await {
                        Ok(Reached {
                            leg,
                            address,
                            absolute,
                        }) => KeptOrigin {
                            target: ask.to.clone(),
                            client: self.client.context.client(),
                            user: self.client.context.requester.user(),
                            is_secure: matches!(ask.kind, AskKind::Request { is_secure: true }),
                            conn: Conn::new(leg),
                            address,
                            absolute,
                            requests: 0,
                        },
                        Err(problem) => {
                            return match prepared.refuse(&mut self.client, &problem).await {
                                true => None,
                                false => Some(closed(&mut self.client).await),
                            };
                        }
                    }
                }
            };
            kept.requests += 1;
            let leading = Leading {
                is_used: kept.requests > 1,
                is_tied: false,
                may_repeat: kept.requests > 1,
                absolute: kept.absolute.as_ref(),
            };
            let to = Destination::new(to.scheme.clone(), to.target, None).at(kept.address);
            match carry(&mut self.client, &mut kept.conn, &to, leading, prepared).await {
                After::Keep => {
                    self.kept = Some(kept);
                    return None;
                }
                After::KeepClient => {
                    kept.conn.leave();
                    return None;
                }
                After::Again(again) => prepared = again,
                After::Close => {
                    self.client.forgo("");
                    kept.conn.leave();
                    return Some(closed(&mut self.client).await);
                }
                After::Cut(error) => {
                    self.client.forgo("");
                    self.client.conn.close(Eof::Truncated).await;
                    return Some(Served::Failed(error));
                }
                After::Failed(error) => {
                    if error.error == HttpError::Aborted(Side::Origin) {
                        self.client.close().await;
                    }
                    return Some(Served::Failed(error));
                }
                After::Upgraded(kind) => {
                    let client = std::mem::replace(&mut self.client.conn, Conn::none());
                    return Some(Served::Upgraded(Box::new(Upgraded {
                        kind,
                        client: client.into_transport(),
                        origin: kept.conn.into_transport(),
                    })));
                }
            }
        }
    }
}

/// A server by its name, and whether TLS is spoken with it.
struct Named {
    target: Authority,
    is_secure: bool,
}

/// A request for something of the proxy's own, in the form that others have; what is none stays as it is.
fn at_home(head: RequestHead, origins: &impl Origins) -> RequestHead {
    let target = Target::parse(head.target(), &head.method);
    let home = (target.form == Form::Origin)
        .then(|| origins.home(&target.text()))
        .flatten();
    let Some(home) = home else {
        return head;
    };
    let mut written = Vec::new();
    let whole = [b"http://", home.host.to_string().as_bytes(), head.target()].concat();
    head.write(&whole, &mut written);
    match parse_request(&written) {
        Ok(mut whole) => {
            whole.version = head.version;
            whole
        }
        Err(_) => head,
    }
}

/// The server that an absolute-form request names.
fn named(head: &RequestHead) -> Result<Named, ErrorResponse> {
    let bad = |text: &str| Err(ErrorResponse::new(HttpError::BadRequest, text));
    let target = Target::parse(head.target(), &head.method);
    let Form::Absolute { scheme, authority } = target.form else {
        return bad("this is a proxy: it needs a request in absolute form, http://host/path, or CONNECT");
    };
    let is = |known: &str| scheme.eq_ignore_ascii_case(known);
    let is_secure = is("https") || is("wss");
    if !is_secure && !is("http") && !is("ws") {
        return bad("only http:// and https:// can be proxied by absolute form");
    }
    let target = Authority::parse(authority, Some(if is_secure { 443 } else { 80 }));
    match target {
        Some(target) => Ok(Named { target, is_secure }),
        None => bad("the target's host is not a host name or an address"),
    }
}

/// Where a CONNECT wants to go.
fn connect_target(head: &mut RequestHead) -> Result<Authority, ErrorResponse> {
    let framing = request_framing(head).map_err(ErrorResponse::malformed)?;
    if framing.has_content() {
        // RFC 9112 section 6.3 gives CONNECT no content; what follows would be ambiguous.
        return Err(ErrorResponse::new(
            HttpError::BadRequest,
            "a CONNECT with content",
        ));
    }
    let mut hosts = head.fields.all(&HOST);
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            let host = std::str::from_utf8(host).unwrap_or("?");
            if !host.is_empty() && Authority::parse(host, Some(443)).is_none() {
                return Err(ErrorResponse::malformed(Malformed::HostValue));
            }
        }
        (None, _) if head.version < Version::HTTP_11 => {}
        (None, _) => return Err(ErrorResponse::malformed(Malformed::NoHost)),
        (Some(_), Some(_)) => return Err(ErrorResponse::malformed(Malformed::RepeatedHost)),
    }
    drop(hosts);
    std::str::from_utf8(head.target())
        .ok()
        .and_then(|target| Authority::parse(target, None))
        .ok_or_else(|| {
            ErrorResponse::new(
                HttpError::BadRequest,
                "CONNECT needs a target of the form host:port",
            )
        })
}

fn credentials(head: &RequestHead) -> Option<Credentials> {
    Credentials::of_lines(head.fields.all(&PROXY_AUTHORIZATION))
}

/// A target as it may be logged: without its user, password and query.
fn bare(target: &[u8]) -> String {
    let text = String::from_utf8_lossy(target);
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => text.rsplit('@').next().unwrap_or_default().to_owned(),
    }
}
