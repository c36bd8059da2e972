//! Asks DNS servers. The library carries one query to one server; which server is asked when is decided here. Its own pool
//! gives the first server all of the time there is, and takes a SERVFAIL for the last word.

use super::answer::{Failure, Family, Question};
use super::config::{DnsServer, NEXT_SERVER, ServerOrder};
use super::reply::Reply;
use super::transport::Transport;
use crate::handshake::ServiceTls;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, Query};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The servers, and what is known of their health.
pub(super) struct Servers {
    list: Vec<Arc<Server>>,
    order: ServerOrder,
    timeout: Duration,
    begun: Instant,
}

struct Server {
    pool: NameServerPool<Transport>,
    /// When it failed last, in milliseconds since [`Servers::begun`] and one; 0 if it has answered since.
    failed: AtomicU64,
}

/// For so long a server that has failed is asked after the others.
const AVOIDED: Duration = Duration::from_secs(30);

/// Queries on one TCP connection at once. The library's default of 32 would refuse more.
const ON_ONE_CONNECTION: usize = 4096;

impl Servers {
    /// Reaches nobody yet.
    pub(super) fn new(
        servers: &[DnsServer],
        tls: Option<&ServiceTls>,
        order: ServerOrder,
        timeout: Duration,
    ) -> Result<Self, NetError> {
        let transport = Transport::default();
        let mut list = Vec::with_capacity(servers.len());
        for server in servers {
            let mut options = ResolverOpts::default();
            options.timeout = timeout;
            options.num_concurrent_reqs = 1;
            options.max_active_requests = ON_ONE_CONNECTION;
            let tls = match tls.filter(|_| server.tls.is_some()) {
                Some(tls) => TlsConfig {
                    config: tls.for_library(),
                },
                // Trusts nobody.
                None => TlsConfig::new()?,
            };
            let context = Arc::new(PoolContext::new(options, tls));
            let pool = NameServerPool::from_config([carried(server)], context, transport.clone());
            list.push(Arc::new(Server {
                pool,
                failed: AtomicU64::new(0),
            }));
        }
        Ok(Self {
            list,
            order,
            timeout,
            begun: Instant::now(),
        })
    }

    /// What the servers say to `question`: the first answer that is one, or the failure that says most.
    pub(super) async fn ask(&self, question: &Question) -> Reply {
        // As bytes: the library's way from a text refuses labels such as `-a`, which there are.
        let Ok(name) = Name::from_labels(question.name.split('.').map(str::as_bytes)) else {
            return Reply::failed(Failure::NoSuchName);
        };
        match timeout(self.timeout, self.ask_in_turn(name, question.family)).await {
            Ok(reply) => reply,
            Err(_) => Reply::failed(Failure::Timeout),
        }
    }

    async fn ask_in_turn(&self, name: Name, family: Family) -> Reply {
        let mut waiting = self.healthy_first().into_iter();
        let mut asked: Vec<Arc<Server>> = Vec::with_capacity(waiting.len());
        let mut under_way = JoinSet::new();
        let mut failure: Option<Failure> = None;
        loop {
            if let Some(server) = waiting.next() {
                let (name, place) = (name.clone(), asked.len());
                asked.push(server.clone());
                under_way.spawn(async move { (place, server.ask(name, family).await) });
            }
            let head_start = async {
                match (waiting.len(), self.order) {
                    (0, _) => std::future::pending().await,
                    (_, ServerOrder::AllAtOnce) => {}
                    (_, ServerOrder::InOrder) => sleep(NEXT_SERVER).await,
                }
            };
            let ended = tokio::select! {
                // A server that is there to be asked is asked before answers are looked at.
                biased;
                () = head_start => continue,
                ended = under_way.join_next() => ended,
            };
            let (place, reply) = match ended {
                Some(Ok(ended)) => ended,
                // A task that panicked has said nothing.
                Some(Err(_)) => continue,
                None => return Reply::failed(failure.unwrap_or(Failure::Failed)),
            };
            if reply.is_final() {
                asked[place].failed.store(0, Ordering::Relaxed);
                // Those that were asked before and are still silent have been slower by far.
                if self.order == ServerOrder::InOrder {
                    asked[..place].iter().for_each(|server| self.blame(server));
                }
                return reply;
            }
            self.blame(&asked[place]);
            if let Err(this) = reply.found {
                failure = Some(failure.map_or(this, |before| before.or(this)));
            }
        }
    }

    fn blame(&self, server: &Server) {
        server.failed.store(self.millis() + 1, Ordering::Relaxed);
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// All servers in their order, those that have failed of late behind the others.
    fn healthy_first(&self) -> Vec<Arc<Server>> {
        let now = self.millis();
        let avoided = |server: &Server| {
            let failed = server.failed.load(Ordering::Relaxed);
            failed != 0 && u128::from(now.saturating_sub(failed - 1)) < AVOIDED.as_millis()
        };
        let mut all = self.list.clone();
        all.sort_by_key(|server| avoided(server));
        all
    }
}

impl Server {
    async fn ask(&self, name: Name, family: Family) -> Reply {
        let reply = self.send(&name, family, true).await;
        if reply.found == Err(Failure::NotUnderstood) {
            // RFC 6891 section 7: a server that does not know EDNS says FORMERR or NOTIMP to it.
            return self.send(&name, family, false).await;
        }
        reply
    }

    async fn send(&self, name: &Name, family: Family, edns: bool) -> Reply {
        let kind = match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        };
        let mut options = DnsRequestOptions::default();
        options.use_edns = edns;
        let request = DnsRequest::from_query(Query::query(name.clone(), kind), options);
        let response = self.pool.send(request).first_answer().await;
        Reply::of(response, name, family)
    }
}

/// A server as the library names it. What goes by TLS never goes in the open.
fn carried(server: &DnsServer) -> NameServerConfig {
    let mut ways = match &server.tls {
        Some(name) => vec![ConnectionConfig::tls(Arc::clone(name))],
        None => vec![ConnectionConfig::udp(), ConnectionConfig::tcp()],
    };
    for way in &mut ways {
        way.port = server.address.port();
    }
    NameServerConfig::new(server.address.ip(), true, ways)
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers")
            .field("count", &self.list.len())
            .field("order", &self.order)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
