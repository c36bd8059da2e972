//! A socket arrives, and says where it wants to go.

mod ask;
mod caught;
mod claimed;
mod client_limits;
mod clients;
mod entrance;
mod forwarded;
mod handed_over;
mod places;
mod prefixed;
mod socket;
mod socks;
mod tally;
mod who;

pub use ask::{Ask, AskKind, Credentials};
pub use caught::{NotCaught, is_local, original_destination};
pub use claimed::{NoHeader, ProxyProtocol};
pub use client_limits::{ClientLimit, ClientLimits};
pub use entrance::{Entrance, ListenerConfig};
pub use forwarded::ForwardedFor;
pub use handed_over::HandedOver;
pub use places::{ClientHold, ConnectionPlace, NoPlace, Places};
pub use prefixed::Prefixed;
pub use socket::{Inner, Socket};
pub use socks::{SocksClient, SocksError};
pub use tally::{Carried, CarriedPart, Tally};
pub use who::Who;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// A client's connection, fresh from the listener.
#[derive(Debug)]
pub struct Arrival {
    /// Unique in this process.
    pub id: u64,
    /// Who.
    pub client: SocketAddr,
    /// The socket, non-blocking and not yet known to any event loop: the one that serves it takes it in.
    pub stream: std::net::TcpStream,
    /// When.
    pub at: Instant,
    /// Its place, or why it gets none.
    pub place: Result<ConnectionPlace, ClientLimit>,
}

/// A listening socket that holds each connection back until there is a place for it, unless its client has too much already.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    places: Arc<Places>,
}

/// The first pause after a failed accept, and the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// An id that no other connection of this process has.
pub fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Acceptor {
    /// `places` is shared by all listeners of a process.
    pub fn new(listener: TcpListener, places: Arc<Places>) -> Self {
        Self { listener, places }
    }

    /// Takes the socket out of this event loop again, since another may be the one that serves it.
    async fn accept(&self) -> io::Result<(std::net::TcpStream, SocketAddr)> {
        let (stream, client) = self.listener.accept().await?;
        Ok((stream.into_std()?, client))
    }

    /// The next connection. Errors that a retry can cure (out of descriptors, a peer that reset early) are
    /// told to `on_error` and waited out.
    pub async fn next(&self, on_error: impl Fn(&io::Error)) -> Arrival {
        let mut pause = BACK_OFF.0;
        loop {
            match self.accept().await {
                Ok((stream, client)) => {
                    tune(&stream);
                    // Not before accepting: a listener that waits would keep a place from the others. The
                    // connections behind this one stay in the kernel's backlog.
                    let place = self.places.take(client.ip()).await;
                    return Arrival {
                        id: next_id(),
                        client,
                        stream,
                        at: Instant::now(),
                        place,
                    };
                }
                Err(error) => {
                    on_error(&error);
                    if !is_per_connection(&error) {
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(BACK_OFF.1);
                    }
                }
            }
        }
    }
}

/// An error of the connection that would have been accepted, not of the listener.
fn is_per_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// Nagle off, since a frame must not wait for an acknowledgement; keep-alive probes on, since an idle
/// WebSocket would never notice a peer that vanished.
pub fn tune(stream: &impl AsFd) {
    let socket = socket2::SockRef::from(stream);
    let _ = socket.set_tcp_nodelay(true);
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(20))
        .with_retries(4);
    let _ = socket.set_tcp_keepalive(&keepalive);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_that_nobody_uses_takes_no_place_from_another() {
        let places = Places::new(1, ClientLimits::none());
        let listener = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (idle, busy) = (listener().await, listener().await);
        let address = busy.local_addr().unwrap();
        let idle = Acceptor::new(idle, Arc::clone(&places));
        let busy = Acceptor::new(busy, Arc::clone(&places));
        let _client = tokio::net::TcpStream::connect(address).await.unwrap();
        let accepted = tokio::select! {
            biased;
            _ = idle.next(|_| {}) => panic!("nobody connected there"),
            arrival = tokio::time::timeout(Duration::from_secs(30), busy.next(|_| {})) => arrival,
        };
        let first = accepted.unwrap();

        // The limit holds: the next one waits until the first has gone.
        let _second = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut next = std::pin::pin!(busy.next(|_| {}));
        assert!(
            tokio::time::timeout(Duration::from_millis(20), next.as_mut())
                .await
                .is_err()
        );
        drop(first);
        assert!(tokio::time::timeout(Duration::from_secs(30), next).await.is_ok());
    }
}
