//! Streams that break off and go on, samples of what is too much, and files of what was watched.

use crate::harness::clients::{Client, curl};
use crate::harness::live::{Talk, Watcher, ask, get, socket};
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::{scratch, until};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// The ids of the events so far.
fn ids(watcher: &Watcher) -> Vec<String> {
    let all = watcher.all();
    let ids = all.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.map(str::to_owned).collect()
}

/// The messages' texts so far, with the count of those that were lost in their place.
fn told(watcher: &Watcher) -> Vec<String> {
    let all = watcher.all();
    let events = all.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = events.map(|data| serde_json::from_str::<Value>(data).unwrap());
    let told = events.filter_map(|event| match event["type"].as_str()? {
        "message" => Some(event["text"].as_str()?.to_owned()),
        "lost" => Some(format!("lost {}", event["events"])),
        _ => None,
    });
    told.collect()
}

fn watching(proxy: &Proxy) -> u64 {
    get(proxy, "state")["watching"].as_u64().unwrap()
}

#[test]
fn who_comes_back_reads_on_where_they_have_stopped() {
    let proxy = Setup::new().config("log = { audit = 'audit.log' }").start();
    let asked = json!({ "topics": ["messages"], "direction": "to_client", "keep_seconds": 60 });
    let first = Watcher::start(&proxy, &asked);
    let mut talk = Talk::open(&proxy, "/echo", "none");
    for word in ["one", "two", "three"] {
        talk.say(word);
    }
    until("three events", || (ids(&first).len() == 3).then_some(()));
    let seen = ids(&first);
    drop(first);
    talk.say("four");
    // Of what came it has read two: the rest is sent again, with what has come meanwhile.
    let second = Watcher::resume(&proxy, &asked, Some(&seen[1]));
    talk.say("five");
    until("all", || {
        (told(&second) == ["three", "four", "five"]).then_some(())
    });
    assert!(second.all().contains(r#""resumed":true"#), "{}", second.all());
    // While it is still there for another, who takes it over.
    let third = Watcher::resume(&proxy, &asked, ids(&second).last().map(String::as_str));
    talk.say("six");
    until("the last", || (told(&third) == ["six"]).then_some(()));
    assert!(!told(&second).contains(&"six".to_owned()));
    assert_eq!(watching(&proxy), 1, "it is one stream");

    // Who asks for something else, or names what nobody knows, begins anew and is told so.
    let last = ids(&third).last().unwrap().clone();
    for (asked, last) in [
        (
            json!({ "topics": ["messages"], "keep_seconds": 60 }),
            last.as_str(),
        ),
        (asked.clone(), "00000000000000000000000000000000.1"),
        (asked.clone(), "7"),
    ] {
        let other = Watcher::resume(&proxy, &asked, Some(last));
        assert!(other.all().contains(r#""resumed":false"#), "{}", other.all());
    }
    let audit = fs::read_to_string(proxy.folder().join("audit.log")).unwrap();
    let resumed = audit
        .lines()
        .filter(|line| line.contains(r#""type":"view","#) && line.contains(r#""resumed":true"#));
    assert_eq!(resumed.count(), 2, "each look is written down: {audit}");
    talk.close();
}

#[test]
fn who_has_been_away_for_too_much_is_told_how_much() {
    // Without a mask, which takes its time where nothing is optimised.
    let proxy = Setup::new()
        .config("log = { audit = 'audit.log' }\nview = { raw = true }")
        .start();
    let asked = json!({ "topics": ["messages"], "direction": "to_client", "keep_seconds": 60, "raw": true, "reason": "test" });
    let first = Watcher::start(&proxy, &asked);
    let mut talk = Talk::open(&proxy, "/echo", "none");
    talk.say("begin");
    until("an event", || ids(&first).first().cloned());
    let begin = ids(&first)[0].clone();
    let long = "x".repeat(60_000);
    // Each its own, so that each is waited for.
    for number in 0..30 {
        talk.say(&format!("{number} {long}"));
    }
    until("all that was sent", || (ids(&first).len() == 31).then_some(()));
    drop(first);
    for number in 100..200 {
        talk.say(&format!("{number} {long}"));
    }
    let second = Watcher::resume(&proxy, &asked, Some(&begin));
    talk.say("end");
    let told = until("the end", || {
        let told = told(&second);
        (told.last()? == "end").then_some(told)
    });
    let lost = |told: &String| {
        told.strip_prefix("lost ")
            .and_then(|number| number.parse::<u64>().ok())
    };
    let (seen, lost): (usize, Vec<u64>) = (
        told.iter().filter(|it| lost(it).is_none()).count(),
        told.iter().filter_map(lost).collect(),
    );
    assert_eq!(
        lost.len(),
        2,
        "of what was sent already, and of what has waited: {lost:?}"
    );
    assert_eq!(seen as u64 + lost.iter().sum::<u64>(), 131, "{seen} {lost:?}");
    talk.close();
}

#[test]
fn a_stream_is_kept_for_nobody_who_does_not_ask_for_it() {
    let proxy = Proxy::start();
    for asked in [json!({}), json!({ "keep_seconds": 1 })] {
        drop(Watcher::start(&proxy, &asked));
        until("nobody watches", || (watching(&proxy) == 0).then_some(()));
    }
}

#[test]
fn a_sample_says_what_it_leaves_out() {
    let proxy = Proxy::start();
    let watcher = Watcher::start(
        &proxy,
        &json!({ "topics": ["messages"], "sample": 10, "at_least": 2 }),
    );
    let mut talk = Talk::open(&proxy, "/echo", "none");
    for number in 10..20 {
        talk.say(&format!("{number}"));
        talk.say("x");
    }
    // A look at what was left out comes within seconds.
    let all = until("what was skipped", || {
        let all = watcher.all();
        all.contains(r#""events":18,"type":"skipped""#).then_some(all)
    });
    assert_eq!(
        all.matches(r#""type":"message""#).count(),
        2,
        "one of ten of twenty: {all}"
    );
    talk.close();
}

#[test]
fn what_a_kept_stream_left_out_is_told_again() {
    let proxy = Proxy::start();
    let asked = json!({ "topics": ["messages"], "sample": 10, "at_least": 2, "keep_seconds": 60 });
    let first = Watcher::start(&proxy, &asked);
    let mut talk = Talk::open(&proxy, "/echo", "none");
    for number in 10..15 {
        talk.say(&format!("{number}"));
    }
    // Of ten messages the first is shown; looks at what was left out come within seconds, and may be two.
    let skipped = |watcher: &Watcher| {
        let all = watcher.all();
        let events = all.lines().filter_map(|line| line.strip_prefix("data: "));
        let events = events.map(|data| serde_json::from_str::<Value>(data).unwrap());
        let skipped = events.filter(|event| event["type"] == "skipped");
        skipped
            .map(|event| event["events"].as_u64().unwrap())
            .sum::<u64>()
    };
    until("what was skipped", || (skipped(&first) == 9).then_some(()));
    let seen = ids(&first);
    assert!(seen.len() >= 2, "each has an id: {seen:?}");
    drop(first);
    // Its client says that it has the message alone: it gets what was said behind that again.
    let second = Watcher::resume(&proxy, &asked, Some(&seen[0]));
    until("what was skipped", || (skipped(&second) == 9).then_some(()));
    assert!(second.all().contains(r#""resumed":true"#), "{}", second.all());
    assert_eq!(ids(&second), seen[1..].to_vec());
    drop(second);
    // A number that no event has yet, the last that there is.
    let name = seen[0].rsplit_once('.').unwrap().0;
    let last = format!("{name}.{}", u64::MAX);
    let third = Watcher::resume(&proxy, &asked, Some(&last));
    assert!(third.all().contains(r#""resumed":true"#), "{}", third.all());
    assert_eq!(ids(&third), [""; 0]);
    talk.close();
}

/// What the interface answers with, as a file.
fn export(proxy: &Proxy, asked: &Value, meanwhile: impl FnOnce()) -> (String, Vec<u8>) {
    let folder = scratch();
    let (head, body) = (folder.path().join("head"), folder.path().join("body"));
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--max-time", "60", "--unix-socket"])
        .arg(socket(proxy));
    curl.arg("--dump-header").arg(&head).arg("--output").arg(&body);
    curl.args([
        "--header",
        "content-type: application/json",
        "--data",
        &asked.to_string(),
    ]);
    let before = watching(proxy);
    let mut child = curl.arg("http://localhost/api/v1/events").spawn().unwrap();
    until("it watches", || (watching(proxy) > before).then_some(()));
    meanwhile();
    assert!(child.wait().unwrap().success());
    (
        fs::read_to_string(head).unwrap().to_ascii_lowercase(),
        fs::read(body).unwrap(),
    )
}

#[test]
fn what_is_watched_can_be_kept_as_lines_and_as_a_har_file() {
    let proxy = Setup::new().config("log = { audit = 'audit.log' }").start();
    let pass = || {
        let mut talk = Talk::open(&proxy, "/echo?ticket=hunter2", "deflate");
        talk.say(r#"{"password":"hunter2"}"#);
        talk.close();
        let url = origins::aiohttp().url("https", "/echo?api_key=hunter2");
        let asked = curl(
            Some(&proxy.url()),
            &proxy.ca,
            &[
                "--header",
                "X-My-Key: hunter2",
                "--data",
                "password=hunter2",
                &url,
            ],
        );
        assert_eq!(asked.status, 200, "{}", asked.text);
    };
    let asked = json!({ "topics": ["messages", "websockets", "bodies"], "seconds": 8, "format": "lines" });
    let (head, lines) = export(&proxy, &asked, pass);
    assert!(head.contains("content-type: application/octet-stream"), "{head}");
    assert!(
        head.contains("content-disposition: attachment; filename=\"wsbump.jsonl\""),
        "{head}"
    );
    assert!(head.contains("x-content-type-options: nosniff"), "{head}");
    let lines = String::from_utf8(lines).unwrap();
    let kinds: Vec<_> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["type"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    for kind in [
        "websocket_opened",
        "message",
        "websocket_closed",
        "request_head",
        "response_head",
        "body",
        "exchange_ended",
    ] {
        assert!(kinds.iter().any(|it| it == kind), "{kind}: {lines}");
    }
    let (head, har) = export(
        &proxy,
        &json!({ "topics": ["messages", "websockets", "bodies"], "seconds": 8, "format": "har" }),
        pass,
    );
    assert!(head.contains("filename=\"wsbump.har\""), "{head}");
    let text = String::from_utf8(har.clone()).unwrap();
    assert!(!text.contains("hunter2") && !lines.contains("hunter2"), "{text}");

    // What others hold to be a HAR file.
    let folder = scratch();
    let file = folder.path().join("watched.har");
    fs::write(&file, har).unwrap();
    Client::new("check_har.mjs").with("har", &file).run();
    let found: Value = serde_json::from_str(&text).unwrap();
    let entries = found["log"]["entries"].as_array().unwrap();
    let socket = entries
        .iter()
        .find(|it| it["_resourceType"] == "websocket")
        .unwrap();
    assert_eq!(
        socket["_webSocketMessages"].as_array().unwrap().len(),
        2,
        "{socket}"
    );
    assert!(socket["comment"].as_str().unwrap().contains("1000"), "{socket}");
    let exchange = entries
        .iter()
        .find(|it| it["request"]["method"] == "POST")
        .unwrap();
    assert_eq!(
        (
            &exchange["response"]["status"],
            &exchange["request"]["postData"]["text"]
        ),
        (&json!(200), &json!("password=****")),
        "{exchange}"
    );
    assert!(exchange["time"].as_f64().unwrap() > 0.0, "{exchange}");

    let audit = fs::read_to_string(proxy.folder().join("audit.log")).unwrap();
    for word in [
        r#""type":"export""#,
        r#""type":"export_ended""#,
        r#""format":"har""#,
        r#""format":"lines""#,
    ] {
        assert!(audit.contains(word), "{word}: {audit}");
    }
    assert!(
        !audit.contains(r#""type":"view""#),
        "it is an act of its own: {audit}"
    );
}

#[test]
fn no_line_no_file() {
    let proxy = Setup::new().config("log = { audit = '/dev/full' }").start();
    for (path, asked) in [
        (
            "events",
            json!({ "topics": ["messages"], "format": "lines", "seconds": 1 }),
        ),
        ("exports", json!({ "format": "har", "events": 1 })),
        ("login", json!({})),
    ] {
        let (status, answer) = ask(&proxy, path, Some(&asked));
        assert_eq!(status, 503, "{path}: {answer}");
    }
}
