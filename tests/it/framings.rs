//! Applications' framings, as clients and servers that others wrote speak them: rules see through them, and what they
//! change still makes sense to who receives it.

use crate::harness::clients::Client;
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use serde_json::{Value, json};

/// Redacts one word, and drops what another one is in.
fn rules(framing: &str) -> Proxy {
    rules_for(framing, "to_origin")
}

fn rules_for(framing: &str, direction: &str) -> Proxy {
    Setup::new()
        .config(&format!(
            "[[inspect.rule]]\nname = 'redact'\nmode = 'enforce'\naction = 'redact'\nwith = '\"x\"'\n\
             direction = '{direction}'\nkeywords = ['kestrel']\ndecode = '{framing}'\n\
             [[inspect.rule]]\nname = 'drop'\nmode = 'enforce'\naction = 'drop'\n\
             direction = '{direction}'\nkeywords = ['leave this out']\ndecode = '{framing}'\n"
        ))
        .start()
}

fn said(client: &str, mode: &str, framing: &str, url: String) -> Value {
    let proxy = rules(framing);
    let client = Client::new(client)
        .with("url", url)
        .with("proxy", proxy.url())
        .with("ca", &proxy.ca);
    let client = if mode.is_empty() {
        client
    } else {
        client.with("mode", mode)
    };
    let found = client.run();
    found["got"].clone()
}

fn over_node(mode: &str, framing: &str, path: &str) -> Value {
    let origin = origins::framings();
    said("client_framings.mjs", mode, framing, origin.url("wss", path))
}

/// Microsoft's client; the hub reads with Microsoft's protocols, so both ends have to make sense of what was changed.
fn over_signalr(mode: &str) {
    let origin = origins::framings();
    let got = said(
        "client_framings.mjs",
        mode,
        "signalr",
        origin.url("https", "/signalr"),
    );
    assert_eq!(got, json!(["plain", "my \"\"x\"\"\n is here", "end"]));
    let changed = origin.fact("the call that was changed", |fact| {
        fact["words"] == "my \"\"x\"\"\n is here"
    });
    assert_eq!(changed["nested"], json!(["my \"\"x\"\"\n is here"]), "{changed}");
}

#[test]
fn signalr_calls_in_json() {
    over_signalr("signalr");
}

#[test]
fn signalr_calls_in_message_pack() {
    over_signalr("msgpack");
}

#[test]
fn socketio_events_and_their_attachments() {
    let origin = origins::socketio();
    let got = said("client_socketio.py", "", "socketio", origin.url("https", ""));
    assert_eq!(
        got,
        json!([["plain"], ["my \"\"x\"\""], ["attached", "a \"x\" in bytes", {"n": 1}], ["end"]])
    );
}

#[test]
fn graphql_operations() {
    let got = over_node("graphql", "graphql-ws", "/graphql");
    assert_eq!(got, json!(["plain", "my \"\"x\"\"\n is here", "end"]));
}

/// `mqtt` sends each field of a packet as a message of its own.
#[test]
fn mqtt_packets_are_found_over_messages() {
    let origin = origins::own_framings();
    let rule = |name: &str, pointer: &str, value: &str| {
        format!(
            "[[inspect.rule]]\nname = '{name}'\naction = 'log'\ndecode = 'mqtt'\n\
                 direction = 'to_origin'\njson = [{{ pointer = '{pointer}', equals = '{value}' }}]\n"
        )
    };
    let proxy = Setup::new()
        .config(
            &[
                rule("topic", "/topic", "a/b"),
                rule("payload", "/payload", "leave this out"),
                rule("user", "/user_name", "user"),
            ]
            .concat(),
        )
        .start();
    let found = Client::new("client_framings.mjs")
        .with("url", origin.url("wss", "/mqtt"))
        .with("proxy", proxy.url())
        .with("ca", &proxy.ca)
        .with("mode", "mqtt")
        .run();
    assert_eq!(
        found["got"],
        json!([
            "a/b plain",
            "a/b my \"kestrel\"\n is here",
            "a/b leave this out",
            "a/b end"
        ])
    );
    for (name, count) in [("topic", 4.0), ("payload", 1.0), ("user", 1.0)] {
        proxy.metric("wsbump_inspect_findings_total", &[("rule", name)], count);
    }
}

/// What a rule could stop waits until the packet is whole.
#[test]
fn mqtt_packets_in_pieces_are_changed_and_left_out() {
    let origin = origins::own_framings();
    let got = said("client_framings.mjs", "mqtt", "mqtt", origin.url("wss", "/mqtt"));
    assert_eq!(got, json!(["a/b plain", "a/b my \"\"x\"\"\n is here", "a/b end"]));
}

/// A client that cuts its frames into small messages, as it does for receivers that take no large ones.
#[test]
fn stomp_frames_in_pieces_are_changed_and_left_out() {
    let got = over_node("stomp-cut", "stomp", "/stomp");
    assert_eq!(
        got,
        json!(["x:\"x\" plain", "x:\"x\" my \"\"x\"\"\n is here", "x:\"x\" end"])
    );
}

#[test]
fn stomp_frames_and_their_lengths() {
    let got = over_node("stomp", "stomp", "/stomp");
    assert_eq!(
        got,
        json!(["x:\"x\" plain", "x:\"x\" my \"\"x\"\"\n is here", "x:\"x\" end"])
    );
    let shorter = "my \"\"x\"\"\n is here".len();
    let length = origins::framings().fact("the frame that was changed", |fact| fact["bytes"] == shorter);
    assert_eq!(length["length"], shorter, "{length}");
}

/// Discord's gateway says everything in one zlib stream. A bot reads on behind what was changed, left out, and cut over
/// messages.
#[test]
fn discords_zlib_stream() {
    let origin = origins::discord(&[
        "plain",
        "hello",
        "my \"kestrel\"\n is here",
        "plain",
        "leave this out",
        "hello again",
        "a kestrel once more",
        "end",
    ]);
    let proxy = rules_for("zlib-stream", "to_client");
    let found = Client::new("client_discord.py")
        .with("url", origin.url("https", ""))
        .with("proxy", proxy.url())
        .with("ca", &proxy.ca)
        .run();
    assert_eq!(
        found["got"],
        json!([
            "plain",
            "hello",
            "my \"\"x\"\"\n is here",
            "plain",
            "hello again",
            "a \"x\" once more",
            "end"
        ])
    );
    origin.fact("the compression that the bot asked for", |fact| {
        fact["compress"] == "zlib-stream"
    });
    for (rule, count) in [("redact", 2.0), ("drop", 1.0)] {
        proxy.metric("wsbump_inspect_findings_total", &[("rule", rule)], count);
    }
}
