//! What turns out not to be HTTP once it is decrypted.

use crate::harness::certs::certs;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Secure, client_config, start_tls_with, tunnel};
use crate::harness::recorder::{Recorder, Served};
use std::sync::Arc;

fn proxy(unknown_protocol: &str) -> Proxy {
    Setup::new()
        .config(&format!("policy = {{ unknown_protocol = '{unknown_protocol}' }}"))
        .start()
}

/// A client that offers `alpn`, its handshake done, and the origin's end.
fn shaken(proxy: &Proxy, recorder: &Recorder, alpn: &[&str]) -> (Secure, Served) {
    let target = recorder.target();
    let mut config = Arc::unwrap_or_clone(client_config(&proxy.ca));
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let mut client = start_tls_with(tunnel(proxy, &target), &target, Arc::new(config));
    let rustls::StreamOwned { conn, sock } = &mut client.stream;
    while conn.is_handshaking() {
        conn.complete_io(sock).unwrap();
    }
    assert_ne!(client.leaf(), certs().origin.chain[0], "not decrypted");
    (client, recorder.accept())
}

fn agreed(client: &Secure) -> Option<&[u8]> {
    client.stream.conn.alpn_protocol()
}

/// Bytes both ways, and an end of each direction by itself.
fn converses(client: &mut Secure, origin: &mut Served) {
    let bytes = [&b"\x10\x0c\x00\x04MQTT\x04"[..], &[0; 70_000]].concat();
    client.send(&bytes);
    assert!(origin.exactly(bytes.len()) == bytes);
    origin.send(&bytes);
    assert!(client.exactly(bytes.len()) == bytes);
    client.half_close();
    assert!(origin.rest().is_empty());
    origin.send("after the client's end");
    origin.stream.conn.send_close_notify();
    origin.send("");
    assert_eq!(client.rest(), b"after the client's end");
}

#[test]
fn a_protocol_by_agreement_is_tunnelled() {
    let proxy = proxy("tunnel");
    let recorder = Recorder::listening("127.0.0.1:0", &certs().origin, &["mqtt"]);
    let (mut client, mut origin) = shaken(&proxy, &recorder, &["mqtt", "http/1.1"]);
    assert_eq!(agreed(&client), Some(&b"mqtt"[..]));
    assert_eq!(origin.stream.conn.alpn_protocol(), Some(&b"mqtt"[..]));
    converses(&mut client, &mut origin);
    let line = proxy.log("connection", |_| true);
    let verdict = (line["action"].as_str(), line["reason"].as_str());
    assert_eq!(verdict, (Some("tunnel"), Some("unknown_protocol")), "{line}");
    assert_eq!(line["alpn"], "mqtt", "{line}");
    assert_eq!(line["bytes_to_origin"], 70_009, "{line}");
}

#[test]
fn a_protocol_without_agreement_is_tunnelled_by_its_looks() {
    let proxy = proxy("tunnel");
    let recorder = Recorder::listening("127.0.0.1:0", &certs().origin, &[]);
    for offer in [&[][..], &["mqtt"], &["h2"]] {
        let (mut client, mut origin) = shaken(&proxy, &recorder, offer);
        assert_eq!(agreed(&client), None);
        converses(&mut client, &mut origin);
    }
}

#[test]
fn an_origin_may_speak_first_inside_tls() {
    let proxy = proxy("tunnel");
    let recorder = Recorder::listening("127.0.0.1:0", &certs().origin, &[]);
    let (mut client, mut origin) = shaken(&proxy, &recorder, &[]);
    origin.send("* OK IMAP4rev1 ready\r\n");
    assert_eq!(client.exactly(22), b"* OK IMAP4rev1 ready\r\n");
    converses(&mut client, &mut origin);
    let line = proxy.log("connection", |_| true);
    assert_eq!(line["reason"], "server_speaks_first", "{line}");
    assert_eq!(line["bytes_to_client"], 22 + 70_009 + 22, "{line}");
}

#[test]
fn http_without_agreement_is_still_http() {
    let proxy = proxy("refuse");
    let recorder = Recorder::listening("127.0.0.1:0", &certs().origin, &[]);
    let (mut client, mut origin) = shaken(&proxy, &recorder, &[]);
    client.send(format!(
        "GET /old HTTP/1.1\r\nHost: {}\r\n\r\n",
        recorder.target()
    ));
    assert!(origin.head().unwrap().starts_with("GET /old HTTP/1.1\r\n"));
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.answer().body, b"ok");
    drop((client, origin));
    assert_eq!(proxy.log("connection", |_| true)["action"], "bump");
}

#[test]
fn what_is_not_http_is_refused_by_default() {
    let proxy = Proxy::start();
    for (offer, agrees, says, reason) in [
        (&["mqtt"][..], &["mqtt"][..], "", "unknown_protocol"),
        (&[], &[], "\x10\x0c", "unknown_protocol"),
    ] {
        let recorder = Recorder::listening("127.0.0.1:0", &certs().origin, agrees);
        let (mut client, mut origin) = shaken(&proxy, &recorder, offer);
        let _ = client.try_send(says);
        assert!(client.rest().is_empty());
        assert!(origin.rest().is_empty(), "it reached the origin");
        let target = recorder.target();
        let line = proxy.log("connection", |line| line["target"] == target);
        let verdict = (line["action"].as_str(), line["reason"].as_str());
        assert_eq!(verdict, (Some("refuse"), Some(reason)), "{line}");
    }
    let recorder = Recorder::listening("127.0.0.1:0", &certs().origin, &[]);
    let (mut client, mut origin) = shaken(&proxy, &recorder, &[]);
    origin.send("* OK IMAP4rev1 ready\r\n");
    assert!(client.rest().is_empty(), "a refused origin was heard");
    assert!(origin.rest().is_empty());
    proxy.log("connection", |line| line["reason"] == "server_speaks_first");
}

#[test]
fn http2_is_offered_on_unless_a_list_forbids() {
    let proxy = Proxy::start();
    let recorder = Recorder::listening("127.0.0.1:0", &certs().origin, &["h2", "http/1.1"]);
    let (client, origin) = shaken(&proxy, &recorder, &["h2", "http/1.1"]);
    assert_eq!(agreed(&client), Some(&b"h2"[..]));
    assert_eq!(origin.stream.conn.alpn_protocol(), Some(&b"h2"[..]));

    let proxy = Setup::new()
        .config(
            "policy = { only_http1 = ['old'] }\n[[list]]\nname = 'old'\nfile = 'old'\nformat = 'domains'\n",
        )
        .file("old", "origin.test\n")
        .start();
    let recorder = Recorder::listening("127.0.0.1:0", &certs().origin, &["h2", "http/1.1"]);
    let (mut client, mut origin) = shaken(&proxy, &recorder, &["h2", "http/1.1"]);
    assert_eq!(agreed(&client), Some(&b"http/1.1"[..]));
    assert_eq!(origin.stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
    origin.head().unwrap();
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
}
