//! The end-to-end load tool: drives CONNECT, TLS and a WebSocket echo through real proxies and says what each
//! message costs the proxy. `docs/performance.md` tells how to read it.

mod bare;
mod client;
mod compare;
mod echo;
mod error;
mod h2;
mod h2_stream;
mod head;
mod hold;
mod lists;
mod measured;
mod open;
mod origin;
mod pages;
mod peers;
mod pki;
mod plots;
mod proc;
mod process;
mod report;
mod results;
mod rows;
mod scale;
mod soak;
mod stats;
mod svg;
mod watch;
mod work;

use clap::{CommandFactory, Parser, Subcommand};
use error::Fallible;
use proc::arguments;
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
#[command(
    name = "cargo bench --bench load --",
    about = "End-to-end load against TLS proxies"
)]
#[command(after_help = "Examples:
  cargo bench --bench load -- compare
  cargo bench --bench load -- compare --quick --json load.json
  cargo bench --bench load -- compare --only pingpong,64k --peers bare,haproxy,wsbump
  cargo bench --bench load -- compare --only flood,get1k --peers wsbump,wsbump-watched
  cargo bench --bench load -- inspect
  cargo bench --bench load -- ways
  cargo bench --bench load -- scale --quick
  cargo bench --bench load -- soak --minutes 1
  cargo bench --bench load -- lists
  cargo bench --bench load -- pki --dir target/lab
  cargo bench --bench load -- origin --dir target/lab
  cargo bench --bench load -- client --proxy 127.0.0.1:3128 --origin-port 4433 --ca ca.pem --pid 4711")]
struct Cli {
    #[command(subcommand)]
    command: Option<Task>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// All workloads against all installed proxies, as a table
    Compare(compare::Options),
    /// What inspection costs: the same messages through wsbump with and without rules
    Inspect(compare::Options),
    /// What ways in and out cost: connections that the kernel catches, and a parent, beside a CONNECT
    Ways(compare::Options),
    /// Cost against open connections and against message size, as tables, JSON and SVG plots
    Scale(scale::Options),
    /// All kinds of load at once for minutes: memory must stay what it was
    Soak(soak::Options),
    /// What lists of expressions cost: loading, memory, and each decision, beside Squid's
    Lists(lists::Options),
    /// What one list costs, measured in a process of its own
    #[command(hide = true)]
    ListCost {
        /// A list of the format `url_regex`
        #[arg(long)]
        file: PathBuf,
    },
    /// One echo workload through a proxy that is already running
    Client(ClientOptions),
    /// Make the certificate authorities that `origin` and `bare` use
    Pki {
        /// Where the files go
        #[arg(long)]
        dir: PathBuf,
    },
    /// Run the TLS origin: a WebSocket echo, / with 1 KiB, /1m with 1 MB
    Origin {
        /// What `pki` made
        #[arg(long)]
        dir: PathBuf,
    },
    /// Run the bare relay: TLS on both sides, bytes copied, nothing parsed
    Bare {
        /// What `pki` made
        #[arg(long)]
        dir: PathBuf,
        /// Relay what is asked for by CONNECT as it is, as the parent of another proxy
        #[arg(long)]
        parent: bool,
    },
}

#[derive(Debug, clap::Args)]
struct ClientOptions {
    /// Address of the proxy
    #[arg(long)]
    proxy: SocketAddr,
    /// Speak TLS to it at once: it is a reverse proxy, or the origin itself
    #[arg(long)]
    direct: bool,
    /// The origin's name
    #[arg(long, default_value = "echo.bench.test")]
    host: String,
    /// The origin's port
    #[arg(long)]
    origin_port: u16,
    /// The CA that signed what the client will see, as PEM
    #[arg(long)]
    ca: PathBuf,
    /// The proxy's process id
    #[arg(long)]
    pid: u32,
    /// WebSockets
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Bytes in a message
    #[arg(long, default_value_t = 64)]
    size: usize,
    /// Messages under way on each WebSocket
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// How long, in milliseconds
    #[arg(long, default_value_t = 3000)]
    millis: u64,
}

fn main() -> Fallible<()> {
    if arguments().any(|argument| argument == "--test") {
        return Ok(());
    }
    let cli = Cli::parse_from(std::iter::once("load".to_owned()).chain(arguments()));
    let Some(task) = cli.command else {
        Cli::command().print_help()?;
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            done = run(task) => done,
            // Returning drops what was started, which ends it.
            _ = terminate.recv() => Err("terminated".into()),
            done = tokio::signal::ctrl_c() => Err(done.map_or_else(|e| e.to_string(), |()| "interrupted".into()).into()),
        }
    })
}

async fn run(task: Task) -> Fallible<()> {
    match task {
        Task::Compare(options) => compare::run(options, compare::Table::Peers).await,
        Task::Inspect(options) => compare::run(options, compare::Table::Inspection).await,
        Task::Ways(options) => compare::run(options, compare::Table::Ways).await,
        Task::Scale(options) => scale::run(options).await,
        Task::Soak(options) => soak::run(options).await,
        Task::Lists(options) => lists::run(options).await,
        Task::ListCost { file } => lists::measure(&file),
        Task::Client(options) => run_client(options).await,
        Task::Pki { dir } => {
            std::fs::create_dir_all(&dir)?;
            pki::Ca::create(&dir, "origin-ca")?;
            pki::Ca::create(&dir, "proxy-ca")?.write_fixed(&dir)
        }
        Task::Origin { dir } => {
            end_with_stdin();
            origin::serve(&dir).await
        }
        Task::Bare { dir, parent } => {
            end_with_stdin();
            bare::serve(&dir, parent).await
        }
    }
}

/// Ends this process when its starter is gone, however that ended. A terminal stays open.
fn end_with_stdin() {
    std::thread::spawn(|| {
        let mut stdin = std::io::stdin();
        while matches!(stdin.read(&mut [0; 64]), Ok(1..)) {}
        std::process::exit(0);
    });
}

async fn run_client(options: ClientOptions) -> Fallible<()> {
    let ClientOptions {
        connections,
        size,
        in_flight,
        ..
    } = options;
    let route = client::Route::new(
        options.proxy,
        !options.direct,
        &options.host,
        options.origin_port,
        &options.ca,
    )?;
    let work = work::Work::Echo {
        payload: echo::Payload::Binary,
        connections,
        size,
        in_flight,
    };
    let slice = work::run(work, &route, options.pid, Duration::from_millis(options.millis)).await?;
    let us = |share| report::number(slice.latencies.quantile_us(share));
    println!("messages/s: {:.0}", slice.count as f64 / slice.seconds);
    println!("proxy CPU, us/message: {}", report::number(slice.cpu_nanos / 1e3));
    println!(
        "latency us: p50 {}, p90 {}, p99 {}, p99.9 {}, max {}",
        us(0.5),
        us(0.9),
        us(0.99),
        us(0.999),
        us(1.0)
    );
    Ok(())
}
