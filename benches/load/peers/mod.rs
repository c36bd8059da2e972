//! The proxies that a run compares: how each is found, configured and started. A new one is an arm here and a
//! configuration beside this file.

mod caught;
mod installed;
mod rules;

use crate::client::Route;
use crate::pki::{self, Ca, DOMAIN};
use crate::process::{Process, free_port, version};
use crate::watch::Watcher;
use crate::{Fallible, work};
use clap::ValueEnum;
use installed::{certgen, mitmdump, other, prepare_squid};
use std::any::Any;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The proxies this tool knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The program of this package.
    Wsbump,
    /// The same with a rule that looks at nothing but sizes.
    WsbumpCounting,
    /// The same with rules of 1,000 keywords and 100 expressions that only watch.
    WsbumpWatching,
    /// The same with those rules enforced, so that each message is held until it is judged.
    WsbumpHolding,
    /// The same while somebody watches all that happens, messages and bodies included.
    WsbumpWatched,
    /// The same, with connections that the kernel redirects to it; needs root and nft.
    WsbumpCaught,
    /// The same, with all connections by a parent.
    WsbumpParent,
    /// Another build of wsbump, which the environment variable LOAD_OTHER names: two versions in one run.
    WsbumpOther,
    /// TLS on both sides with tokio and rustls, and nothing else.
    Bare,
    /// HAProxy, TLS to TLS with a fixed certificate, and as a TCP relay.
    Haproxy,
    /// nginx, TLS to TLS with a fixed certificate.
    Nginx,
    /// Squid with ssl-bump.
    Squid,
    /// mitmproxy (mitmdump).
    Mitmproxy,
}

/// The place of one run: its files, its CAs and its origin.
#[derive(Debug)]
pub(crate) struct Lab {
    dir: tempfile::TempDir,
    origin: SocketAddr,
    _process: Process,
}

/// A proxy that runs.
pub(crate) struct Peer {
    /// Who watches it. They leave before it ends.
    pub(crate) watcher: Option<Watcher>,
    pub(crate) process: Process,
    /// To the origin with the proxy in the middle of TLS.
    pub(crate) bumped: Route,
    /// The same, where it takes another port for each connection to have its own to the origin.
    pub(crate) paired: Option<Route>,
    /// The same by HTTP/2.
    pub(crate) h2: Option<Route>,
    /// The same with a key exchange that holds against quantum computers.
    pub(crate) hybrid: Option<Route>,
    /// To the origin with TLS from end to end.
    pub(crate) spliced: Option<Route>,
    /// What it needs beside itself for as long as it runs, which is not measured.
    _beside: Option<Box<dyn Any>>,
}

impl Lab {
    /// Makes the files and starts the origin.
    pub(crate) fn open() -> Fallible<Self> {
        let dir = tempfile::Builder::new().prefix("wsbump-load-").tempdir()?;
        let path = dir.path();
        let mut permissions = fs::metadata(path)?.permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
        fs::set_permissions(path, permissions)?;
        Ca::create(path, "origin-ca")?;
        Ca::create(path, "proxy-ca")?.write_fixed(path)?;
        pki::write(path, "spliced", &format!("splice.{DOMAIN}\n"))?;
        pki::write(path, "mitm.py", include_str!("mitm.py"))?;
        let mut hosts = format!("127.0.0.1 echo.{DOMAIN} splice.{DOMAIN}\n");
        for n in 0..work::HOSTS {
            writeln!(hosts, "127.0.0.1 n{n}.{DOMAIN}")?;
        }
        pki::write(path, "hosts", &hosts)?;
        let mut command = Command::new(std::env::current_exe()?);
        let (process, origin) = Process::start_announced(
            "origin",
            command.args(["origin", "--dir"]).arg(path),
            "listening on ",
        )?;
        Ok(Self {
            dir,
            origin,
            _process: process,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a configuration with its places filled in.
    fn configure(&self, name: &str, text: &str, port: u16, port2: u16) -> Fallible<PathBuf> {
        let threads = std::thread::available_parallelism()?.to_string();
        let text = text
            .replace("@DIR@", &self.dir.path().display().to_string())
            .replace("@ORIGIN@", &self.origin.port().to_string())
            .replace("@PORT@", &port.to_string())
            .replace("@PORT2@", &port2.to_string())
            .replace("@THREADS@", &threads)
            .replace("@CERTGEN@", &certgen().unwrap_or_default().display().to_string());
        pki::write(self.dir.path(), name, &text)?;
        Ok(self.path(name))
    }

    /// A proxy that relays what is asked for by CONNECT, and where it listens.
    fn parent(&self) -> Fallible<(Process, SocketAddr)> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bare", "--parent", "--dir"]).arg(self.dir.path());
        Process::start_announced("parent", &mut command, "listening on ")
    }

    /// A way to `host.bench.test` through `addr` that trusts `ca` alone.
    fn route(&self, addr: SocketAddr, connect: bool, host: &str, ca: &str) -> Fallible<Route> {
        let host = format!("{host}.{DOMAIN}");
        Route::new(
            addr,
            connect,
            &host,
            self.origin.port(),
            &self.path(&format!("{ca}.pem")),
        )
    }

    /// The ways through an explicit proxy that splices one name, and speaks HTTP/2 or not.
    fn explicit(&self, process: Process, addr: SocketAddr, h2: bool) -> Fallible<Peer> {
        let bumped = self.route(addr, true, "echo", "proxy-ca")?;
        Ok(Peer {
            watcher: None,
            process,
            h2: h2
                .then(|| bumped.over_h2(&self.path("proxy-ca.pem")))
                .transpose()?,
            bumped,
            paired: None,
            hybrid: None,
            spliced: Some(self.route(addr, true, "splice", "origin-ca")?),
            _beside: None,
        })
    }
}

impl Kind {
    /// The name in tables.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it takes any host, and makes a certificate for it. The bare relay takes any, with one certificate.
    pub(crate) fn any_host(self) -> bool {
        !matches!(self, Self::Haproxy | Self::Nginx)
    }

    /// Whether requests of one client go over the origin connections of another, so that a connection that is idle has
    /// none of its own.
    pub(crate) fn shares_origins(self) -> bool {
        matches!(self, Self::Nginx | Self::Squid)
    }

    /// Whether it takes part only where it is named.
    pub(crate) fn is_only_asked_for(self) -> bool {
        self == Self::WsbumpWatched
    }

    /// Whether it inspects.
    pub(crate) fn has_rules(self) -> bool {
        self.rules().is_some()
    }

    /// Whether it is there to show what a way in or out costs.
    pub(crate) fn is_of_ways(self) -> bool {
        matches!(self, Self::WsbumpCaught | Self::WsbumpParent)
    }

    fn rules(self) -> Option<String> {
        match self {
            Self::WsbumpCounting => Some(rules::counting()),
            Self::WsbumpWatching => Some(rules::scanning("observe", "log")),
            Self::WsbumpHolding => Some(rules::scanning("enforce", "drop")),
            _ => None,
        }
    }

    /// Its version, or `None` when it is not installed.
    pub(crate) fn version(self) -> Option<String> {
        match self {
            Self::Wsbump
            | Self::WsbumpCounting
            | Self::WsbumpWatching
            | Self::WsbumpHolding
            | Self::WsbumpWatched
            | Self::WsbumpParent => version(Path::new(WSBUMP), "--version"),
            Self::WsbumpCaught => {
                caught::Rules::possible().then(|| version(Path::new(WSBUMP), "--version"))?
            }
            Self::WsbumpOther => version(&other()?, "--version"),
            Self::Bare => Some("rustls 0.23".into()),
            Self::Haproxy => version(Path::new("haproxy"), "-v"),
            Self::Nginx => version(Path::new("nginx"), "-v"),
            Self::Squid => certgen().and_then(|_| version(Path::new("squid"), "-v")),
            Self::Mitmproxy => version(&mitmdump(), "--version"),
        }
    }

    /// Starts it.
    pub(crate) fn start(self, lab: &Lab) -> Fallible<Peer> {
        let (name, dir) = (self.name(), lab.dir.path());
        let log = lab.path(&format!("{name}.out"));
        let (port, port2) = (free_port()?, free_port()?);
        let (port3, port4) = (free_port()?, free_port()?);
        let [addr, addr2, addr3, addr4] =
            [port, port2, port3, port4].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let over_h2 = || -> Fallible<Option<Route>> {
            let route = lab.route(addr3, false, "echo", "proxy-ca")?;
            Ok(Some(route.over_h2(&lab.path("proxy-ca.pem"))?))
        };
        match self {
            Self::Wsbump
            | Self::WsbumpCounting
            | Self::WsbumpWatching
            | Self::WsbumpHolding
            | Self::WsbumpCaught
            | Self::WsbumpParent
            | Self::WsbumpWatched
            | Self::WsbumpOther => {
                let mut config = include_str!("wsbump.toml").to_owned();
                config.push_str(&self.rules().unwrap_or_default());
                let mut beside: Option<Box<dyn Any>> = None;
                if self == Self::WsbumpParent {
                    let (parent, at) = lab.parent()?;
                    beside = Some(Box::new(parent));
                    write!(
                        config,
                        "\n[[parent]]\nname = \"up\"\nurl = \"http://{at}\"\n\n[[policy.setting]]\nparents = [\"up\"]\n"
                    )?;
                }
                if self == Self::WsbumpCaught {
                    config.push_str(&caught::config(port2));
                }
                // Only this one says where its socket is: builds from before the live view know no such key.
                let socket = (self == Self::WsbumpWatched).then(|| dir.join(format!("live-{port}.sock")));
                if let Some(socket) = &socket {
                    writeln!(config, "\n[live]\nsocket = \"{}\"", socket.display())?;
                }
                let config = lab.configure(&format!("{name}.toml"), &config, port, port2)?;
                let program = match self {
                    Self::WsbumpOther => other().unwrap_or_default(),
                    _ => WSBUMP.into(),
                };
                let mut command = Command::new(program);
                command
                    .args(["run", "--config"])
                    .arg(config)
                    .arg("--data-dir")
                    .arg(dir);
                let (process, addr) = Process::start_announced(&name, &mut command, "proxy listening on ")?;
                let mut peer = lab.explicit(process, addr, true)?;
                peer.hybrid = Some(peer.bumped.over_hybrid(&lab.path("proxy-ca.pem"))?);
                if self == Self::WsbumpCaught {
                    beside = Some(Box::new(caught::Rules::set(lab.origin, port2)?));
                    let to = SocketAddr::from((caught::DIALLED, lab.origin.port()));
                    peer.bumped = lab.route(to, false, "echo", "proxy-ca")?;
                    peer.spliced = Some(lab.route(to, false, "splice", "origin-ca")?);
                    (peer.h2, peer.hybrid) = (None, None);
                }
                peer._beside = beside;
                peer.watcher = socket.as_deref().map(Watcher::start).transpose()?;
                Ok(peer)
            }
            Self::Bare => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["bare", "--dir"]).arg(dir);
                let (process, addr) = Process::start_announced(&name, &mut command, "listening on ")?;
                lab.explicit(process, addr, false)
            }
            Self::Haproxy => {
                let config = lab.configure(
                    "haproxy.cfg",
                    &include_str!("haproxy.cfg")
                        .replace("@PORT3@", &port3.to_string())
                        .replace("@PORT4@", &port4.to_string()),
                    port,
                    port2,
                )?;
                let process = Process::start_listening(
                    &name,
                    Command::new("haproxy").arg("-db").arg("-f").arg(config),
                    addr2,
                    &log,
                )?;
                let spliced = Some(lab.route(addr2, false, "splice", "origin-ca")?);
                Ok(Peer {
                    watcher: None,
                    process,
                    bumped: lab.route(addr, false, "echo", "proxy-ca")?,
                    paired: Some(lab.route(addr4, false, "echo", "proxy-ca")?),
                    h2: over_h2()?,
                    hybrid: None,
                    spliced,
                    _beside: None,
                })
            }
            Self::Nginx => {
                let config = lab.configure(
                    "nginx.conf",
                    &include_str!("nginx.conf").replace("@PORT3@", &port3.to_string()),
                    port,
                    port2,
                )?;
                let mut command = Command::new("nginx");
                command
                    .arg("-p")
                    .arg(dir)
                    .args(["-e", "stderr", "-c"])
                    .arg(config);
                let process = Process::start_listening(&name, &mut command, addr, &log)?;
                Ok(Peer {
                    watcher: None,
                    process,
                    bumped: lab.route(addr, false, "echo", "proxy-ca")?,
                    paired: None,
                    h2: over_h2()?,
                    hybrid: None,
                    spliced: None,
                    _beside: None,
                })
            }
            Self::Squid => {
                let config = lab.configure("squid.conf", include_str!("squid.conf"), port, port2)?;
                prepare_squid(dir, port)?;
                let mut command = Command::new("squid");
                // Shared memory is named after the instance: another Squid on the machine must not meet this one.
                command
                    .args(["-N", "-n", &format!("load{port}"), "-f"])
                    .arg(config);
                lab.explicit(
                    Process::start_listening(&name, &mut command, addr, &log)?,
                    addr,
                    self == Self::Mitmproxy,
                )
            }
            Self::Mitmproxy => {
                fs::create_dir_all(lab.path("mitm"))?;
                fs::copy(lab.path("proxy-ca-both.pem"), lab.path("mitm/mitmproxy-ca.pem"))?;
                let set = |key: &str, value: &Path| format!("{key}={}", value.display());
                let mut command = Command::new(mitmdump());
                command.args([
                    "-q",
                    "--listen-host",
                    "127.0.0.1",
                    "--listen-port",
                    &port.to_string(),
                ]);
                command.arg("--set").arg(set("confdir", &lab.path("mitm")));
                command
                    .arg("--set")
                    .arg(set("ssl_verify_upstream_trusted_ca", &lab.path("origin-ca.pem")));
                command
                    .args(["--ignore-hosts", "^splice[.]", "-s"])
                    .arg(lab.path("mitm.py"));
                lab.explicit(
                    Process::start_listening(&name, &mut command, addr, &log)?,
                    addr,
                    self == Self::Mitmproxy,
                )
            }
        }
    }
}

const WSBUMP: &str = env!("CARGO_BIN_EXE_wsbump");
