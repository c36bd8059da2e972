//! A plain reader of HTTP/1.1 of the tests' own, which takes nothing that is odd about framing.

use super::corpus::Message;
use super::readers::Reading;

/// The requests in some bytes.
pub(crate) fn plain_requests(bytes: &[u8]) -> Reading {
    plain(bytes, |head| {
        let line = text_line(head);
        let mut words = line.split(|&byte| byte == b' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err("no request line".to_owned());
        };
        Ok(Some((
            [method, target].join(&b' '),
            framing(head, Framing::Length(0))?,
        )))
    })
}

/// The same for responses to requests with these methods; interim ones are left out.
pub(crate) fn plain_responses(bytes: &[u8], asks: &[String]) -> Reading {
    let mut asks = asks.iter();
    plain(bytes, |head| {
        let line = text_line(head);
        let status = line
            .get(9..12)
            .filter(|status| status.iter().all(u8::is_ascii_digit));
        let status = status.ok_or("no status line")?;
        if status.starts_with(b"1") {
            return Ok(None);
        }
        let ask = asks.next().ok_or("a response that nobody asked for")?;
        let is_empty = ask == "HEAD" || status == b"204" || status == b"304";
        let framing = if is_empty {
            Framing::Length(0)
        } else {
            framing(head, Framing::ToEnd)?
        };
        Ok(Some((status.to_vec(), framing)))
    })
}

enum Framing {
    Length(usize),
    Chunked,
    ToEnd,
}

fn text_line(head: &[u8]) -> &[u8] {
    let end = head.windows(2).position(|two| two == b"\r\n");
    &head[..end.unwrap_or(head.len())]
}

/// The values of a field.
pub(crate) fn values(head: &[u8], name: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(head);
    let lines = text.split("\r\n").skip(1);
    let pairs = lines.filter_map(|line| line.split_once(':'));
    pairs
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim_matches([' ', '\t']).to_owned())
        .collect()
}

fn framing(head: &[u8], none: Framing) -> Result<Framing, String> {
    let (lengths, codings) = (values(head, "content-length"), values(head, "transfer-encoding"));
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(none),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => length
            .parse()
            .map(Framing::Length)
            .map_err(|_| "a length".to_owned()),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        _ => Err(format!("odd framing: {lengths:?} {codings:?}")),
    }
}

type Start = Option<(Vec<u8>, Framing)>;

fn plain(bytes: &[u8], mut start: impl FnMut(&[u8]) -> Result<Start, String>) -> Reading {
    let mut messages = Vec::new();
    let mut rest = bytes;
    let trouble = loop {
        if rest.is_empty() {
            break None;
        }
        let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else {
            break Some("a head that does not end".to_owned());
        };
        let (head, after) = rest.split_at(end + 4);
        rest = after;
        let (line, framing) = match start(head) {
            Ok(None) => continue,
            Ok(Some(start)) => start,
            Err(trouble) => break Some(trouble),
        };
        let body = match framing {
            Framing::Length(length) => rest.split_at_checked(length).map(|(body, after)| {
                rest = after;
                body.to_vec()
            }),
            Framing::ToEnd => Some(std::mem::take(&mut rest).to_vec()),
            Framing::Chunked => dechunked(&mut rest),
        };
        match body {
            Some(body) => messages.push(Message::new(line, body)),
            None => break Some("content that does not end, or is broken".to_owned()),
        }
    };
    Reading { messages, trouble }
}

fn dechunked(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let line = |rest: &mut &[u8]| {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let (line, after) = rest.split_at(end);
        *rest = &after[2..];
        Some(line.to_vec())
    };
    loop {
        let size = line(rest)?;
        if size.is_empty() || !size.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let size = usize::from_str_radix(std::str::from_utf8(&size).ok()?, 16).ok()?;
        if size == 0 {
            while !line(rest)?.is_empty() {}
            return Some(body);
        }
        let (data, after) = rest.split_at_checked(size)?;
        body.extend(data);
        *rest = after.strip_prefix(b"\r\n")?;
    }
}
