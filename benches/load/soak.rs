//! Minutes of everything at once, as fast as it goes: what the proxy holds at the end must be what it held when all
//! its caches were full.

use crate::client::Route;
use crate::echo::{Echo, Payload, Script, Until};
use crate::open::open_all;
use crate::peers::{Kind, Lab};
use crate::proc::{Held, machine, raise_open_files};
use crate::report::number;
use crate::stats::{Latencies, median};
use crate::work::{self, Hosts};
use crate::{Fallible, client, pages};
use clap::Args;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

/// Memory may grow by the larger of these two.
const SHARE: f64 = 1.10;
const SLACK_KIB: f64 = 5.0 * 1024.0;
/// Descriptors that may be more when all clients have gone: connections kept for reuse.
const FILES: usize = 32;
/// How long a proxy may take to close what its clients have closed.
const CLOSING: Duration = Duration::from_secs(15);
/// A sample is one moment under full load: three are taken for one.
const TOGETHER: usize = 3;
/// Hosts that are asked for in turn: twice what the proxy's cache of leaves holds here.
const HOSTS: u32 = 2000;

/// Options of `soak`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=24 * 60))]
    minutes: u64,
    /// Which proxy
    #[arg(long, default_value = "wsbump")]
    peer: Kind,
    /// Also write all samples to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What one kind of load did.
type Done = Fallible<(&'static str, Latencies)>;

/// Loads one proxy and fails if it grows.
pub(crate) async fn run(options: Options) -> Fallible<()> {
    let machine = machine();
    raise_open_files();
    let lab = Lab::open()?;
    let version = options.peer.version().ok_or("not installed")?;
    let peer = options.peer.start(&lab)?;
    let pid = peer.process.id();
    let fresh = Held::by(pid)?;

    let length = Duration::from_secs(options.minutes * 60);
    let every = (length / 60).min(Duration::from_secs(10));
    // A short run has no time for a whole minute of warming up.
    let warm = Duration::from_secs(60).min(length / 3);
    let begun = Instant::now();
    let mut load = start(&peer.bumped, options.peer, begun + length).await?;

    println!("| s | PSS KiB | RSS KiB | descriptors | threads |\n|---|---|---|---|---|");
    let mut samples: Vec<(f64, Held)> = Vec::new();
    let mut done: BTreeMap<&'static str, Latencies> = BTreeMap::new();
    let mut ticks = interval(every);
    ticks.tick().await;
    loop {
        tokio::select! {
            // What ends early ends with an error; what ends late is waited for.
            ended = load.join_next() => match ended {
                Some(ended) => {
                    let (what, latencies) = ended??;
                    done.entry(what).or_default().merge(&latencies);
                }
                None => break,
            },
            _ = ticks.tick(), if begun.elapsed() < length => {
                let (at, held) = (begun.elapsed().as_secs_f64(), Held::by(pid)?);
                println!("| {at:.0} | {} | {} | {} | {} |", held.pss, held.rss, held.files, held.threads);
                samples.push((at, held));
            }
        }
    }
    let after = settled(pid, fresh.files + FILES).await?;

    println!();
    for (what, value) in &machine {
        println!("- {what}: {value}");
    }
    println!("- proxy: {} {version}", options.peer.name());
    for (what, latencies) in &done {
        let (rate, us) = (latencies.count() as f64 / length.as_secs_f64(), |share| {
            number(latencies.quantile_us(share))
        });
        println!("- {what}: {rate:.0}/s, p50 {} us, p99 {} us", us(0.5), us(0.99));
    }
    println!(
        "- before the load: {} KiB, {} descriptors, {} threads",
        fresh.pss, fresh.files, fresh.threads
    );
    println!(
        "- after it: {} KiB, {} descriptors, {} threads",
        after.pss, after.files, after.threads
    );
    if let Some(path) = options.json {
        let rows = samples
            .iter()
            .map(|(at, held)| json!([at, held.pss, held.rss, held.files, held.threads]));
        let columns = ["seconds", "pss_kib", "rss_kib", "descriptors", "threads"];
        let samples: Vec<_> = rows.collect();
        let all = json!({ "machine": machine, "columns": columns, "samples": samples });
        std::fs::write(path, all.to_string())?;
    }
    judge(&samples, warm)?;
    if after.files > fresh.files + FILES {
        return Err(format!("{} descriptors are left of the load", after.files - fresh.files).into());
    }
    Ok(())
}

/// Starts all kinds of load; each task ends at `end`.
async fn start(route: &Route, kind: Kind, end: Instant) -> Fallible<JoinSet<Done>> {
    let mut load = JoinSet::new();
    for (what, payload, connections, size, in_flight) in [
        ("64 B messages, 32 in flight", Payload::Binary, 16, 64, 32),
        ("64 KiB messages, 4 in flight", Payload::Binary, 4, 64 * 1024, 4),
        ("deflated texts of 1 KiB", Payload::Deflated, 4, 1024, 4),
    ] {
        let script = Arc::new(Script::new(payload, size, in_flight)?);
        for mut io in open_all(route, connections, Some(payload)).await? {
            let script = Arc::clone(&script);
            load.spawn(async move { Ok((what, Echo::run(&mut io, &script, Until::Time(end)).await?)) });
        }
    }
    let known = ("new connections to a known host", Hosts::Known);
    let many = ("new connections to 2,000 hosts in turn", Hosts::Cycle(HOSTS));
    for (what, hosts) in [known, many, known, many] {
        if !kind.any_host() && matches!(hosts, Hosts::Cycle(_)) {
            continue;
        }
        let route = route.clone();
        load.spawn(async move { Ok((what, work::connect(route, hosts, end, u32::MAX).await?)) });
    }
    for (what, path, connections) in [("GET of 1 KiB", "/", 4), ("GET of 1 MB", "/1m", 1)] {
        let request: Arc<str> = route.request(path, "").into();
        let sockets: Vec<client::Io> = open_all(route, connections, None).await?;
        for io in sockets {
            let request = Arc::clone(&request);
            load.spawn(async move { Ok((what, pages::get(io, request, end).await?)) });
        }
    }
    Ok(load)
}

/// What the proxy holds once it has closed what its clients closed, or when it has had time enough to.
async fn settled(pid: u32, files: usize) -> Fallible<Held> {
    let end = Instant::now() + CLOSING;
    loop {
        let held = Held::by(pid)?;
        if held.files <= files || Instant::now() > end {
            return Ok(held);
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Fails if the last samples hold more than those after warming up.
fn judge(samples: &[(f64, Held)], warm: Duration) -> Fallible<()> {
    let middle = |some: &[(f64, Held)]| median(some.iter().map(|(_, held)| held.pss as f64));
    // A tick may come a moment early.
    let from = samples.iter().position(|(at, _)| *at + 0.5 >= warm.as_secs_f64());
    let early = from.and_then(|from| samples.get(from..from + TOGETHER));
    let late = samples.get(samples.len().saturating_sub(TOGETHER)..);
    let (Some(early), Some(late)) = (early.and_then(middle), late.and_then(middle)) else {
        return Err("too few samples".into());
    };
    let most = (early * SHARE).max(early + SLACK_KIB);
    println!(
        "- memory after {} s: {early} KiB; at the end: {late} KiB; allowed: {most:.0} KiB",
        warm.as_secs()
    );
    if late > most {
        return Err(format!("memory grew from {early} to {late} KiB").into());
    }
    Ok(())
}
