//! A reload swaps the policy and keeps every connection.

use crate::harness::certs::certs;
use crate::harness::clients::Client;
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{connect, start_tls, tunnel};
use crate::harness::until;

fn setup(list: &str) -> Proxy {
    Setup::new()
        .file("list", list)
        .config(
            "list = [{ name = 'list', file = 'list', format = 'url_regex' }]\npolicy = { splice = ['list'] }",
        )
        .start()
}

/// Whether a new connection shows the origin's own certificate.
fn is_spliced(proxy: &Proxy) -> bool {
    let target = format!("origin.test:{}", origins::websockets().port);
    let mut client = start_tls(tunnel(proxy, &target), &target, &certs().root);
    let rustls::StreamOwned { conn, sock } = &mut client.stream;
    while conn.is_handshaking() {
        if conn.complete_io(sock).is_err() {
            return false;
        }
    }
    true
}

/// A live WebSocket, and a way to show that it still is.
fn live(proxy: &Proxy) -> Process {
    let client = Client::new("client_websockets.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .with("url", origins::websockets().url("wss", "/echo"))
        .with("mode", "hold")
        .start();
    client.out("open", |line| line.contains("\"open\": true").then_some(()));
    client
}

fn still_alive(client: &mut Process, word: &str) {
    client.say(word);
    client.out("an echo", |line| {
        line.contains(&format!("\"echo\": \"{word}\"")).then_some(())
    });
}

#[test]
fn sighup_changes_the_policy_for_new_connections_only() {
    let mut proxy = setup("^nothing\\.test:443$\n");
    let mut client = live(&proxy);
    assert!(!is_spliced(&proxy));

    proxy.replace("list", "^origin\\.test:\n");
    proxy.process().signal("HUP");
    until("the new list is in force", || is_spliced(&proxy).then_some(()));
    still_alive(&mut client, "after-the-list");

    // A list that cannot be read keeps the policy and says so.
    proxy.replace("list", "^origin\\.test:\n(unclosed\n");
    proxy.process().signal("HUP");
    proxy.metric("wsbump_config_last_reload_successful", &[], 0.0);
    assert!(is_spliced(&proxy), "the old policy must stay");
    still_alive(&mut client, "after-the-broken-list");
    proxy.process().err("what is wrong with it, and where", |line| {
        (line.contains("unclosed") || line.contains("list:2") || line.contains("line 2")).then_some(())
    });

    // So does a broken configuration, whatever the lists say.
    proxy.replace("list", "^nothing\\.test:443$\n");
    let good = std::fs::read_to_string(proxy.folder().join("wsbump.toml")).unwrap();
    proxy.replace(
        "wsbump.toml",
        &format!("{good}\nunknown_key = 1\n[unknown_table]\n"),
    );
    proxy.process().signal("HUP");
    proxy.process().err("what is wrong with it", |line| {
        line.contains("unknown_").then_some(())
    });
    assert!(is_spliced(&proxy), "the old policy must stay");

    // And back.
    proxy.rewrite_config("");
    proxy.process().signal("HUP");
    proxy.metric("wsbump_config_last_reload_successful", &[], 1.0);
    until("bumped again", || (!is_spliced(&proxy)).then_some(()));
    still_alive(&mut client, "at-the-end");

    client.say("");
    assert!(client.finish().status.success());
    let line = proxy.log("websocket", |_| true);
    assert_eq!(line["outcome"], "closed", "{line}");
}

#[test]
fn a_change_of_a_file_is_noticed() {
    let proxy = setup("^nothing\\.test:443$\n");
    assert!(!is_spliced(&proxy));
    proxy.replace("list", "^origin\\.test:\n");
    until("the new list is in force", || is_spliced(&proxy).then_some(()));
    // Written in place this time.
    std::fs::write(proxy.folder().join("list"), "^nothing\\.test:443$\n").unwrap();
    until("the newer list is in force", || {
        (!is_spliced(&proxy)).then_some(())
    });
}

#[test]
fn the_configuration_may_change_what_is_spliced() {
    let mut proxy = setup("^origin\\.test:\n");
    assert!(is_spliced(&proxy));
    proxy.rewrite_config("policy = { splice = [] }");
    proxy.process().signal("HUP");
    until("the new policy is in force", || {
        (!is_spliced(&proxy)).then_some(())
    });
}

#[test]
fn the_connection_limit_is_not_said_to_change_when_it_does_not() {
    let mut proxy = setup("");
    proxy.metric("wsbump_connections_limit", &[], 10_000.0);
    let reloads = |proxy: &Proxy| {
        proxy
            .metrics()
            .sum("wsbump_config_reloads_total", &[("result", "success")])
    };
    let before = reloads(&proxy);
    proxy.rewrite_config("limits = { connections = 5 }");
    proxy.process().signal("HUP");
    proxy.process().err("a warning", |line| {
        line.contains("limits.connections has changed").then_some(())
    });
    until("the reload", || (reloads(&proxy) > before).then_some(()));
    proxy.metric("wsbump_connections_limit", &[], 10_000.0);
}

#[test]
fn a_deny_list_may_grow_and_spares_what_is_open() {
    let proxy = Setup::new()
        .file("bad", "nothing.test\n")
        .config("list = [{ name = 'bad', file = 'bad', format = 'domains' }]\npolicy = { deny = ['bad'] }")
        .start();
    let mut client = live(&proxy);
    proxy.replace("bad", "nothing.test\norigin.test\n");
    let target = format!("origin.test:{}", origins::websockets().port);
    until("the new list is in force", || {
        drop(connect(&proxy, &target));
        let lines = proxy.log_so_far("connection");
        lines.iter().any(|line| line["action"] == "deny").then_some(())
    });
    still_alive(&mut client, "after-the-denial");
    client.say("");
    assert!(client.finish().status.success());
}
