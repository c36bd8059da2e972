//! What the proxy has dialled for connections that the kernel caught. If that is caught as well, since somebody forgot to
//! exempt the proxy's own traffic, each connection would beget another, for ever.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct OwnDials {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How many dials to each address have not come to an end.
    under_way: HashMap<SocketAddr, usize>,
    /// The proxy's ends of those that did.
    open: HashSet<SocketAddr>,
}

/// A dial that has not come to an end.
#[derive(Debug)]
pub(super) struct Dialling {
    all: Arc<OwnDials>,
    to: SocketAddr,
}

/// A connection that was dialled, while it is open.
#[derive(Debug)]
pub(super) struct Dialled {
    all: Arc<OwnDials>,
    own_end: SocketAddr,
}

impl OwnDials {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a dial.
    pub(super) fn begin(self: &Arc<Self>, to: SocketAddr) -> Dialling {
        *self.state().under_way.entry(to).or_default() += 1;
        Dialling {
            all: Arc::clone(self),
            to,
        }
    }

    /// Whether a client of this machine is the proxy itself, which has dialled `to`. The kernel may have caught a connection
    /// before whoever dialled it knows that it is open: such dials are waited for.
    pub(super) async fn has_dialled(&self, client: SocketAddr, to: SocketAddr) -> bool {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let state = self.state();
                if state.open.contains(&client) {
                    return true;
                }
                if !state.under_way.contains_key(&to) {
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
        all.state().open.insert(own_end);
        drop(self);
        Dialled { all, own_end }
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        let mut state = self.all.state();
        if let Some(count) = state.under_way.get_mut(&self.to) {
            *count -= 1;
            if *count == 0 {
                state.under_way.remove(&self.to);
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
        assert!(!all.has_dialled(own, to).await);
        let (first, second) = (all.begin(to), all.begin(to));
        let mut asked = Box::pin(all.has_dialled(own, to));
        let mut stranger = Box::pin(all.has_dialled(other, to));
        let waits = std::future::poll_fn(|cx| {
            Poll::Ready(asked.as_mut().poll(cx).is_pending() && stranger.as_mut().poll(cx).is_pending())
        });
        assert!(waits.await);
        let open = first.done(own);
        assert!(asked.await);
        drop(second);
        assert!(!stranger.await);
        assert!(!all.has_dialled(other, to).await);
        drop(open);
        assert!(!all.has_dialled(own, to).await);
    }
}
