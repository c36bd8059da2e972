//! TLS keys, written when the operator asks for it and never else: openssl has the same, and tshark can use them.

use crate::harness::clients::{Client, curl, openssl_get};
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::wiretap::Wiretap;
use crate::harness::{scratch, until};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn lines(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        // Case is free in the format.
        .map(str::to_lowercase)
        .collect()
}

fn warnings(proxy: &Proxy, what: &str) -> usize {
    let said = proxy.process().err.all();
    said.iter()
        .filter(|line| line.contains("WARN") && line.contains(what))
        .count()
}

/// A request by openssl that writes its own key log.
fn ask(proxy: &Proxy, version: &str, keys: &Path) {
    openssl_get(proxy, &[version.as_ref(), "-keylogfile".as_ref(), keys.as_ref()]);
}

#[test]
fn openssl_writes_the_same_keys_in_both_versions() {
    let proxy = Setup::new().config("record = { tls_key_log = 'keys' }").start();
    let ours = proxy.folder().join("keys");
    for (version, labels) in [
        ("-tls1_2", &["client_random"][..]),
        (
            "-tls1_3",
            &[
                "client_handshake_traffic_secret",
                "client_traffic_secret_0",
                "exporter_secret",
                "server_handshake_traffic_secret",
                "server_traffic_secret_0",
            ],
        ),
    ] {
        let folder = scratch();
        let theirs = folder.path().join("openssl");
        ask(&proxy, version, &theirs);
        let theirs = lines(&theirs);
        let have: Vec<&str> = theirs
            .iter()
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        assert_eq!(have, labels, "openssl's own");
        let ours = lines(&ours);
        assert!(theirs.is_subset(&ours), "{theirs:?} are not all in {ours:?}");
        // The origin's session is there too.
        assert!(ours.len() > theirs.len(), "{ours:?}");
    }
    assert_eq!(fs::metadata(&ours).unwrap().permissions().mode() & 0o777, 0o600);
    proxy.metric("wsbump_tls_key_log_enabled", &[], 1.0);
    assert_eq!(warnings(&proxy, "record.tls_key_log"), 1);
}

#[test]
fn tshark_reads_what_passed_on_both_sides() {
    let (https, sockets) = (origins::nginx().port, origins::websockets().port);
    let taps = [https, sockets].map(|port| Wiretap::start(&format!("127.0.0.1:{port}")));
    let at = |tap: &Wiretap| format!("127.0.0.1:{}", tap.port);
    let proxy = Setup::new()
        .config("record = { tls_key_log = 'keys' }")
        .host(&format!("origin.test:{https}"), &at(&taps[0]))
        .host(&format!("origin.test:{sockets}"), &at(&taps[1]))
        .start();
    let front = Wiretap::start(&proxy.address);
    let through = format!("http://{}", at(&front));
    for limit in ["1.2", "1.3"] {
        let url = origins::nginx().url("https", "/");
        let got = curl(Some(&through), &proxy.ca, &["--tls-max", limit, &url]);
        assert_eq!(got.status, 200, "{}", got.verbose);
    }
    let mut talk = Client::new("client_websockets.py")
        .with("mode", "dialogue")
        .with("url", origins::websockets().url("wss", "/echo"))
        .with("proxy", &through)
        .with("compression", "none")
        .with("ca", &proxy.ca)
        .start();
    talk.say("a word that only the keys show");
    talk.out("its echo", |line| line.contains("\"got\"").then_some(()));
    talk.say("");
    talk.out("the end", |line| line.contains("\"code\": 1000").then_some(()));

    let keys = proxy.folder().join("keys");
    let shows = |tap: &Wiretap, keys: Option<&Path>| {
        let capture = proxy.folder().join("capture.pcap");
        tap.write(&capture);
        let mut command = Command::new("tshark");
        command
            .arg("-r")
            .arg(&capture)
            .args(["-V", "-Y", "http || websocket"]);
        if let Some(keys) = keys {
            command
                .arg("-o")
                .arg(format!("tls.keylog_file:{}", keys.display()));
        }
        let done = Process::start("tshark", command).finish();
        assert!(done.status.success(), "{:?}", done.err);
        done.out.join("\n")
    };
    for (name, tap, requests, words) in [
        ("the client's side", &front, 3, 2),
        ("nginx's side", &taps[0], 2, 0),
        ("websockets' side", &taps[1], 1, 2),
    ] {
        let shown = shows(tap, Some(&keys));
        let count = |what: &str| shown.lines().filter(|line| line.trim() == what).count();
        assert_eq!(count("Request Method: GET"), requests, "{name}: {shown}");
        assert_eq!(
            shown
                .lines()
                .filter(|line| line.trim().starts_with("a word that only the keys show"))
                .count(),
            words,
            "{name}: {shown}"
        );
        assert_eq!(shows(tap, None), "", "{name}: nothing without the keys");
    }
}

#[test]
fn the_variable_alone_does_nothing_but_a_warning() {
    let folder = scratch();
    let named = folder.path().join("named");
    let url = origins::nginx().url("https", "/");
    let mut proxy = Setup::new().env("SSLKEYLOGFILE", &named).start();
    let request = |proxy: &Proxy| assert_eq!(curl(Some(&proxy.url()), &proxy.ca, &[&url]).status, 200);
    request(&proxy);
    assert!(!named.exists());
    proxy.metric("wsbump_tls_key_log_enabled", &[], 0.0);
    assert_eq!(warnings(&proxy, "SSLKEYLOGFILE is set and not used"), 1);
    let hint = proxy.process().err("how", |line| {
        line.contains("SSLKEYLOGFILE").then(|| line.to_owned())
    });
    assert!(hint.contains("record.tls_key_log = \"$SSLKEYLOGFILE\""), "{hint}");

    // A reload switches it on for the connections that come, and off again.
    proxy.rewrite_config("record = { tls_key_log = '$SSLKEYLOGFILE' }");
    proxy.metric("wsbump_tls_key_log_enabled", &[], 1.0);
    request(&proxy);
    let keys = until("keys", || Some(lines(&named)).filter(|keys| !keys.is_empty()));
    assert!(keys.len() >= 8, "{keys:?}");
    proxy.rewrite_config("limits = { header_bytes = 32768 }");
    until("each reload warns", || {
        (warnings(&proxy, "record.tls_key_log: the keys") == 2).then_some(())
    });
    proxy.rewrite_config("record = { tls_key_log = 'elsewhere' }");
    until("the other file", || {
        proxy.folder().join("elsewhere").exists().then_some(())
    });
    let before = lines(&named);
    request(&proxy);
    assert_eq!(lines(&named), before);
    assert!(!lines(&proxy.folder().join("elsewhere")).is_empty());
}

#[test]
fn keys_that_cannot_be_written_stop_nothing_and_are_counted() {
    let proxy = Setup::new()
        .config("record = { tls_key_log = '/dev/full' }")
        .start();
    let url = origins::nginx().url("https", "/");
    assert_eq!(curl(Some(&proxy.url()), &proxy.ca, &[&url]).status, 200);
    let lost = proxy.metrics().sum("wsbump_tls_key_log_dropped_total", &[]);
    assert!(lost >= 8.0, "five secrets or so for each side: {lost}");
    assert_ne!(
        fs::metadata("/dev/full").unwrap().permissions().mode() & 0o777,
        0o600
    );
}
