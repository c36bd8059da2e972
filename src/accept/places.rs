//! The places that connections have, all together and client by client.

use super::client_limits::{ClientLimit, ClientLimits};
use super::clients::{Clients, Open};
use arc_swap::ArcSwap;
use ipnet::IpNet;
use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that are told at one time why they get no place; what comes beyond them is closed without a word, since a
/// refusal must not become what a flood is made of.
const REFUSALS: usize = 64;

/// The places of a process, and who has them.
#[derive(Debug)]
pub struct Places {
    all: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    limits: ArcSwap<ClientLimits>,
    clients: Clients,
}

/// Why there is no place for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// All are taken.
    All,
    /// Its client has too much already.
    Client(ClientLimit),
}

/// A connection's place. Given back when dropped.
#[derive(Debug)]
pub struct ConnectionPlace {
    _one: OwnedSemaphorePermit,
    _of_client: ClientHold,
}

/// One more of what a client has; nothing if it has no limits. Given back when dropped.
#[derive(Debug)]
pub struct ClientHold {
    _counted: Option<Counted>,
}

#[derive(Debug)]
struct Counted {
    places: Arc<Places>,
    client: IpNet,
    what: Open,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.places.clients.close(self.client, self.what);
    }
}

impl Places {
    /// So many places for connections.
    pub fn new(connections: usize, limits: ClientLimits) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            limits: ArcSwap::from_pointee(limits),
            clients: Clients::new(),
        })
    }

    /// From now on clients have these limits. Nobody loses what it has.
    pub fn limit(&self, limits: ClientLimits) {
        self.limits.store(Arc::new(limits));
    }

    /// A place for a connection from this address, once there is one.
    ///
    /// # Errors
    /// Its client has too much already; nobody waited for that.
    pub async fn take(self: &Arc<Self>, address: IpAddr) -> Result<ConnectionPlace, ClientLimit> {
        let of_client = self.connection(address)?;
        match Arc::clone(&self.all).acquire_owned().await {
            Ok(one) => Ok(ConnectionPlace {
                _one: one,
                _of_client: of_client,
            }),
            // The semaphore is never closed.
            Err(_) => pending().await,
        }
    }

    /// The same for what cannot wait.
    ///
    /// # Errors
    /// There is none, or its client has too much already.
    pub fn try_take(self: &Arc<Self>, address: IpAddr) -> Result<ConnectionPlace, NoPlace> {
        let of_client = self.connection(address).map_err(NoPlace::Client)?;
        match Arc::clone(&self.all).try_acquire_owned() {
            Ok(one) => Ok(ConnectionPlace {
                _one: one,
                _of_client: of_client,
            }),
            Err(_) => Err(NoPlace::All),
        }
    }

    fn connection(self: &Arc<Self>, address: IpAddr) -> Result<ClientHold, ClientLimit> {
        let limits = self.limits.load();
        let free = self.all.available_permits();
        self.hold(&limits, address, Open::Connection, |held| {
            limits.refuses_connection(held, free)
        })
    }

    /// One more WebSocket for a client of this address.
    ///
    /// # Errors
    /// It has as many as it may have.
    pub fn websocket(self: &Arc<Self>, address: IpAddr) -> Result<ClientHold, ClientLimit> {
        let limits = self.limits.load();
        self.hold(&limits, address, Open::WebSocket, |held| {
            limits.refuses_websocket(held).then_some(ClientLimit::WebSockets)
        })
    }

    fn hold(
        self: &Arc<Self>,
        limits: &ClientLimits,
        address: IpAddr,
        what: Open,
        refuses: impl FnOnce(usize) -> Option<ClientLimit>,
    ) -> Result<ClientHold, ClientLimit> {
        let Some(client) = limits.client(address) else {
            return Ok(ClientHold { _counted: None });
        };
        self.clients.open(client, what, refuses)?;
        let counted = Counted {
            places: Arc::clone(self),
            client,
            what,
        };
        Ok(ClientHold {
            _counted: Some(counted),
        })
    }

    /// One more handshake of a client of this address.
    ///
    /// # Errors
    /// It has to wait for so long.
    pub fn shake_hands(&self, address: IpAddr) -> Result<(), Duration> {
        let limits = self.limits.load();
        match (limits.handshakes(), limits.client(address)) {
            (Some((interval, ahead)), Some(client)) => {
                self.clients.shake_hands(client, interval, ahead, Instant::now())
            }
            _ => Ok(()),
        }
    }

    /// Leave to tell a client why it gets no place; `None` while many are being told.
    pub fn refusal(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.refusals).try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn places(total: usize, limits: ClientLimits) -> Arc<Places> {
        Places::new(total, limits)
    }

    fn all_of(places: &Arc<Places>, address: IpAddr) -> (Vec<ConnectionPlace>, NoPlace) {
        let mut taken = Vec::new();
        loop {
            match places.try_take(address) {
                Ok(place) => taken.push(place),
                Err(why) => return (taken, why),
            }
        }
    }

    #[test]
    fn idle_connections_of_one_client_leave_the_last_places_to_others() {
        let limits = ClientLimits {
            share_percent: 90,
            ..ClientLimits::none()
        };
        let places = places(100, limits.clone());
        let (a, why) = all_of(&places, A);
        assert_eq!((a.len(), why), (90, NoPlace::Client(ClientLimit::Share)));
        let (b, _) = all_of(&places, B);
        assert_eq!(b.len(), 9);
        drop(a);
        assert_eq!(all_of(&places, A).0.len(), 81, "nine for each that is left of 91");

        // Who is exempt has them all, and nobody is hindered by what it takes of a limit of its own.
        places.limit(ClientLimits {
            except: vec!["192.0.2.1".parse::<IpAddr>().unwrap().into()],
            ..limits
        });
        let (a, why) = all_of(&places, A);
        assert_eq!((a.len(), why), (91, NoPlace::All));
        assert!(matches!(
            places.try_take(B),
            Err(NoPlace::Client(ClientLimit::Share))
        ));
    }

    #[test]
    fn what_is_given_back_can_be_had_again() {
        let limits = ClientLimits {
            connections: 2,
            websockets: 1,
            ..ClientLimits::none()
        };
        let places = places(3, limits);
        let (a, why) = all_of(&places, A);
        assert_eq!((a.len(), why), (2, NoPlace::Client(ClientLimit::Connections)));
        let websocket = places.websocket(A).unwrap();
        assert_eq!(places.websocket(A).unwrap_err(), ClientLimit::WebSockets);
        assert!(places.websocket(B).is_ok());
        drop((a, websocket));
        assert!(places.websocket(A).is_ok());
        let (b, why) = all_of(&places, B);
        assert_eq!((b.len(), why), (2, NoPlace::Client(ClientLimit::Connections)));
        let (a, why) = all_of(&places, A);
        assert_eq!((a.len(), why), (1, NoPlace::All));
        drop((a, b));
        assert_eq!(places.clients.known(), 0, "nothing is kept of who has nothing");
    }

    #[test]
    fn handshakes_are_limited_only_where_that_is_wanted() {
        let places = places(1, ClientLimits::none());
        for _ in 0..1000 {
            assert_eq!(places.shake_hands(A), Ok(()));
        }
        assert_eq!(places.clients.known(), 0);
        places.limit(ClientLimits {
            handshakes_per_second: 1,
            handshake_burst: 2,
            ..ClientLimits::none()
        });
        assert!(places.shake_hands(A).is_ok() && places.shake_hands(A).is_ok());
        let wait = places.shake_hands(A).unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        assert!(places.shake_hands(B).is_ok());
    }

    #[tokio::test]
    async fn who_waits_for_a_place_gets_the_next_one() {
        let places = places(1, ClientLimits::none());
        let first = places.take(A).await.unwrap();
        let mut second = Box::pin(places.take(B));
        let waits = std::future::poll_fn(|cx| Poll::Ready(second.as_mut().poll(cx).is_pending())).await;
        assert!(waits);
        drop(first);
        assert!(second.await.is_ok());
    }

    #[test]
    fn only_so_many_are_told_at_once() {
        let places = places(1, ClientLimits::none());
        let told: Vec<_> = std::iter::from_fn(|| places.refusal()).collect();
        assert_eq!(told.len(), REFUSALS);
        drop(told);
        assert!(places.refusal().is_some());
    }
}
