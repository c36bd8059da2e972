//! What RFC 9110 and RFC 9112 want checked before a request goes on.

use crate::accept::ClientHold;
use crate::decide::{OtherUpgrade, Treatment};
use crate::dial::DialOutcome;
use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::exchange::destination::Destination;
use crate::http::exchange::hop;
use crate::http::pages::ErrorResponse;
use crate::wire::headers::Headers;
use crate::wire::http1::{Malformed, check_expectation};
use crate::wire::names::Authority;
use crate::wire::ws_handshake::{self, Offer, Upgrade};
use http::header::{HOST, ORIGIN};
use http::{Method, StatusCode, Version};
use std::time::Duration;

/// When a client with too many WebSockets may ask again: nobody knows when it will have fewer.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// The head of a request, whatever carries it.
#[derive(Debug)]
pub(in crate::http) struct Asking<'r, H> {
    pub(in crate::http) method: &'r Method,
    pub(in crate::http) version: Version,
    /// The path with its query.
    pub(in crate::http) path: &'r str,
    /// What the target itself names: the absolute form's authority, or `:authority`.
    pub(in crate::http) authority: Option<&'r str>,
    pub(in crate::http) headers: &'r mut H,
    /// Content follows.
    pub(in crate::http) has_body: bool,
    /// What the connection or stream is to become.
    pub(in crate::http) upgrade: Option<Upgrade>,
}

/// What the client asks the connection to become.
pub(in crate::http) enum Wanted {
    Nothing,
    WebSocket {
        offer: Offer,
        path: String,
        origin: Option<String>,
        /// One of those that its client may have.
        held: ClientHold,
    },
    Other(String),
}

/// Checks a request, and says what it asks its connection to become.
pub(in crate::http) fn check<H: Headers>(
    context: &ExchangeContext,
    treatment: &Treatment,
    to: &Destination<'_>,
    asking: &mut Asking<'_, H>,
) -> Result<Wanted, ErrorResponse> {
    let bad = |text: &str| ErrorResponse::new(HttpError::BadRequest, text);
    let is_h2 = asking.version == Version::HTTP_2;
    // Extended CONNECT (RFC 8441 section 4) is what asks for an upgrade over HTTP/2.
    if *asking.method == Method::CONNECT && !(is_h2 && asking.upgrade.is_some()) {
        return Err(bad("CONNECT inside a tunnel"));
    }
    check_host(to, asking)?;
    if is_h2 {
        // Both are checked with the framing in HTTP/1.1, and end its connection. `*` is for OPTIONS alone (RFC 9113 section
        // 8.3.1), and is no path of an origin of HTTP/1.1 either.
        if asking.path == "*" && *asking.method != Method::OPTIONS {
            return Err(ErrorResponse::malformed(Malformed::Target));
        }
        check_expectation(asking.headers).map_err(ErrorResponse::malformed)?;
    }
    if hop::has_looped(asking.headers) {
        let text = "this request has passed this proxy too often";
        let mut problem = ErrorResponse::new(HttpError::Dial(DialOutcome::Loop), text);
        problem.status = StatusCode::LOOP_DETECTED;
        return Err(problem);
    }
    if matches!(*asking.method, Method::TRACE | Method::OPTIONS) && !hop::may_forward(asking.headers) {
        let mut problem = bad("Max-Forwards is used up, and this proxy is where the request ends");
        problem.status = StatusCode::OK;
        return Err(problem);
    }
    let Some(token) = asking.upgrade.take() else {
        return Ok(Wanted::Nothing);
    };
    match token {
        Upgrade::WebSocket if asking.has_body && !is_h2 => Err(ErrorResponse::new(
            HttpError::BadUpgrade,
            "a WebSocket handshake with a body",
        )),
        Upgrade::WebSocket => {
            if treatment.inspects
                && context.inspector.is_active()
                && context
                    .inspector
                    .decodes(std::iter::once(to.target).chain(&to.aliases()))
            {
                // What the origin does not see offered it cannot agree to.
                ws_handshake::keep_known_extensions(asking.headers);
            }
            match ws_handshake::check_request(asking.method, asking.version, asking.headers) {
                Ok(offer) => Ok(Wanted::WebSocket {
                    offer,
                    path: asking.path.to_owned(),
                    origin: asking.headers.first(&ORIGIN).map(text),
                    held: one_more(context)?,
                }),
                Err(error) => {
                    let mut problem = ErrorResponse::new(HttpError::BadUpgrade, error.to_string());
                    problem.status = error.status();
                    Err(problem)
                }
            }
        }
        Upgrade::Other(token) => match treatment.other_upgrades {
            OtherUpgrade::Strip if is_h2 => {
                // A stream has no other protocol to stay with.
                let mut problem = ErrorResponse::new(
                    HttpError::Refused,
                    format!("{token:?} is not carried over HTTP/2 here"),
                );
                problem.status = StatusCode::NOT_IMPLEMENTED;
                Err(problem)
            }
            OtherUpgrade::Strip => Ok(Wanted::Nothing),
            OtherUpgrade::Tunnel => Ok(Wanted::Other(token)),
            OtherUpgrade::Refuse => Err(ErrorResponse::new(
                HttpError::Refused,
                format!("upgrades to {token:?} are not allowed here"),
            )),
        },
    }
}

/// One more WebSocket for a client, unless it has too many.
fn one_more(context: &ExchangeContext) -> Result<ClientHold, ErrorResponse> {
    context.places.websocket(context.peer).map_err(|limit| {
        context.watch.limited(limit);
        ErrorResponse::limited(limit, TRY_AGAIN)
    })
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// One Host (RFC 9112 section 3.2), and it names this connection's target; otherwise 421 (RFC 9110 section
/// 15.5.20): the request would reach another site than the one that was judged.
fn check_host<H: Headers>(to: &Destination<'_>, asking: &mut Asking<'_, H>) -> Result<(), ErrorResponse> {
    let mut hosts = asking.headers.all(&HOST);
    let written = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(String::from_utf8_lossy(host)),
        (None, _) if asking.version < Version::HTTP_11 => None,
        // Its :authority says it (RFC 9113 section 8.3.1).
        (None, _) if asking.version == Version::HTTP_2 && asking.authority.is_some() => None,
        (None, _) => return Err(ErrorResponse::malformed(Malformed::NoHost)),
        (Some(_), Some(_)) => return Err(ErrorResponse::malformed(Malformed::RepeatedHost)),
    };
    drop(hosts);
    // The absolute form wins over Host, which then has to say the same (RFC 9112 section 3.2.2).
    let absolute = asking.authority;
    if let (Some(absolute), Some(written), Version::HTTP_2) = (absolute, &written, asking.version)
        && !absolute.eq_ignore_ascii_case(written)
    {
        // RFC 9113 section 8.3.1.
        let text = format!(":authority is {absolute:?}, and Host is {written:?}");
        return Err(ErrorResponse::new(HttpError::BadRequest, text));
    }
    let Some(host) = absolute.or(written.as_deref()) else {
        // HTTP/1.0 may do without, but the request goes on as one of HTTP/1.1.
        asking.headers.set(&HOST, to.name().as_bytes());
        return Ok(());
    };
    let is_host = |host: &str| Authority::parse(host, Some(to.target.port)).is_some();
    if to.is_written(host) {
        // The same letter by letter, as nearly always.
    } else if !is_host(host) {
        let mut problem = ErrorResponse::malformed(Malformed::HostValue);
        problem.text = format!("Host is {host:?}, which is no host");
        return Err(problem);
    } else if !to.is_named_by(host) {
        let text = format!("Host is {host:?}, and this connection is for {}", to.target);
        return Err(ErrorResponse::new(HttpError::Misdirected, text));
    }
    let Some(absolute) = absolute else {
        return Ok(());
    };
    // A server has to refuse a Host that is none, whatever form the target has (RFC 9112 section 3.2).
    if written
        .as_deref()
        .is_some_and(|written| !written.is_empty() && !is_host(written))
    {
        return Err(ErrorResponse::malformed(Malformed::HostValue));
    }
    let is_said = written.as_deref() == Some(absolute);
    drop(written);
    if !is_said {
        asking.headers.set(&HOST, absolute.as_bytes());
    }
    Ok(())
}
