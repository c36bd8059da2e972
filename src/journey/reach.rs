//! What an ask comes to: the policy speaks before anything is resolved or dialled, and one place dials.

use super::config::Config;
use super::connection::Connection;
use super::fetch::Fetch;
use super::judging::{NotAllowed, RequestJudge, denial, nameless};
use super::proxy::Proxy;
use crate::accept::{Ask, AskKind, ClientLimit, Prefixed, Socket};
use crate::decide::nets::Reach;
use crate::decide::{Act, AtAsk, Verdict};
use crate::dial::{self, Network, OriginLeg, Route};
use crate::error::Side;
use crate::handshake::Fetcher;
use crate::handshake::origin::{HelloOffer, OriginError};
use crate::http::{
    AbsoluteForm, Allowed, ErrorResponse, ExchangeContext, HttpError, Judge, JudgedRequest, Origins, Reached,
    Requester,
};
use crate::portal;
use crate::report::{Ending, Event};
use crate::tls::Transport;
use crate::wire::names::Authority;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why an ask is not granted: how its connection ends, and what the client is told.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) ending: Ending,
    pub(super) problem: ErrorResponse,
    /// The parent that was asked last, where parents were.
    pub(super) parent: Option<Arc<str>>,
}

impl Refusal {
    /// Nobody was asked.
    pub(super) fn new(ending: impl Into<Ending>, problem: ErrorResponse) -> Self {
        Self {
            ending: ending.into(),
            problem,
            parent: None,
        }
    }
}

/// Where a tunnel goes that is granted.
#[derive(Debug)]
pub(super) enum Way {
    /// On to its origin.
    Origin(OriginLeg),
    /// Nowhere: its client is to be told why inside of it.
    DeadEnd(Refusal),
    /// To the proxy's own portal.
    Portal,
}

impl Way {
    /// The proxy's end of what was dialled, where that is a socket.
    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Origin(leg) => leg.socket.get_ref().local_addr(),
            Self::DeadEnd(_) | Self::Portal => None,
        }
    }
}

/// Resolves and dials what the policy has let pass.
///
/// # Errors
/// The origin cannot be had.
pub(super) async fn open(
    proxy: &Proxy,
    config: &Config,
    to: &Authority,
    route: &Route,
) -> Result<OriginLeg, Refusal> {
    let begun = Instant::now();
    let network = config.network(&proxy.own, config.deadlines());
    let everywhere = Reach::everywhere();
    let network = Network {
        // Where one's own origins are is the operator's word.
        reach: if route.is_own_origin {
            &everywhere
        } else {
            network.reach
        },
        ..network
    };
    match dial::dial(to, &network, route, &proxy.report).await {
        Ok(leg) => {
            let outcome = dial::DialOutcome::Ok;
            proxy.report.state(&Event::Dialled(outcome, begun.elapsed()));
            Ok(leg)
        }
        Err(error) => {
            proxy
                .report
                .state(&Event::Dialled(error.outcome, begun.elapsed()));
            let mut problem = ErrorResponse::new(HttpError::Dial(error.outcome), error.text);
            (problem.rcode, problem.received) = (error.rcode, error.received);
            Err(Refusal {
                ending: error.outcome.into(),
                problem,
                parent: error.parent,
            })
        }
    }
}

/// What a client is told whose origin did not finish its handshake.
pub(super) fn handshake_failure(error: &OriginError) -> ErrorResponse {
    ErrorResponse::new(error.into(), error.text.clone())
}

/// A client has reached a limit of its own, which is stated.
fn limited(proxy: &Proxy, limit: ClientLimit, wait: Duration) -> Refusal {
    proxy.report.state(&Event::Limited(limit));
    let problem = ErrorResponse::limited(limit, wait);
    Refusal::new(problem.error, problem)
}

impl Connection {
    /// What its client is refused since it has reached a limit of its own.
    pub(super) fn limited(&self, limit: ClientLimit, wait: Duration) -> Refusal {
        limited(&self.proxy, limit, wait)
    }

    /// A way for the tunnel that was asked for, stated and recorded. The policy speaks before anything is resolved.
    ///
    /// # Errors
    /// It is not granted.
    pub(super) async fn open(&mut self, ask: &Ask) -> Result<Way, Refusal> {
        if self.config.portal.is_at(&ask.to) {
            self.record.target = Some(ask.to.clone());
            // Nobody has to be let in to learn how to get in. TLS costs as much as any other.
            return match self.proxy.places.shake_hands(ask.client.ip()) {
                Ok(()) => Ok(Way::Portal),
                Err(wait) => Err(self.limited(ClientLimit::Handshakes, wait)),
            };
        }
        match self.reach(ask).await {
            Ok(leg) => Ok(Way::Origin(leg)),
            Err(refusal) if self.explains(ask, &refusal) => Ok(Way::DeadEnd(refusal)),
            Err(refusal) => Err(refusal),
        }
    }

    /// Whether a tunnel that leads nowhere is granted all the same, so that its client can be told why.
    pub(super) fn explains(&mut self, ask: &Ask, refusal: &Refusal) -> bool {
        let is_denied = refusal.problem.error == HttpError::Refused;
        if !is_denied && !matches!(refusal.problem.error, HttpError::Dial(_)) {
            return false;
        }
        let client = self.client_facts();
        let policy = &self.config.policy;
        let facts = client.tunnel(&self.config, &ask.to).beginning(None);
        let treatment = policy.treatment(&facts);
        // Clients of one's own origins know of no CONNECT that could fail.
        let explains = treatment.pages_for_connect || self.site.is_some();
        if !explains || policy.at_dead_end(&facts).is_none() {
            return false;
        }
        self.treatment = treatment;
        // It costs a handshake with the client, which what was dialled has been counted for.
        !is_denied || self.proxy.places.shake_hands(self.record.peer().ip()).is_ok()
    }

    /// A rule wants to know who the client is, and does not.
    fn unknown(&mut self, problem: ErrorResponse) -> Refusal {
        self.record.rule = problem.policy_rule.as_deref().cloned();
        if let Some(rule) = &self.record.rule {
            self.state(&Event::RuleReached(rule));
        }
        Refusal::new(problem.error, problem)
    }

    async fn reach(&mut self, ask: &Ask) -> Result<OriginLeg, Refusal> {
        self.record.target = Some(ask.to.clone());
        self.record.rule = None;
        self.record.user = match self.client_facts().identify(&self.config, ask).await {
            Ok(user) => user,
            Err(problem) => {
                self.record.user = None;
                return Err(self.unknown(*problem));
            }
        };
        self.show();
        let client = self.client_facts();
        match self.config.policy.at_ask(&client.tunnel(&self.config, &ask.to)) {
            // What is only observed is stated with the verdict.
            AtAsk::Open(_) => {}
            AtAsk::Denied(verdict) => {
                self.decided(&verdict);
                return Err(Refusal::new(Ending::Denied, denial(&ask.to, &verdict)));
            }
            AtAsk::Name(rule) => {
                let problem = nameless(&self.config, &ask.to, rule);
                return Err(self.unknown(problem));
            }
        }
        if let Err(wait) = self.proxy.places.shake_hands(self.record.peer().ip()) {
            return Err(self.limited(ClientLimit::Handshakes, wait));
        }
        let route = {
            let facts = client.tunnel(&self.config, &ask.to).beginning(None);
            let treatment = self.config.policy.treatment(&facts);
            self.config.route(&treatment, false, Some(self.record.client))
        };
        let route = Route {
            is_own_origin: self.site.is_some(),
            ..route
        };
        let to = self.site.as_ref().map_or(&ask.to, |site| &site.origin);
        let opened = open(&self.proxy, &self.config, to, &route).await;
        (self.record.origin, self.record.parent) = match &opened {
            Ok(leg) => (
                leg.address,
                leg.by.as_ref().map(|by| Arc::clone(by.parent.name())),
            ),
            Err(refusal) => (None, refusal.parent.clone()),
        };
        opened
    }
}

/// Reaches the servers that requests name, and judges these requests, each by itself; remembers the last one for the
/// connection's record.
pub(super) struct Servers {
    proxy: Arc<Proxy>,
    judge: RequestJudge,
    /// Whose connection it is.
    client: SocketAddr,
    /// Whose limits hold.
    peer: IpAddr,
    came_to: Mutex<CameTo>,
}

/// What the requests of a connection came to.
#[derive(Default)]
struct CameTo {
    /// The rule that has decided about the one that is under way, or asks who it is of.
    rule: Option<Arc<str>>,
    /// The last one.
    last: Option<Last>,
    /// The last one for which a server was reached: those that follow may be for the same.
    reached: Option<Last>,
}

/// What the last request of a connection came to.
#[derive(Clone)]
struct Last {
    target: Authority,
    verdict: Option<Arc<Verdict>>,
    origin: Option<SocketAddr>,
    parent: Option<Arc<str>>,
    denied: bool,
}

impl Servers {
    pub(super) fn of(conn: &Connection) -> Arc<Self> {
        let requester = Requester::default();
        requester.is_of_user(conn.record.user.clone());
        Arc::new(Self {
            proxy: Arc::clone(&conn.proxy),
            judge: RequestJudge {
                config: Arc::clone(&conn.config),
                proxy: Arc::clone(&conn.proxy),
                client: conn.client_facts(),
                requester,
            },
            client: conn.record.client,
            peer: conn.record.peer().ip(),
            came_to: Mutex::default(),
        })
    }

    /// What their requests have in common.
    pub(super) fn context(self: &Arc<Self>, conn: &Connection) -> ExchangeContext {
        let judge: Arc<dyn Judge> = self.clone();
        ExchangeContext {
            forwarded: conn.forwarded(),
            ..conn.context_of(judge, self.judge.requester.clone())
        }
    }

    /// Puts the last of them into the record of their connection; says whether it was denied.
    pub(super) fn tell(&self, conn: &mut Connection) -> bool {
        let CameTo { rule, last, .. } = std::mem::take(&mut *self.came_to());
        conn.is_told(self.judge.requester.client());
        conn.record.user = self.judge.requester.user();
        let Some(last) = last else {
            return false;
        };
        if let Some(verdict) = &last.verdict {
            conn.judged(verdict);
        }
        conn.record.rule = rule;
        conn.show();
        conn.treatment = self.judge.treatment(&last.target);
        (conn.record.target, conn.record.origin) = (Some(last.target), last.origin);
        conn.record.parent = last.parent;
        last.denied
    }

    /// A request goes no further, or not yet.
    fn remember(&self, target: &Authority, verdict: Option<Verdict>, denied: bool) {
        self.remember_last(Last {
            target: target.clone(),
            verdict: verdict.map(Arc::new),
            origin: None,
            parent: None,
            denied,
        });
    }

    fn remember_last(&self, last: Last) {
        self.came_to().last = Some(last);
    }

    fn came_to(&self) -> MutexGuard<'_, CameTo> {
        self.came_to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request may go on, by this rule if it is one of the table that lets it.
    fn goes_on(&self, target: &Authority, rule: Option<Arc<str>>) {
        let mut came_to = self.came_to();
        came_to.rule = rule;
        if let Some(reached) = came_to
            .reached
            .as_ref()
            .filter(|reached| reached.target == *target)
        {
            came_to.last = Some(reached.clone());
        }
    }

    /// A request goes no further, for what its client is told.
    fn stops(&self, target: &Authority, problem: &ErrorResponse, verdict: Option<Verdict>) {
        self.came_to().rule = problem.policy_rule.as_deref().cloned();
        let is_denied = verdict.is_some();
        self.remember(target, verdict, is_denied);
    }

    /// TLS with an origin, in the place of a client that speaks none.
    async fn secure(
        &self,
        to: &Authority,
        verdict: &Verdict,
        leg: Prefixed<Socket>,
    ) -> Result<Transport, ErrorResponse> {
        let Act::Bump(permission) = &verdict.act else {
            return Err(ErrorResponse::new(
                HttpError::Refused,
                format!("{to} is not allowed here"),
            ));
        };
        let begun = Instant::now();
        let config = &self.judge.config;
        let treatment = self.judge.treatment(to);
        let offers = [b"http/1.1".to_vec()];
        let fetch = Fetch::new(&self.proxy, config);
        let wanted = HelloOffer {
            name: &to.host,
            alpn: &offers,
            post_quantum: true,
            trust: treatment.cert_error,
            certificate: config.client_certificate(&treatment),
            deadline: config.timeouts.handshake,
            fetcher: fetch.as_ref().map(|fetch| fetch as &dyn Fetcher),
        };
        let shaken = config.upstream.connect(permission, leg, wanted).await;
        let outcome = shaken
            .as_ref()
            .map_or_else(|error| error.outcome, |tls| tls.outcome);
        self.proxy
            .report
            .state(&Event::Handshake(Side::Origin, outcome, begun.elapsed()));
        let known = shaken
            .as_ref()
            .map_or_else(|error| error.revocation, |tls| tls.revocation);
        known.inspect(|known| self.proxy.report.state(&Event::RevocationChecked(*known)));
        shaken
            .map(|tls| Transport::tls(tls.stream))
            .map_err(|error| handshake_failure(&error))
    }
}

impl Judge for Servers {
    fn judge(&self, asked: &JudgedRequest<'_>) -> Result<Allowed, Box<ErrorResponse>> {
        let config = &self.judge.config;
        if config.portal.is_at(asked.target) {
            self.goes_on(asked.target, None);
            return Ok(Allowed {
                treatment: config.policy.portal_treatment(),
                rule: None,
            });
        }
        match self.judge.ask(asked.target, asked.request) {
            Ok(allowed) => {
                self.goes_on(asked.target, allowed.rule.clone());
                Ok(allowed)
            }
            Err(refused) => {
                let NotAllowed { verdict, problem } = *refused;
                self.stops(asked.target, &problem, verdict);
                Err(Box::new(problem))
            }
        }
    }
}

impl Origins for Servers {
    async fn identify(&self, ask: &Ask) -> Result<(), ErrorResponse> {
        // Each request says by itself whose it is.
        self.judge.requester.is_of_user(None);
        if self.judge.config.portal.is_at(&ask.to) {
            return Ok(());
        }
        match self.judge.client().identify(&self.judge.config, ask).await {
            Ok(user) => {
                self.judge.requester.is_of_user(user);
                Ok(())
            }
            Err(problem) => {
                if let Some(rule) = &problem.policy_rule {
                    self.proxy.report.state(&Event::RuleReached(rule));
                }
                self.stops(&ask.to, &problem, None);
                Err(*problem)
            }
        }
    }

    fn home(&self, path: &str) -> Option<Authority> {
        self.judge.config.portal.home(path)
    }

    async fn reach(&self, ask: &Ask, is_upgrade: bool) -> Result<Reached, ErrorResponse> {
        let to = &ask.to;
        let is_secure = ask.kind == AskKind::Request { is_secure: true };
        let config = &self.judge.config;
        if config.portal.is_at(to) {
            let verdict = config.policy.plain_http();
            self.proxy.report.state(&Event::Decided(&verdict));
            self.remember(to, Some(verdict), false);
            let socket = Socket::inner(portal::connect(&config.portal));
            return Ok(Reached {
                leg: Transport::plain(socket.into()),
                address: None,
                absolute: None,
            });
        }
        // TLS with the origin costs as much as that of a tunnel.
        if is_secure && let Err(wait) = self.proxy.places.shake_hands(self.peer) {
            self.remember(to, None, false);
            return Err(limited(&self.proxy, ClientLimit::Handshakes, wait).problem);
        }
        // A splice says nothing of what is asked for in the open.
        let verdict = match is_secure {
            true => config.policy.proxied_https(),
            false => config.policy.plain_http(),
        };
        self.proxy.report.state(&Event::Decided(&verdict));
        let told = self.judge.requester.client();
        let client = told.map_or(self.client, |ip| SocketAddr::new(ip, 0));
        let is_request = !is_secure && !is_upgrade;
        let route = config.route(&self.judge.treatment(to), is_request, Some(client));
        let verdict = Arc::new(verdict);
        let last = |origin, parent| Last {
            target: to.clone(),
            verdict: Some(Arc::clone(&verdict)),
            origin,
            parent,
            denied: false,
        };
        let OriginLeg { socket, address, by } = match open(&self.proxy, config, to, &route).await {
            Ok(leg) => leg,
            Err(refusal) => {
                self.remember_last(last(None, refusal.parent));
                return Err(refusal.problem);
            }
        };
        let leg = match is_secure {
            true => self.secure(to, &verdict, socket).await,
            false => Ok(Transport::plain(socket)),
        };
        let parent = by.as_ref().map(|by| Arc::clone(by.parent.name()));
        let last = last(address, parent);
        self.came_to().reached = Some(last.clone());
        self.remember_last(last);
        Ok(Reached {
            leg: leg?,
            address: address.map(|address| address.ip()),
            absolute: by.filter(|by| by.is_absolute).map(|by| AbsoluteForm {
                credentials: by.parent.credentials().map(Box::from),
                parent: Arc::clone(by.parent.name()),
            }),
        })
    }
}
