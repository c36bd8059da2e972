//! What a proxy that asks for names has to get right beside one scheme: several at once, methods and contents of all kinds,
//! and nothing of it for origins.

use crate::harness::clients::{Client, curl};
use crate::harness::logins::{basic, is_asked};
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, dial, header};
use crate::harness::road::{Road, Version, over_both};
use crate::harness::until;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// `ada`, whose password is "secret"; by openssl passwd.
const USERS: &str = "ada:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/\n";
const KNOWN: &str = "[[policy.rule]]\nname = 'who'\naction = 'authenticate'\n";
/// A message of NTLM (MS-NLMP section 2.2.1.1), as a client without a ticket puts it into Negotiate.
const NTLM: &str = "TlRMTVNTUAABAAAAl4II4gAAAAAAAAAAAAAAAAAAAAAKAGFKAAAADw==";

/// Tickets, passwords and tokens are on offer.
fn start() -> Proxy {
    let corp: serde_json::Value = serde_json::from_str(include_str!("../tickets/corp.json")).unwrap();
    let keytab = BASE64_STANDARD.decode(corp["keytab"].as_str().unwrap()).unwrap();
    let folder = crate::harness::scratch();
    let path = folder.path().join("http.keytab");
    std::fs::write(&path, keytab).unwrap();
    Setup::new()
        .file("users", USERS)
        .file("jwks.json", "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}")
        .config(&format!(
            "listen = {{ tls = ['127.0.0.1:0'] }}\n[auth.negotiate]\nkeytab = '{}'\n[auth.basic]\nhtpasswd = 'users'\n\
             [auth.bearer]\nissuer = 'https://login.example'\naudience = ['wsbump']\njwks = 'jwks.json'\n{KNOWN}",
            path.display()
        ))
        .start()
}

const OFFERS: [&str; 3] = [
    "Negotiate",
    "Bearer realm=\"wsbump\"",
    "Basic realm=\"wsbump\", charset=\"UTF-8\"",
];

/// The values of `Proxy-Authenticate`, a line each.
fn offers(head: &str) -> Vec<&str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authenticate"))
        .map(|(_, offer)| offer)
        .collect()
}

#[test]
fn each_scheme_has_a_line_the_strongest_first_and_ntlm_leads_on_to_basic() {
    let proxy = start();
    let port = origins::plain_aiohttp().port;
    let target = format!("origin.test:{port}");
    let (tunnel, get) = (
        format!("CONNECT {target}"),
        format!("GET http://{target}/status/204"),
    );
    for (line, granted) in [(&tunnel, 200), (&get, 204)] {
        let mut wire = Wire::new(dial(&proxy.address));
        let mut ask = |shown: Option<&str>| {
            let shown = shown.map_or_else(String::new, |shown| format!("Proxy-Authorization: {shown}\r\n"));
            wire.send(format!("{line} HTTP/1.1\r\nHost: {target}\r\n{shown}\r\n"));
            let head = wire.head().unwrap();
            let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
            if !head.starts_with("HTTP/1.1 200 ") {
                wire.exactly(length);
            }
            head
        };
        let head = ask(None);
        assert!(head.starts_with("HTTP/1.1 407 "), "{head}");
        assert_eq!(offers(&head), OFFERS, "{head}");
        // A client without a ticket: all that is on offer still is, and it goes on with a password where it is.
        let head = ask(Some(&format!("Negotiate {NTLM}")));
        assert!(head.starts_with("HTTP/1.1 407 "), "{head}");
        assert_eq!(offers(&head).last(), OFFERS.last(), "{head}");
        let head = ask(Some(&format!("NTLM {NTLM}")));
        assert!(head.starts_with("HTTP/1.1 407 "), "{head}");
        assert_eq!(offers(&head).last(), OFFERS.last(), "{head}");
        let head = ask(Some(&basic("ada", "secret")));
        assert!(head.starts_with(&format!("HTTP/1.1 {granted} ")), "{head}");
    }
    let line = proxy.log("login_failed", |line| line["error"] == "ntlm");
    assert_eq!(line["scheme"], "negotiate", "{line}");
    assert!(line["detail"].as_str().unwrap().contains("NTLM"), "{line}");
    for (method, target) in [
        ("CONNECT", target.clone()),
        ("GET", format!("http://{target}/status/204")),
    ] {
        let found = Client::new("h2_ask.py")
            .with("proxy", proxy.secure_url())
            .with("ca", &proxy.ca)
            .with("method", method)
            .with("target", target)
            .run();
        assert_eq!(
            (&found["status"], &found["proxy-authenticate"]),
            (&"407".into(), &OFFERS.join(", ").into()),
            "{found}"
        );
    }
}

fn asks_for_basic() -> Proxy {
    Setup::new()
        .file("users", USERS)
        .config(&format!(
            "listen = {{ tls = ['127.0.0.1:0'] }}\n[auth.basic]\nhtpasswd = 'users'\n{KNOWN}"
        ))
        .start()
}

#[test]
fn what_has_no_content_gets_none_with_its_407() {
    let proxy = asks_for_basic();
    let target = format!("origin.test:{}", origins::plain_aiohttp().port);
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(format!(
        "HEAD http://{target}/status/204 HTTP/1.1\r\nHost: {target}\r\n\r\n"
    ));
    let head = wire.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 407 "), "{head}");
    assert!(
        header(&head, "content-length").is_some_and(|length| length != "0"),
        "{head}"
    );
    // The next bytes are the next answer.
    wire.send(format!(
        "HEAD http://{target}/status/204 HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: {}\r\n\r\n",
        basic("ada", "secret")
    ));
    let head = wire.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
    let found = Client::new("h2_ask.py")
        .with("proxy", proxy.secure_url())
        .with("ca", &proxy.ca)
        .with("method", "HEAD")
        .with("target", format!("http://{target}/status/204"))
        .run();
    assert_eq!(found["status"], "407", "{found}");
}

/// A proxy in front may have gone by the one of them, and this one by the other.
#[test]
fn who_shows_two_things_has_shown_neither() {
    let proxy = asks_for_basic();
    let target = format!("origin.test:{}", origins::plain_aiohttp().port);
    let url = format!("http://{target}/status/204");
    let (right, wrong) = (basic("ada", "secret"), basic("max", "secret"));
    let mut wire = Wire::new(dial(&proxy.address));
    let mut ask = |request: &str, shown: [&str; 2]| {
        let shown = shown.map(|shown| format!("Proxy-Authorization: {shown}\r\n"));
        wire.send(format!(
            "{request} HTTP/1.1\r\nHost: {target}\r\n{}\r\n",
            shown.concat()
        ));
        wire.answer()
    };
    let (get, connect) = (format!("GET {url}"), format!("CONNECT {target}"));
    for request in [&get, &connect] {
        for shown in [[&*right, &*wrong], [&*wrong, &*right]] {
            is_asked(&ask(request, shown), OFFERS[2]);
        }
    }
    // Said twice is said.
    assert_eq!(ask(&get, [&right, &right]).status, 204);
    for (method, target) in [("GET", &url), ("CONNECT", &target)] {
        let found = Client::new("h2_ask.py")
            .with("proxy", proxy.secure_url())
            .with("ca", &proxy.ca)
            .with("method", method)
            .with("target", target)
            .with("credentials", &right)
            .with("header", format!("proxy-authorization:{wrong}"))
            .run();
        assert_eq!(found["status"], "407", "{method}: {found}");
    }
    let line = proxy.log("login_failed", |line| line["error"] == "malformed");
    assert_eq!(line["detail"], "what stands behind Basic is not base64", "{line}");
}

/// More than is read past: the answer comes all the same, and says that the connection ends.
#[test]
fn a_407_is_heard_by_whoever_sends_more_than_is_read_past() {
    const LENGTH: usize = 8 << 20;
    let proxy = asks_for_basic();
    let target = format!("origin.test:{}", origins::plain_aiohttp().port);
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(format!(
        "POST http://{target}/echo HTTP/1.1\r\nHost: {target}\r\nContent-Length: {LENGTH}\r\n\r\n"
    ));
    let mut sender = wire.stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        use std::io::Write as _;
        // It ends when the proxy has had enough.
        let _ = sender.write_all(&vec![b'x'; LENGTH]);
    });
    let answer = wire.answer();
    assert_eq!(
        (answer.status, answer.header("connection")),
        (407, Some("close")),
        "{}",
        answer.head
    );
    assert_eq!(offers(&answer.head), OFFERS[2..], "{}", answer.head);
    assert!(!answer.body.is_empty(), "the reason was lost");
    drop(wire);
    sending.join().unwrap();
    // In pieces, whose end nobody knows beforehand.
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(format!(
        "POST http://{target}/echo HTTP/1.1\r\nHost: {target}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    ));
    is_asked(&wire.answer(), OFFERS[2]);
    wire.send(format!(
        "GET http://{target}/status/204 HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: {}\r\n\r\n",
        basic("ada", "secret")
    ));
    assert_eq!(wire.answer().status, 204);
}

/// What careless clients put into a tunnel goes no further, nor does an origin learn how to ask for it.
fn nothing_of_it_is_for_origins(version: Version) {
    let proxy = Proxy::start();
    let road = Road::start(version);
    let shown = format!("Proxy-Authorization: {}\r\n", basic("ada", "secret"));
    let mut client = road.client(&proxy);
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: {}\r\n{shown}\r\n",
        road.target()
    ));
    let mut origin = road.accept();
    let head = origin.head().unwrap();
    assert!(header(&head, "proxy-authorization").is_none(), "{head}");
    origin.send(
        "HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic realm=\"x\"\r\nProxy-Authentication-Info: rspauth=\"y\"\r\n\
         Content-Length: 0\r\n\r\n",
    );
    let answer = client.answer();
    assert_eq!(
        (
            answer.status,
            answer.header("proxy-authenticate"),
            answer.header("proxy-authentication-info")
        ),
        (407, None, None),
        "{}",
        answer.head
    );
    drop((client, origin));

    let mut client = road.client(&proxy);
    client.ask_websocket(&road.target(), "/", &shown);
    let mut origin = road.accept();
    let head = origin.accept_websocket("Proxy-Authenticate: Basic realm=\"x\"\r\n");
    assert!(header(&head, "proxy-authorization").is_none(), "{head}");
    let head = client.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(header(&head, "proxy-authenticate").is_none(), "{head}");
}

/// A user and the groups are known to rules, to the logs and to recordings, and to no metric.
fn a_name_and_its_groups_reach_rules_logs_and_recordings(version: Version) {
    let proxy = Setup::new()
        .file("users", USERS)
        .file("groups", "Web-Staff: ada\n")
        .folder("records")
        .config(&format!(
            "log = {{ audit = 'audit.log' }}\nrecord = {{ directory = 'records' }}\n[auth.basic]\nhtpasswd = 'users'\ngroups = 'groups'\n\
             [[inspect.rule]]\nname = 'words'\ngroups = ['Web-Staff']\nkeywords = ['confidential']\naction = 'log'\n{KNOWN}"
        ))
        .start();
    let url = version.echo().url("https", "/echo");
    let arguments = [
        version.curl(),
        "--proxy-user",
        "ADA:secret",
        "--data",
        "confidential",
        &url,
    ];
    let done = curl(Some(&proxy.url()), &proxy.ca, &arguments);
    assert_eq!(done.status, 200, "{done:?}");
    let is_hers = |line: &serde_json::Value, user: &str, groups: &str| {
        assert_eq!(
            (&line[user], &line[groups]),
            (&"ada".into(), &serde_json::json!(["web-staff"])),
            "{line}"
        );
    };
    is_hers(
        &proxy.log("connection", |line| line["action"] == "bump"),
        "user",
        "groups",
    );
    let audit = until("the finding", || {
        let text = std::fs::read_to_string(proxy.folder().join("audit.log")).ok()?;
        let mut lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.find(|line| line["rule"] == "words")
    });
    is_hers(&audit, "user", "groups");
    let metrics = curl(None, &proxy.ca, &[&format!("http://{}/metrics", proxy.admin)]);
    assert!(metrics.text.contains("wsbump_auth_total"), "{}", metrics.text);
    for secret in ["\"ada\"", "web-staff"] {
        assert!(!metrics.text.contains(secret), "{secret}");
    }
    let folder = proxy.folder().join("records");
    let entry = until("the recording", || {
        let files = std::fs::read_dir(&folder).unwrap().flatten();
        let mut recordings = files.filter(|file| file.path().extension().is_some_and(|kind| kind == "har"));
        let text = std::fs::read_to_string(recordings.next()?.path()).ok()?;
        let whole: serde_json::Value = serde_json::from_str(&text).ok()?;
        Some(whole["log"]["entries"].get(0)?.clone())
    });
    is_hers(&entry, "_user", "_groups");
}

over_both!(
    nothing_of_it_is_for_origins,
    a_name_and_its_groups_reach_rules_logs_and_recordings
);
