//! One stream: a request and its response, or what an extended CONNECT makes of it.

use crate::accept::{Prefixed, Socket};
use crate::http::error::HttpError;
use crate::http::exchange::check::{Asking, Wanted};
use crate::http::exchange::endless::may_be_quiet;
use crate::http::exchange::hop;
use crate::http::exchange::judge;
use crate::http::exchange::road::{self, Asked};
use crate::http::exchange::served::Upgraded;
use crate::http::fallback::Fallback;
use crate::http::h2::answer::deliver;
use crate::http::h2::ask::{RequestPump, StreamFailure};
use crate::http::h2::heads::Broken;
use crate::http::h2::pump::Pump;
use crate::http::h2::stream::UpgradedStream;
use crate::http::h2::under_way::{Done, StreamContext, StreamEnd, StreamExchange};
use crate::http::h2::unwanted::{skip, skip_left};
use crate::http::inspected::adapting::{Adapter, Change};
use crate::http::message::body::Body;
use crate::http::message::broke::BodyError;
use crate::http::message::source::{Leftover, Source, Streamed};
use crate::http::pages::ErrorResponse;
use crate::tls::Transport;
use crate::wire::ws_handshake::Upgrade;
use ::h2::RecvStream;
use ::h2::ext::Protocol;
use ::h2::server::SendResponse;
use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version, response};
use http_body::Body as _;
use std::sync::Arc;

/// Serves one stream to its end, or to where it leaves HTTP.
pub(in crate::http) async fn serve(
    shared: Arc<StreamContext>,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> Done {
    let shared = shared.hearing(request.headers());
    let to = shared.destination();
    let url = [&shared.base, request.uri().path()].concat();
    let (mut parts, recv) = request.into_parts();
    hop::join_cookies(&mut parts.headers);
    let has_body = !recv.is_end_stream();
    let upgrade = parts.extensions.get::<Protocol>().map(|protocol| {
        // RFC 8441 section 5 writes it in lower case.
        match protocol.as_str() {
            "websocket" => Upgrade::WebSocket,
            other => Upgrade::Other(other.to_owned()),
        }
    });
    let audience = shared.context.pages.audience(&parts.headers);
    let (method, uri) = (parts.method.clone(), std::mem::take(&mut parts.uri));
    let mut asking = Asking {
        method: &method,
        version: Version::HTTP_2,
        path: uri.path_and_query().map_or("/", |path| path.as_str()),
        authority: uri.authority().map(|authority| authority.as_str()),
        headers: &mut parts.headers,
        has_body,
        upgrade,
    };
    let asked = road::ask(&shared.context, &to, &mut asking, url);
    parts.uri = uri;
    let Asked {
        wanted,
        record,
        inspected,
        adapter,
        treatment,
    } = match asked {
        Ok(asked) => asked,
        Err(refused) => {
            let (mut record, problem) = *refused;
            let response = road::answer_with(&mut record, &problem, audience);
            let is_head = record.is_head();
            drop(record);
            // Few streams need it, and it would take room in all of them.
            let ended = Box::pin(deliver(&shared.context, is_head, respond, response)).await;
            if method != Method::CONNECT {
                skip(recv).await;
            }
            return Done::Ended(ended);
        }
    };
    if parts.extensions.get::<Broken>().is_some() {
        record.received().malformed();
    }
    // Moved from step to step.
    let exchange = Box::new(StreamExchange {
        pace: shared.context.pace.unless(may_be_quiet(&parts.headers)),
        shared: &shared,
        to,
        audience,
        respond,
        inspected,
        adapter,
        record,
        treatment,
    });
    if shared.context.fallback.as_ref().is_some_and(Fallback::is_due) {
        return Done::Ended(exchange.turned_back());
    }
    match wanted {
        Wanted::Nothing => {
            let left = has_body.then(Leftover::default);
            let ended = exchange.plain(parts, recv, left.as_ref()).await;
            skip_left(left).await;
            Done::Ended(ended)
        }
        // What few streams need takes no room in all of them.
        wanted => match Box::pin(exchange.upgrade(parts, recv, wanted)).await {
            Ok(upgraded) => Done::GoesOn(shared.onward.upgraded(upgraded)),
            Err(ended) => Done::Ended(ended),
        },
    }
}

impl StreamExchange<'_> {
    /// A request that is no more than that.
    async fn plain(
        mut self: Box<Self>,
        mut parts: Parts,
        recv: RecvStream,
        left: Option<&Leftover>,
    ) -> StreamEnd {
        let waits = road::expects_continue(&parts.headers) && !recv.is_end_stream();
        let Some(uri) = self.outgoing(&mut parts) else {
            return self.answer(&no_url()).await;
        };
        let content = Streamed::new(recv).leaving(left);
        let mut body = Body::request(Source::H2(content), self.record.received());
        if let Some(mut it) = self.inspected.take() {
            if waits && it.holds_request() {
                // What is judged first has to be there first.
                let _ = self.respond.send_informational(continue_response());
            }
            let judging = it.request_body(Request::from_parts(parts, body));
            let judged = self.unless_reset(Box::pin(judging)).await;
            self.inspected = Some(it);
            (parts, body) = match judged {
                Ok(Ok(request)) => request.into_parts(),
                Ok(Err(problem)) => return self.answer(&problem).await,
                Err(_) => return StreamEnd::Reset,
            };
        }
        let mut uri = uri;
        if let Some(mut adapter) = self.adapter.take() {
            if waits {
                // What services look at first has to be there first.
                let _ = self.respond.send_informational(continue_response());
            }
            let asked = adapted(&mut adapter, &uri, &parts, false, body);
            let change = self.unless_reset(Box::pin(asked)).await;
            self.adapter = Some(adapter);
            match change {
                Ok(Change::None(held)) => body = Body::put_back(held),
                Ok(Change::Request(changed)) => {
                    let path = PathAndQuery::try_from(changed.path);
                    let moved = path.ok().and_then(|path| with_path(&uri, path));
                    let Some(moved) = moved else {
                        return self.answer(&no_url()).await;
                    };
                    uri = moved;
                    (parts.method, parts.headers) = (changed.method, changed.headers);
                    parts.headers.remove(HOST);
                    body = Body::full(changed.body);
                }
                Ok(Change::Response(response, problem)) => {
                    self.record.answered(&problem);
                    return deliver(
                        &self.shared.context,
                        self.record.is_head(),
                        self.respond,
                        response,
                    )
                    .await;
                }
                Ok(Change::Stop(problem)) => return self.answer(&problem).await,
                Err(_) => return StreamEnd::Reset,
            }
        }
        let is_over = body.is_end_stream();
        let (response, send) = match self.send(head(uri, parts), is_over).await {
            Ok(sent) => sent,
            Err(failed) => return self.fail(failed).await,
        };
        let mut upload = RequestPump(Some(if is_over {
            Pump::done(send)
        } else {
            Pump::new(body, send).counted_in(self.shared.context.inspector.kept())
        }));
        match self.response(response, &mut upload).await {
            Ok(response) => self.pass_on(response, upload).await,
            Err(failed) => {
                if let StreamFailure::Client(reason) = failed {
                    upload.reset(reason);
                }
                drop(upload);
                self.fail(failed).await
            }
        }
    }

    /// An extended CONNECT (RFC 8441 section 4): both streams, if the origin agrees.
    async fn upgrade(
        mut self: Box<Self>,
        mut parts: Parts,
        recv: RecvStream,
        wanted: Wanted,
    ) -> Result<Upgraded, StreamEnd> {
        let Some(uri) = self.outgoing(&mut parts) else {
            return Err(self.answer(&no_url()).await);
        };
        if let Some(mut adapter) = self.adapter.take() {
            // An upgrade may be answered, and is not changed.
            let asked = adapted(&mut adapter, &uri, &parts, true, Body::empty());
            match self.unless_reset(Box::pin(asked)).await {
                Ok(Change::None(_) | Change::Request(_)) => {}
                Ok(Change::Response(response, problem)) => {
                    self.record.answered(&problem);
                    return Err(deliver(
                        &self.shared.context,
                        self.record.is_head(),
                        self.respond,
                        response,
                    )
                    .await);
                }
                Ok(Change::Stop(problem)) => return Err(self.answer(&problem).await),
                Err(_) => return Err(StreamEnd::Reset),
            }
        }
        let (response, mut send) = match self.send(head(uri, parts), false).await {
            Ok(sent) => sent,
            Err(failed) => return Err(self.fail(failed).await),
        };
        let response = match self.response(response, &mut RequestPump(None)).await {
            Ok(response) => response,
            Err(failed) => {
                if let StreamFailure::Client(reason) = failed {
                    send.send_reset(reason);
                }
                return Err(self.fail(failed).await);
            }
        };
        if !response.status().is_success() {
            // It stays a stream of HTTP, and the client's side of it has nothing to say.
            return Err(self.pass_on(response, RequestPump(None)).await);
        }
        if let Some(it) = &self.inspected
            && let Err(problem) = it.response_head(
                response.status(),
                response.version(),
                response.headers(),
                self.shared.context.origin,
            )
        {
            return Err(self.answer(&problem).await);
        }
        let kind = match road::agree(
            &self.to,
            wanted,
            &self.treatment,
            response.headers(),
            &self.record,
        ) {
            Ok(kind) => kind,
            Err(problem) => return Err(self.answer(&problem).await),
        };
        let (mut parts, origin) = response.into_parts();
        self.incoming(&mut parts);
        let status = parts.status;
        let Ok(client) = self.respond.send_response(Response::from_parts(parts, ()), false) else {
            return Err(StreamEnd::Reset);
        };
        self.record.head(status);
        self.record.complete();
        let (client, origin) = UpgradedStream::pair((recv, client), (origin, send));
        let leg = |stream| Transport::plain(Prefixed::new(Bytes::new(), Socket::inner(stream)));
        Ok(Upgraded {
            kind,
            client: leg(client),
            origin: leg(origin),
        })
    }

    /// Makes the head one that an origin gets; `None` if it cannot be written.
    fn outgoing(&self, parts: &mut Parts) -> Option<Uri> {
        hop::strip_h2(&mut parts.headers);
        if self.treatment.via {
            hop::add_via(&mut parts.headers, Version::HTTP_2);
        }
        // What was checked is what goes on: :authority, or Host where there was none (RFC 9113 section 8.3.1).
        let host = parts.headers.remove(HOST)?;
        let said = parts.uri.authority().map(|said| said.as_str().as_bytes());
        if said == Some(host.as_bytes()) && parts.uri.scheme() == Some(&self.shared.scheme) {
            return Some(std::mem::take(&mut parts.uri));
        }
        let path = parts
            .uri
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        Uri::builder()
            .scheme(self.shared.scheme.clone())
            .authority(host.as_bytes())
            .path_and_query(path)
            .build()
            .ok()
    }

    /// Makes a response's head one that the client gets.
    pub(in crate::http) fn incoming(&self, parts: &mut response::Parts) {
        hop::strip_h2(&mut parts.headers);
        self.shared.context.hide(&mut parts.headers);
        judge::edit(&self.treatment.response_headers, &mut parts.headers);
        if self.treatment.via {
            hop::add_via(&mut parts.headers, Version::HTTP_2);
        }
        parts.version = Version::HTTP_2;
    }
}

/// Has a request changed, or answered. Services know HTTP/1.1 alone: it has a Host for them, and an extended CONNECT is a
/// GET (RFC 8441 section 5).
async fn adapted(
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

/// The head of a request that goes on.
fn head(uri: Uri, mut parts: Parts) -> Request<()> {
    parts.uri = uri;
    parts.version = Version::HTTP_2;
    Request::from_parts(parts, ())
}

fn no_url() -> ErrorResponse {
    ErrorResponse::new(HttpError::BadRequest, "a request whose parts make no URL")
}

fn continue_response() -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::CONTINUE;
    response
}
