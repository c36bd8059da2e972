//! `wsbump tail`, `wsbump top` and `wsbump console`, as those use them who sit before a terminal.

use crate::harness::clients::{Client, curl};
use crate::harness::live::{Talk, tail};
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::{scratch, until};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Instant;

#[test]
fn tail_shows_what_happens_and_ends_when_it_has_seen_enough() {
    let proxy = Proxy::start();
    let rows = tail(&proxy, &[]);
    let messages = tail(&proxy, &["origin.test", "--messages", "--direction", "to_client"]);
    let one = tail(
        &proxy,
        &["--json", "--text", "needle", "--limit", "2", "--opcode", "text"],
    );
    let nobody = tail(&proxy, &["elsewhere.test", "--messages"]);
    let mut talk = Talk::open(&proxy, "/echo?token=abc", "deflate");
    talk.say("\u{1b}[2Jneedle {\"token\":\"hunter2\"}");
    let line =
        |tail: &Process, what: &str| tail.out(what, |line| line.contains(what).then(|| line.to_owned()));
    line(&rows, "open   #");
    assert!(
        line(&messages, "<- #").contains(" text "),
        "a message has its kind"
    );
    assert_eq!(
        line(&messages, "needle").trim(),
        "\\x1b[2Jneedle {\"token\":\"****\"}"
    );
    talk.close();
    assert!(
        line(&rows, "close  #").contains("closed, 1000 by client"),
        "how it was closed"
    );
    let one = one.finish();
    assert!(one.status.success(), "{:?}", one.err);
    let events: Vec<Value> = one
        .out
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        events.iter().any(|event| event["type"] == "message"),
        "{events:?}"
    );
    for tail in [&rows, &messages, &nobody] {
        let all = tail.out.all().join("\n");
        assert!(!all.contains("hunter2") && !all.contains('\u{1b}'), "{all}");
    }
    assert!(!rows.out.all().join("\n").contains("needle"));
    assert!(nobody.out.all().is_empty(), "{:?}", nobody.out.all());
    proxy.terminate();
    rows.err("the end", |line| {
        line.contains("the proxy has ended").then_some(())
    });
}

#[test]
fn tail_says_where_no_proxy_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
    let out = command
        .arg("tail")
        .arg("--data-dir")
        .arg(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(
        text.contains("no proxy answers at") && text.contains("live.sock"),
        "{text}"
    );
}

/// A terminal of tmux, with `wsbump top` in it.
struct Screen(String);

impl Screen {
    fn start(proxy: &Proxy) -> Self {
        let screen = Self(proxy.folder().join("tmux.sock").to_str().unwrap().to_owned());
        let top = format!(
            "{} top --data-dir {}",
            env!("CARGO_BIN_EXE_wsbump"),
            proxy.folder().join("data").display()
        );
        screen.tmux(&["new-session", "-d", "-s", "top", "-x", "180", "-y", "30", &top]);
        screen
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let out = Command::new("tmux")
            .args(["-S", &self.0, "-f", "/dev/null"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(out.status.success(), "{arguments:?}: {out:?}");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", "-t", "top", key]);
    }

    fn shows(&self, what: &str) {
        self.shows_all(&[what]);
    }

    /// A screen is not drawn all at once.
    fn shows_all(&self, all: &[&str]) {
        until(&format!("{all:?} on the screen"), || {
            let text = self.tmux(&["capture-pane", "-p", "-t", "top"]);
            all.iter().all(|what| text.contains(what)).then_some(())
        });
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // It has ended by itself where the test went well.
        let _ = Command::new("tmux").args(["-S", &self.0, "kill-server"]).output();
    }
}

#[test]
fn top_shows_what_is_open_and_closes_what_is_meant() {
    let proxy = Proxy::start();
    let mut talk = Talk::open(&proxy, "/echo", "none");
    talk.say("hello");
    let screen = Screen::start(&proxy);
    screen.shows_all(&["origin.test", "1 connections, 1 rows by age", "websocket"]);
    screen.shows("1/1");
    screen.press("s");
    screen.shows("by rate");
    screen.press("Enter");
    // All that is known; the line at the foot speaks of details too.
    screen.shows("url: wss://origin.test");
    screen.press("x");
    screen.shows("y closes it");
    screen.press("n");
    talk.say("still here");
    screen.press("x");
    screen.shows("y closes it");
    screen.press("y");
    talk.ended(1001);
    screen.shows("0 connections");
    screen.press("q");
    until("its end", || {
        let sessions = Command::new("tmux")
            .args(["-S", &screen.0, "list-sessions"])
            .output()
            .unwrap();
        (!sessions.status.success()).then_some(())
    });
}

/// One command, one line that it prints and that is pasted, and a decrypted frame is on the screen.
#[test]
fn one_command_and_one_pasted_line_show_a_decrypted_frame() {
    let start = Instant::now();
    let proxy = Setup::new().option("--tail").start();
    let up = start.elapsed();
    let line = proxy.process().err("the line", |line| {
        let line = line.trim();
        line.starts_with("curl --proxy ").then(|| line.to_owned())
    });
    let url = origins::websockets().url("https", "/push?token=hunter2");
    let (words, example) = line.rsplit_once(' ').unwrap();
    assert_eq!(example, "https://example.com/", "{line}");
    // curl asks for the upgrade by its headers, and the origin speaks first.
    let upgrade = "-sN --http1.1 --max-time 10 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
        -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='";
    let pasted = Instant::now();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec {words} {upgrade} '{url}'"));
    let shell = Process::start("curl", shell);
    let screen = |what: &str| {
        proxy
            .process()
            .out(what, |line| line.contains(what).then(|| line.to_owned()))
    };
    assert!(screen("open   #").contains("wss://origin.test"), "the WebSocket");
    assert!(screen("<- #").contains(" text "), "its message");
    let seen = pasted.elapsed();
    println!("listening after {up:?}, on the screen {seen:?} behind the pasted line");
    screen("<- #");
    proxy
        .process()
        .out("what it says", |line| (line.trim() == "pushed").then_some(()));
    // A browser's request shows too, and the access log is not between.
    let asked = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[&origins::aiohttp().url("https", "/status/204")],
    );
    assert_eq!(asked.status, 204, "{}", asked.text);
    screen("/status/204 204 ");
    let all = proxy.process().out.all().join("\n");
    assert!(!all.contains("hunter2") && !all.contains("{\"type\""), "{all}");
    drop(shell);
}

#[test]
fn a_screen_that_stands_still_holds_up_nobody() {
    let folder = scratch();
    let fifo = folder.path().join("screen");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let proxy = Setup::new()
        // Whoever opens a pipe for both is never told that nobody reads.
        .wrapped(&["sh", "-c", "exec \"$@\" 1<>\"$0\"", fifo.to_str().unwrap()])
        .option("--tail")
        .start();
    let mut talk = Talk::open(&proxy, "/echo", "none");
    for number in 0..60 {
        talk.say(&format!("{number} {}", "x".repeat(5000)));
    }
    // More than the pipe holds has passed; who comes now is served.
    let asked = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[&origins::aiohttp().url("https", "/status/204")],
    );
    assert_eq!(asked.status, 204, "{}", asked.text);
    let mut other = Talk::open(&proxy, "/echo", "deflate");
    other.say("hello");
    other.close();
    talk.close();
}

#[test]
fn heads_and_bodies_are_shown_as_they_pass() {
    let proxy = Proxy::start();
    let bodies = tail(&proxy, &["--bodies"]);
    let asked = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[
            "-H",
            "X-Whose: hunter2",
            "-d",
            "password=hunter2&say=hello",
            &origins::aiohttp().url("https", "/echo?key=hunter2"),
        ],
    );
    assert_eq!(asked.status, 200, "{}", asked.text);
    let line = |what: &str| bodies.out(what, |line| line.contains(what).then(|| line.to_owned()));
    assert!(line("-> #").contains("POST /echo?key=****"), "the head");
    assert_eq!(line("x-whose: ").trim(), "x-whose: ****", "who knows whose it is");
    assert_eq!(
        line("content-type: application/x-www-form").trim(),
        "content-type: application/x-www-form-urlencoded"
    );
    assert_eq!(line("say=hello").trim(), "password=****&say=hello");
    assert!(line("<- #").contains("200"), "the response's head");
    assert!(line("done   #").contains(" 200 "), "the end");
    assert!(!bodies.out.all().join("\n").contains("hunter2"));
}

#[test]
fn what_comes_again_and_heartbeats_are_counted() {
    let proxy = Proxy::start();
    let messages = tail(&proxy, &["--messages"]);
    let all = tail(&proxy, &["--messages", "--heartbeats", "--json"]);
    let mut talk = Talk::open(&proxy, "/echo", "deflate");
    for _ in 0..5 {
        talk.say(r#"{"type":"ping"}"#);
        talk.say("tick");
    }
    talk.say("tock");
    talk.close();
    let line = |what: &str| messages.out(what, |line| line.contains(what).then(|| line.to_owned()));
    assert!(line("repeated 4 times more").contains("#"), "which");
    assert_eq!(
        line("heartbeats were not shown").trim(),
        "10 heartbeats were not shown"
    );
    line("close  #");
    let shown = messages.out.all();
    let count = |word: &str| shown.iter().filter(|line| line.trim() == word).count();
    assert_eq!((count("tick"), count("tock")), (2, 2), "once each way: {shown:?}");
    assert!(!shown.join("").contains("ping\""), "{shown:?}");
    all.out("the end", |line| line.contains("websocket_closed").then_some(()));
    let lines = all.out.all();
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains(r#""heartbeat":true"#))
            .count(),
        10,
        "for programs nothing is folded"
    );
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.contains(r#""text":"tick""#))
            .count(),
        10
    );
}

#[test]
fn tail_ends_with_those_who_have_read_enough() {
    let proxy = Proxy::start();
    let mut shell = Command::new("sh");
    let command = format!(
        "'{}' tail --data-dir '{}' --messages | head -n 1",
        env!("CARGO_BIN_EXE_wsbump"),
        proxy.folder().join("data").display()
    );
    shell.arg("-c").arg(command);
    let piped = Process::start("sh", shell);
    piped.err("watching", |line| line.starts_with("watching ").then_some(()));
    let mut talk = Talk::open(&proxy, "/echo", "none");
    // The pipe is found to be closed by the next that is written.
    let mut number = 0;
    until("its end", || {
        number += 1;
        talk.say(&format!("{number}"));
        let watching = crate::harness::live::get(&proxy, "state")["watching"] == 0;
        watching.then_some(())
    });
    let done = piped.finish();
    assert!(
        done.status.success() && done.out.len() == 1,
        "{:?} {:?}",
        done.out,
        done.err
    );
    talk.close();
}

#[test]
fn what_tail_watches_is_kept_as_a_har_file() {
    let proxy = Proxy::start();
    let folder = scratch();
    let file = folder.path().join("watched.har");
    let name = file.to_str().unwrap();
    let recording = tail(&proxy, &["--har", name, "--limit", "4", "--messages"]);
    let mut talk = Talk::open(&proxy, "/echo", "deflate");
    talk.say(r#"{"token":"hunter2"}"#);
    talk.close();
    let done = recording.finish();
    assert!(done.status.success(), "{:?}", done.err);
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let found = Client::new("check_har.mjs").with("har", &file).run();
    assert_eq!(found["messages"], 2, "{found}");
    assert!(!std::fs::read_to_string(&file).unwrap().contains("hunter2"));
    for (options, says) in [
        (&["--har", name, "--limit", "1"][..], "exists"),
        (&["--har", "/nowhere/a.har", "--limit", "1"], "/nowhere/a.har"),
        (&["--har", "other.har"], "--limit or --seconds"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
        command
            .current_dir(folder.path())
            .arg("tail")
            .args(["--data-dir", "/nowhere"])
            .args(options);
        let out = command.output().unwrap();
        let err = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success() && err.contains(says), "{options:?}: {err}");
    }
}

#[test]
fn console_logs_in_again_without_a_restart() {
    let proxy = Setup::new()
        .config("listen = { console = ['127.0.0.1:0'] }\nlog = { audit = 'audit.log' }")
        .start();
    let console = |data: &std::path::Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
        let out = command
            .arg("console")
            .arg("--data-dir")
            .arg(data)
            .output()
            .unwrap();
        (
            out.status.success(),
            String::from_utf8(out.stdout).unwrap(),
            String::from_utf8(out.stderr).unwrap(),
        )
    };
    let data = proxy.folder().join("data");
    let (first, second) = (console(&data), console(&data));
    assert!(first.0 && second.0 && first.1 != second.1, "{first:?} {second:?}");
    for (_, line, _) in [&first, &second] {
        let (base, code) = line.trim().split_once("/#code=").unwrap();
        let body = format!("{{\"secret\":\"{code}\"}}");
        let log_in = || {
            let url = format!("{base}/session");
            curl(
                None,
                &proxy.ca,
                &["-H", "Content-Type: application/json", "-d", &body, &url],
            )
            .status
        };
        assert_eq!((log_in(), log_in()), (200, 401), "{line}");
    }
    let audit = std::fs::read_to_string(proxy.folder().join("audit.log")).unwrap();
    assert_eq!(audit.matches(r#""operation":"login_code""#).count(), 2, "{audit}");

    let none = Proxy::start();
    let (is_well, out, err) = console(&none.folder().join("data"));
    assert!(
        !is_well && out.is_empty() && err.contains("listen.console"),
        "{out} {err}"
    );
}
