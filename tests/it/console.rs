//! The console, in the browsers that people have and as an attacker would ask it.

use crate::harness::clients::{Client, chromium_by, curl, firefox_by};
use crate::harness::live::Talk;
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{connect, dial};
use crate::harness::{root, scratch, tool, until};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

mod acts;

const VIEWER: &str = "0123456789abcdef0123456789abcdef";
const CONTENT: &str = "abcdefabcdefabcdefabcdefabcdef00";
const RAW: &str = "11111111222222223333333344444444";
const OPERATOR: &str = "ffffffffeeeeeeeeddddddddcccccccc";

/// A proxy with a console on loopback, and what else its configuration has.
fn with_console(config: &str) -> Proxy {
    Setup::new()
        .config("listen = { console = ['127.0.0.1:0'] }")
        .config(config)
        .start()
}

/// The same, with three people who have tokens.
fn with_tokens(address: &str) -> Proxy {
    tokens_at(address).start()
}

fn tokens_at(address: &str) -> Setup {
    let tokens = [
        ("vi", "viewer", VIEWER),
        ("con", "content", CONTENT),
        ("op", "operator", OPERATOR),
    ];
    let setup = Setup::new().config(&format!("listen = {{ console = ['{address}'] }}"));
    let tables: String = tokens
        .iter()
        .map(|(name, role, _)| {
            format!("[[console.token]]\nname = '{name}'\nfile = '{name}.token'\nroles = ['{role}']\n")
        })
        .collect();
    let setup = tokens.iter().fold(setup, |setup, (name, _, token)| {
        setup.file(&format!("{name}.token"), token)
    });
    setup.config(&tables).config("log = { audit = 'audit.log' }")
}

/// The line that logs in once.
fn login_line(proxy: &Proxy) -> String {
    let begins = "wsbump: console, logs in once: ";
    proxy
        .process()
        .err(begins, |line| Some(line.strip_prefix(begins)?.to_owned()))
}

/// `http://ADDRESS` and the code.
fn login(proxy: &Proxy) -> (String, String) {
    let line = login_line(proxy);
    let (base, code) = line.split_once("/#code=").unwrap();
    (base.to_owned(), code.to_owned())
}

/// Where it is, where people have tokens.
fn address(proxy: &Proxy) -> String {
    let begins = "wsbump: console listening on ";
    proxy
        .process()
        .err(begins, |line| Some(line.strip_prefix(begins)?.to_owned()))
}

/// Status, answer as JSON, and all of it as text.
fn ask(proxy: &Proxy, url: &str, arguments: &[&str]) -> (u16, Value, String) {
    let answer = curl(None, &proxy.ca, &[arguments, &[url]].concat());
    let body = answer.text.split("\n\n").last().unwrap_or_default();
    let body = body.rsplit("\r\n").next().unwrap_or_default();
    (
        answer.status,
        serde_json::from_str(body).unwrap_or(Value::Null),
        answer.text,
    )
}

const JSON: [&str; 2] = ["-H", "Content-Type: application/json"];

fn log_in(proxy: &Proxy, base: &str, secret: &str) -> (u16, Value, String) {
    let body = json!({ "secret": secret }).to_string();
    ask(
        proxy,
        &format!("{base}/session"),
        &[&JSON[..], &["-d", &body]].concat(),
    )
}

/// The cookie that an answer sets.
fn cookie(text: &str) -> String {
    let line = text.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("set-cookie").then_some(value)
    });
    line.unwrap_or_else(|| panic!("no cookie: {text}")).to_owned()
}

fn audit(proxy: &Proxy) -> Vec<Value> {
    let text = fs::read_to_string(proxy.folder().join("audit.log")).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits until somebody in front of the console has come so far.
fn at(console: &Process, place: &str) {
    console.out(place, |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        assert!(line["error"].is_null(), "{line}");
        (line["at"] == place).then_some(())
    });
}

/// Somebody watches a WebSocket, a request and the policy; what they saw.
fn somebody_watches(kind: &str, browser: impl FnOnce(&Path, &Path) -> Client) -> Value {
    let proxy = with_console("log = { audit = 'audit.log' }");
    let mut talk = Client::new("client_websockets.py")
        .with("mode", "dialogue")
        .with("url", origins::websockets().url("wss", "/echo?token=hunter2"))
        .with("proxy", proxy.url())
        .with("compression", "deflate")
        .with("ca", &proxy.ca)
        .start();
    talk.out("open", |line| line.contains("\"open\": true").then_some(()));
    let home = scratch();
    let pictures = root().join("target/console").join(kind);
    fs::create_dir_all(&pictures).unwrap();
    let console = browser(home.path(), &proxy.ca)
        .with("kind", kind)
        .with("mode", "watch")
        .with("url", login_line(&proxy))
        .with("screenshot", &pictures)
        .start();
    let at = |place: &str| at(&console, place);
    at("watching");
    let message = r#"{"find":"needle","password":"hunter2","html":"<b class='attack'>x</b><img src=x>"}"#;
    talk.say(message);
    at("requests");
    let url = origins::aiohttp().url("https", "/status/200?api_key=hunter2");
    let asked = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &["-H", "Authorization: Bearer hunter2", &url],
    );
    assert_eq!(asked.status, 200, "{}", asked.text);
    let done = console.finish();
    let found: Value = serde_json::from_str(done.out.last().unwrap()).unwrap();
    assert!(done.status.success(), "{found} {:?}", done.err);

    let looks: Vec<_> = audit(&proxy)
        .into_iter()
        .filter(|line| line["type"] == "view")
        .collect();
    assert!(
        looks.iter().any(|look| look["topics"] == json!(["messages"])),
        "{looks:?}"
    );
    assert!(
        looks
            .iter()
            .all(|look| look["by"] == "console code from 127.0.0.1"),
        "{looks:?}"
    );
    assert!(!format!("{looks:?}").contains("nothing like it"));
    found
}

fn is_as_it_should_be(found: &Value) {
    assert_eq!(found["problems"], json!([]), "{found:#}");
    let text = |key: &str| found[key].as_str().unwrap();
    assert!(text("pretty").contains("\"password\": \"****\""), "{found}");
    assert!(text("pretty").contains("<b class='attack'>"), "{found}");
    assert!(text("dump").contains(r#"{"find":"needle""#), "{found}");
    assert!(
        text("request").contains("authorization") && !text("request").contains("hunter2"),
        "{found}"
    );
    assert_eq!(text("verdict"), "bump");
}

#[test]
fn somebody_watches_in_chromium_and_nothing_serious_is_in_the_way_of_others() {
    is_as_it_should_be(&somebody_watches("chromium", |home, ca| {
        chromium_by("console.mjs", home, ca)
    }));
}

#[test]
fn somebody_watches_in_firefox() {
    is_as_it_should_be(&somebody_watches("firefox", |home, ca| {
        firefox_by("console.mjs", home, ca)
    }));
}

#[test]
fn thousands_of_connections_are_drawn_only_where_they_are_seen() {
    let proxy = with_console("");
    let _open: Vec<_> = (0..2000).map(|_| dial(&proxy.address)).collect();
    let home = scratch();
    let found = chromium_by("console.mjs", home.path(), &proxy.ca)
        .with("kind", "chromium")
        .with("mode", "many")
        .with("target", "2000")
        .with("url", login_line(&proxy))
        .run();
    assert_eq!(found["problems"], json!([]));
    for drawn in ["first", "last"] {
        let drawn = found[drawn].as_u64().unwrap();
        assert!((10..80).contains(&drawn), "{found}");
    }
}

#[test]
fn a_viewer_sees_rows_and_no_content() {
    let proxy = with_tokens("127.0.0.1:0");
    let home = scratch();
    let found = chromium_by("console.mjs", home.path(), &proxy.ca)
        .with("kind", "chromium")
        .with("mode", "viewer")
        .with("secret", VIEWER)
        .with("url", format!("{}/", address(&proxy)))
        .run();
    assert_eq!(found["problems"], json!([]), "{found}");
    assert!(
        found["messages"].as_str().unwrap().contains("no content"),
        "{found}"
    );
    assert!(
        !found["requests"].as_str().unwrap().contains("heads and bodies"),
        "{found}"
    );
    let state = found["state"].as_str().unwrap();
    assert!(!state.contains("Reload…") && !state.contains("Drain…"), "{found}");
}

#[test]
fn a_code_works_once_and_a_session_only_for_its_own_pages() {
    let proxy = with_console("log = { audit = 'audit.log' }");
    let (base, code) = login(&proxy);
    assert_eq!(log_in(&proxy, &base, "0123456789").0, 401);
    // Neither a form nor a plain text, which any page can have a browser send.
    let body = json!({ "secret": code }).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let header = format!("Content-Type: {kind}");
        let (status, ..) = ask(&proxy, &format!("{base}/session"), &["-H", &header, "-d", &body]);
        assert_eq!(status, 415, "{kind}");
    }
    let (status, session, text) = log_in(&proxy, &base, &code);
    assert_eq!(
        (status, &session["by"]),
        (200, &json!("console code from 127.0.0.1")),
        "{text}"
    );
    assert_eq!(log_in(&proxy, &base, &code).0, 401, "a code works once");
    let set = cookie(&text);
    assert!(
        set.contains("HttpOnly; SameSite=Strict") && !set.contains("Secure"),
        "{set}"
    );
    let cookie = format!("Cookie: {}", set.split(';').next().unwrap());
    let token = format!("X-Wsbump-Session: {}", session["token"].as_str().unwrap());

    let state = format!("{base}/api/v1/state");
    assert_eq!(ask(&proxy, &state, &[]).0, 401);
    assert_eq!(ask(&proxy, &state, &["-H", &cookie]).0, 200);
    let reload = format!("{base}/api/v1/reload");
    let post = |headers: &[&str]| {
        let arguments = [&JSON[..], &["-d", "{}", "-H", &cookie], headers].concat();
        ask(&proxy, &reload, &arguments).0
    };
    assert_eq!(post(&[]), 403, "a cookie alone does nothing");
    assert_eq!(post(&["-H", "X-Wsbump-Session: guess"]), 403);
    assert_eq!(post(&["-H", &token]), 200);
    assert_eq!(post(&["-H", &token, "-H", &format!("Origin: {base}")]), 200);
    for foreign in [
        "Origin: http://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ] {
        assert_eq!(post(&["-H", &token, "-H", foreign]), 403, "{foreign}");
        assert_eq!(
            ask(&proxy, &state, &["-H", &cookie, "-H", foreign]).0,
            403,
            "{foreign}"
        );
    }
    assert_eq!(post(&["-H", &token, "-H", "Host: evil.example"]), 421);
    assert_eq!(
        ask(&proxy, &base, &["-H", "Host: evil.example"]).0,
        421,
        "not even the page"
    );
    let (_, _, page) = ask(&proxy, &base, &[]);
    let page = page.to_ascii_lowercase();
    assert!(
        page.contains("content-security-policy: default-src 'none'; script-src 'self'"),
        "{page}"
    );
    assert!(page.contains("cross-origin-opener-policy: same-origin"), "{page}");
    assert!(!page.contains("access-control-"), "{page}");

    let out = ["-X", "DELETE", "-H", &cookie, "-H", &token];
    assert_eq!(ask(&proxy, &format!("{base}/session"), &out).0, 200);
    assert_eq!(ask(&proxy, &state, &["-H", &cookie]).0, 401, "logged out");
    let refused = |reason| {
        proxy
            .metrics()
            .sum("wsbump_admin_refused_total", &[("reason", reason)])
    };
    assert!(refused("cross_site") >= 8.0 && refused("token") >= 4.0 && refused("unknown_name") == 2.0);
    let logins = audit(&proxy)
        .into_iter()
        .filter(|line| line["operation"] == "login");
    assert_eq!(logins.count(), 1);
}

#[test]
fn each_role_may_what_it_says() {
    let proxy = with_tokens("127.0.0.1:0");
    let base = address(&proxy);
    let with = |token: &str, path: &str, body: Option<Value>| {
        let bearer = format!("Authorization: Bearer {token}");
        let body = body.map(|body| body.to_string());
        let mut arguments = vec!["--max-time", "2", "-H", &bearer];
        if let Some(body) = &body {
            arguments.extend([JSON[0], JSON[1], "-d", body]);
        }
        ask(&proxy, &format!("{base}/api/v1/{path}"), &arguments).0
    };
    let messages = || Some(json!({ "topics": ["messages"] }));
    let raw = || Some(json!({ "topics": ["messages"], "raw": true, "reason": "a test" }));
    let close = || Some(json!({ "reason": "a test" }));
    for (token, rows, content, masked_no_more, closes) in [
        (VIEWER, 200, 403, 403, 403),
        (CONTENT, 200, 200, 403, 403),
        (OPERATOR, 200, 403, 403, 404),
        ("00000000000000000000000000000000", 401, 401, 401, 401),
    ] {
        assert_eq!(with(token, "connections", None), rows);
        assert_eq!(with(token, "events", messages()), content);
        assert_eq!(with(token, "events", raw()), masked_no_more);
        assert_eq!(with(token, "connections/99999/close", close()), closes);
    }
    // A token buys a session too, for its holder's name and rights.
    let (status, session, _) = log_in(&proxy, &base, CONTENT);
    assert_eq!(
        (status, &session["by"], &session["rights"]),
        (200, &json!("con from 127.0.0.1"), &json!(["view", "content"]))
    );
}

#[test]
fn other_machines_reach_it_by_tls_alone() {
    let proxy = with_tokens("0.0.0.0:0");
    let base = address(&proxy).replace("0.0.0.0", "127.0.0.1");
    assert!(base.starts_with("https://"), "{base}");
    let (status, _, text) = log_in(&proxy, &base, OPERATOR);
    assert_eq!(status, 200, "{text}");
    let set = cookie(&text);
    assert!(
        set.starts_with("__Host-wsbump-") && set.ends_with("; Secure"),
        "{set}"
    );
    let bearer = format!("Authorization: Bearer {VIEWER}");
    let state = format!("{base}/api/v1/state");
    assert_eq!(ask(&proxy, &state, &["-H", &bearer]).0, 200);
    assert_eq!(ask(&proxy, &state, &["--http2", "-H", &bearer]).0, 200);
    let by_name = base.replace("127.0.0.1", "localhost");
    assert_eq!(
        ask(&proxy, &format!("{by_name}/api/v1/state"), &["-H", &bearer]).0,
        200
    );
    let plain = curl(None, &proxy.ca, &[&base.replace("https", "http")]);
    assert_eq!(plain.status, 0, "{}", plain.text);
}

#[test]
fn nobody_reaches_the_console_through_the_proxy() {
    for console in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let proxy = tokens_at(console)
            .config("network = { allow = ['0.0.0.0/0', '::/0'] }")
            .start();
        let base = address(&proxy);
        let port = base.rsplit(':').next().unwrap();
        let names = [
            "127.0.0.1",
            "localhost",
            "origin.test",
            "0.0.0.0",
            "[::ffff:127.0.0.1]",
        ];
        // Who listens on IPv4 alone has nothing at ::1.
        let also = (console == "[::]:0").then_some("[::1]");
        for name in names.into_iter().chain(also) {
            let (_, answer) = connect(&proxy, &format!("{name}:{port}"));
            let status = answer.header("proxy-status").unwrap_or_default();
            assert!(
                matches!(answer.status, 403 | 502 | 508) && status.contains("proxy_loop_detected"),
                "{console} {name}: {}",
                answer.head
            );
        }
    }
}

#[test]
fn whoever_tries_the_proxy_is_offered_the_console() {
    let start = |more: &[&str]| {
        let folder = scratch();
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
        command
            .args([
                "run",
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(folder.path())
            .args(more);
        let process = Process::start("wsbump", command);
        process.err("the CA", |line| {
            line.starts_with("wsbump: CA certificate").then_some(())
        });
        let line = process
            .err
            .all()
            .iter()
            .find_map(|line| Some(line.strip_prefix("wsbump: console")?.to_owned()));
        (folder, process, line)
    };
    let (_one, _first, line) = start(&[]);
    assert!(
        line.as_ref()
            .unwrap()
            .starts_with(", logs in once: http://127.0.0.1:"),
        "{line:?}"
    );
    // The usual port is taken now, by this one or another, and that hinders nobody.
    let (_other, _second, again) = start(&[]);
    assert!(again.is_some() && again != line, "{again:?}");
    let (_third, _off, none) = start(&["--console", "off"]);
    assert_eq!(none, None);
}

#[test]
fn who_may_no_more_sees_no_more() {
    let mut proxy = with_tokens("127.0.0.1:0");
    let base = address(&proxy);
    let watch = |headers: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--no-buffer", "--max-time", "50", "-H", JSON[1]]);
        for header in headers {
            command.args(["-H", header]);
        }
        command.args(["-d", r#"{ "topics": ["messages"], "keep_seconds": 60 }"#]);
        let watcher = Process::start("curl", command_to(command, &format!("{base}/api/v1/events")));
        watcher.out("watching", |line| line.contains("watching").then_some(()));
        watcher
    };
    let (_, session, text) = log_in(&proxy, &base, CONTENT);
    let cookie = format!("Cookie: {}", cookie(&text).split(';').next().unwrap());
    let token = format!("X-Wsbump-Session: {}", session["token"].as_str().unwrap());
    let by_session = watch(&[&cookie, &token]);
    let bearer = format!("Authorization: Bearer {CONTENT}");
    let by_token = watch(&[&bearer]);

    let out = ["-X", "DELETE", "-H", &cookie, "-H", &token];
    assert_eq!(ask(&proxy, &format!("{base}/session"), &out).0, 200);
    let ended = by_session.finish();
    assert!(
        ended.status.success(),
        "it ends by itself when they log out: {:?}",
        ended.err
    );
    let table = "[[console.token]]\nname = 'vi'\nfile = 'vi.token'\nroles = ['viewer']\n";
    proxy.rewrite_config(table);
    let ended = by_token.finish();
    assert!(
        ended.status.success(),
        "and when the token is taken away: {:?}",
        ended.err
    );
    let ends = audit(&proxy)
        .into_iter()
        .filter(|line| line["type"] == "view_ended");
    assert_eq!(ends.count(), 2);
}

/// A guess has the line of a request that is refused, of which there is a bound, and no other one.
#[test]
fn whoever_guesses_fills_no_log() {
    let proxy = with_tokens("127.0.0.1:0");
    let base = address(&proxy);
    for _ in 0..5 {
        assert_eq!(log_in(&proxy, &base, "00000000000000000000000000000000").0, 401);
    }
    proxy.log("admin_refused", |line| {
        line["pages"] == "console" && line["path"] == "/session"
    });
    let told = proxy.process().err.all();
    let guesses: Vec<_> = told.iter().filter(|line| line.contains("log in at")).collect();
    assert!(guesses.is_empty(), "{guesses:?}");
}

/// There is room for so many connections. Whoever fills it with silence is sent away for those who come, and nobody who is known.
#[test]
fn who_says_nothing_keeps_nobody_out() {
    let proxy = with_tokens("127.0.0.1:0");
    let base = address(&proxy);
    let bearer = format!("Authorization: Bearer {VIEWER}");
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--no-buffer",
        "--max-time",
        "50",
        "-H",
        JSON[1],
        "-H",
        &bearer,
    ]);
    command.args(["-d", "{}"]);
    let watcher = Process::start("curl", command_to(command, &format!("{base}/api/v1/events")));
    watcher.out("watching", |line| line.contains("watching").then_some(()));

    let silent: Vec<_> = (0..300)
        .map(|_| dial(base.strip_prefix("http://").unwrap()))
        .collect();
    let (status, state, text) = ask(&proxy, &format!("{base}/api/v1/state"), &["-H", &bearer]);
    assert_eq!(status, 200, "{text}");
    assert_eq!(state["watching"], 1, "who is known stays: {text}");
    drop(silent);
}

/// Whose right ends sees no more and holds no place, even if what they were shown last was never read.
#[test]
fn who_reads_nothing_keeps_no_stream() {
    let mut proxy = tokens_at("127.0.0.1:0")
        .file("ray.token", RAW)
        .config(
            "[[console.token]]\nname = 'ray'\nfile = 'ray.token'\nroles = ['raw']\n\
             [[console.token]]\nname = 'vi'\nfile = 'vi.token'\nroles = ['viewer']\n",
        )
        .config("view = { raw = true }")
        .start();
    let base = address(&proxy);
    let body = json!({ "topics": ["messages"], "raw": true, "reason": "test" }).to_string();
    let mut idle = dial(base.strip_prefix("http://").unwrap());
    write!(
        idle,
        "POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {RAW}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let bearer = format!("Authorization: Bearer {VIEWER}");
    let watching = || {
        let (_, state, _) = ask(&proxy, &format!("{base}/api/v1/state"), &["-H", &bearer]);
        state["watching"].as_u64()
    };
    until("it watches", || (watching() == Some(1)).then_some(()));
    let mut talk = Talk::open(&proxy, "/echo", "none");
    let long = "x".repeat(60_000);
    for _ in 0..150 {
        talk.say(&long);
    }
    proxy.rewrite_config("[[console.token]]\nname = 'vi'\nfile = 'vi.token'\nroles = ['viewer']\n");
    let watching = || {
        let (_, state, _) = ask(&proxy, &format!("{base}/api/v1/state"), &["-H", &bearer]);
        state["watching"].as_u64()
    };
    until("its place is free", || (watching() == Some(0)).then_some(()));
    let ends = || audit(&proxy).iter().any(|line| line["type"] == "view_ended");
    until("that is written down", || ends().then_some(()));
    talk.close();
}

fn command_to(mut command: Command, url: &str) -> Command {
    command.arg(url);
    command
}

/// A way to the console that breaks off and is mended.
struct Way {
    port: u16,
    is_cut: Arc<AtomicBool>,
    /// What comes from the console waits while somebody holds this.
    gate: Arc<Mutex<()>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Way {
    fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Self {
            port: listener.local_addr().unwrap().port(),
            is_cut: Arc::default(),
            gate: Arc::default(),
            open: Arc::default(),
        };
        let (is_cut, open, address) = (way.is_cut.clone(), way.open.clone(), address.to_owned());
        let gate = way.gate.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // Held until it is there, so that nothing that comes in between outlives a cut.
                let mut open = open.lock().unwrap();
                if is_cut.load(SeqCst) {
                    continue;
                }
                let console = TcpStream::connect(&address).unwrap();
                for (from, to, gate) in [(&client, &console, None), (&console, &client, Some(gate.clone()))] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || {
                        let mut piece = vec![0; 64 << 10];
                        while let Ok(size @ 1..) = from.read(&mut piece) {
                            drop(gate.as_ref().map(|gate| gate.lock()));
                            if to.write_all(&piece[..size]).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                }
                open.extend([client, console]);
            }
        });
        way
    }

    fn cut(&self) {
        let mut open = self.open.lock().unwrap();
        self.is_cut.store(true, SeqCst);
        for stream in open.drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    fn mend(&self) {
        self.is_cut.store(false, SeqCst);
    }
}

#[test]
fn a_stream_that_breaks_off_goes_on_and_what_is_seen_is_kept() {
    let proxy = with_console("log = { audit = 'audit.log' }");
    let mut talk = Talk::open(&proxy, "/echo", "deflate");
    let (home, folder) = (scratch(), scratch());
    let (base, code) = login(&proxy);
    let way = Way::to(base.strip_prefix("http://").unwrap());
    let console = chromium_by("console.mjs", home.path(), &proxy.ca)
        .with("kind", "chromium")
        .with("mode", "keep")
        .with("folder", folder.path())
        .with("url", format!("http://127.0.0.1:{}/#code={code}", way.port))
        .start();
    at(&console, "watching");
    talk.say("first");
    at(&console, "first");
    way.cut();
    at(&console, "broken");
    talk.say("meanwhile");
    way.mend();
    at(&console, "resumed");
    // MessagePack's own example.
    talk.say("bytes 82a7636f6d70616374c3a6736368656d6100");
    at(&console, "many");
    for number in 0..80 {
        talk.say(&format!("line {number}"));
    }
    at(&console, "away");
    talk.say("the last");
    let done = console.finish();
    let found: Value = serde_json::from_str(done.out.last().unwrap()).unwrap();
    assert!(
        done.status.success() && found["problems"] == json!([]),
        "{found} {:?}",
        done.err
    );
    let rows = found["rows"].to_string();
    assert!(
        !rows.contains("not watched") && rows.contains("meanwhile"),
        "{rows}"
    );
    assert!(found["kinds"].to_string().contains("MessagePack*"), "{found}");

    let files: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    let of = |end: &str| {
        files
            .iter()
            .find(|it| it.extension().is_some_and(|it| it == end))
            .unwrap()
    };
    let har = Client::new("check_har.mjs").with("har", of("har")).run();
    assert_eq!(har["messages"], 6, "three each way: {har}");
    let lines = fs::read_to_string(of("jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 6, "{lines}");
    let exports = audit(&proxy).into_iter().filter(|line| line["type"] == "export");
    let exports: Vec<_> = exports
        .map(|line| (line["format"].clone(), line["events"].clone()))
        .collect();
    assert_eq!(exports, [(json!("har"), json!(6)), (json!("lines"), json!(6))]);
    assert!(
        audit(&proxy)
            .iter()
            .any(|line| line["type"] == "view" && line["resumed"] == true)
    );
    talk.close();
}

/// What the pages make of bytes that nobody has named, of files, and of lines for a shell.
#[test]
fn parts_of_the_pages_do_what_others_do() {
    let folder = scratch();
    let har = folder.path().join("made.har");
    Client::new("console_parts.mjs").with("har", &har).run();
    let found = Client::new("check_har.mjs").with("har", &har).run();
    assert_eq!(found, json!({ "entries": 3, "messages": 2 }));
}

/// What is committed of others is what they have published, but for what is taken out of it on purpose.
#[test]
fn the_vendored_file_is_made_of_what_was_published() {
    let (folder, made) = (scratch(), scratch());
    let vendor = root().join("src/console/web/vendor");
    fs::copy(vendor.join("build.mjs"), folder.path().join("build.mjs")).unwrap();
    let modules = root().join(".tools/node/node_modules");
    std::os::unix::fs::symlink(modules, folder.path().join("node_modules")).unwrap();
    let mut node = Command::new(tool("venv/bin/node"));
    node.current_dir(folder.path()).arg("build.mjs").arg(made.path());
    let done = Process::start("node", node).finish();
    assert!(done.status.success(), "{:?}", done.err);
    for file in ["preact.js", "licences.txt"] {
        let text = |folder: &Path| fs::read_to_string(folder.join(file)).unwrap();
        assert!(
            text(made.path()) == text(&vendor),
            "{file} is not what build.mjs makes"
        );
    }
}
