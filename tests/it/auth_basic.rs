//! Names and passwords, as clients show them to the proxy.

use crate::harness::clients::{Client, curl};
use crate::harness::logins;
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Answer, Wire, dial, frame, header, tls_over};
use crate::harness::recorder::{Recorder, accept, tcp};
use serde_json::Value;
use std::process::Command;

/// A password file: the password of `ada` is `pw-ada`, as OpenSSL hashes it.
fn users() -> String {
    let hashed = |kind: &str, user: &str| {
        let mut command = Command::new("openssl");
        command.args(["passwd", kind, &format!("pw-{user}")]);
        let done = Process::start("openssl passwd", command).finish();
        assert!(done.status.success(), "{:?}", done.err);
        format!("{user}:{}\n", done.out.join(""))
    };
    hashed("-6", "ada") + &hashed("-apr1", "max")
}

/// Whoever is known may go anywhere but to `localhost`, where `ada` may not; `open.test` is for all.
const RULES: &str = "[[list]]\nname = 'open'\nfile = 'open'\nformat = 'domains'\n\
     [[list]]\nname = 'closed'\nfile = 'closed'\nformat = 'domains'\n\
     [[policy.rule]]\nname = 'open-to-all'\nhosts = ['open']\naction = 'allow'\n\
     [[policy.rule]]\nname = 'not-for-ada'\nhosts = ['closed']\nusers = ['ada']\naction = 'deny'\n\
     [[policy.rule]]\nname = 'who-is-it'\naction = 'authenticate'\n";

fn start_with(more: &str) -> Proxy {
    Setup::new()
        .file("users", &users())
        .file("open", "open.test\n")
        .file("closed", "localhost\n")
        .config(&format!(
            "listen = {{ tls = ['127.0.0.1:0'] }}\n[auth.basic]\nhtpasswd = 'users'\n{RULES}{more}"
        ))
        .start()
}

fn start() -> Proxy {
    start_with("")
}

/// The right credentials of a user.
fn basic(user: &str) -> String {
    logins::basic(user, &format!("pw-{user}"))
}

fn connect(to: &str, credentials: Option<&str>) -> String {
    let credentials =
        credentials.map_or_else(String::new, |shown| format!("Proxy-Authorization: {shown}\r\n"));
    format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{credentials}\r\n")
}

fn is_asked(answer: &Answer) {
    logins::is_asked(answer, "Basic realm=\"wsbump\", charset=\"UTF-8\"");
}

/// Settings by user choose certificates, parents and sources: whose connection it is, its origin must not mistake.
#[test]
fn a_connection_to_an_origin_is_one_users() {
    let proxy = start();
    let (listener, port) = tcp();
    let mut wire = Wire::new(dial(&proxy.address));
    let mut origin = None;
    for (user, is_new) in [("ada", true), ("ada", false), ("max", true), ("max", false)] {
        wire.send(format!(
            "GET http://origin.test:{port}/ HTTP/1.1\r\nHost: origin.test:{port}\r\nProxy-Authorization: {}\r\n\r\n",
            basic(user)
        ));
        if is_new {
            origin = Some(accept(&listener));
        }
        let origin = origin.as_mut().unwrap();
        assert!(origin.head().unwrap().starts_with("GET / HTTP/1.1\r\n"));
        origin.send("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(wire.answer().status, 204, "{user}");
    }
}

#[test]
fn a_connection_lives_on_after_a_407_and_the_next_connect_on_it_counts() {
    let proxy = start();
    let recorder = Recorder::start();
    let mut wire = Wire::new(dial(&proxy.address));
    let wrong = logins::basic("ada", "wrong");
    let empty = logins::basic("ada", "");
    for shown in [
        None,
        Some(&*wrong),
        Some(&empty),
        Some("Basic"),
        Some("NTLM TlRMTVNTUAAB"),
        Some("Digest x"),
    ] {
        wire.send(connect(&recorder.target(), shown));
        is_asked(&wire.answer());
    }
    // What is sent behind a CONNECT that is refused is the next request, and never tunnelled.
    let right = connect(&recorder.target(), Some(&basic("ada")));
    wire.send(connect(&recorder.target(), None) + &right);
    is_asked(&wire.answer());
    assert_eq!(wire.answer().status, 200);
    let mut client = tls_over(wire, &recorder.target(), &proxy.ca);
    // The tunnel's user is that of its requests; what careless clients put inside goes no further.
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nProxy-Authorization: {}\r\n\r\n",
        recorder.target(),
        basic("max")
    ));
    let mut origin = recorder.accept();
    let head = origin.head().unwrap();
    assert!(header(&head, "proxy-authorization").is_none(), "{head}");
    // Nor does what would make the client tell an origin the proxy's password.
    origin.send("HTTP/1.1 204 No Content\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("proxy-authenticate")), (204, None));
    drop((client, origin));
    let line = proxy.log("request", |line| line["status"] == 204);
    assert_eq!(line["user"], "ada", "{line}");
    let line = proxy.log("connection", |line| line["action"] == "bump");
    assert_eq!(line["user"], "ada", "{line}");
}

#[test]
fn requests_say_each_by_itself_whose_they_are() {
    let proxy = start();
    let port = origins::plain_aiohttp().port;
    let get = |user: Option<&str>| {
        let shown = user.map_or_else(String::new, |user| {
            format!("Proxy-Authorization: {}\r\n", basic(user))
        });
        format!(
            "GET http://origin.test:{port}/status/204 HTTP/1.1\r\nHost: origin.test:{port}\r\n{shown}\r\n"
        )
    };
    let mut wire = Wire::new(dial(&proxy.address));
    for user in ["ada", "max", "ada"] {
        wire.send(get(Some(user)));
        assert_eq!(wire.answer().status, 204);
    }
    // A name is good for the request that has it, and for no other.
    wire.send(get(None));
    is_asked(&wire.answer());
    wire.send(get(Some("max")));
    assert_eq!(wire.answer().status, 204);
    drop(wire);
    proxy.log("connection", |line| line["requests"] == 5);
    let users: Vec<_> = (proxy.log_so_far("request").iter())
        .map(|line| (line["status"].as_u64().unwrap(), line["user"].clone()))
        .collect();
    assert_eq!(
        users,
        [
            (204, "ada".into()),
            (204, "max".into()),
            (204, "ada".into()),
            (407, Value::Null),
            (204, "max".into())
        ]
    );
}

#[test]
fn users_share_a_connection_of_http_2_side_by_side() {
    let proxy = start();
    let port = origins::plain_aiohttp().port;
    let ask = |method: &str, target: &str| {
        Client::new("h2_ask.py")
            .with("proxy", proxy.secure_url())
            .with("ca", &proxy.ca)
            .with("method", method)
            .with("target", target)
            .with(
                "credentials",
                format!("{}|{}||Basic eDp5", basic("ada"), basic("max")),
            )
            .run()
    };
    for (method, target, granted) in [
        ("GET", format!("http://origin.test:{port}/status/204"), "204"),
        ("CONNECT", format!("origin.test:{port}"), "200"),
    ] {
        let found = ask(method, &target);
        let status: Vec<_> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|head| head["status"].clone())
            .collect();
        assert_eq!(status, [granted, granted, "407", "407"], "{found}");
        assert_eq!(
            found[2]["proxy-authenticate"], "Basic realm=\"wsbump\", charset=\"UTF-8\"",
            "{found}"
        );
    }
    for user in ["ada", "max"] {
        proxy.log("request", |line| line["status"] == 204 && line["user"] == user);
        proxy.log("connection", |line| {
            line["target"] == format!("origin.test:{port}") && line["user"] == user
        });
    }
}

#[test]
fn content_that_meets_a_407_is_read_past_or_the_connection_ends() {
    let proxy = start();
    let port = origins::plain_aiohttp().port;
    let head = |fields: &str| {
        format!("POST http://origin.test:{port}/echo HTTP/1.1\r\nHost: origin.test:{port}\r\n{fields}\r\n")
    };
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(head("Content-Length: 200000\r\n"));
    wire.send(vec![b'x'; 200_000]);
    is_asked(&wire.answer());
    wire.send(head(&format!(
        "Content-Length: 5\r\nProxy-Authorization: {}\r\n",
        basic("ada")
    )));
    wire.send("hello");
    let answer = wire.answer();
    assert_eq!((answer.status, &*answer.body), (200, &b"hello"[..]));

    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(head("Content-Length: 5\r\nExpect: 100-continue\r\n"));
    let answer = wire.answer();
    assert_eq!(
        (answer.status, answer.header("connection")),
        (407, Some("close")),
        "{}",
        answer.head
    );
    assert!(wire.rest().is_empty());

    let found = Client::new("h2_ask.py")
        .with("proxy", proxy.secure_url())
        .with("ca", &proxy.ca)
        .with("method", "POST")
        .with("target", format!("http://origin.test:{port}/echo"))
        .with("content", "60000")
        .run();
    assert_eq!(found["status"], "407", "{found}");
}

#[test]
fn who_is_known_and_not_allowed_is_not_asked_again() {
    let proxy = start();
    let port = origins::plain_aiohttp().port;
    let mut wire = Wire::new(dial(&proxy.address));
    for (user, status) in [("ada", 403), ("max", 200)] {
        wire.send(connect(&format!("localhost:{port}"), Some(&basic(user))));
        let answer = wire.answer();
        assert_eq!(answer.status, status, "{}", answer.head);
        assert!(answer.header("proxy-authenticate").is_none(), "{}", answer.head);
    }
    let line = proxy.log("request", |line| line["status"] == 403);
    assert_eq!(line["user"], "ada", "{line}");
}

#[test]
fn a_host_that_needs_no_name_asks_for_none_and_gets_none() {
    let (listener, port) = tcp();
    let proxy = Setup::new()
        .file("users", &users())
        .file("open", "origin.test\n")
        .file("closed", "localhost\n")
        .config(&format!("[auth.basic]\nhtpasswd = 'users'\n{RULES}"))
        .start();
    let wrong = logins::basic("ada", "wrong");
    for shown in [None, Some(wrong), Some(basic("ada"))] {
        let mut wire = Wire::new(dial(&proxy.address));
        let shown = shown.map_or_else(String::new, |shown| format!("Proxy-Authorization: {shown}\r\n"));
        wire.send(format!(
            "TRACE http://origin.test:{port}/ HTTP/1.1\r\nHost: origin.test:{port}\r\n{shown}\r\n"
        ));
        let mut origin = accept(&listener);
        let head = origin.head().unwrap();
        assert!(header(&head, "proxy-authorization").is_none(), "{head}");
        origin.send("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(wire.answer().status, 204);
    }
    // Whoever asks the proxy itself what arrived does not learn the password either.
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(format!(
        "TRACE http://origin.test:{port}/ HTTP/1.1\r\nHost: origin.test:{port}\r\nMax-Forwards: 0\r\nProxy-Authorization: {}\r\n\r\n",
        basic("ada")
    ));
    let answer = wire.answer();
    let told = answer.head + &String::from_utf8_lossy(&answer.body);
    assert!(!told.contains(&basic("ada")[6..]), "{told}");
}

#[test]
fn credentials_may_be_as_large_as_tickets_are() {
    let proxy = start();
    let large = format!("Negotiate {}", "A".repeat(60_000));
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(connect("origin.test:443", Some(&large)));
    is_asked(&wire.answer());
    wire.send(format!(
        "GET http://origin.test/ HTTP/1.1\r\nHost: origin.test\r\nProxy-Authorization: {large}\r\n\r\n"
    ));
    is_asked(&wire.answer());
    for (method, target) in [("CONNECT", "origin.test:443"), ("GET", "http://origin.test/")] {
        let found = Client::new("h2_ask.py")
            .with("proxy", proxy.secure_url())
            .with("ca", &proxy.ca)
            .with("method", method)
            .with("target", target)
            .with("credentials", &large)
            .run();
        assert_eq!(found["status"], "407", "{found}");
    }
}

#[test]
fn a_websocket_has_the_user_of_its_tunnel_and_rules_know_it() {
    let proxy = start_with(
        "[inspect]\nenabled = true\n[[inspect.rule]]\nname = 'adas'\nusers = ['ada']\nkeywords = ['secret']\n\
         mode = 'enforce'\naction = 'drop'\n",
    );
    let recorder = Recorder::start();
    for (user, arrives) in [("ada", "an end"), ("max", "a secret")] {
        let mut wire = Wire::new(dial(&proxy.address));
        wire.send(connect(&recorder.target(), Some(&basic(user))));
        assert_eq!(wire.answer().status, 200);
        let client = tls_over(wire, &recorder.target(), &proxy.ca);
        let (mut client, mut origin) = recorder.websocket_over(client, "", "");
        for text in ["a secret", "an end"] {
            client.send(frame(0x81, Some([1, 2, 3, 4]), text.as_bytes()));
        }
        assert_eq!(origin.frame().unwrap().payload, arrives.as_bytes(), "{user}");
        drop((client, origin));
        let line = proxy.log("websocket", |line| {
            line["event"] == "closed" && line["user"] == user
        });
        assert_eq!(line["protocol"], "HTTP/1.1", "{line}");
    }
    let line = proxy.log("finding", |line| line["rule"] == "adas");
    assert_eq!(line["user"], "ada", "{line}");
    assert_eq!(proxy.log_so_far("finding").len(), 1);
}

#[test]
fn curl_signs_in_on_either_listener_and_by_either_form() {
    let proxy = start();
    let (secure, plain) = (origins::aiohttp(), origins::plain_aiohttp());
    for url in [
        format!("https://origin.test:{}/status/204", secure.port),
        format!("http://origin.test:{}/status/204", plain.port),
    ] {
        for address in [proxy.url(), proxy.secure_url()] {
            let ca = proxy.ca.to_str().unwrap();
            let with = |user: &str| {
                let user = format!("{user}:pw-ada");
                curl(
                    Some(&address),
                    &proxy.ca,
                    &[
                        "--proxy-cacert",
                        ca,
                        "--proxy-anyauth",
                        "--proxy-user",
                        &user,
                        &url,
                    ],
                )
            };
            assert_eq!(with("ada").status, 204, "{url} {address}");
            // One user, however the name is written.
            assert_eq!(with("ADA").status, 204, "{url} {address}");
            let wrong = with("max");
            assert!(wrong.status == 407 || wrong.code != 0, "{wrong:?}");
        }
    }
    proxy.log("request", |line| line["status"] == 204 && line["user"] == "ada");
}
