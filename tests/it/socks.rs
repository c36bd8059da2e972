//! SOCKS 5, 4 and 4a at the front door.

use crate::harness::certs::certs;
use crate::harness::clients::{Client, Curled, curl};
use crate::harness::origins;
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Plain, Wire, dial, tls_over};
use crate::harness::recorder::{Recorder, accept, tcp};
use std::process::Command;

const LISTENER: &str =
    "listener = [{ name = 'socks', kind = 'socks', address = ['127.0.0.1:0', '[::1]:0'] }]\n";

fn setup() -> Setup {
    Setup::new().config(LISTENER)
}

/// curl by one of the schemes that it has for SOCKS.
fn by(proxy: &Proxy, scheme: &str, arguments: &[&str]) -> Curled {
    let url = format!("{scheme}://{}", proxy.listener("socks"));
    curl(Some(&url), &proxy.ca, arguments)
}

fn dial_socks(proxy: &Proxy) -> Plain {
    Wire::new(dial(&proxy.listener("socks")))
}

/// A request of SOCKS 5 by a name.
fn named(host: &str, port: u16) -> Vec<u8> {
    let mut bytes = vec![5, 1, 0, 3, u8::try_from(host.len()).unwrap()];
    bytes.extend(host.as_bytes());
    bytes.extend(port.to_be_bytes());
    bytes
}

/// The code of the answer to a request, whose address is as long as its kind says.
fn reply(wire: &mut Plain) -> u8 {
    let head = wire.exactly(4);
    assert_eq!((head[0], head[2]), (5, 0), "{head:?}");
    let length = match head[3] {
        1 => 4,
        4 => 16,
        kind => panic!("an address of kind {kind}"),
    };
    assert_eq!(wire.exactly(length + 2).len(), length + 2);
    head[1]
}

/// Asks for something without a password; the code of the answer.
fn code(proxy: &Proxy, request: &[u8]) -> u8 {
    let mut wire = dial_socks(proxy);
    wire.send([5, 1, 0]);
    assert_eq!(wire.exactly(2), [5, 0]);
    wire.send(request);
    let code = reply(&mut wire);
    assert_eq!(wire.rest(), b"", "nothing behind a refusal");
    code
}

#[test]
fn curl_asks_by_name_and_by_address_in_every_version() {
    let proxy = setup().start();
    let (plain, tls) = (origins::plain_aiohttp(), origins::aiohttp());
    let resolved = format!("origin.test:{}:127.0.0.1", tls.port);
    for (scheme, by_name) in [
        ("socks5h", true),
        ("socks5", false),
        ("socks4a", true),
        ("socks4", false),
    ] {
        let done = by(
            &proxy,
            scheme,
            &["--resolve", &resolved, &tls.url("https", "/status/202")],
        );
        assert_eq!((done.code, done.status), (0, 202), "{scheme}: {done:?}");
        let host = if by_name { "origin.test" } else { "127.0.0.1" };
        let target = format!("{host}:{}", tls.port);
        let line = proxy.log("connection", |line| line["target"] == target);
        assert_eq!(
            (&line["listener"], &line["action"]),
            (&"socks".into(), &"bump".into()),
            "{line}"
        );
    }
    let done = by(&proxy, "socks5h", &[&plain.url("http", "/status/203")]);
    assert_eq!(done.status, 203, "{done:?}");
    proxy.log("connection", |line| {
        line["listener"] == "socks" && line["action"] == "serve"
    });
}

#[test]
fn an_origin_of_ipv6_is_reached_by_its_address() {
    let proxy = setup().start();
    let origin = Recorder::listening("[::1]:0", &certs().origin, &["http/1.1"]);
    let mut wire = dial_socks(&proxy);
    let mut request = vec![5, 1, 0, 5, 1, 0, 4];
    request.extend(std::net::Ipv6Addr::LOCALHOST.octets());
    request.extend(origin.port.to_be_bytes());
    // The greeting and the request in one piece.
    wire.send(&request[..3]);
    wire.send(&request[3..]);
    assert_eq!(wire.exactly(2), [5, 0]);
    assert_eq!(reply(&mut wire), 0);
    let target = format!("[::1]:{}", origin.port);
    let mut client = tls_over(wire, "origin.test:443", &proxy.ca);
    client.send("GET / HTTP/1.1\r\nHost: origin.test\r\n\r\n");
    origin.accept().head().unwrap();
    drop(client);
    proxy.log("connection", |line| line["target"] == target);
}

#[test]
fn websockets_are_bumped_and_spliced() {
    let proxy = setup()
        .file("spliced", "localhost\n")
        .config("list = [{ name = 'spliced', file = 'spliced', format = 'domains' }]\npolicy = { splice = ['spliced'] }")
        .start();
    let origin = origins::websockets();
    for (host, action, trusted) in [
        ("origin.test", "bump", &proxy.ca),
        ("localhost", "splice", &certs().root),
    ] {
        Client::new("client_websockets.py")
            .with("ca", trusted)
            .with("proxy", format!("socks5h://{}", proxy.listener("socks")))
            .with("url", format!("wss://{host}:{}/", origin.port))
            .with("mode", "suite")
            .run();
        let target = format!("{host}:{}", origin.port);
        let line = proxy.log("connection", |line| {
            line["target"] == target && line["action"] == action
        });
        assert_eq!(line["listener"], "socks", "{line}");
    }
    assert_eq!(proxy.log("websocket", |_| true)["outcome"], "closed");
}

#[test]
fn all_that_a_client_says_may_come_in_one_piece_and_the_server_may_speak_first() {
    let proxy = setup().config("policy = { unknown_protocol = 'tunnel' }").start();
    let (listener, port) = tcp();
    let mut wire = dial_socks(&proxy);
    wire.send([&[5, 2, 0, 2][..], &named("127.0.0.1", port), b"EHLO early\r\n"].concat());
    let mut origin = accept(&listener);
    origin.send("220 mail\r\n");
    assert_eq!(origin.line(), "EHLO early\r\n");
    assert_eq!(wire.exactly(2), [5, 0]);
    assert_eq!(reply(&mut wire), 0);
    assert_eq!(wire.line(), "220 mail\r\n");
    // Who waits for the server to speak first gets its success before.
    let mut wire = dial_socks(&proxy);
    wire.send([&[5, 1, 0][..], &named("127.0.0.1", port)].concat());
    let mut origin = accept(&listener);
    assert_eq!(wire.exactly(2), [5, 0]);
    assert_eq!(reply(&mut wire), 0);
    origin.send("SSH-2.0-x\r\n");
    assert_eq!(wire.line(), "SSH-2.0-x\r\n");
}

#[test]
fn refusals_have_their_number_and_no_other_name_is_reached_than_was_asked_for() {
    let (listener, port) = tcp();
    let proxy = setup()
        .file("closed", "localhost\n")
        .config("list = [{ name = 'closed', file = 'closed', format = 'domains' }]\npolicy = { deny = ['closed'] }")
        .config("network = { deny = ['127.0.0.9'] }")
        .start();
    let gone = {
        let (listener, port) = tcp();
        drop(listener);
        port
    };
    let own: u16 = proxy.address.rsplit_once(':').unwrap().1.parse().unwrap();
    let mut bind = named("127.0.0.1", port);
    bind[1] = 2;
    let mut associate = named("127.0.0.1", port);
    associate[1] = 3;
    for (request, wanted) in [
        (named("localhost", port), 2),
        (named("127.0.0.9", port), 2),
        (named("127.0.0.1", own), 2),
        (named("no.such.name.test", port), 4),
        (named("127.0.0.1", gone), 5),
        (bind, 7),
        (associate, 7),
        (vec![5, 1, 0, 2, 1, 1, 1], 8),
        (named("127.0.0.1\0.evil.test", port), 1),
        (named("origin.test\r\nX: y", port), 1),
        (named("", port), 1),
        (named("127.0.0.1", 0), 1),
    ] {
        assert_eq!(code(&proxy, &request), wanted, "{request:?}");
    }
    let denied = proxy.log("connection", |line| line["outcome"] == "http_request_denied");
    assert_eq!(denied["list"], "closed", "{denied}");
    // curl says which number it was.
    let done = by(&proxy, "socks5h", &["https://localhost/"]);
    assert!(done.verbose.contains("(2)"), "{done:?}");
    let mut wire = dial_socks(&proxy);
    wire.send(b"\x04\x01\x00\x50\x7f\x00\x00\x09\0");
    assert_eq!(wire.rest(), [0, 91, 0, 0, 0, 0, 0, 0]);
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nothing was dialled");
}

#[test]
fn what_is_no_socks_and_who_says_nothing_is_let_go() {
    let proxy = setup().config("timeouts = { request_head = '300ms' }").start();
    for (sent, outcome) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "http_protocol_error"),
        (b"\x05\x00", "http_protocol_error"),
        (b"", "request_timeout"),
        (b"\x05\x02\x00", "request_timeout"),
        (b"\x05\x01\x00\x05\x01\x00\x03\x09origin", "request_timeout"),
    ] {
        let before = proxy.log_so_far("connection").len();
        let mut wire = dial_socks(&proxy);
        wire.send(sent);
        wire.rest();
        let line = proxy.log("connection", {
            let mut seen = 0;
            move |_| {
                seen += 1;
                seen > before
            }
        });
        let said = line["outcome"].as_str().unwrap();
        assert!(
            said == outcome || outcome == "http_protocol_error" && said != "ok",
            "{line}"
        );
        assert_eq!(line["action"], "none", "{line}");
    }
    // Who offers nothing that is on offer is told so.
    let mut wire = dial_socks(&proxy);
    wire.send([5, 1, 1]);
    assert_eq!(wire.rest(), [5, 0xff]);
}

#[test]
fn where_passwords_are_set_nobody_comes_in_without() {
    let mut command = Command::new("openssl");
    command.args(["passwd", "-6", "pw-ada"]);
    let hash = Process::start("openssl passwd", command).finish().out.join("");
    let proxy = setup()
        .file("users", &format!("ada:{hash}\n"))
        .file("closed", "localhost\n")
        .config(
            "list = [{ name = 'closed', file = 'closed', format = 'domains' }]\n\
             [auth.basic]\nhtpasswd = 'users'\n\
             [[policy.rule]]\nname = 'not-for-ada'\nhosts = ['closed']\nusers = ['ada']\naction = 'deny'\n\
             [[policy.rule]]\nname = 'who-is-it'\naction = 'authenticate'\n",
        )
        .start();
    let url = origins::aiohttp().url("https", "/status/202");
    let done = by(&proxy, "socks5h", &["--proxy-user", "ada:pw-ada", &url]);
    assert_eq!(done.status, 202, "{done:?}");
    let line = proxy.log("connection", |line| line["action"] == "bump");
    assert_eq!(
        (&line["user"], &line["listener"]),
        (&"ada".into(), &"socks".into()),
        "{line}"
    );
    let denied = format!("https://localhost:{}/", origins::aiohttp().port);
    let done = by(&proxy, "socks5h", &["--proxy-user", "ada:pw-ada", &denied]);
    assert!(done.verbose.contains("(2)"), "{done:?}");
    proxy.log("connection", |line| {
        line["rule"] == "not-for-ada" && line["user"] == "ada"
    });
    let done = by(&proxy, "socks5h", &["--proxy-user", "ada:wrong", &url]);
    assert_eq!(done.status, 0, "{done:?}");
    for (sent, answer) in [
        // Without a password, by the wrong version of it, with an empty one, and with a name that nobody has.
        (&b"\x05\x01\x00"[..], &[5, 0xff][..]),
        (b"\x05\x02\x00\x02\x01\x03ada\x00", &[5, 2, 1, 1]),
        (b"\x05\x01\x02\x01\x05a:ada\x01x", &[5, 2, 1, 1]),
        (b"\x04\x01\x00\x50\x7f\x00\x00\x01\0", &[0, 91, 0, 0, 0, 0, 0, 0]),
    ] {
        let mut wire = dial_socks(&proxy);
        wire.send(sent);
        assert_eq!(wire.rest(), answer, "{sent:?}");
    }
    let lines = proxy.process().out.all().join("\n") + &proxy.process().err.all().join("\n");
    assert!(!lines.contains("pw-ada"), "a password in a log");
}
