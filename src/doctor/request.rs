//! Requests, as an ordinary client makes them.

use super::facts::{Answer, Trouble, TroubleKind};
use super::target::{Target, clean};
use super::witness::trouble;
use crate::accept::Socket;
use crate::wire::headers::Headers;
use crate::wire::http1::{ResponseHead, head_end, parse_response};
use bytes::Bytes;
use h2::client::SendRequest;
use http::header::PROXY_AUTHENTICATE;
use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::task::AbortOnDropHandle;

/// What the doctor calls itself.
pub(super) const AGENT: &str = concat!("wsbump-doctor/", env!("CARGO_PKG_VERSION"));

/// The most that an answer's head may take.
const HEAD: usize = 64 * 1024;

/// Interim answers before the last one.
const INTERIM: usize = 20;

/// The fields by which whoever answers may be known.
const MARKS: [&str; 11] = [
    "server",
    "via",
    "proxy-status",
    "proxy-agent",
    "x-squid-error",
    "x-bluecoat-via",
    "x-cache",
    "x-cache-lookup",
    "upgrade",
    "connection",
    "sec-websocket-extensions",
];

/// What an answer tells of who gave it.
pub(super) fn answer(status: StatusCode, fields: &impl Headers) -> Answer {
    let mut marks = Vec::new();
    fields.each(&mut |name, value| {
        let known = MARKS
            .iter()
            .find(|mark| mark.as_bytes().eq_ignore_ascii_case(name));
        if let Some(name) = known {
            marks.push(format!("{name}: {}", clean(value)));
        }
    });
    let schemes = fields.all(&PROXY_AUTHENTICATE).map(scheme).collect();
    Answer {
        status: status.as_u16(),
        marks,
        schemes,
    }
}

/// The scheme of a challenge: what follows it may name a directory.
fn scheme(value: &[u8]) -> String {
    let end = value.iter().position(|byte| matches!(byte, b' ' | b'\t' | b','));
    clean(&value[..end.unwrap_or(value.len())])
}

/// Sends a request of HTTP/1.1, and reads the answer's head; what was read behind it comes too.
pub(super) async fn ask(
    socket: &mut Socket,
    method: &str,
    target: &str,
    host: &str,
    more: &[(&str, &str)],
) -> Result<(ResponseHead, Vec<u8>), Trouble> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {AGENT}\r\n");
    for (name, value) in more {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let send = async {
        socket.write_all(head.as_bytes()).await?;
        socket.flush().await
    };
    send.await.map_err(|error| trouble(&error))?;
    let mut read = Vec::with_capacity(1024);
    for _ in 0..INTERIM {
        let answer = head_of(socket, &mut read).await?;
        let status = answer.status.as_u16();
        // A switch of protocols is an answer too.
        if status == 101 || status >= 200 {
            return Ok((answer, read));
        }
    }
    Err(Trouble::new(TroubleKind::Invalid, "interim answers without end"))
}

/// Reads a head; what comes behind it stays in `read`.
async fn head_of(socket: &mut Socket, read: &mut Vec<u8>) -> Result<ResponseHead, Trouble> {
    let mut known = 0;
    let end = loop {
        if let Some(end) = head_end(read, known) {
            break end;
        }
        known = read.len();
        if known > HEAD {
            return Err(Trouble::new(
                TroubleKind::Invalid,
                "an answer whose head does not end within 64 KiB",
            ));
        }
        if socket.read_buf(read).await.map_err(|error| trouble(&error))? == 0 {
            let text = match read.len() {
                0 => "the connection was closed without an answer",
                _ => "the connection was closed in the middle of an answer's head",
            };
            return Err(Trouble::new(TroubleKind::Ended, text));
        }
    };
    let head: Vec<u8> = read.drain(..end).collect();
    parse_response(&head).map_err(|_| {
        let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Trouble::new(
            TroubleKind::Invalid,
            format!("what came is no answer of HTTP/1.1: {:?}", clean(first)),
        )
    })
}

/// What an upgrade looks like that is offered by GET (RFC 6455 section 4.1).
pub(super) fn upgrade_fields<'a>(
    key: &'a str,
    deflate: bool,
    origin: Option<&'a str>,
) -> Vec<(&'static str, &'a str)> {
    let mut fields = vec![
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", "13"),
    ];
    if deflate {
        fields.push(("Sec-WebSocket-Extensions", DEFLATE));
    }
    fields.extend(origin.map(|origin| ("Origin", origin)));
    fields
}

/// The extension as browsers offer it.
pub(super) const DEFLATE: &str = "permessage-deflate; client_max_window_bits";

/// A connection of HTTP/2.
#[derive(Debug)]
pub(super) struct Http2 {
    pub(super) sender: SendRequest<Bytes>,
    /// Drives the connection as long as it is there.
    _driver: AbortOnDropHandle<()>,
}

/// Begins HTTP/2 on a connection that has agreed to it.
pub(super) async fn http2(socket: Socket) -> Result<Http2, Trouble> {
    let (sender, connection) = h2::client::handshake(socket)
        .await
        .map_err(|error| http2_trouble(&error))?;
    let driver = tokio::spawn(async move {
        // What it ends with reaches the streams.
        let _ = connection.await;
    });
    Ok(Http2 {
        sender,
        _driver: AbortOnDropHandle::new(driver),
    })
}

/// A GET over HTTP/2.
pub(super) async fn get2(http2: &Http2, target: &Target) -> Result<Answer, Trouble> {
    let request = Request::get(url(target))
        .header("user-agent", AGENT)
        .body(())
        .map_err(|error| Trouble::new(TroubleKind::Invalid, error.to_string()))?;
    let mut sender = http2
        .sender
        .clone()
        .ready()
        .await
        .map_err(|error| http2_trouble(&error))?;
    let (response, _) = sender
        .send_request(request, true)
        .map_err(|error| http2_trouble(&error))?;
    let response = response.await.map_err(|error| http2_trouble(&error))?;
    Ok(answer(response.status(), response.headers()))
}

/// The URL that a request over HTTP/2 is for.
pub(super) fn url(target: &Target) -> String {
    let scheme = if target.scheme.is_tls() { "https" } else { "http" };
    format!("{scheme}://{}{}", target.host_field(), target.path)
}

/// What an error of HTTP/2 is, in words.
pub(super) fn http2_trouble(error: &h2::Error) -> Trouble {
    if let Some(error) = error.get_io() {
        return trouble(error);
    }
    let who = if error.is_remote() {
        "the far side sent"
    } else {
        "the doctor sent"
    };
    let what = match (error.is_go_away(), error.is_reset()) {
        (true, _) => "GOAWAY",
        (_, true) => "RST_STREAM",
        _ => return Trouble::new(TroubleKind::Invalid, clean(error.to_string().as_bytes())),
    };
    let code = error
        .reason()
        .map_or_else(String::new, |reason| format!(" ({reason:?})"));
    Trouble::new(TroubleKind::Ended, format!("{who} {what}{code}"))
}
