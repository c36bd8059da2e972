use super::*;
use crate::http::h2::frames::Frames;
use crate::http::h2::heads::finding::find;
use crate::http::h2::kinds::{CONTINUATION, HEADERS};
use std::sync::Mutex;

fn who() -> Who {
    Who {
        connection: 7,
        client: std::net::Ipv4Addr::LOCALHOST.into(),
        user: None,
    }
}

/// A header block of literals that no table keeps.
fn block(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name.as_bytes(), value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text);
        }
    }
    block
}

const PLAIN: [(&str, &[u8]); 4] = [
    (":method", b"GET"),
    (":scheme", b"https"),
    (":authority", b"a.test"),
    (":path", b"/there?secret"),
];

/// The usual request, with these fields behind it.
fn request(more: &[(&str, &[u8])]) -> Vec<u8> {
    block(&[&PLAIN[..], more].concat())
}

/// The usual request with another path.
fn path(path: &[u8]) -> Vec<u8> {
    let mut fields = PLAIN;
    fields[3].1 = path;
    block(&fields)
}

fn found(block: &[u8], from: Side) -> Option<(bool, Option<Malformed>, String)> {
    find(block, from, true, true).map(|found| (found.is_legal, found.malformed, found.text))
}

#[test]
fn what_http2_allows_and_the_crate_does_not_take_is_told_from_what_is_malformed() {
    let client = Side::Client;
    for fine in [
        request(&[("cookie", b"a=b\tc\xff"), ("te", b"trailers")]),
        path(b"/caf\xc3\xa9?{[|`"),
        path(b"*"),
        block(&[(":method", b"CONNECT"), (":authority", b"a.test")]),
    ] {
        assert_eq!(found(&fine, client), None, "{fine:?}");
    }
    for (legal, text) in [
        (
            request(&[("cookie", b"visit=dmo\x01OZ")]),
            "a control character in a field value, in \"cookie\"",
        ),
        (
            request(&[("x-del", b"\x7f")]),
            "a control character in a field value, in \"x-del\"",
        ),
        (
            request(&[("x(odd)", b"1")]),
            "a field name that is no token, \"x(odd)\"",
        ),
        (
            path(b"/a?f={\"a\":1}"),
            "a :path with characters that should have been percent-encoded",
        ),
        (
            path(b"/a<b>`"),
            "a :path with characters that should have been percent-encoded",
        ),
        (
            path(b"/\xe9"),
            "a :path with characters that should have been percent-encoded",
        ),
    ] {
        assert_eq!(found(&legal, client), Some((true, None, text.to_owned())));
    }
    let missing = |at: usize| {
        let mut fields = PLAIN.to_vec();
        fields.remove(at);
        block(&fields)
    };
    let shown = |malformed: Malformed| (Some(malformed), malformed.text());
    for (malformed, (kind, text)) in [
        (
            request(&[("X-Up", b"1")]),
            (
                Some(Malformed::FieldName),
                "a field name that HTTP/2 does not allow, \"X-Up\"",
            ),
        ),
        (
            request(&[("", b"1")]),
            (
                Some(Malformed::FieldName),
                "a field name that HTTP/2 does not allow, \"\"",
            ),
        ),
        (
            request(&[("x-nul", b"1\x002")]),
            (
                Some(Malformed::Nul),
                "a NUL, CR or LF in a field value, in \"x-nul\"",
            ),
        ),
        // The worse of two.
        (
            request(&[("x-odd", b"\x01"), ("x-split", b"a\r\nb: c")]),
            (
                Some(Malformed::BareCarriageReturn),
                "a NUL, CR or LF in a field value, in \"x-split\"",
            ),
        ),
        (
            request(&[("upgrade", b"websocket")]),
            (None, "\"upgrade\", a field of connections of HTTP/1.1"),
        ),
        (request(&[("te", b"gzip")]), (None, "a TE other than trailers")),
        (
            request(&[("content-length", b"+1")]),
            shown(Malformed::LengthValue),
        ),
        (
            request(&[("content-length", b"1"), ("content-length", b"2")]),
            shown(Malformed::DifferentLengths),
        ),
        (
            request(&[("x-first", b"1"), (":path", b"/")]),
            (None, ":path behind other fields"),
        ),
        (block(&[PLAIN[0], PLAIN[0]]), (None, ":method more than once")),
        (
            block(&[(":status", b"200")]),
            (None, ":status, a pseudo-header that it must not have"),
        ),
        (missing(0), (None, "no :method")),
        (missing(1), (None, "no :scheme")),
        (missing(3), (None, "no :path")),
        (
            path(b"/a b"),
            (Some(Malformed::Target), "a :path that is no path"),
        ),
        (
            path(b"there"),
            (Some(Malformed::Target), "a :path that is no path"),
        ),
        (vec![0x82, 0x80], (None, "a header block that is no HPACK")),
    ] {
        assert_eq!(found(&malformed, client), Some((false, kind, text.to_owned())));
    }
    let response = block(&[(":status", b"200"), ("set-cookie", b"visit=dmo\x01OZ")]);
    assert!(found(&response, Side::Origin).unwrap().0);
    let plain = block(&[(":status", b"200"), ("server", b"x")]);
    assert_eq!(found(&plain, Side::Origin), None);
}

/// A client's frames, and what is told of them.
struct Client {
    frames: Frames,
    told: Arc<Mutex<Vec<String>>>,
}

impl Client {
    fn new(has_http1: bool) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = {
            let told = Arc::clone(&told);
            move |notice| {
                let text = match notice {
                    Notice::NeedsHttp1 => "needs HTTP/1.1".to_owned(),
                    Notice::Refused(refused) => {
                        let done = refused.done(who(), Some("https://a.test"));
                        assert_eq!((done.who, done.version), (who(), Version::HTTP_2));
                        let status = done.status.map_or(String::new(), |status| format!("{status} "));
                        format!(
                            "{} {} {status}{}: {}",
                            done.method,
                            done.url,
                            done.error.unwrap().label(),
                            done.detail.unwrap()
                        )
                    }
                };
                told.lock().unwrap().push(text);
            }
        };
        let mut frames = Frames::of_client(Heads::told(Teller::new(tell), has_http1));
        frames.came(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        frames.came(&frame(4, 0, 0, &[]));
        Self { frames, told }
    }

    /// These pieces come in one read, cut anywhere.
    fn sends(&mut self, pieces: &[Vec<u8>]) {
        self.frames.heads.reading();
        for byte in pieces.concat() {
            self.frames.came(&[byte]);
        }
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&size[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

fn head(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, 0x5, stream, block)
}

const PROTOCOL_ERROR: u32 = 1;

#[test]
fn a_request_that_was_given_is_nobodys_business_here() {
    let mut client = Client::new(true);
    client.sends(&[head(1, &request(&[])), head(3, &request(&[]))]);
    assert!(!client.frames.heads.accepted(1));
    assert!(!client.frames.heads.accepted(3));
    client.frames.heads.settle();
    // Answers, resets, and trailers.
    assert_eq!(client.frames.heads.said(Word::Answer(1)), None);
    assert_eq!(client.frames.heads.said(Word::Reset(3, PROTOCOL_ERROR)), None);
    client.sends(&[head(1, &block(&[("x-sum", b"1")]))]);
    client.frames.heads.over();
    assert_eq!(client.told(), [""; 0]);
    assert_eq!(client.frames.heads.refused(), 0);
}

#[test]
fn a_request_that_the_crate_resets_is_told_with_its_reason() {
    for (has_http1, code) in [(true, Some(0xd)), (false, None)] {
        let mut client = Client::new(has_http1);
        let padded = [&[3][..], &[0; 5], &request(&[("X-Up", b"1")]), &[0; 3]].concat();
        client.sends(&[
            frame(HEADERS, 0x8 | 0x20 | 0x5, 1, &padded),
            head(3, &path(b"/a<b>?secret")),
            head(5, &request(&[])),
        ]);
        client.frames.heads.accepted(5);
        // Not all is read at once.
        client.sends(&[]);
        assert_eq!(client.frames.heads.said(Word::Reset(1, PROTOCOL_ERROR)), None);
        assert_eq!(client.told(), [""; 0], "it may be given yet");
        client.frames.heads.settle();
        assert_eq!(
            client.told(),
            [
                "GET https://a.test/there http_request_error: a field name that HTTP/2 does not allow, \"X-Up\""
            ]
        );
        assert_eq!(client.frames.heads.said(Word::Reset(3, PROTOCOL_ERROR)), code);
        client.frames.heads.settle();
        assert_eq!(
            client.told(),
            [
                "GET https://a.test/a<b> http_request_error: a :path with characters that should have been \
             percent-encoded: this proxy can pass it on over HTTP/1.1 alone"
            ]
        );
        assert_eq!(client.frames.heads.said(Word::Reset(3, PROTOCOL_ERROR)), None);
        assert_eq!(client.told(), [""; 0]);
        client.frames.heads.over();
        assert_eq!(client.frames.heads.refused(), 2);
        assert!(!client.frames.heads.has_blamed());
    }
}

#[test]
fn a_request_that_is_reset_and_given_all_the_same_is_told_by_whom_it_is_given_to() {
    let mut client = Client::new(true);
    client.sends(&[head(1, &request(&[]))]);
    client.frames.heads.said(Word::Reset(1, PROTOCOL_ERROR));
    assert!(client.frames.heads.accepted(1));
    client.frames.heads.over();
    assert_eq!(client.told(), [""; 0]);
}

#[test]
fn what_the_crate_answers_and_refuses_by_itself_is_told() {
    let mut client = Client::new(true);
    let long = request(&[("x-long", b"value")]);
    let (first, rest) = long.split_at(20);
    let (second, third) = rest.split_at(5);
    client.sends(&[
        frame(HEADERS, 0x1, 1, first),
        frame(CONTINUATION, 0, 1, second),
        frame(CONTINUATION, 0, 1, &[]),
        frame(CONTINUATION, 0x4, 1, third),
        head(3, &[0x82, 0xbe]),
    ]);
    client.frames.heads.said(Word::Answer(1));
    client.frames.heads.said(Word::Reset(1, PROTOCOL_ERROR));
    client.frames.heads.said(Word::Reset(3, 7));
    client.frames.heads.settle();
    assert_eq!(
        client.told(),
        [
            "GET https://a.test/there 431 http_request_error: a head that is larger than it may be",
            "GET https://a.test request_not_taken: one stream more than there may be at once",
        ]
    );
}

#[test]
fn a_connection_that_ends_tells_of_what_it_gives_up() {
    let mut client = Client::new(true);
    client.sends(&[
        head(1, &request(&[])),
        frame(HEADERS, 0x1, 3, &request(&[("cookie", b"\x01")])),
    ]);
    let goodbye = Word::Goodbye(1, PROTOCOL_ERROR);
    assert_eq!(client.frames.heads.said(goodbye), Some(0xd));
    assert_eq!(
        client.told(),
        [
            "needs HTTP/1.1",
            "GET https://a.test/there http_request_error: a control character in a field value, in \"cookie\": \
             this proxy can pass it on over HTTP/1.1 alone",
        ]
    );
    assert!(client.frames.heads.has_blamed());
    client.frames.heads.over();
    assert_eq!(
        client.told(),
        [
            "GET https://a.test/there request_not_taken: given up with its connection, which ends with PROTOCOL_ERROR"
        ]
    );

    // What the crate gives behind its goodbye has a line of its own.
    let mut client = Client::new(false);
    client.sends(&[head(1, &request(&[])), head(3, &request(&[("x", b"a\0b")]))]);
    client.frames.heads.said(goodbye);
    assert_eq!(client.told().len(), 1);
    client.frames.heads.accepted(1);
    client.frames.heads.over();
    assert_eq!(client.told(), [""; 0]);

    // Trailers have no line of their own: their request has one.
    let mut client = Client::new(true);
    client.sends(&[head(1, &request(&[]))]);
    client.frames.heads.accepted(1);
    client.sends(&[head(1, &block(&[("x-sum", b"\x7f")]))]);
    assert_eq!(client.frames.heads.said(goodbye), Some(0xd));
    assert_eq!(client.told(), ["needs HTTP/1.1"]);
    assert!(!client.frames.heads.has_blamed());

    // What was taken before the last read is not to blame.
    let mut client = Client::new(true);
    client.sends(&[head(1, &request(&[]))]);
    client.frames.heads.accepted(1);
    client.sends(&[head(1, &block(&[("x-sum", b"\x7f")]))]);
    client.sends(&[frame(8, 0, 0, &[0; 4])]);
    assert_eq!(client.frames.heads.said(goodbye), None);
    assert_eq!(client.told(), [""; 0]);
}

#[test]
fn requests_behind_a_goodbye_are_told() {
    let mut client = Client::new(true);
    client.sends(&[head(1, &request(&[]))]);
    client.frames.heads.accepted(1);
    for last in [0x7fff_ffff, 1] {
        assert_eq!(client.frames.heads.said(Word::Goodbye(last, 0)), None);
    }
    client.sends(&[head(3, &request(&[]))]);
    let behind = "GET https://a.test/there request_not_taken: the connection is being closed, and the client was told so";
    assert_eq!(client.told(), [behind]);
    client.frames.heads.over();
    assert_eq!(client.told(), [""; 0]);

    let mut client = Client::new(true);
    client.sends(&[head(1, &request(&[])), head(3, &request(&[]))]);
    client.frames.heads.said(Word::Goodbye(0x7fff_ffff, 0));
    client.frames.heads.accepted(1);
    client.frames.heads.over();
    assert_eq!(client.told(), [behind]);

    let mut client = Client::new(true);
    client.sends(&[head(1, &request(&[])), frame(HEADERS, 0x1, 3, &[0x82])]);
    client.frames.heads.over();
    assert_eq!(
        client.told(),
        [
            "GET https://a.test/there client_aborted: the client closed the connection before its request was looked at"
        ]
    );
}

#[test]
fn what_is_kept_is_bounded() {
    let mut client = Client::new(true);
    let field = block(&[("x-long", &[b'y'; 120])]);
    let mut stream = 1;
    for _ in 0..100 {
        client.sends(&[frame(HEADERS, 0x1, stream, &request(&[]))]);
        for _ in 0..200 {
            client.sends(&[frame(CONTINUATION, 0, stream, &field)]);
        }
        client.sends(&[frame(CONTINUATION, 0x4, stream, &request(&[("X-Up", b"1")]))]);
        stream += 2;
    }
    assert!(client.frames.heads.kept() <= 64 * 1024);
    // What is not known in full is not said to lack anything.
    client.frames.heads.said(Word::Reset(101, PROTOCOL_ERROR));
    client.frames.heads.settle();
    assert_eq!(
        client.told(),
        ["- https://a.test http_request_error: a head that is malformed (reset with PROTOCOL_ERROR)"]
    );
    client.frames.heads.over();
    assert_eq!(client.told().len(), 99);
    assert_eq!(client.frames.heads.kept(), 0);
}
