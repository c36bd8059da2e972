//! Requests and responses, judged and changed on their way.

use crate::harness::clients::curl;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Answer, frame};
use crate::harness::road::{End, Road, Version, over_both};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::BTreeMap;
use std::io::Write;

over_both!(
    an_upload_with_a_card_number_is_refused_and_says_by_which_rule,
    bodies_are_changed_and_described_anew,
    programs_do_not_come_down_and_heads_are_judged,
    what_is_only_watched_does_not_wait,
    what_does_not_fit_the_budget_follows_policy,
);

const RULES: &str = r##"
[[inspect.rule]]
name = "seen"
mode = "observe"
action = "drop"
in = ["body"]
keywords = ["watched"]

[[inspect.rule]]
name = "cards"
mode = "enforce"
action = "drop"
in = ["body"]
direction = "to_origin"
secrets = ["card_number"]

[[inspect.rule]]
name = "codenames"
mode = "enforce"
action = "redact"
with = "*"
in = ["body"]
keywords = ["kestrel"]

[[inspect.rule]]
name = "programs"
mode = "enforce"
action = "close"
reason = "no programs"
in = ["body"]
direction = "to_client"
files = ["executable"]

[[inspect.rule]]
name = "paths"
mode = "enforce"
action = "drop"
in = ["head", "upgrade"]
regex = ["^(GET|CONNECT) /forbidden", "(?i)x-leak: yes"]
"##;

fn exchange(
    proxy: &Proxy,
    road: &Road,
    request: &[u8],
    answer: &[u8],
) -> (String, Vec<u8>, Answer, End, End) {
    let mut client = road.client(proxy);
    client.send(request);
    let mut origin = road.accept();
    let head = origin.head().expect("a request");
    let length = crate::harness::raw::header(&head, "content-length").map_or(0, |n| n.parse().unwrap());
    let body = origin.exactly(length);
    origin.send(answer);
    let answer = client.answer();
    (head, body, answer, client, origin)
}

fn request(road: &Road, method: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} /path HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
        road.target(),
        body.len()
    )
    .into_bytes()
}

fn response(more: &str, body: &[u8]) -> Vec<u8> {
    let mut all = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{more}\r\n", body.len()).into_bytes();
    all.extend_from_slice(body);
    all
}

fn an_upload_with_a_card_number_is_refused_and_says_by_which_rule(version: Version) {
    let proxy = Setup::new().config(RULES).start();
    let url = version.echo().url("https", "/echo");
    let sent = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[
            version.curl(),
            "-i",
            "--data",
            "pay 4111 1111 1111 1111 now",
            &url,
        ],
    );
    assert_eq!(sent.status, 403, "{}", sent.text);
    assert!(
        sent.text.contains("\"cards\"") && !sent.text.contains("4111"),
        "{}",
        sent.text
    );
    assert!(
        sent.text
            .to_lowercase()
            .contains("proxy-status: wsbump; error=content_refused"),
        "{}",
        sent.text
    );
    let fine = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[version.curl(), "--data", "pay 4111 1111 1111 1112 now", &url],
    );
    assert_eq!(fine.status, 200, "{}", fine.text);
    let metrics = proxy.metrics();
    let count = |rule: &str| {
        metrics.sum(
            "wsbump_inspect_findings_total",
            &[("rule", rule), ("mode", "enforce")],
        )
    };
    assert_eq!((count("cards"), count("codenames")), (1.0, 0.0));
}

fn bodies_are_changed_and_described_anew(version: Version) {
    let config = format!("[inspect]\non_budget = \"pass\"\n{RULES}");
    let proxy = Setup::new().config(&config).start();
    let road = Road::start(version);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(b"about kestrel, and more").unwrap();
    let packed = gzip.finish().unwrap();
    let more = "Content-Encoding: gzip\r\nETag: \"1\"\r\nContent-Type: text/plain\r\n";
    let (head, body, answer, mut client, mut origin) = exchange(
        &proxy,
        &road,
        &request(&road, "POST", "ask kestrel now"),
        &response(more, &packed),
    );
    assert_eq!(body, b"ask * now", "{head}");
    assert_eq!(answer.body, b"about *, and more");
    assert_eq!(answer.header("content-length"), Some("17"), "{}", answer.head);
    assert_eq!(
        (answer.header("content-encoding"), answer.header("etag")),
        (None, None),
        "{}",
        answer.head
    );
    assert_eq!(answer.header("content-type"), Some("text/plain"));

    // What nothing is found in goes on as it came, on the same connection.
    client.send(request(&road, "POST", "harmless"));
    origin.head().unwrap();
    assert_eq!(origin.exactly(8), b"harmless");
    origin.send(response(
        "Content-Encoding: gzip\r\nETag: \"1\"\r\n",
        b"not gzip at all",
    ));
    let answer = client.answer();
    assert_eq!(
        (&answer.body[..], answer.header("etag")),
        (&b"not gzip at all"[..], Some("\"1\""))
    );
    proxy.metric(
        "wsbump_inspect_blind_total",
        &[("reason", "corrupt"), ("stopped", "false")],
        1.0,
    );
}

fn programs_do_not_come_down_and_heads_are_judged(version: Version) {
    let proxy = Setup::new().config(RULES).start();
    let road = Road::start(version);
    let program = [&b"\x7fELF"[..], &[0; 600]].concat();
    let (_, _, answer, _, _) = exchange(&proxy, &road, &request(&road, "GET", ""), &response("", &program));
    assert_eq!(answer.status, 403, "{}", answer.head);
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("no programs"), "{text}");

    let (_, _, answer, _, _) = exchange(
        &proxy,
        &road,
        &request(&road, "GET", ""),
        &response("X-Leak: Yes\r\n", b"x"),
    );
    assert_eq!(answer.status, 403, "{}", answer.head);

    let url = format!("https://{}/forbidden", road.target());
    let refused = curl(Some(&proxy.url()), &proxy.ca, &[version.curl(), &url]);
    assert_eq!(refused.status, 403, "{}", refused.text);
    let mut client = road.client(&proxy);
    client.ask_websocket(&road.target(), "/forbidden", "");
    let refused = client.answer();
    assert_eq!(refused.status, 403, "{}", refused.head);
}

fn what_is_only_watched_does_not_wait(version: Version) {
    let watching =
        "[[inspect.rule]]\nname = \"seen\"\naction = \"drop\"\nin = [\"body\"]\nkeywords = [\"watched\"]\n";
    // A rule that acts holds a body, but never an event stream.
    for (rules, kind) in [(watching, "text/plain"), (RULES, "text/event-stream")] {
        let proxy = Setup::new().config(rules).start();
        let road = Road::start(version);
        let mut client = road.client(&proxy);
        client.send(request(&road, "GET", ""));
        let mut origin = road.accept();
        origin.head().unwrap();
        origin.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 14\r\n\r\nwatched"
        ));
        client.head().unwrap();
        assert_eq!(client.exactly(7), b"watched", "before the rest has come");
        origin.send("sparrow");
        assert_eq!(client.exactly(7), b"sparrow");
        crate::harness::until("the finding", || {
            let metrics = proxy.metrics();
            (metrics.sum(
                "wsbump_inspect_findings_total",
                &[("rule", "seen"), ("mode", "observe")],
            ) == 1.0)
                .then_some(())
        });
    }
}

fn what_does_not_fit_the_budget_follows_policy(version: Version) {
    // A document can only be judged as a whole.
    let rules = "[[inspect.rule]]\nname = \"documents\"\nmode = \"enforce\"\naction = \"drop\"\nin = [\"body\"]\n\
                 decode = \"json\"\nkeywords = [\"kestrel\"]\n";
    let large = "x".repeat(200_000);
    for (policy, status) in [("pass", 200), ("close", 502)] {
        let config = format!("[inspect]\nmessage_bytes = \"64KiB\"\non_budget = \"{policy}\"\n{rules}");
        let proxy = Setup::new().config(&config).start();
        let road = Road::start(version);
        let mut client = road.client(&proxy);
        client.send(request(&road, "GET", ""));
        let mut origin = road.accept();
        origin.head().unwrap();
        origin.send(response("", large.as_bytes()));
        let answer = client.answer();
        assert_eq!(answer.status, status, "{}", answer.head);
        assert_eq!(answer.body == large.as_bytes(), status == 200);
        let stopped = if status == 200 { "false" } else { "true" };
        proxy.metric(
            "wsbump_inspect_blind_total",
            &[("reason", "message_budget"), ("stopped", stopped)],
            1.0,
        );
    }
}

#[test]
fn a_refusal_is_that_of_its_stream_alone() {
    let proxy = Setup::new().config(RULES).start();
    let road = Road::start(Version::Http2);
    let (mut websocket, mut far) = road.websocket(&proxy);
    let mut events = road.client(&proxy);
    events.send(request(&road, "GET", ""));
    let mut source = road.accept();
    source.head().unwrap();
    source.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    events.head().unwrap();
    let mut others_go_on = || {
        let text = frame(0x81, Some([1, 2, 3, 4]), b"kestrel is for bodies");
        websocket.send(&text);
        assert_eq!(far.exactly(text.len()), text);
        source.send("data: 1\n\n");
        // In a chunk of its own.
        assert_eq!(events.exactly(14), b"9\r\ndata: 1\n\n\r\n");
    };
    let refused = |answer: &Answer| {
        assert_eq!(answer.status, 403, "{}", answer.head);
        let status = answer.header("proxy-status").unwrap();
        assert!(status.contains("error=content_refused"), "{status}");
    };
    others_go_on();
    for count in 0..3 {
        let mut client = road.client(&proxy);
        client.send(request(&road, "POST", "pay 4111 1111 1111 1111 now"));
        refused(&client.answer());
        client.send(format!(
            "GET /forbidden HTTP/1.1\r\nHost: {}\r\n\r\n",
            road.target()
        ));
        refused(&client.answer());
        assert!(road.accept_nothing(), "a refused request went on");
        others_go_on();
        let program = [&b"\x7fELF"[..], &[0; 70_000]].concat();
        let (_, _, answer, mut client, mut origin) =
            exchange(&proxy, &road, &request(&road, "GET", ""), &response("", &program));
        refused(&answer);
        others_go_on();
        // The origin's end of that stream is none the worse for it.
        client.send(request(&road, "GET", ""));
        origin.head().unwrap();
        origin.send(response("", b"fine"));
        assert_eq!(client.answer().body, b"fine", "{count}");
    }
    drop((websocket, far, events, source, road));
    let line = proxy.log("connection", |_| true);
    assert_eq!(
        (&line["alpn"], &line["requests"]),
        (&"h2".into(), &14.into()),
        "{line}"
    );
}

/// What exchanges leave in the metrics, but for times.
fn counted(version: Version) -> BTreeMap<String, f64> {
    let proxy = Setup::new().config(RULES).start();
    let road = Road::start(version);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(b"watched, and about kestrel").unwrap();
    let coded = response("Content-Encoding: gzip\r\n", &gzip.finish().unwrap());
    let program = response("", &[&b"\x7fELF"[..], &[0; 600]].concat());
    for (sent, answer, status) in [
        (request(&road, "POST", "watched"), coded, 200),
        (
            request(&road, "POST", "about kestrel"),
            response("", b"fine"),
            200,
        ),
        (request(&road, "GET", ""), program, 403),
        (request(&road, "GET", ""), response("X-Leak: Yes\r\n", b"x"), 403),
        (
            request(&road, "GET", ""),
            response("Content-Encoding: br\r\n", b"is none"),
            // What cannot be looked into does not pass by default.
            502,
        ),
    ] {
        let (_, _, answer, _, _) = exchange(&proxy, &road, &sent, &answer);
        assert_eq!(answer.status, status, "{}", answer.head);
    }
    for sent in [
        request(&road, "POST", "pay 4111 1111 1111 1111 now"),
        format!("GET /forbidden HTTP/1.1\r\nHost: {}\r\n\r\n", road.target()).into_bytes(),
    ] {
        let mut client = road.client(&proxy);
        client.send(sent);
        assert_eq!(client.answer().status, 403);
    }
    proxy.metrics().counts(&["wsbump_inspect_"])
}

#[test]
fn both_versions_are_counted_alike() {
    let (one, two) = (counted(Version::Http1), counted(Version::Http2));
    assert!(
        one.keys().filter(|name| name.contains("rule=")).count() >= 5,
        "{one:?}"
    );
    assert_eq!(one, two);
}
