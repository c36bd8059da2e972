//! The policy's table, as clients meet it.

use crate::harness::certs::certs;
use crate::harness::clients::curl;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{
    Wire, client_config, connect, dial, frame, header, start_tls_with, tls_over, tunnel,
};
use crate::harness::recorder::{Recorder, accept, tcp};
use crate::harness::road::{Road, Version, over_both};
use serde_json::Value;
use std::process::Command;

const LISTS: &str = "list = [{ name = 'good', file = 'good', format = 'domains' }]\n";

fn explained(proxy: &Proxy, arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsbump"));
    command.arg("explain").arg("--json").arg("--config");
    command.arg(proxy.folder().join("wsbump.toml"));
    command.arg("--data-dir").arg(proxy.folder().join("data"));
    command.args(arguments);
    let done = Process::start("wsbump explain", command).finish();
    assert!(done.status.success(), "{:?}", done.err);
    serde_json::from_str(&done.out.join("\n")).unwrap()
}

#[test]
fn an_allowlist_lets_nothing_else_be_resolved() {
    let recorder = Recorder::start();
    let proxy = Setup::new()
        .file("good", "origin.test\n")
        .config(&format!(
            "{LISTS}[policy]\ndefault = 'deny'\n[[policy.rule]]\nname = 'allowed'\nhosts = ['good']\naction = 'allow'"
        ))
        .start();
    let rule = [("rule", "allowed"), ("mode", "enforce")];
    proxy.metric("wsbump_policy_rule_verdicts_total", &rule, 0.0);
    let (_, answer) = connect(&proxy, "nowhere.other.test:443");
    assert_eq!(answer.status, 403, "{}", answer.head);
    let line = proxy.log("connection", |line| line["action"] == "deny");
    assert_eq!(
        (&line["reason"], &line["rule"]),
        (&"default".into(), &Value::Null),
        "{line}"
    );

    let mut client = tls_over(tunnel(&proxy, &recorder.target()), &recorder.target(), &proxy.ca);
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
    drop((client, origin));
    let line = proxy.log("connection", |line| line["action"] == "bump");
    assert_eq!(
        (&line["reason"], &line["rule"]),
        (&"rule".into(), &"allowed".into()),
        "{line}"
    );
    proxy.metric("wsbump_policy_rule_verdicts_total", &rule, 1.0);

    let said = explained(&proxy, &["nowhere.other.test:443"]);
    assert_eq!(
        (&said["action"], &said["rule"]),
        (&"deny".into(), &Value::Null),
        "{said}"
    );
    let said = explained(&proxy, &[&recorder.target()]);
    assert_eq!(
        (&said["action"], &said["rule"]),
        (&"bump".into(), &"allowed".into()),
        "{said}"
    );
}

#[test]
fn a_request_is_held_to_the_table_inside_its_tunnel() {
    let recorder = Recorder::start();
    let proxy = Setup::new()
        .file("good", "origin.test\n")
        .config(&format!(
            "{LISTS}\
             [[policy.rule]]\nname = 'no-admin'\nhosts = ['good']\npath = '^/admin'\naction = 'deny'\n\
             [[policy.rule]]\nname = 'bots'\nheaders = [{{ name = 'User-Agent', matches = 'bot' }}]\naction = 'deny'\nmode = 'observe'\n\
             [[policy.setting]]\nhosts = ['good']\nset_headers = {{ 'X-Tenant' = 'ours' }}\nremove_headers = ['X-Secret']"
        ))
        .start();
    let target = recorder.target();
    let mut client = tls_over(tunnel(&proxy, &target), &target, &proxy.ca);
    // However its path is written, and on a connection that goes on.
    client.send(format!("GET /x/../%61dmin HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    let answer = client.answer();
    assert_eq!(answer.status, 403, "{}", answer.head);
    let line = proxy.log("request", |line| line["status"] == 403);
    assert_eq!(line["rule"], "no-admin", "{line}");
    client.send(format!(
        "GET /open HTTP/1.1\r\nHost: {target}\r\nUser-Agent: a bot\r\nX-Tenant: theirs\r\nX-Secret: s\r\n\r\n"
    ));
    let mut origin = recorder.accept();
    let head = origin.head().unwrap();
    assert_eq!(header(&head, "x-tenant"), Some("ours"), "{head}");
    assert_eq!(header(&head, "x-secret"), None, "{head}");
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
    drop((client, origin));
    let line = proxy.log("request", |line| line["status"] == 204);
    assert_eq!(
        line["rule"],
        Value::Null,
        "a rule that is observed has not decided: {line}"
    );
    let line = proxy.log("policy_observed", |_| true);
    assert_eq!(
        (&line["rule"], &line["action"]),
        (&"bots".into(), &"deny".into()),
        "{line}"
    );
    let observed = [("rule", "bots"), ("mode", "observe")];
    proxy.metric("wsbump_policy_rule_verdicts_total", &observed, 1.0);
    let denied = [("rule", "no-admin"), ("mode", "enforce")];
    proxy.metric("wsbump_policy_rule_verdicts_total", &denied, 1.0);

    let url = format!("https://{target}/admin/x");
    let said = explained(&proxy, &[&url]);
    assert_eq!(
        (&said["action"], &said["rule"]),
        (&"deny".into(), &"no-admin".into()),
        "{said}"
    );
}

#[test]
fn a_request_that_names_its_server_is_judged_before_it_is_dialled() {
    let proxy = Setup::new()
        .file("good", "origin.test\n")
        .config(&format!(
            "{LISTS}[[policy.rule]]\nname = 'read-only'\nmethods = ['POST']\naction = 'deny'"
        ))
        .start();
    let mut client = Wire::new(dial(&proxy.address));
    client.send("POST http://nowhere.test/a HTTP/1.1\r\nHost: nowhere.test\r\nContent-Length: 0\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.status, 403, "{}", answer.head);
    // The connection goes on; what is allowed finds that nobody is there.
    client.send("GET http://nowhere.test/a HTTP/1.1\r\nHost: nowhere.test\r\n\r\n");
    assert_eq!(client.answer().status, 502);
    let line = proxy.log("request", |line| line["method"] == "POST");
    assert_eq!(line["error"], "http_request_denied", "{line}");
}

/// Where only some requests are allowed, what is no request is not, whatever is done with such bytes elsewhere.
#[test]
fn where_requests_alone_are_allowed_nothing_else_passes() {
    let recorder = Recorder::start();
    let (listener, port) = tcp();
    let proxy = Setup::new()
        .file("good", "origin.test\n")
        .config(&format!(
            "{LISTS}[policy]\ndefault = 'deny'\nunknown_protocol = 'tunnel'\n\
             [[policy.rule]]\nname = 'some'\nhosts = ['good']\npath = '^/open'\naction = 'allow'"
        ))
        .start();
    let bytes = b"\x00\x01 nothing that anyone knows \xff\xfe";
    let mut client = tunnel(&proxy, &format!("origin.test:{port}"));
    client.send(bytes);
    assert_eq!(client.rest(), b"");
    assert_eq!(
        accept(&listener).rest(),
        b"",
        "the origin was given what nobody allowed"
    );

    // Without an agreement by ALPN on what is spoken.
    let mut config = rustls::ClientConfig::clone(&client_config(&proxy.ca));
    config.alpn_protocols.clear();
    let target = recorder.target();
    let mut client = start_tls_with(tunnel(&proxy, &target), &target, config.into());
    client.send(bytes);
    assert_eq!(client.rest(), b"");
    assert_eq!(
        recorder.accept().rest(),
        b"",
        "the origin was given what nobody allowed"
    );
    for port in [port, recorder.port] {
        let target = format!("origin.test:{port}");
        let line = proxy.log("connection", |line| line["target"] == target);
        assert_eq!(
            (&line["action"], &line["reason"]),
            (&"deny".into(), &"default".into()),
            "{line}"
        );
    }

    let mut client = tls_over(tunnel(&proxy, &recorder.target()), &recorder.target(), &proxy.ca);
    client.send(format!(
        "GET /open HTTP/1.1\r\nHost: {}\r\n\r\n",
        recorder.target()
    ));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
}

#[test]
fn a_setting_shows_an_origin_who_asks() {
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "127.0.0.1:0", "-www"]);
    command.args(["-Verify", "1", "-verify_return_error", "-CAfile"]);
    command.arg(&certs().root);
    command.arg("-cert").arg(&certs().origin.cert);
    command.arg("-key").arg(&certs().origin.key);
    let origin = Process::start("openssl", command);
    let port: u16 = origin.out("its port", |line| {
        line.strip_prefix("ACCEPT 127.0.0.1:")?.parse().ok()
    });
    let client = &certs().client;
    let proxy = Setup::new()
        .file("good", "origin.test\n")
        .config(&format!(
            "{LISTS}[[policy.setting]]\nhosts = ['good']\nclient_cert = '{}'\nclient_key = '{}'",
            client.cert.display(),
            client.key.display()
        ))
        .start();
    // In a tunnel, and where the proxy makes the TLS in the client's place.
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &["--http1.1", &format!("https://origin.test:{port}/")],
    );
    assert_eq!(done.status, 200, "{done:?}");
    let mut client = Wire::new(dial(&proxy.address));
    client.send(format!(
        "GET https://origin.test:{port}/ HTTP/1.1\r\nHost: origin.test:{port}\r\n\r\n"
    ));
    assert_eq!(client.answer().status, 200);
    // A name that the setting does not speak of gets none.
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &["--http1.1", &format!("https://localhost:{port}/")],
    );
    assert_eq!(done.status, 502, "{done:?}");
}

/// The same table holds whatever carries the requests.
fn requests_of_either_version_are_held_to_it(version: Version) {
    let proxy = Setup::new()
        .file("good", "origin.test\n")
        .config(&format!(
            "{LISTS}[[policy.rule]]\nname = 'no-secret'\ntitle = 'Secret things'\nhosts = ['good']\npath = '^/echo[?]secret'\naction = 'deny'"
        ))
        .start();
    let ask = |path: &str| {
        let url = version.echo().url("https", path);
        curl(Some(&proxy.url()), &proxy.ca, &[version.curl(), &url])
    };
    let open = ask("/echo?open");
    // The origin's own answer, whatever it is.
    assert!(
        open.status != 403 && !open.text.to_lowercase().contains("proxy-status"),
        "{open:?}"
    );
    let denied = ask("/echo?secret");
    assert_eq!(denied.status, 403, "{denied:?}");
    assert!(denied.text.starts_with(version.logged()), "{denied:?}");
    assert!(denied.text.contains("Secret things"), "{denied:?}");
    // The answer to HEAD has no content, which some clients hold against the proxy.
    let url = version.echo().url("https", "/echo?secret");
    let head = curl(Some(&proxy.url()), &proxy.ca, &[version.curl(), "--head", &url]);
    assert_eq!((head.code, head.status), (0, 403), "{head:?}");
    let line = proxy.log("request", |line| line["status"] == 403);
    assert_eq!(
        (&line["error"], &line["protocol"]),
        (&"http_request_denied".into(), &version.logged().into()),
        "{line}"
    );
    let rule = [("rule", "no-secret"), ("mode", "enforce")];
    proxy.metric("wsbump_policy_rule_verdicts_total", &rule, 2.0);
}

/// A WebSocket's client sees no page: the reason is in a header, with what people call the rule.
fn a_denied_websocket_is_told_by_which_rule(version: Version) {
    let proxy = Setup::new()
        .file("good", "origin.test\n")
        .config(&format!(
            "{LISTS}[[policy.rule]]\nname = 'no-sockets'\ntitle = 'Live chat'\nhosts = ['good']\nupgrade = ['websocket']\n\
             path = '^/chat'\naction = 'deny'"
        ))
        .start();
    let road = Road::start(version);
    let mut client = road.client(&proxy);
    client.ask_websocket(&road.target(), "/chat?room=1", "");
    let answer = client.answer();
    assert_eq!(answer.status, 403, "{}", answer.head);
    let status = answer.header("proxy-status").unwrap();
    for part in ["wsbump; error=http_request_denied", "Live chat"] {
        assert!(status.contains(part), "{status}");
    }
    let line = proxy.log("request", |line| line["status"] == 403);
    assert_eq!(
        (&line["rule"], &line["protocol"]),
        (&"no-sockets".into(), &version.logged().into()),
        "{line}"
    );
    if version == Version::Http1 {
        drop((client, road.accept()));
    }
    // Another path's is open.
    let (mut client, mut origin) = road.websocket(&proxy);
    let text = frame(0x81, Some([1, 2, 3, 4]), b"live");
    client.send(&text);
    assert_eq!(origin.exactly(text.len()), text);
    let rule = [("rule", "no-sockets"), ("mode", "enforce")];
    proxy.metric("wsbump_policy_rule_verdicts_total", &rule, 1.0);
}

over_both!(
    requests_of_either_version_are_held_to_it,
    a_denied_websocket_is_told_by_which_rule
);
