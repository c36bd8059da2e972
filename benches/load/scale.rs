//! How cost grows: with the number of open connections, and with the size of a message.

use crate::client::Io;
use crate::echo::{Echo, Payload, Script, Until};
use crate::hold::{First, hold};
use crate::measured::{Measured, Point};
use crate::peers::{Kind, Lab};
use crate::stats::Latencies;
use crate::work::{self, Work};
use crate::{Fallible, plots, proc};
use clap::Args;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Open connections.
const CONNECTIONS: [usize; 6] = [1, 10, 100, 1000, 5000, 9000];
/// With `--quick`, the first so many of them.
const QUICK_CONNECTIONS: usize = 4;
/// Message sizes: powers of four from 16 B to 16 MiB.
const SIZES: [usize; 11] = [
    16,
    64,
    256,
    1 << 10,
    1 << 12,
    1 << 14,
    1 << 16,
    1 << 18,
    1 << 20,
    1 << 22,
    1 << 24,
];
/// WebSockets in the runs over sizes, each with one message under way.
const FEW: usize = 4;
/// The message in the runs over connections.
const SMALL: usize = 64;
/// A point that takes longer than this, and a little more for each connection, hangs.
const GRACE: Duration = Duration::from_secs(60);
const GRACE_EACH: Duration = Duration::from_millis(20);

/// Options of `scale`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Fewer points, fewer and shorter slices, for CI; writes to target/plots unless told otherwise
    #[arg(long)]
    quick: bool,
    /// These proxies, all of which must be there; by default wsbump, bare and haproxy as far as installed
    #[arg(long, value_delimiter = ',')]
    peers: Vec<Kind>,
    /// Messages under way at once in the runs over connections, on as many connections, which take turns
    #[arg(long, default_value_t = 1, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    active: usize,
    /// Slices of each proxy at each point [default: 5, quick: 2]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    slices: Option<u16>,
    /// Length of a slice in milliseconds [default: 1000, quick: 100]
    #[arg(long, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    millis: Option<u64>,
    /// Where scale.json and the plots go [default: docs/plots, quick: target/plots]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Measure nothing: draw the plots again from this scale.json
    #[arg(long)]
    from: Option<PathBuf>,
}

/// What one run measures with.
struct Run {
    lab: Lab,
    kinds: Vec<Kind>,
    slices: usize,
    length: Duration,
    active: usize,
    begun: Instant,
}

/// Measures, prints tables, and writes `scale.json` and the plots.
pub(crate) async fn run(options: Options) -> Fallible<()> {
    let out = options.out.unwrap_or_else(|| {
        let folder = if options.quick {
            "target/plots"
        } else {
            "docs/plots"
        };
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder)
    });
    std::fs::create_dir_all(&out)?;
    if let Some(from) = options.from {
        return plots::write(&out, &serde_json::from_slice(&std::fs::read(from)?)?);
    }
    let mut machine = proc::machine();
    let open_files = proc::raise_open_files();
    let mut proxies = Vec::new();
    let wanted = [Kind::Wsbump, Kind::Bare, Kind::Haproxy];
    let wanted = if options.peers.is_empty() {
        &wanted[..]
    } else {
        &options.peers
    };
    let mut kinds = Vec::new();
    for &kind in wanted {
        match kind.version() {
            Some(version) => {
                proxies.push((kind.name(), version));
                kinds.push(kind);
            }
            None if options.peers.is_empty() => {
                eprintln!("load: {} is not installed: left out", kind.name());
            }
            None => return Err(format!("{} is not installed", kind.name()).into()),
        }
    }
    let run = Run {
        lab: Lab::open()?,
        kinds,
        slices: usize::from(options.slices.unwrap_or(if options.quick { 2 } else { 5 })),
        length: Duration::from_millis(options.millis.unwrap_or(if options.quick { 100 } else { 1000 })),
        active: options.active,
        begun: Instant::now(),
    };
    machine.push((
        "slices",
        format!("{} of {} ms", run.slices, run.length.as_millis()),
    ));
    let files = usize::try_from(open_files.saturating_sub(200))?;
    let some = if options.quick {
        QUICK_CONNECTIONS
    } else {
        CONNECTIONS.len()
    };
    let connections = run
        .over_connections(CONNECTIONS.into_iter().take(some), files)
        .await?;
    // Every second size, and always the small message whose latencies are drawn.
    let sizes = SIZES
        .iter()
        .enumerate()
        .filter(|(at, _)| !options.quick || at % 2 == 0 || *at == 1);
    let sizes = run.over_sizes(sizes.map(|(_, size)| *size)).await?;
    machine.push(("took", format!("{} s", run.begun.elapsed().as_secs())));
    let machine = machine
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let measured = Measured {
        machine,
        proxies,
        connections,
        sizes,
    };
    print!("{}", plots::markdown(&measured)?);
    std::fs::write(out.join("scale.json"), serde_json::to_string(&measured)?)?;
    plots::write(&out, &measured)
}

impl Run {
    /// At each number the slices take turns between as many proxies as this process and the origin, which need a
    /// descriptor for each connection through any of them, have descriptors for.
    async fn over_connections(
        &self,
        counts: impl Iterator<Item = usize>,
        files: usize,
    ) -> Fallible<Vec<Point>> {
        let mut points = Vec::new();
        for count in counts {
            // A proxy needs two for each connection.
            if count * 2 > files {
                eprintln!("load: {count} connections need more open files than allowed: left out");
                continue;
            }
            for kinds in self.kinds.chunks(files / count) {
                let names: Vec<String> = kinds.iter().map(|kind| kind.name()).collect();
                let seconds = self.begun.elapsed().as_secs();
                eprintln!("load: {seconds:>4} s: {count} connections, {}", names.join(", "));
                let limit = GRACE + GRACE_EACH * u32::try_from(count * kinds.len())?;
                let some = timeout(limit, self.at_connections(kinds, count)).await;
                points.extend(some.map_err(|_| "hung")??);
            }
        }
        Ok(points)
    }

    async fn at_connections(&self, kinds: &[Kind], count: usize) -> Fallible<Vec<Point>> {
        let script = Arc::new(Script::new(Payload::Binary, SMALL, 1)?);
        let mut held = Vec::new();
        for kind in kinds {
            // Memory is measured in a process that has done nothing yet.
            let peer = kind.start(&self.lab)?;
            let first = First::Messages(Payload::Binary, &script);
            let opened = hold(&peer.bumped, peer.process.id(), count, first).await?;
            let walkers = share_out(opened.sockets, self.active.min(count));
            held.push((kind, peer, walkers, Some(opened.kib), Vec::new()));
        }
        for turn in 0..self.slices {
            for at in order(turn, held.len()) {
                let Some((_, peer, walkers, _, slices)) = held.get_mut(at) else {
                    continue;
                };
                let each = |walker, end| walk(walker, Arc::clone(&script), end);
                slices.push(work::measure(peer.process.id(), walkers.clone(), self.length, each).await?);
            }
        }
        let mut points = Vec::new();
        for (kind, peer, walkers, pss, slices) in held {
            points.push(Point::new(kind.name(), count, pss, &slices));
            // The clients go first, so that nothing is left to wait for when the proxy is told to end.
            drop(walkers);
            drop(peer);
        }
        Ok(points)
    }

    /// The slices of a size take turns between the proxies.
    async fn over_sizes(&self, sizes: impl Iterator<Item = usize>) -> Fallible<Vec<Point>> {
        let mut peers = Vec::new();
        for kind in &self.kinds {
            peers.push((kind.name(), kind.start(&self.lab)?));
        }
        let mut points = Vec::new();
        for size in sizes {
            eprintln!("load: {:>4} s: {size} bytes", self.begun.elapsed().as_secs());
            let echo = Work::Echo {
                payload: Payload::Binary,
                connections: FEW,
                size,
                in_flight: 1,
            };
            let mut slices = vec![Vec::new(); peers.len()];
            for turn in 0..self.slices {
                for at in order(turn, peers.len()) {
                    let (Some((_, peer)), Some(mine)) = (peers.get(at), slices.get_mut(at)) else {
                        continue;
                    };
                    mine.push(work::run(echo, &peer.bumped, peer.process.id(), self.length).await?);
                }
            }
            for ((name, _), slices) in peers.iter().zip(&slices) {
                points.push(Point::new(name.clone(), size, None, slices));
            }
        }
        Ok(points)
    }
}

/// Every other turn goes backwards, so that no proxy always follows the same neighbour.
fn order(turn: usize, many: usize) -> Vec<usize> {
    let forwards = 0..many;
    if turn % 2 == 1 {
        forwards.rev().collect()
    } else {
        forwards.collect()
    }
}

type Walker = Arc<Mutex<VecDeque<Io>>>;

/// Deals the connections out to `many` tasks.
fn share_out(sockets: Vec<Io>, many: usize) -> Vec<Walker> {
    let mut walkers = Vec::new();
    walkers.resize_with(many, VecDeque::new);
    for (at, io) in sockets.into_iter().enumerate() {
        if let Some(walker) = walkers.get_mut(at % many) {
            walker.push_back(io);
        }
    }
    walkers
        .into_iter()
        .map(|walker| Arc::new(Mutex::new(walker)))
        .collect()
}

/// One message on each connection in turn, until the end of the slice; the next slice goes on from there.
async fn walk(walker: Walker, script: Arc<Script>, end: Instant) -> Fallible<Latencies> {
    let mut sockets = walker.lock().await;
    let mut latencies = Latencies::default();
    while Instant::now() < end {
        let Some(mut io) = sockets.pop_front() else { break };
        latencies.merge(&Echo::run(&mut io, &script, Until::Once).await?);
        sockets.push_back(io);
    }
    Ok(latencies)
}
