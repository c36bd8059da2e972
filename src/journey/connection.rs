//! What a connection carries along: its configuration, and its record, which is closed exactly once.

use super::client_facts::ClientFacts;
use super::config::{Config, ListenerOptions, NameTrust};
use super::judging::{Begun, TunnelJudge, state_observed};
use super::own_dials::Dialled;
use super::proxy::Proxy;
use super::sites::Site;
use crate::accept::{ForwardedFor, Who};
use crate::admit::{Bound, Certified};
use crate::decide::{Treatment, Verdict};
use crate::handshake::{HandshakeOutcome, client};
use crate::http::{ExchangeContext, Fallback, Judge, Pace, Requester};
use crate::inspect::Room;
use crate::live::{KnownFacts, OpenConnection, OpenPlace};
use crate::report::{ConnectionRecord, Ending, Event};
use crate::wire::names::{Authority, Host};
use rustls::ProtocolVersion;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a connection ended, and why in words.
#[derive(Debug)]
pub(super) struct ConnectionEnd {
    ending: Ending,
    detail: Option<String>,
}

impl ConnectionEnd {
    pub(super) fn new(ending: impl Into<Ending>, detail: impl Display) -> Self {
        Self {
            ending: ending.into(),
            detail: Some(detail.to_string()),
        }
    }

    /// The cause in words.
    pub(super) fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

impl From<Ending> for ConnectionEnd {
    fn from(ending: Ending) -> Self {
        Self { ending, detail: None }
    }
}

/// What a WebSocket needs to know of the connection that it is on.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) proxy: Arc<Proxy>,
    pub(super) config: Arc<Config>,
    pub(super) who: Who,
    pub(super) treatment: Arc<Treatment>,
    /// What the policy knows of it.
    pub(super) begun: Arc<Begun>,
    /// What others see of the connection.
    pub(super) open: Arc<OpenConnection>,
}

/// A connection under way. Dropped without an ending, it still states one: a panic or an abort leaves a line.
pub(super) struct Connection {
    pub(super) proxy: Arc<Proxy>,
    pub(super) config: Arc<Config>,
    pub(super) record: ConnectionRecord,
    /// The way back from HTTP/2, where that was offered.
    pub(super) fallback: Option<Box<Fallback>>,
    /// The name of the listener that its client came in by.
    pub(super) listener: Arc<str>,
    /// What that listener has of its own.
    pub(super) options: Arc<ListenerOptions>,
    /// What vouches for the names that its client gives, where the kernel has caught it.
    pub(super) names: Option<NameTrust>,
    /// The name in its first request, where that is in the open and the kernel has caught it.
    pub(super) host: Option<Box<str>>,
    /// One's own origin that it is for, where its listener leads to such.
    pub(super) site: Option<Arc<Site>>,
    /// What was dialled for it, where the kernel has caught it.
    pub(super) dialled: Option<Box<Dialled>>,
    /// Who it was proven to be, where it is a connection of its own and somebody may ask. Streams of HTTP/2 are bound to
    /// nobody: users share their connection.
    pub(super) bound: Option<Arc<Bound>>,
    /// Who the certificate is of that its client has shown to the proxy itself, for all of its requests and streams that
    /// show nothing else.
    pub(super) certified: Option<Arc<Certified>>,
    /// How the policy has it treated.
    pub(super) treatment: Arc<Treatment>,
    /// What a tunnel has shown, by which its requests are judged.
    pub(super) shown: Option<Arc<Begun>>,
    /// What others see of it while it is open.
    pub(super) open: OpenPlace,
    /// Its client as far as the transport knows, and who speaks for that one.
    transport: (SocketAddr, Option<SocketAddr>),
    begun: Instant,
}

impl Connection {
    /// One begins; with HTTP/2 to the proxy itself it may be `inside` of another.
    pub(super) fn begin(
        id: u64,
        client: SocketAddr,
        listener: &Arc<str>,
        at: Instant,
        proxy: &Arc<Proxy>,
        inside: Option<u64>,
    ) -> Self {
        proxy.report.state(&Event::Accepted);
        let config = proxy.config.load_full();
        let record = ConnectionRecord {
            connection: id,
            client,
            listener: Arc::clone(listener),
            peer: None,
            told: None,
            user: None,
            proxy_tls: None,
            inside,
            target: None,
            origin: None,
            parent: None,
            sni: None,
            action: None,
            reason: None,
            rule: None,
            matched: None,
            tls_version: None,
            alpn: None,
            chain: None,
            requests: 0,
            request_id: None,
            tunnel: None,
            ending: Ending::Aborted,
            detail: None,
            duration: Duration::ZERO,
        };
        Self {
            proxy: Arc::clone(proxy),
            treatment: Arc::clone(config.policy.usual_treatment()),
            options: Arc::clone(config.listeners.of(listener)),
            config,
            record,
            fallback: None,
            listener: Arc::clone(listener),
            names: None,
            host: None,
            site: None,
            dialled: None,
            shown: None,
            bound: None,
            open: proxy.open.enter_inside(id, client, listener, at, inside),
            certified: None,
            transport: (client, None),
            begun: at,
        }
    }

    /// Whoever has connected speaks for this client, whose connection it is from here on.
    pub(super) fn is_of(&mut self, client: SocketAddr) {
        let (id, peer) = (self.record.connection, self.record.client);
        (self.record.client, self.record.peer) = (client, Some(peer));
        let open = &self.proxy.open;
        self.open = open.enter_inside(id, client, &self.listener, self.begun, None);
        self.transport = (client, Some(peer));
    }

    /// On its stream of HTTP/2 comes what this peer says for its client.
    pub(super) fn speaks_for(&mut self, peer: Option<SocketAddr>) {
        self.record.peer = peer;
        self.transport.1 = peer;
    }

    /// Whoever has connected, and is believed, says whose request is under way: `None` if that is its own.
    pub(super) fn is_told(&mut self, client: Option<IpAddr>) {
        let (own, peer) = self.transport;
        let told = client.map(|ip| (SocketAddr::new(ip, 0), Some(peer.unwrap_or(own))));
        let (client, peer) = told.unwrap_or(self.transport);
        if (client, peer) != (self.record.client, self.record.peer) {
            (self.record.client, self.record.peer) = (client, peer);
            self.show();
        }
    }

    /// The proxies in front that are believed about whose its requests are, if its client is one of them.
    pub(super) fn forwarded(&self) -> Option<Arc<ForwardedFor>> {
        let trust = self.options.forwarded_for.as_ref()?;
        trust.believes(self.transport.0.ip()).then(|| Arc::clone(trust))
    }

    pub(super) fn state(&self, event: &Event<'_>) {
        self.proxy.report.state(event);
    }

    pub(super) fn decided(&mut self, verdict: &Verdict) {
        self.state(&Event::Decided(verdict));
        if let Some(target) = &self.record.target {
            let who = self.record.who();
            state_observed(&self.proxy.report, &who, target, &verdict.observed);
        }
        self.judged(verdict);
    }

    /// Puts a verdict that has been stated into the record.
    pub(super) fn judged(&mut self, verdict: &Verdict) {
        self.record.action = Some(verdict.act.kind());
        self.record.reason = Some(verdict.reason);
        self.record.rule.clone_from(&verdict.rule);
        self.record.matched.clone_from(&verdict.matched);
        self.show();
    }

    /// Shows what is known of it to those who look.
    pub(super) fn show(&self) {
        self.open.connection().learn(KnownFacts {
            client: Some(self.record.client),
            user: self.record.user.clone(),
            target: self.record.target.clone(),
            sni: self.record.sni.as_deref().map(Into::into),
            action: self.record.action,
            rule: self.record.rule.clone(),
            tls: self.record.tls_version,
            is_http2: self.record.alpn.as_deref() == Some("h2"),
        });
    }

    pub(super) fn agreed(&mut self, version: Option<ProtocolVersion>, alpn: Option<&[u8]>) {
        self.record.tls_version = tls_version(version);
        self.record.alpn = alpn.map(|alpn| match alpn {
            b"http/1.1" => "http/1.1".into(),
            b"h2" => "h2".into(),
            other => String::from_utf8_lossy(other).into_owned().into(),
        });
        self.show();
    }

    pub(super) fn refused_ca(&self, alert: &str) {
        let by_target;
        let server_name = match (&self.record.sni, &self.record.target) {
            (Some(sni), _) => sni.as_str(),
            (None, Some(target)) => {
                by_target = target.host.to_string();
                &by_target
            }
            (None, None) => "",
        };
        self.state(&Event::ClientRefusedCa {
            who: &self.record.who(),
            server_name,
            alert,
        });
    }

    /// Reading the client's first decrypted bytes failed: some clients refuse a certificate only then.
    pub(super) fn broke_after_handshake(&self, error: &std::io::Error) -> ConnectionEnd {
        match client::refusal(error) {
            Some(alert) => {
                self.refused_ca(alert);
                ConnectionEnd::new(HandshakeOutcome::ClientRefusedCa, error)
            }
            None => ConnectionEnd::new(Ending::ClientIo, error),
        }
    }

    /// What the requests of its tunnel have in common.
    pub(super) fn context(&self) -> ExchangeContext {
        let judge = TunnelJudge {
            config: Arc::clone(&self.config),
            proxy: Arc::clone(&self.proxy),
            treatment: Arc::clone(&self.treatment),
            begun: self.shown.clone(),
        };
        let requester = Requester::default();
        requester.is_of_user(self.record.user.clone());
        ExchangeContext {
            // What is said inside of a tunnel to somebody else's origin is its client's own word.
            forwarded: self.site.is_some().then(|| self.forwarded()).flatten(),
            ..self.context_of(Arc::new(judge), requester)
        }
    }

    /// What requests have in common that `judge` judges.
    pub(super) fn context_of(&self, judge: Arc<dyn Judge>, requester: Requester) -> ExchangeContext {
        let (treatment, timeouts) = (&self.treatment, &self.config.timeouts);
        ExchangeContext {
            who: self.record.who(),
            peer: self.record.peer().ip().to_canonical(),
            pages: Arc::clone(&self.config.pages),
            forwarded: None,
            requester,
            judge,
            logged: Arc::clone(&self.config.logged.headers),
            watch: self.proxy.report.clone(),
            places: Arc::clone(&self.proxy.places),
            inspector: Arc::clone(&self.proxy.inspector),
            kept: Arc::new(Room::new(self.config.inspection.budgets.bodies())),
            origin: self.record.origin.map(|origin| origin.ip()),
            carried: Arc::clone(&self.open.connection().carried),
            // Who knows of no proxy would take them.
            hides_alternatives: self.names.is_some() || self.site.is_some(),
            header_bytes: self.config.limits.header_bytes,
            request_head: self.config.timeouts.request_head,
            response: self.config.timeouts.response,
            idle: treatment.http_idle.unwrap_or(timeouts.http_idle),
            stream_idle: treatment.tunnel_idle.unwrap_or(timeouts.tunnel_idle),
            pace: Pace {
                bytes: self.config.limits.slow_body_bytes,
                within: self.config.timeouts.slow_body,
            },
            fallback: self.fallback.as_deref().cloned(),
        }
    }

    /// What its WebSockets need to know of it.
    pub(super) fn session(&self) -> Session {
        Session {
            proxy: Arc::clone(&self.proxy),
            config: Arc::clone(&self.config),
            who: self.record.who(),
            treatment: Arc::clone(&self.treatment),
            begun: self.standing(),
            open: Arc::clone(self.open.connection()),
        }
    }

    /// What the policy knows of what it has become.
    pub(super) fn standing(&self) -> Arc<Begun> {
        self.shown.clone().unwrap_or_else(|| {
            let nowhere = || Authority {
                host: Host::Name(String::new()),
                port: 0,
            };
            Arc::new(Begun {
                client: self.client_facts(),
                target: self.record.target.clone().unwrap_or_else(nowhere),
                is_tunnel: false,
                sni: None,
                is_confirmed: false,
                certificate: None,
                rule: self.record.rule.clone(),
                remaining: None,
                otherwise: None,
            })
        })
    }

    /// What is known of its client.
    pub(super) fn client_facts(&self) -> ClientFacts {
        ClientFacts {
            who: self.record.who(),
            listener: Arc::clone(&self.listener),
            may_be_asked: self.names.is_none() && self.site.is_none(),
            bound: self.bound.clone(),
            certified: self.certified.clone(),
        }
    }

    /// How long a tunnel may be quiet.
    pub(super) fn tunnel_idle(&self) -> Duration {
        (self.treatment.tunnel_idle).unwrap_or(self.config.timeouts.tunnel_idle)
    }

    pub(super) fn end(mut self, ended: ConnectionEnd) {
        self.record.ending = ended.ending;
        if ended.detail.is_some() {
            self.record.detail = ended.detail;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.record.duration = self.begun.elapsed();
        if self.record.ending == Ending::Aborted && self.open.connection().is_to_close() {
            self.record.ending = Ending::ClosedByOperator;
        }
        self.state(&Event::Ended(&self.record));
    }
}

/// A version's word in the log.
pub(super) const fn tls_version(version: Option<ProtocolVersion>) -> Option<&'static str> {
    match version {
        Some(ProtocolVersion::TLSv1_2) => Some("TLSv1.2"),
        Some(ProtocolVersion::TLSv1_3) => Some("TLSv1.3"),
        _ => None,
    }
}

/// An unpredictable mask for a Close of the proxy's own (RFC 6455 section 10.3).
pub(super) fn random_mask() -> [u8; 4] {
    let mut mask = [0; 4];
    // Without randomness TLS would have failed before; the Close is then masked with zeros.
    let _ = rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut mask);
    mask
}
