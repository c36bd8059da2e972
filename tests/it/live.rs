//! What is open and what happens, watched by curl and by `wsbump tail` on the live socket.

use crate::harness::clients::{Client, curl};
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{tls, tunnel};
use crate::harness::recorder::{accept, tcp};
use crate::harness::until;
use serde_json::{Value, json};
use std::cell::Cell;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

fn socket(proxy: &Proxy) -> PathBuf {
    proxy.folder().join("data/live.sock")
}

/// Asks with curl: the status, and the answer.
fn ask(proxy: &Proxy, path: &str, body: Option<&Value>) -> (u16, Value) {
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

fn get(proxy: &Proxy, path: &str) -> Value {
    let (status, answer) = ask(proxy, path, None);
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

/// A stream of events, as curl prints it.
struct Watcher(Process, Cell<u64>);

impl Watcher {
    fn start(proxy: &Proxy, asked: &Value) -> Self {
        let mut curl = Command::new("curl");
        curl.arg("--silent")
            .arg("--no-buffer")
            .arg("--unix-socket")
            .arg(socket(proxy));
        curl.arg("--header")
            .arg("content-type: application/json")
            .arg("--data")
            .arg(asked.to_string());
        curl.arg("http://localhost/api/v1/events");
        let watcher = Self(Process::start("curl", curl), Cell::default());
        watcher.next("watching");
        watcher
    }

    /// The next event of this kind that `find` likes, behind the one that was found last.
    fn find(&self, kind: &str, mut find: impl FnMut(&Value) -> bool) -> Value {
        let last = self.1.get();
        let found = self.0.out(&format!("an event: {kind}"), |line| {
            let data: Value = serde_json::from_str(line.strip_prefix("data: ")?).ok()?;
            let is_next = kind == "watching" || (data["type"] == kind && data["id"].as_u64() > Some(last));
            (is_next && find(&data)).then_some(data)
        });
        self.1.set(found["id"].as_u64().unwrap_or(last));
        found
    }

    fn next(&self, kind: &str) -> Value {
        self.find(kind, |_| true)
    }

    fn all(&self) -> String {
        self.0.out.all().join("\n")
    }
}

/// A conversation over `websockets`; each line is said and comes back.
struct Talk(Process);

impl Talk {
    fn open(proxy: &Proxy, path: &str, compression: &str) -> Self {
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

    fn say(&mut self, line: &str) {
        self.0.say(line);
        self.0.out(line, |out| {
            let out: Value = serde_json::from_str(out).ok()?;
            (out["got"] == line).then_some(())
        });
    }

    fn ended(&self, code: u16) {
        self.0.out("the end", |line| {
            line.contains(&format!("\"code\": {code}")).then_some(())
        });
    }

    fn close(mut self) {
        self.0.say("");
        self.ended(1000);
    }
}

/// The only WebSocket that is open, with its connection.
fn only(proxy: &Proxy) -> Option<(Value, Value)> {
    let answer = get(proxy, "connections");
    let connections = answer["connections"].as_array().unwrap();
    let mut found = connections
        .iter()
        .filter_map(|row| Some((row.clone(), row["websockets"].get(0)?.clone())));
    let first = found.next()?;
    assert!(found.next().is_none(), "{answer}");
    Some(first)
}

#[test]
fn a_websocket_is_counted_while_it_is_open_and_can_be_closed() {
    let proxy = Setup::new().config("log = { audit = 'audit.log' }").start();
    let mut talk = Talk::open(&proxy, "/echo?ticket=hunter2", "none");
    let (connection, websocket) = until("a WebSocket", || only(&proxy));
    assert_eq!(
        (&connection["protocol"], &connection["action"]),
        (&json!("websocket"), &json!("bump"))
    );
    assert_eq!(
        (&connection["client"], &connection["tls"]),
        (&json!("127.0.0.1"), &json!("TLSv1.3"))
    );
    assert!(
        connection["host"].as_str().unwrap().starts_with("origin.test:"),
        "{connection}"
    );
    assert!(
        websocket["url"].as_str().unwrap().ends_with("/echo"),
        "{websocket}"
    );
    assert_eq!(websocket["messages"], json!({ "to_origin": 0, "to_client": 0 }));
    assert_eq!(websocket["quiet_seconds"]["to_origin"], Value::Null);

    talk.say("hello");
    talk.say("you");
    talk.0.say("ping");
    let counted = until("two messages and a ping", || {
        let (_, websocket) = only(&proxy)?;
        (websocket["pings"]["to_client"] == 1).then_some(websocket)
    });
    for direction in ["to_origin", "to_client"] {
        assert_eq!(counted["messages"][direction], 2, "{counted}");
        assert_eq!(counted["frames"][direction], 3, "{counted}");
        assert!(counted["bytes"][direction].as_u64() >= Some(8), "{counted}");
        assert!(
            counted["quiet_seconds"][direction].as_f64() < Some(60.0),
            "{counted}"
        );
        assert!(
            counted["inside_seconds"][direction].as_f64() > Some(0.0),
            "{counted}"
        );
    }

    let id = &connection["id"];
    assert_eq!(get(&proxy, &format!("connections/{id}"))["id"], *id);
    assert_eq!(ask(&proxy, "connections/999999", None).0, 404);
    assert_eq!(get(&proxy, "connections?host=elsewhere.test")["matching"], 0);
    assert_eq!(
        get(&proxy, "connections?host=origin.test&client=127.0.0.1")["matching"],
        1
    );
    let wrong = json!({ "websocket": 999_999 });
    assert_eq!(
        ask(&proxy, &format!("connections/{id}/close"), Some(&wrong)).0,
        404
    );
    let close = json!({ "websocket": websocket["id"], "reason": "test" });
    assert_eq!(
        ask(&proxy, &format!("connections/{id}/close"), Some(&close)).0,
        200
    );
    talk.ended(1001);
    let line = proxy.log("websocket", |line| line["event"] == "closed");
    assert_eq!(line["outcome"], "closed_by_operator", "{line}");
    until("nothing is open", || {
        (get(&proxy, "connections")["total"] == 0).then_some(())
    });
    let audit = std::fs::read_to_string(proxy.folder().join("audit.log")).unwrap();
    let line: Value = serde_json::from_str(audit.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&line["type"], &line["operation"], &line["reason"]),
        (&json!("operation"), &json!("close"), &json!("test"))
    );
    assert!(line["by"].as_str().unwrap().starts_with("uid "), "{line}");
}

#[test]
fn a_tunnel_is_counted_while_it_passes_and_can_be_closed() {
    let proxy = Setup::new()
        .config("policy = { unknown_protocol = 'tunnel' }")
        .start();
    let (listener, port) = tcp();
    let mut client = tunnel(&proxy, &format!("origin.test:{port}"));
    let said = b"\x00\x01 nothing that anyone knows \xff\xfe".repeat(5000);
    client.send(&said);
    let mut origin = accept(&listener);
    assert!(origin.exactly(said.len()) == said);
    origin.send(b"yes");
    assert_eq!(client.exactly(3), b"yes");
    let row = until("its bytes", || {
        let row = get(&proxy, "connections")["connections"][0].clone();
        (row["bytes"] == json!({ "to_origin": said.len(), "to_client": 3 })).then_some(row)
    });
    assert!(
        ["tunnel", "spliced"].contains(&row["protocol"].as_str().unwrap()),
        "{row}"
    );
    let close = format!("connections/{}/close", row["id"]);
    assert_eq!(ask(&proxy, &close, Some(&json!({}))).0, 200);
    assert!(client.rest().is_empty());
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["outcome"], "closed_by_operator", "{line}");
}

#[test]
fn a_connection_between_requests_can_be_closed() {
    let proxy = Proxy::start();
    let mut client = tls(&proxy, &format!("origin.test:{}", origins::aiohttp().port));
    client.send("GET /plain HTTP/1.1\r\nhost: origin.test\r\n\r\n");
    assert!(client.answer().status >= 200);
    let row = until("a request", || {
        let row = get(&proxy, "connections")["connections"][0].clone();
        (row["requests"] == 1 && row["protocol"] == "http/1.1").then_some(row)
    });
    assert_eq!(
        ask(
            &proxy,
            &format!("connections/{}/close", row["id"]),
            Some(&json!({}))
        )
        .0,
        200
    );
    client.rest();
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["outcome"], "closed_by_operator", "{line}");
}

#[test]
fn messages_come_as_they_pass_and_their_secrets_do_not() {
    let proxy = Setup::new().config("log = { audit = 'audit.log' }").start();
    let all = Watcher::start(
        &proxy,
        &json!({ "topics": ["messages", "websockets", "requests", "connections"] }),
    );
    let some = Watcher::start(
        &proxy,
        &json!({ "topics": ["messages"], "direction": "to_client", "text": "needle" }),
    );
    let other = Watcher::start(
        &proxy,
        &json!({ "topics": ["messages"], "host": "elsewhere.test" }),
    );
    for compression in ["none", "deflate"] {
        let mut talk = Talk::open(&proxy, "/echo?ticket=hunter2", compression);
        let opened = all.next("websocket_opened");
        assert_eq!(
            (&opened["compressed"], opened["connection"].is_u64()),
            (&json!(compression == "deflate"), true)
        );
        talk.say(r#"{"password":"hunter2","say":"needle"}"#);
        for direction in ["to_origin", "to_client"] {
            let message = all.find("message", |it| it["direction"] == direction);
            assert_eq!(message["text"], r#"{"password":"****","say":"needle"}"#);
            assert!(
                message["path"].as_str().unwrap().ends_with("ticket=****"),
                "{message}"
            );
            assert_eq!(message["websocket"], opened["websocket"]);
        }
        assert_eq!(some.next("message")["direction"], "to_client");
        talk.say("hay");
        talk.close();
        let closed = all.next("websocket_closed");
        assert_eq!(
            (&closed["ending"], &closed["close"]["code"]),
            (&json!("closed"), &json!(1000)),
            "{closed}"
        );
        assert_eq!(closed["messages"], json!({ "to_origin": 2, "to_client": 2 }));
        all.next("connection_ended");
    }
    for watcher in [&all, &some, &other] {
        assert!(!watcher.all().contains("hunter2"));
    }
    assert!(!some.all().contains("hay") && !other.all().contains(r#""type":"message""#));
    let audit = std::fs::read_to_string(proxy.folder().join("audit.log")).unwrap();
    let looks = audit
        .lines()
        .filter(|line| line.contains(r#""type":"view""#))
        .count();
    assert_eq!(looks, 3, "{audit}");
    // What was looked for is not written down.
    assert!(
        !audit.contains("needle") && audit.contains(r#""by_text":true"#),
        "{audit}"
    );
    drop(other);
    until("the end of a look", || {
        let audit = std::fs::read_to_string(proxy.folder().join("audit.log")).ok()?;
        audit.contains(r#""type":"view_ended""#).then_some(())
    });
}

#[test]
fn a_websocket_that_is_open_already_is_seen_from_its_next_message_on() {
    let proxy = Proxy::start();
    let mut talk = Talk::open(&proxy, "/echo", "none");
    talk.say("before");
    let watcher = Watcher::start(&proxy, &json!({ "topics": ["messages"] }));
    talk.say("while");
    assert_eq!(watcher.next("message")["text"], "while");
    drop(watcher);
    until("nobody watches", || {
        (get(&proxy, "state")["watching"] == 0).then_some(())
    });
    talk.say("after");
    let again = Watcher::start(&proxy, &json!({ "topics": ["messages"] }));
    talk.say("again");
    assert_eq!(again.next("message")["text"], "again");
    talk.close();
}

#[test]
fn no_line_no_content() {
    let proxy = Setup::new().config("log = { audit = '/dev/full' }").start();
    let (status, answer) = ask(&proxy, "events", Some(&json!({ "topics": ["messages"] })));
    assert_eq!(status, 503, "{answer}");
    assert!(
        answer["detail"].as_str().unwrap().contains("audit log"),
        "{answer}"
    );
    let mut talk = Talk::open(&proxy, "/echo", "none");
    let id = until("a WebSocket", || Some(only(&proxy)?.0["id"].clone()));
    assert_eq!(
        ask(&proxy, &format!("connections/{id}/close"), Some(&json!({}))).0,
        503
    );
    talk.say("still here");
    // Rows are no content.
    let rows = Watcher::start(&proxy, &json!({}));
    talk.close();
    rows.next("websocket_closed");
}

#[test]
fn what_may_be_seen_is_for_the_configuration_to_say() {
    let proxy = Setup::new()
        .file("secret", "origin.test\n")
        .config("log = { audit = 'audit.log' }\nview = { raw = true, except_hosts = ['secret'], people = 'pseudonym' }")
        .config("[[list]]\nname = 'secret'\nfile = 'secret'\nformat = 'domains'\n")
        .start();
    let raw = json!({ "topics": ["messages"], "raw": true });
    assert_eq!(ask(&proxy, "events", Some(&raw)).0, 403, "without a reason");
    let watcher = Watcher::start(
        &proxy,
        &json!({ "topics": ["messages", "websockets"], "raw": true, "reason": "ticket 7" }),
    );
    let mut talk = Talk::open(&proxy, "/echo", "none");
    talk.say("nobody's business");
    talk.close();
    let closed = watcher.next("websocket_closed");
    assert!(
        closed["client"].as_str().unwrap().starts_with("client-"),
        "{closed}"
    );
    assert!(
        !watcher.all().contains("nobody's") && !watcher.all().contains("127.0.0.1"),
        "{}",
        watcher.all()
    );
    let audit = std::fs::read_to_string(proxy.folder().join("audit.log")).unwrap();
    assert!(audit.contains(r#""reason":"ticket 7""#), "{audit}");

    let closed = Setup::new().config("view = { content = false }").start();
    assert_eq!(
        ask(&closed, "events", Some(&json!({ "topics": ["messages"] }))).0,
        403
    );
    assert_eq!(
        ask(
            &closed,
            "events",
            Some(&json!({ "topics": ["messages"], "raw": true, "reason": "because" }))
        )
        .0,
        403
    );
    let none = Setup::new().config("live = { socket = 'off' }").start();
    assert!(!socket(&none).exists());
}

#[test]
fn without_a_mask_all_is_seen_for_a_reason() {
    let proxy = Setup::new()
        .config("log = { audit = 'audit.log' }\nview = { raw = true }")
        .start();
    let watcher = Watcher::start(
        &proxy,
        &json!({ "topics": ["messages"], "raw": true, "reason": "ticket 8" }),
    );
    let mut talk = Talk::open(&proxy, "/echo", "deflate");
    talk.say(r#"{"password":"hunter2"}"#);
    assert_eq!(watcher.next("message")["text"], r#"{"password":"hunter2"}"#);
}

#[test]
fn who_does_not_read_loses_events_and_slows_nobody() {
    // Without a mask, which takes its time where nothing is optimised.
    let proxy = Setup::new()
        .config("log = { audit = 'audit.log' }\nview = { raw = true }")
        .start();
    let body = json!({ "topics": ["messages"], "raw": true, "reason": "test" }).to_string();
    let mut idle = UnixStream::connect(socket(&proxy)).unwrap();
    write!(
        idle,
        "POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    until("it watches", || {
        (get(&proxy, "state")["watching"] == 1).then_some(())
    });
    let mut talk = Talk::open(&proxy, "/echo", "none");
    let long = "x".repeat(60_000);
    for _ in 0..100 {
        talk.say(&long);
    }
    talk.close();
    let line = proxy.log("websocket", |line| line["event"] == "closed");
    let all = ["messages_to_origin", "messages_to_client"]
        .iter()
        .filter_map(|key| line[*key].as_u64())
        .sum::<u64>();
    // Now it reads: what has waited, and how much was lost behind that.
    let mut read = Vec::new();
    let mut piece = vec![0; 1 << 20];
    let (seen, lost) = until("all of them, seen or lost", || {
        let count = idle.read(&mut piece).unwrap();
        read.extend(piece[..count].iter().filter(|byte| **byte != b'x'));
        let text = String::from_utf8_lossy(&read);
        let lost = text.split("event: lost\ndata: ").skip(1).filter_map(|rest| {
            let data: Value = serde_json::from_str(rest.lines().next()?).ok()?;
            data["events"].as_u64()
        });
        let (seen, lost) = (
            text.matches("event: messages\n").count() as u64,
            lost.sum::<u64>(),
        );
        (seen + lost >= all).then_some((seen, lost))
    });
    assert!(
        seen > 0 && lost > 0 && seen + lost == all,
        "{seen} seen, {lost} lost"
    );
}

#[test]
fn it_is_reloaded_explained_and_drained() {
    let mut proxy = Setup::new().config("log = { audit = 'audit.log' }").start();
    let explained = ask(
        &proxy,
        "policy/explain",
        Some(&json!({ "target": "https://a.test/x" })),
    );
    assert_eq!(
        (explained.0, &explained.1["action"]),
        (200, &json!("bump")),
        "{}",
        explained.1
    );
    assert_eq!(
        ask(
            &proxy,
            "policy/explain",
            Some(&json!({ "target": "ftp://a.test" }))
        )
        .0,
        400
    );
    proxy.rewrite_config("[[policy.rule]]\nname = 'no'\naction = 'deny'\n");
    assert_eq!(
        ask(&proxy, "reload", Some(&json!({}))),
        (200, json!({ "result": "success" }))
    );
    assert_eq!(get(&proxy, "policy")["rules"][0]["name"], "no");
    let denied = ask(&proxy, "policy/explain", Some(&json!({ "target": "a.test" }))).1;
    assert_eq!(
        (&denied["action"], &denied["rule"]),
        (&json!("deny"), &json!("no"))
    );
    proxy.rewrite_config("[view]\npeople = 'nobody'\n");
    let (status, wrong) = ask(&proxy, "reload", Some(&json!({})));
    assert!(
        status == 422 && wrong["detail"].as_str().unwrap().contains("view.people"),
        "{wrong}"
    );
    assert!(
        get(&proxy, "ca")["pem"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    // A form of a web page cannot send this type.
    let mut form = Command::new("curl");
    form.arg("--silent")
        .arg("--unix-socket")
        .arg(socket(&proxy))
        .arg("--data")
        .arg("{}");
    let form = form
        .arg("--write-out")
        .arg("%{http_code}")
        .arg("http://localhost/api/v1/drain")
        .output()
        .unwrap();
    assert!(form.stdout.ends_with(b"415"), "{form:?}");
    assert_eq!(
        ask(&proxy, "drain", Some(&json!({}))),
        (200, json!({ "result": "draining" }))
    );
    let ended = proxy.terminate_after_signal();
    assert!(
        ended.err.iter().any(|line| line.contains("drained")),
        "{:?}",
        ended.err
    );
}

#[test]
fn the_socket_is_of_its_user_alone() {
    let proxy = Proxy::start();
    let mode = std::fs::metadata(socket(&proxy)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let folder = std::fs::metadata(proxy.folder().join("data"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(folder & 0o022, 0, "others may not write where it is");
}

#[test]
fn heads_and_bodies_come_without_their_coding_and_secrets() {
    let proxy = Proxy::start();
    let watcher = Watcher::start(&proxy, &json!({ "topics": ["bodies", "requests"] }));
    let origin = origins::aiohttp();
    let url = origin.url("https", "/plain?token=x");
    let curl = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &["--header", "authorization: Bearer abc", &url],
    );
    let head = watcher.next("request_head");
    assert!(head["path"].as_str().unwrap().ends_with("token=****"), "{head}");
    let fields = head["fields"].as_array().unwrap();
    assert!(
        fields.contains(&json!({ "name": "authorization", "value": "Bearer ****" })),
        "{head}"
    );
    assert_eq!(watcher.next("response_head")["exchange"], head["exchange"]);
    let request = watcher.next("request");
    assert!(request["status"].is_u64(), "{request} {}", curl.text);
    assert!(!watcher.all().contains("abc"));
}

/// `wsbump tail` with these options.
fn tail(proxy: &Proxy, options: &[&str]) -> Process {
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

    fn shows(&self, what: &str) -> String {
        until(what, || {
            Some(self.tmux(&["capture-pane", "-p", "-t", "top"])).filter(|text| text.contains(what))
        })
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
    let text = screen.shows("origin.test");
    assert!(
        text.contains("1 connections, 1 rows by age") && text.contains("websocket"),
        "{text}"
    );
    screen.shows("1/1");
    screen.press("s");
    screen.shows("by rate");
    screen.press("Enter");
    assert!(
        screen.shows("details").contains("url: wss://origin.test"),
        "all that is known"
    );
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
