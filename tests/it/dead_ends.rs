//! CONNECTs that fail, granted so that their clients are told why inside of them (`pages.for_connect`).

use crate::harness::clients::{Client, Curled, chromium, curl, firefox};
use crate::harness::dns::{DnsServer, Says};
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, connect, dial, header, tls_over, tunnel};
use crate::harness::recorder::Recorder;
use crate::harness::road::{Bridge, Version, over_both};
use crate::harness::{free_port, scratch, until};
use serde_json::Value;
use std::path::Path;

/// Denies `denied.test` by a rule, splices `spliced.test`, and tells why inside of CONNECTs.
fn telling(server: &DnsServer, more: &str) -> Proxy {
    Setup::new()
        .file("denied", ".denied.test\n")
        .file("spliced", "spliced.test\n")
        .config(&server.config())
        .config(
            "listen = { tls = ['127.0.0.1:0'] }\npages = { for_connect = true, contact = 'help desk' }\n\
             policy = { splice = ['spliced'], rule = [{ name = 'no-denied', title = 'Forbidden sites', hosts = ['denied'], action = 'deny' }] }\n\
             list = [{ name = 'denied', file = 'denied', format = 'domains' }, { name = 'spliced', file = 'spliced', format = 'domains' }]",
        )
        .config(more)
        .start()
}

fn ask(proxy: &Proxy, version: Version, arguments: &[&str]) -> Curled {
    let arguments = [&[version.curl()], arguments].concat();
    curl(Some(&proxy.url()), &proxy.ca, &arguments)
}

/// What is told of a failure over this version: a page for a person, a line for a program, the request's name in both lines of
/// the log.
fn told(proxy: &Proxy, version: Version, url: &str, status: u16, error: &str) {
    let person = ["-H", "Accept: text/html", "-H", "Accept-Language: ja", url];
    for arguments in [&person[..], &[url]] {
        let done = ask(proxy, version, arguments);
        assert_eq!((done.code, done.status), (0, status), "{url}: {done:?}");
        let proxy_status = header(&done.text, "proxy-status").unwrap();
        assert!(proxy_status.contains(&format!("error={error}")), "{proxy_status}");
        let is_page = arguments.len() > 1;
        assert_eq!(done.text.contains("<html lang=\"ja\">"), is_page, "{}", done.text);
        let request = proxy.log("request", |line| {
            (line["request_id"].as_str()).is_some_and(|id| done.text.contains(id))
        });
        assert_eq!(
            (&request["protocol"], &request["error"], &request["method"]),
            (&version.logged().into(), &error.into(), &"GET".into()),
            "{request}"
        );
        let line = proxy.log("connection", |line| line["request_id"] == request["request_id"]);
        assert_eq!(
            (&line["outcome"], &line["connection"], &line["requests"]),
            (&error.into(), &request["connection"], &1.into()),
            "{line}"
        );
    }
}

fn a_denied_connect_is_told_inside(version: Version) {
    let server = DnsServer::start();
    let proxy = telling(&server, "");
    told(
        &proxy,
        version,
        "https://www.denied.test/secret?query",
        403,
        "http_request_denied",
    );
    let line = proxy.log("connection", |line| line["outcome"] == "http_request_denied");
    assert_eq!(
        (&line["action"], &line["reason"], &line["rule"], &line["sni"]),
        (
            &"deny".into(),
            &"rule".into(),
            &"no-denied".into(),
            &"www.denied.test".into()
        ),
        "{line}"
    );
    let request = proxy.log("request", |_| true);
    assert_eq!(request["url"], "https://www.denied.test/secret", "{request}");
    assert_eq!(request["rule"], "no-denied", "{request}");
    // Nothing was resolved or dialled, and it was decided once for each connection.
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum("wsbump_dns_lookups_total", &[]), 0.0);
    assert_eq!(metrics.sum("wsbump_dial_seconds_count", &[]), 0.0);
    assert_eq!(metrics.sum("wsbump_decisions_total", &[("action", "deny")]), 2.0);
}

fn a_denied_name_in_the_client_hello_is_told_inside(version: Version) {
    let server = DnsServer::start();
    let proxy = telling(&server, "");
    let recorder = Recorder::start();
    let target = recorder.target();
    let to = format!("www.denied.test:443:{target}");
    let done = ask(
        &proxy,
        version,
        &["--connect-to", &to, "https://www.denied.test/"],
    );
    assert_eq!((done.code, done.status), (0, 403), "{done:?}");
    assert!(done.text.contains("www.denied.test:"), "{}", done.text);
    assert!(
        done.text.contains("not allowed here (rule \"Forbidden sites\")"),
        "{}",
        done.text
    );
    let line = proxy.log("connection", |line| line["action"] == "deny");
    assert_eq!(
        (&line["target"], &line["outcome"]),
        (&target.as_str().into(), &"http_request_denied".into()),
        "{line}"
    );
    assert!(done.text.contains(line["request_id"].as_str().unwrap()), "{line}");
}

fn what_cannot_be_reached_is_told_inside(version: Version) {
    let server = DnsServer::start();
    server.say("silent.test", Says::Silence);
    let proxy = telling(
        &server,
        "timeouts = { dns = '300ms' }\nnetwork = { deny = ['127.0.0.9'], dns = { timeout = '2s' }, hosts = { 'forbidden.test' = '127.0.0.9' } }",
    );
    let closed = free_port();
    for (url, status, error) in [
        ("https://nowhere.test/".to_owned(), 502, "dns_error"),
        ("https://silent.test/".to_owned(), 504, "dns_timeout"),
        (
            format!("https://origin.test:{closed}/"),
            502,
            "connection_refused",
        ),
        (
            "https://forbidden.test/".to_owned(),
            403,
            "destination_ip_prohibited",
        ),
        (format!("https://{}/", proxy.address), 502, "proxy_loop_detected"),
    ] {
        told(&proxy, version, &url, status, error);
    }
    // What has failed is tried anew: it may be there by now.
    let recorder = Recorder::listening(
        &format!("127.0.0.1:{closed}"),
        &crate::harness::certs::certs().origin,
        &[],
    );
    tls_over(tunnel(&proxy, &recorder.target()), &recorder.target(), &proxy.ca);
}

fn the_answer_ends_its_connection(version: Version) {
    let server = DnsServer::start();
    let proxy = telling(&server, "");
    let untrusted = origins::untrusted_node_ws().url("https", "/");
    for url in ["https://denied.test:443/a", &untrusted] {
        if version == Version::Http1 {
            let done = ask(&proxy, version, &[url, url]);
            assert_eq!(done.code, 0, "{done:?}");
            let tunnels = done.verbose.matches("CONNECT tunnel established").count();
            assert_eq!(tunnels, 2, "{}", done.verbose);
            assert_eq!(header(&done.text, "connection"), Some("close"), "{}", done.text);
            continue;
        }
        // A client that would keep it.
        let bridge = Bridge::of_client(&proxy, url, &[]);
        let mut client = Wire::new(dial(&format!("127.0.0.1:{}", bridge.port)));
        client.send("GET / HTTP/1.1\r\nHost: of.the.bridge\r\n\r\n");
        let answer = client.answer();
        assert!([403, 502].contains(&answer.status), "{}", answer.head);
        let host = url.split('/').nth(2).unwrap();
        let line = proxy.log("connection", |line| {
            line["target"].as_str().unwrap().starts_with(host) && line["alpn"] == "h2"
        });
        assert_eq!(line["requests"], 1, "{line}");
    }
}

over_both!(
    a_denied_connect_is_told_inside,
    a_denied_name_in_the_client_hello_is_told_inside,
    what_cannot_be_reached_is_told_inside,
    the_answer_ends_its_connection,
);

#[test]
fn python_is_told_over_both_versions_and_at_a_websockets_handshake() {
    let server = DnsServer::start();
    let proxy = telling(&server, "");
    let told = Client::new("client_told.py")
        .with("proxy", proxy.url())
        .with("ca", &proxy.ca)
        .with("url", "https://denied.test")
        .run();
    for (name, version) in [("http1", "HTTP/1.1"), ("http2", "HTTP/2")] {
        assert_eq!(told[name]["statuses"], serde_json::json!([403, 403]), "{told}");
        assert_eq!(told[name]["version"], version, "{told}");
        is_denial(&told[name]);
        let text = told[name]["text"].as_str().unwrap();
        assert!(text.contains("(rule \"Forbidden sites\")"), "{text}");
    }
    assert_eq!(told["urllib"]["status"], 403, "{told}");
    assert_eq!(told["websocket"]["status"], 403, "{told}");
    is_denial(&told["websocket"]);
}

/// Proxy-Status says that it is denied.
fn is_denial(told: &Value) {
    let status = told["proxy_status"].as_str().or(told["proxyStatus"].as_str());
    assert!(
        status.is_some_and(|status| status.contains("error=http_request_denied")),
        "{told}"
    );
}

#[test]
fn node_is_told_and_so_is_a_tunnel_on_a_stream_of_http2() {
    let server = DnsServer::start();
    let proxy = telling(&server, "");
    let told = Client::new("client_told.mjs")
        .with("proxy", proxy.url())
        .with("secure", proxy.secure_url())
        .with("ca", &proxy.ca)
        .with("url", "https://denied.test/")
        .run();
    for name in ["fetched", "websocket"] {
        assert_eq!(told[name]["status"], 403, "{told}");
        is_denial(&told[name]);
    }
    let stream = &told["stream"];
    assert_eq!(
        (&stream["connect"], &stream["status"]),
        (&200.into(), &403.into()),
        "{told}"
    );
    let line = proxy.log("connection", |line| line["inside"].is_u64());
    assert_eq!(line["outcome"], "http_request_denied", "{line}");
    let answer = stream["answer"].as_str().unwrap();
    assert!(
        answer.contains(line["request_id"].as_str().unwrap()),
        "{line} {answer}"
    );
}

/// Where pictures go, if somebody wants to look at them.
fn pictured(client: Client, picture: &str) -> Client {
    match std::env::var_os("WSBUMP_SCREENSHOTS") {
        Some(folder) => client.with("screenshot", Path::new(&folder).join(picture)),
        None => client,
    }
}

/// What a browser shows of a page that the proxy answers.
fn shown(proxy: &Proxy, found: &Value, status: u16, title: &str) {
    assert_eq!(found["status"], status, "{found}");
    let text = found["text"].as_str().unwrap();
    assert!(text.contains(title) && text.contains("help desk"), "{text}");
    let line = proxy.log("connection", |line| {
        (line["request_id"].as_str()).is_some_and(|id| text.contains(id))
    });
    assert_ne!(line["outcome"], "ok", "{line}");
}

#[test]
fn chromium_shows_why_by_either_kind_of_proxy() {
    let server = DnsServer::start();
    let proxy = telling(&server, "");
    for (by, url, status, title) in [
        (
            proxy.url(),
            "https://denied.test/",
            403,
            "このアクセスは許可されていません",
        ),
        (
            proxy.url(),
            "https://nowhere.test/",
            502,
            "このサイトにアクセスできません",
        ),
        // It asks for its tunnels on HTTP/2.
        (
            proxy.secure_url(),
            "https://denied.test/",
            403,
            "このアクセスは許可されていません",
        ),
    ] {
        let home = scratch();
        let client = chromium(home.path(), &proxy.ca)
            .with("proxy", &by)
            .with("mode", "page")
            .with("language", "ja")
            .with("url", url);
        shown(
            &proxy,
            &pictured(client, &format!("connect-{status}.png")).run(),
            status,
            title,
        );
    }
    let request = proxy.log("request", |line| line["url"] == "https://denied.test/");
    assert_eq!(
        (&request["status"], &request["protocol"]),
        (&403.into(), &"HTTP/2".into()),
        "{request}"
    );
}

#[test]
fn firefox_shows_why() {
    let server = DnsServer::start();
    let proxy = telling(&server, "");
    for (url, status, title) in [
        ("https://denied.test/", 403, "This is not allowed here"),
        ("https://nowhere.test/", 502, "This site cannot be reached"),
    ] {
        let home = scratch();
        let client = firefox(home.path(), &proxy.ca)
            .with("proxy", proxy.url())
            .with("mode", "page")
            .with("url", url);
        shown(
            &proxy,
            &pictured(client, &format!("firefox-{status}.png")).run(),
            status,
            title,
        );
    }
}

#[test]
fn what_is_spliced_is_never_decrypted_to_be_told_something() {
    let server = DnsServer::start();
    let proxy = telling(&server, "");
    let (_, answer) = connect(&proxy, "spliced.test:443");
    assert_eq!(answer.status, 502, "{}", answer.head);
    assert!(answer.header("proxy-status").unwrap().contains("error=dns_error"));
    // By its ClientHello alone: the tunnel is there already, and ends.
    let done = ask(
        &proxy,
        Version::Http1,
        &[
            "--connect-to",
            "spliced.test:443:nowhere.test:443",
            "https://spliced.test/",
        ],
    );
    assert_eq!(done.code, 35, "{done:?}");
    let line = proxy.log("connection", |line| line["sni"] == "spliced.test");
    assert_eq!(
        (&line["outcome"], &line["target"], &line["request_id"]),
        (&"dns_error".into(), &"nowhere.test:443".into(), &Value::Null),
        "{line}"
    );
    let leaves = proxy.metrics().sum("wsbump_leaf_mints_total", &[]);
    assert_eq!(leaves, 0.0);
}

#[test]
fn http_without_tls_is_answered_and_anything_else_closed() {
    let server = DnsServer::start();
    let proxy = telling(&server, "");
    let mut client = tunnel(&proxy, "denied.test:80");
    client.ask_websocket("denied.test", "/chat", "");
    let answer = client.answer();
    assert_eq!(answer.status, 403, "{}", answer.head);
    assert!(
        answer
            .header("proxy-status")
            .unwrap()
            .contains("error=http_request_denied")
    );
    assert!(client.rest().is_empty());
    let request = proxy.log("request", |_| true);
    assert_eq!(request["url"], "http://denied.test/chat", "{request}");

    let mut client = tunnel(&proxy, "denied.test:22");
    client.send("\x00\x01\x02 of no known protocol\r\n");
    assert!(client.rest().is_empty());
    let line = proxy.log("connection", |line| line["target"] == "denied.test:22");
    assert_eq!(
        (&line["outcome"], &line["request_id"], &line["requests"]),
        (&"http_request_denied".into(), &Value::Null, &0.into()),
        "{line}"
    );
}

#[test]
fn a_client_that_does_not_trust_the_ca_is_named_and_the_ending_stays() {
    let server = DnsServer::start();
    let proxy = telling(&server, "");
    let roots = Path::new("/etc/ssl/certs/ca-certificates.crt");
    let done = curl(Some(&proxy.url()), roots, &["https://denied.test/"]);
    assert_eq!(done.code, 60, "{done:?}");
    let refused = proxy.log("client_refused_ca", |_| true);
    assert_eq!(refused["server_name"], "denied.test", "{refused}");
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["outcome"], "http_request_denied", "{line}");
    assert!(
        line["detail"].as_str().unwrap().contains("nobody read that: "),
        "{line}"
    );
}

#[test]
fn a_setting_says_it_for_some_and_off_is_the_default() {
    let server = DnsServer::start();
    let setting = "policy.setting = [{ hosts = ['denied'], pages_for_connect = false }]";
    let proxy = telling(&server, setting);
    let (_, answer) = connect(&proxy, "denied.test:443");
    assert_eq!(answer.status, 403, "{}", answer.head);
    tunnel(&proxy, "nowhere.test:443");

    let proxy = telling(&server, "pages = { for_connect = false }");
    let (_, answer) = connect(&proxy, "denied.test:443");
    assert_eq!(answer.status, 403, "{}", answer.head);
    // The line of the connection has the request's name then too.
    let line = proxy.log("connection", |_| true);
    let text = String::from_utf8(answer.body).unwrap();
    assert!(
        text.contains(line["request_id"].as_str().unwrap()),
        "{line} {text}"
    );
}

#[test]
fn a_client_at_its_limit_is_told_in_the_answer_to_its_connect() {
    let server = DnsServer::start();
    let proxy = telling(
        &server,
        "limits = { client = { handshakes_per_second = 1, handshake_burst = 1, except = [] } }",
    );
    tunnel(&proxy, "denied.test:443");
    // Its TLS would cost as much as any other.
    let (_, answer) = connect(&proxy, "denied.test:443");
    assert_eq!(answer.status, 403, "{}", answer.head);
    until("both are in the log", || {
        (proxy.log_so_far("connection").len() == 2).then_some(())
    });
}
