//! Ways in with names of their own.

use crate::harness::certs::certs;
use crate::harness::clients::{Curled, curl};
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::{free_port, origins, until};
use std::net::TcpStream;
use std::process::{Command, Output};

fn get(proxy: &str, ca: &std::path::Path) -> Curled {
    curl(
        Some(proxy),
        ca,
        &[&origins::aiohttp().url("https", "/status/202")],
    )
}

/// `wsbump`, asked about the configuration of a proxy.
fn ask(proxy: &Proxy, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wsbump"))
        .args(words)
        .arg("--config")
        .arg(proxy.folder().join("wsbump.toml"))
        .arg("--data-dir")
        .arg(proxy.folder().join("data"))
        .output()
        .unwrap()
}

#[test]
fn the_policy_the_log_and_explain_know_listeners_by_their_names() {
    let proxy = Setup::new()
        .config(
            "listener = [{ name = 'lan', kind = 'http', address = ['127.0.0.1:0', '[::1]:0'] },\n\
             { name = 'guests', kind = 'http', address = ['127.0.0.1:0'] }]\n\
             [[policy.rule]]\nname = 'no-guests'\nlisteners = ['guests']\naction = 'deny'",
        )
        .start();
    for (name, wanted) in [("lan", 202), ("proxy", 202), ("guests", 0)] {
        let url = match name {
            "proxy" => proxy.url(),
            name => format!("http://{}", proxy.listener(name)),
        };
        let done = get(&url, &proxy.ca);
        assert_eq!(done.status, wanted, "{name}: {done:?}");
        let line = proxy.log("connection", |line| line["listener"] == name);
        let rule = (wanted == 0).then_some("no-guests");
        assert_eq!(line["rule"].as_str(), rule, "{line}");
        let said = ask(
            &proxy,
            &["explain", "origin.test:443", "--listener", name, "--json"],
        );
        let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
        assert_eq!(said["rule"].as_str(), rule, "{said}");
    }
    // Each of its addresses is one of the listener's.
    let begins = "wsbump: listener lan (http) listening on [::1]:";
    let port = proxy
        .process()
        .err(begins, |line| line.strip_prefix(begins).map(str::to_owned));
    assert_eq!(get(&format!("http://[::1]:{port}"), &proxy.ca).status, 202);
    proxy.log("connection", |line| {
        line["listener"] == "lan" && line["client"] == "::1"
    });
    let said = ask(&proxy, &["explain", "origin.test:443", "--listener", "wan"]);
    let error = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(2), "{error}");
    assert!(error.contains("there is no listener \"wan\""), "{error}");
    let said = ask(&proxy, &["check"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("guests 127.0.0.1:0 (http)"), "{said}");
}

#[test]
fn a_listener_by_tls_has_a_certificate_of_its_own_that_is_renewed() {
    let pem = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let (first, second) = (&certs().origin, &certs().untrusted);
    let mut proxy = Setup::new()
        .file("lan.pem", &(pem(&first.cert) + &pem(&first.key)))
        .config(
            "listener = [{ name = 'lan', kind = 'https', address = ['127.0.0.1:0'], cert = 'lan.pem' },\n\
             { name = 'other', kind = 'https', address = ['127.0.0.1:0'] }]",
        )
        .start();
    let through = |name: &str, ca: &std::path::Path| {
        let address = proxy.listener(name);
        let (_, port) = address.rsplit_once(':').unwrap();
        let named = format!("origin.test:{port}:127.0.0.1");
        let url = origins::aiohttp().url("https", "/status/202");
        let ca = ca.to_str().unwrap();
        let arguments = ["--resolve", &named, "--proxy-cacert", ca, &url];
        curl(
            Some(&format!("https://origin.test:{port}")),
            &proxy.ca,
            &arguments,
        )
        .status
    };
    assert_eq!(through("lan", &certs().root), 202);
    // It is the operator's, and the other listener's are the CA's.
    assert_eq!(through("lan", &proxy.ca), 0);
    assert_eq!(through("other", &proxy.ca), 202);
    proxy.replace("lan.pem", &(pem(&second.cert) + &pem(&second.key)));
    proxy.metric("wsbump_config_reloads_total", &[("result", "success")], 1.0);
    until("the new certificate, which nobody trusts", || {
        (through("lan", &certs().root) == 0).then_some(())
    });
    // A listener that is taken out stays as it is until the restart.
    proxy.replace("lan.pem", &(pem(&first.cert) + &pem(&first.key)));
    proxy.metric("wsbump_config_reloads_total", &[("result", "success")], 2.0);
    let lan = proxy.listener("lan");
    proxy.rewrite_config("listener = []");
    proxy.process().err("a warning", |line| {
        line.contains("[[listener]] has changed: this needs a restart")
            .then_some(())
    });
    proxy.metric("wsbump_config_reloads_total", &[("result", "success")], 3.0);
    assert_eq!(lan, proxy.listener("lan"));
    let (_, port) = lan.rsplit_once(':').unwrap();
    let named = format!("origin.test:{port}:127.0.0.1");
    let url = origins::aiohttp().url("https", "/status/202");
    let root = certs().root.to_str().unwrap();
    let arguments = ["--resolve", &named, "--proxy-cacert", root, &url];
    let done = curl(
        Some(&format!("https://origin.test:{port}")),
        &proxy.ca,
        &arguments,
    );
    assert_eq!(done.status, 202, "{done:?}");
}

#[test]
fn two_processes_share_an_address_where_both_want_to() {
    let port = free_port();
    let data = crate::harness::scratch();
    let sharing = |share: bool| {
        Setup::new().data(data.path()).config(&format!(
            "listener = [{{ name = 'lan', kind = 'http', address = ['127.0.0.1:{port}'], reuse_port = {share} }}]"
        ))
    };
    let (first, second) = (sharing(true).start(), sharing(true).start());
    // Clients that connect again and again come to both; who goes leaves the other alone there.
    let met = |proxy: &Proxy| {
        let lines = proxy.log_so_far("connection");
        lines.iter().any(|line| line["listener"] == "lan")
    };
    let url = format!("http://127.0.0.1:{port}");
    until("clients of both", || {
        let done = get(&url, &first.ca);
        assert_eq!(done.status, 202, "{done:?}");
        (met(&first) && met(&second)).then_some(())
    });
    drop(first);
    assert_eq!(get(&url, &second.ca).status, 202);
}

#[test]
fn a_service_manager_opens_the_socket() {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    // systemd starts the program with the first connection.
    let knock = {
        let address = address.clone();
        std::thread::spawn(move || {
            until("the service manager listens", || {
                TcpStream::connect(&address).ok()
            })
        })
    };
    let proxy = Setup::new()
        .wrapped(&[
            "systemd-socket-activate",
            "--listen",
            &address,
            "--fdname",
            "lan",
            "--",
        ])
        .config("listener = [{ name = 'office', kind = 'http', socket = 'lan' }]")
        .start();
    drop(knock.join().unwrap());
    assert_eq!(proxy.listener("office"), address);
    let done = get(&format!("http://{address}"), &proxy.ca);
    assert_eq!(done.status, 202, "{done:?}");
    proxy.log("connection", |line| {
        line["listener"] == "office" && line["action"] == "bump"
    });
}

#[test]
fn a_socket_that_nobody_hands_over_is_missed() {
    let folder = crate::harness::scratch();
    let config = folder.path().join("w.toml");
    std::fs::write(
        &config,
        "[listen]\nadmin = []\n[[listener]]\nname = 'lan'\nkind = 'http'\nsocket = 'x'\n",
    )
    .unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_wsbump"))
        .args(["run", "--config"])
        .arg(&config)
        .arg("--data-dir")
        .arg(folder.path())
        .output()
        .unwrap();
    let error = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(1), "{error}");
    assert!(error.contains("has handed over no socket \"x\""), "{error}");
}
