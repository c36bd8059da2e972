//! Parents that answer oddly, late, or not at all; and what is done when one fails.

use crate::harness::certs::certs;
use crate::harness::clients::Client;
use crate::harness::free_port;
use crate::harness::parents::OwnParent;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Answer, Wire, connect, dial, tls_over, tunnel};
use crate::harness::recorder::Recorder;

/// A proxy that goes by these parents, whose URLs they are, in this order.
fn by(urls: &[String], more: &str) -> Setup {
    let names: Vec<String> = (0..urls.len()).map(|at| format!("p{at}")).collect();
    let tables: String = (urls.iter().zip(&names))
        .map(|(url, name)| {
            format!(
                "[[parent]]\nname = '{name}'\nurl = '{url}'\nconnect_timeout = '2s'\nanswer_timeout = '1s'\n"
            )
        })
        .collect();
    Setup::new().config(&format!(
        "{tables}[[policy.setting]]\nparents = {names:?}\n{more}"
    ))
}

fn url(parent: &OwnParent) -> String {
    format!("http://{}", parent.address())
}

/// Nobody listens there.
fn dead() -> String {
    format!("http://127.0.0.1:{}", free_port())
}

/// An origin by TLS through the proxy, which answers.
fn reaches(proxy: &Proxy, recorder: &Recorder) {
    let target = recorder.target();
    let mut client = tls_over(tunnel(proxy, &target), &target, &proxy.ca);
    client.send(format!("GET / HTTP/1.1\r\nHost: {target}\r\n\r\n"));
    let mut origin = recorder.accept();
    assert!(origin.head().unwrap().starts_with("GET / "));
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(client.answer().body, b"hi");
}

fn answer(proxy: &Proxy) -> Answer {
    connect(proxy, "origin.test:443").1
}

#[test]
fn every_answer_that_opens_a_tunnel_opens_it() {
    let recorder = Recorder::start();
    for said in [
        "HTTP/1.0 200 Connection established\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
    ] {
        let parent = OwnParent::saying(said);
        reaches(&by(&[url(&parent)], "").start(), &recorder);
    }
}

#[test]
fn what_comes_behind_the_answer_is_the_origins() {
    for said in [
        "HTTP/1.1 200 OK\r\n\r\n220 mail.example ESMTP\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n220 mail.example ESMTP\r\n",
    ] {
        let parent = OwnParent::refusing(said);
        let proxy = by(&[url(&parent)], "[policy]\nunknown_protocol = 'tunnel'").start();
        let mut client = tunnel(&proxy, "origin.test:25");
        assert_eq!(client.rest(), b"220 mail.example ESMTP\r\n");
        drop(client);
        let line = proxy.log("connection", |line| line["reason"] == "server_speaks_first");
        assert_eq!(line["parent"], "p0", "{line}");
    }
}

#[test]
fn nothing_of_a_refusal_reaches_the_client() {
    for (said, error, status) in [
        (
            "HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic realm=\"secret\"\r\nSet-Cookie: secret=1\r\nContent-Length: 6\r\n\r\nsecret",
            "parent_login_refused; received-status=407",
            502,
        ),
        (
            "HTTP/1.1 503 Broken\r\nSet-Cookie: secret=1\r\nContent-Length: 6\r\n\r\nsecret",
            "parent_refused; received-status=503",
            502,
        ),
        (
            "HTTP/1.1 403 No\r\nSet-Cookie: secret=1\r\nContent-Length: 6\r\n\r\nsecret",
            "parent_refused; received-status=403",
            502,
        ),
        ("SSH-2.0-secret\r\n", "parent_unreachable", 502),
        ("", "parent_unreachable", 502),
    ] {
        let parent = OwnParent::refusing(said);
        let proxy = by(&[url(&parent)], "[listen]\ntls = ['127.0.0.1:0']").start();
        let answers = [answer(&proxy), {
            let mut client = Wire::new(dial(&proxy.address));
            client.send("GET http://origin.test/ HTTP/1.1\r\nHost: origin.test\r\n\r\n");
            client.answer()
        }];
        for answer in answers {
            assert_eq!(answer.status, status, "{said}: {}", answer.head);
            let why = answer.header("proxy-status").unwrap();
            assert!(why.contains(error) && why.contains("p0: "), "{why}");
            let all = format!("{}{}", answer.head, String::from_utf8_lossy(&answer.body));
            assert!(!all.contains("secret"), "{all}");
        }
        // The same to a client that speaks HTTP/2 with the proxy.
        for (method, target) in [("CONNECT", "origin.test:443"), ("GET", "http://origin.test/")] {
            let said = Client::new("h2_ask.py")
                .with("proxy", proxy.secure_url())
                .with("ca", &proxy.ca)
                .with("method", method)
                .with("target", target)
                .run();
            let said = said.to_string();
            assert!(
                said.contains(error) && !said.contains("secret"),
                "{method}: {said}"
            );
        }
        let line = proxy.log("connection", |line| {
            line["action"] == "none" && line["parent"] == "p0"
        });
        assert_eq!(line["outcome"], error.split(';').next().unwrap(), "{line}");
    }
}

#[test]
fn a_parent_that_fails_before_its_answer_gives_way_to_the_next() {
    let (good, recorder) = (OwnParent::saying("HTTP/1.1 200 OK\r\n\r\n"), Recorder::start());
    let closing = OwnParent::refusing("");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let untrusted = Recorder::with(&certs().untrusted);
    for first in [
        dead(),
        url(&closing),
        silent,
        format!("https://localhost:{}", untrusted.port),
        url(&OwnParent::refusing("HTTP/1.1 502 Bad Gateway\r\n\r\n")),
        url(&OwnParent::refusing("HTTP/1.1 407 Who?\r\n\r\n")),
        format!(
            "socks5://{}",
            OwnParent::refusing("HTTP/1.1 400 Bad\r\n\r\n").address()
        ),
    ] {
        let proxy = by(&[first.clone(), url(&good)], "").start();
        reaches(&proxy, &recorder);
        let line = proxy.log("connection", |line| line["target"] == recorder.target());
        assert_eq!(line["parent"], "p1", "{first}: {line}");
    }
}

#[test]
fn what_one_parent_denies_is_not_asked_of_the_next() {
    let good = OwnParent::saying("HTTP/1.1 200 OK\r\n\r\n");
    let strict = OwnParent::refusing("HTTP/1.1 403 Forbidden\r\n\r\n");
    let proxy = by(&[url(&strict), url(&good)], "direct = 'last'").start();
    assert_eq!(answer(&proxy).status, 502);
    assert!(good.was_asked_nothing());
    proxy.metric("wsbump_parent_direct_total", &[], 0.0);
}

#[test]
fn one_dead_site_does_not_take_the_parent_from_others() {
    let parent = OwnParent::refusing("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    let proxy = by(&[url(&parent)], "").start();
    for _ in 0..5 {
        assert_eq!(answer(&proxy).status, 502);
        assert!(parent.head().starts_with("CONNECT "));
    }
    proxy.metric("wsbump_parent_up", &[("parent", "p0")], 1.0);
    proxy.metric(
        "wsbump_parent_seconds_count",
        &[("parent", "p0"), ("outcome", "failed")],
        5.0,
    );
}

#[test]
fn a_parent_that_cannot_be_reached_is_left_alone_while_there_is_another() {
    let (good, recorder) = (OwnParent::saying("HTTP/1.1 200 OK\r\n\r\n"), Recorder::start());
    let proxy = by(&[dead(), url(&good)], "").start();
    for _ in 0..5 {
        reaches(&proxy, &recorder);
    }
    proxy.metric("wsbump_parent_up", &[("parent", "p0")], 0.0);
    proxy.metric(
        "wsbump_parent_seconds_count",
        &[("parent", "p0"), ("outcome", "unreachable")],
        3.0,
    );
    proxy.metric(
        "wsbump_parent_seconds_count",
        &[("parent", "p1"), ("outcome", "ok")],
        5.0,
    );
}

#[test]
fn an_origin_is_dialled_only_where_that_is_allowed() {
    let recorder = Recorder::start();
    let never = by(&[dead()], "").start();
    let answer = connect(&never, &recorder.target()).1;
    assert_eq!(answer.status, 502);
    assert!(
        answer
            .header("proxy-status")
            .unwrap()
            .contains("error=parent_unreachable"),
        "{}",
        answer.head
    );
    let last = by(&[dead()], "direct = 'last'").start();
    reaches(&last, &recorder);
    last.metric("wsbump_parent_direct_total", &[], 1.0);
    let line = last.log("connection", |line| line["target"] == recorder.target());
    assert!(line["parent"].is_null() && line["origin"].is_string(), "{line}");
}

#[test]
fn parents_take_turns_where_that_is_configured() {
    let parents = [(); 2].map(|()| OwnParent::saying("HTTP/1.1 200 OK\r\n\r\n"));
    let recorder = Recorder::start();
    let proxy = by(
        &[url(&parents[0]), url(&parents[1])],
        "parent_order = 'round_robin'",
    )
    .start();
    for _ in 0..4 {
        reaches(&proxy, &recorder);
    }
    for parent in ["p0", "p1"] {
        proxy.metric(
            "wsbump_parent_seconds_count",
            &[("parent", parent), ("outcome", "ok")],
            2.0,
        );
    }
}

#[test]
fn a_parent_that_is_this_proxy_is_none() {
    let port = free_port();
    let proxy = by(
        &[format!("http://127.0.0.1:{port}")],
        &format!("[listen]\nproxy = ['127.0.0.1:{port}']"),
    )
    .start();
    let answer = answer(&proxy);
    assert_eq!(answer.status, 502);
    assert!(
        answer
            .header("proxy-status")
            .unwrap()
            .contains("this proxy itself"),
        "{}",
        answer.head
    );
    assert_eq!(proxy.metrics().sum("wsbump_connections_accepted_total", &[]), 1.0);
}

#[test]
fn a_reload_changes_the_parents_of_what_begins_after_it() {
    let (one, two) = (
        OwnParent::saying("HTTP/1.1 200 OK\r\n\r\n"),
        OwnParent::saying("HTTP/1.1 200 OK\r\n\r\n"),
    );
    let recorder = Recorder::start();
    let mut proxy = by(&[url(&one)], "").start();
    reaches(&proxy, &recorder);
    assert!(one.head().starts_with("CONNECT "));
    proxy.rewrite_config(&format!(
        "[[parent]]\nname = 'other'\nurl = '{}'\n[[policy.setting]]\nparents = ['other']\n",
        url(&two)
    ));
    proxy.process().err("a reload", |line| {
        line.contains("configuration reloaded").then_some(())
    });
    reaches(&proxy, &recorder);
    assert!(two.head().starts_with("CONNECT ") && one.was_asked_nothing());
    assert_eq!(
        proxy.metrics().sum("wsbump_parent_up", &[]),
        1.0,
        "the other one is forgotten"
    );
}
