//! What watches a running proxy: curl on its live socket, `wsbump tail`, and a conversation to be watched.

use super::clients::Client;
use super::origins;
use super::process::Process;
use super::proxy::Proxy;
use serde_json::Value;
use std::cell::Cell;
use std::path::PathBuf;
use std::process::Command;

pub(crate) fn socket(proxy: &Proxy) -> PathBuf {
    proxy.folder().join("data/live.sock")
}

/// Asks with curl: the status, and the answer.
pub(crate) fn ask(proxy: &Proxy, path: &str, body: Option<&Value>) -> (u16, Value) {
    let mut curl = Command::new("curl");
    curl.arg("--silent")
        .arg("--max-time")
        .arg("60")
        .arg("--unix-socket")
        .arg(socket(proxy));
    curl.arg("--write-out")
        .arg("\n%{http_code}")
        .arg(format!("http://localhost/api/v1/{path}"));
    if let Some(body) = body {
        curl.arg("--header")
            .arg("content-type: application/json")
            .arg("--data")
            .arg(body.to_string());
    }
    let out = curl.output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let (answer, status) = text.trim_end().rsplit_once('\n').unwrap();
    (
        status.parse().unwrap(),
        serde_json::from_str(answer).unwrap_or(Value::Null),
    )
}

pub(crate) fn get(proxy: &Proxy, path: &str) -> Value {
    let (status, answer) = ask(proxy, path, None);
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// A stream of events, as curl prints it.
pub(crate) struct Watcher(Process, Cell<u64>);

impl Watcher {
    pub(crate) fn start(proxy: &Proxy, asked: &Value) -> Self {
        Self::resume(proxy, asked, None)
    }

    /// The same, behind the event of this id.
    pub(crate) fn resume(proxy: &Proxy, asked: &Value, last: Option<&str>) -> Self {
        let mut curl = Command::new("curl");
        curl.arg("--silent")
            .arg("--no-buffer")
            .arg("--unix-socket")
            .arg(socket(proxy));
        curl.arg("--header")
            .arg("content-type: application/json")
            .arg("--data")
            .arg(asked.to_string());
        if let Some(last) = last {
            curl.arg("--header").arg(format!("last-event-id: {last}"));
        }
        curl.arg("http://localhost/api/v1/events");
        let watcher = Self(Process::start("curl", curl), Cell::default());
        watcher.next("watching");
        watcher
    }

    /// The next event of this kind that `find` likes, behind the one that was found last.
    pub(crate) fn find(&self, kind: &str, mut find: impl FnMut(&Value) -> bool) -> Value {
        let last = self.1.get();
        let found = self.0.out(&format!("an event: {kind}"), |line| {
            let data: Value = serde_json::from_str(line.strip_prefix("data: ")?).ok()?;
            let is_next = kind == "watching" || (data["type"] == kind && data["id"].as_u64() > Some(last));
            (is_next && find(&data)).then_some(data)
        });
        self.1.set(found["id"].as_u64().unwrap_or(last));
        found
    }

    pub(crate) fn next(&self, kind: &str) -> Value {
        self.find(kind, |_| true)
    }

    pub(crate) fn all(&self) -> String {
        self.0.out.all().join("\n")
    }
}

/// A conversation over `websockets`; each line is said and comes back.
pub(crate) struct Talk(pub(crate) Process);

impl Talk {
    pub(crate) fn open(proxy: &Proxy, path: &str, compression: &str) -> Self {
        let client = Client::new("client_websockets.py")
            .with("mode", "dialogue")
            .with("url", origins::websockets().url("wss", path))
            .with("proxy", proxy.url())
            .with("compression", compression)
            .with("ca", &proxy.ca);
        let process = client.start();
        process.out("open", |line| line.contains("\"open\": true").then_some(()));
        Self(process)
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.0.say(line);
        self.0.out(line, |out| {
            let out: Value = serde_json::from_str(out).ok()?;
            (out["got"] == line).then_some(())
        });
    }

    pub(crate) fn ended(&self, code: u16) {
        self.0.out("the end", |line| {
            line.contains(&format!("\"code\": {code}")).then_some(())
        });
    }

    pub(crate) fn close(mut self) {
        self.0.say("");
        self.ended(1000);
    }
}

/// `wsbump tail` with these options.
pub(crate) fn tail(proxy: &Proxy, options: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
    command
        .arg("tail")
        .arg("--data-dir")
        .arg(proxy.folder().join("data"))
        .args(options);
    let process = Process::start("tail", command);
    process.err("watching", |line| line.starts_with("watching ").then_some(()));
    process
}
