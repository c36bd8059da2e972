use super::super::testing::{Changeable, Content, Peer, Turn, body, hears, message, says};
use super::*;
use crate::dial::ServiceNames;
use crate::scan::Endpoint;
use crate::wire::frame::Direction::{self, ToClient, ToOrigin};
use bytes::Bytes;
use head::{AnsweredMessage, HEAD_MAX, IcapHead, Layout};
use std::sync::Arc as Shared;

mod tls;

impl Icap {
    async fn ask(&self, item: &ScanItem) -> ScanAnswer {
        self.scan(item, &Progress::new()).await
    }
}

const OPTIONS: &str =
    "ICAP/1.0 200 OK\r\nMethods: REQMOD, RESPMOD\r\nISTag: \"a\"\r\nEncapsulated: null-body=0\r\n\r\n";
const NOTHING: &str = "ICAP/1.0 204 No Content\r\nISTag: \"a\"\r\n\r\n";
const INFECTED: &str = "ICAP/1.0 200 OK\r\nISTag: \"a\"\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\n\
    Encapsulated: res-hdr=0, res-body=26\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\n4\r\npage\r\n0\r\n\r\n";

fn asked() -> Turn {
    Turn::HearsUntil(b"null-body=0\r\n\r\n".to_vec())
}

fn options(more: &str) -> Turn {
    says(OPTIONS.replace("ISTag", &format!("{more}ISTag")))
}

fn heard(end: &str) -> Turn {
    Turn::HearsUntil(end.as_bytes().to_vec())
}

fn client(peer: &Peer) -> Icap {
    client_of(&peer.endpoint(), 1 << 20)
}

fn client_of(endpoint: &Endpoint, max_size: usize) -> Icap {
    let url = IcapUrl::parse(&format!("icap://{endpoint}/scan")).unwrap();
    Icap::new(&IcapConfig::new(url), &ServiceNames::default(), 2, max_size)
}

fn found(name: &str) -> ScanAnswer {
    Ok(ScanOutcome::Found(name.to_owned()))
}

/// What comes of this answer to the scan of `content`, and of the same answer at a byte at a time.
async fn answered(direction: Direction, content: &str, answer: &str) -> ScanAnswer {
    let mut answers = Vec::new();
    for reply in [says(answer), Turn::SaysSlowly(answer.as_bytes().to_vec())] {
        let peer = Peer::tcp(vec![vec![asked(), options(""), heard("0\r\n\r\n"), reply]]).await;
        answers.push(client(&peer).ask(&message(direction, content)).await);
        peer.ended().await;
    }
    assert_eq!(answers[0], answers[1], "{answer}");
    answers.remove(0)
}

/// A 200 with this HTTP message inside.
fn modified(kind: &str, head: &str, content: &str) -> String {
    format!(
        "ICAP/1.0 200 OK\r\nISTag: \"a\"\r\nEncapsulated: {kind}-hdr=0, {kind}-body={}\r\n\r\n{head}{:x}\r\n{content}\r\n0\r\n\r\n",
        head.len(),
        content.len()
    )
}

#[test]
fn a_message_towards_the_origin_is_a_post_with_exact_offsets() {
    let item = message(ToOrigin, "hello");
    let wrapped = Wrapped::new(&item);
    let url = IcapUrl::parse("icap://scanner/avscan").unwrap();
    let tell = Tell {
        client_ip: true,
        user: true,
    };
    let head = wrapped.head(&url, &item, tell, Some(5));
    let inner = "POST https://example.com/chat?x=1 HTTP/1.1\r\nhost: example.com\r\norigin: https://example.com\r\n\
                 content-type: text/plain; charset=utf-8\r\nx-websocket-opcode: text\r\n\
                 x-websocket-direction: to_origin\r\ncontent-length: 5\r\n\r\n";
    let wanted = format!(
        "REQMOD icap://scanner:1344/avscan ICAP/1.0\r\nHost: scanner:1344\r\nAllow: 204\r\nPreview: 5\r\n\
         X-Client-IP: 192.0.2.1\r\nEncapsulated: req-hdr=0, req-body={}\r\n\r\n{inner}",
        inner.len()
    );
    assert_eq!(String::from_utf8_lossy(&head), wanted);
}

#[test]
fn a_user_is_told_only_where_that_is_wanted() {
    let mut item = message(ToOrigin, "hello");
    let mut facts = (*item.facts).clone();
    facts.user = Some(Shared::new("alice".into()));
    item.facts = Shared::new(facts);
    let url = IcapUrl::parse("icap://scanner/avscan").unwrap();
    for (user, client_ip) in [(true, false), (false, true)] {
        let head = Wrapped::new(&item).head(&url, &item, Tell { client_ip, user }, None);
        let head = String::from_utf8_lossy(&head);
        assert_eq!(head.contains("X-Client-Username: alice\r\n"), user);
        // What coreutils' base64 makes of Local://alice.
        let encoded = "X-Authenticated-User: TG9jYWw6Ly9hbGljZQ==\r\n";
        assert_eq!(head.contains(encoded), user);
        assert_eq!(head.contains("X-Client-IP: 192.0.2.1\r\n"), client_ip);
    }
}

#[test]
fn a_body_keeps_its_heads_but_for_what_concerns_the_connection_and_the_coding() {
    let headers = [
        ("content-type", "text/css"),
        ("content-encoding", "br"),
        ("content-length", "3"),
        ("transfer-encoding", "chunked"),
        ("connection", "keep-alive, x-mine"),
        ("x-mine", "1"),
        ("etag", "\"e\""),
    ];
    let item = body(ToClient, "/a.css", &headers, b"decoded");
    let url = IcapUrl::parse("icap://scanner/x").unwrap();
    let tell = Tell {
        client_ip: false,
        user: false,
    };
    let request = "GET https://example.com/a.css HTTP/1.1\r\nhost: example.com\r\n\r\n";
    let head = String::from_utf8(Wrapped::new(&item).head(&url, &item, tell, None).to_vec()).unwrap();
    let (icap, inner) = head.split_once("\r\n\r\n").unwrap();
    let offsets = format!(
        "Encapsulated: req-hdr=0, res-hdr={}, res-body={}",
        request.len(),
        inner.len()
    );
    assert!(icap.ends_with(&offsets), "{head}");
    let response = inner.strip_prefix(request).unwrap();
    let mut lines: Vec<&str> = response.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "HTTP/1.1 200 OK");
    lines.sort_unstable();
    assert_eq!(
        lines,
        ["content-length: 7", "content-type: text/css", "etag: \"e\""]
    );
    assert_eq!(request::extension(&item), Some("css"));
    assert_eq!(request::extension(&message(ToClient, "")), None);
}

#[tokio::test]
async fn every_kind_of_answer() {
    let post = "POST https://example.com/chat?x=1 HTTP/1.1\r\nHost: example.com\r\n\r\n";
    let ok = "HTTP/1.1 200 OK\r\n\r\n";
    let text = |text: &'static str| Ok(ScanOutcome::Replaced(Bytes::from_static(text.as_bytes())));
    for (direction, answer, wanted) in [
        (ToOrigin, NOTHING.to_owned(), Ok(ScanOutcome::Clean)),
        (ToOrigin, modified("req", post, "hello"), Ok(ScanOutcome::Clean)),
        (ToClient, modified("res", ok, "hello"), Ok(ScanOutcome::Clean)),
        (ToOrigin, modified("req", post, "better"), text("better")),
        (
            ToOrigin,
            modified("req", "POST /chat?x=1 HTTP/1.0\r\n\r\n", "better"),
            text("better"),
        ),
        (ToClient, modified("res", ok, "better"), text("better")),
        (
            ToClient,
            modified("res", "HTTP/1.1 203 X\r\n\r\n", "better"),
            text("better"),
        ),
        (
            ToClient,
            format!(
                "ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, null-body={}\r\n\r\n{ok}",
                ok.len()
            ),
            text(""),
        ),
        (ToOrigin, INFECTED.to_owned(), found("Eicar")),
        (ToClient, INFECTED.to_owned(), found("Eicar")),
        (
            ToClient,
            INFECTED.replace(
                "X-Infection-Found: Type=0; Resolution=2; Threat=Eicar;",
                "X-Virus-ID: Worm 1",
            ),
            found("Worm 1"),
        ),
        (
            ToClient,
            INFECTED.replace(
                "X-Infection-Found: Type=0; Resolution=2; Threat=Eicar;",
                "X-Violations-Found: 1\r\n\t-\r\n\tEicar.B\r\n\t0\r\n\t0",
            ),
            found("Eicar.B"),
        ),
        (
            ToClient,
            modified("res", "HTTP/1.1 403 No\r\n\r\n", "page"),
            found("the scanner answers with status 403"),
        ),
        (
            ToClient,
            modified("res", "HTTP/1.1 302 F\r\nLocation: /x\r\n\r\n", "page"),
            found("the scanner answers with status 302"),
        ),
        (
            ToOrigin,
            modified("res", ok, "page"),
            found("the scanner answers with status 200"),
        ),
        (
            ToOrigin,
            modified("req", "GET http://block/ HTTP/1.1\r\n\r\n", "hello"),
            found("the request was turned into GET http://block/"),
        ),
    ] {
        assert_eq!(answered(direction, "hello", &answer).await, wanted, "{answer}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_fails_with_a_text() {
    let ok = "HTTP/1.1 200 OK\r\n\r\n";
    for (answer, word) in [
        ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), "speak ICAP"),
        ("ICAP/1.0 2000 OK\r\n\r\n".to_owned(), "speak ICAP"),
        ("ICAP/1.0 200 OK\r\n\r\n".to_owned(), "nothing of what is inside"),
        ("ICAP/1.0 200 OK\r\n: x\r\n\r\n".to_owned(), "broken"),
        ("ICAP/1.0 206 Partial\r\n\r\n".to_owned(), "206"),
        ("ICAP/1.0 500 Oops\r\n\r\n".to_owned(), "500"),
        ("ICAP/1.0 404 Service not found\r\n\r\n".to_owned(), "no such"),
        ("ICAP/1.0 100 Continue\r\n\r\n".to_owned(), "nothing is left"),
        (
            "ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n0\r\n\r\n".to_owned(),
            "no HTTP head",
        ),
        (modified("res", "HTTP/1.1 OK\r\n\r\n", "x"), "HTTP head inside"),
        (
            modified("res", ok, "x").replace("res-body=19", "res-body=18"),
            "HTTP head inside",
        ),
        (
            modified("res", ok, "x").replace("res-body=19", "res-body=99999999"),
            "too long",
        ),
        (modified("res", ok, "x").replace("1\r\nx", "z\r\nx"), "chunks"),
        (
            modified("res", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", "x"),
            "content coding",
        ),
    ] {
        let told = answered(ToClient, "hello", &answer).await;
        assert!(
            matches!(&told, Err(ScanFailure::Scanner(text)) if text.contains(word)),
            "{answer}: {told:?}"
        );
    }
}

/// Whoever sends content could otherwise have the scanner put to rest for everybody, by what it does not take.
#[tokio::test]
async fn what_is_about_the_content_is_no_failure_of_the_scanner() {
    for status in [
        "400 Bad request",
        "413 Too large",
        "414 URI too long",
        "431 Head too large",
    ] {
        let told = answered(ToClient, "hello", &format!("ICAP/1.0 {status}\r\n\r\n")).await;
        let (number, _) = status.split_once(' ').unwrap();
        assert!(
            matches!(&told, Err(ScanFailure::Content(text)) if text.contains(number)),
            "{told:?}"
        );
    }
    for status in ["401", "403", "405", "408", "500", "502", "503", "505"] {
        let told = answered(ToClient, "hello", &format!("ICAP/1.0 {status} No\r\n\r\n")).await;
        assert!(
            matches!(&told, Err(ScanFailure::Scanner(_))),
            "{status}: {told:?}"
        );
    }
}

#[tokio::test]
async fn heads_come_back_however_many_headers_they_have() {
    for (count, length) in [(500, 10), (250, 250), (1, 65_000)] {
        let names: Vec<String> = (0..count).map(|at| format!("x-{at}")).collect();
        let value = "v".repeat(length);
        let headers: Vec<_> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
        let item = body(ToOrigin, "/a", &headers, b"hello");
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        // The server has something to add.
        let head = format!(
            "PUT https://example.com/a HTTP/1.1\r\nhost: example.com\r\n{lines}via: {}\r\n\r\n",
            "s".repeat(2000)
        );
        let peer = Peer::tcp(vec![vec![
            asked(),
            options(""),
            heard("0\r\n\r\n"),
            says(modified("req", &head, "better")),
        ]])
        .await;
        let told = client(&peer).ask(&item).await;
        assert_eq!(
            told,
            Ok(ScanOutcome::Replaced(Bytes::from_static(b"better"))),
            "{count}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_anywhere_is_never_taken_for_another() {
    let whole = modified("res", "HTTP/1.1 200 OK\r\n\r\n", "better");
    for cut in 0..whole.len() {
        let peer = Peer::tcp(vec![vec![
            asked(),
            options(""),
            heard("0\r\n\r\n"),
            says(&whole[..cut]),
        ]])
        .await;
        let told = client(&peer).ask(&message(ToClient, "hello")).await;
        assert!(matches!(told, Err(ScanFailure::Scanner(_))), "{cut}: {told:?}");
    }
    // What is found is found as soon as it is said.
    let said = INFECTED.find("\r\n\r\n").unwrap() + 4;
    for cut in [said, said + 1, INFECTED.len() - 1] {
        let peer = Peer::tcp(vec![vec![
            asked(),
            options(""),
            heard("0\r\n\r\n"),
            says(&INFECTED[..cut]),
            Turn::Hold,
        ]])
        .await;
        assert_eq!(
            client(&peer).ask(&message(ToClient, "hello")).await,
            found("Eicar")
        );
    }
}

#[tokio::test]
async fn an_answer_has_bounds() {
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let long = modified("res", head, "x").replace("\r\n1\r\nx", "\r\n100001\r\nx");
    let told = answered(ToClient, "hello", &long).await;
    assert!(
        matches!(&told, Err(ScanFailure::Content(text)) if text.contains("larger than 1048576")),
        "{told:?}"
    );
    let endless = format!("ICAP/1.0 200 OK\r\nX: {}", "x".repeat(70_000));
    let peer = Peer::tcp(vec![vec![
        asked(),
        options(""),
        heard("0\r\n\r\n"),
        says(endless),
        Turn::Hold,
    ]])
    .await;
    let told = client(&peer).ask(&message(ToClient, "hello")).await;
    assert!(matches!(&told, Err(ScanFailure::Scanner(text)) if text.contains("does not end")));
}

#[tokio::test]
async fn a_preview_that_is_everything_says_so() {
    for most in [5, 6] {
        let peer = Peer::tcp(vec![vec![
            asked(),
            options(&format!("Preview: {most}\r\n")),
            heard("\r\n\r\n5\r\nhello\r\n0; ieof\r\n\r\n"),
            says(NOTHING),
        ]])
        .await;
        assert_eq!(
            client(&peer).ask(&message(ToOrigin, "hello")).await,
            Ok(ScanOutcome::Clean)
        );
        peer.ended().await;
    }
}

#[tokio::test]
async fn after_a_preview_the_rest_is_sent_only_if_it_is_wanted() {
    let more = "ICAP/1.0 100 Continue\r\n\r\n";
    for (turns, wanted) in [
        (vec![says(NOTHING)], Ok(ScanOutcome::Clean)),
        (vec![says(INFECTED)], found("Eicar")),
        (
            vec![says(more), hears("3\r\nllo\r\n0\r\n\r\n"), says(NOTHING)],
            Ok(ScanOutcome::Clean),
        ),
        (
            vec![says(more), hears("3\r\nllo\r\n0\r\n\r\n"), says(INFECTED)],
            found("Eicar"),
        ),
    ] {
        let mut script = vec![
            asked(),
            options("Preview: 2\r\n"),
            heard("\r\n\r\n2\r\nhe\r\n0\r\n\r\n"),
        ];
        script.extend(turns);
        let peer = Peer::tcp(vec![script]).await;
        assert_eq!(client(&peer).ask(&message(ToOrigin, "hello")).await, wanted);
        peer.ended().await;
    }
}

#[tokio::test]
async fn empty_content_has_no_body() {
    let peer = Peer::tcp(vec![vec![
        asked(),
        options("Preview: 0\r\n"),
        heard("null-body="),
        says(NOTHING),
    ]])
    .await;
    assert_eq!(
        client(&peer).ask(&message(ToClient, "")).await,
        Ok(ScanOutcome::Clean)
    );
    peer.ended().await;
}

#[tokio::test]
async fn connections_are_used_again_and_a_closed_one_costs_one_more_try() {
    // Four scans on the first connection. Then it is closed behind the next request: that is asked anew.
    let mut first = vec![asked(), options("")];
    for _ in 0..4 {
        first.extend([heard("0\r\n\r\n"), says(NOTHING)]);
    }
    first.push(heard("0\r\n\r\n"));
    let second = vec![heard("0\r\n\r\n"), says(INFECTED)];
    let peer = Peer::tcp(vec![first, second]).await;
    let client = client(&peer);
    for _ in 0..4 {
        assert_eq!(
            client.ask(&message(ToOrigin, "hello")).await,
            Ok(ScanOutcome::Clean)
        );
    }
    assert_eq!(client.ask(&message(ToOrigin, "hello")).await, found("Eicar"));
    peer.ended().await;
}

#[tokio::test]
async fn what_was_answered_in_part_is_not_asked_again() {
    let first = vec![asked(), options(""), heard("0\r\n\r\n"), says(&NOTHING[..10])];
    let peer = Peer::tcp(vec![first, vec![heard("0\r\n\r\n"), says(NOTHING)]]).await;
    let told = client(&peer).ask(&message(ToOrigin, "hello")).await;
    assert!(matches!(told, Err(ScanFailure::Scanner(_))), "{told:?}");
}

#[tokio::test]
async fn a_server_that_wants_to_close_is_left() {
    let close = NOTHING.replace("ISTag", "Connection: close\r\nISTag");
    let first = vec![asked(), options(""), heard("0\r\n\r\n"), says(close)];
    let peer = Peer::tcp(vec![first, vec![heard("0\r\n\r\n"), says(NOTHING)]]).await;
    let client = client(&peer);
    for _ in 0..2 {
        assert_eq!(
            client.ask(&message(ToOrigin, "hello")).await,
            Ok(ScanOutcome::Clean)
        );
    }
    peer.ended().await;
}

#[tokio::test]
async fn options_are_asked_again_when_they_have_run_out_or_the_service_changed() {
    let scan = || [heard("0\r\n\r\n"), says(NOTHING)];
    let mut script = Vec::new();
    // With no time to live at all they are asked for each scan.
    for _ in 0..2 {
        script.extend([asked(), options("Options-TTL: 0\r\n")]);
        script.extend(scan());
    }
    // Then they hold until another ISTag comes with a scan.
    script.extend([asked(), options("Options-TTL: 3600\r\n")]);
    script.extend(scan());
    script.extend([heard("0\r\n\r\n"), says(NOTHING.replace("\"a\"", "\"b\""))]);
    // This server's OPTIONS keep the old one, and it is not asked over and over.
    script.extend([asked(), options("")]);
    for _ in 0..3 {
        script.extend([heard("0\r\n\r\n"), says(NOTHING.replace("\"a\"", "\"b\""))]);
    }
    let peer = Peer::tcp(vec![script]).await;
    let client = client(&peer);
    for _ in 0..7 {
        assert_eq!(
            client.ask(&message(ToOrigin, "hello")).await,
            Ok(ScanOutcome::Clean)
        );
    }
    peer.ended().await;
}

/// The same by the answers to messages that it may change.
#[tokio::test]
async fn options_are_asked_again_when_a_service_that_changes_messages_has_changed() {
    let tagged = |tag: &str| says(format!("ICAP/1.0 204 No Content\r\nISTag: \"{tag}\"\r\n\r\n"));
    let ask = || heard("0\r\n\r\n");
    let preview = || heard("Preview: 2\r\n");
    let peer = Peer::tcp(vec![vec![
        asked(),
        options(""),
        ask(),
        tagged("a"),
        ask(),
        tagged("b"),
        // What it wants now.
        asked(),
        says(OPTIONS.replace("ISTag: \"a\"", "Preview: 2\r\nISTag: \"b\"")),
        preview(),
        tagged("b"),
    ]])
    .await;
    let client = client(&peer);
    let places = tokio::sync::Semaphore::new(1);
    for _ in 0..3 {
        let bounds = AdaptBounds {
            deadline: std::time::Duration::from_secs(5),
            max_size: 1 << 20,
            places: &places,
            concurrency: 1,
        };
        let mut message = Changeable::new(Content::Here("hello"));
        let adapted = client.adapt(message.item(), bounds).await;
        assert_eq!(adapted, Ok(crate::inspect::Adapted::Unchanged));
    }
    peer.ended().await;
}

#[tokio::test]
async fn a_service_is_asked_only_what_it_offers() {
    let only = says(OPTIONS.replace("REQMOD, RESPMOD", "RESPMOD"));
    let ignore = "Transfer-Preview: *\r\nTransfer-Ignore: png\r\n";
    let peer = Peer::tcp(vec![vec![asked(), only, Turn::Hold]]).await;
    let told = client(&peer).ask(&message(ToOrigin, "hello")).await;
    assert!(
        matches!(&told, Err(ScanFailure::Content(text)) if text.contains("does not offer REQMOD")),
        "{told:?}"
    );
    let peer = Peer::tcp(vec![vec![
        asked(),
        options(ignore),
        heard("0\r\n\r\n"),
        says(INFECTED),
    ]])
    .await;
    let client = client(&peer);
    let png = body(ToClient, "/a/b.png?x=.exe", &[], b"x");
    assert_eq!(client.ask(&png).await, Ok(ScanOutcome::Clean), "not sent");
    let exe = body(ToClient, "/a.png/b.exe", &[], b"x");
    assert_eq!(client.ask(&exe).await, found("Eicar"));
    peer.ended().await;
}

#[tokio::test]
async fn large_content_is_read_while_it_is_sent() {
    // A peer that sends everything back as it comes, chunks and all.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::parse(&listener.local_addr().unwrap().to_string(), 0).unwrap();
    let echo = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 64 << 10];
        let mut read = stream.read(&mut buffer).await.unwrap();
        stream.write_all(OPTIONS.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while head.windows(4).filter(|four| four == b"\r\n\r\n").count() < 2 {
            read = stream.read(&mut buffer).await.unwrap();
            head.extend_from_slice(&buffer[..read]);
        }
        let first = memchr::memmem::find(&head, b"\r\n\r\n").unwrap() + 4;
        let second = first + memchr::memmem::find(&head[first..], b"\r\n\r\n").unwrap() + 4;
        let icap = format!(
            "ICAP/1.0 200 OK\r\nISTag: \"a\"\r\nEncapsulated: req-hdr=0, req-body={}\r\n\r\n",
            second - first
        );
        stream.write_all(icap.as_bytes()).await.unwrap();
        stream.write_all(&head[first..]).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
        read
    });
    let client = client_of(&endpoint, 64 << 20);
    let content = "0123456789abcdef".repeat(1 << 20);
    assert_eq!(
        client.ask(&message(ToOrigin, &content)).await,
        Ok(ScanOutcome::Clean)
    );
    drop(client);
    echo.await.unwrap();
}

#[test]
fn encapsulated_is_read_exactly() {
    let layout = Layout::parse("req-hdr=0, res-hdr=137, res-body=296", 296).unwrap();
    assert_eq!((layout.request, layout.response), (Some(0..137), Some(137..296)));
    assert!(layout.body && layout.heads == 296);
    assert!(!Layout::parse("null-body=0", 0).unwrap().body);
    assert!(Layout::parse("req-hdr=0, req-body=297", 296).is_err());
    for wrong in [
        "",
        "req-hdr=0",
        "req-body=5",
        "req-hdr=0, req-body=0",
        "res-hdr=0, req-hdr=5, req-body=9",
        "req-hdr=0, req-hdr=5, req-body=9",
        "res-hdr=0, res-hdr=5, res-body=9",
        "req-hdr=0, req-body=+5",
        "req-hdr=0, req-body=9, x=10",
        "req-hdr=0, other-body=9",
        "req-hdr=0, req-body=99999999999999999999",
    ] {
        assert!(Layout::parse(wrong, HEAD_MAX).is_err(), "{wrong}");
    }
}

proptest::proptest! {
    /// Nothing that a server sends makes a panic.
    #[test]
    fn any_head_is_read_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let _ = IcapHead::parse(&bytes);
        let _ = IcapHead::parse(&[b"ICAP/1.0 200 OK\r\n", &bytes[..], b"\r\n\r\n"].concat());
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(layout) = Layout::parse(&format!("req-hdr=0, res-hdr=20, null-body=60{text}"), HEAD_MAX) {
            let _ = AnsweredMessage::parse(&bytes, &layout);
        }
    }

    /// A head is whole at its end and not before.
    #[test]
    fn every_prefix_of_a_head_is_not_whole(cut in 0..NOTHING.len()) {
        proptest::prop_assert_eq!(IcapHead::parse(&NOTHING.as_bytes()[..cut]), Ok(None));
    }
}

#[tokio::test]
async fn no_more_connections_are_opened_than_the_service_wants() {
    // The second connection would never be accepted: both scans must share the first.
    let mut script = vec![asked(), options("Max-Connections: 1\r\n")];
    for _ in 0..2 {
        script.extend([heard("0\r\n\r\n"), says(NOTHING)]);
    }
    script.push(Turn::Hold);
    let peer = Peer::tcp(vec![script]).await;
    let client = client(&peer);
    let (first, second) = (message(ToOrigin, "hello"), message(ToOrigin, "world"));
    let both = async { tokio::join!(client.ask(&first), client.ask(&second)) };
    let told = tokio::time::timeout(std::time::Duration::from_secs(20), both).await;
    assert_eq!(told, Ok((Ok(ScanOutcome::Clean), Ok(ScanOutcome::Clean))));
}

#[tokio::test]
async fn a_preview_of_nothing_asks_by_the_heads_alone() {
    let peer = Peer::tcp(vec![vec![
        asked(),
        options("Preview: 0\r\n"),
        heard("\r\n\r\n0\r\n\r\n"),
        says("ICAP/1.0 100 Continue\r\n\r\n"),
        hears("5\r\nhello\r\n0\r\n\r\n"),
        says(INFECTED),
    ]])
    .await;
    assert_eq!(
        client(&peer).ask(&message(ToOrigin, "hello")).await,
        found("Eicar")
    );
    peer.ended().await;
}
