//! A message as it is put to a service that may change it, and what the service makes of it.

use super::super::answer::printable;
use super::IcapUrl;
use super::head::Layout;
use super::modification::Modification;
use super::request::{strip, write_headers};
use crate::inspect::{AdaptItem, Adapted};
use crate::wire::http1::{parse_request, parse_response};
use crate::wire::names::Authority;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue};
use std::io::Write as _;

/// What is sent before the content.
pub(super) struct Message {
    pub(super) modification: Modification,
    /// The request's absolute URL.
    url: String,
    /// Who it is for, as it says.
    host: Option<HeaderValue>,
    pub(super) request: Vec<u8>,
    pub(super) response: Vec<u8>,
}

/// The content as far as it is there.
pub(super) struct Beginning {
    pub(super) bytes: Bytes,
    pub(super) is_all: bool,
    /// It is a preview: the service says whether it wants the rest.
    pub(super) is_preview: bool,
}

impl Message {
    pub(super) fn new(modification: Modification, item: &AdaptItem<'_>) -> Self {
        let mut request = Vec::with_capacity(512);
        let headers = |headers: &HeaderMap| {
            let mut headers = headers.clone();
            strip(&mut headers);
            headers
        };
        // Writing to a Vec cannot fail.
        let _ = write!(request, "{} {} HTTP/1.1\r\n", item.request.method, item.url);
        write_headers(&mut request, &headers(&item.request.headers));
        let mut response = Vec::new();
        if let Some(head) = item.response {
            let status = head.status.unwrap_or(StatusCode::OK);
            let reason = status.canonical_reason().unwrap_or_default();
            let _ = write!(response, "HTTP/1.1 {} {reason}\r\n", status.as_str());
            write_headers(&mut response, &headers(&head.headers));
        }
        Self {
            modification,
            url: item.url.to_owned(),
            host: item.request.headers.get(HOST).cloned(),
            request,
            response,
        }
    }

    /// The ICAP head, and the heads inside. `partial` says that an answer in part is understood.
    pub(super) fn head(&self, url: &IcapUrl, tells: &[u8], beginning: &Beginning, partial: bool) -> Bytes {
        let heads = self.request.len() + self.response.len();
        let mut out = Vec::with_capacity(512 + heads);
        let method = self.modification.label();
        let allow = if partial { "204, 206" } else { "204" };
        let _ = write!(
            out,
            "{method} {url} ICAP/1.0\r\nHost: {}\r\nAllow: {allow}\r\n",
            url.authority()
        );
        if beginning.is_preview {
            let _ = write!(out, "Preview: {}\r\n", beginning.bytes.len());
        }
        out.extend_from_slice(tells);
        out.extend_from_slice(b"Encapsulated: req-hdr=0");
        if self.modification == Modification::Response {
            let _ = write!(out, ", res-hdr={}", self.request.len());
        }
        let kind = match (beginning.bytes.is_empty() && beginning.is_all, self.modification) {
            (true, _) => "null",
            (false, Modification::Request) => "req",
            (false, Modification::Response) => "res",
        };
        let _ = write!(out, ", {kind}-body={heads}\r\n\r\n");
        out.extend_from_slice(&self.request);
        out.extend_from_slice(&self.response);
        out.into()
    }

    /// What an answer with a message inside comes to.
    pub(super) fn adapted(&self, heads: &[u8], layout: &Layout, body: Bytes) -> Result<Adapted, String> {
        let broken =
            |why: &dyn std::fmt::Display| format!("the HTTP head inside its answer is broken: {why}");
        let part = |range: &std::ops::Range<usize>| heads.get(range.clone()).unwrap_or_default();
        let fields = |fields: HeaderMap| {
            let mut headers = fields;
            strip(&mut headers);
            headers.remove(CONTENT_LENGTH);
            headers
        };
        if let Some(range) = &layout.response {
            let head = parse_response(part(range)).map_err(|why| broken(&why))?;
            if head.status.is_informational() {
                return Err(format!(
                    "it answers with status {}, which ends nothing",
                    head.status.as_u16()
                ));
            }
            return Ok(Adapted::Response {
                status: head.status,
                headers: fields(head.fields.to_map()),
                body,
            });
        }
        if self.modification == Modification::Response {
            return Err("it answers a response with a request".to_owned());
        }
        let range = layout
            .request
            .as_ref()
            .ok_or("its answer has no HTTP head inside")?;
        let head = parse_request(part(range)).map_err(|why| broken(&why))?;
        let target = String::from_utf8_lossy(head.target()).into_owned();
        // Where the connection leads is settled: a request for another server cannot go on it.
        let (server, path) = match target.starts_with('/') {
            true => (None, target.as_str()),
            false => {
                let (server, path) = cut(&target);
                (Some(server), path)
            }
        };
        let (own, _) = cut(&self.url);
        if server.is_some_and(|server| !server.eq_ignore_ascii_case(own)) {
            return Err(format!(
                "it sends the request to another server: {}",
                cut(&target).0
            ));
        }
        let mut headers = fields(head.fields.to_map());
        let usual = if self.url.starts_with("https:") { 443 } else { 80 };
        let of = |host: &HeaderValue| Authority::parse(host.to_str().ok()?, Some(usual));
        let own = self.host.as_ref().and_then(of);
        if let Some(other) = headers.get_all(HOST).iter().find(|host| of(host) != own) {
            let other = printable(&String::from_utf8_lossy(other.as_bytes()));
            return Err(format!("it sends the request to another server: {other}"));
        }
        headers.remove(HOST);
        headers.extend(self.host.clone().map(|host| (HOST, host)));
        Ok(Adapted::Request {
            method: head.method.clone(),
            path: if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            },
            headers,
            body,
        })
    }
}

/// A URL as far as it names the server, and what follows.
fn cut(url: &str) -> (&str, &str) {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let end = url[begin..].find(['/', '?']).map_or(url.len(), |at| begin + at);
    url.split_at(end)
}

/// The extension of the file that a URL names, which is what `Transfer-*` lists; none is written as such.
pub(super) fn extension(url: &str) -> Option<&str> {
    let (_, path) = cut(url);
    let path = path.split(['?', '#']).next()?;
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    (!extension.is_empty()).then_some(extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_cut_where_the_server_ends() {
        for (url, server, path) in [
            ("https://a.example/x?y", "https://a.example", "/x?y"),
            ("http://a.example:81", "http://a.example:81", ""),
            ("http://a.example?q", "http://a.example", "?q"),
        ] {
            assert_eq!(cut(url), (server, path), "{url}");
        }
        assert_eq!(extension("https://a.example/x/y.tar.gz?z=.exe"), Some("gz"));
        assert_eq!(extension("https://a.example"), None);
    }
}
