//! Clients that others wrote.

use super::origins::{self, script};
use super::process::Process;
use super::proxy::Proxy;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// A script in `tests/peers/` that acts as a client.
pub(crate) struct Client {
    name: String,
    command: Command,
    beside: Option<Box<Process>>,
}

/// What a client found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) ok: bool,
    pub(crate) facts: Value,
    pub(crate) text: String,
}

impl Client {
    /// `name` is the script's.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            command: script(name),
            beside: None,
        }
    }

    /// Adds `--name value`.
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(format!("--{name}")).arg(value);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it after these lines of a shell, in a namespace of its own for mounts, in which it is root.
    pub(crate) fn within(self, lines: &str) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-ec"]);
        command.arg(format!("{lines}\nexec \"$@\"")).arg("sh");
        self.behind(command)
    }

    /// Runs it in this network namespace.
    pub(crate) fn inside(self, namespace: &str) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]);
        self.behind(command)
    }

    /// Has another program start it.
    fn behind(mut self, mut command: Command) -> Self {
        command
            .arg(self.command.get_program())
            .args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        self.command = command;
        self
    }

    /// Gives it a process that it needs.
    pub(crate) fn beside(mut self, process: Process) -> Self {
        self.beside = Some(Box::new(process));
        self
    }

    /// Starts the client and leaves it running.
    pub(crate) fn start(self) -> Process {
        let mut process = Process::start(&self.name, self.command);
        process.beside = self.beside;
        process
    }

    /// Runs the client to its end, whatever that is.
    pub(crate) fn finish(self) -> Found {
        let name = self.name.clone();
        let finished = self.start().finish();
        let facts = finished
            .out
            .iter()
            .rev()
            .find_map(|line| serde_json::from_str(line).ok());
        let text = format!(
            "{name}: {:?}\n{}\n{}",
            finished.status,
            finished.out.join("\n"),
            finished.err.join("\n")
        );
        Found {
            ok: finished.status.success(),
            facts: facts.unwrap_or(Value::Null),
            text,
        }
    }

    /// Runs the client; what it expected must hold.
    pub(crate) fn run(self) -> Value {
        let found = self.finish();
        assert!(found.ok, "{}", found.text);
        found.facts
    }

    /// Runs the client; it must fail.
    pub(crate) fn fail(self) -> Found {
        let found = self.finish();
        assert!(!found.ok, "expected to fail: {}", found.text);
        found
    }
}

/// Chromium with `ca` in its own trust store and a home of its own.
pub(crate) fn chromium(home: &Path, ca: &Path) -> Client {
    chromium_by("client_chromium.mjs", home, ca)
}

/// The same, driven by another script.
pub(crate) fn chromium_by(script: &str, home: &Path, ca: &Path) -> Client {
    trust(&home.join(".pki/nssdb"), ca);
    Client::new(script)
        .with("browser", "/usr/bin/chromium")
        .with("home", home)
}

/// Firefox with `ca` in its profile and a home of its own.
pub(crate) fn firefox(home: &Path, ca: &Path) -> Client {
    firefox_by("client_firefox.mjs", home, ca)
}

/// The same, driven by another script.
pub(crate) fn firefox_by(script: &str, home: &Path, ca: &Path) -> Client {
    trust(&home.join("profile"), ca);
    Client::new(script)
        .with("browser", "/usr/bin/firefox-esr")
        .with("home", home)
}

/// Puts a certificate with its key, a PKCS #12 file without a password, into the store of a browser that was made already.
pub(crate) fn own_certificate(store: &Path, file: &Path) {
    let mut command = Command::new("pk12util");
    command.arg("-i").arg(file).args(["-W", "", "-K", "", "-d"]);
    command.arg(format!("sql:{}", store.display()));
    let done = Process::start("pk12util", command).finish();
    assert!(done.status.success(), "pk12util: {:?} {:?}", done.out, done.err);
}

/// Makes `store` an NSS database that trusts `ca`.
fn trust(store: &Path, ca: &Path) {
    std::fs::create_dir_all(store).unwrap();
    let database = format!("sql:{}", store.display());
    for arguments in [
        vec!["-N", "--empty-password"],
        vec!["-A", "-t", "C,,", "-n", "tests", "-i", ca.to_str().unwrap()],
    ] {
        let mut command = Command::new("certutil");
        command.args(["-d", &database]).args(&arguments);
        let done = Process::start("certutil", command).finish();
        assert!(done.status.success(), "certutil {arguments:?}: {:?}", done.err);
    }
}

/// What curl says.
#[derive(Debug)]
pub(crate) struct Curled {
    /// curl's own exit code.
    pub(crate) code: i32,
    /// The last response's status.
    pub(crate) status: u16,
    /// Everything that `--include` shows: heads, body, trailers.
    pub(crate) text: String,
    /// What `--verbose` shows.
    pub(crate) verbose: String,
}

/// Runs curl through `proxy` (or none), trusting `ca` alone.
pub(crate) fn curl(proxy: Option<&str>, ca: &Path, arguments: &[&str]) -> Curled {
    curl_in(&[], proxy, ca, arguments)
}

/// The same, with these variables in its environment.
pub(crate) fn curl_in(env: &[(&str, String)], proxy: Option<&str>, ca: &Path, arguments: &[&str]) -> Curled {
    let mut command = Command::new("/usr/bin/curl");
    command.args([
        "--silent",
        "--show-error",
        "--include",
        "--verbose",
        "--max-time",
        "40",
    ]);
    command.args([
        "--suppress-connect-headers",
        "--http1.1",
        "--write-out",
        "\n%{http_code}",
    ]);
    command.arg("--cacert").arg(ca);
    if let Some(proxy) = proxy {
        command.args(["--proxy", proxy]);
    }
    command.args(arguments);
    command.envs(env.iter().cloned());
    let done = Process::start("curl", command).finish();
    let (status, text) = done
        .out
        .split_last()
        .map(|(last, rest)| (last.clone(), rest.join("\n")))
        .unwrap_or_default();
    Curled {
        code: done.status.code().unwrap_or(-1),
        status: status.parse().unwrap_or(0),
        text,
        verbose: done.err.join("\n"),
    }
}

/// openssl's client in a tunnel to `target`, which it calls `origin.test` and verifies.
pub(crate) fn openssl(proxy: &Proxy, target: &str) -> Command {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-verify_return_error", "-proxy", &proxy.address]);
    command.args(["-connect", target, "-servername", "origin.test"]);
    command
}

/// What openssl says of its session with nginx, in which it asks for a page and gets it.
pub(crate) fn openssl_get(proxy: &Proxy, arguments: &[&OsStr]) -> String {
    let target = format!("origin.test:{}", origins::nginx().port);
    let mut command = openssl(proxy, &target);
    command
        .args(["-crlf", "-ign_eof", "-CAfile"])
        .arg(&proxy.ca)
        .args(arguments);
    let mut client = Process::start("openssl", command);
    for line in [
        "GET / HTTP/1.1",
        &format!("Host: {target}"),
        "Connection: close",
        "",
    ] {
        client.say(line);
    }
    let done = client.finish();
    let said = done.out.join("\n");
    assert!(said.contains("HTTP/1.1 200 OK"), "{said} {:?}", done.err);
    said
}
