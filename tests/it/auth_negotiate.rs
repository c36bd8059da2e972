//! Tickets of a real Active Directory domain, as clients show them to the proxy.

use crate::harness::clients::{Client, chromium, curl_in, firefox};
use crate::harness::domain::{Domain, domain};
use crate::harness::logins;
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Answer, Wire, dial};
use crate::harness::{scratch, until};
use serde_json::Value;

/// Whoever is known may go anywhere.
const KNOWN: &str = "[[policy.rule]]\nname = 'who-is-it'\naction = 'authenticate'\n";

fn setup(keytab: &std::path::Path) -> Setup {
    Setup::new().config(&format!(
        "[auth.negotiate]\nkeytab = '{}'\n{KNOWN}",
        keytab.display()
    ))
}

fn start(domain: &Domain) -> Proxy {
    setup(domain.keytab()).start()
}

/// By its name, which clients ask for a ticket for.
fn by_name(proxy: &Proxy) -> String {
    proxy.url().replace("127.0.0.1", "localhost")
}

fn get(port: u16, token: Option<&str>) -> String {
    let shown = token.map_or_else(String::new, |token| {
        format!("Proxy-Authorization: Negotiate {token}\r\n")
    });
    format!("GET http://origin.test:{port}/status/204 HTTP/1.1\r\nHost: origin.test:{port}\r\n{shown}\r\n")
}

fn is_asked(answer: &Answer) {
    logins::is_asked(answer, "Negotiate");
}

#[test]
fn curl_goes_through_with_a_ticket_and_the_log_has_the_user() {
    let domain = domain();
    let proxy = start(domain);
    let secure = origins::aiohttp().url("https", "/status/200");
    let port = origins::plain_aiohttp().port;
    let plain = format!("http://origin.test:{port}/status/200");
    for (user, name) in [
        ("ada", "ada"),
        ("m.weber@corp.example", "weber"),
        ("jürgen", "jürgen"),
        ("many", "many"),
    ] {
        let env = domain.login(user);
        for url in [&secure, &plain] {
            let arguments = ["--proxy-negotiate", "--proxy-user", ":", url];
            let curled = curl_in(&env, Some(&by_name(&proxy)), &proxy.ca, &arguments);
            assert_eq!(
                (curled.code, curled.status),
                (0, 200),
                "{user}: {}",
                curled.verbose
            );
        }
        proxy.log("connection", |line| {
            line["action"] == "bump" && line["user"] == name
        });
        let is_plain = |line: &Value| line["url"].as_str().is_some_and(|url| url.starts_with("http:"));
        proxy.log("request", |line| {
            line["status"] == 200 && line["user"] == name && is_plain(line)
        });
    }
    let accepted = proxy.metrics().sum(
        "wsbump_auth_total",
        &[("scheme", "negotiate"), ("outcome", "accepted")],
    );
    assert!(accepted >= 8.0, "{accepted}");
}

#[test]
fn whoever_has_no_ticket_is_asked_and_goes_no_further() {
    let domain = domain();
    let proxy = start(domain);
    let url = origins::aiohttp().url("https", "/status/200");
    let arguments = ["--proxy-negotiate", "--proxy-user", ":", &url];
    let curled = curl_in(&domain.stranger(), Some(&by_name(&proxy)), &proxy.ca, &arguments);
    assert_eq!(curled.code, 56, "{}", curled.verbose);
    assert!(
        curled.verbose.contains("Proxy-Authenticate: Negotiate"),
        "{}",
        curled.verbose
    );
    // NTLM, and a token of nothing.
    let port = origins::plain_aiohttp().port;
    let mut wire = Wire::new(dial(&proxy.address));
    for (token, error) in [
        ("TlRMTVNTUAABAAAAl4II4gAAAAAAAAAAAAAAAAAAAAAKAGFKAAAADw==", "ntlm"),
        ("AAAA", "malformed"),
    ] {
        wire.send(get(port, Some(token)));
        is_asked(&wire.answer());
        let line = proxy.log("login_failed", |line| line["error"] == error);
        assert_eq!(line["scheme"], "negotiate", "{line}");
        assert!(!line["detail"].as_str().unwrap().is_empty(), "{line}");
    }
}

#[test]
fn a_ticket_counts_for_its_connection_and_new_ones_count_more() {
    let domain = domain();
    let proxy = start(domain);
    let port = origins::plain_aiohttp().port;
    let (ada, max) = (domain.login("ada"), domain.login("max"));
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(get(port, None));
    is_asked(&wire.answer());
    let shown = domain.token(&ada);
    for token in [Some(shown.clone()), None, Some(domain.token(&max)), None] {
        wire.send(get(port, token.as_deref()));
        assert_eq!(wire.answer().status, 204);
    }
    // Another connection is nobody's, and the same token is good once.
    let mut other = Wire::new(dial(&proxy.address));
    for token in [None, Some(&*shown)] {
        other.send(get(port, token));
        is_asked(&other.answer());
    }
    proxy.log("login_failed", |line| line["error"] == "replay");
    // It is nobody's either after something was shown that does not hold.
    wire.send(get(port, Some(&shown)));
    is_asked(&wire.answer());
    wire.send(get(port, None));
    is_asked(&wire.answer());
    drop((wire, other));
    proxy.log("connection", |line| line["requests"] == 7);
    let users: Vec<_> = (proxy.log_so_far("request").iter())
        .filter(|line| line["status"] == 204)
        .map(|line| line["user"].clone())
        .collect();
    assert_eq!(users, ["ada", "ada", "max", "max"]);
}

#[test]
fn the_proxy_shows_that_it_is_the_one_that_the_ticket_is_for() {
    let domain = domain();
    let proxy = start(domain);
    let mut client = domain.verifier(&domain.login("ada"));
    let token = client.out("a token", |line| Some(line.to_owned()));
    let mut wire = Wire::new(dial(&proxy.address));
    let target = format!("origin.test:{}", origins::plain_aiohttp().port);
    wire.send(format!(
        "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Negotiate {token}\r\n\r\n"
    ));
    let answer = wire.answer();
    assert_eq!(answer.status, 200, "{}", answer.head);
    let proof = answer.header("proxy-authenticate").unwrap();
    client.say(proof.strip_prefix("Negotiate ").unwrap());
    let done = client.finish();
    assert!(done.status.success(), "{:?}", done.err);
}

#[test]
fn a_user_of_a_tunnel_may_be_judged_by_a_nested_group() {
    let domain = domain();
    // Whoever is in web-full, which ada is by two steps, and max is not.
    let sid = domain.sid("web-full");
    let proxy = Setup::new()
        .config(&format!(
            "[auth.negotiate]\nkeytab = '{}'\n[[policy.rule]]\nname = 'web-full'\ngroups = ['{sid}']\naction = 'allow'\n\
             [[policy.rule]]\nname = 'others'\naction = 'deny'\n",
            domain.keytab().display()
        ))
        .start();
    let url = origins::aiohttp().url("https", "/status/200");
    for (user, status) in [("ada", "200"), ("max", "403")] {
        let arguments = [
            "--proxy-negotiate",
            "--proxy-user",
            ":",
            "--write-out",
            "%{http_connect}",
            &url,
        ];
        let curled = curl_in(&domain.login(user), Some(&by_name(&proxy)), &proxy.ca, &arguments);
        assert!(
            curled.verbose.contains(&format!("HTTP/1.1 {status}")),
            "{user}: {}",
            curled.verbose
        );
    }
}

#[test]
fn a_ticket_is_good_at_the_listener_that_speaks_tls_and_for_one_stream_of_http_2() {
    let domain = domain();
    let proxy = setup(domain.keytab())
        .config("listen = { tls = ['127.0.0.1:0'] }")
        .start();
    let address = proxy.secure_url().replace("127.0.0.1", "localhost");
    let ca = proxy.ca.to_str().unwrap();
    let plain = origins::plain_aiohttp();
    for url in [
        origins::aiohttp().url("https", "/status/200"),
        plain.url("http", "/status/200"),
    ] {
        let arguments = [
            "--proxy-cacert",
            ca,
            "--proxy-negotiate",
            "--proxy-user",
            ":",
            &url,
        ];
        let curled = curl_in(&domain.login("ada"), Some(&address), &proxy.ca, &arguments);
        assert_eq!((curled.code, curled.status), (0, 200), "{}", curled.verbose);
    }
    proxy.log("connection", |line| {
        line["user"] == "ada" && line["proxy_tls"] == "TLSv1.3" && line["auth"] == "negotiate"
    });

    // Users share a connection: what one stream has shown says nothing of the others, and is good once.
    let (ada, max) = (domain.login("ada"), domain.login("max"));
    let target = format!("origin.test:{}", plain.port);
    for (method, target, granted) in [
        ("CONNECT", target, "200"),
        ("GET", plain.url("http", "/status/204"), "204"),
    ] {
        let token = |env| format!("Negotiate {}", domain.token(env));
        let shown = token(&ada);
        let found = Client::new("h2_ask.py")
            .with("proxy", proxy.secure_url())
            .with("ca", &proxy.ca)
            .with("method", method)
            .with("target", &target)
            .with("credentials", format!("{shown}|{}||{shown}", token(&max)))
            .run();
        let heads = found.as_array().unwrap();
        let status: Vec<_> = heads.iter().map(|head| head["status"].clone()).collect();
        assert_eq!(status[1..3], [granted, "407"], "{found}");
        // Two streams have the same token: one of them is first.
        let mut same = [status[0].as_str().unwrap(), status[3].as_str().unwrap()];
        same.sort_unstable();
        assert_eq!(same, [granted, "407"], "{found}");
        assert_eq!(heads[2]["proxy-authenticate"], "Negotiate", "{found}");
    }
    for user in ["ada", "max"] {
        proxy.log("request", |line| line["status"] == 204 && line["user"] == user);
        proxy.log("connection", |line| {
            line["inside"].is_number() && line["user"] == user
        });
    }
    proxy.log("login_failed", |line| line["error"] == "replay");
}

/// A keytab in which one byte of each key is another.
fn other_keys(mut keytab: Vec<u8>) -> Vec<u8> {
    let mut at = 2;
    while let Some(length) = keytab.get(at..at + 4) {
        at += 4 + u32::from_be_bytes(length.try_into().unwrap()) as usize;
        // A key has 16 bytes at least; up to eight bytes stand behind it.
        keytab[at - 12] ^= 1;
    }
    keytab
}

#[test]
fn a_new_keytab_is_noticed() {
    let domain = domain();
    let folder = scratch();
    let keytab = folder.path().join("http.keytab");
    // The same names and numbers with other keys: somebody made a keytab with a wrong password.
    std::fs::write(&keytab, other_keys(std::fs::read(domain.keytab()).unwrap())).unwrap();
    let proxy = setup(&keytab).start();
    let port = origins::plain_aiohttp().port;
    let env = domain.login("ada");
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(get(port, Some(&domain.token(&env))));
    is_asked(&wire.answer());
    let line = proxy.log("login_failed", |line| line["scheme"] == "negotiate");
    assert_eq!(line["error"], "bad_ticket", "{line}");
    std::fs::copy(domain.keytab(), folder.path().join("new")).unwrap();
    std::fs::rename(folder.path().join("new"), &keytab).unwrap();
    until("the new keytab is in use", || {
        let mut wire = Wire::new(dial(&proxy.address));
        wire.send(get(port, Some(&domain.token(&env))));
        (wire.answer().status == 204).then_some(())
    });
}

#[test]
fn browsers_show_the_page_without_asking_anybody() {
    let domain = domain();
    let proxy = start(domain);
    let port = origins::node_ws().port;
    let url = format!("https://origin.test:{port}/");
    let home = scratch();
    let mut client = chromium(home.path(), &proxy.ca);
    for (name, value) in domain.login("ada") {
        client = client.env(name, value);
    }
    let found = client.with("proxy", by_name(&proxy)).with("url", &url).run();
    assert_eq!(found["status"], 200, "{found}");
    proxy.log("connection", |line| {
        line["action"] == "bump" && line["user"] == "ada"
    });

    proxy.log("websocket", |line| line["user"] == "ada");

    let home = scratch();
    let mut client = firefox(home.path(), &proxy.ca);
    for (name, value) in domain.login("m.weber@corp.example") {
        client = client.env(name, value);
    }
    let found = client.with("proxy", by_name(&proxy)).with("url", &url).run();
    assert_eq!(found["status"], 200, "{found}");
    proxy.log("connection", |line| {
        line["action"] == "bump" && line["user"] == "weber"
    });
}
