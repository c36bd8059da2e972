//! An exchange over HTTP/1.1 on both sides, by hyper.

use super::body::Body;
use super::check::{Wanted, is_chunked};
use super::destination::{Destination, origin_form};
use super::endless::may_be_quiet;
use super::exchange::{self, Asked, answer_with, causes, io_cause, wants_html};
use super::inspected;
use super::io::Activity;
use super::page::Problem;
use super::record::Record;
use super::serve::UpgradeKind;
use super::source::Source;
use super::{HttpError, Site, hop};
use crate::error::Side;
use crate::handshake::origin::late_failure;
use crate::wire::ws_handshake;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::{Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::upgrade::OnUpgrade;
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// An upgrade that both ends have agreed to.
pub(super) struct Agreed {
    pub(super) client: OnUpgrade,
    pub(super) origin: OnUpgrade,
    pub(super) kind: UpgradeKind,
}

/// What an exchange came to.
pub(super) enum Outcome {
    /// A response for the client.
    Answer(Response<Body>),
    /// A response that switches protocols, and the two upgrades that follow.
    Switch(Response<Body>, Box<Agreed>),
    /// The origin's connection was gone before the request reached it; the request is whole.
    NotSent(Request<Body>, Box<Unsent>),
    /// The origin closed a connection that had served before: the client sees the same, and retries as it
    /// would without a proxy.
    HangUp,
}

/// What is needed to send a request again.
pub(super) struct Unsent {
    wanted: Wanted,
    /// The client's side of what it asks for.
    upgrade: Option<OnUpgrade>,
    record: Record,
    continued: Option<Continue>,
    /// Where rules look at it.
    inspected: Option<Box<inspected::Exchange>>,
}

/// Opens the gate of a body that waits for `100 Continue`; empty once it has.
type Continue = Arc<Mutex<Option<oneshot::Sender<()>>>>;

/// Whether the body still waits.
fn is_held_back(continued: Option<&Continue>) -> bool {
    continued.is_some_and(|open| {
        open.lock()
            .is_ok_and(|open| open.as_ref().is_some_and(|open| !open.is_closed()))
    })
}

impl Unsent {
    /// The origin cannot be had.
    pub(super) fn give_up(mut self, problem: &Problem, html: bool) -> Response<Body> {
        answer_with(&mut self.record, problem, html)
    }

    /// The origin is gone, and the client is told by its own connection's end.
    pub(super) fn hang_up(mut self) {
        self.record.failed(HttpError::Aborted(Side::Origin));
    }
}

/// A request as the origin gets it, and what is needed to make sense of the answer.
pub(super) type Prepared = (Request<Body>, Box<Unsent>);

/// Checks the request against its connection, and makes it the one that the origin gets.
pub(super) fn prepare(
    site: &Site,
    to: &Destination<'_>,
    mut request: Request<Incoming>,
    url: String,
    activity: &Activity,
) -> Result<Prepared, Box<Response<Body>>> {
    let token = ws_handshake::upgrade_token(request.headers());
    let upgrade = token.is_some().then(|| hyper::upgrade::on(&mut request));
    let (mut parts, incoming) = request.into_parts();
    let has_body = !incoming.is_end_stream();
    let Asked {
        wanted,
        record,
        inspected,
    } = exchange::ask(site, to, &mut parts, has_body, token, url, activity)?;
    let expects = exchange::expects_continue(&parts.headers) && has_body;
    hop::strip(&mut parts.headers);
    if has_body && !parts.headers.contains_key(CONTENT_LENGTH) {
        // Said outright, since hyper drops the body of a GET that does not announce one.
        parts
            .headers
            .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    match &wanted {
        Wanted::Nothing => {}
        Wanted::WebSocket { .. } => {
            hop::set_upgrade(&mut parts.headers, HeaderValue::from_static("websocket"))
        }
        Wanted::Other(token) => {
            if let Ok(token) = HeaderValue::from_str(token) {
                hop::set_upgrade(&mut parts.headers, token);
            }
        }
    }
    if site.via {
        hop::add_via(&mut parts.headers, parts.version);
    }
    parts.version = Version::HTTP_11;
    parts.uri = origin_form(&parts.uri);

    let (gate, continued) = if expects {
        let (open, gate) = oneshot::channel();
        (Some(gate), Some(Arc::new(Mutex::new(Some(open)))))
    } else {
        (None, None)
    };
    let body = Body::request(Source::H1(incoming), record.request_bytes(), gate);
    Ok((
        Request::from_parts(parts, body),
        Box::new(Unsent {
            wanted,
            upgrade,
            record,
            continued,
            inspected,
        }),
    ))
}

/// Sends a prepared request and makes the client's response of the origin's.
pub(super) async fn send(
    site: &Site,
    to: &Destination<'_>,
    sender: &mut SendRequest<Body>,
    mut request: Request<Body>,
    unsent: Box<Unsent>,
    activity: &Activity,
) -> Outcome {
    let origin = to.origin.or(site.origin);
    if sender.ready().await.is_err() {
        return Outcome::NotSent(request, unsent);
    }
    let Unsent {
        wanted,
        upgrade,
        mut record,
        continued,
        mut inspected,
    } = *unsent;
    let html = wants_html(request.headers());
    if let Some(it) = &mut inspected {
        request = match it.request_body(request).await {
            Ok(request) => request,
            Err(problem) => return Outcome::Answer(answer_with(&mut record, &problem, html)),
        };
    }
    if let Some(open) = continued.clone() {
        hyper::ext::on_informational(&mut request, move |response| {
            if response.status() == StatusCode::CONTINUE
                && let Ok(mut open) = open.lock()
                && let Some(open) = open.take()
            {
                // The body may be gone already, when the client is.
                let _ = open.send(());
            }
        });
    }
    let fail =
        |mut record: Record, problem: Problem| Outcome::Answer(answer_with(&mut record, &problem, html));
    let mut response = match exchange::patiently(sender.try_send_request(request), site.response, || {
        activity.count()
    })
    .await
    {
        None => {
            let text = format!("{} sent no response for {:?}", to.target, site.response);
            return fail(record, Problem::new(HttpError::Timeout, text));
        }
        Some(Ok(response)) => response,
        Some(Err(mut error)) => {
            if let Some(request) = error.take_message() {
                return Outcome::NotSent(
                    request,
                    Box::new(Unsent {
                        wanted,
                        upgrade,
                        record,
                        continued,
                        inspected,
                    }),
                );
            }
            let error = error.into_error();
            if error.is_parse() {
                let text = format!(
                    "{} answered with something that is not HTTP/1.1: {error}",
                    to.target
                );
                return fail(record, Problem::new(HttpError::BadResponse, text));
            }
            if let Some(outcome) = io_cause(&error).and_then(late_failure) {
                // In TLS 1.3 an origin says only now that it wanted a client certificate.
                let text = format!("{} ended TLS: {}", to.target, outcome.label().replace('_', " "));
                return fail(record, Problem::new(HttpError::TlsError, text));
            }
            if !to.is_first {
                record.failed(HttpError::Aborted(Side::Origin));
                return Outcome::HangUp;
            }
            let text = format!(
                "{} closed the connection without a response ({})",
                to.target,
                causes(&error)
            );
            return fail(record, Problem::new(HttpError::Aborted(Side::Origin), text));
        }
    };

    let head = match inspected
        .as_ref()
        .map(|it| it.response_head(response.status(), response.version(), response.headers(), origin))
    {
        Some(Err(problem)) => return fail(record, problem),
        Some(Ok(head)) => Some(head),
        None => None,
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let agreed = exchange::agree(to, wanted, response.headers(), &record);
        return match agreed.and_then(|kind| Ok((kind, upgrade.ok_or_else(|| exchange::unasked(to))?))) {
            Ok((kind, client)) => {
                let origin = hyper::upgrade::on(&mut response);
                let agreed = Agreed { client, origin, kind };
                activity.switch();
                record.head(StatusCode::SWITCHING_PROTOCOLS);
                record.complete();
                Outcome::Switch(switched(site, response), Box::new(agreed))
            }
            Err(problem) => fail(record, problem),
        };
    }
    if !response
        .headers()
        .get_all(TRANSFER_ENCODING)
        .iter()
        .all(is_chunked)
    {
        let text = format!("{} used a transfer coding other than chunked", to.target);
        return fail(record, Problem::new(HttpError::BadResponse, text));
    }
    record.head(response.status());
    if may_be_quiet(response.headers()) {
        record.is_stream();
    }
    let closes = closes(&response);
    let (mut parts, incoming) = response.into_parts();
    let incoming = Source::H1(incoming);
    let body = match inspected.as_ref().zip(head.as_ref()) {
        Some((it, head)) => match it.response_body(head, &mut parts.headers, incoming, record).await {
            Ok(body) => body,
            Err((record, problem)) => return fail(*record, problem),
        },
        None => Body::response(incoming, record, None),
    };
    let mut response = respond(site, parts, body, closes);
    if is_held_back(continued.as_ref()) {
        // The final answer came first, and the body is never wanted: it goes with its connection.
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Outcome::Answer(response)
}

/// The 101 as the client gets it.
fn switched(site: &Site, response: Response<Incoming>) -> Response<Body> {
    let (mut parts, _) = response.into_parts();
    let token = parts
        .headers
        .get(UPGRADE)
        .cloned()
        .unwrap_or(HeaderValue::from_static("websocket"));
    hop::strip(&mut parts.headers);
    hop::set_upgrade(&mut parts.headers, token);
    if site.via {
        hop::add_via(&mut parts.headers, Version::HTTP_11);
    }
    Response::from_parts(parts, Body::empty())
}

/// Whether an origin closes after this response: the client's connection is then closed too, since the two are one.
fn closes(response: &Response<Incoming>) -> bool {
    let headers = response.headers();
    hop::tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("close"))
        || (response.version() < Version::HTTP_11
            && !hop::tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("keep-alive")))
        || (!response.body().is_end_stream()
            && !headers.contains_key(CONTENT_LENGTH)
            && !headers.contains_key(TRANSFER_ENCODING))
}

/// The origin's response as the client gets it.
fn respond(site: &Site, mut parts: http::response::Parts, body: Body, closes: bool) -> Response<Body> {
    if parts.headers.contains_key(TRANSFER_ENCODING) {
        // The coding has been gone by; a length beside it must not go on (RFC 9112 section 6.3).
        parts.headers.remove(CONTENT_LENGTH);
    }
    let wanted = parts
        .headers
        .get(UPGRADE)
        .filter(|_| parts.status == StatusCode::UPGRADE_REQUIRED)
        .cloned();
    hop::strip(&mut parts.headers);
    if let Some(token) = wanted {
        // A 426 without Upgrade would not say what it requires (RFC 9110 section 15.5.22).
        hop::set_upgrade(&mut parts.headers, token);
    }
    if closes {
        parts
            .headers
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if site.via {
        hop::add_via(&mut parts.headers, Version::HTTP_11);
    }
    parts.version = Version::HTTP_11;
    Response::from_parts(parts, body)
}
