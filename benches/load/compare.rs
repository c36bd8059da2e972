//! All rows against all proxies in one run. The slices of a row take turns between the proxies, so that what the
//! machine does meanwhile hits all of them, and a ratio is the median of ratios between neighbours.

use crate::peers::{Kind, Lab, Peer};
use crate::results::Results;
use crate::rows::{self, Over, Row, Unit};
use crate::work::{self, Slice};
use crate::{Fallible, proc, report};
use clap::Args;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// `--quick` begins no further row after this time.
const QUICK: Duration = Duration::from_secs(45);

/// Options of `compare`, `inspect` and `ways`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Fewer and shorter slices: under a minute in all, for CI
    #[arg(long)]
    quick: bool,
    /// Only these rows: pingpong, flood, text1k, deflate1k, 64k, 1m, connect, hybrid, newhost, get1k, get1m, idle,
    /// httpidle, idledeflate, h2get1k, h2many1k, h2get1m, h2pingpong, h2flood, h2echo64k, splice64k, splice64b,
    /// spliceconnect
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these proxies, in this order, all of which must be there; by default all that are installed
    #[arg(long, value_delimiter = ',')]
    peers: Vec<Kind>,
    /// Slices of each proxy in each row [default: 7, quick: 3]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    slices: Option<u16>,
    /// Length of a slice in milliseconds [default: 700, quick: 120]
    #[arg(long, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    millis: Option<u64>,
    /// Connections in the memory rows (at most 200 when quick)
    #[arg(long, default_value_t = 3000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=8000))]
    idle: usize,
    /// Also write all numbers of all slices to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What is compared unless options say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// wsbump and other proxies, in all rows.
    Peers,
    /// wsbump without rules and with them, in the rows that messages make.
    Inspection,
    /// wsbump by CONNECT, with connections that are caught, and by a parent.
    Ways,
}

impl Table {
    fn peers(self) -> Vec<Kind> {
        let all = <Kind as clap::ValueEnum>::value_variants().iter().copied();
        all.filter(|kind| match self {
            Self::Peers => !kind.has_rules() && !kind.is_of_ways() && !kind.is_only_asked_for(),
            Self::Inspection => kind.has_rules() || *kind == Kind::Wsbump,
            Self::Ways => kind.is_of_ways() || *kind == Kind::Wsbump,
        })
        .collect()
    }

    fn rows(self, only: &[String]) -> Vec<String> {
        match self {
            Self::Inspection if only.is_empty() => [
                "pingpong",
                "flood",
                "text1k",
                "deflate1k",
                "64k",
                "get1m",
                "idle",
                "idledeflate",
            ]
            .map(str::to_owned)
            .into(),
            Self::Ways if only.is_empty() => [
                "connect",
                "spliceconnect",
                "pingpong",
                "64k",
                "splice64b",
                "splice64k",
            ]
            .map(str::to_owned)
            .into(),
            _ => only.to_vec(),
        }
    }

    /// The proxies that others are divided by, and what they are called.
    pub(crate) fn bases(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Peers => &[
                ("bare", "the bare relay"),
                ("haproxy", "HAProxy"),
                ("wsbump-other", "the other build of wsbump"),
            ],
            Self::Inspection => &[("wsbump", "wsbump without rules")],
            Self::Ways => &[("wsbump", "wsbump by CONNECT")],
        }
    }
}

/// Runs the comparison and prints it.
pub(crate) async fn run(options: Options, table: Table) -> Fallible<()> {
    let begun = Instant::now();
    let mut machine = proc::machine();
    let open_files = proc::raise_open_files();
    let slices = usize::from(options.slices.unwrap_or(if options.quick { 3 } else { 7 }));
    let length = Duration::from_millis(options.millis.unwrap_or(if options.quick { 120 } else { 700 }));
    // Each idle connection is one socket here and two in the proxy.
    let idle = options
        .idle
        .min(usize::try_from(open_files.saturating_sub(200) / 2)?);
    let rows = chosen(rows::all(options.quick, idle), &table.rows(&options.only))?;
    machine.push(("slices", format!("{slices} of {} ms", length.as_millis())));

    let lab = Lab::open()?;
    let mut peers = Vec::new();
    let wanted = if options.peers.is_empty() {
        table.peers()
    } else {
        options.peers.clone()
    };
    for kind in wanted {
        match kind.version() {
            None if !options.peers.is_empty() => {
                return Err(format!("{} is not installed", kind.name()).into());
            }
            None => eprintln!("load: {} is not installed: left out", kind.name()),
            Some(version) => match kind.start(&lab) {
                Ok(peer) => peers.push((kind, version, peer)),
                Err(error) if !options.peers.is_empty() => return Err(error),
                Err(error) => eprintln!("load: {error}: left out"),
            },
        }
    }
    if peers.is_empty() {
        return Err("no proxy to measure".into());
    }

    let mut results = Vec::new();
    for row in rows {
        if options.quick && begun.elapsed() > QUICK {
            eprintln!("load: no time left for row {}", row.id);
            continue;
        }
        eprintln!("load: {:>4} s: {}", begun.elapsed().as_secs(), row.id);
        let mut result = Results {
            row,
            cells: vec![Ok(Vec::new()); peers.len()],
        };
        for turn in 0..if row.unit == Unit::KibConnection {
            1
        } else {
            slices
        } {
            let mut order: Vec<usize> = (0..peers.len()).collect();
            // Every other turn goes backwards, so that no proxy always follows the same neighbour.
            if turn % 2 == 1 {
                order.reverse();
            }
            for at in order {
                let (Some((kind, _, peer)), Some(cell)) = (peers.get(at), result.cells.get_mut(at)) else {
                    continue;
                };
                let Ok(done) = cell else { continue };
                match slice(&lab, *kind, peer, &row, length).await {
                    Ok(Some(slice)) => done.push(slice),
                    Ok(None) => *cell = Err(String::new()),
                    Err(error) => {
                        eprintln!("load: {}, {}: {error}", row.id, kind.name());
                        *cell = Err(error.to_string());
                    }
                }
            }
        }
        results.push(result);
    }
    let names: Vec<(String, String)> = peers
        .into_iter()
        .map(|(kind, version, _)| (kind.name(), version))
        .collect();
    machine.push(("took", format!("{} s", begun.elapsed().as_secs())));
    print!("{}", report::markdown(&machine, &names, &results, table.bases())?);
    if let Some(path) = options.json {
        std::fs::write(path, report::json(&machine, &names, &results).to_string())?;
    }
    let cells = results.iter().flat_map(|result| &result.cells);
    match cells
        .filter(|cell| matches!(cell, Err(why) if !why.is_empty()))
        .count()
    {
        0 => Ok(()),
        failed => Err(format!("{failed} of the table's cells failed").into()),
    }
}

fn chosen(rows: Vec<Row>, only: &[String]) -> Fallible<Vec<Row>> {
    if let Some(unknown) = only
        .iter()
        .find(|id| rows.iter().all(|row| row.id != id.as_str()))
    {
        return Err(format!("no row is called {unknown}").into());
    }
    Ok(rows
        .into_iter()
        .filter(|row| only.is_empty() || only.iter().any(|id| id == row.id))
        .collect())
}

/// One slice; `None` where the proxy cannot do what the row asks for.
async fn slice(lab: &Lab, kind: Kind, peer: &Peer, row: &Row, length: Duration) -> Fallible<Option<Slice>> {
    let new_host = matches!(row.work, work::Work::Connect { new_host: true, .. });
    if new_host && !kind.any_host() {
        return Ok(None);
    }
    // Memory is measured in a process that has done nothing yet.
    let fresh = if row.unit == Unit::KibConnection {
        Some(kind.start(lab)?)
    } else {
        None
    };
    let peer = fresh.as_ref().unwrap_or(peer);
    let route = match row.over {
        Over::H1 => Some(&peer.bumped),
        Over::Paired => Some(peer.paired.as_ref().unwrap_or(&peer.bumped)),
        Over::H2 => peer.h2.as_ref(),
        Over::Hybrid => peer.hybrid.as_ref(),
        Over::Tunnel => peer.spliced.as_ref(),
    };
    // nginx passes no extended CONNECT on.
    let echoes = matches!(row.work, work::Work::H2Echo { .. });
    let route = route.filter(|_| !echoes || kind != Kind::Nginx);
    let Some(route) = route else { return Ok(None) };
    let slice = work::run(row.work, route, peer.process.id(), length).await?;
    if let Some(watcher) = &peer.watcher {
        watcher.rest()?;
    }
    if row.over == Over::Paired {
        paired(kind, &slice)?;
    }
    Ok(Some(slice))
}

/// Whether the proxy held both sides of what was measured, as its descriptors say.
fn paired(kind: Kind, slice: &Slice) -> Fallible<()> {
    let files = slice.idle_files.unwrap_or_default();
    eprintln!(
        "load: {}: {files:.2} descriptors for each idle connection",
        kind.name()
    );
    // The first connections may still be closing when the others are counted from.
    if files < 1.5 && !kind.shares_origins() {
        return Err(
            format!("{files:.2} descriptors for each connection: one of its sides was closed").into(),
        );
    }
    Ok(())
}
