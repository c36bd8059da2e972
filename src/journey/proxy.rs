//! What the connections of a process share.

use super::config::{Config, OnChange};
use super::relays::Relays;
use super::workers::Workers;
use crate::accept::Places;
use crate::drain::Drain;
use crate::http::Http1Only;
use crate::inspect::Inspector;
use crate::report::{Event, Report};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// What every connection of this process shares.
#[derive(Debug)]
pub struct Proxy {
    /// The current configuration.
    pub config: arc_swap::ArcSwap<Config>,
    /// Looks into what passes.
    pub inspector: Arc<Inspector>,
    /// Where events go.
    pub report: Arc<Report>,
    /// Ends it all.
    pub drain: Drain,
    /// The addresses that this process listens on, which it never dials.
    pub own: Vec<SocketAddr>,
    /// The event loops that connections run on.
    pub workers: Workers,
    /// Hosts to which no HTTP/2 is offered, since they have said what cannot be taken.
    pub http1_only: Arc<Http1Only>,
    /// Told when a configuration was adopted.
    pub(super) adopted: Notify,
    /// What is relayed.
    pub(super) relays: Arc<Relays>,
    /// What connections have of all that there may be.
    pub(super) places: Arc<Places>,
}

impl Proxy {
    /// A proxy that serves `config` on `workers`; the number of connections is fixed here.
    pub fn new(config: Config, report: Arc<Report>, own: Vec<SocketAddr>, workers: Workers) -> Self {
        let places = Places::new(config.limits.connections, config.client_limits.clone());
        report.state(&Event::CaInUse {
            not_after: config.ca.not_after(),
        });
        let inspector = Arc::new(Inspector::new(config.inspection.clone(), report.clone()));
        report.state(&Event::Keeping(inspector.kept()));
        Self {
            config: arc_swap::ArcSwap::from_pointee(config),
            inspector,
            report,
            drain: Drain::new(),
            own,
            workers,
            http1_only: Arc::default(),
            adopted: Notify::new(),
            relays: Arc::default(),
            places,
        }
    }

    /// Begins to end: listeners stop, what is idle closes, and WebSockets are closed one after another over `within`.
    /// Resolves when all of them have been told.
    pub async fn end(&self, within: Duration) {
        self.drain.start();
        self.relays.end_all(&self.drain, within).await;
    }

    /// Serves by `config` from now on: new connections as a whole, open ones in what is inspected, in what their clients
    /// may have, and by its policy where that says so.
    pub fn adopt(&self, mut config: Config) {
        self.report.state(&Event::CaInUse {
            not_after: config.ca.not_after(),
        });
        self.inspector.replace(config.inspection.clone());
        self.places.limit(config.client_limits.clone());
        config.listeners.keep(&self.config.load().listeners);
        let config = Arc::new(config);
        self.config.store(Arc::clone(&config));
        self.adopted.notify_one();
        if config.on_change != OnChange::Keep {
            let relays = Arc::clone(&self.relays);
            let hold = async move { relays.hold_to(&config).await };
            self.workers.next().spawn(hold);
        }
    }
}
