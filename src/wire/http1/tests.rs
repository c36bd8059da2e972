use super::*;
use crate::wire::headers::Headers;
use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderName, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};
use proptest::prelude::*;

fn request(lines: &str) -> Result<(RequestHead, Framing), Malformed> {
    let text = format!("POST /x HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let mut head = parse_request(text.as_bytes())?;
    let framing = request_framing(&mut head)?;
    Ok((head, framing))
}

fn response(text: &str) -> Result<(ResponseHead, Framing), Malformed> {
    let mut head = parse_response(text.as_bytes())?;
    let framing = response_framing(&mut head, &Method::GET)?;
    Ok((head, framing))
}

fn written(head: &RequestHead) -> String {
    let mut out = Vec::new();
    head.write(head.target(), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn rewritten(text: &str) -> String {
    let (head, _) = response(text).unwrap();
    let mut out = Vec::new();
    head.write(head.version, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn a_head_that_nobody_changes_goes_out_as_it_came() {
    let text = "pATCH /a?f={\"x\":<1>}|`\u{e9} HTTP/1.1\r\nhost:a\r\nX-b:   1 \r\nCookie: a=\u{1}b\r\nX-B:2\r\nX-Time(ms): 5\r\n\
                x-caf\u{e9}:\t1\r\nEmpty:\r\n\r\n";
    let head = parse_request(text.as_bytes()).unwrap();
    assert_eq!(written(&head), text);
    assert_eq!(head.fields.first(&COOKIE), Some(&b"a=\x01b"[..]));
    let name = HeaderName::from_static("x-b");
    let values: Vec<_> = head.fields.all(&name).collect();
    assert_eq!(values, [b"1", b"2"]);
    let text = "HTTP/1.1 200 Everything is  f\u{ef}ne\r\nSet-Cookie: v=\u{1}\r\nset-cookie:  w\r\n\r\n";
    assert_eq!(rewritten(text), text);
}

#[test]
fn every_prefix_of_a_head_has_no_end_however_it_is_cut() {
    for (text, whole) in [
        ("GET / HTTP/1.1\r\nA: b\r\n\r\n", 24),
        ("HTTP/1.1 200\nA: b\n\n", 19),
    ] {
        let more = format!("{text}\r\n\r\nrest");
        assert_eq!(text.len(), whole);
        for n in 0..whole {
            assert_eq!(head_end(&text.as_bytes()[..n], 0), None, "{n}");
            assert_eq!(head_end(more.as_bytes(), n), Some(whole), "known: {n}");
        }
    }
    assert_eq!(skip_blank_lines(b"\r\n\r\nGET"), 4);
    assert_eq!(skip_blank_lines(b"\r\n\rGET"), 2);
}

#[test]
fn a_later_minor_version_is_spoken_to_by_this_one() {
    let head = parse_request(b"GET / HTTP/1.2\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(head.version, http::Version::HTTP_11);
}

#[test]
fn ambiguous_requests_are_refused_by_name() {
    let start = |line: &str| parse_request(format!("{line}\r\nHost: a\r\n\r\n").as_bytes()).map(|_| ());
    for (line, why) in [
        ("GET /", Malformed::RequestLine),
        ("GET", Malformed::RequestLine),
        ("", Malformed::RequestLine),
        ("G\u{e9}T / HTTP/1.1", Malformed::RequestLine),
        ("GET  / HTTP/1.1", Malformed::Target),
        ("GET / x HTTP/1.1", Malformed::Target),
        ("GET /\tx HTTP/1.1", Malformed::Target),
        ("GET /\u{7f} HTTP/1.1", Malformed::Target),
        ("GET /a#b HTTP/1.1", Malformed::Target),
        ("GET http://a/#b HTTP/1.1", Malformed::Target),
        ("GET / HTTP/1.1 ", Malformed::Target),
        ("GET / http/1.1", Malformed::RequestLine),
        ("GET / HTTP/2.0", Malformed::Version),
        ("GET / HTTP/01.1", Malformed::RequestLine),
    ] {
        assert_eq!(start(line), Err(why), "{line:?}");
    }
    for (lines, why) in [
        ("A: b\n", Malformed::BareLineFeed),
        ("A: b\rc\r\n", Malformed::BareCarriageReturn),
        ("A: b\r\r\n", Malformed::BareCarriageReturn),
        ("A: b\0\r\n", Malformed::Nul),
        ("A : b\r\n", Malformed::SpaceBeforeColon),
        ("A\t: b\r\n", Malformed::SpaceBeforeColon),
        ("A b: c\r\n", Malformed::FieldName),
        ("A\u{1}: b\r\n", Malformed::FieldName),
        (": b\r\n", Malformed::FieldName),
        ("no colon\r\n", Malformed::NoColon),
        ("Transfer-Encoding\u{b}: chunked\r\n", Malformed::DisguisedFraming),
        ("Transfer_Encoding: chunked\r\n", Malformed::DisguisedFraming),
        ("Transfer Encoding: chunked\r\n", Malformed::DisguisedFraming),
        ("Content\u{e9}-Length: 1\r\n", Malformed::DisguisedFraming),
        ("Content-Length!: 1\r\n", Malformed::DisguisedFraming),
        ("|Transfer-Encoding: chunked\r\n", Malformed::DisguisedFraming),
        ("Content-Length: +1\r\n", Malformed::LengthValue),
        ("Content-Length: -1\r\n", Malformed::LengthValue),
        ("Content-Length: 0x1\r\n", Malformed::LengthValue),
        ("Content-Length: 1 1\r\n", Malformed::LengthValue),
        ("Content-Length: 1,\r\n", Malformed::LengthValue),
        ("Content-Length:\r\n", Malformed::LengthValue),
        ("Content-Length: 1\u{b}\r\n", Malformed::LengthValue),
        ("Content-Length: 18446744073709551616\r\n", Malformed::LengthValue),
        (
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            Malformed::DifferentLengths,
        ),
        ("Content-Length: 1, 2\r\n", Malformed::DifferentLengths),
        (
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            Malformed::LengthBesideCoding,
        ),
        ("Transfer-Encoding: gzip\r\n", Malformed::UnknownCoding),
        ("Transfer-Encoding: identity\r\n", Malformed::UnknownCoding),
        ("Transfer-Encoding: gzip, chunked\r\n", Malformed::CodingList),
        ("Transfer-Encoding: chunked, identity\r\n", Malformed::CodingList),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            Malformed::CodingList,
        ),
        ("Transfer-Encoding: xchunked\r\n", Malformed::CodingList),
        ("Transfer-Encoding: chunked;q=1\r\n", Malformed::CodingList),
        ("Transfer-Encoding: \"chunked\"\r\n", Malformed::CodingList),
        ("Transfer-Encoding: ,chunked\r\n", Malformed::CodingList),
        ("Transfer-Encoding:\r\n", Malformed::CodingList),
        ("Transfer-Encoding: chunked\u{b}\r\n", Malformed::CodingList),
    ] {
        assert_eq!(request(lines).map(|_| ()), Err(why), "{lines:?}");
    }
    let text = b"GET / HTTP/1.1\r\n Host: a\r\n\r\n";
    assert_eq!(parse_request(text).map(|_| ()), Err(Malformed::LeadingSpace));
    let mut old = parse_request(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    assert_eq!(request_framing(&mut old), Err(Malformed::CodingInHttp10));
}

#[test]
fn what_says_the_same_twice_is_made_one() {
    for lines in [
        "Content-Length: 5\r\nX: 1\r\ncontent-length: 5\r\n",
        "Content-Length: 5, 5\r\nX: 1\r\n",
        "Content-Length: 005\r\nX: 1\r\n",
    ] {
        let (head, framing) = request(lines).unwrap();
        assert_eq!(framing, Framing::Length(5));
        assert_eq!(
            written(&head),
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: 1\r\n\r\n",
            "{lines:?}"
        );
    }
    let (_, framing) = request("Transfer-Encoding:\r\n Chunked\r\n").unwrap();
    assert_eq!(framing, Framing::Chunked, "folding is a space");
}

#[test]
fn a_tab_beside_what_frames_a_message_is_made_a_space() {
    for (lines, mended) in [
        (
            "transfer-encoding:\tChunked\r\n",
            "transfer-encoding: Chunked\r\n",
        ),
        (
            "Transfer-Encoding: chunked \t\r\n",
            "Transfer-Encoding: chunked\r\n",
        ),
        (
            "Content-Length:\t5\r\nX:\t1\r\n",
            "Content-Length: 5\r\nX:\t1\r\n",
        ),
        ("Content-Length:  5 \r\n", "Content-Length:  5 \r\n"),
    ] {
        let (head, _) = request(lines).unwrap();
        assert!(written(&head).contains(mended), "{}", written(&head));
    }
}

#[test]
fn folding_becomes_a_space() {
    let (head, _) = request("X: one\r\n  two\r\n\t\r\n three \r\nY: 1\r\n").unwrap();
    assert!(
        written(&head).contains("X: one two three\r\nY: 1\r\n"),
        "{}",
        written(&head)
    );
}

#[test]
fn folding_without_end_costs_no_more_than_its_bytes() {
    let folded = format!("X: 1\r\n{}", " 2\r\n".repeat(16_000));
    let (head, _) = request(&folded).unwrap();
    let (_, value) = head.fields.iter().last().unwrap();
    assert_eq!(value.len(), 1 + 2 * 16_000);
    assert!(
        head.fields.memory() < 10 * folded.len(),
        "{}",
        head.fields.memory()
    );
}

#[test]
fn ugly_responses_are_mended() {
    let mended = [
        (
            "HTTP/1.1  200  OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 200  OK\r\nA: b\r\n\r\n",
        ),
        ("HTTP/1.1 200\r\nA: b\r\n\r\n", "HTTP/1.1 200 \r\nA: b\r\n\r\n"),
        ("HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"),
        (
            "HTTP/1.1 200 OK\r\nno colon\r\n and more\r\n: none\r\nA\u{1}: b\r\nB: c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nB: c\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\n A: b\r\nB: c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nB: c\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b c\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nX Powered By: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX Powered By: b\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: Chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
        ),
        ("HTTP/1.7 999 Denied\r\n\r\n", "HTTP/1.1 999 Denied\r\n\r\n"),
        ("http/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        (
            "HTTP/1.1 200 OK\r\nTransfer_Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        ),
    ];
    for (came, goes) in mended {
        assert_eq!(rewritten(came), goes, "{came:?}");
    }
}

#[test]
fn ambiguous_responses_are_refused_by_name() {
    for (text, why) in [
        (
            "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
            Malformed::BareCarriageReturn,
        ),
        ("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", Malformed::Nul),
        ("HTTP/1.1 2000 OK\r\n\r\n", Malformed::StatusLine),
        ("HTTP/1.1 20 OK\r\n\r\n", Malformed::StatusLine),
        ("HTTP/1.1200 OK\r\n\r\n", Malformed::StatusLine),
        ("ICY 200 OK\r\n\r\n", Malformed::StatusLine),
        ("HTTP/2.0 200 OK\r\n\r\n", Malformed::Version),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            Malformed::DifferentLengths,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            Malformed::LengthValue,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            Malformed::CodingList,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            Malformed::UnknownCoding,
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            Malformed::CodingInHttp10,
        ),
    ] {
        assert_eq!(response(text).map(|_| ()), Err(why), "{text:?}");
    }
}

#[test]
fn what_ends_a_response_depends_on_what_was_asked() {
    let framing = |text: &str, method: Method| {
        let mut head = parse_response(text.as_bytes()).unwrap();
        response_framing(&mut head, &method).unwrap()
    };
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(framing(sized, Method::GET), Framing::Length(5));
    assert_eq!(framing(sized, Method::HEAD), Framing::Empty);
    assert_eq!(
        framing(
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            Method::GET
        ),
        Framing::Empty
    );
    assert_eq!(
        framing(
            "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
            Method::GET
        ),
        Framing::Empty
    );
    assert_eq!(framing("HTTP/1.1 103 Early\r\n\r\n", Method::GET), Framing::Empty);
    assert_eq!(framing("HTTP/1.1 200 OK\r\n\r\n", Method::GET), Framing::ToEnd);
    assert_eq!(framing("HTTP/1.0 200 OK\r\n\r\n", Method::POST), Framing::ToEnd);
}

/// All content, what is left behind the message, and the trailers; cut at `cuts`.
fn decode(framing: Framing, bytes: &[u8], cut: usize) -> Result<(Vec<u8>, usize, Option<Fields>), Malformed> {
    let mut decoder = Decoder::new(framing, 200);
    let (mut content, mut at) = (Vec::new(), 0);
    for piece in bytes.chunks(cut) {
        let mut piece = piece;
        while !piece.is_empty() && !decoder.is_done() {
            let taken = decoder.take(piece)?;
            content.extend_from_slice(taken.data);
            at += taken.used;
            piece = &piece[taken.used..];
        }
    }
    let trailers = decoder.take_trailers();
    assert!(decoder.is_done() || at == bytes.len());
    Ok((content, at, trailers))
}

#[test]
fn chunks_are_taken_apart_however_they_are_cut() {
    let text = b"2\r\nok\r\n00a ;x=\"1;2\"\t\r\n0123456789\r\n0;last\r\nX-Sum: 7\r\nHost: b\r\n\r\nGET /";
    for cut in 1..text.len() {
        let (content, used, trailers) = decode(Framing::Chunked, text, cut).unwrap();
        assert_eq!(content, b"ok0123456789");
        assert_eq!(used, text.len() - 5);
        let trailers = trailers.unwrap();
        assert_eq!(
            trailers.names(),
            [b"X-Sum"],
            "what routes and frames is no trailer"
        );
    }
    let (content, used, trailers) = decode(Framing::Length(3), b"abcdef", 2).unwrap();
    assert_eq!((&content[..], used, trailers.is_none()), (&b"abc"[..], 3, true));
    assert!(Decoder::new(Framing::Length(0), 0).is_done());
    assert!(Decoder::new(Framing::ToEnd, 0).ends_with_connection());
    assert!(!Decoder::new(Framing::Chunked, 0).ends_with_connection());
}

#[test]
fn trailers_of_a_response_are_mended_where_the_rfc_says_how() {
    let text = b"0\r\nX-Sum : 7\r\nX-Two: b\r\n c\r\n\r\n";
    let mut decoder = Decoder::of_response(Framing::Chunked, 200);
    assert_eq!(decoder.take(text).unwrap().used, text.len());
    let mut out = Vec::new();
    decoder.take_trailers().unwrap().write(&mut out);
    assert_eq!(String::from_utf8_lossy(&out), "X-Sum: 7\r\nX-Two: b c\r\n");
    for (text, why) in [
        (&b"0\r\nX: 1\n\r\n"[..], Malformed::BareLineFeed),
        (b"0\r\nX: 1\rY: 2\r\n\r\n", Malformed::BareCarriageReturn),
        (b"0\r\nX: \0\r\n\r\n", Malformed::Nul),
        (b"0\r\nHTTP/1.1 200 OK\r\nX: 1\r\n\r\n", Malformed::NoColon),
        (b"0\r\nHTTP/1.1 200 OK: x\r\nX: 1\r\n\r\n", Malformed::FieldName),
    ] {
        let found = Decoder::of_response(Framing::Chunked, 200).take(text).map(|_| ());
        assert_eq!(found, Err(why), "{:?}", String::from_utf8_lossy(text));
    }
}

#[test]
fn chunks_that_two_readers_could_cut_differently_are_refused() {
    for (text, why) in [
        (&b"\r\n"[..], Malformed::ChunkSize),
        (b" 2\r\nok\r\n", Malformed::ChunkSize),
        (b"+2\r\nok\r\n", Malformed::ChunkSize),
        (b"-2\r\nok\r\n", Malformed::ChunkSize),
        (b"0x2\r\nok\r\n", Malformed::ChunkSize),
        (b"2_\r\nok\r\n", Malformed::ChunkSize),
        (b"2 \r\nok\r\n", Malformed::ChunkSize),
        (b"2\nok\r\n", Malformed::ChunkLine),
        (b"2 \nok\r\n", Malformed::ChunkLine),
        (b"2\rXok\r\n", Malformed::ChunkLine),
        (b"2;a\nok\r\n", Malformed::ChunkLine),
        (b"2;a\rb\nok\r\n", Malformed::ChunkLine),
        (b"2;a\x0b\r\nok\r\n", Malformed::ChunkExtension),
        (b"2\r\nokk\r\n", Malformed::ChunkData),
        (b"2\r\nok\n", Malformed::ChunkData),
        (b"2\r\nok\rx", Malformed::ChunkData),
        (b"3\r\nok\r\n0\r\n\r\n", Malformed::ChunkData),
        (b"0\n\r\n", Malformed::ChunkLine),
        (b"0\r\nX: 1\n\r\n", Malformed::BareLineFeed),
        (b"0\r\nX : 1\r\n\r\n", Malformed::SpaceBeforeColon),
        (b"0\r\nGET / HTTP/1.1\r\n\r\n", Malformed::NoColon),
        (b"00000000000000000\r\n", Malformed::ChunkSize),
        (b"fffffffffffffffff\r\n", Malformed::ChunkSize),
    ] {
        for cut in [1, 3, 1000] {
            let found = decode(Framing::Chunked, text, cut).map(|_| ());
            assert_eq!(found, Err(why), "{:?}", String::from_utf8_lossy(text));
        }
    }
    let long = [b"1;".to_vec(), vec![b'x'; 5000], b"\r\n".to_vec()].concat();
    assert_eq!(
        decode(Framing::Chunked, &long, 1000).map(|_| ()),
        Err(Malformed::ChunkLine)
    );
    let long = [b"0\r\nX: ".to_vec(), vec![b'x'; 300]].concat();
    assert_eq!(
        decode(Framing::Chunked, &long, 1000).map(|_| ()),
        Err(Malformed::Trailers)
    );
}

#[test]
fn fields_are_changed_in_their_place() {
    let (mut head, _) = request("A: 1\r\nb: 2\r\na: 3\r\nC: 4\r\n").unwrap();
    let name = HeaderName::from_static;
    head.fields.set(&name("a"), b"new");
    head.fields.remove(&name("b"));
    head.fields.add(&name("via"), b"1.1 x");
    head.fields.set(&name("bad"), b"a\r\nb: c");
    assert_eq!(
        written(&head),
        "POST /x HTTP/1.1\r\nHost: a\r\nA: new\r\nC: 4\r\nVia: 1.1 x\r\n\r\n"
    );
    assert!(head.fields.has(&HOST) && !head.fields.has(&CONTENT_LENGTH));
}

#[test]
fn a_head_has_a_place_in_a_map_and_back() {
    let (head, _) =
        response("HTTP/1.1 200 OK\r\nX Odd(1): a\u{1}b\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n").unwrap();
    let map = head.fields.to_map();
    assert_eq!(map["x-odd-1-"], "a b");
    assert_eq!(map.get_all("set-cookie").iter().count(), 2);
    assert_eq!(Fields::of_map(&map).len(), 3);
    assert_eq!(ResponseHead::new(StatusCode::OK).version, Version::HTTP_11);
}

#[test]
fn names_of_what_is_malformed_are_distinct() {
    let mut labels: Vec<_> = Malformed::ALL.iter().map(|why| why.label()).collect();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), Malformed::ALL.len());
    assert!(
        Malformed::ALL
            .iter()
            .all(|why| why.status().is_client_error() || why.status().is_server_error())
    );
}

proptest! {
    /// Whatever comes, what goes on reads as the same again.
    #[test]
    fn what_is_let_through_reads_the_same_again(
        lines in proptest::collection::vec("[A-Ca-c:_\\- \t\r\n\u{0}\u{1}5,]{0,12}", 0..6),
        framing in proptest::sample::select(vec!["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 5,5\r\n"]),
    ) {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{framing}{}\r\n\r\n", lines.join("\r\n"));
        if let Some(end) = head_end(text.as_bytes(), 0)
            && let Ok(mut head) = parse_request(&text.as_bytes()[..end])
            && let Ok(framing) = request_framing(&mut head)
        {
            let again = written(&head);
            let mut head_again = parse_request(again.as_bytes()).unwrap();
            prop_assert_eq!(request_framing(&mut head_again).unwrap(), framing);
            let fields = |head: &RequestHead| head.fields.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect::<Vec<_>>();
            prop_assert_eq!(fields(&head), fields(&head_again));
            prop_assert_eq!(head_again.fields.all(&TRANSFER_ENCODING).count(), head.fields.all(&TRANSFER_ENCODING).count());
        }
    }

    #[test]
    fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), known in 0usize..250) {
        let _ = head_end(&bytes, known);
        let _ = parse_request(&bytes);
        if let Ok(mut head) = parse_response(&bytes) {
            let _ = response_framing(&mut head, &Method::GET);
        }
        let _ = decode(Framing::Chunked, &bytes, 7);
    }
}
