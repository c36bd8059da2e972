//! Accepting connections, and the life of each.

use super::connection::{Connection, ConnectionEnd};
use super::go_on::{go_on, http_first};
use super::listener::Greeted;
use super::next::Next;
use super::proxy::Proxy;
use super::{caught, claim, door, limited, listener, reverse, socks, streams};
use crate::accept::{Acceptor, Arrival, ConnectionPlace, Entrance, Prefixed, Socket};
use crate::report::{Ending, Event};
use std::pin::pin;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};

/// Accepts connections until draining begins, and hands each to one of the workers. `name` is what the policy calls the
/// listener.
pub async fn serve(listener: TcpListener, name: Arc<str>, entrance: Entrance, proxy: Arc<Proxy>) {
    let on_error = |error: &std::io::Error| proxy.report.state(&Event::AcceptFailed(error));
    let acceptor = Acceptor::new(listener, Arc::clone(&proxy.places));
    loop {
        tokio::select! {
            biased;
            () = proxy.drain.begun() => return,
            arrival = acceptor.next(on_error) => {
                proxy.drain.spawn_on(travel(arrival, Arc::clone(&name), entrance, Arc::clone(&proxy)), proxy.workers.next());
            }
        }
    }
}

/// One connection, whose record is closed exactly once, whatever happens.
///
/// Not `async`, and in boxes: what such a function is given or has had keeps its place in its future. To begin, to shake
/// hands and to speak HTTP takes a large future for a short time. Each is gone before a relay begins, which needs a small
/// one for a long time.
fn travel(
    arrival: Arrival,
    name: Arc<str>,
    entrance: Entrance,
    proxy: Arc<Proxy>,
) -> impl Future<Output = ()> + Send {
    let beginning = Box::pin(begin(arrival, name, entrance, proxy));
    async move {
        let Some((mut conn, place, stream)) = beginning.await else {
            return;
        };
        let open = Arc::clone(conn.open.connection());
        let ended = {
            let arriving = Box::pin(arrive(&mut conn, stream, entrance));
            let life = pin!(async {
                let (conn, next) = arriving.await;
                let (conn, next) = http_first(conn, next).await;
                go_on(conn, next).await
            });
            open.unless_closed(life).await
        };
        if let Some(ended) = ended {
            conn.end(ended);
        }
        drop(place);
    }
}

/// What a client has connected, with its place; `None` where it is over already.
async fn begin(
    arrival: Arrival,
    name: Arc<str>,
    entrance: Entrance,
    proxy: Arc<Proxy>,
) -> Option<(Connection, ConnectionPlace, Prefixed<Socket>)> {
    let Arrival {
        id,
        client,
        stream,
        at,
        place,
    } = arrival;
    let mut conn = Connection::begin(id, client, &name, at, &proxy, None);
    drop(proxy);
    let ended = match (TcpStream::from_std(stream), place) {
        (Err(error), _) => ConnectionEnd::new(Ending::ClientIo, error),
        (Ok(stream), Err(limit)) => {
            let speaks_http = entrance == Entrance::Http;
            let next = Box::pin(limited::turn_away(&mut conn, stream, limit, speaks_http)).await;
            go_on(&mut conn, next).await
        }
        (Ok(stream), Ok(place)) => match claim::hear(&mut conn, stream).await {
            Ok(stream) => return Some((conn, place, stream)),
            Err(ended) => ended,
        },
    };
    conn.end(ended);
    None
}

/// What becomes of a connection, by the entrance that it came in by.
async fn arrive(
    conn: &mut Connection,
    stream: Prefixed<Socket>,
    entrance: Entrance,
) -> (&mut Connection, Next) {
    let greeted = match entrance {
        Entrance::Http => Greeted::Http1(stream),
        Entrance::Https => Box::pin(listener::greet(conn, stream)).await,
        Entrance::Socks => Greeted::Over(Box::pin(socks::socks(conn, stream)).await),
        Entrance::Reverse => Greeted::Over(Box::pin(reverse::reverse(conn, stream)).await),
        Entrance::Redirect | Entrance::Tproxy => {
            Greeted::Over(Box::pin(caught::caught(conn, stream, entrance)).await)
        }
    };
    let next = match greeted {
        Greeted::Http1(socket) => Box::pin(door::http1(conn, socket)).await,
        Greeted::Http2(tls) => Box::pin(streams::carry(conn, tls)).await,
        Greeted::Over(next) => next,
    };
    (conn, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_waits_is_small() {
        fn size<A, B, C, D, R>(_: impl FnOnce(A, B, C, D) -> R) -> usize {
            size_of::<R>()
        }
        let size = size(travel);
        assert!(size <= 832, "{size} bytes for each connection");
    }
}
