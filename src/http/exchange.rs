//! One request and its response: the road that every exchange takes, whatever carries it.

use super::body::Body;
use super::check::{Wanted, check};
use super::destination::Destination;
use super::inspected;
use super::io::Activity;
use super::page::Problem;
use super::record::Record;
use super::serve::UpgradeKind;
use super::{HttpError, Site, WebSocketInfo, hop};
use crate::wire::ws_handshake::{self, Upgrade};
use http::header::{ACCEPT, CONNECTION, EXPECT, HeaderMap, HeaderValue};
use http::request::Parts;
use http::uri::Scheme;
use http::{Response, StatusCode};
use std::time::Duration;

/// A request that may go on.
pub(super) struct Asked {
    /// What it asks its connection or stream to become.
    pub(super) wanted: Wanted,
    /// Begun with it.
    pub(super) record: Record,
    /// Where rules look at it.
    pub(super) inspected: Option<Box<inspected::Exchange>>,
}

/// Checks a request against its connection, and its head against the rules.
///
/// # Errors
/// The answer of the proxy's own.
// Each of another kind, and known to nobody else: a struct for two calls would only move them.
#[allow(clippy::too_many_arguments)]
pub(super) fn ask(
    site: &Site,
    to: &Destination<'_>,
    parts: &mut Parts,
    has_body: bool,
    upgrade: Option<Upgrade>,
    url: String,
    activity: &Activity,
) -> Result<Asked, Box<Response<Body>>> {
    let mut record = Record::begin(site, parts.method.clone(), parts.version, url, activity);
    let html = wants_html(&parts.headers);
    let refuse = |record: &mut Record, problem: &Problem| Box::new(answer_with(record, problem, html));
    let wanted = match check(site, to, parts, has_body, upgrade) {
        Ok(wanted) => wanted,
        Err(problem) => return Err(refuse(&mut record, &problem)),
    };
    let is_websocket = matches!(wanted, Wanted::WebSocket { .. });
    let inspected = inspected::Exchange::begin(site, to, parts, is_websocket);
    if let Some(it) = &inspected {
        // What follows an extended CONNECT is no content of the request's.
        let has_content = has_body && matches!(wanted, Wanted::Nothing);
        it.record_request(parts.version, site.origin, has_content);
        record.recorded_by(it.tape().cloned());
        if let Err(problem) = it.request_head(&parts.uri) {
            return Err(refuse(&mut record, &problem));
        }
    }
    Ok(Asked {
        wanted,
        record,
        inspected,
    })
}

/// Whether a client waits for `100 Continue` before it sends its content (RFC 9110 section 10.1.1).
pub(super) fn expects_continue(headers: &HeaderMap) -> bool {
    headers
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Waits for a response as long as something moves, by a count that grows; `None` when nothing has for `patience`.
pub(super) async fn patiently<F: Future>(
    response: F,
    patience: Duration,
    moved: impl Fn() -> u64,
) -> Option<F::Output> {
    tokio::pin!(response);
    let mut seen = moved();
    loop {
        match tokio::time::timeout(patience, response.as_mut()).await {
            Ok(output) => return Some(output),
            Err(_) if moved() == seen => return None,
            Err(_) => seen = moved(),
        }
    }
}

/// An origin became something that nobody wanted.
pub(super) fn unasked(to: &Destination<'_>) -> Problem {
    let text = format!("{} switched protocols without being asked", to.target);
    Problem::new(HttpError::BadUpgradeResponse, text)
}

/// Whether the client is one that shows pages to people.
pub(super) fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/html")))
}

/// Holds an origin's consent to an upgrade against what was asked for.
///
/// # Errors
/// The origin consents to something else, or breaks the handshake's rules.
pub(super) fn agree(
    to: &Destination<'_>,
    wanted: Wanted,
    headers: &HeaderMap,
    record: &Record,
) -> Result<UpgradeKind, Problem> {
    match wanted {
        Wanted::Nothing => Err(unasked(to)),
        Wanted::WebSocket {
            offer,
            path: full_path,
            origin,
        } => {
            let accepted = ws_handshake::check_response(&offer, headers).map_err(|error| {
                let text = format!("{}'s WebSocket handshake is broken: {error}", to.target);
                Problem::new(HttpError::BadUpgradeResponse, text)
            })?;
            let scheme = if to.scheme == Scheme::HTTPS { "wss" } else { "ws" };
            let path = record.url().splitn(4, '/').nth(3).unwrap_or_default();
            let info = WebSocketInfo {
                target: to.target.clone(),
                url: format!("{scheme}://{}/{path}", to.name()),
                path: full_path,
                version: record.version(),
                deflate: accepted.deflate,
                opaque_extensions: accepted.is_opaque,
                origin,
                subprotocol: accepted.protocol,
                extensions: accepted.extensions,
            };
            Ok(UpgradeKind::WebSocket {
                info,
                allowed_rsv: accepted.allowed_rsv,
            })
        }
        Wanted::Other(token) => Ok(UpgradeKind::Other(token)),
    }
}

/// The proxy's own answer to a request.
pub(super) fn answer_with(record: &mut Record, problem: &Problem, html: bool) -> Response<Body> {
    let mut response = problem.response(html, record.url());
    if problem.status == StatusCode::UPGRADE_REQUIRED {
        // RFC 6455 section 4.2.2: say which version would do.
        response
            .headers_mut()
            .insert("sec-websocket-version", HeaderValue::from_static("13"));
        hop::set_upgrade(response.headers_mut(), HeaderValue::from_static("websocket"));
    }
    if matches!(problem.error, HttpError::BadRequest | HttpError::Misdirected) {
        // Whoever sent this may see other requests in the bytes that follow than the proxy does.
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    record.answered(problem);
    response
}

/// The I/O error beneath an error of hyper's.
pub(super) fn io_cause(error: &hyper::Error) -> Option<&std::io::Error> {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref() {
            return Some(io);
        }
        next = cause.source();
    }
    None
}

/// An error with everything beneath it, for people.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
