//! The first request on a proxy connection: CONNECT, or anything else, which is then served as HTTP.

use crate::accept::{Prefixed, Socket};
use crate::wire::names::Authority;
use bytes::{Bytes, BytesMut};
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// What the first request on a connection asks for.
#[derive(Debug)]
pub enum Ask {
    /// A tunnel (RFC 9110 section 9.3.6).
    Connect(Connect),
    /// Some other request, none of which has been consumed.
    Http(Prefixed<Socket>),
}

/// A CONNECT whose answer is still owed.
#[derive(Debug)]
pub struct Connect {
    /// Where to.
    pub target: Authority,
    /// The client; bytes that it sent behind the CONNECT are replayed.
    pub stream: Prefixed<Socket>,
}

/// Why no request could be read. The stream comes back where an answer can still be sent.
#[derive(Debug)]
pub enum AskError {
    /// The client closed before a whole request.
    Closed,
    /// The client did not send a whole request in time.
    Timeout(Socket),
    /// The request line and headers are larger than allowed.
    TooLarge(Socket),
    /// The request is not HTTP/1, or a CONNECT without a usable target; the text says which.
    Bad(Socket, &'static str),
    /// Reading failed.
    Io(std::io::Error),
}

/// Reads the first request's head: at most `limit` bytes, for at most `deadline`.
pub async fn ask(mut stream: Socket, limit: usize, deadline: Duration) -> Result<Ask, AskError> {
    let mut head = BytesMut::with_capacity(1024);
    match tokio::time::timeout(deadline, read_head(&mut stream, &mut head, limit)).await {
        Err(_) => Err(AskError::Timeout(stream)),
        Ok(Err(error)) => Err(AskError::Io(error)),
        Ok(Ok(Head::Closed)) => Err(AskError::Closed),
        Ok(Ok(Head::TooLarge)) => Err(AskError::TooLarge(stream)),
        Ok(Ok(Head::Bad(why))) => Err(AskError::Bad(stream, why)),
        Ok(Ok(Head::Http)) => Ok(Ask::Http(Prefixed::new(head.freeze(), stream))),
        Ok(Ok(Head::Connect { target, length })) => {
            let rest = head.split_off(length);
            let rest = if rest.is_empty() {
                Bytes::new()
            } else {
                rest.freeze()
            };
            Ok(Ask::Connect(Connect {
                target,
                stream: Prefixed::new(rest, stream),
            }))
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Head {
    Connect { target: Authority, length: usize },
    Http,
    Bad(&'static str),
    TooLarge,
    Closed,
}

async fn read_head(stream: &mut Socket, head: &mut BytesMut, limit: usize) -> std::io::Result<Head> {
    loop {
        let before = head.len();
        if stream.read_buf(head).await? == 0 {
            return Ok(Head::Closed);
        }
        // A head that comes byte by byte is not parsed byte by byte.
        if (!begins_connect(head) || ends_within(head, before))
            && let Some(found) = parse(head)
        {
            return Ok(found);
        }
        if head.len() >= limit {
            return Ok(Head::TooLarge);
        }
    }
}

/// Whether the bytes so far are those of a CONNECT, or may become them.
fn begins_connect(head: &[u8]) -> bool {
    const METHOD: &[u8] = b"CONNECT ";
    head.starts_with(&METHOD[..METHOD.len().min(head.len())])
}

/// Whether an empty line ends in the bytes from `new` on.
fn ends_within(head: &[u8], new: usize) -> bool {
    let window = &head[new.saturating_sub(3)..];
    window.windows(2).any(|w| w == b"\n\n") || window.windows(3).any(|w| w == b"\n\r\n")
}

/// What the bytes so far begin, or `None` if more are needed to tell.
fn parse(head: &[u8]) -> Option<Head> {
    if !begins_connect(head) {
        // The HTTP server answers whatever it is, including what is not HTTP at all; but a TLS ClientHello
        // deserves to be named, since `https_proxy=https://...` is an easy mistake.
        return Some(match head.first() {
            Some(0x16) => {
                Head::Bad("this is a plain HTTP proxy port, and the client began TLS with the proxy itself")
            }
            _ => Head::Http,
        });
    }
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Partial) => None,
        Err(_) => Some(Head::Bad("malformed CONNECT request")),
        Ok(httparse::Status::Complete(length)) => {
            // RFC 9112 section 6.3 gives CONNECT no body; a framing header would make the next bytes ambiguous.
            if request
                .headers
                .iter()
                .any(|h| h.name.eq_ignore_ascii_case("transfer-encoding"))
            {
                return Some(Head::Bad("CONNECT with Transfer-Encoding"));
            }
            Some(match request.path.and_then(|path| Authority::parse(path, None)) {
                Some(target) => Head::Connect { target, length },
                None => Head::Bad("CONNECT needs a target of the form host:port"),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECT: &[u8] =
        b"CONNECT Example.COM:443 HTTP/1.1\r\nHost: Example.COM:443\r\nUser-Agent: x\r\n\r\n\x16\x03\x01";

    #[test]
    fn every_prefix_of_a_connect_needs_more_until_it_is_whole() {
        let whole = CONNECT.len() - 3;
        for n in 1..whole {
            assert_eq!(parse(&CONNECT[..n]), None, "prefix of {n} bytes");
        }
        for n in whole..=CONNECT.len() {
            match parse(&CONNECT[..n]) {
                Some(Head::Connect { target, length }) => {
                    assert_eq!(target.to_string(), "example.com:443");
                    assert_eq!(length, whole);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn the_end_of_a_head_is_seen_however_it_is_cut() {
        let whole = CONNECT.len() - 3;
        for cut in 0..whole {
            assert!(!ends_within(&CONNECT[..whole - 1], cut), "not yet");
            assert!(ends_within(&CONNECT[..whole], cut), "cut at {cut}");
        }
        assert!(ends_within(b"CONNECT a:1 HTTP/1.1\n\n", 20));
    }

    #[test]
    fn every_single_byte_mutation_is_answered_without_a_panic() {
        for at in 0..CONNECT.len() {
            for byte in 0..=255 {
                let mut mutated = CONNECT.to_vec();
                mutated[at] = byte;
                let _ = parse(&mutated);
            }
        }
    }

    #[test]
    fn other_methods_go_to_the_http_server_and_tls_is_named() {
        assert_eq!(parse(b"GET http://a/ HTTP/1.1\r\n"), Some(Head::Http));
        assert_eq!(parse(b"CONNECTED"), Some(Head::Http));
        assert!(matches!(parse(b"\x16\x03\x01"), Some(Head::Bad(_))));
    }

    #[test]
    fn a_connect_without_a_port_or_with_framing_is_bad() {
        assert!(matches!(
            parse(b"CONNECT example.com HTTP/1.1\r\n\r\n"),
            Some(Head::Bad(_))
        ));
        assert!(matches!(
            parse(b"CONNECT /path HTTP/1.1\r\n\r\n"),
            Some(Head::Bad(_))
        ));
        let framed = b"CONNECT a:1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(matches!(parse(framed), Some(Head::Bad(_))));
    }
}
