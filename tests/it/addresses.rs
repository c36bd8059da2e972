//! IPv6, addresses instead of names, and names with several addresses.

use crate::harness::certs::certs;
use crate::harness::clients::curl;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Wire, connect, dial, frame, tls, tunnel};
use crate::harness::recorder::{Recorder, accept, tcp};
use std::net::{IpAddr, TcpListener};
use x509_parser::extensions::GeneralName;

fn ip_names(der: &[u8]) -> Vec<IpAddr> {
    let (_, leaf) = x509_parser::parse_x509_certificate(der).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    let ip = |name: &GeneralName<'_>| match name {
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(IpAddr::from),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(IpAddr::from),
        },
        _ => None,
    };
    names.value.general_names.iter().filter_map(ip).collect()
}

#[test]
fn an_origin_by_its_ipv6_address() {
    let proxy = Proxy::start();
    let recorder = Recorder::listening("[::1]:0", &certs().origin, &["http/1.1"]);
    let target = format!("[::1]:{}", recorder.port);
    let mut client = tls(&proxy, &target);
    let leaf = client.leaf();
    assert_ne!(leaf, certs().origin.chain[0], "not bumped");
    assert!(
        ip_names(&leaf).contains(&"::1".parse().unwrap()),
        "{:?}",
        ip_names(&leaf)
    );
    client.ask_websocket(&target, "/", "");
    let mut origin = recorder.accept();
    let asked = origin.accept_websocket("");
    assert!(asked.contains(&format!("ost: {target}\r\n")), "{asked}");
    assert!(client.head().unwrap().starts_with("HTTP/1.1 101 "));
    let text = frame(0x81, Some([1, 2, 3, 4]), b"over IPv6");
    client.send(&text);
    assert_eq!(origin.exactly(text.len()), text);
    drop((client, origin));
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["target"], target, "{line}");
    assert_eq!(line["origin"], target, "{line}");
    assert_eq!(line["sni"], serde_json::Value::Null, "{line}");
}

#[test]
fn addresses_in_a_certificate_are_checked() {
    let proxy = Setup::new()
        .config("network = { allow = ['127.0.0.0/8', '::1'] }")
        .start();
    let recorder = Recorder::start();
    // 127.0.0.1 is in the certificate, 127.0.0.2 is not.
    let target = format!("127.0.0.1:{}", recorder.port);
    let mut client = tls(&proxy, &target);
    client.send(format!("GET / HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
    let recorder = Recorder::listening("127.0.0.2:0", &certs().origin, &["http/1.1"]);
    let done = curl(
        Some(&proxy.url()),
        &proxy.ca,
        &[&format!("https://127.0.0.2:{}/", recorder.port)],
    );
    assert_eq!((done.code, done.status), (0, 502), "{done:?}");
    assert!(done.text.contains("127.0.0.2"), "{}", done.text);
}

#[test]
fn plain_http_and_curl_by_ipv6() {
    let proxy = Proxy::start();
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let mut client = Wire::new(dial(&proxy.address));
    client.send(format!(
        "GET http://{target}/x HTTP/1.1\r\nHost: {target}\r\n\r\n"
    ));
    let mut origin = accept(&listener);
    let head = origin.head().unwrap();
    assert!(
        head.starts_with("GET /x HTTP/1.1\r\n") && head.contains(&target),
        "{head}"
    );
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
}

#[test]
fn the_other_family_is_tried_when_one_refuses() {
    let (listener, port) = tcp();
    let proxy = Setup::new()
        .config("[network.hosts]\n'both.test' = ['::1', '127.0.0.1']\n'gone.test' = ['::1', '127.0.0.3']")
        .start();
    assert!(
        TcpListener::bind(("::1", port)).is_ok(),
        "something else listens on the port"
    );
    let _client = tunnel(&proxy, &format!("both.test:{port}"));
    accept(&listener);
    let line = {
        drop(_client);
        proxy.log("connection", |_| true)
    };
    assert_eq!(line["origin"], format!("127.0.0.1:{port}"), "{line}");

    // And the other way round.
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(tunnel(&proxy, &format!("both.test:{port}")));
    accept(&listener);
    proxy.log("connection", |line| line["origin"] == format!("[::1]:{port}"));

    let (_, answer) = connect(&proxy, &format!("gone.test:{}", crate::harness::free_port()));
    assert_eq!(answer.status, 502, "{}", answer.head);
    let status = answer.header("proxy-status").unwrap();
    assert!(status.contains("error=connection_refused"), "{status}");
}

#[test]
fn one_forbidden_address_does_not_hide_an_allowed_one() {
    let (listener, port) = tcp();
    let proxy = Setup::new()
        .config("[network]\nallow = ['127.0.0.1']\n[network.hosts]\n'mixed.test' = ['10.1.2.3', '127.0.0.1']")
        .start();
    let _client = tunnel(&proxy, &format!("mixed.test:{port}"));
    accept(&listener);
}
