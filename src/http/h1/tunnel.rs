//! The requests of one tunnel, all to one origin.

use crate::drain::Drain;
use crate::error::Side;
use crate::handshake::origin::late_failure;
use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::exchange::destination::{self, Destination};
use crate::http::exchange::record::ExchangeRecord;
use crate::http::exchange::served::{RefusedConnection, Served, ServedTunnel, Upgraded};
use crate::http::h1::after::After;
use crate::http::h1::client::{Client, Reply, Waited, closed, over};
use crate::http::h1::conn::Conn;
use crate::http::h1::exchange::carry;
use crate::http::h1::prepared::{Leading, prepare, reply_to};
use crate::http::h1::target::Target;
use crate::http::pages::ErrorResponse;
use crate::http::request_id::RequestId;
use crate::tls::{Eof, Transport};
use crate::wire::http1::RequestHead;
use crate::wire::names::Authority;

/// Serves the requests of one tunnel; also says how many there were.
pub async fn serve(tunnel: ServedTunnel<'_>, context: &ExchangeContext, drain: &Drain) -> (Served, u64) {
    let ServedTunnel {
        client,
        origin,
        secure,
        target,
        sni,
    } = tunnel;
    let mut client = Client::new(Conn::new(client), context, drain);
    let mut origin = Conn::new(origin);
    let to = Destination::new(destination::scheme(secure), target, sni);
    // How the origin's handshake failed after all.
    let mut failed = None;
    let served = loop {
        let waited = client.next(context.idle, Some(&mut origin), &mut failed).await;
        let head = match waited {
            Waited::Request(head) => *head,
            other => break over(&mut client, to.base(), other).await,
        };
        context.hear(&head.fields);
        let is_used = client.requests > 1;
        let prepared = match Box::pin(prepare(&mut client, &to, head)).await {
            Ok(prepared) => prepared,
            Err(true) => continue,
            Err(false) => break closed(&mut client).await,
        };
        if let Some(outcome) = failed.as_ref().and_then(late_failure) {
            prepared
                .refuse(&mut client, &ErrorResponse::late(target, outcome))
                .await;
            break closed(&mut client).await;
        }
        let leading = Leading {
            is_used,
            is_tied: true,
            may_repeat: false,
            absolute: None,
        };
        match Box::pin(carry(&mut client, &mut origin, &to, leading, prepared)).await {
            After::Keep => {}
            After::Upgraded(kind) => {
                let upgraded = Upgraded {
                    kind,
                    client: client.conn.into_transport(),
                    origin: origin.into_transport(),
                };
                return (Served::Upgraded(Box::new(upgraded)), client.requests);
            }
            After::KeepClient | After::Close | After::Again(_) => {
                client.forgo(to.base());
                break closed(&mut client).await;
            }
            After::Cut(error) => {
                client.forgo(to.base());
                client.conn.close(Eof::Truncated).await;
                break Served::Failed(error);
            }
            After::Failed(error) => {
                if error.error == HttpError::Aborted(Side::Origin) {
                    // The origin closed it in order.
                    client.conn.close(Eof::Clean).await;
                }
                break Served::Failed(error);
            }
        }
    };
    origin.leave();
    (served, client.requests)
}

/// Answers a request of a connection with a problem, for an origin that cannot be had, and ends it: what failed may be had
/// the next time that it is asked for.
pub async fn refuse(
    client: Transport,
    secure: bool,
    target: &Authority,
    sni: Option<&str>,
    problem: &ErrorResponse,
    context: &ExchangeContext,
    drain: &Drain,
) -> RefusedConnection {
    let mut client = Client::new(Conn::new(client), context, drain);
    let to = Destination::new(destination::scheme(secure), target, sni);
    let (served, last) = match client.next(context.idle, None, &mut None).await {
        Waited::Request(head) => {
            context.hear(&head.fields);
            let id = answer_last(&mut client, &to, &head, problem).await;
            (closed(&mut client).await, Some(id))
        }
        other => (over(&mut client, to.base(), other).await, None),
    };
    RefusedConnection {
        served,
        requests: client.requests,
        last,
    }
}

/// Answers a request with a problem, whatever it asks for, as the last of its connection; what it is called.
async fn answer_last(
    client: &mut Client<'_>,
    to: &Destination<'_>,
    head: &RequestHead,
    problem: &ErrorResponse,
) -> RequestId {
    let reply = Reply {
        keeps: false,
        ..reply_to(head, client)
    };
    let target = Target::parse(head.target(), &head.method);
    let url = to.url(&target.text());
    let mut record = ExchangeRecord::begin(client.context, head.method.clone(), head.version, url)
        .noting(client.context, &head.fields);
    client.answer(&mut record, problem, reply).await;
    record.id()
}
