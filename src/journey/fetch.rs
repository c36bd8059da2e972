//! What the proxy fetches on its own behalf: certificates that origins do not send, and revocation lists.
//!
//! An intermediate's address comes out of a certificate that nobody has verified. So it is under the rules that hold for
//! clients: what a deny list names is not asked, and no address is dialled that a client could not reach. Revocation lists
//! are held to the same; their addresses may be by HTTPS too.

use super::config::Config;
use super::judging::{denies_proxy, treatment_of_proxy};
use super::proxy::Proxy;
use crate::dial::{self, Deadlines, DialOutcome, OriginLeg};
use crate::fetch::{GetError, Resource};
use crate::handshake::{FetchFailure, FetchOutcome, Fetcher, Fetching, connect_once};
use crate::report::Event;
use crate::wire::names::Authority;
use std::sync::Arc;
use std::time::Duration;

/// How much a fetch may bring, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The most that is read of a body.
    pub(super) bytes: usize,
    /// For the connection and the answer.
    pub(super) time: Duration,
}

/// An intermediate has 1 to 2 KiB, a bundle some of them.
const INTERMEDIATE: Bounds = Bounds {
    bytes: 64 * 1024,
    time: Duration::from_secs(4),
};

/// Fetches as the configuration of one connection has it.
pub(super) struct Fetch {
    proxy: Arc<Proxy>,
    config: Arc<Config>,
    bounds: Bounds,
}

impl Fetch {
    /// Fetches what is within `bounds`.
    pub(super) fn bounded(proxy: &Arc<Proxy>, config: &Arc<Config>, bounds: Bounds) -> Self {
        Self {
            proxy: Arc::clone(proxy),
            config: Arc::clone(config),
            bounds,
        }
    }

    /// Fetches intermediates; `None` where nothing is to be fetched.
    pub(super) fn new(proxy: &Arc<Proxy>, config: &Arc<Config>) -> Option<Self> {
        config
            .fetch_intermediates
            .then(|| Self::bounded(proxy, config, INTERMEDIATE))
    }

    /// What is at `url`.
    pub(super) async fn get(&self, url: &str) -> Result<Vec<u8>, FetchFailure> {
        let time = self.bounds.time;
        let fetched = tokio::time::timeout(time, self.ask(url)).await;
        fetched.unwrap_or_else(|_| {
            let text = format!("no whole answer within {time:?}");
            Err(failed(FetchOutcome::Timeout, text))
        })
    }

    async fn ask(&self, url: &str) -> Result<Vec<u8>, FetchFailure> {
        let resource = Resource::parse(url).ok_or_else(no_address)?;
        let leg = self.dial(&resource.to).await?;
        let most = self.bounds.bytes;
        let got = if resource.secure {
            let connected = connect_once(&self.config.upstream, leg.socket, &resource.to.host).await;
            let stream = connected.map_err(|error| failed(FetchOutcome::Unreachable, error.to_string()))?;
            resource.get(stream, most).await
        } else {
            resource.get(leg.socket, most).await
        };
        got.map_err(|error| match error {
            GetError::Http(text) => failed(FetchOutcome::HttpError, text),
            GetError::TooLarge(text) => failed(FetchOutcome::TooLarge, text),
        })
    }

    async fn dial(&self, to: &Authority) -> Result<OriginLeg, FetchFailure> {
        if denies_proxy(&self.config.policy, to) {
            return Err(failed(FetchOutcome::Forbidden, format!("the policy denies {to}")));
        }
        let timeouts = &self.config.timeouts;
        let deadlines = Deadlines {
            dns: timeouts.dns.min(self.bounds.time),
            connect: timeouts.dial.min(self.bounds.time),
        };
        let network = self.config.network(&self.proxy.own, deadlines);
        let route = self
            .config
            .route(&treatment_of_proxy(&self.config.policy, to), false, None);
        let dialled = dial::dial(to, &network, &route, &self.proxy.report).await;
        dialled.map_err(|error| {
            let outcome = match error.outcome {
                DialOutcome::Forbidden | DialOutcome::Loop => FetchOutcome::Forbidden,
                DialOutcome::DnsTimeout | DialOutcome::Timeout | DialOutcome::ParentTimeout => {
                    FetchOutcome::Timeout
                }
                _ => FetchOutcome::Unreachable,
            };
            failed(outcome, error.text)
        })
    }
}

impl Fetcher for Fetch {
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        Box::pin(self.get(url))
    }

    fn fetched(&self, outcome: FetchOutcome, took: Duration) {
        self.proxy
            .report
            .state(&Event::IntermediateFetched(outcome, took));
    }
}

fn failed(outcome: FetchOutcome, text: String) -> FetchFailure {
    FetchFailure { outcome, text }
}

/// Whether `url` is an address that can be fetched.
pub fn may_be_fetched(url: &str) -> bool {
    Resource::parse(url).is_some()
}

fn no_address() -> FetchFailure {
    failed(
        FetchOutcome::Forbidden,
        "this is no address that is fetched".to_owned(),
    )
}
