//! Heads of requests and responses (RFC 9112 sections 2 to 5).
//!
//! What is mended: empty lines before a message; in both kinds of heads, obsolete folding (a space); in responses alone,
//! white space before a colon (removed), lines that end with a line feed alone, more than one space in the status line;
//! lines without a colon, without a name or with control characters in it are left out there.

use super::Malformed;
use super::field_line::{Reading, Span, is_space, is_token};
use super::fields::Fields;
use http::{Method, StatusCode, Version};
use memchr::memchr_iter;

/// The head of a request.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The fields.
    pub fields: Fields,
    target: Span,
}

impl RequestHead {
    /// The target, as it came.
    pub fn target(&self) -> &[u8] {
        self.fields.text(self.target)
    }

    /// Writes the head, with a target of its own, as one of HTTP/1.1: what forwards a message speaks for itself
    /// (RFC 9110 section 2.5).
    pub fn write(&self, target: &[u8], out: &mut Vec<u8>) {
        write_request(&self.method, target, &self.fields, out);
    }
}

/// Writes the head of a request of HTTP/1.1.
pub fn write_request(method: &Method, target: &[u8], fields: &Fields, out: &mut Vec<u8>) {
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    fields.write(out);
    out.extend_from_slice(b"\r\n");
}

/// The head of a response.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// The status.
    pub status: StatusCode,
    /// HTTP/1.0, or HTTP/1.1 for it and whatever claims to be newer.
    pub version: Version,
    /// The fields.
    pub fields: Fields,
    reason: Span,
}

impl ResponseHead {
    /// A head of the proxy's own.
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            version: Version::HTTP_11,
            fields: Fields::new(),
            reason: Span::default(),
        }
    }

    /// The reason phrase, as it came.
    pub fn reason(&self) -> &[u8] {
        self.fields.text(self.reason)
    }

    /// Writes the head as one of this version.
    pub fn write(&self, version: Version, out: &mut Vec<u8>) {
        let name = if version == Version::HTTP_10 {
            "HTTP/1.0"
        } else {
            "HTTP/1.1"
        };
        out.extend_from_slice(name.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.status.as_str().as_bytes());
        out.push(b' ');
        if self.reason == Span::default() {
            out.extend_from_slice(self.status.canonical_reason().unwrap_or_default().as_bytes());
        } else {
            out.extend_from_slice(self.reason());
        }
        out.extend_from_slice(b"\r\n");
        self.fields.write(out);
        out.extend_from_slice(b"\r\n");
    }
}

/// Where the first head in `bytes` ends, with its empty line. The first `known` bytes were looked at before, and did not
/// have it.
pub fn head_end(bytes: &[u8], known: usize) -> Option<usize> {
    // The line feed before may be the last of the known ones, or the one before a carriage return.
    let from = known.saturating_sub(2);
    memchr_iter(b'\n', bytes.get(from..)?).find_map(|at| match &bytes[from + at + 1..] {
        [b'\n', ..] => Some(from + at + 2),
        [b'\r', b'\n', ..] => Some(from + at + 3),
        _ => None,
    })
}

/// How many bytes of empty lines come before a message (RFC 9112 section 2.2).
pub fn skip_blank_lines(bytes: &[u8]) -> usize {
    bytes.chunks_exact(2).take_while(|pair| *pair == b"\r\n").count() * 2
}

/// Reads the head of a request, which ends with its empty line.
///
/// # Errors
/// What makes it ambiguous, or no request.
pub fn parse_request(head: &[u8]) -> Result<RequestHead, Malformed> {
    let (fields, line) = Fields::parse_head(head, Reading::Strict)?;
    let text = fields.text(line);
    let mut parts = text.splitn(3, |&byte| byte == b' ');
    let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Malformed::RequestLine);
    };
    if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
        return Err(Malformed::RequestLine);
    }
    if target.is_empty() || !target.iter().all(|&byte| may_be_in_target(byte)) {
        return Err(Malformed::Target);
    }
    let version = match version {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        // Whoever speaks a later one can be spoken to by this one (RFC 9110 section 2.5); it goes on as this one.
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Version::HTTP_11,
        other if other.starts_with(b"HTTP/") && other.len() == 8 && !other.contains(&b' ') => {
            return Err(Malformed::Version);
        }
        // More than three words: the target has white space in it.
        other if other.contains(&b' ') => return Err(Malformed::Target),
        _ => return Err(Malformed::RequestLine),
    };
    let begin = method.len() + 1;
    let target = Span::new(begin, begin + target.len());
    let method = Method::from_bytes(method).map_err(|_| Malformed::RequestLine)?;
    Ok(RequestHead {
        method,
        version,
        target,
        fields,
    })
}

/// Reads the head of a response, which ends with its empty line.
///
/// # Errors
/// What makes it ambiguous, or no response.
pub fn parse_response(head: &[u8]) -> Result<ResponseHead, Malformed> {
    let (fields, line) = match Fields::parse_head(head, Reading::Mending) {
        Err(Malformed::RequestLine) => return Err(Malformed::StatusLine),
        parsed => parsed?,
    };
    let text = fields.text(line);
    let version = match text.get(..8) {
        // The name in small letters is wrong (RFC 9112 section 2.3) and means nothing else; browsers and curl take it.
        Some([name @ .., b'/', b'1', b'.', minor]) if name.eq_ignore_ascii_case(b"HTTP") => match minor {
            b'0' => Version::HTTP_10,
            b'1'..=b'9' => Version::HTTP_11,
            _ => return Err(Malformed::StatusLine),
        },
        Some([b'H', b'T', b'T', b'P', b'/', major, ..]) if major.is_ascii_digit() => {
            return Err(Malformed::Version);
        }
        _ => return Err(Malformed::StatusLine),
    };
    let spaces = text[8..].iter().take_while(|&&byte| is_space(byte)).count();
    let begin = 8 + spaces;
    let status = text.get(begin..begin + 3).filter(|_| spaces > 0);
    let status = status
        .and_then(|digits| StatusCode::from_bytes(digits).ok())
        .ok_or(Malformed::StatusLine)?;
    let reason = match &text[begin + 3..] {
        [] => Span::new(begin + 3, begin + 3),
        [b' ', ..] => Span::new(begin + 4, text.len()),
        _ => return Err(Malformed::StatusLine),
    };
    Ok(ResponseHead {
        status,
        version,
        fields,
        reason,
    })
}

/// Whether a byte can be in a request's target. Fragments are no part of it (RFC 9112 section 3.2): some servers cut them off
/// and others serve them, so that a path behind a `#` is another one for each.
const fn may_be_in_target(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, b'#' | 0x7f)
}
