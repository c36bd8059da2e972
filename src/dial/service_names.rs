//! Names of the services that the proxy itself uses, such as scanners. They are the operator's own hosts: where they are is
//! no concern of what clients may reach, and the way to them is the resolver's that is in force.

use super::dns::{NameWatch, Resolver};
use super::hosts::Hosts;
use super::network::on_port;
use super::race::{Waiting, race};
use crate::decide::Leaving;
use crate::wire::names::{Authority, Host};
use arc_swap::ArcSwapOption;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// Connects to services by their names. Clones follow the same configuration. Without one, the system resolves.
#[derive(Clone, Default)]
pub struct ServiceNames(Arc<ArcSwapOption<Known>>);

/// How names become addresses.
struct Known {
    hosts: Hosts,
    resolver: Arc<Resolver>,
    limit: Duration,
    watch: Arc<dyn NameWatch>,
}

impl fmt::Debug for ServiceNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.0.load().is_some() {
            true => "the own resolver",
            false => "the system",
        };
        f.debug_tuple("ServiceNames").field(&by).finish()
    }
}

impl ServiceNames {
    /// From now on names have these fixed addresses, and else those that `resolver` finds within `limit`.
    pub fn follow(&self, hosts: Hosts, resolver: Arc<Resolver>, limit: Duration, watch: Arc<dyn NameWatch>) {
        self.0.store(Some(Arc::new(Known {
            hosts,
            resolver,
            limit,
            watch,
        })));
    }

    /// A connection to whichever of the addresses answers first. How long that takes is for the caller to bound.
    ///
    /// # Errors
    /// The name has no address, or none of them can be reached.
    pub async fn connect(&self, to: &Authority) -> io::Result<TcpStream> {
        let name = match &to.host {
            Host::Ip(ip) => return TcpStream::connect((*ip, to.port)).await,
            Host::Name(name) => name.as_str(),
        };
        let Some(known) = self.0.load_full() else {
            return TcpStream::connect((name, to.port)).await;
        };
        let (now, mut later) = match known.hosts.find(to) {
            Some(fixed) => (fixed, None),
            None => {
                let found = known.resolver.look_up(name, known.limit, &known.watch).await;
                let found = found.map_err(|error| io::Error::other(error.text))?;
                (on_port(found.now, to.port), found.later)
            }
        };
        let expects = later.is_some();
        let more = async {
            match &mut later {
                Some(later) => on_port(later.arrive().await, to.port),
                None => Vec::new(),
            }
        };
        let leaving = Leaving::default();
        let connected = race(to, Waiting::new(now), expects.then_some(more), &leaving).await;
        connected.map_err(|error| io::Error::other(error.text))
    }
}
