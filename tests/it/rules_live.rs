//! From a first rule to enforcing it, on a WebSocket that stays open all the while.

use crate::harness::clients::Client;
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::until;
use serde_json::Value;

/// A live WebSocket that tells what comes back.
fn talk(proxy: &Proxy, compression: &str) -> Process {
    let client = Client::new("client_websockets.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .with("url", origins::websockets().url("wss", "/echo"))
        .with("mode", "talk")
        .with("compression", compression)
        .start();
    client.out("open", |line| line.contains("\"open\": true").then_some(()));
    client
}

/// What the echo of `word` is.
fn back(client: &mut Process, word: &str) -> String {
    client.say(word);
    client.out("an answer", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["sent"] == word).then(|| line["back"].as_str().unwrap_or_default().to_owned())
    })
}

fn reloads(proxy: &Proxy) -> f64 {
    proxy
        .metrics()
        .sum("wsbump_config_reloads_total", &[("result", "success")])
}

/// Saves the rules, and waits until they are in force.
fn save(proxy: &Proxy, rules: &str) {
    let before = reloads(proxy);
    proxy.replace("rules.toml", rules);
    until("the rules are loaded", || (reloads(proxy) > before).then_some(()));
}

fn rule(mode: &str, rest: &str) -> String {
    format!(
        "[[rule]]\nname = 'words'\nmode = '{mode}'\ndirection = 'to_origin'\nkeywords = ['hunter2']\n{rest}\n"
    )
}

fn journey(compression: &str, first: &str) {
    let proxy = Setup::new()
        .file("rules.toml", first)
        .config("inspect = { include = ['rules.toml'] }")
        .start();
    let mut client = talk(&proxy, compression);
    assert_eq!(back(&mut client, "1-hunter2-a"), "1-hunter2-a");

    save(&proxy, &rule("observe", "action = 'redact'"));
    assert_eq!(
        back(&mut client, "2-hunter2-a"),
        "2-hunter2-a",
        "observing changes nothing"
    );

    save(&proxy, &rule("enforce", "action = 'redact'\nwith = '***'"));
    assert_eq!(back(&mut client, "3-hunter2-a"), "3-***-a");
    assert_eq!(back(&mut client, "4-harmless"), "4-harmless");

    // A mistake keeps the rules that are in force.
    proxy.replace("rules.toml", &rule("enforce", "action = 'redcat'"));
    proxy.metric("wsbump_config_last_reload_successful", &[], 0.0);
    assert_eq!(back(&mut client, "5-hunter2-a"), "5-***-a");

    save(&proxy, &rule("observe", "action = 'redact'"));
    assert_eq!(back(&mut client, "6-hunter2-a"), "6-hunter2-a", "and back");

    // The same connection to the end, which a rule may bring about.
    save(
        &proxy,
        &rule("enforce", "action = 'close'\nreason = 'no passwords'"),
    );
    client.say("7-hunter2-a");
    let line = proxy.log("websocket", |_| true);
    assert_eq!(proxy.log_so_far("websocket").len(), 1, "{line}");
    client.out("the code and the reason", |line| {
        (line.contains("1008") && line.contains("no passwords")).then_some(())
    });
}

#[test]
fn rules_change_under_an_open_websocket() {
    journey("none", "# none yet\n");
}

#[test]
fn rules_change_under_an_open_websocket_that_compresses() {
    // A direction's inflater has to have seen it from its beginning, so that some rule looks at messages then.
    let other = "[[rule]]\nname = 'other'\naction = 'log'\nin = ['message']\nkeywords = ['other']\n";
    journey("deflate", other);
}

#[test]
fn what_was_compressed_before_the_first_rule_passes_unseen_and_unharmed() {
    let proxy = Setup::new()
        .file("rules.toml", "# none yet\n")
        .config("inspect = { include = ['rules.toml'] }")
        .start();
    let mut client = talk(&proxy, "deflate");
    assert_eq!(back(&mut client, "1-hunter2-a"), "1-hunter2-a");
    save(&proxy, &rule("enforce", "action = 'redact'"));
    for word in ["2-hunter2-a", "3-hunter2-a"] {
        assert_eq!(back(&mut client, word), word);
    }
    // A new WebSocket is looked into from its beginning.
    let mut second = talk(&proxy, "deflate");
    assert_eq!(back(&mut second, "1-hunter2-a"), "1-[redacted]-a");
    assert_eq!(back(&mut client, "4-hunter2-a"), "4-hunter2-a");
}
