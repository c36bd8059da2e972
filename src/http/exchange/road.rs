//! One request and its response: the road that every exchange takes, whatever carries it.

use crate::decide::{RequestFacts, Treatment};
use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::exchange::check::{Asking, Wanted, check};
use crate::http::exchange::destination::Destination;
use crate::http::exchange::hop;
use crate::http::exchange::judge::{self, Allowed, JudgedRequest};
use crate::http::exchange::record::ExchangeRecord;
use crate::http::exchange::served::UpgradeKind;
use crate::http::exchange::served::WebSocketInfo;
use crate::http::inspected::adapting::Adapter;
use crate::http::inspected::exchange::InspectedExchange;
use crate::http::pages::{Audience, ErrorResponse};
use crate::inspect::SessionFacts;
use crate::wire::headers::Headers;
use crate::wire::ws_handshake::{self, Upgrade};
use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HeaderValue, IF_RANGE, RANGE, UPGRADE};
use http::uri::Scheme;
use http::{Method, Response, StatusCode};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// A request that may go on.
pub(in crate::http) struct Asked {
    /// What it asks its connection or stream to become.
    pub(in crate::http) wanted: Wanted,
    /// Begun with it.
    pub(in crate::http) record: ExchangeRecord,
    /// Where rules look at it.
    pub(in crate::http) inspected: Option<Box<InspectedExchange>>,
    /// Where services may change it.
    pub(in crate::http) adapter: Option<Box<Adapter>>,
    /// How the policy has it treated.
    pub(in crate::http) treatment: Arc<Treatment>,
}

/// Asks the policy about a request, checks it against its connection, and its head against the rules.
///
/// # Errors
/// What is to be answered instead.
pub(in crate::http) fn ask<H: Headers>(
    context: &ExchangeContext,
    to: &Destination<'_>,
    asking: &mut Asking<'_, H>,
    url: String,
) -> Result<Asked, Box<(ExchangeRecord, ErrorResponse)>> {
    let mut record = ExchangeRecord::begin(context, asking.method.clone(), asking.version, url)
        .noting(context, asking.headers);
    let upgrade = asking.upgrade.as_ref().map(|upgrade| match upgrade {
        Upgrade::WebSocket => "websocket",
        Upgrade::Other(names) => names,
    });
    // An extended CONNECT asks for what GET asks for over HTTP/1.1 (RFC 8441 section 5): a rule means both.
    let method = match (asking.method, upgrade) {
        (&Method::CONNECT, Some(_)) => &Method::GET,
        (method, _) => method,
    };
    let client = record.client();
    let judged = context.judge.judge(&JudgedRequest::new(
        client,
        to,
        RequestFacts {
            method,
            path: asking.path,
            is_tls: to.scheme == Scheme::HTTPS,
            upgrade,
            fields: &*asking.headers,
        },
    ));
    let treatment = match judged {
        Ok(Allowed { treatment, rule }) => {
            record.allowed_by(rule);
            treatment
        }
        Err(problem) => return Err(Box::new((record, *problem))),
    };
    let wanted = match check(context, &treatment, to, asking) {
        Ok(wanted) => wanted,
        Err(problem) => return Err(Box::new((record, problem))),
    };
    // Before the operator's own are put there: a client must not list those in Connection.
    hop::drop_listed(asking.headers);
    judge::edit(&treatment.headers, asking.headers);
    judge::tell_client(&treatment, (context.who.client, client), asking.headers);
    let is_websocket = matches!(wanted, Wanted::WebSocket { .. });
    let inspected = (treatment.inspects)
        .then(|| InspectedExchange::begin(context, to, asking, is_websocket))
        .flatten();
    if let Some(it) = &inspected {
        // What follows an extended CONNECT is no content of the request's.
        let has_content = asking.has_body && matches!(wanted, Wanted::Nothing);
        it.record_request(asking.version, to.origin.or(context.origin), has_content);
        record.recorded_by(it.tape().cloned());
        if let Err(problem) = it.request_head(asking.path, asking.headers) {
            return Err(Box::new((record, problem)));
        }
        if it.wants_whole_response() {
            // Of a part alone nobody could say what the whole is. A server may ignore these (RFC 9110 section 14.2).
            asking.headers.remove(&RANGE);
            asking.headers.remove(&IF_RANGE);
        }
    }
    Ok(Asked {
        wanted,
        record,
        inspected,
        adapter: Adapter::begin(context, to, &treatment, asking.path),
        treatment,
    })
}

/// Whether a client waits for `100 Continue` before it sends its content (RFC 9110 section 10.1.1).
pub(in crate::http) fn expects_continue(headers: &impl Headers) -> bool {
    headers
        .first(&EXPECT)
        .is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
}

/// Waits for a response as long as something moves, by a count that grows; `None` when nothing has for `patience`.
pub(in crate::http) async fn patiently<F: Future>(
    response: F,
    patience: Duration,
    moved: impl Fn() -> u64,
) -> Option<F::Output> {
    tokio::pin!(response);
    // What is there at once needs no clock.
    let at_once = poll_fn(|cx| match response.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    });
    if let Some(output) = at_once.await {
        return Some(output);
    }
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
pub(in crate::http) fn unasked(to: &Destination<'_>) -> ErrorResponse {
    let text = format!("{} switched protocols without being asked", to.target);
    ErrorResponse::new(HttpError::BadUpgradeResponse, text)
}

/// Holds an origin's consent to an upgrade against what was asked for.
///
/// # Errors
/// The origin consents to something else, or breaks the handshake's rules.
pub(in crate::http) fn agree(
    to: &Destination<'_>,
    wanted: Wanted,
    treatment: &Treatment,
    headers: &impl Headers,
    record: &ExchangeRecord,
) -> Result<UpgradeKind, ErrorResponse> {
    match wanted {
        Wanted::Nothing => Err(unasked(to)),
        Wanted::WebSocket {
            offer,
            path: full_path,
            origin,
            held,
        } => {
            let accepted = ws_handshake::check_response(&offer, headers).map_err(|error| {
                let text = format!("{}'s WebSocket handshake is broken: {error}", to.target);
                ErrorResponse::new(HttpError::BadUpgradeResponse, text)
            })?;
            let scheme = if to.scheme == Scheme::HTTPS { "wss" } else { "ws" };
            let path = record.url().splitn(4, '/').nth(3).unwrap_or_default();
            let Some(who) = record.who() else {
                return Err(unasked(to));
            };
            let facts = SessionFacts {
                connection: who.connection,
                client: record.client(),
                user: who.user.clone(),
                target: to.target.clone(),
                aliases: to.aliases(),
                scheme,
                path: full_path,
                origin,
                subprotocol: accepted.protocol,
                websocket: None,
            };
            let info = WebSocketInfo {
                facts: Arc::new(facts),
                rule: record.rule(),
                url: format!("{scheme}://{}/{path}", to.name()).into(),
                is_inspected: treatment.inspects,
                version: record.version(),
                deflate: accepted.deflate,
                opaque_extensions: accepted.is_opaque,
                extensions: accepted.extensions,
            };
            Ok(UpgradeKind::WebSocket {
                info: Box::new(info),
                allowed_rsv: accepted.allowed_rsv,
                held,
            })
        }
        Wanted::Other(token) => Ok(UpgradeKind::Other(token)),
    }
}

/// The proxy's own answer to a request.
pub(in crate::http) fn answer_with(
    record: &mut ExchangeRecord,
    problem: &ErrorResponse,
    audience: Audience,
) -> Response<Bytes> {
    let mut response = record.answer(problem, audience);
    if problem.status == StatusCode::UPGRADE_REQUIRED {
        // RFC 6455 section 4.2.2: say which version would do.
        let headers = response.headers_mut();
        headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    record.answered(problem);
    response
}
