//! Recordings of real traffic, read by programs that others wrote.

use crate::harness::clients::{Client, curl};
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::tls;
use crate::harness::recorder::Recorder;
use crate::harness::until;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// A proxy that records into `records` beside its configuration.
fn recording(more: &str) -> Setup {
    let setup = Setup::new().folder("records");
    setup.config("record = { directory = 'records' }").config(more)
}

/// The files that are whole by now.
fn files(proxy: &Proxy) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(proxy.folder().join("records"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "har"))
        .collect();
    files.sort();
    files
}

fn read(path: &PathBuf) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// All entries once `count` of them are written; every file is held against the schema, and readable by us alone.
fn entries(proxy: &Proxy, count: usize) -> Vec<Value> {
    let found = until(&format!("{count} entries"), || {
        let found: Vec<Value> = files(proxy).iter().flat_map(all_of).collect();
        (found.len() >= count).then_some(found)
    });
    for file in files(proxy) {
        let checked = Client::new("check_har.mjs").with("har", &file).run();
        assert!(checked["entries"].as_u64() > Some(0), "{checked}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    found
}

fn all_of(file: &PathBuf) -> Vec<Value> {
    read(file)["log"]["entries"].as_array().unwrap().clone()
}

/// `(type, data)` of each message.
fn said(entry: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let messages = entry["_webSocketMessages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| (text(&message["type"]), text(&message["data"])))
        .collect()
}

/// A conversation over `websockets`; each line is said and comes back.
struct Talk(Process);

impl Talk {
    fn open(proxy: &Proxy, compression: &str) -> Self {
        let client = Client::new("client_websockets.py")
            .with("mode", "dialogue")
            .with("url", origins::websockets().url("wss", "/echo?ticket=hunter2"))
            .with("proxy", proxy.url())
            .with("compression", compression)
            .with("ca", &proxy.ca);
        let process = client.start();
        process.out("open", |line| line.contains("\"open\": true").then_some(()));
        Self(process)
    }

    /// Says it, and waits for what comes back.
    fn say(&mut self, line: &str, back: &str) {
        self.0.say(line);
        self.0.out(back, |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["got"] == back).then_some(())
        });
    }

    fn close(mut self) {
        self.0.say("");
        self.0
            .out("the end", |line| line.contains("\"code\": 1000").then_some(()));
    }
}

const CARD: &str = "pay 4111 1111 1111 1111";

fn a_conversation(compression: &str) {
    let proxy = recording("").start();
    let mut talk = Talk::open(&proxy, compression);
    talk.say("hello", "hello");
    talk.say("fragments one two", "onetwo");
    talk.0.say("ping");
    talk.say("Gr\u{fc}\u{df}e \u{1f980}", "Gr\u{fc}\u{df}e \u{1f980}");
    talk.say(CARD, CARD);
    talk.close();
    let [entry] = &entries(&proxy, 1)[..] else {
        panic!("one entry")
    };
    let expected = ["hello", "onetwo", "Gr\u{fc}\u{df}e \u{1f980}", "pay ****"];
    let expected: Vec<(String, String)> = expected
        .iter()
        .flat_map(|text| [("send", text), ("receive", text)])
        .map(|(way, text)| (way.to_owned(), (*text).to_owned()))
        .collect();
    assert_eq!(said(entry), expected);
    let port = origins::websockets().port;
    assert_eq!(
        entry["request"]["url"],
        format!("wss://origin.test:{port}/echo?ticket=****")
    );
    assert_eq!(entry["serverIPAddress"], "127.0.0.1");
    assert_eq!(entry["comment"], "closed with 1000");
    let line = proxy.log("websocket", |_| true);
    assert_eq!(entry["connection"], line["connection"].to_string());
    let accept = |entry: &Value| {
        entry["response"]["headers"]
            .to_string()
            .contains("sec-websocket-accept")
    };
    assert!(accept(entry), "{entry}");
    assert_eq!(line["messages_to_origin"], 4, "{line}");
    assert_eq!(line["extensions"].is_string(), compression == "deflate", "{line}");
    proxy.metric("wsbump_record_kept_bytes", &[], 0.0);
    // Nobody judged, and nothing counts as if somebody had.
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum("wsbump_inspect_blind_total", &[]), 0.0);
}

#[test]
fn a_websocket_is_recorded_as_its_ends_read_it() {
    a_conversation("none");
}

#[test]
fn a_websocket_that_compresses_is_recorded_as_its_ends_read_it() {
    a_conversation("deflate");
}

/// Everything of RFC 6455, once as it is and once deflated.
fn suites(proxy: &Proxy) {
    for compression in ["none", "deflate"] {
        let suite = Client::new("client_websockets.py")
            .with("mode", "suite")
            .with("url", origins::websockets().url("wss", "/echo"))
            .with("proxy", proxy.url())
            .with("compression", compression)
            .with("ca", &proxy.ca)
            .run();
        assert_eq!(suite["code"], 4321, "{suite}");
    }
}

#[test]
fn the_whole_of_rfc_6455_passes_under_a_recording() {
    let proxy = recording("record = { websocket_bytes = '64MiB' }").start();
    suites(&proxy);
    for entry in entries(&proxy, 2) {
        let said = said(&entry);
        assert_eq!(said.len(), 2 * 219, "{}", entry["comment"]);
        let of = |way: &str| -> Vec<String> {
            let these = said.iter().filter(|(is, _)| is == way);
            these.map(|(_, data)| data.clone()).collect()
        };
        assert_eq!(of("send"), of("receive"), "the echo of each, in order");
        assert_eq!(entry["comment"], "closed with 4321");
    }
}

#[test]
fn requests_and_responses_are_entries_that_others_can_read() {
    let proxy = recording("record = { body_bytes = '2KiB' }").start();
    let url = |path: &str| origins::aiohttp().url("https", path);
    let proxied = proxy.url();
    let ask = |arguments: &[&str]| curl(Some(&proxied), &proxy.ca, arguments);
    let sent = ask(&[
        "--data",
        "user=a&password=hunter2",
        "--user",
        "a:hunter2",
        "--cookie",
        "sid=hunter2; lang=de",
        &url("/echo?access_token=hunter2&x=1"),
    ]);
    assert!(
        sent.text.ends_with("user=a&password=hunter2"),
        "not a byte is changed: {}",
        sent.text
    );
    assert_eq!(ask(&[&url("/chunked")]).status, 200);
    assert_eq!(ask(&["--head", &url("/headers")]).status, 200);
    assert_eq!(ask(&[&url("/status/204")]).status, 204);
    let large = "x".repeat(5000);
    assert_eq!(ask(&["--data", &large, &url("/echo")]).status, 200);
    let plain = origins::plain_aiohttp().url("http", "/chunked");
    assert_eq!(ask(&[&plain]).status, 200);
    let nginx = origins::nginx().url("https", "/1m");
    assert_eq!(ask(&["--output", "/dev/null", &nginx]).code, 0);
    let mut entries = entries(&proxy, 7);
    let text = serde_json::to_string(&entries).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    entries.sort_by_key(|entry| entry["startedDateTime"].to_string());
    let [echo, chunked, head, empty, cut, forwarded, binary] = &entries[..] else {
        panic!("{} entries", entries.len())
    };
    assert_eq!(echo["request"]["postData"]["text"], "user=a&password=****");
    assert_eq!(echo["request"]["bodySize"], 23);
    assert_eq!(echo["request"]["queryString"][1]["value"], "1");
    assert_eq!(echo["request"]["cookies"][1]["name"], "lang");
    assert_eq!(echo["response"]["content"]["text"], "user=a&password=****");
    assert!(echo["timings"]["wait"].as_f64() > Some(0.0), "{echo}");
    assert_eq!(chunked["response"]["content"]["text"], "one\ntwo\nthree\n");
    assert_eq!(head["response"]["bodySize"], 0);
    assert_eq!(
        (
            &empty["response"]["status"],
            &empty["response"]["content"]["size"]
        ),
        (&204.into(), &0.into())
    );
    assert_eq!(
        cut["request"]["postData"]["text"].as_str().map(str::len),
        Some(2048)
    );
    assert_eq!(
        cut["comment"],
        "the request's body is cut after 2048 bytes; the response's body is cut after 2048 bytes"
    );
    assert_eq!(forwarded["request"]["url"], plain.as_str());
    assert_eq!(forwarded["serverIPAddress"], "127.0.0.1");
    assert_eq!(binary["response"]["content"]["encoding"], "base64");
    assert_eq!(binary["response"]["content"]["size"], 1 << 20);

    for file in files(&proxy) {
        let read = Client::new("read_har.py").with("har", &file).run();
        let ours = all_of(&file);
        for (theirs, ours) in read["entries"].as_array().unwrap().iter().zip(&ours) {
            assert_eq!(theirs["url"], ours["request"]["url"]);
            assert_eq!(theirs["status"], ours["response"]["status"]);
            assert_eq!(theirs["method"], ours["request"]["method"]);
            assert_eq!(theirs["address"], ours["serverIPAddress"]);
            assert_eq!(theirs["text"], ours["response"]["content"]["text"]);
        }
    }
}

#[test]
fn compressed_bodies_are_recorded_as_they_are_read() {
    let proxy = recording("record = { body_bytes = '1KiB' }").start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    let gzip = |text: &str| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap()
    };
    let mut origin = None;
    for text in ["short", &"long ".repeat(10_000)] {
        let ask = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target());
        client.send(ask.as_bytes());
        let origin = origin.get_or_insert_with(|| recorder.accept());
        origin.head().expect("a request");
        let body = gzip(text);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        origin.send([head.as_bytes(), &body].concat());
        assert_eq!(client.answer().body, body, "as it came");
    }
    drop((client, origin));
    let entries = entries(&proxy, 2);
    let content = |at: usize| &entries[at]["response"]["content"];
    assert_eq!(content(0)["text"], "short");
    assert_eq!(content(0)["size"], 5);
    let packed = entries[0]["response"]["bodySize"].as_i64().unwrap();
    assert_eq!(content(0)["compression"], 5 - packed);
    let shown = content(1)["text"].as_str().unwrap();
    assert!(
        shown.len() == 1024 && "long ".repeat(300).starts_with(shown),
        "{shown}"
    );
    assert_eq!(
        entries[1]["comment"],
        "the response's body is cut after 1024 bytes"
    );
}

#[test]
fn an_exchange_that_breaks_off_is_recorded_with_what_came() {
    // Whether a client that has ended its stream is gone shows only when nothing moves.
    let proxy = recording("timeouts = { http_idle = '1s', response = '1s' }").start();
    let url = origins::own_aiohttp();
    let cut = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &["--max-time", "1", &url.url("https", "/slow")],
    );
    assert_eq!(cut.code, 28, "{}", cut.verbose);
    let entry = &entries(&proxy, 1)[0];
    assert_eq!(entry["response"]["content"]["text"], "first ");
    assert_eq!(entry["response"]["bodySize"], 6);
    assert_eq!(entry["comment"], "client_aborted");
}

#[test]
fn test_rules_reads_a_recording() {
    let proxy = recording("").start();
    let mut talk = Talk::open(&proxy, "deflate");
    talk.say("about kestrel", "about kestrel");
    talk.close();
    entries(&proxy, 1);
    let rules = proxy.folder().join("rules.toml");
    fs::write(
        &rules,
        "[[rule]]\nname = 'words'\naction = 'drop'\nkeywords = ['kestrel']\n",
    )
    .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_wsbump"))
        .arg("test-rules")
        .arg(&rules)
        .arg("--har")
        .arg(&files(&proxy)[0])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("4 judged: rules fired on 2"),
        "two heads, two messages: {text}"
    );
}

#[test]
fn what_rules_change_and_stop_is_recorded_as_it_went_on() {
    let rules = r##"
        [[inspect.rule]]
        name = "words"
        mode = "enforce"
        action = "redact"
        with = "#"
        direction = "to_origin"
        keywords = ["kestrel"]
        [[inspect.rule]]
        name = "dropped"
        mode = "enforce"
        action = "drop"
        keywords = ["leave this out"]
    "##;
    for compression in ["none", "deflate"] {
        let proxy = recording(rules).start();
        let mut talk = Talk::open(&proxy, compression);
        talk.0.say("leave this out");
        talk.say("about kestrel", "about #");
        talk.close();
        let url = origins::aiohttp().url("https", "/echo");
        let ask = |data: &str| curl(Some(&proxy.url()), &proxy.ca, &["--data", data, &url]).status;
        assert_eq!((ask("of kestrel"), ask("leave this out")), (200, 403));
        let entries = entries(&proxy, 3);
        let text = serde_json::to_string(&entries).unwrap();
        assert!(
            !text.contains("kestrel") && !text.contains("leave this out"),
            "{text}"
        );
        let socket = entries
            .iter()
            .find(|entry| entry["_resourceType"] == "websocket")
            .unwrap();
        let messages = &socket["_webSocketMessages"];
        assert_eq!(messages[0]["_wsbump"]["verdict"], "drop", "{messages}");
        assert_eq!(messages[0]["_wsbump"]["rules"], serde_json::json!(["dropped"]));
        assert_eq!(messages[0]["_wsbump"]["size"], 14);
        assert_eq!(messages[1]["data"], "about #");
        assert_eq!(messages[1]["_wsbump"]["verdict"], "change");
        assert_eq!(messages[2]["data"], "about #");
        assert!(messages[2]["_wsbump"].is_null());
        let with = |status: u64| {
            entries
                .iter()
                .find(|entry| entry["response"]["status"] == status)
                .unwrap()
        };
        assert_eq!(with(200)["request"]["postData"]["text"], "of #");
        assert_eq!(with(200)["response"]["content"]["text"], "of #");
        let comment = with(403)["comment"].as_str().unwrap();
        assert!(
            comment.contains("drop by dropped") && comment.contains("answered by the proxy"),
            "{comment}"
        );
    }
}

#[test]
fn a_reload_begins_and_ends_a_recording_under_an_open_websocket() {
    let mut proxy = Setup::new()
        .folder("records")
        .file("elsewhere", "elsewhere.test\n")
        .config("list = [{ name = 'elsewhere', file = 'elsewhere', format = 'domains' }]")
        .start();
    let reload = |proxy: &mut Proxy, change: &str, enabled: f64| {
        let before = proxy
            .metrics()
            .sum("wsbump_config_reloads_total", &[("result", "success")]);
        proxy.rewrite_config(change);
        proxy.metric(
            "wsbump_config_reloads_total",
            &[("result", "success")],
            before + 1.0,
        );
        proxy.metric("wsbump_record_enabled", &[], enabled);
    };
    let mut talk = Talk::open(&proxy, "none");
    talk.say("1 before", "1 before");
    reload(
        &mut proxy,
        "record = { directory = 'records', hosts = ['elsewhere'] }",
        1.0,
    );
    talk.say("2 another host alone", "2 another host alone");
    reload(&mut proxy, "record = { hosts = [] }", 1.0);
    talk.say("3 during", "3 during");
    reload(
        &mut proxy,
        "record = { hosts = ['elsewhere'], except_hosts = ['elsewhere'] }",
        1.0,
    );
    talk.say("4 not any more", "4 not any more");
    talk.close();
    let entry = &entries(&proxy, 1)[0];
    let during = ["send", "receive"].map(|way| (way.to_owned(), "3 during".to_owned()));
    assert_eq!(said(entry), during);
    let comment = entry["comment"].as_str().unwrap();
    assert!(comment.contains("began after the handshake"), "{comment}");
    let url = entry["request"]["url"].as_str().unwrap();
    assert!(
        url.starts_with("wss://origin.test:") && url.ends_with("ticket=****"),
        "{url}"
    );
    proxy.process().err("a warning", |line| {
        line.contains("record.directory: content is recorded")
            .then_some(())
    });
}

#[test]
fn the_end_of_the_process_writes_what_is_open_and_windows_hold_all_connections() {
    let proxy = recording("record = { per = 'window', window = '365d' }").start();
    let mut talk = Talk::open(&proxy, "deflate");
    talk.say("hello", "hello");
    let url = origins::aiohttp().url("https", "/chunked");
    assert_eq!(curl(Some(&proxy.url()), &proxy.ca, &[&url]).status, 200);
    proxy.metric("wsbump_record_entries_total", &[], 1.0);
    assert_eq!(files(&proxy).len(), 0, "the window is open");
    proxy.process().signal("TERM");
    let folder = proxy.folder().join("records");
    until("the window's file", || {
        let entries = fs::read_dir(&folder).ok()?;
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .find(|name| name.ends_with("-window.har"))
    });
    let entries = entries(&proxy, 2);
    assert_eq!(files(&proxy).len(), 1);
    let socket = entries
        .iter()
        .find(|entry| entry["_resourceType"] == "websocket")
        .unwrap();
    assert_eq!(said(socket).len(), 2);
    assert_eq!(socket["comment"], "closed with 1001 (drained)");
    assert!(proxy.terminate_after_signal().status.success());
}

#[test]
fn a_short_window_ends_while_its_websocket_goes_on() {
    let proxy = recording("record = { per = 'window', window = '1s', websocket_messages = 2 }").start();
    let mut talk = Talk::open(&proxy, "deflate");
    for word in ["a", "b", "c"] {
        talk.say(word, word);
    }
    let first = entries(&proxy, 1);
    assert_eq!(first[0]["_resourceType"], "websocket");
    talk.say("later", "later");
    talk.close();
    let last = until("the last entry", || {
        let found: Vec<Value> = files(&proxy).iter().flat_map(all_of).collect();
        found.into_iter().find(|entry| {
            entry["comment"]
                .as_str()
                .is_some_and(|text| text.contains("closed with 1000"))
        })
    });
    let comment = last["comment"].as_str().unwrap();
    assert!(comment.starts_with("goes on from an earlier file"), "{comment}");
    let all = entries(&proxy, 2);
    let text = serde_json::to_string(&all).unwrap();
    assert!(text.contains("still open"), "{text}");
    assert!(text.contains("more messages with"), "{text}");
    assert!(all.iter().all(|entry| said(entry).len() <= 2), "{text}");
}

#[test]
fn limits_hold_and_are_told() {
    let limits = "record = { websocket_bytes = '1KiB', memory_bytes = '1MiB', keep = 2 }";
    let proxy = recording(limits).start();
    let long = "x".repeat(600);
    for _ in 0..4 {
        let mut talk = Talk::open(&proxy, "none");
        talk.say(&long, &long);
        talk.close();
    }
    proxy.metric("wsbump_record_files_total", &[], 4.0);
    until("the older files are gone", || {
        (files(&proxy).len() == 2).then_some(())
    });
    for entry in entries(&proxy, 2) {
        assert_eq!(said(&entry).len(), 1);
        assert_eq!(
            entry["comment"],
            "closed with 1000; 1 more messages with 600 bytes were left out"
        );
    }
}

#[test]
fn what_finds_no_memory_passes_all_the_same_and_is_told() {
    let limits = "record = { websocket_bytes = '64MiB', memory_bytes = '1MiB' }";
    let proxy = recording(limits).start();
    let mut talk = Talk::open(&proxy, "none");
    for letter in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        let long = letter.repeat(60_000);
        talk.say(&long, &long);
    }
    talk.close();
    let lost = proxy
        .metrics()
        .sum("wsbump_record_dropped_total", &[("cause", "memory")]);
    let entry = &entries(&proxy, 1)[0];
    let kept = said(entry);
    assert!(kept.len() >= 10 && lost >= 1.0, "{lost}");
    assert_eq!(kept.len() as f64 + lost, 20.0, "each is there or counted");
    let comment = entry["comment"].as_str().unwrap();
    assert!(
        comment.contains(&format!("{lost} parts of this connection were lost")),
        "{comment}"
    );
    // Of what is larger than the memory for copies under way only the size is known.
    suites(&proxy);
    for entry in &entries(&proxy, 3)[1..] {
        let sizes = entry["_webSocketMessages"].as_array().unwrap().iter();
        let sizes: Vec<u64> = sizes
            .filter_map(|message| message["_wsbump"]["size"].as_u64())
            .collect();
        assert_eq!(sizes, [1 << 20; 4], "{}", entry["comment"]);
    }
    proxy.metric("wsbump_record_kept_bytes", &[], 0.0);
}

#[test]
fn streams_of_http2_are_recorded_like_connections_of_http1() {
    let proxy = recording("").start();
    let origin = origins::own_node_h2(&[]);
    let client = Client::new("client_h2.mjs")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .with("mode", "websocket")
        .with("url", origin.url("https", "/ws/reset/8"))
        .start();
    client.out("the end", |line| line.contains("\"reset\":8").then_some(()));
    let url = origins::nginx_h2().url("https", "/");
    let done = curl(Some(&proxy.url()), &proxy.ca, &["--http2", &url]);
    assert!(done.text.starts_with("HTTP/2 200"), "{done:?}");
    let found = entries(&proxy, 2);
    let entry = |scheme: &str| {
        let of = |entry: &&Value| entry["request"]["url"].as_str().unwrap().starts_with(scheme);
        found.iter().find(of).unwrap()
    };
    let (page, socket) = (entry("https:"), entry("wss:"));
    for entry in [page, socket] {
        assert_eq!(entry["request"]["httpVersion"], "HTTP/2.0", "{entry}");
        assert_eq!(entry["serverIPAddress"], "127.0.0.1", "{entry}");
    }
    assert_eq!(page["response"]["status"], 200, "{page}");
    assert!(
        page["response"]["content"]["text"]
            .as_str()
            .unwrap()
            .contains("nginx"),
        "{page}"
    );
    assert_eq!(
        said(socket)[0],
        ("send".to_owned(), "hello".to_owned()),
        "{socket}"
    );
}
