//! What a connection in the open is for that nobody has asked for: its first request says so.

use super::connection::Connection;
use crate::accept::{Prefixed, Socket};
use crate::wire::headers::Headers;
use crate::wire::http1::{head_end, parse_request, skip_blank_lines};
use crate::wire::names::{Authority, Host};
use bytes::BytesMut;
use http::header::HOST;
use tokio::io::AsyncReadExt;

/// The name in the first request's Host, with the client as it was. It stands for the connection: clients that do not know of a
/// proxy use a connection for the one host that they have opened it for.
pub(super) async fn first_host(
    conn: &Connection,
    client: Prefixed<Socket>,
) -> (Option<String>, Prefixed<Socket>) {
    let (limit, patience) = (conn.config.limits.header_bytes, conn.config.timeouts.request_head);
    let (early, mut stream) = client.into_parts();
    let mut bytes = BytesMut::from(&early[..]);
    let read = async {
        loop {
            let begin = skip_blank_lines(&bytes);
            let rest = bytes.get(begin..).unwrap_or_default();
            if let Some(end) = head_end(rest, 0) {
                return host(rest.get(..end)?);
            }
            if bytes.len() > limit || !matches!(stream.read_buf(&mut bytes).await, Ok(n) if n > 0) {
                return None;
            }
        }
    };
    // What is wrong with a request is told where it is served.
    let host = tokio::time::timeout(patience, read).await.unwrap_or_default();
    (host, Prefixed::new(bytes.freeze(), stream))
}

/// The name in a head's Host.
fn host(head: &[u8]) -> Option<String> {
    let head = parse_request(head).ok()?;
    let value = std::str::from_utf8(head.fields.first(&HOST)?).ok()?;
    match Authority::parse(value, Some(80))?.host {
        Host::Name(name) => Some(name),
        Host::Ip(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_head_is_a_name() {
        let of = |text: &str| host(text.as_bytes());
        assert_eq!(
            of("GET / HTTP/1.1\r\nHost: A.example:8080\r\n\r\n").as_deref(),
            Some("a.example")
        );
        assert_eq!(of("GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n"), None);
        assert_eq!(of("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), None);
        assert_eq!(of("GET / HTTP/1.0\r\n\r\n"), None);
    }
}
