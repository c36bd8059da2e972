//! `wsbump test-rules`, as an operator meets it.

use crate::cli::{bad, home, output, text};
use serde_json::Value;
use std::fs;
use std::path::Path;

const RULES: &str = "\
[[rule]]
name = 'passwords'
mode = 'enforce'
action = 'redact'
with = '***'
direction = 'to_origin'
keywords = ['hunter2']

[[rule]]
name = 'watched'
action = 'drop'
regex = ['secret-[0-9]+']

[[rule]]
name = 'stopped'
mode = 'enforce'
action = 'close'
reason = 'not this'
keywords = ['forbidden']
";

/// Standard output of a run that must end with `code`.
#[track_caller]
fn said(home: &Path, arguments: &[&str], code: i32) -> String {
    let arguments = [&["test-rules"], arguments].concat();
    let output = output(home, &arguments);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

#[test]
fn one_message_is_judged_and_the_exit_code_tells() {
    let home = home();
    let home = home.path();
    fs::write(home.join("r.toml"), RULES).unwrap();
    let quiet = said(home, &["r.toml", "--message", "hello"], 0);
    assert!(
        quiet.contains("no rule fires") && quiet.contains("=> passes"),
        "{quiet}"
    );
    let changed = said(home, &["r.toml", "-m", "a hunter2 b"], 1);
    assert!(
        changed.contains("passwords: redact, 1 match  [r.toml:1]") || changed.contains("r.toml:1]"),
        "{changed}"
    );
    assert!(changed.contains("=> changed to: a *** b"), "{changed}");
    let watched = said(home, &["r.toml", "-m", "secret-1"], 1);
    assert!(watched.contains("watched: drop (observe: would)"), "{watched}");
    assert!(watched.contains("=> passes"), "{watched}");
    let closed = said(home, &["r.toml", "-m", "forbidden"], 1);
    assert!(closed.contains("=> closed with 1008 \"not this\""), "{closed}");
    let other_way = said(home, &["r.toml", "-m", "hunter2", "--direction", "to_client"], 0);
    assert!(other_way.contains("to_client"), "{other_way}");
    fs::write(home.join("m"), "x hunter2").unwrap();
    said(home, &["r.toml", "--message-file", "m"], 1);
}

#[test]
fn recordings_are_judged_and_summed_up() {
    let home = home();
    let home = home.path();
    fs::write(home.join("r.toml"), RULES).unwrap();
    fs::write(
        home.join("m.jsonl"),
        "{\"data\": \"fine\"}\n{\"data\": \"hunter2\"}\n{\"data\": \"hunter2\", \"direction\": \"to_client\"}\n",
    )
    .unwrap();
    let sum = said(home, &["r.toml", "--jsonl", "m.jsonl"], 1);
    assert!(
        sum.contains("3 judged: rules fired on 1; 1 changed, 0 dropped, 0 closed"),
        "{sum}"
    );
    assert!(sum.contains("  passwords  1"), "{sum}");
    let lines = said(home, &["r.toml", "--jsonl", "m.jsonl", "--json"], 1);
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let verdicts: Vec<_> = lines
        .iter()
        .map(|line| line["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts, ["pass", "replace", "pass"]);
    assert_eq!(lines[1]["data"], "***");
    assert_eq!(lines[1]["findings"][0]["rule"], "passwords");
    assert_eq!(lines[1]["findings"][0]["enforced"], true);

    let har = r#"{"log": {"entries": [{
        "_webSocketMessages": [{"type": "receive", "time": 1, "opcode": 2, "data": "c2VjcmV0LTc="}],
        "request": {"method": "GET", "url": "wss://chat.example/ws", "headers": []},
        "response": {"status": 101, "headers": []}}]}}"#;
    fs::write(home.join("m.har"), har).unwrap();
    let sum = said(home, &["r.toml", "--har", "m.har"], 1);
    assert!(
        sum.contains("message binary to_client, 8 bytes, wss://chat.example:443/ws"),
        "{sum}"
    );
    assert!(sum.contains("watched: drop (observe: would)"), "{sum}");
}

#[test]
fn lists_come_from_the_configuration_and_conditions_from_the_options() {
    let home = home();
    let home = home.path();
    fs::write(home.join("l"), "^chat\\.example:\n").unwrap();
    fs::write(home.join("w.toml"), "[[list]]\nname = 'chats'\nfile = 'l'\n").unwrap();
    fs::write(
        home.join("r.toml"),
        "[[rule]]\nname = 'r'\naction = 'log'\nhosts = ['chats']\nclients = ['10.0.0.0/8']\nkeywords = ['k']\n",
    )
    .unwrap();
    let run = |options: &[&str], code| {
        let fixed = ["r.toml", "--config", "w.toml", "-m", "k"];
        said(home, &[&fixed[..], options].concat(), code)
    };
    run(&["--host", "chat.example", "--client", "10.1.2.3"], 1);
    run(&["--host", "other.example", "--client", "10.1.2.3"], 0);
    run(&["--host", "chat.example", "--client", "192.0.2.1"], 0);
    let error = bad(home, &["test-rules", "r.toml", "-m", "k"], 2);
    assert!(
        error.contains("r.toml:4:10: rule.hosts: there is no list named \"chats\""),
        "{error}"
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let home = home();
    let home = home.path();
    fs::write(home.join("r.toml"), RULES).unwrap();
    fs::write(
        home.join("bad.toml"),
        "[[rule]]\nname = 'a'\naction = 'log'\nregex = ['ok', '(']\n",
    )
    .unwrap();
    fs::write(home.join("m.jsonl"), "{\"data\": 1}\n").unwrap();
    for (arguments, what) in [
        (&["none.toml", "-m", "x"][..], "none.toml: there is no such file"),
        (&["bad.toml", "-m", "x"], "bad.toml:4:9: rule.regex"),
        (&["r.toml", "--har", "none.har"], "--har: cannot read none.har"),
        (&["r.toml", "--jsonl", "m.jsonl"], "m.jsonl:1:1: "),
        (
            &["r.toml", "-m", "x", "--host", "a b"],
            "--host: \"a b\" is not a destination",
        ),
        (&["r.toml"], "required"),
        (&["-m", "x"], "required"),
        (&["r.toml", "-m", "x", "--har", "y"], "cannot be used with"),
    ] {
        let error = bad(home, &[&["test-rules"], arguments].concat(), 2);
        assert!(error.contains(what), "{arguments:?}: {error}");
    }
}

#[test]
fn a_framing_is_followed_over_the_messages_of_a_recording() {
    let home = home();
    let home = home.path();
    let rule = "[[rule]]\nname = 'frames'\nmode = 'enforce'\naction = 'drop'\ndecode = 'stomp'\n\
                json = [{ pointer = '/body', equals = 'a secret' }]\n";
    fs::write(home.join("r.toml"), rule).unwrap();
    let messages = [
        r"SEND\n\na se",
        r"cret\u0000",
        r"SEND\n\na secret\u0000",
        r"SEND\n\nfine\u0000",
    ];
    let lines: String = messages
        .iter()
        .map(|text| format!("{{\"data\": \"{text}\"}}\n"))
        .collect();
    fs::write(home.join("m.jsonl"), lines).unwrap();
    let lines = said(home, &["r.toml", "--jsonl", "m.jsonl", "--json"], 1);
    let verdicts: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|said| format!("{} {} {}", said["number"], said["messages"], said["verdict"]))
        .collect();
    // A frame that is cut over two messages is judged with both.
    assert_eq!(verdicts, ["1 2 \"drop\"", "3 1 \"drop\"", "4 1 \"pass\""]);
    let summary = said(home, &["r.toml", "--jsonl", "m.jsonl"], 1);
    assert!(summary.contains("1 and 1 behind it. message"), "{summary}");
    assert!(summary.contains("4 judged: rules fired on 2;"), "{summary}");
}
