//! Messages to try rules on: one of the command line, or recorded ones as HAR or as JSON lines.

use crate::inspect::{HttpHead, SessionFacts, Surface};
use crate::settings::{FilePlace, Problem, Problems};
use crate::wire::frame::{Direction, Opcode};
use crate::wire::names::Authority;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// One thing that rules may look at.
#[derive(Debug)]
pub(super) struct RecordedItem {
    /// Whose it is; [`SessionFacts::connection`] tells sessions apart.
    pub facts: Arc<SessionFacts>,
    pub surface: Surface,
    pub direction: Direction,
    pub opcode: Option<Opcode>,
    pub data: Vec<u8>,
    /// Of a body: the request's head, and the response's.
    pub heads: Option<Arc<(HttpHead, Option<HttpHead>)>>,
    /// When, on any clock.
    pub at: Duration,
}

impl RecordedItem {
    /// Of a body: the head that it came with.
    pub(super) fn head(&self) -> Option<&HttpHead> {
        let (asked, answered) = self.heads.as_deref()?;
        match self.direction {
            Direction::ToOrigin => Some(asked),
            Direction::ToClient => answered.as_ref(),
        }
    }
}

/// One line of JSON lines. What it leaves out is as the options say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLine {
    direction: Option<String>,
    opcode: Option<String>,
    data: Option<String>,
    data_base64: Option<String>,
    host: Option<String>,
    path: Option<String>,
    /// In seconds.
    time: Option<f64>,
}

/// Reads JSON lines. Lines of the same host and path are one session.
///
/// # Errors
/// Every line that cannot be read.
pub(super) fn json_lines(
    file: &Path,
    text: &str,
    usual: &RecordedItem,
) -> Result<Vec<RecordedItem>, Problems> {
    let mut found: Vec<RecordedItem> = Vec::new();
    let mut problems = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        match json_line(text, usual, &found) {
            Ok(message) => found.push(message),
            Err(message) => problems.push(problem(file, Some(FilePlace { line, column: 1 }), message)),
        }
    }
    if problems.is_empty() {
        return Ok(found);
    }
    Err(Problems {
        list: problems,
        files: vec![file.into()],
    })
}

fn json_line(text: &str, usual: &RecordedItem, before: &[RecordedItem]) -> Result<RecordedItem, String> {
    let line: JsonLine = serde_json::from_str(text).map_err(|error| {
        format!("{error}; write {{\"direction\": \"to_origin\", \"opcode\": \"text\", \"data\": \"...\"}}")
    })?;
    let direction = match line.direction.as_deref() {
        None => usual.direction,
        Some("to_origin") => Direction::ToOrigin,
        Some("to_client") => Direction::ToClient,
        Some(other) => {
            return Err(format!(
                "direction {other:?} is not known; write \"to_origin\" or \"to_client\""
            ));
        }
    };
    let encoded = line.data_base64.is_some();
    let opcode = match line.opcode.as_deref() {
        None if encoded => Some(Opcode::Binary),
        None => usual.opcode,
        Some("text") => Some(Opcode::Text),
        Some("binary") => Some(Opcode::Binary),
        Some(other) => {
            return Err(format!(
                "opcode {other:?} is not known; write \"text\" or \"binary\""
            ));
        }
    };
    let data = match (line.data, line.data_base64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(text)) => from_base64(&text)?,
        _ => return Err("needs data or data_base64, and not both".into()),
    };
    let mut facts = SessionFacts::clone(&usual.facts);
    if let Some(host) = line.host {
        facts.target = Authority::parse(&host, Some(443))
            .ok_or_else(|| format!("host {host:?} is not a destination; write HOST or HOST:PORT"))?;
    }
    facts.path = line.path.unwrap_or(facts.path);
    let same = |other: &&RecordedItem| other.facts.target == facts.target && other.facts.path == facts.path;
    let facts = match before.iter().rev().find(same) {
        Some(other) => other.facts.clone(),
        None => {
            let sessions = before.iter().map(|other| other.facts.connection).max();
            facts.connection = sessions.unwrap_or(0) + 1;
            Arc::new(facts)
        }
    };
    Ok(RecordedItem {
        facts,
        surface: Surface::Message,
        direction,
        opcode,
        data,
        heads: None,
        at: seconds(line.time.unwrap_or(0.0)),
    })
}

#[derive(Debug, Deserialize)]
struct HarFile {
    log: HarLog,
}

#[derive(Debug, Deserialize)]
struct HarLog {
    #[serde(default)]
    entries: Vec<HarEntry>,
}

#[derive(Debug, Deserialize)]
struct HarEntry {
    request: HarRequest,
    response: HarResponse,
    #[serde(rename = "_webSocketMessages")]
    messages: Option<Vec<HarMessage>>,
}

#[derive(Debug, Deserialize)]
struct HarRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<HarHeader>,
    #[serde(rename = "postData")]
    body: Option<HarBody>,
}

#[derive(Debug, Deserialize)]
struct HarResponse {
    status: i64,
    #[serde(default)]
    headers: Vec<HarHeader>,
    content: Option<HarBody>,
}

#[derive(Debug, Deserialize)]
struct HarHeader {
    name: String,
    value: String,
}

#[derive(Debug, Deserialize)]
struct HarBody {
    text: Option<String>,
    encoding: Option<String>,
}

/// Chrome's record of one message.
#[derive(Debug, Deserialize)]
struct HarMessage {
    /// `send` or `receive`.
    #[serde(rename = "type")]
    way: String,
    /// Seconds since the Unix epoch.
    #[serde(default)]
    time: f64,
    opcode: i64,
    data: String,
}

/// Reads a HAR 1.2 file: heads, bodies, and WebSocket messages as Chrome writes them. Each entry is a session.
///
/// # Errors
/// It is not such a file; the text says what is wrong with which entry.
pub(super) fn har(file: &Path, text: &str, usual: &RecordedItem) -> Result<Vec<RecordedItem>, Problems> {
    let wrong = |place, message: String| Problems {
        list: vec![problem(file, place, message)],
        files: vec![file.into()],
    };
    let har: HarFile = serde_json::from_str(text.trim_start_matches('\u{FEFF}')).map_err(|error| {
        let place = FilePlace {
            line: error.line().max(1),
            column: error.column().max(1),
        };
        wrong(Some(place), format!("is not a HAR file: {error}"))
    })?;
    let mut found = Vec::new();
    for (number, entry) in (1..).zip(har.log.entries) {
        found.extend(
            session(number, entry, usual)
                .map_err(|message| wrong(None, format!("entry {number}: {message}")))?,
        );
    }
    Ok(found)
}

fn session(number: u64, entry: HarEntry, usual: &RecordedItem) -> Result<Vec<RecordedItem>, String> {
    let HarEntry {
        request,
        response,
        messages,
    } = entry;
    let scheme = request.url.split_once(':').map_or("", |(scheme, _)| scheme);
    let (scheme, port) = match scheme {
        "wss" => ("wss", 443),
        "https" => ("https", 443),
        "ws" => ("ws", 80),
        "http" => ("http", 80),
        "" => return Err(format!("{:?} is not a URL", request.url)),
        // What a browser has from itself (data:, blob:) never meets a proxy.
        _ => return Ok(Vec::new()),
    };
    let uri: Uri = request
        .url
        .parse()
        .map_err(|_| format!("{:?} is not a URL", request.url))?;
    let target = uri
        .authority()
        .and_then(|authority| Authority::parse(authority.as_str(), Some(port)));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let (asked, answered) = (headers(&request.headers), headers(&response.headers));
    let text = |headers: &HeaderMap, name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    let facts = Arc::new(SessionFacts {
        connection: number,
        target: target.ok_or_else(|| format!("{:?} names no host", request.url))?,
        scheme,
        path: path.to_owned(),
        origin: text(&asked, "origin"),
        subprotocol: text(&answered, "sec-websocket-protocol"),
        websocket: None,
        ..SessionFacts::clone(&usual.facts)
    });
    let method = Method::from_bytes(request.method.as_bytes()).unwrap_or(Method::GET);
    // A browser writes 0 where no answer came.
    let status = u16::try_from(response.status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok());
    let head = if messages.is_some() {
        Surface::Upgrade
    } else {
        Surface::Head
    };
    let mut found = Vec::new();
    let mut add = |surface, direction, data, heads| {
        found.push(RecordedItem {
            facts: facts.clone(),
            surface,
            direction,
            opcode: None,
            data,
            heads,
            at: Duration::ZERO,
        });
    };
    let first = format!("{method} {path} HTTP/1.1\r\n");
    add(head, Direction::ToOrigin, head_text(first, &asked), None);
    let asked = HttpHead {
        method: method.clone(),
        status: None,
        headers: asked,
    };
    if let Some(body) = request.body.and_then(|body| body.bytes()) {
        add(
            Surface::Body,
            Direction::ToOrigin,
            body?,
            Some(Arc::new((asked.clone(), None))),
        );
    }
    if let Some(status) = status {
        let first = format!("HTTP/1.1 {status}\r\n");
        add(head, Direction::ToClient, head_text(first, &answered), None);
        let answered = HttpHead {
            method,
            status: Some(status),
            headers: answered,
        };
        if let Some(body) = response.content.and_then(|body| body.bytes()) {
            let heads = Some(Arc::new((asked, Some(answered))));
            add(Surface::Body, Direction::ToClient, body?, heads);
        }
    }
    for message in messages.into_iter().flatten() {
        let (opcode, data) = match message.opcode {
            1 => (Opcode::Text, message.data.into_bytes()),
            2 => (Opcode::Binary, from_base64(&message.data)?),
            // Control frames, and Chrome's -1 for an error.
            _ => continue,
        };
        found.push(RecordedItem {
            facts: facts.clone(),
            surface: Surface::Message,
            direction: match &*message.way {
                "send" => Direction::ToOrigin,
                "receive" => Direction::ToClient,
                other => {
                    return Err(format!(
                        "a message's type is {other:?}, and neither \"send\" nor \"receive\""
                    ));
                }
            },
            opcode: Some(opcode),
            data,
            heads: None,
            at: seconds(message.time),
        });
    }
    Ok(found)
}

impl HarBody {
    /// `None` if there is no body, or the recorder left it out.
    fn bytes(self) -> Option<Result<Vec<u8>, String>> {
        let text = self.text.filter(|text| !text.is_empty())?;
        Some(match self.encoding.as_deref() {
            Some("base64") => from_base64(&text),
            _ => Ok(text.into_bytes()),
        })
    }
}

fn headers(written: &[HarHeader]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for header in written {
        // The pseudo-headers of HTTP/2 are not names and fall away here.
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_bytes(header.value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

fn head_text(first: String, headers: &HeaderMap) -> Vec<u8> {
    let mut text = first.into_bytes();
    for (name, value) in headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text
}

fn from_base64(text: &str) -> Result<Vec<u8>, String> {
    STANDARD
        .decode(text.trim())
        .map_err(|error| format!("is not base64: {error}"))
}

/// A time that cannot be one is the beginning of time.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn problem(file: &Path, place: Option<FilePlace>, message: String) -> Problem {
    Problem {
        file: Some(file.into()),
        place,
        key: String::new(),
        message,
    }
}

#[cfg(test)]
mod tests;
