//! One parent, and how it does.

use super::config::{ParentConfig, ParentLogin, ParentProtocol};
use super::outcome::{ParentError, ParentOutcome};
use super::{connect, socks};
use crate::accept::{Prefixed, Socket, tune};
use crate::breaker::{Breaker, Health, Permit};
use crate::decide::Leaving;
use crate::dial::dns::NameWatch;
use crate::dial::network::{Network, is_own, is_own_socket, on_port, resolve};
use crate::dial::race::{Waiting, race};
use crate::handshake::origin::OriginError;
use crate::wire::names::Authority;
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Hears of parents.
pub trait ParentWatch: Send + Sync {
    /// A parent was asked for a connection.
    fn asked(&self, parent: &str, outcome: ParentOutcome, took: Duration);
    /// From now on a parent counts as well, or is left alone; why in words.
    fn is_well(&self, parent: &str, is_well: bool, why: &str);
    /// All parents have failed, and the origin was dialled.
    fn went_direct(&self);
}

/// A parent, and how it does.
#[derive(Debug)]
pub struct Parent {
    config: ParentConfig,
    /// The value of `Proxy-Authorization`, if it wants one.
    credentials: Option<String>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    /// What was told last.
    is_well: bool,
}

impl Parent {
    fn new(config: ParentConfig) -> Self {
        let basic = config.login.as_ref().map(ParentLogin::basic);
        Self {
            credentials: basic.filter(|_| config.protocol == ParentProtocol::Http),
            state: Mutex::new(State {
                breaker: Breaker::new(config.breaker),
                is_well: true,
            }),
            config,
        }
    }

    /// As configured.
    pub fn config(&self) -> &ParentConfig {
        &self.config
    }

    /// What each request shows it in `Proxy-Authorization`, if it wants that.
    pub fn credentials(&self) -> Option<&str> {
        self.credentials.as_deref()
    }

    /// What settings, logs and metrics call it.
    pub fn name(&self) -> &Arc<str> {
        &self.config.name
    }

    pub(in crate::dial) fn rests(&self, now: Instant) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.breaker.resting(now).is_some()
    }

    fn admit(&self, now: Instant) -> Option<Permit> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.breaker.admit(now).ok()
    }

    /// Remembers how it did, and tells when that has changed.
    fn ended(&self, permit: Permit, asked: &Result<Prefixed<Socket>, ParentError>, watch: &impl ParentWatch) {
        let health = asked.as_ref().map_or_else(|error| error.health, |_| Health::Well);
        let now = Instant::now();
        let changed = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.breaker.ended(permit, health, now);
            let is_well = match health {
                Health::Well => state.breaker.resting(now).is_none(),
                Health::Failing => state.is_well && state.breaker.resting(now).is_none(),
                Health::Unknown => state.is_well,
            };
            std::mem::replace(&mut state.is_well, is_well) != is_well
        };
        if changed {
            let is_well = health == Health::Well;
            let why = asked.as_ref().err().map_or("", |error| &error.text);
            watch.is_well(self.name(), is_well, why);
        }
    }

    /// Asks it for a connection, under its own deadlines.
    pub(in crate::dial) async fn ask<W: NameWatch + ParentWatch + 'static>(
        &self,
        target: Option<&Authority>,
        network: &Network<'_>,
        leaving: &Leaving,
        watch: &Arc<W>,
    ) -> Result<Prefixed<Socket>, ParentError> {
        let (begun, permit) = (Instant::now(), self.admit(Instant::now()));
        // A permit that is dropped with this future leaves its place to the next one.
        let permit = permit.map(|permit| Held {
            parent: self,
            permit: Some(permit),
        });
        let asked = self.tunnel(target, network, leaving, watch).await;
        let outcome = asked
            .as_ref()
            .map_or_else(|error| error.outcome, |_| ParentOutcome::Ok);
        watch.asked(self.name(), outcome, begun.elapsed());
        if let Some(permit) = permit.and_then(Held::take) {
            self.ended(permit, &asked, &**watch);
        }
        asked
    }

    async fn tunnel<W: NameWatch + 'static>(
        &self,
        target: Option<&Authority>,
        network: &Network<'_>,
        leaving: &Leaving,
        watch: &Arc<W>,
    ) -> Result<Prefixed<Socket>, ParentError> {
        let limit = self.config.connect;
        let Ok(reached) = timeout(limit, self.reach(network, leaving, watch)).await else {
            let text = format!("it could not be reached within {limit:?}");
            return Err(ParentError::before(ParentOutcome::Timeout, text));
        };
        let mut socket = reached?;
        let Some(target) = target else {
            return Ok(socket.into());
        };
        // Whoever gives tickets has deadlines of its own: its silence is not the parent's.
        let token = self.token().await?;
        let limit = self.config.answer;
        let answer = async {
            match self.config.protocol {
                ParentProtocol::Http => {
                    let credentials = token.as_deref().or(self.credentials.as_deref());
                    connect::connect(&mut socket, target, credentials).await
                }
                ParentProtocol::Socks5 => socks::connect(&mut socket, target).await.map(|()| Bytes::new()),
            }
        };
        let Ok(early) = timeout(limit, answer).await else {
            let text = format!("it did not answer within {limit:?}");
            return Err(ParentError::after(ParentOutcome::NoAnswer, text));
        };
        if let (Err(error), Some(tickets)) = (&early, &self.config.tickets)
            && error.outcome == ParentOutcome::Login
        {
            tickets.of.refused().await;
        }
        let early = early?;
        Ok(Prefixed::new(early, socket))
    }

    /// What a CONNECT shows it, if that is a token.
    async fn token(&self) -> Result<Option<String>, ParentError> {
        let Some(tickets) = &self.config.tickets else {
            return Ok(None);
        };
        match tickets.of.token().await {
            Ok(token) => Ok(Some(format!("Negotiate {token}"))),
            Err(why) => {
                let text = format!("there is no Kerberos ticket for it: {why}");
                Err(ParentError::after(ParentOutcome::Login, text))
            }
        }
    }

    /// A connection to it, by whatever leads there: TCP, TLS, a greeting.
    async fn reach<W: NameWatch + 'static>(
        &self,
        network: &Network<'_>,
        leaving: &Leaving,
        watch: &Arc<W>,
    ) -> Result<Socket, ParentError> {
        let ParentConfig {
            address, tls, login, ..
        } = &self.config;
        let unreachable = |text: String| ParentError::before(ParentOutcome::Unreachable, text);
        let found = resolve(address, network, watch).await;
        let found = found.map_err(|error| unreachable(error.text))?;
        let loops = || unreachable(format!("{address} is this proxy itself"));
        if found.now.iter().any(|address| is_own(*address, network.own)) {
            return Err(loops());
        }
        let mut later = found.later;
        let expects = later.is_some();
        let more = async {
            match &mut later {
                Some(rest) => on_port(rest.arrive().await, address.port),
                None => Vec::new(),
            }
        };
        let waiting = Waiting::new(found.now);
        let stream = race(address, waiting, expects.then_some(more), leaving).await;
        let stream = stream.map_err(|error| unreachable(error.text))?;
        if is_own_socket(&stream, network.own) {
            return Err(loops());
        }
        tune(&stream);
        let mut socket = match tls {
            None => Socket::from(stream),
            Some(tls) => {
                let shaken = tls.connect(stream, &address.host).await;
                let failed = |error: OriginError| {
                    ParentError::before(
                        ParentOutcome::TlsFailed,
                        format!("TLS with it failed: {}", error.text),
                    )
                };
                Socket::inner(shaken.map_err(failed)?)
            }
        };
        if self.config.protocol == ParentProtocol::Socks5 {
            socks::greet(&mut socket, login.as_ref()).await?;
        }
        Ok(socket)
    }

    /// Looks how it does, as its configuration has it: it is reached, and asked for something if that says so.
    pub async fn check<W: NameWatch + ParentWatch + 'static>(&self, network: &Network<'_>, watch: &Arc<W>) {
        if self.rests(Instant::now()) {
            return;
        }
        let target = self.config.check_target.as_ref();
        let _ = self.ask(target, network, &Leaving::default(), watch).await;
    }
}

/// A permit whose end is told, whatever happens.
struct Held<'a> {
    parent: &'a Parent,
    permit: Option<Permit>,
}

impl Held<'_> {
    fn take(mut self) -> Option<Permit> {
        self.permit.take()
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            let mut state = (self.parent.state.lock()).unwrap_or_else(PoisonError::into_inner);
            state.breaker.ended(permit, Health::Unknown, Instant::now());
        }
    }
}

/// Every parent that is configured.
#[derive(Debug, Default)]
pub struct Parents {
    list: Vec<Arc<Parent>>,
    /// Whose turn it is.
    turn: AtomicUsize,
}

impl Parents {
    /// Those of this configuration; what `before` has of them goes on, with all that is known of it.
    pub fn again(configs: Vec<ParentConfig>, before: Option<&Self>) -> Self {
        let known = |config: &ParentConfig| {
            let known = before?.list.iter().find(|parent| parent.config == *config);
            known.map(Arc::clone)
        };
        Self {
            list: configs
                .into_iter()
                .map(|config| known(&config).unwrap_or_else(|| Arc::new(Parent::new(config))))
                .collect(),
            turn: AtomicUsize::new(0),
        }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Parent>> {
        self.list.iter()
    }

    /// Those with these names, in their order; with `in_turn` each time another one is the first.
    pub fn named(&self, names: &[Arc<str>], in_turn: bool) -> Vec<Arc<Parent>> {
        let find = |name: &Arc<str>| self.list.iter().find(|parent| parent.name() == name).cloned();
        let mut found: Vec<_> = names.iter().filter_map(find).collect();
        if in_turn && found.len() > 1 {
            let turn = self.turn.fetch_add(1, Relaxed) % found.len();
            found.rotate_left(turn);
        }
        found
    }
}
