//! What an ask comes to: the policy speaks before anything is resolved or dialled, and one place dials.

use super::config::Config;
use super::connection::Connection;
use super::fetch::Fetch;
use super::proxy::Proxy;
use crate::accept::{Ask, AskKind, ClientLimit, Prefixed, Socket};
use crate::decide::{Act, Verdict};
use crate::dial::{self, Deadlines, OriginLeg};
use crate::error::Side;
use crate::handshake::Fetcher;
use crate::handshake::origin::{HelloOffer, OriginError};
use crate::http::{ErrorResponse, HttpError, Origins, Reached};
use crate::report::{Ending, Event};
use crate::tls::Transport;
use crate::wire::names::Authority;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Why an ask is not granted: how its connection ends, and what the client is told.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) ending: Ending,
    pub(super) problem: ErrorResponse,
}

/// A way that was opened, by this verdict if one was reached before.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) leg: OriginLeg,
    pub(super) verdict: Option<Verdict>,
}

/// Decides about an ask as far as it can be decided, then resolves and dials.
///
/// # Errors
/// It is denied, or the origin cannot be had.
pub(super) async fn open(
    proxy: &Proxy,
    config: &Config,
    to: &Authority,
) -> Result<Opened, (Option<Verdict>, Refusal)> {
    let verdict = config.policy.at_ask(to);
    if let Some(denied) = verdict
        .as_ref()
        .filter(|verdict| matches!(verdict.act, Act::Deny))
    {
        let refusal = Refusal {
            ending: Ending::Denied,
            problem: denial(to, denied),
        };
        return Err((verdict, refusal));
    }
    let begun = Instant::now();
    let deadlines = Deadlines {
        dns: config.timeouts.dns,
        connect: config.timeouts.dial,
    };
    let network = config.network(&proxy.own, deadlines);
    match dial::dial(to, &network, &proxy.report).await {
        Ok(leg) => {
            let outcome = dial::DialOutcome::Ok;
            proxy.report.state(&Event::Dialled(outcome, begun.elapsed()));
            Ok(Opened { leg, verdict })
        }
        Err(error) => {
            proxy
                .report
                .state(&Event::Dialled(error.outcome, begun.elapsed()));
            let mut problem = ErrorResponse::new(HttpError::Dial(error.outcome), error.text);
            problem.rcode = error.rcode;
            let refusal = Refusal {
                ending: error.outcome.into(),
                problem,
            };
            Err((None, refusal))
        }
    }
}

/// What a client is told whose destination is denied.
pub(super) fn denial(to: &Authority, denied: &Verdict) -> ErrorResponse {
    let by = match &denied.matched {
        Some(matched) => format!(" (list {:?}, line {})", matched.list, matched.line),
        None => String::new(),
    };
    ErrorResponse {
        rule: denied.matched.as_ref().map(|matched| matched.list.clone()),
        ..ErrorResponse::new(HttpError::Refused, format!("{to} is not allowed here{by}"))
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
    Refusal {
        ending: problem.error.into(),
        problem,
    }
}

impl Connection {
    /// What its client is refused since it has reached a limit of its own.
    pub(super) fn limited(&self, limit: ClientLimit, wait: Duration) -> Refusal {
        limited(&self.proxy, limit, wait)
    }

    /// A way to what was asked for, stated and recorded.
    pub(super) async fn open(&mut self, ask: &Ask) -> Result<Opened, Refusal> {
        self.record.target = Some(ask.to.clone());
        if let Err(wait) = self.proxy.places.shake_hands(ask.client.ip()) {
            return Err(self.limited(ClientLimit::Handshakes, wait));
        }
        match open(&self.proxy, &self.config, &ask.to).await {
            Ok(opened) => {
                self.record.origin = opened.leg.address;
                Ok(opened)
            }
            Err((verdict, refusal)) => {
                if let Some(denied) = &verdict {
                    self.decided(denied);
                }
                Err(refusal)
            }
        }
    }
}

/// Reaches the servers that requests name, each by itself; remembers the last one for the connection's record.
pub(super) struct Servers {
    proxy: Arc<Proxy>,
    config: Arc<Config>,
    last: Mutex<Option<Last>>,
}

/// What the last request of a connection came to.
pub(super) struct Last {
    pub(super) target: Authority,
    pub(super) verdict: Option<Verdict>,
    pub(super) origin: Option<SocketAddr>,
    pub(super) denied: bool,
}

impl Servers {
    pub(super) fn of(conn: &Connection) -> Self {
        Self {
            proxy: Arc::clone(&conn.proxy),
            config: Arc::clone(&conn.config),
            last: Mutex::new(None),
        }
    }

    /// Puts the last of them into the record of their connection; says whether it was denied.
    pub(super) fn tell(self, conn: &mut Connection) -> bool {
        let last = self.last.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = last else {
            return false;
        };
        if let Some(verdict) = &last.verdict {
            conn.judged(verdict);
        }
        (conn.record.target, conn.record.origin) = (Some(last.target), last.origin);
        last.denied
    }

    fn remember(
        &self,
        target: &Authority,
        verdict: Option<Verdict>,
        origin: Option<SocketAddr>,
        denied: bool,
    ) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Last {
            target: target.clone(),
            verdict,
            origin,
            denied,
        });
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
        let trust = self.config.policy.cert_error(to, None);
        let offers = [b"http/1.1".to_vec()];
        let deadline = self.config.timeouts.handshake;
        let fetch = Fetch::new(&self.proxy, &self.config);
        let wanted = HelloOffer {
            name: &to.host,
            alpn: &offers,
            post_quantum: true,
            trust,
            deadline,
            fetcher: fetch.as_ref().map(|fetch| fetch as &dyn Fetcher),
        };
        let shaken = self.config.upstream.connect(permission, leg, wanted).await;
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

impl Origins for Servers {
    async fn reach(&self, ask: &Ask) -> Result<Reached, ErrorResponse> {
        let to = &ask.to;
        let is_secure = ask.kind == AskKind::Request { is_secure: true };
        // TLS with the origin costs as much as that of a tunnel.
        if is_secure && let Err(wait) = self.proxy.places.shake_hands(ask.client.ip()) {
            self.remember(to, None, None, false);
            return Err(limited(&self.proxy, ClientLimit::Handshakes, wait).problem);
        }
        let state = |verdict: &Verdict| {
            self.proxy
                .report
                .state(&Event::Decided(&verdict.act, verdict.reason));
        };
        let opened = match open(&self.proxy, &self.config, to).await {
            Ok(opened) => opened,
            Err((verdict, refusal)) => {
                let denied = verdict.is_some();
                let verdict = verdict.unwrap_or_else(|| self.config.policy.plain_http(to));
                state(&verdict);
                self.remember(to, Some(verdict), None, denied);
                return Err(refusal.problem);
            }
        };
        // A list of splices says nothing of what is asked for in the open.
        let verdict = match is_secure {
            true => self.config.policy.proxied_https(to),
            false => self.config.policy.plain_http(to),
        };
        state(&verdict);
        let OriginLeg { socket, address } = opened.leg;
        let leg = match is_secure {
            true => self.secure(to, &verdict, socket.into()).await,
            false => Ok(Transport::plain(socket.into())),
        };
        self.remember(to, Some(verdict), address, false);
        Ok(Reached {
            leg: leg?,
            address: address.map(|address| address.ip()),
            via: self.config.policy.adds_via(to, None),
        })
    }
}
