//! The proxy's own HTTP: absolute-form requests (RFC 9112 section 3.2.2), each to the server that it names.

use super::body::Body;
use super::destination::Destination;
use super::exchange;
use super::h1::{self, Agreed, Outcome, Unsent};
use super::io::{Activity, reclaim};
use super::page::Problem;
use super::record::Record;
use super::serve::{Answer, HangUp, ServeError, Upgraded, connect, drive, join, put};
use super::{HttpError, Site};
use crate::accept::{Prefixed, Socket};
use crate::drain::Drain;
use crate::tls::Transport;
use crate::wire::names::Authority;
use http::header::{HOST, HeaderValue};
use http::uri::{Authority as UriAuthority, Scheme};
use http::{Method, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use std::net::IpAddr;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;

/// Reaches the servers that requests name.
pub trait Connector: Sync {
    /// A connection to `target` for absolute-form requests, if the policy allows one.
    fn connect(&self, target: &Authority) -> impl Future<Output = Result<TcpStream, Problem>> + Send;

    /// A connection to `target` for a tunnel, whose content is judged when it shows.
    fn dial(&self, target: &Authority) -> impl Future<Output = Result<TcpStream, Problem>> + Send;
}

/// How a proxy connection ended.
#[derive(Debug)]
pub enum Forwarded {
    /// Both ends were done.
    Ended,
    /// The connection is something else now.
    Upgraded(Box<Upgraded>),
    /// A CONNECT came after other requests, and has been answered 200.
    Connect {
        /// Where to.
        target: Authority,
        /// The client, with what it sent behind the CONNECT.
        client: Prefixed<Socket>,
        /// The origin.
        origin: TcpStream,
    },
    /// It broke.
    Failed(ServeError),
}

/// The origin of the last request; kept for the next one.
struct Kept {
    target: Authority,
    sender: SendRequest<Body>,
    requests: u64,
    /// Its address.
    origin: Option<IpAddr>,
    driver: AbortHandle,
}

impl Drop for Kept {
    fn drop(&mut self) {
        // An upgraded connection's driver has ended by itself by then.
        self.driver.abort();
    }
}

enum Turn {
    Upgrade(Box<Agreed>, Kept),
    Connect {
        target: Authority,
        client: OnUpgrade,
        origin: TcpStream,
    },
}

struct Forward<'a, C> {
    connector: &'a C,
    site: &'a Site,
    activity: &'a Activity,
    kept: Mutex<Option<Kept>>,
    turn: StdMutex<Option<Turn>>,
    requests: AtomicU64,
}

/// Serves a client that speaks HTTP with the proxy itself; also says how many requests there were.
pub async fn forward(
    client: Prefixed<Socket>,
    connector: &impl Connector,
    site: &Site,
    drain: &Drain,
) -> (Forwarded, u64) {
    let activity = Activity::default();
    let state = Forward {
        connector,
        site,
        activity: &activity,
        kept: Mutex::new(None),
        turn: StdMutex::new(None),
        requests: AtomicU64::new(0),
    };
    let service = service_fn(|request| state.answer(request));
    let none = None::<std::future::Pending<hyper::Result<()>>>;
    let ended = drive(Transport::plain(client), service, none, site, &activity, drain).await;
    let requests = state.requests.load(Ordering::Relaxed);
    let turn = state
        .turn
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let forwarded = match (ended, turn) {
        (Err(error), _) => Forwarded::Failed(error),
        (Ok(()), None) => Forwarded::Ended,
        (Ok(()), Some(Turn::Upgrade(agreed, _kept))) => match join(*agreed).await {
            Some(upgraded) => Forwarded::Upgraded(Box::new(upgraded)),
            None => Forwarded::Ended,
        },
        (
            Ok(()),
            Some(Turn::Connect {
                target,
                client,
                origin,
            }),
        ) => match reclaim(client).await {
            Some(leg) => {
                let parts = leg.into_parts();
                Forwarded::Connect {
                    target,
                    client: Prefixed::new(parts.early, parts.socket),
                    origin,
                }
            }
            None => Forwarded::Ended,
        },
    };
    (forwarded, requests)
}

impl<C: Connector> Forward<'_, C> {
    async fn answer(&self, mut request: Request<Incoming>) -> Answer {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if request.method() == Method::CONNECT {
            return Ok(self.turn_to_tunnel(request).await);
        }
        let target = match destination(&mut request) {
            Ok(target) => target,
            Err(problem) => return Ok(self.refuse(&request, &problem)),
        };
        let to = Destination {
            scheme: Scheme::HTTP,
            target: &target,
            sni: None,
            is_first: true,
            origin: None,
        };
        let url = to.url(request.uri());
        let (request, unsent) = match h1::prepare(self.site, &to, request, url, self.activity) {
            Ok(prepared) => prepared,
            Err(response) => return Ok(*response),
        };
        self.send(&target, request, unsent).await
    }

    async fn send(&self, target: &Authority, mut request: Request<Body>, mut unsent: Box<Unsent>) -> Answer {
        let html = exchange::wants_html(request.headers());
        let mut slot = self.kept.lock().await;
        // A connection that served before may be gone; a fresh one tells the truth.
        for _ in 0..2 {
            let mut kept = match slot
                .take()
                .filter(|kept| kept.target == *target && !kept.sender.is_closed())
            {
                Some(kept) => kept,
                None => match self.open(target).await {
                    Ok(kept) => kept,
                    Err(problem) => return Ok(unsent.give_up(&problem, html)),
                },
            };
            let is_first = kept.requests == 0;
            kept.requests += 1;
            let to = Destination {
                scheme: Scheme::HTTP,
                target,
                sni: None,
                is_first,
                origin: kept.origin,
            };
            match h1::send(self.site, &to, &mut kept.sender, request, unsent, self.activity).await {
                Outcome::Answer(response) => {
                    *slot = Some(kept);
                    return Ok(response);
                }
                Outcome::Switch(response, agreed) => {
                    put(&self.turn, Turn::Upgrade(agreed, kept));
                    return Ok(response);
                }
                Outcome::NotSent(again, with) if !is_first => (request, unsent) = (again, with),
                Outcome::NotSent(_, with) => {
                    with.hang_up();
                    return Err(HangUp);
                }
                Outcome::HangUp => return Err(HangUp),
            }
        }
        unsent.hang_up();
        Err(HangUp)
    }

    async fn open(&self, target: &Authority) -> Result<Kept, Problem> {
        let stream = self.connector.connect(target).await?;
        let origin = stream.peer_addr().ok().map(|address| address.ip());
        let leg = Transport::plain(Prefixed::new(bytes::Bytes::new(), stream));
        match connect(leg, self.site, self.activity).await {
            Ok((sender, connection)) => {
                let driver = tokio::spawn(async move {
                    let _ = connection.await;
                })
                .abort_handle();
                Ok(Kept {
                    target: target.clone(),
                    sender,
                    requests: 0,
                    origin,
                    driver,
                })
            }
            Err(error) => Err(Problem::new(HttpError::ConnectError, exchange::causes(&error))),
        }
    }

    async fn turn_to_tunnel(&self, mut request: Request<Incoming>) -> Response<Body> {
        let target = request
            .uri()
            .authority()
            .and_then(|a| Authority::parse(a.as_str(), None));
        let Some(target) = target else {
            let text = "CONNECT needs a target of the form host:port";
            return self.refuse(&request, &Problem::new(HttpError::BadRequest, text));
        };
        // Neither idle nor to be closed by a drain while it is being answered.
        let _open = self.activity.exchange();
        match self.connector.dial(&target).await {
            Ok(origin) => {
                self.activity.switch();
                let client = hyper::upgrade::on(&mut request);
                put(
                    &self.turn,
                    Turn::Connect {
                        target,
                        client,
                        origin,
                    },
                );
                Response::new(Body::empty())
            }
            Err(problem) => self.refuse(&request, &problem),
        }
    }

    fn refuse(&self, request: &Request<Incoming>, problem: &Problem) -> Response<Body> {
        let mut record = Record::begin(
            self.site,
            request.method().clone(),
            request.version(),
            bare(request.uri()),
            self.activity,
        );
        exchange::answer_with(&mut record, problem, exchange::wants_html(request.headers()))
    }
}

/// A URL as it may be logged: without its user, password and query.
fn bare(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", UriAuthority::as_str);
    let host = authority.rsplit('@').next().unwrap_or_default();
    match uri.scheme_str() {
        Some(scheme) => format!("{scheme}://{host}{}", uri.path()),
        None => format!("{host}{}", uri.path()),
    }
}

/// The server that an absolute-form request names; Host is made to agree (RFC 9112 section 3.2.2).
fn destination(request: &mut Request<Incoming>) -> Result<Authority, Problem> {
    let bad = |text: &str| Err(Problem::new(HttpError::BadRequest, text));
    let uri = request.uri();
    match uri.scheme_str() {
        Some(scheme) if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("ws") => {}
        Some("https" | "wss") => return bad("for https, ask the proxy for a tunnel with CONNECT"),
        Some(_) => return bad("only http:// can be proxied by absolute form"),
        None => {
            return bad("this is a proxy: it needs a request in absolute form, http://host/path, or CONNECT");
        }
    }
    let Some(authority) = uri.authority() else {
        return bad("a target without a host");
    };
    let Some(target) = Authority::parse(authority.as_str(), Some(80)) else {
        return bad("the target's host is not a host name or an address");
    };
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        request.headers_mut().insert(HOST, host);
    }
    Ok(target)
}
