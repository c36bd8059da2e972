//! Heads that an ICAP server sends: its own, and those of the HTTP message inside (RFC 3507 sections 4.3 and 4.4.1).

use std::ops::Range;

/// The longest head; what is inside of it may be longer by what was sent.
pub(super) const HEAD_MAX: usize = 64 << 10;
/// The most headers of an ICAP head.
const HEADERS_MAX: usize = 128;

/// The head of an ICAP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IcapHead {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
}

impl IcapHead {
    /// Reads a head from the beginning of `bytes`; `None` if it is not whole. The second result is its length.
    ///
    /// A header that goes on in lines of its own, as `X-Violations-Found` does, keeps them apart by tabs.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, String> {
        let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
            return if bytes.len() > HEAD_MAX {
                Err("its head does not end".to_owned())
            } else if b"ICAP/1.".starts_with(&bytes[..bytes.len().min(7)]) {
                Ok(None)
            } else {
                Err("it does not speak ICAP/1.0".to_owned())
            };
        };
        let length = end + 4;
        if length > HEAD_MAX {
            return Err("its head is too long".to_owned());
        }
        let mut head = bytes[..length].to_vec();
        unfold(&mut head[..end]);
        let first = memchr::memmem::find(&head, b"\r\n").map_or(end, |at| at + 2);
        let status = status(&head[..first]).ok_or("it does not speak ICAP/1.0")?;
        let mut room = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let headers = match httparse::parse_headers(&head[first..], &mut room) {
            Ok(httparse::Status::Complete((_, headers))) => headers,
            Ok(httparse::Status::Partial) => return Err("its head is broken".to_owned()),
            Err(error) => return Err(format!("its head is broken: {error}")),
        };
        let headers = headers
            .iter()
            .map(|header| {
                (
                    header.name.to_ascii_lowercase(),
                    String::from_utf8_lossy(header.value).into_owned(),
                )
            })
            .collect();
        Ok(Some((Self { status, headers }, length)))
    }

    /// The first header of this name, which is written in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.trim())
    }

    /// Every header of this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(own, _)| own == name)
            .map(|(_, value)| value.trim())
    }

    /// The members of a list that may be spread over several headers.
    pub(super) fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name)
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|member| !member.is_empty())
    }

    /// Whether the server closes the connection after this response.
    pub(super) fn closes(&self) -> bool {
        self.list("connection")
            .any(|member| member.eq_ignore_ascii_case("close"))
    }
}

/// Joins the lines of a header that goes on (RFC 9112 section 5.2), in place.
fn unfold(head: &mut [u8]) {
    for at in 0..head.len().saturating_sub(2) {
        if &head[at..at + 2] == b"\r\n" && matches!(head[at + 2], b' ' | b'\t') {
            head[at..at + 2].fill(b'\t');
        }
    }
}

/// `ICAP/1.0 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"ICAP/1.")?;
    let [minor, b' ', code @ ..] = rest else {
        return None;
    };
    let (code, after) = code.split_at_checked(3)?;
    let ends = matches!(after.first(), Some(b' ' | b'\r'));
    if !minor.is_ascii_digit() || !ends || !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(code).ok()?.parse().ok()
}

/// Where the parts of the message inside begin (RFC 3507 section 4.4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// The bytes of the request's head.
    pub(super) request: Option<Range<usize>>,
    /// The bytes of the response's head.
    pub(super) response: Option<Range<usize>>,
    /// How many bytes the heads take.
    pub(super) heads: usize,
    /// Whether a body follows.
    pub(super) body: bool,
}

impl Layout {
    /// Reads the value of `Encapsulated`, whose heads take at most `most` bytes.
    pub(super) fn parse(value: &str, most: usize) -> Result<Self, String> {
        let wrong = || format!("its Encapsulated header is broken: {value:?}");
        let mut layout = Self {
            request: None,
            response: None,
            heads: 0,
            body: false,
        };
        let mut open: Option<(&str, usize)> = None;
        let mut parts = value.split(',');
        while let Some(part) = parts.next() {
            let (name, offset) = part.trim().split_once('=').ok_or_else(wrong)?;
            let digits = !offset.is_empty() && offset.bytes().all(|byte| byte.is_ascii_digit());
            let offset: usize = offset.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
            // A head cannot be empty, and the first part is at the beginning.
            match open {
                Some((_, begin)) if offset <= begin => return Err(wrong()),
                None if offset != 0 => return Err(wrong()),
                _ => {}
            }
            if offset > most {
                return Err("the heads inside its answer are too long".to_owned());
            }
            match open {
                Some(("req-hdr", begin)) => layout.request = Some(begin..offset),
                Some((_, begin)) => layout.response = Some(begin..offset),
                None => {}
            }
            match name {
                "req-hdr" if layout.request.is_none() && layout.response.is_none() && open.is_none() => {}
                "res-hdr" if layout.response.is_none() && open.is_none_or(|(name, _)| name == "req-hdr") => {}
                "req-body" | "res-body" | "opt-body" | "null-body" => {
                    layout.heads = offset;
                    layout.body = name != "null-body";
                    return if parts.next().is_none() {
                        Ok(layout)
                    } else {
                        Err(wrong())
                    };
                }
                _ => return Err(wrong()),
            }
            open = Some((name, offset));
        }
        // Without a body's place nothing says where the heads end.
        Err(wrong())
    }
}

/// The HTTP message that a server sends in the place of the one that it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AnsweredMessage {
    /// A request.
    Request {
        method: String,
        target: String,
        /// Whether its body has a content coding.
        coded: bool,
    },
    /// A response.
    Response {
        status: u16,
        /// Whether its body has a content coding.
        coded: bool,
    },
}

impl AnsweredMessage {
    /// Reads the heads that `layout` describes. Where there are two, the response is what counts.
    pub(super) fn parse(heads: &[u8], layout: &Layout) -> Result<Self, String> {
        let broken = "the HTTP head inside its answer is broken";
        // A client may have sent any number of headers, and servers send them back.
        let lines = memchr::memchr_iter(b'\n', heads).count();
        let mut room = vec![httparse::EMPTY_HEADER; lines];
        let part = |range: &Range<usize>| heads.get(range.clone()).ok_or(broken);
        if let Some(range) = &layout.response {
            let bytes = part(range)?;
            let mut response = httparse::Response::new(&mut room);
            let complete = response.parse(bytes) == Ok(httparse::Status::Complete(bytes.len()));
            return match response.code {
                Some(status) if complete => Ok(Self::Response {
                    status,
                    coded: coded(response.headers),
                }),
                _ => Err(broken.to_owned()),
            };
        }
        let range = layout
            .request
            .as_ref()
            .ok_or("its answer has no HTTP head inside")?;
        let bytes = part(range)?;
        let mut request = httparse::Request::new(&mut room);
        let complete = request.parse(bytes) == Ok(httparse::Status::Complete(bytes.len()));
        match (request.method, request.path) {
            (Some(method), Some(target)) if complete => Ok(Self::Request {
                method: method.to_owned(),
                target: target.to_owned(),
                coded: coded(request.headers),
            }),
            _ => Err(broken.to_owned()),
        }
    }
}

fn coded(headers: &[httparse::Header<'_>]) -> bool {
    headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("content-encoding")
            && !header.value.trim_ascii().eq_ignore_ascii_case(b"identity")
            && !header.value.trim_ascii().is_empty()
    })
}
