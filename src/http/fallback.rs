//! The way back to HTTP/1.1, for hosts that say over HTTP/2 what the `h2` crate cannot take.

use crate::accept::Who;
use crate::http::watch::Watch;
use crate::wire::names::Authority;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How many hosts are remembered.
const HOSTS: usize = 1024;

/// How long each of them is.
const KEPT: Duration = Duration::from_secs(3600);

/// Hosts to which no HTTP/2 is offered.
#[derive(Debug, Default)]
pub struct Http1Only {
    /// Each with when that ends. Where a client said what cannot be taken, the host is so for that client alone.
    hosts: Mutex<HashMap<(Authority, Option<IpAddr>), Instant>>,
}

impl Http1Only {
    /// Whether `client` gets no HTTP/2 with `host`.
    pub fn holds(&self, host: &Authority, client: IpAddr, now: Instant) -> bool {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        !hosts.is_empty()
            && [None, Some(client)]
                .into_iter()
                .filter_map(|whose| hosts.get(&(host.clone(), whose)))
                .any(|until| now < *until)
    }

    /// Remembers a host, for one client or for all; says whether that is news.
    fn add(&self, host: Authority, client: Option<IpAddr>, now: Instant) -> bool {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = (host, client);
        if hosts.len() >= HOSTS && !hosts.contains_key(&host) {
            hosts.retain(|_, until| now < *until);
        }
        if hosts.len() >= HOSTS && !hosts.contains_key(&host) {
            let oldest = hosts
                .iter()
                .min_by_key(|(_, until)| **until)
                .map(|(host, _)| host.clone());
            oldest.and_then(|oldest| hosts.remove(&oldest));
        }
        hosts.insert(host, now + KEPT).is_none_or(|until| until <= now)
    }
}

/// What a connection needs to know of it.
#[derive(Debug, Clone)]
pub struct Fallback {
    memory: Arc<Http1Only>,
    host: Authority,
    who: Who,
    /// The client has offered HTTP/1.1 too.
    has_http1: bool,
    /// What the origin has said that cannot be taken, in words.
    said: Arc<OnceLock<String>>,
}

impl Fallback {
    /// One for a connection of `who` with `host`; `has_http1` says that the client has offered HTTP/1.1 too.
    pub fn new(memory: Arc<Http1Only>, host: Authority, who: Who, has_http1: bool) -> Self {
        Self {
            memory,
            host,
            who,
            has_http1,
            said: Arc::default(),
        }
    }

    /// Whether the client has offered HTTP/1.1 too.
    pub(in crate::http) fn has_http1(&self) -> bool {
        self.has_http1
    }

    /// The client has sent what cannot be taken: the host is HTTP/1.1's for it.
    pub(in crate::http) fn for_client(&self, watch: &dyn Watch) {
        if self.has_http1 {
            self.add(Some(self.who.client), watch);
        }
    }

    /// The origin has sent what cannot be taken: it is HTTP/1.1's for everybody.
    pub(in crate::http) fn for_all(&self, said: String, watch: &dyn Watch) {
        if self.said.set(said).is_ok() {
            self.add(None, watch);
        }
    }

    fn add(&self, client: Option<IpAddr>, watch: &dyn Watch) {
        if self.memory.add(self.host.clone(), client, Instant::now()) {
            watch.http1_fallback(&self.who, &self.host.to_string());
        }
    }

    /// Whether the host has become HTTP/1.1's meanwhile, for this client too, which has that protocol. Browsers hold more
    /// than one connection, and ask again on another one that they have.
    pub(in crate::http) fn is_due(&self) -> bool {
        self.has_http1 && self.memory.holds(&self.host, self.who.client, Instant::now())
    }

    /// What the origin has said that cannot be taken, in words.
    pub(in crate::http) fn said(&self) -> Option<&str> {
        self.said.get().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::names::Host;

    fn host(number: usize) -> Authority {
        Authority {
            host: Host::Name(format!("host-{number}.test")),
            port: 443,
        }
    }

    const ME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::BROADCAST);

    #[test]
    fn a_host_is_remembered_for_an_hour() {
        let (memory, now) = (Http1Only::default(), Instant::now());
        assert!(!memory.holds(&host(1), ME, now));
        assert!(memory.add(host(1), None, now));
        assert!(!memory.add(host(1), None, now), "no news");
        assert!(memory.holds(&host(1), ME, now) && memory.holds(&host(1), OTHER, now));
        assert!(!memory.holds(&host(2), ME, now));
        let other_port = Authority {
            port: 8443,
            ..host(1)
        };
        assert!(!memory.holds(&other_port, ME, now));
        assert!(memory.holds(&host(1), ME, now + KEPT - Duration::from_secs(1)));
        assert!(!memory.holds(&host(1), ME, now + KEPT));
        // Once more, and it begins anew.
        assert!(memory.add(host(1), None, now + KEPT));
        assert!(memory.holds(&host(1), ME, now + KEPT * 3 / 2));
    }

    #[test]
    fn what_a_client_says_concerns_that_client_alone() {
        let (memory, now) = (Http1Only::default(), Instant::now());
        memory.add(host(1), Some(ME), now);
        assert!(memory.holds(&host(1), ME, now));
        assert!(!memory.holds(&host(1), OTHER, now));
    }

    #[test]
    fn the_oldest_make_room() {
        let (memory, now) = (Http1Only::default(), Instant::now());
        let at = |number: usize| now + Duration::from_secs(number as u64);
        for number in 0..HOSTS + 10 {
            memory.add(host(number), None, at(number));
        }
        let last = at(HOSTS + 10);
        let held = (0..HOSTS + 10).filter(|&number| memory.holds(&host(number), ME, last));
        assert_eq!(held.collect::<Vec<_>>(), (10..HOSTS + 10).collect::<Vec<_>>());
        // Those whose time is over go all at once.
        memory.add(host(0), None, last + KEPT);
        assert_eq!(memory.hosts.lock().unwrap().len(), 1);
    }
}
