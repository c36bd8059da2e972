//! The interface against its own description: real answers and events held to it by a validator that others wrote, and
//! what schemathesis makes up.

use crate::harness::clients::{Client, curl};
use crate::harness::live::{Talk, Watcher, ask, socket};
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::{root, scratch, tool, until};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

/// Of each kind something to tell of.
const CONFIG: &str = r#"
log = { audit = "audit.log" }
view = { raw = true, people = "pseudonym", two_persons = ["people"], unlock = "24h" }
list = [{ name = "slack", file = "slack", format = "domains" }]

[[policy.rule]]
name = "chat"
title = "Chat stays as it is"
action = "splice"
hosts = ["slack"]

[inspect]
message_bytes = "1KiB"
on_budget = "pass"
[[inspect.rule]]
name = "words"
mode = "enforce"
action = "alert"
keywords = ["hunter2"]
[[inspect.rule]]
name = "nothing"
mode = "enforce"
action = "close"
keywords = ["not to be said"]
"#;

/// Asks, and writes down what the answer was: all of curl's own words are the status and the type.
fn answer(proxy: &Proxy, kept: &mut String, method: &str, path: &str, body: Option<&str>) -> Value {
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--max-time",
        "60",
        "--request",
        method,
        "--unix-socket",
    ]);
    curl.arg(socket(proxy))
        .args(["--write-out", "\n%{http_code} %{content_type}"]);
    if let Some(body) = body {
        curl.args(["--header", "content-type: application/json", "--data", body]);
    }
    let out = curl.arg(format!("http://localhost{path}")).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let (body, told) = text.rsplit_once('\n').unwrap();
    let (status, kind) = told.split_once(' ').unwrap();
    let body: Value = serde_json::from_str(body).unwrap_or_else(|_| body.into());
    let line = json!({ "method": method, "path": path, "status": status.parse::<u16>().unwrap(), "type": kind, "body": body });
    writeln!(kept, "{line}").unwrap();
    body
}

#[test]
fn every_answer_and_every_event_is_as_it_is_described() {
    let mut proxy = Setup::new().file("slack", "slack.com\n").config(CONFIG).start();
    let topics = [
        "connections",
        "requests",
        "websockets",
        "findings",
        "refusals",
        "reloads",
        "messages",
        "bodies",
    ];
    let watcher = Watcher::start(
        &proxy,
        &json!({ "topics": topics, "raw": true, "reason": "a test" }),
    );
    let sampled = Watcher::start(&proxy, &json!({ "topics": ["messages"], "sample": 1000 }));

    let mut talk = Talk::open(&proxy, "/echo?token=abc", "deflate");
    talk.say("my password is hunter2");
    talk.say("2");
    talk.say(&"long".repeat(600));
    let found = watcher.next("finding");
    assert_eq!(found["rule"], "words", "{found}");
    watcher.next("uninspected");
    let url = origins::aiohttp().url("https", "/status/200?a=b");
    let posted = curl(Some(&proxy.url()), &proxy.ca, &["--data", "a=1", &url]);
    assert!(posted.status > 0, "{}", posted.text);
    let refusing = scratch();
    let stranger = refusing.path().join("other.pem");
    fs::copy(&crate::harness::certs::certs().root, &stranger).unwrap();
    let refused = curl(Some(&proxy.url()), &stranger, &[&url]);
    assert_ne!(refused.code, 0, "{}", refused.text);
    for kind in ["body", "exchange_ended", "request", "ca_refused"] {
        until(kind, || {
            watcher
                .all()
                .contains(&format!(r#""type":"{kind}""#))
                .then_some(())
        });
    }

    let mut kept = String::new();
    let mut get = |path: &str| answer(&proxy, &mut kept, "GET", path, None);
    let open = get("/api/v1/connections?host=origin.test&limit=10");
    let number = open["connections"][0]["id"].as_u64().unwrap();
    for path in [
        "openapi.json",
        "state",
        "ca",
        "connections",
        "findings",
        "refusals",
        "policy",
        "lists",
        "unlocks",
    ] {
        get(&format!("/api/v1/{path}"));
    }
    for path in [
        "connections?limit=10001",
        "connections?limit=x",
        "connections?what=1",
        "connections/0",
        "connections/x",
    ] {
        get(&format!("/api/v1/{path}"));
    }
    get(&format!("/api/v1/connections/{number}"));
    let mut post = |path: &str, body: &str| {
        answer(&proxy, &mut kept, "POST", &format!("/api/v1/{path}"), Some(body));
    };
    for (path, body) in [
        (
            "policy/explain",
            r#"{ "target": "https://wss-primary.slack.com/x", "user": "ada", "groups": ["a"], "time": "Mon 09:30" }"#,
        ),
        (
            "policy/explain",
            r#"{ "target": "a.test:443", "client": "192.0.2.1", "method": "POST", "path": "/x" }"#,
        ),
        ("policy/explain", r#"{ "target": "ftp://a.test" }"#),
        ("policy/explain", "{"),
        (
            "exports",
            r#"{ "format": "har", "events": 3, "raw": true, "websocket": 7, "connection": null }"#,
        ),
        ("exports", r#"{ "format": "csv", "events": 3 }"#),
        ("events", r#"{ "seconds": 0, "topics": ["messages"] }"#),
        ("events", r#"{ "topics": ["no such thing"] }"#),
        ("events", r#"{ "topics": ["messages"], "raw": true }"#),
        ("events", r#"{ "direction": "up" }"#),
        ("events", r#"{ "keep_seconds": 61 }"#),
        ("events", r#"{ "sample": 0 }"#),
        ("login", "{}"),
        (
            "unlocks",
            r#"{ "what": "people", "reason": "a test", "seconds": 60 }"#,
        ),
        (
            "unlocks",
            r#"{ "what": "raw", "reason": "a test", "seconds": 60 }"#,
        ),
        ("unlocks", r#"{ "what": "people", "reason": "a", "seconds": 60 }"#),
        ("unlocks/1/grant", "{}"),
        ("unlocks/1/end", "{}"),
        ("unlocks/99/end", "{}"),
        ("reload", "{}"),
        ("reload", r#"{ "now": true }"#),
        (&format!("connections/{number}/close"), r#"{ "websocket": 0 }"#),
        (
            &format!("connections/{number}/close"),
            r#"{ "reason": "a test" }"#,
        ),
    ] {
        post(path, body);
    }
    talk.ended(1001);
    for kind in ["websocket_closed", "connection_ended", "reload"] {
        until(kind, || {
            watcher
                .all()
                .contains(&format!(r#""type":"{kind}""#))
                .then_some(())
        });
    }
    proxy.rewrite_config("[view]\npeople = 'nobody'\n");
    let mut post = |path: &str| {
        answer(&proxy, &mut kept, "POST", &format!("/api/v1/{path}"), Some("{}"));
    };
    post("reload");
    until("the sample", || {
        sampled.all().contains(r#""type":"skipped""#).then_some(())
    });
    post("drain");
    proxy.terminate_after_signal();

    for line in [watcher.all(), sampled.all()].join("\n").lines() {
        if let Some(event) = line.strip_prefix("data: ") {
            let event: Value = serde_json::from_str(event).unwrap();
            writeln!(kept, "{}", json!({ "event": event })).unwrap();
        }
    }
    let folder = scratch();
    let file = folder.path().join("answers");
    fs::write(&file, kept).unwrap();
    let found = Client::new("check_openapi.py").with("answers", &file).finish();
    assert!(found.ok, "{}", found.text);
    // This proxy has no console, and one person has asked; two_persons.rs has another, live.rs a client that does not read.
    assert_eq!(
        found.facts["missing"],
        json!(["post /api/v1/login", "post /api/v1/unlocks/{id}/grant"]),
        "{}",
        found.text
    );
    assert_eq!(found.facts["missing_events"], json!(["lost"]), "{}", found.text);
}

#[test]
fn schemathesis_finds_nothing() {
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    let proxy = Setup::new()
        .file("slack", "slack.com\n")
        .file("all.token", TOKEN)
        .config(CONFIG)
        .config("listen = { console = ['127.0.0.1:0'] }")
        .config("[[console.token]]\nname = 'all'\nfile = 'all.token'\nroles = ['raw', 'operator']\n")
        .start();
    let begins = "wsbump: console listening on ";
    let base = proxy
        .process()
        .err(begins, |line| Some(line.strip_prefix(begins)?.to_owned()));
    let mut talk = Talk::open(&proxy, "/echo", "none");
    talk.say("hunter2");

    let folder = scratch();
    fs::copy(
        root().join("tests/peers/schemathesis.toml"),
        folder.path().join("schemathesis.toml"),
    )
    .unwrap();
    let mut command = Command::new(tool("venv/bin/python"));
    command
        .current_dir(folder.path())
        .env("PYTHONPATH", root().join("tests/peers"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .args([
            "-m",
            "schemathesis.cli",
            "run",
            "--phases",
            "examples,coverage,fuzzing",
        ])
        .args([
            "--max-time",
            "40",
            "--request-timeout",
            "10",
            "--continue-on-failure",
            "--no-color",
        ])
        .args([
            "--max-examples",
            "40",
            "--exclude-path",
            "/api/v1/drain",
            "--header",
        ])
        .arg(format!("Authorization: Bearer {TOKEN}"))
        .arg(format!("{base}/api/v1/openapi.json"));
    let done = Process::start("schemathesis", command).finish();
    assert!(
        done.status.success(),
        "{}\n{}",
        done.out.join("\n"),
        done.err.join("\n")
    );
    let count = done.out.iter().find_map(|line| {
        let (count, rest) = line.trim().split_once(" generated, ")?;
        assert!(!rest.contains("found"), "{line}");
        count.parse::<u64>().ok()
    });
    assert!(count > Some(200), "{}", done.out.join("\n"));
    // It has asked for something, and the proxy serves on.
    let audit = fs::read_to_string(proxy.folder().join("audit.log")).unwrap();
    assert!(audit.lines().count() > 50, "{}", done.out.join("\n"));
    assert_eq!(ask(&proxy, "state", None).0, 200);
}
