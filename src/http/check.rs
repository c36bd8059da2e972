//! What RFC 9110 and RFC 9112 want checked before a request goes on.

use super::destination::Destination;
use super::page::Problem;
use super::{HttpError, Site, hop};
use crate::decide::OtherUpgrade;
use crate::wire::names::Authority;
use crate::wire::ws_handshake::{self, Offer, Upgrade};
use http::header::{HOST, HeaderValue, ORIGIN, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Authority as UriAuthority;
use http::{Method, StatusCode, Version};

/// What the client asks the connection to become.
pub(super) enum Wanted {
    Nothing,
    WebSocket {
        offer: Offer,
        path: String,
        origin: Option<String>,
    },
    Other(String),
}

/// Checks a request, and says what it asks its connection to become.
pub(super) fn check(
    site: &Site,
    to: &Destination<'_>,
    parts: &mut Parts,
    has_body: bool,
    upgrade: Option<Upgrade>,
) -> Result<Wanted, Problem> {
    let bad = |text: &str| Problem::new(HttpError::BadRequest, text);
    let is_h2 = parts.version == Version::HTTP_2;
    // Extended CONNECT (RFC 8441 section 4) is what asks for an upgrade over HTTP/2.
    if parts.method == Method::CONNECT && !(is_h2 && upgrade.is_some()) {
        return Err(bad("CONNECT inside a tunnel"));
    }
    check_host(to, parts)?;
    if !parts.headers.get_all(TRANSFER_ENCODING).iter().all(is_chunked) {
        // RFC 9112 section 6.1: a coding that is not understood.
        let mut problem = bad("a transfer coding other than chunked");
        problem.status = StatusCode::NOT_IMPLEMENTED;
        return Err(problem);
    }
    if hop::has_looped(&parts.headers) {
        let mut problem = bad("this request has passed this proxy too often");
        problem.status = StatusCode::LOOP_DETECTED;
        problem.status_error = Some("proxy_loop_detected");
        return Err(problem);
    }
    if matches!(parts.method, Method::TRACE | Method::OPTIONS) && !hop::may_forward(&mut parts.headers) {
        let mut problem = bad("Max-Forwards is used up, and this proxy is where the request ends");
        problem.status = StatusCode::OK;
        return Err(problem);
    }
    let Some(token) = upgrade else {
        return Ok(Wanted::Nothing);
    };
    match token {
        Upgrade::WebSocket if has_body && !is_h2 => Err(Problem::new(
            HttpError::BadUpgrade,
            "a WebSocket handshake with a body",
        )),
        Upgrade::WebSocket => {
            if site.inspector.decodes(to.target) {
                // What the origin does not see offered it cannot agree to.
                ws_handshake::keep_known_extensions(&mut parts.headers);
            }
            match ws_handshake::check_request(&parts.method, parts.version, &parts.headers) {
                Ok(offer) => {
                    let path = parts
                        .uri
                        .path_and_query()
                        .map_or("/", |path| path.as_str())
                        .to_owned();
                    let origin = parts
                        .headers
                        .get(ORIGIN)
                        .and_then(|o| o.to_str().ok())
                        .map(str::to_owned);
                    Ok(Wanted::WebSocket { offer, path, origin })
                }
                Err(error) => {
                    let mut problem = Problem::new(HttpError::BadUpgrade, error.to_string());
                    problem.status = error.status();
                    Err(problem)
                }
            }
        }
        Upgrade::Other(token) => match site.other_upgrades {
            OtherUpgrade::Strip if is_h2 => {
                // A stream has no other protocol to stay with.
                let mut problem = Problem::new(
                    HttpError::Refused,
                    format!("{token:?} is not carried over HTTP/2 here"),
                );
                problem.status = StatusCode::NOT_IMPLEMENTED;
                Err(problem)
            }
            OtherUpgrade::Strip => Ok(Wanted::Nothing),
            OtherUpgrade::Tunnel => Ok(Wanted::Other(token)),
            OtherUpgrade::Refuse => Err(Problem::new(
                HttpError::Refused,
                format!("upgrades to {token:?} are not allowed here"),
            )),
        },
    }
}

pub(super) fn is_chunked(coding: &HeaderValue) -> bool {
    coding.as_bytes().eq_ignore_ascii_case(b"chunked")
}

/// One Host (RFC 9112 section 3.2), and it names this connection's target; otherwise 421 (RFC 9110 section
/// 15.5.20): the request would reach another site than the one that was judged.
fn check_host(to: &Destination<'_>, request: &mut Parts) -> Result<(), Problem> {
    let mut hosts = request.headers.get_all(HOST).iter();
    let written = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.to_str().unwrap_or_default()),
        (None, _) if request.version < Version::HTTP_11 => None,
        // Its :authority says it (RFC 9113 section 8.3.1).
        (None, _) if request.version == Version::HTTP_2 && request.uri.authority().is_some() => None,
        (None, _) => return Err(Problem::new(HttpError::BadRequest, "a request without Host")),
        (Some(_), Some(_)) => {
            return Err(Problem::new(
                HttpError::BadRequest,
                "a request with two Host headers",
            ));
        }
    };
    // The absolute form wins over Host, which then has to say the same (RFC 9112 section 3.2.2).
    let absolute = request.uri.authority().map(UriAuthority::as_str);
    if let (Some(absolute), Some(written), Version::HTTP_2) = (absolute, written, request.version)
        && !absolute.eq_ignore_ascii_case(written)
    {
        // RFC 9113 section 8.3.1.
        let text = format!(":authority is {absolute:?}, and Host is {written:?}");
        return Err(Problem::new(HttpError::BadRequest, text));
    }
    let Some(host) = absolute.or(written) else {
        // HTTP/1.0 may do without, but the request goes on as one of HTTP/1.1.
        return set_host(request, &to.name());
    };
    if to.is_written(host) {
        // The same letter by letter, as nearly always.
    } else if Authority::parse(host, Some(to.target.port)).is_none() {
        return Err(Problem::new(
            HttpError::BadRequest,
            format!("Host is {host:?}, which is no host"),
        ));
    } else if !to.is_named_by(host) {
        let text = format!("Host is {host:?}, and this connection is for {}", to.target);
        return Err(Problem::new(HttpError::Misdirected, text));
    }
    match absolute.map(str::to_owned) {
        Some(absolute) => set_host(request, &absolute),
        None => Ok(()),
    }
}

fn set_host(request: &mut Parts, host: &str) -> Result<(), Problem> {
    let host = HeaderValue::from_str(host)
        .map_err(|_| Problem::new(HttpError::BadRequest, "a host that no header can carry"))?;
    request.headers.insert(HOST, host);
    Ok(())
}
