//! One's own origins, whose clients know of no proxy: certificates of the operator's, and everything else as ever.

use crate::harness::certs::{ROOT_NAME, certs};
use crate::harness::clients::{Client, Curled, chromium, curl};
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Secure, Wire, dial, frame, header, start_tls, tls_over};
use crate::harness::recorder::{Recorder, accept, tcp};
use crate::harness::road::{Road, Version, over_both};
use crate::harness::{free_port, origins, scratch, until};
use std::path::Path;

/// The network that origins are in is none that clients of a forward proxy may reach: the operator's word counts.
fn setup(origin: &str, more: &str) -> Setup {
    setup_with(origin, "", more)
}

fn setup_with(origin: &str, own: &str, more: &str) -> Setup {
    let own_certificate = &certs().origin;
    Setup::new()
        .config(&format!(
            "listener = [{{ name = 'site', kind = 'reverse', address = ['127.0.0.1:0'] {own},\n\
             site = [{{ hosts = ['localhost', 'wss-primary.slack.com'], cert = '{}', key = '{}', origin = '{origin}' }}] }}]\n{more}",
            own_certificate.cert.display(),
            own_certificate.key.display(),
        ))
        .config("network = { allow = [] }")
}

fn port(proxy: &Proxy) -> String {
    let address = proxy.listener("site");
    address.rsplit_once(':').unwrap().1.to_owned()
}

fn ask(proxy: &Proxy, arguments: &[&str], path: &str) -> Curled {
    let url = format!("https://localhost:{}{path}", port(proxy));
    curl(None, &certs().root, &[arguments, &[&url]].concat())
}

/// A client's end, after its handshake.
fn client(proxy: &Proxy) -> Secure {
    let target = format!("localhost:{}", port(proxy));
    tls_over(Wire::new(dial(&proxy.listener("site"))), &target, &certs().root)
}

over_both!(
    clients_find_the_operators_certificate_and_the_rules_look_into_their_websockets,
    each_request_has_the_client_that_is_told,
    a_refusal_is_logged_as_that_of_the_client_that_is_told,
    clients_are_told_of_no_other_way_before_a_response_either
);

fn clients_find_the_operators_certificate_and_the_rules_look_into_their_websockets(version: Version) {
    let rule = "[[inspect.rule]]\nname = 'words'\nmode = 'enforce'\naction = 'redact'\nwith = 'nothing'\nkeywords = ['secret']\nin = ['message']\n";
    let origin = format!("https://127.0.0.1:{}", version.node_ws().port);
    let proxy = setup(&origin, rule).start();
    let done = ask(&proxy, &[version.curl()], "/");
    assert_eq!(done.status, 200, "{done:?}");
    let line = proxy.log("request", |_| true);
    assert_eq!(line["protocol"], version.logged(), "{line}");
    // WebSockets over HTTP/2 are asked for by browsers; what is inside is the same.
    let url = format!("wss://localhost:{}/ws", port(&proxy));
    let found = Client::new("client_websockets.py")
        .with("ca", &certs().root)
        .with("url", &url)
        .with("mode", "suite")
        .finish();
    if version == Version::Http1 {
        assert!(found.ok, "{}", found.text);
        assert_eq!(found.facts["issuer"], ROOT_NAME, "{}", found.text);
        let mut talk = Client::new("client_websockets.py")
            .with("ca", &certs().root)
            .with("url", &url)
            .with("mode", "dialogue")
            .start();
        talk.out("open", |line| line.contains("\"open\": true").then_some(()));
        talk.say("a secret word");
        talk.out("the answer", |line| line.contains("a nothing word").then_some(()));
        drop(talk);
        proxy.metric("wsbump_inspect_findings_total", &[("rule", "words")], 1.0);
        let line = proxy.log("websocket", |_| true);
        assert_eq!(line["url"], url, "{line}");
    }
    let line = proxy.log("connection", |line| line["requests"] == 1);
    assert_eq!(
        (&line["listener"], &line["action"], &line["target"]),
        (
            &"site".into(),
            &"bump".into(),
            &format!("localhost:{}", port(&proxy)).into()
        ),
        "{line}"
    );
    proxy.metric("wsbump_leaf_certificates_minted_total", &[], 0.0);
}

#[test]
fn an_origin_without_tls_gets_the_request_with_its_host() {
    let (listener, to) = tcp();
    let proxy = setup(&format!("http://127.0.0.1:{to}"), "").start();
    let mut asking = client(&proxy);
    let host = format!("localhost:{}", port(&proxy));
    asking.send(format!("GET /x?y HTTP/1.1\r\nHost: {host}\r\nX-A: 1\r\n\r\n"));
    let mut origin = accept(&listener);
    let head = origin.head().unwrap();
    assert!(head.starts_with("GET /x?y HTTP/1.1\r\n"), "{head}");
    assert_eq!(
        (header(&head, "host"), header(&head, "x-a")),
        (Some(&*host), Some("1")),
        "{head}"
    );
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(asking.answer().body, b"hi");
    // Another host is not here.
    asking.send("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
    assert_eq!(asking.answer().status, 421);
    // And a WebSocket.
    let mut asking = client(&proxy);
    asking.ask_websocket(&host, "/", "");
    let mut origin = accept(&listener);
    origin.accept_websocket("");
    assert!(asking.head().unwrap().starts_with("HTTP/1.1 101 "));
    asking.send(frame(0x81, Some([1, 2, 3, 4]), b"hello"));
    assert_eq!(origin.frame().unwrap().payload, b"hello");
    // HTTP/2 is not offered that such an origin could not speak.
    let done = ask(&proxy, &["--http2", "--max-time", "1"], "/");
    assert_eq!(done.status, 0, "{done:?}");
    let mut origin = accept(&listener);
    assert!(origin.head().unwrap().starts_with("GET / HTTP/1.1\r\n"));
}

#[test]
fn the_name_chooses_the_site_and_what_is_none_is_refused() {
    let recorder = Recorder::start();
    let proxy = setup(&format!("https://127.0.0.1:{}", recorder.port), "").start();
    let address = proxy.listener("site");
    let mut named = start_tls(
        Wire::new(dial(&address)),
        "wss-primary.slack.com:443",
        &certs().root,
    );
    named.send("GET / HTTP/1.1\r\nHost: wss-primary.slack.com\r\n\r\n");
    let mut origin = recorder.accept();
    // The origin is asked for by the same name.
    assert_eq!(origin.stream.conn.server_name(), Some("wss-primary.slack.com"));
    assert_eq!(
        header(&origin.head().unwrap(), "host"),
        Some("wss-primary.slack.com")
    );
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(named.answer().status, 204);

    let mut nobody = start_tls(Wire::new(dial(&address)), "other.test:443", &certs().root);
    let error = nobody.try_send("GET / HTTP/1.1\r\n\r\n").unwrap_err().to_string();
    assert!(error.contains("UnrecognisedName"), "{error}");
    let line = proxy.log("connection", |line| line["outcome"] == "listener_tls_failed");
    assert!(line["detail"].as_str().unwrap().contains("other.test"), "{line}");

    let mut plain = Wire::new(dial(&address));
    plain.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = plain.answer();
    assert_eq!(answer.status, 400, "{}", answer.head);
    let mut garbage = Wire::new(dial(&address));
    garbage.send(b"\0\x01\x02\x03 nothing that is known\r\n\r\n");
    assert_eq!(garbage.rest(), b"");
}

#[test]
fn what_fails_and_what_is_denied_is_told_inside() {
    let dead = crate::harness::free_port();
    let denies =
        "[[policy.rule]]\nname = 'closed'\nlisteners = ['site']\npath = '^/closed'\naction = 'deny'\n";
    let proxy = setup(&format!("https://127.0.0.1:{dead}"), denies).start();
    for version in ["--http1.1", "--http2"] {
        let done = ask(&proxy, &[version], "/");
        assert_eq!(done.status, 502, "{done:?}");
    }
    let proxy = setup(&format!("https://127.0.0.1:{}", origins::aiohttp().port), denies).start();
    assert_eq!(ask(&proxy, &[], "/closed").status, 403);
    assert_eq!(ask(&proxy, &[], "/status/202").status, 202);
    // A whole listener.
    let all = "[[policy.rule]]\nname = 'nobody'\nlisteners = ['site']\naction = 'deny'\n";
    let proxy = setup(&format!("https://127.0.0.1:{}", origins::aiohttp().port), all).start();
    for version in ["--http1.1", "--http2"] {
        let done = ask(&proxy, &[version], "/status/202");
        assert_eq!(done.status, 403, "{done:?}");
    }
    // An origin that nobody vouches for.
    let proxy = setup(
        &format!("https://127.0.0.1:{}", origins::untrusted_node_ws().port),
        "",
    )
    .start();
    assert_eq!(ask(&proxy, &[], "/").status, 502);
    // The proxy itself.
    let proxy = setup("https://127.0.0.1:1", "").start();
    let own = format!("https://{}", proxy.address);
    let looped = setup(&own, "").config(&format!("listen = {{ proxy = ['{}'] }}", proxy.address));
    drop(proxy);
    let proxy = looped.start();
    assert_eq!(ask(&proxy, &[], "/").status, 502);
    let line = proxy.log("connection", |line| line["outcome"] == "proxy_loop_detected");
    assert_eq!(line["listener"], "site", "{line}");
}

fn each_request_has_the_client_that_is_told(version: Version) {
    let origin = format!("https://127.0.0.1:{}", version.echo().port);
    let denies = "[[policy.rule]]\nname = 'not-for-nine'\nclients = ['203.0.113.9']\naction = 'deny'\n";
    let trust = ", forwarded_for = { from = ['127.0.0.1'] }";
    let proxy = setup_with(&origin, trust, denies).start();
    let url = format!("https://localhost:{}/echo", port(&proxy));
    let told = |client: &str| format!("X-Forwarded-For: {client}");
    let (seven, nine) = (told("203.0.113.7"), told("203.0.113.9"));
    for (client, said, status) in [
        ("203.0.113.7", &*seven, 200),
        ("203.0.113.9", &nine, 403),
        ("127.0.0.1", "X-Nothing: 1", 200),
    ] {
        let arguments = [version.curl(), "--header", said, "--data", "x", &*url];
        let done = curl(None, &certs().root, &arguments);
        assert_eq!(done.status, status, "{done:?}");
        let line = proxy.log("request", |line| line["client"] == client);
        assert_eq!(line["status"], status, "{line}");
    }
    // Two at once on one connection do not take each other's.
    let statuses: [u16; 2] = if version == Version::Http1 {
        let mut wire = client(&proxy);
        let host = format!("localhost:{}", port(&proxy));
        wire.send(
            [&seven, &nine]
                .map(|told| {
                    format!("POST /echo HTTP/1.1\r\nHost: {host}\r\n{told}\r\nContent-Length: 1\r\n\r\nx")
                })
                .concat(),
        );
        [wire.answer().status, wire.answer().status]
    } else {
        let found = Client::new("h2_ask.py")
            .with("ca", &certs().root)
            .with("proxy", format!("https://localhost:{}", port(&proxy)))
            .with("method", "POST")
            .with("target", &url)
            .with("content", "1")
            .with(
                "header",
                "x-forwarded-for:203.0.113.7|x-forwarded-for:203.0.113.9",
            )
            .run();
        [0_usize, 1].map(|at| found[at]["status"].as_str().unwrap().parse().unwrap())
    };
    assert_eq!(statuses, [200, 403]);
    until("both lines", || {
        let lines = proxy.log_so_far("request");
        let count = |client: &str, status: u16| {
            lines
                .iter()
                .filter(|line| line["client"] == client && line["status"] == status)
                .count()
        };
        (count("203.0.113.7", 200) == 2 && count("203.0.113.9", 403) == 2).then_some(())
    });
}

fn a_refusal_is_logged_as_that_of_the_client_that_is_told(version: Version) {
    let trust = ", forwarded_for = { from = ['127.0.0.1'] }";
    let proxy = setup_with(&format!("https://127.0.0.1:{}", free_port()), trust, "").start();
    let url = format!("https://localhost:{}/", port(&proxy));
    let told = "X-Forwarded-For: 203.0.113.7";
    let done = curl(None, &certs().root, &[version.curl(), "--header", told, &url]);
    assert_eq!(done.status, 502, "{done:?}");
    let line = proxy.log("request", |line| line["status"] == 502);
    assert_eq!(
        (&line["client"], &line["protocol"]),
        (&"203.0.113.7".into(), &version.logged().into()),
        "{line}"
    );
}

fn clients_are_told_of_no_other_way_before_a_response_either(version: Version) {
    let road = Road::start(version);
    let target = road.target();
    let to = target.rsplit_once(':').unwrap().1;
    let proxy = setup(&format!("https://127.0.0.1:{to}"), "").start();
    let url = format!("https://localhost:{}/", port(&proxy));
    let asked = std::thread::spawn(move || curl(None, &certs().root, &[version.curl(), &url]));
    let mut origin = road.accept();
    origin.head().unwrap();
    let other_way = "Alt-Svc: h3=\":443\"\r\n";
    origin.send(format!(
        "HTTP/1.1 103 Early Hints\r\n{other_way}Link: </early>\r\n\r\n"
    ));
    origin.send(format!(
        "HTTP/1.1 200 OK\r\n{other_way}Content-Length: 2\r\n\r\nok"
    ));
    let done = asked.join().unwrap();
    assert_eq!(done.status, 200, "{done:?}");
    let text = done.text.to_lowercase();
    assert!(
        text.contains("link: </early>") && !text.contains("alt-svc"),
        "{text}"
    );
    if version == Version::Http1 {
        let mut client = client(&proxy);
        client.ask_websocket("localhost", "/", "");
        road.accept().accept_websocket(other_way);
        let head = client.head().unwrap().to_lowercase();
        assert!(
            head.starts_with("http/1.1 101 ") && !head.contains("alt-svc"),
            "{head}"
        );
    }
}

/// WebSockets on streams (RFC 8441), as libraries ask for them and as a browser does that knows of no proxy.
#[test]
fn websockets_over_http_2_are_looked_into() {
    let rule = "[[inspect.rule]]\nname = 'words'\nmode = 'enforce'\naction = 'redact'\nwith = 'nothing'\nkeywords = ['secret']\nin = ['message']\n";
    let origin = origins::own_node_h2(&[]);
    let proxy = setup(&format!("https://127.0.0.1:{}", origin.port), rule).start();
    let url = format!("https://localhost:{}/ws/1", port(&proxy));
    let mut talk = Client::new("client_h2.mjs")
        .with("ca", &certs().root)
        .with("mode", "websocket")
        .with("url", &url)
        .start();
    talk.out("open", |line| line.contains("\"open\":true").then_some(()));
    talk.say("a secret word");
    talk.out("the answer", |line| line.contains("a nothing word").then_some(()));
    let opened = origin.fact("the extended CONNECT", |fact| fact["protocol"] == "websocket");
    assert_eq!(opened["method"], "CONNECT", "{opened}");
    drop(talk);
    proxy.metric("wsbump_inspect_findings_total", &[("rule", "words")], 1.0);
    let line = proxy.log("websocket", |_| true);
    assert_eq!(
        (&line["url"], &line["protocol"]),
        (&url.replace("https://", "wss://").into(), &"HTTP/2".into()),
        "{line}"
    );

    let home = scratch();
    let found = chromium(home.path(), &certs().root)
        .with("url", format!("https://localhost:{}/", port(&proxy)))
        .run();
    assert_eq!(
        (&found["protocol"], &found["issuer"]),
        (&"h2".into(), &ROOT_NAME.into()),
        "{found}"
    );
    for one in found["all"].as_array().unwrap() {
        assert_eq!(one["wasClean"], true, "{found}");
    }
    let lines = until("all its WebSockets in the log", || {
        let lines = proxy.log_so_far("websocket");
        (lines.len() == 5).then_some(lines)
    });
    assert!(lines.iter().all(|line| line["protocol"] == "HTTP/2"), "{lines:?}");
}

/// As after a certificate's renewal: SIGHUP, once both files are there.
#[test]
fn a_renewed_certificate_is_for_new_handshakes_and_what_is_open_goes_on() {
    let [old, new] = [&["localhost"], &["localhost"]].map(|names| certs().of(names));
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let origin = origins::node_ws().port;
    let proxy = Setup::new()
        .file("site.pem", &read(&old.cert))
        .file("site.key", &read(&old.key))
        .config(&format!(
            "listener = [{{ name = 'site', kind = 'reverse', address = ['127.0.0.1:0'],\n\
             site = [{{ hosts = ['localhost'], cert = 'site.pem', key = 'site.key', origin = 'https://127.0.0.1:{origin}' }}] }}]"
        ))
        .start();
    let host = format!("localhost:{}", port(&proxy));
    // What a client is shown, which has no session from before.
    let shown = || {
        let mut client = client(&proxy);
        let rustls::StreamOwned { conn, sock } = &mut client.stream;
        while conn.is_handshaking() {
            conn.complete_io(sock).unwrap();
        }
        conn.peer_certificates().unwrap().to_vec()
    };
    assert_eq!(shown(), old.chain);
    let mut socket = client(&proxy);
    socket.ask_websocket(&host, "/ws", "");
    assert!(socket.head().unwrap().starts_with("HTTP/1.1 101 "));
    let mut kept = client(&proxy);
    let mut ask_again = || {
        kept.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(kept.answer().status, 200);
    };
    ask_again();

    // A certificate whose key is not there yet changes nothing.
    proxy.replace("site.pem", &read(&new.cert));
    proxy.process().signal("HUP");
    proxy.metric("wsbump_config_last_reload_successful", &[], 0.0);
    proxy.process().err("what is wrong", |line| {
        line.contains("listener.site").then_some(())
    });
    assert_eq!(shown(), old.chain);

    proxy.replace("site.key", &read(&new.key));
    proxy.process().signal("HUP");
    proxy.metric("wsbump_config_last_reload_successful", &[], 1.0);
    assert_eq!(shown(), new.chain);
    for word in ["one", "another"] {
        socket.send(frame(0x81, Some([1, 2, 3, 4]), word.as_bytes()));
        assert_eq!(socket.frame().unwrap().payload, word.as_bytes());
    }
    ask_again();
    assert_eq!(proxy.metrics().sum("wsbump_websockets_open", &[]), 1.0);
}

/// A change of the policy judges a WebSocket for its client, not for the load balancer that has brought it, and by the URL that
/// the client knows, whatever the origin speaks.
#[test]
fn a_change_of_the_policy_reaches_websockets_by_their_client_and_url() {
    let rule = |condition: &str| {
        format!(
            "[policy]\non_change = 'close'\non_change_within = '1ms'\n\
             [[policy.rule]]\nname = 'gone'\n{condition}\naction = 'deny'\n"
        )
    };
    let trust = ", forwarded_for = { from = ['127.0.0.1'] }";
    let (listener, to) = tcp();
    let before = rule("clients = ['192.0.2.1']");
    let mut proxy = setup_with(&format!("http://127.0.0.1:{to}"), trust, &before).start();
    let [mut seven, mut eight] = ["203.0.113.7", "203.0.113.8"].map(|told| {
        let mut client = client(&proxy);
        let host = format!("localhost:{}", port(&proxy));
        client.ask_websocket(&host, "/", &format!("X-Forwarded-For: {told}\r\n"));
        let mut origin = accept(&listener);
        origin.accept_websocket("");
        let head = client.head().unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        (client, origin)
    });
    proxy.rewrite_config(&rule("clients = ['203.0.113.7']"));
    proxy.process().signal("HUP");
    assert_eq!(seven.0.frame().unwrap().close_code(), Some(1008));
    eight.0.send(frame(0x81, Some([1, 2, 3, 4]), b"still here"));
    assert_eq!(eight.1.frame().unwrap().payload, b"still here");
    proxy.rewrite_config(&rule("url = '^https://'"));
    proxy.process().signal("HUP");
    assert_eq!(eight.0.frame().unwrap().close_code(), Some(1008));
}

#[test]
fn the_proxy_protocol_may_come_before() {
    let recorder = Recorder::start();
    let own = ", proxy_protocol = { from = ['127.0.0.1'] }";
    let proxy = setup_with(&format!("https://127.0.0.1:{}", recorder.port), own, "").start();
    let mut wire = Wire::new(dial(&proxy.listener("site")));
    wire.send("PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\r\n");
    let target = format!("localhost:{}", port(&proxy));
    let mut secure = tls_over(wire, &target, &certs().root);
    secure.send(format!("GET / HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(secure.answer().status, 204);
    drop((secure, origin));
    let line = proxy.log("request", |line| line["status"] == 204);
    assert_eq!(line["client"], "203.0.113.7", "{line}");
}

#[test]
fn a_splice_leaves_the_origins_own_tls_alone() {
    let list = "[policy]\nsplice = ['own']\n[[list]]\nname = 'own'\nformat = 'domains'\nfile = 'own'\n";
    let recorder = Recorder::start();
    let proxy = setup(&format!("https://127.0.0.1:{}", recorder.port), list)
        .file("own", "localhost\n")
        .start();
    let mut asking = client(&proxy);
    asking.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(asking.answer().status, 204);
    drop((asking, origin));
    let line = proxy.log("connection", |line| line["action"] == "splice");
    assert_eq!(line["listener"], "site", "{line}");
    // To where nothing speaks TLS, nothing is relayed.
    let (listener, to) = tcp();
    let proxy = setup(&format!("http://127.0.0.1:{to}"), list)
        .file("own", "localhost\n")
        .start();
    let mut asking = start_tls(
        Wire::new(dial(&proxy.listener("site"))),
        "localhost:443",
        &certs().root,
    );
    assert!(asking.try_send("GET / HTTP/1.1\r\n\r\n").is_err());
    assert_eq!(accept(&listener).rest(), b"");
    proxy.log("connection", |line| line["outcome"] == "refused");
}
