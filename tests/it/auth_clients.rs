//! People and programs who sign in with a name and a password: browsers, and Java.

use crate::harness::certs::openssl;
use crate::harness::clients::{Client, chromium, firefox};
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::{root, scratch, until};
use std::path::Path;
use std::process::Command;

fn start() -> Proxy {
    let folder = scratch();
    let hash = openssl(folder.path(), "passwd -6 pw-ada");
    Setup::new()
        .file("users", &format!("ada:{}\n", hash.trim()))
        .config(
            "listen = { tls = ['127.0.0.1:0'] }\n[auth.basic]\nhtpasswd = 'users'\n\
             [[policy.rule]]\nname = 'who-is-it'\naction = 'authenticate'\n",
        )
        .start()
}

/// Signs in at each listener, for a page with a WebSocket by HTTP/1.1 and one with a WebSocket by HTTP/2.
fn signs_in(browser: fn(&Path, &Path) -> Client) {
    let proxy = start();
    for address in [proxy.url(), proxy.secure_url()] {
        for (origin, protocol) in [(origins::node_ws(), "HTTP/1.1"), (origins::node_h2(), "HTTP/2")] {
            let home = scratch();
            let found = browser(home.path(), &proxy.ca)
                .with("proxy", &address)
                .with("user", "ada")
                .with("password", "pw-ada")
                .with("url", origin.url("https", "/"))
                .run();
            assert_eq!(found["status"], 200, "{address} {protocol}: {found}");
            let target = format!("origin.test:{}", origin.port);
            let line = proxy.log("websocket", |line| {
                line["protocol"] == protocol && line["url"].as_str().is_some_and(|url| url.contains(&target))
            });
            assert_eq!(
                (&line["user"], &line["auth"]),
                (&"ada".into(), &"basic".into()),
                "{line}"
            );
        }
    }
    // Each was asked, and had the right answer at once.
    until("four lines of who was asked", || {
        let lines = proxy.log_so_far("request");
        (lines.iter().filter(|line| line["status"] == 407).count() >= 4).then_some(())
    });
    assert!(proxy.log_so_far("login_failed").is_empty());
}

#[test]
fn chromium_signs_in_for_pages_and_websockets() {
    signs_in(chromium);
}

#[test]
fn firefox_signs_in_for_pages_and_websockets() {
    signs_in(firefox);
}

/// Java's HttpClient with these options of its virtual machine; what it said.
fn java(proxy: &Proxy, options: &[&str]) -> (bool, String) {
    let port = origins::websockets().port;
    let mut command = Command::new("java");
    command
        .args(options)
        .arg(root().join("tests/peers/ClientJava.java"))
        .arg(origins::aiohttp().url("https", "/status/202"))
        .arg(format!("wss://origin.test:{port}/echo"))
        .arg(&proxy.address)
        .arg(&proxy.ca)
        .args(["ada", "pw-ada"]);
    let done = Process::start("java", command).finish();
    (done.status.success(), format!("{:?} {:?}", done.out, done.err))
}

#[test]
fn java_signs_in_once_it_is_allowed_to() {
    let proxy = start();
    // By default it does not show a password for a tunnel (`jdk.http.auth.tunneling.disabledSchemes=Basic`).
    let (done, said) = java(&proxy, &[]);
    assert!(!done || said.contains("status 407"), "{said}");
    let (done, said) = java(&proxy, &["-Djdk.http.auth.tunneling.disabledSchemes="]);
    assert!(
        done && said.contains("status 202") && said.contains("heard "),
        "{said}"
    );
    proxy.log("request", |line| line["status"] == 202 && line["user"] == "ada");
    proxy.log("websocket", |line| line["user"] == "ada");
}

/// Each is told the password in the proxy's URL, shows it for its tunnels, and speaks WebSockets or HTTP/2 through them.
#[test]
fn python_and_node_sign_in_for_requests_and_websockets() {
    let proxy = start();
    let address = proxy.url().replace("//", "//ada:pw-ada@");
    let (websockets, node) = (
        origins::websockets().url("wss", "/echo"),
        origins::node_ws().url("wss", "/echo"),
    );
    for (script, url, mode) in [
        ("client_websockets.py", websockets.clone(), None),
        ("client_aiohttp.py", origins::aiohttp().url("https", ""), None),
        ("client_httpx.py", origins::node_h2().url("https", ""), None),
        ("client_ws.mjs", websockets, None),
        ("client_builtin.mjs", node.clone(), Some("dispatcher")),
    ] {
        let client = Client::new(script)
            .with("proxy", &address)
            .with("ca", &proxy.ca)
            .with("url", url);
        match mode {
            Some(mode) => client.with("mode", mode).run(),
            None => client.run(),
        };
    }
    Client::new("client_builtin.mjs")
        .with("url", node)
        .env("NODE_EXTRA_CA_CERTS", &proxy.ca)
        .env("NODE_USE_ENV_PROXY", "1")
        .env("HTTPS_PROXY", &address)
        .run();
    let lines = until("the ends of five WebSockets", || {
        let lines = proxy.log_so_far("websocket");
        (lines.len() >= 5).then_some(lines)
    });
    assert!(
        lines
            .iter()
            .all(|line| line["user"] == "ada" && line["auth"] == "basic"),
        "{lines:?}"
    );
    proxy.log("request", |line| {
        line["protocol"] == "HTTP/2" && line["user"] == "ada"
    });
    // Whoever has another password goes nowhere.
    let wrong = proxy.url().replace("//", "//ada:wrong@");
    let refused = Client::new("client_ws.mjs")
        .with("proxy", wrong)
        .with("ca", &proxy.ca)
        .with("url", origins::websockets().url("wss", "/echo"))
        .finish();
    assert!(!refused.ok, "{}", refused.text);
    proxy.log("login_failed", |line| line["error"] == "wrong_password");
}
