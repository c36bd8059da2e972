//! Bodies that break off: what of them has come is judged, and their receiver learns that there should have been more.

use crate::harness::clients::curl;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::tls;
use crate::harness::recorder::Recorder;
use crate::harness::road::{Road, Version, over_both, over_front};
use crate::harness::scanners::{Clamd, eicar};
use serde_json::Value;
use std::io::{ErrorKind, Read as _};
use std::thread;

over_both!(
    a_download_that_breaks_off_is_judged_by_what_came,
    a_download_that_breaks_off_harmlessly_breaks_off_for_its_client,
    an_upload_that_breaks_off_is_judged_by_what_came,
    an_upload_that_breaks_off_harmlessly_breaks_off_for_its_origin,
    what_cannot_go_on_changed_and_broken_does_not_go_on,
    what_is_scanned_may_break_off,
);

over_front!(
    a_download_that_breaks_off_is_judged_by_what_came,
    a_download_that_breaks_off_harmlessly_breaks_off_for_its_client,
    an_upload_that_breaks_off_is_judged_by_what_came,
    an_upload_that_breaks_off_harmlessly_breaks_off_for_its_origin,
    what_cannot_go_on_changed_and_broken_does_not_go_on,
    what_is_scanned_may_break_off,
);

/// The requests of clients that speak HTTP/2 with the proxy itself come here.
const FRONT: &str = "listen = { tls = ['127.0.0.1:0'] }";

const RULES: &str = r#"
[[inspect.rule]]
name = "codenames"
mode = "enforce"
action = "drop"
in = ["body"]
keywords = ["kestrel"]
"#;

fn proxy(on_budget: &str) -> Proxy {
    let config = format!("[inspect]\non_budget = \"{on_budget}\"\n{RULES}");
    Setup::new().config(&config).config(FRONT).start()
}

/// Responses with this content that end before they should.
fn broken_responses(content: &str) -> Vec<String> {
    let size = content.len();
    let chunk = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{content}\r\n");
    vec![
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{content}", size + 1),
        chunk.clone(),
        format!("{chunk}ZZZ\r\n"),
        format!("{chunk}8\r\nfour"),
    ]
}

/// The beginnings of requests with this content, of which no more comes.
fn broken_requests(road: &Road, content: &str) -> Vec<String> {
    let (size, host) = (content.len(), road.target());
    let chunk = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{content}\r\n"
    );
    vec![
        format!("{chunk}ZZZ\r\n"),
        format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{content}",
            size + 1
        ),
        format!("{chunk}8\r\nfour"),
    ]
}

fn get(road: &Road) -> String {
    format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", road.target())
}

/// Answers the next request with this and nothing more.
fn answer_and_leave(road: &Road, response: &str) {
    let mut origin = road.accept();
    origin.head().unwrap();
    origin.send(response);
    drop(origin);
}

fn a_download_that_breaks_off_is_judged_by_what_came(version: Version) {
    for on_budget in ["pass", "close"] {
        let proxy = proxy(on_budget);
        let road = Road::start(version);
        let content = format!("{}, about kestrel", "x".repeat(70_000));
        let responses = broken_responses(&content);
        for response in &responses {
            let mut client = road.client(&proxy);
            client.send(get(&road));
            answer_and_leave(&road, response);
            let answer = client.answer();
            assert_eq!(answer.status, 403, "{on_budget}: {}", answer.head);
            let text = String::from_utf8(answer.body).unwrap();
            assert!(text.contains("codenames") && !text.contains("kestrel"), "{text}");
        }
        proxy.metric(
            "wsbump_inspect_findings_total",
            &[("rule", "codenames"), ("mode", "enforce")],
            responses.len() as f64,
        );
    }
}

fn a_download_that_breaks_off_harmlessly_breaks_off_for_its_client(version: Version) {
    for on_budget in ["pass", "close"] {
        let proxy = proxy(on_budget);
        let road = Road::start(version);
        let responses = broken_responses("harmless");
        for response in &responses {
            let mut client = road.client(&proxy);
            client.send(get(&road));
            answer_and_leave(&road, response);
            let head = client.head().unwrap();
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            let rest = String::from_utf8(client.rest()).unwrap();
            assert!(rest.contains("harmless"), "what has come goes on: {rest}");
            let last_chunk = rest.ends_with("0\r\n\r\n");
            let is_short = crate::harness::raw::header(&head, "content-length") == Some("9");
            assert!(
                !last_chunk && (is_short || rest.starts_with(|c: char| c.is_ascii_hexdigit())),
                "{head}{rest}"
            );
        }
        for line in lines(&proxy, responses.len()) {
            assert_eq!(
                (&line["status"], &line["error"]),
                (&200.into(), &"origin_aborted".into()),
                "{line}"
            );
        }
        proxy.metric(
            "wsbump_inspect_blind_total",
            &[("reason", "broke_off"), ("stopped", "false")],
            responses.len() as f64,
        );
    }
}

/// Sends the beginning of a request and goes.
fn begin_and_leave(road: &Road, proxy: &Proxy, request: &str) {
    road.client(proxy).send(request);
}

/// That nothing of so many requests has come to the origin.
fn assert_nothing_went_on(version: Version, road: &Road, requests: usize) {
    if version == Version::Http1 {
        // The connections that the clients' own are tied to.
        for _ in 0..requests {
            assert_eq!(road.accept().rest(), b"");
        }
    }
    if version == Version::Front {
        // It may have been dialled when the request broke off, and hears nothing of it.
        while let Some(mut origin) = road.arrived() {
            assert_eq!(origin.rest(), b"");
        }
    }
    assert!(road.accept_nothing(), "a request went on");
}

fn an_upload_that_breaks_off_is_judged_by_what_came(version: Version) {
    for on_budget in ["pass", "close"] {
        let proxy = proxy(on_budget);
        let road = Road::start(version);
        let requests = broken_requests(&road, "all about kestrel");
        for request in &requests {
            begin_and_leave(&road, &proxy, request);
        }
        proxy.metric(
            "wsbump_inspect_findings_total",
            &[("rule", "codenames"), ("mode", "enforce")],
            requests.len() as f64,
        );
        for line in lines(&proxy, requests.len()) {
            assert_eq!(
                (&line["status"], &line["error"]),
                (&403.into(), &"content_refused".into()),
                "{line}"
            );
        }
        assert_nothing_went_on(version, &road, requests.len());
    }
}

fn an_upload_that_breaks_off_harmlessly_breaks_off_for_its_origin(version: Version) {
    let proxy = proxy("close");
    let road = Road::start(version);
    let requests = broken_requests(&road, "harmless");
    for request in &requests {
        begin_and_leave(&road, &proxy, request);
        if version == Version::Http1 {
            let mut origin = road.accept();
            let head = origin.head().unwrap();
            let rest = String::from_utf8(origin.rest()).unwrap();
            assert!(rest.contains("harmless"), "what has come goes on: {rest}");
            assert!(
                !rest.ends_with("0\r\n\r\n"),
                "an end that nobody has sent: {head}{rest}"
            );
        }
    }
    proxy.metric(
        "wsbump_inspect_blind_total",
        &[("reason", "broke_off"), ("stopped", "false")],
        requests.len() as f64,
    );
    if version != Version::Http1 {
        // Its client has taken it back by a reset, before anything of it was sent.
        assert_nothing_went_on(version, &road, requests.len());
    }
    for line in lines(&proxy, requests.len()) {
        let error = line["error"].as_str().unwrap();
        assert!(
            ["client_aborted", "http_request_error"].contains(&error),
            "{line}"
        );
    }
}

/// The lines of so many requests.
fn lines(proxy: &Proxy, count: usize) -> Vec<Value> {
    crate::harness::until("the lines", || {
        let lines = proxy.log_so_far("request");
        (lines.len() == count).then_some(lines)
    })
}

fn what_cannot_go_on_changed_and_broken_does_not_go_on(version: Version) {
    let proxy = Setup::new()
        .config(
            "[[inspect.rule]]\nname = \"words\"\nmode = \"enforce\"\naction = \"redact\"\nwith = \"*\"\nin = [\"body\"]\n\
             keywords = [\"kestrel\"]\n",
        )
        .config(FRONT)
        .start();
    let road = Road::start(version);
    let mut client = road.client(&proxy);
    client.send(get(&road));
    answer_and_leave(&road, &broken_responses("about kestrel")[0]);
    let answer = client.answer();
    assert_eq!(answer.status, 403, "{}", answer.head);
    assert!(!String::from_utf8(answer.body).unwrap().contains("kestrel"));
}

fn what_is_scanned_may_break_off(version: Version) {
    let clamd = Clamd::start();
    let config = format!(
        "[[inspect.scanner]]\nname = \"clamav\"\nurl = \"clamd+unix:{}\"\ndeadline = \"20s\"\non_failure = \"close\"\n\
         [[inspect.rule]]\nname = \"viruses\"\nmode = \"enforce\"\naction = \"drop\"\nscan = \"clamav\"\nin = [\"body\"]\n",
        clamd.socket().display()
    );
    let proxy = Setup::new().config(&config).config(FRONT).start();
    let road = Road::start(version);
    let responses = broken_responses(&eicar());
    for response in &responses {
        let mut client = road.client(&proxy);
        client.send(get(&road));
        answer_and_leave(&road, response);
        assert_eq!(client.answer().status, 403);
    }
    proxy.metric(
        "wsbump_inspect_scan_seconds_count",
        &[("scanner", "clamav"), ("outcome", "found")],
        responses.len() as f64,
    );
}

/// What comes back while the origin answers once with `response`, and its socket ends without the end of TLS.
fn while_answered<T: Send>(recorder: &Recorder, response: &str, asking: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let asking = scope.spawn(asking);
        let mut origin = recorder.accept();
        origin.head().unwrap();
        origin.send(response);
        drop(origin);
        asking.join().unwrap()
    })
}

const TO_THE_END: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

#[test]
fn curl_learns_that_a_body_broke_off() {
    let proxy = proxy("close");
    let recorder = Recorder::start();
    let url = format!("https://{}/", recorder.target());
    for content in ["harmless", "about kestrel"] {
        let mut responses = broken_responses(content);
        responses.push(format!("{TO_THE_END}{content}"));
        for response in responses {
            let done = while_answered(&recorder, &response, || {
                curl(Some(&proxy.url()), &proxy.ca, &["--http1.1", &url])
            });
            let passes = content == "harmless";
            assert_eq!(done.status, if passes { 200 } else { 403 }, "{done:?}");
            assert_eq!(done.text.contains("harmless"), passes, "{}", done.text);
            assert!(!done.text.contains("kestrel"), "{}", done.text);
            // Curl takes the end of a socket for the end of a body that has no other.
            if passes && !response.starts_with(TO_THE_END) {
                assert!([18, 56].contains(&done.code), "{done:?}");
            }
        }
    }
}

#[test]
fn the_end_of_tls_is_not_invented_behind_a_body_that_was_held() {
    let proxy = proxy("close");
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send(format!("{TO_THE_END}harmless"));
    drop(origin);
    let mut got = Vec::new();
    let ended = client.stream.read_to_end(&mut got);
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert!(got.ends_with(b"harmless"));
    let line = proxy.log("request", |_| true);
    assert_eq!(
        (&line["status"], &line["error"]),
        (&200.into(), &"origin_aborted".into()),
        "{line}"
    );
    proxy.metric(
        "wsbump_inspect_blind_total",
        &[("reason", "broke_off"), ("stopped", "false")],
        1.0,
    );
}
