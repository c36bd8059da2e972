//! Accepting connections, and the life of each.

use super::connection::{Connection, ConnectionEnd};
use super::go_on::go_on;
use super::listener::Greeted;
use super::proxy::Proxy;
use super::{caught, claim, door, limited, listener, reverse, socks, streams};
use crate::accept::{Acceptor, Arrival, Entrance, Prefixed, Socket};
use crate::report::{Ending, Event};
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
async fn travel(arrival: Arrival, name: Arc<str>, entrance: Entrance, proxy: Arc<Proxy>) {
    let Arrival {
        id,
        client,
        stream,
        at,
        place,
    } = arrival;
    let mut conn = Connection::begin(id, client, &name, at, &proxy, None);
    drop(proxy);
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return conn.end(ConnectionEnd::new(Ending::ClientIo, error)),
    };
    let place = match place {
        Ok(place) => place,
        Err(limit) => {
            let speaks_http = entrance == Entrance::Http;
            let next = Box::pin(limited::turn_away(&mut conn, stream, limit, speaks_http)).await;
            let ended = go_on(&mut conn, next).await;
            return conn.end(ended);
        }
    };
    let stream: Prefixed<Socket> = match claim::hear(&mut conn, stream).await {
        Ok(stream) => stream,
        Err(ended) => return conn.end(ended),
    };
    // Handshakes and HTTP need a large future for a short time. It is gone before a relay begins, which needs a
    // small one for a long time.
    let open = Arc::clone(conn.open.connection());
    let life = async {
        let greeted = match entrance {
            Entrance::Http => Greeted::Http1(stream),
            Entrance::Https => Box::pin(listener::greet(&mut conn, stream)).await,
            Entrance::Socks => Greeted::Over(Box::pin(socks::socks(&mut conn, stream)).await),
            Entrance::Reverse => Greeted::Over(Box::pin(reverse::reverse(&mut conn, stream)).await),
            Entrance::Redirect | Entrance::Tproxy => {
                Greeted::Over(Box::pin(caught::caught(&mut conn, stream, entrance)).await)
            }
        };
        let next = match greeted {
            Greeted::Http1(socket) => Box::pin(door::http1(&mut conn, socket)).await,
            Greeted::Http2(tls) => Box::pin(streams::carry(&mut conn, tls)).await,
            Greeted::Over(next) => next,
        };
        go_on(&mut conn, next).await
    };
    if let Some(ended) = open.unless_closed(life).await {
        conn.end(ended);
    }
    drop(place);
}
