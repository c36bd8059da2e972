//! Clients that refuse the forged certificate: each is named by the server that it wanted, and counted.

use crate::harness::certs::certs;
use crate::harness::clients::{chromium, curl, openssl};
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::Proxy;
use crate::harness::raw::{Wire, start_tls, tls, tunnel};
use crate::harness::recorder::Recorder;
use crate::harness::{scratch, until};
use std::path::Path;

/// What is told of a refusal: in the log by name, in the connection's line, in the metrics by alert.
fn is_told(proxy: &Proxy, name: &str, alerts: &[&str]) {
    let line = proxy.log("client_refused_ca", |line| line["server_name"] == name);
    let alert = line["alert"].as_str().unwrap();
    assert!(alerts.contains(&alert), "{line}");
    let connection = proxy.log("connection", |line| line["outcome"] == "client_refused_ca");
    assert_eq!(connection["action"], "bump", "{connection}");
    assert!(
        proxy
            .metrics()
            .sum("wsbump_client_refused_ca_total", &[("alert", alert)])
            > 0.5
    );
    // A browser may go on to try.
    until("each refusal is counted once", || {
        let metrics = proxy.metrics();
        let outcome = &[("outcome", "client_refused_ca")];
        let ended = metrics.sum("wsbump_connections_ended_total", outcome) as usize;
        let told = metrics.sum("wsbump_client_refused_ca_total", &[]) as usize;
        (told == ended && told == proxy.log_so_far("client_refused_ca").len()).then_some(())
    });
    let page = crate::harness::metrics::get(&proxy.admin, "/metrics").2;
    assert!(!page.contains(name), "a server's name is no label");
}

#[test]
fn openssl_in_both_versions() {
    for version in ["-tls1_2", "-tls1_3"] {
        let proxy = Proxy::start();
        let target = format!("localhost:{}", origins::nginx().port);
        let mut command = openssl(&proxy, &target);
        command.args(["-no-CAfile", "-no-CApath", "-no-CAstore", version]);
        let done = Process::start("openssl", command).finish();
        assert!(!done.status.success(), "{:?}", done.out);
        is_told(&proxy, "origin.test", &["unknown_ca"]);
    }
}

#[test]
fn curl_with_the_roots_of_the_system() {
    let proxy = Proxy::start();
    let roots = Path::new("/etc/ssl/certs/ca-certificates.crt");
    let done = curl(Some(&proxy.url()), roots, &[&origins::nginx().url("https", "/")]);
    assert_eq!(done.code, 60, "{done:?}");
    is_told(&proxy, "origin.test", &["unknown_ca"]);
    // Without a name in the ClientHello it is the CONNECT's.
    let url = format!("https://127.0.0.1:{}/", origins::nginx().port);
    assert_eq!(curl(Some(&proxy.url()), roots, &[&url]).code, 60);
    proxy.log("client_refused_ca", |line| line["server_name"] == "127.0.0.1");
}

#[test]
fn chromium_without_the_ca() {
    let proxy = Proxy::start();
    let home = scratch();
    let found = chromium(home.path(), &certs().untrusted.cert)
        .with("proxy", proxy.url())
        .with("mode", "page")
        .with("url", origins::node_ws().url("https", "/"))
        .fail();
    assert!(
        found.text.contains("ERR_CERT_AUTHORITY_INVALID"),
        "{}",
        found.text
    );
    is_told(
        &proxy,
        "origin.test",
        &["certificate_unknown", "unknown_ca", "bad_certificate", "closed"],
    );
}

#[test]
fn a_client_that_hangs_up_at_the_certificate() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let target = recorder.target();
    let mut client = start_tls(tunnel(&proxy, &target), &target, &proxy.ca);
    let rustls::StreamOwned { conn, sock } = &mut client.stream;
    conn.write_tls(sock).unwrap();
    let mut socket = Wire::new(sock.try_clone().unwrap());
    // A pinning app says nothing: it reads the ServerHello and what follows, and is gone.
    assert_eq!(socket.exactly(600)[0], 0x16);
    drop((client, socket));
    is_told(&proxy, "origin.test", &["closed"]);
}

#[test]
fn a_client_that_trusts_the_ca_and_hangs_up_is_not_one() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    drop(tls(&proxy, &recorder.target()));
    drop(recorder.accept());
    let line = proxy.log("connection", |_| true);
    assert_ne!(line["outcome"], "client_refused_ca", "{line}");
    assert_eq!(
        proxy.metrics().sum("wsbump_client_refused_ca_total", &[]) as u64,
        0
    );
}
