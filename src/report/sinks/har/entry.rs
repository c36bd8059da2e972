//! Entries of a HAR 1.2 file, with a WebSocket's messages as Chrome writes them.

use super::piece::{BodyBeginning, ExchangeEnd, HeadPiece, MessagePiece, Ruled};
use crate::http::beginning;
use crate::inspect::Mask;
use crate::inspect::{HttpHead, SessionFacts};
use crate::report::sinks::line::{Stamp, groups};
use crate::wire::frame::{Direction, Opcode};
use crate::wire::names::Authority;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, LOCATION, ORIGIN, SEC_WEBSOCKET_PROTOCOL,
};
use http::{HeaderValue, Method, StatusCode, Version};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// So much more is decoded than is kept: a secret at the cut has to be whole to be known for one.
const BEYOND: usize = 4096;

/// One exchange as far as it is known.
#[derive(Debug)]
pub(super) struct HarExchange {
    pub(super) facts: Arc<SessionFacts>,
    pub(super) request: HeadPiece,
    pub(super) response: Option<HeadPiece>,
    /// What of both contents is kept, by [`Direction::index`].
    pub(super) bodies: [Option<BodyBeginning>; 2],
    pub(super) ended: Option<ExchangeEnd>,
    /// What it takes of the memory that recordings may take.
    pub(super) cost: usize,
    pub(super) comments: Vec<String>,
}

/// What becomes of content when it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writing {
    pub(super) mask: Mask,
    /// The most of a body, decoded.
    pub(super) body: usize,
}

impl HarExchange {
    pub(super) fn begin(facts: Arc<SessionFacts>, request: HeadPiece) -> Self {
        Self {
            facts,
            request,
            response: None,
            bodies: [None, None],
            ended: None,
            cost: 0,
            comments: Vec::new(),
        }
    }

    /// A WebSocket whose handshake was not recorded.
    pub(super) fn late(facts: Arc<SessionFacts>, at: Duration) -> Self {
        let mut headers = HeaderMap::new();
        for (name, text) in [
            (ORIGIN, &facts.origin),
            (SEC_WEBSOCKET_PROTOCOL, &facts.subprotocol),
        ] {
            if let Some(value) = text.as_ref().and_then(|text| HeaderValue::from_str(text).ok()) {
                headers.insert(name, value);
            }
        }
        let head = |status, headers| HeadPiece {
            at,
            version: Version::HTTP_11,
            head: HttpHead {
                method: Method::GET,
                status,
                headers,
            },
            origin: None,
            has_body: false,
        };
        let mut late = Self::begin(facts, head(None, headers));
        late.response = Some(head(Some(StatusCode::SWITCHING_PROTOCOLS), HeaderMap::new()));
        late.comments
            .push("recording began after the handshake, whose heads are not known".to_owned());
        late
    }

    /// Whether both ends agreed to be a WebSocket.
    pub(super) fn is_websocket(&self) -> bool {
        let status = self.response.as_ref().and_then(|response| response.head.status);
        let failed = self.ended.as_ref().is_some_and(|ended| ended.error.is_some());
        // Over HTTP/2 a 2xx answers the extended CONNECT (RFC 8441 section 5).
        let agreed = match self.request.head.method {
            Method::CONNECT => status.is_some_and(|status| status.is_success()),
            _ => status == Some(StatusCode::SWITCHING_PROTOCOLS),
        };
        !failed && self.facts.scheme.starts_with("ws") && agreed
    }

    /// Whether nothing more is to come.
    pub(super) fn is_over(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| {
            ended.error.is_some()
                || !self.request.has_body
                || self.bodies[Direction::ToOrigin.index()].is_some()
        })
    }

    /// The entry; `messages` of a WebSocket, and until when they were taken.
    pub(super) fn entry(&self, writing: Writing, messages: Option<(&[MessagePiece], Duration)>) -> Value {
        let mask = writing.mask;
        let mut comments = self.comments.clone();
        let (wait, receive) = match &self.ended {
            Some(ended) => (millis(ended.wait), millis(ended.total.saturating_sub(ended.wait))),
            None => (0.0, 0.0),
        };
        let open = messages.map(|(_, until)| millis(until.saturating_sub(self.request.at)));
        let mut entry = json!({
            "startedDateTime": Stamp::at(self.request.at),
            "time": open.unwrap_or(wait + receive),
            "request": self.request(writing, &mut comments),
            "response": self.response(writing, &mut comments),
            "cache": {},
            "timings": {
                "blocked": -1, "dns": -1, "connect": -1, "ssl": -1,
                "send": 0, "wait": wait, "receive": receive,
            },
            "connection": self.facts.connection.to_string(),
            "_client": self.facts.client,
        });
        if let Some(user) = &self.facts.user {
            entry["_user"] = (&*user.name).into();
            let groups = groups(Some(user.as_ref()));
            if !groups.is_empty() {
                entry["_groups"] = groups.into();
            }
        }
        let heads = self.response.iter().chain([&self.request]);
        if let Some(origin) = heads.filter_map(|head| head.origin).next() {
            entry["serverIPAddress"] = origin.to_string().into();
        }
        if let Some((messages, _)) = messages {
            entry["_resourceType"] = "websocket".into();
            let messages: Vec<Value> = messages.iter().map(|message| said(message, mask)).collect();
            entry["_webSocketMessages"] = messages.into();
        }
        if let Some((error, detail)) = self.ended.as_ref().and_then(|ended| ended.error.as_ref()) {
            let detail = detail
                .as_ref()
                .map_or(String::new(), |text| format!(": {}", mask.text(text)));
            comments.push(format!("{error}{detail}"));
        }
        if !comments.is_empty() {
            entry["comment"] = comments.join("; ").into();
        }
        entry
    }

    fn request(&self, writing: Writing, comments: &mut Vec<String>) -> Value {
        let HeadPiece { head, version, .. } = &self.request;
        let mask = writing.mask;
        let url = mask.text(&self.url()).into_owned();
        let line = format!("{} {} {version:?}\r\n", head.method, self.facts.path);
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let query: Vec<Value> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                json!({"name": name, "value": value})
            })
            .collect();
        let body = self.bodies[Direction::ToOrigin.index()].as_ref();
        let mut request = json!({
            "method": head.method.as_str(),
            "url": url,
            "httpVersion": format!("{version:?}"),
            "cookies": cookies(&head.headers, mask),
            "headers": headers(&head.headers, mask),
            "queryString": query,
            "headersSize": size(&line, &head.headers),
            "bodySize": body.map_or(0, |body| body.size),
        });
        if let Some(body) = body.filter(|body| body.size > 0 || body.ruled.is_some()) {
            let (mut post, _) = content(head, body, writing, "the request's body", comments);
            post.remove("size");
            post.remove("compression");
            request["postData"] = post.into();
        }
        request
    }

    fn response(&self, writing: Writing, comments: &mut Vec<String>) -> Value {
        let mask = writing.mask;
        let own = self
            .ended
            .as_ref()
            .and_then(|ended| ended.error.as_ref().and(ended.status));
        let origins = self.response.as_ref().and_then(|response| response.head.status);
        if let Some(status) = own.filter(|status| origins != Some(*status)) {
            comments.push("answered by the proxy".to_owned());
            return json!({
                "status": status.as_u16(), "statusText": status.canonical_reason().unwrap_or_default(),
                "httpVersion": "HTTP/1.1", "cookies": [], "headers": [],
                "content": {"size": 0, "mimeType": "x-unknown"},
                "redirectURL": "", "headersSize": -1, "bodySize": -1,
            });
        }
        let Some(HeadPiece { head, version, .. }) = &self.response else {
            // As Chrome writes an exchange that failed.
            return json!({
                "status": 0, "statusText": "", "httpVersion": "", "cookies": [], "headers": [],
                "content": {"size": 0, "mimeType": "x-unknown"},
                "redirectURL": "", "headersSize": -1, "bodySize": -1,
            });
        };
        let status = head.status.unwrap_or_default();
        let line = format!("{version:?} {status}\r\n");
        let cookies: Vec<Value> = head
            .headers
            .get_all(http::header::SET_COOKIE)
            .iter()
            .filter_map(|value| set_cookie(&String::from_utf8_lossy(value.as_bytes()), mask))
            .collect();
        let none = BodyBeginning::default();
        let body = self.bodies[Direction::ToClient.index()].as_ref().unwrap_or(&none);
        let (content, body_size) = content(head, body, writing, "the response's body", comments);
        let location = head
            .headers
            .get(LOCATION)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        json!({
            "status": status.as_u16(),
            "statusText": status.canonical_reason().unwrap_or_default(),
            "httpVersion": format!("{version:?}"),
            "cookies": cookies,
            "headers": headers(&head.headers, mask),
            "content": content,
            "redirectURL": mask.text(&String::from_utf8_lossy(location)),
            "headersSize": size(&line, &head.headers),
            "bodySize": body_size,
        })
    }

    fn url(&self) -> String {
        let SessionFacts {
            scheme, path, target, ..
        } = &*self.facts;
        let default = if scheme.ends_with('s') { 443 } else { 80 };
        // A client that asks for an address says the name only in Host. The port is the one that it asked for.
        let named = self.request.head.headers.get(HOST);
        let named = named.and_then(|host| Authority::parse(host.to_str().ok()?, Some(target.port)));
        let host = named.map_or_else(|| target.host.clone(), |named| named.host);
        if target.port == default {
            format!("{scheme}://{host}{path}")
        } else {
            format!("{scheme}://{host}:{}{path}", target.port)
        }
    }
}

/// A message as Chrome writes it, and what rules did.
fn said(message: &MessagePiece, mask: Mask) -> Value {
    let masked = mask.bytes(&message.data);
    let data = match message.opcode {
        Opcode::Text => String::from_utf8_lossy(&masked).into_owned(),
        _ => STANDARD.encode(&masked),
    };
    let mut said = json!({
        "type": match message.direction {
            Direction::ToOrigin => "send",
            Direction::ToClient => "receive",
        },
        "time": message.at.as_secs_f64(),
        "opcode": match message.opcode {
            Opcode::Text => 1,
            _ => 2,
        },
        "data": data,
    });
    let mut more = message.ruled.as_ref().map(Ruled::to_json).unwrap_or_default();
    if !message.is_whole {
        more.insert("size".to_owned(), message.size.into());
    }
    if !more.is_empty() {
        said["_wsbump"] = more.into();
    }
    said
}

/// A body as HAR's `content`, and HAR's `bodySize`.
fn content(
    head: &HttpHead,
    body: &BodyBeginning,
    writing: Writing,
    what: &str,
    comments: &mut Vec<String>,
) -> (Map<String, Value>, i64) {
    let mut content = Map::new();
    let mime = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let mime = mime.map_or("x-unknown".into(), |mime| String::from_utf8_lossy(mime));
    content.insert("mimeType".to_owned(), mime.into_owned().into());
    let is_coded = body.ruled.is_none() && head.headers.contains_key(CONTENT_ENCODING);
    let kept = writing.body;
    let plain = if is_coded {
        beginning(&head.headers, &body.data, kept.saturating_add(BEYOND))
    } else {
        Some(body.data.clone())
    };
    let body_size = i64::try_from(body.size).unwrap_or(i64::MAX);
    let Some(plain) = plain else {
        comments.push(format!("{what} has a content coding that is not known"));
        content.insert("size".to_owned(), body_size.into());
        return (content, body_size);
    };
    let is_whole = body.data.len() as u64 == body.size && plain.len() <= kept;
    // Of what is coded and was not read to its end the size is not known.
    let size = match (is_whole, is_coded) {
        (false, false) => body.size,
        _ => plain.len() as u64,
    };
    content.insert("size".to_owned(), size.into());
    if is_coded && is_whole {
        let less = i64::try_from(plain.len()).unwrap_or(i64::MAX) - body_size;
        content.insert("compression".to_owned(), less.into());
    }
    // Masked first: half of a secret would not be known for one.
    let masked = writing.mask.bytes(&plain);
    let masked = &masked[..masked.len().min(kept)];
    let text = match std::str::from_utf8(masked) {
        Ok(text) => Some(text),
        // A character was cut.
        Err(error) if !is_whole && error.error_len().is_none() => {
            std::str::from_utf8(&masked[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    match text {
        Some("") => {}
        Some(text) => {
            content.insert("text".to_owned(), text.into());
        }
        None => {
            content.insert("text".to_owned(), STANDARD.encode(masked).into());
            content.insert("encoding".to_owned(), "base64".into());
        }
    }
    if !is_whole {
        let cut = format!("cut after {} bytes", masked.len());
        content.insert("comment".to_owned(), cut.clone().into());
        comments.push(format!("{what} is {cut}"));
    }
    if let Some(ruled) = &body.ruled {
        content.insert("_wsbump".to_owned(), ruled.to_json().into());
        comments.push(format!("{what}: {}", ruled.words()));
    }
    (content, body_size)
}

fn headers(headers: &HeaderMap, mask: Mask) -> Vec<Value> {
    let one = |(name, value): (&http::HeaderName, &HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        json!({"name": name.as_str(), "value": mask.header(name.as_str(), &value)})
    };
    headers.iter().map(one).collect()
}

/// A head's bytes, from its first line to the empty one.
fn size(line: &str, headers: &HeaderMap) -> usize {
    let lines = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4);
    line.len() + lines.sum::<usize>() + 2
}

/// RFC 6265 section 4.2.
fn cookies(headers: &HeaderMap, mask: Mask) -> Vec<Value> {
    let mut cookies = Vec::new();
    for value in headers.get_all(http::header::COOKIE) {
        for pair in String::from_utf8_lossy(value.as_bytes()).split(';') {
            if let Some((name, value)) = pair.split_once('=') {
                cookies.push(json!({"name": name.trim(), "value": mask.cookie(value.trim())}));
            }
        }
    }
    cookies
}

/// RFC 6265 section 4.1.
fn set_cookie(text: &str, mask: Mask) -> Option<Value> {
    let mut parts = text.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let mut cookie = json!({"name": name.trim(), "value": mask.cookie(value.trim())});
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match &*key.trim().to_ascii_lowercase() {
            key @ ("path" | "domain") => cookie[key] = value.trim().into(),
            "httponly" => cookie["httpOnly"] = true.into(),
            "secure" => cookie["secure"] = true.into(),
            _ => {}
        }
    }
    Some(cookie)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
