//! `wsbump explain` says what the running proxy then does.

use crate::harness::certs::certs;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{connect, start_tls};
use crate::harness::recorder::Recorder;
use std::process::Command;

fn explain(proxy: &Proxy, target: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
    command
        .arg("explain")
        .arg("--config")
        .arg(proxy.folder().join("wsbump.toml"));
    command
        .arg("--data-dir")
        .arg(proxy.folder().join("data"))
        .arg(target);
    let done = Process::start("wsbump explain", command).finish();
    assert!(done.status.success(), "{:?}", done.err);
    done.out.join("\n")
}

#[test]
fn the_proxy_keeps_its_word() {
    let recorder = Recorder::start();
    let proxy = Setup::new()
        .file(
            "patterns",
            &format!("# one\nWSS-primary\\.slack\\.com:{}$\n^127\\.", recorder.port),
        )
        .file("names", ".other.test\nlocalhost\n")
        .config(
            "list = [{ name = 'patterns', file = 'patterns', format = 'url_regex', ignore_case = true },\n\
             { name = 'names', file = 'names', format = 'domains' }]\n\
             [policy]\nsplice = ['patterns', 'names']\n\
             [network]\nallow = ['127.0.0.0/8']\ndeny = ['127.0.0.9']",
        )
        .start();
    for (host, action, list, line) in [
        ("origin.test", "bump", None, None),
        ("wss-backup.slack.com", "bump", None, None),
        ("wss-primary.slack.com", "splice", Some("patterns"), Some(2)),
        ("127.0.0.1", "splice", Some("patterns"), Some(3)),
        ("other.test", "splice", Some("names"), Some(1)),
        ("localhost", "splice", Some("names"), Some(2)),
    ] {
        let target = format!("{host}:{}", recorder.port);
        let said = explain(&proxy, &target);
        assert!(said.contains(action), "{target}: {said}");
        for part in list
            .iter()
            .map(ToString::to_string)
            .chain(line.iter().map(ToString::to_string))
        {
            assert!(said.contains(&part), "{target}: no {part}: {said}");
        }
        let (tunnel, answer) = connect(&proxy, &target);
        assert_eq!(answer.status, 200, "{}", answer.head);
        // Trusting only what fits the word: the origin's own root for a splice, the CA for a bump.
        let trusted = if action == "splice" {
            &certs().root
        } else {
            &proxy.ca
        };
        let mut client = start_tls(tunnel, &target, trusted);
        let rustls::StreamOwned { conn, sock } = &mut client.stream;
        while conn.is_handshaking() {
            conn.complete_io(sock).unwrap();
        }
        drop((client, recorder.accept()));
        let log = proxy.log("connection", |line| line["target"] == target);
        assert_eq!(log["action"], action, "{log}");
        assert_eq!(log["list"].as_str(), list, "{log}");
        assert_eq!(log["line"].as_u64(), line, "{log}");
    }
    for (target, refused) in [
        ("127.0.0.9:443", true),
        ("10.0.0.1:443", true),
        ("127.0.0.8:443", false),
    ] {
        let said = explain(&proxy, target);
        assert_eq!(said.contains("address: refused"), refused, "{said}");
        let (_, answer) = connect(&proxy, target);
        assert_eq!(answer.status == 403, refused, "{target}: {}", answer.head);
    }
}
