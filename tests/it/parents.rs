//! Origins that parents lead to: proxies that others wrote, and what goes through them.

use crate::harness::certs::certs;
use crate::harness::clients::{Client, curl};
use crate::harness::domain::domain;
use crate::harness::origins;
use crate::harness::parents::{Dante, OwnParent, Tinyproxy};
use crate::harness::proxy::Setup;
use crate::harness::raw::{Wire, dial, tls_over, tunnel};
use crate::harness::recorder::{Recorder, accept, tcp};
use crate::harness::road::Version;
use crate::harness::squid::Squid;
use crate::harness::{free_port, until};

/// A proxy of which everything goes by one parent, whose table this is.
fn by(parent: &str, more: &str) -> Setup {
    Setup::new().file("password", "opensesame\n").config(&format!(
        "[[parent]]\nname = 'up'\n{parent}\n[[policy.setting]]\nparents = ['up']\n{more}"
    ))
}

/// The same, of which nothing is decrypted.
fn spliced_by(parent: &str) -> Setup {
    by(
        parent,
        "[policy]\nsplice = ['all']\n[[list]]\nname = 'all'\nformat = 'url_regex'\nfile = 'all'\n",
    )
    .file("all", ".\n")
}

/// WebSockets by this parent: bumped over both versions, spliced, and in the open.
fn carries_websockets(parent: &str) {
    let bumped = by(parent, "").start();
    for version in [Version::Http1, Version::Http2] {
        version
            .client(&bumped, version.websockets(), "/")
            .with("mode", "suite")
            .run();
    }
    let line = bumped.log("connection", |line| line["action"] == "bump");
    assert_eq!(
        (&line["parent"], &line["origin"]),
        (&"up".into(), &().into()),
        "{line}"
    );
    let plain = Client::new("client_websockets.py")
        .with("proxy", bumped.url())
        .with("url", origins::plain_websockets().url("ws", "/"))
        .with("mode", "suite");
    plain.run();
    let line = bumped.log("connection", |line| line["action"] == "serve");
    assert_eq!(line["parent"], "up", "{line}");

    let spliced = spliced_by(parent).start();
    Client::new("client_websockets.py")
        .with("ca", &certs().root)
        .with("proxy", spliced.url())
        .with("url", origins::websockets().url("wss", "/"))
        .with("mode", "suite")
        .run();
    let line = spliced.log("connection", |line| line["action"] == "splice");
    assert_eq!(line["parent"], "up", "{line}");
    bumped.metric(
        "wsbump_parent_seconds_count",
        &[("parent", "up"), ("outcome", "ok")],
        3.0,
    );
}

#[test]
fn websockets_go_by_squid() {
    let squid = Squid::start();
    carries_websockets(&format!("url = 'http://{}'", squid.address()));
}

#[test]
fn websockets_go_by_squid_that_wants_a_login() {
    let squid = Squid::start_with_login();
    carries_websockets(&format!(
        "url = 'http://{}'\nuser = 'wsbump'\npassword_file = 'password'",
        squid.address()
    ));
}

/// TLS with the parent, and TLS with the origin inside.
#[test]
fn websockets_go_by_squid_over_tls() {
    let squid = Squid::start_tls();
    let (_, port) = squid
        .address()
        .rsplit_once(':')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    carries_websockets(&format!(
        "url = 'https://localhost:{port}'\nca = '{}'",
        certs().root.display()
    ));
}

#[test]
fn websockets_go_by_tinyproxy() {
    let tinyproxy = Tinyproxy::start();
    carries_websockets(&format!("url = 'http://{}'", tinyproxy.address()));
}

#[test]
fn websockets_go_by_dante() {
    let dante = Dante::start();
    carries_websockets(&format!("url = 'socks5://{}'", dante.address()));
}

/// Plain requests in absolute form, for parents that forbid CONNECT to port 80, and WebSockets by CONNECT all the same.
#[test]
fn plain_requests_go_in_absolute_form_where_that_is_configured() {
    let squid = Squid::start_with_login();
    let proxy = by(
        &format!(
            "url = 'http://{}'\nuser = 'wsbump'\npassword_file = 'password'\nplain_http = 'absolute'",
            squid.address()
        ),
        "",
    )
    .start();
    let url = origins::plain_aiohttp().url("http", "/echo");
    for version in ["--http1.1", "--http2"] {
        let got = curl(
            Some(&proxy.url()),
            &proxy.ca,
            &[version, "-d", "what goes out", &url],
        );
        assert!(got.text.ends_with("\nwhat goes out"), "{version}: {}", got.text);
    }
    Client::new("client_websockets.py")
        .with("proxy", proxy.url())
        .with("url", origins::plain_websockets().url("ws", "/"))
        .with("mode", "suite")
        .run();
    let line = proxy.log("connection", |line| line["action"] == "serve");
    assert_eq!(line["parent"], "up", "{line}");
}

#[test]
fn a_request_in_absolute_form_has_the_login_and_one_for_a_websocket_is_a_connect() {
    let parent = OwnParent::refusing(
        "HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic realm=\"parent\"\r\nSet-Cookie: a=b\r\nContent-Length: 6\r\n\r\nsecret",
    );
    let proxy = by(
        &format!(
            "url = 'http://{}'\nuser = 'wsbump'\npassword_file = 'password'\nplain_http = 'absolute'",
            parent.address()
        ),
        "",
    )
    .start();
    let mut client = Wire::new(dial(&proxy.address));
    client.send("GET http://origin.test/x?y=1 HTTP/1.1\r\nHost: origin.test\r\n\r\n");
    let head = parent.head();
    assert!(
        head.starts_with("GET http://origin.test/x?y=1 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.to_lowercase()
            .contains("\r\nproxy-authorization: basic d3nidw1wom9wzw5zzxnhbwu=\r\n"),
        "{head}"
    );
    assert_eq!(
        head.to_lowercase().matches("proxy-authorization").count(),
        1,
        "{head}"
    );
    let answer = client.answer();
    assert_eq!(answer.status, 502, "{}", answer.head);
    assert!(
        answer
            .header("proxy-status")
            .unwrap()
            .contains("error=parent_login_refused; received-status=407")
    );
    assert_eq!(
        (answer.header("proxy-authenticate"), answer.header("set-cookie")),
        (None, None)
    );
    assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));

    let mut client = Wire::new(dial(&proxy.address));
    client.ask_websocket("origin.test", "http://origin.test/ws", "");
    let head = parent.head();
    assert!(
        head.starts_with("CONNECT origin.test:80 HTTP/1.1\r\nHost: origin.test:80\r\n"),
        "{head}"
    );
    assert_eq!(client.answer().status, 502);
}

/// What the client shows the proxy stays there, and what the proxy shows the parent stays there too.
#[test]
fn credentials_go_to_the_parent_alone() {
    let parent = OwnParent::saying("HTTP/1.1 200 OK\r\n\r\n");
    let recorder = Recorder::start();
    let (listener, port) = tcp();
    let proxy = by(
        &format!(
            "url = 'http://{}'\nuser = 'wsbump'\npassword_file = 'password'",
            parent.address()
        ),
        "",
    )
    .start();
    let credentials = "Proxy-Authorization: Basic Y2xpZW50Om93bg==\r\n";
    let mut client = Wire::new(dial(&proxy.address));
    let target = recorder.target();
    client.send(format!(
        "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{credentials}\r\n"
    ));
    assert!(client.head().unwrap().starts_with("HTTP/1.1 200 "));
    let head = parent.head();
    assert_eq!(
        head,
        format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic d3NidW1wOm9wZW5zZXNhbWU=\r\n\r\n"
        )
    );
    let mut client = tls_over(client, &target, &proxy.ca);
    client.send(format!("GET / HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    let seen = recorder.accept().head().unwrap();
    assert!(!seen.to_lowercase().contains("proxy-auth"), "{seen}");

    let mut client = Wire::new(dial(&proxy.address));
    client.send(format!(
        "GET http://origin.test:{port}/ HTTP/1.1\r\nHost: origin.test:{port}\r\n{credentials}\r\n"
    ));
    assert!(
        parent
            .head()
            .starts_with(&format!("CONNECT origin.test:{port} HTTP/1.1\r\n"))
    );
    let seen = accept(&listener).head().unwrap();
    assert!(!seen.to_lowercase().contains("proxy-auth"), "{seen}");
}

/// The answer that comes after the client has ended its side is not lost, whatever leads there.
#[test]
fn a_half_close_goes_through_each_kind_of_parent() {
    let own = OwnParent::saying("HTTP/1.1 200 OK\r\n\r\n");
    let dante = Dante::start();
    // Another wsbump, which is told to decrypt nothing.
    let certificate = &certs().origin;
    let secure = Setup::new()
        .config(&format!(
            "[listen]\ntls = ['127.0.0.1:0']\ncert = '{}'\nkey = '{}'\n[policy]\nunknown_protocol = 'tunnel'",
            certificate.cert.display(),
            certificate.key.display()
        ))
        .start();
    let (_, tls_port) = secure.secure.as_ref().unwrap().rsplit_once(':').unwrap();
    for parent in [
        format!("url = 'http://{}'", own.address()),
        format!("url = 'socks5://{}'", dante.address()),
        format!(
            "url = 'https://localhost:{tls_port}'\nca = '{}'",
            certs().root.display()
        ),
    ] {
        let proxy = by(&parent, "[policy]\nunknown_protocol = 'tunnel'").start();
        let (listener, port) = tcp();
        let mut client = tunnel(&proxy, &format!("localhost:{port}"));
        client.send("count these\n");
        client.half_close();
        let mut origin = accept(&listener);
        assert_eq!(origin.rest(), b"count these\n", "{parent}");
        origin.send("12\n");
        drop(origin);
        assert_eq!(client.rest(), b"12\n", "{parent}");
    }
}

#[test]
fn a_name_is_the_parents_to_resolve_and_an_address_is_checked_as_ever() {
    let parent = OwnParent::refusing("HTTP/1.1 503 No\r\n\r\n");
    let proxy = by(&format!("url = 'http://{}'", parent.address()), "").start();
    let ask = |target: &str| {
        let mut client = Wire::new(dial(&proxy.address));
        client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"));
        client.answer()
    };
    // Nobody here knows that name.
    let answer = ask("nowhere.invalid:443");
    assert_eq!(answer.status, 502);
    assert!(parent.head().starts_with("CONNECT nowhere.invalid:443 "));
    assert_eq!(
        ask("[2001:db8::7]:443").status,
        403,
        "a documentation address is never dialled"
    );
    assert_eq!(ask("169.254.169.254:80").status, 403);
    assert!(parent.was_asked_nothing());
    assert_eq!(ask("[::1]:443").status, 502);
    assert!(
        parent
            .head()
            .starts_with("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n")
    );
}

#[test]
fn the_last_setting_says_which_way_and_explain_says_so_too() {
    let parent = OwnParent::saying("HTTP/1.1 200 OK\r\n\r\n");
    let recorder = Recorder::start();
    let proxy = by(
        &format!("url = 'http://{}'", parent.address()),
        "[[policy.setting]]\nhosts = ['direct']\nparents = []\n[[list]]\nname = 'direct'\nformat = 'domains'\nfile = 'direct'\n",
    )
    .file("direct", "other.test\n")
    .start();
    let target = format!("other.test:{}", recorder.port);
    tls_over(tunnel(&proxy, &target), &target, &proxy.ca);
    assert!(parent.was_asked_nothing());
    let line = proxy.log("connection", |line| line["target"] == target.as_str());
    assert!(line["parent"].is_null() && line["origin"].is_string(), "{line}");

    let explain = |target: &str, json: bool| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wsbump"));
        command
            .arg("explain")
            .arg("--config")
            .arg(proxy.folder().join("wsbump.toml"));
        command.arg("--data-dir").arg(proxy.folder().join("data"));
        if json {
            command.arg("--json");
        }
        let output = command.arg(target).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = explain("origin.test:443", false);
    assert!(
        said.contains("It goes by the parent up; never directly\n  by the setting at "),
        "{said}"
    );
    assert!(said.contains("the parent resolves the name"), "{said}");
    assert!(!explain(&target, false).contains("parent"));
    let said: serde_json::Value = serde_json::from_str(&explain("origin.test:443", true)).unwrap();
    assert_eq!(said["parents"], serde_json::json!(["up"]));
}

#[test]
fn a_parent_that_is_checked_is_known_to_be_down_and_up_again_before_anyone_asks() {
    let port = free_port();
    let proxy = by(
        &format!(
            "url = 'http://127.0.0.1:{port}'\ncheck_interval = '50ms'\nbreaker_failures = 2\nbreaker_rest = '100ms'\n\
             check_target = 'origin.test:443'"
        ),
        "",
    )
    .start();
    let is = |up: f64| {
        until("the parent's health", || {
            (proxy.metrics().sum("wsbump_parent_up", &[("parent", "up")]) == up).then_some(())
        });
    };
    is(0.0);
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let mut wire = Wire::new(socket);
            let head = wire.head().unwrap_or_default();
            assert!(head.starts_with("CONNECT origin.test:443 "), "{head}");
            let _ = wire.try_send("HTTP/1.1 200 OK\r\n\r\n");
        }
    });
    is(1.0);
    proxy.process().err("the log", |line| {
        line.contains("a parent is well again").then_some(())
    });
}

/// A parent of a real domain, which lets in whoever has a ticket, and asks nobody else.
#[test]
fn a_ticket_is_shown_to_a_parent_that_asks_for_one() {
    let domain = domain();
    let squid = Squid::start_with_tickets(domain.keytab());
    let (_, port) = squid
        .url()
        .rsplit_once(':')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let parent = |keytab: &std::path::Path, more: &str| {
        format!(
            "url = 'http://localhost:{port}'\nkeytab = '{}'\nkdc = ['{}']\n{more}",
            keytab.display(),
            domain.kdc()
        )
    };
    let own = domain.own_keytab();
    carries_websockets(&parent(own, ""));
    carries_websockets(&parent(
        own,
        "principal = 'ada@CORP.EXAMPLE'\nservice = 'HTTP/localhost'",
    ));
    // Requests by http:// too, and several at once over one ticket.
    let proxy = by(&parent(own, ""), "").start();
    let url = origins::plain_aiohttp().url("http", "/echo");
    for version in ["--http1.1", "--http2"] {
        let got = curl(
            Some(&proxy.url()),
            &proxy.ca,
            &[version, "-d", "what goes out", &url],
        );
        assert!(got.text.ends_with("\nwhat goes out"), "{version}: {}", got.text);
    }
}

#[test]
fn without_a_ticket_the_client_is_told_of_the_parents_login_and_the_log_of_the_reason() {
    let domain = domain();
    let squid = Squid::start_with_tickets(domain.keytab());
    let (_, port) = squid
        .url()
        .rsplit_once(':')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    for (host, more, reason) in [
        (
            "localhost",
            "service = 'HTTP/nowhere'",
            "the domain knows no service HTTP/nowhere@CORP.EXAMPLE",
        ),
        ("localhost", "kdc = ['127.0.0.1:1']", "Connection refused"),
        (
            "127.0.0.1",
            "",
            "the domain knows no service HTTP/127.0.0.1@CORP.EXAMPLE",
        ),
    ] {
        let kdc = match more.starts_with("kdc") {
            true => String::new(),
            false => format!("kdc = ['{}']\n", domain.kdc()),
        };
        let proxy = by(
            &format!(
                "url = 'http://{host}:{port}'\nkeytab = '{}'\n{kdc}{more}",
                domain.own_keytab().display()
            ),
            "",
        )
        .start();
        let url = origins::aiohttp().url("https", "/status/200");
        for version in ["--http1.1", "--http2"] {
            let got = curl(Some(&proxy.url()), &proxy.ca, &[version, &url]);
            assert_ne!(got.code, 0, "{}", got.text);
        }
        let text = proxy.log("request", |line| line["status"] == 502).to_string();
        assert!(
            text.contains(reason) && text.contains("no Kerberos ticket"),
            "{reason}: {text}"
        );
        proxy.metric(
            "wsbump_parent_seconds_count",
            &[("parent", "up"), ("outcome", "login")],
            2.0,
        );
    }
}

/// One question and one answer when a connection begins, and not a byte more for what passes after that.
#[test]
fn a_parent_costs_one_round_trip_and_nothing_for_a_message() {
    let (parent, port) = tcp();
    let proxy = by(
        &format!("url = 'http://127.0.0.1:{port}'"),
        "[policy]\nunknown_protocol = 'tunnel'\n",
    )
    .start();
    let mut client = Wire::new(dial(&proxy.address));
    client.send("CONNECT origin.test:9 HTTP/1.1\r\nHost: origin.test:9\r\n\r\n");
    let mut asked = accept(&parent);
    assert!(
        asked
            .head()
            .unwrap()
            .starts_with("CONNECT origin.test:9 HTTP/1.1\r\n")
    );
    asked.send("HTTP/1.1 200 OK\r\n\r\n");
    assert!(client.head().unwrap().starts_with("HTTP/1.1 200 "));
    for size in [1, 100, 40_000] {
        let message = vec![0x81; size];
        client.send(&message);
        assert_eq!(asked.exactly(size), message);
        asked.send(&message);
        assert_eq!(client.exactly(size), message);
    }
    client.half_close();
    assert_eq!(asked.rest(), b"");
    drop(asked);
    assert_eq!(client.rest(), b"");
}
