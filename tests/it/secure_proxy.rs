//! The proxy reached by TLS: HTTP/1.1 inside, and HTTP/2 whose streams are tunnels.

use crate::harness::certs::certs;
use crate::harness::clients::{Client, Curled, chromium, curl, firefox};
use crate::harness::origins;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, client_config, dial};
use crate::harness::recorder::{accept, tcp};
use crate::harness::{free_port, scratch, until};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::Value;
use std::net::TcpStream;
use std::time::Duration;

fn setup() -> Setup {
    Setup::new().config("listen = { tls = ['127.0.0.1:0'] }")
}

/// curl by way of the TLS listener, which it has to trust too.
fn through(proxy: &Proxy, arguments: &[&str]) -> Curled {
    let ca = proxy.ca.to_str().unwrap();
    let arguments = [&["--proxy-cacert", ca], arguments].concat();
    curl(Some(&proxy.secure_url()), &proxy.ca, &arguments)
}

/// A client whose tunnels are streams of HTTP/2.
pub(crate) fn streams(proxy: &Proxy, mode: &str) -> Client {
    Client::new("client_streams.mjs")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.secure_url())
        .with("mode", mode)
}

#[test]
fn curl_asks_for_tunnels_and_for_plain_http_inside_tls() {
    let proxy = setup().start();
    let done = through(&proxy, &[&origins::aiohttp().url("https", "/status/202")]);
    assert_eq!((done.code, done.status), (0, 202), "{done:?}");
    let line = proxy.log("connection", |line| line["action"] == "bump");
    assert_eq!(
        (&line["proxy_tls"], &line["alpn"]),
        (&Value::from("TLSv1.3"), &Value::from("http/1.1")),
        "{line}"
    );
    let done = through(&proxy, &[&origins::plain_aiohttp().url("http", "/status/203")]);
    assert_eq!((done.code, done.status), (0, 203), "{done:?}");
    let line = proxy.log("connection", |line| line["action"] == "serve");
    assert_eq!(line["reason"], "plain_http", "{line}");
    proxy.metric(
        "wsbump_listener_tls_handshake_seconds_count",
        &[("outcome", "full")],
        2.0,
    );
    // These were not the forged ones.
    proxy.metric("wsbump_tls_handshake_seconds_count", &[("side", "client")], 1.0);
    // The plain listener is there as before.
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[&origins::aiohttp().url("https", "/status/202")],
    );
    assert_eq!(done.status, 202, "{done:?}");
}

/// The names of the certificate that the proxy shows to a client that calls it `name`, or by its address.
fn own_names(proxy: &Proxy, name: &str) -> String {
    let config = client_config(&proxy.ca);
    let socket = dial(proxy.secure.as_ref().unwrap());
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut tls = StreamOwned::new(ClientConnection::new(config, name).unwrap(), socket);
    tls.conn.complete_io(&mut tls.sock).unwrap();
    let leaf = tls.conn.peer_certificates().unwrap()[0].clone();
    let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    format!("{:?}", names.value.general_names)
}

#[test]
fn the_ca_vouches_for_whatever_name_the_proxy_is_called_by() {
    let proxy = setup().start();
    assert!(own_names(&proxy, "proxy.office.example").contains("proxy.office.example"));
    // Without an SNI it is the address; the client itself has verified that.
    assert!(own_names(&proxy, "127.0.0.1").contains("[127, 0, 0, 1]"));
}

#[test]
fn a_certificate_of_the_operators_is_shown_and_renewed() {
    let pem = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let (first, second) = (&certs().origin, &certs().untrusted);
    let proxy = Setup::new()
        .file("proxy.pem", &pem(&first.cert))
        .file("proxy.key", &pem(&first.key))
        .config("listen = { tls = ['127.0.0.1:0'], cert = 'proxy.pem', key = 'proxy.key' }")
        .start();
    let shown = || {
        let config = client_config(&certs().root);
        let socket = dial(proxy.secure.as_ref().unwrap());
        let name = ServerName::try_from("origin.test").unwrap();
        let mut tls = StreamOwned::new(ClientConnection::new(config, name).unwrap(), socket);
        tls.conn.complete_io(&mut tls.sock).map(|_| ())
    };
    shown().unwrap();
    // One that does not belong to the key changes nothing.
    proxy.replace("proxy.pem", &pem(&second.cert));
    proxy.metric("wsbump_config_reloads_total", &[("result", "failure")], 1.0);
    shown().unwrap();
    proxy.replace("proxy.key", &pem(&second.key));
    proxy.metric("wsbump_config_reloads_total", &[("result", "success")], 1.0);
    until("the new certificate, which nobody trusts", || {
        shown()
            .unwrap_err()
            .to_string()
            .contains("UnknownIssuer")
            .then_some(())
    });
    proxy.metric(
        "wsbump_listener_tls_handshake_seconds_count",
        &[("outcome", "client_refused_ca")],
        1.0,
    );
    let line = proxy.log("connection", |line| line["outcome"] == "listener_tls_failed");
    let detail = line["detail"].as_str().unwrap();
    assert!(detail.contains("refused the proxy's own certificate"), "{line}");
    // Nobody refused a forged one.
    assert!(proxy.log_so_far("client_refused_ca").is_empty());
}

#[test]
fn a_client_that_does_not_speak_tls_is_told_and_one_that_says_nothing_is_let_go() {
    let proxy = setup().config("timeouts = { handshake = '300ms' }").start();
    for request in [
        "CONNECT origin.test:1 HTTP/1.1\r\n\r\n",
        "GET http://origin.test/ HTTP/1.1\r\n\r\n",
    ] {
        let mut wire = Wire::new(dial(proxy.secure.as_ref().unwrap()));
        wire.send(request);
        let answer = wire.answer();
        assert_eq!(answer.status, 400);
        let text = String::from_utf8(answer.body).unwrap();
        assert!(text.contains("this proxy port speaks TLS"), "{text}");
    }
    let mut silent = Wire::new(dial(proxy.secure.as_ref().unwrap()));
    let mut half = Wire::new(dial(proxy.secure.as_ref().unwrap()));
    half.send(b"\x16\x03\x01\x02\x00\x01");
    for wire in [&mut silent, &mut half] {
        wire.rest();
    }
    proxy.metric(
        "wsbump_listener_tls_handshake_seconds_count",
        &[("outcome", "timeout")],
        2.0,
    );
    let mut broken = Wire::new(dial(proxy.secure.as_ref().unwrap()));
    broken.send(b"\x16\x03\x01\x00\x05\x63\x00\x00\x01\x00");
    let alert = broken.rest();
    assert_eq!(alert.first(), Some(&0x15), "an alert: {alert:?}");
    proxy.metric(
        "wsbump_listener_tls_handshake_seconds_count",
        &[("outcome", "failed")],
        1.0,
    );
}

#[test]
fn websocket_clients_reach_it_by_tls_and_so_does_tls_inside_tls() {
    let proxy = setup().start();
    let found = Client::new("client_ws.mjs")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.secure_url())
        .with("url", origins::node_ws().url("wss", "/echo"))
        .run();
    assert_eq!(
        (&found["messages"], &found["code"]),
        (&15.into(), &4003.into()),
        "{found}"
    );
    let line = proxy.log("websocket", |_| true);
    assert_eq!(line["outcome"], "closed", "{line}");
    let found = Client::new("client_aiohttp.py")
        .with("ca", &proxy.ca)
        .with("proxy", proxy.secure_url())
        .with("url", origins::aiohttp().url("https", ""))
        .run();
    assert_eq!(found["framing"], "chunked", "{found}");
}

#[test]
fn a_spliced_tunnel_is_left_alone_inside_tls() {
    let origin = origins::nginx();
    let proxy = setup()
        .file("spliced", "origin.test\n")
        .config("list = [{ name = 'spliced', file = 'spliced', format = 'domains' }]\npolicy = { splice = ['spliced'] }")
        .start();
    let ca = proxy.ca.to_str().unwrap();
    let root = &certs().root;
    let folder = scratch();
    let file = folder.path().join("1m");
    let arguments = ["--proxy-cacert", ca, "--no-include", "-o", file.to_str().unwrap()];
    let url = origin.url("https", "/1m");
    let done = curl(
        Some(&proxy.secure_url()),
        root,
        &[&arguments[..], &[&url]].concat(),
    );
    assert_eq!((done.code, done.status), (0, 200), "{done:?}");
    assert!(std::fs::read(file).unwrap() == origins::megabyte());
    let line = proxy.log("connection", |line| line["action"] == "splice");
    assert_eq!(line["sni"], "origin.test", "{line}");
    assert!(line["bytes_to_client"].as_u64().unwrap() > 1 << 20, "{line}");
}

#[test]
fn a_dead_origin_is_an_honest_answer_by_http_1_too() {
    let proxy = setup().start();
    let url = format!("https://origin.test:{}/", free_port());
    let done = through(&proxy, &[&url]);
    assert_eq!(done.code, 56, "{done:?}");
    assert!(done.verbose.contains("502 Bad Gateway"), "{}", done.verbose);
    assert!(
        done.verbose.contains("error=connection_refused"),
        "{}",
        done.verbose
    );
}

#[test]
fn tunnels_of_one_connection_do_not_hinder_each_other() {
    const MUCH: usize = 3 << 20;
    let proxy = setup().config("policy = { unknown_protocol = 'tunnel' }").start();
    let (pours, pouring) = tcp();
    let (keeps, keeping) = tcp();
    // One origin sends and sends, and its client reads nothing; the other reads nothing, and its client sends.
    let (poured, kept) = std::thread::scope(|scope| {
        let poured = scope.spawn(|| {
            let mut origin = accept(&pours);
            origin.send(vec![5; MUCH]);
            origin.half_close();
            origin
        });
        let kept = scope.spawn(|| accept(&keeps));
        let found = streams(&proxy, "many")
            .with("target", format!("origin.test:{pouring}"))
            .with("other", format!("origin.test:{keeping}"))
            .with("page", origins::nginx().url("https", "/1m"))
            .with("url", origins::websockets().url("wss", "/echo"))
            .run();
        assert_eq!(found["got"], MUCH, "{found}");
        assert_eq!(
            (&found["messages"], &found["code"]),
            (&5.into(), &4001.into()),
            "{found}"
        );
        let pages = found["pages"].as_array().unwrap();
        assert_eq!(pages.len(), 8);
        for page in pages {
            assert_eq!(
                (&page["status"], &page["length"]),
                (&200.into(), &(1 << 20).into()),
                "{found}"
            );
        }
        (poured.join().unwrap(), kept.join().unwrap())
    });
    drop((poured, kept));
    // One connection, and each of its tunnels by itself.
    let outer = proxy.log("connection", |line| {
        line["requests"] == 11 && line["alpn"] == "h2"
    });
    assert_eq!(
        (&outer["outcome"], &outer["proxy_tls"]),
        (&"ok".into(), &"TLSv1.3".into()),
        "{outer}"
    );
    until("a line for each tunnel", || {
        let lines = proxy.log_so_far("connection");
        let inside = lines.iter().filter(|line| line["inside"] == outer["connection"]);
        (inside.count() == 11).then_some(())
    });
    let websocket = proxy.log("websocket", |_| true);
    assert_eq!(websocket["close_code"], 4001, "{websocket}");
    proxy.metric("wsbump_connections_accepted_total", &[], 12.0);
    proxy.metric("wsbump_connections_open", &[], 0.0);
}

#[test]
fn an_origin_that_is_not_there_or_not_allowed_is_an_honest_answer() {
    let proxy = setup().config("network = { deny = ['127.0.0.9'] }").start();
    let port = free_port();
    for (target, status, words) in [
        (format!("origin.test:{port}"), 502, "error=connection_refused"),
        (
            format!("127.0.0.9:{port}"),
            403,
            "error=destination_ip_prohibited",
        ),
        (proxy.secure.clone().unwrap(), 502, "error=proxy_loop_detected"),
    ] {
        let found = streams(&proxy, "refused").with("target", &target).run();
        assert_eq!(found["status"], status, "{found}");
        assert!(found["proxyStatus"].as_str().unwrap().contains(words), "{found}");
        let line = proxy.log("connection", |line| line["target"] == *target);
        let text = found["text"].as_str().unwrap();
        assert!(text.contains(line["detail"].as_str().unwrap()), "{text} {line}");
    }
}

#[test]
fn a_reset_ends_its_tunnel_and_no_other() {
    let proxy = setup().config("policy = { unknown_protocol = 'tunnel' }").start();
    let (listener, port) = tcp();
    let client = streams(&proxy, "reset")
        .with("target", format!("origin.test:{port}"))
        .with("url", origins::aiohttp().url("https", "/status/204"))
        .start();
    let mut origin = accept(&listener);
    assert_eq!(origin.exactly(5), b"hello");
    origin.send("world");
    assert!(origin.rest().is_empty(), "and that was the end");
    drop(origin);
    let found = client.finish();
    assert!(found.status.success(), "{:?}", found.err);
    let found: Value = serde_json::from_str(found.out.last().unwrap()).unwrap();
    assert_eq!(
        (&found["answer"], &found["next"]),
        (&"world".into(), &204.into()),
        "{found}"
    );
    let line = proxy.log("connection", |line| line["action"] == "tunnel");
    assert_eq!(
        (&line["outcome"], &line["bytes_to_client"]),
        (&"ok".into(), &5.into()),
        "{line}"
    );
}

#[test]
fn a_client_that_takes_back_too_much_is_calmed() {
    let proxy = setup().start();
    let (listener, port) = tcp();
    let client = streams(&proxy, "resets")
        .with("target", format!("origin.test:{port}"))
        .start();
    // It never answers, and its connections end with the requests.
    std::thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(hold));
    let done = client.finish();
    assert!(done.status.success(), "{:?}", done.err);
    let found: Value = serde_json::from_str(done.out.last().unwrap()).unwrap();
    assert_eq!(found["code"], 11, "ENHANCE_YOUR_CALM: {found}");
    assert!(found["asked"].as_u64().unwrap() < 5_000, "{found}");
    proxy.metric("wsbump_http2_floods_total", &[("kind", "resets")], 1.0);
    let line = proxy.log("connection", |line| line["outcome"] == "http_request_error");
    assert!(line["detail"].as_str().unwrap().contains("takes back"), "{line}");
}

/// Reads until the other end closes.
fn hold(mut socket: TcpStream) {
    std::thread::spawn(move || std::io::copy(&mut socket, &mut std::io::sink()));
}

#[test]
fn a_tunnel_is_closed_by_halves_and_broken_off_as_a_whole() {
    let proxy = setup().config("policy = { unknown_protocol = 'tunnel' }").start();
    let (listener, port) = tcp();
    let target = format!("origin.test:{port}");
    let client = streams(&proxy, "half").with("target", &target).start();
    let mut origin = accept(&listener);
    assert_eq!(origin.rest(), b"question");
    origin.send("answer");
    drop(origin);
    let found = client.finish();
    assert!(
        found
            .out
            .last()
            .unwrap()
            .contains(r#""answer":"answer","code":0"#),
        "{:?}",
        found.out
    );
    proxy.log("connection", |line| {
        line["outcome"] == "ok" && line["bytes_to_client"] == 6
    });

    let client = streams(&proxy, "broken").with("target", &target).start();
    let mut origin = accept(&listener);
    assert_eq!(origin.exactly(5), b"hello");
    origin.send("last words");
    client.out("reading", |line| line.contains("last words").then_some(()));
    // A close with a reset.
    let socket = socket2::SockRef::from(&origin.stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    drop(origin);
    let found = client.finish();
    let connect_error = r#""code":10"#;
    assert!(
        found.out.last().unwrap().contains(connect_error),
        "{:?}",
        found.out
    );
    proxy.log("connection", |line| line["outcome"] == "origin_io");
}

#[test]
fn tunnels_count_as_connections_and_one_without_a_place_is_told() {
    let proxy = setup()
        .config("limits = { connections = 3 }\npolicy = { unknown_protocol = 'tunnel' }")
        .start();
    let (_listener, port) = tcp();
    let found = streams(&proxy, "limit")
        .with("target", format!("origin.test:{port}"))
        .run();
    let answers = found["answers"].as_array().unwrap();
    let statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer["status"].as_u64().unwrap())
        .collect();
    assert_eq!(
        statuses,
        [200, 200, 503, 503],
        "one place is the connection's own"
    );
    let status = answers[2]["proxyStatus"].as_str().unwrap();
    assert!(status.contains("error=connection_limit_reached"), "{status}");
    proxy.log("connection", |line| line["outcome"] == "connection_limit_reached");
    // All places are free again.
    proxy.metric("wsbump_connections_open", &[], 0.0);
    let done = through(&proxy, &[&origins::aiohttp().url("https", "/status/202")]);
    assert_eq!(done.status, 202, "{done:?}");
}

#[test]
fn a_drain_says_goaway_and_ends_what_is_inside() {
    let proxy = setup().config("timeouts = { drain = '50s' }").start();
    let client = streams(&proxy, "drain")
        .with("url", origins::websockets().url("wss", "/echo"))
        .start();
    client.out("open", |line| line.contains(r#""open":true"#).then_some(()));
    let ended = proxy.terminate();
    assert!(ended.status.success(), "{:?}", ended.err);
    assert!(
        ended
            .err
            .iter()
            .any(|line| line.contains("every connection has ended")),
        "{:?}",
        ended.err
    );
    let found = client.finish();
    assert!(found.status.success(), "{:?}", found.err);
    let last = found.out.last().unwrap();
    assert!(last.contains(r#""code":1001,"reason":0"#), "{last}");
}

#[test]
fn a_connection_without_tunnels_is_closed_after_a_while() {
    let proxy = setup().config("timeouts = { http_idle = '400ms' }").start();
    let found = streams(&proxy, "idle").run();
    assert_eq!(found["reason"], 0, "{found}");
    let line = proxy.log("connection", |line| line["alpn"] == "h2");
    assert_eq!(
        (&line["outcome"], &line["requests"]),
        (&"ok".into(), &0.into()),
        "{line}"
    );
}

#[test]
fn chromium_keeps_a_websocket_through_a_secure_web_proxy() {
    let proxy = setup().start();
    let home = scratch();
    let origin = origins::node_ws();
    let found = chromium(home.path(), &proxy.ca)
        .with("proxy", proxy.secure_url())
        .with("url", origin.url("https", "/"))
        .run();
    assert_eq!(found["status"], 200, "{found}");
    assert_eq!(found["wasClean"], true, "{found}");
    assert_eq!(found["code"], 4002, "{found}");
    let websocket = proxy.log("websocket", |_| true);
    assert_eq!(websocket["outcome"], "closed", "{websocket}");
    let line = proxy.log("connection", |line| line["connection"] == websocket["connection"]);
    assert_eq!(
        (&line["action"], &line["proxy_tls"]),
        (&"bump".into(), &"TLSv1.3".into()),
        "{line}"
    );
    // By HTTP/2: the tunnel is inside another connection.
    let outer = proxy.log("connection", |outer| outer["connection"] == line["inside"]);
    assert_eq!(outer["alpn"], "h2", "{outer}");
}

#[test]
fn chromium_has_websockets_on_streams_inside_of_a_stream() {
    let proxy = setup().start();
    let home = scratch();
    let found = chromium(home.path(), &proxy.ca)
        .with("proxy", proxy.secure_url())
        .with("url", origins::node_h2().url("https", "/"))
        .run();
    assert_eq!(found["protocol"], "h2", "{found}");
    let all = found["all"].as_array().unwrap();
    assert!(
        all.len() == 4 && all.iter().all(|one| one["wasClean"] == true),
        "{found}"
    );
    let websocket = proxy.log("websocket", |_| true);
    assert_eq!(
        (&websocket["outcome"], &websocket["protocol"]),
        (&"closed".into(), &"HTTP/2".into()),
        "{websocket}"
    );
    let line = proxy.log("connection", |line| line["connection"] == websocket["connection"]);
    let outer = proxy.log("connection", |outer| outer["connection"] == line["inside"]);
    assert_eq!(
        (&line["alpn"], &outer["alpn"]),
        (&"h2".into(), &"h2".into()),
        "{line} {outer}"
    );
}

#[test]
fn plain_http_on_http_2_is_served_without_a_tunnel() {
    let proxy = setup().start();
    let found = streams(&proxy, "plain")
        .with("url", origins::plain_aiohttp().url("http", "/"))
        .with("other", format!("origin.test:{}", free_port()))
        .run();
    assert_eq!(
        (&found["got"], &found["text"]),
        (&203.into(), &"status 203\n".into()),
        "{found}"
    );
    assert_eq!(
        (&found["posted"], &found["framing"]),
        (&200.into(), &"chunked".into()),
        "{found}"
    );
    assert_eq!(
        (&found["interim"], &found["length"]),
        (&1.into(), &"5".into()),
        "{found}"
    );
    assert_eq!(
        (&found["headed"], &found["chunks"]),
        (&200.into(), &"one\ntwo\nthree\n".into()),
        "{found}"
    );
    assert_eq!(found["hop"], Value::Null, "{found}");
    assert_eq!(found["dead"], 502, "{found}");
    assert!(
        found["why"]
            .as_str()
            .unwrap()
            .contains("error=connection_refused"),
        "{found}"
    );
    // By https the proxy makes the TLS, which this server does not speak.
    assert_eq!(found["secured"], 502, "{found}");
    assert!(
        found["advice"].as_str().unwrap().contains("TLS handshake"),
        "{found}"
    );
    let line = proxy.log("connection", |line| {
        line["action"] == "serve" && line["outcome"] == "ok"
    });
    assert_eq!(
        (&line["requests"], line["inside"].is_u64()),
        (&1.into(), true),
        "{line}"
    );
    let request = proxy.log("request", |line| line["status"] == 203);
    assert!(
        request["url"]
            .as_str()
            .unwrap()
            .starts_with("http://origin.test:"),
        "{request}"
    );
    proxy.log("request", |line| line["error"] == "client_aborted");
    proxy.metric("wsbump_connections_open", &[], 0.0);
}

#[test]
fn chromium_reads_a_plain_page_through_a_secure_web_proxy() {
    let proxy = setup().start();
    let home = scratch();
    let found = chromium(home.path(), &proxy.ca)
        .with("proxy", proxy.secure_url())
        .with("mode", "page")
        .with("url", origins::plain_aiohttp().url("http", "/status/202"))
        .run();
    assert_eq!(
        (&found["status"], found["text"].as_str().map(str::trim)),
        (&202.into(), Some("status 202")),
        "{found}"
    );
    let line = proxy.log("connection", |line| {
        line["action"] == "serve" && line["outcome"] == "ok"
    });
    assert!(line["inside"].is_u64(), "{line}");
}

/// Firefox gives WebSockets up in nearly every second page load where it speaks HTTP/2 with its proxy (docs/http2.md).
#[test]
fn a_listener_without_http_2_is_one_for_websockets_of_firefox() {
    let proxy = Setup::new()
        .config("[[listener]]\nname = 'lan'\nkind = 'https'\naddress = ['127.0.0.1:0']\nonly_http1 = true\n")
        .start();
    let own = format!("https://{}", proxy.listener("lan"));
    let mut config = rustls::ClientConfig::clone(&client_config(&proxy.ca));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let socket = dial(&proxy.listener("lan"));
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut tls = StreamOwned::new(ClientConnection::new(config.into(), name).unwrap(), socket);
    tls.conn.complete_io(&mut tls.sock).unwrap();
    assert_eq!(tls.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    for _ in 0..4 {
        let home = scratch();
        let found = firefox(home.path(), &proxy.ca)
            .with("proxy", &own)
            .with("url", origins::node_ws().url("https", "/"))
            .run();
        assert_eq!(
            (&found["messages"], &found["code"]),
            (&14.into(), &4002.into()),
            "{found}"
        );
    }
    let line = proxy.log("connection", |line| line["action"] == "bump");
    assert_eq!(
        (&line["listener"], &line["inside"]),
        (&"lan".into(), &Value::Null),
        "{line}"
    );
}
