//! What a connection goes by.

use super::clock::Clock;
use super::sites::Sites;
use crate::accept::{ClientLimits, ForwardedFor, ProxyProtocol};
use crate::admit::{Admission, LaterRoad};
use crate::decide::nets::Reach;
use crate::decide::policy::Policy;
use crate::decide::{Direct, ParentOrder, Treatment};
use crate::dial::{Deadlines, Hosts, Network, Parents, Resolver, Route};
use crate::handshake::ca::Ca;
use crate::handshake::forge::Forge;
use crate::handshake::origin::Upstream;
use crate::handshake::{ClientAuth, CrlShelf, ListenerTls, OwnCertificate};
use crate::http::Pages;
use crate::inspect::Inspection;
use crate::live::ViewConfig;
use crate::portal::Portal;
use crate::report::admin::{AdminAccess, ConsoleAccess};
use http::HeaderName;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Reading the first request's head.
    pub request_head: Duration,
    /// Waiting for the first bytes inside a CONNECT.
    pub peek: Duration,
    /// Resolving a name.
    pub dns: Duration,
    /// Connecting to an origin, over all its addresses.
    pub dial: Duration,
    /// One TLS handshake.
    pub handshake: Duration,
    /// An origin's silence before its response.
    pub response: Duration,
    /// An HTTP connection's silence between requests.
    pub http_idle: Duration,
    /// A WebSocket's silence.
    pub websocket_idle: Duration,
    /// An opaque tunnel's silence.
    pub tunnel_idle: Duration,
    /// In which the process says that it is about to end, and goes on as before.
    pub lame_duck: Duration,
    /// Draining, as a whole.
    pub drain: Duration,
    /// In which so much of a body has to come, while its sender is waited for.
    pub slow_body: Duration,
}

/// How much of anything there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyLimits {
    /// Client connections at once; more wait in the kernel's backlog.
    pub connections: usize,
    /// One request's or response's head, in bytes.
    pub header_bytes: usize,
    /// What has to come of a body in [`Timeouts::slow_body`]; 0 if any pace will do.
    pub slow_body_bytes: u64,
}

/// What the log is to have of requests and of open WebSockets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logged {
    /// The fields of a request that its line has.
    pub headers: Arc<[HeaderName]>,
    /// How often an open WebSocket is told of; `None` for never.
    pub websocket_interval: Option<Duration>,
}

/// What a change of the policy does to what is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnChange {
    /// It goes on as it began.
    #[default]
    Keep,
    /// Requests are judged anew. What is relayed ends if it is not let be any more, at once if it is denied, else spread
    /// over this time.
    Close {
        /// So long.
        within: Duration,
    },
}

/// What vouches for a name that a client gives, whose connection was caught on its way to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameTrust {
    /// The origin's certificate; for what is in the open, that the name has the address.
    #[default]
    Verify,
    /// That the name has the address, by the proxy's own look-up.
    Resolve,
}

/// What a listener has of its own, and a reload may change.
#[derive(Debug, Clone)]
pub struct ListenerOptions {
    /// What clients are shown that speak TLS with the proxy itself.
    pub tls: ListenerTls,
    /// Whether they are not offered HTTP/2.
    pub only_http1: bool,
    /// Who says whose connections are; `None` where nobody is listened to.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Proxies in front that say whose requests are; `None` where nobody is listened to.
    pub forwarded_for: Option<Arc<ForwardedFor>>,
    /// What vouches for the names that clients give, where the kernel has caught their connections.
    pub names: NameTrust,
    /// One's own origins, where it leads to these.
    pub sites: Option<Arc<Sites>>,
}

/// What each listener has of its own.
#[derive(Debug, Clone)]
pub struct Listeners {
    named: HashMap<Arc<str>, Arc<ListenerOptions>>,
    usual: Arc<ListenerOptions>,
}

impl Listeners {
    /// Those that have something of their own, and what all others have.
    pub fn new(named: HashMap<Arc<str>, Arc<ListenerOptions>>, usual: ListenerOptions) -> Self {
        let usual = Arc::new(usual);
        Self { named, usual }
    }

    /// What the listener of this name has.
    pub fn of(&self, name: &str) -> &Arc<ListenerOptions> {
        self.named.get(name).unwrap_or(&self.usual)
    }

    /// Keeps what listeners have of which this says nothing: sockets stay open until a restart, whatever a reload takes out.
    pub(super) fn keep(&mut self, before: &Self) {
        for (name, options) in &before.named {
            (self.named.entry(Arc::clone(name))).or_insert_with(|| Arc::clone(options));
        }
    }
}

/// Everything that a reload replaces. A connection keeps what it began with.
#[derive(Debug)]
pub struct Config {
    /// What happens to whom.
    pub policy: Policy,
    /// What this policy does to what is open when it comes.
    pub on_change: OnChange,
    /// How clients show who they are; `None` where nobody is asked. Survives a reload that keeps its settings.
    pub admission: Option<Arc<Admission>>,
    /// Leads it to an issuer's keys, once there is a proxy that goes by this; survives every reload.
    pub road: Arc<LaterRoad>,
    /// Asks clients for certificates that speak TLS with the proxy itself, at the listeners that `admission` says.
    pub client_auth: Option<Arc<ClientAuth>>,
    /// What its rules take the time from.
    pub clock: Clock,
    /// The certificates that its settings show to origins, by their places.
    pub client_certificates: Vec<OwnCertificate>,
    /// Which addresses may be dialled.
    pub reach: Reach,
    /// Names with fixed addresses.
    pub hosts: Hosts,
    /// Looks up all other names; survives a reload that keeps its settings.
    pub resolver: Arc<Resolver>,
    /// The proxies that lead to origins; each survives a reload that keeps its settings.
    pub parents: Arc<Parents>,
    /// The CA that signs leaves.
    pub ca: Arc<Ca>,
    /// Mints leaves; survives a reload that keeps the CA.
    pub forge: Arc<Forge>,
    /// Mints the leaves of origins whose certificates do not verify, where clients are to see that.
    pub untrusted: Option<Arc<Forge>>,
    /// What each listener has of its own.
    pub listeners: Listeners,
    /// TLS towards origins; survives a reload that keeps the roots.
    pub upstream: Arc<Upstream>,
    /// The revocation lists that are fetched; survive a reload that keeps their addresses.
    pub crls: Arc<CrlShelf>,
    /// Who may read the admin pages.
    pub admin: Arc<AdminAccess>,
    /// Who may log in at the console.
    pub console: Arc<ConsoleAccess>,
    /// Whether intermediates are fetched that origins do not send.
    pub fetch_intermediates: bool,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Limits.
    pub limits: ProxyLimits,
    /// What one client may have.
    pub client_limits: ClientLimits,
    /// What is logged beyond what always is.
    pub logged: Logged,
    /// What people see when the proxy answers by itself.
    pub pages: Arc<Pages>,
    /// The proxy's own host.
    pub portal: Arc<Portal>,
    /// What may be seen by those who watch.
    pub view: ViewConfig,
    /// What is looked into, and by which rules. Sessions that are open see a new one too.
    pub inspection: Arc<Inspection>,
}

impl Config {
    /// What origins are shown of whom this treatment is for.
    pub(super) fn client_certificate(&self, treatment: &Treatment) -> Option<&OwnCertificate> {
        self.client_certificates.get(treatment.client_certificate?)
    }

    /// Which way leads to whom this treatment is for; see [`route`].
    pub(super) fn route(&self, treatment: &Treatment, is_request: bool, client: Option<SocketAddr>) -> Route {
        route(&self.parents, treatment, is_request, client)
    }

    /// How long a dial may take.
    pub(super) fn deadlines(&self) -> Deadlines {
        Deadlines {
            dns: self.timeouts.dns,
            connect: self.timeouts.dial,
        }
    }

    /// What a dial goes by; `own` are the addresses that this process listens on.
    pub(super) fn network<'a>(&'a self, own: &'a [SocketAddr], deadlines: Deadlines) -> Network<'a> {
        Network {
            hosts: &self.hosts,
            resolver: &self.resolver,
            reach: &self.reach,
            own,
            deadlines,
        }
    }
}

/// Which way leads to whom this treatment is for, in a tunnel or for requests that name their servers, of this client's if it
/// is not the proxy itself that asks.
pub(super) fn route(
    parents: &Parents,
    treatment: &Treatment,
    is_request: bool,
    client: Option<SocketAddr>,
) -> Route {
    let way = &treatment.way;
    Route {
        parents: match way.parents.is_empty() {
            true => Vec::new(),
            false => parents.named(&way.parents, way.order == ParentOrder::RoundRobin),
        },
        may_go_direct: way.direct == Direct::Last,
        is_request,
        is_own_origin: false,
        leaving: way.leaving.clone(),
        denied: Arc::clone(&way.denied),
        as_client: client
            .map(|client| client.ip().to_canonical())
            .filter(|_| way.as_client),
        proxy_protocol: way.proxy_protocol,
        client,
    }
}
