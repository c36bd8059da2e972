//! Names to addresses, without blocking anybody.

use super::answer::{Failure, Family, LookUpOutcome, LookUpSource, Question};
use super::asked::{Addresses, FamilyAsked, side_by_side};
use super::cache::Answers;
use super::config::{DnsConfig, ResolverKind};
use super::flights::Flights;
use super::hosts_file::HostsFile;
use super::plan::DnsPlan;
use super::resolv_conf::ResolvConf;
use super::search::{Special, candidates, special};
use super::servers::Servers;
use super::system;
use super::watch::NameWatch;
use super::watched::WatchedFile;
use arc_swap::ArcSwap;
use hickory_resolver::net::NetError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Looks names up; one for all event loops, with one cache.
#[derive(Debug)]
pub struct Resolver {
    config: DnsConfig,
    hosts: WatchedFile<HostsFile>,
    resolv_conf: WatchedFile<ResolvConf>,
    epoch: ArcSwap<Epoch>,
    /// Bounds the queries under way, in all of them.
    queries: Arc<Semaphore>,
    begun: Instant,
    /// When the files are looked at again, in milliseconds since `begun`.
    next_look: AtomicU64,
}

/// What holds for as long as the servers stay the same. An answer of servers that are gone is of no use to those who ask
/// after that, so the cache and the queries under way go with them.
#[derive(Debug)]
struct Epoch {
    plan: DnsPlan,
    servers: Arc<Servers>,
    answers: Arc<Answers>,
    flights: Arc<Flights>,
}

impl Epoch {
    fn begin(config: &DnsConfig, plan: DnsPlan) -> Result<Self, NetError> {
        Ok(Self {
            servers: Arc::new(Servers::new(
                &plan.servers,
                config.tls.as_deref(),
                config.order,
                config.timeout,
            )?),
            answers: Arc::new(Answers::new(config.cache)),
            flights: Arc::default(),
            plan,
        })
    }
}

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// The most queries under way. Each takes a socket for each server that it has asked, and up to two more when it is asked
/// again.
const MOST_QUERIES: u64 = 4096;

/// Why there are no addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookUpError {
    /// The kind of failure.
    pub failure: Failure,
    /// In words.
    pub text: String,
}

impl From<Failure> for LookUpError {
    fn from(failure: Failure) -> Self {
        let text = failure.to_string();
        Self { failure, text }
    }
}

impl Resolver {
    /// A resolver that goes by `config`. Reads the files; asks nobody.
    ///
    /// # Errors
    /// The DNS library cannot be set up.
    pub fn new(config: DnsConfig) -> Result<Self, NetError> {
        let hosts = WatchedFile::new(config.hosts_file.clone(), HostsFile::read);
        let resolv_conf = WatchedFile::new(config.resolv_conf.clone(), ResolvConf::read);
        let epoch = Epoch::begin(&config, DnsPlan::of(&config, &resolv_conf.get()))?;
        let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let queries = descriptors.map_or(MOST_QUERIES, |limit| (limit / 8).clamp(16, MOST_QUERIES));
        Ok(Self {
            hosts,
            resolv_conf,
            epoch: ArcSwap::from_pointee(epoch),
            queries: Arc::new(Semaphore::new(
                usize::try_from(queries).unwrap_or(usize::MAX >> 4),
            )),
            begun: Instant::now(),
            next_look: AtomicU64::new(millis(LOOK_EVERY)),
            config,
        })
    }

    /// The addresses of `name`, which is in lower case, within `limit`.
    ///
    /// # Errors
    /// There are none, or nobody says so in time.
    pub async fn look_up<W: NameWatch + ?Sized + 'static>(
        &self,
        name: &str,
        limit: Duration,
        watch: &Arc<W>,
    ) -> Result<Addresses, LookUpError> {
        let mut source = LookUpSource::Hosts;
        let finding = timeout(limit, self.find(name, watch, &mut source));
        let found = finding.await.unwrap_or_else(|_| {
            Err(LookUpError {
                failure: Failure::Timeout,
                text: format!("it took longer than {limit:?}"),
            })
        });
        let outcome = match &found {
            Ok(_) => LookUpOutcome::Ok,
            Err(error) => LookUpOutcome::Failed(error.failure),
        };
        watch.looked_up(source, outcome);
        found
    }

    async fn find<W: NameWatch + ?Sized + 'static>(
        &self,
        name: &str,
        watch: &Arc<W>,
        source: &mut LookUpSource,
    ) -> Result<Addresses, LookUpError> {
        if self.config.resolver == ResolverKind::System {
            *source = LookUpSource::System;
            return self.find_by_system(name).await;
        }
        self.look_at_files();
        if let Some(found) = self.hosts.get().find(name, self.config.families.first) {
            return self.useful(found);
        }
        match special(name) {
            Some(Special::Loopback) => {
                let first = self.config.families.first;
                let mut both = vec![IpAddr::from(Ipv6Addr::LOCALHOST), Ipv4Addr::LOCALHOST.into()];
                both.sort_by_key(|ip| !first.holds(ip));
                return self.useful(both);
            }
            Some(Special::None(failure)) => return Err(failure.into()),
            None => {}
        }
        let epoch = self.epoch.load_full();
        let mut failure: Option<Failure> = None;
        for candidate in candidates(name, &epoch.plan.search, epoch.plan.ndots) {
            match self.ask_for(&epoch, &candidate, watch, source).await {
                Ok(addresses) => return Ok(addresses),
                Err(this) => {
                    failure = Some(failure.map_or(this, |before| before.or(this)));
                    // Who does not answer for one name will not answer for the next either.
                    if this == Failure::Timeout {
                        break;
                    }
                }
            }
        }
        Err(failure.unwrap_or(Failure::NoSuchName).into())
    }

    async fn find_by_system(&self, name: &str) -> Result<Addresses, LookUpError> {
        match system::look_up(name).await {
            Ok(found) => self.useful(found),
            Err(error) => Err(LookUpError {
                failure: Failure::Failed,
                text: error.to_string(),
            }),
        }
    }

    /// The addresses of the families that are wanted.
    fn useful(&self, mut found: Vec<IpAddr>) -> Result<Addresses, LookUpError> {
        let families = self.config.families;
        found.retain(|ip| families.include(if ip.is_ipv4() { Family::V4 } else { Family::V6 }));
        if found.is_empty() {
            return Err(Failure::NoAddress.into());
        }
        Ok(Addresses::from(found))
    }

    /// Both families of one name, side by side (RFC 8305 section 3).
    async fn ask_for<W: NameWatch + ?Sized + 'static>(
        &self,
        epoch: &Arc<Epoch>,
        name: &str,
        watch: &Arc<W>,
        source: &mut LookUpSource,
    ) -> Result<Addresses, Failure> {
        let families = self.config.families;
        let mut ask = |family| {
            let asked = self.ask(epoch, name, family, watch);
            *source = asked.source().max(*source);
            asked
        };
        let mut first = ask(families.first);
        if !families.both {
            return first.found().await.map(Addresses::from);
        }
        let other = ask(families.first.other());
        side_by_side(first, other).await
    }

    fn ask<W: NameWatch + ?Sized + 'static>(
        &self,
        epoch: &Arc<Epoch>,
        name: &str,
        family: Family,
        watch: &Arc<W>,
    ) -> FamilyAsked {
        let known = || epoch.answers.get(name, family, Instant::now());
        if let Some(found) = known() {
            return FamilyAsked::Known(found);
        }
        let question = Question {
            name: name.into(),
            family,
        };
        let flight = epoch.flights.join(question, known, |question| {
            let (servers, answers) = (epoch.servers.clone(), epoch.answers.clone());
            let (queries, watch, limit) = (self.queries.clone(), watch.clone(), self.config.timeout);
            async move {
                // Those who wait for it may have gone: without a limit, the queries that wait for their turn would pile up.
                let Ok(Ok(_permit)) = timeout(limit, queries.acquire_owned()).await else {
                    return Err(Failure::Timeout);
                };
                let begun = Instant::now();
                let reply = servers.ask(&question).await;
                answers.keep(question, &reply, Instant::now());
                let outcome = LookUpOutcome::of(&reply.found);
                watch.queried(outcome, begun.elapsed(), answers.len());
                reply.found
            }
        });
        match flight {
            Ok(flight) => FamilyAsked::Flying(flight),
            Err(found) => FamilyAsked::Known(found),
        }
    }

    /// Looks at the files, if nobody has for a while.
    fn look_at_files(&self) {
        let (now, next) = (
            millis(self.begun.elapsed()),
            self.next_look.load(Ordering::Relaxed),
        );
        let later = now + millis(LOOK_EVERY);
        if now < next
            || self
                .next_look
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        self.hosts.refresh();
        if !self.resolv_conf.refresh() {
            return;
        }
        let plan = DnsPlan::of(&self.config, &self.resolv_conf.get());
        if plan == self.epoch.load().plan {
            return;
        }
        match Epoch::begin(&self.config, plan) {
            Ok(epoch) => {
                tracing::info!("resolv.conf has changed: {}", epoch.plan);
                self.epoch.store(Arc::new(epoch));
            }
            Err(error) => tracing::error!("the DNS servers stay as they were: {error}"),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Keeps what it is told.
    #[derive(Default)]
    struct Heard(Mutex<Vec<(LookUpSource, LookUpOutcome)>>);

    impl NameWatch for Heard {
        fn looked_up(&self, source: LookUpSource, outcome: LookUpOutcome) {
            self.0.lock().unwrap().push((source, outcome));
        }

        fn queried(&self, _: LookUpOutcome, _: Duration, _: usize) {}
    }

    const LONG: Duration = Duration::from_secs(60);

    fn resolver(config: DnsConfig) -> Resolver {
        Resolver::new(DnsConfig {
            hosts_file: None,
            resolv_conf: None,
            ..config
        })
        .unwrap()
    }

    #[tokio::test]
    async fn a_query_that_gets_no_turn_ends_all_the_same() {
        let mut resolver = resolver(DnsConfig {
            timeout: Duration::from_millis(50),
            ..DnsConfig::default()
        });
        resolver.queries = Arc::new(Semaphore::new(0));
        let heard = Arc::new(Heard::default());
        let error = resolver.look_up("a.test", LONG, &heard).await.unwrap_err();
        assert_eq!(error.failure, Failure::Timeout);
        let expected = (LookUpSource::Network, LookUpOutcome::Failed(Failure::Timeout));
        assert_eq!(*heard.0.lock().unwrap(), [expected]);
        // Nobody was asked, so that nothing is known of the name.
        assert_eq!(resolver.epoch.load().answers.len(), 0);
    }

    #[tokio::test]
    async fn only_the_families_that_are_wanted_are_told() {
        let heard = Arc::new(Heard::default());
        for (first, both, expected) in [
            (Family::V6, true, &["::1", "127.0.0.1"][..]),
            (Family::V4, true, &["127.0.0.1", "::1"]),
            (Family::V4, false, &["127.0.0.1"]),
            (Family::V6, false, &["::1"]),
        ] {
            let families = crate::dial::dns::config::Families { first, both };
            let resolver = resolver(DnsConfig {
                families,
                ..DnsConfig::default()
            });
            let found = resolver.look_up("localhost", LONG, &heard).await.unwrap();
            let texts: Vec<_> = found.now.iter().map(ToString::to_string).collect();
            assert_eq!(texts, expected);
        }
    }

    #[test]
    fn other_servers_begin_with_an_empty_cache_and_the_same_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        std::fs::write(&path, "nameserver 192.0.2.1\n").unwrap();
        let resolver = Resolver::new(DnsConfig {
            hosts_file: None,
            resolv_conf: Some(path.clone()),
            ..DnsConfig::default()
        })
        .unwrap();
        let first = resolver.epoch.load_full();
        assert_eq!(first.plan.to_string(), "192.0.2.1");
        let look = || {
            resolver.next_look.store(0, Ordering::Relaxed);
            resolver.look_at_files();
            resolver.epoch.load_full()
        };
        std::fs::write(&path, "# the same\nnameserver 192.0.2.1\n").unwrap();
        assert!(Arc::ptr_eq(&look(), &first));
        std::fs::write(&path, "nameserver 192.0.2.2\nsearch corp.test\n").unwrap();
        // Not looked at before its time.
        resolver.look_at_files();
        assert!(Arc::ptr_eq(&resolver.epoch.load_full(), &first));
        let second = look();
        assert_eq!(second.plan.to_string(), "192.0.2.2; search corp.test");
        assert!(!Arc::ptr_eq(&second.answers, &first.answers));
    }
}
