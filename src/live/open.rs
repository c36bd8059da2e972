//! What is open now, with counters that are read while they count.

use crate::accept::Carried;
use crate::decide::ActKind;
use crate::drain::{Recall, RelayDrain};
use crate::identity::Identity;
use crate::inspect::Mask;
use crate::relay::FrameTallies;
use crate::wire::names::Authority;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

/// All connections that are open.
#[derive(Debug, Default)]
pub struct OpenConnections {
    open: Mutex<HashMap<u64, Arc<OpenConnection>>>,
}

/// What is known of a connection by now.
#[derive(Debug, Clone, Default)]
pub struct KnownFacts {
    /// Whose it is: a proxy in front may say so late, and of each request anew.
    pub client: Option<SocketAddr>,
    /// Who the client has shown to be.
    pub user: Option<Arc<Identity>>,
    /// What was asked for last.
    pub target: Option<Authority>,
    /// The name in the ClientHello.
    pub sni: Option<Box<str>>,
    /// What was decided.
    pub action: Option<ActKind>,
    /// The rule of the policy that led to that.
    pub rule: Option<Arc<str>>,
    /// The version of TLS with the client, inside of its tunnel.
    pub tls: Option<&'static str>,
    /// It was agreed on HTTP/2 with the client.
    pub is_http2: bool,
}

/// One of them.
#[derive(Debug)]
pub struct OpenConnection {
    /// Its number, as in the access log.
    pub id: u64,
    /// The address and port of the client.
    pub client: SocketAddr,
    /// The name of the listener that it came in by.
    pub listener: Arc<str>,
    /// The connection whose HTTP/2 stream this is.
    pub inside: Option<u64>,
    /// Since when it is open.
    pub since: Instant,
    /// What it has carried beside WebSockets.
    pub carried: Arc<Carried>,
    known: Mutex<KnownFacts>,
    /// Nearly all have one and no more.
    relays: Mutex<SmallVec<[Arc<OpenRelay>; 1]>>,
    closing: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// What is relayed.
#[derive(Debug)]
pub enum RelayKind {
    /// A WebSocket.
    WebSocket {
        /// `wss://host/path` or `ws://host/path`, without a query.
        url: OpenUrl,
        /// The subprotocol that the origin chose.
        subprotocol: Option<Box<str>>,
        /// Whether messages may be compressed.
        is_compressed: bool,
        /// Whether HTTP/2 carries it.
        is_http2: bool,
        /// What has passed by now, by direction.
        tallies: Arc<[FrameTallies; 2]>,
    },
    /// Bytes of a connection that was decrypted.
    Opaque,
    /// A connection that is not decrypted.
    Spliced,
}

/// The URL of something open. A path may hold secrets too; they are masked when somebody looks for the first time.
#[derive(Debug)]
pub struct OpenUrl {
    url: Arc<str>,
    shown: OnceLock<Box<str>>,
}

impl OpenUrl {
    /// This one.
    pub const fn new(url: Arc<str>) -> Self {
        Self {
            url,
            shown: OnceLock::new(),
        }
    }

    /// With its secrets masked.
    pub fn shown(&self) -> &str {
        self.shown.get_or_init(|| Mask(true).text(&self.url).into())
    }
}

/// A relay on a connection.
#[derive(Debug)]
pub struct OpenRelay {
    /// The number of the WebSocket, as in the access log; 0 for what is none.
    pub id: u64,
    /// What it is.
    pub kind: RelayKind,
    /// Since when it is open.
    pub since: Instant,
    drain: RelayDrain,
}

impl OpenRelay {
    /// Ends it.
    pub fn close(&self) {
        self.drain.recall(Recall::Operator);
    }
}

/// A connection's place in the table, until it is dropped.
#[derive(Debug)]
pub struct OpenPlace {
    all: Arc<OpenConnections>,
    connection: Arc<OpenConnection>,
}

/// A relay's place on its connection, until it is dropped.
#[derive(Debug)]
pub struct RelayPlace {
    connection: Arc<OpenConnection>,
    relay: Arc<OpenRelay>,
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OpenConnections {
    /// A connection has begun.
    pub fn enter(
        self: &Arc<Self>,
        id: u64,
        client: SocketAddr,
        listener: &Arc<str>,
        since: Instant,
    ) -> OpenPlace {
        self.enter_inside(id, client, listener, since, None)
    }

    /// The same for a stream of HTTP/2 that is a connection of its own, `inside` of another.
    pub fn enter_inside(
        self: &Arc<Self>,
        id: u64,
        client: SocketAddr,
        listener: &Arc<str>,
        since: Instant,
        inside: Option<u64>,
    ) -> OpenPlace {
        let connection = Arc::new(OpenConnection {
            id,
            client,
            listener: Arc::clone(listener),
            inside,
            since,
            carried: Arc::default(),
            known: Mutex::default(),
            relays: Mutex::default(),
            closing: AtomicBool::new(false),
            waker: Mutex::default(),
        });
        locked(&self.open).insert(id, Arc::clone(&connection));
        OpenPlace {
            all: Arc::clone(self),
            connection,
        }
    }

    /// The connection of this number, if it is open.
    pub fn find(&self, id: u64) -> Option<Arc<OpenConnection>> {
        locked(&self.open).get(&id).cloned()
    }

    /// All of them, by their numbers.
    pub fn all(&self) -> Vec<Arc<OpenConnection>> {
        let mut all: Vec<_> = locked(&self.open).values().cloned().collect();
        all.sort_unstable_by_key(|connection| connection.id);
        all
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        locked(&self.open).len()
    }
}

impl OpenConnection {
    /// What is known of it by now.
    pub fn known(&self) -> KnownFacts {
        locked(&self.known).clone()
    }

    /// Now this is known of it.
    pub fn learn(&self, known: KnownFacts) {
        *locked(&self.known) = known;
    }

    /// What is relayed on it: one, or with HTTP/2 any number of WebSockets.
    pub fn relays(&self) -> Vec<Arc<OpenRelay>> {
        locked(&self.relays).to_vec()
    }

    /// A relay has begun, which `drain` ends.
    pub fn relay(self: &Arc<Self>, id: u64, kind: RelayKind, drain: &RelayDrain) -> RelayPlace {
        let relay = Arc::new(OpenRelay {
            id,
            kind,
            since: Instant::now(),
            drain: drain.clone(),
        });
        locked(&self.relays).push(Arc::clone(&relay));
        RelayPlace {
            connection: Arc::clone(self),
            relay,
        }
    }

    /// Ends it: WebSockets with a Close, everything else at once.
    pub fn close(&self) {
        let relays = self.relays();
        relays.iter().for_each(|relay| relay.close());
        if relays.is_empty() {
            self.closing.store(true, Ordering::SeqCst);
            if let Some(waker) = locked(&self.waker).take() {
                waker.wake();
            }
        }
    }

    /// Whether somebody wants it to end at once.
    pub fn is_to_close(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Lives until the end of its `life`, or until somebody ends it before: `None`. Costs a load each time it is woken, and
    /// a lock the first time.
    ///
    /// Whoever calls keeps the life: here it would have its place twice.
    pub async fn unless_closed<T>(&self, mut life: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let mut is_known = false;
        poll_fn(|cx| {
            if !is_known {
                // It stays in one task from here on.
                *locked(&self.waker) = Some(cx.waker().clone());
                is_known = true;
            }
            if self.closing.load(Ordering::SeqCst) {
                return Poll::Ready(None);
            }
            life.as_mut().poll(cx).map(Some)
        })
        .await
    }
}

impl OpenPlace {
    /// The connection.
    pub fn connection(&self) -> &Arc<OpenConnection> {
        &self.connection
    }
}

impl Drop for OpenPlace {
    fn drop(&mut self) {
        let mut open = locked(&self.all.open);
        // It may have begun anew.
        let is_its_own = |known: &Arc<OpenConnection>| Arc::ptr_eq(known, &self.connection);
        if open.get(&self.connection.id).is_some_and(is_its_own) {
            open.remove(&self.connection.id);
        }
    }
}

impl Drop for RelayPlace {
    fn drop(&mut self) {
        locked(&self.connection.relays).retain(|relay| !Arc::ptr_eq(relay, &self.relay));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    fn enter(all: &Arc<OpenConnections>, id: u64) -> OpenPlace {
        all.enter(
            id,
            "192.0.2.1:5000".parse().unwrap(),
            &"proxy".into(),
            Instant::now(),
        )
    }

    #[test]
    fn what_is_over_is_not_in_the_table() {
        let all = Arc::<OpenConnections>::default();
        let (two, one) = (enter(&all, 2), enter(&all, 1));
        let ids = |all: &OpenConnections| all.all().iter().map(|it| it.id).collect::<Vec<_>>();
        assert_eq!(ids(&all), [1, 2]);
        let relay = one.connection().relay(7, RelayKind::Opaque, &RelayDrain::new());
        assert_eq!(all.find(1).unwrap().relays()[0].id, 7);
        drop(relay);
        assert!(all.find(1).unwrap().relays().is_empty());
        drop(one);
        assert_eq!(
            (ids(&all), all.count(), all.find(1).is_none()),
            (vec![2], 1, true)
        );
        drop(two);
        assert_eq!(all.count(), 0);
    }

    #[tokio::test]
    async fn a_connection_ends_when_it_is_closed_and_not_before() {
        let all = Arc::<OpenConnections>::default();
        let place = enter(&all, 1);
        assert_eq!(place.connection().unless_closed(pin!(async { 5 })).await, Some(5));
        let waiting = Arc::clone(place.connection());
        let task =
            tokio::spawn(async move { waiting.unless_closed(pin!(std::future::pending::<()>())).await });
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        all.find(1).unwrap().close();
        assert_eq!(task.await.unwrap(), None);
        assert!(place.connection().is_to_close());
    }

    #[tokio::test]
    async fn a_relay_is_ended_by_its_own_way() {
        let all = Arc::<OpenConnections>::default();
        let place = enter(&all, 1);
        let drain = RelayDrain::new();
        let _relay = place.connection().relay(3, RelayKind::Spliced, &drain);
        place.connection().close();
        drain.begun().await;
        assert_eq!(drain.recalled(), Some(Recall::Operator));
        assert!(!place.connection().is_to_close());
    }
}
