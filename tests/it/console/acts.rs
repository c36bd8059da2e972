//! What people do in front of the console, in real Chromium.

use super::{OPERATOR, VIEWER, Way, at, audit, login, login_line, with_console};
use crate::harness::clients::{Client, chromium_by, curl};
use crate::harness::live::Talk;
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::scratch;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// Somebody with a browser of their own.
struct Person {
    console: Process,
    _home: tempfile::TempDir,
}

impl Person {
    fn start(proxy: &Proxy, mode: &str, url: &str, with: impl FnOnce(Client) -> Client) -> Self {
        let home = scratch();
        let client = chromium_by("console_acts.mjs", home.path(), &proxy.ca)
            .with("kind", "chromium")
            .with("mode", mode)
            .with("url", url);
        Self {
            console: with(client).start(),
            _home: home,
        }
    }

    fn at(&self, place: &str) {
        at(&self.console, place);
    }

    /// What they found, with nothing wrong about the page itself.
    fn found(self) -> Value {
        let done = self.console.finish();
        let found: Value = serde_json::from_str(done.out.last().unwrap()).unwrap();
        assert!(
            done.status.success() && found["problems"] == json!([]),
            "{found:#} {:?}",
            done.err
        );
        found
    }
}

fn somebody(proxy: &Proxy, mode: &str) -> Person {
    Person::start(proxy, mode, &login_line(proxy), |client| client)
}

#[test]
fn the_head_and_the_list_fit_the_windows_that_people_have() {
    let proxy = with_console("");
    let _talk = Talk::open(&proxy, "/echo", "none");
    let found = somebody(&proxy, "head").found();
    for (width, rows) in [("1600", 1), ("1280", 1), ("1024", 1), ("390", 1)] {
        let seen = &found["found"][width];
        assert_eq!(seen["links"], rows, "{width}: {found:#}");
        assert_eq!(
            (&seen["controls"], &seen["beyond"], &seen["pageScrolls"]),
            (&json!(1), &json!(0), &json!(false)),
            "{width}: {found:#}"
        );
        // On narrow windows the pages have a row of their own.
        let most = if width.len() == 4 && width > "1216" {
            56
        } else {
            96
        };
        assert!(seen["height"].as_u64().unwrap() <= most, "{width}: {found:#}");
    }
    assert_eq!(found["found"]["1280"]["listScrolls"], false, "{found:#}");
    assert_eq!(found["host"], found["hint"], "{found:#}");
}

#[test]
fn what_is_copied_does_what_it_says_in_a_shell_and_in_a_configuration() {
    let proxy = with_console("");
    let _talk = Talk::open(&proxy, "/echo", "none");
    let person = somebody(&proxy, "paste");
    person.at("requests");
    let url = origins::aiohttp().url("https", "/echo?a='b'&c=d");
    let body = "it's \"$(touch never)\" `x` \\ ä\nsecond";
    let asked = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[
            "-X",
            "PATCH",
            "-H",
            "Content-Type: text/plain",
            "-H",
            "X-Odd: '; echo \"owned\"",
            "--data-binary",
            body,
            &url,
        ],
    );
    assert_eq!(asked.status, 200, "{}", asked.text);
    let found = person.found();
    let text = |key: &str| found[key].as_str().unwrap();

    let folder = scratch();
    let done = Command::new("sh")
        .args(["-c", text("curl")])
        .current_dir(folder.path())
        .env("https_proxy", proxy.url())
        .env("CURL_CA_BUNDLE", &proxy.ca)
        .output()
        .unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{} {said}", text("curl"));
    assert!(
        said.contains("X-Method: PATCH") && said.ends_with(body),
        "{} {said}",
        text("curl")
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "{}",
        text("curl")
    );

    fs::write(folder.path().join("w.toml"), text("lines")).unwrap();
    fs::write(folder.path().join("these"), "origin.test\n").unwrap();
    let wsbump = |arguments: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_wsbump"))
            .args(arguments)
            .args(["--config", "w.toml"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        (
            done.status.success(),
            format!(
                "{}{}",
                String::from_utf8_lossy(&done.stdout),
                String::from_utf8_lossy(&done.stderr)
            ),
        )
    };
    let (good, said) = wsbump(&["check"]);
    assert!(good, "{} {said}", text("lines"));
    let (_, said) = wsbump(&["explain", "origin.test:443", "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&said["action"], &said["rule"]),
        (&json!("splice"), &json!("these")),
        "{said}"
    );
    assert!(text("lines").contains("origin.test"), "{}", text("lines"));

    assert_eq!(text("ca").trim(), fs::read_to_string(&proxy.ca).unwrap().trim());
}

#[test]
fn only_what_was_stopped_is_shown_where_that_is_asked_for() {
    let proxy = with_console(
        "inspect = { rule = [\
         { name = 'watched', mode = 'observe', action = 'drop', keywords = ['harmless'] },\
         { name = 'noted', mode = 'enforce', action = 'log', keywords = ['remarkable'] },\
         { name = 'forbidden', mode = 'enforce', action = 'drop', keywords = ['secret plan'] }] }",
    );
    let ask = |path: &str, body: &str| {
        let url = origins::aiohttp().url("https", path);
        let arguments = ["-H", "Content-Type: text/plain", "-d", body, &url];
        let arguments = if body.is_empty() {
            &arguments[4..]
        } else {
            &arguments[..]
        };
        curl(Some(&proxy.url()), &proxy.ca, arguments).status
    };
    // Of what comes back no rule sees more: the answers to these have no body.
    for body in ["harmless", "remarkable", "the secret plan"] {
        ask("/headers", body);
    }
    let person = somebody(&proxy, "stopped");
    person.at("requests");
    assert_eq!((ask("/status/200", ""), ask("/status/500", "")), (200, 500));
    let found = person.found();
    let all = found["all"].to_string();
    for word in ["watched", "would drop", "noted", "logged", "forbidden", "dropped"] {
        assert!(all.contains(word), "{word}: {found:#}");
    }
    let only = found["only"].to_string();
    assert!(
        only.contains("forbidden") && only.contains("dropped"),
        "{found:#}"
    );
    assert!(
        found["detail"].as_str().unwrap().contains("is enforced"),
        "{found:#}"
    );
    let failed = found["failed"].to_string();
    assert!(
        failed.contains("/status/500") && !failed.contains("/status/200"),
        "{found:#}"
    );
}

#[test]
fn what_is_sorted_keeps_still_until_somebody_sorts_it_again() {
    let proxy = with_console("");
    let open = || Talk::open(&proxy, "/echo", "none");
    let mut talks = [open(), open(), open()];
    for (talk, size) in talks.iter_mut().zip([900, 500, 100]) {
        talk.say(&"x".repeat(size));
    }
    let person = somebody(&proxy, "still");
    person.at("sorted");
    let [first, second, third] = &mut talks;
    // Now the last would be the first.
    third.say(&"x".repeat(20_000));
    second.say(&"x".repeat(300));
    person.at("grown");
    let mut fourth = open();
    fourth.say(&"x".repeat(5_000));
    person.at("more");
    let first = std::mem::replace(first, fourth);
    first.close();
    let found = person.found();
    let began = found["began"].as_array().unwrap();
    let [big, middle, small] = [&began[0], &began[1], &began[2]];
    assert_eq!(&found["grown"][1], &found["began"], "{found:#}");
    assert_eq!(&found["frozen"][0], &found["began"], "{found:#}");
    assert_eq!(
        &found["frozen"][1], big,
        "what has ended stays in its place: {found:#}"
    );
    assert_eq!(
        found["frozen"][2],
        json!([]),
        "nothing was moved or made anew: {found:#}"
    );
    let sorted = found["sorted"].as_array().unwrap();
    assert_eq!(
        (&sorted[0], &sorted[2], sorted.len()),
        (small, middle, 3),
        "{found:#}"
    );
}

#[test]
fn what_is_marked_stays_marked_while_more_comes() {
    let proxy = with_console("");
    let mut talk = Talk::open(&proxy, "/echo", "none");
    let person = somebody(&proxy, "marked");
    person.at("watching");
    let mut say = |lines: std::ops::Range<u32>| lines.for_each(|line| talk.say(&format!("line {line}")));
    say(0..60);
    person.at("marked");
    say(60..120);
    person.at("open");
    say(120..160);
    person.at("connections");
    say(160..170);
    let _other = Talk::open(&proxy, "/echo", "none");
    let found = person.found();
    assert!(found["inList"].as_str().unwrap().starts_with("line"), "{found:#}");
    assert!(
        found["inDetail"].as_str().unwrap().starts_with("line 119"),
        "{found:#}"
    );
    assert!(
        found["inRow"].as_str().unwrap().starts_with("origin"),
        "{found:#}"
    );
}

#[test]
fn whoever_is_too_slow_is_told_how_much_was_left_out() {
    let proxy = with_console("");
    let mut talk = Talk::open(&proxy, "/echo", "none");
    let (base, code) = login(&proxy);
    let way = Way::to(base.strip_prefix("http://").unwrap());
    let url = format!("http://127.0.0.1:{}/#code={code}", way.port);
    let person = Person::start(&proxy, "lost", &url, |client| client);
    person.at("watching");
    {
        let _held = way.gate.lock().unwrap();
        // More than the sockets on the way and the proxy's queue hold.
        for _ in 0..250 {
            talk.say(&"x".repeat(60_000));
        }
    }
    talk.say("the end");
    let found = person.found();
    let told = found["told"].as_str().unwrap();
    let number = told
        .strip_prefix("skipped ")
        .and_then(|rest| rest.split(':').next());
    let number: u32 = number.unwrap().replace(',', "").parse().unwrap();
    assert!((1..500).contains(&number), "{told}");
    assert_eq!(found["open"], true, "the stream has not ended: {found}");
}

#[test]
fn two_people_unlock_what_is_masked_for_a_written_reason() {
    let role = |name: &str, roles: &str| {
        format!("[[console.token]]\nname = '{name}'\nfile = '{name}.token'\nroles = [{roles}]\n")
    };
    let proxy = Setup::new()
        .file("ada.token", VIEWER)
        .file("ben.token", OPERATOR)
        .config("listen = { console = ['127.0.0.1:0'] }\nlog = { audit = 'audit.log' }\nview = { raw = true, two_persons = ['raw'], unlock = '10m' }")
        .config(&(role("ada", "'raw', 'approver'") + &role("ben", "'viewer', 'approver'")))
        .start();
    let mut talk = Talk::open(&proxy, "/echo", "none");
    let base = super::address(&proxy);
    let person = Person::start(&proxy, "two", &format!("{base}/"), |client| {
        client.with("secret", VIEWER).with("other", OPERATOR)
    });
    person.at("unmasked");
    talk.say(r#"{"password":"hunter2"}"#);
    let found = person.found();
    assert!(
        found["refused"].as_str().unwrap().contains("second person"),
        "{found:#}"
    );
    assert_eq!(
        found["own"],
        json!(["End it"]),
        "nobody lets themselves: {found:#}"
    );
    let of = |kind: &str| {
        let all: Vec<_> = audit(&proxy)
            .into_iter()
            .filter(|line| line["operation"] == kind)
            .collect();
        assert_eq!(all.len(), 1, "{kind}: {all:?}");
        all[0].to_string()
    };
    assert!(of("unlock_asked").contains("ticket 4711: Slack is silent"));
    assert!(of("unlock_granted").contains("ben"));
    let looks = audit(&proxy)
        .into_iter()
        .filter(|line| line["type"] == "view" && line["raw"] == true);
    let reasons: Vec<_> = looks.map(|line| line["reason"].clone()).collect();
    assert_eq!(reasons, [json!("ticket 4711")]);
}
