//! Messages of HTTP/1.1 as browsers and origins send them, and their way through the codec.
#![allow(clippy::expect_used, reason = "a benchmark may stop when it cannot run")]

use http::Method;
use std::hint::black_box;
use wsbump::wire::http1::{
    Decoder, Framing, head_end, parse_request, parse_response, request_framing, response_framing,
};

/// What a browser asks for: 12 fields.
pub(crate) const REQUEST: &str = "\
GET /api/v2/items?page=3&sort=name HTTP/1.1\r
Host: www.example.com\r
Connection: keep-alive\r
sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r
sec-ch-ua-mobile: ?0\r
sec-ch-ua-platform: \"Linux\"\r
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r
Sec-Fetch-Site: same-origin\r
Referer: https://www.example.com/items\r
Accept-Encoding: gzip, deflate, br, zstd\r
Accept-Language: en-GB,en;q=0.9\r
Cookie: session=4f1c9a7be2d84c0f9a3356d2a1b7e8c0; theme=dark; seen=1732406400\r
\r
";

/// What an origin answers: 12 fields.
pub(crate) const RESPONSE: &str = "\
HTTP/1.1 200 OK\r
Server: nginx\r
Date: Tue, 24 Nov 2026 01:45:00 GMT\r
Content-Type: application/json; charset=utf-8\r
Content-Length: 1024\r
Connection: keep-alive\r
Vary: Accept-Encoding\r
Cache-Control: private, max-age=0, must-revalidate\r
ETag: \"6743c2a0-400\"\r
Set-Cookie: session=4f1c9a7be2d84c0f9a3356d2a1b7e8c0; Path=/; Secure; HttpOnly; SameSite=Lax\r
Strict-Transport-Security: max-age=31536000; includeSubDomains\r
X-Content-Type-Options: nosniff\r
Alt-Svc: h3=\":443\"; ma=86400\r
\r
";

/// Finds the end of the request's head, reads it, asks what ends the message, and writes it again.
pub(crate) fn request(out: &mut Vec<u8>) {
    let bytes = black_box(REQUEST.as_bytes());
    let end = head_end(bytes, 0).expect("a whole head");
    let mut head = parse_request(&bytes[..end]).expect("a request");
    assert_eq!(request_framing(&mut head), Ok(Framing::Empty));
    out.clear();
    head.write(head.target(), out);
}

/// The same with the response's.
pub(crate) fn response(out: &mut Vec<u8>) {
    let bytes = black_box(RESPONSE.as_bytes());
    let end = head_end(bytes, 0).expect("a whole head");
    let mut head = parse_response(&bytes[..end]).expect("a response");
    assert_eq!(
        response_framing(&mut head, &Method::GET),
        Ok(Framing::Length(1024))
    );
    out.clear();
    head.write(head.version, out);
}

/// The size of what [`chunked`] holds.
pub(crate) const CONTENT: usize = 64 << 10;

/// Content in chunks of 1 KiB, as reads of 16 KiB bring it: most of them end inside a chunk.
pub(crate) fn chunked() -> Vec<Vec<u8>> {
    let chunk = [&b"400\r\n"[..], &[b'x'; 1 << 10], b"\r\n"].concat();
    let mut bytes = chunk.repeat(CONTENT >> 10);
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes.chunks(16 << 10).map(<[u8]>::to_vec).collect()
}

/// Takes the content out of its chunks.
pub(crate) fn decode(reads: &[Vec<u8>]) {
    let mut decoder = Decoder::new(Framing::Chunked, 16 << 10);
    let mut content = 0;
    for read in reads {
        let mut rest = black_box(&read[..]);
        while !rest.is_empty() {
            let taken = decoder.take(rest).expect("chunks");
            content += black_box(taken.data).len();
            rest = &rest[taken.used..];
        }
    }
    assert!(decoder.is_done() && content == CONTENT);
}
