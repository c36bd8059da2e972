//! `[[policy.setting]]`: what holds for one host, beside another for which it does not.

use crate::harness::certs::certs;
use crate::harness::clients::{Client, curl};
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Secure, frame, header, tls_over, tunnel};
use crate::harness::recorder::{Recorder, Served};
use crate::harness::road::{Road, Version, over_both, over_front};

const MASK: Option<[u8; 4]> = Some([1, 2, 3, 4]);

/// `origin.test` is treated so; `localhost`, which is the same origin, is not.
fn treated(setting: &str, more: &str) -> Proxy {
    Setup::new()
        .file("short", "origin.test\n")
        .config(&format!(
            "{more}\n[[list]]\nname = 'short'\nfile = 'short'\nformat = 'domains'\n\
             [[policy.setting]]\nhosts = ['short']\n{setting}"
        ))
        .start()
}

fn other(recorder: &Recorder) -> String {
    format!("localhost:{}", recorder.port)
}

/// Both hosts by TLS that the proxy has made, or the origin.
fn both(proxy: &Proxy, recorder: &Recorder, is_spliced: bool) -> [(Secure, Served); 2] {
    [recorder.target(), other(recorder)].map(|target| {
        let root = if is_spliced { &certs().root } else { &proxy.ca };
        let client = tls_over(tunnel(proxy, &target), &target, root);
        (client, recorder.accept())
    })
}

#[test]
fn a_websocket_of_one_host_may_be_quiet_for_less_long() {
    let recorder = Recorder::start();
    let proxy = treated("websocket_idle = '300ms'", "");
    let open = |target: &str| {
        let mut client = tls_over(tunnel(&proxy, target), target, &proxy.ca);
        client.ask_websocket(target, "/", "");
        let mut origin = recorder.accept();
        origin.accept_websocket("");
        let head = client.head().unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        (client, origin)
    };
    // The other one has been quiet for longer when it ends.
    let (mut quiet, mut quiet_origin) = open(&other(&recorder));
    let (mut client, mut origin) = open(&recorder.target());
    assert_eq!(client.frame().unwrap().close_code(), Some(1001));
    assert_eq!(origin.frame().unwrap().close_code(), Some(1001));
    let line = proxy.log("websocket", |line| line["outcome"] == "idle");
    assert_eq!(
        (
            &line["close_cause"],
            line["url"].as_str().unwrap().contains("origin.test")
        ),
        (&"idle".into(), true),
        "{line}"
    );
    let text = frame(0x81, MASK, b"still here");
    quiet.send(&text);
    assert_eq!(quiet_origin.exactly(text.len()), text);
    assert_eq!(proxy.log_so_far("websocket").len(), 1);
}

#[test]
fn a_connection_to_one_host_may_be_idle_for_less_long() {
    let recorder = Recorder::start();
    let proxy = treated("http_idle = '300ms'", "");
    let [(mut client, mut origin), (mut quiet, mut quiet_origin)] = both(&proxy, &recorder, false);
    assert!(client.rest().is_empty() && origin.rest().is_empty());
    let line = proxy.log("connection", |_| true);
    assert_eq!(
        (&line["target"], &line["action"]),
        (&recorder.target().into(), &"bump".into()),
        "{line}"
    );
    quiet.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", other(&recorder)));
    quiet_origin.head().unwrap();
    quiet_origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(quiet.answer().status, 204);
}

#[test]
fn a_tunnel_to_one_host_may_be_quiet_for_less_long() {
    let recorder = Recorder::start();
    let more = "[[policy.rule]]\nname = 'all'\naction = 'splice'";
    let proxy = treated("tunnel_idle = '300ms'", more);
    let [(mut client, mut origin), (mut quiet, mut quiet_origin)] = both(&proxy, &recorder, true);
    assert!(client.rest().is_empty() && origin.rest().is_empty());
    let line = proxy.log("connection", |_| true);
    assert_eq!(
        (&line["target"], &line["action"], &line["outcome"]),
        (&recorder.target().into(), &"splice".into(), &"idle".into()),
        "{line}"
    );
    quiet.send(b"still here");
    assert_eq!(quiet_origin.exactly(10), b"still here");
}

#[test]
fn other_upgrades_are_for_one_host() {
    let recorder = Recorder::start();
    let proxy = treated("other_upgrades = 'tunnel'", "");
    let [(mut client, mut origin), (mut stripped, mut stripped_origin)] = both(&proxy, &recorder, false);
    let ask = |host: &str| {
        format!("GET /exec HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: foo/1\r\n\r\n")
    };
    client.send(ask(&recorder.target()));
    let head = origin.head().unwrap();
    assert_eq!(header(&head, "upgrade"), Some("foo/1"), "{head}");
    origin.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo/1\r\n\r\n");
    let head = client.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client.send(b"\x00\x01\xff");
    assert_eq!(origin.exactly(3), b"\x00\x01\xff");

    stripped.send(ask(&other(&recorder)));
    let head = stripped_origin.head().unwrap();
    assert_eq!(header(&head, "upgrade"), None, "{head}");
    stripped_origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(stripped.answer().status, 204);
}

#[test]
fn nothing_is_looked_into_where_that_is_off() {
    let recorder = Recorder::start();
    let more = "[[inspect.rule]]\nname = 'words'\nmode = 'enforce'\naction = 'close'\nin = ['body', 'message']\n\
                keywords = ['confidential']";
    let proxy = treated("inspect = false", more);
    let ask =
        |host: &str| format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 12\r\n\r\nconfidential");
    let [(mut client, mut origin), (mut inspected, _inspected_origin)] = both(&proxy, &recorder, false);
    client.send(ask(&recorder.target()));
    origin.head().unwrap();
    assert_eq!(origin.exactly(12), b"confidential");
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
    inspected.send(ask(&other(&recorder)));
    let answer = inspected.answer();
    assert_eq!(answer.status, 403, "{}", answer.head);

    // Messages neither.
    let (mut client, mut origin) = recorder.websocket(&proxy);
    let text = frame(0x81, MASK, b"confidential");
    client.send(&text);
    assert_eq!(origin.exactly(text.len()), text);
    proxy.metric("wsbump_inspect_findings_total", &[("rule", "words")], 1.0);
}

over_both!(an_origin_is_told_the_client_where_that_is_wanted);

fn an_origin_is_told_the_client_where_that_is_wanted(version: Version) {
    let road = Road::start(version);
    for (setting, wanted) in [
        ("", &["x-forwarded-for: 198.51.100.7"][..]),
        (
            "tell_client = 'x_forwarded_for'",
            &["x-forwarded-for: 198.51.100.7, 127.0.0.1"],
        ),
        (
            "tell_client = 'forwarded'\nremove_headers = ['X-Forwarded-For']",
            &["forwarded: for=127.0.0.1"],
        ),
    ] {
        let proxy = Setup::new()
            .config(&format!("[[policy.setting]]\n{setting}\n"))
            .start();
        let mut client = road.client(&proxy);
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n",
            road.target()
        ));
        let mut origin = road.accept();
        let head = origin.head().unwrap().to_lowercase();
        let told: Vec<&str> = head.lines().filter(|line| line.contains("forwarded")).collect();
        assert_eq!(told, wanted, "{setting}: {head}");
        origin.send("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(client.answer().status, 204);
    }
}

over_both!(
    nothing_that_is_broken_stands_before_the_client,
    neither_peer_takes_out_by_connection_what_is_set,
);
over_front!(neither_peer_takes_out_by_connection_what_is_set);

/// An open quote of the client's would have whoever reads the field believe the proxy in front instead.
fn nothing_that_is_broken_stands_before_the_client(version: Version) {
    let road = Road::start(version);
    let proxy = Setup::new()
        .config("[[policy.setting]]\ntell_client = 'forwarded'\n")
        .start();
    let mut client = road.client(&proxy);
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nForwarded: for=198.51.100.7\r\nForwarded: for=\"x\r\n\r\n",
        road.target()
    ));
    let mut origin = road.accept();
    let head = origin.head().unwrap();
    assert_eq!(
        header(&head, "forwarded"),
        Some("for=198.51.100.7, for=127.0.0.1"),
        "{head}"
    );
    assert!(!head.contains("\"x"), "{head}");
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
}

/// What is listed there is for one connection alone, and none of the operator's fields is (RFC 9110 section 7.6.1).
fn neither_peer_takes_out_by_connection_what_is_set(version: Version) {
    let road = Road::start(version);
    let proxy = Setup::new()
        .config("listen = { tls = ['127.0.0.1:0'] }")
        .config(
            "[[policy.setting]]\ntell_client = 'x_forwarded_for'\nset_headers = { X-Tenant = 'ours' }\n\
             set_response_headers = { X-Frame-Options = 'DENY' }\n",
        )
        .start();
    let is_ours = |head: &str| {
        assert_eq!(header(head, "x-tenant"), Some("ours"), "{head}");
        assert_eq!(header(head, "x-forwarded-for"), Some("127.0.0.1"), "{head}");
    };
    let mut client = road.client(&proxy);
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: keep-alive, X-Forwarded-For, x-hop\r\nConnection: X-Tenant\r\n\
         X-Tenant: theirs\r\nX-Hop: 1\r\n\r\n",
        road.target()
    ));
    let mut origin = road.accept();
    let head = origin.head().unwrap();
    is_ours(&head);
    if version == Version::Http1 {
        assert_eq!(header(&head, "x-hop"), None, "{head}");
    }
    origin.send(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Frame-Options, X-Hop\r\nX-Frame-Options: ALLOWALL\r\nX-Hop: 1\r\n\
         Content-Length: 2\r\n\r\nok",
    );
    let answer = client.answer();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
    assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{}", answer.head);
    if version != Version::Http2 {
        assert_eq!(answer.header("x-hop"), None, "{}", answer.head);
    }
    if version == Version::Http1 {
        client.ask_websocket(&road.target(), "/", "Connection: X-Forwarded-For, X-Tenant\r\n");
        is_ours(&origin.accept_websocket("Connection: X-Frame-Options\r\n"));
        let head = client.head().unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!(header(&head, "x-frame-options"), Some("DENY"), "{head}");
    }
}

over_both!(fields_of_responses_are_changed_where_that_is_wanted);

fn fields_of_responses_are_changed_where_that_is_wanted(version: Version) {
    let road = Road::start(version);
    let proxy = Setup::new()
        .config(
            "[[policy.setting]]\nset_response_headers = { X-Frame-Options = 'DENY', X-New = 'set' }\n\
             add_response_headers = { X-Two = 'ours' }\nremove_response_headers = ['Alt-Svc', 'Set-Cookie']\n\
             [[policy.setting]]\nports = [1]\nset_response_headers = { X-New = 'elsewhere' }\n",
        )
        .start();
    let mut client = road.client(&proxy);
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nX-Frame-Options: mine\r\n\r\n",
        road.target()
    ));
    let mut origin = road.accept();
    let asked = origin.head().unwrap().to_lowercase();
    assert!(asked.contains("x-frame-options: mine\r\n"), "{asked}");
    origin.send(
        "HTTP/1.1 200 OK\r\nX-Frame-Options: ALLOWALL\r\nx-frame-options: again\r\nX-Two: theirs\r\n\
         Alt-Svc: h3=\":443\"\r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\nContent-Length: 2\r\n\r\nok",
    );
    let answer = client.answer();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
    let head = answer.head.to_lowercase();
    let mut found: Vec<&str> = head
        .lines()
        .map(str::trim_end)
        .filter(|line| line.starts_with("x-") || line.starts_with("alt-") || line.starts_with("set-"))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "x-frame-options: deny",
            "x-new: set",
            "x-two: ours",
            "x-two: theirs"
        ],
        "{head}"
    );
}

/// A handshake's answer is a response too, but for what makes it one.
#[test]
fn fields_of_a_websockets_handshake_are_changed_likewise() {
    let recorder = Recorder::start();
    let proxy = treated(
        "remove_response_headers = ['Server']\nset_response_headers = { X-New = 'set' }",
        "",
    );
    for (target, wanted) in [(recorder.target(), false), (other(&recorder), true)] {
        let mut client = tls_over(tunnel(&proxy, &target), &target, &proxy.ca);
        client.ask_websocket(&target, "/", "");
        let mut origin = recorder.accept();
        origin.accept_websocket("Server: theirs\r\n");
        let head = client.head().unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!(header(&head, "server").is_some(), wanted, "{head}");
        assert_eq!(header(&head, "x-new").is_some(), !wanted, "{head}");
    }
}

/// Of requests that name their server, over both versions of HTTP with the proxy.
#[test]
fn fields_of_plain_responses_are_changed_likewise() {
    let proxy = Setup::new()
        .config("[[policy.setting]]\nset_response_headers = { X-New = 'set' }\nremove_response_headers = ['Content-Type']\n")
        .config("[listen]\ntls = ['127.0.0.1:0']")
        .start();
    let url = origins::plain_aiohttp().url("http", "/echo");
    let got = curl(Some(&proxy.url()), &proxy.ca, &["--data", "plain", &url]);
    let text = got.text.to_lowercase();
    assert!(
        text.contains("\nx-new: set\n") && !text.contains("\ncontent-type:"),
        "{text}"
    );
    let said = Client::new("h2_ask.py")
        .with("proxy", proxy.secure_url())
        .with("ca", &proxy.ca)
        .with("method", "POST")
        .with("content", "5")
        .with("target", &url)
        .run();
    assert_eq!(
        (&said["x-new"], said.get("content-type")),
        (&"set".into(), None),
        "{said}"
    );
}
