//! What the requests of one connection have in common.

use crate::accept::{Carried, Places, Who};
use crate::http::exchange::judge::Judge;
use crate::http::exchange::pace::Pace;
use crate::http::fallback::Fallback;
use crate::http::pages::Pages;
use crate::http::watch::Watch;
use crate::identity::Identity;
use crate::inspect::{Inspector, Room};
use arc_swap::ArcSwapOption;
use http::HeaderName;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What the requests of one connection have in common.
#[derive(Clone)]
pub struct ExchangeContext {
    /// Whose connection it is.
    pub who: Who,
    /// The address whose limits hold for it: its client's, or that of the load balancer which speaks for it.
    pub peer: IpAddr,
    /// What people see when the proxy answers by itself.
    pub pages: Arc<Pages>,
    /// Whose request it is.
    pub user: CurrentUser,
    /// Says what may go on, and how.
    pub judge: Arc<dyn Judge>,
    /// The fields of requests that are logged.
    pub logged: Arc<[HeaderName]>,
    /// Who is told about exchanges.
    pub watch: Arc<dyn Watch>,
    /// What each client has and may have.
    pub places: Arc<Places>,
    /// Looks into what passes.
    pub inspector: Arc<Inspector>,
    /// What the connection keeps of bodies until they are judged.
    pub kept: Arc<Room>,
    /// The origin's address, where all requests go to one that is known.
    pub origin: Option<IpAddr>,
    /// What its connection has carried, for whoever looks meanwhile.
    pub carried: Arc<Carried>,
    /// The largest head, in bytes.
    pub header_bytes: usize,
    /// How long the head of a request may take.
    pub request_head: Duration,
    /// How long an origin may stay silent before its response's head.
    pub response: Duration,
    /// How long a connection may be quiet between requests.
    pub idle: Duration,
    /// How long a response may be quiet that says something when there is something to say.
    pub stream_idle: Duration,
    /// How fast the content of a message has to come.
    pub pace: Pace,
    /// The way back to HTTP/1.1, where HTTP/2 was agreed to.
    pub fallback: Option<Fallback>,
}

/// The user whose request is under way. Users may share a connection on which each request says whose it is.
#[derive(Debug, Clone, Default)]
pub struct CurrentUser(Arc<ArcSwapOption<Identity>>);

impl CurrentUser {
    /// Who it is; `None` where nobody has said so.
    pub fn get(&self) -> Option<Arc<Identity>> {
        self.0.load_full()
    }

    /// From now on it is this one.
    pub fn set(&self, user: Option<Arc<Identity>>) {
        self.0.store(user);
    }
}

impl ExchangeContext {
    /// Who is served, as logs have it.
    pub(in crate::http) fn who(&self) -> Who {
        Who {
            user: self.user.get(),
            ..self.who.clone()
        }
    }

    /// How long nothing of a response may move.
    pub(in crate::http) fn patience(&self, is_stream: bool) -> Duration {
        let usual = self.response.saturating_add(self.idle);
        if is_stream {
            usual.max(self.stream_idle)
        } else {
            usual
        }
    }
}
