//! `wsbump doctor` through proxies of all kinds: it has to say whose doing it is.

use crate::harness::certs::certs;
use crate::harness::meddler::{Meddler, Meddling};
use crate::harness::origins;
use crate::harness::process::{Finished, Process};
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::road::Version;
use crate::harness::squid::Squid;
use crate::harness::{free_port, scratch, until};
use serde_json::Value;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

mod proxies;

/// What the doctor was asked, and said.
struct Examined {
    json: Value,
    code: i32,
}

/// A question to the doctor.
struct Doctor {
    command: Command,
    _home: tempfile::TempDir,
}

impl Doctor {
    /// About a URL, by somebody who trusts the origins' root alone.
    fn of(url: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
        let home = scratch();
        command
            .args(["doctor", url, "--timeout", "3s", "--ca"])
            .arg(&certs().root)
            .env("HOME", home.path())
            // Nothing of this machine's, whatever it trusts.
            .env("SSL_CERT_FILE", &certs().root);
        Self { command, _home: home }
    }

    fn with(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn trusts(self, ca: &Path) -> Self {
        self.with(&["--ca", ca.to_str().unwrap()])
    }

    fn through(self, proxy: &str) -> Self {
        self.with(&["--proxy", proxy])
    }

    /// Knows where the origins are, as the proxies do.
    fn beside(self, port: u16) -> Self {
        self.with(&["--resolve", &format!("origin.test:{port}:127.0.0.1")])
    }

    fn said(self) -> Finished {
        Process::start("wsbump doctor", self.command).finish()
    }

    fn examined(self) -> Examined {
        let finished = self.with(&["--json"]).said();
        let text = finished.out.join("\n");
        let json = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text:?} {:?}", finished.err));
        Examined {
            json,
            code: finished.status.code().unwrap(),
        }
    }
}

impl Examined {
    fn step(&self, road: &str, id: &str) -> &Value {
        let steps = self.json["targets"][0]["steps"].as_array().unwrap();
        let found = steps.iter().find(|step| step["road"] == road && step["id"] == id);
        found.unwrap_or_else(|| panic!("no step {id} on the road {road}: {:#}", self.json))
    }

    fn has_step(&self, road: &str, id: &str) -> bool {
        let steps = self.json["targets"][0]["steps"].as_array().unwrap();
        steps.iter().any(|step| step["road"] == road && step["id"] == id)
    }

    #[track_caller]
    fn is(&self, road: &str, id: &str, status: &str) -> &str {
        let step = self.step(road, id);
        assert_eq!(step["status"], status, "{road} {id}: {:#}", self.json);
        step["summary"].as_str().unwrap()
    }

    /// The verdict's line, which has to name these.
    #[track_caller]
    fn verdict(&self, whose: &str, symptom: Option<u64>, words: &[&str]) -> &str {
        let verdict = &self.json["verdict"];
        assert_eq!(verdict["whose"], whose, "{:#}", self.json);
        assert_eq!(verdict["symptom"].as_u64(), symptom, "{:#}", self.json);
        assert_eq!(self.code, i32::from(whose != "nobody"));
        let line = verdict["line"].as_str().unwrap();
        for word in words {
            assert!(line.contains(word), "{word:?}: {line}");
        }
        line
    }
}

fn echo_url() -> (String, u16) {
    let origin = origins::websockets();
    (origin.url("wss", "/echo"), origin.port)
}

/// The echo beside a proxy of this behaviour.
fn meddled(meddling: Meddling) -> Doctor {
    let (url, port) = echo_url();
    Doctor::of(&url)
        .through(&Meddler::start(meddling).url)
        .beside(port)
}

#[test]
fn all_is_well_through_this_proxy_and_it_says_who_signs() {
    let proxy = Proxy::start();
    let (url, port) = echo_url();
    let said = Doctor::of(&url)
        .through(&proxy.url())
        .trusts(&proxy.ca)
        .beside(port)
        .with(&["--echo", "--idle", "1s"])
        .examined();
    said.verdict(
        "nobody",
        None,
        &["200 B and 200 KiB through the proxy", "1.0 s of silence"],
    );
    for id in ["proxy.dial", "proxy.connect", "tls", "http1", "websocket", "idle"] {
        said.is("proxy", id, "ok");
    }
    assert!(said.is("proxy", "websocket.deflate", "ok").contains("agreed on"));
    // The origin's root is nobody's but the tests', which is a reason to warn: it names no place for its revocation.
    let own = said.step("proxy", "trust")["summary"].as_str().unwrap();
    let origins = said.step("direct", "trust")["summary"].as_str().unwrap();
    assert!(
        own.contains("wsbump") && !origins.contains("wsbump"),
        "{own} {origins}"
    );
    assert!(said.is("direct", "websocket", "ok").contains("200 KiB back in"));
}

#[test]
fn pings_alone_prove_the_way_and_nothing_is_sent_to_the_application() {
    let proxy = Proxy::start();
    let (url, _) = echo_url();
    let said = Doctor::of(&url)
        .through(&proxy.url())
        .trusts(&proxy.ca)
        .examined();
    said.verdict("nobody", None, &["200 B and 200 KiB"]);
    let line = proxy.log("websocket", |line| {
        line["frames_to_origin"].as_u64() > Some(1_600)
    });
    assert_eq!(line["messages_to_origin"], 0, "{line}");
    // The direct road has no name to go by, and that is no failure.
    said.is("direct", "names", "warning");
}

#[test]
fn websockets_over_http2_are_tried_where_settings_offer_them() {
    let proxy = Proxy::start();
    let origin = origins::node_h2();
    // It speaks nothing but HTTP/2, and its WebSocket over HTTP/1.1 fails with and without the proxy: that is no fault.
    let said = Doctor::of(&origin.url("wss", "/ws"))
        .through(&proxy.url())
        .trusts(&proxy.ca)
        .beside(origin.port)
        .with(&["--echo"])
        .examined();
    let over = said.is("proxy", "websocket.http2", "ok");
    assert!(over.contains("200 KiB back in"), "{over}");
    said.is("direct", "websocket.http2", "ok");
    said.is("proxy", "http2", "ok");
    said.is("proxy", "websocket", "warning");
    said.verdict("nobody", None, &["over HTTP/2, all that the target has"]);
}

/// Where a proxy does not look, nobody has to look for what its rules do there.
#[test]
fn a_host_that_a_proxy_splices_is_told_from_one_that_it_decrypts() {
    let proxy = Setup::new()
        .file("alone", "origin.test\n")
        .config("policy = { splice = ['alone'] }\nlist = [{ name = 'alone', file = 'alone', format = 'domains' }]")
        .start();
    let (url, port) = echo_url();
    let through = |proxy: &str| Doctor::of(&url).through(proxy);
    for proxy in [proxy.url(), Squid::start().url()] {
        let said = through(&proxy).beside(port).examined();
        let told = said.is("proxy", "proxy.decrypts", "ok");
        assert!(
            told.contains("does not decrypt this host (it splices it)"),
            "{told}"
        );
        let evidence = said.step("proxy", "proxy.decrypts")["evidence"].to_string();
        let line = format!("wsbump explain origin.test:{port}");
        assert!(evidence.contains(&line), "{evidence}");
        said.verdict("nobody", None, &["does not decrypt this host"]);
        assert!(!said.has_step("direct", "proxy.decrypts"));
    }
    let other = Proxy::start();
    let said = through(&other.url()).trusts(&other.ca).beside(port).examined();
    let told = said.is("proxy", "proxy.decrypts", "ok");
    assert!(
        told.contains("the proxy decrypts this host") && told.contains("wsbump"),
        "{told}"
    );
    let line = said.verdict("nobody", None, &[]);
    assert!(!line.contains("decrypt"), "{line}");
    // The tests' root is no public one, and there is nothing to hold its certificate against.
    let said = through(&proxy.url()).examined();
    let told = said.is("proxy", "proxy.decrypts", "skipped");
    assert!(told.contains("cannot be told"), "{told}");
}

#[test]
fn a_missing_ca_is_this_machines_matter() {
    let proxy = Proxy::start();
    let (url, port) = echo_url();
    let said = Doctor::of(&url).through(&proxy.url()).beside(port).examined();
    said.verdict("client", Some(18), &["the proxy decrypts", "install that CA"]);
    // And the rest is found out all the same.
    said.is("proxy", "websocket", "ok");
    // Without a direct road it is only likely.
    let said = Doctor::of(&url).through(&proxy.url()).examined();
    said.verdict("client", Some(18), &["most likely the proxy decrypts"]);
}

#[test]
fn squid_that_decrypts_is_told_what_it_lacks() {
    let (url, port) = echo_url();
    let squid = Squid::bumping("");
    let ask = || Doctor::of(&url).through(&squid.url()).trusts(&squid.ca());
    let said = ask().beside(port).examined();
    let line = said.json["verdict"]["line"].as_str().unwrap().to_owned();
    let symptom = said.json["verdict"]["symptom"].as_u64();
    assert!(matches!(symptom, Some(1 | 8)), "{:#}", said.json);
    said.verdict(
        "proxy",
        symptom,
        &[
            "It is the proxy",
            "http_upgrade_request_protocols websocket allow all",
        ],
    );
    assert!(
        said.is("direct", "websocket", "ok").contains("opened (101)"),
        "{line}"
    );
    let said = ask().examined();
    said.verdict("proxy", symptom, &["It is most likely the proxy"]);

    let cured = Squid::bumping("http_upgrade_request_protocols websocket allow all");
    let said = Doctor::of(&url)
        .through(&cured.url())
        .trusts(&cured.ca())
        .beside(port)
        .examined();
    said.verdict("nobody", None, &[]);
}

#[test]
fn squid_that_tunnels_is_well() {
    let (url, port) = echo_url();
    let squid = Squid::start();
    let said = Doctor::of(&url).through(&squid.url()).beside(port).examined();
    said.verdict("nobody", None, &[]);
    let [own, direct] = ["proxy", "direct"].map(|road| said.step(road, "trust")["summary"].clone());
    assert_eq!(own, direct);
    // A request in clear is fetched by the proxy.
    let plain = origins::plain_aiohttp();
    let said = Doctor::of(&format!("http://localhost:{}/status/204", plain.port))
        .through(&squid.url())
        .examined();
    let evidence = said.step("proxy", "http1")["evidence"].to_string();
    assert!(evidence.contains("squid"), "{evidence}");
    assert!(!said.has_step("proxy", "proxy.connect"));
    said.verdict("nobody", None, &[]);
}

#[test]
fn what_appliances_do_to_websockets_is_known_by_its_symptom() {
    for (meddling, symptom, words) in [
        (Meddling::Swallows, 5, &["nothing comes back"][..]),
        (Meddling::HoldsBack, 4, &["only when it is closed"]),
        (
            Meddling::Cuts(Duration::from_millis(300)),
            3,
            &["though everything had come back", "kills the tunnel"],
        ),
        (
            Meddling::Chokes(50_000),
            34,
            &["200 bytes come back and 200 KiB do not", "MTU"],
        ),
        (Meddling::Compresses, 11, &["reserved bits", "untouched"]),
        (Meddling::Invents, 11, &["did not offer"]),
        (
            Meddling::Forbids,
            36,
            &["Close 1008", "not here", "without the proxy it works"],
        ),
        (
            Meddling::Answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            1,
            &["answered 200", "carry WebSockets"],
        ),
        (
            Meddling::Answers("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
            8,
            &["answered 400"],
        ),
        (
            Meddling::Answers(""),
            14,
            &["the upgrade to a WebSocket fails", "no answer within"],
        ),
    ] {
        let said = meddled(meddling).examined();
        let line = said.verdict("proxy", Some(symptom), words);
        assert!(line.starts_with("It is the proxy:"), "{meddling:?}: {line}");
        said.is("proxy", "websocket", "failed");
        assert!(said.step("proxy", "websocket")["remedy"].is_string());
        said.is("direct", "websocket", "ok");
        said.is("proxy", "http1", "ok");
    }
    meddled(Meddling::Behaves).examined().verdict("nobody", None, &[]);
}

#[test]
fn an_idle_timer_is_found_and_whose_it_is() {
    let quiet = Duration::from_secs(4);
    let said = meddled(Meddling::Impatient(quiet))
        .with(&["--idle", "8s"])
        .examined();
    said.verdict("proxy", Some(6), &["a silent WebSocket is", "after 4."]);
    said.is("proxy", "websocket", "ok");
    said.is("direct", "idle", "ok");

    let nginx = origins::nginx_with_idle_time("3s");
    let said = Doctor::of(&nginx.url("wss", "/echo"))
        .through(&Squid::start().url())
        .beside(nginx.port)
        .with(&["--idle", "6s"])
        .examined();
    said.verdict(
        "origin",
        Some(6),
        &["It is not the proxy", "without the proxy it is the same", "pings"],
    );
}

#[test]
fn what_is_wrong_with_the_target_is_not_the_proxys() {
    let squid = Squid::start();
    let nginx = origins::own_nginx(Version::Http1, &certs().expired);
    let said = Doctor::of(&nginx.url("wss", "/echo"))
        .through(&squid.url())
        .beside(nginx.port)
        .examined();
    said.verdict("origin", None, &["It is not the proxy", "expired on 2021-01-01"]);
    said.is("proxy", "websocket", "ok");

    let nginx = origins::own_nginx(Version::Http1, &certs().untrusted);
    let said = Doctor::of(&nginx.url("https", "/"))
        .through(&squid.url())
        .beside(nginx.port)
        .examined();
    said.verdict(
        "origin",
        None,
        &["whom nobody here knows", "without the proxy too"],
    );

    let origin = origins::websockets();
    for (path, symptom, words) in [
        ("/refuse/403", 15, "Origin"),
        ("/refuse/404", 16, "the path"),
        ("/refuse/401", 1, "log in"),
    ] {
        let said = Doctor::of(&origin.url("wss", path))
            .through(&squid.url())
            .beside(origin.port)
            .examined();
        said.verdict("origin", Some(symptom), &["It is not the proxy", words]);
    }
    let said = Doctor::of(&origin.url("wss", "/close/1008"))
        .through(&squid.url())
        .beside(origin.port)
        .with(&["--echo"])
        .examined();
    said.verdict("origin", Some(36), &["Close 1008", "ask the vendor"]);

    // Nobody listens.
    let port = free_port();
    let url = format!("wss://origin.test:{port}/");
    let said = Doctor::of(&url).through(&squid.url()).beside(port).examined();
    said.verdict("origin", None, &["this machine cannot either"]);
    let said = Doctor::of(&url).beside(port).examined();
    said.verdict("origin", None, &["refused"]);
    let said = Doctor::of("wss://nobody.invalid/")
        .through(&squid.url())
        .examined();
    said.verdict("origin", None, &["cannot reach the target"]);
    let said = Doctor::of("wss://nobody.invalid/").examined();
    said.verdict("network", None, &["does not resolve here"]);
}

#[test]
fn a_bumping_proxy_that_refuses_an_origin_says_why() {
    let proxy = Proxy::start();
    let nginx = origins::own_nginx(Version::Http1, &certs().expired);
    let said = Doctor::of(&nginx.url("wss", "/echo"))
        .through(&proxy.url())
        .trusts(&proxy.ca)
        .beside(nginx.port)
        .examined();
    let line = said.json["verdict"]["line"].as_str().unwrap();
    assert_ne!(said.json["verdict"]["whose"], "nobody", "{:#}", said.json);
    assert!(!line.is_empty());
}

#[test]
fn a_client_certificate_that_is_asked_for_is_told() {
    let port = free_port();
    let origin = &certs().origin;
    let mut server = Command::new("openssl");
    server
        .args([
            "s_server",
            "-www",
            "-verify",
            "1",
            "-accept",
            &port.to_string(),
            "-cert",
        ])
        .arg(&origin.cert)
        .arg("-key")
        .arg(&origin.key);
    let _server = Process::start("openssl s_server", server);
    until("s_server listens", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    let said = Doctor::of(&format!("https://origin.test:{port}/"))
        .beside(port)
        .examined();
    said.is("direct", "tls", "warning");
    let evidence = said.step("direct", "tls")["evidence"].to_string();
    assert!(evidence.contains("asks for a client certificate"), "{evidence}");
    said.verdict("nobody", None, &["requests are answered directly"]);
}

#[test]
fn text_says_one_thing_last() {
    let finished = meddled(Meddling::Swallows).said();
    assert_eq!(finished.status.code(), Some(1));
    let text = finished.out.join("\n");
    let last = finished.out.last().unwrap();
    assert!(last.starts_with("It is the proxy: the WebSocket opens"), "{text}");
    assert!(text.contains("(symptom 5 of docs/troubleshooting.md)"), "{text}");
    assert!(text.contains("    ok       proxy.connect"), "{text}");
    assert!(text.lines().all(|line| !line.contains('\u{1b}')), "{text}");
}

#[test]
fn a_service_is_known_by_name_with_the_date_of_its_facts() {
    // No way out of here: every host of it is tried, and each says so.
    let finished = Doctor::of("slack")
        .through(&format!("http://127.0.0.1:{}", free_port()))
        .said();
    let text = finished.out.join("\n");
    assert_eq!(finished.status.code(), Some(1), "{text}");
    for word in [
        "hosts as known on 20",
        "help/test",
        "https://slack.com/api/api.test",
        "wss://wss-primary.slack.com/",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(
        finished.out.last().unwrap().starts_with("It is the proxy"),
        "{text}"
    );
}

#[test]
fn a_service_that_works_through_the_proxy_is_well_at_each_of_its_hosts() {
    let origin = origins::websockets();
    let here = format!("127.0.0.1:{}", origin.port);
    let hosts = [
        "slack.com",
        "wss-primary.slack.com",
        "wss-backup.slack.com",
        "wss-mobile.slack.com",
    ];
    let setup = hosts.iter().fold(Setup::new(), |setup, host| {
        setup.host(&format!("{host}:443"), &here)
    });
    let proxy = setup.start();
    let said = Doctor::of("slack")
        .through(&proxy.url())
        .trusts(&proxy.ca)
        .examined();
    said.verdict("nobody", None, &[]);
    let targets = said.json["targets"].as_array().unwrap();
    assert_eq!(targets.len(), hosts.len());
    for target in targets {
        assert_eq!(target["verdict"]["whose"], "nobody", "{target:#}");
    }
    // Each of its WebSockets carried both loads, bumped.
    let carried = |line: &Value| line["frames_to_origin"].as_u64() > Some(1_600);
    for host in &hosts[1..] {
        let target = format!("{host}:443");
        proxy.log("connection", |line| {
            line["target"] == *target && line["action"] == "bump"
        });
        let url = format!("wss://{host}/");
        proxy.log("websocket", |line| line["url"] == *url && carried(line));
    }
}

#[test]
fn an_answer_in_the_place_of_a_services_own_is_told() {
    // It grants each CONNECT, and answers in the name of whoever was asked for: with 426.
    let meddler = Meddler::start(Meddling::Behaves);
    let said = Doctor::of("slack").through(&meddler.url).examined();
    said.verdict(
        "proxy",
        None,
        &["answered 426", "200 is its healthy answer", "a block page"],
    );
}

#[test]
fn wrong_use_is_told_by_its_own_code() {
    for (arguments, said) in [
        (&["doctor", "slak"][..], "slack"),
        (&["doctor", "ftp://a.example/"], "http, https, ws and wss"),
        (
            &["doctor", "https://a.example/", "--proxy", "socks4://a:1"],
            "socks5h://",
        ),
        (
            &["doctor", "https://a.example/", "--resolve", "x"],
            "HOST:PORT:ADDRESS",
        ),
        (&["doctor", "https://a.example/", "--idle", "2"], "no unit"),
        (&["doctor", "https://a.example/", "--ca", "/nowhere"], "/nowhere"),
        (
            &["doctor", "https://a.example/", "--env-of", "4000000000"],
            "4000000000",
        ),
    ] {
        let home = crate::cli::home();
        let error = crate::cli::bad(home.path(), arguments, 2);
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn the_variables_of_another_program_are_taken() {
    let squid = Squid::start();
    let (url, port) = echo_url();
    let mut other = Command::new("sh");
    other
        .args(["-c", "echo up; exec sleep 60"])
        .env("https_proxy", squid.url());
    let other = Process::start("sleep", other);
    other.out("up", |line| (line == "up").then_some(()));
    let said = Doctor::of(&url)
        .beside(port)
        .with(&["--env-of", &other.pid().to_string()])
        .examined();
    assert_eq!(said.json["targets"][0]["proxy"], squid.url());
    said.verdict("nobody", None, &[]);
}

/// The words between backquotes in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_table_of_symptoms_has_every_row_that_is_printed_and_names_what_there_is() {
    let read = |path: &str| std::fs::read_to_string(crate::harness::root().join(path)).unwrap();
    let text = read("docs/troubleshooting.md");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| ") && line[2..].starts_with(|c: char| c.is_ascii_digit()))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let numbers: Vec<String> = rows.iter().map(|row| row[0].to_owned()).collect();
    let expected: Vec<String> = (1..=37).map(|number| number.to_string()).collect();
    assert_eq!(numbers, expected, "the doctor prints these");
    // Steps as they are called.
    let said = meddled(Meddling::Behaves).with(&["--idle", "1s"]).examined();
    for step in said.json["targets"][0]["steps"].as_array().unwrap() {
        let id = step["id"].as_str().unwrap();
        assert!(text.contains(&format!("`{id}`")), "{id}");
    }
    // Metrics and words of the log as they are called.
    let (metrics, log) = (read("docs/metrics.md"), read("docs/access-log.md"));
    for row in &rows {
        assert_eq!(row.len(), 5, "{row:?}");
        for word in quoted(row[3]) {
            let metric = word.split('{').next().unwrap();
            if metric.starts_with("wsbump_") {
                assert!(metrics.contains(&format!("`{metric}`")), "{word}");
            } else if word.contains('_') {
                let known = log.contains(&format!("`{word}`"));
                let key = read("config/wsbump.toml").contains(word.rsplit('.').next().unwrap());
                assert!(known || key, "{word}");
            }
        }
    }
}
