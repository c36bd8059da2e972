//! CONNECT, as a client of a parent (RFC 9110 section 9.3.6).

use super::outcome::{ParentError, ParentOutcome};
use crate::wire::http1::{head_end, parse_response, skip_blank_lines};
use crate::wire::names::Authority;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The most that is read before a tunnel stands: the head of the answer, and those of what comes before it.
const MOST: usize = 64 * 1024;

/// Asks for a tunnel; returns what has come behind the answer, which is the origin's.
pub(super) async fn connect(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    target: &Authority,
    credentials: Option<&str>,
) -> Result<Bytes, ParentError> {
    let closed = |text: String| ParentError::after(ParentOutcome::Closed, text);
    let ask = request(target, credentials);
    let sent = async {
        stream.write_all(&ask).await?;
        stream.flush().await
    };
    if let Err(error) = sent.await {
        return Err(closed(format!("it ended the connection: {error}")));
    }
    let mut read = BytesMut::with_capacity(1024);
    let mut answer = Answer::default();
    loop {
        match stream.read_buf(&mut read).await {
            Ok(0) => return Err(closed("it ended the connection without an answer".to_owned())),
            Ok(_) => {}
            Err(error) => return Err(closed(format!("it ended the connection: {error}"))),
        }
        if let Some(end) = answer.read(&read)? {
            return Ok(read.split_off(end).freeze());
        }
    }
}

/// What is sent. Nothing of what the client sent is among it.
fn request(target: &Authority, credentials: Option<&str>) -> Vec<u8> {
    let mut out = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(credentials) = credentials {
        out.push_str("Proxy-Authorization: ");
        out.push_str(credentials);
        out.push_str("\r\n");
    }
    out.push_str("\r\n");
    out.into_bytes()
}

/// An answer under way.
#[derive(Debug, Default)]
struct Answer {
    /// Where the head begins that is read now; interim ones have gone before it.
    begin: usize,
    /// How much of it was looked at.
    known: usize,
}

impl Answer {
    /// Reads on in all that has come so far: where the tunnel begins, once that is known. A 2xx ends with its empty line,
    /// whatever lengths it claims to have.
    fn read(&mut self, all: &[u8]) -> Result<Option<usize>, ParentError> {
        loop {
            let rest = all.get(self.begin..).unwrap_or_default();
            let blank = skip_blank_lines(rest);
            if blank > 0 {
                (self.begin, self.known) = (self.begin + blank, 0);
                continue;
            }
            if rest == b"\r" {
                return Ok(None);
            }
            if !b"HTTP/".starts_with(&rest[..rest.len().min(5)]) {
                return Err(malformed("it does not answer by HTTP"));
            }
            let Some(end) = head_end(rest, self.known) else {
                self.known = rest.len();
                return match all.len() > MOST {
                    true => Err(malformed("the head of its answer is too long")),
                    false => Ok(None),
                };
            };
            let head =
                parse_response(&rest[..end]).map_err(|why| malformed(&format!("its answer has {why}")))?;
            (self.begin, self.known) = (self.begin + end, 0);
            match head.status {
                status if status.is_success() => return Ok(Some(self.begin)),
                status if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS => {
                    if self.begin > MOST {
                        return Err(malformed("it sends interim responses without end"));
                    }
                }
                status => return Err(refused(status)),
            }
        }
    }
}

fn malformed(text: &str) -> ParentError {
    ParentError::after(ParentOutcome::Malformed, text)
}

/// What a status says that opens no tunnel.
pub(super) fn refused(status: StatusCode) -> ParentError {
    let outcome = match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => ParentOutcome::Login,
        status if status.is_server_error() => ParentOutcome::Failed,
        _ => ParentOutcome::Denied,
    };
    let text = match outcome {
        ParentOutcome::Login => "it does not accept the proxy's login (407)".to_owned(),
        _ => format!("it answered {}", status.as_u16()),
    };
    ParentError {
        received: Some(status),
        ..ParentError::answer(outcome, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::Health;
    use crate::wire::names::Host;
    use proptest::prelude::*;

    fn target(text: &str) -> Authority {
        Authority::parse(text, None).unwrap()
    }

    #[test]
    fn what_is_asked_has_the_login_and_nothing_else() {
        let text = |target: &Authority, login| String::from_utf8(request(target, login)).unwrap();
        assert_eq!(
            text(&target("a.example:443"), None),
            "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
        );
        let v6 = Authority {
            host: Host::Ip("2001:db8::1".parse().unwrap()),
            port: 80,
        };
        assert_eq!(
            text(&v6, Some("Basic eA==")),
            "CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\nProxy-Authorization: Basic eA==\r\n\r\n"
        );
    }

    /// What an answer comes to, fed byte by byte, which must be what it comes to as a whole.
    fn answer(text: &[u8]) -> Result<Option<usize>, ParentOutcome> {
        let whole = Answer::default().read(text).map_err(|error| error.outcome);
        let mut parts = Answer::default();
        for end in 0..=text.len() {
            match parts.read(&text[..end]) {
                Ok(None) => {}
                Ok(Some(at)) => {
                    assert_eq!(whole, Ok(Some(at)));
                    return whole;
                }
                Err(error) => {
                    assert_eq!(whole, Err(error.outcome));
                    return whole;
                }
            }
        }
        assert_eq!(whole, Ok(None));
        whole
    }

    #[test]
    fn any_2xx_ends_at_its_empty_line() {
        for head in [
            "HTTP/1.1 200 Connection established\r\n\r\n",
            "HTTP/1.0 200 OK\r\nProxy-agent: tinyproxy\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 204\r\n\r\n",
            "HTTP/1.1 299 x\r\n\r\n",
            "HTTP/1.1 200 OK\n\n",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            let all = format!("{head}SSH-2.0-x\r\n");
            assert_eq!(answer(all.as_bytes()), Ok(Some(head.len())), "{head:?}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(MOST - 200));
        assert_eq!(answer_whole(&long), Ok(Some(long.len())));
    }

    fn answer_whole(text: &str) -> Result<Option<usize>, ParentOutcome> {
        Answer::default()
            .read(text.as_bytes())
            .map_err(|error| error.outcome)
    }

    #[test]
    fn anything_else_opens_no_tunnel() {
        for (text, outcome) in [
            (
                "HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic\r\n\r\n",
                ParentOutcome::Login,
            ),
            ("HTTP/1.1 403 No\r\n\r\n", ParentOutcome::Denied),
            (
                "HTTP/1.1 302 Elsewhere\r\nLocation: http://x/\r\n\r\n",
                ParentOutcome::Denied,
            ),
            ("HTTP/1.1 101 x\r\n\r\n", ParentOutcome::Denied),
            ("HTTP/1.1 502 Bad\r\n\r\n", ParentOutcome::Failed),
            ("HTTP/1.1 2000 x\r\n\r\n", ParentOutcome::Malformed),
            ("HTTP/2.0 200 x\r\n\r\n", ParentOutcome::Malformed),
            ("SSH-2.0-x\r\n", ParentOutcome::Malformed),
            ("\x15\x03\x01\x00\x02\x02\x46", ParentOutcome::Malformed),
            ("200 OK\r\n\r\n", ParentOutcome::Malformed),
        ] {
            assert_eq!(answer(text.as_bytes()), Err(outcome), "{text:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(MOST));
        assert_eq!(answer_whole(&endless), Err(ParentOutcome::Malformed));
        let rambling = "HTTP/1.1 100 Continue\r\n\r\n".repeat(MOST / 20);
        assert_eq!(answer_whole(&rambling), Err(ParentOutcome::Malformed));
    }

    #[test]
    fn an_answer_about_one_site_says_nothing_against_the_parent() {
        for status in [403, 407, 500, 502, 503, 504] {
            let error = refused(StatusCode::from_u16(status).unwrap());
            assert_eq!(error.health, Health::Well, "{status}");
            assert_eq!(error.outcome.fails_over(), status != 403, "{status}");
        }
    }

    proptest! {
        #[test]
        fn every_prefix_and_every_changed_byte_is_read(at in 0_usize..90, byte: u8) {
            let mut text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\nVia: 1.0 x\r\n\r\nbytes".to_vec();
            if let Some(changed) = text.get_mut(at) {
                *changed = byte;
            }
            let _ = answer(&text);
        }

        #[test]
        fn no_bytes_are_too_odd(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = answer(&text);
        }
    }
}
