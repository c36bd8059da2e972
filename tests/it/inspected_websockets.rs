//! Messages of clients and servers that others wrote, judged and changed on their way.

use crate::harness::clients::Client;
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{frame, header, tls};
use crate::harness::recorder::Recorder;
use crate::harness::rules;
use serde_json::Value;

/// A conversation over `websockets` through the proxy.
struct Talk(Process);

impl Talk {
    fn open(proxy: &Proxy, url: &str, options: &[(&str, &str)]) -> Self {
        let client = Client::new("client_websockets.py")
            .with("mode", "dialogue")
            .with("url", url)
            .with("proxy", proxy.url())
            .with("ca", &proxy.ca);
        let client = options
            .iter()
            .fold(client, |client, (name, value)| client.with(name, value));
        let process = client.start();
        process.out("open", |line| fact(line).filter(|fact| fact["open"] == true));
        Self(process)
    }

    fn say(&mut self, line: &str) {
        self.0.say(line);
    }

    /// What came back, once `last` has.
    fn heard(&self, last: &str) -> Vec<String> {
        self.0
            .out(last, |line| (fact(line)?["got"] == last).then_some(()));
        let lines = self.0.out.all();
        lines
            .iter()
            .filter_map(|line| Some(fact(line)?["got"].as_str()?.to_owned()))
            .collect()
    }
}

fn fact(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok()
}

#[test]
fn rules_hold_over_every_kind_of_compression() {
    let proxy = Setup::new().config(rules::MESSAGES).start();
    for (name, origin) in [("websockets", origins::websockets()), ("ws", origins::node_ws())] {
        for options in [
            &[("compression", "none")][..],
            &[],
            &[("takeover", "none")],
            &[("bits", "9")],
            &[("bits", "12"), ("takeover", "none")],
        ] {
            let mut talk = Talk::open(&proxy, &origin.url("wss", "/echo"), options);
            talk.say("hello, and some words that later messages repeat");
            talk.say("leave this out, and some words that later messages repeat");
            talk.say("watched, and some words that later messages repeat");
            talk.say("pay with 4111 1111 1111 1111, and some words that later messages repeat");
            talk.say("fragments 41111111 11111111, internal- 77");
            talk.say("ping");
            talk.say("and some words that later messages repeat");
            talk.say("end");
            assert_eq!(
                talk.heard("end"),
                [
                    "hello, and some words that later messages repeat",
                    "watched, and some words that later messages repeat",
                    "pay with [card], and some words that later messages repeat",
                    "[card],#",
                    "and some words that later messages repeat",
                    "end"
                ],
                "{name} with {options:?}"
            );
            talk.say("unspeakable");
            let end = talk.0.out("the end", |line| {
                fact(line).filter(|fact| fact["code"].is_number())
            });
            assert_eq!(
                (&end["code"], &end["reason"]),
                (&1008.into(), &"that may not be said".into()),
                "{end}"
            );
        }
    }
    let line = proxy.log("websocket", |_| true);
    assert_eq!(line["outcome"], "closed_by_rule", "{line}");
}

#[test]
fn rules_come_and_go_under_a_live_websocket() {
    let rule = |mode: &str, action: &str| {
        format!(
            "[[rule]]\nname = \"codename\"\nmode = \"{mode}\"\naction = \"{action}\"\nwith = \"***\"\nkeywords = [\"kestrel\"]\n"
        )
    };
    let rule = |mode: &str, action: &str| {
        let text = rule(mode, action);
        if action == "redact" {
            text
        } else {
            text.replace("with = \"***\"\n", "")
        }
    };
    let proxy = Setup::new()
        .config("[inspect]\ninclude = [\"rules.toml\"]")
        .file(
            "rules.toml",
            "[[rule]]\nname = \"none\"\naction = \"log\"\nkeywords = [\"zzzz\"]\n",
        )
        .start();
    let mut talk = Talk::open(&proxy, &origins::websockets().url("wss", "/echo"), &[]);
    let mut said = 0;
    // Says it until it comes back as wanted: a reload takes a moment.
    let mut until = |talk: &mut Talk, wanted: Option<&str>| {
        crate::harness::until("the reload", || {
            said += 1;
            talk.say(&format!("kestrel {said}"));
            talk.say(&format!("mark {said}"));
            let heard = talk.heard(&format!("mark {said}"));
            let before_mark = heard.get(heard.len().checked_sub(2)?)?;
            let is_wanted = match wanted {
                Some(wanted) => *before_mark == format!("{wanted} {said}"),
                None => *before_mark == format!("mark {}", said - 1),
            };
            is_wanted.then_some(())
        });
    };
    until(&mut talk, Some("kestrel"));
    proxy.replace("rules.toml", &rule("enforce", "redact"));
    until(&mut talk, Some("***"));
    proxy.replace("rules.toml", &rule("enforce", "drop"));
    until(&mut talk, None);
    proxy.replace("rules.toml", &rule("observe", "drop"));
    until(&mut talk, Some("kestrel"));
}

#[test]
fn offers_that_cannot_be_decoded_do_not_reach_the_origin() {
    let offers = "Sec-WebSocket-Extensions: x-mystery, permessage-deflate; client_max_window_bits, bbf-usp-protocol\r\n";
    let proxy = Setup::new().config(rules::MESSAGES).start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.ask_websocket(&recorder.target(), "/", offers);
    let sent = recorder.accept().accept_websocket("");
    assert_eq!(
        header(&sent, "sec-websocket-extensions"),
        Some("permessage-deflate; client_max_window_bits"),
        "{sent}"
    );

    // Without rules nothing is taken away, nor where a list lets it pass.
    let listed = format!(
        "[inspect]\nopaque_extensions = [\"strange\"]\n[[list]]\nname = \"strange\"\nfile = \"strange\"\nformat = \"domains\"\n{}",
        rules::MESSAGES
    );
    for setup in [
        Setup::new(),
        Setup::new()
            .file("strange", "origin.test\nlocalhost\n127.0.0.1\n")
            .config(&listed),
    ] {
        let proxy = setup.start();
        let recorder = Recorder::start();
        let (mut client, mut origin) =
            recorder.websocket_with(&proxy, offers, "Sec-WebSocket-Extensions: x-mystery\r\n");
        let odd = frame(0xf1, Some([1, 2, 3, 4]), b"unspeakable");
        client.send(&odd);
        assert_eq!(origin.exactly(odd.len()), odd);
    }
}
