//! HTTP/1.1 at the front door: tunnels by CONNECT, servers by the absolute form, in any order.

use super::connection::Connection;
use super::next::Next;
use super::reach::{Refusal, Servers};
use super::tunnel::{failed, tunnel};
use crate::accept::{Prefixed, Socket};
use crate::http::{Door, DoorStep, ErrorResponse, RequestId, Served, Unasked};
use crate::report::Ending;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long a client has to take in a refusal.
pub(super) const GOODBYE: Duration = Duration::from_secs(2);

/// Serves a client that speaks HTTP/1.1 with the proxy itself.
pub(super) async fn http1(conn: &mut Connection, client: Prefixed<Socket>) -> Next {
    // Clients that share a connection are not who one of them was proven to be.
    if conn.config.admission.is_some() && conn.forwarded().is_none() {
        conn.bound = Some(Arc::default());
    }
    let servers = Servers::of(conn);
    let context = servers.context(conn);
    let drain = conn.proxy.drain.clone();
    let mut door = Door::new(client, conn.record.client, &context, &drain);
    // The last tunnel that was refused, while nothing else was asked for since.
    let mut refused = None;
    let asked = loop {
        let ask = match door.next(&*servers).await {
            DoorStep::Tunnel(ask) => ask,
            over => break Err(over),
        };
        conn.is_told(context.requester.client());
        let opened = conn.open(&ask).await;
        context.requester.is_of_user(conn.record.user.clone());
        match opened {
            Ok(way) => break Ok((ask, way)),
            Err(Refusal { ending, problem, .. }) => {
                let (keeps, id) = door.refuse(&problem).await;
                conn.record.request_id = id;
                if !keeps {
                    conn.record.requests += door.requests();
                    return Next::ended(ending, problem.text);
                }
                refused = Some((ending, problem.text, door.requests()));
            }
        }
    };
    conn.record.requests += door.requests();
    match asked {
        Ok((ask, way)) => {
            conn.record.request_id = None;
            let proof = conn.bound.as_ref().and_then(|bound| bound.take_answer());
            match door.grant(proof.as_ref()).await {
                Ok(client) => tunnel(conn, ask.to, client, way).await,
                Err(error) => Next::ended(Ending::ClientIo, error),
            }
        }
        Err(DoorStep::Over(Served::Ended) | DoorStep::Unasked(_))
            if let Some((ending, text, requests)) = &refused
                && *requests == door.requests() =>
        {
            Next::ended(*ending, text)
        }
        Err(over) => {
            let denied = servers.tell(conn);
            match over {
                DoorStep::Unasked(Unasked::Closed) => Next::end(Ending::Closed),
                DoorStep::Unasked(Unasked::Drained) => Next::end(Ending::Drained),
                DoorStep::Unasked(Unasked::Late) => Next::ended(
                    Ending::RequestTimeout,
                    ErrorResponse::late_request(conn.config.timeouts.request_head).text,
                ),
                DoorStep::Over(Served::Upgraded(upgraded)) => Next::from(*upgraded),
                DoorStep::Over(Served::Failed(error)) => failed(conn, error),
                DoorStep::Over(Served::Ended) if denied => Next::end(Ending::Denied),
                DoorStep::Over(Served::Ended) | DoorStep::Tunnel(_) => Next::end(Ending::Ok),
            }
        }
    }
}

/// Answers a request on a raw socket, and lets the answer arrive.
pub(super) async fn turn_away(
    conn: &mut Connection,
    mut stream: Socket,
    ending: impl Into<Ending>,
    problem: ErrorResponse,
) -> Next {
    let id = RequestId::new();
    conn.record.request_id = Some(id);
    let _ = tokio::time::timeout(GOODBYE, async {
        stream.write_all(&problem.raw(id)).await?;
        stream.shutdown().await?;
        // What the client still sends is read and forgotten: closing a socket with unread bytes resets it, and
        // the reset would overtake the answer.
        let mut sink = [0; 4096];
        while stream.read(&mut sink).await? > 0 {}
        io::Result::Ok(())
    })
    .await;
    Next::ended(ending, problem.text)
}
