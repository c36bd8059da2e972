//! The proxy under test.

use super::certs::{NAMES, certs};
use super::metrics::Metrics;
use super::process::{Finished, Process};
use super::{scratch, until};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use toml::Table;

/// A proxy that is about to be started.
pub(crate) struct Setup {
    folder: tempfile::TempDir,
    config: Table,
    env: Vec<(String, PathBuf)>,
    data: Option<PathBuf>,
    wrapper: Vec<String>,
    options: Vec<String>,
    is_away: bool,
}

/// A running proxy.
pub(crate) struct Proxy {
    process: Option<Process>,
    folder: tempfile::TempDir,
    config: Table,
    /// `127.0.0.1:PORT` of the proxy listener.
    pub(crate) address: String,
    /// `127.0.0.1:PORT` of the listener that speaks TLS, if the configuration has one.
    pub(crate) secure: Option<String>,
    /// `127.0.0.1:PORT` of the admin listener.
    pub(crate) admin: String,
    /// The CA certificate that clients are to trust.
    pub(crate) ca: PathBuf,
}

impl Setup {
    /// Free ports, the tests' origins trusted and within reach, everything else by default.
    pub(crate) fn new() -> Self {
        let mut config: Table = toml::from_str(
            r#"
            [listen]
            proxy = ["127.0.0.1:0"]
            admin = ["127.0.0.1:0"]
            [origin]
            system_roots = false
            [network]
            allow = ["127.0.0.0/8", "::1/128"]
            [timeouts]
            drain = "2s"
            "#,
        )
        .unwrap();
        let names: Table = NAMES
            .iter()
            .map(|&name| (name.to_owned(), "127.0.0.1".into()))
            .collect();
        let roots = vec![toml::Value::from(certs().root.to_str().unwrap())];
        merge(
            &mut config,
            Table::from_iter([(
                "origin".to_owned(),
                Table::from_iter([("extra_roots".to_owned(), roots.into())]).into(),
            )]),
        );
        merge(
            &mut config,
            Table::from_iter([(
                "network".to_owned(),
                Table::from_iter([("hosts".to_owned(), names.into())]).into(),
            )]),
        );
        Self {
            folder: scratch(),
            config,
            env: Vec::new(),
            data: None,
            wrapper: Vec::new(),
            options: Vec::new(),
            is_away: false,
        }
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &Path) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds to the configuration, or replaces what is there.
    pub(crate) fn config(mut self, text: &str) -> Self {
        merge(&mut self.config, toml::from_str(text).unwrap());
        self
    }

    /// Tells the proxy where `name` (`host` or `host:port`) is.
    pub(crate) fn host(mut self, name: &str, address: &str) -> Self {
        let entry = Table::from_iter([(name.to_owned(), address.into())]);
        let hosts = Table::from_iter([("hosts".to_owned(), entry.into())]);
        merge(
            &mut self.config,
            Table::from_iter([("network".to_owned(), hosts.into())]),
        );
        self
    }

    /// Writes a file next to the configuration.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    /// Uses a data directory that is there already, or outlives the proxy.
    pub(crate) fn data(mut self, folder: &Path) -> Self {
        self.data = Some(folder.to_owned());
        self
    }

    /// Has another program start the proxy.
    pub(crate) fn wrapped(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Adds an option to the command line.
    pub(crate) fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// Starts it in another network namespace, where its admin pages are out of reach.
    pub(crate) fn inside(mut self, namespace: &str) -> Self {
        self.is_away = true;
        self.wrapped(&["ip", "netns", "exec", namespace])
    }

    /// Makes a folder next to the configuration.
    pub(crate) fn folder(self, name: &str) -> Self {
        std::fs::create_dir(self.folder.path().join(name)).unwrap();
        self
    }

    /// Starts the proxy and waits until it listens.
    pub(crate) fn start(self) -> Proxy {
        let file = self.folder.path().join("wsbump.toml");
        std::fs::write(&file, self.config.to_string()).unwrap();
        let data = self.data.unwrap_or_else(|| self.folder.path().join("data"));
        let mut words = self
            .wrapper
            .iter()
            .map(String::as_str)
            .chain([env!("CARGO_BIN_EXE_wsbump")]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .arg("run")
            .arg("--config")
            .arg(&file)
            .arg("--data-dir")
            .arg(data)
            .args(&self.options);
        command.envs(self.env);
        let process = Process::start("wsbump", command);
        let after = |what: &str| {
            process.err(what, |line| {
                Some(
                    line.strip_prefix("wsbump: ")?
                        .strip_prefix(what)?
                        .trim()
                        .to_owned(),
                )
            })
        };
        let address = after("proxy listening on");
        let secure = self.config["listen"]
            .get("tls")
            .map(|_| after("TLS proxy listening on https://"));
        let admin = after("admin listening on http://");
        let ca = after("CA certificate in").into();
        let proxy = Proxy {
            process: Some(process),
            folder: self.folder,
            config: self.config,
            address,
            secure,
            admin,
            ca,
        };
        if !self.is_away {
            until("ready", || {
                (super::metrics::get(&proxy.admin, "/readyz").0 == 200).then_some(())
            });
        }
        proxy
    }
}

impl Proxy {
    /// A proxy with the tests' defaults.
    pub(crate) fn start() -> Self {
        Setup::new().start()
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `ADDRESS:PORT` of the listener of this name.
    pub(crate) fn listener(&self, name: &str) -> String {
        let begins = format!("wsbump: listener {name} (");
        self.process().err(&begins, |line| {
            let rest = line.strip_prefix(&begins)?;
            Some(rest.split_once(") listening on ")?.1.to_owned())
        })
    }

    /// `https://127.0.0.1:PORT`.
    pub(crate) fn secure_url(&self) -> String {
        format!("https://{}", self.secure.as_ref().unwrap())
    }

    /// Where the configuration and the lists are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process.
    pub(crate) fn process(&self) -> &Process {
        self.process.as_ref().unwrap()
    }

    /// Scrapes the metrics.
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::scrape(&self.admin)
    }

    /// Waits until a metric has the value.
    pub(crate) fn metric(&self, family: &str, labels: &[(&str, &str)], value: f64) {
        until(
            &format!("{family}{labels:?} = {value}: {:?}", self.metrics()),
            || ((self.metrics().sum(family, labels) - value).abs() < 1e-9).then_some(()),
        );
    }

    /// Waits for the first line of the access log, of this `type`, that `find` likes.
    pub(crate) fn log(&self, kind: &str, mut find: impl FnMut(&Value) -> bool) -> Value {
        self.process()
            .out(&format!("a {kind} line of the access log"), |line| {
                let line: Value = serde_json::from_str(line).ok()?;
                (is_of(&line, kind) && find(&line)).then_some(line)
            })
    }

    /// The lines of this `type` so far.
    pub(crate) fn log_so_far(&self, kind: &str) -> Vec<Value> {
        let lines = self.process().out.all();
        let lines = lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| is_of(line, kind)).collect()
    }

    /// Replaces the configuration file with itself and these changes. Says nothing to the process.
    pub(crate) fn rewrite_config(&mut self, changes: &str) {
        merge(&mut self.config, toml::from_str(changes).unwrap());
        replace(&self.folder.path().join("wsbump.toml"), &self.config.to_string());
    }

    /// Replaces a file next to the configuration, as an editor would: a new file, renamed over the old.
    pub(crate) fn replace(&self, name: &str, text: &str) {
        replace(&self.folder.path().join(name), text);
    }

    /// Open descriptors of the process.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process().pid()))
            .unwrap()
            .count()
    }

    /// SIGTERM, then everything until the end of the process.
    pub(crate) fn terminate(self) -> Finished {
        self.process().signal("TERM");
        self.terminate_after_signal()
    }

    /// Everything until the end of a process that has been told to end.
    pub(crate) fn terminate_after_signal(mut self) -> Finished {
        let ended = self.process.take().unwrap().finish();
        assert!(
            !ended.err.iter().any(|line| line.contains("panicked at")),
            "{:?}",
            ended.err
        );
        ended
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        if std::thread::panicking() {
            eprintln!("{}", process.describe());
            return;
        }
        process.signal("TERM");
        let status = process.wait();
        let said = process.describe();
        assert!(!said.contains("panicked at"), "the proxy panicked: {said}");
        assert!(
            status.is_some_and(|status| status.success()),
            "did not end well ({status:?}): {said}"
        );
    }
}

/// Whether a line is of this `type`. Of a WebSocket that is the last one, unless `websocket:EVENT` asks for another.
fn is_of(line: &Value, kind: &str) -> bool {
    let (kind, event) = kind.split_once(':').unwrap_or((kind, "closed"));
    line["type"] == kind && (kind != "websocket" || line["event"] == event)
}

fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// Tables are merged, anything else is replaced.
fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}
