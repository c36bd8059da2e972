//! What the requests of one connection have in common.

use crate::accept::{Carried, ForwardedFor, Places, Who};
use crate::http::exchange::judge::Judge;
use crate::http::exchange::pace::Pace;
use crate::http::fallback::Fallback;
use crate::http::pages::Pages;
use crate::http::watch::Watch;
use crate::identity::Identity;
use crate::inspect::{Inspector, Room};
use crate::wire::headers::Headers;
use http::HeaderName;
use http::header::ALT_SVC;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the requests of one connection have in common.
#[derive(Clone)]
pub struct ExchangeContext {
    /// Whose connection it is. A request's client may be another one: see [`requester`](Self::requester).
    pub who: Who,
    /// Proxies in front, among them the one that has connected, that are believed about whose requests are.
    pub forwarded: Option<Arc<ForwardedFor>>,
    /// The address whose limits hold for it: its client's, or that of the load balancer which speaks for it.
    pub peer: IpAddr,
    /// What people see when the proxy answers by itself.
    pub pages: Arc<Pages>,
    /// Whose request it is.
    pub requester: Requester,
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
    /// Whether clients are not told of other ways to the origin (Alt-Svc, RFC 7838), which would lead past the proxy.
    pub hides_alternatives: bool,
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

/// Whose request is under way. Users and clients may share a connection on which each request says whose it is.
#[derive(Debug, Clone, Default)]
pub struct Requester(Arc<Mutex<Asker>>);

#[derive(Debug, Default)]
struct Asker {
    user: Option<Arc<Identity>>,
    client: Option<IpAddr>,
}

impl Requester {
    /// Who it is; `None` where nobody has said so.
    pub fn user(&self) -> Option<Arc<Identity>> {
        self.asker().user.clone()
    }

    /// From now on it is this user's.
    pub fn is_of_user(&self, user: Option<Arc<Identity>>) {
        self.asker().user = user;
    }

    /// The client that a proxy in front has named which is believed; `None` where it is whoever has connected.
    pub fn client(&self) -> Option<IpAddr> {
        self.asker().client
    }

    fn is_of_client(&self, client: Option<IpAddr>) {
        self.asker().client = client;
    }

    fn asker(&self) -> MutexGuard<'_, Asker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExchangeContext {
    /// Who is served, as logs have it.
    pub(in crate::http) fn who(&self) -> Who {
        let asker = self.requester.asker();
        Who {
            connection: self.who.connection,
            user: asker.user.clone(),
            client: asker.client.unwrap_or(self.who.client),
        }
    }

    /// Whose request it is, by its address.
    pub fn client(&self) -> IpAddr {
        self.requester.client().unwrap_or(self.who.client)
    }

    /// Takes out of a response what its client is not to be told.
    pub(in crate::http) fn hide(&self, headers: &mut impl Headers) {
        if self.hides_alternatives {
            headers.remove(&ALT_SVC);
        }
    }

    /// Hears of a request whose it is, from a proxy in front that is believed.
    pub fn hear(&self, headers: &impl Headers) {
        if let Some(trust) = &self.forwarded {
            self.requester.is_of_client(trust.client(headers));
        }
    }

    /// The same for one of several requests that are under way at once.
    pub(in crate::http) fn apart(&self) -> Self {
        let requester = Requester::default();
        requester.is_of_user(self.requester.user());
        Self {
            requester,
            ..self.clone()
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
