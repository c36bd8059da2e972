//! From a first rule to enforcing it, on a WebSocket that stays open all the while.

use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::frame;
use crate::harness::road::{Road, Version, over_both};
use crate::harness::until;
use serde_json::Value;

over_both!(
    rules_change_under_an_open_websocket,
    rules_change_under_an_open_websocket_that_compresses,
    what_was_compressed_before_the_first_rule_passes_unseen_and_unharmed,
);

/// A live WebSocket that tells what comes back.
fn talk(version: Version, proxy: &Proxy, compression: &str) -> Process {
    let client = version.client(proxy, version.websockets(), "/ws");
    let client = client
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

fn journey(version: Version, compression: &str, first: &str) {
    let proxy = Setup::new()
        .file("rules.toml", first)
        .config("inspect = { include = ['rules.toml'] }")
        .start();
    let mut client = talk(version, &proxy, compression);
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
    assert_eq!(line["protocol"], version.logged(), "{line}");
    client.out("the code and the reason", |line| {
        (line.contains("1008") && line.contains("no passwords")).then_some(())
    });
}

fn rules_change_under_an_open_websocket(version: Version) {
    journey(version, "none", "# none yet\n");
}

fn rules_change_under_an_open_websocket_that_compresses(version: Version) {
    // A direction's inflater has to have seen it from its beginning, so that some rule looks at messages then.
    let other = "[[rule]]\nname = 'other'\naction = 'log'\nin = ['message']\nkeywords = ['other']\n";
    journey(version, "deflate", other);
}

fn what_was_compressed_before_the_first_rule_passes_unseen_and_unharmed(version: Version) {
    let proxy = Setup::new()
        .file("rules.toml", "# none yet\n")
        .config("inspect = { include = ['rules.toml'], on_budget = 'pass' }")
        .start();
    let mut client = talk(version, &proxy, "deflate");
    assert_eq!(back(&mut client, "1-hunter2-a"), "1-hunter2-a");
    save(&proxy, &rule("enforce", "action = 'redact'"));
    for word in ["2-hunter2-a", "3-hunter2-a"] {
        assert_eq!(back(&mut client, word), word);
    }
    // A new WebSocket is looked into from its beginning.
    let mut second = talk(version, &proxy, "deflate");
    assert_eq!(back(&mut second, "1-hunter2-a"), "1-[redacted]-a");
    assert_eq!(back(&mut client, "4-hunter2-a"), "4-hunter2-a");
}

#[test]
fn rules_change_under_many_websockets_of_one_connection_and_what_else_is_on_it() {
    let proxy = Setup::new()
        .file("rules.toml", "# none yet\n")
        .config("inspect = { include = ['rules.toml'] }")
        .start();
    let road = Road::start(Version::Http2);
    let mut pairs: Vec<_> = (0..5).map(|_| road.websocket(&proxy)).collect();
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", road.target());
    let mut download = road.client(&proxy);
    download.send(ask("/slow"));
    let mut slow = road.accept();
    slow.head().unwrap();
    slow.send("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n");
    download.head().unwrap();

    let text = |text: &str| frame(0x81, Some([1, 2, 3, 4]), text.as_bytes());
    let steps = [
        ("observe", "action = 'drop'", Some("a hunter2")),
        ("enforce", "action = 'redact'\nwith = '***'", Some("a ***")),
        ("enforce", "action = 'drop'", None),
        ("observe", "action = 'close'\nreason = 'no'", Some("a hunter2")),
    ];
    for (mode, rest, wanted) in steps {
        save(&proxy, &rule(mode, rest));
        for (client, origin) in &mut pairs {
            client.send([text("a hunter2"), text("harmless")].concat());
            if let Some(wanted) = wanted {
                assert_eq!(
                    origin.frame().unwrap().payload,
                    wanted.as_bytes(),
                    "{mode} {rest}"
                );
            }
            assert_eq!(origin.frame().unwrap().payload, b"harmless", "{mode} {rest}");
            origin.send(frame(0x81, None, b"hunter2 is for the other way"));
            assert_eq!(
                client.frame().unwrap().payload,
                b"hunter2 is for the other way",
                "{mode} {rest}"
            );
        }
        slow.send("hunter2 as content, ");
        assert_eq!(download.exactly(20), b"hunter2 as content, ");
        let mut other = road.client(&proxy);
        other.send(ask("/other"));
        let mut origin = road.accept();
        origin.head().unwrap();
        origin.send("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(other.answer().status, 204);
    }
    // One is closed, and the others go on.
    save(&proxy, &rule("enforce", "action = 'close'\nreason = 'no'"));
    let (mut client, mut origin) = pairs.remove(2);
    client.send(text("a hunter2"));
    for end in [&mut client, &mut origin] {
        assert_eq!(end.frame().and_then(|frame| frame.close_code()), Some(1008));
    }
    drop((client, origin));
    for (client, origin) in &mut pairs {
        client.send(text("harmless"));
        assert_eq!(origin.frame().unwrap().payload, b"harmless");
    }
    slow.send([b'x'; 10000 - 80]);
    assert!(download.exactly(10000 - 80) == [b'x'; 10000 - 80]);
    proxy.metric(
        "wsbump_inspect_findings_total",
        &[("rule", "words")],
        4.0 * 5.0 + 1.0,
    );
    drop((pairs, download, slow));
    // The bridge keeps the connection that all of them were on.
    drop(road);
    let connection = proxy.log("connection", |_| true);
    assert_eq!(
        (&connection["alpn"], &connection["requests"]),
        (&"h2".into(), &10.into()),
        "{connection}"
    );
}
