//! HTTP/1.1 on a pair of legs: one origin connection for one client connection, which keeps identity, limits
//! and closing simple; an upgrade hands both legs back.

use super::body::Body;
use super::destination::{self, Destination};
use super::exchange::{self, causes};
use super::h1::{self, Agreed, Outcome};
use super::io::{Activity, Watched, reclaim};
use super::page::Problem;
use super::record::Record;
use super::{HttpError, Site, WebSocketInfo};
use crate::drain::Drain;
use crate::error::Side;
use crate::handshake::client;
use crate::tls::Transport;
use crate::wire::names::Authority;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use std::pin::pin;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// How serving a connection ended.
#[derive(Debug)]
pub enum Served {
    /// Both ends were done.
    Ended,
    /// The connection is something else now.
    Upgraded(Box<Upgraded>),
    /// It broke.
    Failed(ServeError),
}

/// Two legs after an upgrade.
#[derive(Debug)]
pub struct Upgraded {
    /// To what.
    pub kind: UpgradeKind,
    /// The client's leg.
    pub client: Transport,
    /// The origin's leg.
    pub origin: Transport,
}

/// What a connection was upgraded to.
#[derive(Debug)]
pub enum UpgradeKind {
    /// RFC 6455.
    WebSocket {
        /// The handshake's facts.
        info: WebSocketInfo,
        /// The RSV bits of the agreed extensions.
        allowed_rsv: u8,
    },
    /// Some other protocol, by its token.
    Other(String),
}

/// Why a connection broke.
#[derive(Debug)]
pub struct ServeError {
    /// The kind.
    pub error: HttpError,
    /// The alert, if the client refused the forged certificate after the handshake.
    pub refusal: Option<&'static str>,
    /// In words.
    pub text: String,
}

/// Two legs that speak HTTP, and whose they are.
#[derive(Debug)]
pub struct Tunnel<'a> {
    /// The client's leg.
    pub client: Transport,
    /// The origin's leg.
    pub origin: Transport,
    /// Whether the client speaks `https`.
    pub secure: bool,
    /// The CONNECT target.
    pub target: &'a Authority,
    /// The SNI.
    pub sni: Option<&'a str>,
}

/// Serves the requests of one tunnel; also says how many there were.
pub async fn serve(tunnel: Tunnel<'_>, site: &Site, drain: &Drain) -> (Served, u64) {
    let Tunnel {
        client,
        origin,
        secure,
        target,
        sni,
    } = tunnel;
    let activity = Activity::default();
    let (sender, origin_connection) = match connect(origin, site, &activity).await {
        Ok(connected) => connected,
        Err(error) => return (Served::Failed(ServeError::of(&error, Side::Origin)), 0),
    };
    let sender = Mutex::new(sender);
    let agreed = StdMutex::new(None);
    let requests = AtomicU64::new(0);
    let scheme = destination::scheme(secure);
    let service = service_fn(|request: Request<Incoming>| {
        let is_first = requests.fetch_add(1, Ordering::Relaxed) == 0;
        let to = Destination {
            scheme: scheme.clone(),
            target,
            sni,
            is_first,
            origin: None,
        };
        let (sender, agreed, activity) = (&sender, &agreed, &activity);
        async move {
            let url = to.url(request.uri());
            let (request, unsent) = match h1::prepare(site, &to, request, url, activity) {
                Ok(prepared) => prepared,
                Err(response) => return Ok(*response),
            };
            let mut sender = sender.lock().await;
            match h1::send(site, &to, &mut sender, request, unsent, activity).await {
                Outcome::Answer(response) => Ok(response),
                Outcome::Switch(response, switch) => {
                    put(agreed, *switch);
                    Ok(response)
                }
                Outcome::NotSent(_, unsent) => {
                    unsent.hang_up();
                    Err(HangUp)
                }
                Outcome::HangUp => Err(HangUp),
            }
        }
    });
    let ended = drive(client, service, Some(origin_connection), site, &activity, drain).await;
    let requests = requests.load(Ordering::Relaxed);
    (settle(ended, agreed).await, requests)
}

/// Answers every request of a connection with the same problem: for an origin that cannot be had.
pub async fn refuse(
    client: Transport,
    secure: bool,
    target: &Authority,
    sni: Option<&str>,
    problem: &Problem,
    site: &Site,
    drain: &Drain,
) -> (Served, u64) {
    let requests = AtomicU64::new(0);
    let scheme = destination::scheme(secure);
    let activity = Activity::default();
    let service = service_fn(|request: Request<Incoming>| {
        requests.fetch_add(1, Ordering::Relaxed);
        let to = Destination {
            scheme: scheme.clone(),
            target,
            sni,
            is_first: true,
            origin: None,
        };
        let url = to.url(request.uri());
        let mut record = Record::begin(site, request.method().clone(), request.version(), url, &activity);
        let html = exchange::wants_html(request.headers());
        let response = exchange::answer_with(&mut record, problem, html);
        std::future::ready(Ok::<_, HangUp>(response))
    });
    let none = None::<std::future::Pending<hyper::Result<()>>>;
    let ended = drive(client, service, none, site, &activity, drain).await;
    (
        settle(ended, StdMutex::new(None)).await,
        requests.load(Ordering::Relaxed),
    )
}

/// The client's connection ends without a response, as the origin's did.
#[derive(Debug)]
pub(super) struct HangUp;

impl std::fmt::Display for HangUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the origin closed the connection")
    }
}

impl std::error::Error for HangUp {}

/// Begins HTTP/1.1 towards an origin.
pub(super) async fn connect(
    origin: Transport,
    site: &Site,
    activity: &Activity,
) -> hyper::Result<(SendRequest<Body>, impl Future<Output = hyper::Result<()>> + use<>)> {
    let (sender, connection) = hyper::client::conn::http1::Builder::new()
        .preserve_header_case(true)
        .max_buf_size(site.header_bytes.max(MIN_BUFFER))
        .max_headers(MAX_HEADERS)
        .handshake(Watched::origin(origin, activity))
        .await?;
    Ok((sender, connection.with_upgrades()))
}

/// The header lines of one head. Its bytes are what is limited; hyper's own 100 lines are too few for some sites.
pub(super) const MAX_HEADERS: usize = 512;

/// hyper refuses smaller buffers.
const MIN_BUFFER: usize = 8192;

/// Drives the client's connection, and the origin's beside it in the same task, until the client's has ended.
pub(super) async fn drive<S, E, O>(
    client: Transport,
    service: S,
    origin: Option<O>,
    site: &Site,
    activity: &Activity,
    drain: &Drain,
) -> Result<(), ServeError>
where
    S: hyper::service::HttpService<Incoming, ResBody = Body, Error = E>,
    E: std::error::Error + Send + Sync + 'static,
    O: Future<Output = hyper::Result<()>>,
{
    let has_origin = origin.is_some();
    let mut origin = pin!(async {
        match origin {
            Some(origin) => origin.await,
            None => std::future::pending().await,
        }
    });
    let mut connection = pin!(
        hyper::server::conn::http1::Builder::new()
            .preserve_header_case(true)
            .timer(TokioTimer::new())
            // Runs between requests too, so it leaves an idle connection to the tick below, which ends it well.
            .header_read_timeout(site.idle.saturating_mul(2))
            .max_buf_size(site.header_bytes.max(MIN_BUFFER))
            .max_header_size(site.header_bytes)
            .max_headers(MAX_HEADERS)
            .serve_connection(Watched::client(client, activity), service)
            .with_upgrades()
    );
    let mut origin_open = has_origin;
    let mut draining = pin!(drain.begun());
    // The connection is to close once no exchange is under way: hyper would put `Connection: close` into a
    // response that is being made, even into a 101.
    let mut closing = false;
    let mut told = false;
    let mut seen = activity.count();
    let mut quiet = Duration::ZERO;
    let step = site.idle / 4;
    let mut tick = pin!(tokio::time::sleep(step));
    loop {
        if closing && !told && activity.may_close() {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if ended.is_ok() && origin_open {
                    // An upgrade's last step may still be the origin's to make, and it is made at once.
                    let _ = tokio::time::timeout(Duration::ZERO, origin.as_mut()).await;
                }
                return ended.map_err(|error| ServeError::of(&error, Side::Client));
            }
            _ = origin.as_mut(), if origin_open => {
                origin_open = false;
                closing = true;
            }
            () = draining.as_mut(), if !closing => closing = true,
            () = activity.settled(), if closing && !told => {}
            () = tick.as_mut() => {
                quiet = if activity.count() == seen { quiet.saturating_add(step) } else { Duration::ZERO };
                seen = activity.count();
                if activity.open() == 0 && quiet >= site.idle {
                    if closing {
                        // It has had its time to take in the end.
                        return Ok(());
                    }
                    (closing, quiet) = (true, Duration::ZERO);
                }
                // A request that waits for its response's head has a deadline of its own, and an answer.
                if quiet > site.patience(activity.streams() > 0) {
                    return Err(ServeError {
                        error: HttpError::Timeout,
                        refusal: None,
                        text: "nothing moved for too long".to_owned(),
                    });
                }
                tick.as_mut().reset(tokio::time::Instant::now() + step);
            }
        }
    }
}

/// What a connection has become.
async fn settle(ended: Result<(), ServeError>, agreed: StdMutex<Option<Agreed>>) -> Served {
    let agreed = agreed
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Err(error) = ended {
        return Served::Failed(error);
    }
    match agreed {
        None => Served::Ended,
        Some(agreed) => match join(agreed).await {
            Some(upgraded) => Served::Upgraded(Box::new(upgraded)),
            None => Served::Ended,
        },
    }
}

/// Both legs of an agreed upgrade.
pub(super) async fn join(agreed: Agreed) -> Option<Upgraded> {
    let Agreed { client, origin, kind } = agreed;
    Some(Upgraded {
        kind,
        client: reclaim(client).await?,
        origin: reclaim(origin).await?,
    })
}

/// Leaves an agreed upgrade for the end of the connection.
pub(super) fn put<T>(slot: &StdMutex<Option<T>>, value: T) {
    *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(value);
}

impl ServeError {
    fn of(error: &hyper::Error, side: Side) -> Self {
        let kind = if error.is_parse() {
            HttpError::BadRequest
        } else if error.is_timeout() {
            // The only deadline that hyper has is the one for a request's head.
            HttpError::Aborted(Side::Client)
        } else if error.is_user() {
            // The service hung up: the origin did.
            HttpError::Aborted(Side::Origin)
        } else {
            HttpError::Aborted(side)
        };
        Self {
            error: kind,
            refusal: exchange::io_cause(error).and_then(client::refusal),
            text: causes(error),
        }
    }
}

/// A response of the proxy's own, for a service.
pub(super) type Answer = Result<Response<Body>, HangUp>;
