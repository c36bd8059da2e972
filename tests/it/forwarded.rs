//! Proxies in front that say whose requests are (`X-Forwarded-For`, `Forwarded`), and who only pretends to.

use crate::harness::clients::{Client, curl};
use crate::harness::icap::{OwnIcap, Says};
use crate::harness::process::Process;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Plain, Wire, dial, tls_over};
use crate::harness::recorder::{Recorder, accept, tcp};
use crate::harness::{free_port, origins, scratch, until};
use std::net::TcpStream;
use std::process::Command;

/// A proxy that believes this machine, and proxies in 10.0.0.0/8, but denies one client.
fn setup(kind: &str, more: &str) -> Setup {
    Setup::new().config(&format!(
        "listener = [{{ name = 'behind', kind = '{kind}', address = ['127.0.0.1:0'],\n\
         forwarded_for = {{ from = ['127.0.0.1', '10.0.0.0/8'] {more} }} }}]\n\
         [[policy.rule]]\nname = 'not-for-nine'\nclients = ['203.0.113.9', '2001:db8::9']\naction = 'deny'\n"
    ))
}

fn behind(proxy: &Proxy) -> Plain {
    Wire::new(dial(&proxy.listener("behind")))
}

/// A CONNECT with these fields, and the status of its answer.
fn connect(wire: &mut Plain, target: &str, fields: &str) -> u16 {
    wire.send(format!(
        "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{fields}\r\n"
    ));
    let head = wire.head().expect("an answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    if let Some(length) = crate::harness::raw::header(&head, "content-length") {
        wire.exactly(length.parse().unwrap());
    }
    status
}

#[test]
fn a_client_behind_haproxy_is_the_client_everywhere() {
    let proxy = setup("http", "").start();
    let (folder, port) = (scratch(), free_port());
    let config = format!(
        "global\n nbthread 1\ndefaults\n mode http\n option forwardfor\n timeout connect 60s\n timeout client 60s\n timeout server 60s\n\
         timeout tunnel 60s\nfrontend front\n bind 127.0.0.1:{port}\n default_backend back\nbackend back\n server back {}\n",
        proxy.listener("behind")
    );
    let file = folder.path().join("haproxy.cfg");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("/usr/sbin/haproxy");
    command.args(["-db", "-f"]).arg(&file);
    let _haproxy = Process::start("haproxy", command);
    until("haproxy listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    let via = format!("http://127.0.0.1:{port}");
    for (address, url) in [
        ("127.0.0.2", origins::aiohttp().url("https", "/status/202")),
        ("127.0.0.3", origins::plain_aiohttp().url("http", "/status/202")),
    ] {
        let done = curl(Some(&via), &proxy.ca, &["--interface", address, &url]);
        assert_eq!(done.status, 202, "{done:?}");
        for kind in ["request", "connection"] {
            let line = proxy.log(kind, |line| line["client"] == address);
            if kind == "connection" {
                assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
            }
        }
    }
    for (scheme, origin) in [
        ("wss", origins::websockets()),
        ("ws", origins::plain_websockets()),
    ] {
        Client::new("client_websockets.py")
            .with("ca", &proxy.ca)
            .with("proxy", &via)
            .with("url", origin.url(scheme, "/"))
            .with("mode", "suite")
            .run();
    }
    until("two lines of WebSockets", || {
        (proxy.log_so_far("websocket").len() == 2).then_some(())
    });
}

#[test]
fn each_request_on_a_connection_has_its_own_client_and_the_rules_see_it() {
    let proxy = setup("http", "").start();
    let url = origins::plain_aiohttp().url("http", "/status/202");
    let host = format!("origin.test:{}", origins::plain_aiohttp().port);
    let mut wire = behind(&proxy);
    for (told, client, status) in [
        ("X-Forwarded-For: 203.0.113.7\r\n", "203.0.113.7", 202),
        ("X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9", 403),
        ("", "127.0.0.1", 202),
        // What comes first can be anybody's word, and what stands behind it are proxies that are believed.
        (
            "X-Forwarded-For: 203.0.113.9, 203.0.113.8, 10.1.2.3\r\n",
            "203.0.113.8",
            202,
        ),
        (
            "X-Forwarded-For: 203.0.113.8\r\nX-Forwarded-For: 2001:db8::9\r\n",
            "2001:db8::9",
            403,
        ),
        // Only the one field is read.
        ("Forwarded: for=203.0.113.9\r\n", "127.0.0.1", 202),
    ] {
        wire.send(format!("GET {url} HTTP/1.1\r\nHost: {host}\r\n{told}\r\n"));
        let answer = wire.answer();
        assert_eq!(answer.status, status, "{told}: {}", answer.head);
        let mut lines = proxy.log_so_far("request");
        let line = until("the request's line", || {
            lines = proxy.log_so_far("request");
            lines
                .iter()
                .rev()
                .find(|line| line["client"] == client && line["status"] == status)
                .cloned()
        });
        assert_eq!(line["client"], client, "{line}");
    }
    // A tunnel on the same connection, first for one who may not, then for one who may.
    let recorder = Recorder::start();
    assert_eq!(
        connect(&mut wire, &recorder.target(), "X-Forwarded-For: 203.0.113.9\r\n"),
        403
    );
    assert_eq!(
        connect(&mut wire, &recorder.target(), "X-Forwarded-For: 203.0.113.6\r\n"),
        200
    );
    // What is said inside of it is the client's own.
    let mut client = tls_over(wire, &recorder.target(), &proxy.ca);
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n",
        recorder.target()
    ));
    let mut origin = recorder.accept();
    assert!(origin.head().unwrap().contains("203.0.113.9"));
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
    drop((client, origin));
    proxy.log("request", |line| {
        line["client"] == "203.0.113.6" && line["status"] == 204
    });
    let line = proxy.log("connection", |line| line["client"] == "203.0.113.6");
    assert_eq!(line["action"], "bump", "{line}");
    assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
}

#[test]
fn claims_that_are_broken_or_not_believed_are_nobodys() {
    let target = format!("origin.test:{}", origins::aiohttp().port);
    let proxy = setup("http", "").start();
    for told in [
        "nonsense",
        "unknown",
        "203.0.113.999",
        "",
        "203.0.113.7, x\"y",
        "::gg",
        "203.0.113.7 203.0.113.8",
    ] {
        let mut wire = behind(&proxy);
        assert_eq!(
            connect(&mut wire, &target, &format!("X-Forwarded-For: {told}\r\n")),
            200
        );
        drop(wire);
    }
    until("as many lines", || {
        (proxy.log_so_far("connection").len() == 7).then_some(())
    });
    for line in proxy.log_so_far("connection") {
        assert_eq!(line["client"], "127.0.0.1", "{line}");
        assert!(line["peer"].is_null(), "{line}");
    }
    let log = proxy.process().out.all().join("\n");
    assert!(!log.contains("nonsense") && !log.contains("203.0.113"), "{log}");
    // Somebody else writes the same.
    let stranger = Setup::new()
        .config(
            "listener = [{ name = 'behind', kind = 'http', address = ['127.0.0.1:0'],\n\
             forwarded_for = { from = ['127.0.0.8'] } }]",
        )
        .start();
    let mut wire = behind(&stranger);
    assert_eq!(
        connect(&mut wire, &target, "X-Forwarded-For: 203.0.113.7\r\n"),
        200
    );
    drop(wire);
    let line = stranger.log("connection", |_| true);
    assert_eq!(line["client"], "127.0.0.1", "{line}");
}

#[test]
fn what_cannot_be_read_is_not_of_whoever_was_told_before() {
    let proxy = setup("http", "").start();
    let url = origins::plain_aiohttp().url("http", "/status/202");
    let host = format!("origin.test:{}", origins::plain_aiohttp().port);
    let mut wire = behind(&proxy);
    wire.send(format!(
        "GET {url} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"
    ));
    assert_eq!(wire.answer().status, 202);
    wire.send("nonsense\r\n\r\n");
    assert_eq!(wire.answer().status, 400);
    let line = proxy.log("request", |line| line["status"] == 400);
    assert_eq!(line["client"], "127.0.0.1", "{line}");
}

#[test]
fn the_same_holds_over_http_2_and_by_the_field_of_rfc_7239() {
    let proxy = setup("https", ", field = 'forwarded'").start();
    let ask = |method: &str, target: &str, told: &str| {
        Client::new("h2_ask.py")
            .with("ca", &proxy.ca)
            .with("proxy", format!("https://{}", proxy.listener("behind")))
            .with("method", method)
            .with("target", target)
            .with("header", told)
            .run()["status"]
            .as_str()
            .map(str::to_owned)
    };
    let url = origins::plain_aiohttp().url("http", "/status/202");
    let target = format!("origin.test:{}", origins::aiohttp().port);
    for (told, client, is_denied) in [
        ("forwarded:for=203.0.113.7;proto=http", "203.0.113.7", false),
        ("forwarded:for=203.0.113.9", "203.0.113.9", true),
        ("forwarded:for=\"[2001:db8::9]:4711\"", "2001:db8::9", true),
        ("forwarded:for=_hidden", "127.0.0.1", false),
        ("x-forwarded-for:203.0.113.9", "127.0.0.1", false),
    ] {
        for (method, to, good) in [("GET", &*url, "202"), ("CONNECT", &*target, "200")] {
            let status = ask(method, to, told);
            let wanted = if is_denied { "403" } else { good };
            assert_eq!(status.as_deref(), Some(wanted), "{method} {told}");
            let line = until("the stream's line", || {
                let lines = proxy.log_so_far("connection");
                let of_stream = |line: &&serde_json::Value| {
                    line["client"] == client
                        && line["inside"].is_number()
                        && (line["rule"] == "not-for-nine") == is_denied
                };
                lines.iter().find(of_stream).cloned()
            });
            assert_eq!(line["client"], client, "{line}");
        }
        proxy.log("request", |line| line["client"] == client);
    }
}

#[test]
fn what_a_service_is_told_is_the_client() {
    let icap = OwnIcap::start(None, |_| Says::Unchanged);
    let proxy = setup("http", "")
        .config(&format!(
            "{}[[policy.setting]]\nadapt_requests = ['dlp']\nadapt_responses = ['dlp']\n",
            icap.table("dlp", "")
        ))
        .start();
    let url = origins::plain_aiohttp().url("http", "/status/200");
    let host = format!("origin.test:{}", origins::plain_aiohttp().port);
    let mut wire = behind(&proxy);
    for client in ["203.0.113.7", "203.0.113.8"] {
        wire.send(format!(
            "GET {url} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {client}\r\n\r\n"
        ));
        assert_eq!(wire.answer().status, 200);
        let given = icap.given();
        let told = given
            .iter()
            .rev()
            .find(|given| given.icap.starts_with("REQMOD"))
            .unwrap();
        assert_eq!(
            crate::harness::raw::header(&told.icap, "x-client-ip"),
            Some(client),
            "{}",
            told.icap
        );
    }
}

#[test]
fn limits_are_those_of_whoever_has_connected() {
    let proxy = setup("http", "")
        .config("limits = { client = { except = [], connections = 1 } }")
        .start();
    let target = format!("origin.test:{}", origins::aiohttp().port);
    let mut held = behind(&proxy);
    assert_eq!(
        connect(&mut held, &target, "X-Forwarded-For: 203.0.113.7\r\n"),
        200
    );
    let mut other = behind(&proxy);
    let _ = other.try_send(format!(
        "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nX-Forwarded-For: 203.0.113.8\r\n\r\n"
    ));
    assert!(!other.head().unwrap_or_default().starts_with("HTTP/1.1 200"));
    drop(held);
}

#[test]
fn an_origin_is_told_the_way_or_the_client_alone() {
    for (setting, told, wanted) in [
        (
            "tell_client = 'x_forwarded_for'",
            "X-Forwarded-For: 203.0.113.8, 203.0.113.7\r\n",
            &["x-forwarded-for: 203.0.113.8, 203.0.113.7, 127.0.0.1"][..],
        ),
        (
            "tell_client = 'x_forwarded_for'\ntell_client_alone = true",
            "X-Forwarded-For: 203.0.113.8, 203.0.113.7\r\nForwarded: for=192.0.2.1\r\n",
            &["x-forwarded-for: 203.0.113.7"],
        ),
        (
            "tell_client = 'forwarded'\ntell_client_alone = true",
            "X-Forwarded-For: 2001:db8::7\r\n",
            &["forwarded: for=\"[2001:db8::7]\""],
        ),
    ] {
        let proxy = setup("http", "")
            .config(&format!("[[policy.setting]]\n{setting}\n"))
            .start();
        let (listener, port) = tcp();
        let mut wire = behind(&proxy);
        wire.send(format!(
            "GET http://origin.test:{port}/ HTTP/1.1\r\nHost: origin.test:{port}\r\n{told}\r\n"
        ));
        let mut origin = accept(&listener);
        let head = origin.head().unwrap().to_lowercase();
        let lines: Vec<&str> = head.lines().filter(|line| line.contains("forwarded")).collect();
        assert_eq!(lines, wanted, "{setting}: {head}");
        origin.send("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(wire.answer().status, 204);
    }
}
