//! HTTP/2 on both sides, and WebSockets over it (RFC 8441).

use crate::harness::certs::certs;
use crate::harness::clients::{Client, chromium, curl, firefox};
use crate::harness::origins::{self, Origin};
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::road::{Version, over_both};
use crate::harness::{scratch, until};
use serde_json::Value;
use std::path::Path;

fn node(proxy: &Proxy, origin: &Origin, mode: &str, path: &str) -> Client {
    client(proxy, mode, &origin.url("https", path))
}

/// A client that speaks HTTP/2 with an origin, through the proxy.
pub(crate) fn client(proxy: &Proxy, mode: &str, url: &str) -> Client {
    Client::new("client_h2.mjs")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .with("mode", mode)
        .with("url", url)
}

/// The line of a client's that `find` likes.
fn told(client: &Process, what: &str, mut find: impl FnMut(&Value) -> bool) -> Value {
    client.out(what, |line| {
        serde_json::from_str(line).ok().filter(|fact| find(fact))
    })
}

#[test]
fn every_kind_of_exchange_passes_side_by_side() {
    exchanges(&Proxy::start());
}

#[test]
fn no_exchange_is_harmed_by_rules_that_only_watch() {
    let rule = |name: &str, place: &str, regex: &str| {
        format!("[[inspect.rule]]\nname = '{name}'\naction = 'drop'\nin = ['{place}']\nregex = ['{regex}']\n")
    };
    let rules = [
        rule("bodies", "body", "^content$"),
        rule("heads", "head", "^GET /"),
    ]
    .concat();
    let proxy = Setup::new().config(&rules).start();
    exchanges(&proxy);
    let found = |rule, count| proxy.metric("wsbump_inspect_findings_total", &[("rule", rule)], count);
    found("bodies", 3.0);
    found("heads", 9.0);
}

#[test]
fn no_exchange_is_harmed_by_rules_that_hold_it_and_find_nothing() {
    let rule = "[[inspect.rule]]\nname = 'bodies'\nmode = 'enforce'\naction = 'drop'\nin = ['body']\n\
                keywords = ['kestrel']\n";
    exchanges(&Setup::new().config(rule).start());
}

fn exchanges(proxy: &Proxy) {
    let found = node(proxy, origins::node_h2(), "exchanges", "/").run();
    let all = found["all"].as_array().unwrap();
    let of = |index: usize| &all[index];
    assert_eq!(
        (&of(0)["status"], &of(0)["length"]),
        (&200.into(), &(1 << 20).into())
    );
    assert_eq!(of(1)["trailers"]["x-sum"], "abc", "{}", of(1));
    assert_eq!(of(1)["body"], "content");
    let early = serde_json::json!([
        [102, null],
        [103, "</style.css>; rel=preload"],
        [103, "</font.woff>; rel=preload"]
    ]);
    assert_eq!(of(2)["early"], early, "{}", of(2));
    assert_eq!(of(2)["status"], 200);
    assert_eq!(of(3)["status"], 204);
    assert_eq!(of(4)["status"], 304);
    assert_eq!((&of(5)["status"], &of(5)["length"]), (&200.into(), &0.into()));
    let head: Value = serde_json::from_str(of(6)["body"].as_str().unwrap()).unwrap();
    assert_eq!(head["cookie"], "a=1; b=2; c=3", "{head}");
    assert_eq!(head["te"], "trailers");
    assert_eq!(head["via"], "2 wsbump");
    assert!(
        head[":authority"].as_str().unwrap().starts_with("origin.test:"),
        "{head}"
    );
    for (index, code) in [(7, 8), (8, 7), (9, 2)] {
        assert_eq!(of(index)["code"], code, "the origin's code: {}", of(index));
    }
    // Nobody has to have said that there will be trailers.
    assert_eq!(of(10)["trailers"]["x-sum"], "abc", "{}", of(10));
    assert_eq!(of(11)["body"], "7", "{}", of(11));
    let whole = origins::node_h2().fact("a request's trailers", |fact| {
        fact["trailers"]["x-sum"] == "by node"
    });
    assert_eq!(whole["trailers"]["x-unsaid"], "1", "{whole}");
    let line = proxy.log("request", |line| {
        line["url"].as_str().unwrap().ends_with("/trailers")
    });
    assert_eq!(line["protocol"], "HTTP/2", "{line}");
    assert_eq!(line["bytes_to_client"], 7, "{line}");
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["alpn"], "h2", "{line}");
    assert_eq!(line["requests"], 12, "{line}");
    proxy.metric("wsbump_http2_streams_total", &[("kind", "request")], 12.0);
}

#[test]
fn websockets_share_a_connection() {
    let proxy = Proxy::start();
    let origin = origins::own_node_h2(&[]);
    let found = node(&proxy, &origin, "websockets", "/").run();
    for path in ["/ws/1", "/ws/2"] {
        // What the client's side finds is no help: Node drops a Close that END_STREAM follows at once.
        let closed = origin.fact("its end", |fact| fact["websocket"] == path);
        assert_eq!(closed["code"], 4003, "{closed}");
    }
    assert_eq!(found["beside"], "beside");
    // The download that nobody read filled its windows and no more, and its end was the client's.
    let stuck = origin.fact("the download's end", |fact| fact["endless"].is_u64());
    assert!(stuck["endless"].as_u64().unwrap() < 2 << 20, "{stuck}");
    assert_eq!(stuck["code"], 8, "CANCEL: {stuck}");
    assert_eq!(
        found["extensions"],
        serde_json::json!(["permessage-deflate", null]),
        "{found}"
    );
    assert_eq!(found["subprotocol"], "chat.v2");
    let line = proxy.log("websocket", |line| {
        line["url"].as_str().unwrap().ends_with("/ws/1")
    });
    assert_eq!(line["protocol"], "HTTP/2", "{line}");
    assert_eq!(line["close_code"], 4003, "{line}");
    assert_eq!(line["outcome"], "closed", "{line}");
    assert_eq!(
        (&line["messages_to_origin"], &line["messages_to_client"]),
        (&7.into(), &7.into()),
        "{line}"
    );
    let streams = |kind, count| proxy.metric("wsbump_http2_streams_total", &[("kind", kind)], count);
    streams("websocket", 2.0);
    proxy.metric("wsbump_websockets_open", &[], 0.0);
}

#[test]
fn chromium_speaks_websockets_over_http2() {
    browser(chromium);
}

#[test]
fn firefox_speaks_websockets_over_http2() {
    browser(firefox);
}

fn browser(start: fn(&Path, &Path) -> Client) {
    // Looks into every message, and changes none.
    let rule = "[[inspect.rule]]\nname = 'large'\naction = 'drop'\nin = ['message']\nmin_size = 100_000\n";
    let proxy = Setup::new().config(rule).start();
    let home = scratch();
    let origin = origins::own_node_h2(&[]);
    let found = start(home.path(), &proxy.ca)
        .with("proxy", proxy.url())
        .with("url", origin.url("https", "/"))
        .run();
    assert_eq!(found["protocol"], "h2", "{found}");
    assert_eq!(found["fetched"], 300_000, "{found}");
    for one in found["all"].as_array().unwrap() {
        assert_eq!(
            (&one["code"], &one["wasClean"]),
            (&4002.into(), &true.into()),
            "{found}"
        );
        assert_eq!(one["extensions"], "permessage-deflate", "{found}");
    }
    let opened = origin.fact("the extended CONNECT", |fact| fact["protocol"] == "websocket");
    assert_eq!(opened["method"], "CONNECT", "{opened}");
    // All of them on the one connection that the page came by.
    let first = proxy.log("websocket", |line| line["protocol"] == "HTTP/2");
    let lines = until("four WebSockets in the log", || {
        let lines = proxy.log_so_far("websocket");
        (lines.len() == 4).then_some(lines)
    });
    assert!(
        lines.iter().all(|line| line["connection"] == first["connection"]),
        "{lines:?}"
    );
    assert!(lines.iter().all(|line| line["outcome"] == "closed"), "{lines:?}");
    // One of each four messages, each way.
    proxy.metric("wsbump_inspect_findings_total", &[("rule", "large")], 8.0);
}

#[test]
fn who_only_has_one_protocol_gets_that() {
    let proxy = Proxy::start();
    // The origin has HTTP/1.1 only, and the client both.
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &["--http2", &origins::aiohttp().url("https", "/")],
    );
    assert!(done.text.starts_with("HTTP/1.1 "), "{done:?}");
    // The origin has both, and the client HTTP/1.1 only.
    let nginx = origins::nginx_h2();
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &["--http1.1", &nginx.url("https", "/")],
    );
    assert!(done.text.starts_with("HTTP/1.1 200"), "{done:?}");
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &["--http2", &nginx.url("https", "/1m"), "--output", "/dev/null"],
    );
    assert_eq!((done.code, done.status), (0, 200), "{done:?}");
    assert!(done.verbose.contains("HTTP/2 200"), "{done:?}");
}

#[test]
fn a_list_keeps_http2_away() {
    let proxy = Setup::new()
        .config(
            "policy = { only_http1 = ['old'] }\n[[list]]\nname = 'old'\nfile = 'old'\nformat = 'domains'\n",
        )
        .file("old", "origin.test\n")
        .start();
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &["--http2", &origins::nginx_h2().url("https", "/")],
    );
    assert!(done.text.starts_with("HTTP/1.1 200"), "{done:?}");
}

#[test]
fn extended_connect_is_offered_only_where_the_origin_takes_it() {
    let proxy = Proxy::start();
    let found = node(&proxy, origins::node_h2(), "once", "/status/204").run();
    assert_eq!(found["connect"], true, "{found}");
    let plain = origins::own_node_h2(&["--mode", "plain"]);
    let found = node(&proxy, &plain, "once", "/status/204").run();
    assert_eq!(found["connect"], false, "{found}");
}

#[test]
fn a_websockets_end_is_that_of_its_stream_alone() {
    let proxy = Proxy::start();
    let origin = origins::own_node_h2(&[]);
    // The origin resets the stream with a code of its own.
    let client = node(&proxy, &origin, "websocket", "/ws/reset/11").start();
    told(&client, "the code", |fact| fact["reset"] == 11);
    let line = proxy.log("websocket", |_| true);
    assert_eq!(line["outcome"], "origin_io", "{line}");
    // A stream that is refused stays HTTP.
    let found = node(&proxy, &origin, "websocket", "/nothing").run();
    assert_eq!(found["status"], 404, "{found}");
    proxy.metric("wsbump_websockets_open", &[], 0.0);
}

#[test]
fn other_protocols_follow_the_policy() {
    for (policy, status) in [("strip", 501), ("refuse", 403), ("tunnel", 200)] {
        let proxy = Setup::new()
            .config(&format!("policy = {{ other_upgrades = '{policy}' }}\n"))
            .start();
        let found = node(&proxy, origins::node_h2(), "other", "/").run();
        assert_eq!(found["status"], status, "{policy}: {found}");
        if status == 200 {
            assert_eq!(found["back"], "anything", "{found}");
            let line = proxy.log("connection", |_| true);
            let bytes = (&line["bytes_to_origin"], &line["bytes_to_client"]);
            assert_eq!(bytes, (&8.into(), &8.into()), "{line}");
        }
    }
}

#[test]
fn an_origins_goodbye_is_the_clients() {
    let proxy = Proxy::start();
    for code in [0, 11] {
        let origin = origins::own_node_h2(&[]);
        let found = node(&proxy, &origin, "once", &format!("/goaway/{code}")).run();
        assert_eq!(
            (&found["status"], &found["body"]),
            (&200.into(), &"goodbye".into()),
            "{found}"
        );
        assert_eq!(found["goaway"], code, "{found}");
    }
}

#[test]
fn a_clients_goodbye_is_the_origins() {
    let proxy = Proxy::start();
    let origin = origins::own_node_h2(&[]);
    let found = node(&proxy, &origin, "goodbye", "/").run();
    assert_eq!(found["status"], 204, "{found}");
    origin.fact("the client's code", |fact| fact["goaway"] == 11);
}

#[test]
fn a_client_that_takes_back_too_much_is_calmed() {
    let proxy = Proxy::start();
    let origin = origins::own_node_h2(&[]);
    let found = node(&proxy, &origin, "resets", "/").run();
    assert_eq!(found["goaway"], 11, "ENHANCE_YOUR_CALM: {found}");
    let asked = found["asked"].as_u64().unwrap();
    assert!(asked < 5_000, "{found}");
    proxy.metric("wsbump_http2_floods_total", &[], 1.0);
}

#[test]
fn draining_ends_streams_well() {
    let proxy = Proxy::start();
    let origin = origins::own_node_h2(&[]);
    let client = node(&proxy, &origin, "websocket", "/ws/1").start();
    told(&client, "the WebSocket", |fact| fact["message"] == "hello");
    let finished = proxy.terminate();
    assert!(finished.status.success(), "{:?}", finished.err);
    let told = told(&client, "its end", |fact| fact["code"].is_u64());
    assert_eq!(told["code"], 1001, "{told}");
}

over_both!(an_origin_that_wants_a_client_certificate_says_so_after_the_handshake);

fn an_origin_that_wants_a_client_certificate_says_so_after_the_handshake(version: Version) {
    let proxy = Proxy::start();
    let mut command = std::process::Command::new("openssl");
    command
        .args([
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-tls1_3",
            "-alpn",
            match version {
                Version::Http1 => "http/1.1",
                Version::Http2 | Version::Front => "h2",
            },
            "-naccept",
            "1",
        ])
        .args(["-Verify", "1", "-verify_return_error"])
        .arg("-cert")
        .arg(&certs().origin.cert)
        .arg("-key")
        .arg(&certs().origin.key);
    let origin = Process::start("openssl", command);
    let port: u16 = origin.out("its port", |line| {
        line.strip_prefix("ACCEPT 127.0.0.1:")?.parse().ok()
    });
    let url = format!("https://origin.test:{port}/");
    let done = curl(Some(&proxy.url()), &proxy.ca, &[version.curl(), &url]);
    assert!(
        done.text.starts_with(version.logged()) && done.text.contains(" 502"),
        "{done:?}"
    );
    assert!(done.text.contains("client certificate required"), "{done:?}");
    let line = proxy.log("request", |_| true);
    assert_eq!(
        (&line["error"], &line["protocol"]),
        (&"client_certificate_required".into(), &version.logged().into()),
        "{line}"
    );
}

#[test]
fn a_client_that_only_has_http2_gets_its_error_page_by_it() {
    let proxy = Proxy::start();
    // The origin has HTTP/1.1 only, and says so by an alert.
    let found = node(&proxy, origins::node_ws(), "once", "/")
        .with("alpn", "h2")
        .run();
    assert_eq!(found["status"], 502, "{found}");
    let status = found["headers"]["proxy-status"].as_str().unwrap();
    assert!(status.contains("error=tls_alert_received"), "{found}");
    assert!(status.contains("no_application_protocol"), "{found}");
}

#[test]
fn what_comes_in_one_piece_goes_on_in_few() {
    let proxy = Proxy::start();
    let found = Client::new("h2_batches.py")
        .with("cert", &certs().origin.cert)
        .with("key", &certs().origin.key)
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .run();
    assert_eq!(found["answered"], 25, "{found}");
    // Each would be a record of its own if the proxy sent whenever the h2 crate flushes.
    for way in ["to_origin", "to_client"] {
        assert!(found[way].as_u64().unwrap() < 13, "{found}");
    }
}
