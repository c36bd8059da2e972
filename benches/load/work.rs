//! Workloads: what a row of the table makes the client do, for a while, through one proxy.

use crate::client::Route;
use crate::echo::{Echo, Payload, Script, Until, close};
use crate::hold::{First, Held, hold};
use crate::open::open_all;
use crate::pages;
use crate::pki::DOMAIN;
use crate::proc::Cpu;
use crate::stats::{Latencies, since};
use crate::{Fallible, h2};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A slice that hangs is given up this long after its end, and a little later for each connection it holds.
const GRACE: Duration = Duration::from_secs(15);
const GRACE_EACH: Duration = Duration::from_millis(20);
/// A slice makes at most this many new connections, so that ports do not run out.
const NEW_CONNECTIONS: u32 = 6000;
/// Hosts that exist: names are used once each in a run.
pub(crate) const HOSTS: u32 = 40_000;

static NEXT_HOST: AtomicU32 = AtomicU32::new(0);

/// What a client does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// Echo messages of `size` bytes on `connections` WebSockets with `in_flight` under way on each.
    Echo {
        payload: Payload,
        connections: usize,
        size: usize,
        in_flight: usize,
    },
    /// Open, echo 64 bytes once and close, one after another, on `connections` tasks.
    Connect { connections: usize, new_host: bool },
    /// Keep-alive GET of a path on `connections` connections.
    Get { connections: usize, path: &'static str },
    /// GET of a path over HTTP/2, on so many streams of so many connections at once.
    H2Get {
        connections: usize,
        streams: usize,
        path: &'static str,
    },
    /// Echo messages on WebSockets over HTTP/2, each on a connection of its own.
    H2Echo {
        connections: usize,
        size: usize,
        in_flight: usize,
    },
    /// Hold this many WebSockets idle after so many messages of `size` bytes each.
    Idle {
        payload: Payload,
        connections: usize,
        size: usize,
        messages: usize,
    },
    /// Hold this many keep-alive connections idle after one GET of 1 KiB on each.
    IdlePage { connections: usize },
}

/// What a slice gave.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    /// Messages, connections or requests that were completed.
    pub(crate) count: u64,
    /// From the first to the last of them, in seconds.
    pub(crate) seconds: f64,
    /// CPU time of the proxy per completed one, in nanoseconds.
    pub(crate) cpu_nanos: f64,
    /// Memory of the proxy for each idle connection, in KiB (PSS), where that was asked for.
    pub(crate) idle_kib: Option<f64>,
    /// Its descriptors for each of them.
    pub(crate) idle_files: Option<f64>,
    /// How long each took.
    pub(crate) latencies: Latencies,
}

impl From<Held> for Slice {
    fn from(held: Held) -> Self {
        Self {
            count: held.latencies.count(),
            seconds: held.seconds,
            cpu_nanos: 0.0,
            idle_kib: Some(held.kib),
            idle_files: Some(held.files),
            latencies: held.latencies,
        }
    }
}

/// Runs one slice of a workload through the proxy whose process is `pid`.
pub(crate) async fn run(work: Work, route: &Route, pid: u32, length: Duration) -> Fallible<Slice> {
    let slice = async {
        match work {
            Work::Echo {
                payload,
                connections,
                size,
                in_flight,
            } => {
                let script = Arc::new(Script::new(payload, size, in_flight)?);
                let sockets = open_all(route, connections, Some(payload)).await?;
                measure(pid, sockets, length, move |mut io, end| {
                    let script = Arc::clone(&script);
                    async move { Echo::run(&mut io, &script, Until::Time(end)).await }
                })
                .await
            }
            Work::Connect {
                connections,
                new_host,
            } => {
                let routes = vec![route.clone(); connections];
                let most = NEW_CONNECTIONS / u32::try_from(connections)?;
                let hosts = if new_host { Hosts::New } else { Hosts::Known };
                measure(pid, routes, length, move |route, end| {
                    connect(route, hosts, end, most)
                })
                .await
            }
            Work::Get { connections, path } => {
                let request: Arc<str> = route.request(path, "").into();
                let sockets = open_all(route, connections, None).await?;
                measure(pid, sockets, length, move |io, end| {
                    pages::get(io, Arc::clone(&request), end)
                })
                .await
            }
            Work::H2Get {
                connections,
                streams,
                path,
            } => {
                let mut handles = Vec::new();
                for _ in 0..connections {
                    let sender = h2::open(route).await?;
                    handles.extend((0..streams).map(|_| (sender.clone(), route.clone())));
                }
                measure(pid, handles, length, move |(sender, route), end| {
                    h2::get(sender, route, path, end)
                })
                .await
            }
            Work::H2Echo {
                connections,
                size,
                in_flight,
            } => {
                let script = Arc::new(Script::new(Payload::Binary, size, in_flight)?);
                let mut sockets = Vec::new();
                for _ in 0..connections {
                    sockets.push(h2::websocket(route).await?);
                }
                measure(pid, sockets, length, move |stream, end| {
                    h2::echo(stream, Arc::clone(&script), end)
                })
                .await
            }
            Work::Idle {
                payload,
                connections,
                size,
                messages,
            } => {
                let script = Script::new(payload, size, messages)?;
                Ok(hold(route, pid, connections, First::Messages(payload, &script))
                    .await?
                    .into())
            }
            Work::IdlePage { connections } => {
                let request = route.request("/", "");
                let mut held = hold(route, pid, connections, First::Page(&request)).await?;
                // Those that were measured are those that answer once more.
                for io in &mut held.sockets {
                    pages::fetch_small(io, &request).await?;
                }
                Ok(held.into())
            }
        }
    };
    let held = match work {
        Work::Idle { connections, .. } | Work::IdlePage { connections } => connections,
        _ => 0,
    };
    timeout(length + GRACE + GRACE_EACH * u32::try_from(held)?, slice)
        .await
        .map_err(|_| "hung")?
}

/// Runs `each` for all of `items` at the same time and divides the proxy's CPU time by what they completed.
pub(crate) async fn measure<T, F, R>(pid: u32, items: Vec<T>, length: Duration, each: F) -> Fallible<Slice>
where
    T: Send + 'static,
    F: Fn(T, Instant) -> R,
    R: Future<Output = Fallible<Latencies>> + Send + 'static,
{
    let before = Cpu::of(pid);
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for item in items {
        tasks.spawn(each(item, start + length));
    }
    let mut latencies = Latencies::default();
    while let Some(result) = tasks.join_next().await {
        latencies.merge(&result??);
    }
    let seconds = start.elapsed().as_secs_f64();
    let spent = Cpu::of(pid).since(&before);
    if latencies.count() == 0 {
        return Err("nothing was completed".into());
    }
    let cpu_nanos = spent as f64 / latencies.count() as f64;
    Ok(Slice {
        count: latencies.count(),
        seconds,
        cpu_nanos,
        idle_kib: None,
        idle_files: None,
        latencies,
    })
}

/// Which hosts new connections ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hosts {
    /// The route's own.
    Known,
    /// One that this run has not asked for yet.
    New,
    /// So many in turn.
    Cycle(u32),
}

/// Opens a WebSocket, echoes once and closes, one after another, until the end or until there were `most`.
pub(crate) async fn connect(route: Route, hosts: Hosts, end: Instant, most: u32) -> Fallible<Latencies> {
    let script = Script::new(Payload::Binary, 64, 1)?;
    let mut latencies = Latencies::default();
    for _ in 0..most {
        let start = Instant::now();
        if start >= end {
            break;
        }
        let number = match hosts {
            Hosts::Known => None,
            Hosts::New => Some(NEXT_HOST.fetch_add(1, Ordering::Relaxed)),
            Hosts::Cycle(many) => Some(NEXT_HOST.fetch_add(1, Ordering::Relaxed) % many),
        };
        let mut io = match number {
            Some(HOSTS..) => return Err("all host names of this run are used up".into()),
            Some(n) => route.to(format!("n{n}.{DOMAIN}")).open_websocket().await?,
            None => route.open_websocket().await?,
        };
        Echo::run(&mut io, &script, Until::Once).await?;
        latencies.record(since(start));
        close(io).await?;
    }
    Ok(latencies)
}
