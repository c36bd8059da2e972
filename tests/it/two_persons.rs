//! What one person sees only once another has let them, for a time that has an end.

use crate::harness::clients::curl;
use crate::harness::live::{Talk, ask, socket};
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::until;
use serde_json::{Value, json};
use std::process::Command;

const ADA: &str = "0123456789abcdef0123456789abcdef";
const BEN: &str = "abcdefabcdefabcdefabcdefabcdef00";

struct House {
    proxy: Proxy,
    base: String,
}

impl House {
    fn new() -> Self {
        let proxy = Setup::new()
            .file("ada.token", ADA)
            .file("ben.token", BEN)
            .config("listen = { console = ['127.0.0.1:0'] }\nlog = { audit = 'audit.log' }")
            .config("view = { raw = true, people = 'pseudonym', two_persons = ['raw', 'people'], unlock = '10m' }")
            .config("[[console.token]]\nname = 'ada'\nfile = 'ada.token'\nroles = ['raw', 'approver']\n[[console.token]]\nname = 'ben'\nfile = 'ben.token'\nroles = ['approver']\n")
            .start();
        let begins = "wsbump: console listening on ";
        let base = (proxy.process()).err(begins, |line| Some(line.strip_prefix(begins)?.to_owned()));
        Self { proxy, base }
    }

    fn ask(&self, who: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let bearer = format!("Authorization: Bearer {who}");
        let body = body.map(Value::to_string);
        let mut arguments = vec!["--max-time", "20", "-H", &bearer];
        if let Some(body) = &body {
            arguments.extend(["-H", "Content-Type: application/json", "-d", body]);
        }
        let url = format!("{}/api/v1/{path}", self.base);
        arguments.push(&url);
        let answer = curl(None, &self.proxy.ca, &arguments);
        let json = answer.text.rsplit("\n\n").next().unwrap_or_default();
        let json = json.rsplit("\r\n").next().unwrap_or_default();
        (answer.status, serde_json::from_str(json).unwrap_or(Value::Null))
    }

    /// A stream of hers, which may go on behind the event of this id.
    fn watch(&self, asked: &Value, last: Option<&str>) -> Process {
        let mut command = Command::new("curl");
        command.args(["--silent", "--no-buffer", "-H", "Content-Type: application/json"]);
        command.args(["-H", &format!("Authorization: Bearer {ADA}")]);
        if let Some(last) = last {
            command.args(["-H", &format!("Last-Event-ID: {last}")]);
        }
        command
            .args(["-d", &asked.to_string()])
            .arg(format!("{}/api/v1/events", self.base));
        let watcher = Process::start("curl", command);
        watcher.out("watching", |line| line.contains("watching").then_some(()));
        watcher
    }

    /// Has ben let somebody see what they ask for; the number of it.
    fn unlock(&self, asked: &Value) -> u64 {
        let id = asked["id"].as_u64().unwrap();
        let (status, granted) = self.ask(BEN, &format!("unlocks/{id}/grant"), Some(&json!({})));
        assert_eq!(status, 200, "{granted}");
        id
    }

    fn end(&self, id: u64) {
        let (status, ended) = self.ask(BEN, &format!("unlocks/{id}/end"), Some(&json!({})));
        assert_eq!((status, &ended["state"]), (200, &json!("ended")));
    }

    fn audit(&self) -> String {
        std::fs::read_to_string(self.proxy.folder().join("audit.log")).unwrap()
    }
}

fn wants(what: &str) -> Value {
    json!({ "what": what, "reason": "ticket 7", "seconds": 600 })
}

fn raw() -> Value {
    json!({ "topics": ["messages"], "raw": true, "reason": "ticket 7" })
}

#[test]
fn content_without_a_mask_takes_two() {
    let house = House::new();
    assert_eq!(
        house.ask(ADA, "events", Some(&raw())).0,
        403,
        "nobody has let her"
    );
    let (status, asked) = house.ask(ADA, "unlocks", Some(&wants("raw")));
    assert_eq!(
        (status, &asked["state"], &asked["by"]),
        (200, &json!("asked"), &json!("ada from 127.0.0.1"))
    );
    let grant = format!("unlocks/{}/grant", asked["id"]);
    let (status, why) = house.ask(ADA, &grant, Some(&json!({})));
    assert!(
        status == 403 && why["detail"].as_str().unwrap().contains("another person"),
        "{why}"
    );
    assert_eq!(
        house.ask(ADA, "events", Some(&raw())).0,
        403,
        "asking is not enough"
    );
    assert_eq!(
        house.ask(BEN, "events", Some(&raw())).0,
        403,
        "nor is letting others"
    );
    let (status, granted) = house.ask(BEN, &grant, Some(&json!({})));
    assert_eq!(
        (status, &granted["state"], &granted["granted_by"]),
        (200, &json!("granted"), &json!("ben from 127.0.0.1"))
    );
    assert_eq!(house.ask(BEN, &grant, Some(&json!({}))).0, 404, "once");

    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--no-buffer",
        "-H",
        &format!("Authorization: Bearer {ADA}"),
        "-H",
        "Content-Type: application/json",
    ]);
    command
        .args(["-d", &raw().to_string()])
        .arg(format!("{}/api/v1/events", house.base));
    let watcher = Process::start("curl", command);
    watcher.out("watching", |line| line.contains("watching").then_some(()));
    let mut talk = Talk::open(&house.proxy, "/echo", "none");
    talk.say(r#"{"password":"hunter2"}"#);
    watcher.out("the secret", |line| line.contains("hunter2").then_some(()));
    assert!(
        !watcher.out.all().join("").contains("127.0.0.1"),
        "names are another matter"
    );
    talk.close();
    drop(watcher);

    let end = format!("unlocks/{}/end", asked["id"]);
    assert_eq!(house.ask(ADA, &end, Some(&json!({}))).1["state"], "ended");
    assert_eq!(house.ask(ADA, "events", Some(&raw())).0, 403, "it is over");
    let audit = house.audit();
    for word in [
        "unlock_asked",
        "unlock_granted",
        "unlock_ended",
        r#""of":"ada from 127.0.0.1""#,
        r#""reason":"ticket 7""#,
    ] {
        assert!(audit.contains(word), "{word}: {audit}");
    }
}

#[test]
fn sight_without_a_mask_ends_with_its_time() {
    let house = House::new();
    let brief = json!({ "what": "raw", "reason": "ticket 8", "seconds": 3 });
    let asked = house.ask(ADA, "unlocks", Some(&brief)).1;
    assert_eq!(
        house
            .ask(BEN, &format!("unlocks/{}/grant", asked["id"]), Some(&json!({})))
            .0,
        200
    );
    // The stream ends by itself, well before curl gives it up.
    let (status, _) = house.ask(ADA, "events", Some(&raw()));
    assert_eq!(status, 200);
    assert_eq!(house.ask(ADA, "events", Some(&raw())).0, 403);
    let listed = house.ask(BEN, "unlocks", None).1;
    assert_eq!(
        (
            &listed["unlocks"][0]["state"],
            &listed["unlocks"][0]["seconds_left"]
        ),
        (&json!("ended"), &Value::Null)
    );
}

#[test]
fn what_runs_ends_soon_after_the_sight_was_ended() {
    let house = House::new();
    for (what, asked) in [
        ("raw", raw()),
        ("people", json!({ "topics": ["connections"], "keep_seconds": 60 })),
    ] {
        let id = house.unlock(&house.ask(ADA, "unlocks", Some(&wants(what))).1);
        let watcher = house.watch(&asked, None);
        house.end(id);
        // The proxy ends it, by itself and in good order, long before the ten minutes are over.
        assert!(watcher.finish().status.success(), "{what}");
    }
}

#[test]
fn a_kept_stream_goes_on_with_no_names_that_are_hidden_by_now() {
    let house = House::new();
    let id = house.unlock(&house.ask(ADA, "unlocks", Some(&wants("people"))).1);
    let asked = json!({ "topics": ["connections"], "keep_seconds": 60 });
    let pass = || Talk::open(&house.proxy, "/echo", "none").close();
    let watcher = house.watch(&asked, None);
    pass();
    let last = watcher.out("an id", |line| Some(line.strip_prefix("id: ")?.to_owned()));
    watcher.out("her name for it", |line| line.contains("127.0.0.1").then_some(()));
    drop(watcher);
    let resumed = |watcher: &Process| {
        watcher.out("whether it goes on", |line| {
            let said: Value = serde_json::from_str(line.strip_prefix("data: ")?).ok()?;
            said["resumed"].as_bool()
        })
    };
    assert!(resumed(&house.watch(&asked, Some(&last))), "while she is let");
    house.end(id);
    let after = house.watch(&asked, Some(&last));
    assert!(!resumed(&after), "it begins anew");
    pass();
    after.out("the pseudonym", |line| line.contains("client-").then_some(()));
    assert!(!after.out.all().join("").contains("\"127.0.0.1"), "no name");
}

#[test]
fn a_flood_for_a_slow_reader_does_not_go_on_after_the_sight_was_ended() {
    const SAID: u64 = 100;
    let house = House::new();
    let id = house.unlock(&ask(&house.proxy, "unlocks", Some(&wants("raw"))).1);
    // For all that is said it takes minutes.
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--no-buffer", "--limit-rate", "20K", "--unix-socket"])
        .arg(socket(&house.proxy));
    let asked =
        json!({ "topics": ["messages"], "direction": "to_client", "raw": true, "reason": "ticket 7" });
    command
        .args(["-H", "Content-Type: application/json", "-d", &asked.to_string()])
        .arg("http://localhost/api/v1/events");
    let watcher = Process::start("curl", command);
    watcher.out("watching", |line| line.contains("watching").then_some(()));
    let mut talk = Talk::open(&house.proxy, "/echo", "none");
    let long = "x".repeat(60_000);
    for number in 0..SAID {
        talk.say(&format!("{number} {long}"));
    }
    house.end(id);
    let ended = until("the end of the stream", || {
        let audit = house.audit();
        let mut acts = audit
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        acts.find(|act| act["type"] == "view_ended")
    });
    let shown = ended["events"].as_u64().unwrap();
    assert!(shown < SAID, "it was ended with events before it: {shown}");
    talk.close();
    drop(watcher);
}

#[test]
fn names_are_shown_to_the_one_who_was_let_alone() {
    let house = House::new();
    let talk = Talk::open(&house.proxy, "/echo", "none");
    let client = |who: &str| {
        house.ask(who, "connections", None).1["connections"][0]["client"]
            .as_str()
            .map(str::to_owned)
    };
    let pseudonym = until("a connection", || client(ADA));
    assert!(pseudonym.starts_with("client-"), "{pseudonym}");
    let asked = house.ask(ADA, "unlocks", Some(&wants("people"))).1;
    assert_eq!(
        house
            .ask(BEN, &format!("unlocks/{}/grant", asked["id"]), Some(&json!({})))
            .0,
        200
    );
    assert_eq!(client(ADA).as_deref(), Some("127.0.0.1"));
    assert_eq!(client(BEN).as_deref(), Some(&*pseudonym));
    let found = |who: &str, name: &str| {
        house.ask(who, &format!("connections?client={name}"), None).1["matching"].clone()
    };
    assert_eq!(
        (found(ADA, "127.0.0.1"), found(BEN, "127.0.0.1")),
        (json!(1), json!(0)),
        "nor found by them"
    );
    house.ask(BEN, &format!("unlocks/{}/end", asked["id"]), Some(&json!({})));
    assert_eq!(client(ADA).as_deref(), Some(&*pseudonym));
    talk.close();
}

#[test]
fn whoever_has_the_machine_is_one_person() {
    let house = House::new();
    let (status, asked) = ask(&house.proxy, "unlocks", Some(&wants("raw")));
    assert_eq!(status, 200, "{asked}");
    let grant = format!("unlocks/{}/grant", asked["id"]);
    assert_eq!(ask(&house.proxy, &grant, Some(&json!({}))).0, 403);
    // By a code for the console, which they can make too.
    let url = ask(&house.proxy, "login", Some(&json!({}))).1["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let (base, code) = url.split_once("/#code=").unwrap();
    let secret = json!({ "secret": code }).to_string();
    let login = curl(
        None,
        &house.proxy.ca,
        &[
            "-H",
            "Content-Type: application/json",
            "-d",
            &secret,
            &format!("{base}/session"),
        ],
    );
    let cookie = login
        .text
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .unwrap();
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
    let session: Value = serde_json::from_str(login.text.rsplit("\n\n").next().unwrap().trim()).unwrap();
    let token = format!("X-Wsbump-Session: {}", session["token"].as_str().unwrap());
    let url = format!("{base}/api/v1/{grant}");
    let again = curl(
        None,
        &house.proxy.ca,
        &[
            "-H",
            &cookie,
            "-H",
            &token,
            "-H",
            "Content-Type: application/json",
            "-d",
            "{}",
            &url,
        ],
    );
    assert_eq!(again.status, 403, "{}", again.text);
    assert_eq!(house.ask(BEN, &grant, Some(&json!({}))).0, 200);
    let (status, answer) = ask(
        &house.proxy,
        "events",
        Some(&json!({ "topics": ["messages"], "raw": true, "reason": "ticket 7", "seconds": 0 })),
    );
    assert_eq!(status, 200, "{answer}");
}

#[test]
fn nothing_is_unlocked_that_is_not_locked_or_for_too_long() {
    let house = House::new();
    for wrong in [
        json!({ "what": "all", "reason": "ticket 7", "seconds": 60 }),
        json!({ "what": "raw", "reason": " x ", "seconds": 60 }),
        json!({ "what": "raw", "reason": "ticket 7", "seconds": 601 }),
        json!({ "what": "raw", "reason": "ticket 7", "seconds": 0 }),
    ] {
        assert_eq!(house.ask(ADA, "unlocks", Some(&wrong)).0, 400, "{wrong}");
    }
    assert_eq!(
        house.ask(BEN, "unlocks", Some(&wants("raw"))).0,
        403,
        "he has no right to it at all"
    );
    let proxy = Proxy::start();
    for what in ["raw", "people"] {
        assert_eq!(ask(&proxy, "unlocks", Some(&wants(what))).0, 403);
    }
}
