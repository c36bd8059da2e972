//! docs/first-message.md: each line of it, run as it stands by somebody who has just cloned the repository.

use crate::harness::certs::certs;
use crate::harness::netns::{Net, Place};
use crate::harness::process::{Finished, Process};
use crate::harness::{root, scratch};
use std::path::Path;
use std::process::Command;

/// Where the server of the page is said to be: an address of the public, since a proxy without a configuration dials no other.
const ADDRESS: &str = "93.184.215.14";
const HOST: &str = "echo.websocket.org";

/// The blocks of a kind in a page.
fn blocks(page: &str, kind: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let fence = format!("```{kind}\n");
    let found = text.split(&fence).skip(1);
    let blocks = found.map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.collect()
}

/// A machine of its own, on which nothing is configured, and where the host of the page is.
struct Clone {
    net: Net,
    home: tempfile::TempDir,
    _origin: Process,
}

impl Clone {
    fn new() -> Self {
        let net = Net::new();
        net.inside(
            Place::Proxy,
            &["ip", "address", "add", &format!("{ADDRESS}/32"), "dev", "lo"],
        );
        net.hosts(Place::Proxy, &[(HOST, ADDRESS)]);
        let identity = &certs().origin;
        let mut origin = net.script(Place::Proxy, "origin_websockets.py");
        origin.args(["--listen", ADDRESS, "--port", "443", "--cert"]);
        origin.arg(&identity.cert).arg("--key").arg(&identity.key);
        let origin = Process::start("origin_websockets.py", origin);
        origin.out("READY", |line| line.starts_with("READY ").then_some(()));
        Self {
            net,
            home: scratch(),
            _origin: origin,
        }
    }

    /// Lines for a shell; the program is there already, and this machine's public roots are the tests'.
    fn shell(&self, lines: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_wsbump"));
        let lines = lines.replace("cargo run --release --", "wsbump");
        let mut command = self.net.command(Place::Proxy, "sh");
        command
            .args(["-c", &lines])
            .env_clear()
            .env(
                "PATH",
                format!(
                    "{}:/usr/sbin:/usr/bin:/sbin:/bin",
                    program.parent().unwrap().display()
                ),
            )
            .env("HOME", self.home.path())
            .env("SSL_CERT_FILE", &certs().root)
            .current_dir(self.home.path());
        command
    }

    fn run(&self, what: &str, lines: &str) -> Finished {
        Process::start(what, self.shell(lines)).finish()
    }
}

#[test]
fn every_line_of_the_page_works_and_the_message_is_on_the_screen() {
    let [start, paste, doctor] = &blocks("docs/first-message.md", "sh")[..] else {
        panic!("the page has other blocks: look at what they do here");
    };
    let machine = Clone::new();
    // In the place of the shell, so that its process is the program's.
    let proxy = Process::start("wsbump", machine.shell(&format!("exec {}", start.trim())));
    let seen = |line: &str| {
        line.starts_with("wsbump: proxy listening on 127.0.0.1:3128")
            .then_some(())
    };
    proxy.err("where the proxy listens", seen);

    let begun = std::time::Instant::now();
    let curl = machine.run("curl", paste);
    // It waits for more until its own time is up.
    assert_eq!(curl.status.code(), Some(28), "{:?} {:?}", curl.out, curl.err);
    assert!(curl.out.concat().contains("Request served by"), "{:?}", curl.out);
    // Times and numbers differ; the rest is what the page shows.
    let shown = blocks("docs/first-message.md", "");
    let shown = shown
        .iter()
        .find(|block| block.contains("Request served by"))
        .unwrap();
    let parts = |line: &str| {
        let words = line
            .split_whitespace()
            .filter(|word| !word.contains([':', '#']) || word.contains("//"));
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    for line in shown.lines() {
        let wanted = parts(line);
        proxy.out(line, |printed| parts(printed).starts_with(&wanted).then_some(()));
    }
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(60),
        "in a minute"
    );

    let told = machine.run("doctor", doctor);
    assert!(told.status.success(), "{:?}", told.out);
    assert!(
        told.out.last().unwrap().starts_with("All is well"),
        "{:?}",
        told.out
    );
}
