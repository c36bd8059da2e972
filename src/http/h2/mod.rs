//! HTTP/2 on a pair of legs (RFC 9113): the streams of one client connection on one origin connection, each by
//! itself; an extended CONNECT (RFC 8441) leaves HTTP and stays a stream.
//!
//! The `h2` crate is used directly and not through hyper: content goes on without a copy, the far side's room is
//! what gives the near side room, and reset codes can be told.

mod answer;
mod ask;
mod door;
mod drive;
mod exchange;
mod origin;
mod pump;
mod stream;

pub use door::answer_stream;

use super::cork::Server;
use super::destination::{Destination, scheme};
use super::heads::{Heads, Notice, Teller};
use super::io::{Activity, Watched};
use super::page::Problem;
use super::serve::{ServeError, Served, Tunnel};
use super::{Fallback, Flood, HttpError, Onward, Site};
use crate::drain::Drain;
use crate::error::Side;
use crate::tls::Transport;
use crate::wire::names::Authority;
use ::h2::{Reason, server};
use bytes::Bytes;
use drive::Driver;
use exchange::{Done, Ended, Shared};
use origin::greet;
use std::sync::Arc;

/// Streams of one client at once; fewer where the origin wants fewer.
const STREAMS: u32 = 100;

/// What a peer may send on one stream before what it sent has gone on, in bytes. Each connection has room for that
/// on every stream, so that slow streams never stall the others.
const WINDOW: u32 = 256 * 1024;

/// What waits in a stream to be written, in bytes.
const SEND_BUFFER: usize = 64 * 1024;

/// Streams that a client may have reset before they were looked at.
const PENDING_RESETS: usize = STREAMS as usize;

type ClientLeg = Server<Watched, Bytes>;

/// Serves the streams of one tunnel; also says how many requests there were.
pub async fn serve_h2(
    tunnel: Tunnel<'_>,
    site: &Site,
    drain: &Drain,
    onward: Arc<dyn Onward>,
) -> (Served, u64) {
    let Tunnel {
        client,
        origin,
        secure,
        target,
        sni,
    } = tunnel;
    let activity = Activity::default();
    let mut origin = match greet(origin, target, site, &activity).await {
        Ok(origin) => origin,
        Err(problem) => return refuse_h2(client, secure, target, sni, &problem, site, drain).await,
    };
    let room = u32::try_from(origin.sender.current_max_send_streams()).unwrap_or(u32::MAX);
    let mut settings = builder(STREAMS, site.header_bytes);
    // An origin that allows none for now will allow some later, of which the client cannot be told; until then
    // its requests wait here.
    settings.max_concurrent_streams(room.clamp(1, STREAMS));
    if origin.sender.is_extended_connect_protocol_enabled() {
        // Otherwise clients would wait for what no origin answers.
        settings.enable_connect_protocol();
    }
    let base = base(secure, target, sni);
    let heads = heads(site, base.clone());
    let mut client = match accept(&settings, client, heads, site, &activity, drain).await {
        Ok(Some(client)) => client,
        Ok(None) => return (Served::Ended, 0),
        Err(error) => return (Served::Failed(error), 0),
    };
    let shared = Arc::new(Shared {
        site: site.clone(),
        base,
        scheme: scheme(secure),
        target: target.clone(),
        sni: sni.map(str::to_owned),
        activity: activity.clone(),
        sender: origin.sender.clone(),
    });
    let mut spawn = |request, respond| {
        let (shared, onward) = (Arc::clone(&shared), Arc::clone(&onward));
        async move {
            // What a request needs is gone before a relay begins, which needs little for a long time.
            match Box::pin(exchange::serve(shared, request, respond)).await {
                Done::Ended(ended) => ended,
                Done::Upgraded(upgraded) => {
                    onward.upgraded(*upgraded).await;
                    Ended::Regular
                }
            }
        }
    };
    let mut driver = Driver::new(site, &activity, drain);
    let ended = driver.run(&mut client, Some(&mut origin), &mut spawn).await;
    drop(shared);
    driver.finish(client, origin).await;
    (Served::of(ended), driver.count)
}

/// What the URLs of a tunnel begin with.
fn base(secure: bool, target: &Authority, sni: Option<&str>) -> String {
    let scheme = scheme(secure);
    Destination {
        scheme,
        target,
        sni,
        origin: None,
    }
    .base()
}

/// Tells of the requests that the crate keeps to itself.
fn heads(site: &Site, base: String) -> Heads {
    let site = site.clone();
    let has_http1 = site.fallback.as_ref().is_some_and(Fallback::has_http1);
    let tell = move |notice| match notice {
        Notice::Refused(refused) => site
            .watch
            .request_done(&refused.done(site.connection, Some(&base))),
        Notice::NeedsHttp1 => {
            if let Some(fallback) = &site.fallback {
                fallback.for_client(&*site.watch);
            }
        }
    };
    Heads::told(Teller::new(tell), has_http1)
}

/// Answers every request of a connection with the same problem: for an origin that cannot be had.
pub async fn refuse_h2(
    client: Transport,
    secure: bool,
    target: &Authority,
    sni: Option<&str>,
    problem: &Problem,
    site: &Site,
    drain: &Drain,
) -> (Served, u64) {
    let activity = Activity::default();
    let settings = builder(STREAMS, site.header_bytes);
    let heads = heads(site, base(secure, target, sni));
    let mut client = match accept(&settings, client, heads, site, &activity, drain).await {
        Ok(Some(client)) => client,
        Ok(None) => return (Served::Ended, 0),
        Err(error) => return (Served::Failed(error), 0),
    };
    let told = Arc::new((
        site.clone(),
        target.clone(),
        sni.map(str::to_owned),
        problem.clone(),
    ));
    let mut spawn = |request, respond| {
        let told = Arc::clone(&told);
        async move {
            let (site, target, sni, problem) = &*told;
            let to = Destination {
                scheme: scheme(secure),
                target,
                sni: sni.as_deref(),
                origin: None,
            };
            answer::refuse(site, to, problem, request, respond).await
        }
    };
    let mut driver = Driver::new(site, &activity, drain);
    let ended = driver.run(&mut client, None, &mut spawn).await;
    driver.over(client);
    (Served::of(ended), driver.count)
}

/// What holds for any client: so many streams at once, and heads of so many bytes (as RFC 9113 section 6.5.2 counts
/// them).
pub(super) fn builder(streams: u32, header_bytes: usize) -> server::Builder {
    let mut settings = server::Builder::new();
    settings
        .max_concurrent_streams(streams)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW * streams)
        .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS);
    settings
}

/// Begins HTTP/2 with a client; `None` if it is to end before it has begun.
async fn accept(
    settings: &server::Builder,
    client: Transport,
    heads: Heads,
    site: &Site,
    activity: &Activity,
    drain: &Drain,
) -> Result<Option<ClientLeg>, ServeError> {
    let leg = Watched::client(client.gathers_writes(), activity);
    tokio::select! {
        biased;
        accepted = Server::begin(settings, leg, heads) => {
            accepted.map(Some).map_err(|error| failure(&error, site, activity))
        }
        // It has asked for nothing yet.
        () = drain.begun() => Ok(None),
        () = tokio::time::sleep(site.idle) => Ok(None),
    }
}

impl Served {
    fn of(ended: Result<(), ServeError>) -> Self {
        match ended {
            Ok(()) => Self::Ended,
            Err(error) => Self::Failed(error),
        }
    }
}

/// Whether a client's connection was closed for what it sent.
pub(super) fn is_flood(error: &::h2::Error) -> bool {
    error.is_library() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM)
}

/// Why a client's connection broke.
fn failure(error: &::h2::Error, site: &Site, activity: &Activity) -> ServeError {
    if is_flood(error) {
        site.watch.flooded(Flood::Frames);
    }
    ServeError {
        error: if error.is_library() {
            HttpError::BadRequest
        } else {
            HttpError::Aborted(Side::Client)
        },
        refusal: activity.refusal(),
        text: error.to_string(),
        is_told: false,
    }
}
