//! Each line leads back to a client, and each failure has one name wherever it is told.

use crate::harness::certs::certs;
use crate::harness::clients::curl;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{connect, frame};
use crate::harness::recorder::{Recorder, accept, tcp};
use crate::harness::road::{Road, Talk, Version, over_both};
use crate::harness::{free_port, origins, rules, until};
use crate::http2::client as h2_client;
use crate::secure_proxy::streams;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::TcpListener;

over_both!(
    every_line_leads_back_to_its_client,
    a_refused_tunnel_has_one_name_for_why,
    an_origin_that_fails_has_one_name_for_how,
    what_fails_inside_a_tunnel_is_led_back_to_its_connection,
    what_a_rule_enforces_is_in_the_access_log,
);

/// Every line of the proxy's logs so far, from standard output and from a file.
fn lines(proxy: &Proxy, file: &str) -> Vec<Value> {
    let mut lines = proxy.process().out.all();
    let audit = std::fs::read_to_string(proxy.folder().join(file)).unwrap_or_default();
    lines.extend(audit.lines().map(str::to_owned));
    let parsed = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    parsed.filter(|line| line["type"].is_string()).collect()
}

/// The types of lines that there are.
fn types(lines: &[Value]) -> BTreeSet<String> {
    let types = lines.iter().filter_map(|line| line["type"].as_str());
    types.map(str::to_owned).collect()
}

fn every_line_leads_back_to_its_client(version: Version) {
    let mut proxy = Setup::new()
        .config(rules::MESSAGES)
        .config("log = { audit = 'audit.log', request_headers = ['User-Agent', 'X-Absent'] }")
        .folder("recorded")
        .config("record = { directory = 'recorded' }")
        .start();
    let url = version.echo().url("https", "/echo");
    let agent = format!("tests/1 \"quoted\" {}", "long".repeat(300));
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[version.curl(), "--user-agent", &agent, "--data", "x", &url],
    );
    assert_eq!(done.status, 200, "{done:?}");
    let request = proxy.log("request", |line| line["method"] == "POST");
    assert_eq!(request["protocol"], version.logged(), "{request}");
    let headers = request["headers"].as_object().unwrap();
    assert_eq!(headers.keys().collect::<Vec<_>>(), ["user-agent"], "{request}");
    assert_eq!(headers["user-agent"], agent[..512], "{request}");

    // A client without the CA, a WebSocket that a rule changes, and a reload.
    let refused = curl(
        Some(&proxy.url()),
        &certs().root,
        &[&origins::nginx().url("https", "/")],
    );
    assert_eq!(refused.code, 60, "{refused:?}");
    let mut talk = Talk::open(version, &proxy, version.websockets(), &[]);
    talk.say("pay with 4111 1111 1111 1111");
    talk.say("watched");
    talk.say("end");
    talk.heard("end");
    talk.say("unspeakable");
    talk.end();
    drop(talk);
    proxy.rewrite_config("timeouts = { dns = '4s' }");
    proxy.process().signal("HUP");
    let wanted = [
        "client_refused_ca",
        "connection",
        "finding",
        "reload",
        "request",
        "websocket",
    ];
    let all = until("a line of each type", || {
        let all = lines(&proxy, "audit.log");
        (types(&all) == wanted.map(str::to_owned).into()).then_some(all)
    });
    let instances: BTreeSet<_> = all
        .iter()
        .map(|line| line["instance"].as_str().unwrap())
        .collect();
    assert_eq!(instances.len(), 1, "{instances:?}");
    assert_eq!(instances.first().unwrap().len(), 10);
    proxy.process().err("its id", |line| {
        line.contains(instances.first().unwrap()).then_some(())
    });
    for line in &all {
        assert!(line["time"].is_string(), "{line}");
        if line["type"] == "reload" {
            assert_eq!(line["result"], "success", "{line}");
            continue;
        }
        assert_eq!(line["client"], "127.0.0.1", "{line}");
        assert!(line["connection"].is_u64(), "{line}");
    }
    // What is said of a connection is said of one that has its own line.
    let said: BTreeSet<_> = all
        .iter()
        .filter_map(|line| line["connection"].as_u64())
        .collect();
    until("a line for each connection that is told of", || {
        let lines = proxy.log_so_far("connection");
        let ended: BTreeSet<_> = lines
            .iter()
            .filter_map(|line| line["connection"].as_u64())
            .collect();
        said.is_subset(&ended).then_some(())
    });
    let id = request["connection"].to_string();
    let entries = until("the recording of the request", || {
        let files = std::fs::read_dir(proxy.folder().join("recorded")).unwrap();
        let texts = files.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok());
        let logs = texts.filter_map(|text| serde_json::from_str::<Value>(&text).ok());
        let entries: Vec<Value> = logs
            .flat_map(|log| log["log"]["entries"].as_array().cloned().unwrap_or_default())
            .collect();
        entries
            .iter()
            .any(|entry| entry["connection"].as_str() == Some(&*id))
            .then_some(entries)
    });
    for entry in entries {
        assert_eq!(entry["_instance"], **instances.first().unwrap(), "{entry}");
        assert_eq!(entry["_client"], "127.0.0.1", "{entry}");
    }
}

/// The `error` of a Proxy-Status field.
fn named(proxy_status: &str) -> &str {
    let (_, rest) = proxy_status.split_once("; error=").expect("an error");
    rest.split(';').next().unwrap()
}

/// Holds what the log and the metrics say of a failure against what its client was told.
fn told(proxy: &Proxy, error: &str, status: u16, target: &str) {
    let request = proxy.log("request", |line| line["error"] == *error);
    assert_eq!(request["status"], status, "{request}");
    let counted = proxy
        .metrics()
        .sum("wsbump_http_errors_total", &[("error", error)]);
    assert!(counted >= 1.0, "{error} is not counted");
    let connection = proxy.log("connection", |line| line["target"] == *target);
    assert_eq!(connection["outcome"], *error, "{connection}");
    assert_eq!(
        connection["connection"], request["connection"],
        "{connection} {request}"
    );
    let ended = proxy
        .metrics()
        .sum("wsbump_connections_ended_total", &[("outcome", error)]);
    assert!(ended >= 1.0, "{error} is not counted as an ending");
}

fn a_refused_tunnel_has_one_name_for_why(version: Version) {
    let proxy = Setup::new()
        .config("listen = { tls = ['127.0.0.1:0'] }\nnetwork = { deny = ['127.0.0.9'] }")
        .file("denied", "^denied\\.test:443$\n")
        .config("[[list]]\nname = 'denied'\nfile = 'denied'\n[policy]\ndeny = ['denied']\n")
        .start();
    let closed = format!("origin.test:{}", free_port());
    for (target, error, status) in [
        ("denied.test:443".to_owned(), "http_request_denied", 403),
        ("127.0.0.9:443".to_owned(), "destination_ip_prohibited", 403),
        (proxy.address.clone(), "proxy_loop_detected", 502),
        (closed, "connection_refused", 502),
    ] {
        let (answered, proxy_status) = match version {
            Version::Http1 => {
                let (_, answer) = connect(&proxy, &target);
                (answer.status, answer.header("proxy-status").unwrap().to_owned())
            }
            Version::Http2 | Version::Front => {
                let found = streams(&proxy, "refused").with("target", &target).run();
                let status = found["status"].as_u64().unwrap() as u16;
                (status, found["proxyStatus"].as_str().unwrap().to_owned())
            }
        };
        assert_eq!((answered, named(&proxy_status)), (status, error), "{target}");
        told(&proxy, error, status, &target);
    }
}

/// An origin that does this with what it reads, on a thread of its own.
fn origin(answer: impl FnOnce(&TcpListener) + Send + 'static) -> u16 {
    let (listener, port) = tcp();
    std::thread::spawn(move || answer(&listener));
    port
}

/// The status and the Proxy-Status of the page that a person sees, which has this name of a failure too.
fn page(proxy: &Proxy, target: &str, error: &str) -> (u16, String) {
    let url = format!("https://{target}/");
    let page = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &["--header", "Accept: text/html", &url],
    );
    assert!(page.text.contains(&format!("<code>{error}</code>")), "{page:?}");
    let status = page.text.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-status").then_some(value)
    });
    (page.status, status.expect("a Proxy-Status").to_owned())
}

fn an_origin_that_fails_has_one_name_for_how(version: Version) {
    let proxy = Setup::new().config("timeouts = { handshake = '500ms' }").start();
    let untrusted = Recorder::listening("127.0.0.1:0", &certs().untrusted, &["h2", "http/1.1"]);
    let says = |words: &'static [u8]| {
        origin(move |listener| {
            let mut wire = accept(listener);
            wire.exactly(5);
            let _ = wire.try_send(words);
            wire.rest();
        })
    };
    // An alert of TLS 1.2: internal_error (RFC 5246 section 7.2).
    let alert = &[0x15, 3, 3, 0, 2, 2, 80];
    let silent = origin(|listener| {
        let mut wire = accept(listener);
        wire.rest();
    });
    let closing = origin(|listener| drop(accept(listener).exactly(5)));
    for (port, error, status) in [
        (untrusted.port, "tls_certificate_error", 502),
        (says(alert), "tls_alert_received", 502),
        (
            says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            "tls_protocol_error",
            502,
        ),
        (closing, "connection_terminated", 502),
        (silent, "connection_timeout", 504),
    ] {
        let target = format!("origin.test:{port}");
        let (answered, proxy_status) = match version {
            Version::Http1 => page(&proxy, &target, error),
            Version::Http2 | Version::Front => {
                let url = format!("https://{target}/");
                let found = h2_client(&proxy, "once", &url).with("alpn", "h2").run();
                let status = found["headers"]["proxy-status"].as_str().unwrap();
                (found["status"].as_u64().unwrap() as u16, status.to_owned())
            }
        };
        assert_eq!((answered, named(&proxy_status)), (status, error), "{target}");
        told(&proxy, error, status, &target);
    }
}

fn what_fails_inside_a_tunnel_is_led_back_to_its_connection(version: Version) {
    let proxy = Setup::new().config("timeouts = { response = '500ms' }").start();
    let road = Road::start(version);
    let mut client = road.client(&proxy);
    client.send(format!("GET /late HTTP/1.1\r\nHost: {}\r\n\r\n", road.target()));
    let mut origin = road.accept();
    origin.head().unwrap();
    let answer = client.answer();
    assert_eq!(answer.status, 504, "{}", answer.head);
    assert_eq!(
        named(answer.header("proxy-status").unwrap()),
        "http_response_timeout"
    );
    drop(client);
    let request = proxy.log("request", |line| line["url"].as_str().unwrap().ends_with("/late"));
    assert_eq!(
        (&request["error"], &request["status"]),
        (&"http_response_timeout".into(), &504.into()),
        "{request}"
    );
    proxy.metric(
        "wsbump_http_errors_total",
        &[("error", "http_response_timeout")],
        1.0,
    );
    drop(road);
    let connection = proxy.log("connection", |line| line["connection"] == request["connection"]);
    assert_eq!(connection["action"], "bump", "{connection}");
    assert!(connection["outcome"].is_string(), "{connection}");
}

fn what_a_rule_enforces_is_in_the_access_log(version: Version) {
    let proxy = Setup::new().config(rules::MESSAGES).start();
    let mut talk = Talk::open(version, &proxy, version.websockets(), &[]);
    talk.say("watched");
    talk.say("pay with 4111 1111 1111 1111");
    talk.say("leave this out");
    talk.say("end");
    talk.heard("end");
    talk.say("unspeakable");
    talk.end();
    let socket = proxy.log("websocket", |line| line["outcome"] == "closed_by_rule");
    for (rule, action, verdict) in [
        ("cards", "redact", "change"),
        ("dropped", "drop", "drop"),
        ("closing", "close", "close"),
    ] {
        let line = proxy.log("finding", |line| line["rule"] == rule);
        for (key, value) in [
            ("action", action.into()),
            ("verdict", verdict.into()),
            ("enforced", true.into()),
            ("client", "127.0.0.1".into()),
            ("connection", socket["connection"].clone()),
            ("target", socket["target"].clone()),
            ("path", "/ws".into()),
            ("surface", "message".into()),
            ("direction", "to_origin".into()),
        ] {
            assert_eq!(line[key], value, "{line}");
        }
    }
    let said = proxy.process().out.all().join("\n");
    assert!(!said.contains("4111"), "{said}");
    // What only observes is for the audit log, which is off.
    assert!(!said.contains("\"words\""), "{said}");
}

#[test]
fn findings_can_be_left_out_of_the_access_log() {
    let proxy = Setup::new()
        .config(rules::MESSAGES)
        .config("log = { findings = 'off' }")
        .start();
    let mut talk = Talk::open(Version::Http1, &proxy, Version::Http1.websockets(), &[]);
    talk.say("unspeakable");
    talk.end();
    proxy.log("websocket", |line| line["outcome"] == "closed_by_rule");
    assert!(proxy.log_so_far("finding").is_empty());
    proxy.metric("wsbump_inspect_findings_total", &[("rule", "closing")], 1.0);
}

over_both!(an_open_websocket_is_told_of_from_its_opening_to_its_end);

fn an_open_websocket_is_told_of_from_its_opening_to_its_end(version: Version) {
    let proxy = Setup::new().config("log = { websocket_interval = '1s' }").start();
    let road = Road::start(version);
    let (mut client, mut origin) = road.websocket(&proxy);
    let (other, _far) = road.websocket(&proxy);
    let opened = proxy.log("websocket:opened", |_| true);
    assert!(
        opened["bytes_to_origin"].is_null() && opened["outcome"].is_null(),
        "{opened}"
    );
    let text = frame(0x81, Some([1, 2, 3, 4]), b"hello");
    client.send(&text);
    assert_eq!(origin.exactly(text.len()), text);
    // What has passed is in the next line, and those of the other WebSocket have another number.
    let open = proxy.log("websocket:open", |line| line["messages_to_origin"] == 1);
    assert_eq!(open["bytes_to_origin"], 5, "{open}");
    let quiet = proxy.log("websocket:open", |line| line["websocket"] != open["websocket"]);
    assert_eq!(quiet["messages_to_origin"], 0, "{quiet}");
    client.send(frame(0x88, Some([1, 2, 3, 4]), &1000_u16.to_be_bytes()));
    assert_eq!(origin.frame().unwrap().close_code(), Some(1000));
    origin.send(frame(0x88, None, &1000_u16.to_be_bytes()));
    let closed = proxy.log("websocket", |line| line["websocket"] == open["websocket"]);
    assert_eq!(
        (&closed["outcome"], &closed["close_code"]),
        (&"closed".into(), &1000.into()),
        "{closed}"
    );
    for key in [
        "instance",
        "connection",
        "client",
        "protocol",
        "target",
        "url",
        "websocket",
    ] {
        assert_eq!(closed[key], open[key], "{key}");
        assert!(!closed[key].is_null(), "{key}");
    }
    assert_eq!(
        (&closed["protocol"], &opened["protocol"]),
        (&version.logged().into(), &version.logged().into())
    );
    // What is open now: all that was opened and is not closed.
    let numbers = |event: &str| -> BTreeSet<u64> {
        let lines = proxy.log_so_far(event);
        lines
            .iter()
            .filter_map(|line| line["websocket"].as_u64())
            .collect()
    };
    let still = &numbers("websocket:opened") - &numbers("websocket");
    assert_eq!(still, BTreeSet::from([quiet["websocket"].as_u64().unwrap()]));
    other.stream.cut();
}

#[test]
fn open_websockets_have_no_lines_where_nobody_wants_them() {
    let proxy = Setup::new().config("log = { websocket_interval = 0 }").start();
    let road = Road::start(Version::Http1);
    let (client, origin) = road.websocket(&proxy);
    proxy.log("websocket:opened", |_| true);
    client.stream.cut();
    origin.stream.cut();
    proxy.log("websocket", |line| line["event"] == "closed");
    assert!(proxy.log_so_far("websocket:open").is_empty());
}
