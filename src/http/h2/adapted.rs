//! What becomes of a request and its response where rules look at them before they go on, and services may change them. Few
//! streams need it: its futures are apart from theirs.

use crate::http::error::HttpError;
use crate::http::h2::answer::{deliver, uploading};
use crate::http::h2::ask::RequestPump;
use crate::http::h2::under_way::{StreamEnd, StreamExchange};
use crate::http::inspected::adapting::{Adapter, Change};
use crate::http::message::body::Body;
use crate::http::message::broke::BodyError;
use crate::http::message::source::Source;
use crate::http::pages::ErrorResponse;
use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, response};

impl StreamExchange<'_> {
    /// Has the content judged where a rule wants that before it goes on.
    pub(in crate::http) async fn judged(
        mut self: Box<Self>,
        parts: Parts,
        body: Body,
        waits: bool,
    ) -> Result<(Box<Self>, Parts, Body), StreamEnd> {
        let Some(mut it) = self.inspected.take() else {
            return Ok((self, parts, body));
        };
        if waits && it.holds_request() {
            // What is judged first has to be there first.
            let _ = self.respond.send_informational(continue_response());
        }
        let judging = it.request_body(Request::from_parts(parts, body));
        let judged = self.unless_reset(judging).await;
        self.inspected = Some(it);
        match judged {
            Ok(Ok(request)) => {
                let (parts, body) = request.into_parts();
                Ok((self, parts, body))
            }
            Ok(Err(problem)) => Err(self.answer(&problem).await),
            Err(_) => Err(StreamEnd::Reset),
        }
    }

    /// Has services look at the request, which may change it or answer it.
    pub(in crate::http) async fn adapted(
        mut self: Box<Self>,
        mut uri: Uri,
        mut parts: Parts,
        mut body: Body,
        waits: bool,
    ) -> Result<(Box<Self>, Uri, Parts, Body), StreamEnd> {
        let Some(mut adapter) = self.adapter.take() else {
            return Ok((self, uri, parts, body));
        };
        if waits {
            // What services look at first has to be there first.
            let _ = self.respond.send_informational(continue_response());
        }
        let asked = ask_services(&mut adapter, &uri, &parts, false, body);
        let change = self.unless_reset(asked).await;
        self.adapter = Some(adapter);
        match change {
            Ok(Change::None(held)) => body = Body::put_back(held),
            Ok(Change::Request(changed)) => {
                let path = PathAndQuery::try_from(changed.path);
                let moved = path.ok().and_then(|path| with_path(&uri, path));
                let Some(moved) = moved else {
                    return Err(self.answer(&no_url()).await);
                };
                uri = moved;
                (parts.method, parts.headers) = (changed.method, changed.headers);
                parts.headers.remove(HOST);
                body = Body::full(changed.body);
            }
            Ok(Change::Response(response, problem)) => return Err(self.instead(response, &problem).await),
            Ok(Change::Stop(problem)) => return Err(self.answer(&problem).await),
            Err(_) => return Err(StreamEnd::Reset),
        }
        Ok((self, uri, parts, body))
    }

    /// Gives the client what a service answers with.
    pub(in crate::http) async fn instead(
        mut self: Box<Self>,
        response: Response<Bytes>,
        problem: &ErrorResponse,
    ) -> StreamEnd {
        self.record.answered(problem);
        let is_head = self.record.is_head();
        deliver(&self.shared.context, is_head, self.respond, response).await
    }

    /// Has services look at the response, which may change it.
    pub(in crate::http) async fn adapted_response(
        mut self: Box<Self>,
        adapter: Box<Adapter>,
        mut parts: response::Parts,
        mut source: Source,
        upload: &mut RequestPump,
    ) -> Result<(Box<Self>, response::Parts, Source), StreamEnd> {
        let adapting = Box::pin(adapter.response(parts.status, parts.headers.clone(), source));
        match uploading(&mut self.respond, upload, adapting).await {
            Ok(Change::None(held)) => source = Source::Resumed(Box::new(held)),
            Ok(Change::Response(response, _)) => {
                let (changed, content) = response.into_parts();
                (parts.status, parts.headers) = (changed.status, changed.headers);
                source = Source::full(content);
            }
            Ok(Change::Stop(problem)) => return Err(self.answer(&problem).await),
            Ok(Change::Request(_)) => {
                let text = "a service answers a response with a request";
                let problem = ErrorResponse::new(HttpError::Uninspected, text);
                return Err(self.answer(&problem).await);
            }
            Err(reason) => {
                upload.reset(reason);
                return Err(StreamEnd::Reset);
            }
        }
        Ok((self, parts, source))
    }
}

/// Has a request changed, or answered. Services know HTTP/1.1 alone: it has a Host for them, and an extended CONNECT is a
/// GET (RFC 8441 section 5).
pub(in crate::http) async fn ask_services(
    adapter: &mut Adapter,
    uri: &Uri,
    parts: &Parts,
    is_upgrade: bool,
    body: Body,
) -> Change<Body, BodyError> {
    let mut headers = parts.headers.clone();
    let host = uri.authority().map(|host| HeaderValue::from_str(host.as_str()));
    if let Some(Ok(host)) = host {
        headers.insert(HOST, host);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let method = if is_upgrade { &Method::GET } else { &parts.method };
    adapter.request(method, path, headers, is_upgrade, body).await
}

/// The same server with another path.
fn with_path(uri: &Uri, path: PathAndQuery) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).ok()
}

pub(in crate::http) fn no_url() -> ErrorResponse {
    ErrorResponse::new(HttpError::BadRequest, "a request whose parts make no URL")
}

fn continue_response() -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::CONTINUE;
    response
}
