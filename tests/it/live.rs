//! What is open and what happens, watched by curl on the live socket.

use crate::harness::clients::curl;
use crate::harness::live::{Talk, Watcher, ask, get, socket};
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{tls, tunnel};
use crate::harness::recorder::{accept, tcp};
use crate::harness::until;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;

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

/// What a thread of this name has computed, in ticks of the kernel's clock (proc(5), fields utime and stime of `stat`).
fn ticks(proxy: &Proxy, name: &str) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", proxy.process().pid())).unwrap();
    let of = |task: &std::path::Path| {
        let stat = std::fs::read_to_string(task.join("stat")).ok()?;
        let (begin, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<_> = rest.split(' ').collect();
        let sum = fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?;
        begin.ends_with(&format!("({name}")).then_some(sum)
    };
    tasks.filter_map(|task| of(&task.unwrap().path())).sum()
}

#[test]
fn what_is_shown_is_made_beside_those_who_come_in() {
    let proxy = Proxy::start();
    let watchers = [0, 1].map(|_| Watcher::start(&proxy, &json!({ "topics": ["messages"] })));
    let mut talk = Talk::open(&proxy, "/echo", "none");
    let long = format!(
        r#"{{"list":[{}"end"]}}"#,
        r#"{"some":"words","token":"hunter2"},"#.repeat(300)
    );
    for number in 0..100 {
        talk.say(&format!("{number} {long}"));
    }
    for watcher in &watchers {
        watcher.find("message", |it| {
            it["text"].as_str().is_some_and(|text| text.starts_with("99 "))
        });
    }
    // The first thread takes in clients and answers probes; what it does not do cannot hold them up.
    let (main, watched) = (ticks(&proxy, "wsbump"), ticks(&proxy, "watched"));
    assert!(watched > 20 && main < watched, "main {main}, watched {watched}");
    talk.close();
}

#[test]
fn nobody_is_named_anywhere_where_people_are_hidden() {
    let proxy = Setup::new()
        .config("view = { people = 'hide' }\nlog = { audit = 'audit.log' }")
        .config(
            "[[inspect.rule]]\nname = 'words'\nmode = 'enforce'\naction = 'alert'\nkeywords = ['hunter2']\n",
        )
        .start();
    let topics = [
        "connections",
        "requests",
        "websockets",
        "findings",
        "refusals",
        "messages",
        "bodies",
    ];
    let watcher = Watcher::start(&proxy, &json!({ "topics": topics }));
    // Another address than the origin's, which is no person.
    let asks = |more: &[&str]| {
        let url = origins::aiohttp().url("https", "/echo");
        let arguments = [&["--interface", "127.0.0.7"], more, &[&*url]].concat();
        curl(Some(&proxy.url()), &proxy.ca, &arguments)
    };
    assert_eq!(asks(&["--data", "say=hunter2"]).status, 200);
    let stranger = crate::harness::certs::certs().root.clone();
    assert_ne!(asks(&["--cacert", stranger.to_str().unwrap()]).code, 0);
    for kind in ["finding", "ca_refused", "request", "body", "connection_ended"] {
        until(kind, || {
            watcher
                .all()
                .contains(&format!(r#""type":"{kind}""#))
                .then_some(())
        });
    }
    let line = proxy.log("request", |_| true);
    assert_eq!(line["client"], "127.0.0.7", "the log has it: {line}");
    let held = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    held.bind(&SocketAddr::from(([127, 0, 0, 7], 0)).into()).unwrap();
    held.connect(&proxy.address.parse::<SocketAddr>().unwrap().into())
        .unwrap();
    until("it is open", || {
        (get(&proxy, "connections")["total"] == 1).then_some(())
    });
    let mut all = watcher.all();
    for path in [
        "state",
        "connections",
        "findings",
        "refusals",
        "policy",
        "lists",
        "unlocks",
    ] {
        all.push_str(&get(&proxy, path).to_string());
    }
    assert!(!all.contains("127.0.0.7"), "{all}");
    assert_eq!(
        get(&proxy, "connections?client=127.0.0.7")["matching"],
        0,
        "nor found by it"
    );
}
