use super::*;
use crate::inspect::testing::facts;
use crate::inspect::{Finding, HttpHead, Judgement, Ruling};
use crate::report::config::Per;
use crate::report::instance::Instance;
use crate::wire::frame::{Direction, Opcode};
use http::{HeaderMap, Method, StatusCode, Version};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::sync::Mutex;

const LONG: Duration = Duration::from_secs(20);

/// A recording into a folder of its own.
struct Test {
    har: Har,
    registry: Registry,
    folder: tempfile::TempDir,
    /// Of each connection's WebSocket.
    facts: Mutex<HashMap<u64, Arc<SessionFacts>>>,
}

fn config(folder: &std::path::Path) -> RecordConfig {
    RecordConfig {
        directory: folder.into(),
        per: Per::Connection,
        mask: true,
        body_bytes: 50,
        websocket_bytes: 100,
        websocket_messages: 5,
        memory_bytes: 1 << 20,
        keep: 3,
    }
}

impl Test {
    fn new(change: impl FnOnce(&mut RecordConfig)) -> Self {
        let (registry, folder) = (Registry::new(), tempfile::tempdir().unwrap());
        let har = Har::new(&Instance::random(), &registry).unwrap();
        let mut config = config(folder.path());
        change(&mut config);
        har.configure(Some(&config)).unwrap();
        Self {
            har,
            registry,
            folder,
            facts: Mutex::default(),
        }
    }

    fn state(&self, connection: u64, content: &RecordedContent<'_>) {
        let mut known = self.facts.lock().unwrap();
        let facts = known.entry(connection).or_insert_with(|| {
            Arc::new(SessionFacts {
                connection,
                ..SessionFacts::clone(&facts())
            })
        });
        self.har.content(facts, content);
    }

    fn plain(&self, connection: u64, content: &RecordedContent<'_>) {
        let facts = SessionFacts {
            connection,
            scheme: "https",
            path: "/a?token=abc&x=1".into(),
            ..SessionFacts::clone(&facts())
        };
        self.har.content(&Arc::new(facts), content);
    }

    /// Every file, oldest first, once all is written.
    fn finish(&self) -> Vec<Value> {
        assert!(self.har.finish(LONG));
        let mut names: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort();
        names
            .iter()
            .map(|path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
            .collect()
    }

    fn metric(&self, series: &str) -> f64 {
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap();
        crate::report::tests::sample(&text, series)
    }
}

fn head(status: Option<u16>, headers: &[(&'static str, &str)]) -> HttpHead {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    HttpHead {
        method: Method::POST,
        status: status.map(|status| StatusCode::from_u16(status).unwrap()),
        headers: map,
    }
}

fn stated(exchange: u64, head: &HttpHead, has_body: bool) -> RecordedContent<'_> {
    RecordedContent::Head {
        exchange,
        at: Duration::from_millis(1_700_000_000_123),
        version: Version::HTTP_11,
        head,
        origin: Some([192, 0, 2, 7].into()),
        has_body,
    }
}

fn body(exchange: u64, direction: Direction, data: &[u8]) -> RecordedContent<'_> {
    RecordedContent::Body {
        exchange,
        direction,
        data,
        size: data.len() as u64,
        judgement: None,
    }
}

fn end(exchange: u64, status: u16) -> RecordedContent<'static> {
    RecordedContent::End {
        exchange,
        wait: Duration::from_millis(20),
        total: Duration::from_millis(50),
        status: StatusCode::from_u16(status).ok(),
        error: None,
    }
}

fn message(number: u64, direction: Direction, data: &[u8]) -> RecordedContent<'_> {
    RecordedContent::Message {
        direction,
        opcode: Opcode::Text,
        number,
        at: Duration::from_millis(1_700_000_001_000 + number),
        data,
        size: data.len() as u64,
        is_whole: true,
        judgement: None,
    }
}

/// A WebSocket's handshake.
fn handshake(test: &Test, connection: u64, exchange: u64) {
    test.state(
        connection,
        &stated(exchange, &head(None, &[("host", "example.com")]), false),
    );
    test.state(connection, &stated(exchange, &head(Some(101), &[]), false));
    test.state(connection, &end(exchange, 101));
}

#[test]
fn an_exchange_is_an_entry_with_its_secrets_masked() {
    let test = Test::new(|_| {});
    let asked = head(
        None,
        &[
            ("host", "example.com"),
            ("authorization", "Bearer abcdef"),
            ("cookie", "a=1; b=2"),
            ("content-type", "application/json"),
        ],
    );
    let answered = head(
        Some(200),
        &[
            ("set-cookie", "sid=s3cret; Path=/; HttpOnly"),
            ("content-type", "text/plain"),
        ],
    );
    test.plain(1, &stated(9, &asked, true));
    test.plain(1, &stated(9, &answered, false));
    test.plain(1, &body(9, Direction::ToClient, &[b'x'; 60]));
    test.plain(1, &end(9, 200));
    // The request's body ends behind the response's.
    test.plain(1, &body(9, Direction::ToOrigin, br#"{"password":"hunter2"}"#));
    test.har.ended(1);
    let files = test.finish();
    let [file] = &files[..] else { panic!("{files:?}") };
    assert!(
        !file.to_string().contains("hunter2") && !file.to_string().contains("s3cret"),
        "{file}"
    );
    let entry = &file["log"]["entries"][0];
    let (request, response) = (&entry["request"], &entry["response"]);
    for (value, wanted) in [
        (&entry["startedDateTime"], "2023-11-14T22:13:20.123Z"),
        (&entry["connection"], "1"),
        (&entry["_client"], "192.0.2.1"),
        (&entry["_instance"], test.har.instance.as_str()),
        (&entry["serverIPAddress"], "192.0.2.7"),
        (&request["method"], "POST"),
        (&request["url"], "https://example.com/a?token=****&x=1"),
        (&request["httpVersion"], "HTTP/1.1"),
        (&request["queryString"][0]["value"], "****"),
        (&request["headers"][1]["value"], "Bearer ****"),
        (&request["cookies"][1]["name"], "b"),
        (&request["cookies"][1]["value"], "****"),
        (&request["postData"]["mimeType"], "application/json"),
        (&request["postData"]["text"], r#"{"password":"****"}"#),
        (&response["statusText"], "OK"),
        (&response["cookies"][0]["path"], "/"),
        (&response["content"]["text"], &"x".repeat(50)),
        (&response["content"]["comment"], "cut after 50 bytes"),
        (&entry["comment"], "the response's body is cut after 50 bytes"),
    ] {
        assert_eq!(value, wanted, "{entry:#}");
    }
    for (value, wanted) in [
        (&entry["time"], 50.0),
        (&entry["timings"]["wait"], 20.0),
        (&entry["timings"]["receive"], 30.0),
        (&entry["timings"]["dns"], -1.0),
        (&request["bodySize"], 22.0),
        (&response["status"], 200.0),
        (&response["bodySize"], 60.0),
        (&response["content"]["size"], 60.0),
    ] {
        assert_eq!(value.as_f64(), Some(wanted), "{entry:#}");
    }
    assert_eq!(test.metric("wsbump_record_entries_total"), 1.0);
    assert_eq!(test.metric("wsbump_record_files_total"), 1.0);
    assert_eq!(
        test.metric("wsbump_record_kept_bytes"),
        0.0,
        "nothing is kept of what is written"
    );
}

#[test]
fn an_exchange_that_the_proxy_answered_or_that_broke_off_says_so() {
    let test = Test::new(|_| {});
    test.plain(1, &stated(1, &head(None, &[]), true));
    test.plain(
        1,
        &RecordedContent::End {
            exchange: 1,
            wait: Duration::ZERO,
            total: Duration::ZERO,
            status: Some(StatusCode::FORBIDDEN),
            error: Some((
                "content_refused",
                Some("the rule \"cards\" does not let this pass"),
            )),
        },
    );
    test.plain(1, &stated(2, &head(None, &[]), false));
    test.plain(
        1,
        &stated(2, &head(Some(200), &[("content-encoding", "gzip")]), false),
    );
    test.har.ended(1);
    let files = test.finish();
    let entries = &files[0]["log"]["entries"];
    assert_eq!(entries[0]["response"]["status"], 403);
    assert_eq!(
        entries[0]["comment"],
        "answered by the proxy; content_refused: the rule \"cards\" does not let this pass"
    );
    assert_eq!(entries[1]["response"]["status"], 200);
    assert_eq!(entries[1]["comment"], "the connection ended first");
}

#[test]
fn a_handshake_that_came_to_nothing_is_no_websocket() {
    let test = Test::new(|_| {});
    test.state(1, &stated(1, &head(None, &[]), false));
    test.state(1, &stated(1, &head(Some(101), &[]), false));
    test.state(
        1,
        &RecordedContent::End {
            exchange: 1,
            wait: Duration::ZERO,
            total: Duration::ZERO,
            status: Some(StatusCode::BAD_GATEWAY),
            error: Some(("bad_upgrade_response", None)),
        },
    );
    test.har.ended(1);
    let entry = &test.finish()[0]["log"]["entries"][0];
    assert_eq!(entry["response"]["status"], 502);
    assert_eq!(entry["comment"], "answered by the proxy; bad_upgrade_response");
    assert!(entry["_webSocketMessages"].is_null());
}

#[test]
fn a_websocket_has_its_messages_in_the_order_in_which_they_came() {
    let test = Test::new(|_| {});
    handshake(&test, 1, 1);
    let judgement = Judgement {
        verdict: Ruling::Replace(b"b ***".to_vec()),
        findings: vec![Finding {
            rule: "words".into(),
            action: "redact",
            enforced: true,
            matches: 1,
            excerpt: None,
            detail: None,
        }],
    };
    test.state(1, &message(1, Direction::ToOrigin, b"token=abc"));
    // One that waited for its verdict is stated late.
    test.state(1, &message(3, Direction::ToOrigin, b"c"));
    test.state(
        1,
        &RecordedContent::Message {
            direction: Direction::ToOrigin,
            opcode: Opcode::Binary,
            number: 2,
            at: Duration::from_millis(1_700_000_001_002),
            data: b"b ***",
            size: 5,
            is_whole: true,
            judgement: Some(&judgement),
        },
    );
    test.state(
        1,
        &RecordedContent::Closed {
            at: Duration::from_millis(1_700_000_010_123),
            end: "closed",
            code: Some(1000),
        },
    );
    test.har.ended(1);
    let files = test.finish();
    let entry = &files[0]["log"]["entries"][0];
    assert_eq!(entry["_resourceType"], "websocket");
    assert_eq!(entry["request"]["url"], "wss://example.com/chat?x=1");
    assert_eq!(entry["time"], 10_000.0);
    assert_eq!(
        entry["_webSocketMessages"],
        serde_json::json!([
            {"type": "send", "time": 1_700_000_001.001, "opcode": 1, "data": "token=****"},
            {"type": "send", "time": 1_700_000_001.002, "opcode": 2, "data": "YiAqKio=",
             "_wsbump": {"verdict": "change", "rules": ["words"]}},
            {"type": "send", "time": 1_700_000_001.003, "opcode": 1, "data": "c"},
        ])
    );
    assert_eq!(
        entry["comment"],
        "closed with 1000; rules changed or stopped 1 messages, see their _wsbump"
    );
}

#[test]
fn what_is_beyond_the_limits_is_left_out_and_told() {
    let test = Test::new(|config| config.mask = false);
    handshake(&test, 1, 1);
    for number in 1..=7 {
        test.state(1, &message(number, Direction::ToClient, b"password=p"));
    }
    handshake(&test, 2, 2);
    test.state(2, &message(1, Direction::ToClient, &[b'x'; 101]));
    test.state(2, &message(2, Direction::ToClient, b"y"));
    for connection in [1, 2] {
        test.har.ended(connection);
    }
    let files = test.finish();
    let entry = |at: usize| &files[at]["log"]["entries"][0];
    assert_eq!(entry(0)["_webSocketMessages"].as_array().unwrap().len(), 5);
    assert_eq!(
        entry(0)["_webSocketMessages"][0]["data"],
        "password=p",
        "not masked"
    );
    assert_eq!(
        entry(0)["comment"],
        "its end was not seen; 2 more messages with 20 bytes were left out"
    );
    assert_eq!(
        entry(1)["comment"],
        "its end was not seen; 2 more messages with 102 bytes were left out"
    );
}

#[test]
fn what_does_not_fit_into_memory_is_counted_and_told() {
    let test = Test::new(|config| {
        config.memory_bytes = 5000;
        config.websocket_bytes = 1 << 20;
        config.websocket_messages = 1000;
    });
    handshake(&test, 1, 1);
    for number in 1..=20 {
        test.state(1, &message(number, Direction::ToClient, &[b'x'; 500]));
    }
    test.har.ended(1);
    let files = test.finish();
    let dropped = test.metric("wsbump_record_dropped_total{cause=\"memory\"}");
    let entry = &files[0]["log"]["entries"][0];
    let kept = entry["_webSocketMessages"].as_array().unwrap().len();
    assert!(
        kept >= 4 && dropped >= 10.0 && kept as f64 + dropped == 20.0,
        "{kept} {dropped}"
    );
    let comment = entry["comment"].as_str().unwrap();
    assert!(
        comment.contains(&format!("{dropped} parts of this connection were lost")),
        "{comment}"
    );
    assert_eq!(test.metric("wsbump_record_kept_bytes"), 0.0);
}

#[test]
fn a_window_has_all_connections_and_an_open_websocket_goes_on_in_the_next() {
    let test = Test::new(|config| config.per = Per::Window(Duration::from_millis(200)));
    handshake(&test, 1, 1);
    test.state(1, &message(1, Direction::ToOrigin, b"first"));
    let files = || {
        fs::read_dir(test.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
    };
    let has_first = |path| fs::read_to_string(path).is_ok_and(|text: String| text.contains("first"));
    let is_whole = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "har");
    until(|| files().filter(is_whole).any(has_first));
    test.state(1, &message(2, Direction::ToOrigin, b"second"));
    test.plain(2, &stated(2, &head(None, &[]), false));
    test.plain(2, &end(2, 204));
    test.state(
        1,
        &RecordedContent::Closed {
            at: Duration::from_secs(1_700_000_010),
            end: "idle",
            code: None,
        },
    );
    let files = test.finish();
    let text = serde_json::to_string(&files).unwrap();
    let entries: Vec<&Value> = files
        .iter()
        .flat_map(|file| file["log"]["entries"].as_array().unwrap())
        .collect();
    let said: Vec<&Value> = entries
        .iter()
        .flat_map(|entry| entry["_webSocketMessages"].as_array().into_iter().flatten())
        .map(|message| &message["data"])
        .collect();
    assert_eq!(said, ["first", "second"], "each once, in order");
    assert_eq!(entries[0]["comment"], "still open", "{text}");
    assert!(
        text.contains("goes on from an earlier file; closed (idle)"),
        "{text}"
    );
    assert!(entries.iter().any(|entry| entry["connection"] == "2"), "{text}");
}

/// Asks until it holds.
fn until(mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn websockets_of_one_connection_are_kept_apart() {
    let test = Test::new(|_| {});
    let at = |path: &str| {
        Arc::new(SessionFacts {
            connection: 1,
            path: path.into(),
            ..SessionFacts::clone(&facts())
        })
    };
    let connect = HttpHead {
        method: Method::CONNECT,
        ..head(None, &[])
    };
    let agreed = HttpHead {
        method: Method::CONNECT,
        ..head(Some(200), &[])
    };
    // Two to the same place, and one to another.
    for (exchange, path) in [(1, "/a"), (2, "/a"), (3, "/b")] {
        let handshake = at(path);
        test.har.content(&handshake, &stated(exchange, &connect, false));
        test.har.content(&handshake, &stated(exchange, &agreed, false));
        test.har.content(&handshake, &end(exchange, 200));
    }
    let relays = [at("/a"), at("/a"), at("/b")];
    for (number, text) in [(1, b"x"), (2, b"y")] {
        for (index, relay) in relays.iter().enumerate() {
            let data = [text[0], b'0' + index as u8];
            test.har
                .content(relay, &message(number, Direction::ToClient, &data));
        }
    }
    test.har.ended(1);
    let entries = test.finish()[0]["log"]["entries"].as_array().unwrap().clone();
    let mut said: Vec<String> = entries
        .iter()
        .map(|entry| {
            let messages = entry["_webSocketMessages"].as_array().unwrap();
            messages
                .iter()
                .map(|message| message["data"].as_str().unwrap())
                .collect()
        })
        .collect();
    said.sort();
    assert_eq!(said, ["x0y0", "x1y1", "x2y2"]);
}

#[test]
fn a_websocket_whose_handshake_was_before_the_recording_is_known_by_its_facts() {
    let test = Test::new(|_| {});
    test.state(1, &message(1, Direction::ToClient, b"hello"));
    let files = test.finish();
    let entry = &files[0]["log"]["entries"][0];
    assert_eq!(entry["request"]["url"], "wss://example.com/chat?x=1");
    assert_eq!(entry["request"]["headers"][0]["value"], "https://example.com");
    assert_eq!(
        entry["comment"],
        "recording began after the handshake, whose heads are not known; the recording ended first; its end was not seen"
    );
    assert_eq!(entry["_webSocketMessages"][0]["type"], "receive");
}

#[test]
fn the_oldest_files_go_and_another_configuration_takes_over() {
    let test = Test::new(|_| {});
    for connection in 1..=5 {
        handshake(&test, connection, connection);
        test.state(connection, &message(1, Direction::ToClient, b"x"));
        test.har.ended(connection);
    }
    // Nothing changes where nothing has changed.
    test.har.configure(Some(&config(test.folder.path()))).unwrap();
    handshake(&test, 6, 6);
    test.har.configure(None).unwrap();
    until(|| test.metric("wsbump_record_files_total") == 6.0);
    assert_eq!(test.metric("wsbump_record_enabled"), 0.0);
    assert_eq!(fs::read_dir(test.folder.path()).unwrap().count(), 3);
    handshake(&test, 7, 7);
    assert!(test.har.finish(LONG), "nothing is recorded any more");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_counted() {
    let test = Test::new(|config| config.directory = "/nonexistent".into());
    handshake(&test, 1, 1);
    test.state(1, &message(1, Direction::ToClient, b"x"));
    test.har.ended(1);
    assert!(test.har.finish(LONG));
    assert_eq!(
        test.metric("wsbump_record_dropped_total{cause=\"write_error\"}"),
        1.0
    );
}
