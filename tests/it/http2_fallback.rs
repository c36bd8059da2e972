//! What HTTP/2 allows and its library does not take: who says it is spoken to over HTTP/1.1. What is refused has its line.

use crate::harness::clients::{Client, Curled, chromium, curl, firefox};
use crate::harness::origins::{self, Origin};
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::{scratch, until};
use serde_json::Value;
use std::path::Path;

/// curl, offering both protocols as it does by default.
fn through(proxy: &Proxy, arguments: &[&str]) -> Curled {
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[&["--http2", "--globoff"], arguments].concat(),
    );
    assert_eq!(done.code, 0, "{done:?}");
    done
}

fn frames(proxy: &Proxy, origin: &Origin, mode: &str) -> Value {
    Client::new("client_fallback_h2.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .with("url", origin.url("https", "/"))
        .with("mode", mode)
        .run()
}

/// What the origin has been asked, as `protocol method path`.
fn asked(origin: &Origin) -> Vec<String> {
    let lines = origin.process.out.all();
    let facts = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    facts
        .map(|fact| {
            ["protocol", "method", "path"]
                .map(|key| fact[key].as_str().unwrap().to_owned())
                .join(" ")
        })
        .collect()
}

#[test]
fn a_control_character_in_a_cookie_leads_back_to_http1_in_one_try() {
    let proxy = Proxy::start();
    let origin = origins::own_odd_h2();
    let url = origin.url("https", "/cookie");
    for _ in 0..2 {
        let done = through(&proxy, &[&url]);
        assert_eq!(done.status, 200, "{done:?}");
        assert!(
            done.text.contains("visit=dmo\u{1}OZ") && done.text.ends_with("ok"),
            "{done:?}"
        );
    }
    // The second time curl was not offered anything else.
    assert_eq!(
        asked(&origin),
        ["h2 GET /cookie", "http/1.1 GET /cookie", "http/1.1 GET /cookie"]
    );
    let line = proxy.log("request", |line| line["protocol"] == "HTTP/2");
    assert_eq!(line["error"], "http_protocol_error", "{line}");
    assert_eq!(
        (&line["status"], &line["url"]),
        (&Value::Null, &Value::from(url)),
        "{line}"
    );
    let detail = line["detail"].as_str().unwrap();
    assert!(
        detail.contains("a control character in a field value, in \"set-cookie\""),
        "{line}"
    );
    proxy.log("request", |line| {
        line["protocol"] == "HTTP/1.1" && line["status"] == 200
    });
    proxy.metric("wsbump_http1_fallbacks_total", &[], 1.0);
    let host = format!("origin.test:{}", origin.port);
    proxy.log("http1_fallback", |line| line["host"] == host);
}

#[test]
fn chromium_notices_nothing() {
    browser(chromium);
}

#[test]
fn firefox_notices_nothing() {
    browser(firefox);
}

/// What a page asks for meanwhile is asked for again too.
fn browser(start: fn(&Path, &Path) -> Client) {
    let proxy = Proxy::start();
    let home = scratch();
    let origin = origins::own_odd_h2();
    let found = start(home.path(), &proxy.ca)
        .with("proxy", proxy.url())
        .with("url", origin.url("https", "/page"))
        .run();
    assert_eq!(found["page"], "h2", "{found}");
    let fetched = found["all"].as_array().unwrap().iter();
    for one in fetched.chain([&found["again"]]) {
        assert_eq!(
            (&one["status"], &one["text"], &one["protocol"]),
            (&200.into(), &"ok".into(), &"http/1.1".into()),
            "{found}"
        );
    }
    let asked = asked(&origin);
    let over_h2 = |path: &str| {
        let wanted = format!("h2 GET {path}");
        asked.iter().filter(|asked| **asked == wanted).count()
    };
    // What is asked for again is not asked for twice over HTTP/2, by whichever of its connections.
    assert_eq!(over_h2("/page"), 1, "{asked:?}");
    assert_eq!(over_h2("/cookie?after=1"), 1, "{asked:?}");
    assert!(over_h2("/held?after=9") <= 1, "{asked:?}");
    proxy.metric("wsbump_http1_fallbacks_total", &[], 1.0);
}

#[test]
fn what_was_done_already_is_not_repeated() {
    let proxy = Proxy::start();
    let origin = origins::own_odd_h2();
    let url = origin.url("https", "/cookie");
    let done = through(&proxy, &["--data", "x=1", &url]);
    assert_eq!(done.status, 502, "{done:?}");
    assert!(
        done.text.contains("\"set-cookie\" over HTTP/2") && done.text.contains("please try again"),
        "{done:?}"
    );
    assert!(
        done.text
            .to_lowercase()
            .contains("proxy-status: wsbump; error=http_protocol_error"),
        "{done:?}"
    );
    let done = through(&proxy, &["--data", "x=1", &url]);
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(asked(&origin), ["h2 POST /cookie", "http/1.1 POST /cookie"]);
}

#[test]
fn who_was_open_on_the_connection_is_told_the_truth() {
    let proxy = Proxy::start();
    let origin = origins::own_odd_h2();
    let found = frames(&proxy, &origin, "origin");
    // The held GETs can be asked again, the upload cannot.
    let (both, h2) = (&found["both"], &found["h2"]);
    for stream in ["1", "5"] {
        assert_eq!(both[stream]["reset"], "HTTP_1_1_REQUIRED", "{found}");
    }
    assert_eq!(both["3"]["status"], "502", "{found}");
    // A client that has no other protocol still gets this one, and learns why it does not help.
    for stream in ["1", "3", "5"] {
        assert_eq!(h2[stream]["status"], "502", "{found}");
        let said = h2[stream]["said"].as_str().unwrap();
        assert!(said.contains("a control character in a field value"), "{found}");
    }
    assert_eq!(found["then"], "http/1.1", "{found}");
    proxy.metric("wsbump_http1_fallbacks_total", &[], 1.0);
    proxy.metric(
        "wsbump_http_errors_total",
        &[("error", "http_protocol_error")],
        6.0,
    );
}

#[test]
fn other_connections_are_told_too() {
    let proxy = Proxy::start();
    let origin = origins::own_odd_h2();
    let found = frames(&proxy, &origin, "other");
    for connection in ["first", "second"] {
        assert_eq!(found[connection]["1"]["reset"], "HTTP_1_1_REQUIRED", "{found}");
    }
    // Nothing of the upload has gone on.
    assert_eq!(asked(&origin), ["h2 GET /cookie"]);
    let line = proxy.log("request", |line| line["method"] == "POST");
    assert_eq!(line["error"], "request_not_taken", "{line}");
    assert!(
        line["detail"]
            .as_str()
            .unwrap()
            .contains("since another connection"),
        "{line}"
    );
    proxy.metric("wsbump_http1_fallbacks_total", &[], 1.0);
}

#[test]
fn trailers_and_early_responses_lead_back_as_well() {
    let proxy = Proxy::start();
    let origin = origins::own_odd_h2();
    let found = frames(&proxy, &origin, "late");
    assert_eq!(found["/early"]["1"]["status"], "502", "{found}");
    // Its head had been sent.
    assert_eq!(found["/trailers"]["1"]["status"], "200", "{found}");
    assert_eq!(found["/trailers"]["1"]["reset"], "INTERNAL_ERROR", "{found}");
    assert_eq!(found["then"], "http/1.1", "{found}");
}

#[test]
fn a_client_that_says_such_a_thing_comes_again_by_http1() {
    let proxy = Proxy::start();
    let origin = origins::own_odd_h2();
    let found = frames(&proxy, &origin, "client");
    assert_eq!(found["connection"], "HTTP_1_1_REQUIRED", "{found}");
    assert_eq!(found["then"], "http/1.1", "{found}");
    assert_eq!(found["answer"], "HTTP/1.1 200 OK", "{found}");
    assert_eq!(found["another"], "h2", "{found}");
    let back = origin.fact("the cookie", |fact| fact["path"] == "/back");
    assert_eq!(back["cookie"], "visit=dmo\u{1}OZ", "{back}");
    let line = proxy.log("request", |line| line["error"] == "http_request_error");
    assert_eq!(
        (&line["protocol"], &line["method"], &line["status"]),
        (&"HTTP/2".into(), &"GET".into(), &Value::Null),
        "{line}"
    );
    assert!(line["url"].as_str().unwrap().ends_with("/back"), "{line}");
    assert!(
        line["detail"].as_str().unwrap().contains("in \"cookie\""),
        "{line}"
    );
    proxy.metric("wsbump_http1_fallbacks_total", &[], 1.0);
    proxy.metric(
        "wsbump_http_errors_total",
        &[("error", "http_request_error")],
        1.0,
    );
}

#[test]
fn raw_characters_in_targets_arrive_as_they_were_sent() {
    let proxy = Proxy::start();
    let origin = origins::own_odd_h2();
    let (h2, http1) = ("h2", "http/1.1");
    let paths: [(&str, &[&str]); 12] = [
        ("/a\"b", &[h2]),
        ("/a{b}|c^d\\e[f]", &[h2]),
        ("/a?q={x}|`^[\\]~'", &[h2]),
        ("/caf?q=\u{fc}", &[h2]),
        ("/a?f={\"a\":1}", &[h2, http1]),
        ("/query?query=up{job=\"x\"}", &[h2, http1]),
        ("/a?q=<b>", &[h2, http1]),
        ("/a<b>", &[h2, http1]),
        ("/a>b", &[h2, http1]),
        ("/a`b", &[h2, http1]),
        ("/a?>", &[h2, http1]),
        ("/plain", &[h2]),
    ];
    let mut wanted = Vec::new();
    for (path, protocols) in paths {
        let done = through(&proxy, &[&origin.url("https", path)]);
        assert_eq!(done.status, 200, "{path}: {done:?}");
        // The origin tells bytes, one by one.
        let bytes: String = path.bytes().map(char::from).collect();
        // What goes by HTTP/1.1 the origin has never seen by the other.
        wanted.push(format!("{} GET {bytes}", protocols.last().unwrap()));
        let expected = wanted.iter().filter(|asked| asked.starts_with(http1)).count();
        until(&format!("{path}: {expected} lines of what was refused"), || {
            let lines = proxy.log_so_far("request");
            let refused = lines.iter().filter(|line| line["error"] == "http_request_error");
            (refused.count() == expected).then_some(())
        });
    }
    assert_eq!(asked(&origin), wanted);
    // It was asked for no more than its own stream.
    proxy.metric("wsbump_http1_fallbacks_total", &[], 0.0);
}

/// What is told of each request that `client_refused_h2.py` sends.
const REFUSED: [(&str, &str); 16] = [
    ("no :method", "no :method"),
    ("no :path", "no :path"),
    ("no :scheme", "no :scheme"),
    (":path twice", ":path more than once"),
    ("a field before :path", ":path behind other fields"),
    (":status", ":status, a pseudo-header that it must not have"),
    ("connection", "\"connection\", a field of connections of HTTP/1.1"),
    (
        "transfer-encoding",
        "\"transfer-encoding\", a field of connections of HTTP/1.1",
    ),
    ("te: gzip", "a TE other than trailers"),
    (
        "a length without content",
        "a head that is malformed (reset with PROTOCOL_ERROR)",
    ),
    ("a length that is none", "a Content-Length that is no number"),
    ("two lengths", "two lengths that differ"),
    ("white space in :path", "a :path that is no path"),
    ("a :path that is none", "a :path that is no path"),
    (
        "quotes",
        "a :path with characters that should have been percent-encoded: this proxy can pass it on over HTTP/1.1 alone",
    ),
    (
        "angle brackets",
        "a :path with characters that should have been percent-encoded: this proxy can pass it on over HTTP/1.1 alone",
    ),
];

/// The same of those whose head goes on.
const BODIES: [&str; 4] = [
    "content below its length",
    "content above its length",
    "trailers with connection",
    "trailers without an end",
];

/// Each refused request has one line and one count, and its connection goes on.
fn one_line_each(proxy: &Proxy, found: &Value, passes: impl Fn(&str) -> bool) {
    let found = found["found"].as_object().unwrap();
    let count = REFUSED.len() + BODIES.len() + 1;
    assert_eq!(found.len(), count);
    assert_eq!(found["large"], "status 431");
    let line = proxy.log("request", |line| line["status"] == 431);
    assert_eq!(line["detail"], "a head that is larger than it may be", "{line}");
    for case in BODIES {
        assert_eq!(found[case], "PROTOCOL_ERROR", "{case}");
    }
    for (case, detail) in REFUSED {
        let required = detail.contains("HTTP/1.1 alone") && passes(case);
        let code = if required {
            "HTTP_1_1_REQUIRED"
        } else {
            "PROTOCOL_ERROR"
        };
        assert_eq!(found[case], code, "{case}");
        let line = proxy.log("request", |line| line["detail"] == detail);
        assert_eq!(
            (&line["protocol"], &line["error"], &line["status"]),
            (&"HTTP/2".into(), &"http_request_error".into(), &Value::Null),
            "{line}"
        );
        assert!(
            !line.to_string().contains("{\\\"a\\\""),
            "a query in the log: {line}"
        );
    }
    // All have been told when the connection has.
    proxy.log("connection", |line| line["alpn"] == "h2");
    let lines = proxy.log_so_far("request");
    let refused = lines.iter().filter(|line| line["error"] == "http_request_error");
    assert_eq!(refused.count(), count, "{lines:?}");
    let broken = |line: &&Value| {
        line["detail"]
            .as_str()
            .is_some_and(|it| it.starts_with("content that breaks"))
    };
    assert_eq!(lines.iter().filter(broken).count(), BODIES.len(), "{lines:?}");
    let answered = lines.iter().filter(|line| line["status"] == 200);
    assert_eq!(answered.count(), count, "{lines:?}");
    let count = f64::from(u32::try_from(count).unwrap());
    let unanswered = count - 1.0;
    proxy.metric(
        "wsbump_http_errors_total",
        &[("error", "http_request_error")],
        count,
    );
    proxy.metric("wsbump_http_requests_total", &[("status", "none")], unanswered);
    proxy.metric("wsbump_http_requests_total", &[("status", "4xx")], 1.0);
}

#[test]
fn a_malformed_request_has_its_line_and_its_neighbours_their_answers() {
    let proxy = Proxy::start();
    let origin = origins::own_node_h2(&[]);
    let found = Client::new("client_refused_h2.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .with("url", origin.url("https", "/"))
        .with("silent", "/count")
        .run();
    // This client has no HTTP/1.1 to go back to.
    one_line_each(&proxy, &found, |_| false);
    let seen = origin.process.out.all();
    assert!(!seen.iter().any(|line| line.contains("/refused")), "{seen:?}");
    let line = proxy.log("connection", |line| line["alpn"] == "h2");
    assert_eq!(line["requests"], 2 * (REFUSED.len() + BODIES.len() + 1), "{line}");
    assert_eq!(line["outcome"], "ok", "{line}");
}

#[test]
fn so_it_is_on_streams_of_the_proxy_itself() {
    let proxy = Setup::new().config("listen = { tls = ['127.0.0.1:0'] }").start();
    let found = Client::new("client_refused_h2.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.secure_url())
        .with("listener", "1")
        .with("silent", "/echo")
        .with("url", origins::plain_aiohttp().url("http", "/"))
        .run();
    one_line_each(&proxy, &found, |_| true);
    let line = proxy.log("request", |line| line["detail"] == "a TE other than trailers");
    assert_eq!(
        line["url"],
        origins::plain_aiohttp().url("http", "/refused"),
        "{line}"
    );
}

/// Each request that `client_broken_h2.py` has sent has one line, also the one that came with what its connection ended for.
fn one_line_for_each_of(proxy: Proxy, found: &Value, base: &str) {
    let faults = found["faults"].as_u64().unwrap();
    let wanted: Vec<String> = (0..faults)
        .flat_map(|n| ["bad", "good"].map(|kind| format!("{base}/{kind}/{n}")))
        .collect();
    for url in &wanted {
        proxy.log("request", |line| line["url"] == url.as_str());
    }
    // All there will be are there when the proxy has ended.
    let out = proxy.terminate().out;
    for url in &wanted {
        let lines = out
            .iter()
            .filter(|line| line.contains(&format!("\"url\":\"{url}\"")));
        assert_eq!(lines.count(), 1, "{url}: {out:#?}");
    }
}

#[test]
fn what_comes_with_a_request_that_ends_its_connection_has_one_line() {
    let proxy = Proxy::start();
    let origin = origins::own_node_h2(&[]);
    let found = Client::new("client_broken_h2.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .with("url", origin.url("https", "/"))
        .run();
    one_line_for_each_of(proxy, &found, origin.url("https", "").trim_end_matches('/'));

    let proxy = Setup::new().config("listen = { tls = ['127.0.0.1:0'] }").start();
    let url = origins::plain_aiohttp().url("http", "/");
    let found = Client::new("client_broken_h2.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.secure_url())
        .with("listener", "1")
        .with("url", &url)
        .run();
    one_line_for_each_of(proxy, &found, url.trim_end_matches('/'));
}
