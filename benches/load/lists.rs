//! What a list of expressions costs: in wsbump's own code, and in a Squid that decides CONNECTs by the same file.

use crate::head::{first_line, read_head, status};
use crate::process::{Process, free_port, version};
use crate::report::number;
use crate::stats::median;
use crate::{Fallible, proc};
use clap::Args;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use wsbump::decide::{Format, List};
use wsbump::wire::names::{Authority, Host};

/// A list that takes Squid longer than this to load is given up.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);
/// Hosts that are asked for in turn; none is in a list, so a list is gone through to its end.
const HOSTS: usize = 100;
const SQUID: &str = "/usr/sbin/squid";

/// Options of `lists`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Lines of the lists
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000,100000")]
    lines: Vec<usize>,
    /// CONNECTs of a slice; the list and the empty list take turns
    #[arg(long, default_value_t = 200, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    connects: usize,
    /// Slices with each list
    #[arg(long, default_value_t = 5, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100))]
    slices: usize,
}

/// A list of expressions of four kinds, none of which is a plain string, a domain or a domain's subtree.
fn list(lines: usize) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for id in 0..lines {
        let (low, high) = (id % 317, id / 317);
        match id % 4 {
            0 => writeln!(text, r"^h{id}-[0-9]+\.example:443$")?,
            1 => writeln!(text, r"(cdn|edge)[0-9]+\.site{id}\.[a-z]+:443$")?,
            2 => writeln!(text, r"^([a-z]+-)?x{low}-[a-z]*q{high}\.example")?,
            _ => writeln!(text, r"v[0-9]{{1,3}}(a{id}x|b{id}y)[a-z.]*:443$")?,
        }
    }
    Ok(text)
}

fn host(id: usize) -> String {
    format!("edge{id}.static.bench.test")
}

/// Prints what the list in `file` costs here: seconds, KiB, and nanoseconds for each look-up.
pub(crate) fn measure(file: &Path) -> Fallible<()> {
    let text = std::fs::read_to_string(file)?;
    let pid = std::process::id();
    let before = proc::Held::by(pid)?.rss;
    let start = Instant::now();
    let list = List::parse("list", &text, Format::UrlRegex, false)
        .map_err(|errors| errors.first().map_or_else(String::new, ToString::to_string))?;
    let seconds = start.elapsed().as_secs_f64();
    let held = proc::Held::by(pid)?.rss.saturating_sub(before);
    let targets: Vec<Authority> = (0..HOSTS)
        .map(|id| Authority {
            host: Host::Name(host(id)),
            port: 443,
        })
        .collect();
    let mut nanos = Vec::new();
    for _ in 0..50 {
        let start = Instant::now();
        for target in &targets {
            if black_box(list.find(black_box(target))).is_some() {
                return Err("a host that is not in the list was found".into());
            }
        }
        nanos.push(start.elapsed().as_nanos() as f64 / HOSTS as f64);
    }
    println!("{seconds} {held} {}", median(nanos).unwrap_or_default());
    Ok(())
}

/// Runs the comparison and prints it.
pub(crate) async fn run(options: Options) -> Fallible<()> {
    let folder = tempfile::Builder::new().prefix("wsbump-lists-").tempdir()?;
    let mut permissions = std::fs::metadata(folder.path())?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    std::fs::set_permissions(folder.path(), permissions)?;
    let squid = version(Path::new(SQUID), "-v");
    for (what, value) in proc::machine() {
        println!("- {what}: {value}");
    }
    println!("- squid: {}\n", squid.as_deref().unwrap_or("not installed"));
    println!(
        "| lines | wsbump: load s | KiB | ns/look-up | Squid: start s | reload s | KiB | us/CONNECT more than with an empty list |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "# nothing\n")?;
    let idle = match squid {
        Some(_) => Some(Squid::start(folder.path(), &empty).await?),
        None => None,
    };
    for lines in options.lines {
        let file = folder.path().join(format!("list-{lines}"));
        std::fs::write(&file, list(lines)?)?;
        let mut command = Command::new(std::env::current_exe()?);
        let output = command.args(["list-cost", "--file"]).arg(&file).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let ours: Vec<f64> = said
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let [seconds, held, nanos] = ours[..] else {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        };
        print!("| {lines} | {} | {held} | {} |", number(seconds), number(nanos));
        match &idle {
            Some(idle) => match beside(idle, folder.path(), &file, options.connects, options.slices).await {
                Ok(cells) => println!("{cells}"),
                Err(error) => println!(" {error} | | | |"),
            },
            None => println!(" - | - | - | - |"),
        }
    }
    Ok(())
}

/// Squid with the list, in turns with one whose list is empty.
async fn beside(
    idle: &Squid,
    folder: &Path,
    file: &Path,
    connects: usize,
    slices: usize,
) -> Fallible<String> {
    let squid = Squid::start(folder, file).await?;
    let mut more = Vec::new();
    for _ in 0..slices {
        let with = squid.decide(connects).await?;
        more.push((with - idle.decide(connects).await?) / 1e3);
    }
    let kib = proc::Held::by(squid.process.id())?
        .rss
        .saturating_sub(proc::Held::by(idle.process.id())?.rss);
    let reload = squid
        .reload()
        .await
        .map_or_else(|error| error.to_string(), number);
    let more = number(median(more).unwrap_or_default());
    Ok(format!(
        " {} | {reload} | {kib} | {more} |",
        number(squid.started)
    ))
}

/// A Squid that refuses everything, once it has gone through a list: what is paid for is the decision.
struct Squid {
    process: Process,
    addr: SocketAddr,
    log: std::path::PathBuf,
    /// Seconds until it answered.
    started: f64,
}

impl Squid {
    async fn start(folder: &Path, file: &Path) -> Fallible<Self> {
        let port = free_port()?;
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let (config, log) = (
            folder.join(format!("squid-{port}.conf")),
            folder.join(format!("squid-{port}.log")),
        );
        // The log is Squid's own user's to open, so it goes to standard error, which is ours.
        let text = format!(
            "http_port 127.0.0.1:{port}\nacl listed url_regex \"{file}\"\nhttp_access deny listed\n\
             http_access deny all\ncache deny all\npid_filename none\naccess_log none\n\
             cache_log stdio:/dev/stderr\ncache_store_log none\ncoredump_dir none\nnetdb_filename none\n\
             pinger_enable off\nshutdown_lifetime 0 seconds\nvisible_hostname bench.test\n",
            file = file.display(),
        );
        std::fs::write(&config, text)?;
        let mut command = Command::new(SQUID);
        command
            .args(["-N", "-d", "1", "-n", &format!("wsbump{port}"), "-f"])
            .arg(&config);
        let start = Instant::now();
        let process = Process::start_within("squid", &mut command, addr, &log, PATIENCE)?;
        let mut squid = Self {
            process,
            addr,
            log,
            started: 0.0,
        };
        squid.connect(&host(0)).await?;
        squid.started = start.elapsed().as_secs_f64();
        Ok(squid)
    }

    /// Nanoseconds of CPU for each CONNECT.
    async fn decide(&self, connects: usize) -> Fallible<f64> {
        let before = proc::Cpu::of(self.process.id());
        for id in 0..connects {
            self.connect(&host(id % HOSTS)).await?;
        }
        let spent = proc::Cpu::of(self.process.id()).since(&before);
        Ok(spent as f64 / connects as f64)
    }

    async fn connect(&self, host: &str) -> Fallible<()> {
        let mut tcp = BufReader::new(TcpStream::connect(self.addr).await?);
        tcp.write_all(format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n").as_bytes())
            .await?;
        let head = read_head(&mut tcp)
            .await?
            .ok_or("squid closed instead of answering")?;
        match status(&head) {
            Some("403") => Ok(()),
            _ => Err(format!("not refused: {}", first_line(&head)).into()),
        }
    }

    /// Seconds until it listens again after a HUP, and has answered.
    async fn reload(&self) -> Fallible<f64> {
        let listens = || -> Fallible<usize> {
            let mut text = Vec::new();
            std::fs::File::open(&self.log)?.read_to_end(&mut text)?;
            Ok(String::from_utf8_lossy(&text)
                .matches("Accepting HTTP Socket")
                .count())
        };
        let before = listens()?;
        let start = Instant::now();
        let pid = self.process.id().to_string();
        if !Command::new("kill").args(["-HUP", &pid]).status()?.success() {
            return Err("squid is gone".into());
        }
        while listens()? <= before {
            if start.elapsed() > PATIENCE {
                return Err(format!("more than {} s", PATIENCE.as_secs()).into());
            }
            tokio::time::sleep(POLL).await;
        }
        self.connect(&host(0)).await?;
        Ok(start.elapsed().as_secs_f64())
    }
}
