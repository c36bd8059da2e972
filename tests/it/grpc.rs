//! gRPC between grpcio and grpcio, which speak HTTP/2 and nothing else.

use crate::harness::clients::Client;
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use serde_json::Value;

fn client(proxy: &Proxy, port: u16, mode: &str) -> Client {
    Client::new("client_grpc.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.url())
        .with("mode", mode)
        .with("url", format!("https://origin.test:{port}"))
}

#[test]
fn every_kind_of_call_passes() {
    every_kind(&Proxy::start());
}

#[test]
fn rules_that_only_watch_do_no_harm_to_calls() {
    let proxy = Setup::new()
        .config(
            "[[inspect.rule]]\nname = 'words'\naction = 'drop'\nin = ['body', 'head']\n\
             keywords = ['hello', 'Echo/Both']\n",
        )
        .start();
    every_kind(&proxy);
    // The word is sent and comes back, and the other is a path.
    proxy.metric(
        "wsbump_inspect_findings_total",
        &[("rule", "words"), ("mode", "observe")],
        3.0,
    );
}

#[test]
fn a_call_whose_messages_are_answered_one_by_one_waits_for_hold_once_each_way() {
    let proxy = Setup::new()
        .config(
            "[inspect]\nhold = '300ms'\non_budget = 'close'\n[[inspect.rule]]\nname = 'words'\nmode = 'enforce'\naction = 'drop'\n\
             in = ['body']\nkeywords = ['kestrel']\n",
        )
        .start();
    every_kind(&proxy);
    // What goes on then is judged piece by piece: nothing of it goes unseen.
    for stopped in ["true", "false"] {
        proxy.metric("wsbump_inspect_blind_total", &[("stopped", stopped)], 0.0);
    }
}

fn every_kind(proxy: &Proxy) {
    let origin = origins::own_grpc();
    let found = client(proxy, origin.port, "suite").run();
    // The client itself has checked every answer; these are the ones that were to fail.
    let failed = &found["failed"];
    assert_eq!(
        (
            &failed["code"],
            &failed["details"],
            &failed["trailers"]["x-why-bin"]
        ),
        (
            &"FAILED_PRECONDITION".into(),
            &"as it was asked: ü".into(),
            &"00010203".into()
        ),
        "{found}"
    );
    assert_eq!(found["unknown"]["code"], "UNIMPLEMENTED", "{found}");
    assert_eq!(found["too_large"]["code"], "RESOURCE_EXHAUSTED", "{found}");
    let line = proxy.log("request", |line| line["url"].as_str().unwrap().ends_with("/Both"));
    assert_eq!(
        (&line["protocol"], &line["status"]),
        (&"HTTP/2".into(), &200.into()),
        "{line}"
    );
    // Five bytes stand in front of each message.
    let sent: u64 = (0..200_u32).map(|n| 5 + n.to_string().len() as u64).sum();
    assert_eq!(line["bytes_to_origin"], sent, "{line}");
    assert_eq!(line["bytes_to_client"], sent + 200 * 4, "{line}");
}

#[test]
fn many_calls_share_a_channel() {
    let proxy = Proxy::start();
    // The proxy allows 100 streams at once.
    let origin = origins::own_grpc();
    let found = client(&proxy, origin.port, "many").run();
    assert_eq!(
        (&found["unary"], &found["streams"]),
        (&500.into(), &100.into()),
        "{found}"
    );
    let line = proxy.log("connection", |_| true);
    assert_eq!(
        (&line["requests"], &line["outcome"]),
        (&600.into(), &"ok".into()),
        "{line}"
    );
}

#[test]
fn what_a_client_takes_back_the_origin_loses() {
    let proxy = Proxy::start();
    let origin = origins::own_grpc();
    let mut client = client(&proxy, origin.port, "cancel").start();
    let told = |what: &str| origin.fact(what, |fact| *fact == serde_json::from_str::<Value>(what).unwrap());
    let heard = |client: &crate::harness::process::Process, what: &str| {
        client.out(what, |line| {
            serde_json::from_str::<Value>(line)
                .ok()
                .filter(|fact| !fact[what].is_null())
        })
    };
    told(r#"{"gone":"deadline"}"#);
    heard(&client, "waiting");
    told(r#"{"began":"cancel"}"#);
    client.say("cancel it");
    told(r#"{"gone":"cancel"}"#);
    heard(&client, "taken_back");
    told(r#"{"gone":"stream"}"#);
    client.say("done");
    let found = heard(&client, "late");
    assert_eq!(
        (&found["late"]["code"], &found["cancelled"]),
        (&"DEADLINE_EXCEEDED".into(), &true.into()),
        "{found}"
    );
    // They were streams, and the connection is none the worse.
    let line = proxy.log("connection", |_| true);
    assert_eq!(
        (&line["requests"], &line["outcome"]),
        (&4.into(), &"ok".into()),
        "{line}"
    );
}

#[test]
fn an_origin_that_cannot_be_had_is_a_grpc_error() {
    let proxy = Proxy::start();
    let untrusted = origins::untrusted_grpc();
    let found = client(&proxy, untrusted.port, "failing").run();
    assert_eq!(found["code"], "UNAVAILABLE", "{found}");
    // The client offers only h2, and has its answer in h2.
    assert!(found["details"].as_str().unwrap().contains("502"), "{found}");
    let line = proxy.log("connection", |line| line["alpn"] == "h2");
    assert_eq!(line["outcome"], "tls_certificate_error", "{line}");

    // Nobody listens: known before the client has its tunnel.
    let (listener, port) = crate::harness::recorder::tcp();
    drop(listener);
    let found = client(&proxy, port, "failing").run();
    assert_eq!(found["code"], "UNAVAILABLE", "{found}");
    assert!(found["seconds"].as_f64().unwrap() < 10.0, "{found}");
}

#[test]
fn rules_refuse_a_call_by_its_head_and_by_its_content() {
    let origin = origins::own_grpc();
    for (place, condition) in [
        ("head", r"regex = ['^POST /test\.Echo/Unary']"),
        ("body", "keywords = ['hello']"),
    ] {
        let proxy = Setup::new()
            .config(&format!(
                "[[inspect.rule]]\nname = 'no'\nmode = 'enforce'\naction = 'drop'\nin = ['{place}']\n{condition}\n"
            ))
            .start();
        let found = client(&proxy, origin.port, "failing").run();
        // gRPC's own mapping of a 403 that carries no status of its own.
        assert_eq!(found["code"], "PERMISSION_DENIED", "{place}: {found}");
    }
}
