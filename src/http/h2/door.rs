//! A request on a stream of HTTP/2 with the proxy itself that names its server: it goes there as one of HTTP/1.1, and what
//! comes back is a response of HTTP/2.

use crate::accept::{Ask, AskKind, Credentials};
use crate::http::context::ExchangeContext;
use crate::http::error::HttpError;
use crate::http::exchange::check::{Asking, Wanted};
use crate::http::exchange::destination::{Destination, scheme};
use crate::http::exchange::endless::may_be_quiet;
use crate::http::exchange::hop;
use crate::http::exchange::record::ExchangeRecord;
use crate::http::exchange::road::{self, Asked};
use crate::http::h1::door::Origins;
use crate::http::h2::answer::deliver;
use crate::http::h2::forwarded::Forwarded;
use crate::http::h2::front::StreamRequest;
use crate::http::h2::heads::Broken;
use crate::http::h2::tunnel::SentPiece;
use crate::http::h2::under_way::StreamEnd;
use crate::http::h2::unwanted::skip_left;
use crate::http::message::body::Body;
use crate::http::message::source::{Leftover, Source, Streamed};
use crate::http::pages::ErrorResponse;
use crate::wire::headers::Headers;
use crate::wire::http1::check_fields;
use crate::wire::names::Authority;
use ::h2::server::SendResponse;
use http::header::PROXY_AUTHORIZATION;
use http::{Request, Version};
use http_body::Body as _;
use std::net::SocketAddr;

/// Answers the request; says what it named, if that was understood.
pub async fn answer_stream(
    request: StreamRequest,
    address: SocketAddr,
    origins: &impl Origins,
    context: &ExchangeContext,
) -> Option<Authority> {
    let (request, respond, taken_back) = request.into_parts();
    let left = (!request.body().is_end_stream()).then(Leftover::default);
    let request = request.map(|content| Streamed::new(content).leaving(left.as_ref()));
    let (target, ended) = answer(request, respond, address, origins, context).await;
    if ended == StreamEnd::Reset {
        taken_back.add();
    }
    skip_left(left).await;
    target
}

async fn answer(
    request: Request<Streamed>,
    respond: SendResponse<SentPiece>,
    address: SocketAddr,
    origins: &impl Origins,
    context: &ExchangeContext,
) -> (Option<Authority>, StreamEnd) {
    let (mut parts, content) = request.into_parts();
    hop::join_cookies(&mut parts.headers);
    context.hear(&parts.headers);
    let audience = context.pages.audience(&parts.headers);
    let method = parts.method.clone();
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let (target, is_secure) = match named(&parts.uri) {
        Ok(named) => named,
        Err(problem) => {
            let url = parts.uri.path().to_owned();
            let mut record =
                ExchangeRecord::begin(context, method, Version::HTTP_2, url).noting(context, &parts.headers);
            let response = road::answer_with(&mut record, &problem, audience);
            let ended = deliver(context, record.is_head(), respond, response).await;
            return (None, ended);
        }
    };
    let ask = Ask {
        client: address,
        credentials: Credentials::of_lines(parts.headers.all(&PROXY_AUTHORIZATION)),
        to: target.clone(),
        kind: AskKind::Request { is_secure },
    };
    let to = Destination::new(scheme(is_secure), &target, None);
    if let Err(why) = check_fields(&mut parts.headers) {
        let mut record = ExchangeRecord::begin(context, method, Version::HTTP_2, to.url(&path))
            .noting(context, &parts.headers);
        let response = road::answer_with(&mut record, &ErrorResponse::malformed(why), audience);
        let ended = deliver(context, record.is_head(), respond, response).await;
        return (Some(target), ended);
    }
    if let Err(problem) = origins.identify(&ask).await {
        let mut record = ExchangeRecord::begin(context, method, Version::HTTP_2, to.url(&path))
            .noting(context, &parts.headers);
        let response = road::answer_with(&mut record, &problem, audience);
        let ended = deliver(context, record.is_head(), respond, response).await;
        return (Some(target), ended);
    }
    let mut asking = Asking {
        method: &method,
        version: Version::HTTP_2,
        path: &path,
        authority: parts.uri.authority().map(|authority| authority.as_str()),
        headers: &mut parts.headers,
        has_body: !content.is_end_stream(),
        upgrade: None,
    };
    let asked = road::ask(context, &to, &mut asking, to.url(&path));
    let (mut record, problem) = match asked {
        Ok(Asked {
            wanted: Wanted::Nothing,
            record,
            inspected,
            adapter,
            treatment,
        }) => {
            if parts.extensions.get::<Broken>().is_some() {
                record.received().malformed();
            }
            let body = Body::request(Source::H2(content), record.received());
            let forwarded = Forwarded {
                context,
                to: &to,
                method: &method,
                path: &path,
                audience,
                respond,
                record,
                inspected,
                adapter,
                treatment,
                pace: context.pace.unless(may_be_quiet(&parts.headers)),
            };
            let ended = forwarded.carry(parts.headers, body, &ask, origins).await;
            return (Some(target), ended);
        }
        // Nothing else can be wanted of a stream that no extended CONNECT began.
        Ok(Asked { record, .. }) => (
            record,
            ErrorResponse::new(HttpError::BadUpgrade, "an upgrade over HTTP/2"),
        ),
        Err(refused) => *refused,
    };
    let response = road::answer_with(&mut record, &problem, audience);
    let ended = deliver(context, record.is_head(), respond, response).await;
    (Some(target), ended)
}

/// The server that a request names, and whether TLS is spoken with it.
fn named(uri: &http::Uri) -> Result<(Authority, bool), ErrorResponse> {
    let bad = |text: &str| ErrorResponse::new(HttpError::BadRequest, text);
    let is_secure = match uri.scheme_str() {
        Some("http" | "ws") => false,
        Some("https" | "wss") => true,
        _ => return Err(bad("only http:// and https:// can be proxied")),
    };
    let authority = uri.authority().ok_or_else(|| bad("a target without a host"))?;
    Authority::parse(authority.as_str(), Some(if is_secure { 443 } else { 80 }))
        .map(|target| (target, is_secure))
        .ok_or_else(|| bad("the target's host is not a host name or an address"))
}
