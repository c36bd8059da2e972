//! What is sent: the content inside of HTTP heads, inside of an ICAP request (RFC 3507 sections 4.4 and 4.5).
//!
//! A body keeps the heads that it came with, without what concerns one connection only and with the length and
//! coding that the decoded content has. A WebSocket message has no heads, so it gets some: towards the origin it is the
//! body of a `POST` of the WebSocket's own URL, towards the client the body of a 200 to a `GET` of it.

use super::IcapUrl;
use super::modification::Modification;
use super::options::Options;
use crate::inspect::{HttpHead, ScanItem, Surface};
use crate::wire::frame::{Direction, Opcode};
use crate::wire::names::Authority;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use std::io::Write as _;
use std::net::IpAddr;

/// Headers that end with their connection (RFC 9110 section 7.6.1), and `Expect`, which is about sending.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What the scanner may know of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tell {
    pub(super) client_ip: bool,
    pub(super) user: bool,
}

impl Tell {
    /// Writes the headers that tell it.
    pub(super) fn write(self, client: IpAddr, user: Option<&str>, out: &mut Vec<u8>) {
        if self.client_ip {
            let _ = write!(out, "X-Client-IP: {client}\r\n");
        }
        let user = user.filter(|_| self.user);
        // A name that no header can carry is not told.
        if let Some(user) = user.and_then(|user| HeaderValue::from_str(user).ok()) {
            out.extend_from_slice(b"X-Client-Username: ");
            out.extend_from_slice(user.as_bytes());
            let path = [b"Local://", user.as_bytes()].concat();
            let _ = write!(out, "\r\nX-Authenticated-User: {}\r\n", STANDARD.encode(path));
        }
    }
}

/// Content with the HTTP heads that it is sent in.
#[derive(Debug)]
pub(super) struct Wrapped {
    pub(super) modification: Modification,
    pub(super) method: Method,
    /// The absolute URL.
    pub(super) target: String,
    /// A response's status; `None` for a request.
    pub(super) status: Option<StatusCode>,
    pub(super) content: Bytes,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Wrapped {
    pub(super) fn new(item: &ScanItem) -> Self {
        let modification = Modification::of(item.direction);
        let (mut request, mut response) = heads(item);
        let carrier = match &mut response {
            Some(response) if modification == Modification::Response => response,
            _ => &mut request,
        };
        carrier.headers.remove(header::CONTENT_ENCODING);
        carrier
            .headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(item.data.len()));
        let target = url(item);
        let response = response.filter(|_| modification == Modification::Response);
        let mut wrapped = Self {
            modification,
            method: request.method.clone(),
            status: response.as_ref().and_then(|response| response.status),
            content: item.data.clone(),
            request: Vec::with_capacity(512),
            response: Vec::new(),
            target,
        };
        // Writing to a Vec cannot fail.
        let _ = write!(
            wrapped.request,
            "{} {} HTTP/1.1\r\n",
            wrapped.method, wrapped.target
        );
        write_headers(&mut wrapped.request, &request.headers);
        if let Some(response) = &response {
            let status = response.status.unwrap_or(StatusCode::OK);
            let reason = status.canonical_reason().unwrap_or_default();
            let _ = write!(wrapped.response, "HTTP/1.1 {} {reason}\r\n", status.as_str());
            write_headers(&mut wrapped.response, &response.headers);
        }
        wrapped
    }

    /// How long the HTTP heads are.
    pub(super) fn heads(&self) -> usize {
        self.request.len() + self.response.len()
    }

    /// How much of the content is sent before the scanner says that it wants the rest; `None` to send all at once.
    pub(super) fn preview(&self, options: &Options, extension: Option<&str>) -> Option<usize> {
        if self.content.is_empty() || !options.wants_preview(extension) {
            return None;
        }
        options.preview.map(|most| most.min(self.content.len()))
    }

    /// The ICAP head and the HTTP heads: everything before the content.
    pub(super) fn head(
        &self,
        service: &IcapUrl,
        item: &ScanItem,
        tell: Tell,
        preview: Option<usize>,
    ) -> Bytes {
        let heads = self.heads();
        let mut out = Vec::with_capacity(512 + heads);
        let method = self.modification.label();
        let _ = write!(
            out,
            "{method} {service} ICAP/1.0\r\nHost: {}\r\nAllow: 204\r\n",
            service.authority()
        );
        if let Some(preview) = preview {
            let _ = write!(out, "Preview: {preview}\r\n");
        }
        let user = item.facts.user.as_ref().map(|user| &*user.name);
        tell.write(item.facts.client, user, &mut out);
        let kind = match (self.content.is_empty(), self.modification) {
            (true, _) => "null",
            (false, Modification::Request) => "req",
            (false, Modification::Response) => "res",
        };
        out.extend_from_slice(b"Encapsulated: req-hdr=0");
        if self.modification == Modification::Response {
            let _ = write!(out, ", res-hdr={}", self.request.len());
        }
        let _ = write!(out, ", {kind}-body={heads}\r\n\r\n");
        out.extend_from_slice(&self.request);
        out.extend_from_slice(&self.response);
        out.into()
    }
}

/// OPTIONS (RFC 3507 section 4.10).
pub(super) fn options(service: &IcapUrl) -> Bytes {
    format!(
        "OPTIONS {service} ICAP/1.0\r\nHost: {}\r\nEncapsulated: null-body=0\r\n\r\n",
        service.authority()
    )
    .into()
}

/// The extension of the file that a body's URL names, which is what `Transfer-*` lists; a message is no file.
pub(super) fn extension(item: &ScanItem) -> Option<&str> {
    if item.surface != Surface::Body {
        return None;
    }
    let path = item.facts.path.split(['?', '#']).next()?;
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    (!extension.is_empty()).then_some(extension)
}

/// The heads that the content came with, or that are made for it.
fn heads(item: &ScanItem) -> (HttpHead, Option<HttpHead>) {
    let mut host = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&short(&item.facts.target, item.facts.scheme)) {
        host.insert(header::HOST, value);
    }
    if let (Surface::Body, Some(heads)) = (item.surface, &item.heads) {
        let mut request = heads.0.clone();
        strip(&mut request.headers);
        if !request.headers.contains_key(header::HOST) {
            request.headers.extend(host);
        }
        let response = heads.1.clone().map(|mut response| {
            strip(&mut response.headers);
            response
        });
        return (request, response.or_else(|| Some(made_response())));
    }

    let to_origin = item.direction == Direction::ToOrigin;
    let mut request = HttpHead {
        method: if to_origin { Method::POST } else { Method::GET },
        status: None,
        headers: host,
    };
    let facts = &item.facts;
    let mut response = made_response();
    for (name, value) in [
        (header::ORIGIN, facts.origin.as_deref()),
        (
            HeaderName::from_static("x-websocket-protocol"),
            facts.subprotocol.as_deref(),
        ),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            request.headers.insert(name, value);
        }
    }
    let carrier = if to_origin {
        &mut request.headers
    } else {
        &mut response.headers
    };
    let content_type = match (item.surface, item.opcode) {
        (Surface::Message, Some(Opcode::Text)) => "text/plain; charset=utf-8",
        (Surface::Head | Surface::Upgrade, _) => "message/http",
        _ => "application/octet-stream",
    };
    carrier.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(opcode) = item.opcode {
        for (name, value) in [
            ("x-websocket-opcode", opcode.label()),
            ("x-websocket-direction", item.direction.label()),
        ] {
            carrier.insert(name, HeaderValue::from_static(value));
        }
    }
    (request, Some(response))
}

fn made_response() -> HttpHead {
    HttpHead {
        method: Method::GET,
        status: Some(StatusCode::OK),
        headers: HeaderMap::new(),
    }
}

/// Takes out what concerns one connection only, also what `Connection` names.
pub(super) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // RFC 9110 section 7.6.1 lets a sender name only what is not for every recipient.
        .filter(|name| *name != header::HOST && *name != header::CONTENT_TYPE)
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

pub(super) fn write_headers(out: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// The absolute URL. A WebSocket's is that of its handshake: scanners know `https`, not `wss`.
fn url(item: &ScanItem) -> String {
    let facts = &item.facts;
    let scheme = match facts.scheme {
        "wss" | "https" => "https",
        _ => "http",
    };
    let mut url = format!("{scheme}://{}", short(&facts.target, facts.scheme));
    if !facts.path.starts_with('/') {
        url.push('/');
    }
    for byte in facts.path.bytes() {
        if byte.is_ascii_graphic() {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

/// The authority without the port that the scheme has by itself.
fn short(authority: &Authority, scheme: &str) -> String {
    let default = if matches!(scheme, "wss" | "https") {
        443
    } else {
        80
    };
    if authority.port == default {
        authority.host.to_string()
    } else {
        authority.to_string()
    }
}
