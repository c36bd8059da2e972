//! HTTP/1.1 as it is found: what nobody changes goes on as it came, what is ugly is mended, what is ambiguous is refused.

use crate::harness::clients::curl;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Secure, Wire, dial, tls};
use crate::harness::recorder::{Recorder, Served, accept, tcp};

/// A request that was sent as it is, without its Via.
fn asked(proxy: &Proxy, recorder: &Recorder, request: &str) -> (Secure, Served, String) {
    let mut client = tls(proxy, &recorder.target());
    client.send(request.replace("{host}", &recorder.target()));
    let mut origin = recorder.accept();
    let head = origin.head().unwrap();
    assert!(head.ends_with("Via: 1.1 wsbump\r\n\r\n"), "{head}");
    (client, origin, head.replace("Via: 1.1 wsbump\r\n", ""))
}

#[test]
fn a_request_goes_on_as_it_came() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    for request in [
        "GET /api?filters={\"status\":[\"running\"]}&x=<y>`|\u{e9} HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "get //a/../b?x[]=%zz HTTP/1.1\r\nhost:{host}\r\nX-b: 1\r\nUser-Agent:  two spaces \r\nx-B: 2\r\nCookie: v=\u{1}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: {host}\r\nsec-ch-ua: x\r\nX-Time(ms): 5\r\nX-caf\u{e9}: 1\r\nEmpty:\r\nX-Latin: \u{fc}\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n",
    ] {
        let (_, _, head) = asked(&proxy, &recorder, request);
        assert_eq!(head, request.replace("{host}", &recorder.target()));
    }
    // Folding is obsolete, and becomes a space.
    let folded = "GET / HTTP/1.1\r\nHost: {host}\r\nX-Folded: one\r\n\ttwo\r\nX: y\r\n\r\n";
    let (_, _, head) = asked(&proxy, &recorder, folded);
    assert!(head.contains("X-Folded: one two\r\nX: y\r\n"), "{head}");
    // What is the connection's own goes, and nothing moves.
    let hops = "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive, X-Mine\r\nA: 1\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nB: 2\r\n\r\n";
    let (_, _, head) = asked(&proxy, &recorder, hops);
    assert!(
        head.ends_with("A: 1\r\nB: 2\r\n\r\n") && !head.contains("onnection"),
        "{head}"
    );
}

#[test]
fn a_response_goes_on_as_it_came_or_is_mended() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let kept = "HTTP/1.1 200 Quite  all right\r\nset-cookie: v=\u{1}OZ; path=/\r\nX-A:b\r\nX Powered By: b\r\nX-Time(ms): 5\r\n\
                Set-Cookie: w\r\nContent-Length: 2\r\n\r\n";
    for (came, goes) in [
        (kept, kept),
        (
            "HTTP/1.1  200 OK\r\nA : b\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\nA: b\n c\nContent-Length: 2\n\n",
            "HTTP/1.1 200 OK\r\nA: b c\r\nContent-Length: 2\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nPHP Warning in a head\r\n: none\r\nContent-Length: 2, 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        ),
        (
            "HTTP/1.1 999 Denied\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 999 Denied\r\nContent-Length: 2\r\n\r\n",
        ),
    ] {
        let (mut client, mut origin, _) = asked(&proxy, &recorder, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        origin.send(format!("{came}ok"));
        let head = client.head().unwrap().replace("Via: 1.1 wsbump\r\n", "");
        assert_eq!(head, goes);
        assert_eq!(client.exactly(2), b"ok");
    }
}

#[test]
fn ambiguous_responses_are_a_502_by_name() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    for (response, fault) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
            "different_lengths",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "coding_list",
        ),
        (
            "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
            "bare_carriage_return",
        ),
        ("HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 2\r\n\r\nok", "nul"),
        ("SSH-2.0-OpenSSH\r\n", "status_line"),
    ] {
        let (mut client, mut origin, _) = asked(&proxy, &recorder, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        origin.send(response);
        let answer = client.answer();
        assert_eq!(answer.status, 502, "{response:?}: {}", answer.head);
        assert!(client.rest().is_empty() && origin.rest().is_empty(), "both end");
        let line = proxy.log("request", |line| line["malformed"] == fault);
        assert_eq!(line["error"], "http_protocol_error", "{line}");
        proxy.metric(
            "wsbump_http_malformed_total",
            &[("kind", fault), ("side", "origin")],
            1.0,
        );
    }
}

#[test]
fn what_hides_in_chunks_is_refused_and_never_vanishes() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    for (content, fault) in [
        ("0\n\r\n", "chunk_line"),
        ("2 \r\nok\r\n0\r\n\r\n", "chunk_size"),
        ("+2\r\nok\r\n0\r\n\r\n", "chunk_size"),
        ("2;a\nb\r\nok\r\n0\r\n\r\n", "chunk_line"),
        ("2\r\nokay\r\n0\r\n\r\n", "chunk_data"),
    ] {
        let (mut client, mut origin, _) = asked(
            &proxy,
            &recorder,
            &format!(
                "POST / HTTP/1.1\r\nHost: {{host}}\r\nTransfer-Encoding: chunked\r\n\r\n{content}\
                 GET /next HTTP/1.1\r\nHost: {{host}}\r\n\r\n"
            ),
        );
        let answer = client.answer();
        assert_eq!(answer.status, 400, "{content:?}: {}", answer.head);
        let rest = origin.rest();
        assert!(
            !rest.windows(5).any(|word| word == b"/next"),
            "{content:?}: {rest:?}"
        );
        proxy.log("request", |line| {
            line["malformed"] == fault && line["status"] == 400
        });
    }
    proxy.metric(
        "wsbump_http_malformed_total",
        &[("kind", "chunk_size"), ("side", "client")],
        2.0,
    );
}

#[test]
fn a_response_whose_chunks_break_off_is_cut_and_blamed_on_the_origin() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let (mut client, mut origin, _) = asked(&proxy, &recorder, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    origin.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n+5\r\n");
    client.head().unwrap();
    assert_eq!(client.rest(), b"4\r\npart\r\n");
    let line = proxy.log("request", |_| true);
    assert_eq!(
        (&line["error"], &line["malformed"]),
        (&"origin_aborted".into(), &"chunk_size".into()),
        "{line}"
    );
}

#[test]
fn interim_responses_and_trailers_pass() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let (mut client, mut origin, _) = asked(&proxy, &recorder, "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    origin.send("HTTP/1.1 102 Processing\r\n\r\n");
    assert_eq!(client.head().unwrap(), "HTTP/1.1 102 Processing\r\n\r\n");
    origin.send("HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n");
    assert_eq!(
        client.head().unwrap(),
        "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n"
    );
    // Neither declared nor asked for; what would frame the message is no trailer.
    origin.send(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;name=value\r\nok\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\n\r\n",
    );
    assert!(client.head().unwrap().contains("Transfer-Encoding: chunked\r\n"));
    assert_eq!(client.exactly(22), b"2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n");
    // HTTP/1.0 knows neither.
    let (mut client, mut origin, _) = asked(
        &proxy,
        &recorder,
        "GET / HTTP/1.0\r\nHost: {host}\r\n\r\n"
            .replace("1.0", "1.1")
            .as_str(),
    );
    origin.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer().status, 204);
    let mut old = tls(&proxy, &recorder.target());
    old.send(format!("GET / HTTP/1.0\r\nHost: {}\r\n\r\n", recorder.target()));
    let mut origin = recorder.accept();
    let head = origin.head().unwrap();
    assert!(
        head.starts_with("GET / HTTP/1.1\r\n") && head.contains("Via: 1.0 wsbump"),
        "{head}"
    );
    origin.send("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n");
    let head = old.head().unwrap();
    assert!(
        head.starts_with("HTTP/1.0 200 OK\r\n") && !head.contains("hunked"),
        "{head}"
    );
    assert_eq!(old.rest(), b"ok");
}

#[test]
fn a_client_that_ends_its_stream_gets_its_answer() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    let mut client = tls(&proxy, &recorder.target());
    client.send(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", recorder.target()));
    client.half_close();
    let mut origin = recorder.accept();
    origin.head().unwrap();
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let answer = client.answer();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
    assert!(client.rest().is_empty());

    let (listener, port) = tcp();
    let mut client = Wire::new(dial(&proxy.address));
    client.send(format!(
        "GET http://origin.test:{port}/ HTTP/1.1\r\nHost: origin.test:{port}\r\n\r\n"
    ));
    client.half_close();
    let mut origin = accept(&listener);
    origin.head().unwrap();
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.answer().body, b"ok");
    assert!(client.rest().is_empty());
    let lines = proxy.terminate().out.join("\n");
    assert!(!lines.contains("aborted"), "{lines}");
}

#[test]
fn requests_that_were_sent_before_the_stream_ended_get_their_answers() {
    let proxy = Proxy::start();
    let asked: String = (0..5)
        .map(|n| format!("GET {{url}}/{n} HTTP/1.1\r\nHost: {{host}}\r\n\r\n"))
        .collect();
    let recorder = Recorder::start();
    let mut secure = tls(&proxy, &recorder.target());
    secure.send(asked.replace("{url}", "").replace("{host}", &recorder.target()));
    secure.half_close();
    let mut origin = recorder.accept();
    for n in 0..5 {
        let head = origin.head().unwrap();
        assert!(head.starts_with(&format!("GET /{n} ")), "{head}");
        origin.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{n}"));
        assert_eq!(secure.answer().body, n.to_string().into_bytes());
    }
    assert!(secure.rest().is_empty());

    let (listener, port) = tcp();
    let mut plain = Wire::new(dial(&proxy.address));
    let host = format!("origin.test:{port}");
    plain.send(
        asked
            .replace("{url}", &format!("http://{host}"))
            .replace("{host}", &host),
    );
    plain.half_close();
    let mut origin = accept(&listener);
    for n in 0..5 {
        let head = origin.head().unwrap();
        assert!(head.starts_with(&format!("GET /{n} ")), "{head}");
        origin.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{n}"));
        assert_eq!(plain.answer().body, n.to_string().into_bytes());
    }
    assert!(plain.rest().is_empty());
}

#[test]
fn requests_behind_the_last_answer_have_their_lines() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    for last in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n-",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok",
    ] {
        let mut client = tls(&proxy, &recorder.target());
        let host = recorder.target();
        let post = format!(
            "POST /post HTTP/1.1\r\nHost: {host}\r\nContent-Length: 40\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        let get = |path: &str| format!("GET {path}?secret HTTP/1.1\r\nHost: {host}\r\n\r\n");
        client.send([get("/first"), get("/second"), get("/third"), post].concat());
        let mut origin = recorder.accept();
        origin.head().unwrap();
        origin.send(last);
        drop(origin);
        client.rest();
    }
    let lines = proxy.terminate().out;
    for path in ["/second", "/third", "/post"] {
        let url = format!("\"url\":\"https://{}{path}\"", recorder.target());
        let told = lines
            .iter()
            .filter(|line| line.contains(&url) && line.contains("\"error\":\"request_not_taken\""));
        assert_eq!(told.count(), 3, "{path}: {lines:#?}");
    }
    let ended = lines.iter().filter(|line| line.contains("\"requests\":4,"));
    assert_eq!(ended.count(), 3, "{lines:#?}");
    assert!(!lines.join("\n").contains("hidden"));
}

#[test]
fn a_target_that_is_none_names_no_other_host_in_the_log() {
    let proxy = Proxy::start();
    let recorder = Recorder::start();
    for target in [".evil.test/x", "@evil.test/", "*", "a.test:1"] {
        let mut client = tls(&proxy, &recorder.target());
        client.send(format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n",
            recorder.target()
        ));
        assert_eq!(client.answer().status, 400, "{target}");
    }
    let ended = proxy.terminate();
    let lines = ended
        .out
        .iter()
        .filter(|line| line.contains("\"type\":\"request\""));
    let url = format!("\"url\":\"https://{}\"", recorder.target());
    assert_eq!(
        lines.filter(|line| line.contains(&url)).count(),
        4,
        "{:#?}",
        ended.out
    );
}

#[test]
fn whoever_sends_no_http_hears_what_it_did() {
    let proxy = Proxy::start();
    for (bytes, status, fault) in [
        (&b"\x16\x03\x01\x02\x00"[..], 400, "tls"),
        (b"\x00\x01\x02", 400, "request_line"),
        (b"GET /\r\n\r\n", 400, "request_line"),
        (b"GET http://a.test/ HTTP/2.0\r\n\r\n", 505, "http_version"),
        (b"GET http://a.test/ HTTP/1.1\r\n\r\n", 400, "no_host"),
        (
            b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
            400,
            "repeated_host",
        ),
        (b"CONNECT a.test:443 HTTP/1.1\r\n\r\n", 400, "no_host"),
        (
            b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
            400,
            "repeated_host",
        ),
        (
            b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nExpect: 200-maybe\r\n\r\n",
            417,
            "expectation",
        ),
    ] {
        let mut wire = Wire::new(dial(&proxy.address));
        wire.send(bytes);
        let answer = wire.answer();
        assert_eq!(answer.status, status, "{bytes:?}: {}", answer.head);
        assert!(wire.rest().is_empty());
        let line = proxy.log("request", |line| {
            line["malformed"] == fault && line["status"] == status
        });
        assert_eq!(line["error"], "http_request_error", "{line}");
    }
}

#[test]
fn curl_reads_what_browsers_read() {
    let proxy = Setup::new().start();
    let recorder = Recorder::start();
    let url = format!("https://{}/", recorder.target());
    let answering = std::thread::spawn(move || {
        let mut origin = recorder.accept();
        origin.head().unwrap();
        origin.send("HTTP/1.1 200 OK\r\nSet-Cookie: visit=dmo\u{1}OZ; path=/\r\nContent-Length: 2\r\n\r\nok");
        origin.rest();
    });
    let done = curl(Some(&proxy.url()), &proxy.ca, &["--http1.1", &url]);
    assert_eq!((done.code, done.status), (0, 200), "{done:?}");
    assert!(
        done.text.contains("visit=dmo\u{1}OZ") && done.text.ends_with("\nok"),
        "{done:?}"
    );
    answering.join().unwrap();
}
