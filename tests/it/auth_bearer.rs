//! Tokens, as clients show them to the proxy.

use crate::harness::certs::certs;
use crate::harness::clients::{Client, curl};
use crate::harness::issuer::Issuer;
use crate::harness::origins;
use crate::harness::parents::OwnParent;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Answer, Wire, dial};
use crate::harness::until;
use serde_json::{Value, json};
use std::process::Command;

const RULES: &str = "[[policy.rule]]\nname = 'staff'\ngroups = ['staff']\naction = 'allow'\n\
     [[policy.rule]]\nname = 'others'\naction = 'deny'\n";

fn config(issuer: &Issuer, keys: &str) -> String {
    format!(
        "listen = {{ tls = ['127.0.0.1:0'] }}\n[auth]\ndomains = ['corp.example']\n[auth.bearer]\nissuer = 'https://login.example'\n\
         audience = ['other', 'wsbump']\ngroups_claim = 'groups'\n{}{RULES}",
        match keys {
            "file" => format!("jwks = '{}'\n", issuer.keys().display()),
            more => format!(
                "jwks_url = '{}'\nca = '{}'\n{more}",
                issuer.url(),
                certs().root.display()
            ),
        }
    )
}

fn start(issuer: &Issuer, keys: &str) -> Proxy {
    Setup::new().config(&config(issuer, keys)).start()
}

/// A proxy's answer to a request for a plain origin over HTTP/1.1.
fn asked(proxy: &Proxy, credentials: &str) -> Answer {
    let port = origins::plain_aiohttp().port;
    let mut wire = Wire::new(dial(&proxy.address));
    wire.send(format!(
        "GET http://origin.test:{port}/status/204 HTTP/1.1\r\nHost: origin.test:{port}\r\nProxy-Authorization: {credentials}\r\n\r\n"
    ));
    wire.answer()
}

/// The statuses of a CONNECT and of a GET for each of these credentials, over HTTP/2.
fn asked_over_http2(proxy: &Proxy, credentials: &[&str]) -> Vec<Vec<Value>> {
    let port = origins::plain_aiohttp().port;
    let one = |method: &str, target: &str| {
        let found = Client::new("h2_ask.py")
            .with("proxy", proxy.secure_url())
            .with("ca", &proxy.ca)
            .with("method", method)
            .with("target", target)
            // One more, so that a list is printed.
            .with("credentials", format!("{}|", credentials.join("|")))
            .run();
        let answers = found.as_array().unwrap();
        answers[..credentials.len()]
            .iter()
            .map(|head| head["status"].clone())
            .collect()
    };
    vec![
        one("CONNECT", &format!("origin.test:{port}")),
        one("GET", &format!("http://origin.test:{port}/status/204")),
    ]
}

#[test]
fn tokens_by_every_algorithm_name_their_users() {
    let issuer = Issuer::start();
    let proxy = start(&issuer, "file");
    let mut all = Vec::new();
    for (alg, key) in [
        ("RS256", "rsa"),
        ("RS384", "rsa"),
        ("RS512", "rsa"),
        ("PS256", "rsa"),
        ("PS384", "rsa"),
        ("PS512", "rsa"),
        ("ES256", "p256"),
        ("ES384", "p384"),
        ("ES512", "p521"),
        ("EdDSA", "ed"),
    ] {
        let name = format!("{alg}@CORP.EXAMPLE");
        let token = issuer.token(alg, key, json!({ "sub": name, "groups": ["Staff", "x"] }));
        assert_eq!(asked(&proxy, &token).status, 204, "{alg}");
        proxy.log("request", |line| line["user"] == alg.to_lowercase());
        all.push(token);
    }
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    let answers = asked_over_http2(&proxy, &all);
    assert_eq!(answers, [vec!["200"; all.len()], vec!["204"; all.len()]]);
    // One by one: a token says nothing of the connection's other requests, and groups count.
    let port = origins::plain_aiohttp().port;
    let mut wire = Wire::new(dial(&proxy.address));
    let max = issuer.token("ES256", "p256", json!({ "sub": "max" }));
    for (credentials, status) in [
        (Some(all[0]), 204),
        (None, 407),
        (Some(&*max), 403),
        (Some(all[6]), 204),
    ] {
        let shown = credentials.map_or_else(String::new, |shown| format!("Proxy-Authorization: {shown}\r\n"));
        wire.send(format!(
            "GET http://origin.test:{port}/status/204 HTTP/1.1\r\nHost: origin.test:{port}\r\n{shown}\r\n"
        ));
        assert_eq!(wire.answer().status, status);
    }
    proxy.log("request", |line| line["status"] == 403 && line["user"] == "max");
    // The tunnel's user is that of what is inside.
    let url = origins::aiohttp().url("https", "/status/200");
    let header = format!("Proxy-Authorization: {}", all[9]);
    let curled = curl(Some(&proxy.url()), &proxy.ca, &["--proxy-header", &header, &url]);
    assert_eq!(curled.status, 200, "{}", curled.verbose);
    proxy.log("connection", |line| {
        line["action"] == "bump" && line["user"] == "eddsa"
    });
    let accepted = [("scheme", "bearer"), ("outcome", "accepted")];
    assert!(proxy.metrics().sum("wsbump_auth_total", &accepted) >= 30.0);
}

#[test]
fn a_token_that_does_not_hold_lets_nobody_in() {
    let issuer = Issuer::start();
    let proxy = start(&issuer, "file");
    let of = |claims: Value| {
        let mut whole = json!({ "sub": "ada", "groups": ["staff"] });
        for (name, value) in claims.as_object().unwrap() {
            whole[name] = value.clone();
        }
        whole
    };
    let by = |alg: &str, key: &str, header: Value| issuer.token_of(alg, key, of(json!({})), header);
    let with = |claims: Value| issuer.token("ES256", "p256", of(claims));
    let good = with(json!({}));
    let mut tokens = vec![
        (by("none", "none", json!({})), "bad_token"),
        (by("none", "none", json!({ "kid": "p256" })), "bad_token"),
        // The public key as a secret.
        (by("HS256", "secret", json!({ "kid": "rsa" })), "bad_token"),
        (by("ES256", "zeros", json!({ "kid": "p256" })), "bad_token"),
        (by("ES256", "attacker", json!({ "kid": "p256" })), "bad_token"),
        (
            by("ES256", "attacker", json!({ "kid": "p256", "jwk": true })),
            "bad_token",
        ),
        (
            by(
                "RS256",
                "attacker_rsa",
                json!({ "kid": "rsa", "jku": issuer.url() }),
            ),
            "bad_token",
        ),
        (by("ES256", "attacker", json!({ "kid": "/dev/null" })), "no_key"),
        (
            by("ES256", "attacker", json!({ "kid": "x".repeat(2000) })),
            "no_key",
        ),
        (by("ES256", "new", json!({})), "no_key"),
        (by("ES256", "p256", json!({ "crit": ["exp"] })), "bad_token"),
        (by("ES256", "p256", json!({ "typ": "secevent+jwt" })), "bad_token"),
        (by("ES256", "p256", json!({ "kid": "rsa" })), "no_key"),
        (with(json!({ "exp": -61 })), "expired_token"),
        (with(json!({ "exp": null })), "bad_token"),
        (with(json!({ "nbf": 120 })), "clock"),
        (with(json!({ "aud": "wsbump.example" })), "foreign_token"),
        (
            with(json!({ "iss": "https://login.example.evil" })),
            "foreign_token",
        ),
        (with(json!({ "sub": r"EVIL\a@corp.example" })), "bad_token"),
        (with(json!({ "cnf": { "jkt": "x" } })), "bad_token"),
        (with(json!({ "pad": "x".repeat(40_000) })), "malformed"),
        (good.replacen('.', ".e30.", 1), "malformed"),
        (good[..good.len() - 2].to_owned(), "bad_token"),
        (good.replacen("Bearer", "Token", 1), "unknown_scheme"),
        ("Bearer".to_owned(), "malformed"),
        (format!("{good} {good}"), "malformed"),
    ];
    tokens.iter_mut().for_each(|(token, _)| token.truncate(60_000));
    for (token, why) in &tokens {
        let answer = asked(&proxy, token);
        assert_eq!(answer.status, 407, "{why}: {}", answer.head);
        let challenge = answer.header("proxy-authenticate").unwrap();
        assert!(
            challenge.starts_with("Bearer realm=\"wsbump\""),
            "{why}: {challenge}"
        );
        let is_told = !["unknown_scheme"].contains(why);
        assert_eq!(challenge.contains("error="), is_told, "{why}: {challenge}");
        proxy.log("login_failed", |line| line["error"] == *why);
    }
    let shown: Vec<_> = tokens.iter().map(|(token, _)| &**token).collect();
    // In parts, lest they be more than a connection's header space.
    for some in shown.chunks(3) {
        for answers in asked_over_http2(&proxy, some) {
            assert_eq!(answers, vec!["407"; some.len()]);
        }
    }
    // Nothing of a token is told that somebody could use.
    let said = proxy.process().out.all().join("\n") + &proxy.process().err.all().join("\n");
    for (token, _) in &tokens {
        if let Some(signature) = token.rsplit('.').next().filter(|part| part.len() > 40) {
            assert!(!said.contains(signature), "{token}");
        }
    }
    assert_eq!(asked(&proxy, &good).status, 204);
}

#[test]
fn a_key_that_is_new_is_fetched_and_an_old_one_ends() {
    let issuer = Issuer::start();
    let proxy = start(&issuer, "retry_after = '100ms'\n");
    let with = |key: &str| issuer.token("ES256", key, json!({ "sub": "ada", "groups": ["staff"] }));
    let (old, new) = (with("p256"), with("new"));
    assert_eq!(issuer.asked(), 0, "nobody has shown a token");
    assert_eq!(asked(&proxy, &old).status, 204);
    assert_eq!(asked(&proxy, &new).status, 407);
    issuer.publish(&["new"]);
    until("the new key counts", || {
        (asked(&proxy, &new).status == 204).then_some(())
    });
    assert_eq!(asked(&proxy, &old).status, 407);
    proxy.metric("wsbump_auth_directory_up", &[("directory", "jwks")], 1.0);
    let line = proxy.log("login_failed", |line| line["error"] == "no_key");
    assert_eq!(line["scheme"], "bearer", "{line}");
}

#[test]
fn unknown_keys_do_not_make_the_proxy_ask_all_day() {
    let issuer = Issuer::start();
    let proxy = start(&issuer, "retry_after = '10m'\n");
    assert_eq!(asked(&proxy, &issuer.of("ada")).status, 204);
    let unknown = issuer.token("ES256", "new", json!({ "sub": "ada", "groups": ["staff"] }));
    for _ in 0..20 {
        assert_eq!(asked(&proxy, &unknown).status, 407);
    }
    assert_eq!(issuer.asked(), 1);
}

#[test]
fn keys_that_cannot_be_had_are_a_503_and_those_that_are_known_stay() {
    let issuer = Issuer::start();
    let proxy = start(&issuer, "retry_after = '100ms'\nrefresh = '1s'\n");
    let token = issuer.of("ada");
    for what in ["error", "nothing", "much"] {
        issuer.serve(what);
        let answer = asked(&proxy, &token);
        assert_eq!(answer.status, 503, "{what}: {}", answer.head);
        assert!(answer.header("proxy-authenticate").is_none());
        let connected = &asked_over_http2(&proxy, &[&token])[0];
        assert_eq!(connected, &["503"], "{what}");
    }
    proxy.metric("wsbump_auth_directory_up", &[("directory", "jwks")], 0.0);
    proxy.process().err("why there are no keys", |line| {
        (line.contains("jwks") && line.contains(&issuer.url())).then_some(())
    });
    issuer.serve("keys");
    until("keys are there", || {
        (asked(&proxy, &token).status == 204).then_some(())
    });
    issuer.serve("error");
    let before = issuer.asked();
    until("they are fetched again", || {
        assert_eq!(asked(&proxy, &token).status, 204);
        (issuer.asked() > before).then_some(())
    });
    proxy.metric("wsbump_auth_directory_up", &[("directory", "jwks")], 0.0);
    assert_eq!(asked(&proxy, &token).status, 204);
}

#[test]
fn a_file_of_keys_is_read_again_when_it_changes() {
    let issuer = Issuer::start();
    let proxy = start(&issuer, "file");
    let new = issuer.token("ES256", "new", json!({ "sub": "ada", "groups": ["staff"] }));
    assert_eq!(asked(&proxy, &new).status, 407);
    assert_eq!(asked(&proxy, &issuer.of("ada")).status, 204);
    issuer.publish(&["new", "rsa"]);
    until("the new key counts", || {
        (asked(&proxy, &new).status == 204).then_some(())
    });
    assert_eq!(asked(&proxy, &issuer.of("ada")).status, 407);
}

/// An issuer that is named alone says where its keys are, and nobody says it for another.
#[test]
fn an_issuer_says_itself_where_its_keys_are() {
    let issuer = Issuer::start();
    let own = issuer.own();
    let start = || {
        let root = certs().root.display();
        Setup::new()
            .config(&format!(
                "[auth.bearer]\nissuer = '{own}'\naudience = ['wsbump']\ngroups_claim = 'groups'\nca = '{root}'\n\
                 retry_after = '100ms'\n{RULES}"
            ))
            .start()
    };
    let token = || {
        issuer.token(
            "ES256",
            "p256",
            json!({ "iss": own, "sub": "ada", "groups": ["Staff"] }),
        )
    };
    let keys = issuer.url();
    for (described, at, why) in [
        (&*own, &*keys, None),
        ("https://login.example", &keys, Some("describes another issuer")),
        (&own, "http://localhost/keys", Some("is not encrypted")),
        (
            &own,
            "https://localhost:1/keys",
            Some("https://localhost:1/keys: cannot connect"),
        ),
    ] {
        issuer.describe(described, at);
        let proxy = start();
        let answer = asked(&proxy, &token());
        assert_eq!(
            answer.status,
            if why.is_none() { 204 } else { 503 },
            "{}",
            answer.head
        );
        match why {
            None => drop(proxy.log("request", |line| line["user"] == "ada")),
            Some(why) => {
                let line = proxy.log("login_failed", |_| true);
                assert!(line["detail"].as_str().unwrap().contains(why), "{line}");
                // As soon as it says so, it is believed.
                issuer.describe(&own, &keys);
                until("the keys", || {
                    (asked(&proxy, &token()).status == 204).then_some(())
                });
            }
        }
    }
    // One that tokens are not of, whatever it is signed by.
    let proxy = start();
    assert_eq!(asked(&proxy, &issuer.of("ada")).status, 407);
    proxy.log("login_failed", |line| line["error"] == "foreign_token");
}

/// Keys at another name of the issuer's host.
fn elsewhere(issuer: &Issuer, host: &str) -> String {
    config(issuer, "refresh = '1h'\n").replace("https://localhost:", &format!("https://{host}:"))
}

/// What `wsbump auth-test` says of a token, by the configuration of this proxy.
fn tried(proxy: &Proxy, token: &str) -> Value {
    let file = proxy.folder().join("token");
    std::fs::write(&file, token.strip_prefix("Bearer ").unwrap()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
    command.args(["auth-test", "--json", "--token-file"]).arg(file);
    command.arg("--config").arg(proxy.folder().join("wsbump.toml"));
    command.arg("--data-dir").arg(proxy.folder().join("data"));
    let done = Process::start("wsbump auth-test", command).finish();
    serde_json::from_str(&done.out.join("\n")).unwrap()
}

/// The machine's own resolver does not know that name; the proxy's does.
#[test]
fn an_issuer_is_found_as_origins_are() {
    let issuer = Issuer::start();
    let proxy = Setup::new().config(&elsewhere(&issuer, "other.test")).start();
    assert_eq!(asked(&proxy, &issuer.of("ada")).status, 204);
    // The issuer and the origin.
    let from_hosts = [("source", "hosts"), ("outcome", "ok")];
    proxy.metric("wsbump_dns_lookups_total", &from_hosts, 2.0);
    let said = tried(&proxy, &issuer.of("ada"));
    assert_eq!(
        (&said["status"], &said["user"]),
        (&200.into(), &"ada".into()),
        "{said}"
    );
}

#[test]
fn an_issuer_is_asked_by_the_parent_that_leads_there() {
    let issuer = Issuer::start();
    let parent = OwnParent::saying("HTTP/1.1 200 OK\r\n\r\n");
    let proxy = Setup::new()
        .file("issuers", "other.test\n")
        .config(&format!(
            "{}[[list]]\nname = 'issuers'\nfile = 'issuers'\nformat = 'domains'\n[[parent]]\nname = 'up'\nurl = 'http://{}'\n\
             [[policy.setting]]\nhosts = ['issuers']\nparents = ['up']\n",
            elsewhere(&issuer, "other.test"),
            parent.address()
        ))
        .start();
    assert_eq!(asked(&proxy, &issuer.of("ada")).status, 204);
    let led = elsewhere(&issuer, "other.test");
    let port = led
        .split("other.test:")
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    let led = format!("CONNECT other.test:{port} HTTP/1.1\r\n");
    let head = parent.head();
    assert!(head.starts_with(&led), "{head}");

    let said = tried(&proxy, &issuer.of("ada"));
    assert_eq!(
        (&said["status"], &said["user"]),
        (&200.into(), &"ada".into()),
        "{said}"
    );
    let step = &said["steps"][0];
    assert_eq!(
        (&step["parent"], &step["outcome"]),
        (&"up".into(), &"ok".into()),
        "{said}"
    );
    assert!(parent.head().starts_with(&led));
}
