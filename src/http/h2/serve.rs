//! The streams of one tunnel, on one origin connection.

use crate::drain::Drain;
use crate::http::context::ExchangeContext;
use crate::http::exchange::destination::{Destination, scheme};
use crate::http::exchange::served::UpgradeHandler;
use crate::http::exchange::served::{RefusedConnection, ServeError, Served, ServedTunnel};
use crate::http::fallback::Fallback;
use crate::http::h2::answer;
use crate::http::h2::cork::Server;
use crate::http::h2::drive::Driver;
use crate::http::h2::exchange;
use crate::http::h2::failure::failure;
use crate::http::h2::heads::{Heads, Notice, Teller};
use crate::http::h2::leg::{Activity, Watched};
use crate::http::h2::origin::greet;
use crate::http::h2::settings::{ClientLeg, STREAMS, builder};
use crate::http::h2::under_way::{Done, StreamContext};
use crate::http::pages::ErrorResponse;
use crate::tls::Transport;
use crate::wire::names::Authority;
use ::h2::server;
use std::sync::{Arc, Mutex, PoisonError};

/// Serves the streams of one tunnel; also says how many requests there were.
pub async fn serve_h2(
    tunnel: ServedTunnel<'_>,
    context: &ExchangeContext,
    drain: &Drain,
    onward: Arc<dyn UpgradeHandler>,
) -> (Served, u64) {
    let ServedTunnel {
        client,
        origin,
        secure,
        target,
        sni,
    } = tunnel;
    let activity = Activity::default();
    let mut origin = match greet(origin, target, context, &activity).await {
        Ok(origin) => origin,
        Err(problem) => {
            let refused = refuse_h2(client, secure, target, sni, &problem, context, drain).await;
            return (refused.served, refused.requests);
        }
    };
    let room = u32::try_from(origin.sender.current_max_send_streams()).unwrap_or(u32::MAX);
    let mut settings = builder(STREAMS, context.header_bytes);
    // An origin that allows none for now will allow some later, of which the client cannot be told; until then
    // its requests wait here.
    settings.max_concurrent_streams(room.clamp(1, STREAMS));
    if origin.sender.is_extended_connect_protocol_enabled() {
        // Otherwise clients would wait for what no origin answers.
        settings.enable_connect_protocol();
    }
    let base = base(secure, target, sni);
    let heads = heads(context, base.clone());
    let mut client = match accept(&settings, client, heads, context, &activity, drain).await {
        Ok(Some(client)) => client,
        Ok(None) => return (Served::Ended, 0),
        Err(error) => return (Served::Failed(error), 0),
    };
    let shared = Arc::new(StreamContext {
        context: context.clone(),
        base,
        scheme: scheme(secure),
        target: target.clone(),
        sni: sni.map(str::to_owned),
        activity: activity.clone(),
        sender: origin.sender.clone(),
        onward,
    });
    // In a box at once: it is large, and would be moved again and again.
    let mut serve = |request, respond| Box::pin(exchange::serve(Arc::clone(&shared), request, respond));
    let mut driver = Driver::new(context, &activity, drain);
    let ended = driver.run(&mut client, Some(&mut origin), &mut serve).await;
    drop(shared);
    driver.finish(client, origin).await;
    (Served::of(ended), driver.count)
}

/// What the URLs of a tunnel begin with.
fn base(secure: bool, target: &Authority, sni: Option<&str>) -> String {
    Destination::new(scheme(secure), target, sni).base().to_owned()
}

/// Tells of the requests that the crate keeps to itself.
fn heads(context: &ExchangeContext, base: String) -> Heads {
    let context = context.clone();
    let has_http1 = context.fallback.as_ref().is_some_and(Fallback::has_http1);
    let tell = move |notice| match notice {
        Notice::Refused(refused) => context
            .watch
            .request_done(&refused.done(context.who(), Some(&base))),
        Notice::NeedsHttp1 => {
            if let Some(fallback) = &context.fallback {
                fallback.for_client(&*context.watch);
            }
        }
    };
    Heads::told(Teller::new(tell), has_http1)
}

/// Answers requests with a problem, for an origin that cannot be had, and ends their connection: what failed may be had the
/// next time that it is asked for.
pub async fn refuse_h2(
    client: Transport,
    secure: bool,
    target: &Authority,
    sni: Option<&str>,
    problem: &ErrorResponse,
    context: &ExchangeContext,
    drain: &Drain,
) -> RefusedConnection {
    let activity = Activity::default();
    let settings = builder(STREAMS, context.header_bytes);
    let heads = heads(context, base(secure, target, sni));
    let nobody = |served| RefusedConnection {
        served,
        requests: 0,
        last: None,
    };
    let mut client = match accept(&settings, client, heads, context, &activity, drain).await {
        Ok(Some(client)) => client,
        Ok(None) => return nobody(Served::Ended),
        Err(error) => return nobody(Served::Failed(error)),
    };
    let last = Arc::new(Mutex::new(None));
    let told = Arc::new((
        context.clone(),
        target.clone(),
        sni.map(str::to_owned),
        problem.clone(),
    ));
    let mut refuse = |request, respond| {
        let (told, last) = (Arc::clone(&told), Arc::clone(&last));
        async move {
            let (context, target, sni, problem) = &*told;
            let to = Destination::new(scheme(secure), target, sni.as_deref());
            let (id, end) = answer::refuse(context, to, problem, request, respond).await;
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
            Done::Ended(end)
        }
    };
    let mut driver = Driver::new(context, &activity, drain);
    let ended = driver.run(&mut client, None, &mut refuse).await;
    driver.over(client);
    let last = *last.lock().unwrap_or_else(PoisonError::into_inner);
    RefusedConnection {
        served: Served::of(ended),
        requests: driver.count,
        last,
    }
}

/// Begins HTTP/2 with a client; `None` if it is to end before it has begun.
async fn accept(
    settings: &server::Builder,
    client: Transport,
    heads: Heads,
    context: &ExchangeContext,
    activity: &Activity,
    drain: &Drain,
) -> Result<Option<ClientLeg>, ServeError> {
    let leg = Watched::client(client.gathers_writes(), activity);
    tokio::select! {
        biased;
        accepted = Server::begin(settings, leg, heads) => {
            accepted.map(Some).map_err(|error| failure(&error, context, activity))
        }
        // It has asked for nothing yet.
        () = drain.begun() => Ok(None),
        () = tokio::time::sleep(context.idle) => Ok(None),
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
