//! What a sender can do to its body so that rules do not see it: none of it helps.

use crate::harness::clients::curl;
use crate::harness::proxy::{Proxy, Setup};
use crate::harness::raw::{Answer, header};
use crate::harness::road::{End, Road, Version, over_both};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use zstd_safe::{InBuffer, OutBuffer};

over_both!(
    no_label_keeps_a_request_from_being_held,
    a_part_that_nobody_asked_for_is_judged_and_none_is_asked_for,
    an_event_stream_is_stopped_at_the_piece_that_completes_a_match,
    a_coded_event_stream_is_read,
    a_coded_event_stream_that_breaks_is_seen_as_far_as_it_goes,
    what_no_event_stream_is_follows_policy,
    what_cannot_be_decoded_is_judged_as_far_as_it_can_be_read,
    text_in_wide_encodings_is_read,
    text_in_wide_encodings_is_changed_in_its_encoding,
    trailers_are_judged_with_the_heads,
    interim_responses_are_judged_with_the_heads,
    what_stands_behind_the_budget_is_judged_as_it_passes,
    the_kind_of_a_large_file_is_known_from_its_beginning,
);

const WORD: &str = "kestrel";

fn rule(action: &str, place: &str, what: &str) -> String {
    format!(
        "[[inspect.rule]]\nname = \"stop\"\nmode = \"enforce\"\naction = \"{action}\"\nin = [\"{place}\"]\n{what}\n"
    )
}

fn start(on_budget: &str, more: &str, rule: &str) -> Proxy {
    let config = format!("[inspect]\non_budget = \"{on_budget}\"\n{more}\n{rule}");
    Setup::new().config(&config).start()
}

/// One that stops bodies with the word in them.
fn stopping(on_budget: &str) -> Proxy {
    start(on_budget, "", &rule("drop", "body", "keywords = [\"kestrel\"]"))
}

fn get(road: &Road, more: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {}\r\n{more}\r\n", road.target())
}

fn post(road: &Road, more: &str, body: &str) -> String {
    let size = body.len();
    format!(
        "POST / HTTP/1.1\r\nHost: {}\r\n{more}Content-Length: {size}\r\n\r\n{body}",
        road.target()
    )
}

fn response(status: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// What a client gets for this response, and the origin for its request.
fn download(proxy: &Proxy, road: &Road, ask: &str, response: &[u8]) -> (String, Answer) {
    let mut client = road.client(proxy);
    client.send(ask);
    let mut origin = road.accept();
    let head = origin.head().unwrap();
    origin.send(response);
    (head, client.answer())
}

#[track_caller]
fn is_refused(answer: &Answer) {
    let text = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, 403, "{}{text}", answer.head);
    assert!(text.contains("\"stop\""), "{text}");
}

fn found(proxy: &Proxy, count: f64) {
    proxy.metric(
        "wsbump_inspect_findings_total",
        &[("rule", "stop"), ("mode", "enforce")],
        count,
    );
}

fn blind(proxy: &Proxy, reason: &str, stopped: &str, count: f64) {
    proxy.metric(
        "wsbump_inspect_blind_total",
        &[("reason", reason), ("stopped", stopped)],
        count,
    );
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn no_label_keeps_a_request_from_being_held(version: Version) {
    let proxy = stopping("pass");
    let url = version.echo().url("https", "/echo");
    for kind in [
        "text/event-stream",
        "multipart/x-mixed-replace; boundary=x",
        "application/grpc",
    ] {
        let label = format!("Content-Type: {kind}");
        let send = |body: &str| {
            let arguments = [version.curl(), "-H", &label, "--data", body, &url];
            curl(Some(&proxy.url()), &proxy.ca, &arguments)
        };
        let refused = send("all about kestrel");
        assert_eq!(refused.status, 403, "{kind}: {}", refused.text);
        assert_eq!(send("all about sparrows").status, 200, "{kind}");
    }
    found(&proxy, 3.0);
}

fn a_part_that_nobody_asked_for_is_judged_and_none_is_asked_for(version: Version) {
    let road = Road::start(version);
    let part = |body: &str| {
        response(
            "206 Partial Content",
            "Content-Range: bytes 0-6/100\r\n",
            body.as_bytes(),
        )
    };
    let ask = get(&road, "Range: bytes=0-6\r\nIf-Range: \"1\"\r\n");
    let proxy = stopping("pass");
    let (head, answer) = download(&proxy, &road, &ask, &part(WORD));
    is_refused(&answer);
    assert_eq!(
        (header(&head, "range"), header(&head, "if-range")),
        (None, None),
        "{head}"
    );
    // A rule for requests has no business with that.
    let uploads = rule(
        "drop",
        "body",
        "direction = \"to_origin\"\nkeywords = [\"kestrel\"]",
    );
    let (head, answer) = download(&start("pass", "", &uploads), &road, &ask, &part(WORD));
    assert_eq!((answer.status, &answer.body[..]), (206, WORD.as_bytes()));
    assert_eq!(header(&head, "range"), Some("bytes=0-6"), "{head}");
}

/// An event stream that has begun: both ends.
fn events(proxy: &Proxy, road: &Road, kind: &str, more: &str) -> (End, End) {
    let mut client = road.client(proxy);
    client.send(get(road, ""));
    let mut origin = road.accept();
    origin.head().unwrap();
    origin.send(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{more}Transfer-Encoding: chunked\r\n\r\n"
    ));
    (client, origin)
}

fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

fn an_event_stream_is_stopped_at_the_piece_that_completes_a_match(version: Version) {
    let proxy = stopping("close");
    let road = Road::start(version);
    for kind in ["text/event-stream", "multipart/x-mixed-replace; boundary=x"] {
        let (mut client, mut origin) = events(&proxy, &road, kind, "");
        client.head().unwrap();
        for piece in [&b"data: one\n\n"[..], b"data: kest"] {
            origin.send(chunk(piece));
            assert_eq!(
                client.exactly(chunk(piece).len()),
                chunk(piece),
                "it waits for no more"
            );
        }
        origin.send(chunk(b"rel\n\n"));
        assert_eq!(client.rest(), b"", "neither the rest of the match nor an end");
        let line = proxy.log("request", |_| true);
        assert_eq!(
            (&line["status"], &line["error"]),
            (&200.into(), &"content_refused".into()),
            "{line}"
        );
    }
    found(&proxy, 2.0);
    // One in which nothing is found comes to its end.
    let (mut client, mut origin) = events(&proxy, &road, "text/event-stream", "");
    origin.send(chunk(b"data: a kest and a rel\n\n"));
    origin.send("0\r\n\r\n");
    assert_eq!(client.answer().body, b"data: a kest and a rel\n\n");
}

/// A sender's coding of a stream: what it has flushed can be read.
type Coder = Box<dyn FnMut(&[u8]) -> Vec<u8>>;

fn gzip_stream() -> Coder {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    Box::new(move |data| {
        encoder.write_all(data).unwrap();
        encoder.flush().unwrap();
        std::mem::take(encoder.get_mut())
    })
}

fn zstd_stream() -> Coder {
    let mut encoder = zstd_safe::CCtx::create();
    encoder.init(3).unwrap();
    Box::new(move |data| {
        let mut out = Vec::with_capacity(1000 + data.len());
        let mut output = OutBuffer::around(&mut out);
        let mut input = InBuffer::around(data);
        encoder.compress_stream(&mut output, &mut input).unwrap();
        assert_eq!(
            (input.pos(), encoder.flush_stream(&mut output).unwrap()),
            (data.len(), 0)
        );
        out
    })
}

fn a_coded_event_stream_is_read(version: Version) {
    let proxy = stopping("close");
    let mut both = (zstd_stream(), gzip_stream());
    let twice: Coder = Box::new(move |data| both.1(&both.0(data)));
    let codings = [
        ("gzip", gzip_stream()),
        ("zstd", zstd_stream()),
        ("zstd, gzip", twice),
    ];
    for (seen, (coding, mut code)) in codings.into_iter().enumerate() {
        let road = Road::start(version);
        let stated = format!("Content-Encoding: {coding}\r\n");
        let (mut client, mut origin) = events(&proxy, &road, "text/event-stream", &stated);
        client.head().unwrap();
        for event in [&b"data: sparrows\n\n"[..], b"data: kest"] {
            let event = chunk(&code(event));
            origin.send(&event);
            assert_eq!(
                client.exactly(event.len()),
                event,
                "{coding}: it is there at once"
            );
        }
        origin.send(chunk(&code(b"rel\n\n")));
        assert_eq!(client.rest(), b"", "{coding}");
        found(&proxy, (seen + 1) as f64);
    }
    // Events in a coding that cannot be read on the way are no more seen than anything else of that kind.
    for (on_budget, status, stopped) in [("close", 502, "true"), ("pass", 200, "false")] {
        let proxy = stopping(on_budget);
        for coding in ["compress", "gzip, gzip, gzip, gzip"] {
            let stated = format!("Content-Encoding: {coding}\r\n");
            let road = Road::start(version);
            let (mut client, mut origin) = events(&proxy, &road, "text/event-stream", &stated);
            origin.send("0\r\n\r\n");
            assert_eq!(client.answer().status, status);
        }
        blind(&proxy, "unknown_coding", stopped, 2.0);
    }
}

fn a_coded_event_stream_that_breaks_is_seen_as_far_as_it_goes(version: Version) {
    // Behind a piece in which the word is comes nonsense: as much as was decoded is judged, and what came.
    for (coding, mut code) in [("gzip", gzip_stream()), ("zstd", zstd_stream())] {
        let proxy = stopping("pass");
        let road = Road::start(version);
        let stated = format!("Content-Encoding: {coding}\r\n");
        let (mut client, mut origin) = events(&proxy, &road, "text/event-stream", &stated);
        client.head().unwrap();
        let broken = [&code(b"data: kestrel\n\n")[..], b"\xff no block at all"].concat();
        origin.send(chunk(&broken));
        assert_eq!(client.rest(), b"", "{coding}");
        blind(&proxy, "corrupt", "false", 1.0);
        found(&proxy, 1.0);
    }
}

fn what_no_event_stream_is_follows_policy(version: Version) {
    let documents = rule("drop", "body", "decode = \"json\"\nkeywords = [\"kestrel\"]");
    for (on_budget, stopped) in [("close", "true"), ("pass", "false")] {
        let proxy = start(on_budget, "", &documents);
        let road = Road::start(version);
        // The word is there for whoever reads all of the document: no rule looks back so far.
        let begin = format!("{{\"pad\": \"{}\", \"word\": \"\\u006b", "x".repeat(30_000));
        let rest = "estrel\"}";
        let mut client = road.client(&proxy);
        client.send(get(&road, ""));
        let mut origin = road.accept();
        origin.head().unwrap();
        origin.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {}\r\n\r\n{begin}",
            begin.len() + rest.len()
        ));
        client.head().unwrap();
        let passes = on_budget == "pass";
        assert_eq!(client.exactly(begin.len()) == begin.as_bytes(), passes);
        if passes {
            origin.send(rest);
            assert_eq!(client.exactly(rest.len()), rest.as_bytes());
        }
        blind(&proxy, "endless", stopped, 1.0);
        // Events are none, whatever is in them. The other origin's connection may be kept.
        let road = Road::start(version);
        let (mut client, mut origin) = events(&proxy, &road, "text/event-stream", "");
        origin.send(chunk(b"data: {\"word\": 1}\n\n"));
        origin.send("0\r\n\r\n");
        assert_eq!(client.answer().body, b"data: {\"word\": 1}\n\n");
        blind(&proxy, "endless", stopped, 1.0);
    }
}

fn what_cannot_be_decoded_is_judged_as_far_as_it_can_be_read(version: Version) {
    let text = format!(
        "all about {WORD}, {}",
        (0..3000).map(|n| n.to_string()).collect::<String>()
    );
    let whole = gzip(text.as_bytes());
    let mut unsound = whole.clone();
    let sum = unsound.len() - 6;
    unsound[sum] ^= 1;
    let behind = [&gzip(b"harmless")[..], b"and kestrel"].concat();
    let cases = [
        ("gzip", text.clone().into_bytes(), "corrupt"),
        ("br", text.clone().into_bytes(), "corrupt"),
        ("zstd", text.clone().into_bytes(), "corrupt"),
        ("compress", text.clone().into_bytes(), "unknown_coding"),
        ("gzip", whole[..whole.len() / 2].to_vec(), "corrupt"),
        ("gzip", unsound, "corrupt"),
        ("gzip", behind, "corrupt"),
        ("compress, gzip", whole.clone(), "unknown_coding"),
        (
            "deflate, br, identity, zstd, gzip",
            gzip(text.as_bytes()),
            "unknown_coding",
        ),
    ];
    let proxy = stopping("pass");
    let road = Road::start(version);
    for (coding, body, _) in &cases {
        let stated = format!("Content-Encoding: {coding}\r\n");
        let (_, answer) = download(&proxy, &road, &get(&road, ""), &response("200 OK", &stated, body));
        is_refused(&answer);
    }
    found(&proxy, cases.len() as f64);
    // Where nothing is found, it is still not all that there is.
    for (on_budget, status, stopped) in [("pass", 200, "false"), ("close", 502, "true")] {
        let proxy = stopping(on_budget);
        let body = b"sparrows";
        for (coding, reason) in [("gzip", "corrupt"), ("compress", "unknown_coding")] {
            let stated = format!("Content-Encoding: {coding}\r\n");
            let (_, answer) = download(&proxy, &road, &get(&road, ""), &response("200 OK", &stated, body));
            assert_eq!(
                (answer.status, answer.body == body),
                (status, status == 200),
                "{coding}"
            );
            blind(&proxy, reason, stopped, 1.0);
        }
    }
}

/// Text in UTF-16 or UTF-32.
fn wide(mark: &[u8], width: usize, is_big: bool, text: &str) -> Vec<u8> {
    let mut out = mark.to_vec();
    for byte in text.bytes() {
        let mut unit = vec![0; width];
        unit[if is_big { width - 1 } else { 0 }] = byte;
        out.extend(unit);
    }
    out
}

fn text_in_wide_encodings_is_read(version: Version) {
    let proxy = stopping("close");
    let road = Road::start(version);
    let text = "all about kestrel";
    let cases = [
        ("text/plain", wide(b"\xff\xfe", 2, false, text)),
        ("text/plain", wide(b"\xfe\xff", 2, true, text)),
        ("text/plain", wide(b"\xff\xfe\0\0", 4, false, text)),
        ("text/plain", wide(b"\0\0\xfe\xff", 4, true, text)),
        ("text/html; charset=utf-16le", wide(b"", 2, false, text)),
        (
            "application/json",
            wide(b"", 2, true, &format!("{{\"a\": \"{text}\"}}")),
        ),
    ];
    for (kind, body) in &cases {
        let stated = format!("Content-Type: {kind}\r\n");
        let (_, answer) = download(&proxy, &road, &get(&road, ""), &response("200 OK", &stated, body));
        is_refused(&answer);
    }
    found(&proxy, cases.len() as f64);
}

fn text_in_wide_encodings_is_changed_in_its_encoding(version: Version) {
    let proxy = start(
        "close",
        "",
        &rule("redact", "body", "with = \"*\"\nkeywords = [\"kestrel\"]"),
    );
    let road = Road::start(version);
    let said = |body: &[u8]| {
        let stated = "Content-Type: text/plain; charset=utf-16le\r\n";
        download(&proxy, &road, &get(&road, ""), &response("200 OK", stated, body)).1
    };
    let answer = said(&wide(b"\xff\xfe", 2, false, "all about kestrel"));
    assert_eq!(
        (answer.status, answer.body),
        (200, wide(b"\xff\xfe", 2, false, "all about *"))
    );
    // What is read in two ways cannot be written in both.
    is_refused(&said(&wide(b"\xfe\xff", 2, true, "all about kestrel")));
    found(&proxy, 2.0);
}

fn trailers_are_judged_with_the_heads(version: Version) {
    let proxy = start(
        "close",
        "",
        &rule("drop", "head", "regex = [\"(?m)^x-note: .*kestrel\"]"),
    );
    let road = Road::start(version);
    // Of a response.
    let (mut client, mut origin) = events(&proxy, &road, "text/plain", "");
    client.head().unwrap();
    origin.send([&chunk(b"content")[..], b"0\r\nX-Note: about kestrel\r\n\r\n"].concat());
    assert_eq!(client.rest(), chunk(b"content"), "neither trailers nor an end");
    found(&proxy, 1.0);
    let line = proxy.log("request", |_| true);
    assert_eq!(line["error"], "content_refused", "{line}");
    // Of a request.
    let mut client = road.client(&proxy);
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ncontent\r\n0\r\nX-Note: kestrel\r\n\r\n",
        road.target()
    ));
    is_refused(&client.answer());
    // A stream may be reset before anything of its request was sent.
    if version == Version::Http1 {
        let got = String::from_utf8(road.accept().rest()).unwrap();
        assert!(!got.contains("kestrel") && !got.ends_with("0\r\n\r\n"), "{got}");
    }
    found(&proxy, 2.0);
    // Others pass.
    let (mut client, mut origin) = events(&proxy, &road, "text/plain", "");
    client.head().unwrap();
    let all = [&chunk(b"content")[..], b"0\r\nX-Note: about sparrows\r\n\r\n"].concat();
    origin.send(&all);
    let got = client.exactly(all.len());
    assert_eq!(got.to_ascii_lowercase(), all.to_ascii_lowercase());
}

fn interim_responses_are_judged_with_the_heads(version: Version) {
    let proxy = start("close", "", &rule("drop", "head", "keywords = [\"kestrel\"]"));
    let road = Road::start(version);
    for (link, status) in [("/kestrel", 403), ("/sparrow", 200)] {
        let mut client = road.client(&proxy);
        client.send(get(&road, ""));
        let mut origin = road.accept();
        origin.head().unwrap();
        origin.send(format!("HTTP/1.1 103 Early Hints\r\nLink: <{link}>\r\n\r\n"));
        if status == 200 {
            let early = client.head().unwrap();
            assert!(
                early.starts_with("HTTP/1.1 103 ") && early.contains(link),
                "{early}"
            );
            origin.send(response("200 OK", "", b"content"));
        }
        assert_eq!(client.answer().status, status);
    }
    found(&proxy, 1.0);
}

fn what_stands_behind_the_budget_is_judged_as_it_passes(version: Version) {
    let small = "message_bytes = \"64KiB\"\nconnection_bytes = \"1MiB\"";
    let words = rule("drop", "body", "keywords = [\"kestrel\"]");
    let padding = "x".repeat(300_000);
    let road = Road::start(version);
    for on_budget in ["pass", "close"] {
        let proxy = start(on_budget, small, &words);
        // A download, with a half of the word on each side of what was held, and far behind that.
        let begins = format!("{}kest", &padding[..65_533]);
        for (begin, rest) in [(&begins, "rel"), (&padding, WORD)] {
            let mut client = road.client(&proxy);
            client.send(get(&road, ""));
            let mut origin = road.accept();
            origin.head().unwrap();
            let size = begin.len() + rest.len() + 9;
            origin.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{begin}"
            ));
            let head = client.head().unwrap();
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            assert!(client.exactly(begin.len()) == begin.as_bytes());
            origin.send(format!("{rest} and more"));
            assert_eq!(client.rest(), b"");
        }
        // An upload.
        let mut client = road.client(&proxy);
        client
            .try_send(post(&road, "", &format!("{padding}{WORD}{padding}")))
            .ok();
        let mut origin = road.accept();
        let got = String::from_utf8(origin.rest()).unwrap();
        assert!(got.len() > 60_000 && !got.contains(WORD), "{}", got.len());
        found(&proxy, 3.0);
        // What is harmless passes, at any size.
        let (_, answer) = download(
            &proxy,
            &road,
            &get(&road, ""),
            &response("200 OK", "", padding.as_bytes()),
        );
        assert!(
            answer.status == 200 && answer.body == padding.as_bytes(),
            "{}",
            answer.head
        );
        blind(&proxy, "message_budget", "true", 0.0);
        blind(&proxy, "message_budget", "false", 0.0);
    }
}

fn the_kind_of_a_large_file_is_known_from_its_beginning(version: Version) {
    let small = "message_bytes = \"64KiB\"\nconnection_bytes = \"1MiB\"";
    let proxy = start("close", small, &rule("drop", "body", "files = [\"executable\"]"));
    let road = Road::start(version);
    let program = [&b"\x7fELF"[..], &[0; 300_000]].concat();
    let (_, answer) = download(&proxy, &road, &get(&road, ""), &response("200 OK", "", &program));
    is_refused(&answer);
    // Further inside, the same bytes say nothing.
    let other = [&[b'x'; 100_000][..], &program].concat();
    let (_, answer) = download(&proxy, &road, &get(&road, ""), &response("200 OK", "", &other));
    assert!(answer.status == 200 && answer.body == other, "{}", answer.head);
    found(&proxy, 1.0);
}
