//! `wsbump explain` says what the running proxy then does.

use crate::harness::certs::certs;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{connect, header, start_tls, tls_over, tunnel};
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

#[test]
fn what_is_denied_is_said_and_kept_from_the_origin() {
    let recorder = Recorder::start();
    let proxy = Setup::new()
        .file("bad", "# not from here\n.other.test\n")
        .config(
            "list = [{ name = 'bad', file = 'bad', format = 'domains' }]\n\
             policy = { deny = ['bad'], splice = ['bad'] }",
        )
        .start();
    proxy.metric("wsbump_list_matches_total", &[("list", "bad")], 0.0);
    let denied = [("action", "deny"), ("reason", "list_deny")];
    proxy.metric("wsbump_decisions_total", &denied, 0.0);

    // A name that nobody resolves: nobody is asked either.
    let target = format!("nowhere.other.test:{}", recorder.port);
    assert_eq!(
        explain(&proxy, &target),
        format!(
            "{target} is denied: nothing is resolved or dialled.\n  by list \"bad\", line 2: .other.test"
        )
    );
    let (_, answer) = connect(&proxy, &target);
    assert_eq!(answer.status, 403, "{}", answer.head);
    let line = proxy.log("connection", |line| line["target"] == target);
    assert_eq!(
        (&line["action"], &line["reason"]),
        (&"deny".into(), &"list_deny".into()),
        "{line}"
    );
    assert_eq!(
        (&line["list"], &line["line"]),
        (&"bad".into(), &2.into()),
        "{line}"
    );

    // A name that only the ClientHello has.
    let target = format!("127.0.0.1:{}", recorder.port);
    assert!(explain(&proxy, &target).contains("as SNI:"), "the SNI counts too");
    let mut client = start_tls(tunnel(&proxy, &target), "www.other.test:443", &proxy.ca);
    let rustls::StreamOwned { conn, sock } = &mut client.stream;
    while conn.is_handshaking() {
        if conn.complete_io(sock).is_err() {
            break;
        }
    }
    drop(client);
    let line = proxy.log("connection", |line| line["target"] == target);
    assert_eq!(
        (&line["action"], &line["sni"]),
        (&"deny".into(), &"www.other.test".into()),
        "{line}"
    );
    assert_eq!(
        (&line["list"], &line["line"]),
        (&"bad".into(), &2.into()),
        "{line}"
    );
    assert!(recorder.accept_nothing(), "the origin was spoken to");
    proxy.metric("wsbump_list_matches_total", &[("list", "bad")], 2.0);
    proxy.metric("wsbump_decisions_total", &denied, 2.0);
}

#[test]
fn via_is_kept_from_what_a_list_names() {
    let recorder = Recorder::start();
    let proxy = Setup::new()
        .file("plain", "origin.test\n")
        .config(
            "list = [{ name = 'plain', file = 'plain', format = 'domains' }]\n\
             policy = { without_via = ['plain'] }",
        )
        .start();
    let others = format!("localhost:{}", recorder.port);
    for (target, sni, via) in [
        (recorder.target(), recorder.target(), false),
        (others.clone(), others.clone(), true),
        // The name in the ClientHello is enough.
        (others, recorder.target(), false),
    ] {
        let said = explain(&proxy, &target);
        if target == sni {
            assert_eq!(
                said.contains("No Via header is added\n  by list \"plain\", line 1: origin.test"),
                !via,
                "{said}"
            );
        }
        let mut client = tls_over(tunnel(&proxy, &target), &sni, &proxy.ca);
        client.send(format!("GET / HTTP/1.1\r\nHost: {sni}\r\n\r\n"));
        let mut origin = recorder.accept();
        let head = origin.head().unwrap();
        assert_eq!(header(&head, "via").is_some(), via, "{target}, {sni}: {head}");
        origin.send("HTTP/1.1 204 No Content\r\n\r\n");
        let answer = client.answer();
        assert_eq!(
            answer.header("via").is_some(),
            via,
            "{target}, {sni}: {}",
            answer.head
        );
    }
}
