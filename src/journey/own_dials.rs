//! What the proxy has dialled for connections that the kernel caught. If that is caught as well, since somebody forgot to
//! exempt the proxy's own traffic, each connection would beget another, for ever.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct OwnDials {
    state: Mutex<State>,
    changed: Notify,
}

/// Where a dial goes, and the address of the client's that it comes from, if it does.
type Dial = (SocketAddr, Option<IpAddr>);

/// The proxy's end of a connection, and where it goes if that end has a client's address: the client itself may use the same
/// port to go elsewhere.
type OwnEnd = (SocketAddr, Option<SocketAddr>);

#[derive(Debug, Default)]
struct State {
    /// How many dials to each address have not come to an end, by whose address they come from where it is not the proxy's own.
    under_way: HashMap<Dial, usize>,
    /// The proxy's ends of those that did.
    open: HashSet<OwnEnd>,
}

/// A dial that has not come to an end.
#[derive(Debug)]
pub(super) struct Dialling {
    all: Arc<OwnDials>,
    dial: Dial,
}

/// A connection that was dialled, while it is open.
#[derive(Debug)]
pub(super) struct Dialled {
    all: Arc<OwnDials>,
    own_end: OwnEnd,
}

impl OwnDials {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a dial, `from` a client's address or the proxy's own.
    pub(super) fn begin(self: &Arc<Self>, to: SocketAddr, from: Option<IpAddr>) -> Dialling {
        let dial = (to, from);
        *self.state().under_way.entry(dial).or_default() += 1;
        Dialling {
            all: Arc::clone(self),
            dial,
        }
    }

    /// Whether a client is the proxy itself, which has dialled `to`, `from` the address of a client of its own or from this
    /// machine's. The kernel may have caught a connection before whoever dialled it knows that it is open: such dials are waited for.
    pub(super) async fn has_dialled(&self, client: SocketAddr, to: SocketAddr, from: Option<IpAddr>) -> bool {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let state = self.state();
                if state.open.contains(&(client, None)) || state.open.contains(&(client, Some(to))) {
                    return true;
                }
                if !state.under_way.contains_key(&(to, from)) {
                    return false;
                }
            }
            changed.await;
        }
    }
}

impl Dialling {
    /// It is open; `own_end` is the proxy's.
    pub(super) fn done(self, own_end: SocketAddr) -> Dialled {
        let all = Arc::clone(&self.all);
        let (to, from) = self.dial;
        let own_end = SocketAddr::new(own_end.ip().to_canonical(), own_end.port());
        let own_end = (own_end, (from == Some(own_end.ip())).then_some(to));
        all.state().open.insert(own_end);
        drop(self);
        Dialled { all, own_end }
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        let mut state = self.all.state();
        if let Some(count) = state.under_way.get_mut(&self.dial) {
            *count -= 1;
            if *count == 0 {
                state.under_way.remove(&self.dial);
            }
        }
        drop(state);
        self.all.changed.notify_waiters();
    }
}

impl Drop for Dialled {
    fn drop(&mut self) {
        self.all.state().open.remove(&self.own_end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll;

    #[tokio::test]
    async fn who_is_caught_dialling_is_known_even_before_it_knows_itself() {
        let all = Arc::<OwnDials>::default();
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (to, own, other) = (at("192.0.2.1:443"), at("10.0.0.1:4000"), at("10.0.0.2:4000"));
        assert!(!all.has_dialled(own, to, None).await);
        let (first, second) = (all.begin(to, None), all.begin(to, None));
        let mut asked = Box::pin(all.has_dialled(own, to, None));
        let mut stranger = Box::pin(all.has_dialled(other, to, None));
        let waits = std::future::poll_fn(|cx| {
            Poll::Ready(asked.as_mut().poll(cx).is_pending() && stranger.as_mut().poll(cx).is_pending())
        });
        assert!(waits.await);
        let open = first.done(own);
        assert!(asked.await);
        drop(second);
        assert!(!stranger.await);
        assert!(!all.has_dialled(other, to, None).await);
        drop(open);
        assert!(!all.has_dialled(own, to, None).await);
    }

    #[tokio::test]
    async fn who_comes_from_its_clients_address_waits_for_that_clients_dials_alone() {
        let all = Arc::<OwnDials>::default();
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (to, one, two) = (at("192.0.2.1:443"), at("10.0.0.1:4000"), at("10.0.0.2:4000"));
        let dialling = all.begin(to, Some(one.ip()));
        assert!(!all.has_dialled(two, to, Some(two.ip())).await);
        assert!(!all.has_dialled(two, to, None).await);
        let mut asked = Box::pin(all.has_dialled(one, to, Some(one.ip())));
        let waits = std::future::poll_fn(|cx| Poll::Ready(asked.as_mut().poll(cx).is_pending()));
        assert!(waits.await);
        let open = dialling.done(one);
        assert!(asked.await);
        drop(open);
    }

    #[tokio::test]
    async fn a_client_may_go_elsewhere_by_the_port_that_the_proxy_has_at_its_address() {
        let all = Arc::<OwnDials>::default();
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (to, elsewhere, client) = (at("192.0.2.1:443"), at("192.0.2.2:443"), at("10.0.0.1:4000"));
        let open = all.begin(to, Some(client.ip())).done(client);
        assert!(all.has_dialled(client, to, Some(client.ip())).await);
        assert!(!all.has_dialled(client, elsewhere, Some(client.ip())).await);
        drop(open);
        assert!(!all.has_dialled(client, to, Some(client.ip())).await);
        // An end of its own, which the dial has got in the place of the client's, is the proxy wherever it goes.
        let own = at("10.0.0.9:4000");
        let open = all.begin(to, Some(client.ip())).done(own);
        assert!(all.has_dialled(own, elsewhere, None).await);
        drop(open);
        assert!(!all.has_dialled(own, elsewhere, None).await);
    }
}
