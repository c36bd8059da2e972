//! What is it that the client speaks? A bounded first read that also watches the origin, since some
//! protocols let the server speak first.

use crate::wire::Parse;
use crate::wire::client_hello::{self, ClientHello};
use bytes::{Bytes, BytesMut};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What the first bytes are. A deadline that passes is an answer too, not an error: policy decides about it.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// A TLS ClientHello.
    Tls(Box<ClientHello>),
    /// An HTTP/1 request.
    Http,
    /// Bytes that are neither.
    Unknown,
    /// TLS, but the ClientHello is broken; the text says how.
    BadClientHello(&'static str),
    /// The origin spoke first.
    ServerFirst,
    /// Nobody spoke in time.
    Silent,
    /// The client closed without a byte.
    Closed,
}

/// The answer, and the bytes that were read to find it.
#[derive(Debug)]
pub struct Classified {
    /// What the bytes are, or that none came.
    pub seen: Seen,
    /// What has been read of the client; must be replayed.
    pub bytes: Bytes,
}

/// The largest number of bytes that a classification looks at: the largest ClientHello, with its record headers.
const LIMIT: usize = 80 * 1024;

/// Reads from `client` until it is clear what it speaks. `origin_speaks` resolves when the origin has sent
/// something before the client has.
pub async fn classify<C: AsyncRead + Unpin>(
    client: &mut C,
    origin_speaks: impl Future<Output = ()>,
    deadline: Duration,
) -> std::io::Result<Classified> {
    let mut bytes = BytesMut::with_capacity(2048);
    let deadline = tokio::time::sleep(deadline);
    tokio::pin!(deadline, origin_speaks);
    let mut origin_silent = true;
    let seen = loop {
        tokio::select! {
            biased;
            read = client.read_buf(&mut bytes) => {
                if read? == 0 {
                    break if bytes.is_empty() { Seen::Closed } else { Seen::Unknown };
                }
                // Once the client has spoken, what the origin says no longer tells anything.
                origin_silent = false;
                if let Some(seen) = look(&bytes) {
                    break seen;
                }
                if bytes.len() >= LIMIT {
                    break Seen::Unknown;
                }
            }
            () = &mut origin_speaks, if origin_silent => break Seen::ServerFirst,
            () = &mut deadline => break if bytes.is_empty() { Seen::Silent } else { Seen::Unknown },
        }
    };
    Ok(Classified {
        seen,
        bytes: bytes.freeze(),
    })
}

/// What the bytes so far are, or `None` if more are needed.
fn look(bytes: &[u8]) -> Option<Seen> {
    match client_hello::parse(bytes) {
        Parse::Complete(hello) => return Some(Seen::Tls(Box::new(hello))),
        Parse::Invalid(why) => return Some(Seen::BadClientHello(why)),
        Parse::NeedMore => return None,
        Parse::NotThis => {}
    }
    looks_like_http(bytes).map(|http| if http { Seen::Http } else { Seen::Unknown })
}

/// The methods that begin an HTTP/1 request.
const METHODS: [&[u8]; 19] = [
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"TRACE ",
    b"PROPFIND ",
    b"PROPPATCH ",
    b"REPORT ",
    b"SEARCH ",
    b"MKCOL ",
    b"COPY ",
    b"MOVE ",
    b"LOCK ",
    b"UNLOCK ",
    b"QUERY ",
    b"MERGE ",
];

/// Whether this is the beginning of an HTTP/1 request; `None` while it may still become one. Only registered
/// methods count: any text protocol begins with a token, and must not be mistaken for HTTP.
fn looks_like_http(bytes: &[u8]) -> Option<bool> {
    let mut maybe = false;
    for method in METHODS {
        if bytes.starts_with(method) {
            return Some(true);
        }
        maybe |= method.starts_with(bytes);
    }
    if maybe { None } else { Some(false) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    async fn run(input: &[u8], origin: impl Future<Output = ()>) -> Classified {
        let (mut near, mut far) = tokio::io::duplex(256);
        near.write_all(input).await.unwrap();
        if !input.is_empty() {
            near.shutdown().await.unwrap();
        }
        let classified = classify(&mut far, origin, Duration::from_millis(50))
            .await
            .unwrap();
        drop(near);
        classified
    }

    #[tokio::test]
    async fn every_prefix_of_a_request_line_waits_for_the_method() {
        for n in 1..4 {
            assert_eq!(look(&b"GET / HTTP/1.1\r\n"[..n]), None);
        }
        for n in 4..16 {
            assert_eq!(look(&b"GET / HTTP/1.1\r\n"[..n]), Some(Seen::Http));
        }
        assert_eq!(look(b"SSH-2.0-x"), Some(Seen::Unknown));
        assert_eq!(look(b"\0\x01"), Some(Seen::Unknown));
    }

    #[tokio::test]
    async fn the_bytes_read_come_back_whole() {
        let classified = run(b"GET / HTTP/1.1\r\n\r\n", std::future::pending()).await;
        assert_eq!(classified.seen, Seen::Http);
        assert_eq!(&classified.bytes[..], b"GET / HTTP/1.1\r\n\r\n");
    }

    #[tokio::test]
    async fn an_origin_that_speaks_first_is_noticed_at_once() {
        assert_eq!(run(b"", std::future::ready(())).await.seen, Seen::ServerFirst);
    }

    #[tokio::test]
    async fn silence_ends_at_the_deadline() {
        assert_eq!(run(b"", std::future::pending()).await.seen, Seen::Silent);
    }

    #[tokio::test]
    async fn a_prefix_that_goes_no_further_is_unknown() {
        assert_eq!(run(b"GE", std::future::pending()).await.seen, Seen::Unknown);
        assert_eq!(run(b"\x16\x03", std::future::pending()).await.seen, Seen::Unknown);
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_and_closes_is_named() {
        let (near, mut far) = tokio::io::duplex(16);
        drop(near);
        let classified = classify(&mut far, std::future::pending(), Duration::from_secs(5))
            .await
            .unwrap();
        assert_eq!(classified.seen, Seen::Closed);
    }
}
