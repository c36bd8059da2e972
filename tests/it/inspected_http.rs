//! Requests and responses, judged and changed on their way.

use crate::harness::clients::curl;
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Answer, Secure, tls};
use crate::harness::recorder::{Recorder, Served};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

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
regex = ["^GET /forbidden", "(?i)x-leak: yes"]
"##;

fn exchange(
    proxy: &Proxy,
    recorder: &Recorder,
    request: &[u8],
    answer: &[u8],
) -> (String, Vec<u8>, Answer, Secure, Served) {
    let mut client = tls(proxy, &recorder.target());
    client.send(request);
    let mut origin = recorder.accept();
    let head = origin.head().expect("a request");
    let length = crate::harness::raw::header(&head, "content-length").map_or(0, |n| n.parse().unwrap());
    let body = origin.exactly(length);
    origin.send(answer);
    let answer = client.answer();
    (head, body, answer, client, origin)
}

fn request(recorder: &Recorder, method: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} /path HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
        recorder.target(),
        body.len()
    )
    .into_bytes()
}

fn response(more: &str, body: &[u8]) -> Vec<u8> {
    let mut all = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{more}\r\n", body.len()).into_bytes();
    all.extend_from_slice(body);
    all
}

#[test]
fn an_upload_with_a_card_number_is_refused_and_says_by_which_rule() {
    let proxy = Setup::new().config(RULES).start();
    let url = origins::aiohttp().url("https", "/echo");
    let sent = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &["-i", "--data", "pay 4111 1111 1111 1111 now", &url],
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
        &["--data", "pay 4111 1111 1111 1112 now", &url],
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

#[test]
fn bodies_are_changed_and_described_anew() {
    let proxy = Setup::new().config(RULES).start();
    let recorder = Recorder::start();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(b"about kestrel, and more").unwrap();
    let packed = gzip.finish().unwrap();
    let more = "Content-Encoding: gzip\r\nETag: \"1\"\r\nContent-Type: text/plain\r\n";
    let (head, body, answer, mut client, mut origin) = exchange(
        &proxy,
        &recorder,
        &request(&recorder, "POST", "ask kestrel now"),
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
    client.send(request(&recorder, "POST", "harmless"));
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

#[test]
fn programs_do_not_come_down_and_heads_are_judged() {
    let proxy = Setup::new().config(RULES).start();
    let recorder = Recorder::start();
    let program = [&b"\x7fELF"[..], &[0; 600]].concat();
    let (_, _, answer, _, _) = exchange(
        &proxy,
        &recorder,
        &request(&recorder, "GET", ""),
        &response("", &program),
    );
    assert_eq!(answer.status, 403, "{}", answer.head);
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("no programs"), "{text}");

    let (_, _, answer, _, _) = exchange(
        &proxy,
        &recorder,
        &request(&recorder, "GET", ""),
        &response("X-Leak: Yes\r\n", b"x"),
    );
    assert_eq!(answer.status, 403, "{}", answer.head);

    let url = format!("https://{}/forbidden", recorder.target());
    let refused = curl(Some(&proxy.url()), &proxy.ca, &[&url]);
    assert_eq!(refused.status, 403, "{}", refused.text);
    let upgrade = [
        "-H",
        "Upgrade: websocket",
        "-H",
        "Connection: Upgrade",
        "-H",
        "Sec-WebSocket-Version: 13",
        "-H",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let refused = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[&upgrade[..], &[&url[..]]].concat(),
    );
    assert_eq!(refused.status, 403, "{}", refused.text);
}

#[test]
fn what_is_only_watched_does_not_wait() {
    let watching =
        "[[inspect.rule]]\nname = \"seen\"\naction = \"drop\"\nin = [\"body\"]\nkeywords = [\"watched\"]\n";
    // A rule that acts holds a body, but never an event stream.
    for (rules, kind) in [(watching, "text/plain"), (RULES, "text/event-stream")] {
        let proxy = Setup::new().config(rules).start();
        let recorder = Recorder::start();
        let mut client = tls(&proxy, &recorder.target());
        client.send(request(&recorder, "GET", ""));
        let mut origin = recorder.accept();
        origin.head().unwrap();
        origin.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 14\r\n\r\nwatched"
        ));
        client.head().unwrap();
        assert_eq!(client.exactly(7), b"watched", "before the rest has come");
        origin.send("kestrel");
        assert_eq!(client.exactly(7), b"kestrel");
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

#[test]
fn what_does_not_fit_the_budget_follows_policy() {
    let large = "x".repeat(200_000);
    for (policy, status) in [("pass", 200), ("close", 502)] {
        let config = format!("[inspect]\nmessage_bytes = \"64KiB\"\non_budget = \"{policy}\"\n{RULES}");
        let proxy = Setup::new().config(&config).start();
        let recorder = Recorder::start();
        let mut client = tls(&proxy, &recorder.target());
        client.send(request(&recorder, "GET", ""));
        let mut origin = recorder.accept();
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
