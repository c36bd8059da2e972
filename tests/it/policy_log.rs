//! Every line of the access log names the rule that decided, whatever it decided.

use crate::harness::certs::certs;
use crate::harness::clients::Client;
use crate::harness::logins::basic;
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, connect, dial, frame, tls_over, tunnel};
use crate::harness::recorder::Recorder;
use crate::harness::road::{Road, Version, over_both};
use serde_json::Value;

/// `ada`, whose password is "secret"; by openssl passwd.
const USERS: &str = "ada:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/\n";

fn start() -> Proxy {
    let lists = [
        ("good", "origin.test"),
        ("bad", "other.test"),
        ("blind", "localhost"),
    ];
    let written =
        lists.map(|(name, _)| format!("[[list]]\nname = '{name}'\nfile = '{name}'\nformat = 'domains'\n"));
    let setup = lists.iter().fold(Setup::new(), |setup, (name, host)| {
        setup.file(name, &format!("{host}\n"))
    });
    setup
        .file("users", USERS)
        .config(&format!(
            "listen = {{ tls = ['127.0.0.1:0'] }}\n{}[auth.basic]\nhtpasswd = 'users'\n\
             [[policy.rule]]\nname = 'bad'\nhosts = ['bad']\naction = 'deny'\n\
             [[policy.rule]]\nname = 'watched'\nhosts = ['good']\naction = 'deny'\nmode = 'observe'\n\
             [[policy.rule]]\nname = 'good'\nhosts = ['good']\naction = 'allow'\n\
             [[policy.rule]]\nname = 'blind'\nhosts = ['blind']\naction = 'splice'\n\
             [[policy.rule]]\nname = 'who'\naction = 'authenticate'\n",
            written.concat()
        ))
        .start()
}

fn verdicts(proxy: &Proxy, rule: &str, count: f64) {
    proxy.metric(
        "wsbump_policy_rule_verdicts_total",
        &[("rule", rule), ("mode", "enforce")],
        count,
    );
}

#[test]
fn each_line_of_a_tunnel_names_its_rule() {
    let proxy = start();
    let recorder = Recorder::start();
    // Denied.
    let (wire, answer) = connect(&proxy, "other.test:443");
    assert_eq!(answer.status, 403);
    drop(wire);
    let line = proxy.log("request", |line| line["status"] == 403);
    assert_eq!(line["rule"], "bad", "{line}");
    let line = proxy.log("connection", |line| line["action"] == "deny");
    assert_eq!(line["rule"], "bad", "{line}");
    verdicts(&proxy, "bad", 1.0);
    // A name is wanted, and is not shown, or does not hold.
    for (shown, target) in [("", "a.test:443"), ("wrong", "b.test:443")] {
        let credentials = match shown {
            "" => String::new(),
            shown => format!("Proxy-Authorization: {}\r\n", basic("ada", shown)),
        };
        let mut wire = Wire::new(dial(&proxy.address));
        wire.send(format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{credentials}\r\n"
        ));
        assert_eq!(wire.answer().status, 407);
        drop(wire);
        let line = proxy.log("request", |line| line["url"] == target);
        assert_eq!(
            (&line["status"], &line["rule"]),
            (&407.into(), &"who".into()),
            "{line}"
        );
        let line = proxy.log("connection", |line| line["target"] == target);
        assert_eq!(
            (&line["action"], &line["rule"], &line["outcome"]),
            (
                &"none".into(),
                &"who".into(),
                &"proxy_authentication_required".into()
            ),
            "{line}"
        );
    }
    verdicts(&proxy, "who", 2.0);
    // Spliced.
    let target = format!("localhost:{}", recorder.port);
    let client = tls_over(tunnel(&proxy, &target), &target, &certs().root);
    drop((client, recorder.accept()));
    let line = proxy.log("connection", |line| line["action"] == "splice");
    assert_eq!(line["rule"], "blind", "{line}");
    verdicts(&proxy, "blind", 1.0);
    // Decrypted: the connection, what is asked in it, and what that becomes.
    let (mut client, mut origin) = recorder.websocket(&proxy);
    let text = frame(0x81, Some([1, 2, 3, 4]), b"live");
    client.send(&text);
    assert_eq!(origin.exactly(text.len()), text);
    drop((client, origin));
    for (kind, status) in [
        ("request", 101.into()),
        ("websocket", Value::Null),
        ("connection", Value::Null),
    ] {
        let line = proxy.log(kind, |line| {
            line["status"] == status && (kind != "connection" || line["action"] == "bump")
        });
        assert_eq!(line["rule"], "good", "{line}");
    }
    verdicts(&proxy, "good", 1.0);
    let observed = proxy.log("policy_observed", |_| true);
    assert_eq!(
        (&observed["rule"], &observed["action"], &observed["target"]),
        (&"watched".into(), &"deny".into(), &recorder.target().into()),
        "{observed}"
    );
    let watched = [("rule", "watched"), ("mode", "observe")];
    proxy.metric("wsbump_policy_rule_verdicts_total", &watched, 1.0);
}

#[test]
fn requests_that_name_their_servers_have_each_its_own() {
    let proxy = start();
    let port = origins::plain_aiohttp().port;
    let mut wire = Wire::new(dial(&proxy.address));
    for (host, status) in [
        ("origin.test", 204),
        ("other.test", 403),
        ("a.test", 407),
        ("origin.test", 204),
    ] {
        let host = format!("{host}:{port}");
        wire.send(format!(
            "GET http://{host}/status/204 HTTP/1.1\r\nHost: {host}\r\n\r\n"
        ));
        assert_eq!(wire.answer().status, status, "{host}");
    }
    drop(wire);
    // The last one, for which nobody was dialled anew.
    let line = proxy.log("connection", |line| line["requests"] == 4);
    assert_eq!(
        (&line["rule"], &line["action"], &line["target"]),
        (
            &"good".into(),
            &"serve".into(),
            &format!("origin.test:{port}").into()
        ),
        "{line}"
    );
    let requests = proxy.log_so_far("request");
    let rules: Vec<_> = requests
        .iter()
        .map(|line| line["rule"].as_str().unwrap())
        .collect();
    assert_eq!(rules, ["good", "bad", "who", "good"]);
    for (rule, count) in [("good", 2.0), ("bad", 1.0), ("who", 1.0)] {
        verdicts(&proxy, rule, count);
    }
}

#[test]
fn streams_with_the_proxy_itself_name_theirs() {
    let proxy = start();
    let port = origins::plain_aiohttp().port;
    for (host, status, rule) in [
        ("origin.test", "204", "good"),
        ("other.test", "403", "bad"),
        ("a.test", "407", "who"),
    ] {
        for method in ["GET", "CONNECT"] {
            let authority = format!("{host}:{port}");
            let target = match method {
                "GET" => format!("http://{authority}/status/204"),
                _ => authority.clone(),
            };
            let found = Client::new("h2_ask.py")
                .with("proxy", proxy.secure_url())
                .with("ca", &proxy.ca)
                .with("method", method)
                .with("target", &target)
                .run();
            let granted = if method == "CONNECT" && status == "204" {
                "200"
            } else {
                status
            };
            assert_eq!(found["status"], granted, "{method} {target}: {found}");
            if method == "GET" || status != "204" {
                let line = proxy.log("request", |line| {
                    line["method"] == method
                        && line["url"].as_str().is_some_and(|url| url.contains(&authority))
                });
                assert_eq!(
                    (&line["rule"], &line["protocol"]),
                    (&rule.into(), &"HTTP/2".into()),
                    "{line}"
                );
            }
        }
        let line = proxy.log("connection", |line| {
            line["inside"].is_number() && line["target"] == format!("{host}:{port}")
        });
        assert_eq!(line["rule"], rule, "{line}");
    }
}

/// Where only what a request shows decides, its line says what did; the tunnel's says nothing of it.
fn a_request_names_the_rule_that_let_it_pass(version: Version) {
    let proxy = Setup::new()
        .file("good", "origin.test\n")
        .config(
            "list = [{ name = 'good', file = 'good', format = 'domains' }]\n[policy]\ndefault = 'deny'\n\
             [[policy.rule]]\nname = 'chat'\nhosts = ['good']\nupgrade = ['websocket']\naction = 'allow'\n\
             [[policy.rule]]\nname = 'pages'\nhosts = ['good']\npath = '^/pages'\naction = 'allow'\n",
        )
        .start();
    let road = Road::start(version);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", road.target());
    let mut client = road.client(&proxy);
    client.send(get("/pages/1"));
    let mut origin = road.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
    drop((client, origin));
    let line = proxy.log("request", |line| line["status"] == 204);
    assert_eq!(
        (&line["rule"], &line["protocol"]),
        (&"pages".into(), &version.logged().into()),
        "{line}"
    );

    let mut client = road.client(&proxy);
    client.send(get("/other"));
    assert_eq!(client.answer().status, 403);
    let line = proxy.log("request", |line| line["status"] == 403);
    assert_eq!(line["rule"], Value::Null, "no rule has: {line}");
    if version == Version::Http1 {
        drop((client, road.accept()));
        let line = proxy.log("connection", |line| line["action"] == "bump");
        assert_eq!(line["rule"], Value::Null, "{line}");
    }

    let (mut client, mut origin) = road.websocket(&proxy);
    let text = frame(0x81, Some([1, 2, 3, 4]), b"live");
    client.send(&text);
    assert_eq!(origin.exactly(text.len()), text);
    let line = proxy.log("websocket:opened", |_| true);
    assert_eq!(
        (&line["rule"], &line["protocol"]),
        (&"chat".into(), &version.logged().into()),
        "{line}"
    );
    verdicts(&proxy, "pages", 1.0);
    verdicts(&proxy, "chat", 1.0);
}

over_both!(a_request_names_the_rule_that_let_it_pass);
