//! What the connections of a process share.

use super::config::{Config, OnChange};
use super::own_dials::OwnDials;
use super::relays::Relays;
use super::vouched::Vouched;
use super::workers::Workers;
use crate::accept::Places;
use crate::drain::Drain;
use crate::http::Http1Only;
use crate::inspect::Inspector;
use crate::live::{Delivery, LiveFilter, NoPlaceLeft, OpenConnections, Subscription};
use crate::report::{Event, Report};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;

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
    pub(super) adopted: watch::Sender<()>,
    /// What was dialled for connections that the kernel caught.
    pub(super) own_dials: Arc<OwnDials>,
    /// Names that certificates have vouched for.
    pub(super) vouched: Vouched,
    /// What is relayed.
    pub(super) relays: Arc<Relays>,
    /// Changes of who watches content, one at a time.
    shows: Mutex<()>,
    /// What is open, for those who look.
    pub open: Arc<OpenConnections>,
    /// What connections have of all that there may be.
    pub(super) places: Arc<Places>,
}

impl Proxy {
    /// A proxy that serves `config` on `workers`; the number of connections is fixed here.
    pub fn new(config: Config, report: Arc<Report>, own: Vec<SocketAddr>, workers: Workers) -> Arc<Self> {
        let places = Places::new(config.limits.connections, config.client_limits.clone());
        report.state(&Event::CaInUse {
            not_after: config.ca.not_after(),
        });
        report.live().call(config.view.people);
        let inspector = Arc::new(Inspector::new(config.inspection.clone(), report.clone()));
        report.state(&Event::Keeping(inspector.kept()));
        let road = Arc::clone(&config.road);
        let proxy = Arc::new(Self {
            config: arc_swap::ArcSwap::from_pointee(config),
            inspector,
            report,
            drain: Drain::new(),
            own,
            workers,
            http1_only: Arc::default(),
            adopted: watch::Sender::new(()),
            own_dials: Arc::default(),
            vouched: Vouched::default(),
            relays: Arc::default(),
            open: Arc::default(),
            shows: Mutex::default(),
            places,
        });
        let leads: Weak<Self> = Arc::downgrade(&proxy);
        road.lay(leads);
        proxy
    }

    /// Begins to end: listeners stop, what is idle closes, and WebSockets are closed one after another over `within`.
    /// Resolves when all of them have been told.
    pub async fn end(&self, within: Duration) {
        self.drain.start();
        self.relays.end_all(&self.drain, within).await;
    }

    /// Watches what happens from now on. Content is looked at for as long as somebody watches it.
    ///
    /// # Errors
    /// As many watch as may.
    pub fn watch(self: &Arc<Self>, filter: LiveFilter) -> Result<Watching, NoPlaceLeft> {
        let watching = Watching {
            has_content: filter.topics.has_content(),
            subscription: Some(self.report.live().subscribe(filter)?),
            proxy: Arc::clone(self),
        };
        watching.show();
        Ok(watching)
    }

    /// Serves by `config` from now on: new connections as a whole, open ones in what is inspected, in what their clients
    /// may have, and by its policy where that says so.
    pub fn adopt(&self, mut config: Config) {
        self.report.state(&Event::CaInUse {
            not_after: config.ca.not_after(),
        });
        self.report.live().call(config.view.people);
        self.inspector.replace(config.inspection.clone());
        self.places.limit(config.client_limits.clone());
        config.listeners.keep(&self.config.load().listeners);
        let config = Arc::new(config);
        self.config.store(Arc::clone(&config));
        self.adopted.send_replace(());
        if config.on_change != OnChange::Keep {
            let relays = Arc::clone(&self.relays);
            let hold = async move { relays.hold_to(&config).await };
            self.workers.next().spawn(hold);
        }
    }
}

/// Somebody who watches, until it is dropped.
#[derive(Debug)]
pub struct Watching {
    proxy: Arc<Proxy>,
    has_content: bool,
    /// There until it is dropped.
    subscription: Option<Subscription>,
}

impl Watching {
    /// What comes next.
    pub async fn next(&mut self) -> Delivery {
        match &mut self.subscription {
            Some(subscription) => subscription.next().await,
            None => std::future::pending().await,
        }
    }

    /// What has come already, if anything has.
    pub fn ready(&mut self) -> Option<Delivery> {
        self.subscription.as_mut()?.ready()
    }

    /// What was lost since the last event came.
    pub fn lost(&self) -> u64 {
        self.subscription.as_ref().map_or(0, Subscription::lost)
    }

    /// What a sample has left out since this was asked last.
    pub fn skipped(&self) -> u64 {
        self.subscription.as_ref().map_or(0, Subscription::skipped)
    }

    /// Has content looked at for those who watch now, and for nobody else.
    fn show(&self) {
        if self.has_content {
            let _one_at_a_time = self.proxy.shows.lock().unwrap_or_else(PoisonError::into_inner);
            self.proxy.inspector.show(self.proxy.report.live().viewer());
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.subscription = None;
        self.show();
    }
}
